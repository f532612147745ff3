//! The connections of one thread to one server: made when needed, kept for the next request.
//!
//! HTTP/1.1 connections wait in a stack, so that the last used is used next and the others grow old and
//! go. They have no task of their own: whoever waits for the response drives them, so what was read of a
//! client is written to the server before anything else is done, and back. An HTTP/2 connection serves as
//! many requests as its server allows. Nothing that was written is ever sent again: a request goes out a
//! second time only if the first connection never began with it. While a connection is made for a request,
//! its body is read on, so that it is observed when it came.

mod http1;
mod heads;
mod http2;
mod server;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Body;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::SendRequest;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use hyper::http::uri::Authority;
use hyper::{Request, Response, Uri, Version};

use self::http1::Http1Conn;
use self::http2::{Http2Conn, StreamPermit};
use self::server::New;
use super::headers::join_cookies;
use crate::http::descriptors::{Share, Taken};
use crate::http::unread::CountedBody;
use crate::settings::Protocol;

pub(crate) use self::server::{Reach, Server, keep_alive};

/// Connections that wait for work, each thread and server; more are closed when they are done.
const MAX_IDLE: usize = 256;
/// Says how often a request is tried because its connection was closed before it began with it. The last connection is
/// a new one.
const MAX_TRIES: usize = 3;

/// Error of a request that its client broke off.
const BROKEN: &str = "the request broke off";

/// Error of a request to which only interim responses came.
const INTERIM: &str = "interim responses (1xx) without end";

/// A request's body, which can be read on before there is a connection to send it by.
pub(crate) trait Upload:
    Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Unpin + 'static
{
    /// Reads as far as it can be and may be, and keeps that; an error if it broke off.
    fn read_on(&mut self, cx: &mut Context<'_>) -> Result<(), ()>;
}

/// Pools the connections of one thread to one server.
pub(crate) struct Upstream<B> {
    pub(crate) server: Arc<Server>,
    /// Pays for connections that wait for work.
    descriptors: Arc<Share>,
    idle: RefCell<Vec<Idle<B>>>,
    shared: RefCell<Vec<Http2Conn<B>>>,
    /// It was found to speak HTTP/2.
    speaks_http2: Cell<bool>,
    /// Whoever connects holds it, where one connection serves many.
    connecting: tokio::sync::Mutex<()>,
    /// The last failure to connect, for all who waited for it.
    failed: RefCell<Option<(Instant, String)>>,
}

struct Idle<B> {
    line: Http1Conn<B>,
    since: Instant,
    /// Says how long it may wait.
    keep: Duration,
    #[expect(dead_code, reason = "held as long as it waits")]
    descriptor: Taken,
}

/// A connection in use, as far as its request takes it.
pub(crate) struct Lease<B>(Held<B>);

enum Held<B> {
    Http1(Http1Conn<B>, Rc<Upstream<B>>),
    Http2(#[expect(dead_code, reason = "held until the response is over")] StreamPermit),
    /// It goes on by itself.
    Nothing,
}

impl<B> std::fmt::Debug for Lease<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease")
    }
}

/// Says why a request has no response.
struct Failed<B> {
    /// It, if nothing of it was written.
    unsent: Option<Request<B>>,
    why: String,
}

impl<B> From<TrySendError<Request<B>>> for Failed<B> {
    fn from(mut error: TrySendError<Request<B>>) -> Self {
        Failed { unsent: error.take_message(), why: error.into_error().to_string() }
    }
}

enum Way<B> {
    Http1(Http1Conn<B>),
    Http2(SendRequest<B>, StreamPermit),
}

impl<B: Upload> Upstream<B> {
    /// No connections yet.
    pub(crate) fn new(server: Arc<Server>, descriptors: Arc<Share>) -> Rc<Self> {
        Rc::new(Upstream {
            server,
            descriptors,
            idle: RefCell::default(),
            shared: RefCell::default(),
            speaks_http2: Cell::new(false),
            connecting: tokio::sync::Mutex::default(),
            failed: RefCell::default(),
        })
    }

    /// Says whether one connection serves many requests, as far as is known.
    pub(crate) fn is_shared(&self) -> bool {
        self.speaks_http2.get()
    }

    /// Sends a request and returns the head of its response, with the connection that the body comes by.
    /// An error says what happened, for our log, and never quotes what was sent; the request is still
    /// there if nothing of it was written.
    pub(crate) async fn send(
        self: &Rc<Self>,
        request: &mut Option<Request<B>>,
    ) -> Result<(Response<CountedBody>, Lease<B>), String> {
        for tries in 1..=MAX_TRIES {
            if tries == MAX_TRIES {
                self.idle.borrow_mut().clear();
            }
            let (way, fresh) = match (self.waiting(), request.as_mut()) {
                (Some(way), _) => (way, false),
                // Boxed: it is rare, and every request's future would be moved about with it.
                (None, Some(request)) => {
                    Box::pin(reading_on(request.body_mut(), self.way())).await.ok_or(BROKEN)??
                }
                (None, None) => break,
            };
            let Some(sending) = request.take() else { break };
            match self.send_by(way, sending).await {
                Ok((response, held)) => return Ok((response, Lease(held))),
                Err(failed) => {
                    *request = failed.unsent;
                    if request.is_none() || fresh {
                        return Err(failed.why);
                    }
                }
            }
        }
        Err("every connection was closed before it took the request".to_owned())
    }

    /// Sends a request by a connection that is there.
    async fn send_by(
        self: &Rc<Self>,
        way: Way<B>,
        mut sending: Request<B>,
    ) -> Result<(Response<CountedBody>, Held<B>), Failed<B>> {
        let endless = || Failed { unsent: None, why: INTERIM.to_owned() };
        match way {
            Way::Http1(mut line) => {
                self.for_http1(&mut sending);
                let sent = pin!(line.begin(sending));
                let response = line.until(sent).await.ok_or_else(endless)??;
                let response = response.map(|body| CountedBody::over(body, None));
                Ok((response, Held::Http1(line, Rc::clone(self))))
            }
            Way::Http2(mut sender, place) => {
                self.for_http2(&mut sending);
                match sender.try_send_request(sending).await {
                    Ok(response) => {
                        let unread = Some(place.unread());
                        let response = response.map(|body| CountedBody::over(body, unread));
                        Ok((response, Held::Http2(place)))
                    }
                    Err(_) if place.is_flooded() => Err(endless()),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Origin form and `Host` (RFC 9112 section 3.2.1).
    fn for_http1(&self, request: &mut Request<B>) {
        *request.version_mut() = Version::HTTP_11;
        // There after a try over HTTP/2, which has the host nowhere else.
        let authority = request.uri().authority().cloned();
        if authority.is_some() {
            let target = request.uri().path_and_query().cloned();
            *request.uri_mut() = target.map(Uri::from).unwrap_or_default();
        }
        let present = Present::among(request.headers());
        let unmeasured = !present.length
            && !request.body().is_end_stream()
            && request.body().size_hint().exact().is_none();
        let headers = request.headers_mut();
        if !present.host {
            let host = authority.and_then(|host| HeaderValue::from_str(host.as_str()).ok());
            headers.insert(HOST, host.unwrap_or_else(|| self.server.host_header.clone()));
        }
        if present.cookie {
            join_cookies(headers);
        }
        if unmeasured {
            // hyper would send none with a GET whose body has no length.
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if present.te {
            // RFC 9110 section 10.1.4
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
    }

    /// Everything in the target, and no `Host` (RFC 9113 section 8.3.1).
    fn for_http2(&self, request: &mut Request<B>) {
        *request.version_mut() = Version::HTTP_2;
        let headers = request.headers_mut();
        headers.remove(CONNECTION);
        headers.remove(TRANSFER_ENCODING);
        let host = headers.remove(HOST);
        let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let mut parts = request.uri().clone().into_parts();
        parts.scheme = Some(self.server.scheme.clone());
        // The target has it where this is not the first try.
        let host = host.or_else(|| parts.authority.take());
        parts.authority = host.or_else(|| Some(self.server.authority.clone()));
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }

    /// A connection for one request where none waits, and whether it is new.
    async fn way(&self) -> Result<(Way<B>, bool), String> {
        // Where one connection serves many, whoever comes while it is being made waits for it, and
        // hears of its failure.
        let came = Instant::now();
        let many = self.server.protocol == Protocol::Http2 || self.speaks_http2.get();
        let _turn = if many { Some(self.connecting.lock().await) } else { None };
        if many {
            if let Some(way) = self.waiting() {
                return Ok((way, false));
            }
            if let Some((at, why)) = &*self.failed.borrow()
                && *at > came
            {
                return Err(why.clone());
            }
        }
        match self.server.connect().await {
            Ok(New::Http1(line)) => {
                self.speaks_http2.set(false);
                Ok((Way::Http1(line), true))
            }
            Ok(New::Http2(shared)) => {
                self.speaks_http2.set(true);
                let place = shared.place().ok_or("the server allows no requests")?;
                let way = Way::Http2(shared.sender.clone(), place);
                self.shared.borrow_mut().push(shared);
                Ok((way, true))
            }
            Err(why) => {
                *self.failed.borrow_mut() = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    fn waiting(&self) -> Option<Way<B>> {
        for shared in self.shared.borrow().iter() {
            if let Some(place) = shared.place() {
                return Some(Way::Http2(shared.sender.clone(), place));
            }
        }
        let mut idle = self.idle.borrow_mut();
        while let Some(mut last) = idle.pop() {
            if last.is_good() {
                return Some(Way::Http1(last.line));
            }
        }
        None
    }

    /// Closes connections that waited too long, or that the server closed.
    pub(crate) fn tidy(&self) {
        self.idle.borrow_mut().retain_mut(Idle::is_good);
        self.shared.borrow_mut().retain(|shared| !shared.is_stale(self.server.idle_timeout));
    }
}

impl<B: Upload> Idle<B> {
    /// Says whether a request may be sent by it.
    fn is_good(&mut self) -> bool {
        self.since.elapsed() < self.keep && self.line.is_open()
    }
}

impl<B: Upload> Lease<B> {
    /// The response has come whole: the connection waits for the next request.
    pub(crate) fn give_back(self) {
        let Held::Http1(mut line, upstream) = self.0 else { return };
        let keep = upstream.server.idle_timeout;
        let keep = line.patience.map_or(keep, |said| said.min(keep));
        let mut idle = upstream.idle.borrow_mut();
        if idle.len() < MAX_IDLE
            && !keep.is_zero()
            && let Some(descriptor) = upstream.descriptors.spare()
            && line.rest()
        {
            idle.push(Idle { line, since: Instant::now(), keep, descriptor });
        }
    }

    /// Its server has said how long the connection may wait for a next request.
    pub(crate) fn wait_for(&mut self, patience: Duration) {
        if let Held::Http1(line, _) = &mut self.0 {
            line.patience = Some(patience);
        }
    }

    /// Moves the connection; call it before each look at what comes by it. `true` if nothing else does.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.0 {
            Held::Http1(line, _) => line.drive(cx),
            Held::Http2(_) | Held::Nothing => false,
        }
    }

    /// The response has begun. Where it came before the request was written, both go on by themselves;
    /// `over` if the request was read whole.
    pub(crate) fn begun(&mut self, over: bool) {
        let early = |line: &Http1Conn<B>| !over || line.is_behind();
        if matches!(&self.0, Held::Http1(line, _) if early(line))
            && let Held::Http1(line, _) = std::mem::replace(&mut self.0, Held::Nothing)
        {
            line.run();
        }
    }
}

/// Says which of the fields are there that depend on the version: one look over the names.
#[derive(Default)]
struct Present {
    length: bool,
    host: bool,
    cookie: bool,
    te: bool,
}

impl Present {
    fn among(headers: &HeaderMap) -> Self {
        let mut present = Present::default();
        for name in headers.keys() {
            match name.as_str() {
                "content-length" => present.length = true,
                "host" => present.host = true,
                "cookie" => present.cookie = true,
                "te" => present.te = true,
                _ => {}
            }
        }
        present
    }
}

/// Waits for something and meanwhile reads a body on. `None` if it breaks off first.
async fn reading_on<T>(body: &mut impl Upload, wait: impl Future<Output = T>) -> Option<T> {
    let mut wait = pin!(wait);
    poll_fn(|cx| {
        if body.read_on(cx).is_err() {
            return Poll::Ready(None);
        }
        wait.as_mut().poll(cx).map(Some)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::testing::Empty;
    use super::*;
    use crate::http::descriptors::Descriptors;

    fn upstream() -> Rc<Upstream<Empty>> {
        let server = Server::new(Reach::plain("http://server:1/mcp")).unwrap();
        Upstream::new(Arc::new(server), Descriptors::of(9).share("tap"))
    }

    fn request(host: &'static str) -> Request<Empty> {
        let mut request = Request::new(Empty);
        *request.uri_mut() = "/mcp?a=1".parse().unwrap();
        request.headers_mut().insert(HOST, HeaderValue::from_static(host));
        request
    }

    /// A request that one connection did not take goes out on the next, which may speak another HTTP.
    #[test]
    fn the_host_stays_however_often_a_request_is_tried() {
        let upstream = upstream();
        for (host, again) in [("client:2", "client:2"), ("not an authority", "server:1")] {
            let mut request = request(host);
            upstream.for_http1(&mut request);
            assert_eq!(
                (request.uri(), &request.headers()[HOST]),
                (&"/mcp?a=1".parse().unwrap(), &host.parse().unwrap())
            );
            for _ in 0..2 {
                upstream.for_http2(&mut request);
                assert_eq!(request.uri(), format!("http://{again}/mcp?a=1").as_str());
                assert!(!request.headers().contains_key(HOST));
            }
            for _ in 0..2 {
                upstream.for_http1(&mut request);
                assert_eq!(
                    (request.uri(), &request.headers()[HOST]),
                    (&"/mcp?a=1".parse().unwrap(), &again.parse().unwrap())
                );
            }
        }
    }
}

#[cfg(test)]
mod testing {
    use std::convert::Infallible;
    use std::path::Path;
    use std::pin::Pin;

    use http_body::Frame;

    use super::*;
    use crate::settings::ClientTls;

    /// A body without anything.
    pub(super) struct Empty;

    impl Body for Empty {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(None)
        }

        fn is_end_stream(&self) -> bool {
            true
        }
    }

    impl Upload for Empty {
        fn read_on(&mut self, _: &mut Context<'_>) -> Result<(), ()> {
            Ok(())
        }
    }

    impl Reach<'_> {
        /// Without TLS, with usual times.
        pub(super) fn plain(uri: &str) -> Self {
            static TLS: std::sync::LazyLock<ClientTls> =
                std::sync::LazyLock::new(ClientTls::default);
            Reach {
                uri: uri.parse().unwrap(),
                tls: &TLS,
                base: Path::new(""),
                protocol: Protocol::Auto,
                max_headers: 100,
                connect_timeout: Duration::from_secs(5),
                idle_timeout: Duration::from_secs(5),
            }
        }
    }
}
