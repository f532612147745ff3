//! What users of the OpenTelemetry Collector look for and this build does not have, with what to do
//! instead. A kind that a registry has is never looked up here.

/// Section, the Collector's names, and the advice.
const ADVICE: &[(&str, &[&str], &str)] = &[
    (
        "receivers",
        &["jaeger", "zipkin", "prometheus", "hostmetrics", "filelog", "file_log", "kafka"],
        "leave it to an OpenTelemetry Collector",
    ),
    (
        "processors",
        &["batch", "queuebatch"],
        "remove it and set `sending_queue: { batch: {} }` on the exporters",
    ),
    ("processors", &["memory_limiter"], "remove it: queues and tables are bounded as they are"),
    (
        "processors",
        &[
            "attributes",
            "filter",
            "k8s_attributes",
            "k8sattributes",
            "probabilistic_sampler",
            "resource",
            "resource_detection",
            "resourcedetection",
            "tail_sampling",
            "transform",
        ],
        "leave it to an OpenTelemetry Collector behind an `otlp_grpc` or `otlp_http` exporter",
    ),
    ("exporters", &["logging"], "use `debug`"),
    ("exporters", &["jaeger"], "use `otlp_grpc` or `otlp_http`: Jaeger takes OTLP"),
    (
        "exporters",
        &["kafka", "loki", "prometheus", "prometheusremotewrite"],
        "send to it through an OpenTelemetry Collector with `otlp_grpc` or `otlp_http`",
    ),
    ("extensions", &["health_check", "healthcheck", "healthcheckv2"], "remove it"),
    ("extensions", &["zpages", "pprof"], "remove it"),
    ("extensions", &["file_storage"], "remove it: queues are held in memory"),
    (
        "extensions",
        &["basicauth", "basic_auth", "bearertokenauth", "bearer_token_auth", "oauth2client"],
        "set `headers` on the exporter",
    ),
    (
        "connectors",
        &["count", "forward", "routing", "spanmetrics", "span_metrics", "servicegraph"],
        "leave it to an OpenTelemetry Collector behind an `otlp_grpc` or `otlp_http` exporter",
    ),
];

/// What to do instead of a component that the Collector has under that name.
pub(super) fn advice(section: &str, kind: &str) -> Option<&'static str> {
    let row = ADVICE.iter().find(|(room, names, _)| *room == section && names.contains(&kind))?;
    Some(row.2)
}
