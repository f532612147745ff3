//! Writes single fields of messages, and messages before their length is known. It knows no message by name.

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// A message of about `len` bytes; returns where it begins.
pub(super) fn message_of(
    out: &mut Vec<u8>,
    number: u32,
    len: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> usize {
    let open = Open::guess(out, number, len);
    write(out);
    open.close(out)
}

/// A message that is written before its length is known.
#[derive(Clone, Copy, Debug)]
pub(in crate::otlp) struct Open {
    /// Says where it begins, and how much room was left for its length.
    at: usize,
    room: usize,
}

impl Open {
    /// Begins one of about `len` bytes. If its length takes another number of bytes than that one would,
    /// it is moved in the end.
    pub(in crate::otlp) fn guess(out: &mut Vec<u8>, number: u32, len: usize) -> Self {
        header(out, number, len);
        Open { at: out.len(), room: encoded_len_varint(len as u64) }
    }

    /// Ends it; returns where it begins.
    pub(in crate::otlp) fn close(self, out: &mut Vec<u8>) -> usize {
        let Open { at, room } = self;
        let len = out.len() - at;
        let takes = encoded_len_varint(len as u64);
        let begin = at - room + takes;
        if takes != room {
            out.resize(out.len().max(begin + len), 0);
            out.copy_within(at..at + len, begin);
            out.truncate(begin + len);
        }
        let mut place = &mut out[at - room..begin];
        encode_varint(len as u64, &mut place);
        begin
    }
}

/// Key and length of a field that has one. Fields up to 15 have a key of one byte.
pub(in crate::otlp) fn header(out: &mut Vec<u8>, number: u32, len: usize) {
    debug_assert!(number < 16);
    let key = length_delimited(number);
    match u8::try_from(len) {
        Ok(short @ ..0x80) => out.extend_from_slice(&[key, short]),
        _ => {
            out.push(key);
            encode_varint(len as u64, out);
        }
    }
}

pub(super) fn length_delimited(number: u32) -> u8 {
    (number << 3) as u8 | WireType::LengthDelimited as u8
}

pub(super) fn header_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64)
}

pub(super) fn text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        slice(out, number, text.as_bytes());
    }
}

pub(in crate::otlp) fn slice(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    header(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// Writes a number as a varint, the default too.
pub(in crate::otlp) fn varint(out: &mut Vec<u8>, number: u32, value: u64) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

/// Writes a number unless it is the default.
pub(super) fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        varint(out, field, value);
    }
}

/// Writes a number of four bytes unless it is the default, which is written if it is `kept`.
pub(in crate::otlp) fn fixed32(out: &mut Vec<u8>, number: u32, value: u32, kept: bool) {
    if value != 0 || kept {
        encode_key(number, WireType::ThirtyTwoBit, out);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Writes a number of eight bytes, likewise.
pub(in crate::otlp) fn fixed64(out: &mut Vec<u8>, number: u32, value: u64, kept: bool) {
    if value != 0 || kept {
        encode_key(number, WireType::SixtyFourBit, out);
        out.extend_from_slice(&value.to_le_bytes());
    }
}
