//! Bodies in gzip, deflate, br or zstd, read for observation. They are forwarded as they came.
//!
//! Bounded against bombs: a body that unpacks to too much for what it is stops being read. Nothing here
//! forwards or parses.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use zstd::stream::raw::DParameter;
use zstd::stream::write::Decoder as ZstdDecoder;

/// Compressed bytes that go in at a time, so that what comes out is looked at in between.
const PIECE: usize = 512;
/// Bytes that one piece may unpack to. The densest deflate makes 512 KiB of it.
const MAX_PIECE: usize = 1 << 20;
/// Bytes that a body may unpack to whatever its size, and for each of its bytes.
const MAX_TOTAL: u64 = 16 << 20;
const MAX_RATIO: u64 = 100;
/// zstd's window, as an exponent: what RFC 9659 lets HTTP use, 8 MiB.
const ZSTD_WINDOW: u32 = 23;
/// brotli's window, as an exponent: what servers send, 4 MiB.
const BROTLI_WINDOW: u32 = 22;
/// brotli's buffer, in bytes.
const BROTLI_BUFFER: usize = 4096;

/// Names how a body is encoded for its way (RFC 9110 section 8.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Coding {
    #[default]
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    /// Not one that we can read.
    Unknown,
}

impl Coding {
    /// Reads what `as u8` wrote.
    pub(super) fn of(byte: u8) -> Self {
        match byte {
            0 => Coding::Identity,
            1 => Coding::Gzip,
            2 => Coding::Deflate,
            3 => Coding::Brotli,
            4 => Coding::Zstd,
            _ => Coding::Unknown,
        }
    }
}

/// One body being unpacked.
pub(super) struct Decoder {
    format: Format,
    taken: u64,
    made: u64,
}

enum Format {
    Gzip(MultiGzDecoder<Piece>),
    Deflate(ZlibDecoder<Piece>),
    Brotli(Box<DecompressorWriter<Piece>>),
    Zstd(ZstdDecoder<'static, Piece>),
}

/// The body can be read no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Collects what the last piece unpacked to.
#[derive(Default)]
struct Piece(Vec<u8>);

impl Write for Piece {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_PIECE {
            return Err(io::Error::other("unpacks to too much"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Decoder {
    /// The decoder of a coding; `None` for those that need or have none.
    pub(super) fn of(coding: Coding) -> Option<Decoder> {
        let format = match coding {
            Coding::Gzip => Format::Gzip(MultiGzDecoder::new(Piece::default())),
            Coding::Deflate => Format::Deflate(ZlibDecoder::new(Piece::default())),
            Coding::Brotli => {
                Format::Brotli(Box::new(DecompressorWriter::new(Piece::default(), BROTLI_BUFFER)))
            }
            Coding::Zstd => {
                let mut decoder = ZstdDecoder::new(Piece::default()).ok()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW)).ok()?;
                Format::Zstd(decoder)
            }
            Coding::Identity | Coding::Unknown => return None,
        };
        Some(Decoder { format, taken: 0, made: 0 })
    }

    /// The most memory it may take, in bytes.
    pub(super) fn cost(coding: Coding) -> usize {
        match coding {
            Coding::Identity | Coding::Unknown => 0,
            Coding::Gzip | Coding::Deflate => 128 << 10,
            Coding::Brotli => 2 << BROTLI_WINDOW,
            Coding::Zstd => 1 << ZSTD_WINDOW,
        }
    }

    /// Takes compressed bytes in and hands out what they come to, piece by piece.
    pub(super) fn push(
        &mut self,
        packed: &[u8],
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Unreadable> {
        if let (Format::Brotli(_), 0, Some(first)) = (&self.format, self.taken, packed.first())
            && brotli_window(*first) > BROTLI_WINDOW
        {
            return Err(Unreadable);
        }
        for piece in packed.chunks(PIECE) {
            self.taken += piece.len() as u64;
            let unpacked = self.format.push(piece).map_err(|_| Unreadable)?;
            self.made += unpacked.len() as u64;
            if self.made > MAX_TOTAL + MAX_RATIO * self.taken {
                return Err(Unreadable);
            }
            if !unpacked.is_empty() {
                each(&unpacked);
            }
        }
        Ok(())
    }
}

/// The window that a brotli stream asks for by its first byte, as an exponent (RFC 7932 section 9.1). The
/// pattern that the RFC leaves out begins the format's extension to windows of up to 1 GiB.
fn brotli_window(first: u8) -> u32 {
    match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, _, _) => 16,
        (_, 0, 0) => 17,
        (_, 0, 1) => u32::MAX,
        (_, 0, n) => 8 + u32::from(n),
        (_, n, _) => 17 + u32::from(n),
    }
}

impl Format {
    fn push(&mut self, packed: &[u8]) -> io::Result<Vec<u8>> {
        // Flushed each time: an event must not wait in a decoder for the next one.
        match self {
            Format::Gzip(to) => {
                to.write_all(packed)?;
                to.flush()?;
                Ok(std::mem::take(&mut to.get_mut().0))
            }
            Format::Deflate(to) => {
                to.write_all(packed)?;
                to.flush()?;
                Ok(std::mem::take(&mut to.get_mut().0))
            }
            Format::Brotli(to) => {
                to.write_all(packed)?;
                to.flush()?;
                Ok(std::mem::take(&mut to.get_mut().0))
            }
            Format::Zstd(to) => {
                to.write_all(packed)?;
                to.flush()?;
                Ok(std::mem::take(&mut to.get_mut().0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    const TEXT: &str = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn packed(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Gzip => gzip(bytes),
            Coding::Deflate => {
                let mut out = Vec::new();
                flate2::read::ZlibEncoder::new(bytes, flate2::Compression::fast())
                    .read_to_end(&mut out)
                    .unwrap();
                out
            }
            Coding::Zstd => zstd::encode_all(bytes, 3).unwrap(),
            // Made with `brotli -q 5` of the text repeated twice; there is no encoder among our crates.
            _ => BROTLI.to_vec(),
        }
    }

    const BROTLI: &[u8] = include_bytes!("../../../tests/data/http/events.br");

    fn unpack(coding: Coding, packed: &[u8], size: usize) -> Result<Vec<u8>, Unreadable> {
        let mut decoder = Decoder::of(coding).unwrap();
        let mut out = Vec::new();
        for chunk in packed.chunks(size) {
            decoder.push(chunk, |piece| out.extend_from_slice(piece))?;
        }
        Ok(out)
    }

    #[test]
    fn every_coding_is_read_at_any_boundary() {
        let text = TEXT.repeat(2);
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
            let packed = packed(coding, text.as_bytes());
            for size in [1, 7, 100_000] {
                let out = unpack(coding, &packed, size).unwrap();
                assert_eq!(String::from_utf8(out).unwrap(), text, "{coding:?} {size}");
            }
        }
    }

    #[test]
    fn an_event_is_read_as_soon_as_it_was_flushed() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut decoder = Decoder::of(Coding::Gzip).unwrap();
        for _ in 0..3 {
            encoder.write_all(TEXT.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let mut out = Vec::new();
            let packed = std::mem::take(encoder.get_mut());
            decoder.push(&packed, |piece| out.extend_from_slice(piece)).unwrap();
            assert_eq!(out, TEXT.as_bytes());
        }
    }

    #[test]
    fn a_bomb_stops_being_read() {
        let bomb = gzip(&vec![0; 64 << 20]);
        let mut made = 0;
        let mut decoder = Decoder::of(Coding::Gzip).unwrap();
        let result = decoder.push(&bomb, |piece| made += piece.len() as u64);
        assert_eq!(result, Err(Unreadable));
        assert!(made <= MAX_TOTAL + MAX_RATIO * bomb.len() as u64 + MAX_PIECE as u64, "{made}");
        let bomb = zstd::encode_all(&vec![0; 64 << 20][..], 3).unwrap();
        assert_eq!(unpack(Coding::Zstd, &bomb, bomb.len()), Err(Unreadable));
    }

    #[test]
    fn a_brotli_stream_that_wants_a_huge_window_is_not_read() {
        assert_eq!(brotli_window(BROTLI[0]), 22, "what encoders ask for");
        for (first, window) in [(0x00, 16), (0x01, 17), (0x21, 10), (0x03, 18), (0x0f, 24)] {
            assert_eq!(brotli_window(first), window, "{first:x}");
        }
        for first in [0x11, 0x91, 0x0d, 0x0f] {
            let mut decoder = Decoder::of(Coding::Brotli).unwrap();
            assert_eq!(decoder.push(&[first, 0, 0, 0], |_| ()), Err(Unreadable), "{first:x}");
        }
    }

    #[test]
    fn what_is_not_packed_is_unreadable_and_no_panic() {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
            assert_eq!(unpack(coding, &[b'x'; 5000], 100), Err(Unreadable), "{coding:?}");
        }
    }
}
