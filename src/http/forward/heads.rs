//! A socket of HTTP/2 that counts the heads that its server sends, and breaks when they are too many.
//!
//! h2 drops interim responses (1xx), of which a server may send any number, and tells nobody of them. Nothing is held
//! here but how far into which frame the bytes are.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many heads a server may send for each request that is under way (RFC 9113 section 8.1 knows two, and any number
/// of interim ones): every few seconds one that says that it is still at work (102), for a day.
const FOR_EACH: usize = 1 << 14;

/// Length of what begins each frame (RFC 9113 section 4.1), in bytes.
const FRAME_HEAD: usize = 9;
/// Type of frames that hold a head.
const HEADERS: u8 = 1;

/// Says how many heads may still come; clones tell of the same socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadsLeft(Rc<Cell<usize>>);

impl HeadsLeft {
    /// One more request begins, with which so many are under way.
    pub(crate) fn begin(&self, under_way: usize) {
        self.0.set(FOR_EACH.saturating_mul(under_way));
    }

    /// Whether there were too many.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    /// Says whether one more may come.
    fn take(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        !self.is_spent()
    }
}

/// Passes bytes and finds the frames in those that are read.
#[derive(Debug)]
pub(crate) struct HeadCounter<S> {
    inner: S,
    left: HeadsLeft,
    frames: Frames,
}

/// Knows where the next frame begins.
#[derive(Debug, Default)]
struct Frames {
    /// What has come of a frame's beginning.
    head: [u8; FRAME_HEAD],
    /// How much that is.
    come: usize,
    /// How much of the frame behind it is to come, in bytes.
    rest: usize,
}

impl Frames {
    /// Goes through bytes and calls `each` with the type of every frame that begins in them.
    fn pass(&mut self, mut bytes: &[u8], mut each: impl FnMut(u8)) {
        loop {
            let skipped = self.rest.min(bytes.len());
            (self.rest, bytes) = (self.rest - skipped, &bytes[skipped..]);
            if bytes.is_empty() {
                return;
            }
            let (begin, behind) = bytes.split_at(bytes.len().min(FRAME_HEAD - self.come));
            self.head[self.come..self.come + begin.len()].copy_from_slice(begin);
            (self.come, bytes) = (self.come + begin.len(), behind);
            if self.come == FRAME_HEAD {
                let [a, b, c, kind, ..] = self.head;
                (self.come, self.rest) = (0, u32::from_be_bytes([0, a, b, c]) as usize);
                each(kind);
            }
        }
    }
}

impl<S> HeadCounter<S> {
    /// Over a socket by which nothing has come yet.
    pub(crate) fn over(inner: S) -> (Self, HeadsLeft) {
        let left = HeadsLeft::default();
        (HeadCounter { inner, left: left.clone(), frames: Frames::default() }, left)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadCounter<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let mut fits = true;
        this.frames.pass(&buf.filled()[before..], |kind| {
            fits &= kind != HEADERS || this.left.take();
        });
        Poll::Ready(if fits { Ok(()) } else { Err(io::Error::other("too many heads")) })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadCounter<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_at_any_boundary() {
        let frame = |kind: u8, length: u8| {
            [&[0, 0, length, kind, 4, 0, 0, 0, 1][..], &vec![HEADERS; length.into()]].concat()
        };
        let kinds = [(4, 0), (1, 5), (0, 200), (1, 1), (3, 4), (1, 0)];
        let bytes: Vec<u8> =
            kinds.iter().flat_map(|(kind, length)| frame(*kind, *length)).collect();
        for size in [1, 2, 8, 9, 10, 13, bytes.len()] {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(size) {
                frames.pass(piece, |kind| found.push(kind));
            }
            assert_eq!(found, [4, 1, 0, 1, 3, 1], "{size}");
        }
    }

    #[test]
    fn each_request_that_is_under_way_has_its_share() {
        let left = HeadsLeft::default();
        left.begin(2);
        assert_eq!((0..).take_while(|_| left.take()).count(), 2 * FOR_EACH - 1);
        assert!(left.is_spent());
        left.begin(1);
        assert!(!left.is_spent());
    }
}
