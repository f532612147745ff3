//! JSON-RPC ids and progress tokens, typed and bounded.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use super::RawId;
use crate::json::Text;
use crate::privacy::cut::cut;

/// The longest id that is kept as it is, in bytes; SDKs use small integers and UUIDs.
const MAX_ID: usize = 256;

/// Integers that a double holds exactly, so that `7.0` is the same id as `7` to every peer.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// An id. `1` and `"1"` are different ones; what an answer under `"1"` may still close says
/// [`spelled`](Id::spelled).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// An integer.
    Int(i64),
    /// A number that is no integer of 64 bits, as written.
    Number(Box<str>),
    /// A string.
    Text(Box<str>),
    /// A string or number too long to keep, or not readable: its beginning and a hash of the whole.
    Long {
        /// Holds what is shown of it, at most 256 bytes.
        head: Box<str>,
        /// Hash of the whole, keyed by the session.
        hash: u64,
    },
}

impl Id {
    /// The id a message carries; `None` where it carries none that could be answered.
    pub(super) fn read(raw: &RawId<'_>, keys: &RandomState) -> Option<Id> {
        match raw {
            RawId::Number(digits) => Some(Id::number(digits, keys)),
            RawId::Text(text) => Some(Id::text(text, keys)),
            RawId::Absent | RawId::Null | RawId::Odd => None,
        }
    }

    fn number(digits: &str, keys: &RandomState) -> Id {
        if let Ok(n) = digits.parse() {
            return Id::Int(n);
        }
        match digits.parse::<f64>() {
            #[expect(clippy::cast_possible_truncation, reason = "checked to be an exact integer")]
            Ok(n) if n.fract() == 0.0 && n.abs() <= MAX_EXACT => Id::Int(n as i64),
            _ if digits.len() <= MAX_ID => Id::Number(digits.into()),
            _ => Id::Long { head: cut(digits, MAX_ID, true).into(), hash: keys.hash_one(digits) },
        }
    }

    fn text(text: &Text<'_>, keys: &RandomState) -> Id {
        match text.decode() {
            Ok(whole) if whole.len() <= MAX_ID => Id::Text(whole.into()),
            _ => {
                let (head, more) = text.lossy(MAX_ID);
                Id::Long { head: cut(head, MAX_ID, more).into(), hash: keys.hash_one(text.raw()) }
            }
        }
    }
}

impl Id {
    /// The integer that a text spells: digits, perhaps a minus before them, perhaps blanks around. Clients
    /// of both official SDKs number their requests and take an answer whose id is the number as a text
    /// (TypeScript by `Number(id)`, Python by `int(id)`), so a server that makes texts of ids works with
    /// them. Blanks are those that both of them pass over.
    pub fn spelled(&self) -> Option<i64> {
        let Id::Text(text) = self else { return None };
        let digits = text.trim_matches(|c: char| c.is_whitespace() && c != '\u{85}');
        let plain = |b: u8| b.is_ascii_digit() || b == b'-';
        digits.parse().ok().filter(|_| digits.bytes().all(plain))
    }

    /// Its type in JSON, as a word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Id::Int(_) => "integer",
            Id::Number(_) => "number",
            Id::Text(_) => "text",
            Id::Long { .. } => "long",
        }
    }

    /// As a text; `digits` holds those of a number.
    pub fn shown<'a>(&'a self, digits: &'a mut itoa::Buffer) -> &'a str {
        match self {
            Id::Int(number) => digits.format(*number),
            Id::Number(text) | Id::Text(text) | Id::Long { head: text, .. } => text,
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown(&mut itoa::Buffer::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Message;

    fn id(keys: &RandomState, json: &str) -> Option<Id> {
        let text = format!(r#"{{"id":{json},"method":"m"}}"#);
        let (message, _) = Message::peek(text.as_bytes()).unwrap();
        Id::read(&message.id, keys)
    }

    #[test]
    fn a_number_and_the_same_digits_in_quotes_are_two_ids() {
        let keys = RandomState::new();
        assert_ne!(id(&keys, "1"), id(&keys, "\"1\""));
        assert_eq!(id(&keys, "1"), id(&keys, "1.0"));
        assert_eq!(id(&keys, "1"), id(&keys, "1e0"));
        assert_ne!(id(&keys, "1"), id(&keys, "1.5"));
        assert_eq!(id(&keys, "\"a\\u0062\""), id(&keys, "\"ab\""));
        for none in ["null", "true", "[1]", "{}"] {
            assert_eq!(id(&keys, none), None);
        }
    }

    #[test]
    fn a_text_spells_the_integer_that_both_sdks_read_in_it() {
        let keys = RandomState::new();
        for (json, number) in [
            ("\"7\"", Some(7)),
            ("\" 7\"", Some(7)),
            ("\"7 \\t\\r\\n\"", Some(7)),
            ("\"\\u00a07\\u2028\\u3000\"", Some(7)),
            ("\"007\"", Some(7)),
            ("\"-7\"", Some(-7)),
            ("\"-0\"", Some(0)),
            ("\"9007199254740993\"", Some(9_007_199_254_740_993)),
            ("\"\"", None),
            ("\" \"", None),
            ("\"-\"", None),
            ("\"- 7\"", None),
            ("\"--7\"", None),
            ("\"7-\"", None),
            ("\"1 2\"", None),
            ("\"7.0\"", None),
            ("\"7e0\"", None),
            ("\"0x7\"", None),
            ("\"1_0\"", None),
            ("\"\\u0667\"", None),
            ("\"\\u00857\"", None),
            ("\"\\u001c7\"", None),
            ("\"\\ufeff7\"", None),
            ("\"7\\u0000\"", None),
            ("\"99999999999999999999\"", None),
            ("7", None),
            ("7.5", None),
        ] {
            assert_eq!(id(&keys, json).unwrap().spelled(), number, "{json}");
        }
    }

    #[test]
    fn integers_beyond_a_double_stay_apart() {
        let keys = RandomState::new();
        assert_ne!(id(&keys, "9007199254740993"), id(&keys, "9007199254740992"));
        assert_ne!(id(&keys, "18446744073709551617"), id(&keys, "18446744073709551616"));
    }

    #[test]
    fn long_ids_are_bounded_and_still_told_apart() {
        let keys = RandomState::new();
        let long = "x".repeat(5000);
        let a = id(&keys, &format!("\"{long}a\"")).unwrap();
        let b = id(&keys, &format!("\"{long}b\"")).unwrap();
        assert_ne!(a, b);
        assert_eq!(a.to_string(), "xxxx…");
        assert_ne!(id(&keys, &"1".repeat(400)), id(&keys, &"1".repeat(401)));
    }
}
