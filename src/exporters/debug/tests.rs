use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use proptest::prelude::*;

use super::page::{Timestamp, elapsed, size};
use super::*;
use crate::settings::steers;

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

fn view(colours: bool) -> View {
    View { colours, zone: Zone::posix("CET-1"), columns: Columns::default() }
}

fn text(telemetry: &Telemetry, verbosity: Verbosity) -> String {
    render("debug", telemetry, verbosity, (&view(false), None))
}

#[test]
fn basic_is_one_count_a_batch() {
    let batch = traces(vec![Span::default(), Span::default()]);
    assert_eq!(text(&batch, Verbosity::Basic), "debug  traces  resources: 1, spans: 2\n");
}

/// A call of a session of the client `agent` with the server `files`.
fn mcp(method: &str, more: &[(&str, &str)], took: u64, outcome: &str) -> Span {
    let texts = [("mcp.method.name", method), ("mcpcol.client.name", "agent")];
    let texts =
        texts.iter().chain(more).map(|(k, v)| attribute(k, Value::StringValue((*v).into())));
    let mut span = call("_OTHER", took, outcome, if outcome == "ok" { 0 } else { 2 });
    span.attributes.extend(texts);
    span
}

fn of(resource: &[(&str, &str)], spans: Vec<Span>) -> Telemetry {
    let text = |(k, v): &(&str, &str)| attribute(k, Value::StringValue((*v).into()));
    let attributes = resource.iter().map(text).collect();
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    let all = ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    Telemetry::from(Messages::Traces(vec![all]))
}

fn files(spans: Vec<Span>) -> Telemetry {
    of(&[("service.name", "mcpcol"), ("mcpcol.server.name", "files")], spans)
}

fn session() -> Telemetry {
    let tool = |name| ("gen_ai.tool.name", name);
    let unknown =
        [tool("no_such_tool"), ("error.type", "-32602"), ("rpc.response.status_code", "-32602")];
    files(vec![
        mcp("initialize", &[], 41_200_000, "ok"),
        mcp("tools/call", &[tool("search_web")], 12_345_678, "ok"),
        mcp(
            "tools/call",
            &[tool("write_file"), ("error.type", "tool_error")],
            812_000,
            "tool_error",
        ),
        mcp("tools/call", &unknown, 1_100_000, "client_error"),
    ])
}

#[test]
fn normal_is_one_aligned_line_a_call() {
    let expected = "\
19:42:02.123+01  files  initialize               41.2ms  ok                   agent     120B > 4.1kB
19:42:02.123+01  files  tools/call search_web    12.3ms  ok                   agent     120B > 4.1kB
19:42:02.123+01  files  tools/call write_file     812us  tool_error           agent     120B > 4.1kB
19:42:02.123+01  files  tools/call no_such_tool  1.10ms  client_error -32602  agent     120B > 4.1kB
";
    assert_eq!(text(&session(), Verbosity::Normal), expected);
}

#[test]
fn on_a_narrow_terminal_what_is_secondary_gives_way_and_nothing_else() {
    let all = text(&session(), Verbosity::Normal);
    for width in 20..140 {
        let shown = render("debug", &session(), Verbosity::Normal, (&view(false), Some(width)));
        for (line, full) in shown.lines().zip(all.lines()) {
            let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let (words, all) = (words(line), words(full));
            assert!(all.starts_with(&words), "{width}: {line}");
            // Time, server, call, duration and ending come first, the client is a word, sizes are three.
            let must = all.len() - 4;
            assert!(words.len() >= must, "{width}: {line}");
            assert!(words.len() == must || line.chars().count() <= width, "{width}: {line}");
        }
        if width >= 80 {
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{width}:\n{shown}");
        }
    }
    assert!(render("debug", &session(), Verbosity::Normal, (&view(false), Some(120))) == all);
}

proptest! {
    #[test]
    fn whatever_peers_say_a_call_is_a_line_that_says_how_it_ended(
        [server, tool, client] in ["\\PC{0,40}|.{0,40}", "\\PC{0,200}", ".{0,40}"],
        code in any::<i32>(), width in 1..200_usize,
    ) {
        let more = [
            ("gen_ai.tool.name", &*tool), ("mcpcol.client.name", &*client),
            ("rpc.response.status_code", &*code.to_string()),
        ];
        let call = mcp("tools/call", &more, 1, "client_error");
        let call = of(&[("mcpcol.server.name", &server)], vec![call]);
        let shown = render("debug", &call, Verbosity::Normal, (&view(false), Some(width)));
        let line = shown.strip_suffix('\n').unwrap();
        prop_assert!(!line.contains(steers), "{line:?}");
        let (_, ending) = line.split_once(" 1ns  client_error ").unwrap();
        let rest = ending.strip_prefix(&*code.to_string()).unwrap();
        // What is secondary is there only where it fits.
        prop_assert!(rest.is_empty() || line.chars().count() <= width, "{width}: {line}");
    }
}

#[test]
fn columns_are_as_wide_as_what_was_shown_before() {
    let view = view(false);
    let show = |spans| render("debug", &files(spans), Verbosity::Normal, (&view, None));
    let long = "resources/templates/list";
    let first = show(vec![mcp(long, &[], 1_000_000, "ok")]);
    let second = show(vec![mcp("ping", &[], 1_000_000, "ok")]);
    assert_eq!(first.find("1.00ms"), second.find("1.00ms"), "{first}{second}");
}

#[test]
fn a_call_through_a_hop_is_one_line() {
    let mut server = mcp("tools/call", &[("gen_ai.tool.name", "t")], 1, "ok");
    server.attributes.push(attribute("mcpcol.hop", Value::BoolValue(true)));
    let client = mcp("tools/call", &[("gen_ai.tool.name", "t")], 1, "ok");
    let shown = text(&files(vec![server.clone(), client]), Verbosity::Normal);
    assert_eq!(shown.matches("tools/call t").count(), 1, "{shown}");
    assert_eq!(text(&files(vec![server]), Verbosity::Normal), "");
}

#[test]
fn an_ending_is_outcome_error_and_code_each_once() {
    let status = |code| attribute("http.response.status_code", Value::IntValue(code));
    for (outcome, more, http, ending) in [
        ("protocol_error", &[("error.type", "_OTHER")][..], None, "protocol_error _OTHER"),
        ("client_error", &[("rpc.response.status_code", "-32601")], None, "client_error -32601"),
        ("auth", &[("error.type", "401")], Some(401), "auth http 401"),
        ("server_gone", &[("error.type", "server_gone")], Some(502), "server_gone http 502"),
        ("ok", &[], Some(200), "ok"),
    ] {
        let mut span = mcp("ping", more, 1, outcome);
        span.attributes.extend(http.map(status));
        let shown = text(&files(vec![span]), Verbosity::Normal);
        let (_, rest) = shown.split_once("1ns  ").unwrap();
        assert_eq!(rest.split_once("  ").unwrap().0, ending, "{shown}");
    }
}

#[test]
fn the_server_is_named_as_well_as_it_is_known() {
    let peer = ("peer.service", "peer");
    let info = ("mcpcol.server.info.name", "desk");
    let by_server = [peer, ("mcpcol.initiator", "server")];
    for (resource, own, server) in [
        (&[("mcpcol.server.name", "files"), ("service.name", "s")][..], &[info, peer][..], "files"),
        (&[("service.name", "s")], &[info, peer], "desk"),
        (&[("service.name", "s")], &[peer], "peer"),
        (&[("service.name", "s")], &by_server, "s"),
    ] {
        let shown = text(&of(resource, vec![mcp("ping", own, 1, "ok")]), Verbosity::Normal);
        assert_eq!(shown.split_whitespace().nth(1), Some(server), "{shown}");
    }
}

#[test]
fn other_spans_have_their_service_name_and_status() {
    let bare = Span { name: "bare".into(), ..Span::default() };
    let failed = Span {
        attributes: vec![attribute("error.type", Value::StringValue("timeout".into()))],
        ..call("GET /x", 5_000, "-", 2)
    };
    let passed = Span {
        attributes: vec![attribute("mcpcol.passback", Value::BoolValue(true))],
        ..call("collect", 150_000_000, "", 0)
    };
    let expected = "\
-                shop  bare                          -  -
19:42:02.123+01  shop  GET /x                      5us  error timeout
19:42:02.123+01  shop  collect                   150ms  handed back
";
    let shop = of(&[("service.name", "shop")], vec![bare, failed, passed]);
    assert_eq!(text(&shop, Verbosity::Normal), expected);
}

#[test]
fn colours_are_painted_around_what_was_escaped() {
    let batch = traces(vec![call("\x1b[2Jevil\u{202e}", 1, "ok", 0)]);
    let plain = text(&batch, Verbosity::Normal);
    assert!(plain.contains(r"\u{1b}[2Jevil\u{202e}"), "{plain}");
    assert!(!plain.contains('\x1b'));
    let painted = render("debug", &batch, Verbosity::Normal, (&view(true), None));
    assert!(painted.contains("\x1b[32mok\x1b[0m"), "{painted:?}");
    let hostile = session().messages();
    let evil = "\x1b[31m\u{9b}2J\n";
    let Messages::Traces(mut all) = hostile else { panic!() };
    let attributes = |of: &mut Vec<KeyValue>| {
        for pair in of {
            if let Some(AnyValue { value: Some(Value::StringValue(text)) }) = &mut pair.value {
                text.push_str(evil);
            }
        }
    };
    for of in &mut all {
        attributes(&mut of.resource.as_mut().unwrap().attributes);
        of.scope_spans[0].spans.iter_mut().for_each(|span| attributes(&mut span.attributes));
    }
    let shown = text(&Telemetry::from(Messages::Traces(all)), Verbosity::Normal);
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert!(!shown.contains(['\x1b', '\u{9b}']), "{shown:?}");
}

#[test]
fn no_text_drives_the_others_off_the_line() {
    let huge = "x".repeat(1 << 20);
    let tool = ("gen_ai.tool.name", &*huge);
    let span =
        mcp("tools/call", &[tool, ("error.type", &huge), ("mcpcol.client.name", &huge)], 1, "ok");
    let shown = text(&of(&[("mcpcol.server.name", &huge)], vec![span]), Verbosity::Normal);
    let words: Vec<_> = shown.split_whitespace().collect();
    let [_, server, method, tool, took, outcome, error, ..] = words[..] else { panic!("{shown}") };
    assert_eq!((method, took, outcome), ("tools/call", "1ns", "ok"));
    assert!([server, tool, error].iter().all(|word| word.ends_with("x...") && word.len() < 100));
    assert!(shown.ends_with("  agent     120B > 4.1kB\n"), "{shown}");
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
    let expected = "19:42:02.123+01  calls                                7 1 tool=search\n";
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
    assert_eq!(text(&logs, Verbosity::Normal), "19:42:02.123+01  WARN    slo burns\n");
    let Messages::Logs(mut all) = logs.messages() else { panic!() };
    let attributes = vec![attribute("mcpcol.server.name", Value::StringValue("files".into()))];
    all[0].resource = Some(Resource { attributes, ..Resource::default() });
    let of_a_server = text(&Telemetry::from(Messages::Logs(all)), Verbosity::Normal);
    assert_eq!(of_a_server, "19:42:02.123+01  files  WARN    slo burns\n");
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
    let lengths = [999, 1_500, 1_500_000, 15_000_000, 451_300_000, 1_500_000_000, 95_000_000_000];
    let expected = ["999ns", "2us", "1.50ms", "15.0ms", "451ms", "1.50s", "1m35s"];
    assert_eq!(lengths.map(elapsed), expected);
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
