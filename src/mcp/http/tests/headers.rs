//! Headers that the user wants to see stand beside the spans of their exchange, as long as somebody redacts.

use super::*;
use crate::telemetry::{Header, Headers, Needs};

fn keys() -> [Arc<str>; 2] {
    ["http.request.header.x-one", "http.response.header.retry-after"].map(Arc::from)
}

fn asked<'a>(tap: &mut Tap, fields: &'a [HeadField<'a>], body: &str) -> Exchange {
    let content = HeadContent { credentials: &[], headers: fields };
    tap.send(&RequestHead { content, ..POST }, body)
}

fn replied(tap: &mut Tap, x: Exchange, status: u16, fields: &[HeadField<'_>], body: &str) {
    tap.step();
    let content = HeadContent { credentials: &[], headers: fields };
    let head = ResponseHead { status, kind: BodyKind::Other, session: None, content };
    tap.http.response(x, &head, tap.now);
    tap.bytes(x, body).end(x);
}

fn told(headers: &Headers) -> Vec<(&str, Vec<Option<&str>>)> {
    let mut all = Vec::new();
    for Header { key, values } in headers.iter() {
        all.push((&**key, values.iter().map(Option::as_deref).collect()));
    }
    all
}

#[test]
fn those_of_a_call_are_those_of_its_request_and_its_response() {
    let (mut tap, [one, retry]) = (Tap::new(), &keys());
    let values = [Some(&b"a"[..]), Some(b"b"), None, Some(b"\xff")];
    let fields = values.map(|value| HeadField { key: one, value });
    let x = asked(&mut tap, &fields, &format!("[{},{}]", call(1), call(2)));
    let after = [HeadField { key: retry, value: Some(b"5") }];
    replied(&mut tap, x, 200, &after, &ok(1));
    let spans = tap.spans();
    let expected = [
        ("http.request.header.x-one", vec![Some("a"), Some("b"), None, None]),
        ("http.response.header.retry-after", vec![Some("5")]),
    ];
    assert_eq!(spans.len(), 2);
    spans.iter().for_each(|done| assert_eq!(told(&done.seen.headers), expected));
}

#[test]
fn a_call_that_http_refused_has_those_of_the_response() {
    let (mut tap, [_, retry]) = (Tap::new(), &keys());
    let x = asked(&mut tap, &[], &call(1));
    replied(&mut tap, x, 429, &[HeadField { key: retry, value: Some(b"7") }], "slow down");
    let done = tap.only();
    assert_eq!(done.outcome(), "rate_limited");
    assert_eq!(told(&done.seen.headers), [("http.response.header.retry-after", vec![Some("7")])]);
}

#[test]
fn nothing_is_kept_where_nobody_redacts_or_there_is_no_room() {
    let [one, _] = &keys();
    let field = [HeadField { key: one, value: Some(b"a") }];
    let mut tap = Tap::new();
    tap.http.keep(Needs { secrets: false, ..Needs::ALL });
    let x = asked(&mut tap, &field, &call(1));
    assert_eq!(tap.reply(x, 200, &ok(1)).only().seen.headers, Headers::default());
    assert_eq!(tap.counts().content_dropped, 0);

    let mut tap = Tap::with(Settings { max_content_bytes: 10, ..Settings::default() });
    let x = asked(&mut tap, &field, &call(1));
    assert_eq!(tap.reply(x, 200, &ok(1)).only().seen.headers, Headers::default());
    assert_eq!(tap.counts().content_dropped, 1);
}

#[test]
fn streams_that_hold_many_give_up_what_has_no_room() {
    let (mut tap, [one, _]) = (Tap::new(), &keys());
    let large = "x".repeat(30 << 10);
    let fields = [HeadField { key: one, value: Some(large.as_bytes()) }];
    let content = HeadContent { credentials: &[], headers: &fields };
    let all: Vec<Exchange> =
        (0..1200).map(|_| tap.begin(&RequestHead { content, ..GET })).collect();
    assert!(tap.http.buffered <= MAX_BUFFERED, "{}", tap.http.buffered);
    assert!(tap.counts().content_dropped > 100);
    all.into_iter().for_each(|x| {
        tap.broken(x, Party::Client);
    });
    assert_eq!(tap.http.buffered, 0);
}
