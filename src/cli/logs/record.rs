//! Reads log records out of lines of OTLP/JSON, as taps and the `file` exporter write them.

use serde_json::{Value, json};

use crate::exporters::debug::Timestamp;
use crate::telemetry::names;

/// One log record, as far as it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Record {
    /// When it was made, in nanoseconds since the epoch.
    pub(super) time: u64,
    pub(super) server: String,
    pub(super) severity: u64,
    pub(super) severity_text: String,
    /// Where it comes from: `stderr`, a logger, or the kind of a finding.
    pub(super) source: String,
    pub(super) text: String,
    /// What belongs to it: the detail of a finding, how many were dropped before it.
    pub(super) notes: Vec<String>,
    is_finding: bool,
    session: String,
    trace: String,
    span: String,
}

/// Reads the records of a line, in their order; `None` if it is no OTLP/JSON at all. Of other signals there are
/// none.
pub(super) fn read(line: &[u8]) -> Option<Vec<Record>> {
    let document: Value = serde_json::from_slice(line).ok()?;
    let document = document.as_object()?;
    let mut records = Vec::new();
    for resource in list(document.get("resourceLogs").unwrap_or(&Value::Null)) {
        let server = attribute(&resource["resource"], names::SERVER_NAME);
        let server = match server.is_empty() {
            true => attribute(&resource["resource"], names::SERVICE_NAME),
            false => server,
        };
        for scope in list(&resource["scopeLogs"]) {
            records.extend(list(&scope["logRecords"]).iter().map(|json| record(json, &server)));
        }
    }
    Some(records)
}

fn record(json: &Value, server: &str) -> Record {
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    let time = [&json["timeUnixNano"], &json["observedTimeUnixNano"]];
    let time = time.into_iter().map(number).find(|time| *time > 0).unwrap_or(0);
    let finding = attribute(json, names::FINDING_KIND);
    let sources = [&finding, &attribute(json, names::IOSTREAM), &attribute(json, names::LOGGER)];
    let source = sources.into_iter().find(|source| !source.is_empty()).cloned();
    Record {
        time,
        server: server.to_owned(),
        severity: number(&json["severityNumber"]),
        severity_text: text("severityText"),
        source: source.unwrap_or_else(|| "log".to_owned()),
        text: shown(&json["body"]),
        notes: notes(json),
        is_finding: !finding.is_empty(),
        session: attribute(json, names::SESSION_ID),
        trace: text("traceId"),
        span: text("spanId"),
    }
}

fn notes(json: &Value) -> Vec<String> {
    let told = |key| Some(attribute(json, key)).filter(|text| !text.is_empty());
    let by = told(names::FINDING_BY).map(|by| format!("by {by}"));
    let count = told(names::FINDING_COUNT).filter(|n| n != "1").map(|n| format!("{n} of them"));
    let cut = told(names::OBSERVED).filter(|how| how == "cut");
    let dropped = told(names::LOG_DROPPED).map(|n| format!("{n} dropped before"));
    [by, told(names::FINDING_DETAIL), count, cut, dropped].into_iter().flatten().collect()
}

impl Record {
    /// Gives the word for its severity; `-` if it has none.
    pub(super) fn level(&self) -> &str {
        match self.severity {
            1..=4 => "TRACE",
            5..=8 => "DEBUG",
            9..=12 => "INFO",
            13..=16 => "WARN",
            17..=20 => "ERROR",
            21..=24 => "FATAL",
            _ => "-",
        }
    }

    /// Gives it as a JSON object; what is not known is left out.
    pub(super) fn json(&self) -> Value {
        let mut out = json!({
            "time": Timestamp(self.time).to_string(),
            "server": self.server,
            "text": self.text,
        });
        let kind = if self.is_finding { "finding" } else { "source" };
        let words = [
            ("severity", self.level()),
            ("severity_text", &self.severity_text),
            (kind, &self.source),
            ("session", &self.session),
            ("trace_id", &self.trace),
            ("span_id", &self.span),
        ];
        for (key, word) in words.into_iter().filter(|(_, word)| !matches!(*word, "" | "-")) {
            out[key] = word.into();
        }
        if !self.notes.is_empty() {
            out["notes"] = self.notes.clone().into();
        }
        out
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A whole number, which OTLP/JSON writes as a string or as itself.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

fn attribute(of: &Value, key: &str) -> String {
    let found = list(&of["attributes"]).iter().find(|attribute| attribute["key"] == key);
    found.map_or_else(String::new, |attribute| shown(&attribute["value"]))
}

/// A value for people: a string as it is, a number as its digits, others as their JSON.
fn shown(value: &Value) -> String {
    let inner = value.as_object().and_then(|value| value.values().next());
    match inner {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
