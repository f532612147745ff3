//! Sockets of one worker whose small writes go out together, once every task that was ready has run.
//!
//! A write wakes who reads it. Written one by one, each in the time that the next takes to be worked out,
//! every message would cost its reader a wake-up of its own; in one go they find it awake. Nothing waits
//! for a clock or for more to come: what is held goes out before the thread looks for new events. What is
//! large is written at once, and nothing is reordered within a socket.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What a socket holds at most, in bytes: a message of a usual size with its head.
const HELD: usize = 4096;
/// Buffers that are kept for the next writes.
const SPARE: usize = 64;

/// The sockets of one worker that hold something.
#[derive(Default)]
pub(super) struct Outbox {
    holding: RefCell<Vec<Rc<RefCell<Inner>>>>,
    spare: RefCell<Vec<Vec<u8>>>,
}

/// A stream that holds small writes back until [`Outbox::send`].
pub(super) struct Socket {
    inner: Rc<RefCell<Inner>>,
    outbox: Rc<Outbox>,
}

struct Inner {
    stream: TcpStream,
    held: Vec<u8>,
    /// How much of it is written.
    written: usize,
    /// The outbox knows that it holds something.
    listed: bool,
    /// Nobody has it any more but the outbox.
    left: bool,
    /// Who waits until it takes more. The system wakes only the last who asked, and that may be the outbox.
    writer: Option<Waker>,
    /// What went wrong with something held, until somebody hears of it.
    failed: Option<io::Error>,
}

impl Outbox {
    /// Writes what the sockets hold. One that takes no more is tried again when it does: the task of `cx`
    /// is woken.
    pub(super) fn send(&self, cx: &mut Context<'_>) {
        if self.holding.borrow().is_empty() {
            return;
        }
        self.holding.borrow_mut().retain(|socket| {
            let mut inner = socket.borrow_mut();
            let sent = inner.send(cx);
            // Who has let go of it does not wait for a peer that takes no more.
            let waits = sent.is_pending() && !inner.left;
            if !waits {
                inner.listed = false;
                inner.failed = match sent {
                    Poll::Ready(Err(error)) => Some(error),
                    _ => None,
                };
                self.keep(std::mem::take(&mut inner.held));
                inner.writer.take().into_iter().for_each(Waker::wake);
            }
            waits
        });
    }

    fn keep(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE && buffer.capacity() > 0 {
            buffer.clear();
            spare.push(buffer);
        }
    }
}

impl Socket {
    pub(super) fn new(stream: TcpStream, outbox: &Rc<Outbox>) -> Self {
        let inner = Inner {
            stream,
            held: Vec::new(),
            written: 0,
            listed: false,
            left: false,
            writer: None,
            failed: None,
        };
        Socket { inner: Rc::new(RefCell::new(inner)), outbox: Rc::clone(outbox) }
    }

    /// Holds all of it if there is room.
    fn hold(&self, inner: &mut Inner, parts: &[IoSlice<'_>]) -> Option<usize> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        if inner.held.len() + length > HELD {
            return None;
        }
        if inner.held.capacity() == 0 {
            let spare = self.outbox.spare.borrow_mut().pop();
            inner.held = spare.unwrap_or_else(|| Vec::with_capacity(HELD));
        }
        parts.iter().for_each(|part| inner.held.extend_from_slice(part));
        if !inner.listed {
            inner.listed = true;
            self.outbox.holding.borrow_mut().push(Rc::clone(&self.inner));
        }
        Some(length)
    }
}

impl Inner {
    /// Writes what is held.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.held.len() {
            let rest = &self.held[self.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                wrote => self.written += wrote,
            }
        }
        self.held.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// The same for somebody who has more to write.
    fn send_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.send(cx);
        self.writer = sent.is_pending().then(|| cx.waker().clone());
        sent
    }

    fn check(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner.borrow_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let inner = &mut *self.inner.borrow_mut();
        inner.check()?;
        if let Some(held) = self.hold(inner, bufs) {
            return Poll::Ready(Ok(held));
        }
        ready!(inner.send_first(cx))?;
        Pin::new(&mut inner.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is held goes out without anybody's doing.
        Poll::Ready(self.inner.borrow_mut().check())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.inner.borrow_mut();
        inner.check()?;
        ready!(inner.send_first(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.inner.borrow_mut().left = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream as StdStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;
    use tokio::io::AsyncWriteExt as _;

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// A socket with its outbox, and the other end of it.
    async fn pair() -> (Socket, Rc<Outbox>, StdStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().unwrap();
        let outbox = Rc::new(Outbox::default());
        (Socket::new(near, &outbox), outbox, far)
    }

    fn nothing_came(far: &StdStream) {
        far.set_nonblocking(true).unwrap();
        let read = (&mut &*far).read(&mut [0; 1]).unwrap_err();
        assert_eq!(read.kind(), io::ErrorKind::WouldBlock);
        far.set_nonblocking(false).unwrap();
    }

    fn came(mut far: &StdStream, bytes: &[u8]) {
        let mut read = vec![0; bytes.len()];
        far.read_exact(&mut read).unwrap();
        assert_eq!(read, bytes);
    }

    fn send(outbox: &Outbox) {
        outbox.send(&mut Context::from_waker(Waker::noop()));
    }

    #[tokio::test]
    async fn small_writes_go_out_together_when_told() {
        let (mut socket, outbox, far) = pair().await;
        socket.write_all(b"one ").await.unwrap();
        socket.write_all(b"two").await.unwrap();
        socket.flush().await.unwrap();
        nothing_came(&far);
        send(&outbox);
        came(&far, b"one two");
        assert!(outbox.holding.borrow().is_empty());
    }

    #[tokio::test]
    async fn large_writes_and_the_end_come_behind_what_is_held() {
        let (mut socket, outbox, far) = pair().await;
        let large = vec![b'x'; HELD + 1];
        socket.write_all(b"head").await.unwrap();
        socket.write_all(&large).await.unwrap();
        came(&far, b"head");
        came(&far, &large);
        socket.write_all(b"last").await.unwrap();
        socket.shutdown().await.unwrap();
        came(&far, b"last");
        assert_eq!((&far).read(&mut [0; 1]).unwrap(), 0);
        send(&outbox);
    }

    #[tokio::test]
    async fn what_was_held_is_sent_though_nobody_has_the_socket_any_more() {
        let (mut socket, outbox, far) = pair().await;
        socket.write_all(b"bye").await.unwrap();
        drop(socket);
        send(&outbox);
        came(&far, b"bye");
        assert_eq!((&far).read(&mut [0; 1]).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_peer_that_takes_no_more_is_waited_for_but_not_for_nobody() {
        let (mut socket, outbox, mut far) = pair().await;
        // Fills what the system buffers: then a write waits.
        let chunk = vec![b'x'; 1 << 16];
        let mut wrote = 0;
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(written) = Pin::new(&mut socket).poll_write(&mut cx, &chunk) {
            wrote += written.unwrap();
        }
        socket.write_all(b"held").await.unwrap();
        let woken = Arc::new(Flag::default());
        let writer = Waker::from(Arc::clone(&woken));
        let asked = Pin::new(&mut socket).poll_write(&mut Context::from_waker(&writer), &chunk);
        assert!(asked.is_pending());
        send(&outbox);
        assert_eq!(outbox.holding.borrow().len(), 1, "it is tried again");
        let reader = std::thread::spawn(move || {
            let mut read = vec![0; wrote];
            far.read_exact(&mut read).unwrap();
            far
        });
        std::future::poll_fn(|cx| {
            outbox.send(cx);
            if outbox.holding.borrow().is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let far = reader.join().unwrap();
        came(&far, b"held");
        assert!(
            woken.0.load(Ordering::Relaxed),
            "the outbox asked last, and the writer hears of it"
        );

        while Pin::new(&mut socket).poll_write(&mut cx, &chunk).is_ready() {}
        socket.write_all(b"held").await.unwrap();
        drop(socket);
        send(&outbox);
        assert!(outbox.holding.borrow().is_empty());
    }

    #[tokio::test]
    async fn whoever_writes_next_hears_that_it_failed() {
        let (mut socket, outbox, far) = pair().await;
        rustix::net::shutdown(&socket.inner.borrow().stream, rustix::net::Shutdown::Write).unwrap();
        socket.write_all(b"held").await.unwrap();
        send(&outbox);
        assert_eq!(socket.write_all(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        drop(far);
    }
}
