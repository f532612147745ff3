//! Spans as taps and others make them, and which of them are calls.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;

use super::*;
use crate::otlp::Messages;
use crate::telemetry::{Telemetry, names};

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

fn flag(key: &str) -> KeyValue {
    pair(key, Value::BoolValue(true))
}

/// A span of kind CLIENT with its own id, below the span 9.
fn span(id: u8, attributes: Vec<KeyValue>) -> Span {
    let method = text(names::METHOD, "tools/call");
    let tool = text(names::TOOL, "search");
    Span {
        trace_id: vec![7; 16],
        span_id: vec![id; 8],
        parent_span_id: vec![9; 8],
        kind: 3,
        flags: 0x101,
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 3_000,
        attributes: [vec![method, tool], attributes].concat(),
        status: Some(Status::default()),
        ..Span::default()
    }
}

fn telemetry(scope: &str, spans: Vec<Span>) -> Telemetry {
    let attributes = vec![text(names::SERVICE_NAME, "service"), text(names::SERVER_NAME, "files")];
    let scope = InstrumentationScope { name: scope.into(), ..Default::default() };
    Messages::Traces(vec![ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }])
    .into()
}

/// The first bytes of the ids of the spans that count.
fn counted(count: Count, telemetry: &[&Telemetry]) -> Vec<u8> {
    let mut ids = Vec::new();
    telemetry.iter().for_each(|t| each_call(t, count, |call, _| ids.push(call.span[0])));
    ids
}

#[test]
fn what_the_span_of_a_tap_says_is_read() {
    let ours = telemetry(
        names::SCOPE,
        vec![span(
            1,
            vec![
                text(names::SESSION_ID, "s"),
                text(names::CLIENT_NAME, "agent"),
                text(names::OUTCOME, "tool_error"),
                text(names::ERROR_TYPE, "tool_error"),
                text(names::INITIATOR, "server"),
                pair(names::REQUEST_SIZE, Value::IntValue(213)),
                pair(names::RESPONSE_SIZE, Value::IntValue(-1)),
                flag(names::DOUBTFUL),
            ],
        )],
    );
    let mut calls = Vec::new();
    each_call(&ours, Count::Tap, |call, item| {
        assert!(item.own.ids().1 == call.span);
        calls.push(*call);
    });
    let expected = Call {
        server: "files",
        method: "tools/call",
        tool: "search",
        session: "s",
        client: "agent",
        outcome: "tool_error",
        error: "tool_error",
        start: 1_000,
        end: 3_000,
        request_size: Some(213),
        response_size: None,
        trace: [7; 16],
        span: [1; 8],
        parent: Some([9; 8]),
        by_server: true,
        doubtful: true,
        unsampled: false,
    };
    assert_eq!(calls, [expected]);
    assert_eq!((expected.duration(), expected.error_class()), (2_000, Some("tool_error")));
}

#[test]
fn one_call_that_is_told_five_times_counts_once() {
    // A client's own span, a hop's two, the server's own, and the server's as it was handed back.
    let client = telemetry("agent-sdk", vec![span(1, vec![])]);
    let server = Span { kind: 2, ..span(4, vec![]) };
    let taps = telemetry(
        names::SCOPE,
        vec![Span { kind: 2, ..span(2, vec![flag(names::HOP)]) }, span(3, vec![])],
    );
    let sdk = telemetry("server-sdk", vec![server.clone()]);
    let mut handed = server;
    handed.attributes.push(flag(names::PASSBACK));
    let handed = telemetry("server-sdk", vec![handed]);
    let all = [&client, &taps, &sdk, &handed];
    assert_eq!(counted(Count::Tap, &all), [3]);
    assert_eq!(counted(Count::Client, &all), [1]);
    let mut once = Once::default();
    let mut servers = Vec::new();
    for telemetry in all {
        each_call(telemetry, Count::Server, |call, _| {
            servers.extend(once.is_first(call).then_some(call.span[0]));
        });
    }
    assert_eq!(servers, [4]);
}

#[test]
fn a_taps_span_counts_whatever_its_kind_and_nothing_claimed_does() {
    let kinds = [1, 2, 3].map(|kind| Span { kind, ..span(kind as u8, vec![]) });
    assert_eq!(counted(Count::Tap, &[&telemetry(names::SCOPE, kinds.into())]), [1, 2, 3]);
    let claimed = telemetry(names::SCOPE, vec![span(1, vec![flag(names::PASSBACK)])]);
    assert_eq!(counted(Count::Tap, &[&claimed]), [0; 0]);
}

#[test]
fn notifications_and_spans_of_other_things_are_no_calls() {
    let mut notification = span(1, vec![]);
    notification.attributes[0] = text(names::METHOD, "notifications/progress");
    let mut other = span(2, vec![]);
    other.attributes.remove(0);
    assert_eq!(counted(Count::Tap, &[&telemetry(names::SCOPE, vec![notification, other])]), [0; 0]);
    let logs = Telemetry::from(Messages::Logs(vec![]));
    assert_eq!(counted(Count::Tap, &[&logs]), [0; 0]);
}

#[test]
fn an_error_is_what_the_span_calls_one() {
    let with = |outcome: &str, error: &str, status| {
        let mut attributes = vec![text(names::OUTCOME, outcome)];
        attributes.retain(|_| !outcome.is_empty());
        attributes.extend((!error.is_empty()).then(|| text(names::ERROR_TYPE, error)));
        let status = Some(Status { code: status, ..Status::default() });
        let span = Span { status, ..span(1, attributes) };
        let count = if outcome.is_empty() { Count::Client } else { Count::Tap };
        let scope = if outcome.is_empty() { "sdk" } else { names::SCOPE };
        let telemetry = telemetry(scope, vec![span]);
        let mut told = None;
        each_call(&telemetry, count, |call, _| {
            told = Some((call.error_class().map(str::to_owned), call.outcome().to_owned()));
        });
        let (class, outcome) = told.unwrap();
        (class.unwrap_or_default(), outcome)
    };
    let same = |(class, outcome): (&str, &str)| (class.to_owned(), outcome.to_owned());
    assert_eq!(with("ok", "", 0), same(("", "ok")));
    assert_eq!(with("cancelled", "", 0), same(("", "cancelled")));
    assert_eq!(with("cancelled", "cancelled", 2), same(("cancelled", "cancelled")));
    assert_eq!(with("client_error", "-32602", 2), same(("client_error", "client_error")));
    // A client that is refused its probe goes on with the handshake.
    assert_eq!(with("client_error", "", 0), same(("", "client_error")));
    assert_eq!(with("", "", 0), same(("", "ok")));
    assert_eq!(with("", "tool_error", 2), same(("tool_error", "tool_error")));
    assert_eq!(with("", "", 2), same(("_OTHER", "_OTHER")));
}

#[test]
fn the_flags_of_taps_say_what_was_not_sampled_and_those_of_others_do_not() {
    let unsampled = |scope: &str, count| {
        let telemetry = telemetry(scope, vec![Span { flags: 0x100, ..span(1, vec![]) }]);
        let mut told = None;
        each_call(&telemetry, count, |call, _| told = Some(call.unsampled));
        told.unwrap()
    };
    assert!(unsampled(names::SCOPE, Count::Tap));
    assert!(!unsampled("sdk", Count::Client));
}

fn call(server: &'static str, span: u8, parent: u8) -> Call<'static> {
    let parent = Some([parent; 8]);
    Call { server, method: "tools/call", span: [span; 8], parent, ..Call::default() }
}

#[test]
fn a_call_through_two_taps_counts_once_in_either_order() {
    let (outer, inner) = (call("files", 2, 1), call("files", 3, 2));
    for [first, second] in [[outer, inner], [inner, outer]] {
        let mut once = Once::default();
        assert_eq!([first, second, first].map(|call| once.is_first(&call)), [true, false, false]);
    }
}

#[test]
fn siblings_and_calls_of_other_servers_are_calls_of_their_own() {
    let mut once = Once::default();
    let calls = [call("files", 2, 1), call("files", 3, 1), call("web", 4, 2), call("files", 5, 4)];
    assert!(calls.iter().all(|call| once.is_first(call)));
}

proptest! {
    #[test]
    fn as_many_calls_are_remembered_as_was_said(
        limit in 1usize..20,
        spans in prop::collection::vec(0u8..40, 0..200),
    ) {
        let mut once = Once::of(limit);
        let mut first = Vec::new();
        for span in spans {
            let is_first = once.is_first(&Call { parent: None, ..call("files", span, 0) });
            // The last ones that counted are never counted again.
            let recent = &first[first.len().saturating_sub(limit)..];
            prop_assert!(!(is_first && recent.contains(&span)));
            if is_first {
                first.push(span);
            }
            prop_assert!(once.remembered() <= 2 * limit);
        }
    }

    #[test]
    fn nothing_that_passes_the_check_is_too_strange(
        json in prop::collection::vec((any::<bool>(), ".{0,9}", any::<i64>(), any::<f64>()), 0..9)
    ) {
        let known = [names::METHOD, names::TOOL, names::REQUEST_SIZE, names::HOP, names::OUTCOME];
        let mut strange = span(1, vec![]);
        for (at, (is_true, word, int, double)) in json.into_iter().enumerate() {
            let values = [
                Value::BoolValue(is_true),
                Value::StringValue(word),
                Value::IntValue(int),
                Value::DoubleValue(double),
            ];
            let value = values[(int.unsigned_abs() % 4) as usize].clone();
            strange.attributes.push(pair(known[at % known.len()], value));
        }
        for count in [Count::Tap, Count::Client, Count::Server] {
            each_call(&telemetry(names::SCOPE, vec![strange.clone()]), count, |call, _| {
                assert!(call.outcome().len() < 100);
            });
        }
    }
}

/// Calls of a tool that took that many milliseconds each; one after the other.
fn calls_of(tool: &'static str, took: &[u64]) -> Vec<Call<'static>> {
    let mut at = 1_000_000_000;
    let call = |took: &u64| {
        let start = at;
        at += took * 1_000_000;
        Call { tool, start, end: at, request_size: Some(10), ..call("files", 1, 0) }
    };
    took.iter().map(call).collect()
}

fn table(limit: usize, calls: &[Call<'_>]) -> Table {
    let mut table = Table::new(By::Tool, limit, None);
    calls.iter().for_each(|call| table.add(call));
    table
}

#[test]
fn rows_have_the_figures_of_their_calls() {
    let mut calls = calls_of("a", &[50; 20]);
    calls[3].error = "tool_error";
    calls[3].outcome = "tool_error";
    calls[4].outcome = "cancelled";
    calls.extend(calls_of("b", &[7]));
    let (rows, other) = table(10, &calls).into_rows();
    assert!(other.is_none());
    let [(a, row), (b, _)] = &rows[..] else { panic!("{} rows", rows.len()) };
    assert_eq!((a.tool.as_str(), b.tool.as_str(), a.server.as_str()), ("a", "b", "files"));
    let all = &row.all;
    assert_eq!((all.count, all.errors, all.max, all.request_bytes), (20, 1, 50_000_000, 200));
    assert_eq!(
        all.classes.iter().map(|(c, n)| (&**c, *n)).collect::<Vec<_>>(),
        [("tool_error", 1)]
    );
    assert_eq!((all.first, all.last), (1_000_000_000, 2_000_000_000));
    assert_eq!(all.per_minute().unwrap().round(), 1_200.0);
    assert_eq!(row.last_call, "tools/call a");
}

#[test]
fn quantiles_of_too_few_calls_are_not_told() {
    let figures = |calls: usize| {
        let (rows, _) = table(1, &calls_of("a", &vec![5; calls])).into_rows();
        [0.5, 0.95, 0.99].map(|part| rows[0].1.all.quantile(part).is_some())
    };
    assert_eq!(figures(1), [false, false, false]);
    assert_eq!(figures(2), [true, false, false]);
    assert_eq!(figures(19), [true, false, false]);
    assert_eq!(figures(20), [true, true, false]);
    assert_eq!(figures(100), [true, true, true]);
}

#[test]
fn what_does_not_fit_is_one_row() {
    let names: Vec<_> = (0..100).map(|n| format!("tool {n}\u{0}\u{1b}[31m")).collect();
    let long = "x".repeat(10_000);
    let mut all: Vec<_> = names.iter().map(|tool| Call { tool, ..call("files", 1, 0) }).collect();
    all.insert(0, Call { tool: &long, ..call("files", 1, 0) });
    let (rows, other) = table(10, &all).into_rows();
    assert_eq!((rows.len(), other.unwrap().all.count), (10, 91));
    assert!(rows.iter().all(|(key, row)| key.tool.len() <= 256 && row.last_call.len() <= 520));
}

#[test]
fn names_that_run_into_each_other_stay_apart() {
    let calls = [("ab", "c"), ("a", "bc"), ("", "abc"), ("a 2 b", "c"), ("a", " 2 bc")];
    let calls = calls.map(|(server, tool)| Call { tool, ..call(server, 1, 0) });
    assert_eq!(table(10, &calls).into_rows().0.len(), 5);
}

#[test]
fn the_window_has_what_ended_in_it() {
    let mut table = Table::new(By::Server, 1, Some(1_010_000_000));
    calls_of("a", &[5, 5, 5]).iter().for_each(|call| table.add(call));
    let (rows, _) = table.into_rows();
    assert_eq!((rows[0].1.all.count, rows[0].1.window.as_ref().unwrap().count), (3, 2));
}

#[test]
fn classes_of_errors_are_few() {
    let names: Vec<_> = (0..100).map(|n| format!("-{n}")).collect();
    let failed = |error| Call { error, ..call("files", 1, 0) };
    let calls: Vec<_> = names.iter().map(|name| failed(name)).collect();
    let (rows, _) = table(1, &calls).into_rows();
    let classes = &rows[0].1.all.classes;
    assert_eq!((classes.len(), classes["_OTHER"], classes.values().sum::<u64>()), (17, 84, 100));
}

proptest! {
    #[test]
    fn quantiles_are_within_the_stated_error(
        mut took in prop::collection::vec(prop_oneof![0u64..100, 1u64..10_000_000], 100..400),
    ) {
        let (rows, _) = table(1, &calls_of("a", &took)).into_rows();
        took.sort();
        for part in [0.5, 0.95, 0.99] {
            let exact = took[(part * (took.len() - 1) as f64) as usize] as f64 * 1e6;
            let told = rows[0].1.all.quantile(part).unwrap() as f64;
            prop_assert!((told - exact).abs() <= exact * (RELATIVE_ERROR + 1e-6) + 1.0, "{told} {exact}");
        }
    }

    #[test]
    fn tables_that_are_merged_are_the_table_of_all(
        a in prop::collection::vec(1u64..1000, 0..50),
        b in prop::collection::vec(1u64..1000, 0..50),
    ) {
        let (mut a, b) = (calls_of("a", &a), [calls_of("a", &b), calls_of("b", &b)].concat());
        let mut merged = table(5, &a);
        merged.merge(table(5, &b));
        a.extend(b);
        let told = |table: Table| {
            let rows = table.into_rows().0;
            let told = |(key, row): (Key, Row)| {
                let quantiles = [0.5, 0.95, 0.99].map(|part| row.all.quantile(part));
                (key, row.all.count, row.all.max, row.all.last, row.last_call, quantiles)
            };
            rows.into_iter().map(told).collect::<Vec<_>>()
        };
        prop_assert_eq!(told(merged), told(table(5, &a)));
    }
}
