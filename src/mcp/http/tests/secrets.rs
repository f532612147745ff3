//! Credentials of a request go with what is told of its exchange, and with nothing else.

use super::*;
use crate::telemetry::Needs;

const CREDENTIALS: HeadContent<'static> =
    HeadContent { credentials: &[b"Bearer kettle-window"], headers: &[] };
const INITIALIZE: &str = r#"{"id":0,"method":"initialize","params":{}}"#;
const OTHERS: HeadContent<'static> =
    HeadContent { credentials: &[b"Bearer kettle-door-1"], headers: &[] };

fn request(id: u32) -> String {
    let meta =
        format!(r#""_meta":{{"traceparent":"{PARENT}","otel":{{"traces":{{"request":true}}}}}}"#);
    format!(r#"{{"id":{id},"method":"tools/call","params":{{"name":"t",{meta}}}}}"#)
}

fn answer(tap: &Tap, id: u32) -> String {
    let (trace, parent) = (&PARENT[3..35], &PARENT[36..52]);
    let times = format!(r#""startTimeUnixNano":"{}","endTimeUnixNano":"{}""#, tap.now, tap.now);
    let span = format!(
        r#"{{"traceId":"{trace}","spanId":"111111111111111{id}","parentSpanId":"{parent}","name":"n",{times}}}"#
    );
    let spans = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
    format!(r#"{{"id":{id},"result":{{"_meta":{{"otel":{{"traces":{spans}}}}}}}}}"#)
}

#[test]
fn they_go_with_its_spans_and_those_that_its_server_hands_back() {
    let mut tap = Tap::new();
    let with = RequestHead { content: CREDENTIALS, ..POST };
    for (id, head) in [(1, &with), (2, &POST)] {
        let x = tap.send(head, &request(id));
        let answer = answer(&tap, id);
        tap.reply(x, 200, &answer);
    }
    let spans = tap.spans();
    let told = |done: &&Done| !done.seen.secrets.is_empty();
    assert_eq!((spans.len(), spans.iter().filter(told).count()), (4, 2));
    let ids: Vec<&str> = spans.iter().filter(told).map(|d| d.get(names::REQUEST_ID)).collect();
    assert!(ids.iter().all(|id| *id == "1" || id.is_empty()), "{ids:?}");
}

#[test]
fn they_are_kept_only_where_somebody_searches_for_them() {
    let mut tap = Tap::new();
    tap.http.keep(Needs { secrets: false, ..Needs::ALL });
    let x = tap.send(&RequestHead { content: CREDENTIALS, ..POST }, &call(1));
    assert!(tap.reply(x, 200, &ok(1)).only().seen.secrets.is_empty());
}

fn sets(done: &Done) -> usize {
    done.seen.secrets.sets().len()
}

#[test]
fn what_a_session_carried_goes_with_all_that_is_told_of_it_and_of_no_other() {
    let mut tap = Tap::new();
    let x = tap.send(&RequestHead { content: CREDENTIALS, ..POST }, INITIALIZE);
    tap.step();
    let session = Some(&b"session-of-one"[..]);
    let granted = ResponseHead { status: 200, kind: BodyKind::Other, session, content: NOTHING };
    tap.http.response(x, &granted, tap.now);
    tap.bytes(x, &ok(0)).end(x);
    assert_eq!(sets(&tap.only()), 2, "its own, and the session's id");

    let in_session = RequestHead { session, ..POST };
    let x = tap.send(&in_session, &call(1));
    tap.reply(x, 200, &ok(1));
    let done = tap.only();
    assert_eq!(sets(&done), 2, "those of the handshake");
    let x = tap.send(&RequestHead { content: OTHERS, ..in_session }, &call(2));
    tap.reply(x, 200, &ok(2));
    assert_eq!(sets(&tap.only()), 2, "one set has the session's id and its own");
    let x = tap.send(&in_session, &call(3));
    tap.reply(x, 200, &ok(3));
    let (first, second) = (tap.only(), {
        let x = tap.send(&in_session, &call(4));
        tap.reply(x, 200, &ok(4));
        tap.only()
    });
    assert!(first.seen.secrets == second.seen.secrets, "shared while nothing changes");

    let other = RequestHead { session: Some(b"session-of-other"), ..POST };
    let x = tap.send(&other, &call(1));
    tap.reply(x, 200, &ok(1));
    let stranger = tap.only();
    let theirs = done.seen.secrets.sets();
    assert_eq!(sets(&stranger), 1);
    assert!(!stranger.seen.secrets.sets().iter().any(|s| theirs.iter().any(|t| Arc::ptr_eq(s, t))));
    let x = tap.post(&call(9));
    assert_eq!(sets(&tap.reply(x, 200, &ok(9)).only()), 0);
}

#[test]
fn what_is_asked_and_answered_on_another_exchange_of_a_session_has_its_secrets() {
    let mut tap = Tap::new();
    tap.session();
    let x = tap.begin(&RequestHead { session: Some(b"s"), content: CREDENTIALS, ..GET });
    tap.http.ended(x, C, tap.now);
    tap.stream(x);
    let y = tap.say(&call(1));
    tap.reply(y, 202, "");
    tap.event(x, r#"{"id":"e","method":"roots/list"}"#).event(x, &ok(1));
    assert_eq!(sets(&tap.only()), 1);
    tap.broken(x, Party::Client);
    let z = tap.begin(&RequestHead { session: Some(b"s"), resumes: true, content: OTHERS, ..GET });
    tap.http.ended(z, C, tap.now);
    tap.stream(z);
    tap.say(r#"{"id":"e","result":{"roots":[]}}"#);
    assert_eq!(sets(&tap.only()), 2);
}

#[test]
fn all_calls_of_a_batch_have_them_and_they_are_forgotten_after_a_while() {
    let mut tap = Tap::new();
    tap.session();
    let head = RequestHead { content: CREDENTIALS, ..IN_SESSION };
    let x = tap.send(&head, &format!("[{},{}]", call(1), call(2)));
    tap.reply(x, 200, &format!("[{},{}]", ok(2), ok(1)));
    let both: Vec<usize> = tap.spans().iter().map(sets).collect();
    assert_eq!(both, [1, 1]);
    tap.wait(9 * 60);
    let x = tap.say(&call(3));
    assert_eq!(sets(&tap.reply(x, 200, &ok(3)).only()), 1);
    tap.wait(60);
    let x = tap.say(&call(4));
    assert_eq!(sets(&tap.reply(x, 200, &ok(4)).only()), 0);
}

#[test]
fn an_id_that_a_server_says_again_and_again_is_searched_for_once() {
    let mut tap = Tap::new();
    let session = Some(&b"session-of-one"[..]);
    let told: Vec<Done> = (0..2)
        .map(|id| {
            let x = tap.send(&RequestHead { session, content: CREDENTIALS, ..POST }, &call(id));
            tap.step();
            let head =
                ResponseHead { status: 200, kind: BodyKind::Other, session, content: NOTHING };
            tap.http.response(x, &head, tap.now);
            tap.bytes(x, &ok(id)).end(x);
            tap.only()
        })
        .collect();
    assert_eq!(told.iter().map(sets).collect::<Vec<_>>(), [1, 1]);
    assert!(told[0].seen.secrets == told[1].seen.secrets);
}

#[test]
fn a_cookie_that_a_server_sets_is_searched_for_at_once() {
    let mut tap = Tap::new();
    let x = tap.post(&call(1));
    tap.step();
    let content = HeadContent { credentials: &[b"kettle-cookie"], headers: &[] };
    let head = ResponseHead { status: 200, kind: BodyKind::Other, session: None, content };
    tap.http.response(x, &head, tap.now);
    assert_eq!(sets(&tap.bytes(x, &ok(1)).end(x).only()), 1);
}
