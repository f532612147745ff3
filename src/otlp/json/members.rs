//! The members of one JSON object being read, and the scalar kinds of OTLP/JSON.
//!
//! As lax as the specification asks receivers to be, and as the Collector is: unknown members are
//! passed over, `null` means unset, 64-bit integers come as strings or numbers, enums as numbers or
//! names, hex in either case, keys in camelCase or snake_case.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::input::Reader;
use super::{Error, Why};
use crate::json::{Kind, Text};
use crate::otlp::wire::compose::header;

pub(super) type Result<T> = std::result::Result<T, Error>;

/// An id as it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Id<const N: usize> {
    /// Missing, empty or all zero.
    #[default]
    Absent,
    /// Something that is no id.
    Bad,
    /// An id.
    Given([u8; N]),
}

/// proto3 JSON takes either alphabet, padded or not.
const LAX: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LAX);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LAX);

/// Reads an object, handing each member that is not null to `member`, which reads the value and says
/// whether it knew the key. A key that it does not know is handed to it once more if there is another way
/// to spell it.
pub(super) fn members<'a>(
    r: &mut Reader<'a>,
    mut member: impl FnMut(&mut Reader<'a>, &[u8]) -> Result<bool>,
) -> Result<()> {
    r.object()?;
    loop {
        let decoded;
        let key = match r.plain_key() {
            Some(key) => key,
            None => {
                let Some(key) = r.key()? else { return Ok(()) };
                decoded = key.decode()?;
                decoded.as_bytes()
            }
        };
        if r.is_null()? {
            r.null()?;
            continue;
        }
        let known = member(r, key)? || key.contains(&b'_') && member(r, &camel(key))?;
        if !known {
            r.skip()?;
        }
    }
}

/// A key as the specification spells it.
fn camel(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len());
    let mut upper = false;
    for b in key {
        match b {
            b'_' => upper = true,
            b if upper => {
                out.push(b.to_ascii_uppercase());
                upper = false;
            }
            b => out.push(*b),
        }
    }
    out
}

/// Reads an array to the end of a list.
pub(super) fn append<'a, T>(
    r: &mut Reader<'a>,
    all: &mut Vec<T>,
    mut item: impl FnMut(&mut Reader<'a>) -> Result<T>,
) -> Result<()> {
    r.array()?;
    while r.item()? {
        r.spend(size_of::<T>())?;
        all.push(item(r)?);
    }
    Ok(())
}

pub(super) fn borrowed<'a>(r: &mut Reader<'a>) -> Result<Cow<'a, str>> {
    Ok(r.string()?)
}

pub(super) fn bool(r: &mut Reader<'_>) -> Result<bool> {
    Ok(r.bool()?)
}

/// Reads an id as a field of protobuf; an empty one is none, unless it is `kept`.
pub(super) fn hex_onto(
    r: &mut Reader<'_>,
    number: u32,
    kept: bool,
    out: &mut Vec<u8>,
) -> Result<()> {
    let text = r.text()?;
    let digits = text.decode()?;
    let len = digits.len() / 2;
    r.make_room(out, len)?;
    if digits.is_empty() && !kept {
        return Ok(());
    }
    header(out, number, len);
    let start = out.len();
    out.resize(start + len, 0);
    if unhex(digits.as_bytes(), &mut out[start..]) { Ok(()) } else { Err(wrong(Why::Hex, &text)) }
}

/// Reads an id of which is known how long it is.
pub(super) fn id<const N: usize>(r: &mut Reader<'_>) -> Result<Id<N>> {
    let (_, at) = r.peek()?;
    let digits = borrowed(r)?;
    let id = Id::of(digits.as_bytes());
    let odd = id == Id::Bad && !unhex(digits.as_bytes(), &mut vec![0; digits.len() / 2]);
    if odd { Err(Error { why: Why::Hex, at: at + 1 }) } else { Ok(id) }
}

/// Makes `bytes` of hexadecimal digits, in either case; says whether they are as many, and nothing else.
fn unhex(digits: &[u8], bytes: &mut [u8]) -> bool {
    let (pairs, rest) = digits.as_chunks::<2>();
    // What is no digit shows in the upper half of the byte; looked at once, in the end.
    let mut seen = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (NIBBLES[usize::from(*high)], NIBBLES[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    seen <= 0xf && rest.is_empty() && pairs.len() == bytes.len()
}

impl<const N: usize> Id<N> {
    /// Gives what hexadecimal digits say.
    pub fn of(digits: &[u8]) -> Self {
        let mut id = [0; N];
        match unhex(digits, &mut id) {
            _ if digits.is_empty() => Id::Absent,
            false => Id::Bad,
            true if id == [0; N] => Id::Absent,
            true => Id::Given(id),
        }
    }

    /// The id, if there is one.
    pub fn given(self) -> Option<[u8; N]> {
        match self {
            Id::Given(id) => Some(id),
            Id::Absent | Id::Bad => None,
        }
    }
}

/// The value of each hexadecimal digit; 0xff for what is none.
const NIBBLES: [u8; 256] = {
    let mut nibbles = [0xff; 256];
    let mut b = 0;
    while b < 256 {
        if let Some(value) = (b as u8 as char).to_digit(16) {
            nibbles[b] = value as u8;
        }
        b += 1;
    }
    nibbles
};

pub(super) fn base64(r: &mut Reader<'_>) -> Result<Vec<u8>> {
    let text = r.text()?;
    let digits = text.decode()?;
    let engine = if digits.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    engine.decode(digits.as_bytes()).map_err(|_| wrong(Why::Base64, &text))
}

pub(super) fn u32(r: &mut Reader<'_>) -> Result<u32> {
    integer(r)
}

pub(super) fn i32(r: &mut Reader<'_>) -> Result<i32> {
    integer(r)
}

pub(super) fn u64(r: &mut Reader<'_>) -> Result<u64> {
    integer(r)
}

pub(super) fn i64(r: &mut Reader<'_>) -> Result<i64> {
    integer(r)
}

/// A whole number, as a number or as a string; `1e3` and `5.0` are whole too.
#[inline]
fn integer<T: TryFrom<u64> + TryFrom<i128>>(r: &mut Reader<'_>) -> Result<T> {
    let at = r.offset();
    match r.plain_whole() {
        Some(whole) => T::try_from(whole).map_err(|_| Error { why: Why::Integer, at }),
        None => other_integer(r),
    }
}

#[inline(never)]
fn other_integer<T: TryFrom<i128>>(r: &mut Reader<'_>) -> Result<T> {
    let (digits, at) = numeric(r)?;
    let whole = digits.parse::<i128>().ok().or_else(|| whole(&digits));
    whole.and_then(|whole| T::try_from(whole).ok()).ok_or(Error { why: Why::Integer, at })
}

/// Reads a decimal number to the last digit, as no double could; `None` where it has a fraction, or digits or an
/// exponent far beyond 64 bits.
fn whole(decimal: &str) -> Option<i128> {
    let (mantissa, exponent) = decimal.split_once(['e', 'E']).unwrap_or((decimal, "0"));
    let (before, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let behind = behind.trim_end_matches('0');
    let digits: i128 = format!("{before}{behind}").parse().ok()?;
    let places = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(behind.len()).ok()?)?;
    if digits == 0 {
        return Some(0);
    }
    let power = 10i128.checked_pow(u32::try_from(places.unsigned_abs()).ok()?)?;
    match places {
        0.. => digits.checked_mul(power),
        _ => (digits % power == 0).then_some(digits / power),
    }
}

/// A double, as a number or as a string; three words stand for what is no number. A number that is too large for a
/// double is none of them, but a mistake, as to readers of proto3 JSON.
pub(super) fn f64(r: &mut Reader<'_>) -> Result<f64> {
    let (digits, at) = numeric(r)?;
    match &*digits {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        digits if digits.ends_with(|c: char| c.is_ascii_digit() || c == '.') => {
            let double = digits.parse().ok().filter(|double: &f64| double.is_finite());
            double.ok_or(Error { why: Why::Double, at })
        }
        _ => Err(Error { why: Why::Double, at }),
    }
}

/// An enum by its number, or by its name as the .proto file has it.
pub(super) fn named(r: &mut Reader<'_>, number_of: fn(&str) -> Option<i32>) -> Result<i32> {
    if r.peek()?.0 != Kind::String {
        return i32(r);
    }
    let text = r.text()?;
    let name = text.decode()?;
    number_of(&name).or_else(|| name.parse().ok()).ok_or_else(|| wrong(Why::Enum, &text))
}

/// The digits of a number, quoted or not, and where they stand.
fn numeric<'a>(r: &mut Reader<'a>) -> Result<(Cow<'a, str>, usize)> {
    let (kind, at) = r.peek()?;
    if kind == Kind::String {
        return Ok((r.string()?, at));
    }
    Ok((Cow::Borrowed(r.number()?), at))
}

/// The value of a usual attribute.
#[derive(Clone, Copy)]
pub(super) enum Usual<'a> {
    Text(&'a str),
    Int(i64),
    Bool(bool),
    Double(f64),
}

/// An attribute as most encoders write most of them: to ask for no more than that is much faster. `None`,
/// and nothing read, for every other.
#[inline(always)]
pub(super) fn usual<'a>(r: &mut Reader<'a>) -> Option<(&'a str, Usual<'a>)> {
    let begin = r.offset();
    let read = to_the_letter(r);
    if read.is_none() {
        r.back_to(begin);
    }
    read
}

#[inline(always)]
fn to_the_letter<'a>(r: &mut Reader<'a>) -> Option<(&'a str, Usual<'a>)> {
    if !r.has_room(2) || !r.exactly(b"{\"key\":") {
        return None;
    }
    let key = r.plain()?;
    if !r.exactly(b",\"value\":{\"") {
        return None;
    }
    let value = if r.exactly(b"stringValue\":") {
        Usual::Text(r.plain()?)
    } else if r.exactly(b"intValue\":") {
        Usual::Int(i64(r).ok()?)
    } else if r.exactly(b"boolValue\":") {
        Usual::Bool(r.bool().ok()?)
    } else if r.exactly(b"doubleValue\":") {
        Usual::Double(f64(r).ok()?)
    } else {
        return None;
    };
    r.exactly(b"}}").then_some((key, value))
}

fn wrong(why: Why, text: &Text<'_>) -> Error {
    Error { why, at: text.offset() }
}
