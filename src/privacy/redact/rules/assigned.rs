//! Credentials that are told by the word before them: the scheme of an `Authorization` header, a name with `=` or
//! `:`, an option of a command line, a header on a line of its own.
//!
//! Prose has the same words: what follows them must look like a value.

use super::{Detector, Match};
use crate::privacy::redact::names::is_secret_name;
use crate::privacy::redact::settings::Preset::Credentials;

/// Parts of the names that [`is_secret_name`] takes for those of credentials.
const WORDS: &[&str] = &[
    "auth",
    "bearer",
    "cookie",
    "credential",
    "dsn",
    "jwt",
    "key",
    "mnemonic",
    "otp",
    "pass",
    "pwd",
    "secret",
    "sig",
    "token",
];

pub(super) static DETECTORS: &[Detector] = &[
    Detector {
        name: "auth_scheme",
        preset: Credentials,
        hooks: &["bearer", "basic", "token", "negotiate"],
        digits: 0,
        pattern: r#"(?i)\b(?P<n>bearer|basic|token|negotiate)(?:\s|%20|\+|\\t){1,4}["']?(?P<v>[A-Za-z0-9._~+/=-]{8,})"#,
        guard: is_after_scheme,
    },
    // Whole lines of headers that hold nothing else.
    Detector {
        name: "assignment",
        preset: Credentials,
        hooks: &["authorization", "cookie"],
        digits: 0,
        pattern: r#"(?i)\b(?P<n>(?:proxy-)?authorization|(?:set-)?cookie) ?:[ \t]{0,4}(?P<v>[^\r\n"\\]{6,})"#,
        guard: is_header,
    },
    // Quoted, whatever is between the quotes; quotes of JSON may be escaped.
    Detector {
        name: "assignment",
        preset: Credentials,
        hooks: WORDS,
        digits: 0,
        pattern: r#"(?P<n>[A-Za-z0-9_.-]{2,128})\\{0,3}["']?[ \t]{0,4}(?:=>?|:)[ \t]{0,4}\\{0,3}(?:"(?P<v>[^"\\\r\n]{6,4096})|'(?P<w>[^'\\\r\n]{6,4096}))"#,
        guard: is_assigned,
    },
    Detector {
        name: "assignment",
        preset: Credentials,
        hooks: WORDS,
        digits: 0,
        pattern: r#"(?P<n>[A-Za-z0-9_.-]{2,128})\\{0,3}["']?[ \t]{0,4}(?:=>?|:)[ \t]{0,4}(?P<v>[^\s"'\\,;&<>{}()]{6,4096})"#,
        guard: is_assigned,
    },
    Detector {
        name: "assignment",
        preset: Credentials,
        hooks: WORDS,
        digits: 0,
        pattern: r#"--?(?P<n>[A-Za-z][A-Za-z0-9_-]{1,64})(?:[ \t]{1,4}|["'],\s?["'])(?P<v>[^\s"'\\,;<>-][^\s"'\\,;<>]{5,4095})"#,
        guard: is_assigned,
    },
];

/// Words that stand behind a scheme in a challenge (RFC 9110 section 11.6.1). They are no credentials.
const CHALLENGE: [&str; 9] = [
    "realm=",
    "error=",
    "error_description=",
    "scope=",
    "charset=",
    "resource_metadata=",
    "algorithm=",
    "title=",
    "nonce=",
];

fn is_after_scheme(m: &Match<'_>) -> bool {
    let value = m.value();
    if CHALLENGE.iter().any(|word| value.starts_with(word)) {
        return false;
    }
    let strict = m.name.eq_ignore_ascii_case("token") || m.name.eq_ignore_ascii_case("basic");
    is_random(value) || !strict && value.len() >= 16
}

fn is_header(m: &Match<'_>) -> bool {
    let value = m.value().trim();
    let words = value.split(' ').count();
    // A challenge, or a sentence about the header.
    !CHALLENGE.iter().any(|word| value.contains(word))
        && (words <= 2 || value.contains('='))
        && !(words == 1 && is_word(value))
}

fn is_assigned(m: &Match<'_>) -> bool {
    let value = m.value();
    let name = m.name.trim_start_matches(['-', '.']);
    is_secret_name(name) && !is_placeholder(value) && !(is_word(value) && !is_password(name))
}

/// Tells whether a name speaks of a password, which may be a plain word.
fn is_password(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["password", "passwd", "pwd", "passphrase", "secret"].iter().any(|word| lower.ends_with(word))
}

/// Tells texts that stand for a value from values: `${NAME}`, `<token>`, `null`, `required`.
fn is_placeholder(value: &str) -> bool {
    const SAID: [&str; 30] = [
        "boolean",
        "changed",
        "correct",
        "disabled",
        "enabled",
        "expected",
        "expired",
        "failed",
        "forbidden",
        "incorrect",
        "invalid",
        "mandatory",
        "mismatch",
        "missing",
        "needed",
        "not_found",
        "number",
        "object",
        "optional",
        "present",
        "rejected",
        "required",
        "revoked",
        "rotated",
        "string",
        "undefined",
        "unknown",
        "unsupported",
        "updated",
        "wrong",
    ];
    let value = value.trim_end_matches(['.', '!', '?', ')', ']', ':']);
    let lower = value.to_ascii_lowercase();
    let same = |c: char| matches!(c, '*' | 'x' | 'X' | '.' | '-' | '_' | '#');
    SAID.binary_search(&&*lower).is_ok()
        || value.starts_with("${")
        || value.starts_with("$(")
        || value.starts_with("{{")
        || value.starts_with('%') && value.ends_with('%')
        || value.starts_with('<')
        || value.chars().all(same)
}

/// Tells whether it is one word of prose: letters of one case, perhaps a capital first, with marks between.
fn is_word(value: &str) -> bool {
    value.len() <= 24
        && value.split(['-', '_', '.', ':', '!', '?', '/']).all(|part| {
            part.get(1..).unwrap_or_default().bytes().all(|b| b.is_ascii_lowercase())
                && part.bytes().all(|b| b.is_ascii_alphabetic())
        })
}

/// Tells whether a value is mixed as random ones are: with digits, `=`, or capitals in its midst.
fn is_random(value: &str) -> bool {
    let tail = value.get(1..).unwrap_or_default();
    let mixed = tail.bytes().any(|b| b.is_ascii_uppercase())
        && value.bytes().any(|b| b.is_ascii_lowercase());
    mixed || value.contains('=') || value.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_and_placeholders_are_told_from_values() {
        for value in [
            "${TOKEN}",
            "$(pass x)",
            "{{token}}",
            "<token>",
            "required",
            "Invalid.",
            "******",
            "xxxxxxxx",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in ["hunter22", "s3cret!", "$ecret99"] {
            assert!(!is_placeholder(value), "{value}");
        }
        assert!(
            is_word("authentication")
                && is_word("Expired-token")
                && !is_word("hunter2")
                && !is_word("aBcDeFg")
        );
        assert!(is_random("abc1") && is_random("aBc") && is_random("abc=") && !is_random("abcdef"));
    }
}
