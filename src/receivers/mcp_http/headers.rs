//! Headers of MCP, and one look at which of the fields are there that a tap has to look at. Pure.
//!
//! All other headers pass with their values as they are, in their order within a name; names pass in
//! lower case, and hyper writes them in the order it got them.

use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName};

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

/// Says which of the fields that a proxy has to look at are there: one look over the names, because asking the map for
/// each of them, mostly to hear that it is not there, costs more than all that is done to them.
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

    /// Says whether one of those is there.
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

/// Says how a body is encoded: the codings of all fields in their order, those aside that do nothing (`identity` by RFC
/// 9110 section 8.4.1, `none` by habit). Several on top of each other are nobody's practice, and would let a few bytes
/// unpack to a thousand times what one coding makes of them: they are not read.
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

/// Says whether one reader may see a response's end where another does not: its head says both length and chunks, or
/// either of a body that there never is.
pub(super) fn has_two_ends(status: StatusCode, headers: &HeaderMap, present: Present) -> bool {
    let chunked = present.has(Present::TRANSFER_ENCODING);
    let says_length = present.has(Present::CONTENT_LENGTH);
    let some_length = || headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0");
    match status {
        StatusCode::NO_CONTENT => chunked || says_length && some_length(),
        _ => chunked && says_length,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

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
}
