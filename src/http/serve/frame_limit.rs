//! A socket by which no client of HTTP/2 keeps us busy with frames that ask for nothing.
//!
//! h2 bounds streams that are reset before they are looked at, and empty DATA. SETTINGS, PING, PRIORITY, WINDOW_UPDATE
//! and frames of unknown kinds it works at, and answers, for as long as they come. Here the heads of frames are
//! counted as they pass: requests and answers earn what is spent on all others. Bytes are not held or changed, and of
//! HTTP/1.1 nothing is looked at.
//!
//! A head in pieces h2 gathers as it came until a field of it is whole, however long that is said to be: here it has a
//! bound of its own.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::http::frames::{CONTINUATION, DATA, Frames, HEADERS, PREFACE, RST_STREAM};
use crate::http::unread::Arrivals;
use crate::metrics::Counter;
use crate::metrics::RateLimitedLog;

/// Names what a connection may spend before it has earned anything, and the most that it keeps.
const MOST: i64 = 10_000;
/// Names what it earns in a second by being there: each costs less than a microsecond.
const A_SECOND: u64 = 1000;
/// Names what an answer's head earns: its client widens windows and asks how long the way is.
const ANSWER: i64 = 4;
/// Names what a stream costs that we have to reset, beside what opening it has earned.
const RESET: i64 = 2;

/// All streams may have been worked at; ENHANCE_YOUR_CALM (RFC 9113 section 6.8).
const GOAWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0x0b];

/// Counts the connections of one port that were closed for it, and says so now and then.
#[derive(Debug, Default)]
pub(crate) struct Floods {
    counter: Counter,
    said: RateLimitedLog,
}

/// Passes bytes on and fails once too many frames came for what they asked.
#[derive(Debug)]
pub(crate) struct FrameLimit<S> {
    inner: S,
    floods: Arc<Floods>,
    speaks: Speaks,
    read: Frames,
    written: Frames,
    purse: Purse,
    /// The bytes of a request's head, as it is sent: of the last one, and the most that it may have.
    head: usize,
    max_head: usize,
    /// Holds what waits for somebody to read it, where the connection's window does not bound that.
    arrivals: Option<Arrivals>,
}

/// Tells what the client speaks, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    /// So many bytes of the preface came.
    Preface(usize),
    Two,
    /// Anything else.
    Other,
}

/// Holds what may still be spent.
#[derive(Debug)]
struct Purse {
    left: i64,
    /// Until then the time that passed is in it.
    since: Instant,
}

impl Floods {
    /// Counts them there.
    pub(crate) fn counted(counter: Counter) -> Arc<Self> {
        Arc::new(Floods { counter, said: RateLimitedLog::default() })
    }

    fn tell(&self) {
        self.counter.add(1);
        if let Some(unsaid) = self.said.due() {
            tracing::warn!(
                unsaid,
                "closed a connection: its client sent thousands of HTTP/2 frames that ask for nothing (PING, SETTINGS, \
                 WINDOW_UPDATE and their like) or that nobody reads, or a head that is far too long"
            );
        }
    }
}

impl<S> FrameLimit<S> {
    /// Over a socket by which nothing has passed.
    pub(crate) fn over(inner: S, floods: Arc<Floods>, max_head: usize) -> Self {
        let purse = Purse { left: MOST, since: Instant::now() };
        let (read, written) = (Frames::default(), Frames::default());
        let speaks = Speaks::Preface(0);
        FrameLimit {
            inner,
            floods,
            speaks,
            read,
            written,
            purse,
            head: 0,
            max_head,
            arrivals: None,
        }
    }

    /// Does the same and also bounds the frames that wait, of which the bodies of requests have to tell.
    pub(crate) fn counting(self, arrivals: Arrivals) -> Self {
        FrameLimit { arrivals: Some(arrivals), ..self }
    }

    /// Looks at what the client sent; says whether that is bearable.
    fn bears(&mut self, mut bytes: &[u8]) -> bool {
        if let Speaks::Preface(known) = self.speaks {
            let begin = bytes.len().min(PREFACE.len() - known);
            let (begin, behind) = bytes.split_at(begin);
            self.speaks = match known + begin.len() {
                _ if !PREFACE[known..].starts_with(begin) => Speaks::Other,
                seen if seen == PREFACE.len() => Speaks::Two,
                seen => Speaks::Preface(seen),
            };
            bytes = behind;
        }
        if self.speaks != Speaks::Two {
            return true;
        }
        let FrameLimit { purse, arrivals, head: sent, max_head, .. } = self;
        let mut bearable = true;
        self.read.pass(bytes, |head| {
            match head.kind {
                DATA if head.length > 0 => {}
                // It may be taken back.
                HEADERS => purse.earn(1),
                _ => purse.left -= 1,
            }
            *sent = match head.kind {
                CONTINUATION => sent.saturating_add(head.length),
                HEADERS => head.length,
                _ => 0,
            };
            bearable &= *sent <= *max_head;
            bearable &= arrivals.as_mut().is_none_or(|arrivals| arrivals.read(head));
        });
        bearable && purse.lasts()
    }

    /// Looks at what the client was sent.
    fn sent(&mut self, bytes: &[u8]) {
        if self.speaks == Speaks::Other {
            return;
        }
        let (purse, arrivals) = (&mut self.purse, &mut self.arrivals);
        self.written.pass(bytes, |head| {
            match head.kind {
                DATA => purse.earn(body(head.length)),
                HEADERS => purse.earn(ANSWER),
                RST_STREAM => purse.left -= RESET,
                _ => {}
            }
            if let Some(arrivals) = arrivals {
                arrivals.written(head);
            }
        });
    }
}

/// Gives what a frame of an answer's body earns: some clients widen both windows after each frame, however small,
/// others after every four KiB that they read.
fn body(length: usize) -> i64 {
    ((length / 16).min(4) + length / 1024) as i64
}

impl<S: AsyncWrite + Unpin> FrameLimit<S> {
    /// Says why, if there is room for that and no frame was begun.
    fn part(&mut self, cx: &mut Context<'_>) -> io::Error {
        self.floods.tell();
        if self.written.are_whole() {
            let said = Pin::new(&mut self.inner).poll_write(cx, GOAWAY);
            if said.is_ready() {
                // Whether it arrives or not, this is the end.
                drop(Pin::new(&mut self.inner).poll_flush(cx));
            }
        }
        io::Error::other(
            "too many frames that ask for nothing or that nobody reads, or too long a head",
        )
    }
}

impl Purse {
    fn earn(&mut self, more: i64) {
        self.left = MOST.min(self.left + more);
    }

    /// Says whether something is left, of what the time brought, too.
    fn lasts(&mut self) -> bool {
        if self.left > 0 {
            return true;
        }
        let now = Instant::now();
        let passed = (now - self.since).as_millis().saturating_mul(A_SECOND.into()) / 1000;
        self.since = now;
        self.earn(i64::try_from(passed).unwrap_or(MOST).min(MOST));
        self.left > 0
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for FrameLimit<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let bears = self.bears(&buf.filled()[before..]);
        Poll::Ready(if bears { Ok(()) } else { Err(self.part(cx)) })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FrameLimit<S> {
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
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::sleep;

    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        [&size[1..], &[kind, 0, 0, 0, 0, 1], &vec![0; length]].concat()
    }

    struct Line {
        socket: FrameLimit<DuplexStream>,
        client: DuplexStream,
        floods: Arc<Floods>,
    }

    impl Line {
        async fn greeted(greeting: &[u8]) -> Line {
            let (ours, client) = duplex(1 << 20);
            let floods = Floods::counted(Counter::default());
            let mut line = Line {
                socket: FrameLimit::over(ours, Arc::clone(&floods), 90_000),
                client,
                floods,
            };
            assert!(line.comes(greeting).await);
            line
        }

        /// Says whether those bytes arrive, in pieces of any size.
        async fn comes(&mut self, bytes: &[u8]) -> bool {
            for piece in bytes.chunks(4099) {
                self.client.write_all(piece).await.unwrap();
                if self.socket.read_exact(&mut vec![0; piece.len()]).await.is_err() {
                    return false;
                }
            }
            true
        }

        async fn goes(&mut self, frame: &[u8]) {
            self.socket.write_all(frame).await.unwrap();
            self.client.read_exact(&mut vec![0; frame.len()]).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_any_kind_ends_its_connection_and_is_told_of() {
        for kind in [DATA, 2, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, 9, 0x42] {
            let mut line = Line::greeted(PREFACE).await;
            let flood = frame(kind, if kind == DATA { 0 } else { 8 });
            assert!(line.comes(&flood.repeat(9_000)).await, "{kind}");
            assert!(!line.comes(&flood.repeat(2_000)).await, "{kind}");
            assert_eq!(line.floods.counter.get(), 1, "{kind}");
            let Line { socket, mut client, .. } = line;
            drop(socket);
            let mut said = Vec::new();
            client.read_to_end(&mut said).await.unwrap();
            assert_eq!(said, GOAWAY, "{kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_in_pieces_has_a_bound() {
        for (pieces, bearable) in [
            (&[(HEADERS, 90_000), (HEADERS, 90_000), (DATA, 120_000)][..], true),
            (&[(HEADERS, 45_000), (CONTINUATION, 45_000), (DATA, 9), (HEADERS, 90_000)], true),
            (&[(HEADERS, 90_001)], false),
            (&[(HEADERS, 9), (CONTINUATION, 89_992)], false),
            (&[(HEADERS, 30_000), (CONTINUATION, 30_000), (CONTINUATION, 30_001)], false),
        ] {
            let mut line = Line::greeted(PREFACE).await;
            let frames = pieces.iter().map(|&(kind, length)| frame(kind, length));
            assert_eq!(
                line.comes(&frames.collect::<Vec<_>>().concat()).await,
                bearable,
                "{pieces:?}"
            );
            assert_eq!(line.floods.counter.get(), u64::from(!bearable), "{pieces:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn streams_that_we_reset_are_no_way_around_it() {
        let mut line = Line::greeted(PREFACE).await;
        let (opened, refused) = (frame(HEADERS, 3), frame(RST_STREAM, 4));
        let mut lasted = 0;
        while line.comes(&opened).await && lasted < 20_000 {
            line.goes(&refused).await;
            lasted += 1;
        }
        assert!((9_000..11_000).contains(&lasted), "{lasted}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_clients_do_that_ask_for_something_is_borne_for_ever() {
        let answer = [frame(HEADERS, 20), frame(DATA, 36), frame(HEADERS, 5)].concat();
        let wide = frame(WINDOW_UPDATE, 4);
        let asks = [frame(HEADERS, 30), frame(DATA, 500), frame(DATA, 0)].concat();
        let widens = [&wide[..], &wide, &frame(PING, 8)].concat();
        let taken_back = [frame(HEADERS, 30), frame(RST_STREAM, 4)].concat();
        let mut line = Line::greeted(PREFACE).await;
        for _ in 0..20_000 {
            assert!(line.comes(&asks).await, "a call");
            line.goes(&answer).await;
            assert!(line.comes(&widens).await, "windows are widened, and a PING");
            line.goes(&frame(DATA, 100)).await;
            assert!(line.comes(&widens).await, "an event of a stream");
            line.goes(&frame(DATA, 16_384)).await;
            assert!(line.comes(&wide.repeat(2 * 4)).await, "windows are widened every four KiB");
            assert!(line.comes(&taken_back).await, "a call that is given up");
        }
        assert!(line.comes(&frame(DATA, 16_384).repeat(2_000)).await, "an upload");
        for _ in 0..20_000 {
            sleep(Duration::from_millis(2)).await;
            assert!(line.comes(&frame(PING, 8)).await, "signs of life, far too many");
        }
        assert_eq!(line.floods.counter.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn of_http_1_1_nothing_is_looked_at() {
        for begin in [&b"POST / HTTP/1.1\r\n"[..], b"PRI * HTTP/1.1\r\n", &PREFACE[..20], b""] {
            let mut line = Line::greeted(begin).await;
            assert!(line.comes(b"\r\n").await);
            assert!(line.comes(&frame(PING, 8).repeat(20_000)).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_in_crumbs_that_nobody_reads_ends_its_connection() {
        let (ours, client) = duplex(1 << 20);
        let floods = Floods::counted(Counter::default());
        let socket =
            FrameLimit::over(ours, Arc::clone(&floods), 90_000).counting(Arrivals::new().0);
        let mut line = Line { socket, client, floods };
        assert!(line.comes(PREFACE).await && line.comes(&frame(HEADERS, 30)).await);
        assert!(line.comes(&frame(DATA, 1).repeat(3_000)).await);
        assert!(!line.comes(&frame(DATA, 1).repeat(2_000)).await);
        assert_eq!(line.floods.counter.get(), 1);
    }
}
