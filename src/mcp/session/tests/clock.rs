//! A wall clock that jumps: spans that begin later are told by it, and nothing else moves.

use super::*;
use crate::mcp::testing::jumped;

const HOUR: u64 = 3600;

fn times(done: &Done) -> (u64, u64) {
    (done.span.start_time_unix_nano, done.span.end_time_unix_nano)
}

#[test]
fn a_call_that_was_open_has_its_duration_and_the_start_that_it_was_stamped_with() {
    for seconds in [HOUR as i64, -600] {
        let mut tap = Tap::new();
        tap.call(1);
        let asked = tap.now;
        let offset = jumped(seconds);
        tap.session.anchor(offset);
        tap.ok(1).call(2).ok(2);
        let spans = tap.spans();
        assert_eq!(times(&spans[0]), (asked, asked + SECOND));
        let later = offset.wall(asked + 2 * SECOND);
        assert_eq!(times(&spans[1]), (later, later + SECOND));
        assert!(later.abs_diff(asked) > 590 * SECOND);
    }
}

#[test]
fn events_stay_within_their_call_and_both_spans_of_a_hop_agree() {
    let mut tap = Tap::new();
    let hop = crate::mcp::Hop { trace: [7; 16], server: [1; 8], client: [2; 8] };
    tap.session.edited(C, Edited { hop: Some(hop), asked: false });
    tap.c(r#"{"id":1,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":1}}}"#);
    let asked = tap.now;
    tap.session.anchor(jumped(HOUR as i64));
    tap.s(r#"{"method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#);
    let spans = tap.ok(1).spans();
    assert_eq!(times(&spans[0]), times(&spans[1]));
    assert_eq!(times(&spans[1]), (asked, asked + 2 * SECOND));
    assert_eq!(spans[1].span.events[0].time_unix_nano, asked + SECOND);
}

#[test]
fn nothing_times_out_is_late_or_begins_a_trace_for_it() {
    for seconds in [10 * HOUR as i64, -10 * HOUR as i64] {
        let mut tap = Tap::with(Settings { trace: Traces::Session, ..Settings::default() });
        tap.call(1).call(2).cancel(2);
        tap.session.anchor(jumped(seconds));
        tap.wait(1).ok(2).ok(1).call(3).ok(3);
        let spans = tap.spans();
        let outcomes: Vec<_> = spans.iter().map(Done::outcome).collect();
        assert_eq!(outcomes, ["cancelled", "ok", "ok"]);
        assert_eq!((tap.counts().late, tap.counts().orphans), (1, 0));
        assert!(spans.iter().all(|done| done.span.trace_id == spans[0].span.trace_id));
        // And what is due comes in its time.
        tap.call(4).wait(1801);
        assert_eq!(tap.outcomes(), pairs(&[("4", "timeout")]));
    }
}

#[test]
fn spans_that_are_handed_back_by_the_same_clock_are_not_moved() {
    let mut tap = Tap::new();
    let offset = jumped(HOUR as i64);
    tap.session.anchor(offset);
    let wish = format!(r#""traceparent":"{PARENT}","otel":{{"traces":{{"request":true}}}}"#);
    tap.c(&format!(
        r#"{{"id":1,"method":"tools/call","params":{{"name":"t","_meta":{{{wish}}}}}}}"#
    ));
    let began = offset.wall(tap.now) + 1;
    let span = format!(
        r#"{{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"1111111111111111","parentSpanId":"00f067aa0ba902b7","name":"n","startTimeUnixNano":"{began}","endTimeUnixNano":"{}"}}"#,
        began + 1
    );
    tap.s(&format!(
        r#"{{"id":1,"result":{{"_meta":{{"otel":{{"traces":{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}}}}}}}}}"#
    ));
    let spans = tap.spans();
    assert_eq!(times(&spans[1]), (began, began + 1));
    assert_eq!(tap.counts().passback.moved, 0);
}
