//! A route's server as all workers know it, and how it is connected to.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use hyper::http::uri::{Authority, Scheme};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Upload;
use super::http1::Http1Conn;
use super::http2::Http2Conn;
use crate::receivers::mcp_http::authority::Origin;
use crate::receivers::mcp_http::config::{Protocol, Route};

/// Knows one route's server: its address, how it is connected to, and what its requests are sent with.
pub(in crate::receivers::mcp_http) struct Server {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// Scheme, host and port, by which it may name places of its own.
    pub(in crate::receivers::mcp_http) origin: Option<Origin>,
    pub(in crate::receivers::mcp_http) host_header: HeaderValue,
    pub(in crate::receivers::mcp_http) headers: Vec<(HeaderName, HeaderValue)>,
    pub(in crate::receivers::mcp_http) preserve_host: bool,
    pub(in crate::receivers::mcp_http) forwarded_headers: bool,
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub(super) protocol: Protocol,
    max_headers: usize,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

/// A new connection.
pub(super) enum New<B> {
    /// For one request at a time.
    Http1(Http1Conn<B>),
    /// For many.
    Http2(Http2Conn<B>),
}

impl Server {
    /// The server of a route whose settings have been checked; files are relative to `base`. Heads of its
    /// responses have at most `max_headers` fields.
    pub(in crate::receivers::mcp_http) fn new(
        route: &Route,
        base: &Path,
        max_headers: usize,
    ) -> anyhow::Result<Server> {
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
            origin: Origin::parse(&format!("{scheme}://{authority}")),
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
            max_headers,
            connect_timeout: route.connect_timeout.into(),
            idle_timeout: route.idle_timeout.into(),
        })
    }

    /// Connects within the connect timeout.
    pub(super) async fn connect<B: Upload>(&self) -> Result<New<B>, String> {
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

/// The system asks a silent peer for a sign of life, so that a connection whose peer vanished is not held
/// for ever: after a minute, and four times more within the next. It is the peer's system that answers,
/// however busy or silent the program is; that of HTTP/2, by `PING`, would end calls of a server that does
/// nothing else while it works.
pub(in crate::receivers::mcp_http) fn keep_alive(stream: &TcpStream) {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true).ok();
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(60)).ok();
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15)).ok();
    sockopt::set_tcp_keepcnt(stream, 4).ok();
}
