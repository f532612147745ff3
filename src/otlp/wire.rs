//! Protobuf bytes that are known to decode.

use bytes::Bytes;

/// Bytes of an export request that a decoder will accept, with their number of items.
#[derive(Clone, Debug)]
pub struct Checked {
    bytes: Bytes,
    items: usize,
}

impl Checked {
    /// Spans, data points or log records in it.
    pub fn items(&self) -> usize {
        self.items
    }

    /// The bytes.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}
