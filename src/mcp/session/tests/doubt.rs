//! Losses of observation: gaps, cut messages, and the limits on what is held.

use super::*;
use crate::mcp::TAIL;

#[test]
fn a_call_in_flight_during_a_gap_may_complete() {
    for direction in Direction::BOTH {
        let done = Tap::new().call(1).gap(direction).ok(1).only();
        assert_eq!(done.outcome(), "ok");
        assert!(!done.get(names::DOUBTFUL).is_empty());
    }
    let done = Tap::new().gap(S).call(1).ok(1).only();
    assert_eq!(done.get(names::DOUBTFUL), "");
}

#[test]
fn a_doubtful_call_never_fails_for_want_of_an_answer() {
    let ends: [fn(&mut Tap); 4] = [
        |tap| {
            tap.wait(100_000);
        },
        |tap| {
            tap.end();
        },
        |tap| {
            tap.cancel(1);
        },
        |tap| {
            tap.session.eof(C, tap.now);
            tap.end();
        },
    ];
    for end in ends {
        let mut tap = Tap::new();
        tap.call(1).gap(S);
        end(&mut tap);
        assert!(tap.spans().is_empty());
        let counts = tap.counts();
        assert_eq!((counts.dropped.gap, counts.in_flight), (1, 0));
    }
}

#[test]
fn a_doubtful_call_never_takes_the_answer_to_a_newer_use_of_its_id() {
    let mut tap = Tap::new();
    tap.call(1).call(1).gap(S).c(r#"{"id":1,"method":"ping"}"#).ok(1);
    let done = tap.only();
    assert_eq!(done.span.name, "ping");
    assert_eq!(done.get(names::DOUBTFUL), "");
    assert_eq!(tap.counts().dropped.gap, 2);
}

#[test]
fn lines_lost_from_the_client_are_received_and_dropped() {
    let mut tap = Tap::new();
    tap.session.gap(C, 1000, 7, tap.now);
    tap.session.gap(S, 1000, 9, tap.now);
    let counts = tap.counts();
    assert_eq!((counts.received, counts.dropped.gap), (7, 7));
    assert_eq!((counts.gaps, counts.gap_bytes), (2, 2000));
    assert!(counts.balanced());
}

#[test]
fn a_line_torn_by_a_gap_is_lost_and_the_next_is_not() {
    let mut tap = Tap::new();
    tap.session.bytes(C, br#"{"id":1,"meth"#, tap.now);
    tap.session.gap(C, 20, 0, tap.now);
    tap.c(r#""params":{}}"#).call(2).ok(2);
    assert_eq!(tap.outcomes(), pairs(&[("2", "ok")]));
    let counts = tap.counts();
    assert_eq!((counts.torn, counts.junk, counts.dropped.gap), (1, 0, 1));
}

#[test]
fn a_line_that_a_gap_left_whole_is_read() {
    let mut tap = Tap::new();
    tap.gap(C).call(1).gap(S).ok(1);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
    assert_eq!(tap.counts().torn, 0);
}

/// The rest of a JSON object never is a JSON object: what looks whole after a gap is whole.
#[test]
fn no_rest_of_a_message_is_taken_for_a_message() {
    let line = r#"{"a":"{\"id\":7,\"method\":\"ping\"}","params":{"x":[{"id":8,"method":"m"}],"y":"{"},"id":1,"method":"\\\"}{"}"#;
    for from in 1..line.len() {
        let mut tap = Tap::new();
        tap.session.gap(C, from as u64, 0, tap.now);
        tap.c(&line[from..]);
        assert_eq!(tap.counts().requests, 0, "{}", &line[from..]);
        assert_eq!(tap.counts().torn, 1);
    }
}

#[test]
fn a_cut_message_keeps_its_size_and_says_that_it_was_cut() {
    let mut tap = Tap::with(Settings { max_message_bytes: 1000, ..Settings::default() });
    let filler = "x".repeat(50_000);
    let request = format!(
        r#"{{"method":"tools/call","params":{{"name":"t","arguments":{{"a":"{filler}"}}}},"jsonrpc":"2.0","id":1}}"#
    );
    let answer =
        format!(r#"{{"result":{{"content":"{filler}","isError":true}},"jsonrpc":"2.0","id":1}}"#);
    tap.c(&request).s(&answer);
    let done = tap.only();
    assert_eq!(done.get(names::OBSERVED), "cut");
    assert_eq!(done.get(names::REQUEST_SIZE), request.len().to_string());
    assert_eq!(done.get(names::RESPONSE_SIZE), answer.len().to_string());
    assert_eq!(done.outcome(), "tool_error");
    assert_eq!((done.seen.arguments, done.seen.result), (Raw::Cut, Raw::Cut));
    assert_eq!(tap.counts().cut, 2);
}

#[test]
fn bytes_that_were_never_copied_are_in_the_size() {
    let mut tap = Tap::new();
    tap.session.bytes(C, br#"{"id":1,"method":"tools/call","params":{"name":"t","#, 1);
    tap.session.cut(C, 100_000_000, br#""}}}"#, 2);
    tap.ok(1);
    let done = tap.only();
    assert_eq!(done.get(names::REQUEST_SIZE), (51 + 100_000_000 + 4).to_string());
    assert_eq!(done.span.start_time_unix_nano, 2);
    assert_eq!(done.get(names::TOOL), "t");
}

#[test]
fn a_cut_line_that_tells_nothing_is_dropped_and_leaves_doubt() {
    let mut tap = Tap::new();
    tap.call(1);
    tap.session.cut(C, 5000, b"?", tap.now);
    assert_eq!(tap.counts().dropped.unreadable, 1);
    assert_eq!(tap.counts().received, 2);
    tap.end();
    assert!(tap.spans().is_empty());

    let mut tap = Tap::new();
    tap.call(1);
    tap.session.bytes(S, br#"{"result":{"#, tap.now);
    tap.session.cut(S, 5000, b"?}}", tap.now);
    tap.end();
    assert!(tap.spans().is_empty());
    assert_eq!(tap.counts().dropped.gap, 1);
}

#[test]
fn a_long_line_that_begins_like_no_message_is_junk_and_leaves_no_doubt() {
    let mut tap = Tap::new();
    tap.call(1);
    for (direction, head) in [(S, "progress: 1%"), (C, "\u{feff} <html>"), (S, "\"text")] {
        tap.session.bytes(direction, head.as_bytes(), tap.now);
        tap.session.cut(direction, 5000, br#""id":1,"result":{}}"#, tap.now);
    }
    let counts = tap.counts();
    assert_eq!((counts.junk, counts.cut, counts.received), (3, 0, 1));
    assert_eq!(tap.end().outcomes(), pairs(&[("1", "server_gone")]));
}

#[test]
fn a_long_request_may_begin_with_a_byte_order_mark_and_an_answer_may_not() {
    let mut tap = Tap::new();
    let request = "\u{feff} {\"id\":1,\"method\":\"tools/call\",\"params\":{\"a\":\"";
    tap.session.bytes(C, request.as_bytes(), tap.now);
    tap.session.cut(C, 5000, br#""}}"#, tap.now);
    tap.session.bytes(S, "\u{feff} {\"id\":1,\"result\":{\"a\":\"".as_bytes(), tap.now);
    tap.session.cut(S, 5000, br#""}}"#, tap.now);
    assert_eq!((tap.counts().junk, tap.counts().in_flight), (1, 1));
}

#[test]
fn a_cut_message_without_an_id_may_be_a_request() {
    let mut tap = Tap::new();
    tap.session.bytes(C, br#"{"method":"tools/call","params":{"#, tap.now);
    tap.session.cut(C, 5000, b"?", tap.now);
    tap.session.bytes(C, br#"{"method":"notifications/message","params":{"#, tap.now);
    tap.session.cut(C, 5000, b"?", tap.now);
    let counts = tap.counts();
    assert_eq!((counts.notifications, counts.dropped.unreadable), (1, 1));
}

#[test]
fn a_long_error_still_answers_its_call() {
    let mut tap = Tap::with(Settings { max_message_bytes: 1000, ..Settings::default() });
    let filler = "x".repeat(50_000);
    tap.call(1).s(&format!(r#"{{"id":1,"error":{{"code":-32602,"data":"{filler}"}}}}"#));
    tap.call(2).s(&format!(r#"{{"error":{{"message":"{filler}","code":-32602}},"id":2}}"#));
    let spans = tap.spans();
    assert_eq!((spans[0].outcome(), spans[0].get(names::ERROR_TYPE)), ("client_error", "-32602"));
    assert_eq!((spans[1].outcome(), spans[1].get(names::ERROR_TYPE)), ("protocol_error", "_OTHER"));
    assert_eq!(spans[1].seen.error_text, Raw::Cut);
}

#[test]
fn arguments_out_of_sight_are_not_taken_for_none() {
    let mut tap = Tap::new();
    for head in [r#"{"id":1,"method":"tools/call","params":{"name":"t","_meta":{"#, "{\"x\":["] {
        tap.session.bytes(C, head.as_bytes(), tap.now);
        let tail = br#""a":1}},"method":"tools/call","id":1}"#;
        tap.session.cut(C, 5_000_000, tail, tap.now);
        let done = tap.ok(1).only();
        assert_eq!(done.span.attributes[0].key, names::METHOD);
        assert_eq!(done.seen.arguments, Raw::Cut);
    }
}

#[test]
fn after_a_gap_requests_time_out_although_a_person_was_asked_before() {
    let mut tap = Tap::new();
    tap.s(r#"{"id":7,"method":"elicitation/create"}"#).gap(C).call(1);
    tap.wait(1700).wait(200);
    assert_eq!(tap.outcomes(), pairs(&[("1", "timeout")]));
    // The answer, or another end, of the doubtful one changes nothing; a new one counts.
    tap.c(r#"{"id":7,"result":{}}"#).s(r#"{"id":8,"method":"elicitation/create"}"#).call(2);
    tap.wait(5000).wait(5000);
    assert_eq!(tap.outcomes(), pairs(&[("7", "ok")]));
}

#[test]
fn a_batch_entry_that_is_too_deep_harms_no_other() {
    let deep = "[".repeat(200) + "\"]\\\"\"" + &"]".repeat(200);
    let mut tap = Tap::new();
    tap.call(1).call(2).call(3);
    tap.s(&format!(
        r#"[{{"id":1,"result":{{}}}} , {{"id":2,"result":{{"x":{deep}}}}},{{"id":3,"result":{{}}}}]"#
    ));
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok"), ("2", "ok"), ("3", "ok")]));

    // One that does not tell what it is may be any answer.
    let filler = "x".repeat(TAIL);
    tap.call(1)
        .call(2)
        .s(&format!(r#"[{{"x":{deep},"y":"{filler}"}},{deep},{{"id":2,"result":{{}}}}]"#));
    assert_eq!(tap.outcomes(), pairs(&[("2", "ok")]));
    tap.end();
    let counts = tap.counts();
    assert_eq!((counts.spans, counts.dropped.gap, counts.junk), (4, 1, 1));

    let mut tap = Tap::new();
    tap.c(&format!(r#"[{{"x":{deep},"y":"{filler}"}},{{"id":2,"method":"ping"}}]"#)).ok(2);
    assert_eq!(tap.names(), ["ping"]);
    assert_eq!(tap.counts().dropped.unreadable, 1);
    for junk in ["[", "[,]", "[{},]", "[{} {}]", "[{}]]", "[[", &"[".repeat(500), "[}"] {
        let before = tap.counts().junk;
        tap.s(junk);
        assert_eq!(tap.counts().junk, before + 1, "{junk}");
    }
}

#[test]
fn a_message_nested_too_deeply_is_read_at_both_ends() {
    let deep = "[".repeat(200) + &"]".repeat(200);
    let mut tap = Tap::new();
    tap.c(&format!(
        r#"{{"method":"tools/call","params":{{"name":"t","arguments":{deep}}},"id":1}}"#
    ));
    tap.s(&format!(r#"{{"result":{{"structuredContent":{deep},"isError":true}},"id":1}}"#));
    let done = tap.only();
    // It was observed whole all the same.
    assert_eq!((done.outcome(), done.get(names::OBSERVED)), ("tool_error", ""));
    assert_eq!((&done.seen.arguments, &done.seen.result), (&Raw::Deep, &Raw::Deep));
    assert_eq!(tap.counts().cut, 0);
    tap.call(2).s(&format!(r#"{{"id":2,"error":{{"code":-32602,"data":{deep}}}}}"#));
    assert_eq!(tap.only().outcome(), "client_error");
    let unbalanced = "[".repeat(200);
    tap.call(3).s(&format!(r#"{{"id":3,"result":{unbalanced}"#)).end();
    assert_eq!(tap.outcomes(), pairs(&[("3", "server_gone")]));
}

#[test]
fn content_is_kept_raw_as_long_as_there_is_room() {
    let mut tap = Tap::with(Settings { max_content_bytes: 45, ..Settings::default() });
    let call = |id: u32, argument: &str| {
        format!(
            r#"{{"id":{id},"method":"tools/call","params":{{"name":"t","arguments":{{"a":"{argument}"}}}}}}"#
        )
    };
    tap.c(&call(1, "0123456789")).c(&call(2, "0123456789")).c(&call(3, "0123456789"));
    tap.s(r#"{"id":1,"result":{}}"#).s(r#"{"id":2,"result":{}}"#).s(r#"{"id":3,"result":{}}"#);
    let spans = tap.spans();
    assert_eq!(spans[0].seen.arguments, Raw::Whole(Bytes::from_static(br#"{"a":"0123456789"}"#)));
    assert_eq!(spans[0].seen.result, Raw::Whole(Bytes::from_static(b"{}")));
    assert_eq!(
        (&spans[2].seen.arguments, &spans[2].seen.result),
        (&Raw::Cut, &Raw::Whole(Bytes::from_static(b"{}")))
    );
    assert_eq!(tap.counts().content_dropped, 1);
    tap.c(&call(4, "0123456789012345678901234")).ok(4);
    assert!(matches!(tap.only().seen.arguments, Raw::Whole(_)), "taking makes room again");
}

#[test]
fn content_that_nobody_reads_need_not_be_kept() {
    let mut tap = Tap::with(Settings::default());
    let call = |id| {
        format!(r#"{{"id":{id},"method":"tools/call","params":{{"name":"t","arguments":{{}}}}}}"#)
    };
    let (unread, whole) = (Raw::Unread, Raw::Whole(Bytes::from_static(b"{}")));
    tap.session.keep(Needs::NONE);
    tap.c(&call(1)).ok(1);
    let seen = Seen { arguments: unread.clone(), result: unread.clone(), ..Seen::default() };
    assert!(tap.only().seen == seen, "it was there, and that is told");
    tap.c(&call(2)).s(r#"{"id":2,"error":{"code":1,"message":"secret"}}"#);
    let seen = Seen { arguments: unread.clone(), error_text: unread.clone(), ..Seen::default() };
    assert!(tap.only().seen == seen);
    tap.session.keep(Needs { arguments: true, ..Needs::NONE });
    tap.c(&call(3)).c(&call(4)).ok(3);
    let seen = Seen { arguments: whole.clone(), result: unread, ..Seen::default() };
    assert!(tap.only().seen == seen);
    tap.session.keep(Needs::ALL);
    tap.ok(4);
    let seen = Seen { arguments: whole.clone(), result: whole, ..Seen::default() };
    assert!(tap.only().seen == seen, "a reader that comes in the middle of a call");
    tap.c(r#"{"id":5,"method":"tools/call","params":{"name":"t"}}"#);
    tap.session.keep(Needs::NONE);
    tap.s(r#"{"id":5,"error":{"code":1}}"#);
    assert!(tap.only().seen == Seen::default(), "what was not there is not unread");
}
