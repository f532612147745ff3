//! How much backends may send: bodies of answers, which their readers limit, and little beside.
//!
//! HTTP lets a server send without end: interim answers, empty frames, pings, settings, trailers. No limit on bodies
//! meets that, and who reads it all does nothing else. So bytes are counted where they come in, whatever they are, and
//! given back where they leave as a part of a body.

use std::error::Error;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bounds what may come with one answer beside its body: heads, frames, and what was sent ahead of who reads the body.
const ANSWER: usize = 256 << 10;
/// Bounds what comes while no answer is awaited: keep-alive, tickets, farewells.
const CHATTER: usize = 64 << 10;

/// Tells of more, and is looked for: HTTP/2 passes on the text alone.
const MORE: &str = "the backend sends more than answers have";

/// Says how far a server may run ahead of who reads: over HTTP/1.1, which is the limit of a head, too; over HTTP/2 with one
/// answer, and with all on a connection.
pub(super) const AHEAD: usize = 64 << 10;
pub(super) const WINDOWS: [u32; 2] = [64 << 10, 1 << 20];

/// Counts what one backend may still send, on all connections to it.
#[derive(Debug)]
pub(super) struct Allowance(Mutex<State>);

#[derive(Debug)]
struct State {
    left: usize,
    awaited: usize,
}

impl State {
    fn most(&self) -> usize {
        self.awaited.saturating_mul(ANSWER).saturating_add(CHATTER)
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Allowance(Mutex::new(State { left: CHATTER, awaited: 0 }))
    }
}

impl Allowance {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for one more answer, for as long as it is awaited.
    pub(super) fn await_answer(&self) -> Awaited<'_> {
        let mut state = self.state();
        state.awaited += 1;
        state.left = state.left.saturating_add(ANSWER).min(state.most());
        Awaited(self)
    }

    /// Makes room for as much as was passed on of an answer's body to who reads it, and has limits of its own.
    pub(super) fn passed_on(&self, bytes: usize) {
        let mut state = self.state();
        state.left = state.left.saturating_add(bytes).min(state.most());
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        let mut state = self.state();
        let left = state.left.checked_sub(bytes);
        state.left = left.unwrap_or(0);
        left.map(|_| ()).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, MORE))
    }
}

/// Says whether a connection broke because more came in than is allowed.
pub(super) fn is_over(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.to_string().contains(MORE) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Stands for an answer that is awaited.
#[must_use = "it is awaited no more once this is dropped"]
pub(super) struct Awaited<'a>(&'a Allowance);

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.awaited -= 1;
        state.left = state.left.min(state.most());
    }
}

/// Wraps a connection, and ends it when more comes in than is allowed.
pub(super) struct Bounded<T> {
    io: T,
    allowance: Arc<Allowance>,
}

impl<T> Bounded<T> {
    pub(super) fn new(io: T, allowance: Arc<Allowance>) -> Self {
        Bounded { io, allowance }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Bounded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        Poll::Ready(self.allowance.take(buf.filled().len() - before))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Bounded<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_that_is_awaited_may_be_as_long_and_nothing_is_saved_up() {
        let allowance = Allowance::default();
        let left = || allowance.state().left;
        for _ in 0..3 {
            let first = allowance.await_answer();
            let second = allowance.await_answer();
            assert_eq!(left(), 2 * ANSWER + CHATTER);
            allowance.take(ANSWER).unwrap();
            drop(first);
            allowance.take(ANSWER).unwrap();
            drop(second);
            assert_eq!(left(), CHATTER);
        }
    }

    #[test]
    fn a_body_that_is_read_is_not_counted_and_one_that_is_not_is() {
        let allowance = Allowance::default();
        let _awaited = allowance.await_answer();
        for _ in 0..100 {
            allowance.take(ANSWER).unwrap();
            allowance.passed_on(ANSWER);
        }
        allowance.take(ANSWER + CHATTER).unwrap();
        assert!(allowance.take(1).is_err());
    }

    #[test]
    fn what_is_over_it_fails_until_an_answer_is_awaited_again() {
        let allowance = Allowance::default();
        let awaited = allowance.await_answer();
        assert!(allowance.take(ANSWER + CHATTER + 1).is_err());
        assert!(allowance.take(1).is_err());
        drop(awaited);
        assert!(allowance.take(1).is_err());
        let awaited = allowance.await_answer();
        allowance.take(ANSWER).unwrap();
        drop(awaited);
        // Without requests only so much is read.
        let allowance = Allowance::default();
        allowance.take(CHATTER).unwrap();
        assert!(allowance.take(1).is_err());
    }
}
