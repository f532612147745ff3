//! Removes the headers that a hop may not pass on and writes those that it has to. Pure.
//!
//! All other headers pass with their values as they are, in their order within a name; names pass in
//! lower case, and hyper writes them in the order it got them.

use std::time::Duration;

use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, EXPECT, Entry, HOST, HeaderMap,
    HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};

use hyper::StatusCode;

use super::decode::Coding;
use crate::privacy::redact::is_secret_name;

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const PROTOCOL: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(super) const NAME: HeaderName = HeaderName::from_static("mcp-name");
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// How much of an upstream's connection of HTTP/1.1 is read at once, and how much of what it does not take is held
/// before no more is asked for, in bytes; so also the largest head of a response. Half of it costs a third of the
/// throughput of large replies.
pub(super) const BUFFER: usize = 256 << 10;

/// The same of a client's connection, unless `max_header_bytes` is more. What is held of a body on its way is that of
/// the side that writes and a piece beyond it, one piece in between, and one that was read: of a response at most
/// 64 + 3 * 256 KiB, of an upload 256 + 3 * 64 KiB; about half a MiB of each was measured.
pub(super) const CLIENT_BUFFER: usize = 64 << 10;

/// How many fields hyper allows a head unless told otherwise.
pub(super) const HYPERS_HEADERS: usize = 100;

/// How long before its server closes it a connection is no longer used: a request must not meet the close on
/// its way.
const MARGIN: Duration = Duration::from_secs(1);

pub(super) const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
pub(super) const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Which of the fields that a proxy has to look at are there: one look over the names, because asking the
/// map for each of them, mostly to hear that it is not there, costs more than all that is done to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Present(u32);

impl Present {
    /// Fields that end at this hop, `TE` among them.
    pub(super) const HOP_BY_HOP: Present = Present(1);
    pub(super) const TRANSFER_ENCODING: Present = Present(1 << 1);
    pub(super) const UPGRADE: Present = Present(1 << 2);
    pub(super) const EXPECT: Present = Present(1 << 3);
    pub(super) const ORIGIN: Present = Present(1 << 4);
    pub(super) const HOST: Present = Present(1 << 5);
    pub(super) const CONTENT_ENCODING: Present = Present(1 << 6);
    pub(super) const CONTENT_LENGTH: Present = Present(1 << 7);
    pub(super) const COOKIE: Present = Present(1 << 8);
    pub(super) const TE: Present = Present(1 << 9);
    /// Fields that are observed, beside what every request of MCP has.
    pub(super) const SESSION: Present = Present(1 << 10);
    pub(super) const LAST_EVENT: Present = Present(1 << 11);
    pub(super) const TRACE: Present = Present(1 << 12);
    pub(super) const KEEP_ALIVE: Present = Present(1 << 13);
    pub(super) const LOCATION: Present = Present(1 << 14);
    pub(super) const CREDENTIALS: Present = Present(1 << 15);
    /// Fields that say what the body says.
    pub(super) const MIRRORED: Present = Present(1 << 16);
    pub(super) const TRAILER: Present = Present(1 << 17);

    /// Looks.
    pub(super) fn among(headers: &HeaderMap) -> Present {
        headers.keys().fold(Present(0), |found, name| found.and(Present::of(name)))
    }

    /// Whether one of those is there.
    pub(super) fn has(self, one: Present) -> bool {
        self.0 & one.0 != 0
    }

    const fn and(self, other: Present) -> Present {
        Present(self.0 | other.0)
    }

    fn of(name: &HeaderName) -> Present {
        match name.as_str() {
            "host" => Present::HOST,
            "content-length" => Present::CONTENT_LENGTH,
            "connection" | "proxy-connection" => Present::HOP_BY_HOP,
            "keep-alive" => Present::HOP_BY_HOP.and(Present::KEEP_ALIVE),
            "transfer-encoding" => Present::HOP_BY_HOP.and(Present::TRANSFER_ENCODING),
            "upgrade" => Present::HOP_BY_HOP.and(Present::UPGRADE),
            "te" => Present::HOP_BY_HOP.and(Present::TE),
            "expect" => Present::EXPECT,
            "origin" => Present::ORIGIN,
            "content-encoding" => Present::CONTENT_ENCODING,
            "cookie" => Present::COOKIE.and(Present::CREDENTIALS),
            "mcp-protocol-version" | "accept" | "user-agent" | "content-type" => Present(0),
            "mcp-session-id" => Present::SESSION,
            "last-event-id" => Present::LAST_EVENT,
            "traceparent" | "tracestate" => Present::TRACE,
            "mcp-method" | "mcp-name" => Present::MIRRORED,
            "location" => Present::LOCATION,
            "trailer" => Present::TRAILER,
            name if is_credential(name) => Present::CREDENTIALS,
            _ => Present(0),
        }
    }
}

/// Says whether the value of a header is a credential, by its name, which is in lower case. A session's id has a field
/// of its own.
pub(super) fn is_credential(name: &str) -> bool {
    match name {
        "authorization" | "proxy-authorization" | "cookie" | "set-cookie" | "x-api-key" => true,
        "mcp-session-id" => false,
        name => is_secret_name(name) || name.ends_with("session-id"),
    }
}

/// How a body is encoded: the codings of all fields in their order, those aside that do nothing (`identity`
/// by RFC 9110 section 8.4.1, `none` by habit). Several on top of each other are nobody's practice, and
/// would let a few bytes unpack to a thousand times what one coding makes of them: they are not read.
pub(super) fn coding(headers: &HeaderMap, present: Present) -> Coding {
    if !present.has(Present::CONTENT_ENCODING) {
        return Coding::Identity;
    }
    let fields = headers.get_all(CONTENT_ENCODING).iter();
    let names = fields.flat_map(|field| field.as_bytes().split(|b| *b == b','));
    let mut codings = names.map(coding_named).filter(|coding| *coding != Coding::Identity);
    match (codings.next(), codings.next()) {
        (None, _) => Coding::Identity,
        (Some(coding), None) => coding,
        (Some(_), Some(_)) => Coding::Unknown,
    }
}

fn coding_named(name: &[u8]) -> Coding {
    let is = |known: &str| name.trim_ascii().eq_ignore_ascii_case(known.as_bytes());
    match () {
        () if is("identity") || is("none") || is("") => Coding::Identity,
        () if is("gzip") || is("x-gzip") => Coding::Gzip,
        () if is("deflate") => Coding::Deflate,
        () if is("br") => Coding::Brotli,
        () if is("zstd") => Coding::Zstd,
        () => Coding::Unknown,
    }
}

/// Takes out what is about this connection only (RFC 9110 section 7.6.1), and tells which other names `Connection`
/// has. `TE: trailers` stays: we pass trailers on.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) -> Vec<HeaderName> {
    // What names the message itself is nobody's connection option, whatever a client says.
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != HOST && *name != TE)
        .collect();
    for name in &named {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    if let Entry::Occupied(te) = headers.entry(TE) {
        let trailers = te.iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split(',').any(|word| {
                word.split(';').next().is_some_and(|w| w.trim().eq_ignore_ascii_case("trailers"))
            })
        });
        te.remove_entry_mult();
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
    named
}

/// How long after a response its server can be trusted to keep the connection open, if it says so: `timeout`
/// of `Keep-Alive` less [`MARGIN`], and no time at all where `max` leaves no request. There is no standard
/// of it any more (RFC 2068 section 19.7.1); servers write it all the same.
pub(super) fn patience(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get_all(KEEP_ALIVE).iter().filter_map(|value| value.to_str().ok());
    let said = said.flat_map(|value| value.split(',')).filter_map(|one| one.split_once('='));
    let limits = said.filter_map(|(name, value)| {
        let number: u64 = value.trim().trim_matches('"').parse().ok()?;
        match name.trim() {
            name if name.eq_ignore_ascii_case("timeout") => {
                Some(Duration::from_secs(number).saturating_sub(MARGIN))
            }
            name if name.eq_ignore_ascii_case("max") && number == 0 => Some(Duration::ZERO),
            _ => None,
        }
    });
    limits.min()
}

/// Whether nothing but chunking was done to the body for its transfer, and once. Other codings belong to one hop and
/// would have to be undone; what is chunked twice peers read differently.
pub(super) fn only_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked =
        |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    codings.next().is_none_or(is_chunked) && codings.next().is_none()
}

/// Whether one reader may see a response's end where another does not: its head says both length and chunks, or either
/// of a body that there never is.
pub(super) fn has_two_ends(status: StatusCode, headers: &HeaderMap, present: Present) -> bool {
    let chunked = present.has(Present::TRANSFER_ENCODING);
    let says_length = present.has(Present::CONTENT_LENGTH);
    let some_length = || headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0");
    match status {
        StatusCode::NO_CONTENT => chunked || says_length && some_length(),
        _ => chunked && says_length,
    }
}

/// Says a length once that is said several times, and not at all where they differ, which hyper lets pass where there
/// is no body (RFC 9110 section 8.6: nobody may pass them on).
pub(super) fn say_length_once(headers: &mut HeaderMap) {
    let fields = headers.get_all(CONTENT_LENGTH).iter();
    let mut all = fields.flat_map(|field| field.as_bytes().split(|b| *b == b','));
    let (Some(first), Some(second)) = (all.next(), all.next()) else { return };
    let mut others = std::iter::once(second).chain(all).map(<[u8]>::trim_ascii);
    let one = HeaderValue::from_bytes(first.trim_ascii());
    match one.ok().filter(|one| others.all(|other| other == one.as_bytes())) {
        Some(one) => drop(headers.insert(CONTENT_LENGTH, one)),
        None => drop(headers.remove(CONTENT_LENGTH)),
    }
}

/// Takes out what we answer ourselves.
pub(super) fn strip_expectation(headers: &mut HeaderMap) {
    headers.remove(EXPECT);
}

/// HTTP/2 may split a cookie over several fields, HTTP/1.1 may not (RFC 9113 section 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let all: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if all.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        pairs.iter().map(pair).for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    fn text(headers: &HeaderMap) -> Vec<String> {
        headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect()
    }

    #[test]
    fn what_is_about_the_connection_goes_and_the_rest_stays_in_order() {
        let mut headers = map(&[
            ("connection", "Close, X-One"),
            ("connection", "host"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "gzip;q=0.5, Trailers"),
            ("x-one", "1"),
            ("host", "h"),
            ("mcp-param-a", "2"),
            ("mcp-param-a", "1"),
            ("trailer", "x-sum"),
        ]);
        let named = strip_hop_by_hop(&mut headers);
        assert_eq!(named, ["close", "x-one"]);
        let mut left = text(&headers);
        left.sort();
        assert_eq!(
            left,
            ["host: h", "mcp-param-a: 1", "mcp-param-a: 2", "te: trailers", "trailer: x-sum"]
        );
        let order: Vec<_> = headers.get_all("mcp-param-a").iter().collect();
        assert_eq!(order, ["2", "1"]);
        let mut headers = map(&[("te", "gzip")]);
        strip_hop_by_hop(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn one_look_finds_what_asking_for_each_would_find() {
        let all = [
            ("connection", Present::HOP_BY_HOP),
            ("keep-alive", Present::HOP_BY_HOP.and(Present::KEEP_ALIVE)),
            ("proxy-connection", Present::HOP_BY_HOP),
            ("transfer-encoding", Present::HOP_BY_HOP.and(Present::TRANSFER_ENCODING)),
            ("upgrade", Present::HOP_BY_HOP.and(Present::UPGRADE)),
            ("te", Present::HOP_BY_HOP.and(Present::TE)),
            ("expect", Present::EXPECT),
            ("origin", Present::ORIGIN),
            ("host", Present::HOST),
            ("content-encoding", Present::CONTENT_ENCODING),
            ("content-length", Present::CONTENT_LENGTH),
            ("cookie", Present::COOKIE.and(Present::CREDENTIALS)),
            ("authorization", Present::CREDENTIALS),
            ("proxy-authorization", Present::CREDENTIALS),
            ("x-api-key", Present::CREDENTIALS),
            ("x-acme-token", Present::CREDENTIALS),
            ("mcp-session-id", Present::SESSION),
            ("last-event-id", Present::LAST_EVENT),
            ("traceparent", Present::TRACE),
            ("tracestate", Present::TRACE),
            ("location", Present::LOCATION),
            ("mcp-method", Present::MIRRORED),
            ("trailer", Present::TRAILER),
            ("accept", Present(0)),
        ];
        for (name, found) in all {
            assert_eq!(
                Present::among(&map(&[("x", "1"), (name, ""), (name, "2")])),
                found,
                "{name}"
            );
            let own = found.has(Present::HOP_BY_HOP) || found.has(Present::EXPECT);
            assert!(
                !own || crate::settings::RESERVED.contains(&name),
                "{name} cannot be configured"
            );
        }
        let every: Vec<_> = all.iter().map(|(name, _)| (*name, "1")).collect();
        assert_eq!(Present::among(&map(&every)), Present((1 << 18) - 1));
    }

    #[test]
    fn a_body_is_chunked_once_or_not_at_all() {
        for (codings, only) in [
            (&[][..], true),
            (&[" Chunked "], true),
            (&["chunked", "chunked"], false),
            (&["chunked, chunked"], false),
            (&["gzip, chunked"], false),
            (&["chunked", "identity"], false),
        ] {
            let fields: Vec<_> =
                codings.iter().map(|value| ("transfer-encoding", *value)).collect();
            assert_eq!(only_chunked(&map(&fields)), only, "{codings:?}");
        }
    }

    #[test]
    fn a_response_with_two_ends_is_told_by_its_head() {
        let length = ("content-length", "5");
        let chunked = ("transfer-encoding", "chunked");
        for (status, fields, two) in [
            (200, &[length][..], false),
            (200, &[chunked], false),
            (200, &[length, chunked], true),
            (204, &[], false),
            (204, &[("content-length", "0")], false),
            (204, &[length], true),
            (204, &[chunked], true),
            (304, &[length], false),
        ] {
            let (status, headers) = (StatusCode::from_u16(status).unwrap(), map(fields));
            let present = Present::among(&headers);
            assert_eq!(has_two_ends(status, &headers, present), two, "{status} {fields:?}");
        }
    }

    #[test]
    fn a_length_is_said_once() {
        for (said, once) in [
            (&["5"][..], &["5"][..]),
            (&["5", "5"], &["5"]),
            (&["5 ,5", "5"], &["5"]),
            (&["5, 6"], &[]),
            (&["5", "6"], &[]),
            (&[], &[]),
        ] {
            let fields: Vec<_> = said.iter().map(|value| ("content-length", *value)).collect();
            let mut headers = map(&fields);
            say_length_once(&mut headers);
            assert_eq!(headers.get_all("content-length").iter().collect::<Vec<_>>(), once);
        }
    }

    #[test]
    fn what_a_server_says_of_its_patience_is_read_with_a_margin() {
        let of = |values: &[&'static str]| {
            let pairs: Vec<_> = values.iter().map(|value| ("keep-alive", *value)).collect();
            patience(&map(&pairs)).map(|patience| patience.as_secs())
        };
        for (values, seconds) in [
            (&["timeout=5"][..], Some(4)),
            (&["timeout=5, max=100"], Some(4)),
            (&[" Max=7 , TIMEOUT = 72 "], Some(71)),
            (&["timeout=1"], Some(0)),
            (&["timeout=0"], Some(0)),
            (&["timeout=60, max=0"], Some(0)),
            (&["timeout=60", "timeout=3"], Some(2)),
            (&["timeout=\"3\""], Some(2)),
            (&["timeout=-1"], None),
            (&["timeout=99999999999999999999"], None),
            (&["timeout"], None),
            (&["max=5"], None),
            (&[], None),
        ] {
            assert_eq!(of(values), seconds, "{values:?}");
        }
    }

    #[test]
    fn codings_that_do_nothing_are_none() {
        use Coding::*;
        for (fields, coding) in [
            (&[][..], Identity),
            (&["identity"], Identity),
            (&["none"], Identity),
            (&["None"], Identity),
            (&[""], Identity),
            (&[" , ,"], Identity),
            (&["identity, identity"], Identity),
            (&["identity", "NONE"], Identity),
            (&["identity, gzip"], Gzip),
            (&["gzip, identity"], Gzip),
            (&["gzip,identity"], Gzip),
            (&["identity", "", "gzip"], Gzip),
            (&["GZIP"], Gzip),
            (&["x-gzip"], Gzip),
            (&[" , X-GZip\t,"], Gzip),
            (&["br"], Brotli),
            (&["Deflate, none"], Deflate),
            (&["zstd"], Zstd),
            (&["gzip, gzip"], Unknown),
            (&["gzip, br"], Unknown),
            (&["gzip", "br"], Unknown),
            (&["compress"], Unknown),
            (&["identity, aws-chunked"], Unknown),
            (&["gzip;q=1"], Unknown),
            (&["gzip identity"], Unknown),
        ] {
            let fields: Vec<_> = fields.iter().map(|value| ("content-encoding", *value)).collect();
            let headers = map(&fields);
            assert_eq!(super::coding(&headers, Present::among(&headers)), coding, "{fields:?}");
        }
    }

    #[test]
    fn a_split_cookie_is_one_again() {
        let mut headers = map(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3")]);
        join_cookies(&mut headers);
        assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }
}
