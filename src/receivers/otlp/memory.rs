//! Memory of requests that is asked for before it is taken: lists of bytes that grow, and what decompression needs
//! beside them.

use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use super::budget::{Full, Hold};

/// zstd's window, as an exponent: what RFC 9659 lets HTTP use, 8 MiB.
pub(super) const ZSTD_WINDOW: u32 = 23;
/// Names what zstd needs beside its window, in bytes: its tables, and a block before and behind them.
const ZSTD_BESIDE: usize = 512 << 10;
/// Names what inflating needs, in bytes: a window of 32 KiB and tables.
pub(super) const INFLATE: usize = 64 << 10;

/// Makes room for `more` bytes behind those that `bytes` has. While they are moved, old and new stand side by side: that
/// is not counted, for it happens once a thread at a time.
pub(super) fn grow(bytes: &mut Vec<u8>, more: usize, hold: &mut Hold) -> Result<(), Full> {
    let (before, wanted) = (bytes.capacity(), bytes.len().saturating_add(more));
    if wanted > before {
        hold.add(wanted - before)?;
        bytes.reserve_exact(more);
    }
    Ok(())
}

/// Gives back what `bytes` has room for and does not use.
pub(super) fn fit(bytes: &mut Vec<u8>, hold: &mut Hold) {
    let before = bytes.capacity();
    bytes.shrink_to_fit();
    hold.give_back(before - bytes.capacity());
}

/// Gives what decompressing takes beside its result, in bytes: as much as the largest window of all frames, and no more
/// than the limit, which the decoder keeps.
pub(super) fn zstd(packed: &[u8]) -> usize {
    let mut rest = packed;
    let mut largest = 0;
    while let Some(window) = window(rest) {
        largest = largest.max(window);
        let frame = find_frame_compressed_size(rest).ok().filter(|frame| *frame > 0);
        let Some(behind) = frame.and_then(|frame| rest.get(frame..)) else { break };
        rest = behind;
    }
    largest.min(1 << ZSTD_WINDOW) + ZSTD_BESIDE
}

/// The window that the frame says which begins here (RFC 8878 section 3.1.1.1), in bytes; none for one to be skipped.
fn window(frame: &[u8]) -> Option<usize> {
    let [magic @ .., descriptor, window] = frame.first_chunk::<6>()?;
    if u32::from_le_bytes(*magic) != zstd::zstd_safe::MAGICNUMBER {
        return Some(0);
    }
    if descriptor & 0x20 != 0 {
        // One segment: all of its content.
        let content = get_frame_content_size(frame).ok().flatten()?;
        return Some(usize::try_from(content).unwrap_or(usize::MAX));
    }
    let base = 1usize << (10 + (window >> 3));
    Some(base + base / 8 * usize::from(window & 7))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::budget::Budget;
    use super::*;

    fn framed(bytes: &[u8], window: u32, sized: bool) -> Vec<u8> {
        let mut to = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        to.window_log(window).unwrap();
        if sized {
            to.set_pledged_src_size(Some(bytes.len() as u64)).unwrap();
        }
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    #[test]
    fn what_decompressing_takes_is_read_from_all_frames() {
        let text = b"telemetry ".repeat(100_000);
        let small = framed(&text, 17, false);
        assert_eq!(zstd(&small) - ZSTD_BESIDE, 128 << 10);
        let large = framed(&text, 22, false);
        assert_eq!(zstd(&large) - ZSTD_BESIDE, 4 << 20);
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"skip"].concat();
        assert_eq!(zstd(&[small.clone(), skipped, large].concat()) - ZSTD_BESIDE, 4 << 20);
        let short = framed(b"telemetry", 17, true);
        assert!(zstd(&short) - ZSTD_BESIDE < 4096, "{}", zstd(&short));
        let huge = framed(&text, 27, false);
        assert_eq!(zstd(&huge) - ZSTD_BESIDE, 8 << 20);
        for cut in 0..small.len().min(20) {
            assert!(zstd(&small[..cut]) >= ZSTD_BESIDE);
        }
        assert_eq!(zstd(&[0xff; 9]), ZSTD_BESIDE);
    }

    #[test]
    fn what_grows_is_paid_for_first_and_what_is_left_is_given_back() {
        let mut hold = Budget::new(4096 + 3000).hold().unwrap();
        let mut bytes = Vec::new();
        grow(&mut bytes, 1000, &mut hold).unwrap();
        assert_eq!(hold.held(), bytes.capacity());
        bytes.resize(1000, 0);
        grow(&mut bytes, 1000, &mut hold).unwrap();
        assert_eq!((hold.held(), bytes.capacity()), (2000, 2000));
        bytes.resize(2000, 0);
        assert_eq!(grow(&mut bytes, 1001, &mut hold), Err(Full::Never));
        assert_eq!((hold.held(), bytes.capacity()), (2000, 2000));
        bytes.truncate(100);
        fit(&mut bytes, &mut hold);
        assert_eq!(hold.held(), 100);
    }
}
