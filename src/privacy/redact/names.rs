//! Tells by a name whether what stands under it is a credential, whatever it looks like.
//!
//! The last words of a name decide: `github.token` holds a token, `token.count` a number. Words are told apart
//! by marks and by capitals. It judges names of attributes, of members of JSON, of variables and options; not
//! prose.

use std::borrow::Cow;

/// Last words whose values are credentials. Sorted.
const SECRET: [&str; 40] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apitoken",
    "auth",
    "authorization",
    "authtoken",
    "bearer",
    "bearertoken",
    "clientsecret",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "csrftoken",
    "dsn",
    "idtoken",
    "jwt",
    "mnemonic",
    "otp",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "privatekey",
    "privkey",
    "pwd",
    "refreshtoken",
    "secret",
    "secretkey",
    "secrets",
    "sessiontoken",
    "setcookie",
    "sig",
    "signature",
    "signingkey",
    "token",
    "xapikey",
    "xsrftoken",
];

/// Words before `key` that make it one. Sorted.
const KEYS: [&str; 49] = [
    "access",
    "account",
    "admin",
    "anthropic",
    "api",
    "app",
    "application",
    "auth",
    "azure",
    "brave",
    "client",
    "cohere",
    "consumer",
    "decryption",
    "deepseek",
    "deploy",
    "dify",
    "encrypt",
    "encryption",
    "firecrawl",
    "functions",
    "gemini",
    "groq",
    "hmac",
    "license",
    "mailgun",
    "master",
    "mistral",
    "openai",
    "openrouter",
    "perplexity",
    "pinecone",
    "private",
    "recovery",
    "root",
    "secret",
    "sendgrid",
    "serpapi",
    "service",
    "shared",
    "signing",
    "ssh",
    "stripe",
    "subscription",
    "supabase",
    "tavily",
    "twilio",
    "webhook",
    "xai",
];

/// Words before `key` that make it none, even in the capitals of a variable. Sorted.
const NO_KEYS: [&str; 41] = [
    "arrow",
    "cache",
    "column",
    "composite",
    "config",
    "dedup",
    "document",
    "foreign",
    "group",
    "hash",
    "host",
    "hot",
    "i18n",
    "idempotency",
    "index",
    "issue",
    "item",
    "lookup",
    "map",
    "message",
    "object",
    "partition",
    "press",
    "primary",
    "project",
    "pub",
    "public",
    "range",
    "registry",
    "routing",
    "row",
    "s3",
    "search",
    "sequence",
    "shard",
    "sort",
    "storage",
    "tab",
    "tracking",
    "translation",
    "unique",
];

/// Words before `token` that make it a mark of a place and no credential. Sorted.
const NO_TOKENS: [&str; 33] = [
    "bos",
    "cancel",
    "cancellation",
    "completion",
    "continuation",
    "continue",
    "cursor",
    "delta",
    "end",
    "eos",
    "first",
    "input",
    "last",
    "mask",
    "max",
    "next",
    "output",
    "pad",
    "page",
    "pagination",
    "per",
    "prev",
    "previous",
    "progress",
    "prompt",
    "resume",
    "sep",
    "skip",
    "special",
    "start",
    "stop",
    "sync",
    "unk",
];

/// Ids that are as good as passwords where MCP has them.
const SECRET_IDS: [&str; 3] = ["mcp.session.id", "mcp-session-id", "mcp.task.id"];

/// Says whether what stands under `name` is a credential.
pub fn is_secret_name(name: &str) -> bool {
    /// The longest name that is judged, in bytes; only its end matters.
    const LONG: usize = 256;
    if !may_be_secret(name.as_bytes()) {
        return false;
    }
    let end = name.len() - name.len().min(LONG);
    let name = (end..name.len()).find_map(|at| name.get(at..)).unwrap_or_default();
    let shouted = name.contains('_') && !name.contains(|c: char| c.is_lowercase());
    let lower = in_words(name);
    if SECRET_IDS.iter().any(|id| lower.ends_with(id)) {
        return true;
    }
    let words = lower.rsplit(|c: char| !c.is_alphanumeric());
    // Numbers behind a name tell many of a kind apart: `token_2`, `cookies.0`, `password1`.
    let mut words = words
        .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
        .filter(|word| !word.is_empty());
    let Some(last) = words.next() else { return false };
    let before = words.next().unwrap_or_default();
    match last {
        "key" | "keys" => {
            KEYS.binary_search(&before).is_ok()
                || shouted && !before.is_empty() && NO_KEYS.binary_search(&before).is_err()
        }
        "base" => before == "key" && words.next() == Some("secret"),
        "token" => NO_TOKENS.binary_search(&before).is_err(),
        "signature" => !matches!(before, "function" | "method" | "type"),
        // `auth` alone may be a mode; `basic auth` and `X-Auth` are not.
        "auth" => matches!(before, "x" | "basic" | "proxy" | "http"),
        "pass" => {
            shouted && !before.is_empty()
                || matches!(
                    before,
                    "db" | "smtp" | "user" | "admin" | "ftp" | "mysql" | "redis" | "root"
                )
        }
        "id" | "value" => false,
        _ => SECRET.binary_search(&last).is_ok() || has_secret_end(last),
    }
}

/// Says whether a name ends, but for numbers, in the three letters in which the words end that matter. Most names
/// do not.
fn may_be_secret(name: &[u8]) -> bool {
    let letters = name.iter().rposition(u8::is_ascii_alphabetic).map_or(0, |last| last + 1);
    let Some(end) = name[..letters].last_chunk::<3>() else { return false };
    let [.., before, last] = end.map(|b| b.to_ascii_lowercase());
    // Of `.session.id` and `taskId`.
    let id = before == b'i' && last == b'd';
    id || ENDS.contains(&end.map(|b| b.to_ascii_lowercase()))
}

/// Last letters of the words that make a name that of a secret.
const ENDS: [[u8; 3]; 24] = [
    *b"key", *b"eys", *b"ken", *b"uth", *b"ion", *b"rer", *b"ret", *b"ets", *b"jwt", *b"kie",
    *b"ies", *b"ial", *b"als", *b"dsn", *b"nic", *b"otp", *b"ass", *b"ase", *b"swd", *b"ord",
    *b"rds", *b"pwd", *b"sig", *b"ure",
];

/// Says whether a word that has no marks in it ends in one that speaks of a credential: `pgpassword`.
fn has_secret_end(word: &str) -> bool {
    [
        "password",
        "passwd",
        "passphrase",
        "apikey",
        "secretkey",
        "privatekey",
        "authtoken",
        "accesstoken",
    ]
    .iter()
    .any(|end| word.ends_with(end))
}

/// Writes a name in lower case, with a point where a capital begins a new word, as in `apiKey` and `APIKey`.
fn in_words(name: &str) -> Cow<'_, str> {
    if !name.chars().any(char::is_uppercase) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 8);
    let mut before = ' ';
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        let begins = c.is_uppercase()
            && (before.is_lowercase()
                || before.is_ascii_digit()
                || before.is_uppercase() && chars.peek().is_some_and(|next| next.is_lowercase()));
        if begins && !out.is_empty() {
            out.push('.');
        }
        out.extend(c.to_lowercase());
        before = c;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_that_are_searched_are_sorted() {
        assert!(
            SECRET.is_sorted() && KEYS.is_sorted() && NO_KEYS.is_sorted() && NO_TOKENS.is_sorted()
        );
    }

    #[test]
    fn no_word_ends_otherwise() {
        for word in
            SECRET.iter().chain(&SECRET_IDS).chain(&["x_key", "API_KEYS", "SECRET_KEY_BASE"])
        {
            assert!(may_be_secret(format!("{word}_2").as_bytes()), "{word}");
        }
        assert!(!may_be_secret(b"completed") && !may_be_secret(b"id") && !may_be_secret(b""));
    }

    #[test]
    fn last_words_decide() {
        for name in [
            "password",
            "user.password",
            "db_passwd",
            "PGPASSWORD",
            "api_key",
            "apiKey",
            "APIKey",
            "x-api-key",
            "X_API_KEY",
            "DIFY_KEY",
            "OPENAI_API_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "client_secret",
            "clientSecret",
            "githubToken",
            "GITHUB_TOKEN",
            "access_token",
            "id-token",
            "csrf_token",
            "http.request.header.authorization",
            "Proxy-Authorization",
            "Set-Cookie",
            "sig",
            "signature",
            "private_key",
            "ssh_key",
            "credentials",
            "mcp.session.id",
            "Mcp-Session-Id",
            "basic_auth",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "",
            "key",
            "primary_key",
            "cache.key",
            "PARTITION_KEY",
            "sort_key",
            "idempotency_key",
            "public_key",
            "PUBLIC_KEY",
            "key_id",
            "api_key_id",
            "tokens",
            "gen_ai.usage.input_tokens",
            "token_type",
            "token_count",
            "token_endpoint",
            "next_page_token",
            "nextPageToken",
            "progressToken",
            "continuation_token",
            "tokenizer",
            "author",
            "authority",
            "auth.method",
            "password_policy",
            "session.id",
            "user.id",
            "secretary",
            "monkey",
            "passenger",
            "compass",
            "assignature",
            "digest",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
