//! Credentials in URLs: passwords and tokens before the host, and parameters that hold some.
//!
//! A whole parameter goes, and nothing else of the URL.

use std::ops::Range;

use memchr::{memchr, memmem, memrchr};

use super::looks::{is_placeholder, trimmed};
use super::named::{WORDS, brackets_end, name_around, parameter_begin};
use super::text::{Text, URL, is};
use super::{Detector, Find};
use crate::privacy::redact::names::is_secret_name;
use crate::privacy::redact::settings::Preset::Credentials;

pub(super) static DETECTORS: &[Detector] = &[
    // Also where the slashes are escaped for JSON or percent-encoded.
    Detector {
        name: "url_userinfo",
        preset: Credentials,
        hooks: &["://", ":\\/\\/", "%3A%2F%2F"],
        find: Find::Around(userinfo),
    },
    Detector {
        name: "url_query",
        preset: Credentials,
        hooks: WORDS,
        find: Find::Around(parameter),
    },
    Detector {
        name: "url_query",
        preset: Credentials,
        hooks: &["code", "code_verifier", "assertion"],
        find: Find::Around(parameter),
    },
];

/// Says how far the end of a user and password is searched for, in bytes; and behind a slash, which a password should
/// not have.
const LONG: usize = 4096;
const BEHIND: usize = 256;
/// The length of `%3A%2F%2F`.
const ENCODED: usize = 9;

/// Finds the password of a URL, or the token that stands as its user (RFC 3986 section 3.2.1).
fn userinfo(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    let slashes = hook.len();
    let ends = |at: usize, b: u8| {
        let encoded = || ["%2F", "%3F", "%23"].iter().any(|mark| text.has(at, mark.as_bytes()));
        at == hook.end + LONG
            || !is(b, URL)
            || matches!(b, b'/' | b'?' | b'#')
            || slashes == ENCODED && b == b'%' && encoded()
    };
    let end = text.find(hook.end, ends).unwrap_or(text.bytes.len());
    let authority = text.get(hook.end..end);
    let at = memrchr(b'@', authority).or_else(|| memmem::rfind(authority, b"%40"));
    let whole = match (at, password_begin(&authority[..at.unwrap_or(authority.len())], slashes)) {
        (Some(at), Some(from)) => hook.end + from..hook.end + at,
        (Some(at), None) if at >= 20 => hook.end..hook.end + at,
        (None, Some(from)) if slashes != ENCODED => {
            hook.end + from..behind_slash(text, hook.end + from, end)?
        }
        _ => return None,
    };
    let look = text.get(whole.start..whole.end.min(whole.start + 64));
    (!look.is_empty() && !is_placeholder(look)).then_some(whole)
}

/// Finds where the password begins behind a user.
fn password_begin(user: &[u8], slashes: usize) -> Option<usize> {
    let encoded = || memmem::find(user, b"%3A").filter(|_| slashes == ENCODED).map(|at| at + 3);
    memchr(b':', user).map(|at| at + 1).or_else(encoded)
}

/// Finds the end of a password with a slash in it, which no port is.
fn behind_slash(text: &Text<'_>, from: usize, slash: usize) -> Option<usize> {
    if text.at(slash) != b'/' || text.get(from..slash).iter().all(u8::is_ascii_digit) {
        return None;
    }
    let most = text.run(URL, from).min(slash + BEHIND);
    let end = text.find(slash, |at, b| at == most || b == b':' && text.has(at, b"://"));
    memrchr(b'@', text.get(slash..end.unwrap_or(most))).map(|at| slash + at)
}

/// Finds the value of a parameter in a query or a fragment.
fn parameter(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    let name = name_around(text, &hook)?;
    let (from, encoded) = parameter_begin(text, name.start)?;
    let mut at = brackets_end(text, name.end);
    at += match text.at(at) {
        b'=' => 1,
        b'%' if text.has(at, b"%3D") => 3,
        _ => return None,
    };
    let name = std::str::from_utf8(text.get(from..name.end)).unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    if !matches!(&*lower, "code" | "assertion" | "code_verifier") && !is_secret_name(name) {
        return None;
    }
    let ends = |at: usize, b: u8| {
        let mark = encoded && b == b'%' && (text.has(at, b"%26") || text.has(at, b"%23"));
        !is(b, URL) || matches!(b, b'&' | b'#') || mark
    };
    let end = text.find(at, ends).unwrap_or(text.bytes.len());
    // Before another parameter no mark belongs to the text around the URL.
    let inner = matches!(text.at(end), b'&' | b'#' | b'%');
    let value = if inner { at..end } else { trimmed(text, at..end) };
    (!value.is_empty() && !is_placeholder(text.get(value.clone()))).then_some(value)
}
