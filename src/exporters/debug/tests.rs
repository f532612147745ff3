use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::page::{Timestamp, elapsed, size};
use super::*;

/// 2026-11-20T18:42:02.123456789Z
const T: u64 = 1_795_200_122_123_456_789;

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

fn traces(spans: Vec<Span>) -> Telemetry {
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    let all = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    Telemetry::from(Messages::Traces(vec![all]))
}

fn call(name: &str, took: u64, outcome: &str, code: i32) -> Span {
    Span {
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        name: name.into(),
        kind: 3,
        start_time_unix_nano: T,
        end_time_unix_nano: T + took,
        attributes: vec![
            attribute("mcpcol.outcome", Value::StringValue(outcome.into())),
            attribute("mcpcol.request.size", Value::IntValue(120)),
            attribute("mcpcol.response.size", Value::IntValue(4_100)),
        ],
        status: Some(Status { message: String::new(), code }),
        ..Span::default()
    }
}

fn text(telemetry: &Telemetry, verbosity: Verbosity) -> String {
    render("debug", telemetry, verbosity, false)
}

#[test]
fn basic_is_one_count_a_batch() {
    let batch = traces(vec![Span::default(), Span::default()]);
    assert_eq!(text(&batch, Verbosity::Basic), "debug  traces  resources: 1, spans: 2\n");
}

#[test]
fn normal_is_one_aligned_line_a_span() {
    let batch = traces(vec![
        call("tools/call search_web", 12_345_678, "ok", 0),
        call("ping", 812_000, "tool_error", 2),
        Span { name: "bare".into(), ..Span::default() },
        Span { name: "endless".into(), start_time_unix_nano: T, ..Span::default() },
        Span { name: "without a start".into(), end_time_unix_nano: T, ..Span::default() },
    ]);
    let expected = "\
18:42:02.123  tools/call search_web                  12.3ms  ok                120B > 4.1kB
18:42:02.123  ping                                    812us  tool_error        120B > 4.1kB
00:00:00.000  bare                                        -  -
18:42:02.123  endless                                     -  -
00:00:00.000  without a start                             -  -
";
    assert_eq!(text(&batch, Verbosity::Normal), expected);
}

#[test]
fn colours_are_painted_around_what_was_escaped() {
    let batch = traces(vec![call("\x1b[2Jevil\u{202e}", 1, "ok", 0)]);
    let plain = render("debug", &batch, Verbosity::Normal, false);
    assert!(plain.contains(r"\u{1b}[2Jevil\u{202e}"), "{plain}");
    assert!(!plain.contains('\x1b'));
    let painted = render("debug", &batch, Verbosity::Normal, true);
    assert!(painted.contains("\x1b[32mok            \x1b[0m"), "{painted:?}");
    assert_eq!(painted.matches('\x1b').count(), 6, "three painted cells");
}

#[test]
fn no_line_is_longer_than_a_terminal_can_bear() {
    let huge = "x".repeat(1 << 20);
    let batch = traces(vec![Span {
        attributes: vec![attribute("k", Value::StringValue(huge.clone()))],
        ..call(&huge, 1, &huge, 0)
    }]);
    for verbosity in [Verbosity::Basic, Verbosity::Normal, Verbosity::Detailed] {
        let text = text(&batch, verbosity);
        assert!(text.lines().all(|line| line.len() <= 1024 + 16), "{verbosity:?}");
    }
    assert!(text(&batch, Verbosity::Normal).ends_with("x...\n"));
}

#[test]
fn detailed_shows_every_attribute_with_its_type() {
    let list = ArrayValue { values: vec![AnyValue { value: Some(Value::IntValue(1)) }] };
    let map = KeyValueList { values: vec![attribute("in", Value::BoolValue(true))] };
    let batch = traces(vec![Span {
        attributes: vec![
            attribute("s", Value::StringValue("x\ny".into())),
            attribute("d", Value::DoubleValue(1.0)),
            attribute("b", Value::BytesValue(vec![1, 2])),
            attribute("list", Value::ArrayValue(list)),
            attribute("map", Value::KvlistValue(map)),
            KeyValue { key: "none".into(), ..KeyValue::default() },
        ],
        ..call("tools/call", 5, "ok", 0)
    }]);
    let text = text(&batch, Verbosity::Detailed);
    for line in [
        "    Trace ID       : abababababababababababababababab\n",
        "    Parent ID      :\n",
        "    Kind           : Client\n",
        "    Start time     : 2026-11-20T18:42:02.123456789Z\n",
        "     -> s: Str(x\\ny)\n",
        "     -> d: Double(1.0)\n",
        "     -> b: Bytes(2 bytes)\n",
        "     -> list: Slice(Int(1))\n",
        "     -> map: Map(in: Bool(true))\n",
        "     -> none: Empty()\n",
    ] {
        assert!(text.contains(line), "{line}in\n{text}");
    }
}

#[test]
fn metrics_and_logs_have_their_lines_too() {
    let point = NumberDataPoint {
        time_unix_nano: T,
        attributes: vec![attribute("tool", Value::StringValue("search".into()))],
        value: Some(number_data_point::Value::AsInt(7)),
        ..NumberDataPoint::default()
    };
    let sum = Sum { data_points: vec![point], aggregation_temporality: 2, is_monotonic: true };
    let data = Some(Data::Sum(sum));
    let metric = Metric { name: "calls".into(), unit: "1".into(), data, ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let all = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    let metrics = Telemetry::from(Messages::Metrics(vec![all]));
    let expected = "18:42:02.123  calls                                7 1 tool=search\n";
    assert_eq!(text(&metrics, Verbosity::Normal), expected);
    assert!(text(&metrics, Verbosity::Detailed).contains("    Temporality    : Cumulative\n"));

    let record = LogRecord {
        time_unix_nano: T,
        severity_text: "WARN".into(),
        body: Some(AnyValue { value: Some(Value::StringValue("slo burns".into())) }),
        ..LogRecord::default()
    };
    let scope = ScopeLogs { log_records: vec![record], ..ScopeLogs::default() };
    let all = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
    let logs = Telemetry::from(Messages::Logs(vec![all]));
    assert_eq!(text(&logs, Verbosity::Normal), "18:42:02.123  WARN    slo burns\n");
    assert!(text(&logs, Verbosity::Detailed).contains("    Body           : Str(slo burns)\n"));
}

#[test]
fn times_are_gregorian() {
    for (nanos, text) in [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
        (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
        (T, "2026-11-20T18:42:02.123456789Z"),
    ] {
        assert_eq!(Timestamp(nanos).to_string(), text);
    }
}

#[test]
fn lengths_and_sizes_are_short() {
    let lengths = [999, 1_500, 1_500_000, 15_000_000, 1_500_000_000, 95_000_000_000].map(elapsed);
    assert_eq!(lengths, ["999ns", "2us", "1.50ms", "15.0ms", "1.50s", "1m35s"]);
    assert_eq!([0, 999, 1_500, 2_500_000].map(size), ["0B", "999B", "1.5kB", "2.5MB"]);
}

#[test]
fn the_default_is_the_collectors() {
    let config: Config = serde_json::from_str("{}").unwrap();
    assert_eq!(config.verbosity, Verbosity::Basic);
    assert!(!config.delivery().queue.enabled);
}

#[test]
fn the_collectors_settings_load() {
    let problems = crate::exporters::problems::<Config>;
    let fine = serde_json::json!({ "verbosity": "detailed", "sending_queue": { "enabled": true } });
    assert_eq!(problems(fine), [""; 0]);
    let all = problems(serde_json::json!({ "sampling_initial": 5, "output_paths": ["stdout"] }));
    assert!(all[0].starts_with("debug::output_paths: debug writes to stderr"), "{all:?}");
    assert!(all[1].starts_with("warning: debug::sampling_initial: has no effect"), "{all:?}");
}
