//! Credentials that are told by the word before them: the scheme of an `Authorization` header, a name with `=` or
//! `:`, an option of a command line, a header on a line of its own.
//!
//! Prose has the same words: what follows them must look like a value.

use std::ops::Range;

use super::looks::{
    LOOK, is_code, is_password, is_phrase, is_placeholder, is_random, is_word, trimmed, words,
};
use super::named::{WORDS, brackets_end, name_around, parameter_begin};
use super::text::{BARE, LINE, NAME, TOKEN68, Text, WORD, is};
use super::{Detector, Find};
use crate::privacy::redact::names::is_secret_name;
use crate::privacy::redact::settings::Preset::Credentials;

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
    Detector {
        name: "assignment",
        preset: Credentials,
        hooks: &["-u ", "--user ", "--user="],
        find: Find::Around(behind_user),
    },
];

/// The shortest value that is masked behind a name in a text, in bytes.
const LEAST: usize = 6;

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
    if matches!(text.at(at.end), b'{' | b'[') {
        return contained(text, at.end).filter(|_| is_signed(text, at.end));
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
    let closed = brackets_end(text, name.end);
    let end = if text.at(closed) == b'=' { closed } else { name.end };
    let mut at = quote_end(text, end).unwrap_or(end);
    let quoted = at > end;
    let unspaced = at;
    at = spaces_end(text, at);
    let signs = [
        (&b":="[..], Sign::Other),
        (b"=>", Sign::Other),
        (b"==", Sign::Other),
        (b"=", Sign::Other),
        (b"%3D", Sign::Other),
        (b"%3A", Sign::Colon),
        (b"%253D", Sign::Other),
        (b"%253A", Sign::Colon),
    ];
    if let Some((sign, kind)) = signs.into_iter().find(|(sign, _)| text.has(at, sign)) {
        return Some(At { sign: kind, end: spaces_end(text, at + sign.len()) });
    }
    if text.at(at) == b':' && text.at(at + 1) != b':' {
        return Some(At { sign: Sign::Colon, end: spaces_end(text, at + 1) });
    }
    // An element of XML.
    if text.before(name.start) == b'<' && text.at(name.end) == b'>' {
        return Some(At { sign: Sign::Other, end: name.end + 1 });
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
    /// Says how many backslashes stand before it: each level of JSON within JSON adds some.
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

/// Says whether a sign stands before a place, and not just spaces: `--token [TOKEN]` shows how to write it.
fn is_signed(text: &Text<'_>, place: usize) -> bool {
    let before = text.get(place.saturating_sub(5)..place).trim_ascii_end();
    matches!(before.last(), Some(b':' | b'=' | b'>' | b'D' | b'A' | b'd' | b'a'))
}

/// Finds an object or a list, of JSON that is not whole or not alone: to the mark that ends it, or to the end of the
/// text if that was cut off. Nothing for an empty one.
fn contained(text: &Text<'_>, from: usize) -> Option<Range<usize>> {
    // How many backslashes stand before its quotes: each level of JSON within JSON adds some.
    let mut style = None;
    let (mut depth, mut backslashes, mut quoted, mut says) = (0usize, 0, false, false);
    let end = text.find(from, |_, b| {
        let before = backslashes;
        backslashes = if b == b'\\' { before + 1 } else { 0 };
        match b {
            b'"' if *style.get_or_insert(before) == before => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth -= 1,
            _ => says |= b.is_ascii_alphanumeric(),
        }
        depth == 0
    });
    says.then_some(from..end.map_or(text.bytes.len(), |end| end + 1))
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

fn is_header_name(name: &str) -> bool {
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or_default();
    last.eq_ignore_ascii_case("authorization") || last.eq_ignore_ascii_case("cookie")
}

/// Finds all of a header's line, if it holds nothing else.
fn header_value(text: &Text<'_>, name: usize, from: usize) -> Option<Range<usize>> {
    let digest = text.has(from, b"digest ");
    let mut end = text.run(LINE, from);
    let line = text.get(from..end.min(from + 2 * LOOK)).trim_ascii();
    let count = line.split(|b| *b == b' ').count();
    let last = line.rsplit(|b| *b == b' ').next().unwrap_or_default();
    // A scheme and what stands behind it, or one of them; a mask is neither.
    let odd = last.starts_with(b"[")
        || count == 2 && memchr::memchr(b':', &line[..line.len() - last.len()]).is_some();
    if odd
        || is_placeholder(last)
        || is_challenge(line)
        || count > 2 && !line.contains(&b'=')
        || count == 1 && is_word(words(line))
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

/// Says whether a name and a value stand there, as behind `token_type=Bearer`: padding is at the end alone.
fn is_parameter(text: &[u8]) -> bool {
    let name = text.iter().take_while(|b| b.is_ascii_lowercase() || **b == b'_').count();
    name > 0 && text.get(name) == Some(&b'=') && text.get(name + 1).is_some_and(|b| *b != b'=')
}

/// Finds the password behind a user on a command line, as `curl -u user:password` has it.
fn behind_user(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    if is(text.before(hook.start), NAME) {
        return None;
    }
    let whole = match opening(text, hook.end) {
        Some(quote) => quoted(text, &quote),
        None => trimmed(text, hook.end..text.run(BARE, hook.end)),
    };
    let user = text.get(whole.start..whole.end.min(whole.start + LOOK));
    let password = whole.start + memchr::memchr(b':', user)? + 1..whole.end;
    let look = text.get(password.start..password.end.min(password.start + LOOK));
    let all = |class: fn(&u8) -> bool| look.iter().all(class);
    // A group and its number, a URL, and how help tells where it belongs.
    let plain = is_word(look)
        || look.starts_with(b"//")
        || all(u8::is_ascii_digit)
        || all(u8::is_ascii_uppercase);
    (password.len() >= LEAST && !plain && !is_placeholder(look)).then_some(password)
}

/// Finds what stands behind the scheme of an `Authorization` header (RFC 9110 section 11.4).
fn behind_scheme(text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
    const SHORTEST: usize = 8;
    if is(text.before(hook.start), WORD) && !text.begins(hook.start)
        || text.before(hook.start) == b'_'
    {
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
    if begin.len() < SHORTEST || is_challenge(begin) || is_parameter(begin) {
        return None;
    }
    let strict = matches!(text.at(hook.start), b't' | b'T') || hook.len() == 5;
    let looks = is_random(begin) && !(strict && is_phrase(begin));
    (looks || !strict && begin.len() >= 16 && !is_phrase(begin)).then(|| trimmed(text, at..end))
}
