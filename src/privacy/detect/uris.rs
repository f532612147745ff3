//! Removes from URIs what can be secret: user, password, query and fragment. No format of secrets is known
//! here, so they go always.

use std::borrow::Cow;

/// Removes userinfo, query and fragment from a URI (RFC 3986 section 3).
pub fn redact_uri(uri: &str) -> Cow<'_, str> {
    let path_end = uri.find(['?', '#']).unwrap_or(uri.len());
    let uri = &uri[..path_end];
    let Some(authority) = uri.find("://").map(|at| at + 3) else { return Cow::Borrowed(uri) };
    let authority_end = uri[authority..].find('/').map_or(uri.len(), |at| authority + at);
    match uri[authority..authority_end].rfind('@') {
        None => Cow::Borrowed(uri),
        Some(at) => Cow::Owned(format!("{}{}", &uri[..authority], &uri[authority + at + 1..])),
    }
}

/// Redacts every URI in a text, as [`redact_uri`] does: names and texts hold them among other words.
pub fn redact_uris(text: &str) -> Cow<'_, str> {
    if !has_uri(text) {
        return Cow::Borrowed(text);
    }
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let uri = word.trim_end();
        if !has_uri(uri) {
            return Cow::Borrowed(word);
        }
        Cow::Owned(format!("{}{}", redact_uri(uri), &word[uri.len()..]))
    });
    Cow::Owned(words.collect())
}

/// Tells whether a text may hold a URI, or what follows the authority of one.
fn has_uri(text: &str) -> bool {
    text.contains('/') && (text.contains('?') || text.contains("://"))
}

/// Replaces the segments of a URI's path that are no words by `*`, and removes userinfo, query and fragment: what is
/// left is the same for all calls of one route. Also takes a path alone.
pub fn generalize_uri(uri: &str) -> Cow<'_, str> {
    let plain = redact_uri(uri);
    let path = match plain.find("://") {
        Some(at) => plain[at + 3..].find('/').map_or(plain.len(), |slash| at + 3 + slash),
        None => 0,
    };
    if plain[path..].split('/').all(is_route_word) {
        return plain;
    }
    let mut out = plain[..path].to_owned();
    for (i, segment) in plain[path..].split('/').enumerate() {
        if i > 0 {
            out.push('/');
        }
        out.push_str(if is_route_word(segment) { segment } else { "*" });
    }
    Cow::Owned(out)
}

/// Tells whether a segment of a path names a route: words of letters, joined by `-`, `_` or `.`, or a version.
/// What has digits, capitals in the midst of a word or no vowel is an id, and so is what is long.
fn is_route_word(segment: &str) -> bool {
    /// The longest word, in letters.
    const LONG: usize = 20;
    let version = segment.strip_prefix('v').is_some_and(|digits| {
        (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    });
    let word = |part: &str| {
        let tail = part.get(1..).unwrap_or_default();
        let one_case = tail.bytes().all(|b| b.is_ascii_lowercase())
            || part.bytes().all(|b| b.is_ascii_uppercase());
        let said = part.len() < 4 || part.bytes().any(|b| b"aeiouyAEIOUY".contains(&b));
        part.bytes().all(|b| b.is_ascii_alphabetic()) && one_case && said && part.len() <= LONG
    };
    segment == "*" || version || segment.split(['-', '_', '.']).all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_stays_behind() {
        for (uri, left) in [
            ("file:///home/a@b/x.txt", "file:///home/a@b/x.txt"),
            ("demo://resource/dynamic/text/7", "demo://resource/dynamic/text/7"),
            ("https://u:p@host:1/x?token=t#frag", "https://host:1/x"),
            ("https://u:p@q@host", "https://host"),
            ("https://host/a?b", "https://host/a"),
            ("mailto:someone@host?subject=s", "mailto:someone@host"),
            ("://@", "://"),
            ("", ""),
        ] {
            assert_eq!(redact_uri(uri), left, "{uri}");
        }
    }

    #[test]
    fn uris_in_a_text_lose_what_may_be_secret() {
        for (text, left) in [
            ("resources/read https://u:p@h/x?t=1 end", "resources/read https://h/x end"),
            ("climate://oslo/summary", "climate://oslo/summary"),
            ("a://b?c\td://e#f", "a://b\td://e"),
            ("GET /path?token=1 now", "GET /path now"),
            ("no uri?x=1", "no uri?x=1"),
            ("", ""),
        ] {
            assert_eq!(redact_uris(text), left, "{text}");
        }
    }

    #[test]
    fn routes_keep_their_words_and_lose_their_ids() {
        for (uri, expected) in [
            ("/api/v1/users/12345/orders", "/api/v1/users/*/orders"),
            (
                "https://h.example:8080/a/5de7e271-0a1e-e32f-4788-dae9fd06328f?q=1#f",
                "https://h.example:8080/a/*",
            ),
            ("https://u:p@h/a", "https://h/a"),
            ("tools/call", "tools/call"),
            ("/twirp/users.Service/Update", "/twirp/users.Service/Update"),
            ("/x/aGVsbG8gd29ybGQ/y", "/x/*/y"),
            ("/qwrtpsdfg", "/*"),
            ("/a/*/b", "/a/*/b"),
            ("", ""),
        ] {
            assert_eq!(generalize_uri(uri), expected, "{uri}");
            assert_eq!(generalize_uri(expected), expected, "twice");
        }
    }
}
