//! Which items a backend can take, as far as their ids go.
//!
//! A span needs both of its ids, of the right length and not zero (trace.proto). Every other id may be
//! missing, but one of another length makes strict backends refuse the whole request it travels in.

/// Bytes of a trace id.
pub const TRACE_ID: usize = 16;

/// Bytes of a span id.
pub const SPAN_ID: usize = 8;

/// Says whether an id is there: of that length and not all zero.
pub(in crate::otlp) fn given(id: &[u8], len: usize) -> bool {
    id.len() == len && id.iter().any(|b| *b != 0)
}

/// Says whether an id is missing or of that length.
pub(in crate::otlp) fn absent_or(id: &[u8], len: usize) -> bool {
    id.is_empty() || id.len() == len
}
