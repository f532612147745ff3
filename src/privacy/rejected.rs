//! Why a text has no canonical form, in the words of `mcpcol.arguments.digest.error`.

use std::fmt;

use crate::json::{self, ErrorKind};

/// Says why a text has no canonical form here, and the byte offset where that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {at}")]
pub struct Rejected {
    /// Holds what is wrong.
    pub reason: Reason,
    /// Offset into the text, in bytes.
    pub at: usize,
}

/// The reasons, as they stand in `mcpcol.arguments.digest.error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Two members of one object have the same name, after unescaping.
    DuplicateKey,
    /// Half of a surrogate pair, in a string or a key.
    LoneSurrogate,
    /// A number beyond what a double can hold.
    NumberRange,
    /// Nested deeper than [`json::MAX_DEPTH`].
    Depth,
    /// Longer than the limit, or not observed whole.
    Size,
    /// Not JSON by RFC 8259.
    NotJson,
    /// A string that is not UTF-8.
    InvalidUtf8,
    /// There is no key to sign with: not a fault of the text.
    NoKey,
    /// It was not kept, because no processor read such texts when it came: not a fault of the text.
    Unread,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 9] = [
        Reason::DuplicateKey,
        Reason::LoneSurrogate,
        Reason::NumberRange,
        Reason::Depth,
        Reason::Size,
        Reason::NotJson,
        Reason::InvalidUtf8,
        Reason::NoKey,
        Reason::Unread,
    ];

    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Reason::DuplicateKey => "duplicate_key",
            Reason::LoneSurrogate => "lone_surrogate",
            Reason::NumberRange => "number_range",
            Reason::Depth => "depth",
            Reason::Size => "size",
            Reason::NotJson => "not_json",
            Reason::InvalidUtf8 => "invalid_utf8",
            Reason::NoKey => "no_key",
            Reason::Unread => "unread",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<json::Error> for Rejected {
    fn from(error: json::Error) -> Self {
        let reason = match error.kind {
            ErrorKind::Depth => Reason::Depth,
            ErrorKind::Surrogate => Reason::LoneSurrogate,
            ErrorKind::Utf8 => Reason::InvalidUtf8,
            ErrorKind::Eof
            | ErrorKind::Unexpected
            | ErrorKind::WrongKind
            | ErrorKind::BadString
            | ErrorKind::Trailing => Reason::NotJson,
        };
        Rejected { reason, at: error.at }
    }
}
