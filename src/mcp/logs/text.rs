//! Makes bodies of log records from lines: terminal escapes removed, cut to length, and the severity that a line
//! says itself.

use std::borrow::Cow;

use super::{MAX_BODY, MAX_LOGGER, Severity};
use crate::privacy::cut::whole_words;

const ESCAPE: char = '\u{1b}';

/// The text without terminal escapes: they would stand between the letters of what redaction looks for.
/// ECMA-48: control sequences, operating system commands and the like, two-character escapes.
pub(super) fn without_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains(ESCAPE) {
        return text.into();
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((plain, escaped)) = rest.split_once(ESCAPE) {
        out.push_str(plain);
        rest = after_escape(escaped);
    }
    out.push_str(rest);
    out.into()
}

/// Gives a JSON text whose strings have no control sequences, which stand there as `\u001b[`; with any other escape
/// sequence the first character goes, and what comes after stays.
pub(super) fn without_escapes_in_json(json: &str) -> Cow<'_, str> {
    const ESCAPED: &str = "\\u001b";
    let at = |text: &str| {
        let found = |at: &usize| {
            let backslashes = text[..*at].bytes().rev().take_while(|b| *b == b'\\').count();
            backslashes % 2 == 0
                && text.as_bytes()[*at..]
                    .get(..6)
                    .is_some_and(|e| e.eq_ignore_ascii_case(ESCAPED.as_bytes()))
        };
        text.match_indices("\\u").map(|(at, _)| at).find(found)
    };
    if at(json).is_none() {
        return json.into();
    }
    let (mut out, mut rest) = (String::with_capacity(json.len()), json);
    while let Some(found) = at(rest) {
        out.push_str(&rest[..found]);
        rest = &rest[found + ESCAPED.len()..];
        if let Some(sequence) = rest.strip_prefix('[') {
            let parameter = |c: char| matches!(c, '0'..='9' | ';' | ':' | '?');
            let end = sequence.trim_start_matches(parameter);
            rest = end.strip_prefix(|c: char| c.is_ascii_alphabetic()).unwrap_or(end);
        }
    }
    out.push_str(rest);
    out.into()
}

/// Gives what comes after an escape sequence, of which `rest` lacks the first character.
fn after_escape(rest: &str) -> &str {
    let mut chars = rest.chars();
    match chars.next() {
        Some('[') => {
            let parameters = |c: char| matches!(c, ' '..='?');
            let rest = chars.as_str().trim_start_matches(parameters);
            rest.strip_prefix(|c| matches!(c, '@'..='~')).unwrap_or(rest)
        }
        // Strings: up to their end, or nothing of them where none is in sight.
        Some(']' | 'P' | '_' | '^' | 'X') => {
            let text = chars.as_str();
            match text.find(['\u{7}', ESCAPE]) {
                Some(end) if text[end..].starts_with('\u{7}') => &text[end + 1..],
                Some(end) => text[end + 1..].strip_prefix('\\').unwrap_or(&text[end..]),
                None => text,
            }
        }
        Some(c @ ' '..='/') => {
            let rest = chars.as_str().trim_start_matches(|c: char| matches!(c, ' '..='/'));
            debug_assert!(c.is_ascii());
            rest.strip_prefix(|c| matches!(c, '0'..='~')).unwrap_or(rest)
        }
        Some('0'..='~') => chars.as_str(),
        _ => rest,
    }
}

/// The text, or its beginning up to the last white space within [`MAX_BODY`] bytes, so that no half of a
/// credential stays; whether anything was cut. `more`: it goes on beyond what is here.
pub(super) fn bounded(text: &str, more: bool) -> (&str, bool) {
    bounded_to(MAX_BODY, text, more)
}

/// The text within so many bytes, as [`bounded`] says.
fn bounded_to(max: usize, text: &str, more: bool) -> (&str, bool) {
    if text.len() <= max && !more {
        return (text, false);
    }
    (whole_words(text, max), true)
}

/// The name of a logger, treated as bodies are; `more`: it goes on beyond what is here.
pub(in crate::mcp) fn logger(name: &str, more: bool) -> String {
    bounded_to(MAX_LOGGER, &without_escapes(name), more).0.to_owned()
}

/// The severity that a line plainly says: one of the usual words in capitals, in brackets, or before a colon,
/// among its first words, or as its field `level`.
pub(super) fn said(line: &str) -> Option<Severity> {
    /// Says how far into a line it is looked for, in words: after a time, a process and a module.
    const WORDS: usize = 6;
    /// And in bytes.
    const LOOK: usize = 512;
    let head = &line[..line.floor_char_boundary(LOOK.min(line.len()))];
    if let Some(level) = field(head) {
        return Severity::of_line(level);
    }
    head.split_whitespace().take(WORDS).find_map(|word| {
        let plain = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let first = plain.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let capitals = first.len() == plain.len() && plain.bytes().all(|b| b.is_ascii_uppercase());
        let marked = word.starts_with(['[', '<', '(']) || word[..].contains(':');
        if capitals || marked { Severity::of_line(first) } else { None }
    })
}

/// The value of a field `level` (logfmt, JSON), if it is a word.
fn field(line: &str) -> Option<&str> {
    let names = ["\"level\"", "\"severity\"", "level=", "lvl=", "severity="];
    let at = names.iter().find_map(|name| Some(line.find(name)? + name.len()))?;
    let value = line[at..].trim_start_matches([':', ' ', '"']);
    let end = value.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(value.len());
    Some(&value[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_go_and_what_they_colour_stays() {
        for (text, plain) in [
            ("plain", "plain"),
            ("\u{1b}[1;31mred\u{1b}[0m after", "red after"),
            ("a\u{1b}]0;title\u{7}b", "ab"),
            ("a\u{1b}]8;;http://x\u{1b}\\b", "ab"),
            ("a\u{1b}(Bb\u{1b}=c", "abc"),
            ("half\u{1b}[3", "half"),
            ("half\u{1b}", "half"),
            ("open\u{1b}]title", "opentitle"),
            ("\u{1b}\u{1b}[mx", "x"),
            ("\u{1b}[31é", "é"),
        ] {
            assert_eq!(without_escapes(text), plain, "{text:?}");
        }
    }

    #[test]
    fn escapes_in_json_go_and_it_stays_json() {
        for (json, plain) in [
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            (r#"["\u001b[1;31mred\u001B[0m after"]"#, r#"["red after"]"#),
            (r#"["\\u001b[0m"]"#, r#"["\\u001b[0m"]"#),
            (r#"["\\\u001b[0m"]"#, r#"["\\"]"#),
            (r#"["\u001b["]"#, r#"[""]"#),
            (r#"["\u001b]0;t\u0007"]"#, r#"["]0;t\u0007"]"#),
        ] {
            assert_eq!(without_escapes_in_json(json), plain);
            assert!(serde_json::from_str::<serde_json::Value>(plain).is_ok());
        }
    }

    #[test]
    fn a_text_is_cut_between_words_or_not_kept() {
        let long = format!("{} {}", "a".repeat(10), "b".repeat(MAX_BODY));
        assert_eq!(bounded(&long, false), (&*"a".repeat(10), true));
        assert_eq!(bounded(&"é".repeat(MAX_BODY), false), ("", true));
        assert_eq!(bounded("a b", false), ("a b", false));
        assert_eq!(bounded("a b", true), ("a", true));
    }

    #[test]
    fn a_line_says_its_severity_plainly_or_not_at_all() {
        use Severity as S;
        for (line, severity) in [
            ("2026-01-01T00:00:00Z INFO server: up", Some(S::Info)),
            ("[error] no", Some(S::Error)),
            ("error: no such file", Some(S::Error)),
            ("npm WARN deprecated", Some(S::Warning)),
            ("WARNING:root:x", Some(S::Warning)),
            ("ts=1 level=debug msg=x", Some(S::Debug)),
            (r#"{"time":1,"level":"warn","msg":"x"}"#, Some(S::Warning)),
            (r#"{"level":30,"msg":"x"}"#, None),
            ("server started without error", None),
            ("Info about the server", None),
            ("INFORMATIVE desk", None),
            ("", None),
        ] {
            assert_eq!(said(line), severity, "{line}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_no_escape_is_left(text in "([a-z\u{1b}\u{7}\\[\\];0-9 é(\\\\]){0,60}") {
            prop_assert!(!without_escapes(&text).contains(ESCAPE));
            said(&text);
        }
    }
}
