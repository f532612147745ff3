//! Connections to a backend: directly or through a proxy, with TLS or without.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::io::{self, IoSlice};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::http::uri::Authority;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::exporters::allowance::{Allowance, Bounded};
use crate::settings::{HttpClient, Secret, TlsError, is_local_url};

/// The longest a connection and its handshakes may take: half a minute of silence is an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A peer that is gone is noticed in a minute or two, also where nothing is being sent.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

type BoxError = Box<dyn Error + Send + Sync>;
type Plain = Bounded<TcpStream>;

/// Says which requests go through a proxy.
pub(super) struct Proxies {
    rules: Matcher,
    /// The environment's rules are for the network: what is on this machine is reached directly, as
    /// Go's clients do it. A proxy in the settings is meant for everything.
    of_environment: bool,
}

impl Proxies {
    /// Gives what is written, else what the environment says.
    pub(super) fn new(url: Option<&Secret>) -> Proxies {
        match url.map(Secret::expose).filter(|url| !url.is_empty()) {
            Some(url) => {
                let rules = Matcher::builder().all(url.to_owned()).build();
                Proxies { rules, of_environment: false }
            }
            None => Proxies { rules: Matcher::from_env(), of_environment: true },
        }
    }

    fn of(&self, to: &Uri) -> Option<Intercept> {
        if self.of_environment && is_local_url(to) {
            return None;
        }
        // Other kinds in the environment are not for us.
        self.rules.intercept(to).filter(|proxy| proxy.uri().scheme_str() == Some("http"))
    }

    /// Gives what a proxy wants to see on the request itself: only where the request is not tunneled.
    pub(super) fn password(&self, to: &Uri) -> Option<HeaderValue> {
        let tunneled = to.scheme_str() == Some("https");
        self.of(to).filter(|_| !tunneled)?.basic_auth().cloned()
    }
}

/// Makes connections for the pool.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    proxies: Arc<Proxies>,
    allowances: Arc<HashMap<Authority, Arc<Allowance>>>,
    /// `None` where no endpoint wants it.
    tls: Option<TlsConnector>,
    /// The name that certificates must have, where it is not the endpoint's.
    name: Option<String>,
}

impl Connector {
    /// Reads certificates, relative to `base`, if connections are to be `secure`.
    pub(super) fn new(
        settings: &HttpClient,
        base: &Path,
        proxies: Arc<Proxies>,
        allowances: Arc<HashMap<Authority, Arc<Allowance>>>,
        secure: bool,
    ) -> Result<Connector, TlsError> {
        let alpn: &[&[u8]] =
            if settings.force_attempt_http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        let tls = secure.then(|| settings.tls.client_config(base, alpn)).transpose()?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        let name = settings.tls.server_name_override.clone().filter(|name| !name.is_empty());
        let tls = tls.map(|tls| TlsConnector::from(Arc::new(tls)));
        Ok(Connector { tcp, proxies, allowances, tls, name })
    }

    async fn connect(mut self, to: Uri) -> Result<Stream, BoxError> {
        let secure = to.scheme_str() == Some("https");
        let proxy = self.proxies.of(&to);
        let tcp = match &proxy {
            None => self.tcp.call(to.clone()).await?,
            Some(proxy) if secure => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
                if let Some(password) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(password.clone());
                }
                tunnel.call(to.clone()).await?
            }
            Some(proxy) => self.tcp.call(proxy.uri().clone()).await?,
        };
        let allowance = to.authority().and_then(|authority| self.allowances.get(authority));
        let tcp = Bounded::new(tcp.into_inner(), allowance.cloned().unwrap_or_default());
        if secure {
            return self.secured(tcp, &to).await;
        }
        Ok(Stream { io: Box::pin(TokioIo::new(tcp)), http2: false, proxied: proxy.is_some() })
    }

    async fn secured(&self, tcp: Plain, to: &Uri) -> Result<Stream, BoxError> {
        let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
        let name = ServerName::try_from(self.name.as_deref().unwrap_or(host).to_owned())?;
        let tls = self.tls.as_ref().ok_or("this client has no TLS")?;
        let tls = tls.connect(name, tcp).await?;
        let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream { io: Box::pin(TokioIo::new(tls)), http2, proxied: false })
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.clone().connect(to);
        Box::pin(async move {
            let late = |_| format!("no connection within {CONNECT_TIMEOUT:?}");
            timeout(CONNECT_TIMEOUT, connecting).await.map_err(late)?
        })
    }
}

/// A connection, with TLS or without.
pub(super) struct Stream {
    io: Pin<Box<dyn Io>>,
    /// Agreed upon with the server.
    http2: bool,
    /// Requests name the whole URL, for the proxy at the other end.
    proxied: bool,
}

trait Io: Read + Write + Send {}

impl<T: Read + Write + Send> Io for T {}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.proxied);
        if self.http2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_proxy_is_for_the_network_and_a_written_one_for_everything() {
        let rules = || Matcher::builder().all("http://proxy:3128").no("inside.example.com").build();
        let environment = Proxies { rules: rules(), of_environment: true };
        let written = Proxies::new(Some(&Secret::from("http://proxy:3128".to_owned())));
        for (url, by_environment, by_settings) in [
            ("https://otel.example.com/", true, true),
            ("http://otel.example.com:4318/", true, true),
            ("http://inside.example.com/", false, true),
            ("http://localhost:4318/", false, true),
            ("http://127.0.0.1:4318/", false, true),
            ("http://[::1]:4318/", false, true),
        ] {
            let url = Uri::from_static(url);
            assert_eq!(environment.of(&url).is_some(), by_environment, "{url}");
            assert_eq!(written.of(&url).is_some(), by_settings, "{url}");
        }
    }
}
