//! The three shapes of what clients post, and what their spans are held to.

use super::*;
use crate::otlp::Messages;
use crate::telemetry::Raw;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

fn post(body: &str, header: Option<&str>, rules: &Passback) -> Result<Received, &'static str> {
    let posted = Posted {
        body: body.as_bytes(),
        traceparent: header.map(str::as_bytes),
        server: "files",
        now: START + 60 * SECOND,
        unsampled: Unsampled::Drop,
    };
    let received = posted.take_in(rules, &HandedBack::default())?;
    assert!(received.counts.balanced());
    assert_eq!(received.telemetry.items() as u64, received.counts.spans);
    Ok(received)
}

fn only(received: &Received) -> Span {
    let Messages::Traces(all) = received.telemetry.messages() else { panic!("spans") };
    let mut spans = all.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
    let span = spans.next().unwrap().clone();
    assert!(spans.next().is_none());
    span
}

#[test]
fn each_shape_is_read_with_the_context_beside_it_or_in_the_header() {
    let rules = Passback::default();
    let traces = traces(&[span(1, 0, "")]);
    let beside = traces.replacen('{', &format!(r#"{{"traceparent":"{TRACEPARENT}","#), 1);
    let meta = format!(r#"{{"otel":{{"traces":{traces}}}}}"#);
    let whole_meta = meta.replacen('{', &format!(r#"{{"traceparent":"{TRACEPARENT}","#), 1);
    let response =
        format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"content":[],"_meta":{meta}}}}}"#);
    let error =
        format!(r#"{{"id":"7","error":{{"code":1,"message":"m","data":{{"_meta":{meta}}}}}}}"#);
    for (body, header) in [
        (&traces, Some(TRACEPARENT)),
        (&beside, None),
        (&meta, Some(TRACEPARENT)),
        (&whole_meta, None),
        (&response, Some(TRACEPARENT)),
        (&error, Some(TRACEPARENT)),
    ] {
        let received = post(body, header, &rules).expect(body);
        let span = only(&received);
        assert_eq!(span.parent_span_id, bytes::<8>(PARENT));
        assert_eq!(attributes(&span)[names::SERVER_NAME], "files");
        let id = attributes(&span).get(names::REQUEST_ID).cloned();
        assert_eq!(id.is_some(), [&response, &error].contains(&body), "{body}");
    }
}

#[test]
fn what_cannot_be_taken_in_is_said() {
    let rules = Passback::default();
    let good = traces(&[span(1, 0, "")]);
    for body in ["", "[]", "{", "{}", r#"{"id":1,"result":{}}"#, "{}{}", &"[".repeat(1000)] {
        assert!(post(body, Some(TRACEPARENT), &rules).is_err(), "{body}");
    }
    assert!(post(&good, None, &rules).unwrap_err().contains("traceparent"));
    assert!(post(&good, Some("00-zz"), &rules).unwrap_err().contains("malformed"));
    let foreign = TRACEPARENT.replace("0af7", "0af8");
    let received = post(&good, Some(&foreign), &rules).unwrap();
    assert_eq!((received.counts.spans, received.counts.refused.foreign_trace), (0, 1));
}

#[test]
fn orphans_may_be_kept_as_they_are_and_are_marked() {
    let rules = Passback { orphans: Orphans::Mark, ..Passback::default() };
    let root = span(1, 0, "").replace(&format!(r#""parentSpanId":"{PARENT}","#), "");
    let other = span(2, 1, "").replace(TRACE, &"7".repeat(32));
    let received = post(&traces(&[root, other]), None, &rules).unwrap();
    let root = only(&received);
    assert_eq!(
        (root.trace_id.as_slice(), root.parent_span_id.as_slice()),
        (&bytes::<16>(TRACE)[..], &[][..])
    );
    assert_eq!(attributes(&root)[names::PASSBACK_ORPHAN], "BoolValue(true)");
    assert_eq!(received.counts.refused.foreign_trace, 1);
}

#[test]
fn times_of_a_call_that_was_not_seen_are_believed_unless_they_are_in_the_future() {
    let rules = Passback::default();
    let future = (START + 90_000 * SECOND).to_string();
    let json = traces(&[span(1, 0, "").replace(&(START + 2 * SECOND).to_string(), &future)]);
    let span = only(&post(&json, Some(TRACEPARENT), &rules).unwrap());
    assert_eq!(span.start_time_unix_nano, START + SECOND);
    assert_eq!(span.end_time_unix_nano, START + 60 * SECOND);
    let json = traces(&[super::span(1, 0, "").replace(&format!("\"{}\"", START + SECOND), "0")]);
    let span = only(&post(&json, Some(TRACEPARENT), &rules).unwrap());
    assert_eq!(span.start_time_unix_nano, START + 60 * SECOND);
}

#[test]
fn content_comes_beside_the_spans() {
    let json = with_attributes(&string("gen_ai.tool.call.arguments", r#"{\"a\":1}"#));
    let received = post(&json, Some(TRACEPARENT), &Passback::default()).unwrap();
    let seen = received.content.of(&bytes::<16>(TRACE), &[1; 8]).unwrap();
    assert!(seen.arguments == Raw::Whole(::bytes::Bytes::from_static(br#"{"a":1}"#)));
}
