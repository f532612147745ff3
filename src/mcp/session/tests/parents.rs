//! Whose trace a span is in, where its caller sends a context and where not.

use super::*;
use crate::mcp::{Hop, Parent};

const THEIRS: [u8; 2] = [0x0a, 0xf7];
const CALLER: [u8; 2] = [0x00, 0xf0];

fn settings(parent: Parent) -> Settings {
    Settings { parent, ..Settings::default() }
}

/// A call with `_meta` of these members.
fn call(id: u32, meta: &str) -> String {
    format!(r#"{{"id":{id},"method":"tools/call","params":{{"name":"t","_meta":{{{meta}}}}}}}"#)
}

fn traced(id: u32) -> String {
    call(id, &format!(r#""traceparent":"{PARENT}","tracestate":"a=b""#))
}

/// An answer that hands back one span of the caller's trace, below that parent.
fn handing_back(id: u32, trace: &str, parent: &str) -> String {
    format!(
        r#"{{"id":{id},"result":{{"_meta":{{"otel":{{"traces":{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{trace}","spanId":"1111111111111111","parentSpanId":"{parent}","name":"n"}}]}}]}}]}}}}}}}}}}"#
    )
}

fn is_ours(done: &Done) -> bool {
    let span = &done.span;
    span.trace_id[..2] != THEIRS && span.parent_span_id.is_empty() && span.trace_state.is_empty()
}

#[test]
fn with_link_the_trace_is_ours_and_the_callers_context_a_link() {
    let done = Tap::with(settings(Parent::Link)).c(&traced(1)).ok(1).only();
    assert!(is_ours(&done));
    assert_eq!(done.span.flags, 0x101);
    let [link] = &done.span.links[..] else { panic!("one link") };
    assert_eq!((&link.trace_id[..2], &link.span_id[..2]), (&THEIRS[..], &CALLER[..]));
    assert_eq!((link.trace_state.as_str(), link.flags), ("a=b", 0x301));
    let [why] = &link.attributes[..] else { panic!("one reason") };
    assert_eq!((why.key.as_str(), text(why).as_str()), (names::LINK, "parent"));
}

#[test]
fn with_own_nothing_tells_of_the_callers_context() {
    let done = Tap::with(settings(Parent::Own)).c(&traced(1)).ok(1).only();
    assert!(is_ours(&done) && done.span.links.is_empty());
}

#[test]
fn without_a_context_there_is_nothing_to_link_to() {
    for meta in ["", r#""traceparent":"00-zz""#] {
        let mut tap = Tap::with(settings(Parent::Link));
        let done = tap.c(&call(1, meta)).ok(1).only();
        assert!(is_ours(&done) && done.span.links.is_empty());
    }
}

#[test]
fn the_environments_context_is_treated_like_any_other() {
    for (parent, links) in [(Parent::Link, 1), (Parent::Own, 0)] {
        let ambient = TraceContext::parse(PARENT.as_bytes(), None);
        let mut tap = Tap::of(settings(parent), Identity { ambient, ..identity() });
        let done = tap.call(1).ok(1).only();
        assert!(is_ours(&done));
        assert_eq!(done.span.links.len(), links);
    }
}

#[test]
fn only_a_parent_says_that_nothing_is_sampled() {
    let unsampled = traced(1).replace("b7-01", "b7-00");
    for (parent, sampled) in [(Parent::Meta, false), (Parent::Link, true), (Parent::Own, true)] {
        let mut tap = Tap::with(settings(parent));
        assert_eq!(tap.c(&unsampled).ok(1).only().sampled, sampled, "{parent:?}");
    }
    let link = &Tap::with(settings(Parent::Link)).c(&unsampled).ok(1).only().span.links[0];
    assert_eq!(link.flags, 0x300);
}

#[test]
fn a_session_is_one_trace_whatever_its_callers_send() {
    for parent in [Parent::Link, Parent::Own] {
        let mut tap = Tap::with(Settings { trace: Traces::Session, ..settings(parent) });
        let other = traced(2).replace("0af7", "1111");
        let spans = tap.c(&traced(1)).ok(1).c(&other).ok(2).call(3).ok(3).spans();
        assert!(spans.iter().all(is_ours));
        assert!(spans.iter().all(|done| done.span.trace_id == spans[0].span.trace_id));
    }
}

#[test]
fn spans_that_are_handed_back_stay_in_the_callers_trace() {
    let (trace, caller) = ("0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7");
    for parent in [Parent::Meta, Parent::Link, Parent::Own] {
        for flags in ["01", "00"] {
            let mut tap = Tap::with(Settings { unsampled: Unsampled::Keep, ..settings(parent) });
            let wish = r#""otel":{"traces":{"request":true}}"#;
            let context = PARENT.replace("b7-01", &format!("b7-{flags}"));
            let spans = tap
                .c(&call(1, &format!(r#""traceparent":"{context}",{wish}"#)))
                .s(&handing_back(1, trace, caller))
                .spans();
            let [ours, theirs] = &spans[..] else { panic!("two spans with {parent:?}") };
            assert_eq!(is_ours(ours), parent != Parent::Meta);
            assert_eq!(theirs.span.trace_id[..2], THEIRS);
            assert_eq!(theirs.span.parent_span_id[..2], CALLER);
            let expected = if flags == "01" { 0x301 } else { 0x300 };
            assert_eq!(theirs.span.flags, expected, "{parent:?}");
        }
    }
}

#[test]
fn spans_that_are_handed_back_are_dropped_as_unsampled_only_with_their_parent() {
    for (parent, kept) in [(Parent::Meta, 0), (Parent::Link, 1), (Parent::Own, 1)] {
        let mut tap = Tap::with(settings(parent));
        let wish = r#""otel":{"traces":{"request":true}}"#;
        let context = PARENT.replace("b7-01", "b7-00");
        tap.c(&call(1, &format!(r#""traceparent":"{context}",{wish}"#)));
        tap.s(&handing_back(1, "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"));
        tap.spans();
        let passback = tap.counts().passback;
        assert_eq!((passback.spans, passback.refused.unsampled), (kept, 1 - kept), "{parent:?}");
    }
}

#[test]
fn a_hop_begins_a_trace_and_spans_that_are_handed_back_nest_below_it() {
    let hop = Hop { trace: [7; 16], server: [0x51; 8], client: [0xc1; 8] };
    for (parent, links) in [(Parent::Link, 1), (Parent::Own, 0)] {
        let mut tap = Tap::with(settings(parent));
        tap.session.edited(C, Edited { hop: Some(hop), asked: true });
        tap.c(&traced(1)).s(&handing_back(1, &"07".repeat(16), &"c1".repeat(8)));
        let spans = tap.spans();
        let [server, client, theirs] = &spans[..] else { panic!("three spans") };
        assert!(spans.iter().all(|done| done.span.trace_id == [7; 16]));
        assert!(is_ours(server));
        assert_eq!(client.span.parent_span_id, hop.server);
        assert_eq!(theirs.span.parent_span_id, hop.client);
        // The link is the SERVER span's: it is the one that the caller called.
        assert_eq!((server.span.links.len(), client.span.links.len()), (links, 0));
    }
}
