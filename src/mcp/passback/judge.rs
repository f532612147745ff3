//! Which names and texts of a server's may leave as they are.
//!
//! Content (arguments, results, error texts) and secrets must not, and there is no redaction stage yet.
//! What can be told without one: names that speak of content or of secrets; texts under names that
//! nobody knows which are no labels but prose; texts that have the looks of a credential. Whoever
//! wants to leak can: a short word under a harmless name passes. It keeps honest servers from leaking by
//! accident, which is what they do (`reference` implementations put whole results into attributes).

use std::borrow::Cow;

use memchr::memchr2;

use super::credentials::looks_secret;

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
const SECRET: [&str; 17] = [
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
    "taskid",
    "token",
];

/// The same, of two words. Sorted.
const SECRET_PAIRS: [(&str, &str); 7] = [
    ("access", "key"),
    ("api", "key"),
    ("private", "key"),
    ("secret", "key"),
    ("session", "id"),
    ("signing", "key"),
    ("task", "id"),
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
    use super::*;

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
            ("mcp.task.id", OfSecrets),
            ("taskId", OfSecrets),
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
