//! The heads of HTTP/2's frames (RFC 9113 section 4.1) in bytes that come in pieces. Pure.

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const CONTINUATION: u8 = 9;
/// Names what a client begins with (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's head.
const HEAD: usize = 9;
/// Flag of the last frame of a stream that its sender sends.
const END_STREAM: u8 = 1;

/// Holds what the head of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    /// Bytes behind the head.
    pub(crate) length: usize,
}

impl FrameHead {
    /// Says whether its sender sends nothing more on its stream.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// Finds the heads of frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    head: [u8; HEAD],
    have: usize,
    /// Bytes of a frame that are still to come.
    rest: usize,
}

impl Frames {
    /// In bytes before which so many stand that are no frame.
    pub(crate) fn behind(rest: usize) -> Self {
        Frames { rest, ..Frames::default() }
    }

    /// Takes the next bytes; `each` is told of the frames whose heads are whole now.
    pub(crate) fn pass(&mut self, mut bytes: &[u8], mut each: impl FnMut(FrameHead)) {
        loop {
            let of_frame = self.rest.min(bytes.len());
            self.rest -= of_frame;
            bytes = &bytes[of_frame..];
            if bytes.is_empty() {
                return;
            }
            let of_head = (HEAD - self.have).min(bytes.len());
            self.head[self.have..self.have + of_head].copy_from_slice(&bytes[..of_head]);
            self.have += of_head;
            bytes = &bytes[of_head..];
            if self.have < HEAD {
                return;
            }
            self.have = 0;
            let [a, b, c, kind, flags, stream @ ..] = self.head;
            self.rest = u32::from_be_bytes([0, a, b, c]) as usize;
            // One bit is reserved.
            let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
            each(FrameHead { kind, flags, stream, length: self.rest });
        }
    }

    /// Says whether no frame was begun that is not over.
    pub(crate) fn are_whole(&self) -> bool {
        self.have == 0 && self.rest == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_found_wherever_bytes_are_cut() {
        let frame = |kind: u8, flags: u8, length: u8| {
            [&[0, 0, length, kind, flags, 0x80, 0, 0, 5][..], &vec![1; length.into()]].concat()
        };
        let kinds = [(4, 0, 0), (1, 4, 5), (0, 0, 200), (1, 5, 1), (3, 0, 4), (0, 1, 0)];
        let bytes: Vec<u8> = kinds.iter().flat_map(|(k, f, l)| frame(*k, *f, *l)).collect();
        for size in [1, 2, 8, 9, 10, 13, bytes.len()] {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(size) {
                frames.pass(piece, |head| found.push(head));
            }
            let heads = kinds.map(|(kind, flags, length)| FrameHead {
                kind,
                flags,
                stream: 5,
                length: length.into(),
            });
            assert_eq!(found, heads, "{size}");
            assert!(frames.are_whole());
            let last: Vec<_> = found.iter().map(FrameHead::is_last).collect();
            assert_eq!(last, [false, false, false, true, false, true]);
        }
    }
}
