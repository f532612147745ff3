//! Writes what is observed of heads for the way through the queue, and reads it there: a list of fields, each
//! a tag, a length and a value.
//!
//! A header that is to be observed is a row of [`OF_REQUESTS`] or [`OF_RESPONSES`], and a member of the head
//! that the state machine is shown.

use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Version};

use super::decode::Coding;
use super::headers::{API_KEY, LAST_EVENT_ID, PROTOCOL, Present, SESSION, TRACEPARENT, TRACESTATE};
use crate::mcp::{BodyKind, RequestHead, ResponseHead, Verb};

/// The longest value of a header that is handed over, in bytes: session ids and trace contexts are far
/// shorter.
const MAX_VALUE: usize = 1024;
/// The longest value of one that holds credentials: tokens grow to a few KiB.
const MAX_CREDENTIAL: usize = 8192;
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

static OF_REQUESTS: [Row<ShowInRequest>; 9] = [
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
        name: AUTHORIZATION,
        among: Some(Present::CREDENTIALS),
        max: MAX_CREDENTIAL,
        show: |head, value| head.credentials[0] = Some(value),
    },
    Row {
        name: PROXY_AUTHORIZATION,
        among: Some(Present::CREDENTIALS),
        max: MAX_CREDENTIAL,
        show: |head, value| head.credentials[1] = Some(value),
    },
    Row {
        name: COOKIE,
        among: Some(Present::CREDENTIALS),
        max: MAX_CREDENTIAL,
        show: |head, value| head.credentials[2] = Some(value),
    },
    Row {
        name: API_KEY,
        among: Some(Present::CREDENTIALS),
        max: MAX_CREDENTIAL,
        show: |head, value| head.credentials[3] = Some(value),
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
    /// Writes the head of a request for the server of a route.
    pub(super) fn of(
        route: u16,
        verb: Verb,
        head: &Parts,
        present: Present,
        coding: Coding,
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
        Request { post: verb == Verb::Post, bytes }
    }
}

impl Response {
    /// Writes the head of a response.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, present: Present) -> Response {
        let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let kind = kind.split(|b| *b == b';').next().unwrap_or_default();
        let events = kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream");
        let kind = if events { BodyKind::Sse } else { BodyKind::Other };
        let coding = super::headers::coding(headers, present);
        let mut response = Response::with(status.as_u16(), kind, coding);
        put_headers(&mut response.bytes, &OF_RESPONSES, headers, present);
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
pub(super) fn request(bytes: &[u8]) -> Option<(RequestHead<'_>, Coding)> {
    let mut coding = Coding::Unknown;
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
        credentials: [None; 4],
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
            _ => (OF_REQUESTS.get(usize::from(tag.checked_sub(tag::HEADERS)?))?.show)(
                &mut head, value,
            ),
        }
        Some(())
    })?;
    (head.verb != Verb::Other).then_some((head, coding))
}

/// Reads the head of a response, and how its body is encoded; `None` for anything else, which would be a bug.
pub(super) fn response(bytes: &[u8]) -> Option<(ResponseHead<'_>, Coding)> {
    let mut coding = Coding::Unknown;
    let mut head = ResponseHead { status: 0, kind: BodyKind::Other, session: None };
    fields(bytes, |tag, value| {
        match (tag, value) {
            (tag::CODING, &[byte]) => coding = Coding::of(byte),
            (tag::STATUS, &[low, high]) => head.status = u16::from_le_bytes([low, high]),
            (tag::EVENTS, []) => head.kind = BodyKind::Sse,
            _ => (OF_RESPONSES.get(usize::from(tag.checked_sub(tag::HEADERS)?))?.show)(
                &mut head, value,
            ),
        }
        Some(())
    })?;
    (head.status > 0).then_some((head, coding))
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
    use proptest::prelude::*;

    use super::*;

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
        Request::of(300, Verb::Delete, &head, present, Coding::Zstd).bytes
    }

    #[test]
    fn a_request_comes_out_as_it_went_in() {
        let bytes = written(&[(SESSION, "id"), (TRACEPARENT, ""), (LAST_EVENT_ID, "7")]);
        let (head, coding) = request(&bytes).unwrap();
        assert_eq!((head.server, head.verb, head.http_version), (300, Verb::Delete, 20));
        assert_eq!((head.target, coding), (&b"/mcp?x=1"[..], Coding::Zstd));
        assert_eq!((head.session, head.traceparent), (Some(&b"id"[..]), Some(&b""[..])));
        assert_eq!((head.protocol_version, head.tracestate, head.resumes), (None, None, true));
        let bytes = written(&[(PROTOCOL, "v"), (TRACESTATE, "s")]);
        let (head, _) = request(&bytes).unwrap();
        assert_eq!((head.protocol_version, head.tracestate), (Some(&b"v"[..]), Some(&b"s"[..])));
        assert_eq!((head.session, head.resumes), (None, false));
    }

    #[test]
    fn a_response_comes_out_as_it_went_in() {
        let mut headers = HeaderMap::new();
        headers.insert(SESSION, HeaderValue::from_static("s"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("Text/Event-Stream ; charset=utf-8"));
        let written = Response::of(StatusCode::NOT_FOUND, &headers, Present::among(&headers));
        let (head, coding) = response(&written.bytes).unwrap();
        assert_eq!((head.status, head.kind, head.session), (404, BodyKind::Sse, Some(&b"s"[..])));
        assert_eq!((written.kind, coding), (BodyKind::Sse, Coding::Identity));
        let written = Response::with(200, BodyKind::Other, Coding::Gzip);
        let (head, coding) = response(&written.bytes).unwrap();
        assert_eq!((head.status, head.kind, head.session), (200, BodyKind::Other, None));
        assert_eq!(coding, Coding::Gzip);
    }

    #[test]
    fn long_values_are_cut() {
        let bytes = written(&[(SESSION, &"x".repeat(60_000)), (TRACESTATE, "s")]);
        let (head, _) = request(&bytes).unwrap();
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
