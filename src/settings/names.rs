//! Names in configurations: which known one is meant, which ones hold secrets.

/// Says how different a name may be and still be proposed: a third of its letters, at least one.
const LETTERS_A_MISTAKE: usize = 3;

/// The longest name that is compared; the work grows with the square of it.
const LONGEST: usize = 64;

/// Parts of key names whose values are not shown: neither in messages nor by `print-config`.
const SECRET_PARTS: [&str; 11] = [
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "dsn",
    "header",
    "passphrase",
    "password",
    "pem",
    "secret",
    "token",
];

/// The known name that `written` was most likely meant to be, if any is near enough.
pub fn nearest_name<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if written.len() > LONGEST {
        return None;
    }
    let written = written.to_lowercase();
    let limit = (written.chars().count() / LETTERS_A_MISTAKE).max(1);
    known
        .into_iter()
        .filter(|name| !name.is_empty() && name.len() <= LONGEST)
        .map(|name| (distance(&written, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The proposal as messages have it, with a space before it; empty if no name is near.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest_name(written, known) {
        Some(name) => format!(" did you mean `{name}`?"),
        None => String::new(),
    }
}

/// Edits that turn `a` into `b`: letters put in, left out or replaced, neighbours swapped (the
/// optimal string alignment distance).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

/// Names as a sentence has them: `` `a`, `b` ``. An empty one is accepted in silence.
pub fn quoted_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names = names.into_iter().filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Settings of `redaction` that hold names.
const ABOUT_NAMES: [&str; 5] = [
    "allow_all_keys",
    "allowed_keys",
    "blocked_key_patterns",
    "ignored_key_patterns",
    "ignored_keys",
];
/// Those that hold patterns of values, which may be the values themselves.
const PATTERNS: [&str; 3] = ["allowed_values", "blocked_values", "pattern"];

/// Says whether what stands under a key of this name is not for showing. Names of files (`key_file`) may be shown. Errs
/// on the side of hiding.
pub fn sounds_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    if key.ends_with("_file") || key.ends_with("_files") || ABOUT_NAMES.contains(&&*key) {
        return false;
    }
    if PATTERNS.contains(&&*key) {
        return true;
    }
    key == "env"
        || key.split(|c: char| !c.is_alphanumeric()).any(|part| part == "key" || part == "keys")
        || key.contains("apikey")
        || SECRET_PARTS.iter().any(|part| key.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_redaction_looks_for_are_no_secrets_and_its_patterns_may_be() {
        assert!(ABOUT_NAMES.iter().all(|key| !sounds_secret(key)));
        assert!(PATTERNS.iter().all(|key| sounds_secret(key)));
        assert!(sounds_secret("api_keys") && sounds_secret("hmac_key"));
    }

    #[test]
    fn a_typing_mistake_finds_the_name_that_was_meant() {
        let known = ["endpoint", "tls", "headers", "queue_size", "otlp_grpc"];
        for (written, meant) in [
            ("endpont", Some("endpoint")),
            ("endpiont", Some("endpoint")),
            ("Endpoint", Some("endpoint")),
            ("tsl", Some("tls")),
            ("queuesize", Some("queue_size")),
            ("otlp_gprc", Some("otlp_grpc")),
            ("compression", None),
            ("", None),
        ] {
            assert_eq!(nearest_name(written, known), meant, "{written}");
        }
    }

    #[test]
    fn secrets_are_known_by_the_names_of_their_keys() {
        for key in ["key", "api_key", "x-api-key", "Authorization", "headers", "env", "key_pem"] {
            assert!(sounds_secret(key), "{key}");
        }
        for key in ["key_file", "endpoint", "keepalive", "monkey", "queue_size", "environment"] {
            assert!(!sounds_secret(key), "{key}");
        }
    }
}
