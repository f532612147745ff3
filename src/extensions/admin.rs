//! One port for those who look after the process: probes and scrapers, who GET a page.
//!
//! What they may take is bounded: connections, requests on each, and the time for all of it. What stands on the pages is
//! the business of [`Pages`].

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use tokio_rustls::TlsAcceptor;

use crate::http::descriptors::{Descriptors, Share};
use crate::http::serve::frame_limit::Floods;
use crate::http::serve::port::{Answer, Listener, Timing};
use crate::http::serve::reply::Reply;
use crate::http::serve::usage::keeps_no_place;
use crate::http::sockets::Sockets;
use crate::metrics::Counter;
use crate::pipeline::{Build, Stop};
use crate::settings::ServerTls;

/// Connections at once: scrapers keep one each, probes come and go.
const MAX_CONNECTIONS: usize = 32;
/// Requests at once on one connection of HTTP/2.
const MAX_STREAMS: u32 = 4;
/// Says how long things may take. A scraper comes once a minute or so, by the connection that it has.
const TIMING: Timing = Timing {
    head: Duration::from_secs(10),
    idle: Some(Duration::from_secs(300)),
    age: None,
    ping: None,
    unread: Duration::from_secs(10),
    parting: Duration::from_secs(1),
    drain: Duration::from_secs(1),
};

/// A page, as it is answered.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) text: Bytes,
}

impl Page {
    /// A line for people.
    pub(super) fn line(status: StatusCode, text: &str) -> Page {
        let text = Bytes::from(format!("{text}\n"));
        Page { status, kind: "text/plain; charset=utf-8", text }
    }
}

/// Serves pages.
pub(super) trait Pages: Send + Sync + 'static {
    /// Returns the page at that path.
    fn at(&self, path: &str) -> Page;
}

/// The port.
#[derive(Debug)]
pub(super) struct Port {
    endpoint: String,
    tls: Option<ServerTls>,
    base: PathBuf,
    sockets: Arc<Sockets>,
    share: Arc<Share>,
}

/// A port that is bound.
pub(super) struct Bound {
    socket: Arc<StdListener>,
    tls: Option<TlsAcceptor>,
    share: Arc<Share>,
}

impl Port {
    pub(super) fn new(endpoint: &str, tls: Option<ServerTls>, cx: &Build<'_>) -> Port {
        Port {
            endpoint: endpoint.to_owned(),
            tls,
            base: cx.base.to_owned(),
            sockets: cx.shared(Sockets::default),
            share: cx.process(Descriptors::default).share(&cx.id.to_string()),
        }
    }

    /// Takes the address, which a reload takes over from the port that it replaces.
    pub(super) async fn bind(&self) -> anyhow::Result<Bound> {
        let tls = match &self.tls {
            None => None,
            Some(tls) => {
                let config = tls.server_config(&self.base, &[b"h2", b"http/1.1"]).context("tls")?;
                Some(TlsAcceptor::from(Arc::new(config)))
            }
        };
        let socket = self.sockets.open(&self.endpoint).await;
        let socket = socket.with_context(|| format!("cannot listen on {}", self.endpoint))?;
        Ok(Bound { socket, tls, share: Arc::clone(&self.share) })
    }
}

/// Says whether somebody else has the address.
pub(super) fn is_taken(error: &anyhow::Error) -> bool {
    let root = error.root_cause().downcast_ref::<io::Error>();
    root.is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

impl Bound {
    /// Returns where it is found, as a URL without a path.
    pub(super) fn url(&self) -> io::Result<String> {
        let address: SocketAddr = self.socket.local_addr()?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{address}"))
    }

    /// Serves until the stop.
    pub(super) async fn serve(self, pages: impl Pages, stop: Stop) -> anyhow::Result<()> {
        let listener = Listener {
            socket: self.socket,
            tls: self.tls,
            timing: TIMING,
            max_streams: MAX_STREAMS,
            max_connections: MAX_CONNECTIONS,
            turned_away: Counter::default(),
            displaced: Counter::default(),
            floods: Floods::counted(Counter::default()),
            words: true,
            descriptors: self.share,
        };
        Ok(listener.serve(Served(pages), stop).await?)
    }
}

/// Holds what answers requests with pages.
struct Served<P>(P);

impl<P: Pages> Answer for Served<P> {
    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        let method = request.method();
        if method != Method::GET && method != Method::HEAD {
            let page = Page::line(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served");
            let mut response = answered(page, method);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        answered(self.0.at(request.uri().path()), method)
    }
}

fn answered(page: Page, method: &Method) -> Response<Reply> {
    let Page { status, kind, text } = page;
    let text = if method == Method::HEAD { Bytes::new() } else { text };
    let mut response = Response::new(Reply::of(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if status.is_client_error() {
        keeps_no_place(&mut response);
    }
    response
}
