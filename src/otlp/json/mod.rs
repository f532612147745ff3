//! OTLP/JSON: one document of `TracesData`, `MetricsData` or `LogsData`, as the OTLP file format has
//! one a line.
//!
//! The specification's rules: ids are lower-case hex, other bytes base64, 64-bit integers are strings,
//! enums numbers, keys lowerCamelCase. Members that hold their default are left out; a oneof keeps its
//! chosen member. Written straight from protobuf's bytes and read straight into them, with no tree, no messages and
//! no serde between.

mod input;
mod members;
mod read;
pub mod view;
mod write;
#[cfg(test)]
mod tests;

pub use read::{is_strange, read, read_within, root};
pub use write::write;

use crate::json;

/// Says why a document cannot be read, and the byte offset where that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} at byte {at}")]
pub struct Error {
    /// Holds what is wrong.
    pub why: Why,
    /// Offset into the document, in bytes.
    pub at: usize,
}

/// The ways a document can fail to be OTLP/JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Not JSON, or another kind of value than the member has.
    #[error("{0}")]
    Json(json::ErrorKind),
    /// Not a whole number within the member's range.
    #[error("not an integer of this size")]
    Integer,
    /// Not a number.
    #[error("not a number")]
    Double,
    /// An id that is not hexadecimal.
    #[error("not hexadecimal")]
    Hex,
    /// Bytes that are not base64.
    #[error("not base64")]
    Base64,
    /// Far more in memory than its text: nothing that anybody would send.
    #[error("too many values for a document of this size")]
    Growth,
    /// There is no room for what it becomes.
    #[error("no room for the document")]
    Room,
    /// An enum value that nobody defined.
    #[error("unknown enum value")]
    Enum,
}

impl From<json::Error> for Error {
    fn from(e: json::Error) -> Self {
        Error { why: Why::Json(e.kind), at: e.at }
    }
}
