//! What the demo shows: the spans that the tap wrote, and a table per tool.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::cli::table::Table;
use crate::telemetry::names;

/// One span, as read back from the tap's OTLP JSON lines.
pub(super) struct Call {
    pub(super) name: String,
    pub(super) tool: Option<String>,
    pub(super) outcome: String,
    pub(super) trace_id: String,
    pub(super) parent: bool,
    pub(super) took: Duration,
    pub(super) digest: String,
    pub(super) error_type: String,
    start: u64,
}

/// Reads OTLP JSON lines.
pub(super) fn read(lines: &str) -> anyhow::Result<Vec<Call>> {
    let mut calls = Vec::new();
    for line in lines.lines() {
        let document: Value = serde_json::from_str(line)?;
        for resource in list(&document["resourceSpans"]) {
            for scope in list(&resource["scopeSpans"]) {
                calls.extend(list(&scope["spans"]).iter().map(call));
            }
        }
    }
    calls.sort_by_key(|call| call.start);
    Ok(calls)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn call(span: &Value) -> Call {
    let nanos = |key: &str| span[key].as_str().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    let text = |key: &str| {
        let of_key = |a: &&Value| a["key"] == key;
        let found = list(&span["attributes"]).iter().find(of_key);
        found.and_then(|a| a["value"]["stringValue"].as_str()).unwrap_or_default().to_owned()
    };
    let (start, end) = (nanos("startTimeUnixNano"), nanos("endTimeUnixNano"));
    Call {
        name: span["name"].as_str().unwrap_or_default().to_owned(),
        tool: Some(text(names::TOOL)).filter(|tool| !tool.is_empty()),
        outcome: text(names::OUTCOME),
        trace_id: span["traceId"].as_str().unwrap_or_default().to_owned(),
        parent: span["parentSpanId"].as_str().is_some_and(|id| !id.is_empty()),
        took: Duration::from_nanos(end.saturating_sub(start)),
        digest: text(names::ARGUMENTS_DIGEST),
        error_type: text(names::ERROR_TYPE),
        start,
    }
}

/// One line a span, the first `most`.
pub(super) fn spans(calls: &[Call], most: usize) -> Table {
    let columns =
        ["span", ">took", "outcome", "error.type", "trace", "parent", "mcpcol.arguments.digest"];
    let mut table = Table::new(&columns);
    for call in calls.iter().take(most) {
        table.row([
            call.name.clone(),
            millis(call.took),
            call.outcome.clone(),
            call.error_type.clone(),
            call.trace_id.chars().take(8).collect(),
            if call.parent { "agent" } else { "-" }.into(),
            short(&call.digest),
        ]);
    }
    table
}

/// Count, errors and percentiles per tool.
pub(super) fn per_tool(calls: &[Call]) -> Table {
    let mut tools: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
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

fn millis(time: Duration) -> String {
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
