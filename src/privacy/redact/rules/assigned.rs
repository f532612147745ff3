//! Credentials that are told by the word before them: the scheme of an `Authorization` header, a name with `=` or
//! `:`, an option of a command line, a header on a line of its own.
//!
//! Prose has the same words: what follows them must look like a value.

use std::ops::Range;

use super::text::{BARE, LINE, NAME, TOKEN68, Text, WORD, is};
use super::urls::parameter_begin;
use super::{Detector, Find};
use crate::privacy::redact::names::is_secret_name;
use crate::privacy::redact::settings::Preset::Credentials;

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

pub(super) static DETECTORS: &[Detector] = &[
    Detector {
        name: "auth_scheme",
        preset: Credentials,
        hooks: &["bearer", "basic", "token", "negotiate"],
        find: Find::Around(behind_scheme),
    },
    Detector {
        name: "assignment",
        preset: Credentials,
        hooks: WORDS,
        find: Find::Around(assigned),
    },
];

/// The shortest value that is masked behind a name in a text, in bytes.
const LEAST: usize = 6;
/// How much of a value is looked at to tell it from prose, in bytes.
const LOOK: usize = 64;

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
    Some(text.back(NAME, hook.start, LONG)..end)
}

/// Finds what a name is given, in a text.
fn assigned(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    let whole = name_around(text, &hook)?;
    let at = sign_behind(text, &whole)?;
    let bytes = text.get(whole.clone());
    let dashes = bytes.iter().take_while(|b| matches!(b, b'-' | b'.')).count();
    let name = std::str::from_utf8(&bytes[dashes..]).ok()?;
    if parameter_begin(text, whole.start).is_some() || !is_secret_name(name) {
        return None;
    }
    let (header, sign) = (is_header_name(name), at.sign);
    if header
        && sign == Sign::Colon
        && let Some(value) = header_value(text, whole.start, at.end)
    {
        return Some(value);
    }
    let value = match opening(text, at.end) {
        Some(quote) => quoted(text, &quote),
        None => bare(text, at.end)?,
    };
    let look = text.get(value.start..value.end.min(value.start + LOOK));
    let plain = || look.split(|b| *b == b' ').all(is_word) && !is_password(name);
    (value.len() >= LEAST && !is_placeholder(look) && !plain()).then_some(value)
}

/// Says what stands between a name and its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Colon,
    Other,
}

struct At {
    sign: Sign,
    end: usize,
}

/// Finds what says that a value follows: `=`, `:` and their like, or of an option of a command line its end.
fn sign_behind(text: &Text<'_>, name: &Range<usize>) -> Option<At> {
    let mut at = quote_end(text, name.end).unwrap_or(name.end);
    let quoted = at > name.end;
    let unspaced = at;
    at = spaces_end(text, at);
    let signs = [
        (&b":="[..], Sign::Other),
        (b"=>", Sign::Other),
        (b"==", Sign::Other),
        (b"=", Sign::Other),
        (b"%3D", Sign::Other),
        (b"%3A", Sign::Colon),
    ];
    if let Some((sign, kind)) = signs.into_iter().find(|(sign, _)| text.has(at, sign)) {
        return Some(At { sign: kind, end: spaces_end(text, at + sign.len()) });
    }
    if text.at(at) == b':' && text.at(at + 1) != b':' {
        return Some(At { sign: Sign::Colon, end: spaces_end(text, at + 1) });
    }
    let option = text.at(name.start) == b'-';
    let listed = quoted && text.at(unspaced) == b',';
    if option && listed {
        let next = spaces_end(text, unspaced + 1);
        return quote_end(text, next).map(|_| At { sign: Sign::Other, end: next });
    }
    (option && at > unspaced && text.at(at) != b'-').then_some(At { sign: Sign::Other, end: at })
}

fn spaces_end(text: &Text<'_>, from: usize) -> usize {
    from + text.get(from..from + 4).iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// Finds the end of a quote, escaped or not, that stands at a place.
fn quote_end(text: &Text<'_>, from: usize) -> Option<usize> {
    opening(text, from).map(|quote| quote.end)
}

/// A quote that opens a value.
struct Quote {
    mark: u8,
    /// How many backslashes stand before it: each level of JSON within JSON adds some.
    backslashes: usize,
    end: usize,
}

fn opening(text: &Text<'_>, from: usize) -> Option<Quote> {
    let backslashes = text.get(from..from + 15).iter().take_while(|b| **b == b'\\').count();
    let mark = text.at(from + backslashes);
    let end = from + backslashes + 1;
    match mark {
        b'"' | b'\'' | b'`' => Some(Quote { mark, backslashes, end }),
        _ if text.has(from, b"%22") => Some(Quote { mark: b'%', backslashes: 0, end: from + 3 }),
        _ => None,
    }
}

/// Finds what stands between quotes: to the one that is escaped as the first is, or else to the end of the line.
fn quoted(text: &Text<'_>, quote: &Quote) -> Range<usize> {
    let from = quote.end;
    let (mut backslashes, mut before) = (0, 0);
    let end = text.find(from, |at, b| {
        let closes = if quote.mark == b'%' { text.has(at, b"%22") } else { b == quote.mark };
        before = backslashes;
        backslashes = if b == b'\\' { backslashes + 1 } else { 0 };
        // In a text that was not escaped, two backslashes are one and escape no quote.
        if quote.backslashes == 0 && backslashes == 2 {
            backslashes = 0;
        }
        closes && before <= quote.backslashes || matches!(b, b'\r' | b'\n')
    });
    from..end.map_or(text.bytes.len(), |end| end - before.min(quote.backslashes).min(end - from))
}

/// Finds a value without quotes. Commas and the like are part of it unless another name follows.
fn bare(text: &Text<'_>, from: usize) -> Option<Range<usize>> {
    if matches!(text.at(from), b'{' | b'[' | b'(' | b'<') {
        return None;
    }
    // Few bytes tell whether it is one, so that a text full of names costs no more than others.
    let begin = text.get(from..from + LOOK);
    let short = begin.iter().position(|b| !is(*b, BARE)).unwrap_or(begin.len());
    if short < LEAST || is_code(&begin[..short]) {
        return None;
    }
    let run = text.run(BARE, from);
    let ends = |at, b| at == run || matches!(b, b',' | b';') && names_follow(text, at + 1);
    let end = text.find(from, ends).unwrap_or(run);
    Some(trimmed(text, from..end))
}

/// Says whether a name and its sign stand at a place.
fn names_follow(text: &Text<'_>, from: usize) -> bool {
    let rest = text.get(from..from + 40);
    let name = rest.iter().position(|b| !is(*b, NAME));
    name.is_some_and(|end| end > 0 && matches!(rest[end], b'=' | b':'))
}

/// Takes off the marks behind a value that belong to the text around it. A bracket that opens in the value is none.
pub(super) fn trimmed(text: &Text<'_>, value: Range<usize>) -> Range<usize> {
    let bytes = text.get(value.clone());
    let opens = |mark: u8| memchr::memchr(mark, &bytes[..bytes.len().min(LOOK)]).is_some();
    let mark = |b: &u8| match b {
        b')' => !opens(b'('),
        b']' => !opens(b'['),
        b'}' => !opens(b'{'),
        b => b".,;:!?*".contains(b),
    };
    let marks = bytes.iter().rev().take(8).take_while(|b| mark(b)).count();
    value.start..value.end - marks
}

/// Takes the marks off the end of some bytes, to look at the words in them.
fn words(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(u8::is_ascii_alphanumeric);
    &bytes[..end.map_or(0, |last| last + 1)]
}

fn is_header_name(name: &str) -> bool {
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or_default();
    last.eq_ignore_ascii_case("authorization") || last.eq_ignore_ascii_case("cookie")
}

/// Finds all of a header's line, if it holds nothing else.
fn header_value(text: &Text<'_>, name: usize, from: usize) -> Option<Range<usize>> {
    let digest = text.has(from, b"digest ");
    let mut end = text.run(LINE, from);
    let line = text.get(from..end.min(from + 2 * LOOK)).trim_ascii();
    let words = line.split(|b| *b == b' ').count();
    let last = line.rsplit(|b| *b == b' ').next().unwrap_or_default();
    // A scheme and what stands behind it, or one of them; a mask is neither.
    let odd = last.starts_with(b"[")
        || words == 2 && memchr::memchr(b':', &line[..line.len() - last.len()]).is_some();
    if odd
        || is_placeholder(last)
        || is_challenge(line)
        || words > 2 && !line.contains(&b'=')
        || words == 1 && is_word(self::words(line))
        || line.len() < LEAST
    {
        return None;
    }
    if text.before(name) == b'\'' {
        end = from + text.get(from..end).iter().position(|b| *b == b'\'').unwrap_or(end - from);
    } else if digest && text.before(name) != b'"' {
        end = text.find(from, |_, b| matches!(b, b'\r' | b'\n')).unwrap_or(text.bytes.len());
    }
    Some(from..end)
}

/// Says whether parameters of a challenge stand there (RFC 9110 section 11.6.1). They are no credentials.
fn is_challenge(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 9] = [
        b"realm=",
        b"error=",
        b"error_description=",
        b"scope=",
        b"charset=",
        b"resource_metadata=",
        b"algorithm=",
        b"title=",
        b"authorization_uri=",
    ];
    // Credentials of Digest name their realm.
    !text.get(..7).is_some_and(|begin| begin.eq_ignore_ascii_case(b"digest "))
        && WORDS.iter().any(|word| memchr::memmem::find(text, word).is_some())
}

/// Finds what stands behind the scheme of an `Authorization` header (RFC 9110 section 11.4).
fn behind_scheme(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    const SHORTEST: usize = 8;
    if is(text.before(hook.start), WORD) {
        return None;
    }
    let mut at = hook.end;
    while at < hook.end + 12 {
        at += match text.at(at) {
            b' ' | b'\t' | b'\r' | b'\n' | b'+' => 1,
            b'%' if text.has(at, b"%20") => 3,
            b'\\' if text.at(at + 1) == b't' => 2,
            _ => break,
        };
    }
    if at == hook.end {
        return None;
    }
    at += usize::from(matches!(text.at(at), b'"' | b'\''));
    let end = text.run(TOKEN68, at);
    let begin = text.get(at..end.min(at + LOOK));
    if begin.len() < SHORTEST || is_challenge(begin) {
        return None;
    }
    let strict = matches!(text.at(hook.start), b't' | b'T') || hook.len() == 5;
    let looks = is_random(begin) && !(strict && is_phrase(begin));
    (looks || !strict && begin.len() >= 16 && !is_phrase(begin)).then(|| trimmed(text, at..end))
}

/// Tells words and numbers with marks between them from tokens: `usage-by-day-2026`.
fn is_phrase(value: &[u8]) -> bool {
    value.len() < LOOK
        && value.iter().any(|b| matches!(b, b'-' | b'.' | b'_' | b'/'))
        && value
            .split(|b| matches!(b, b'-' | b'.' | b'_' | b'/'))
            .all(|part| part.len() <= 16 && (is_word(part) || part.iter().all(u8::is_ascii_digit)))
}

/// Tells code that gets a value from a value: `get_token()`, `os.environ["X"]`, `process.env.X`.
fn is_code(value: &[u8]) -> bool {
    const ROOTS: [&[u8]; 12] = [
        b"process.",
        b"os.",
        b"env.",
        b"self.",
        b"this.",
        b"config.",
        b"settings.",
        b"secrets.",
        b"vars.",
        b"args.",
        b"request.",
        b"options.",
    ];
    let path = value
        .iter()
        .take_while(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'.' | b':'))
        .count();
    let called = path > 0 && matches!(value.get(path), Some(b'(' | b'['));
    let scoped = || path >= words(value).len() && memchr::memmem::find(value, b"::").is_some();
    called || scoped() || path == value.len() && ROOTS.iter().any(|root| value.starts_with(root))
}

/// Tells whether a name speaks of a password, which may be a plain word.
fn is_password(name: &str) -> bool {
    let ends = |word: &&str| {
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_').as_bytes();
        name.len() >= word.len()
            && name[name.len() - word.len()..].eq_ignore_ascii_case(word.as_bytes())
    };
    ["password", "passwd", "pwd", "pass", "passphrase", "secret"].iter().any(ends)
}

/// Words that stand where a value would, in messages and schemas. Sorted.
const SAID: [&str; 39] = [
    "boolean",
    "cannot",
    "changed",
    "correct",
    "disabled",
    "enabled",
    "expected",
    "expired",
    "failed",
    "forbidden",
    "hidden",
    "incorrect",
    "invalid",
    "malformed",
    "mandatory",
    "mismatch",
    "missing",
    "needed",
    "not_found",
    "number",
    "object",
    "optional",
    "please",
    "present",
    "provided",
    "redacted",
    "rejected",
    "required",
    "revoked",
    "rotated",
    "should",
    "string",
    "unauthorized",
    "undefined",
    "unknown",
    "unset",
    "unsupported",
    "updated",
    "wrong",
];

/// Tells texts that stand for a value from values: `${NAME}`, `$NAME`, `<token>`, `{{token}}`, `required`.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let marks = value.iter().rev().take_while(|b| b".!?)]:,;`".contains(b)).count();
    let value = &value[..value.len() - marks];
    let same = |b: &u8| matches!(b, b'*' | b'x' | b'X' | b'.' | b'-' | b'_' | b'#');
    let lower = || String::from_utf8_lossy(value).to_ascii_lowercase();
    let variable =
        |rest: &[u8]| !rest.is_empty() && rest.iter().all(|b| b.is_ascii_uppercase() || *b == b'_');
    match value {
        [b'$', b'{' | b'(', ..] | [b'{', b'{', ..] | [b'<', ..] | [b'%', .., b'%'] => true,
        [b'$', rest @ ..] => variable(rest),
        [b'{', name @ .., b'}'] => name.iter().all(|b| b.is_ascii_lowercase() || *b == b'_'),
        _ => value.iter().all(same) || value.len() < 16 && SAID.binary_search(&&*lower()).is_ok(),
    }
}

/// Tells whether it is one word of prose: letters of one case, perhaps a capital first, with marks between.
fn is_word(value: &[u8]) -> bool {
    value.len() <= 24
        && value.split(|b| b"-_.:!?/".contains(b)).all(|part| {
            part.get(1..).unwrap_or_default().iter().all(u8::is_ascii_lowercase)
                && part.iter().all(u8::is_ascii_alphabetic)
        })
}

/// Tells whether a value is mixed as random ones are: with digits, `=`, or capitals in its midst.
fn is_random(value: &[u8]) -> bool {
    let tail = value.get(1..).unwrap_or_default();
    let mixed = tail.iter().any(u8::is_ascii_uppercase) && value.iter().any(u8::is_ascii_lowercase);
    mixed || value.iter().any(|b| *b == b'=' || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_and_placeholders_are_told_from_values() {
        assert!(SAID.is_sorted());
        for value in [
            "${TOKEN}",
            "$(pass x)",
            "$TOKEN",
            "{{token}}",
            "<token>",
            "required",
            "Invalid.",
            "******",
            "xxxxxxxx",
        ] {
            assert!(is_placeholder(value.as_bytes()), "{value}");
        }
        for value in ["hunter22", "s3cret!", "$ecret99"] {
            assert!(!is_placeholder(value.as_bytes()), "{value}");
        }
        assert!(is_word(b"authentication") && is_word(b"Expired-token"));
        assert!(!is_word(b"hunter2") && !is_word(b"aBcDeFg"));
        assert!(
            is_random(b"abc1") && is_random(b"aBc") && is_random(b"abc=") && !is_random(b"abcdef")
        );
        assert!(is_phrase(b"usage-by-day-2026") && !is_phrase(b"a1b2-c3d4"));
        assert!(is_code(b"get_token()") && is_code(b"os.environ[") && !is_code(b"hunter2(x)"));
    }
}
