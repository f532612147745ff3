//! Telemetry to send, and what is in telemetry that arrived.

use mcpcol::otlp::Messages;
use mcpcol::telemetry::Telemetry;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

/// A span that is recognised by its tag.
pub(crate) fn span(tag: u64) -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: (tag + 1).to_be_bytes().into(),
        name: format!("span-{tag}"),
        ..Span::default()
    }
}

pub(crate) fn traces(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    let all = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![all] }
}

pub(crate) fn tagged(tags: impl IntoIterator<Item = u64>) -> ExportTraceServiceRequest {
    traces(tags.into_iter().map(span).collect())
}

pub(crate) fn logs(ids: &[&[u8]]) -> ExportLogsServiceRequest {
    let record = |id: &&[u8]| LogRecord { span_id: id.to_vec(), ..LogRecord::default() };
    let scope = ScopeLogs { log_records: ids.iter().map(record).collect(), ..ScopeLogs::default() };
    let all = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![all] }
}

pub(crate) fn metrics(exemplar_ids: &[&[u8]]) -> ExportMetricsServiceRequest {
    let point = |id: &&[u8]| NumberDataPoint {
        exemplars: vec![Exemplar { span_id: id.to_vec(), ..Exemplar::default() }],
        ..NumberDataPoint::default()
    };
    let gauge = Gauge { data_points: exemplar_ids.iter().map(point).collect() };
    let metric = Metric { name: "m".into(), data: Some(Data::Gauge(gauge)), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let all = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![all] }
}

/// The tags of the spans in what arrived.
pub(crate) fn tags_of(telemetry: &Telemetry) -> Vec<u64> {
    let Messages::Traces(all) = telemetry.messages() else { return Vec::new() };
    let spans = all.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
    spans.map(|span| u64::from_be_bytes(span.span_id[..].try_into().unwrap()) - 1).collect()
}
