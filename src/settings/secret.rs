//! Text that is used and never shown.

use std::fmt;

use serde::Deserialize;

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

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text)
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
}
