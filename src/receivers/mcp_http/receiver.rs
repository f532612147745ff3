//! The receiver: opens the socket, starts the threads, and waits for their end.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::{io, thread};

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::config::{Auth, Config, Route};
use super::destination::Destination;
use super::exchange::Rules;
use super::guard::Guard;
use super::note::{Note, Queue};
use super::routes::Routes;
use super::session_endpoints::SessionEndpoints;
use super::watch::{Counters, HttpObserver};
use super::worker::{self, Plan};
use crate::http::bearer::Bearer;
use crate::http::descriptors::{self, Descriptors, Share};
use crate::http::forwarded::TrustedProxies;
use crate::http::serve::acceptor::Acceptor;
use crate::http::serve::frame_limit::Floods;
use crate::http::serve::slots::Slots;
use crate::http::sockets::Sockets;
use crate::metrics::RateLimitedLog;
use crate::metrics::{Counter, Metric, Metrics, names};
use crate::pipeline::{BoxFuture, Build, Ended, Outlet, Receiver, Stop};
use crate::receivers::tap::{
    CallBoards, EditCounters, Editing, Observer, PATIENCE, Running, patience,
};
use crate::telemetry::Clock;

/// Connections on their way to one worker.
const ARRIVALS: usize = 64;

/// Serves one `mcp_http`.
pub(super) struct McpHttp {
    config: Arc<Config>,
    id: String,
    base: PathBuf,
    metrics: Metrics,
    clock: Clock,
    sockets: Arc<Sockets>,
    descriptors: Arc<Share>,
    detours: Arc<SessionEndpoints>,
    counters: Counters,
    watching: HttpObserver,
    edits: EditCounters,
    calls: CallBoards,
    editing: Option<Arc<Editing>>,
    opened: Option<Opened>,
}

/// Holds what can fail at start.
struct Opened {
    listener: Arc<std::net::TcpListener>,
    destinations: Arc<[Destination]>,
    tls: Option<TlsAcceptor>,
}

impl McpHttp {
    pub(super) fn new(config: Config, cx: &Build<'_>) -> anyhow::Result<Self> {
        let editing = Editing::new(&config.observing());
        Ok(McpHttp {
            id: cx.id.to_string(),
            base: cx.base.to_owned(),
            metrics: cx.metrics().clone(),
            clock: cx.clock.clone(),
            sockets: cx.shared(Sockets::default),
            descriptors: cx.process(Descriptors::default).share(&cx.id.to_string()),
            detours: cx.shared(SessionEndpoints::default),
            counters: Counters::new(cx),
            watching: HttpObserver::new(&config, cx)?,
            edits: EditCounters::new(cx).follow(editing.clone()),
            calls: CallBoards::new(cx),
            editing,
            config: Arc::new(config),
            opened: None,
        })
    }

    fn count(&self, metric: &Metric<Counter>) -> Counter {
        self.metrics.counter(metric, &[("receiver", &self.id)])
    }

    fn workers(&self) -> usize {
        match self.config.workers {
            0 => thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }
}

impl Receiver for McpHttp {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            if self.config.routes.is_empty() {
                anyhow::bail!(
                    "mcp_http needs `routes`; or start it as `mcpcol http --upstream URL`"
                );
            }
            let destination = |route| Destination::new(route, &self.base, self.config.max_headers);
            let routes = self.config.routes.iter();
            let destinations = routes.map(destination).collect::<anyhow::Result<_>>()?;
            let tls = match &self.config.tls {
                None => None,
                Some(tls) => {
                    let config = tls.server_config(&self.base, &[b"h2", b"http/1.1"]);
                    Some(TlsAcceptor::from(Arc::new(config.context("tls")?)))
                }
            };
            descriptors::raise();
            let endpoint = &self.config.endpoint;
            let listener = self.sockets.open(endpoint).await.with_context(|| {
                format!("cannot listen on {endpoint}; choose another `endpoint` (--listen)")
            })?;
            self.opened = Some(Opened { listener, destinations, tls });
            Ok(())
        })
    }

    fn run(self: Box<Self>, out: Outlet, stop: Stop) -> BoxFuture<'static, anyhow::Result<Ended>> {
        // Here and not in the future: a thread begins with the niceness of the one that starts it.
        let started = self.start(out, &stop);
        Box::pin(async move {
            let Started { queue, forwarding, observed } = started?;
            let mut ended = pin!(ended(forwarding));
            let mut told = stop.clone();
            let failure = tokio::select! {
                failure = &mut ended => failure,
                _ = told.ends() => {
                    queue.flush();
                    ended.await
                }
            };
            queue.close();
            observed.end(patience(PATIENCE, stop)).await;
            failure?;
            Ok(Ended::default())
        })
    }
}

/// Holds what runs.
struct Started {
    queue: Arc<Queue>,
    forwarding: JoinSet<ThreadEnd>,
    observed: Running<Note, Counters>,
}

type ThreadEnd = io::Result<()>;

impl McpHttp {
    fn start(mut self: Box<Self>, out: Outlet, stop: &Stop) -> anyhow::Result<Started> {
        let Some(opened) = self.opened.take() else { anyhow::bail!("mcp_http was not opened") };
        let queue = Arc::new(Queue::new(self.config.queue_size));
        announce(&self.config, &opened)?;
        let forwarding = self.forward(&opened, &queue, stop)?;
        let observer = Observer {
            queue: Arc::clone(&queue),
            watch: Box::new(self.watching),
            out,
            clock: self.clock,
            counters: self.counters,
            edits: self.edits,
            calls: self.calls,
            hurry: Arc::default(),
        };
        Ok(Started { queue, forwarding, observed: observer.start()? })
    }

    /// Starts the threads that forward and the one that accepts.
    fn forward(
        &self,
        opened: &Opened,
        queue: &Arc<Queue>,
        stop: &Stop,
    ) -> io::Result<JoinSet<ThreadEnd>> {
        let routes = Arc::new(Routes::new(&self.config.routes));
        self.detours.keep(&routes);
        let rules = Arc::new(Rules {
            id: self.id.clone(),
            guard: guard(&self.config),
            routes,
            detours: Arc::clone(&self.detours),
            trusted_proxies: TrustedProxies::new(&self.config.trusted_proxies),
            destinations: Arc::clone(&opened.destinations),
            in_flight: Arc::default(),
            max_in_flight: self.config.max_requests,
            descriptors: Arc::clone(&self.descriptors),
            max_headers: self.config.max_headers,
            names: self.config.routes.iter().map(Route::server_name).collect(),
            shown: self.config.shown_headers(),
            metrics: self.metrics.clone(),
            forwarded: self.count(&names::HTTP_FORWARDED),
            hinted: false.into(),
            refusals: RateLimitedLog::default(),
            failures: self.config.routes.iter().map(|_| RateLimitedLog::default()).collect(),
            editing: self.editing.clone(),
        });
        let floods = Floods::counted(self.count(&names::HTTP_FLOODING));
        let (numbers, workers) = (Arc::new(AtomicU64::new(1)), self.workers());
        let (mut ends, mut doors) = (JoinSet::new(), Vec::new());
        for number in 0..workers {
            let plan = Plan {
                config: Arc::clone(&self.config),
                rules: Arc::clone(&rules),
                tls: opened.tls.clone(),
                queue: Arc::clone(queue),
                numbers: Arc::clone(&numbers),
                floods: Arc::clone(&floods),
                unseen: self.count(&names::TAP_SKIPPED_BYTES),
            };
            let (door, arrivals) = mpsc::channel(ARRIVALS);
            doors.push(door);
            let stop = stop.clone();
            start(&mut ends, format!("http-{number}"), || worker::run(plan, arrivals, stop))?;
        }
        let connections = self.metrics.gauge(&names::HTTP_CONNECTIONS, &[("receiver", &self.id)]);
        let acceptor = Acceptor {
            listener: Arc::clone(&opened.listener),
            slots: Slots::new(
                self.config.max_connections,
                workers,
                connections,
                Arc::clone(&self.descriptors),
            ),
            workers: doors,
            tls: opened.tls.is_some(),
            turned_away: self.count(&names::HTTP_TURNED_AWAY),
        };
        let stop = stop.clone();
        start(&mut ends, "http-accept".to_owned(), || acceptor.run(stop))?;
        Ok(ends)
    }
}

fn guard(config: &Config) -> Guard {
    let token = |auth: &Auth| Some((auth.header_name()?, Bearer::new(&auth.bearer_token)));
    let token = config.auth.as_ref().and_then(token);
    Guard::new(&config.allowed_hosts, &config.allowed_origins, token)
}

fn start(
    ends: &mut JoinSet<ThreadEnd>,
    name: String,
    run: impl FnOnce() -> ThreadEnd + Send + 'static,
) -> io::Result<()> {
    let (done, end) = oneshot::channel();
    thread::Builder::new().name(name).spawn(move || {
        done.send(run()).ok();
    })?;
    ends.spawn(async { end.await.unwrap_or_else(|_| Err(io::Error::other("a thread failed"))) });
    Ok(())
}

/// Waits for the end of all threads, or for the first that fails: without it the others would serve a
/// part of the clients.
async fn ended(threads: JoinSet<ThreadEnd>) -> io::Result<()> {
    let mut threads = threads;
    while let Some(end) = threads.join_next().await {
        end.unwrap_or_else(|_| Err(io::Error::other("a forwarding thread failed")))?;
    }
    Ok(())
}

/// A path as it may stand in a log: some servers have a key in theirs.
fn without_secrets(path: &str) -> String {
    /// Longer words are no names.
    const LONGEST: usize = 15;
    let shown = |word: &str| if word.len() > LONGEST { "...".to_owned() } else { word.to_owned() };
    path.split('/').map(shown).collect::<Vec<_>>().join("/")
}

/// Says where clients find it, a line a route.
fn announce(config: &Config, opened: &Opened) -> io::Result<()> {
    let address = opened.listener.local_addr()?;
    let scheme = if opened.tls.is_some() { "https" } else { "http" };
    for route in &config.routes {
        let uri = route.uri().unwrap_or_default();
        // Of the upstream's path no more than can be no secret; where it is the path to ask us for, too.
        let path = match route.prefix() {
            "" => without_secrets(uri.path()),
            prefix => prefix.to_owned(),
        };
        tracing::info!(
            "listening on {scheme}://{address}{path} for {} at {}://{}",
            route.server_name(),
            uri.scheme_str().unwrap_or_default(),
            uri.authority().map_or("", |authority| authority.as_str())
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_key_in_it_is_not_logged() {
        let key = "k3y".repeat(6);
        assert_eq!(without_secrets("/api/mcp"), "/api/mcp");
        assert_eq!(without_secrets(&format!("/s/{key}/mcp")), "/s/.../mcp");
    }
}
