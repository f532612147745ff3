//! One listening port: its connections, HTTP/1.1 and HTTP/2, with and without TLS, until the stop.
//!
//! A connection is a task. It ends when its client is done, when it is idle or old, or at the stop: then
//! what it has taken is answered first, and behind each limit that waits for the client's word stands one more
//! that does not. What requests mean is [`Answer`]'s.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::net::TcpListener as StdListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::Ends;
use super::displacement::{Occupant, Occupants, Place};
use super::frame_limit::{Floods, FrameLimit};
use super::reply::Reply;
use super::usage::Using;
use super::write_limit::WriteLimit;
use crate::http::descriptors::Share;
use crate::http::sockets::turn_away;
use crate::metrics::Counter;

/// After a failure to accept (no descriptors left): the next try.
const BREATH: Duration = Duration::from_millis(50);
/// At the stop, how long a new connection may take with its first request.
const FIRST_REQUEST: Duration = Duration::from_millis(250);
/// At the stop, how long the last answers may take to be written.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// Names what a connection that is to end may take with its last requests, where its settings do not say.
const LONGEST_GRACE: Duration = Duration::from_secs(600);
/// HTTP/2: how far ahead one request may be read, in bytes, and all of a connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// HTTP/2: a request of usual size comes in one frame, if its sender cares.
const FRAME: u32 = 128 << 10;
/// The largest head of HTTP/1.1, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// HTTP/2: the same with 32 bytes for each field, of which small ones take six times as much...
const MAX_HEAD_LIST: u32 = 32 << 10;
/// ...and how much of one is read on, as it is sent, so that its client hears that it is too large.
const MAX_SENT_HEAD: usize = 96 << 10;

/// Answers requests.
pub(crate) trait Answer: Send + Sync + 'static {
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Reply>> + Send;
}

/// Says how long things may take; `None` is for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// A request's head.
    pub(crate) head: Duration,
    /// A connection without a request.
    pub(crate) idle: Option<Duration>,
    /// A connection, and its requests from then on.
    pub(crate) age: Option<(Duration, Option<Duration>)>,
    /// HTTP/2: between two signs of life, and the answer to the question for one.
    pub(crate) ping: Option<(Duration, Duration)>,
    /// Holds what is written to a client, without it taking any.
    pub(crate) unread: Duration,
    /// The client's part in the end of a connection that is over.
    pub(crate) parting: Duration,
    /// At the stop, requests that were taken.
    pub(crate) drain: Duration,
}

/// One listening port.
pub(crate) struct Listener {
    pub(crate) socket: Arc<StdListener>,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) timing: Timing,
    pub(crate) max_streams: u32,
    pub(crate) max_connections: usize,
    pub(crate) turned_away: Counter,
    /// Connections that gave their place to others.
    pub(crate) displaced: Counter,
    pub(crate) floods: Arc<Floods>,
    /// Those who are turned away understand HTTP/1.1.
    pub(crate) words: bool,
    pub(crate) descriptors: Arc<Share>,
}

/// Holds what a connection needs of its port: who answers, TLS, times.
struct ConnectionContext<A, E> {
    answer: A,
    tls: Option<TlsAcceptor>,
    timing: Timing,
    builder: auto::Builder<TokioExecutor>,
    floods: Arc<Floods>,
    occupants: Arc<Occupants>,
    slots: Arc<Semaphore>,
    stop: E,
}

impl Listener {
    /// Serves until the stop, and what was taken by then.
    pub(crate) async fn serve(self, answer: impl Answer, mut stop: impl Ends) -> io::Result<()> {
        // The socket itself is held on to: a reload takes it over while it is.
        let socket = Arc::clone(&self.socket);
        let listener = TcpListener::from_std(socket.try_clone()?)?;
        let cx = Arc::new(ConnectionContext {
            answer,
            builder: builder(&self.timing, self.max_streams),
            tls: self.tls.clone(),
            timing: self.timing,
            floods: Arc::clone(&self.floods),
            occupants: Arc::default(),
            slots: Arc::new(Semaphore::new(self.max_connections.min(Semaphore::MAX_PERMITS))),
            stop: stop.clone(),
        });
        let port = Arc::new(self);
        let mut connections = JoinSet::new();
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                _ = stop.given() => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    failing = false;
                    port.let_in(stream, &cx, &mut connections);
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!("cannot accept connections for now: {error}");
                    }
                    failing = true;
                    sleep(BREATH).await;
                }
            }
        }
        let drain = cx.timing.drain;
        drop((listener, socket, port));
        let all_done = async { while connections.join_next().await.is_some() {} };
        let enough = async {
            stop.over(drain).await;
            sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = all_done => {}
            () = enough => {}
        }
        connections.shutdown().await;
        Ok(())
    }

    /// Has a connection served, at once or as soon as another one has given way to it.
    fn let_in<A: Answer, E: Ends>(
        self: &Arc<Self>,
        stream: TcpStream,
        cx: &Arc<ConnectionContext<A, E>>,
        connections: &mut JoinSet<()>,
    ) {
        let cx = Arc::clone(cx);
        if let Some(place) = self.place(&cx.slots) {
            connections.spawn(cx.connection(stream, place));
            return;
        }
        let Some(place) = cx.occupants.displace() else {
            if cx.slots.available_permits() > 0 {
                self.descriptors.complain();
            }
            return self.turn_away(stream);
        };
        let port = Arc::clone(self);
        connections.spawn(async move {
            let mut stop = cx.stop.clone();
            let place = tokio::select! {
                place = timeout(2 * cx.timing.parting, place) => place.ok().and_then(Result::ok),
                _ = stop.given() => None,
            };
            let Some(place) = place else { return port.turn_away(stream) };
            port.displaced.add(1);
            drop(port);
            cx.connection(stream, place).await;
        });
    }

    /// A place, if any is free.
    fn place(&self, slots: &Arc<Semaphore>) -> Option<Place> {
        let slot = Arc::clone(slots).try_acquire_owned().ok()?;
        Some(Place { slot, descriptor: self.descriptors.take(1)? })
    }

    fn turn_away(&self, stream: TcpStream) {
        self.turned_away.add(1);
        if self.words && self.tls.is_none() {
            stream.into_std().map(turn_away).ok();
        }
    }
}

fn builder(timing: &Timing, max_streams: u32) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(timing.head)
        .max_buf_size(MAX_HEAD.max(FRAME as usize));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(max_streams)
        .max_header_list_size(MAX_HEAD_LIST)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .auto_date_header(false);
    if let Some((every, limit)) = timing.ping {
        builder.http2().keep_alive_interval(every).keep_alive_timeout(limit);
    }
    builder
}

impl<A: Answer, E: Ends> ConnectionContext<A, E> {
    /// One connection, from its first byte to its last.
    async fn connection(self: Arc<Self>, stream: TcpStream, place: Place) {
        let occupant = self.occupants.enter(place);
        // Answers are short: without it each would wait for an acknowledgement.
        stream.set_nodelay(true).ok();
        let stream = WriteLimit::over(stream, self.timing.unread);
        let Some(tls) = &self.tls else { return self.requests(stream, &occupant).await };
        let mut stop = self.stop.clone();
        let late = async {
            stop.given().await;
            sleep(FIRST_REQUEST).await;
        };
        let greeted = tokio::select! {
            greeted = timeout(self.timing.head, tls.accept(stream)) => greeted,
            () = late => return,
            () = occupant.usage.told_to_leave() => return,
        };
        if let Ok(Ok(stream)) = greeted {
            self.requests(stream, &occupant).await;
        }
    }

    async fn requests<S>(self: &Arc<Self>, stream: S, occupant: &Occupant)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let usage = &occupant.usage;
        let (cx, used) = (Arc::clone(self), Arc::clone(usage));
        let service = service_fn(move |request| {
            let (cx, using) = (Arc::clone(&cx), Using::of(&used));
            async move { Ok::<_, Infallible>(using.answered(cx.answer.answer(request).await)) }
        });
        let stream = FrameLimit::over(stream, Arc::clone(&self.floods), MAX_SENT_HEAD);
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        let mut stop = self.stop.clone();
        let timing = &self.timing;
        let (age, grace) = timing.age.unzip();
        // A connection that ends in an error has nobody left to tell.
        let grace = tokio::select! {
            _ = connection.as_mut() => return,
            () = usage.stuck(timing.unread) => return,
            () = usage.unused(timing.head, timing.idle) => timing.parting,
            () = usage.told_to_leave() => LONGEST_GRACE,
            () = after(age.map(jittered)) => grace.flatten().unwrap_or(LONGEST_GRACE),
            _ = stop.given() => {
                // Closed now, one that was just accepted would lose the request that is on its way.
                if usage.is_fresh() && timeout(FIRST_REQUEST, connection.as_mut()).await.is_ok() {
                    return;
                }
                LONGEST_GRACE
            }
        };
        connection.as_mut().graceful_shutdown();
        // hyper waits for the client's word: over HTTP/2 for the answer to a PING, then for its close.
        tokio::select! {
            _ = connection => {}
            () = usage.stuck(timing.unread) => {}
            () = usage.over(timing.parting) => {}
            () = sleep(grace) => {}
        }
    }
}

async fn after(wait: Option<Duration>) {
    match wait {
        Some(wait) => sleep(wait).await,
        None => pending().await,
    }
}

/// Give or take a tenth, so that connections which began together do not end together.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(0.9 + 0.2 * rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    /// Names what a field that a [`HeaderMap`] has room for takes there, in bytes: name, value, links, and its hash
    /// twice.
    const ROOM: usize = 104 + 6;
    /// Names what its name takes beside.
    const NAME: usize = 32;

    #[test]
    fn a_head_of_the_smallest_fields_leaves_room_for_the_rest_of_its_connection() {
        let (mut head, mut counted) = (HeaderMap::new(), 0);
        for number in 0.. {
            let name = HeaderName::try_from(format!("{number:x}")).unwrap();
            counted += name.as_str().len() + 1 + 32;
            if counted >= MAX_HEAD_LIST as usize {
                break;
            }
            head.append(name, HeaderValue::from_static("b"));
        }
        let taken = head.capacity() * ROOM + head.len() * NAME;
        assert!(taken < 200 << 10, "{} fields take {taken}", head.len());
    }
}
