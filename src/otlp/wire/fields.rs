//! The fields of one message, in the order of its bytes, for whoever reads single ones without a decoder.
//!
//! For bytes that passed the [`check`](super::check): of others it reads as far as there is sense in them.

/// Wire types, as the low three bits of a key give them.
pub(super) mod wire_type {
    pub(in crate::otlp::wire) const VARINT: u32 = 0;
    pub(in crate::otlp::wire) const FIXED64: u32 = 1;
    pub(in crate::otlp::wire) const LENGTH: u32 = 2;
    pub(in crate::otlp::wire) const START_GROUP: u32 = 3;
    pub(in crate::otlp::wire) const END_GROUP: u32 = 4;
    pub(in crate::otlp::wire) const FIXED32: u32 = 5;
}

/// Holds what is left of a message.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

/// A field's value as its wire type gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Integers that are not fixed, bools, enums.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Texts, bytes, messages, packed numbers.
    Slice(&'a [u8]),
    /// Four bytes.
    Fixed32(u32),
    /// A group, which no message of OTLP has: from a newer sender.
    Group,
}

impl<'a> Fields<'a> {
    /// The next field's number and value; `None` at the end.
    #[inline(always)]
    pub fn field(&mut self) -> Option<(u32, Value<'a>)> {
        if self.0.is_empty() {
            return None;
        }
        let key = self.varint()?;
        let number = (key >> 3) as u32;
        let value = match (key & 7) as u32 {
            wire_type::LENGTH => {
                let len = usize::try_from(self.varint()?).ok()?;
                let (slice, rest) = self.0.split_at_checked(len)?;
                self.0 = rest;
                Value::Slice(slice)
            }
            wire_type::VARINT => Value::Varint(self.varint()?),
            wire_type::FIXED64 => Value::Fixed64(self.fixed64()?),
            wire_type::FIXED32 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            wire_type::START_GROUP => self.group()?,
            _ => return None,
        };
        Some((number, value))
    }

    /// The first field of that number, if its value has a length: a text, bytes, a message.
    #[inline]
    pub fn slice(mut self, wanted: u32) -> Option<&'a [u8]> {
        while let Some((number, value)) = self.field() {
            if number == wanted
                && let Value::Slice(slice) = value
            {
                return Some(slice);
            }
        }
        None
    }

    /// Passes over a group. Those within it are as many as the check lets pass.
    #[inline(never)]
    fn group(&mut self) -> Option<Value<'a>> {
        let mut open = 1;
        while open > 0 {
            match (self.varint()? & 7) as u32 {
                wire_type::LENGTH => {
                    let len = usize::try_from(self.varint()?).ok()?;
                    self.0 = self.0.split_at_checked(len)?.1;
                }
                wire_type::VARINT => drop(self.varint()?),
                wire_type::FIXED64 => drop(self.fixed64()?),
                wire_type::FIXED32 => drop(self.array::<4>()?),
                wire_type::START_GROUP => open += 1,
                _ => open -= 1,
            }
        }
        Some(Value::Group)
    }

    /// A varint, of a packed field for example.
    #[inline(always)]
    pub fn varint(&mut self) -> Option<u64> {
        match self.0 {
            [b, rest @ ..] if *b < 0x80 => {
                self.0 = rest;
                Some(u64::from(*b))
            }
            _ => self.long_varint(),
        }
    }

    /// Of more than one byte: seldom, and so not where the others are read.
    #[inline(never)]
    fn long_varint(&mut self) -> Option<u64> {
        prost::encoding::decode_varint(&mut self.0).ok()
    }

    /// Eight bytes, likewise.
    #[inline]
    pub fn fixed64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.array()?))
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }
}

/// The keys of the fields 1 and 2 where they have a length.
const FIRST: u8 = (1 << 3) | wire_type::LENGTH as u8;
const SECOND: u8 = (2 << 3) | wire_type::LENGTH as u8;
/// That of an `int_value`.
const INT: u8 = (3 << 3) | wire_type::VARINT as u8;

/// Name and value of an attribute (`KeyValue`) as encoders write it: both once, in order, and nothing
/// else. `None` for any other, which may be good all the same.
#[inline(always)]
pub fn plain_attribute(key_value: &[u8]) -> Option<(&[u8], &[u8])> {
    let [FIRST, length @ 1..0x80, rest @ ..] = key_value else { return None };
    let (name, [SECOND, value @ ..]) = rest.split_at_checked(usize::from(*length))? else {
        return None;
    };
    Some((name, whole(value)?))
}

/// The text of a value (`AnyValue`) that is one, likewise.
#[inline]
pub fn plain_text(any_value: &[u8]) -> Option<&[u8]> {
    let [FIRST, text @ ..] = any_value else { return None };
    whole(text)
}

/// The number of a value that is an integer, likewise.
#[inline]
pub fn plain_int(any_value: &[u8]) -> Option<i64> {
    let [INT, number @ ..] = any_value else { return None };
    let mut fields = Fields(number);
    let number = fields.varint()?;
    fields.0.is_empty().then_some(number as i64)
}

/// Gives what stands behind a length, if it is all of the rest.
#[inline(always)]
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields(bytes);
    (fields.varint() == Some(fields.0.len() as u64)).then_some(fields.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_written_plainly_is_taken_for_it() {
        let name: &[u8] = &[0x0a, 1, b'n'];
        let value: &[u8] = &[0x12, 3, 0x0a, 1, b'v'];
        let text: &[u8] = &[0x0a, 1, b'v'];
        assert_eq!(plain_attribute(&[name, value].concat()), Some((&b"n"[..], text)));
        assert_eq!(plain_text(text), Some(&b"v"[..]));
        for other in [
            &[name][..],
            &[value],
            &[value, name],
            &[name, name, value],
            &[name, value, value],
            &[name, value, &[0x18, 1]],
            &[name, &value[..4]],
            &[&[0x0a, 0], value],
            &[&[0x0a, 9, b'n'], value],
            &[],
        ] {
            assert_eq!(plain_attribute(&other.concat()), None, "{other:?}");
        }
        for other in [&[0x18, 1][..], &[0x0a, 2, b'v'], &[0x0a, 0, 0x18, 1], &[0x0a], &[]] {
            assert_eq!(plain_text(other), None, "{other:?}");
        }
        assert_eq!(plain_int(&[0x18, 0x80, 1]), Some(128));
        let minus_one = [&[0x18][..], &[0xff; 9], &[1]].concat();
        assert_eq!(plain_int(&minus_one), Some(-1));
        for other in [text, &[0x18], &[0x18, 0x80], &[0x18, 1, 0x18, 1], &[0x10, 1], &[]] {
            assert_eq!(plain_int(other), None, "{other:?}");
        }
    }
}
