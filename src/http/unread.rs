//! How many frames of DATA of a connection of HTTP/2 wait because whoever they are for does not read.
//!
//! Windows bound their bytes. But each frame, however small, costs h2 more than a hundred bytes beside, and keeps the
//! buffer that it was read into, up to 16 KiB. h2 has a budget for that which follows the connection's window, of which
//! ours have none. So frames are counted as they come, in the socket, and again as they are read, by the bodies; the
//! difference is what h2 holds. What it throws away with a stream that is reset, both take back. What was read and
//! waits to be written counts until it is gone.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::frames::{CONTINUATION, DATA, FrameHead, HEADERS, RST_STREAM};

/// Names what may wait on a connection.
const LEAST: i64 = 3072;
/// Names what each body that is under way adds to that: of all of them together, for a slow one may need more than its
/// part.
const EACH: i64 = 1024;
/// Bytes of long frames that are for nothing, in the life of a connection: between frames of DATA they fill buffers.
const FILLING: usize = 1 << 20;
/// Up to here they are not long: each kind that is in use is shorter.
const SHORT: usize = 256;

/// Counts the frames that wait in one connection; clones tell of the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unread(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Not read yet.
    frames: AtomicI64,
    /// Read and not gone.
    held: AtomicI64,
    bodies: AtomicI64,
}

impl Unread {
    fn add(&self, frames: i64) {
        let now = self.0.frames.load(Relaxed) + frames;
        self.0.frames.store(now.max(0), Relaxed);
    }

    fn enter(&self) {
        self.0.bodies.fetch_add(1, Relaxed);
    }

    fn leave(&self) {
        if self.0.bodies.fetch_sub(1, Relaxed) == 1 {
            // Nothing waits for anybody: what is left is of streams that were reset before anybody had them.
            self.0.frames.store(0, Relaxed);
        }
    }

    fn is_bearable(&self) -> bool {
        let most = LEAST + EACH * self.0.bodies.load(Relaxed);
        self.0.frames.load(Relaxed) + self.0.held.load(Relaxed) <= most
    }
}

/// Keeps bytes and counts them until they are dropped.
struct Held {
    bytes: Bytes,
    unread: Unread,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.unread.0.held.fetch_sub(1, Relaxed);
    }
}

/// Counts what comes, by the heads of the frames that pass a socket.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    unread: Unread,
    /// Streams that may bring DATA, and how many frames they brought.
    open: HashMap<u32, i64>,
    /// The last stream that was opened.
    last: u32,
    filled: usize,
}

impl Arrivals {
    /// Of a new connection.
    pub(crate) fn new() -> (Self, Unread) {
        let arrivals = Arrivals::default();
        let unread = arrivals.unread.clone();
        (arrivals, unread)
    }

    /// One that the peer sent; says whether that is bearable.
    pub(crate) fn read(&mut self, head: FrameHead) -> bool {
        match head.kind {
            HEADERS => self.opened(head.stream),
            DATA if head.length > 0 => {
                if let Some(frames) = self.open.get_mut(&head.stream) {
                    *frames += 1;
                    self.unread.add(1);
                }
            }
            RST_STREAM => self.reset(head.stream),
            DATA | CONTINUATION => {}
            _ if head.length > SHORT => self.filled += head.length,
            _ => {}
        }
        if head.is_last() {
            // What came is read, or thrown away by a body that reads it to its end.
            self.open.remove(&head.stream);
        }
        self.unread.is_bearable() && self.filled <= FILLING
    }

    /// One that we sent.
    pub(crate) fn written(&mut self, head: FrameHead) {
        match head.kind {
            HEADERS => self.opened(head.stream),
            RST_STREAM => self.reset(head.stream),
            _ => {}
        }
    }

    fn opened(&mut self, stream: u32) {
        if stream > self.last {
            self.last = stream;
            self.open.insert(stream, 0);
        }
    }

    fn reset(&mut self, stream: u32) {
        if let Some(frames) = self.open.remove(&stream) {
            self.unread.add(-frames);
        }
    }
}

/// A body that tells what is read of it.
#[derive(Debug)]
pub(crate) struct CountedBody<B: Body<Data = Bytes> + Unpin = Incoming> {
    body: B,
    /// Nothing over HTTP/1.1.
    unread: Option<Unread>,
    frames: i64,
}

impl<B: Body<Data = Bytes> + Unpin> CountedBody<B> {
    /// Of a connection that counts, or of another.
    pub(crate) fn over(body: B, unread: Option<Unread>) -> Self {
        if let Some(unread) = &unread {
            unread.enter();
        }
        CountedBody { body, unread, frames: 0 }
    }

    /// The same frame, which counts as waiting until its bytes are gone. For whoever writes it on: it tells nothing of
    /// those who keep a copy.
    pub(crate) fn hold(&self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let Some(unread) = self.unread.clone() else { return frame };
        frame.map_data(|bytes| {
            unread.0.held.fetch_add(1, Relaxed);
            Bytes::from_owner(Held { bytes, unread })
        })
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let next = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(unread) = &self.unread {
            let data = next.as_ref().and_then(|next| next.as_ref().ok()?.data_ref());
            if data.is_some_and(|data| !data.is_empty()) {
                unread.add(-1);
                self.frames += 1;
            }
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Drop for CountedBody<B> {
    fn drop(&mut self) {
        let Some(unread) = self.unread.clone() else { return };
        // What has come whole is not reset, so what nobody read of it has to be found here; it is a window at most.
        let mut cx = Context::from_waker(Waker::noop());
        while !self.body.is_end_stream()
            && let Poll::Ready(Some(Ok(_))) = Pin::new(&mut *self).poll_frame(&mut cx)
        {}
        if !self.body.is_end_stream() {
            // Its reset takes all back that came, what was read included.
            unread.add(self.frames);
        }
        unread.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use super::*;

    const SETTINGS: u8 = 4;

    fn frame(kind: u8, stream: u32, length: usize) -> FrameHead {
        FrameHead { kind, flags: 0, stream, length }
    }

    fn last(stream: u32, length: usize) -> FrameHead {
        FrameHead { flags: 1, ..frame(DATA, stream, length) }
    }

    /// Holds what h2 holds of a stream.
    #[derive(Debug, Default)]
    struct Stream {
        frames: VecDeque<Bytes>,
        ended: bool,
    }

    impl Body for Stream {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.frames.pop_front() {
                Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
                None if self.ended => Poll::Ready(None),
                None => Poll::Pending,
            }
        }

        fn is_end_stream(&self) -> bool {
            self.ended && self.frames.is_empty()
        }
    }

    struct Line {
        arrivals: Arrivals,
        unread: Unread,
    }

    impl Line {
        fn new() -> Self {
            let (arrivals, unread) = Arrivals::new();
            Line { arrivals, unread }
        }

        fn open(&mut self, stream: u32) -> CountedBody<Stream> {
            assert!(self.arrivals.read(frame(HEADERS, stream, 20)));
            CountedBody::over(Stream::default(), Some(self.unread.clone()))
        }

        fn comes(&mut self, body: &mut CountedBody<Stream>, head: FrameHead) -> bool {
            body.body.frames.push_back(vec![1; head.length].into());
            body.body.ended = head.is_last();
            self.arrivals.read(head)
        }

        fn waiting(&self) -> i64 {
            self.unread.0.frames.load(Relaxed)
        }
    }

    fn read(body: &mut CountedBody<Stream>) -> bool {
        let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
        matches!(polled, Poll::Ready(Some(_)))
    }

    #[test]
    fn thousands_of_frames_that_nobody_reads_are_too_many_however_small() {
        for size in [1, 255, 16_384] {
            let mut line = Line::new();
            let mut body = line.open(1);
            let borne = (0..10_000).take_while(|_| line.comes(&mut body, frame(DATA, 1, size)));
            assert_eq!(borne.count(), 4096, "{size}");
        }
    }

    #[test]
    fn what_is_read_costs_nothing_for_ever() {
        let mut line = Line::new();
        let (mut events, mut slow) = (line.open(1), line.open(3));
        for _ in 0..3000 {
            assert!(line.comes(&mut slow, frame(DATA, 3, 90)), "a slow one may have others' part");
        }
        for _ in 0..20_000 {
            assert!(line.comes(&mut events, frame(DATA, 1, 8)) && read(&mut events));
        }
        for stream in (5..20_000).step_by(2) {
            let mut body = line.open(stream);
            assert!(line.comes(&mut body, frame(DATA, stream, 8)));
            assert!(line.comes(&mut body, last(stream, 8)) && read(&mut body) && read(&mut body));
        }
        assert_eq!(line.waiting(), 3000);
    }

    #[test]
    fn what_is_thrown_away_does_not_wait() {
        let mut line = Line::new();
        let _stays = line.open(1);
        // It was reset in the middle, by either side, and more was on the way.
        for (stream, ours) in [(3, true), (5, false)] {
            let mut body = line.open(stream);
            for _ in 0..100 {
                assert!(line.comes(&mut body, frame(DATA, stream, 8)));
            }
            assert!(read(&mut body));
            drop(body);
            assert!(line.arrivals.read(frame(DATA, stream, 8)));
            let reset = frame(RST_STREAM, stream, 4);
            if ours {
                line.arrivals.written(reset);
            } else {
                assert!(line.arrivals.read(reset));
            }
            assert!(line.arrivals.read(frame(DATA, stream, 8)));
            assert!(line.arrivals.read(frame(HEADERS, stream, 8)), "trailers open nothing");
            assert_eq!(line.waiting(), 0);
        }
        // It had come whole.
        let mut body = line.open(7);
        for _ in 0..100 {
            assert!(line.comes(&mut body, frame(DATA, 7, 8)));
        }
        assert!(line.comes(&mut body, last(7, 8)) && read(&mut body));
        drop(body);
        assert_eq!(line.waiting(), 0);
        assert!(line.arrivals.open.len() == 1, "only what is open is remembered");
    }

    #[test]
    fn what_is_read_and_waits_to_be_written_waits_too() {
        let mut line = Line::new();
        let mut body = line.open(1);
        let mut behind = Vec::new();
        while line.comes(&mut body, frame(DATA, 1, 1)) {
            let polled = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Some(Ok(frame))) = polled else { panic!("it has come") };
            behind.push(body.hold(frame).into_data().unwrap());
        }
        assert_eq!((behind.len(), line.waiting()), (4096, 1));
        assert_eq!(behind[0], b"\x01"[..]);
        behind.clear();
        assert!(line.comes(&mut body, frame(DATA, 1, 1)));
    }

    #[test]
    fn a_client_s_requests_open_streams() {
        let mut line = Line::new();
        line.arrivals.written(frame(HEADERS, 1, 30));
        assert!(line.arrivals.read(frame(HEADERS, 1, 30)) && line.arrivals.read(frame(DATA, 1, 3)));
        assert_eq!(line.waiting(), 1);
        drop(CountedBody::over(Stream::default(), Some(line.unread.clone())));
        assert_eq!(line.waiting(), 0, "nothing is under way");
    }

    #[test]
    fn buffers_are_not_filled_with_what_is_for_nothing() {
        let mut line = Line::new();
        for _ in 0..100_000 {
            assert!(line.arrivals.read(frame(SETTINGS, 0, 36)));
            assert!(line.arrivals.read(frame(HEADERS, 1, 16_384)));
            assert!(line.arrivals.read(frame(CONTINUATION, 1, 16_384)));
        }
        let borne = (0..1000).take_while(|_| line.arrivals.read(frame(0xbb, 0, 8192)));
        assert_eq!(borne.count(), 128);
    }
}
