//! Finds the names of credentials in texts, from the words that they end in.

use std::ops::Range;

use super::text::{NAME, Text, is};

/// Ends of the names that [`is_secret_name`] takes for those of credentials.
pub(super) const WORDS: &[&str] = &[
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "dsn",
    "jwt",
    "key",
    "mcp-session-id",
    "mcp-task-id",
    "mcp.session.id",
    "mcp.task.id",
    "mcpsessionid",
    "mcptaskid",
    "mnemonic",
    "otp",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pwd",
    "secret",
    "secret_key_base",
    "sig",
    "signature",
    "token",
];

/// Finds the name that ends in a hook, perhaps in the plural or with a number behind it.
pub(super) fn name_around(text: &Text<'_>, hook: &Range<usize>) -> Option<Range<usize>> {
    /// The longest name, in bytes.
    const LONG: usize = 64;
    let mut end = hook.end + usize::from(matches!(text.at(hook.end), b's' | b'S'));
    end = text.digits(
        end + usize::from(matches!(text.at(end), b'_' | b'-') && text.at(end + 1).is_ascii_digit()),
    );
    if is(text.at(end), NAME) {
        return None;
    }
    let from = text.behind_escape(text.back(NAME, hook.start, LONG)).min(hook.start);
    Some(from..end)
}

/// Finds where the name of a parameter begins, if what stands before says that it is one; and whether that was
/// percent-encoded.
pub(super) fn parameter_begin(text: &Text<'_>, start: usize) -> Option<(usize, bool)> {
    let encoded = text.get(start.saturating_sub(3)..start).to_ascii_uppercase();
    if matches!(&*encoded, b"%3F" | b"%26" | b"%23") {
        return Some((start, true));
    }
    match text.before(start) {
        b'?' | b'&' | b'#' => Some((start, false)),
        b';' if text.get(start.saturating_sub(5)..start) == b"&amp;" => Some((start, false)),
        b'[' if matches!(text.before(text.back(NAME, start - 1, 64)), b'?' | b'&') => {
            Some((start, false))
        }
        b'\\' if text.has(start, b"u0026") => Some((start + 5, false)),
        _ if encoded == b"%5B" => {
            let outer = text.back(NAME, start - 3, 64);
            matches!(text.before(outer), b'?' | b'&').then_some((start, false))
        }
        _ => None,
    }
}

/// Finds the end of the brackets behind a name, as forms write members and lists: `user[token]`, `token[]`, `token[0]`,
/// percent-encoded or not.
pub(super) fn brackets_end(text: &Text<'_>, from: usize) -> usize {
    let mark = |at: usize, plain: u8, encoded: &[u8]| match text.at(at) {
        b if b == plain => 1,
        b'%' if text.has(at, encoded) => 3,
        _ => 0,
    };
    let closes = |at| mark(at, b']', b"%5D");
    let at = from + closes(from);
    let opens = mark(at, b'[', b"%5B");
    let index = text.digits(at + opens);
    if opens > 0 && closes(index) > 0 { index + closes(index) } else { at }
}
