//! One borrowing, bounded JSON pull reader for everything here that looks at JSON: the peek into MCP
//! messages, the `_meta` editor, the canonical form and OTLP/JSON.
//!
//! It never builds a tree, never allocates (except to unescape a string on request) and never
//! recurses: depth is a counter against a limit. It does not convert numbers and does not care about
//! duplicate keys; those are the callers' rules. [`Reader::skip`] checks brackets and string ends but
//! not what is inside strings and numbers, so that a peek stays cheap; a caller that must be strict
//! reads every value, or asks [`check`] first. Who looks at messages of others asks for [a reader of those](Reader::of_messages),
//! which takes what some of their readers take and notes the strings that none does.

mod scan;
mod write;
mod strings;
mod text;
mod nest;
mod reader;
mod check;

pub use check::check;
pub use reader::{Kind, Reader};
pub(crate) use strings::is_flawed;
pub use text::Text;
pub use write::{write_string, write_string_lossy, write_utf8};

/// The deepest nesting any caller may ask for: one bit a level says array or object.
pub const MAX_DEPTH: usize = 128;

/// Says why a text is not JSON, or not within bounds, and the byte offset where that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct Error {
    /// Holds what went wrong.
    pub kind: ErrorKind,
    /// Offset into the input, in bytes.
    pub at: usize,
}

/// The ways a text can fail to be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(usize)] // A result is moved often, and moved as whole words that way.
pub enum ErrorKind {
    /// The input ended inside a value.
    #[error("unexpected end")]
    Eof,
    /// A byte that the grammar does not allow here.
    #[error("unexpected byte")]
    Unexpected,
    /// A value of another kind than the one asked for.
    #[error("another kind of value")]
    WrongKind,
    /// More nested than the reader's limit.
    #[error("nested too deeply")]
    Depth,
    /// A string with a raw control character or an unknown escape.
    #[error("malformed string")]
    BadString,
    /// A string that is not UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
    /// A `\u` escape that is half of a surrogate pair.
    #[error("lone surrogate")]
    Surrogate,
    /// Something after the end of the value.
    #[error("trailing data")]
    Trailing,
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests;
