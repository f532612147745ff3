//! Changes to single JSON-RPC messages, for a tap that was told to make them: the trace context and
//! the asking for spans in a request, and the spans taken out of its answer.
//!
//! Pure: one whole message in, a short list of [`Splice`]s out. Nothing is parsed into a tree and
//! written again, so everything outside of the splices stays as it is, byte by byte. What cannot be
//! changed for certain is not changed, and [`Unedited`] says why. That is so of every message that is not JSON to the
//! letter, wherever in it that shows: peers read such texts in ways of their own.

mod asked;
mod object;
mod request;
mod answer;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use answer::Reply;
pub use asked::{Asked, Awaited, Scope};
pub use request::{Ask, Asking, Method, Opening, Request, Target};

use crate::json;

/// Says why a message stays as it is although something was to be changed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unedited {
    /// It is an array of messages (2025-03-26).
    Batch,
    /// It is no JSON object by RFC 8259, or has something behind it, or is nested too deeply.
    Invalid,
    /// A key that matters stands there twice: peers differ in which one they believe.
    Duplicate,
    /// A key that matters is written with escapes.
    Escaped,
    /// `params`, `_meta` or `otel` is something else than an object.
    NotAnObject,
    /// `_meta.otel.traces` neither asks for spans nor refuses them, as far as we know.
    OddRequest,
    /// The client wants no spans: `request` is `false`.
    Declined,
}

/// Bytes in place of others. An empty range is an insertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// Holds what goes, as a range of the original text.
    pub at: Range<usize>,
    /// Holds what comes in its place.
    pub text: Vec<u8>,
}

/// The changes to one message, in order and without overlaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit(Vec<Splice>);

impl Edit {
    fn new(mut splices: Vec<Splice>) -> Self {
        splices.sort_by_key(|splice| splice.at.start);
        Edit(splices)
    }

    /// Says whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes.
    pub fn splices(&self) -> &[Splice] {
        &self.0
    }

    /// Appends the changed message to `out`. `text` is the message that the edit was made for.
    pub fn apply(&self, text: &[u8], out: &mut Vec<u8>) {
        let mut from = 0;
        for Splice { at, text: new } in &self.0 {
            out.extend_from_slice(&text[from..at.start]);
            out.extend_from_slice(new);
            from = at.end;
        }
        out.extend_from_slice(&text[from..]);
    }
}

impl Unedited {
    /// A word for the books.
    pub fn name(self) -> &'static str {
        match self {
            Unedited::Batch => "batch",
            Unedited::Invalid => "invalid",
            Unedited::Duplicate => "duplicate_key",
            Unedited::Escaped => "escaped_key",
            Unedited::NotAnObject => "not_an_object",
            Unedited::OddRequest => "odd_request",
            Unedited::Declined => "declined",
        }
    }
}

/// Refuses a text that is to be changed unless it is JSON to the letter. The walk to the places of changes takes what
/// some peers take: `NaN`, bytes that are no UTF-8, values passed over of which only the brackets are right.
fn strict(text: &[u8]) -> Result<(), Unedited> {
    Ok(json::check(text, json::MAX_DEPTH)?)
}

impl From<json::Error> for Unedited {
    fn from(_: json::Error) -> Self {
        Unedited::Invalid
    }
}

/// The text of one message told apart from what is none: `None` for white space.
fn message(text: &[u8]) -> Result<Option<()>, Unedited> {
    match text.trim_ascii_start().first() {
        None => Ok(None),
        Some(b'{') => Ok(Some(())),
        Some(b'[') => Err(Unedited::Batch),
        Some(_) => Err(Unedited::Invalid),
    }
}
