//! URIs inside of texts: names of spans and values of attributes hold them with secrets and all.

use std::borrow::Cow;

use crate::mcp::uri;

/// The text with every URI in it as it may be shown.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if !is_uri(text) {
        return Cow::Borrowed(text);
    }
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let uri = word.trim_end();
        if !is_uri(uri) {
            return Cow::Borrowed(word);
        }
        Cow::Owned(format!("{}{}", uri::shown(uri), &word[uri.len()..]))
    });
    Cow::Owned(words.collect())
}

/// Whether there may be a URI in it, or what follows its authority.
fn is_uri(text: &str) -> bool {
    text.contains('/') && (text.contains('?') || text.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(shown(text), left, "{text}");
        }
    }
}
