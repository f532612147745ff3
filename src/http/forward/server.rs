//! A server as all threads know it, and how it is connected to.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::http::uri::{Authority, Scheme};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Upload;
use super::http1::Http1Conn;
use super::http2::Http2Conn;
use crate::settings::{ClientTls, Protocol};

/// Says where a server is and how it is connected to.
pub(crate) struct Reach<'a> {
    /// With scheme and host; the rest is left alone.
    pub(crate) uri: Uri,
    /// For `https`; files are relative to `base`.
    pub(crate) tls: &'a ClientTls,
    pub(crate) base: &'a Path,
    pub(crate) protocol: Protocol,
    /// Heads of its responses have at most so many fields.
    pub(crate) max_headers: usize,
    pub(crate) connect_timeout: Duration,
    /// Says how long a connection may wait for its next request.
    pub(crate) idle_timeout: Duration,
}

/// Knows one server: its address and how it is connected to.
pub(crate) struct Server {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    pub(crate) host_header: HeaderValue,
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub(super) protocol: Protocol,
    max_headers: usize,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

/// A new connection.
pub(crate) enum New<B> {
    /// For one request at a time.
    Http1(Http1Conn<B>),
    /// For many.
    Http2(Http2Conn<B>),
}

impl Server {
    /// The server that is reached so; settings have been checked. Reads the files of TLS.
    pub(crate) fn new(to: Reach<'_>) -> anyhow::Result<Server> {
        let parts = to.uri.clone().into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            anyhow::bail!("the upstream needs scheme and host");
        };
        let encrypted = scheme == Scheme::HTTPS;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = encrypted.then(|| tls(&to, &host)).transpose()?;
        Ok(Server {
            host_header: HeaderValue::from_str(authority.as_str())?,
            port: authority.port_u16().unwrap_or(if encrypted { 443 } else { 80 }),
            host,
            scheme,
            authority,
            tls,
            protocol: to.protocol,
            max_headers: to.max_headers,
            connect_timeout: to.connect_timeout,
            idle_timeout: to.idle_timeout,
        })
    }

    /// Connects within the connect timeout.
    pub(crate) async fn connect<B: Upload>(&self) -> Result<New<B>, String> {
        let limit = self.connect_timeout;
        match timeout(limit, self.try_connect()).await {
            Ok(Ok(new)) => Ok(new),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no connection within {limit:?}")),
        }
    }

    async fn try_connect<B: Upload>(&self) -> io::Result<New<B>> {
        let stream = self.reach().await?;
        stream.set_nodelay(true)?;
        keep_alive(&stream);
        let Some((config, name)) = &self.tls else {
            return if self.protocol == Protocol::Http2 {
                Http2Conn::over(stream).await.map(New::Http2)
            } else {
                Http1Conn::over(stream, self.max_headers).await.map(New::Http1)
            };
        };
        let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            Http2Conn::over(stream).await.map(New::Http2)
        } else {
            Http1Conn::over(stream, self.max_headers).await.map(New::Http1)
        }
    }

    /// The first of the name's addresses that answers; one that is silent has its share of the time.
    async fn reach(&self) -> io::Result<TcpStream> {
        let found = lookup_host((self.host.as_str(), self.port)).await?;
        let addresses: Vec<SocketAddr> = found.collect();
        let share = self.connect_timeout / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let mut last = io::Error::other("the name has no address");
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}

fn tls(to: &Reach<'_>, host: &str) -> anyhow::Result<(Arc<ClientConfig>, ServerName<'static>)> {
    let alpn: &[&[u8]] = match to.protocol {
        Protocol::Auto => &[b"h2", b"http/1.1"],
        Protocol::Http1 => &[b"http/1.1"],
        Protocol::Http2 => &[b"h2"],
    };
    let name = to.tls.server_name_override.clone().filter(|name| !name.is_empty());
    let name = ServerName::try_from(name.unwrap_or_else(|| host.to_owned()))?;
    Ok((Arc::new(to.tls.client_config(to.base, alpn)?), name))
}

/// The system asks a silent peer for a sign of life, so that a connection whose peer vanished is not held
/// for ever: after a minute, and four times more within the next. It is the peer's system that answers,
/// however busy or silent the program is; that of HTTP/2, by `PING`, would end calls of a server that does
/// nothing else while it works.
pub(crate) fn keep_alive(stream: &TcpStream) {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true).ok();
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(60)).ok();
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15)).ok();
    sockopt::set_tcp_keepcnt(stream, 4).ok();
}
