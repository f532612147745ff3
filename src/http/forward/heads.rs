//! A socket of HTTP/2 that counts the heads that its server sends, and the frames that nobody reads, and breaks when
//! they are too many.
//!
//! h2 drops interim responses (1xx), of which a server may send any number, and tells nobody of them. Nothing is held
//! here but how far into which frame the bytes are.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::frames::{CONTINUATION, Frames, HEADERS, PREFACE};
use crate::http::unread::{Arrivals, Unread};

/// Says how many heads a server may send for each request that is under way (RFC 9113 section 8.1 knows two, and any
/// number of interim ones): every few seconds one that says that it is still at work (102), for a day.
const FOR_EACH: usize = 1 << 14;
/// Says how many bytes of a head stand for one more: 1 MiB in all, as over HTTP/1.1.
const A_HEAD: usize = 64;

const TOO_MANY: &str = "too many heads, or frames that nobody reads";

/// Says how many heads may still come; clones tell of the same socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadsLeft(Rc<Cell<usize>>);

impl HeadsLeft {
    /// One more request begins, with which so many are under way.
    pub(crate) fn begin(&self, under_way: usize) {
        self.0.set(FOR_EACH.saturating_mul(under_way));
    }

    /// Says whether there were too many.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    /// Says whether so many more may come.
    fn take(&self, heads: usize) -> bool {
        self.0.set(self.0.get().saturating_sub(heads));
        !self.is_spent()
    }
}

/// Passes bytes and finds the frames in them.
#[derive(Debug)]
pub(crate) struct HeadCounter<S> {
    inner: S,
    left: HeadsLeft,
    read: Frames,
    written: Frames,
    arrivals: Arrivals,
}

impl<S> HeadCounter<S> {
    /// Over a socket by which nothing has come yet.
    pub(crate) fn over(inner: S) -> (Self, HeadsLeft, Unread) {
        let left = HeadsLeft::default();
        let (arrivals, unread) = Arrivals::new();
        let (read, written) = (Frames::default(), Frames::behind(PREFACE.len()));
        (HeadCounter { inner, left: left.clone(), read, written, arrivals }, left, unread)
    }

    /// Looks at what the server sent; says whether that is bearable.
    fn bears(&mut self, bytes: &[u8]) -> bool {
        let (left, arrivals) = (&self.left, &mut self.arrivals);
        let mut bears = true;
        self.read.pass(bytes, |head| {
            bears &= match head.kind {
                HEADERS => left.take(1 + head.length / A_HEAD),
                CONTINUATION => left.take(head.length / A_HEAD),
                _ => true,
            };
            bears &= arrivals.read(head);
        });
        bears
    }

    /// Looks at what the server was sent.
    fn sent(&mut self, bytes: &[u8]) {
        let arrivals = &mut self.arrivals;
        self.written.pass(bytes, |head| arrivals.written(head));
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
        let bears = this.bears(&buf.filled()[before..]);
        Poll::Ready(if bears { Ok(()) } else { Err(io::Error::other(TOO_MANY)) })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadCounter<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.sent(&buf[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs))?;
        let mut left = taken;
        for buf in bufs {
            let of_this = left.min(buf.len());
            self.sent(&buf[..of_this]);
            left -= of_this;
        }
        Poll::Ready(Ok(taken))
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
    fn each_request_that_is_under_way_has_its_share() {
        let left = HeadsLeft::default();
        left.begin(2);
        assert_eq!((0..).take_while(|_| left.take(1)).count(), 2 * FOR_EACH - 1);
        assert!(left.is_spent());
        left.begin(1);
        assert!(!left.is_spent());
    }
}
