//! Trailers: fields behind a body. Many servers take them for headers, so what a head may not bring they may not
//! either. Pure.
//!
//! Over HTTP/1.1 hyper writes only those that `Trailer` in the head announces; over HTTP/2 any may come.

use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, EXPECT, Entry, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS,
    ORIGIN, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE, WWW_AUTHENTICATE,
};

use super::forwarded;
use super::headers::{KEEP_ALIVE, PROXY_CONNECTION};

/// Names what never stands there (RFC 9110 section 6.5.1): what frames a message, says where it goes and by whom, how
/// its body is to be read, or is about one hop. Most of them hyper leaves out by itself, over HTTP/1.1.
const NEVER: [HeaderName; 21] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    EXPECT,
    HOST,
    KEEP_ALIVE,
    MAX_FORWARDS,
    ORIGIN,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    PROXY_CONNECTION,
    SET_COOKIE,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    WWW_AUTHENTICATE,
];

/// Takes out of a message's trailers what may not pass there.
#[derive(Debug, Default)]
pub(crate) struct Sieve {
    /// More names that go.
    named: Vec<HeaderName>,
    /// Says whether its client's word on where it is from is passed on; nothing where that is not looked at.
    trusted: Option<bool>,
}

impl Sieve {
    /// Takes out what never stands there, and those names: of headers that `Connection` is about, or that the tap
    /// reads or writes itself.
    pub(crate) fn of(named: Vec<HeaderName>) -> Self {
        Sieve { named, trusted: None }
    }

    /// Does the same where `forwarded_headers` is on, and also takes out what a client that is not `trusted` says of
    /// where it is from.
    pub(crate) fn guarding(self, trusted: Option<bool>) -> Self {
        Sieve { trusted, ..self }
    }

    /// Sifts trailers. Whether none of them is left of which there were some.
    pub(crate) fn sift(&self, trailers: &mut HeaderMap) -> bool {
        let gone: Vec<_> = trailers.keys().filter(|name| !self.lets(name)).cloned().collect();
        for name in &gone {
            trailers.remove(name);
        }
        !gone.is_empty() && trailers.is_empty()
    }

    /// Takes the same names out of a head's `Trailer`, which stays as it is where all of them may pass.
    pub(crate) fn announce(&self, head: &mut HeaderMap) {
        let announced = head.get_all(TRAILER).iter().filter_map(|value| value.to_str().ok());
        let names = announced.flat_map(|value| value.split(',')).map(str::trim);
        let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
        let may_come = |name: &&&str| !name.parse().is_ok_and(|name| !self.lets(&name));
        let left: Vec<_> = names.iter().filter(may_come).copied().collect();
        if left.len() == names.len() {
            return;
        }
        let left = left.join(", ");
        if let Entry::Occupied(announced) = head.entry(TRAILER) {
            announced.remove_entry_mult();
        }
        if let Ok(left) = HeaderValue::from_str(&left)
            && !left.is_empty()
        {
            head.insert(TRAILER, left);
        }
    }

    fn lets(&self, name: &HeaderName) -> bool {
        let strange = self.trusted.is_some_and(|trusted| forwarded::is_taken_out(name, trusted));
        // Behind a body nothing more is announced.
        !(strange || *name == TRAILER || NEVER.contains(name) || self.named.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(names: &[&'static str]) -> HeaderMap {
        names
            .iter()
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")))
            .collect()
    }

    fn left(sieve: &Sieve, names: &[&'static str]) -> Vec<String> {
        let mut trailers = map(names);
        let none = sieve.sift(&mut trailers);
        assert_eq!(none, trailers.is_empty() && !names.is_empty());
        let mut left: Vec<_> = trailers.keys().map(|name| name.as_str().to_owned()).collect();
        left.sort();
        left
    }

    #[test]
    fn what_a_head_decides_cannot_be_said_behind_the_body() {
        for name in [
            "transfer-encoding",
            "content-length",
            "host",
            "authorization",
            "connection",
            "keep-alive",
            "origin",
            "cookie",
            "set-cookie",
            "trailer",
            "te",
        ] {
            assert_eq!(left(&Sieve::default(), &[name, "x-sum"]), ["x-sum"], "{name}");
            assert!(left(&Sieve::default(), &[name]).is_empty(), "{name}");
        }
        assert!(left(&Sieve::default(), &[]).is_empty());
        assert!(!Sieve::default().sift(&mut HeaderMap::new()), "an empty one stays one");
        let named = Sieve::of(vec![HeaderName::from_static("x-key")]);
        assert_eq!(left(&named, &["x-key", "grpc-status"]), ["grpc-status"]);
    }

    #[test]
    fn whence_a_request_is_cannot_be_said_behind_its_body() {
        let names =
            ["x-forwarded-for", "x_forwarded_for", "forwarded", "cf-connecting-ip", "x-sum"];
        let sorted =
            ["cf-connecting-ip", "forwarded", "x-forwarded-for", "x-sum", "x_forwarded_for"];
        let sieve = |trusted| Sieve::default().guarding(trusted);
        assert_eq!(left(&sieve(None), &names), sorted, "nobody asked to look");
        assert_eq!(left(&sieve(Some(false)), &names), ["x-sum"]);
        assert_eq!(left(&sieve(Some(true)), &names), sorted[..4]);
    }

    #[test]
    fn what_is_announced_is_what_may_come() {
        for (announced, left) in [
            (&["X-Sum , x-up"][..], &["X-Sum , x-up"][..]),
            (&["X-Sum,Forwarded ,, Host"], &["X-Sum"]),
            (&["x-forwarded-for"], &[]),
            (&["x-sum", "content-length"], &["x-sum"]),
            (&[], &[]),
        ] {
            let mut head = HeaderMap::new();
            for value in announced {
                head.append(TRAILER, HeaderValue::from_static(value));
            }
            Sieve::default().guarding(Some(false)).announce(&mut head);
            let got: Vec<_> = head.get_all(TRAILER).iter().collect();
            assert_eq!(got, left, "{announced:?}");
        }
    }
}
