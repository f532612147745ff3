//! How much memory an attempt takes that makes something else of a batch: bounds for `Exporter::takes`.

use crate::telemetry::Telemetry;

/// Says how much longer telemetry is as OTLP/JSON with the room that its list has left: a field of two bytes may have a
/// long name, and a span of eight be 74. Usual ones are two or three times as long.
const JSON_GROWTH: usize = 16;

/// Bounds what a batch takes as OTLP/JSON, in bytes.
pub(super) fn json_size(telemetry: &Telemetry) -> usize {
    telemetry.wire().len().saturating_mul(JSON_GROWTH)
}

/// Bounds what a batch takes as messages and as a text of them, in bytes: a list of messages that grows stands beside the
/// one that takes its place.
pub(super) fn decoded_size(telemetry: &Telemetry) -> usize {
    json_size(telemetry).saturating_add(telemetry.decoded_size().saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::{
        Histogram, Metric, ResourceMetrics, ScopeMetrics,
    };
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;
    use crate::otlp::Messages;

    /// The shortest fields with the longest names, of each signal, and texts that are all escapes.
    #[test]
    fn no_telemetry_is_longer_as_json_than_was_said() {
        let span = Span {
            dropped_attributes_count: 1,
            dropped_events_count: 1,
            dropped_links_count: 1,
            ..Span::default()
        };
        let escaped = Span { name: "\u{1}".repeat(100), ..Span::default() };
        let traces = |span: Span| {
            let scope = ScopeSpans { spans: vec![span; 1000], ..ScopeSpans::default() };
            Messages::Traces(vec![ResourceSpans {
                scope_spans: vec![scope],
                ..ResourceSpans::default()
            }])
        };
        let record =
            LogRecord { severity_number: 1, dropped_attributes_count: 1, ..LogRecord::default() };
        let scope = ScopeLogs { log_records: vec![record; 1000], ..ScopeLogs::default() };
        let logs = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
        let histogram = Histogram { aggregation_temporality: 1, ..Histogram::default() };
        let metric = Metric { data: Some(Data::Histogram(histogram)), ..Metric::default() };
        let scope = ScopeMetrics { metrics: vec![metric; 1000], ..ScopeMetrics::default() };
        let metrics = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
        for messages in [
            traces(span),
            traces(escaped),
            Messages::Logs(vec![logs]),
            Messages::Metrics(vec![metrics]),
        ] {
            let telemetry = Telemetry::from(messages);
            let mut json = Vec::new();
            telemetry.write_json(&mut json);
            let (length, bound) = (json.len(), json_size(&telemetry));
            assert!(length * 3 / 2 <= bound, "{length} of {}", telemetry.wire().len());
        }
    }
}
