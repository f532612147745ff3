//! A checked configuration, ready to be built: plain data, no logic.
//!
//! The config room makes it, the engine builds it. It holds only what pipelines use.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ExporterConfig, ExtensionConfig, Id, ProcessorConfig, ReceiverConfig};
use crate::settings::{Duration, Headers, NoEffect, Node, Secret};
use crate::telemetry::Signal;

/// Everything that `run` runs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The receivers that pipelines name, each once.
    pub receivers: Vec<Planned<dyn ReceiverConfig>>,
    /// The processors that pipelines name, each once; every pipeline builds its own instance.
    pub processors: Vec<Planned<dyn ProcessorConfig>>,
    /// The exporters that pipelines name, each once.
    pub exporters: Vec<Planned<dyn ExporterConfig>>,
    /// The extensions that `service.extensions` names.
    pub extensions: Vec<Planned<dyn ExtensionConfig>>,
    /// In the order written.
    pub pipelines: Vec<Pipeline>,
    /// `service.shutdown_timeout`, if written.
    pub shutdown_timeout: Option<Duration>,
    /// `service.telemetry`
    pub telemetry: TelemetrySettings,
    /// The secrets of the configuration, which are searched for in all that leaves.
    pub secrets: Vec<Secret>,
    /// Relative paths in settings start here: the directory of the first config file.
    pub base: PathBuf,
}

/// A component that was read and checked.
pub struct Planned<T: ?Sized> {
    /// The id as written, which is also its name in accounts.
    pub id: Id,
    /// The registered name of its kind, whichever spelling the id has.
    pub kind: &'static str,
    /// The settings as written: equal settings under an equal id, with equal files, keep the component over a
    /// reload.
    pub settings: Node,
    /// Holds what builds it.
    pub config: Arc<T>,
}

/// One pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// `traces` or `traces/name`.
    pub id: Id,
    /// Holds what flows in it.
    pub signal: Signal,
    /// Receivers that feed it.
    pub receivers: Vec<Id>,
    /// Processors of other pipelines that feed it with what they make.
    pub emitters: Vec<Id>,
    /// Processors, in the order in which they run.
    pub processors: Vec<Id>,
    /// Exporters that it offers to.
    pub exporters: Vec<Id>,
}

/// `service.telemetry`: what mcpcol says about itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// Sets our own log, on stderr.
    pub logs: LogSettings,
    /// Sets our own metrics.
    pub metrics: MetricsSettings,
    /// Sets attributes of our own telemetry's resource; an empty value takes one away.
    pub resource: BTreeMap<String, Option<String>>,
}

/// `service.telemetry.logs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Sets how much is said; the command's own unless written.
    pub level: Option<LogLevel>,
    /// Sets the form of lines.
    pub encoding: LogEncoding,
}

/// Says how much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Tells everything.
    Debug,
    /// Tells life cycle and problems.
    Info,
    /// Tells problems.
    Warn,
    /// Tells problems that somebody has to solve.
    Error,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogEncoding {
    /// Writes for people.
    #[default]
    Console,
    /// Writes one JSON object a line.
    Json,
}

/// `service.telemetry.metrics`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSettings {
    /// Sets how much is measured: `none` is nothing, all others are the same.
    pub level: MetricsLevel,
    /// Says where it can be read; the command's own default unless written.
    pub readers: Option<Vec<MetricsReader>>,
    /// Says where Prometheus reads it, `host:port`: older Collectors' spelling of one reader.
    pub address: Option<String>,
}

/// How much is measured.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum MetricsLevel {
    /// Measures nothing.
    None,
    /// Measures the essential.
    Basic,
    /// Measures what the Collector does by default.
    #[default]
    Normal,
    /// Measures with histograms.
    Detailed,
}

/// One of `service.telemetry.metrics.readers`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsReader {
    /// Serves what others come for.
    pub pull: Option<PullReader>,
    /// Sends it at intervals.
    pub periodic: Option<PeriodicReader>,
}

/// `periodic`. Times are in milliseconds, as in OpenTelemetry's declarative configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PeriodicReader {
    /// Sets the time from one sending to the next, in milliseconds.
    pub interval: u64,
    /// Bounds how long one sending may take, in milliseconds.
    pub timeout: u64,
    /// Says what it sends.
    pub exporter: PushExporter,
}

impl Default for PeriodicReader {
    fn default() -> Self {
        let exporter = PushExporter::default();
        PeriodicReader { interval: 60_000, timeout: 30_000, exporter }
    }
}

/// `periodic.exporter`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PushExporter {
    /// Sends OTLP.
    pub otlp: PushOtlp,
}

/// `periodic.exporter.otlp`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PushOtlp {
    /// Says how it is sent.
    pub protocol: PushProtocol,
    /// Names where it is sent: a URL with its path over HTTP, `host:port` over gRPC.
    pub endpoint: String,
    /// Adds headers to every request.
    pub headers: Headers,
    /// Sends over gRPC without TLS.
    pub insecure: bool,
}

/// `protocol`, by OpenTelemetry's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PushProtocol {
    /// Sends protobuf over HTTP.
    #[default]
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// Sends JSON over HTTP.
    #[serde(rename = "http/json")]
    HttpJson,
    /// Sends over gRPC.
    #[serde(rename = "grpc")]
    Grpc,
}

/// `pull`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PullReader {
    /// Says what it serves.
    pub exporter: PullExporter,
}

/// `pull.exporter`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PullExporter {
    /// Serves a page in Prometheus' text format.
    pub prometheus: PrometheusSettings,
}

/// `pull.exporter.prometheus`. Names are the same whatever the Collector's three switches say: counters end in `_total`,
/// and nothing else is added.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrometheusSettings {
    /// Names the address it listens on.
    pub host: String,
    /// Names the TCP port.
    pub port: u16,
    /// Stands for the Collector's switch, which is always on: series have no labels of a scope.
    #[schemars(with = "NoEffect")]
    pub without_scope_info: bool,
    /// Stands for the Collector's switch, which is always off: counters end in `_total`.
    #[schemars(with = "NoEffect")]
    pub without_type_suffix: bool,
    /// Stands for the Collector's switch, which is always on: names gain no units.
    #[schemars(with = "NoEffect")]
    pub without_units: bool,
}

impl Default for PrometheusSettings {
    fn default() -> Self {
        PrometheusSettings {
            host: "localhost".into(),
            port: 8888,
            without_scope_info: true,
            without_type_suffix: false,
            without_units: true,
        }
    }
}

impl<T: ?Sized> Clone for Planned<T> {
    fn clone(&self) -> Self {
        Planned {
            id: self.id.clone(),
            kind: self.kind,
            settings: self.settings.clone(),
            config: Arc::clone(&self.config),
        }
    }
}

impl<T: ?Sized> fmt::Debug for Planned<T> {
    /// Without the settings: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planned").field("id", &self.id).field("kind", &self.kind).finish()
    }
}
