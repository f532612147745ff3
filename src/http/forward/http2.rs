//! An HTTP/2 connection, which has a task of its own and serves many requests at once.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::spawn_local;

use super::Upload;
use super::heads::{HeadCounter, HeadsLeft};
use crate::http::local::Local;
use crate::http::unread::Unread;

/// Says how far ahead of a slow client one response may be read, in bytes.
const STREAM_WINDOW: u32 = 256 << 10;
/// No bound of its own: else one client that does not read would hold up all others. What h2 bounds by it, [`Unread`]
/// does.
const CONNECTION_WINDOW: u32 = i32::MAX as u32;
/// The largest head of a response, in bytes.
const MAX_HEADER_BYTES: u32 = 256 << 10;

/// Stands for a limit of requests at once before the server has said its own. Nothing is sent until then,
/// or the server might refuse some. No server can say this one: theirs have 32 bits, or there is none.
const UNSAID: usize = usize::MAX - 1;

/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(1);

/// One connection.
pub(crate) struct Http2Conn<B> {
    pub(crate) sender: http2::SendRequest<B>,
    used: Rc<Used>,
}

/// Says how much of it is in use.
#[derive(Debug)]
struct Used {
    /// Requests at once that the server allows.
    max: Cell<usize>,
    now: Cell<usize>,
    since: Cell<Instant>,
    heads: HeadsLeft,
    unread: Unread,
}

/// One request's place on it.
#[derive(Debug)]
pub(crate) struct StreamPermit(Rc<Used>);

impl<B: Upload> Http2Conn<B> {
    /// Over a stream that is open.
    pub(crate) async fn over<S>(stream: S) -> io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (stream, heads, unread) = HeadCounter::over(stream);
        let mut builder = http2::Builder::new(Local);
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_BYTES)
            .initial_max_send_streams(UNSAID);
        let (sender, mut connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // The task that hears of it wakes nobody here; the caller's patience is the bound.
        while connection.current_max_send_streams() == UNSAID {
            if sender.is_closed() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            tokio::time::sleep(LOOK).await;
        }
        let max = connection.current_max_send_streams();
        let (max, now, since) = (Cell::new(max), Cell::new(0), Cell::new(Instant::now()));
        let used = Rc::new(Used { max, now, since, heads, unread });
        let told = Rc::clone(&used);
        spawn_local(poll_fn(move |cx| {
            let over = Pin::new(&mut connection).poll(cx).map(drop);
            told.max.set(connection.current_max_send_streams());
            over
        }));
        Ok(Http2Conn { sender, used })
    }

    /// A place for one more request, unless all are taken or it is closed.
    pub(crate) fn place(&self) -> Option<StreamPermit> {
        let now = self.used.now.get();
        (now < self.used.max.get() && !self.sender.is_closed()).then(|| {
            self.used.now.set(now + 1);
            self.used.heads.begin(now + 1);
            StreamPermit(Rc::clone(&self.used))
        })
    }

    /// Says whether it is closed, or was not used for so long.
    pub(crate) fn is_stale(&self, idle: Duration) -> bool {
        let unused = self.used.now.get() == 0 && self.used.since.get().elapsed() >= idle;
        unused || self.sender.is_closed()
    }
}

impl StreamPermit {
    /// Says whether its server has sent more heads than requests and their interim responses have.
    pub(crate) fn is_flooded(&self) -> bool {
        self.0.heads.is_spent()
    }

    /// Says where the body of its response tells what is read of it.
    pub(crate) fn unread(&self) -> Unread {
        self.0.unread.clone()
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.now.set(self.0.now.get() - 1);
        self.0.since.set(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::LocalSet;

    use super::*;
    use crate::http::forward::testing::Empty;

    /// A server that does nothing else while it works answers no `PING`, and its call is not over for that.
    #[tokio::test(start_paused = true)]
    async fn a_server_may_be_silent_for_as_long_as_it_likes() {
        let (ours, mut server) = tokio::io::duplex(1 << 16);
        let local = LocalSet::new();
        local
            .run_until(async move {
                // SETTINGS: at most a hundred requests at once.
                server.write_all(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]).await.unwrap();
                let mut shared = Http2Conn::over(ours).await.unwrap();
                let place = shared.place().unwrap();
                let request = hyper::Request::new(Empty);
                let response = spawn_local(shared.sender.send_request(request));
                tokio::time::sleep(Duration::from_secs(3600)).await;
                assert!(!response.is_finished() && !shared.is_stale(Duration::from_secs(4)));
                let mut sent = Vec::new();
                server.read_buf(&mut sent).await.unwrap();
                assert!(sent.starts_with(b"PRI * HTTP/2.0"));
                drop(server);
                assert!(response.await.unwrap().is_err(), "one that is gone is noticed");
                drop(place);
            })
            .await;
    }
}
