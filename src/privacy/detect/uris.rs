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
}
