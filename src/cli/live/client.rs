//! Asks a running process.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::Request;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::cli::variables::variable;
use crate::extensions::stats::v1::stats_client::StatsClient;
use crate::http::unix;
use crate::settings::system_roots;

/// The variable of the token that is shown to processes elsewhere.
const TOKEN: &str = "MCPCOL_STATS_TOKEN";
/// The longest that a connection and its handshake may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer, in bytes: lists are bounded, and so is each row.
const MAX_ANSWER: usize = 64 << 20;
/// A process that is gone without a word is noticed within so long.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// A process that can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::cli) enum Peer {
    /// By its socket on this machine.
    Socket(PathBuf),
    /// By a URL.
    Url(String),
}

impl Peer {
    /// Reads an address: a URL, `host:port`, or the path of a socket.
    pub(in crate::cli) fn parse(text: &str) -> Result<Peer, String> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Peer::Url(text.to_owned()));
        }
        let path = text.strip_prefix("unix:");
        if let Some(path) = path.or_else(|| text.contains('/').then_some(text)) {
            return Ok(Peer::Socket(path.strip_prefix("//").unwrap_or(path).into()));
        }
        match text.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => {
                Ok(Peer::Url(format!("http://{text}")))
            }
            _ => {
                Err("is a URL, host and port such as `localhost:8932`, or the path of a socket"
                    .into())
            }
        }
    }

    /// Says why it does not answer, and what to do.
    pub(in crate::cli) fn refused(&self, status: &tonic::Status) -> anyhow::Error {
        let hint = match status.code() {
            tonic::Code::Unauthenticated => "; set MCPCOL_STATS_TOKEN",
            _ => "",
        };
        anyhow::anyhow!("cannot ask `{self}`: {}{hint}", status.message())
    }

    /// Connects.
    pub(in crate::cli) async fn connect(&self) -> anyhow::Result<StatsClient<Channel>> {
        let channel = match self {
            Peer::Socket(path) => {
                let connector = ToSocket(path.clone());
                let endpoint = Endpoint::from_static("http://localhost");
                endpoint.connect_timeout(CONNECT_TIMEOUT).connect_with_connector(connector).await
            }
            Peer::Url(url) => {
                let mut endpoint = Endpoint::from_shared(url.clone())?
                    .connect_timeout(CONNECT_TIMEOUT)
                    .http2_keep_alive_interval(KEEPALIVE)
                    .keep_alive_while_idle(true);
                if url.starts_with("https:") {
                    let roots = system_roots().context("tls")?.roots;
                    endpoint = endpoint.tls_config(ClientTlsConfig::new().trust_anchors(roots))?;
                }
                endpoint.connect().await
            }
        };
        let channel = channel.with_context(|| format!("cannot reach `{self}`"))?;
        Ok(StatsClient::new(channel).max_decoding_message_size(MAX_ANSWER))
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Peer::Socket(path) => path.display().fmt(f),
            Peer::Url(url) => url.fmt(f),
        }
    }
}

/// Makes a request, with the token of the environment if it has one.
pub(in crate::cli) fn ask<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let token = variable(TOKEN).filter(|token| !token.is_empty());
    let shown =
        token.and_then(|token| AsciiMetadataValue::try_from(format!("Bearer {token}")).ok());
    if let Some(mut shown) = shown {
        shown.set_sensitive(true);
        request.metadata_mut().insert("authorization", shown);
    }
    request
}

/// Connects to a socket, whatever the address is.
struct ToSocket(PathBuf);

impl Service<Uri> for ToSocket {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connected = unix::connect_to(&self.0).and_then(UnixStream::from_std);
        Box::pin(async { Ok(TokioIo::new(connected?)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_people_write_it() {
        let url = |url: &str| Ok(Peer::Url(url.to_owned()));
        let socket = |path: &str| Ok(Peer::Socket(path.into()));
        assert_eq!(Peer::parse("localhost:8932"), url("http://localhost:8932"));
        assert_eq!(Peer::parse("[::1]:8932"), url("http://[::1]:8932"));
        assert_eq!(Peer::parse("https://example.com"), url("https://example.com"));
        assert_eq!(Peer::parse("/run/x.sock"), socket("/run/x.sock"));
        assert_eq!(Peer::parse("./x.sock"), socket("./x.sock"));
        assert_eq!(Peer::parse("unix:///run/x.sock"), socket("/run/x.sock"));
        assert_eq!(Peer::parse("unix:x.sock"), socket("x.sock"));
        assert!(Peer::parse("localhost").is_err() && Peer::parse("").is_err());
    }
}
