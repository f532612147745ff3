//! Streams that break off and are resumed (2025-03-26 to 2025-11-25), with what is sent again.

use super::*;

/// A session with one call whose stream brought an event id, and that stream.
fn interrupted(tap: &mut Tap) -> Exchange {
    let x = tap.session().say(&call(1).replace(r#""t""#, r#""t","_meta":{"progressToken":1}"#));
    tap.stream(x).event_with_id(x, "a", "").event_with_id(x, "b", &progress(1));
    x
}

fn progress(n: u32) -> String {
    format!(
        r#"{{"method":"notifications/progress","params":{{"progressToken":1,"progress":{n}}}}}"#
    )
}

fn resume(tap: &mut Tap) -> Exchange {
    let x = tap.begin(&RequestHead { session: Some(b"s"), resumes: true, ..GET });
    tap.stream(x);
    x
}

#[test]
fn a_stream_with_event_ids_may_end_before_the_answer() {
    for party in [None, Some(Party::Server), Some(Party::Client)] {
        let mut tap = Tap::new();
        let x = interrupted(&mut tap);
        match party {
            None => tap.end(x),
            Some(party) => tap.broken(x, party),
        };
        assert_eq!(tap.counts().in_flight, 1);
        let y = resume(&mut tap);
        tap.event_with_id(y, "c", &progress(2)).event_with_id(y, "d", &ok(1));
        let done = tap.only();
        assert_eq!((done.outcome(), done.span.events.len()), ("ok", 2));
    }
}

#[test]
fn what_is_sent_again_is_not_counted_again() {
    let mut tap = Tap::new();
    let x = interrupted(&mut tap);
    tap.event_with_id(x, "c", r#"{"id":7,"method":"ping"}"#).broken(x, Party::Client);
    let y = resume(&mut tap);
    tap.event_with_id(y, "b", &progress(1));
    tap.event_with_id(y, "c", r#"{"id":7,"method":"ping"}"#);
    tap.event_with_id(y, "d", &progress(2)).event_with_id(y, "e", &ok(1)).broken(y, Party::Client);
    let z = resume(&mut tap);
    tap.event_with_id(z, "e", &ok(1));
    tap.say(r#"{"id":7,"result":{}}"#);
    let spans = tap.spans();
    assert_eq!(spans[0].span.events.len(), 2);
    assert_eq!((spans.len(), spans[1].span.name.as_str()), (2, "ping"));
    let counts = tap.counts();
    assert_eq!((counts.replayed, counts.orphans, counts.duplicate_ids), (3, 0, 0));
}

/// Servers that number the events of each stream anew send the same ids for other messages.
#[test]
fn an_answer_that_is_waited_for_is_read_whatever_its_event_id() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    tap.stream(x).event_with_id(x, "1", &progress(1)).event_with_id(x, "2", &ok(1)).end(x);
    let x = tap.say(&call(2));
    tap.stream(x).event_with_id(x, "1", &progress(1)).broken(x, Party::Client);
    let y = resume(&mut tap);
    tap.event_with_id(y, "2", &ok(2));
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok"), ("2", "ok")]));
}
