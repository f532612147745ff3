//! Tells by the words of a name whether its value holds content or a secret.

use std::borrow::Cow;

/// Words of names whose values hold what was said, asked or answered. Sorted.
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

/// Words of names whose values are secrets. Sorted.
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

/// Two words in a row that make a value a secret. Sorted.
const SECRET_PAIRS: [(&str, &str); 7] = [
    ("access", "key"),
    ("api", "key"),
    ("private", "key"),
    ("secret", "key"),
    ("session", "id"),
    ("signing", "key"),
    ("task", "id"),
];

/// Names of the semantic conventions that have a word of [`CONTENT`] and hold none. Sorted.
const HARMLESS: [&str; 6] = [
    "gen_ai.output.type",
    "gen_ai.prompt.name",
    "http.request.body.size",
    "http.response.body.size",
    "messaging.message.id",
    "rpc.message.type",
];

/// Beginnings of the names that the semantic conventions define. Their texts may be longer than a label.
const CONVENTIONS: [&str; 22] = [
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

/// Says what the value under a name may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameClass {
    /// A name of the semantic conventions that holds neither content nor a secret.
    Conventional,
    /// A name that nothing is known about.
    Unknown,
    /// Texts under it are content: what was said, asked or answered.
    Content,
    /// Its value is a secret, whatever its type.
    Secret,
}

/// Classifies a name, such as that of an attribute or of a member of an object, by its words in any case.
pub fn classify_name(name: &str) -> NameClass {
    if HARMLESS.binary_search(&name).is_ok() {
        return NameClass::Conventional;
    }
    let mut class = NameClass::Unknown;
    let mut before = "";
    let lower = in_lower_case(name);
    for word in lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let pair = SECRET_PAIRS.binary_search(&(before, word)).is_ok();
        if pair || SECRET.binary_search(&word).is_ok() {
            return NameClass::Secret;
        }
        if CONTENT.binary_search(&word).is_ok() {
            class = NameClass::Content;
        }
        before = word;
    }
    if class == NameClass::Unknown && CONVENTIONS.iter().any(|group| name.starts_with(group)) {
        class = NameClass::Conventional;
    }
    class
}

/// Writes a name in lower case, with a point where a capital begins a new word: `toolArgs`, `tool_args` and
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
        use NameClass::{Content, Conventional, Secret, Unknown};
        for (name, class) in [
            ("gen_ai.tool.call.arguments", Content),
            ("toolArguments", Content),
            ("tool_error_developer_message", Content),
            ("exception.stacktrace", Content),
            ("gen_ai.prompt.variable.city", Content),
            ("http.request.header.x-thing", Content),
            ("db.query.text", Content),
            ("mcp.session.id", Secret),
            ("mcp.task.id", Secret),
            ("taskId", Secret),
            ("upstream.apiKey", Secret),
            ("API-KEY", Secret),
            ("user.password", Secret),
            ("gen_ai.prompt.name", Conventional),
            ("gen_ai.tool.name", Conventional),
            ("exception.type", Conventional),
            ("auth.method", Unknown),
            ("cache.key", Unknown),
            ("", Unknown),
        ] {
            assert_eq!(classify_name(name), class, "{name}");
        }
    }
}
