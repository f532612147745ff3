//! The demo's live lines: those that a tap writes on a terminal, made by the same code.

use std::collections::HashSet;

use anyhow::Context;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::exporters::debug;
use crate::otlp::{Messages, Request, json};
use crate::telemetry::names;

/// Counts the calls in OTLP JSON lines, and shows the first of each span name, in at most `width` columns where names
/// are as long as the demo's.
pub(super) fn first_of_each(
    lines: &str,
    colours: bool,
    width: usize,
) -> anyhow::Result<(usize, String)> {
    let mut all = Vec::new();
    for line in lines.lines() {
        let wire = json::read(Request::Traces, line.as_bytes()).context("no OTLP JSON")?;
        if let Messages::Traces(spans) = Messages::decode(Request::Traces, wire.into())? {
            all.extend(spans);
        }
    }
    let (mut calls, mut seen) = (0, HashSet::new());
    for scope in all.iter_mut().flat_map(|resource| &mut resource.scope_spans) {
        scope.spans.retain(is_call);
        calls += scope.spans.len();
        scope.spans.retain(|span| seen.insert(span.name.clone()));
    }
    Ok((calls, debug::live_lines(&all, colours, width)))
}

/// Says whether a span is neither the upper one of a hop nor handed back by the server.
fn is_call(span: &Span) -> bool {
    let others = [names::HOP, names::PASSBACK];
    let is_true = |value: &Value| matches!(value, Value::BoolValue(true));
    !span.attributes.iter().any(|pair| {
        let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
        others.contains(&&*pair.key) && value.is_some_and(is_true)
    })
}
