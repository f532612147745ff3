//! From settings to something that connects.

use std::error::Error;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Poller, Poll};
use std::time::Duration;

use anyhow::Context;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tonic::codegen::http::Uri;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use tower_service::Service;

use super::Config;
use crate::exporters::allowance::{Allowance, Bounded, WINDOWS};
use crate::exporters::peer::user_agent;
use crate::settings::{Anybody, ClientTls, Endpoint, TlsMaterial, system_roots};

/// The longest a connection and its handshake may take: half a minute of silence is an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

impl Config {
    /// Says whether connections are encrypted.
    pub(super) fn is_tls(&self) -> bool {
        Endpoint::parse(&self.endpoint).is_ok_and(|endpoint| endpoint.is_tls(self.tls.insecure))
    }
}

/// Reads certificates, relative to `base`; connects to nothing.
pub(super) fn endpoint(config: &Config, base: &Path) -> anyhow::Result<tonic::transport::Endpoint> {
    let endpoint = Endpoint::parse(&config.endpoint).map_err(anyhow::Error::msg)?;
    let tls = endpoint.is_tls(config.tls.insecure);
    let scheme = if tls { "https" } else { "http" };
    let uri = match &endpoint {
        Endpoint::Tcp { authority, .. } => format!("{scheme}://{authority}"),
        Endpoint::Unix(path) => format!("unix:{path}"),
    };
    let agent = config.user_agent.clone().unwrap_or_else(user_agent);
    let mut made = tonic::transport::Endpoint::from_shared(uri)?
        .user_agent(agent)?
        .initial_stream_window_size(WINDOWS[0])
        .initial_connection_window_size(WINDOWS[1])
        .connect_timeout(CONNECT_TIMEOUT);
    if let Some(origin) = origin(scheme, config.authority.as_deref())? {
        made = made.origin(origin);
    }
    if let Some(keepalive) = config.keepalive {
        made = made
            .http2_keep_alive_interval(keepalive.time.into())
            .keep_alive_timeout(keepalive.timeout.into())
            .keep_alive_while_idle(keepalive.permit_without_stream);
    }
    if tls { with_tls(made, &config.tls, base) } else { Ok(made) }
}

/// Gives what requests name as their server, where it is not the endpoint.
pub(super) fn origin(scheme: &str, authority: Option<&str>) -> anyhow::Result<Option<Uri>> {
    let Some(authority) = authority.filter(|authority| !authority.is_empty()) else {
        return Ok(None);
    };
    let uri = format!("{scheme}://{authority}").parse().context("authority")?;
    Ok(Some(uri))
}

fn with_tls(
    endpoint: tonic::transport::Endpoint,
    settings: &ClientTls,
    base: &Path,
) -> anyhow::Result<tonic::transport::Endpoint> {
    let TlsMaterial { ca, identity } = settings.load(base).context("tls")?;
    let mut tls = ClientTlsConfig::new().timeout(CONNECT_TIMEOUT);
    if let Some((cert, key)) = identity {
        tls = tls.identity(Identity::from_pem(cert, key));
    }
    if let Some(name) = settings.server_name_override.as_ref().filter(|name| !name.is_empty()) {
        tls = tls.domain_name(name);
    }
    if settings.insecure_skip_verify {
        return endpoint.tls_config_with_verifier(tls, Anybody::new()).context("tls");
    }
    if ca.is_none() || settings.include_system_ca_certs_pool {
        tls = tls.trust_anchors(system_roots().context("tls")?.roots);
    }
    if let Some(ca) = ca {
        tls = tls.ca_certificate(Certificate::from_pem(ca));
    }
    endpoint.tls_config(tls).context("tls")
}

/// Makes connections for the channel, which adds TLS.
#[derive(Clone)]
pub(super) struct Connector {
    /// Names a socket on this machine; else what is connected to is an address.
    unix: Option<String>,
    tcp: HttpConnector,
    allowance: Arc<Allowance>,
}

/// Covers TCP's and local ones.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

type BoxError = Box<dyn Error + Send + Sync>;

impl Connector {
    /// Makes a connector to the endpoint of these settings, whose server may send what `allowance` says.
    pub(super) fn new(config: &Config, allowance: Arc<Allowance>) -> Connector {
        let unix = match Endpoint::parse(&config.endpoint) {
            Ok(Endpoint::Unix(path)) => Some(path),
            _ => None,
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Connector { unix, tcp, allowance }
    }

    async fn connect(mut self, to: Uri) -> Result<Box<dyn Socket>, BoxError> {
        match &self.unix {
            Some(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            None => Ok(Box::new(self.tcp.call(to).await?.into_inner())),
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Bounded<Box<dyn Socket>>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Poller<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let allowance = Arc::clone(&self.allowance);
        let connecting = self.clone().connect(to);
        Box::pin(async move { Ok(TokioIo::new(Bounded::new(connecting.await?, allowance))) })
    }
}
