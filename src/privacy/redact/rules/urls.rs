//! Credentials in URLs: passwords and tokens before the host, and parameters that hold some.
//!
//! A whole parameter goes, and nothing else of the URL.

use std::ops::Range;

use memchr::{memchr, memrchr};

use super::assigned::{WORDS, is_placeholder, name_around, trimmed};
use super::text::{Text, URL};
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

/// How far the end of a user and password is searched for, in bytes. Behind it a last one is looked for once more.
const LONG: usize = 4096;

/// Finds the password of a URL, or the token that stands as its user (RFC 3986 section 3.2.1).
fn userinfo(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    let escaped = hook.len() > 3;
    let stop = |b: &u8| {
        *b <= b' ' || matches!(b, b'"' | b'\'' | b'`' | b'<' | b'>') || escaped && *b == b'\\'
    };
    let rest = text.get(hook.end..hook.end + LONG);
    let authority = rest.iter().position(|b| stop(b) || matches!(b, b'/' | b'?' | b'#'));
    let authority = &rest[..authority.unwrap_or(rest.len())];
    let at = memrchr(b'@', authority).or_else(|| memchr::memmem::rfind(authority, b"%40"));
    let colon = |part: &[u8]| {
        let encoded = || memchr::memmem::find(part, b"%3A").filter(|_| escaped).map(|at| at + 3);
        memchr(b':', part).map(|at| at + 1).or_else(encoded)
    };
    let Some(at) = at else {
        // A password with a slash in it, which no port is.
        let from = colon(authority)?;
        let digits = authority[from..].iter().all(u8::is_ascii_digit);
        let end = text.run(URL, hook.end).min(hook.end + LONG) - hook.end;
        let behind = &rest[authority.len()..end.max(authority.len())];
        let at =
            memrchr(b'@', &behind[..memchr::memmem::find(behind, b"://").unwrap_or(behind.len())])?;
        let whole = hook.end + from..hook.end + authority.len() + at;
        return (!digits && !is_placeholder(text.get(whole.clone()))).then_some(whole);
    };
    let from = match colon(&authority[..at]) {
        Some(from) => from,
        None if at >= 20 => 0,
        None => return None,
    };
    let secret = &authority[from..at];
    (!secret.is_empty() && !is_placeholder(secret)).then_some(hook.end + from..hook.end + at)
}

/// Finds the value of a parameter in a query or a fragment.
fn parameter(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    let name = name_around(text, &hook)?;
    let (from, encoded) = parameter_begin(text, name.start)?;
    let mut at = name.end + usize::from(text.at(name.end) == b']');
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
    let end = at
        + text.bytes[at..]
            .iter()
            .enumerate()
            .take_while(|(i, b)| {
                let mark = encoded
                    && **b == b'%'
                    && (text.has(at + i, b"%26") || text.has(at + i, b"%23"));
                super::text::is(**b, URL) && !matches!(b, b'&' | b'#') && !mark
            })
            .count();
    // Before another parameter no mark belongs to the text around the URL.
    let inner = matches!(text.at(end), b'&' | b'#' | b'%');
    let value = if inner { at..end } else { trimmed(text, at..end) };
    (!value.is_empty() && !is_placeholder(text.get(value.clone()))).then_some(value)
}

/// Finds where the name of a parameter begins, if what stands before says that it is one; and whether that was
/// percent-encoded.
pub(super) fn parameter_begin(text: &Text<'_>, start: usize) -> Option<(usize, bool)> {
    match text.before(start) {
        b'?' | b'&' | b'#' => Some((start, false)),
        b';' if text.get(start.saturating_sub(5)..start) == b"&amp;" => Some((start, false)),
        b'[' if matches!(text.before(text.back(super::text::NAME, start - 1, 64)), b'?' | b'&') => {
            Some((start, false))
        }
        b'%' => {
            let mark = text.get(start..start + 2).to_ascii_uppercase();
            matches!(&*mark, b"3F" | b"26" | b"23").then_some((start + 2, true))
        }
        b'\\' if text.has(start, b"u0026") => Some((start + 5, false)),
        _ => None,
    }
}
