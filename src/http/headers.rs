//! Headers about one hop: what a proxy takes out, writes itself or reads. Pure.

use std::time::Duration;

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, Entry, HOST, HeaderMap, HeaderName, HeaderValue,
    TE, TRANSFER_ENCODING, UPGRADE,
};

/// Says how much of an upstream's connection of HTTP/1.1 is read at once, and how much of what it does not take is held
/// before no more is asked for, in bytes; so also the largest head of a response. Half of it costs a third of the
/// throughput of large replies.
pub(crate) const BUFFER: usize = 256 << 10;

/// Says how much of a client's connection is read at once, in bytes, unless `max_header_bytes` is more. What is held of a body on its way is that of
/// the side that writes and a piece beyond it, one piece in between, and one that was read: of a response at most
/// 64 + 3 * 256 KiB, of an upload 256 + 3 * 64 KiB; about half a MiB of each was measured.
pub(crate) const CLIENT_BUFFER: usize = 64 << 10;

/// Says how many fields hyper allows a head unless told otherwise.
pub(crate) const HYPERS_HEADERS: usize = 100;

/// Says how long before its server closes it a connection is no longer used: a request must not meet the close on its
/// way.
const MARGIN: Duration = Duration::from_secs(1);

pub(crate) const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
pub(crate) const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Takes out what is about this connection only (RFC 9110 section 7.6.1), and tells which other names `Connection`
/// has. `TE: trailers` stays: we pass trailers on.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) -> Vec<HeaderName> {
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

/// Says how long after a response its server can be trusted to keep the connection open, if it says so: `timeout` of
/// `Keep-Alive` less [`MARGIN`], and no time at all where `max` leaves no request. There is no standard of it any more
/// (RFC 2068 section 19.7.1); servers write it all the same.
pub(crate) fn patience(headers: &HeaderMap) -> Option<Duration> {
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

/// Says whether nothing but chunking was done to the body for its transfer, and once. Other codings belong to one hop
/// and would have to be undone; what is chunked twice peers read differently.
pub(crate) fn only_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked =
        |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    codings.next().is_none_or(is_chunked) && codings.next().is_none()
}

/// Says a length once that is said several times, and not at all where they differ, which hyper lets pass where there
/// is no body (RFC 9110 section 8.6: nobody may pass them on).
pub(crate) fn say_length_once(headers: &mut HeaderMap) {
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
pub(crate) fn strip_expectation(headers: &mut HeaderMap) {
    headers.remove(EXPECT);
}

/// HTTP/2 may split a cookie over several fields, HTTP/1.1 may not (RFC 9113 section 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
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
    fn a_split_cookie_is_one_again() {
        let mut headers = map(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3")]);
        join_cookies(&mut headers);
        assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }
}
