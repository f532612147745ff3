//! Calls whose answer comes by another exchange than their request: accepted by a 202 or an empty response,
//! answered on a stream of the session.

use super::*;
use crate::mcp::http::sessions::MAX_SESSIONS;
use crate::telemetry::Raw;

const ASK: RequestHead<'static> = RequestHead { session: Some(b"s"), ..GET };
const RESUME: RequestHead<'static> = RequestHead { resumes: true, ..ASK };

/// A call of the session `s` that was answered with that status and nothing else.
fn accepted(tap: &mut Tap, id: u32, status: u16) {
    let x = tap.say(&call(id));
    tap.reply(x, status, "");
}

/// A session, its stream, and a call in it that was accepted.
fn waiting() -> (Tap, Exchange) {
    let mut tap = Tap::new();
    let stream = tap.session().listen();
    accepted(&mut tap, 1, 202);
    assert!(tap.wait(100).spans().is_empty());
    (tap, stream)
}

/// A request for a stream that gets that status.
fn refused(tap: &mut Tap, head: &RequestHead<'_>, status: u16) {
    let x = tap.begin(head);
    tap.reply(x, status, "");
}

#[test]
fn the_answer_comes_on_the_stream_of_the_session() {
    for status in [202, 200, 204] {
        let mut tap = Tap::new();
        let stream = tap.session().listen();
        let x = tap.say(&call(1));
        let asked = tap.now - SECOND;
        tap.reply(x, status, "").wait(300);
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
        let done = tap.event(stream, answer).only();
        assert_eq!((done.outcome(), done.get(names::DOUBTFUL)), ("ok", ""));
        assert_eq!(done.span.start_time_unix_nano, asked);
        assert_eq!(done.span.end_time_unix_nano, tap.now);
        assert_eq!(done.get(names::RESPONSE_SIZE), answer.len().to_string());
        assert_eq!(done.seen.result, Raw::Whole(r#"{"content":[]}"#.into()));
        assert_eq!(done.get(names::HTTP_STATUS), "200");
        assert_eq!((tap.counts().orphans, tap.counts().in_flight), (0, 0));
    }
}

#[test]
fn the_stream_may_open_up_to_five_seconds_later() {
    let mut tap = Tap::new();
    accepted(tap.session(), 1, 202);
    // Three seconds after the end of the response; two more until the stream is open.
    let stream = tap.wait(2).listen();
    tap.wait(1000).event(stream, &ok(1));
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
}

#[test]
fn a_stream_that_is_asked_for_may_be_silent_until_the_answer() {
    let mut tap = Tap::new();
    accepted(tap.session(), 1, 202);
    let stream = tap.begin(&ASK);
    tap.wait(1000).stream(stream).event(stream, &ok(1));
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
}

#[test]
fn without_a_stream_there_is_no_way_for_the_answer() {
    for (status, outcome, error) in [
        (202, "server_gone", "server_gone"),
        (200, "protocol_error", "_OTHER"),
        (204, "protocol_error", "_OTHER"),
    ] {
        let mut tap = Tap::new();
        accepted(tap.session(), 1, status);
        let ended = tap.now - SECOND;
        assert!(tap.wait(3).spans().is_empty(), "not yet");
        let done = tap.wait(1).only();
        assert_eq!((done.outcome(), done.error()), (outcome, error));
        assert_eq!(done.get(names::HTTP_STATUS), status.to_string());
        assert_eq!(done.span.end_time_unix_nano, ended, "when the last way was gone");
        let stream = tap.listen();
        tap.event(stream, &ok(1));
        assert_eq!((tap.counts().late, tap.counts().orphans), (1, 0));
    }
}

#[test]
fn a_server_without_such_streams_says_so() {
    let mut tap = Tap::new();
    refused(tap.session(), &ASK, 405);
    accepted(&mut tap, 1, 200);
    accepted(&mut tap, 2, 202);
    tap.wait(5);
    assert_eq!(tap.outcomes(), pairs(&[("1", "protocol_error"), ("2", "server_gone")]));
}

#[test]
fn the_end_of_the_stream_for_good_ends_the_call() {
    for (party, outcome) in [
        (None, "server_gone"),
        (Some(Party::Server), "server_gone"),
        (Some(Party::Client), "cancelled"),
    ] {
        let (mut tap, stream) = waiting();
        match party {
            None => tap.end(stream),
            Some(party) => tap.broken(stream, party),
        };
        let ended = tap.now - SECOND;
        assert!(tap.wait(3).spans().is_empty());
        let done = tap.wait(1).only();
        assert_eq!((done.outcome(), done.span.end_time_unix_nano), (outcome, ended));
    }
}

#[test]
fn a_client_that_asks_for_the_stream_again_goes_on_waiting() {
    let (mut tap, stream) = waiting();
    tap.broken(stream, Party::Server);
    let again = tap.listen();
    tap.wait(1000).end(again);
    let again = tap.listen();
    tap.wait(500).event(again, &ok(1));
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
}

#[test]
fn a_stream_with_event_ids_has_not_ended_for_good() {
    for party in [Party::Server, Party::Client] {
        let (mut tap, stream) = waiting();
        tap.event_with_id(stream, "a", "").broken(stream, party).wait(298);
        let again = tap.begin(&RESUME);
        tap.stream(again).event_with_id(again, "b", &ok(1));
        assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
    }
}

#[test]
fn a_client_that_does_not_come_back_for_five_minutes_has_gone_for_good() {
    let (mut tap, stream) = waiting();
    tap.event_with_id(stream, "a", "").broken(stream, Party::Server).wait(302);
    assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
}

/// One rule for the stream of the session and for that of the request.
#[test]
fn a_stream_that_cannot_be_resumed_has_ended_for_good() {
    let on_its_own = || {
        let mut tap = Tap::new();
        let x = tap.session().say(&call(1));
        tap.stream(x).event_with_id(x, "a", "").end(x);
        tap
    };
    let of_the_session = || {
        let (mut tap, stream) = waiting();
        tap.event_with_id(stream, "a", "").end(stream);
        tap
    };
    let left_by_its_client = || {
        let mut tap = Tap::new();
        let x = tap.session().say(&call(1));
        tap.stream(x).event_with_id(x, "a", "").broken(x, Party::Client);
        tap
    };
    for begin in [on_its_own as fn() -> Tap, of_the_session, left_by_its_client] {
        let mut tap = begin();
        refused(tap.wait(60), &RESUME, 503);
        assert!(tap.wait(3).spans().is_empty());
        assert_eq!(tap.wait(1).outcomes(), pairs(&[("1", "server_gone")]));
        // Nobody is there: as good as refused.
        let mut tap = begin();
        let x = tap.begin(&RESUME);
        tap.broken(x, Party::Server).wait(5);
        assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
        // The server knows no such session: that is for good at once.
        let mut tap = begin();
        refused(&mut tap, &RESUME, 404);
        assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
        // Its client gave that up, and may come back.
        let mut tap = begin();
        let x = tap.begin(&RESUME);
        tap.broken(x, Party::Client).wait(60);
        let x = tap.begin(&RESUME);
        tap.stream(x).event(x, &ok(1));
        assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
    }
}

#[test]
fn an_event_stream_that_ends_without_the_answer_may_be_gone_on_with() {
    let mut tap = Tap::new();
    let stream = tap.session().listen();
    let x = tap.say(&call(1));
    tap.stream(x).bytes(x, ": hello\n\n").end(x).wait(60).event(stream, &ok(1));
    let y = tap.say(&call(2));
    tap.stream(y).broken(y, Party::Server);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok"), ("2", "server_gone")]));
}

#[test]
fn the_end_of_the_session_ends_the_call() {
    let (mut tap, _) = waiting();
    refused(&mut tap, &RequestHead { verb: Verb::Delete, ..ASK }, 200);
    assert_eq!(tap.outcomes(), pairs(&[("1", "cancelled")]));
    let (mut tap, _) = waiting();
    let x = tap.say(&call(2));
    tap.reply(x, 404, "");
    assert_eq!(tap.outcomes(), pairs(&[("2", "client_error"), ("1", "server_gone")]));
}

#[test]
fn a_call_that_waits_can_time_out_and_be_cancelled() {
    let (mut tap, stream) = waiting();
    accepted(&mut tap, 2, 202);
    tap.say(&cancel(2));
    assert_eq!(tap.outcomes(), pairs(&[("2", "cancelled")]));
    assert_eq!(tap.wait(1800).outcomes(), pairs(&[("1", "timeout")]));
    tap.event(stream, &ok(1)).event(stream, &ok(2));
    assert_eq!((tap.counts().late, tap.counts().orphans), (1, 1));
}

#[test]
fn how_long_it_may_take_is_a_setting() {
    let request_timeout = std::time::Duration::from_secs(60);
    let mut tap = Tap::with(Settings { request_timeout, ..Settings::default() });
    tap.session().listen();
    accepted(&mut tap, 1, 202);
    assert!(tap.wait(50).spans().is_empty());
    let done = tap.wait(10).only();
    assert_eq!((done.outcome(), done.span.end_time_unix_nano), ("timeout", tap.now));
}

#[test]
fn in_2026_07_28_the_end_of_the_exchange_is_the_end_of_the_call() {
    for (status, outcome) in [(202, "protocol_error"), (200, "protocol_error")] {
        let mut tap = Tap::new();
        tap.session().listen();
        let x = tap.say(&modern(1, ""));
        assert_eq!(tap.reply(x, status, "").only().outcome(), outcome);
    }
}

#[test]
fn a_batch_is_accepted_as_a_whole() {
    let mut tap = Tap::new();
    let stream = tap.session().listen();
    let x = tap.say(&format!("[{},{},{}]", call(1), call(2), call(3)));
    tap.reply(x, 202, "").wait(60).event(stream, &ok(2)).event(stream, &ok(1)).end(stream).wait(5);
    assert_eq!(tap.outcomes(), pairs(&[("2", "ok"), ("1", "ok"), ("3", "server_gone")]));
}

/// The TypeScript client lets go of a 202 as soon as it has read its head.
#[test]
fn nobody_reads_the_body_of_a_202() {
    let (mut tap, stream) = waiting();
    let x = tap.say(&call(2));
    tap.head(x, 202, BodyKind::Other).broken(x, Party::Client);
    tap.end(stream).wait(5);
    assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone"), ("2", "server_gone")]));
}

#[test]
fn what_a_202_says_does_not_matter() {
    let mut tap = Tap::new();
    let stream = tap.session().listen();
    let x = tap.say(&call(1));
    tap.reply(x, 202, "Accepted").wait(60).event(stream, &ok(1));
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
}

#[test]
fn at_the_end_of_the_tap_it_is_known_which_streams_have_ended() {
    let (mut tap, stream) = waiting();
    tap.end(stream);
    tap.http.finish(tap.now);
    assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
    let (mut tap, _) = waiting();
    accepted(&mut tap, 2, 202);
    tap.http.finish(tap.now);
    assert_eq!(tap.outcomes(), pairs(&[("1", "cancelled"), ("2", "cancelled")]));
}

/// Law 1: a stream that was opened unseen is none that did not open.
#[test]
fn a_stream_that_nobody_saw_may_have_brought_the_answer() {
    let overlooked: [fn(&mut Tap); 3] = [
        |tap| tap.session().http.gap(1, 0, 0),
        // A session that began before the tap did.
        |_| {},
        |tap| {
            let x = tap.session().listen();
            tap.http.lost(x, S, tap.now);
            tap.end(x);
        },
    ];
    for overlook in overlooked {
        let mut tap = Tap::new();
        overlook(&mut tap);
        let before = tap.counts().dropped.gap;
        accepted(&mut tap, 1, 202);
        assert!(tap.wait(100_000).spans().is_empty());
        assert_eq!((tap.counts().dropped.gap - before, tap.counts().in_flight), (1, 0));
        // One that is seen brings certainty, and what it brings counts.
        accepted(&mut tap, 2, 202);
        let stream = tap.listen();
        tap.event(stream, &ok(2));
        accepted(&mut tap, 3, 202);
        tap.event(stream, &ok(3));
        let doubts = tap.spans().into_iter().map(|done| done.get(names::DOUBTFUL).to_owned());
        assert_eq!(doubts.last().unwrap_or_default(), "");
    }
}

#[test]
fn a_session_of_which_nothing_is_known_keeps_no_call_open() {
    let mut tap = Tap::new();
    accepted(&mut tap, 1, 200);
    assert_eq!(tap.outcomes(), pairs(&[("1", "protocol_error")]));
}

#[test]
fn a_session_opened_anew_under_the_same_id_has_streams_of_its_own() {
    let (mut tap, stream) = waiting();
    let x = tap.post(r#"{"id":0,"method":"initialize"}"#);
    let head =
        ResponseHead { status: 200, kind: BodyKind::Other, session: Some(b"s"), content: NOTHING };
    tap.http.response(x, &head, tap.now);
    tap.bytes(x, &ok(0)).end(x);
    assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone"), ("0", "ok")]));
    let own = tap.listen();
    tap.end(stream);
    accepted(&mut tap, 2, 202);
    tap.wait(60).event(own, &ok(2));
    assert_eq!(tap.outcomes(), pairs(&[("2", "ok")]));
}

#[test]
fn calls_that_wait_in_vain_are_found_in_whichever_session() {
    let mut tap = Tap::new();
    for i in 0..MAX_SESSIONS {
        let name = i.to_string();
        let head = RequestHead { session: Some(name.as_bytes()), ..POST };
        let x = tap.post(r#"{"id":0,"method":"initialize"}"#);
        let granted = ResponseHead {
            status: 200,
            kind: BodyKind::Other,
            session: head.session,
            content: NOTHING,
        };
        tap.http.response(x, &granted, tap.now);
        tap.bytes(x, &ok(0)).end(x);
        let x = tap.send(&head, &call(1));
        tap.reply(x, 202, "");
    }
    tap.http.take();
    assert_eq!(tap.counts().in_flight, MAX_SESSIONS as u64);
    tap.wait(5);
    assert_eq!((tap.counts().in_flight, tap.http.ready()), (0, MAX_SESSIONS));
}
