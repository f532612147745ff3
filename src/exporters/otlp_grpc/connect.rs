//! From settings to something that connects.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tonic::codegen::http::Uri;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::Config;
use crate::exporters::peer::user_agent;
use crate::settings::{Anybody, ClientTls, Endpoint, TlsMaterial, system_roots};

/// The longest a connection and its handshake may take: half a minute of silence is an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

impl Config {
    /// Whether connections are encrypted.
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

/// What requests name as their server, where it is not the endpoint.
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
