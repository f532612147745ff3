//! Holds what spans, metrics and log records have in common: they stand under one resource and one scope, whose
//! messages have the same field numbers in every signal.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::encoding::message;

use super::fields::{Open, header_len, message_of};

/// Holds items of one resource and one scope, one after the other.
#[derive(Debug)]
pub(super) struct Group {
    /// An export request but for the lengths of what is open.
    bytes: Vec<u8>,
    resource: Open,
    scope: Open,
    count: usize,
}

impl Group {
    /// Begins one whose items will take about `size` bytes.
    pub(super) fn of(resource: &Resource, scope: &InstrumentationScope, size: usize) -> Self {
        let scope_len = message::encoded_len(1, scope) + size;
        let resource_len = message::encoded_len(1, resource) + header_len(scope_len) + scope_len;
        let mut bytes = Vec::with_capacity(resource_len + resource_len / 8);
        let out = &mut bytes;
        let open = Open::guess(out, 1, resource_len);
        message::encode(1, resource, out);
        let items = Open::guess(out, 2, scope_len);
        message::encode(1, scope, out);
        Group { bytes, resource: open, scope: items, count: 0 }
    }

    /// Adds the item of about `usual` bytes that `write` writes.
    pub(super) fn add(&mut self, usual: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.add_all(usual, |out| {
            write(out);
            1
        });
    }

    /// Adds what `write` writes, a message of about `usual` bytes with as many items as it says.
    pub(super) fn add_all(&mut self, usual: usize, write: impl FnOnce(&mut Vec<u8>) -> usize) {
        let mut items = 0;
        message_of(&mut self.bytes, 2, usual, |out| items = write(out));
        self.count += items;
    }

    /// Counts the items.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Tells how many bytes they take.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Gives the request's bytes and the number of its items.
    pub(super) fn finish(self) -> (Vec<u8>, usize) {
        let Group { mut bytes, resource, scope, count } = self;
        scope.close(&mut bytes);
        resource.close(&mut bytes);
        (bytes, count)
    }
}

/// Gives memory back that was reserved and is not used, but for a little.
pub(super) fn give_back(bytes: &mut Vec<u8>) {
    if bytes.capacity() > bytes.len() + bytes.len() / 4 {
        bytes.shrink_to_fit();
    }
}
