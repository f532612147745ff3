//! One forwarding thread: a runtime of its own, its clients' connections and its upstreams'.
//!
//! Everything of an exchange stays on the thread where its client was accepted, so nothing is locked
//! and nobody is woken across cores. At the end connections finish what they are doing, as long as
//! `drain_timeout` lets them; where a reload took the receiver out, for minutes.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::answer;
use super::config::Config;
use super::exchange::{Proxy, Rules};
use super::recorder::Recording;
use crate::http::forward::{Upstream, keep_alive};
use crate::http::forwarded::Client;
use crate::http::headers::{CLIENT_BUFFER, HYPERS_HEADERS};
use crate::http::local::Local;
use crate::http::serve::acceptor::Arrival;
use crate::http::serve::connections::{Connections, EndReason, Looks};
use crate::http::serve::frame_limit::{Floods, FrameLimit};
use crate::http::serve::wakeups::DeferWakeups;
use crate::http::unread::{Arrivals, CountedBody};
use crate::http::write_tracker::WriteTracker;
use crate::pipeline::Stop;

/// The first bytes of HTTP/2 with prior knowledge (RFC 9113 section 3.4); no method of HTTP/1.1 begins
/// like this.
const PREFACE: &[u8; 4] = b"PRI ";
/// Says how often idle upstream connections are looked at.
const TIDY: Duration = Duration::from_secs(1);
/// Says how often clients that ask nothing are looked at within the time that they have for it.
const LOOKS: u32 = 16;
/// Between two such looks at least.
const SHORTEST: Duration = Duration::from_millis(1);
/// Between two looks at a connection that has sent less than four bytes.
const SNIFF: Duration = Duration::from_millis(50);
/// The client's part in the end of a connection that is of no more use, at most.
const PARTING: Duration = Duration::from_secs(5);
/// At the stop, how long a new connection may take with its first request.
const FIRST_REQUEST: Duration = Duration::from_millis(250);
/// HTTP/2: how far ahead of a slow upstream one upload may be read, in bytes.
const STREAM_WINDOW: u32 = 64 << 10;
/// HTTP/2: no bound of its own, or one upload that is stuck would hold up the others.
const CONNECTION_WINDOW: u32 = i32::MAX as u32;
/// HTTP/2: what waits for a client that does not read, each request, in bytes.
const SEND_BUFFER: usize = 64 << 10;

/// Holds what a worker is made of.
pub(super) struct Plan {
    pub(super) config: Arc<Config>,
    pub(super) rules: Arc<Rules>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) queue: Arc<super::note::Queue>,
    pub(super) numbers: Arc<std::sync::atomic::AtomicU64>,
    pub(super) unseen: crate::metrics::Counter,
    pub(super) floods: Arc<Floods>,
}

struct Worker {
    config: Arc<Config>,
    proxy: Proxy,
    tls: Option<TlsAcceptor>,
    http1: http1::Builder,
    http2: http2::Builder<Local>,
    connections: Rc<Connections>,
    floods: Arc<Floods>,
    stop: Stop,
}

/// Serves what arrives until `stop`, then what has begun, within the drain timeout. Blocks.
pub(super) fn run(
    plan: Plan,
    arrivals: mpsc::Receiver<Arrival>,
    stop: Stop,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    // A task of its own: what is waited for here is looked at in every turn of every connection.
    let served = local.block_on(&runtime, async { spawn_local(serve(plan, arrivals, stop)).await });
    drop(local);
    // A name that is being looked up must not hold the end up.
    runtime.shutdown_background();
    served.map_err(std::io::Error::other)
}

async fn serve(plan: Plan, mut arrivals: mpsc::Receiver<Arrival>, mut stop: Stop) {
    let drain_timeout = plan.config.drain_timeout.0;
    let worker = Rc::new(Worker::new(plan, stop.clone()));
    let mut connections = JoinSet::new();
    let (bell, tidier, looker) = (Rc::clone(&worker), Rc::clone(&worker), Rc::clone(&worker));
    let helpers = [
        spawn_local(async move { bell.ring().await }),
        spawn_local(async move { tidier.tidy().await }),
        spawn_local(async move { looker.look_at_clients().await }),
    ];
    loop {
        tokio::select! {
            arrival = arrivals.recv() => match arrival {
                Some(arrival) => {
                    let worker = Rc::clone(&worker);
                    connections.spawn_local(async move { worker.connection(arrival).await });
                }
                None => break,
            },
            Some(_) = connections.join_next() => {}
            _ = stop.given() => break,
        }
    }
    worker.connections.stop();
    let finish = async {
        // Who was accepted is served; whoever accepts stops by the same signal and lets go of its end.
        while let Some(arrival) = arrivals.recv().await {
            let worker = Rc::clone(&worker);
            connections.spawn_local(async move { worker.connection(arrival).await });
        }
        while connections.join_next().await.is_some() {}
    };
    tokio::select! {
        () = finish => {}
        () = patience(stop, drain_timeout) => {}
    }
    let cut = worker.connections.asking();
    if cut > 0 {
        tracing::warn!(
            requests = cut,
            "cut off while they were being answered: they take longer than `drain_timeout` (within the \
             service's `shutdown_timeout`) allows, or than ten minutes after a reload"
        );
    }
    // What is still open ends here, and its exchanges say so to the observer.
    worker.proxy.recording.cutting.set(true);
    connections.shutdown().await;
    for helper in helpers {
        helper.abort();
    }
    worker.proxy.recording.queue.wake();
}

/// Says how long what has begun may take once stop was given.
async fn patience(mut stop: Stop, drain_timeout: Duration) {
    let retired = stop.given().await;
    tokio::select! {
        _ = stop.ends() => tokio::time::sleep_until(stop.until(drain_timeout)).await,
        () = tokio::time::sleep_until(retired.over()) => {}
    }
}

impl Worker {
    fn new(plan: Plan, stop: Stop) -> Self {
        let Plan { config, rules, tls, queue, numbers, unseen, floods } = plan;
        let recording = Rc::new(Recording {
            queue,
            numbers,
            max_message: config.max_message_bytes,
            bell: tokio::sync::Notify::new(),
            unseen,
            cutting: std::cell::Cell::new(false),
        });
        let mut http1 = http1::Builder::new();
        // Whoever takes too long with a head is noticed by `connections`.
        http1
            .header_read_timeout(None)
            .max_header_size(config.max_header_bytes)
            .max_buf_size(CLIENT_BUFFER.max(config.max_header_bytes))
            .auto_date_header(false);
        // hyper has room for its own default on the stack, and fills any other with care each time.
        if config.max_headers != HYPERS_HEADERS {
            http1.max_headers(config.max_headers);
        }
        let mut http2 = http2::Builder::new(Local);
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.max_concurrent_streams)
            .max_header_list_size(u32::try_from(config.max_header_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .auto_date_header(false);
        let servers = rules.destinations.iter().map(|to| Arc::clone(&to.server));
        let upstreams =
            servers.map(|server| Upstream::new(server, Arc::clone(&rules.descriptors))).collect();
        let proxy = Proxy { rules, recording, upstreams };
        Worker { config, proxy, tls, http1, http2, connections: Rc::default(), floods, stop }
    }

    /// Wakes the observer once what was handed over has been written.
    async fn ring(&self) {
        loop {
            self.proxy.recording.bell.notified().await;
            self.proxy.recording.queue.wake();
        }
    }

    async fn tidy(&self) {
        let mut ticks = interval(TIDY);
        loop {
            ticks.tick().await;
            self.proxy.upstreams.iter().for_each(|upstream| upstream.tidy());
        }
    }

    async fn look_at_clients(&self) {
        let every = (self.config.read_header_timeout.0 / LOOKS).max(SHORTEST);
        let stuck = self.config.stall_timeout.0.as_nanos().div_ceil(every.as_nanos());
        let limits = Looks { quiet: LOOKS, stuck: u32::try_from(stuck).unwrap_or(u32::MAX) };
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.connections.look(limits);
        }
    }

    /// One connection of a client, from its first byte to its last.
    async fn connection(self: Rc<Self>, arrival: Arrival) {
        let Arrival { stream, peer, slot } = arrival;
        let ip = peer.ip();
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        // Without it an event would wait for the last one's acknowledgement.
        stream.set_nodelay(true).ok();
        keep_alive(&stream);
        match &self.tls {
            None => {
                if let Some(Some(two)) = self.greeted(is_http2(&stream)).await {
                    self.exchanges(stream, two, Client { ip, tls: false }).await;
                }
            }
            Some(tls) => {
                if let Some(Ok(stream)) = self.greeted(tls.accept(stream)).await {
                    let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    self.exchanges(stream, two, Client { ip, tls: true }).await;
                }
            }
        }
        drop(slot);
    }

    /// Gives what a client begins with; `None` if that takes too long.
    async fn greeted<T>(&self, greeting: impl Future<Output = T>) -> Option<T> {
        let mut stop = self.stop.clone();
        let late = async {
            stop.given().await;
            sleep(FIRST_REQUEST).await;
        };
        tokio::select! {
            greeted = timeout(self.config.read_header_timeout.0, greeting) => greeted.ok(),
            () = late => None,
        }
    }

    async fn exchanges<S>(self: &Rc<Self>, stream: S, two: bool, client: Client)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (stream, waits) = WriteTracker::over(stream);
        let visit = Rc::new(self.connections.enter(waits));
        let (worker, visited) = (Rc::clone(self), Rc::clone(&visit));
        let (arrivals, unread) = Arrivals::new();
        let unread = two.then_some(unread);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let request = request.map(|body| CountedBody::over(body, unread.clone()));
            let head = request.method() == Method::HEAD;
            let begun = worker.proxy.accept(client, visited.asked(), request);
            let worker = Rc::clone(&worker);
            async move {
                let mut exchange = match begun {
                    Ok(exchange) => exchange,
                    Err(mut answer) => {
                        if head {
                            answer::without_body(&mut answer);
                        }
                        return Ok::<_, Infallible>(*answer);
                    }
                };
                let mut response = worker.proxy.forward(&mut exchange).await;
                if head {
                    answer::without_body(&mut response);
                }
                response.body_mut().keep(exchange.kept());
                Ok(response)
            }
        });
        // A connection that ends in an error has said so to its exchanges.
        if two {
            let max_head = self.config.max_header_bytes.max(CLIENT_BUFFER).saturating_mul(2);
            let limit = FrameLimit::over(stream, Arc::clone(&self.floods), max_head);
            let io = TokioIo::new(limit.counting(arrivals));
            let mut connection = std::pin::pin!(self.http2.serve_connection(io, service));
            let told = tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                told = visit.told() => told,
            };
            if told == EndReason::Stuck {
                return;
            }
            connection.as_mut().graceful_shutdown();
            // hyper waits for the client's word, who may never give it; what was on the way is served.
            let parting = self.config.read_header_timeout.0.min(PARTING);
            while timeout(parting, connection.as_mut()).await.is_err() && !visit.is_over() {}
        } else {
            let io = TokioIo::new(stream);
            let mut connection =
                std::pin::pin!(DeferWakeups::of(self.http1.serve_connection(io, service)));
            let told = tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                told = visit.told() => told,
            };
            if told != EndReason::Stop {
                return;
            }
            // hyper would close one without requests at once, its first perhaps on the way.
            let fresh = !visit.has_asked();
            if fresh && timeout(FIRST_REQUEST, connection.as_mut()).await.is_ok() {
                return;
            }
            connection.as_mut().inner().graceful_shutdown();
            connection.await.ok();
        }
    }
}

/// Says whether a connection without TLS begins as HTTP/2; `None` if it is gone before it says.
async fn is_http2(stream: &TcpStream) -> Option<bool> {
    let mut first = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await.ok()?;
        let seen = &first[..seen];
        if seen.is_empty() {
            return None;
        }
        if !PREFACE.starts_with(seen) {
            return Some(false);
        }
        if seen.len() == PREFACE.len() {
            return Some(true);
        }
        tokio::time::sleep(SNIFF).await;
    }
}
