//! What the demo shows: the spans that the tap wrote, and a table per tool.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::cli::table::Table;
use crate::telemetry::names;

/// One span, as read back from the tap's OTLP JSON lines.
pub(super) struct Span {
    pub(super) id: String,
    pub(super) parent: String,
    pub(super) trace_id: String,
    pub(super) name: String,
    /// Who says so: `service.name` of its resource.
    pub(super) service: String,
    /// The server handed it back.
    pub(super) handed_back: bool,
    /// The tap's span towards the agent, which is not counted: the one below it is the call.
    pub(super) hop: bool,
    pub(super) took: Duration,
    pub(super) start: u64,
    tool: Option<String>,
    outcome: String,
    digest: String,
    error_type: String,
}

/// Reads OTLP JSON lines; spans in the order in which they began.
pub(super) fn read(lines: &str) -> anyhow::Result<Vec<Span>> {
    let mut spans = Vec::new();
    for line in lines.lines() {
        let document: Value = serde_json::from_str(line)?;
        for resource in list(&document["resourceSpans"]) {
            let service = text(&resource["resource"], names::SERVICE_NAME);
            for scope in list(&resource["scopeSpans"]) {
                spans.extend(list(&scope["spans"]).iter().map(|json| span(json, &service)));
            }
        }
    }
    spans.sort_by_key(|span| span.start);
    Ok(spans)
}

/// The requests that the tap saw, each once.
pub(super) fn calls(spans: &[Span]) -> Vec<&Span> {
    spans.iter().filter(|span| !span.hop && !span.handed_back).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn attribute<'a>(of: &'a Value, key: &str) -> Option<&'a Value> {
    list(&of["attributes"]).iter().find(|attribute| attribute["key"] == key).map(|a| &a["value"])
}

fn text(of: &Value, key: &str) -> String {
    attribute(of, key).and_then(|v| v["stringValue"].as_str()).unwrap_or_default().to_owned()
}

fn span(span: &Value, service: &str) -> Span {
    let nanos = |key: &str| span[key].as_str().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    let word = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
    let (start, end) = (nanos("startTimeUnixNano"), nanos("endTimeUnixNano"));
    Span {
        id: word("spanId"),
        parent: word("parentSpanId"),
        trace_id: word("traceId"),
        name: word("name"),
        service: service.to_owned(),
        handed_back: attribute(span, names::PASSBACK).is_some(),
        hop: attribute(span, names::HOP).is_some(),
        took: Duration::from_nanos(end.saturating_sub(start)),
        start,
        tool: Some(text(span, names::TOOL)).filter(|tool| !tool.is_empty()),
        outcome: text(span, names::OUTCOME),
        digest: text(span, names::ARGUMENTS_DIGEST),
        error_type: text(span, names::ERROR_TYPE),
    }
}

/// One line a call, the first `most`.
pub(super) fn table(calls: &[&Span], most: usize) -> Table {
    let columns =
        ["call", ">took", "outcome", "error.type", "trace", "parent", "mcpcol.arguments.digest"];
    let mut table = Table::new(&columns);
    for call in calls.iter().take(most) {
        table.row([
            call.name.clone(),
            millis(call.took),
            call.outcome.clone(),
            call.error_type.clone(),
            call.trace_id.chars().take(8).collect(),
            if call.parent.is_empty() { "-" } else { "agent" }.into(),
            short(&call.digest),
        ]);
    }
    table
}

/// Count, errors and percentiles per tool.
pub(super) fn per_tool(calls: &[&Span]) -> Table {
    let mut tools: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for call in calls {
        if let Some(tool) = &call.tool {
            tools.entry(tool).or_default().push(call);
        }
    }
    let mut table = Table::new(&["tool", ">count", ">errors", ">p50", ">p95", ">max"]);
    for (tool, calls) in tools {
        let mut took: Vec<_> = calls.iter().map(|call| call.took).collect();
        took.sort();
        let errors = calls.iter().filter(|call| call.outcome != "ok").count();
        table.row([
            tool.to_owned(),
            calls.len().to_string(),
            errors.to_string(),
            millis(percentile(&took, 50)),
            millis(percentile(&took, 95)),
            millis(percentile(&took, 100)),
        ]);
    }
    table
}

/// The nearest-rank percentile of a sorted, non-empty list.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}

pub(super) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// A digest cut for the eye: scheme, key id and the first digits.
fn short(digest: &str) -> String {
    match digest.rsplit_once(':') {
        Some((scheme, hex)) => format!("{scheme}:{}...", hex.get(..8).unwrap_or(hex)),
        None => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let ms = |n| Duration::from_millis(n);
        let sorted: Vec<_> = (1..=20).map(ms).collect();
        assert_eq!(percentile(&sorted, 50), ms(10));
        assert_eq!(percentile(&sorted, 95), ms(19));
        assert_eq!(percentile(&sorted[..1], 95), ms(1));
    }
}
