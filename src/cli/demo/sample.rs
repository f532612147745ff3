//! One span as it leaves: each field and attribute of it, with the names that OTLP/JSON has.

use anyhow::Context;
use serde_json::Value;

use crate::cli::table::Table;

/// Bounds a value in characters, so that a row fits 80 columns.
const LONGEST: usize = 48;

/// Names the values of `SpanKind`, and below of `StatusCode`, in OTLP's trace.proto, by number.
const KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
const STATUSES: [&str; 3] = ["UNSET", "OK", "ERROR"];

/// Kind of the tap's span towards the server, in OTLP's trace.proto.
const CLIENT: u64 = 3;

/// Lists the fields of the first call of that name in OTLP JSON lines, its attributes and those of its resource. Long
/// values are cut.
pub(super) fn of(lines: &str, name: &str, colours: bool) -> anyhow::Result<Table> {
    for line in lines.lines() {
        let document: Value = serde_json::from_str(line)?;
        for resource in list(&document["resourceSpans"]) {
            let scopes = list(&resource["scopeSpans"]).iter();
            let mut spans = scopes.flat_map(|scope| list(&scope["spans"]));
            if let Some(span) = spans.find(|span| span["name"] == name && span["kind"] == CLIENT) {
                return Ok(table(span, &resource["resource"], colours));
            }
        }
    }
    None.context("the tap did not see a call that was made")
}

fn table(json: &Value, resource: &Value, colours: bool) -> Table {
    let mut table = Table::new(&["field or attribute", "value"]);
    for field in ["traceId", "spanId", "parentSpanId", "name"] {
        table.row([field.to_owned(), short(&shown(&json[field]))]);
    }
    table.row(["kind".to_owned(), meant(&json["kind"], &KINDS)]);
    for field in ["startTimeUnixNano", "endTimeUnixNano"] {
        table.row([field.to_owned(), shown(&json[field])]);
    }
    table.row(["status.code".to_owned(), meant(&json["status"]["code"], &STATUSES)]);
    for (before, holder) in [("", json), ("resource ", resource)] {
        for attribute in list(&holder["attributes"]) {
            let key = attribute["key"].as_str().unwrap_or_default();
            let value = attribute["value"].as_object().and_then(|value| value.values().next());
            let value = value.map(shown).unwrap_or_default();
            table.row([format!("{before}{key}"), short(&value)]);
        }
    }
    table.painted(colours, |column, _| (column == 0).then_some(36))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Shows a number with the name that OTLP has for it.
fn meant(number: &Value, names: &[&str]) -> String {
    let index = number.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
    format!("{index} ({})", names.get(index).unwrap_or(&"?"))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some(_) => text.chars().take(LONGEST - 3).chain("...".chars()).collect(),
        None => text.to_owned(),
    }
}
