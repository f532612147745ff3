//! OTLP over gRPC: to an OpenTelemetry Collector, or to a backend that speaks it.
//!
//! ```yaml
//! exporters:
//!   otlp_grpc:
//!     endpoint: collector.example.com:4317
//!     tls: { ca_file: ca.pem }
//!     headers: { x-tenant: blue }
//!     compression: gzip
//! ```
//!
//! The protobuf bytes go out as they are held; nothing is encoded or decoded here. Which answers may be
//! tried again is OTLP's table and nothing else. An `http://` endpoint means no TLS; without a scheme it
//! is TLS unless `tls.insecure` is set, as in the Collector.

mod codec;
mod connect;
mod readable;
mod counted;
#[cfg(test)]
mod tests;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::OnceCell;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::Channel;

use self::codec::Undecoded;
use self::connect::Connector;
use self::counted::Counted;
use super::allowance::Allowance;
use super::peer::{MAX_REQUEST, MAX_RESPONSE, UNREAD};
use crate::pipeline::{
    BoxFuture, Build, ComponentConfig, ExportError, Exported, Exporter, ExporterConfig,
};
use crate::settings::{
    ClientTls, Compression, Delivery, Duration, Endpoint, Headers, Keepalive, NoEffect,
    QueueSettings, Report, RetrySettings, Unsupported,
};
use crate::telemetry::{Signal, Telemetry};

/// Settings: the Collector's names.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Says where to send to: `host:port`. `http://` before it means no TLS, `https://` means TLS; without a scheme
    /// `tls.insecure` decides. `unix:path` is a socket.
    endpoint: String,
    /// Says how requests are compressed.
    compression: Compression,
    /// Sets up TLS towards the server.
    tls: ClientTls,
    /// Adds headers to every request.
    headers: Headers,
    /// Lets credentials leave this machine unencrypted.
    allow_cleartext: bool,
    /// Asks a silent server for signs of life; never unless written.
    keepalive: Option<Keepalive>,
    /// Sets `:authority` of requests; unless written the endpoint.
    authority: Option<String>,
    /// Names the sender of requests.
    user_agent: Option<String>,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    wait_for_ready: Unsupported,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    balancer_name: Unsupported,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    read_buffer_size: Unsupported,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    write_buffer_size: Unsupported,
    #[schemars(skip)]
    auth: Unsupported,
    #[schemars(skip)]
    middlewares: Unsupported,
    /// Bounds how long one attempt to send may take; 0 for no limit.
    timeout: Duration,
    /// Sets the queue in front of the exporter, and how batches are joined in it.
    sending_queue: QueueSettings,
    /// Says how often and how long a failed attempt is repeated.
    retry_on_failure: RetrySettings,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            endpoint: String::new(),
            compression: Compression::Gzip,
            tls: ClientTls::default(),
            headers: Headers::default(),
            allow_cleartext: false,
            keepalive: None,
            authority: None,
            user_agent: None,
            wait_for_ready: None,
            balancer_name: None,
            read_buffer_size: None,
            write_buffer_size: None,
            auth: None,
            middlewares: None,
            timeout: Duration::secs(5),
            sending_queue: QueueSettings::default(),
            retry_on_failure: RetrySettings::default(),
        }
    }
}

impl ComponentConfig for Config {
    const NAME: &'static str = "otlp_grpc";
    const ALIASES: &'static [&'static str] = &["otlp"];
    const ABOUT: &'static str = "OTLP over gRPC";
    const SIGNALS: &'static [Signal] = &Signal::ALL;

    fn check(&self, report: &mut Report<'_>) {
        self.delivery().check(report);
        self.compression.check(report);
        self.headers.check(report);
        self.tls.check(report);
        match Endpoint::parse(&self.endpoint) {
            Err(why) => report.error("endpoint", why),
            Ok(endpoint) => self.check_connection(&endpoint, report),
        }
        if connect::origin("https", self.authority.as_deref()).is_err() {
            report.error("authority", "is not a host, with or without a port");
        }
        if self.user_agent.iter().any(|agent| agent.contains(|c: char| !(' '..='~').contains(&c))) {
            report.error("user_agent", "has characters that a header cannot carry");
        }
        if self.auth.is_some() {
            report.error("auth", "is not supported; write the credentials in `headers`");
        }
        if self.middlewares.is_some() {
            report.error("middlewares", "is not supported");
        }
        let without_effect = [
            ("wait_for_ready", self.wait_for_ready),
            ("balancer_name", self.balancer_name),
            ("read_buffer_size", self.read_buffer_size),
            ("write_buffer_size", self.write_buffer_size),
        ];
        for (field, _) in without_effect.iter().filter(|(_, written)| written.is_some()) {
            report.warn(field, "has no effect: there is one connection, made when it is needed");
        }
    }
}

impl ExporterConfig for Config {
    fn delivery(&self) -> Delivery {
        Delivery {
            timeout: self.timeout,
            queue: self.sending_queue.clone(),
            retry: self.retry_on_failure.clone(),
        }
    }

    fn targets(&self) -> Vec<(&'static str, String, u16)> {
        let target = Endpoint::parse(&self.endpoint).ok().and_then(|e| e.host_port());
        target.map(|(host, port)| ("endpoint", host, port)).into_iter().collect()
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        let compression = match self.compression {
            Compression::Gzip => Some(CompressionEncoding::Gzip),
            Compression::Zstd => Some(CompressionEncoding::Zstd),
            Compression::None => None,
            other => anyhow::bail!("compression {other:?} is not supported"),
        };
        Ok(Box::new(OtlpGrpc {
            compression,
            metadata: metadata(&self.headers)?,
            config: Arc::new(self.clone()),
            base: cx.base.to_owned(),
            allowance: Arc::default(),
            channel: ArcSwap::default(),
        }))
    }
}

impl Config {
    fn check_connection(&self, endpoint: &Endpoint, report: &mut Report<'_>) {
        if endpoint.is_tls(self.tls.insecure) {
            return;
        }
        if !self.allow_cleartext && !endpoint.is_local() {
            self.headers.check_cleartext(report);
        }
        if self.tls.wants_tls() {
            report.warn("tls", "certificates have no effect: the connection is not encrypted");
        }
    }
}

/// The headers of every request, never indexed by HPACK, so that no other request can probe for them.
fn metadata(headers: &Headers) -> anyhow::Result<MetadataMap> {
    let mut map = MetadataMap::new();
    for (name, value) in &headers.0 {
        let key = MetadataKey::<Ascii>::from_bytes(name.to_ascii_lowercase().as_bytes())?;
        let mut value: MetadataValue<Ascii> = value.expose().parse()?;
        value.set_sensitive(true);
        map.append(key, value);
    }
    Ok(map)
}

struct OtlpGrpc {
    config: Arc<Config>,
    base: PathBuf,
    compression: Option<CompressionEncoding>,
    metadata: MetadataMap,
    /// Holds what the server may send.
    allowance: Arc<Allowance>,
    /// The channel connects, and connects again, by itself. It is replaced only when an attempt was
    /// given up: a peer that went away without a word would otherwise hold the connection for as long
    /// as the kernel resends, a quarter of an hour.
    channel: ArcSwap<OnceCell<Channel>>,
}

impl Exporter for OtlpGrpc {
    fn export<'a>(
        &'a self,
        telemetry: &'a Telemetry,
    ) -> BoxFuture<'a, Result<Exported, ExportError>> {
        Box::pin(self.attempt(telemetry))
    }
}

impl OtlpGrpc {
    async fn attempt(&self, telemetry: &Telemetry) -> Result<Exported, ExportError> {
        let wire = telemetry.wire();
        if wire.len() > MAX_REQUEST {
            let why = format!("a request of {} bytes is over OTLP's limit of 64 MiB", wire.len());
            return Err(ExportError::TooLarge { why });
        }
        let _awaited = self.allowance.await_answer();
        let mut attempt = Attempt { exporter: self, cell: self.channel.load_full(), ended: false };
        let result = self.call(&attempt.cell, telemetry).await;
        attempt.ended = true;
        result
    }

    async fn call(
        &self,
        cell: &OnceCell<Channel>,
        telemetry: &Telemetry,
    ) -> Result<Exported, ExportError> {
        let channel = cell.get_or_try_init(|| self.connect()).await?;
        // Servers answer in the encoding they were asked in, whatever was said to be accepted.
        let (channel, allowance) = (channel.clone(), Arc::clone(&self.allowance));
        let mut grpc = Grpc::new(Counted { channel, allowance })
            .max_decoding_message_size(MAX_RESPONSE)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd);
        if let Some(compression) = self.compression {
            grpc = grpc.send_compressed(compression);
        }
        let secure = self.config.is_tls();
        grpc.ready().await.map_err(|e| verdict::unreachable(&e, secure))?;
        let mut request = tonic::Request::new(telemetry.wire().clone());
        *request.metadata_mut() = self.metadata.clone();
        let path = PathAndQuery::from_static(path(telemetry.signal()));
        let failed = |status| verdict::failed(&status, &self.config.endpoint, secure);
        // A unary call in its two steps: what fails in the second one is the answer, not the request.
        let answered = grpc.server_streaming(request, path, Undecoded).await.map_err(failed)?;
        let mut answer = answered.into_inner();
        let response = match answer.message().await {
            Ok(response) => response,
            Err(status) if verdict::is_over_the_limit(&status) => {
                return Ok(Exported { rejected: 0, message: UNREAD.to_owned() });
            }
            Err(status) => return Err(failed(status)),
        };
        if response.is_some() && answer.message().await.map_err(failed)?.is_some() {
            // To read on for the status could take for ever.
            return Err(failed(tonic::Status::internal(
                "there are several messages in the answer",
            )));
        }
        answer.trailers().await.map_err(failed)?;
        let none = || failed(tonic::Status::internal("there is no message in the answer"));
        Ok(verdict::exported(response.ok_or_else(none)?, telemetry.items()))
    }

    /// A channel, not yet a connection. Certificates are read here, off the runtime's threads.
    async fn connect(&self) -> Result<Channel, ExportError> {
        let (config, base) = (Arc::clone(&self.config), self.base.clone());
        let made = tokio::task::spawn_blocking(move || connect::endpoint(&config, &base)).await;
        match made {
            Ok(Ok(endpoint)) => {
                let connector = Connector::new(&self.config, Arc::clone(&self.allowance));
                Ok(endpoint.connect_with_connector_lazy(connector))
            }
            Ok(Err(e)) => Err(ExportError::Retry { after: None, why: format!("{e:#}") }),
            Err(e) => Err(ExportError::Reject { why: format!("cannot connect: {e}") }),
        }
    }
}

/// Drops the channel behind an attempt that was given up, unless another has done so already.
struct Attempt<'a> {
    exporter: &'a OtlpGrpc,
    cell: Arc<OnceCell<Channel>>,
    ended: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.exporter.channel.compare_and_swap(&self.cell, Arc::default());
        }
    }
}

fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}
