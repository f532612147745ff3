//! The two sanitizers that the Collector's processor has: of URLs, and of queries to databases.
//!
//! A URL keeps the words of its route. Of a query nothing is kept: taking literals out of seven query languages
//! fails open where a parser errs.

use crate::privacy::detect::generalize_uri;

/// Stands for a query.
pub(super) const QUERY: &str = "[REDACTED:db_query]";

/// Says which attributes, names and bodies are sanitized.
#[derive(Debug, Default)]
pub(super) struct Sanitizers {
    /// Attributes that hold URLs.
    pub(super) urls: Vec<String>,
    /// Attributes that hold queries.
    pub(super) queries: Vec<String>,
    /// Says whether paths in the names of spans lose their ids.
    pub(super) url_names: bool,
    /// Says whether logs' bodies that are URLs do.
    pub(super) url_bodies: bool,
    /// Says whether names of spans that are queries go.
    pub(super) query_names: bool,
    /// Says whether logs' bodies that are do.
    pub(super) query_bodies: bool,
}

/// Sanitizes a text that is one URL or path; `None` where that changes nothing.
pub(super) fn url(text: &str) -> Option<String> {
    let new = generalize_uri(text);
    (new != text).then(|| new.into_owned())
}

/// Sanitizes a log's body, or a part of one. As the Collector's processor does, it takes what is one word for a URL,
/// and a number for an id in one.
pub(super) fn body(text: &str) -> Option<String> {
    if text.contains(char::is_whitespace) { route(text) } else { url(text) }
}

/// Sanitizes a text that may be a URL or a path, perhaps with a method before it: `GET /users/17`. Others stay.
pub(super) fn route(text: &str) -> Option<String> {
    let (before, path) = match text.rsplit_once(' ') {
        Some((before, path)) => (&text[..before.len() + 1], path),
        None => ("", text),
    };
    if !path.contains('/') || before.split(' ').count() > 2 {
        return None;
    }
    url(path).map(|path| format!("{before}{path}"))
}

/// Tells whether a text is a query: it begins with a verb of SQL, in any case, and goes on.
pub(super) fn is_query(text: &str) -> bool {
    const VERBS: [&str; 13] = [
        "select", "insert", "update", "delete", "merge", "replace", "with", "create", "alter",
        "drop", "truncate", "grant", "call",
    ];
    let Some((verb, rest)) = text.trim_start().split_once(|c: char| c.is_ascii_whitespace()) else {
        return false;
    };
    let prose =
        |verb: &str| matches!(verb, "with" | "update" | "create" | "drop" | "call" | "replace");
    let known = VERBS.iter().find(|known| verb.eq_ignore_ascii_case(known));
    // Words of plain English need a second word of SQL.
    known.is_some_and(|verb| !prose(verb) || has_sql(rest))
}

fn has_sql(text: &str) -> bool {
    const WORDS: [&str; 10] =
        ["select", "set", "from", "into", "table", "index", "values", "where", "view", "as"];
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.take(64).any(|word| WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_found_as_names_have_them() {
        assert_eq!(route("GET /users/17").as_deref(), Some("GET /users/*"));
        assert_eq!(route("/users/17").as_deref(), Some("/users/*"));
        for same in
            ["tools/call search_web", "tools/call", "GET /users", "a word or 3/4 of it", "x", ""]
        {
            assert_eq!(route(same), None, "{same}");
        }
    }

    #[test]
    fn bodies_of_one_word_are_urls() {
        assert_eq!(body("/users/17").as_deref(), Some("/users/*"));
        assert_eq!(body("41").as_deref(), Some("*"));
        assert_eq!(body("GET /users/17").as_deref(), Some("GET /users/*"));
        for same in ["started", "started 17 times", ""] {
            assert_eq!(body(same), None, "{same}");
        }
    }

    #[test]
    fn queries_are_told_from_prose() {
        for query in [
            "SELECT * FROM t WHERE id = 5",
            "  delete from t",
            "UPDATE t SET a = 'x'",
            "insert into t values (1)",
        ] {
            assert!(is_query(query), "{query}");
        }
        for text in ["update the readme", "with love", "selected", "call me", "", "drop it"] {
            assert!(!is_query(text), "{text}");
        }
    }
}
