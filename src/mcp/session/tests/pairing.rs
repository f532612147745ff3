//! Which answer belongs to which request, and what is counted when none does.

use super::*;

#[test]
fn the_same_id_in_both_directions_is_two_requests() {
    let mut tap = Tap::new();
    tap.call(0).s(r#"{"id":0,"method":"roots/list"}"#);
    tap.c(r#"{"id":0,"result":{"roots":[]}}"#).ok(0);
    let spans = tap.spans();
    assert_eq!(spans[0].span.name, "roots/list");
    assert_eq!(spans[0].get(names::INITIATOR), "server");
    assert_eq!(spans[1].span.name, "tools/call t");
    assert_eq!(spans[1].get(names::INITIATOR), "");
    assert_eq!(tap.counts().orphans, 0);
}

#[test]
fn a_number_and_a_string_are_two_ids() {
    let mut tap = Tap::new();
    tap.call(1).c(r#"{"id":"1","method":"ping"}"#).s(r#"{"id":"1","result":{}}"#);
    assert_eq!(tap.names(), ["ping"]);
    assert_eq!(tap.counts().in_flight, 1);
}

#[test]
fn answers_may_come_in_any_order() {
    let mut tap = Tap::new();
    tap.call(1).call(2).call(3).ok(2).ok(3).ok(1);
    assert_eq!(tap.outcomes(), pairs(&[("2", "ok"), ("3", "ok"), ("1", "ok")]));
}

#[test]
fn of_two_requests_under_one_id_the_first_is_answered_first() {
    let mut tap = Tap::new();
    tap.c(r#"{"id":1,"method":"ping"}"#).call(1).c(r#"{"id":1,"method":"tools/list"}"#);
    assert_eq!(tap.counts().duplicate_ids, 2);
    tap.ok(1).ok(1).ok(1);
    assert_eq!(tap.names(), ["ping", "tools/call t", "tools/list"]);
    assert_eq!(tap.counts().orphans, 0);
}

#[test]
fn an_id_may_be_used_again_after_its_answer() {
    let mut tap = Tap::new();
    tap.call(1).ok(1).call(1).ok(1);
    assert_eq!(tap.spans().len(), 2);
    assert_eq!(tap.counts().duplicate_ids, 0);
}

#[test]
fn answers_to_nobody_are_counted() {
    let mut tap = Tap::new();
    tap.ok(9).s(r#"{"id":null,"error":{"code":-32700}}"#).s(r#"{"error":{"code":-32700}}"#);
    tap.call(1).ok(1).ok(1);
    assert_eq!(tap.counts().orphans, 4);
    assert_eq!(tap.spans().len(), 1);
}

#[test]
fn a_late_answer_after_cancel_is_absorbed() {
    let mut tap = Tap::new();
    tap.call(1).cancel(1).ok(1).ok(1);
    assert_eq!(tap.outcomes(), pairs(&[("1", "cancelled")]));
    assert_eq!((tap.counts().late, tap.counts().orphans), (1, 1));
}

#[test]
fn after_the_grace_time_a_late_answer_is_an_orphan() {
    let mut tap = Tap::new();
    tap.call(1).cancel(1).wait(61).ok(1);
    assert_eq!((tap.counts().late, tap.counts().orphans), (0, 1));
}

#[test]
fn an_id_reused_after_cancel_is_the_new_request() {
    let mut tap = Tap::new();
    tap.call(1).cancel(1).c(r#"{"id":1,"method":"ping"}"#).ok(1);
    assert_eq!(tap.names(), ["tools/call", "ping"]);
    assert_eq!((tap.counts().late, tap.counts().orphans), (0, 0));
}

#[test]
fn a_cancel_concerns_the_requests_of_its_own_direction() {
    let mut tap = Tap::new();
    tap.call(1).s(r#"{"id":1,"method":"sampling/createMessage"}"#);
    tap.s(r#"{"method":"notifications/cancelled","params":{"requestId":1}}"#);
    assert_eq!(tap.names(), ["sampling/createMessage"]);
    tap.ok(1);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
}

#[test]
fn a_cancel_of_nothing_known_is_counted() {
    let mut tap = Tap::new();
    tap.call(1).cancel(2).s(r#"{"method":"notifications/cancelled","params":{"requestId":1}}"#);
    tap.c(r#"{"method":"notifications/cancelled"}"#);
    assert_eq!(tap.counts().cancels_unknown, 3);
    assert_eq!(tap.counts().in_flight, 1);
}

#[test]
fn progress_is_an_event_of_the_call_that_asked_for_it() {
    let mut tap = Tap::new();
    tap.c(r#"{"id":1,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":"p"}}}"#);
    tap.call(2);
    tap.s(r#"{"method":"notifications/progress","params":{"progressToken":"p","progress":0.5,"total":2}}"#);
    tap.s(r#"{"method":"notifications/progress","params":{"progressToken":"q","progress":1}}"#);
    tap.ok(2).ok(1);
    tap.s(r#"{"method":"notifications/progress","params":{"progressToken":"p","progress":2}}"#);
    let spans = tap.spans();
    assert!(spans[0].span.events.is_empty());
    let event = &spans[1].span.events[0];
    assert_eq!(event.name, names::PROGRESS);
    assert_eq!(event.attributes.len(), 2);
    assert_eq!(spans[1].span.events.len(), 1);
}

#[test]
fn progress_events_of_one_call_are_bounded() {
    let mut tap = Tap::new();
    tap.c(r#"{"id":1,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":1}}}"#);
    for _ in 0..50 {
        tap.s(r#"{"method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#);
    }
    let span = tap.ok(1).only().span;
    assert_eq!((span.events.len(), span.dropped_events_count), (32, 18));
    assert_eq!(tap.counts().events_dropped, 18);
}

#[test]
fn past_the_limit_in_flight_a_request_is_not_tracked_and_counted() {
    let mut tap = Tap::with(Settings { max_in_flight: 2, ..Settings::default() });
    tap.call(1).call(2).call(3).ok(3).ok(1).call(4).ok(4);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok"), ("4", "ok")]));
    let counts = tap.counts();
    assert_eq!((counts.dropped.overflow, counts.orphans, counts.in_flight), (1, 1, 1));
}

#[test]
fn a_batch_is_as_many_messages_as_it_has() {
    let mut tap = Tap::new();
    tap.c(r#"[{"id":"b-1","method":"ping"},{"id":2,"method":"tools/call","params":{"name":"t"}},
        {"method":"notifications/initialized"}]"#
        .replace('\n', "")
        .as_str());
    tap.s(r#"[{"id":2,"result":{}},{"id":"b-1","result":{}}]"#).s("[]").s("[7,").s("[{}");
    let spans = tap.spans();
    assert_eq!(spans[0].get(names::REQUEST_ID), "2");
    assert_eq!(spans[0].get(names::REQUEST_SIZE), "52");
    assert_eq!(spans[0].get(names::RESPONSE_SIZE), "36");
    assert_eq!(spans[1].get(names::REQUEST_ID), "b-1");
    let counts = tap.counts();
    assert_eq!((counts.batches, counts.notifications), (5, 1));
    assert_eq!((counts.junk, counts.not_rpc), (3, 1));
}

#[test]
fn what_is_no_message_is_counted_and_harms_nothing() {
    let mut tap = Tap::new();
    tap.call(1);
    tap.s("").s("\r").s("Server listening...").s("\0\0").s(r#"{"level":"info"}"#);
    tap.s(r#"{"id":1,"result":"#).s("\"text\"").s("42").s(r#"{"id":{},"method":"m"}"#);
    tap.session.bytes(
        S,
        b"\xff\xfe\n{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"result\":{}}\n",
        tap.now,
    );
    tap.s("{\"id\":1,\"result\":{}}\r");
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
    let counts = tap.counts();
    assert_eq!((counts.blank, counts.junk, counts.not_rpc, counts.orphans), (2, 6, 2, 1));
    assert_eq!(counts.lines, 13);
}

#[test]
fn a_last_request_without_newline_counts_at_the_end_of_its_direction() {
    let mut tap = Tap::new();
    tap.session.bytes(C, br#"{"id":1,"method":"ping"}"#, tap.now);
    assert_eq!(tap.counts().requests, 0);
    tap.session.eof(C, tap.now);
    assert_eq!(tap.ok(1).outcomes(), pairs(&[("1", "ok")]));
}

#[test]
fn messages_that_the_transport_frames_need_no_newline() {
    let mut tap = Tap::new();
    tap.session.message(C, br#"{"id":1,"method":"ping"}"#, 5);
    tap.session.message(S, br#" [{"jsonrpc":"2.0","id":1,"result":{}}] "#, 9);
    let done = tap.only();
    assert_eq!((done.span.start_time_unix_nano, done.span.end_time_unix_nano), (5, 9));
    assert_eq!(tap.counts().lines, 0);
}
