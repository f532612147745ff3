//! Log records over HTTP: which call and session they belong to, and headers that do not say what the body says.

use super::*;
use crate::mcp::testing::Record;
use crate::telemetry::CallSecrets;

const LOG: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;

/// A tap whose log records somebody wants.
fn logged() -> Tap {
    let mut tap = Tap::with(Settings { log_messages: true, ..Settings::default() });
    tap.http.want_logs(true);
    tap
}

fn records(tap: &mut Tap) -> Vec<Record> {
    Record::all(tap.http.take_logs())
}

#[test]
fn what_a_server_logs_in_an_answer_belongs_to_its_call() {
    let mut tap = logged();
    tap.session();
    let [x, y] = [1, 2].map(|id| tap.say(&call(id)));
    tap.stream(y).event(y, LOG).event(y, &ok(2)).end(y);
    let record = records(&mut tap).pop().unwrap();
    let span = tap.only().span;
    assert_eq!((&record.record.span_id, &record.record.trace_id), (&span.span_id, &span.trace_id));
    assert_eq!(record.get(names::SESSION_ID), "name of s");
    assert_eq!(record.get(names::SERVER_NAME), "one");
    // A stream of its own tells of no call.
    let stream = tap.listen();
    tap.event(stream, LOG);
    let record = records(&mut tap).pop().unwrap();
    assert_eq!((record.record.span_id.len(), record.get(names::SESSION_ID)), (0, "name of s"));
    tap.reply(x, 200, &ok(1));
}

#[test]
fn modern_calls_have_no_session() {
    let mut tap = logged();
    let x = tap.send(&RequestHead { server: 1, ..POST }, &modern(1, ""));
    records(&mut tap);
    tap.stream(x).event(x, LOG).event(x, &ok(1)).end(x);
    let record = records(&mut tap).pop().unwrap();
    assert_eq!(record.record.span_id, tap.only().span.span_id);
    assert_eq!((record.get(names::SESSION_ID), record.get(names::SERVER_NAME)), ("", "two"));
}

#[test]
fn headers_that_do_not_say_what_the_body_says_are_found() {
    let mut tap = logged();
    let good = RequestHead {
        protocol_version: Some(b"2026-07-28"),
        method: Some(b"tools/call"),
        name: Some(b"t"),
        ..POST
    };
    tap.send(&good, &modern(1, ""));
    assert_eq!(records(&mut tap).len(), 0);
    let x = tap.send(&RequestHead { name: Some(b"secret"), method: None, ..good }, &modern(2, ""));
    let found = records(&mut tap).pop().unwrap();
    let detail = "mcp-method missing, mcp-name differs";
    assert_eq!(found.finding(), ["header_mismatch", "client", detail]);
    tap.reply(x, 200, &ok(2));
    assert_eq!(found.record.span_id, tap.only().span.span_id);
    assert_eq!(tap.counts().header_mismatches, 1);
    tap.send(&POST, &call(3));
    assert_eq!(records(&mut tap).len(), 0, "legacy clients send no such headers");
}

#[test]
fn what_is_wrong_in_bodies_and_events_is_found() {
    let mut tap = logged();
    tap.session();
    let x = tap.say(&call(1));
    tap.stream(x).event(x, "what?").event(x, r#"{"jsonrpc":"2.0","id":1,"result":7}"#);
    tap.event(x, r#"{"id":9,"result":{}}"#).end(x);
    tap.say("what?");
    let found = records(&mut tap);
    let found: Vec<_> = found.iter().map(Record::finding).collect();
    assert_eq!(
        found,
        [
            ["not_json", "server", "5 bytes"],
            ["unreadable_answer", "server", "result is no object"],
            ["orphan_answer", "server", "id: integer, 36 bytes"],
            ["not_json", "client", "5 bytes"],
        ]
    );
}

/// Counts the records of each batch, and the sets of secrets that are searched for in it.
fn batches(tap: &mut Tap) -> Vec<(usize, usize)> {
    let sets = |content: &Content| CallSecrets::sets(content.secrets()).len();
    tap.http.take_logs().iter().map(|(logs, content)| (logs.items(), sets(content))).collect()
}

#[test]
fn credentials_of_an_exchange_are_searched_for_in_what_it_logs_and_in_no_other_record() {
    const CREDENTIALS: HeadContent<'static> =
        HeadContent { credentials: &[b"Bearer kettle-window"], headers: &[] };
    let mut tap = logged();
    let with = RequestHead { content: CREDENTIALS, ..POST };
    let x = tap.send(&with, &call(1));
    let y = tap.send(&POST, &call(2));
    for x in [x, y] {
        tap.stream(x).event(x, LOG).event(x, LOG);
    }
    assert_eq!(batches(&mut tap), [(2, 1), (2, 0)]);
    // A finding may quote nothing, but its session's name may be a credential.
    tap.event(x, "no JSON").event(y, "no JSON");
    assert_eq!(batches(&mut tap).iter().map(|(records, _)| records).sum::<usize>(), 2);
    tap.event(x, &ok(1)).end(x).event(y, &ok(2)).end(y);
    assert_eq!(tap.http.take_logs().len(), 0);
}

#[test]
fn credentials_of_a_session_are_searched_for_in_what_it_logs_later() {
    const INITIALIZE: &str = r#"{"id":0,"method":"initialize","params":{}}"#;
    let mut tap = logged();
    let x = tap.say(INITIALIZE);
    tap.step();
    let session = Some(&b"session-of-one"[..]);
    let granted = ResponseHead { status: 200, kind: BodyKind::Other, session, content: NOTHING };
    tap.http.response(x, &granted, tap.now);
    tap.bytes(x, &ok(0)).end(x);
    let stream = tap.begin(&RequestHead { session, ..GET });
    tap.http.ended(stream, C, tap.now);
    tap.stream(stream).event(stream, LOG);
    assert_eq!(batches(&mut tap), [(1, 1)]);
}
