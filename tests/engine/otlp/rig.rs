//! A service with one `otlp` receiver and fake exporters, and clients to talk to it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use mcpcol::config::{Options, Sources, load, render};
use mcpcol::metrics::Metrics;
use mcpcol::pipeline::{
    BoxFuture, Build, Context, ExportError, Exported, Exporter, ExporterConfig, Outcome, Service,
};
use mcpcol::settings::{Delivery, QueueSettings, RetrySettings};
use mcpcol::telemetry::{Clock, Telemetry};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tracing::Dispatch;

use crate::raw::Raw;

type Does = dyn Fn(&Telemetry) -> BoxFuture<'static, Result<(), ExportError>> + Send + Sync;

/// An exporter that does what it is told and remembers what it got.
#[derive(Clone)]
pub(crate) struct Fake {
    does: Arc<Does>,
    pub(crate) delivery: Delivery,
    got: Arc<Mutex<Vec<Telemetry>>>,
    asked: Arc<AtomicUsize>,
}

impl Fake {
    pub(crate) fn new(
        does: impl Fn(&Telemetry) -> Result<(), ExportError> + Send + Sync + 'static,
    ) -> Fake {
        Fake::waiting(move |telemetry| Box::pin(std::future::ready(does(telemetry))))
    }

    pub(crate) fn waiting(
        does: impl Fn(&Telemetry) -> BoxFuture<'static, Result<(), ExportError>> + Send + Sync + 'static,
    ) -> Fake {
        let queue = QueueSettings { num_consumers: 1, ..QueueSettings::default() };
        let delivery = Delivery { queue, ..Delivery::default() };
        Fake { does: Arc::new(does), delivery, got: Arc::default(), asked: Arc::default() }
    }

    /// Takes everything.
    pub(crate) fn taking_all() -> Fake {
        Fake::new(|_| Ok(()))
    }

    /// Never answers.
    pub(crate) fn stuck() -> Fake {
        Fake::waiting(|_| Box::pin(std::future::pending()))
    }

    pub(crate) fn queue(mut self, change: impl FnOnce(&mut QueueSettings)) -> Fake {
        change(&mut self.delivery.queue);
        self
    }

    pub(crate) fn retry(mut self, change: impl FnOnce(&mut RetrySettings)) -> Fake {
        change(&mut self.delivery.retry);
        self
    }

    /// What was sent, in order.
    pub(crate) fn got(&self) -> Vec<Telemetry> {
        self.got.lock().unwrap().clone()
    }

    /// Returns once so many attempts have begun.
    pub(crate) async fn asked(&self, times: usize) {
        until(|| self.asked.load(Ordering::SeqCst) >= times).await;
    }

    /// Returns once so many batches were sent.
    pub(crate) async fn has(&self, batches: usize) -> Vec<Telemetry> {
        until(|| self.got.lock().unwrap().len() >= batches).await;
        self.got()
    }
}

/// Looks until it is so.
pub(crate) async fn until(mut so: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < limit, "it never came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

impl ExporterConfig for Fake {
    fn delivery(&self) -> Delivery {
        self.delivery.clone()
    }

    fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        Ok(Box::new(self.clone()))
    }
}

impl Exporter for Fake {
    fn export<'a>(
        &'a self,
        telemetry: &'a Telemetry,
    ) -> BoxFuture<'a, Result<Exported, ExportError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            (self.does)(telemetry).await?;
            self.got.lock().unwrap().push(telemetry.clone());
            Ok(Exported::default())
        })
    }
}

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn address(&self, of: &str) -> Option<SocketAddr> {
        let text = self.text();
        let line = text.lines().find(|line| line.ends_with(&format!("for OTLP over {of}")))?;
        let from = line.find("://")? + 3;
        line[from..].split(' ').next()?.parse().ok()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lives on, so that the subscriber of a rig is never the only one. With one alone `tracing` asks the thread that
/// comes by a line first whether it is of interest, for all: that of another test, which listens to nothing.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

/// A running service. Needs a runtime of one thread: its log is the thread's.
pub(crate) struct Rig {
    service: Service,
    pub(crate) metrics: Metrics,
    pub(crate) log: Log,
    _logging: tracing::subscriber::DefaultGuard,
    protocols: (bool, bool),
}

/// Both protocols with their defaults, on free ports.
pub(crate) const BOTH: &str =
    "{protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}";

impl Rig {
    /// Pipelines of all signals from the receiver with these settings to all the exporters.
    pub(crate) async fn start(otlp: &str, exporters: &[Fake]) -> Rig {
        Rig::of_signals(otlp, exporters, &["traces", "metrics", "logs"]).await
    }

    pub(crate) async fn of_signals(otlp: &str, exporters: &[Fake], signals: &[&str]) -> Rig {
        LazyLock::force(&SECOND);
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let logging = tracing::subscriber::set_default(subscriber);
        let ids: Vec<String> = (0..exporters.len()).map(|n| format!("nop/{n}")).collect();
        let defined: Vec<String> = ids.iter().map(|id| format!("{id}: {{}}")).collect();
        let pipelines: Vec<String> = signals
            .iter()
            .map(|s| format!("{s}: {{receivers: [otlp], exporters: [{}]}}", ids.join(", ")))
            .collect();
        let yaml = format!(
            "yaml:receivers: {{otlp: {otlp}}}\nexporters: {{{}}}\nservice: {{pipelines: {{{}}}}}\n",
            defined.join(", "),
            pipelines.join(", ")
        );
        let sources = Sources { config: vec![yaml], set: Vec::new() };
        let (plan, problems) = load(&sources, &Options::default());
        let mut plan = plan.unwrap_or_else(|| panic!("{}", render(&problems, false)));
        for (planned, fake) in plan.exporters.iter_mut().zip(exporters) {
            planned.config = Arc::new(fake.clone());
        }
        let metrics = Metrics::default();
        let mut service = Service::new(Context {
            metrics: metrics.clone(),
            clock: Clock::start(),
            runtime: Handle::current(),
            lenient: false,
        });
        service.apply(&plan).await.unwrap();
        let protocols = (otlp.contains("grpc:"), otlp.contains("http:"));
        let rig = Rig { service, metrics, log, _logging: logging, protocols };
        let (grpc, http) = rig.protocols;
        let there = |wanted: bool, of: &str| !wanted || rig.log.address(of).is_some();
        until(|| there(grpc, "gRPC") && there(http, "HTTP")).await;
        rig
    }

    pub(crate) fn grpc(&self) -> SocketAddr {
        self.log.address("gRPC").unwrap()
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.log.address("HTTP").unwrap()
    }

    /// The sum of all series of that name that have all of these label values.
    pub(crate) fn count(&self, name: &str, labels: &[&str]) -> i128 {
        let has = |sample: &mcpcol::metrics::Sample, value: &&str| {
            sample.labels.iter().any(|(_, label)| label == value)
        };
        let samples = self.metrics.samples();
        let fit = samples.iter().filter(|s| s.name == name);
        fit.filter(|s| labels.iter().all(|value| has(s, value))).map(|s| s.value).sum()
    }

    /// Stops everything; the accounts of the exporters as they say it.
    pub(crate) async fn stop(self) -> Vec<String> {
        self.stop_within(Duration::from_secs(10)).await
    }

    /// The same with another deadline, for exporters that never end.
    pub(crate) async fn stop_within(self, limit: Duration) -> Vec<String> {
        let mut outcome = Outcome::default();
        self.service.drain(Instant::now() + limit, &mut outcome).await;
        assert_eq!(outcome.failures, [""; 0]);
        outcome.accounts.iter().map(|(_, account)| account.to_string()).collect()
    }
}

/// A response of HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

pub(crate) const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

/// One request over HTTP/1.1 on a connection of its own.
pub(crate) async fn send(
    address: SocketAddr,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    send_on(&mut stream, line, headers, body).await
}

pub(crate) async fn post(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    send(address, &format!("POST {path}"), headers, body).await
}

pub(crate) async fn send_on<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut head = format!("{line} HTTP/1.1\r\nhost: here\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !headers.iter().any(|(name, _)| *name == "transfer-encoding") {
        head += &format!("content-length: {}\r\n", body.len());
    }
    head += "\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that has answered already may not want the rest.
    stream.write_all(body).await.ok();
    answer(stream).await.expect("an answer")
}

/// The next response on a connection; `None` if it ends instead.
pub(crate) async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Answer> {
    let mut seen = Vec::new();
    let end = loop {
        if let Some(at) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return None;
        }
    };
    let head = String::from_utf8(seen[..end].to_vec()).unwrap();
    let status = head[9..12].parse().unwrap();
    let mut answer = Answer { status, head, body: seen[end + 4..].to_vec() };
    let length = answer.header("content-length").map_or(0, |n| n.parse().unwrap());
    while answer.body.len() < length {
        assert_ne!(stream.read_buf(&mut answer.body).await.unwrap(), 0);
    }
    Some(answer)
}

pub(crate) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(crate) const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
pub(crate) const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// A client of gRPC.
pub(crate) async fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// One call with these bytes as its message.
pub(crate) async fn call(
    channel: Channel,
    path: &'static str,
    compression: Option<CompressionEncoding>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, Status> {
    let mut grpc = Grpc::new(channel);
    if let Some(compression) = compression {
        grpc = grpc.send_compressed(compression);
    }
    grpc.ready().await.unwrap();
    grpc.unary(request, PathAndQuery::from_static(path), Raw).await
}
