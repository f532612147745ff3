//! Writes what is observed of heads for the way through the queue, and reads it there: a list of fields, each
//! a tag, a length and a value.
//!
//! A header that is to be observed is a row of [`OF_REQUESTS`] or [`OF_RESPONSES`], and a member of the head
//! that the state machine is shown. What only redaction has use for goes beside them.

mod beside;

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Version};

use super::decode::Coding;
use super::headers::{
    LAST_EVENT_ID, METHOD, NAME, PROTOCOL, Present, SESSION, TRACEPARENT, TRACESTATE,
};
use crate::mcp::{BodyKind, HeadContent, MAX_MIRRORED, RequestHead, ResponseHead, Verb};

pub(super) use self::beside::Beside;

/// The longest value of a header that is handed over, in bytes: session ids and trace contexts are far
/// shorter.
const MAX_VALUE: usize = 1024;
/// The longest target, in bytes.
const MAX_TARGET: usize = 4096;

/// A header that is observed.
struct Row<Show> {
    name: HeaderName,
    /// The field that has to be there for a look to be worth it.
    among: Option<Present>,
    /// The longest value, in bytes; 0 where it matters only that it is there.
    max: usize,
    /// Puts the value where the state machine sees it.
    show: Show,
}

type ShowInRequest = for<'a> fn(&mut RequestHead<'a>, &'a [u8]);
type ShowInResponse = for<'a> fn(&mut ResponseHead<'a>, &'a [u8]);

static OF_REQUESTS: [Row<ShowInRequest>; 7] = [
    Row {
        name: SESSION,
        among: Some(Present::SESSION),
        max: MAX_VALUE,
        show: |head, value| head.session = Some(value),
    },
    Row {
        name: PROTOCOL,
        among: None,
        max: MAX_VALUE,
        show: |head, value| head.protocol_version = Some(value),
    },
    Row {
        name: TRACEPARENT,
        among: Some(Present::TRACE),
        max: MAX_VALUE,
        show: |head, value| head.traceparent = Some(value),
    },
    Row {
        name: TRACESTATE,
        among: Some(Present::TRACE),
        max: MAX_VALUE,
        show: |head, value| head.tracestate = Some(value),
    },
    Row {
        name: LAST_EVENT_ID,
        among: Some(Present::LAST_EVENT),
        max: 0,
        show: |head, _| head.resumes = true,
    },
    Row {
        name: METHOD,
        among: Some(Present::MIRRORED),
        max: MAX_MIRRORED,
        show: |head, value| head.method = Some(value),
    },
    Row {
        name: NAME,
        among: Some(Present::MIRRORED),
        max: MAX_MIRRORED,
        show: |head, value| head.name = Some(value),
    },
];

static OF_RESPONSES: [Row<ShowInResponse>; 1] = [Row {
    name: SESSION,
    among: Some(Present::SESSION),
    max: MAX_VALUE,
    show: |head, value| head.session = Some(value),
}];

/// Tags of the fields that are no headers.
mod tag {
    pub(super) const CODING: u8 = 0;
    pub(super) const SERVER: u8 = 1;
    pub(super) const VERB: u8 = 2;
    pub(super) const VERSION: u8 = 3;
    pub(super) const TARGET: u8 = 4;
    pub(super) const STATUS: u8 = 5;
    pub(super) const EVENTS: u8 = 6;
    pub(super) const CREDENTIAL: u8 = 7;
    /// A header that the user wants to see: its place in the list, and its value.
    pub(super) const SHOWN: u8 = 8;
    /// One that is too long: its place alone.
    pub(super) const WITHHELD: u8 = 9;
    /// The first row of a table of headers.
    pub(super) const HEADERS: u8 = 16;
}

/// The head of a request that may be MCP, as it goes into the queue.
#[derive(Debug)]
pub(super) struct Request {
    /// It may hold JSON-RPC.
    pub(super) post: bool,
    pub(super) bytes: Vec<u8>,
}

/// The head of a response, as it goes into the queue.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) kind: BodyKind,
    pub(super) coding: Coding,
    pub(super) bytes: Vec<u8>,
}

/// The verb of a method that MCP uses.
pub(super) fn verb(method: &Method) -> Option<Verb> {
    match *method {
        Method::POST => Some(Verb::Post),
        Method::GET => Some(Verb::Get),
        Method::DELETE => Some(Verb::Delete),
        _ => None,
    }
}

impl Request {
    /// Writes the head of a request for the server of a route, with the headers that are `shown`.
    pub(super) fn of(
        (route, verb): (u16, Verb),
        head: &Parts,
        present: Present,
        coding: Coding,
        shown: &[HeaderName],
    ) -> Request {
        let version = match head.version {
            Version::HTTP_2 => 20,
            Version::HTTP_10 => 10,
            _ => 11,
        };
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut bytes = Vec::with_capacity(192);
        put(&mut bytes, tag::CODING, &[coding as u8]);
        put(&mut bytes, tag::SERVER, &route.to_le_bytes());
        put(&mut bytes, tag::VERB, &[verb as u8]);
        put(&mut bytes, tag::VERSION, &[version]);
        put(&mut bytes, tag::TARGET, first(target.as_bytes(), MAX_TARGET));
        put_headers(&mut bytes, &OF_REQUESTS, &head.headers, present);
        beside::put_credentials(&mut bytes, &head.headers, present);
        beside::put_shown(&mut bytes, &head.headers, shown);
        Request { post: verb == Verb::Post, bytes }
    }
}

impl Response {
    /// Writes the head of a response, with the headers that are `shown`.
    pub(super) fn of(
        status: StatusCode,
        headers: &HeaderMap,
        present: Present,
        shown: &[HeaderName],
    ) -> Response {
        let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let kind = kind.split(|b| *b == b';').next().unwrap_or_default();
        let events = kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream");
        let kind = if events { BodyKind::Sse } else { BodyKind::Other };
        let coding = super::headers::coding(headers, present);
        let mut response = Response::with(status.as_u16(), kind, coding);
        put_headers(&mut response.bytes, &OF_RESPONSES, headers, present);
        beside::put_credentials(&mut response.bytes, headers, present);
        beside::put_shown(&mut response.bytes, headers, shown);
        response
    }

    /// Writes the head of a response in which nothing else is observed.
    pub(super) fn with(status: u16, kind: BodyKind, coding: Coding) -> Response {
        let mut bytes = Vec::with_capacity(64);
        put(&mut bytes, tag::CODING, &[coding as u8]);
        put(&mut bytes, tag::STATUS, &status.to_le_bytes());
        if kind == BodyKind::Sse {
            put(&mut bytes, tag::EVENTS, &[]);
        }
        Response { kind, coding, bytes }
    }
}

fn put_headers<Show>(out: &mut Vec<u8>, rows: &[Row<Show>], headers: &HeaderMap, present: Present) {
    for (row, tag) in rows.iter().zip(tag::HEADERS..) {
        if row.among.is_none_or(|one| present.has(one))
            && let Some(value) = headers.get(&row.name)
        {
            put(out, tag, first(value.as_bytes(), row.max));
        }
    }
}

fn first(value: &[u8], max: usize) -> &[u8] {
    &value[..value.len().min(max)]
}

fn put(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    // Every limit fits.
    let length = u16::try_from(value.len()).unwrap_or(0);
    out.push(tag);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&value[..length.into()]);
}

/// Reads the head of a request, and how its body is encoded; `None` for anything else, which would be a bug.
pub(super) fn request(bytes: &[u8]) -> Option<(RequestHead<'_>, Coding, Beside<'_>)> {
    let (mut coding, mut beside) = (Coding::Unknown, Beside::default());
    let mut head = RequestHead {
        server: 0,
        verb: Verb::Other,
        target: b"",
        http_version: 0,
        session: None,
        protocol_version: None,
        traceparent: None,
        tracestate: None,
        resumes: false,
        content: HeadContent::default(),
        method: None,
        name: None,
    };
    fields(bytes, |tag, value| {
        match (tag, value) {
            (tag::CODING, &[byte]) => coding = Coding::of(byte),
            (tag::SERVER, &[low, high]) => head.server = u16::from_le_bytes([low, high]).into(),
            (tag::VERB, &[byte]) => {
                let known = [Verb::Post, Verb::Get, Verb::Delete];
                head.verb = known.into_iter().find(|verb| *verb as u8 == byte)?;
            }
            (tag::VERSION, &[byte]) => head.http_version = byte,
            (tag::TARGET, target) => head.target = target,
            (..tag::HEADERS, _) => beside.field(tag, value)?,
            _ => (OF_REQUESTS.get(usize::from(tag.checked_sub(tag::HEADERS)?))?.show)(
                &mut head, value,
            ),
        }
        Some(())
    })?;
    (head.verb != Verb::Other).then_some((head, coding, beside))
}

/// Reads the head of a response, and how its body is encoded; `None` for anything else, which would be a bug.
pub(super) fn response(bytes: &[u8]) -> Option<(ResponseHead<'_>, Coding, Beside<'_>)> {
    let (mut coding, mut beside) = (Coding::Unknown, Beside::default());
    let content = HeadContent::default();
    let mut head = ResponseHead { status: 0, kind: BodyKind::Other, session: None, content };
    fields(bytes, |tag, value| {
        match (tag, value) {
            (tag::CODING, &[byte]) => coding = Coding::of(byte),
            (tag::STATUS, &[low, high]) => head.status = u16::from_le_bytes([low, high]),
            (tag::EVENTS, []) => head.kind = BodyKind::Sse,
            (..tag::HEADERS, _) => beside.field(tag, value)?,
            _ => (OF_RESPONSES.get(usize::from(tag.checked_sub(tag::HEADERS)?))?.show)(
                &mut head, value,
            ),
        }
        Some(())
    })?;
    (head.status > 0).then_some((head, coding, beside))
}

/// Hands every field to `each`; `None` if one is cut short, or if `each` says so.
fn fields<'a>(mut bytes: &'a [u8], mut each: impl FnMut(u8, &'a [u8]) -> Option<()>) -> Option<()> {
    while let Some((&[tag, low, high], rest)) = bytes.split_first_chunk() {
        let (value, rest) = rest.split_at_checked(u16::from_le_bytes([low, high]).into())?;
        each(tag, value)?;
        bytes = rest;
    }
    bytes.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hyper::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
    use proptest::prelude::*;

    use super::*;

    const SHOWN: [HeaderName; 2] =
        [HeaderName::from_static("x-one"), HeaderName::from_static("x-two")];

    fn keys() -> [Arc<str>; 2] {
        ["one", "two"].map(Arc::from)
    }

    fn shown<'a>(beside: &Beside<'a>, keys: &'a [Arc<str>]) -> Vec<(&'a str, Option<&'a [u8]>)> {
        beside.headers(keys).iter().map(|field| (&**field.key, field.value)).collect()
    }

    fn parts(headers: &[(HeaderName, &str)]) -> Parts {
        let mut request = hyper::Request::delete("/mcp?x=1").version(Version::HTTP_2);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn written(headers: &[(HeaderName, &str)]) -> Vec<u8> {
        let head = parts(headers);
        let present = Present::among(&head.headers);
        Request::of((300, Verb::Delete), &head, present, Coding::Zstd, &SHOWN).bytes
    }

    #[test]
    fn a_request_comes_out_as_it_went_in() {
        let bytes = written(&[(SESSION, "id"), (TRACEPARENT, ""), (LAST_EVENT_ID, "7")]);
        let (head, coding, _) = request(&bytes).unwrap();
        assert_eq!((head.server, head.verb, head.http_version), (300, Verb::Delete, 20));
        assert_eq!((head.target, coding), (&b"/mcp?x=1"[..], Coding::Zstd));
        assert_eq!((head.session, head.traceparent), (Some(&b"id"[..]), Some(&b""[..])));
        assert_eq!((head.protocol_version, head.tracestate, head.resumes), (None, None, true));
        let bytes = written(&[(PROTOCOL, "v"), (TRACESTATE, "s")]);
        let (head, ..) = request(&bytes).unwrap();
        assert_eq!((head.protocol_version, head.tracestate), (Some(&b"v"[..]), Some(&b"s"[..])));
        assert_eq!((head.session, head.resumes), (None, false));
    }

    #[test]
    fn a_response_comes_out_as_it_went_in() {
        let mut headers = HeaderMap::new();
        headers.insert(SESSION, HeaderValue::from_static("s"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("Text/Event-Stream ; charset=utf-8"));
        let present = Present::among(&headers);
        let written = Response::of(StatusCode::NOT_FOUND, &headers, present, &[]);
        let (head, coding, _) = response(&written.bytes).unwrap();
        assert_eq!((head.status, head.kind, head.session), (404, BodyKind::Sse, Some(&b"s"[..])));
        assert_eq!((written.kind, coding), (BodyKind::Sse, Coding::Identity));
        let written = Response::with(200, BodyKind::Other, Coding::Gzip);
        let (head, coding, _) = response(&written.bytes).unwrap();
        assert_eq!((head.status, head.kind, head.session), (200, BodyKind::Other, None));
        assert_eq!(coding, Coding::Gzip);
    }

    #[test]
    fn credentials_come_out_by_what_their_headers_are_called() {
        let custom = |name| HeaderName::from_static(name);
        let bytes = written(&[
            (AUTHORIZATION, "Bearer a"),
            (custom("accept"), "b"),
            (COOKIE, "c=d"),
            (custom("x-acme-token"), "e"),
            (custom("x-acme-token"), "f"),
            (SESSION, "g"),
            (PROTOCOL, "h"),
        ]);
        let (head, _, beside) = request(&bytes).unwrap();
        let mut credentials = beside.credentials.clone();
        credentials.sort();
        assert_eq!(credentials, [&b"Bearer a"[..], b"c=d", b"e", b"f"]);
        assert_eq!(head.session, Some(&b"g"[..]));

        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("s=one; Path=/mcp"));
        headers.append(SET_COOKIE, HeaderValue::from_static("t=two"));
        let written = Response::of(StatusCode::OK, &headers, Present::among(&headers), &[]);
        let (_, _, beside) = response(&written.bytes).unwrap();
        assert_eq!(beside.credentials, [&b"one"[..], b"two"]);
    }

    #[test]
    fn headers_that_are_wanted_come_out_in_their_order() {
        let (one, two, keys) = (SHOWN[0].clone(), SHOWN[1].clone(), keys());
        let long = "x".repeat(10_000);
        let fields =
            [(two.clone(), "2"), (HeaderName::from_static("x-three"), "3"), (one.clone(), "1")];
        let bytes = written(&[&fields[..], &[(two, ""), (one, &long)]].concat());
        let (_, _, beside) = request(&bytes).unwrap();
        assert_eq!(
            shown(&beside, &keys),
            [("one", Some(&b"1"[..])), ("one", None), ("two", Some(b"2")), ("two", Some(b""))]
        );
        assert_eq!(shown(&beside, &keys[..1]).len(), 2, "a list that is shorter");
    }

    #[test]
    fn what_goes_beside_is_bounded() {
        let (value, names) = ("x".repeat(9000), ["authorization", "x-acme-token", "x-one"]);
        let many =
            (0..100).flat_map(|_| names.map(|name| (HeaderName::from_static(name), &*value)));
        let bytes = written(&many.collect::<Vec<_>>());
        assert!(bytes.len() < 40 << 10, "{}", bytes.len());
        let (_, _, beside) = request(&bytes).unwrap();
        assert_eq!((beside.credentials.len(), shown(&beside, &keys()).len()), (64, 64));
    }

    #[test]
    fn long_values_are_cut() {
        let bytes = written(&[(SESSION, &"x".repeat(60_000)), (TRACESTATE, "s")]);
        let (head, ..) = request(&bytes).unwrap();
        assert_eq!((head.session.unwrap().len(), head.tracestate), (MAX_VALUE, Some(&b"s"[..])));
    }

    proptest! {
        #[test]
        fn other_bytes_are_no_head_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = (request(&bytes), response(&bytes));
        }

        #[test]
        fn a_head_that_is_cut_short_is_none(cut in 1usize..3) {
            let bytes = written(&[(SESSION, "id")]);
            prop_assert!(request(&bytes[..bytes.len() - cut]).is_none());
        }
    }
}
