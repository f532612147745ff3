//! Compressed bodies, undone within bounds: what comes out is limited, and paid for before it comes.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use zstd::stream::raw::DParameter;
use zstd::zstd_safe::MAGICNUMBER;

use super::budget::Hold;
use super::memory::{INFLATE, ZSTD_WINDOW, fit, grow, zstd as of_zstd};
use super::refusal::{Reason, Refusal};

/// Names what is made room for first, in bytes, unless it is known to be more.
const PIECE: usize = 64 << 10;
/// No honest sender's telemetry shrinks by more: how much is allocated on a sender's word.
const LIKELY_RATIO: usize = 20;
/// So many bytes for each compressed one, beside what is always allowed: telemetry shrinks to a tenth, and if it is very
/// monotonous to a hundredth. zstd can make 64 MiB of two KiB, and to look at them takes most of a second.
const BOMB: (usize, usize) = (256, 4 << 20);
/// A frame of zstd that holds nothing of the body (RFC 8878 section 3.1.2) begins with one of sixteen numbers.
const SKIPPABLE: u32 = 0x0184_d2a5;
/// The most compressed streams in a row: each costs some time, and empty ones next to nothing to send.
const STREAMS: usize = 1024;

/// Says how a body was compressed.
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

/// A body is whole compressed streams to its last byte: several members of gzip or frames of zstd, as their formats
/// allow, or one stream of zlib.
fn undo(coding: Coding, packed: Bytes, max: usize, hold: &mut Hold) -> Result<Bytes, Refusal> {
    let most = Most::of(packed.len(), max);
    let mut out = Vec::new();
    let mut rest = &packed[..];
    let mut size = match coding {
        Coding::Gzip => said_size(rest).min(rest.len().saturating_mul(LIKELY_RATIO)),
        _ => rest.len(),
    };
    for _ in 0..STREAMS {
        rest = one_stream(coding, rest, size, &mut out, most, hold)?;
        if rest.is_empty() {
            fit(&mut out, hold);
            return Ok(out.into());
        }
        if !goes_on(coding, rest) {
            return Err(malformed("there is something behind the end of the compressed body"));
        }
        size = out.len();
    }
    Err(malformed("the body is compressed in far too many pieces"))
}

/// The most that may come out.
#[derive(Clone, Copy, Debug)]
struct Most {
    bytes: usize,
    /// Because so little went in, and not because of the limit.
    bomb: bool,
}

impl Most {
    fn of(packed: usize, max: usize) -> Most {
        let (times, floor) = BOMB;
        let likely = packed.saturating_mul(times).saturating_add(floor);
        Most { bytes: max.min(likely), bomb: likely < max }
    }

    fn exceeded(self) -> Refusal {
        if self.bomb {
            let why = "the body was compressed to far less than telemetry can be";
            return Refusal::new(Reason::TooLarge, why);
        }
        Refusal::too_large(self.bytes)
    }
}

/// Undoes the stream that `packed` begins with; what stands behind it.
fn one_stream<'p>(
    coding: Coding,
    packed: &'p [u8],
    size: usize,
    out: &mut Vec<u8>,
    most: Most,
    hold: &mut Hold,
) -> Result<&'p [u8], Refusal> {
    if packed.is_empty() {
        return Err(cut());
    }
    match coding {
        Coding::Identity => Ok(packed),
        Coding::Gzip => {
            let mut decoder = GzDecoder::new(packed);
            read(&mut decoder, size, out, most, hold)?;
            Ok(decoder.into_inner())
        }
        Coding::Zlib => {
            let mut decoder = ZlibDecoder::new(packed);
            read(&mut decoder, size, out, most, hold)?;
            Ok(decoder.into_inner())
        }
        Coding::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(packed);
            let mut decoder = decoder.map_err(unreadable)?.single_frame();
            let window = DParameter::WindowLogMax(ZSTD_WINDOW);
            decoder.set_parameter(window).map_err(unreadable)?;
            read(&mut decoder, size, out, most, hold)?;
            Ok(decoder.finish())
        }
    }
}

/// Says whether another stream of the same kind begins there.
fn goes_on(coding: Coding, rest: &[u8]) -> bool {
    match coding {
        Coding::Gzip => rest.starts_with(&[0x1f, 0x8b]),
        Coding::Zstd => rest.first_chunk().is_some_and(|magic| {
            let magic = u32::from_le_bytes(*magic);
            magic == MAGICNUMBER || magic >> 4 == SKIPPABLE
        }),
        Coding::Zlib | Coding::Identity => false,
    }
}

/// A gzip stream ends with the length of what went in (RFC 1952 section 2.3.1).
fn said_size(packed: &[u8]) -> usize {
    packed.last_chunk().map_or(0, |last: &[u8; 4]| u32::from_le_bytes(*last) as usize)
}

/// Appends all that comes out of a stream; room is made for `size` bytes first.
fn read(
    mut from: impl Read,
    size: usize,
    out: &mut Vec<u8>,
    most: Most,
    hold: &mut Hold,
) -> Result<(), Refusal> {
    // One byte more, so that the end is seen without growing.
    let room_for = most.bytes.saturating_add(1);
    let mut more = size.max(PIECE).saturating_add(1);
    loop {
        if out.len() == out.capacity() {
            grow(out, more.min(room_for - out.len()), hold)?;
        }
        let room = out.capacity() - out.len();
        let piece = from.by_ref().take(room as u64).read_to_end(out).map_err(unreadable)?;
        if out.len() > most.bytes {
            return Err(most.exceeded());
        }
        if piece < room {
            return Ok(());
        }
        more = out.len();
    }
}

fn unreadable(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => cut(),
        _ => malformed("the body is not compressed as its encoding says"),
    }
}

fn cut() -> Refusal {
    malformed("the compressed body ends too early")
}

fn malformed(why: &'static str) -> Refusal {
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

    /// As monotonous as it gets, 256 bytes each.
    fn telemetry(number: u32) -> Vec<u8> {
        format!("{number:08x}{:0248}", 7).into_bytes()
    }

    #[test]
    fn a_request_of_one_kilobyte_becomes_five_megabytes_at_the_most() {
        assert_eq!(Most::of(1 << 10, 64 << 20).bytes, (256 << 10) + (4 << 20));
        let zeros = packed(Coding::Zstd, &vec![0; 64 << 20]);
        assert!(zeros.len() < 10_000, "{}", zeros.len());
        let mut hold = Budget::new(1 << 30).hold().unwrap();
        let refused = unpack(Coding::Zstd, zeros, 64 << 20, &mut hold).unwrap_err();
        assert_eq!(refused.why, "the body was compressed to far less than telemetry can be");
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit_or_the_budget() {
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Zlib] {
            let bomb = packed(coding, &vec![0; 64 << 20]);
            assert!(bomb.len() < 1 << 20);
            assert_eq!(unpacked(coding, bomb.clone(), 1 << 20, 4 << 20), Err(Reason::TooLarge));
            // What telemetry may shrink to.
            let telemetry: Vec<u8> = (0..32u32 << 10).flat_map(telemetry).collect();
            let shrunk = packed(coding, &telemetry);
            assert!(shrunk.len() * 20 < telemetry.len(), "{coding:?} {}", shrunk.len());
            let out = unpacked(coding, shrunk.clone(), 64 << 20, 32 << 20);
            assert_eq!(out.as_ref().map(Bytes::len), Ok(telemetry.len()), "{coding:?}");
            assert_eq!(unpacked(coding, shrunk, 64 << 20, 4 << 20), Err(Reason::InFlight));
            // And what would not fit alone is too large.
            let mut hold = Budget::new((2 << 20) + 4096).hold().unwrap();
            let refused = unpack(coding, bomb, 64 << 20, &mut hold).err();
            assert_eq!(refused.map(|refusal| refusal.reason), Some(Reason::TooLarge));
        }
    }

    fn why(coding: Coding, bytes: &[u8]) -> String {
        let mut hold = Budget::new(8 << 20).hold().unwrap();
        let refusal =
            unpack(coding, Bytes::copy_from_slice(bytes), 1 << 20, &mut hold).unwrap_err();
        assert_eq!(refusal.reason, Reason::Malformed);
        refusal.why.into_owned()
    }

    #[test]
    fn a_body_is_whole_streams_to_its_last_byte_whatever_its_encoding() {
        const CUT: &str = "the compressed body ends too early";
        const OTHER: &str = "the body is not compressed as its encoding says";
        const BEHIND: &str = "there is something behind the end of the compressed body";
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Zlib] {
            let text = b"telemetry ".repeat(1000);
            let body = packed(coding, &text);
            // Each cut, and not only those within what was compressed.
            for end in 0..body.len() {
                assert_eq!(why(coding, &body[..end]), CUT, "{coding:?} {end}");
            }
            for body in [&b"{\"resourceSpans\":[]}"[..], &[0; 40]] {
                assert_eq!(why(coding, body), OTHER, "{coding:?}");
            }
            for behind in [&b"x"[..], &[0], b"garbage", &[0; 100], &[0x1f], &[0x28, 0xb5, 0x2f]] {
                let more = [&body, behind].concat();
                assert_eq!(why(coding, &more), BEHIND, "{coding:?} {behind:?}");
            }
            let twice = Bytes::from([&body[..], &body].concat());
            match coding {
                Coding::Zlib => assert_eq!(why(coding, &twice), BEHIND),
                _ => {
                    let out = unpacked(coding, twice.clone(), 1 << 20, 8 << 20);
                    assert_eq!(out.as_deref(), Ok(&text.repeat(2)[..]), "{coding:?}");
                    let whole = unpacked(coding, twice.clone(), 19_999, 8 << 20);
                    assert_eq!(whole, Err(Reason::TooLarge), "{coding:?}");
                    assert_eq!(why(coding, &twice[..twice.len() - 1]), CUT, "{coding:?}");
                    let empty = packed(coding, b"");
                    let many = |count| [empty.repeat(count), body.to_vec()].concat();
                    let out = unpacked(coding, many(STREAMS - 1).into(), 1 << 20, 8 << 20);
                    assert_eq!(out.as_deref(), Ok(&text[..]), "{coding:?}");
                    let too_many = "the body is compressed in far too many pieces";
                    assert_eq!(why(coding, &many(STREAMS)), too_many, "{coding:?}");
                }
            }
        }
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"skip"].concat();
        let body = packed(Coding::Zstd, b"telemetry");
        for parts in [[&skipped[..], &body], [&body, &skipped]] {
            let out = unpacked(Coding::Zstd, parts.concat().into(), 1 << 20, 8 << 20);
            assert_eq!(out.as_deref(), Ok(&b"telemetry"[..]));
        }
    }
}
