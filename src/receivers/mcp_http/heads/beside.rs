//! Fields of heads that are for redaction alone, each of which may come any number of times: credentials, and headers
//! that the user wants to see.
//!
//! They are bounded by number and size; nobody on the forwarding side looks into them.

use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, SET_COOKIE};

use super::{put, tag};
use crate::mcp::HeadField;
use crate::receivers::mcp_http::headers::{Present, is_credential};

/// The longest value that is handed over, in bytes: of a longer credential its beginning tells, of another header
/// only that it was there.
const MAX_VALUE: usize = 8192;
/// Says how much of each of the two kinds one head hands over, in bytes.
const MAX_BYTES: usize = 32 << 10;
/// The most values of each.
const MAX_VALUES: usize = 64;

/// Writes the values of headers that hold credentials.
pub(super) fn put_credentials(out: &mut Vec<u8>, headers: &HeaderMap, present: Present) {
    if !present.has(Present::CREDENTIALS) {
        return;
    }
    let mut left = MAX_BYTES;
    let credentials = headers.iter().filter(|(name, _)| is_credential(name.as_str()));
    for (name, value) in credentials.take(MAX_VALUES) {
        let value = value.as_bytes();
        let value = if name == SET_COOKIE { cookie(value) } else { value };
        let value = super::first(value, MAX_VALUE.min(left));
        left -= value.len();
        put(out, tag::CREDENTIAL, value);
    }
}

/// Takes the value of a cookie that a server sets (RFC 6265 section 4.1.1): what follows it is no secret.
fn cookie(field: &[u8]) -> &[u8] {
    let pair = field.split(|b| *b == b';').next().unwrap_or_default();
    pair.iter().position(|b| *b == b'=').map_or(pair, |at| &pair[at + 1..]).trim_ascii()
}

/// Writes the headers that the user wants to see, each with its place in the list.
pub(super) fn put_shown(out: &mut Vec<u8>, headers: &HeaderMap, shown: &[HeaderName]) {
    let (mut left, mut values) = (MAX_BYTES, MAX_VALUES);
    for (place, name) in (0u8..).zip(shown) {
        for value in headers.get_all(name).iter().take(values) {
            values -= 1;
            let value = value.as_bytes();
            if value.len() > MAX_VALUE.min(left) {
                put(out, tag::WITHHELD, &[place]);
                continue;
            }
            left -= value.len();
            put(out, tag::SHOWN, &[&[place], value].concat());
        }
    }
}

/// Holds what was read of such fields.
#[derive(Default)]
pub(in crate::receivers::mcp_http) struct Beside<'a> {
    pub(in crate::receivers::mcp_http) credentials: Vec<&'a [u8]>,
    /// Headers by their places in the list.
    shown: Vec<(u8, Option<&'a [u8]>)>,
}

impl<'a> Beside<'a> {
    /// Takes a field; `None` if it is none of these.
    pub(super) fn field(&mut self, tag: u8, value: &'a [u8]) -> Option<()> {
        match (tag, value) {
            (tag::CREDENTIAL, value) => self.credentials.push(value),
            (tag::SHOWN, [place, value @ ..]) => self.shown.push((*place, Some(value))),
            (tag::WITHHELD, [place]) => self.shown.push((*place, None)),
            _ => return None,
        }
        Some(())
    }

    /// Gives the headers under the names of the attributes that they become.
    pub(in crate::receivers::mcp_http) fn headers(
        &self,
        keys: &'a [Arc<str>],
    ) -> Vec<HeadField<'a>> {
        let named = |(place, value): &(u8, Option<&'a [u8]>)| {
            Some(HeadField { key: keys.get(usize::from(*place))?, value: *value })
        };
        self.shown.iter().filter_map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_cookie_that_is_set_only_its_value_is_secret() {
        for (field, value) in
            [("sid=a=b ; Path=/mcp", "a=b"), ("sid=", ""), ("odd", "odd"), ("; x=y", "")]
        {
            assert_eq!(cookie(field.as_bytes()), value.as_bytes(), "{field}");
        }
    }
}
