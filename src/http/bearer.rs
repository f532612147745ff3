//! Tokens that clients have to show (RFC 6750). Compared, never printed.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::settings::Secret;

/// A token that clients have to show. Not to be printed.
#[derive(Clone)]
pub(crate) struct Bearer(Vec<u8>);

impl Bearer {
    pub(crate) fn new(token: &Secret) -> Bearer {
        Bearer(format!("Bearer {}", token.expose()).into_bytes())
    }

    /// Says whether the header of that name is there once and holds the token.
    pub(crate) fn shown_in(&self, headers: &HeaderMap, name: &HeaderName) -> bool {
        let mut shown = headers.get_all(name).iter();
        let one = shown.next().filter(|_| shown.next().is_none());
        one.is_some_and(|shown| same_secret(&with_scheme(shown), &self.0))
    }
}

/// `Bearer` is a word without case (RFC 9110 section 11.1); the token is not.
fn with_scheme(shown: &HeaderValue) -> Vec<u8> {
    let bytes = shown.as_bytes();
    match bytes.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
            [b"Bearer ", token.trim_ascii_start()].concat()
        }
        _ => bytes.to_vec(),
    }
}

/// Compares without telling by its duration how much was right.
fn same_secret(shown: &[u8], expected: &[u8]) -> bool {
    let differ = shown.iter().zip(expected).fold(0, |sum, (a, b)| sum | (a ^ b));
    shown.len() == expected.len() && differ == 0
}
