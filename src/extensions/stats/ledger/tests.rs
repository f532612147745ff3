//! Batches as they leave a chain, and what is known of them then.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::*;
use crate::otlp::Messages;

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

/// A call of `tool` in `session`, with an id of its own, that took so many microseconds and ended so.
fn call(id: u32, tool: &str, session: &str, micros: u64, outcome: &str) -> Span {
    let mut attributes = vec![
        text(names::METHOD, "tools/call"),
        text(names::TOOL, tool),
        text(names::SESSION_ID, session),
        text(names::CLIENT_NAME, "editor"),
        text(names::OUTCOME, outcome),
        pair(names::REQUEST_SIZE, Value::IntValue(100)),
        pair(names::RESPONSE_SIZE, Value::IntValue(1000)),
    ];
    if outcome != "ok" {
        attributes.push(text(names::ERROR_TYPE, outcome));
    }
    let start = 1_000_000_000 + u64::from(id);
    Span {
        trace_id: vec![7; 16],
        span_id: [[1; 4], id.to_be_bytes()].concat(),
        kind: 3,
        start_time_unix_nano: start,
        end_time_unix_nano: start + micros * 1_000,
        attributes,
        ..Span::default()
    }
}

fn spans(spans: Vec<Span>) -> Telemetry {
    let scope = InstrumentationScope { name: names::SCOPE.into(), ..Default::default() };
    Messages::Traces(vec![ResourceSpans {
        resource: Some(Resource {
            attributes: vec![text(names::SERVER_NAME, "files")],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }])
    .into()
}

fn ledger() -> Ledger {
    Ledger::new(&Clock::start())
}

#[test]
fn calls_count_once_by_tool_and_session() {
    let ledger = ledger();
    let first = spans(vec![call(1, "read", "a", 10, "ok"), call(2, "read", "a", 30, "timeout")]);
    ledger.look(&first);
    ledger.look(&first);
    ledger.look(&spans(vec![call(3, "write", "b", 20, "ok")]));
    let told = ledger.statistics();
    let [read, write] = &told.tools[..] else { panic!("{told:?}") };
    assert_eq!((&*read.server, &*read.tool, read.calls), ("files", "read", 2));
    assert_eq!((read.outcomes["ok"], read.outcomes["timeout"]), (1, 1));
    assert_eq!((read.request_bytes, read.response_bytes), (200, 2000));
    let sketch = read.duration.as_ref().unwrap();
    assert_eq!((sketch.max, sketch.counts.iter().sum::<u64>()), (30_000, 2));
    assert_eq!((&*write.tool, write.calls, told.left_out), ("write", 1, 0));
    let sessions = ledger.sessions().sessions;
    let told: Vec<_> =
        sessions.iter().map(|s| (&*s.session, &*s.client, s.calls, s.errors)).collect();
    assert_eq!(told, [("a", "editor", 2, 1), ("b", "editor", 1, 0)]);
}

#[test]
fn lists_are_bounded_and_what_does_not_fit_is_counted() {
    let ledger = ledger();
    for id in 0..1_100 {
        let (tool, session) = (format!("t{id}"), format!("s{id}"));
        ledger.look(&spans(vec![call(id, &tool, &session, 1, "ok")]));
    }
    let told = ledger.statistics();
    assert_eq!((told.tools.len(), told.left_out), (1000, 100));
    let sessions = ledger.sessions();
    assert_eq!((sessions.sessions.len(), sessions.left_out), (1000, 100));
    assert!(sessions.sessions.iter().all(|session| session.session != "s99"), "the oldest went");
    let odd: Vec<_> = (2000..2100).map(|id| call(id, "t1", "s", 1, &format!("o{id}"))).collect();
    ledger.look(&spans(odd));
    let told = ledger.statistics();
    let tool = told.tools.iter().find(|tool| tool.tool == "t1").unwrap();
    assert_eq!((tool.calls, tool.outcomes.len()), (101, MAX_OUTCOMES + 1));
    assert_eq!(tool.outcomes.values().sum::<u64>(), 101);
    let long = "漢".repeat(10_000);
    ledger.look(&spans(vec![call(3000, "t2", &long, 1, "ok")]));
    assert!(ledger.sessions().sessions.iter().all(|session| session.session.len() <= 256));
}

#[tokio::test]
async fn who_reads_too_slowly_misses_calls_and_is_told_how_many() {
    let ledger = ledger();
    let batch =
        |from: u32, to: u32| spans((from..to).map(|id| call(id, "read", "a", 1, "ok")).collect());
    ledger.look(&batch(0, 10));
    let (mut slow, mut quick) = (ledger.watch(), ledger.watch());
    assert!(matches!(slow.try_recv(), Err(TryRecvError::Empty)), "nothing of before");
    let mut heard = 0;
    for n in 1..=5 {
        ledger.look(&batch(n * 1000, n * 1000 + 500));
        while quick.try_recv().is_ok() {
            heard += 1;
        }
    }
    assert_eq!(heard, 2500);
    let Err(RecvError::Lagged(lost)) = slow.recv().await else { panic!("nothing lost") };
    let mut rest = 0;
    while slow.try_recv().is_ok() {
        rest += 1;
    }
    assert_eq!((lost + rest, rest), (2500, 1024));
    assert_eq!(ledger.statistics().tools[0].calls, 2510, "the numbers have them all");
}

#[test]
fn findings_are_counted_by_kind() {
    let ledger = ledger();
    let record = |kind: &str, count: Option<i64>| {
        let mut attributes =
            vec![text(names::FINDING_KIND, kind), text(names::FINDING_BY, "server")];
        attributes.extend(count.map(|n| pair(names::FINDING_COUNT, Value::IntValue(n))));
        LogRecord { attributes, ..LogRecord::default() }
    };
    let other = LogRecord::default();
    let log_records = vec![record("not_json", None), record("not_json", Some(4)), other];
    ledger.look(&Telemetry::from(Messages::Logs(vec![ResourceLogs {
        resource: Some(Resource {
            attributes: vec![text(names::SERVER_NAME, "files")],
            ..Resource::default()
        }),
        scope_logs: vec![ScopeLogs { log_records, ..ScopeLogs::default() }],
        ..ResourceLogs::default()
    }])));
    let told = ledger.findings();
    let [finding] = &told.findings[..] else { panic!("{told:?}") };
    assert_eq!((&*finding.server, &*finding.kind, &*finding.by), ("files", "not_json", "server"));
    assert_eq!((finding.count, told.left_out), (5, 0));
}
