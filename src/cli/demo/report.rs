//! The spans that the tap wrote, read back, and what the demo counts of them per tool.

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
    /// Holds the span as it was written; `resource` belongs to it.
    pub(super) json: Value,
    pub(super) resource: Value,
}

/// Reads OTLP JSON lines; spans in the order in which they began.
pub(super) fn read(lines: &str) -> anyhow::Result<Vec<Span>> {
    let mut spans = Vec::new();
    for line in lines.lines() {
        let document: Value = serde_json::from_str(line)?;
        for resource in list(&document["resourceSpans"]) {
            let of = &resource["resource"];
            for scope in list(&resource["scopeSpans"]) {
                spans.extend(list(&scope["spans"]).iter().map(|json| span(json, of)));
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

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn attribute<'a>(of: &'a Value, key: &str) -> Option<&'a Value> {
    list(&of["attributes"]).iter().find(|attribute| attribute["key"] == key).map(|a| &a["value"])
}

fn text(of: &Value, key: &str) -> String {
    attribute(of, key).and_then(|v| v["stringValue"].as_str()).unwrap_or_default().to_owned()
}

fn span(span: &Value, resource: &Value) -> Span {
    let nanos = |key: &str| span[key].as_str().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    let word = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
    let (start, end) = (nanos("startTimeUnixNano"), nanos("endTimeUnixNano"));
    Span {
        id: word("spanId"),
        parent: word("parentSpanId"),
        trace_id: word("traceId"),
        name: word("name"),
        service: text(resource, names::SERVICE_NAME),
        handed_back: attribute(span, names::PASSBACK).is_some(),
        hop: attribute(span, names::HOP).is_some(),
        took: Duration::from_nanos(end.saturating_sub(start)),
        start,
        tool: Some(text(span, names::TOOL)).filter(|tool| !tool.is_empty()),
        outcome: text(span, names::OUTCOME),
        json: span.clone(),
        resource: resource.clone(),
    }
}

/// Count, errors and percentiles per tool.
pub(super) fn per_tool(calls: &[&Span], colours: bool) -> Table {
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
    table.painted(colours, |column, cell| (column == 2 && cell != "0").then_some(31))
}

/// The nearest-rank percentile of a sorted, non-empty list.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}

pub(super) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
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
