//! `stats`: tells other programs of calls, statistics, sessions and queues, over gRPC (`proto/mcpcol/stats/v1`).
//!
//! ```yaml
//! extensions:
//!   stats: { endpoint: "0.0.0.0:8932", auth: { bearer_token: "${env:STATS_TOKEN}" }, tls: { cert_file: c.pem, key_file: k.pem } }
//! service: { extensions: [stats] }
//! ```
//!
//! It reads what components publish and looks on at the ends of the chains: it holds up nothing, changes nothing, and
//! has no arguments, results or error texts. A tap serves the same on a Unix socket beside its record.

#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod v1;
mod sketch;
mod ledger;
mod service;
mod door;
mod local;

use std::net::TcpListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

use self::door::Door;
pub(crate) use self::ledger::finished;
use self::local::Socket;
use self::service::{Service, Told};
use crate::http::bearer::Bearer;
use crate::http::descriptors::{Descriptors, Share};
use crate::http::serve::frame_limit::Floods;
use crate::http::serve::port::{Listener, Timing};
use crate::http::sockets::{Sockets, host_port, is_loopback, no_address};
use crate::metrics::Counter;
use crate::pipeline::{BoxFuture, Build, ComponentConfig, Extension, ExtensionConfig, Stop};
use crate::settings::{Report, Secret, ServerTls};
use crate::telemetry::Signal;

/// The port where it is looked for.
const PORT: u16 = 8932;
/// Begins an endpoint that is a socket of this machine.
const UNIX: &str = "unix:";
/// Connections at once over TCP, and requests on each: watchers keep one.
const MAX_CONNECTIONS: usize = 32;
const MAX_STREAMS: u32 = 16;
/// Says how long things may take over TCP.
const TIMING: Timing = Timing {
    head: Duration::from_secs(10),
    idle: Some(Duration::from_secs(300)),
    age: None,
    ping: Some((Duration::from_secs(60), Duration::from_secs(20))),
    unread: Duration::from_secs(60),
    parting: Duration::from_secs(1),
    drain: Duration::from_millis(250),
};

/// Settings.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Says where it listens: `host:port`, or `unix:` and a path.
    pub endpoint: String,
    /// Names who may ask: everybody who reaches a loopback address, elsewhere who shows a token.
    pub auth: Option<Auth>,
    /// Sets up TLS for clients; with `client_ca_file` they have to show a certificate.
    pub tls: Option<ServerTls>,
    /// Says that the rest goes on without it where it cannot listen, which is said: nobody asked for it.
    #[serde(skip)]
    pub unasked: bool,
}

/// `auth`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Sets the token that clients have to show.
    pub bearer_token: Secret,
}

impl Default for Config {
    fn default() -> Self {
        Config { endpoint: format!("localhost:{PORT}"), auth: None, tls: None, unasked: false }
    }
}

impl Config {
    /// Serves the user's own processes at that path, if that is possible.
    pub fn at(socket: &Path) -> Self {
        let endpoint = format!("{UNIX}{}", socket.display());
        Config { endpoint, unasked: true, ..Config::default() }
    }

    fn socket(&self) -> Option<&Path> {
        let path = self.endpoint.strip_prefix(UNIX)?;
        Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
    }
}

impl ComponentConfig for Config {
    const NAME: &'static str = "stats";
    const ABOUT: &'static str = "tells other programs of calls, statistics, sessions and queues";
    const SIGNALS: &'static [Signal] = &[];

    fn check(&self, report: &mut Report<'_>) {
        if let Some(auth) = &self.auth {
            auth.check(report);
        }
        if let Some(tls) = &self.tls {
            tls.check(&mut report.below("tls"));
        }
        if self.socket().is_some() {
            if self.tls.is_some() {
                report.error("tls", "is for TCP; a socket of this machine is its user's alone");
            }
            return;
        }
        let Some((host, _)) = host_port(&self.endpoint).filter(|(host, _)| !host.is_empty()) else {
            return report.error("endpoint", no_address(&self.endpoint, PORT));
        };
        if is_loopback(host) {
            return;
        }
        if self.auth.is_none() {
            let why = "is reachable from elsewhere: write `auth: { bearer_token: ... }`, or listen on `localhost`";
            report.error("endpoint", why);
        } else if self.tls.is_none() {
            report.warn("auth", "tokens come in unencrypted; add `tls`");
        }
    }
}

impl Auth {
    fn check(&self, report: &mut Report<'_>) {
        if self.bearer_token.expose().is_empty() {
            report.unready("auth.bearer_token", "is empty; without `auth` anybody may ask");
        }
        if let Some(why) = self.bearer_token.unsendable() {
            report.error("auth.bearer_token", why);
        }
    }
}

impl ExtensionConfig for Config {
    fn binds(&self) -> Vec<(&'static str, &str)> {
        if self.socket().is_some() { Vec::new() } else { vec![("endpoint", &self.endpoint)] }
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Extension>> {
        Ok(Box::new(Stats {
            config: self.clone(),
            base: cx.base.to_owned(),
            told: Told::new(cx),
            sockets: cx.shared(Sockets::default),
            share: cx.process(Descriptors::default).share(&cx.id.to_string()),
            bound: None,
        }))
    }
}

struct Stats {
    config: Config,
    base: PathBuf,
    told: Told,
    sockets: Arc<Sockets>,
    share: Arc<Share>,
    bound: Option<Bound>,
}

enum Bound {
    Unix(Socket),
    Tcp(Arc<StdListener>, Option<TlsAcceptor>),
}

impl Stats {
    async fn bind(&self) -> anyhow::Result<Bound> {
        let endpoint = &self.config.endpoint;
        let cannot = || format!("cannot listen on {endpoint}");
        if let Some(path) = self.config.socket() {
            return Ok(Bound::Unix(Socket::open(self.base.join(path)).with_context(cannot)?));
        }
        let tls = match &self.config.tls {
            None => None,
            Some(tls) => {
                let config = tls.server_config(&self.base, &[b"h2"]).context("tls")?;
                Some(TlsAcceptor::from(Arc::new(config)))
            }
        };
        let socket = self.sockets.open(endpoint).await.with_context(cannot)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        tracing::info!("telling of calls at {scheme}://{}", socket.local_addr()?);
        Ok(Bound::Tcp(socket, tls))
    }

    async fn serve(self, mut stop: Stop) -> anyhow::Result<()> {
        let service = Service { told: self.told, stop: stop.clone() };
        let token = self.config.auth.as_ref().map(|auth| Bearer::new(&auth.bearer_token));
        let door = Door::new(service, token);
        match self.bound {
            None => drop(stop.given().await),
            Some(Bound::Unix(socket)) => socket.serve(door, stop).await,
            Some(Bound::Tcp(socket, tls)) => {
                let listener = Listener {
                    socket,
                    tls,
                    timing: TIMING,
                    max_streams: MAX_STREAMS,
                    max_connections: MAX_CONNECTIONS,
                    turned_away: Counter::default(),
                    displaced: Counter::default(),
                    floods: Floods::counted(Counter::default()),
                    words: false,
                    descriptors: self.share,
                };
                listener.serve(door, stop).await?;
            }
        }
        Ok(())
    }
}

impl Extension for Stats {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            match self.bind().await {
                Ok(bound) => self.bound = Some(bound),
                Err(error) if self.config.unasked => {
                    tracing::warn!("`mcpcol tail` does not see this process: {error:#}");
                }
                Err(error) => return Err(error),
            }
            Ok(())
        })
    }

    fn run(self: Box<Self>, stop: Stop) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(self.serve(stop))
    }
}

#[cfg(test)]
mod tests;
