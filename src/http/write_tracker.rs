//! A socket that says whether something waits to be written to it, and of which no more is read than is allowed.
//!
//! hyper takes a body into its buffer and lets it go when that is full of what the peer has not read yet;
//! that the body is over does not mean that it was written, and hyper does not tell. Nothing is held here.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Passes bytes to a socket and from it, and notes whether some wait to be written.
#[derive(Debug)]
pub(crate) struct WriteTracker<S> {
    inner: S,
    waits: Unflushed,
}

/// Tells whether something waits to be written; clones tell of the same socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unflushed(Rc<Writing>);

#[derive(Debug, Default)]
struct Writing {
    waits: Cell<bool>,
    /// Counts the writes that the peer had room for.
    taken: Cell<u32>,
    /// Says how much may be read, in bytes; nothing where that is not bounded.
    allowed: Cell<Option<usize>>,
}

impl Unflushed {
    /// Now.
    pub(crate) fn now(&self) -> bool {
        self.0.waits.get()
    }

    /// Tells by its change that the peer took something.
    pub(crate) fn taken(&self) -> u32 {
        self.0.taken.get()
    }

    /// Allows to read so many more bytes, or any number. What is asked for beyond is an error, in the middle of a read
    /// that would never end by itself: hyper goes on as long as something comes.
    pub(crate) fn allow_reading(&self, bytes: Option<usize>) {
        self.0.allowed.set(bytes);
    }

    /// Says whether nothing more may be read.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.allowed.get() == Some(0)
    }
}

impl<S> WriteTracker<S> {
    /// Over a socket to which nothing was written that waits.
    pub(crate) fn over(inner: S) -> (Self, Unflushed) {
        let waits = Unflushed::default();
        (WriteTracker { inner, waits: waits.clone() }, waits)
    }

    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        self.waits.0.waits.set(written.is_pending());
        written
    }

    fn note_bytes(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            let taken = &self.waits.0.taken;
            taken.set(taken.get().wrapping_add(1));
        }
        self.note(written)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTracker<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waits.is_spent() {
            return Poll::Ready(Err(io::Error::other("more than may be read")));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Some(allowed) = self.waits.0.allowed.get() {
            let left = allowed.saturating_sub(buf.filled().len() - before);
            self.waits.allow_reading(Some(left));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTracker<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note_bytes(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.note_bytes(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    // With TLS what was written may wait there.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
