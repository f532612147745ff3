//! The connections of one worker to one route's server: made when needed, kept for the next request.
//!
//! HTTP/1.1 connections wait in a stack, so that the last used is used next and the others grow old and
//! go. They have no task of their own: whoever waits for the response drives them, so what was read of a
//! client is written to the server before anything else is done, and back. HTTP/2 has one connection for
//! all requests, and a task. Nothing that was written is ever sent again: a request goes out a second
//! time only if the first connection never began with it.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::uri::{Authority, Scheme};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::body::Passing;
use super::config::{Protocol, Route};
use super::local::Local;

/// Connections that wait for work, each worker and route; more are closed when they are done.
const MAX_IDLE: usize = 256;
/// How often a request is tried anew because its connection was closed before it began with it.
const MAX_TRIES: usize = 3;

/// One route's server as all workers know it.
pub(super) struct Server {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    pub(super) host_header: HeaderValue,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) preserve_host: bool,
    pub(super) forwarded_headers: bool,
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    protocol: Protocol,
    connect_timeout: Duration,
    idle_timeout: Duration,
}

/// One worker's connections to it.
pub(super) struct Upstream {
    pub(super) server: Arc<Server>,
    idle: RefCell<Vec<Idle>>,
    /// The one connection, where the server speaks HTTP/2.
    shared: RefCell<Option<http2::SendRequest<Passing>>>,
    /// Whoever connects holds it, if there is to be one connection only.
    connecting: tokio::sync::Mutex<()>,
}

struct Idle {
    line: Line,
    since: Instant,
}

/// What moves bytes while it is polled.
type Connection = Pin<Box<dyn Future<Output = hyper::Result<()>>>>;

/// An HTTP/1.1 connection, and what moves it.
struct Line {
    sender: http1::SendRequest<Passing>,
    /// Nothing once it is closed, or has a task of its own.
    connection: Option<Connection>,
}

/// An HTTP/1.1 connection in use.
pub(super) struct Lease {
    line: Line,
    upstream: Rc<Upstream>,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease")
    }
}

enum Way {
    Own(Line),
    Shared(http2::SendRequest<Passing>),
}

/// Why there is no response. Never quotes what was sent.
pub(super) struct Failed {
    /// What happened, for our log.
    pub(super) why: String,
    /// The request, if nothing of it was written.
    pub(super) unsent: Option<Box<Request<Passing>>>,
}

impl Server {
    /// The server of a route whose settings have been checked; files are relative to `base`.
    pub(super) fn new(route: &Route, base: &Path) -> anyhow::Result<Server> {
        let uri = route.uri().map_err(anyhow::Error::msg)?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            anyhow::bail!("the upstream needs scheme and host");
        };
        let encrypted = scheme == Scheme::HTTPS;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = encrypted.then(|| tls(route, &host, base)).transpose()?;
        let headers = route.headers.0.iter().map(|(name, value)| {
            let mut value = HeaderValue::from_str(value.expose())?;
            value.set_sensitive(true);
            anyhow::Ok((name.parse()?, value))
        });
        Ok(Server {
            host_header: HeaderValue::from_str(authority.as_str())?,
            headers: headers.collect::<Result<_, _>>()?,
            preserve_host: route.preserve_host,
            forwarded_headers: route.forwarded_headers,
            port: authority.port_u16().unwrap_or(if encrypted { 443 } else { 80 }),
            host,
            scheme,
            authority,
            tls,
            protocol: route.protocol,
            connect_timeout: route.connect_timeout.into(),
            idle_timeout: route.idle_timeout.into(),
        })
    }

    async fn connect(&self) -> io::Result<Way> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some((config, name)) = &self.tls else {
            let two = self.protocol == Protocol::Http2;
            return if two { shared(stream).await } else { own(stream).await };
        };
        let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await?;
        let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if two { shared(stream).await } else { own(stream).await }
    }
}

fn tls(
    route: &Route,
    host: &str,
    base: &Path,
) -> anyhow::Result<(Arc<ClientConfig>, ServerName<'static>)> {
    let alpn: &[&[u8]] = match route.protocol {
        Protocol::Auto => &[b"h2", b"http/1.1"],
        Protocol::Http1 => &[b"http/1.1"],
        Protocol::Http2 => &[b"h2"],
    };
    let name = route.tls.server_name_override.clone().filter(|name| !name.is_empty());
    let name = ServerName::try_from(name.unwrap_or_else(|| host.to_owned()))?;
    Ok((Arc::new(route.tls.client_config(base, alpn)?), name))
}

async fn own<S>(stream: S) -> io::Result<Way>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let builder = http1::Builder::new();
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    Ok(Way::Own(Line { sender, connection: Some(Box::pin(connection)) }))
}

async fn shared<S>(stream: S) -> io::Result<Way>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let mut builder = http2::Builder::new(Local);
    builder.adaptive_window(true);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    spawn_local(async move {
        connection.await.ok();
    });
    Ok(Way::Shared(sender))
}

impl Line {
    /// Sends a request and drives the connection until its response has begun.
    async fn send(
        &mut self,
        request: Request<Passing>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Passing>>> {
        let mut sent = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            drive(&mut self.connection, cx);
            // Only what was just driven can have answered it, so nobody has to wake us for it.
            sent.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.connection, cx);
    }

    /// Whether another request can go out by it.
    fn is_open(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
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

impl Upstream {
    /// No connections yet.
    pub(super) fn new(server: Arc<Server>) -> Rc<Self> {
        Rc::new(Upstream {
            server,
            idle: RefCell::default(),
            shared: RefCell::default(),
            connecting: tokio::sync::Mutex::default(),
        })
    }

    /// Sends a request and returns the head of its response, with the connection that the body comes
    /// by if that is its alone.
    pub(super) async fn send(
        self: &Rc<Self>,
        request: Request<Passing>,
    ) -> Result<(Response<Incoming>, Option<Lease>), Failed> {
        let mut request = request;
        for _ in 0..MAX_TRIES {
            let (way, fresh) = match self.way().await {
                Ok(way) => way,
                Err(why) => return Err(Failed { why, unsent: Some(Box::new(request)) }),
            };
            match self.send_by(way, request).await {
                Ok(answer) => return Ok(answer),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    unsent => {
                        let why = failed.into_error().to_string();
                        return Err(Failed { why, unsent: unsent.map(Box::new) });
                    }
                },
            }
        }
        let why = "every connection was closed before it took the request".to_owned();
        Err(Failed { why, unsent: Some(Box::new(request)) })
    }

    async fn send_by(
        self: &Rc<Self>,
        way: Way,
        mut request: Request<Passing>,
    ) -> Result<(Response<Incoming>, Option<Lease>), TrySendError<Request<Passing>>> {
        match way {
            Way::Own(mut line) => {
                self.for_http1(&mut request);
                let response = line.send(request).await?;
                let lease = Lease { line, upstream: Rc::clone(self) };
                Ok((response, Some(lease)))
            }
            Way::Shared(mut sender) => {
                self.for_http2(&mut request);
                Ok((sender.try_send_request(request).await?, None))
            }
        }
    }

    /// Origin form and `Host` (RFC 9112 section 3.2.1).
    fn for_http1(&self, request: &mut Request<Passing>) {
        *request.version_mut() = hyper::Version::HTTP_11;
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = target.map(hyper::Uri::from).unwrap_or_default();
        super::headers::join_cookies(request.headers_mut());
    }

    /// Everything in the target, and no `Host` (RFC 9113 section 8.3.1).
    fn for_http2(&self, request: &mut Request<Passing>) {
        *request.version_mut() = hyper::Version::HTTP_2;
        let host = request.headers_mut().remove(hyper::header::HOST);
        let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let authority = host.unwrap_or_else(|| self.server.authority.clone());
        let mut parts = request.uri().clone().into_parts();
        parts.scheme = Some(self.server.scheme.clone());
        parts.authority = Some(authority);
        if let Ok(uri) = hyper::Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }

    /// A connection for one request, and whether it is new.
    async fn way(&self) -> Result<(Way, bool), String> {
        if let Some(way) = self.waiting() {
            return Ok((way, false));
        }
        // Where one connection serves all, whoever comes while it is being made waits for it.
        let shared = self.shared.borrow().is_some() || self.server.protocol == Protocol::Http2;
        let _turn = if shared { Some(self.connecting.lock().await) } else { None };
        if shared && let Some(way) = self.waiting() {
            return Ok((way, false));
        }
        let limit = self.server.connect_timeout;
        let way = match timeout(limit, self.server.connect()).await {
            Ok(Ok(way)) => way,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("no connection within {limit:?}")),
        };
        if let Way::Shared(sender) = &way {
            *self.shared.borrow_mut() = Some(sender.clone());
        }
        Ok((way, true))
    }

    fn waiting(&self) -> Option<Way> {
        let mut shared = self.shared.borrow_mut();
        if let Some(sender) = shared.as_ref() {
            if !sender.is_closed() {
                return Some(Way::Shared(sender.clone()));
            }
            *shared = None;
        }
        let mut idle = self.idle.borrow_mut();
        // The last one is the youngest: if it is too old, all are.
        if idle.last().is_some_and(|last| last.since.elapsed() >= self.server.idle_timeout) {
            idle.clear();
        }
        while let Some(Idle { mut line, .. }) = idle.pop() {
            if line.is_open() {
                return Some(Way::Own(line));
            }
        }
        None
    }

    /// Closes connections that waited too long, or that the server closed.
    pub(super) fn tidy(&self) {
        let keep = self.server.idle_timeout;
        self.idle
            .borrow_mut()
            .retain_mut(|idle| idle.since.elapsed() < keep && idle.line.is_open());
    }
}

impl Lease {
    /// The response has come whole: the connection waits for the next request.
    pub(super) fn give_back(self) {
        let Lease { mut line, upstream } = self;
        let mut idle = upstream.idle.borrow_mut();
        if idle.len() < MAX_IDLE && line.is_open() {
            idle.push(Idle { line, since: Instant::now() });
        }
    }

    /// Moves the connection; call it before each look at what comes by it. `true` if nothing else does.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        self.line.drive(cx);
        self.line.connection.is_some()
    }

    /// The response came before the request was written: from here on both go on by themselves.
    pub(super) fn let_run(&mut self) {
        if let Some(connection) = self.line.connection.take() {
            spawn_local(async move {
                // Its request and response hear of what goes wrong.
                connection.await.ok();
            });
        }
    }
}
