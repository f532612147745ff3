//! Text that is used and never shown.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::given::NOT_EMPTY;

/// A header value, a key, a password. There is no `Display`, and `Debug` keeps silent: whoever needs
/// the text has to [`expose`](Secret::expose) it, which is easy to find. A newtype for serde too (not
/// `transparent`): the reader of settings knows it by its name, quotes no value and takes none empty.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Secret {
    /// Says why a header cannot carry it as it is, if so.
    pub fn unsendable(&self) -> Option<&'static str> {
        unsendable(self.expose())
    }
}

/// Says why a header cannot carry a text as it is, if so: a peer gets fields without blanks at their ends (RFC 9110
/// section 5.5), and what is not printable ASCII is refused or changed by most clients and by gRPC.
pub(super) fn unsendable(text: &str) -> Option<&'static str> {
    if text.ends_with(['\n', '\r']) {
        return Some("ends with a line end, which no header can carry");
    }
    if text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']) {
        return Some("begins or ends with a blank, which headers lose on the way");
    }
    let printable = text.bytes().all(|b| (0x20..0x7f).contains(&b));
    (!printable).then_some("has characters that a header cannot carry")
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", NOT_EMPTY: true })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_like_text_and_printed_by_nobody() {
        let secret: Secret = serde_json::from_str(r#""open sesame""#).unwrap();
        assert_eq!(secret.expose(), "open sesame");
        assert_eq!(format!("{:?}", Some(secret)), "Some([REDACTED])");
    }

    #[test]
    fn what_no_header_carries_is_told() {
        let told = |text: &str| Secret::from(text.to_owned()).unsendable();
        for text in ["", "a", "Bearer a b", "~!@#"] {
            assert_eq!(told(text), None, "{text}");
        }
        for (text, part) in [
            ("a\n", "line end"),
            ("a\r\n", "line end"),
            ("a\n\n", "line end"),
            (" a", "blank"),
            ("a ", "blank"),
            ("a\t", "blank"),
            ("a\nb", "characters"),
            ("\na", "characters"),
            ("a\u{7f}", "characters"),
            ("ä", "characters"),
        ] {
            assert!(told(text).is_some_and(|why| why.contains(part)), "{text:?}");
        }
    }
}
