//! Compressed bodies, undone within bounds: what comes out is limited, and paid for before it comes.

use std::borrow::Cow;
use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use zstd::stream::raw::DParameter;

use super::budget::Hold;
use super::memory::{INFLATE, ZSTD_WINDOW, fit, grow, zstd as of_zstd};
use super::refusal::{Reason, Refusal};

/// What is made room for first, in bytes, unless it is known to be more.
const PIECE: usize = 64 << 10;
/// No honest sender's telemetry shrinks by more: how much is allocated on a sender's word.
const LIKELY_RATIO: usize = 20;

/// How a body was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
    /// What HTTP calls deflate, which is zlib (RFC 9110 section 8.4.1.2).
    Zlib,
}

impl Coding {
    /// The coding of that name.
    pub(super) fn named(name: &str) -> Option<Coding> {
        let is = |word: &str| name.eq_ignore_ascii_case(word);
        Some(match name {
            "" => Coding::Identity,
            _ if is("identity") => Coding::Identity,
            _ if is("gzip") || is("x-gzip") => Coding::Gzip,
            _ if is("zstd") => Coding::Zstd,
            _ if is("deflate") || is("zlib") => Coding::Zlib,
            _ => return None,
        })
    }
}

/// The bytes that were compressed, `max` at the most. What is held is room for these then; after an error as much as
/// before.
pub(super) fn unpack(
    coding: Coding,
    packed: Bytes,
    max: usize,
    hold: &mut Hold,
) -> Result<Bytes, Refusal> {
    let before = hold.held();
    let beside = match coding {
        Coding::Identity if packed.len() > max => return Err(Refusal::too_large(max)),
        Coding::Identity => return Ok(packed),
        Coding::Gzip | Coding::Zlib => INFLATE,
        Coding::Zstd => of_zstd(&packed),
    };
    hold.add(beside)?;
    let unpacked = undo(coding, packed, max, hold);
    let now = if unpacked.is_ok() { before + beside } else { hold.held() - before };
    hold.give_back(now);
    unpacked
}

fn undo(coding: Coding, packed: Bytes, max: usize, hold: &mut Hold) -> Result<Bytes, Refusal> {
    match coding {
        Coding::Identity => Ok(packed),
        Coding::Gzip => {
            let size = said_size(&packed).min(packed.len().saturating_mul(LIKELY_RATIO));
            read(MultiGzDecoder::new(&packed[..]), size, max, hold)
        }
        Coding::Zlib => read(ZlibDecoder::new(&packed[..]), packed.len(), max, hold),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&packed[..])
                .and_then(|mut decoder| {
                    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW))?;
                    Ok(decoder)
                })
                .map_err(unreadable)?;
            read(&mut decoder, packed.len(), max, hold)
        }
    }
}

/// A gzip stream ends with the length of what went in (RFC 1952 section 2.3.1).
fn said_size(packed: &[u8]) -> usize {
    packed.last_chunk().map_or(0, |last: &[u8; 4]| u32::from_le_bytes(*last) as usize)
}

fn read(mut from: impl Read, size: usize, max: usize, hold: &mut Hold) -> Result<Bytes, Refusal> {
    let mut out = Vec::new();
    // One byte more, so that the end is seen without growing.
    let most = max.saturating_add(1);
    let mut more = size.max(PIECE).saturating_add(1);
    loop {
        more = more.min(most - out.len());
        grow(&mut out, more, hold)?;
        let room = out.capacity() - out.len();
        let piece = from.by_ref().take(room as u64).read_to_end(&mut out).map_err(unreadable)?;
        if out.len() > max {
            return Err(Refusal::too_large(max));
        }
        if piece < room {
            fit(&mut out, hold);
            return Ok(out.into());
        }
        more = out.len();
    }
}

fn unreadable(error: io::Error) -> Refusal {
    let why: Cow<'static, str> = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the compressed body ends too early".into(),
        _ => "the body is not compressed as its encoding says".into(),
    };
    Refusal::new(Reason::Malformed, why)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::budget::Budget;
    use super::*;

    const ALL: [Coding; 4] = [Coding::Identity, Coding::Gzip, Coding::Zstd, Coding::Zlib];

    fn packed(coding: Coding, bytes: &[u8]) -> Bytes {
        let fast = flate2::Compression::fast();
        match coding {
            Coding::Identity => bytes.to_vec(),
            Coding::Gzip => {
                let mut to = flate2::write::GzEncoder::new(Vec::new(), fast);
                to.write_all(bytes).unwrap();
                to.finish().unwrap()
            }
            Coding::Zlib => {
                let mut to = flate2::write::ZlibEncoder::new(Vec::new(), fast);
                to.write_all(bytes).unwrap();
                to.finish().unwrap()
            }
            Coding::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        }
        .into()
    }

    /// Unpacks with so much room beside another request. What is held in the end is what came out.
    fn unpacked(coding: Coding, bytes: Bytes, max: usize, room: usize) -> Result<Bytes, Reason> {
        let budget = Budget::new((1 << 30) + room + 2 * 4096);
        let mut other = budget.hold().unwrap();
        other.add(1 << 30).unwrap();
        let mut hold = budget.hold().unwrap();
        hold.add(bytes.len()).unwrap();
        let before = hold.held();
        let out = unpack(coding, bytes, max, &mut hold).map_err(|refusal| refusal.reason);
        assert_eq!(hold.held(), out.as_ref().map_or(before, Bytes::len));
        out
    }

    #[test]
    fn every_coding_is_undone() {
        for coding in ALL {
            for text in [&b""[..], &b"telemetry ".repeat(40_000)] {
                let out = unpacked(coding, packed(coding, text), 1 << 20, 8 << 20);
                assert_eq!(out.as_deref(), Ok(text), "{coding:?}");
            }
        }
    }

    #[test]
    fn the_limit_holds_for_what_comes_out_to_the_byte() {
        for coding in ALL {
            let body = packed(coding, &[7; 100_000]);
            assert!(unpacked(coding, body.clone(), 100_000, 8 << 20).is_ok(), "{coding:?}");
            let result = unpacked(coding, body, 99_999, 8 << 20);
            assert_eq!(result, Err(Reason::TooLarge), "{coding:?}");
        }
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit_or_the_budget() {
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Zlib] {
            let bomb = packed(coding, &vec![0; 64 << 20]);
            assert!(bomb.len() < 1 << 20);
            assert_eq!(unpacked(coding, bomb.clone(), 1 << 20, 4 << 20), Err(Reason::TooLarge));
            assert_eq!(unpacked(coding, bomb.clone(), 64 << 20, 8 << 20), Err(Reason::InFlight));
            // And what would not fit alone is too large.
            let mut hold = Budget::new((8 << 20) + 4096).hold().unwrap();
            let refused = unpack(coding, bomb, 64 << 20, &mut hold).err();
            assert_eq!(refused.map(|refusal| refusal.reason), Some(Reason::TooLarge));
        }
    }

    #[test]
    fn what_is_cut_or_not_compressed_is_malformed() {
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Zlib] {
            let body = packed(coding, &b"telemetry ".repeat(1000));
            let cut = body.slice(..body.len() / 2);
            for body in [cut, Bytes::from_static(b"{\"resourceSpans\":[]}")] {
                assert_eq!(unpacked(coding, body, 1 << 20, 8 << 20), Err(Reason::Malformed));
            }
        }
    }
}
