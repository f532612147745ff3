//! Spans that answers hand back, as a session takes them in: when they are welcome, and where they end.

use super::*;
use crate::mcp::{HandedBack, Ingest, Passback};
use proptest::prelude::*;

const WISH: &str = r#""otel":{"traces":{"request":true}}"#;

fn asking(id: u32) -> String {
    request(id, &format!(r#""traceparent":"{PARENT}",{WISH}"#))
}

fn request(id: u32, meta: &str) -> String {
    format!(r#"{{"id":{id},"method":"tools/call","params":{{"name":"t","_meta":{{{meta}}}}}}}"#)
}

/// `_meta` with a root and a child below it.
fn meta() -> String {
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7");
    let span = |id: &str, parent: &str| {
        format!(
            r#"{{"traceId":"{trace}","spanId":"{id}","parentSpanId":"{parent}","name":"n","startTimeUnixNano":"{}","endTimeUnixNano":"{}","attributes":[{{"key":"gen_ai.tool.call.arguments","value":{{"stringValue":"{{\"a\":1}}"}}}}]}}"#,
            1001 * SECOND,
            1002 * SECOND,
        )
    };
    let spans = [span("1111111111111111", parent), span("2222222222222222", "1111111111111111")];
    format!(
        r#""_meta":{{"otel":{{"traces":{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}}}}}"#,
        spans.join(",")
    )
}

fn answer(id: u32) -> String {
    format!(r#"{{"id":{id},"result":{{"content":[],{}}}}}"#, meta())
}

fn names_of(tap: &mut Tap) -> Vec<String> {
    tap.spans().iter().map(|done| done.get(names::PASSBACK).to_owned()).collect()
}

#[test]
fn they_come_beside_the_taps_span_under_the_callers() {
    let mut tap = Tap::new();
    let spans = tap.c(&asking(1)).s(&answer(1)).spans();
    assert_eq!(spans.len(), 3);
    assert_eq!(spans[0].span.parent_span_id, spans[1].span.parent_span_id);
    assert_eq!(spans[2].span.parent_span_id, spans[1].span.span_id);
    assert!(spans.iter().all(|done| done.span.trace_id == spans[0].span.trace_id));
    assert_eq!(spans[1].get(names::REQUEST_ID), "1");
    assert!(spans[1].seen.arguments == Raw::Whole(Bytes::from_static(br#"{"a":1}"#)));
    let counts = tap.counts();
    assert_eq!((counts.spans, counts.passback.spans, counts.received), (1, 2, 1));
}

#[test]
fn wherever_an_answer_has_them_they_are_found() {
    let (meta, mut id) = (meta(), 0);
    for place in [
        format!(r#""result":{{{meta}}}"#),
        format!(r#""result":{{}},{meta}"#),
        format!(r#""error":{{"code":-32602,"message":"m",{meta}}}"#),
        format!(r#""error":{{"code":-32602,"data":{{{meta}}}}}"#),
        format!(r#"{meta},"error":{{"code":-32602}}"#),
    ] {
        id += 1;
        let mut tap = Tap::new();
        tap.c(&asking(id)).s(&format!(r#"{{"id":{id},{place}}}"#));
        assert_eq!(tap.spans().len(), 3, "{place}");
    }
}

#[test]
fn nobody_asked_nobody_looks() {
    let mut tap = Tap::new();
    let plain = request(1, &format!(r#""traceparent":"{PARENT}""#));
    tap.c(&plain).s(&answer(1));
    let refused =
        request(2, &format!(r#""traceparent":"{PARENT}","otel":{{"traces":{{"request":false}}}}"#));
    tap.c(&refused).s(&answer(2));
    // An answer to nothing, and one that comes twice.
    tap.s(&answer(3)).c(&asking(4)).s(&answer(4)).s(&answer(4));
    assert_eq!(names_of(&mut tap), ["", "", "", "BoolValue(true)", "BoolValue(true)"]);
    assert_eq!(tap.counts().passback.unsolicited, 4);
}

#[test]
fn a_wish_is_what_servers_take_for_one() {
    for (wish, spans) in
        [("1", 3), ("\"yes\"", 3), ("{\"a\":1}", 3), ("0", 1), ("\"\"", 1), ("null", 1), ("[]", 1)]
    {
        let mut tap = Tap::new();
        let asked = asking(1).replace(r#""request":true"#, &format!(r#""request":{wish}"#));
        assert_eq!(tap.c(&asked).s(&answer(1)).spans().len(), spans, "{wish}");
    }
}

#[test]
fn settings_say_whose_wish_counts() {
    let taken = |ingest, edited: Option<Edited>| {
        let passback = Passback { ingest, ..Passback::default() };
        let mut tap = Tap::with(Settings { passback, ..Settings::default() });
        if let Some(edited) = edited {
            tap.session.edited(C, edited);
        }
        let plain = request(1, &format!(r#""traceparent":"{PARENT}""#));
        tap.c(if edited.is_some() { plain } else { asking(1) }.as_str()).s(&answer(1));
        (tap.spans().len(), tap.counts().passback.unsolicited)
    };
    let ours = Some(Edited { asked: true, hop: None });
    assert_eq!(taken(Ingest::Solicited, None), (3, 0));
    assert_eq!(taken(Ingest::Solicited, ours), (3, 0));
    assert_eq!(taken(Ingest::Requested, None), (1, 1));
    assert_eq!(taken(Ingest::Requested, ours), (3, 0));
    assert_eq!(taken(Ingest::Off, ours), (1, 0));
}

#[test]
fn what_was_not_observed_whole_is_counted() {
    let mut tap = Tap::with(Settings { max_message_bytes: 300, ..Settings::default() });
    tap.c(&asking(1)).s(&answer(1));
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
    assert_eq!(tap.counts().passback.cut, 1);
    let mut tap = Tap::new();
    let deep = format!(
        r#"{{"id":1,"result":{{"_meta":{{"otel":{{"traces":{}{}}}}}}}}}"#,
        "{\"a\":[".repeat(100),
        "]}".repeat(100)
    );
    tap.c(&asking(1)).s(&deep);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
    assert_eq!(tap.counts().passback.cut, 1);
}

#[test]
fn taps_that_share_their_memory_put_a_span_out_once() {
    let shared = Arc::new(HandedBack::default());
    let mut taps = [Tap::new(), Tap::new(), Tap::new()];
    taps[..2].iter_mut().for_each(|tap| tap.session.share(shared.clone()));
    let spans = taps.each_mut().map(|tap| tap.c(&asking(1)).s(&answer(1)).spans().len());
    assert_eq!(spans, [3, 1, 3]);
    assert_eq!(taps[1].counts().passback.refused.duplicate, 2);
}

#[test]
fn theirs_are_dropped_where_the_caller_did_not_sample() {
    let mut tap = Tap::new();
    tap.c(&asking(1).replace("b7-01", "b7-00")).s(&answer(1));
    assert!(!tap.only().sampled);
    assert_eq!(tap.counts().passback.refused.unsampled, 2);
}

#[test]
fn content_of_theirs_is_bounded_with_that_of_the_tap() {
    let mut tap = Tap::with(Settings { max_content_bytes: 10, ..Settings::default() });
    let spans = tap.c(&asking(1)).s(&answer(1)).spans();
    assert!(spans[1].seen.arguments != Raw::Cut && spans[2].seen.arguments == Raw::Cut);
    // The result of the call did not fit either.
    assert_eq!(tap.counts().content_dropped, 2);
}

proptest! {
    /// Law 1: whatever a server hands back, its call is told as it would be without.
    #[test]
    fn the_call_is_unharmed_whatever_is_handed_back(
        noise in prop::collection::vec(prop::sample::select(vec![
            "{}", "[]", "null", "7", "\"x\"", "[[[[]]]]", "{\"resourceSpans\":[{}]}",
            "{\"scopeSpans\":[{\"spans\":[{\"spanId\":\"zz\"}]}]}", "{\"spans\":[1,2]}",
            "{\"traceId\":[]}", "\"\\ud800\"", "1e999",
        ]), 0..8),
        key in prop::sample::select(vec!["resourceSpans", "traces", "spans", "truncated", "droppedSpanCount"]),
    ) {
        let handed = format!(r#"{{"{key}":[{}]}}"#, noise.join(","));
        let mut tap = Tap::new();
        tap.c(&asking(1));
        tap.s(&format!(r#"{{"id":1,"result":{{"_meta":{{"otel":{{"traces":{handed}}}}},"isError":true}}}}"#));
        let spans = tap.spans();
        prop_assert_eq!(spans.len(), 1);
        prop_assert_eq!((spans[0].outcome(), spans[0].error()), ("tool_error", "tool_error"));
    }
}
