//! Calls that wait long are said once, each; and what waits is shown.

use std::borrow::Cow;

use super::*;
use crate::mcp::testing::Record;

/// A session whose log records somebody wants.
fn logged() -> Tap {
    let mut tap = Tap::new();
    tap.session.want_logs(true);
    tap
}

/// Gives what is said from here on: body, method and tool.
fn said(tap: &mut Tap) -> Vec<[String; 3]> {
    let told = |record: Record| {
        [record.body(), record.get(names::METHOD), record.get(names::TOOL)].map(str::to_owned)
    };
    let records = Record::all(tap.session.take_logs()).into_iter();
    records.filter(|record| record.record.event_name == names::PENDING).map(told).collect()
}

fn words(text: &str) -> Vec<[String; 3]> {
    vec![[text, "tools/call", "t"].map(str::to_owned)]
}

#[test]
fn a_call_that_waits_long_is_said_once() {
    let mut tap = logged();
    tap.call(1).wait(59);
    assert_eq!(said(&mut tap), [[""; 3]; 0]);
    tap.wait(1);
    let record = Record::all(tap.session.take_logs()).pop().unwrap();
    assert_eq!((record.body(), record.get(names::PENDING_SECONDS)), ("no answer after 60 s", "60"));
    assert_eq!((record.get(names::METHOD), record.get(names::TOOL)), ("tools/call", "t"));
    assert_eq!((record.record.severity_number, record.record.time_unix_nano), (13, tap.now));
    assert_eq!(record.get(names::SERVER_NAME), identity().server);
    assert_eq!(record.get(names::SESSION_ID), identity().session);
    tap.wait(1).wait(600);
    assert_eq!((said(&mut tap).len(), tap.counts().pending), (0, 1));
    tap.ok(1);
    let span = tap.only().span;
    assert_eq!((record.record.trace_id, record.record.span_id), (span.trace_id, span.span_id));
}

#[test]
fn each_is_said_in_its_own_time() {
    let mut tap = logged();
    tap.call(1).wait(30).call(2).call(2);
    let mut tick = |seconds| {
        tap.wait(seconds);
        said(&mut tap).len()
    };
    assert_eq!([tick(28), tick(1), tick(29), tick(1), tick(1), tick(1)], [1, 0, 0, 1, 1, 0]);
    assert_eq!(tap.counts().pending, 3, "of two under one id both");
}

#[test]
fn progress_is_told_of_and_puts_nothing_off() {
    let mut tap = logged();
    tap.c(r#"{"id":1,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":1}}}"#);
    tap.wait(53)
        .s(r#"{"method":"notifications/progress","params":{"progressToken":1,"progress":5}}"#);
    tap.wait(6);
    assert_eq!(said(&mut tap), words("no answer after 60 s, last progress 6 s ago"));
}

#[test]
fn what_is_long_by_its_nature_is_not_said() {
    for method in ["subscriptions/listen", "tasks/result"] {
        let mut tap = logged();
        tap.c(&format!(r#"{{"id":1,"method":"{method}","params":{{}}}}"#)).wait(10_000);
        assert_eq!((said(&mut tap).len(), tap.counts().pending), (0, 0), "{method}");
    }
    // A call waits for the same person as the question that it led to.
    let mut tap = logged();
    tap.call(1).s(r#"{"id":"a","method":"elicitation/create","params":{}}"#);
    tap.wait(300).wait(300);
    assert_eq!(said(&mut tap).len(), 0);
    tap.c(r#"{"id":"a","result":{}}"#).wait(59);
    assert_eq!(said(&mut tap).len(), 0);
    tap.wait(1);
    assert_eq!(said(&mut tap), words("no answer after 662 s"));
}

#[test]
fn what_may_have_been_answered_is_not_said() {
    let mut tap = logged();
    tap.call(1).gap(S).wait(100);
    assert_eq!((said(&mut tap).len(), tap.counts().pending), (0, 0));
    tap.call(2).wait(61);
    assert_eq!(said(&mut tap).len(), 1);
}

#[test]
fn it_can_be_turned_off_and_is_counted_though_nobody_wants_the_record() {
    let never = Settings { pending_after: std::time::Duration::ZERO, ..Settings::default() };
    let mut tap = Tap::with(never);
    tap.session.want_logs(true);
    tap.call(1).wait(1000);
    assert_eq!((said(&mut tap).len(), tap.counts().pending), (0, 0));
    let mut tap = Tap::new();
    tap.call(1).wait(61);
    tap.session.want_logs(true);
    tap.wait(61);
    assert_eq!((said(&mut tap).len(), tap.counts().pending), (0, 1));
}

#[test]
fn what_waits_is_shown_until_it_is_over() {
    let mut tap = Tap::new();
    let shown = |tap: &Tap| {
        let mut rows: Vec<_> = tap.session.in_flight().map(|call| call.row()).collect();
        rows.sort_by_key(|row| row.since);
        let told =
            |row: crate::mcp::CallInFlight| (row.direction, row.method, row.tool, row.doubtful);
        rows.into_iter().map(told).collect::<Vec<_>>()
    };
    let call = |doubtful| (C, Cow::Borrowed("tools/call"), Some("t".to_owned()), doubtful);
    let ask = |doubtful| (S, Cow::Borrowed("roots/list"), None, doubtful);
    tap.call(1).call(1).s(r#"{"id":1,"method":"roots/list"}"#);
    assert_eq!(shown(&tap), [call(false), call(false), ask(false)]);
    tap.ok(1);
    assert_eq!(shown(&tap), [call(false), ask(false)]);
    tap.gap(S);
    assert_eq!(shown(&tap), [call(true), ask(true)]);
    tap.end();
    assert!(shown(&tap).is_empty());
}
