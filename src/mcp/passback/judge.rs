//! Which names and texts of a server's may leave as they are.
//!
//! Content (arguments, results, error texts) and secrets must not, and there is no redaction stage yet.
//! What can be told without one: names that speak of content or of secrets; texts under names that
//! nobody knows which are no labels but prose; texts that have the looks of a credential. Whoever
//! wants to leak can: a short word under a harmless name passes. It keeps honest servers from leaking by
//! accident, which is what they do (`reference` implementations put whole results into attributes).

use std::borrow::Cow;

use memchr::memchr2;

/// The longest text under an unknown name that passes for a label, in bytes, and the most spaces in it.
const LABEL: (usize, usize) = (128, 3);

/// Words in names of attributes that hold what was said, asked or answered. Sorted.
const CONTENT: [&str; 47] = [
    "answer",
    "arg",
    "args",
    "argument",
    "arguments",
    "argv",
    "body",
    "chat",
    "cmdline",
    "command",
    "completion",
    "completions",
    "content",
    "contents",
    "data",
    "description",
    "detail",
    "details",
    "document",
    "header",
    "headers",
    "input",
    "inputs",
    "instruction",
    "instructions",
    "message",
    "messages",
    "output",
    "outputs",
    "param",
    "parameter",
    "parameters",
    "params",
    "payload",
    "prompt",
    "prompts",
    "query",
    "result",
    "results",
    "sql",
    "stack",
    "stacktrace",
    "statement",
    "text",
    "traceback",
    "variable",
    "variables",
];

/// Words in names of attributes that hold secrets. Sorted.
const SECRET: [&str; 16] = [
    "apikey",
    "authorization",
    "bearer",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "secrets",
    "sessionid",
    "token",
];

/// The same, of two words. Sorted.
const SECRET_PAIRS: [(&str, &str); 6] = [
    ("access", "key"),
    ("api", "key"),
    ("private", "key"),
    ("secret", "key"),
    ("session", "id"),
    ("signing", "key"),
];

/// Names of the conventions that speak of content and have none. Sorted.
const HARMLESS: [&str; 6] = [
    "gen_ai.output.type",
    "gen_ai.prompt.name",
    "http.request.body.size",
    "http.response.body.size",
    "messaging.message.id",
    "rpc.message.type",
];

/// Groups of the conventions whose texts may be longer than a label.
const KNOWN: [&str; 22] = [
    "client.",
    "cloud.",
    "code.",
    "container.",
    "db.",
    "deployment.",
    "error.",
    "exception.",
    "faas.",
    "gen_ai.",
    "host.",
    "http.",
    "jsonrpc.",
    "k8s.",
    "mcp.",
    "network.",
    "os.",
    "process.",
    "rpc.",
    "server.",
    "service.",
    "telemetry.",
];

/// How credentials begin, those that tell by it.
const PREFIXES: [&str; 16] = [
    "AIza",
    "AKIA",
    "ASIA",
    "SG.",
    "eyJ",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "npm_",
    "pypi-",
    "rk_live_",
    "sk-",
    "sk_live_",
    "xox",
];

/// Words that stand before a credential.
const ANNOUNCED: [&str; 8] =
    ["bearer ", "basic ", "-----begin", "password", "passwd", "api_key=", "apikey=", "token="];

/// What a name tells of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// A convention's; its text may be long.
    Known,
    /// Nothing that is known.
    Unknown,
    /// Texts of it are content.
    OfContent,
    /// Whatever it holds is a secret.
    OfSecrets,
}

/// What `name` tells of its value.
pub(super) fn name(name: &str) -> Speaks {
    if HARMLESS.binary_search(&name).is_ok() {
        return Speaks::Known;
    }
    let mut speaks = Speaks::Unknown;
    let mut before = "";
    let lower = in_lower_case(name);
    for word in lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let pair = SECRET_PAIRS.binary_search(&(before, word)).is_ok();
        if pair || SECRET.binary_search(&word).is_ok() {
            return Speaks::OfSecrets;
        }
        if CONTENT.binary_search(&word).is_ok() {
            speaks = Speaks::OfContent;
        }
        before = word;
    }
    if speaks == Speaks::Unknown && KNOWN.iter().any(|group| name.starts_with(group)) {
        speaks = Speaks::Known;
    }
    speaks
}

/// Whether `text` may leave under a name that speaks so.
pub(super) fn text(text: &str, speaks: Speaks) -> bool {
    let lines = || memchr2(b'\n', b'\r', text.as_bytes()).is_some();
    let calm = || !lines() && !is_document(text) && !looks_secret(text);
    match speaks {
        Speaks::OfContent | Speaks::OfSecrets => false,
        Speaks::Known => calm(),
        Speaks::Unknown => {
            let spaces = text.bytes().filter(|b| *b == b' ').count();
            text.len() <= LABEL.0 && spaces <= LABEL.1 && calm()
        }
    }
}

/// Whether anything in `text` has the looks of a credential.
pub(super) fn looks_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < SHORTEST {
        return false;
    }
    let mut start = 0;
    // Once over it, because every text of every span comes by here.
    for (at, byte) in bytes.iter().enumerate() {
        match KINDS[usize::from(*byte)] {
            Kind::Other => {}
            Kind::First if is_announcement(&bytes[at..]) => return true,
            Kind::First => {}
            Kind::Between => {
                if is_credential(&bytes[start..at]) {
                    return true;
                }
                start = at + 1;
            }
        }
    }
    is_credential(&bytes[start..])
}

/// Credentials are long.
const SHORTEST: usize = 16;

/// What a byte means to who looks for credentials.
#[derive(Clone, Copy)]
enum Kind {
    /// Ends a piece that may be one.
    Between,
    /// Begins a word that announces one, perhaps.
    First,
    Other,
}

static KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Other; 256];
    let (between, mut i) = (b" =:,;\"'/?&@", 0);
    while i < between.len() {
        kinds[between[i] as usize] = Kind::Between;
        i += 1;
    }
    i = 0;
    while i < ANNOUNCED.len() {
        let first = ANNOUNCED[i].as_bytes()[0];
        kinds[first as usize] = Kind::First;
        kinds[first.to_ascii_uppercase() as usize] = Kind::First;
        i += 1;
    }
    kinds
};

/// Whether a text begins with a word that stands before credentials.
fn is_announcement(text: &[u8]) -> bool {
    ANNOUNCED.iter().map(|word| word.as_bytes()).any(|word| {
        // The second letter settles it nearly always.
        text.len() >= word.len()
            && text[1].eq_ignore_ascii_case(&word[1])
            && text[..word.len()].eq_ignore_ascii_case(word)
    })
}

fn is_credential(piece: &[u8]) -> bool {
    /// Of each kind of character, so many: random texts of base64 or base62 have them.
    const MIXED: usize = 3;
    /// Names are shorter, or have no digits.
    const LONG: usize = 20;
    if piece.len() < SHORTEST {
        return false;
    }
    if PREFIXES.iter().any(|prefix| piece.starts_with(prefix.as_bytes())) {
        return true;
    }
    let count = |kind: fn(&u8) -> bool| piece.iter().filter(|byte| kind(byte)).count();
    piece.len() >= LONG
        && count(u8::is_ascii_digit) >= MIXED
        && count(u8::is_ascii_uppercase) >= MIXED
        && count(u8::is_ascii_lowercase) >= MIXED
}

/// Whether a text is a JSON document and not a label.
fn is_document(text: &str) -> bool {
    matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'[')) && text.contains('"')
}

/// A name in lower case, with a point where a new word begins in the middle: `toolArgs`, `tool_args` and
/// `tool.args` have the same words.
fn in_lower_case(name: &str) -> Cow<'_, str> {
    if !name.chars().any(char::is_uppercase) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 8);
    let mut lower = false;
    for c in name.chars() {
        if c.is_uppercase() && lower {
            out.push('.');
        }
        out.push(c.to_ascii_lowercase());
        lower = c.is_lowercase();
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_before_credentials_are_found_anywhere_in_any_case() {
        for word in ANNOUNCED {
            for text in [format!("{word}x"), format!("of {}", word.to_uppercase()), word.to_owned()]
            {
                let text = format!("{text}                ");
                assert!(looks_secret(&text), "{text}");
            }
            let cut = format!("{}xxxxxxxxxxxxxxxx", &word[..word.len() - 1]);
            assert!(!looks_secret(&cut), "{cut}");
        }
        assert!(!looks_secret("a table of parts, bears and tokens"));
    }

    #[test]
    fn credentials_are_found_between_any_marks() {
        let random = ["Ab3", "dE6fG", "hI9jKlMnOp0qRs"].concat();
        for mark in " =:,;\"'/?&@".chars() {
            for text in [
                format!("{mark}{random}"),
                format!("x{mark}{random}{mark}y"),
                format!("somewhere{mark}{mark}{random}"),
            ] {
                assert!(looks_secret(&text), "{text}");
            }
            let halves = format!("{}{mark}{}", &random[..11], &random[11..]);
            assert!(!looks_secret(&halves), "{halves}");
        }
        assert!(looks_secret(&format!("\u{e4}\u{f6}\u{fc} {random} \u{df}")));
    }

    /// The rule as it is said: a piece between marks that is a credential, or a word before one.
    fn is_said_to_look_secret(text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        let mut pieces = text.split([' ', '=', ':', ',', ';', '"', '\'', '/', '?', '&', '@']);
        text.len() >= SHORTEST
            && (pieces.any(|piece| is_credential(piece.as_bytes()))
                || ANNOUNCED.iter().any(|word| lower.contains(word)))
    }

    proptest! {
        #[test]
        fn one_look_finds_what_the_rule_says(
            text in r#"([a-cA-C1-3=: ,;"'/?&@äß-]|bearer |BASIC |sk-|AKIA|Password|token=|eyJ){0,24}"#,
        ) {
            prop_assert_eq!(looks_secret(&text), is_said_to_look_secret(&text));
        }
    }

    #[test]
    fn the_lists_that_are_searched_are_sorted() {
        assert!(CONTENT.is_sorted() && SECRET.is_sorted());
        assert!(SECRET_PAIRS.is_sorted() && HARMLESS.is_sorted());
    }

    #[test]
    fn names_tell_what_they_hold() {
        use Speaks::{Known, OfContent, OfSecrets, Unknown};
        for (of, speaks) in [
            ("gen_ai.tool.call.arguments", OfContent),
            ("toolArguments", OfContent),
            ("tool_error_developer_message", OfContent),
            ("exception.stacktrace", OfContent),
            ("gen_ai.prompt.variable.city", OfContent),
            ("http.request.header.x-thing", OfContent),
            ("db.query.text", OfContent),
            ("mcp.session.id", OfSecrets),
            ("upstream.apiKey", OfSecrets),
            ("API-KEY", OfSecrets),
            ("user.password", OfSecrets),
            ("gen_ai.prompt.name", Known),
            ("gen_ai.tool.name", Known),
            ("exception.type", Known),
            ("auth.method", Unknown),
            ("cache.key", Unknown),
            ("", Unknown),
        ] {
            assert_eq!(name(of), speaks, "{of}");
        }
    }

    #[test]
    fn labels_pass_and_prose_documents_and_credentials_do_not() {
        let passes = |of: &str| text(of, Speaks::Unknown);
        for label in ["fc:Oslo", "api_key", "allow", "", "two or three words", "postgresql"] {
            assert!(passes(label), "{label}");
        }
        let random = ["Ab3", "dE6fG", "hI9jKlMnOp0qRs"].concat();
        for other in [
            "words upon words upon words that are what somebody said".to_owned(),
            "x".repeat(200),
            "two\nlines".to_owned(),
            r#"{"city":"Oslo"}"#.to_owned(),
            ["sk", "-", "0123456789abcdef"].concat(),
            ["gh", "p_", "0123456789abcdef"].concat(),
            ["Authorization: Bea", "rer x"].concat(),
            random,
        ] {
            assert!(!passes(&other), "{other}");
            assert_eq!(text(&other, Speaks::Known), other.starts_with(['w', 'x']), "{other}");
        }
        let uuid = "5de7e271-0a1e-e32f-4788-dae9fd06328f";
        assert!(passes(uuid), "ids are no credentials");
    }
}
