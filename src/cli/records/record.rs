//! Reads log records out of lines of OTLP/JSON, as taps and the `file` exporter write them.

use std::str::FromStr;

use serde_json::{Value, json};

use crate::exporters::debug::Timestamp;
use crate::telemetry::names;

/// One log record, as far as it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::cli) struct Record {
    /// Says when it was made, in nanoseconds since the epoch.
    pub(in crate::cli) time: u64,
    pub(in crate::cli) server: String,
    pub(in crate::cli) severity: u64,
    pub(in crate::cli) severity_text: String,
    /// Names its source: `stderr`, a logger, or the kind of a finding.
    pub(in crate::cli) source: String,
    pub(in crate::cli) text: String,
    /// Adds to its text: the detail of a finding, how many records were dropped before it.
    pub(in crate::cli) notes: Vec<String>,
    pub(in crate::cli) is_finding: bool,
    pub(in crate::cli) session: String,
    /// Ids of trace and span, as OTLP/JSON writes them.
    pub(in crate::cli) trace: String,
    pub(in crate::cli) span: String,
}

/// Holds the records of a line, in their order.
#[derive(Debug, Default, PartialEq)]
pub(in crate::cli) struct Read {
    pub(in crate::cli) records: Vec<Record>,
    /// Counts the records, or lists of them, that are not what OTLP/JSON has in their place, and are left out.
    pub(in crate::cli) strange: u64,
}

/// The lists that OTLP/JSON may have, of this signal and of others.
const LISTS: [&str; 4] = ["resourceLogs", "resourceSpans", "resourceMetrics", "resourceProfiles"];

/// Reads the records of a line; `None` if it is no OTLP/JSON at all. Of other signals there are none.
pub(in crate::cli) fn read(line: &[u8]) -> Option<Read> {
    let document: Value = serde_json::from_slice(line).ok()?;
    let members = document.as_object()?;
    let known = members.is_empty() || LISTS.iter().any(|list| members.contains_key(*list));
    known.then(|| {
        let mut read = Read::default();
        for resource in read.objects(&document["resourceLogs"]) {
            let of = &resource["resource"];
            let server = match attribute(of, names::SERVER_NAME) {
                server if server.is_empty() => attribute(of, names::SERVICE_NAME),
                server => server,
            };
            for scope in read.objects(&resource["scopeLogs"]) {
                for json in read.objects(&scope["logRecords"]) {
                    match record(json, &server) {
                        Some(record) => read.records.push(record),
                        None => read.strange += 1,
                    }
                }
            }
        }
        read
    })
}

impl Read {
    /// Gives the objects of a list, and counts what is none, or no list.
    fn objects<'a>(&mut self, of: &'a Value) -> Vec<&'a Value> {
        let (objects, others): (Vec<_>, Vec<_>) =
            list(of).iter().partition(|item| item.is_object());
        self.strange += others.len() as u64 + u64::from(!of.is_array() && !of.is_null());
        objects
    }
}

/// Reads one; `None` if its time or its body is not what OTLP/JSON has there.
fn record(json: &Value, server: &str) -> Option<Record> {
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    let [made, observed] = ["timeUnixNano", "observedTimeUnixNano"].map(|key| match &json[key] {
        Value::Null => Some(0),
        time => whole(time),
    });
    let (made, observed) = (made?, observed?);
    if !json["body"].is_null() && !is_any_value(&json["body"]) {
        return None;
    }
    let finding = attribute(json, names::FINDING_KIND);
    let pending = if text("eventName") == names::PENDING { "pending" } else { "" }.to_owned();
    let sources =
        [&finding, &pending, &attribute(json, names::IOSTREAM), &attribute(json, names::LOGGER)];
    let source = sources.into_iter().find(|source| !source.is_empty()).cloned();
    Some(Record {
        time: if made > 0 { made } else { observed },
        server: server.to_owned(),
        severity: whole(&json["severityNumber"]).unwrap_or(0),
        severity_text: text("severityText"),
        source: source.unwrap_or_else(|| "log".to_owned()),
        text: shown(&json["body"]),
        notes: notes(json),
        is_finding: !finding.is_empty(),
        session: attribute(json, names::SESSION_ID),
        trace: text("traceId"),
        span: text("spanId"),
    })
}

/// Says whether it is a value as OTLP/JSON writes them; what is inside of an array or a map is not looked at.
fn is_any_value(value: &Value) -> bool {
    let Some(value) = value.as_object() else { return false };
    let holds = |(kind, inner): (&String, &Value)| match kind.as_str() {
        _ if inner.is_null() => true,
        "stringValue" | "bytesValue" => inner.is_string(),
        "boolValue" => inner.is_boolean(),
        "intValue" => inner.is_i64() || parses::<i64>(inner),
        "doubleValue" => inner.is_number() || parses::<f64>(inner),
        "arrayValue" | "kvlistValue" => inner.is_object(),
        _ => false,
    };
    value.iter().all(holds)
}

fn parses<T: FromStr>(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<T>().is_ok())
}

fn notes(json: &Value) -> Vec<String> {
    let told = |key| Some(attribute(json, key)).filter(|text| !text.is_empty());
    let by = told(names::FINDING_BY).map(|by| format!("by {by}"));
    let count = told(names::FINDING_COUNT).filter(|n| n != "1").map(|n| format!("{n} of them"));
    let waits = told(names::PENDING_SECONDS).is_some();
    let [method, tool] = [names::METHOD, names::TOOL].map(|key| told(key).filter(|_| waits));
    let cut = told(names::OBSERVED).filter(|how| how == "cut");
    let dropped = told(names::LOG_DROPPED).map(|n| format!("{n} dropped before"));
    [by, told(names::FINDING_DETAIL), count, method, tool, cut, dropped]
        .into_iter()
        .flatten()
        .collect()
}

impl Record {
    /// Gives the word for its severity; `-` if it has none.
    pub(in crate::cli) fn level(&self) -> &str {
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
    pub(in crate::cli) fn json(&self) -> Value {
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
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn attribute(of: &Value, key: &str) -> String {
    let found = list(&of["attributes"]).iter().find(|attribute| attribute["key"] == key);
    found.map_or_else(String::new, |attribute| shown(&attribute["value"]))
}

/// A value for people: a string as it is, a number as its digits, others as their JSON.
fn shown(value: &Value) -> String {
    let inner = value.as_object().and_then(|value| value.values().find(|inner| !inner.is_null()));
    match inner {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
