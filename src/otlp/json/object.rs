//! One JSON object being written, member by member, by protobuf's rules for JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::json::write_string;

/// An object whose opening brace is written and whose closing brace [`object`] writes. Methods named
/// for a type leave the member out when it holds its default; `always_` methods never do.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

/// Writes an object with whatever `members` adds to it.
pub(super) fn object(out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    members(&mut Object { out, empty: true });
    out.push(b'}');
}

impl Object<'_> {
    /// Starts a member; its value is what is appended next.
    fn key(&mut self, key: &'static str) -> &mut Vec<u8> {
        let opening = if self.empty { &b"\""[..] } else { b",\"" };
        self.empty = false;
        self.out.extend_from_slice(opening);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(super) fn text(&mut self, key: &'static str, value: &str) {
        if !value.is_empty() {
            self.always_text(key, value);
        }
    }

    pub(super) fn always_text(&mut self, key: &'static str, value: &str) {
        write_string(self.key(key), value);
    }

    pub(super) fn texts(&mut self, key: &'static str, values: &[String]) {
        self.list(key, values, |out, value| write_string(out, value));
    }

    pub(super) fn hex(&mut self, key: &'static str, id: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        if id.is_empty() {
            return;
        }
        let out = self.key(key);
        out.push(b'"');
        for part in id.chunks(16) {
            let mut text = [[0; 2]; 16];
            for (pair, b) in text.iter_mut().zip(part) {
                *pair = [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]];
            }
            out.extend_from_slice(&text.as_flattened()[..2 * part.len()]);
        }
        out.push(b'"');
    }

    pub(super) fn always_base64(&mut self, key: &'static str, value: &[u8]) {
        write_string(self.key(key), &STANDARD.encode(value));
    }

    pub(super) fn bool(&mut self, key: &'static str, value: bool) {
        if value {
            self.always_bool(key, value);
        }
    }

    pub(super) fn always_bool(&mut self, key: &'static str, value: bool) {
        let word: &[u8] = if value { b"true" } else { b"false" };
        self.key(key).extend_from_slice(word);
    }

    pub(super) fn u32(&mut self, key: &'static str, value: u32) {
        if value != 0 {
            decimal(self.key(key), u64::from(value));
        }
    }

    /// A 32-bit integer or an enum.
    pub(super) fn i32(&mut self, key: &'static str, value: i32) {
        if value != 0 {
            self.always_i32(key, value);
        }
    }

    pub(super) fn always_i32(&mut self, key: &'static str, value: i32) {
        signed(self.key(key), i64::from(value));
    }

    pub(super) fn u64(&mut self, key: &'static str, value: u64) {
        if value != 0 {
            quoted(self.key(key), value);
        }
    }

    pub(super) fn u64s(&mut self, key: &'static str, values: &[u64]) {
        self.list(key, values, |out, value| quoted(out, *value));
    }

    pub(super) fn always_i64(&mut self, key: &'static str, value: i64) {
        let out = self.key(key);
        out.push(b'"');
        signed(out, value);
        out.push(b'"');
    }

    pub(super) fn f64(&mut self, key: &'static str, value: f64) {
        // Negative zero is not the default: its bits differ (protobuf, "Default values").
        if value.to_bits() != 0 {
            self.always_f64(key, value);
        }
    }

    pub(super) fn always_f64(&mut self, key: &'static str, value: f64) {
        double(self.key(key), value);
    }

    pub(super) fn optional_f64(&mut self, key: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.always_f64(key, value);
        }
    }

    pub(super) fn f64s(&mut self, key: &'static str, values: &[f64]) {
        self.list(key, values, |out, value| double(out, *value));
    }

    pub(super) fn always_message(
        &mut self,
        key: &'static str,
        members: impl FnOnce(&mut Object<'_>),
    ) {
        object(self.key(key), members);
    }

    pub(super) fn message<M>(
        &mut self,
        key: &'static str,
        message: Option<&M>,
        members: impl FnOnce(&mut Object<'_>, &M),
    ) {
        if let Some(message) = message {
            self.always_message(key, |o| members(o, message));
        }
    }

    pub(super) fn messages<M>(
        &mut self,
        key: &'static str,
        messages: &[M],
        members: impl Fn(&mut Object<'_>, &M),
    ) {
        if !messages.is_empty() {
            self.always_messages(key, messages, members);
        }
    }

    pub(super) fn always_messages<M>(
        &mut self,
        key: &'static str,
        messages: &[M],
        members: impl Fn(&mut Object<'_>, &M),
    ) {
        array(self.key(key), messages, |out, message| object(out, |o| members(o, message)));
    }

    fn list<T>(&mut self, key: &'static str, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
        if !items.is_empty() {
            array(self.key(key), items, write);
        }
    }
}

fn array<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn quoted(out: &mut Vec<u8>, value: u64) {
    out.push(b'"');
    decimal(out, value);
    out.push(b'"');
}

fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    decimal(out, value.unsigned_abs());
}

fn decimal(out: &mut Vec<u8>, mut value: u64) {
    // 20 digits hold u64::MAX.
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The shortest text that reads back as the same double; proto3 JSON has words for what is no number.
fn double(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        let word: &[u8] = if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" };
        out.extend_from_slice(word);
    } else if value == 0.0 && value.is_sign_negative() {
        // ECMAScript writes it without its sign.
        out.extend_from_slice(b"-0.0");
    } else {
        out.extend_from_slice(ryu_js::Buffer::new().format_finite(value).as_bytes());
    }
}
