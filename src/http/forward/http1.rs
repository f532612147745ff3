//! An HTTP/1.1 connection without a task of its own: whoever waits for its response drives it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::spawn_local;

use super::Upload;
use crate::http::headers::{BUFFER, HYPERS_HEADERS};
use crate::http::write_tracker::{Unflushed, WriteTracker};

/// Says how much may come of a connection before a response to its request has come with its whole head, in bytes: more
/// than the largest head and what is read behind it; the rest is for interim responses. A server that sends one every
/// few seconds while it works, as 102 (Processing) is meant, does not get there in a day.
const BEFORE_RESPONSE: usize = 4 * BUFFER;

/// Moves bytes while it is polled.
type Connection = Pin<Box<dyn Future<Output = hyper::Result<()>>>>;

type Sent<B> = Result<Response<Incoming>, TrySendError<Request<B>>>;

/// One connection.
pub(crate) struct Http1Conn<B> {
    sender: http1::SendRequest<B>,
    /// Nothing once it is closed.
    connection: Option<Connection>,
    /// Says whether something of a request is not written yet.
    waits: Unflushed,
    /// Holds what has happened to it while it waits for work.
    stirred: Arc<Stirred>,
    /// Says how long it may wait for its next request, as far as its server has said.
    pub(crate) patience: Option<Duration>,
}

/// Says whether there is something to do for a connection that nobody drives.
#[derive(Default)]
struct Stirred(AtomicBool);

impl Wake for Stirred {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<B: Upload> Http1Conn<B> {
    /// Over a stream that is open; heads of responses have so many fields at most.
    pub(crate) async fn over<S>(stream: S, max_headers: usize) -> io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (stream, waits) = WriteTracker::over(stream);
        let mut http1 = http1::Builder::new();
        http1.max_buf_size(BUFFER);
        if max_headers != HYPERS_HEADERS {
            http1.max_headers(max_headers);
        }
        let (sender, connection) =
            http1.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let connection: Connection = Box::pin(connection);
        let connection = Some(connection);
        Ok(Http1Conn { sender, connection, waits, stirred: Arc::default(), patience: None })
    }

    /// Begins to send a request; [`until`](Self::until) goes on with it.
    pub(crate) fn begin(&mut self, request: Request<B>) -> impl Future<Output = Sent<B>> + use<B> {
        self.sender.try_send_request(request)
    }

    /// Drives the connection until the response to what was begun has begun. `None` if too much comes before it: of
    /// interim responses (1xx), which hyper drops, there may be any number.
    pub(crate) async fn until(
        &mut self,
        mut sent: Pin<&mut impl Future<Output = Sent<B>>>,
    ) -> Option<Sent<B>> {
        self.waits.allow_reading(Some(BEFORE_RESPONSE));
        let sent = poll_fn(|cx| {
            drive(&mut self.connection, cx);
            // Only what was just driven can have answered it, so nobody has to wake us for it.
            sent.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await;
        let flooded = sent.is_err() && self.waits.is_spent();
        self.waits.allow_reading(None);
        (!flooded).then_some(sent)
    }

    /// Moves it; call this before each look at what comes by it. `true` if nothing else does.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        drive(&mut self.connection, cx);
        self.connection.is_some()
    }

    /// Leaves it to wait for the next request. Whether there can be one.
    pub(crate) fn rest(&mut self) -> bool {
        self.stirred.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&self.stirred));
        self.drive(&mut Context::from_waker(&waker)) && self.sender.is_ready()
    }

    /// Says whether one that waits is still good for a request.
    pub(crate) fn is_open(&mut self) -> bool {
        if self.stirred.0.load(Ordering::Relaxed) { self.rest() } else { self.sender.is_ready() }
    }

    /// Says whether something of a request is not written yet, as far as the last drive came.
    pub(crate) fn is_behind(&self) -> bool {
        self.waits.now()
    }

    /// From here on it goes on by itself, until request and response have passed whole.
    pub(crate) fn run(self) {
        let Http1Conn { sender, connection, waits, .. } = self;
        let Some(mut connection) = connection else { return };
        spawn_local(poll_fn(move |cx| {
            // Its request and response hear of what goes wrong.
            let over = connection.as_mut().poll(cx).is_ready();
            // Without its sender it would be closed before the end of the request is written.
            let done = over || (sender.is_ready() && !waits.now());
            if done { Poll::Ready(()) } else { Poll::Pending }
        }));
    }
}

/// Moves a connection. One that has ended is let go, and its request hears of it.
fn drive(connection: &mut Option<Connection>, cx: &mut Context<'_>) {
    if let Some(running) = connection
        && running.as_mut().poll(cx).is_ready()
    {
        *connection = None;
    }
}
