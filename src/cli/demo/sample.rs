//! One span as it leaves: each field and attribute of it, with the names that OTLP/JSON has.

use serde_json::Value;

use super::report::{Span, list};
use crate::cli::table::Table;

/// Bounds a value in characters, so that a row fits 80 columns.
const LONGEST: usize = 48;

/// Names the values of `SpanKind`, and below of `StatusCode`, in OTLP's trace.proto, by number.
const KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
const STATUSES: [&str; 3] = ["UNSET", "OK", "ERROR"];

/// Lists the fields of a span, its attributes and those of its resource. Long values are cut.
pub(super) fn of(span: &Span, colours: bool) -> Table {
    let mut table = Table::new(&["field or attribute", "value"]);
    let json = &span.json;
    for field in ["traceId", "spanId", "parentSpanId", "name"] {
        table.row([field.to_owned(), short(&shown(&json[field]))]);
    }
    table.row(["kind".to_owned(), meant(&json["kind"], &KINDS)]);
    for field in ["startTimeUnixNano", "endTimeUnixNano"] {
        table.row([field.to_owned(), shown(&json[field])]);
    }
    table.row(["status.code".to_owned(), meant(&json["status"]["code"], &STATUSES)]);
    for (before, holder) in [("", json), ("resource ", &span.resource)] {
        for attribute in list(&holder["attributes"]) {
            let key = attribute["key"].as_str().unwrap_or_default();
            let value = attribute["value"].as_object().and_then(|value| value.values().next());
            let value = value.map(shown).unwrap_or_default();
            table.row([format!("{before}{key}"), short(&value)]);
        }
    }
    table.painted(colours, |column, _| (column == 0).then_some(36))
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
