//! Tells by looks what stands behind a name: a value, or prose, code and templates that only speak of one.

use std::ops::Range;

use super::text::Text;

/// Says how much of a value is looked at to tell it from prose, in bytes.
pub(super) const LOOK: usize = 64;

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
pub(super) fn words(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(u8::is_ascii_alphanumeric);
    &bytes[..end.map_or(0, |last| last + 1)]
}

/// Tells words and numbers with marks between them from tokens: `usage-by-day-2026`.
pub(super) fn is_phrase(value: &[u8]) -> bool {
    value.len() < LOOK
        && value.iter().any(|b| matches!(b, b'-' | b'.' | b'_' | b'/'))
        && value
            .split(|b| matches!(b, b'-' | b'.' | b'_' | b'/'))
            .all(|part| part.len() <= 16 && (is_word(part) || part.iter().all(u8::is_ascii_digit)))
}

/// Tells code that gets a value from a value: `get_token()`, `os.environ["X"]`, `process.env.X`.
pub(super) fn is_code(value: &[u8]) -> bool {
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
    let called = path > 0 && matches!(value[path..], [b'(' | b'[', ..] | [b'!', b'(' | b'[', ..]);
    let scoped = || path >= words(value).len() && memchr::memmem::find(value, b"::").is_some();
    called || scoped() || path == value.len() && ROOTS.iter().any(|root| value.starts_with(root))
}

/// Tells whether a name speaks of a password, which may be a plain word.
pub(super) fn is_password(name: &str) -> bool {
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
pub(super) fn is_word(value: &[u8]) -> bool {
    value.len() <= 24
        && value.split(|b| b"-_.:!?/".contains(b)).all(|part| {
            part.get(1..).unwrap_or_default().iter().all(u8::is_ascii_lowercase)
                && part.iter().all(u8::is_ascii_alphabetic)
        })
}

/// Tells whether a value is mixed as random ones are: with digits, `=`, or capitals in its midst.
pub(super) fn is_random(value: &[u8]) -> bool {
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
