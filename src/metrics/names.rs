//! Every metric of mcpcol: names, units and help, in one list.
//!
//! The OpenTelemetry Collector's name is used where it has one, so that its dashboards work; what the conventions for
//! MCP and generative AI name has their name as Prometheus writes it (OpenTelemetry's "Prometheus and OpenMetrics
//! Compatibility"); the rest begins with `mcpcol_`. `docs/reference/metrics.md` has the same list, the components' pages have the labels, and `tests/docs/metrics.rs`
//! compares them.

use super::{Counter, Gauge, Histogram, Info, Metric, Ratio};

macro_rules! metrics {
    ($($(#[$doc:meta])* $of:ident $name:ident = $text:literal, $unit:literal, $help:literal $(, $bounds:expr)?;)*) => {
        $(
            #[doc = $help]
            pub static $name: metrics!(@type $of) = Metric::$of($text, $unit, $help $(, $bounds)?);
        )*

        /// All of them, in the order of this file.
        pub static ALL: &[&Info] = &[$($name.info()),*];
    };
    (@type counter) => { Metric<Counter> };
    (@type gauge) => { Metric<Gauge> };
    (@type ratio) => { Metric<Ratio> };
    (@type histogram) => { Metric<Histogram> };
}

/// Bounds for times of calls, in seconds, by OpenTelemetry's semantic conventions for MCP.
pub const CALL_SECONDS: &[f64] =
    &[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Bounds for times of tools, in seconds, by OpenTelemetry's semantic conventions for generative AI.
pub const TOOL_SECONDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Bounds for sizes of messages: from a bare request to more than is observed of one.
pub const MESSAGE_BYTES: &[f64] = &[
    128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0,
    16777216.0,
];

metrics! {
    counter RECEIVER_ACCEPTED_SPANS = "otelcol_receiver_accepted_spans", "{span}",
        "Spans that a receiver put into its pipelines";
    counter RECEIVER_ACCEPTED_METRIC_POINTS = "otelcol_receiver_accepted_metric_points", "{datapoint}",
        "Metric points that a receiver put into its pipelines";
    counter RECEIVER_ACCEPTED_LOG_RECORDS = "otelcol_receiver_accepted_log_records", "{record}",
        "Log records that a receiver put into its pipelines";
    counter RECEIVER_REFUSED_SPANS = "otelcol_receiver_refused_spans", "{span}",
        "Spans that pipelines did not take from a receiver";
    counter RECEIVER_REFUSED_METRIC_POINTS = "otelcol_receiver_refused_metric_points", "{datapoint}",
        "Metric points that pipelines did not take from a receiver";
    counter RECEIVER_REFUSED_LOG_RECORDS = "otelcol_receiver_refused_log_records", "{record}",
        "Log records that pipelines did not take from a receiver";
    counter RECEIVER_REQUESTS = "otelcol_receiver_requests", "{request}",
        "Export requests that a receiver answered, by outcome";

    counter PROCESSOR_INCOMING = "otelcol_processor_incoming_items", "{item}",
        "Items that came to a processor";
    counter PROCESSOR_OUTGOING = "otelcol_processor_outgoing_items", "{item}",
        "Items that went on from a processor";
    gauge PROCESSOR_HELD = "mcpcol_processor_held_items", "{item}",
        "Items that a processor keeps for later";
    counter PIPELINE_ACCEPTED = "mcpcol_pipeline_accepted_items", "{item}",
        "Items that a pipeline took";
    counter DROPPED = "mcpcol_dropped_items", "{item}",
        "Items that ended at a component without being sent, by reason";

    counter EXPORTER_RECEIVED = "mcpcol_exporter_received_items", "{item}",
        "Items that were offered to an exporter";
    counter EXPORTER_SENT_SPANS = "otelcol_exporter_sent_spans", "{span}",
        "Spans that a backend took";
    counter EXPORTER_SENT_METRIC_POINTS = "otelcol_exporter_sent_metric_points", "{datapoint}",
        "Metric points that a backend took";
    counter EXPORTER_SENT_LOG_RECORDS = "otelcol_exporter_sent_log_records", "{record}",
        "Log records that a backend took";
    counter EXPORTER_FAILED_SPANS = "otelcol_exporter_send_failed_spans", "{span}",
        "Spans that an exporter gave up";
    counter EXPORTER_FAILED_METRIC_POINTS = "otelcol_exporter_send_failed_metric_points", "{datapoint}",
        "Metric points that an exporter gave up";
    counter EXPORTER_FAILED_LOG_RECORDS = "otelcol_exporter_send_failed_log_records", "{record}",
        "Log records that an exporter gave up";
    counter EXPORTER_ENQUEUE_FAILED_SPANS = "otelcol_exporter_enqueue_failed_spans", "{span}",
        "Spans that an exporter's queue had no room for";
    counter EXPORTER_ENQUEUE_FAILED_METRIC_POINTS = "otelcol_exporter_enqueue_failed_metric_points", "{datapoint}",
        "Metric points that an exporter's queue had no room for";
    counter EXPORTER_ENQUEUE_FAILED_LOG_RECORDS = "otelcol_exporter_enqueue_failed_log_records", "{record}",
        "Log records that an exporter's queue had no room for";
    gauge EXPORTER_QUEUE_SIZE = "otelcol_exporter_queue_size", "{batch}",
        "What an exporter's queue holds, in the unit of its sizer";
    gauge EXPORTER_QUEUE_CAPACITY = "otelcol_exporter_queue_capacity", "{batch}",
        "What an exporter's queue can hold, in the unit of its sizer";
    gauge EXPORTER_QUEUE_BYTES = "mcpcol_exporter_queue_bytes", "By",
        "Bytes that an exporter's queue holds";
    gauge EXPORTER_QUEUE_BYTES_LIMIT = "mcpcol_exporter_queue_bytes_limit", "By",
        "Bytes that an exporter's queue can hold";
    histogram EXPORTER_ATTEMPT_SECONDS = "mcpcol_exporter_attempt_duration_seconds", "s",
        "Time that one attempt of an exporter took, by outcome", CALL_SECONDS;

    counter HTTP_FORWARDED = "mcpcol_http_forwarded_requests", "{request}",
        "HTTP requests that a tap forwarded";
    counter HTTP_REFUSED = "mcpcol_http_refused_requests", "{request}",
        "HTTP requests that a tap answered itself, by reason";
    counter HTTP_FAILED = "mcpcol_http_failed_requests", "{request}",
        "HTTP requests whose upstream did not answer, by reason";
    gauge HTTP_CONNECTIONS = "mcpcol_http_connections", "{connection}",
        "Connections of clients to an HTTP tap";
    counter HTTP_TURNED_AWAY = "mcpcol_http_turned_away_connections", "{connection}",
        "Connections that an HTTP tap had no place for";
    counter HTTP_FLOODING = "mcpcol_http_flooding_connections", "{connection}",
        "Connections that an HTTP tap ended because they flooded it with frames";

    counter MCP_MESSAGES = "mcpcol_mcp_messages", "{message}",
        "MCP messages that a tap read, by kind";
    counter MCP_ODDITIES = "mcpcol_mcp_oddities", "{event}",
        "What was odd in observed traffic or in spans that were handed back, by kind";
    counter MCP_SPANS = "mcpcol_mcp_spans", "{span}",
        "Spans that servers handed back";
    gauge CALLS_IN_FLIGHT = "mcpcol_calls_in_flight", "{call}",
        "Requests that wait for their answers at a tap, by server";
    gauge CALLS_OLDEST_SECONDS = "mcpcol_calls_oldest_seconds", "s",
        "Age of the request that has waited longest at a tap, by server";
    counter TAP_LINES = "mcpcol_tap_lines", "{line}",
        "Lines that a stdio tap forwarded, by direction";
    counter TAP_EXCHANGES = "mcpcol_tap_exchanges", "{exchange}",
        "HTTP exchanges that a tap forwarded";
    counter TAP_SKIPPED_LINES = "mcpcol_tap_skipped_lines", "{line}",
        "Lines that a stdio tap forwarded and did not observe";
    counter TAP_SKIPPED_EXCHANGES = "mcpcol_tap_skipped_exchanges", "{exchange}",
        "HTTP exchanges that a tap forwarded and did not observe";
    counter TAP_SKIPPED_BYTES = "mcpcol_tap_skipped_bytes", "By",
        "Bytes that a tap forwarded and did not observe";
    counter TAP_GAPS = "mcpcol_tap_gaps", "{gap}",
        "Times that a tap's queue was full";
    counter TAP_CUTS = "mcpcol_tap_cuts", "{message}",
        "Messages too long to be observed whole";
    counter TAP_PANICS = "mcpcol_tap_observer_panics", "{panic}",
        "Bugs in the observing of a tap";
    counter TAP_UNREADABLE_BODIES = "mcpcol_tap_unreadable_bodies", "{body}",
        "Compressed bodies that a tap could not read";
    counter TAP_EDITED = "mcpcol_tap_edited_requests", "{request}",
        "Requests that a tap changed as it was asked to";
    counter TAP_UNEDITED = "mcpcol_tap_unedited_requests", "{request}",
        "Requests that a tap was asked to change and did not, by reason";
    counter TAP_STRIPPED = "mcpcol_tap_stripped_answers", "{answer}",
        "Answers from which a tap took spans that it had asked for";
    counter TAP_UNSTRIPPED = "mcpcol_tap_unstripped_answers", "{answer}",
        "Answers from which a tap was asked to take spans and did not, by reason";

    counter PROCESS_UPTIME = "otelcol_process_uptime", "s",
        "Seconds since the process began to serve its metrics";
    counter PROCESS_CPU = "otelcol_process_cpu_seconds", "s",
        "Processor time that the process took, user's and system's";
    gauge PROCESS_MEMORY = "otelcol_process_memory_rss", "By",
        "Bytes of memory that the process has resident";
    counter CONFIG_RELOADS = "mcpcol_config_reloads", "{reload}",
        "Reloads of the configuration, by outcome";
    gauge CONFIG_RELOADED = "mcpcol_config_last_reload_successful", "1",
        "Whether the configuration that was loaded last is the one that runs: 1, or 0";
    gauge CONFIG_RELOADED_AT = "mcpcol_config_last_reload_success_timestamp_seconds", "s",
        "When the running configuration was put in place, in seconds since 1970";

    counter OTLP_REFUSED = "mcpcol_otlp_refused_requests", "{request}",
        "Export requests that were refused before they reached a pipeline, by reason";
    counter OTLP_REPAIRED = "mcpcol_otlp_repaired_strings", "{string}",
        "Strings that were not UTF-8 and were repaired";
    counter OTLP_STRANGE = "mcpcol_otlp_strange_documents", "{document}",
        "OTLP/JSON documents with members of the wrong kind";
    counter OTLP_TURNED_AWAY = "mcpcol_otlp_turned_away_connections", "{connection}",
        "Connections that an otlp receiver had no place for";
    counter OTLP_DISPLACED = "mcpcol_otlp_displaced_connections", "{connection}",
        "Quiet connections that an otlp receiver ended for new ones";
    counter OTLP_FLOODING = "mcpcol_otlp_flooding_connections", "{connection}",
        "Connections that an otlp receiver ended because they flooded it with frames";

    counter DIGEST_REJECTED = "mcpcol_digest_rejected", "{value}",
        "Values that got no digest, by reason";
    counter REDACTION_MASKED = "mcpcol_redaction_masked", "{value}",
        "Values that redaction masked, by detector";
    counter REDACTION_FAILED = "mcpcol_redaction_failed", "{value}",
        "Values that redaction gave up and masked whole";

    histogram MCP_CLIENT_OPERATION = "mcp_client_operation_duration_seconds", "s",
        "Time from a request to its answer, for the one that asked", CALL_SECONDS;
    histogram MCP_SERVER_OPERATION = "mcp_server_operation_duration_seconds", "s",
        "Time from a request to its answer, for the one that was asked", CALL_SECONDS;
    histogram MCP_CLIENT_SESSION = "mcp_client_session_duration_seconds", "s",
        "Time from a session's handshake to the end of its last call, for the client", CALL_SECONDS;
    histogram MCP_SERVER_SESSION = "mcp_server_session_duration_seconds", "s",
        "Time from a session's handshake to the end of its last call, for the server", CALL_SECONDS;
    histogram EXECUTE_TOOL = "gen_ai_execute_tool_duration_seconds", "s",
        "Time that the call of a tool took", TOOL_SECONDS;
    histogram REQUEST_SIZE = "mcpcol_request_size_bytes", "By",
        "Bytes of request messages on the wire", MESSAGE_BYTES;
    histogram RESPONSE_SIZE = "mcpcol_response_size_bytes", "By",
        "Bytes of response messages on the wire", MESSAGE_BYTES;
    counter HANDSHAKES = "mcpcol_handshakes", "{handshake}",
        "Handshakes of MCP sessions, by protocol version";
    counter UNLISTED_CALLS = "mcpcol_unlisted_calls", "{call}",
        "Calls that failed, of tools or prompts that the server was never seen to list";
    counter FINDINGS = "mcpcol_findings", "{finding}",
        "What clients and servers did wrong on the wire, by kind";

    counter SLO_EVENTS = "mcpcol_slo_events", "{call}",
        "Calls that count for an objective";
    counter SLO_BAD = "mcpcol_slo_bad", "{call}",
        "Calls that took from the budget of an objective";
    ratio SLO_BURN_RATE = "mcpcol_slo_burn_rate", "1",
        "How many times as fast as allowed a budget burns, by window; without calls in it there is none";
    ratio SLO_BUDGET_REMAINING = "mcpcol_slo_budget_remaining", "1",
        "Part of the budget that is left: 1 is all, below 0 is overspent";
    ratio SLO_COVERAGE = "mcpcol_slo_coverage", "1",
        "Part of the budget's window of which anything is known";
    gauge SLO_ALERT_STATE = "mcpcol_slo_alert_state", "1",
        "State of an alert: 0 inactive, 1 pending, 2 firing";
    counter SLO_LATE = "mcpcol_slo_late_dropped", "{call}",
        "Calls that were told of too late for every window";
    counter SLO_SKIPPED = "mcpcol_slo_skipped", "{call}",
        "Calls of tools that count for no objective, by reason";
    gauge SLO_STATE_RESET = "mcpcol_slo_state_reset", "1",
        "Whether the counts of an earlier process could not be read: 1, or 0";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metrics::Kind;

    #[test]
    fn names_are_few_words_of_one_alphabet_and_no_two_are_the_same() {
        let names: BTreeSet<&str> = ALL.iter().map(|info| info.name).collect();
        assert_eq!(names.len(), ALL.len());
        for info in ALL {
            let word = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(info.name.chars().all(word), "{}", info.name);
            let known = ["otelcol_", "mcpcol_", "mcp_", "gen_ai_"];
            assert!(known.iter().any(|begin| info.name.starts_with(begin)), "{}", info.name);
            assert!(!info.name.ends_with("_total"), "{}: added where it is served", info.name);
            assert!(!info.help.is_empty() && !info.help.ends_with('.') && !info.unit.is_empty());
            if let Kind::Histogram(bounds) = info.kind {
                assert!(bounds.is_sorted() && !bounds.is_empty(), "{}", info.name);
                assert!(info.name.ends_with("_seconds") == (info.unit == "s"), "{}", info.name);
            }
        }
    }
}
