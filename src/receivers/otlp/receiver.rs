//! The receiver: opens the ports, serves them side by side, and waits for their end.

use std::future::Future;
use std::io;
use std::net::TcpListener as StdListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::header::{HeaderName, HeaderValue};
use tokio_rustls::TlsAcceptor;

use super::budget::Budget;
use super::config::{self, Auth, Config, ServerParameters};
use super::cors::Rules;
use super::counters::ReceiverCounters;
use super::intake::Intake;
use super::passback::Passback;
use super::{grpc, http};
use crate::http::bearer::Bearer;
use crate::http::descriptors::{self, Descriptors, Share};
use crate::http::serve::frame_limit::Floods;
use crate::http::serve::port::{Listener, Timing};
use crate::http::sockets::{Sockets, host_port};
use crate::mcp::HandedBack;
use crate::pipeline::{BoxFuture, Build, Ended, Outlet, Receiver, Stop, Transport};
use crate::settings::{Headers, ServerTls};

/// A request's head over gRPC: there is no word for it.
const HEAD: Duration = Duration::from_secs(60);

/// A client that takes nothing of its answers for this long is given up, as one is that sends nothing more of a
/// request ([`super::body`]).
const UNREAD: Duration = Duration::from_secs(30);
/// The client's part in the end of a connection that is of no more use.
const PARTING: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Otlp {
    config: Config,
    base: PathBuf,
    sockets: Arc<ListeningSockets>,
    descriptors: Arc<Descriptors>,
    id: String,
    passback: Passback,
    grpc: Option<ReceiverCounters>,
    http: Option<ReceiverCounters>,
    opened: Option<Opened>,
}

/// The sockets of each protocol: with port 0, both have the same address as written.
#[derive(Debug, Default)]
struct ListeningSockets {
    grpc: Sockets,
    http: Sockets,
}

/// Holds what can fail at start.
#[derive(Default)]
struct Opened {
    grpc: Option<Port>,
    http: Option<Port>,
}

struct Port {
    listener: Arc<StdListener>,
    tls: Option<TlsAcceptor>,
    /// HTTP/1.1 is spoken there.
    words: bool,
    descriptors: Arc<Share>,
}

impl Otlp {
    pub(super) fn new(config: Config, cx: &Build<'_>) -> Self {
        let protocols = &config.protocols;
        Otlp {
            grpc: protocols.grpc.as_ref().map(|_| ReceiverCounters::new(cx, Transport::Grpc)),
            http: protocols.http.as_ref().map(|_| ReceiverCounters::new(cx, Transport::Http)),
            config,
            base: cx.base.to_owned(),
            sockets: cx.shared(ListeningSockets::default),
            descriptors: cx.process(Descriptors::default),
            id: cx.id.to_string(),
            passback: Passback { known: cx.process(HandedBack::default), clock: cx.clock.clone() },
            opened: None,
        }
    }

    async fn port(
        &self,
        sockets: &Sockets,
        endpoint: &str,
        tls: Option<&ServerTls>,
        alpn: &[&[u8]],
    ) -> anyhow::Result<Port> {
        let tls = match tls {
            None => None,
            Some(tls) => {
                let config = tls.server_config(&self.base, alpn).context("tls")?;
                Some(TlsAcceptor::from(Arc::new(config)))
            }
        };
        let listener = sockets.open(endpoint).await.map_err(|error| taken(endpoint, error))?;
        let words = alpn.contains(&&b"http/1.1"[..]);
        let protocol = if words { "http" } else { "grpc" };
        let descriptors = self.descriptors.share(&format!("{} over {protocol}", self.id));
        Ok(Port { listener, tls, words, descriptors })
    }
}

/// Says why a port cannot be had, and who may have it.
fn taken(endpoint: &str, error: io::Error) -> anyhow::Error {
    let port = host_port(endpoint).map_or(0, |(_, port)| port);
    let by = match port {
        4317 | 4318 if error.kind() == io::ErrorKind::AddrInUse => {
            "; an OpenTelemetry Collector on this machine has that port unless told otherwise"
        }
        _ => "",
    };
    anyhow::Error::new(error)
        .context(format!("cannot listen on {endpoint}{by}; choose another `endpoint`"))
}

impl Receiver for Otlp {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            descriptors::raise();
            let mut opened = Opened::default();
            let ListeningSockets { grpc: for_grpc, http: for_http } = &*self.sockets;
            if let Some(grpc) = &self.config.protocols.grpc {
                let port = self.port(for_grpc, &grpc.endpoint, grpc.tls.as_ref(), &[b"h2"]).await;
                opened.grpc = Some(port.context("protocols::grpc")?);
            }
            if let Some(http) = &self.config.protocols.http {
                let alpn: &[&[u8]] = &[b"h2", b"http/1.1"];
                let port = self.port(for_http, &http.endpoint, http.tls.as_ref(), alpn).await;
                opened.http = Some(port.context("protocols::http")?);
            }
            self.opened = Some(opened);
            Ok(())
        })
    }

    fn run(
        mut self: Box<Self>,
        out: Outlet,
        stop: Stop,
    ) -> BoxFuture<'static, anyhow::Result<Ended>> {
        Box::pin(async move {
            let Some(opened) = self.opened.take() else { anyhow::bail!("otlp was not opened") };
            let budget = Budget::new(self.config.max_in_flight_bytes);
            let Otlp { config, grpc, http, passback, .. } = *self;
            let intake = |counters, transport, max| {
                Arc::new(Intake {
                    out: out.over(transport),
                    counters: Arc::new(counters),
                    budget: Arc::clone(&budget),
                    passback: passback.clone(),
                    max,
                    stop: stop.clone(),
                    drain_timeout: config.drain_timeout.0,
                })
            };
            let grpc = opened.grpc.zip(config.protocols.grpc.as_ref()).zip(grpc);
            let grpc = grpc.map(|((port, settings), counters)| {
                let intake = intake(counters, Transport::Grpc, settings.max_request());
                serve_grpc(port, settings, &config, intake, stop.clone())
            });
            let http = opened.http.zip(config.protocols.http.as_ref()).zip(http);
            let http = http.map(|((port, settings), counters)| {
                let intake = intake(counters, Transport::Http, settings.max_request_body_size);
                serve_http(port, settings, &config, intake, stop.clone())
            });
            tokio::try_join!(if_any(grpc), if_any(http))?;
            Ok(Ended::default())
        })
    }
}

async fn if_any(side: Option<impl Future<Output = io::Result<()>>>) -> io::Result<()> {
    match side {
        Some(side) => side.await,
        None => Ok(()),
    }
}

async fn serve_grpc(
    port: Port,
    settings: &config::Grpc,
    config: &Config,
    intake: Arc<Intake>,
    stop: Stop,
) -> io::Result<()> {
    announce(&port, "gRPC")?;
    let ServerParameters {
        time,
        timeout,
        max_connection_idle,
        max_connection_age,
        max_connection_age_grace,
    } = settings.keepalive.server_parameters;
    let timing = Timing {
        head: HEAD,
        idle: unless_zero(max_connection_idle.0),
        age: unless_zero(max_connection_age.0)
            .map(|age| (age, unless_zero(max_connection_age_grace.0))),
        ping: unless_zero(time.0).map(|time| (time, timeout.0)),
        unread: UNREAD,
        parting: PARTING,
        drain: config.drain_timeout.0,
    };
    let door = listener(port, timing, settings.max_concurrent_streams, config, &intake);
    door.serve(grpc::Service { intake, token: token(settings.auth.as_ref()) }, stop).await
}

async fn serve_http(
    port: Port,
    settings: &config::Http,
    config: &Config,
    intake: Arc<Intake>,
    stop: Stop,
) -> io::Result<()> {
    announce(&port, "HTTP")?;
    let timing = Timing {
        head: settings.read_header_timeout.0,
        idle: unless_zero(settings.idle_timeout.0),
        age: None,
        ping: None,
        unread: UNREAD,
        parting: PARTING,
        drain: config.drain_timeout.0,
    };
    let door =
        listener(port, timing, config::Grpc::default().max_concurrent_streams, config, &intake);
    let service = http::Service {
        intake,
        token: token(settings.auth.as_ref()),
        places: http::Places::new(settings),
        cors: settings.cors.as_ref().map(Rules::new),
        headers: headers(&settings.response_headers),
    };
    door.serve(service, stop).await
}

fn listener(
    port: Port,
    timing: Timing,
    streams: u32,
    config: &Config,
    intake: &Intake,
) -> Listener {
    Listener {
        socket: port.listener,
        tls: port.tls,
        timing,
        max_streams: streams,
        max_connections: config.max_connections,
        turned_away: intake.counters.turned_away.clone(),
        displaced: intake.counters.displaced.clone(),
        floods: Floods::counted(intake.counters.flooding.clone()),
        words: port.words,
        descriptors: port.descriptors,
    }
}

fn token(auth: Option<&Auth>) -> Option<Bearer> {
    auth.map(|auth| Bearer::new(&auth.bearer_token))
}

fn headers(written: &Headers) -> Vec<(HeaderName, HeaderValue)> {
    let header = |(name, value): &(String, crate::settings::Secret)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::from_str(value.expose()).ok()?))
    };
    written.0.iter().filter_map(header).collect()
}

fn unless_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

/// Says where clients find it.
fn announce(port: &Port, protocol: &str) -> io::Result<()> {
    let address = port.listener.local_addr()?;
    let scheme = if port.tls.is_some() { "https" } else { "http" };
    tracing::info!("listening on {scheme}://{address} for OTLP over {protocol}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_said_with_who_may_have_it() {
        let in_use = || io::Error::from(io::ErrorKind::AddrInUse);
        for (endpoint, error, collector) in [
            ("localhost:4317", in_use(), true),
            ("[::1]:4318", in_use(), true),
            ("localhost:4319", in_use(), false),
            ("localhost:4317", io::Error::from(io::ErrorKind::PermissionDenied), false),
        ] {
            let said = taken(endpoint, error).to_string();
            assert_eq!(said.contains("OpenTelemetry Collector"), collector, "{said}");
        }
    }
}
