//! A checked configuration, ready to be built: plain data, no logic.
//!
//! The config room makes it, the engine builds it. It holds only what pipelines use.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use super::{ExporterConfig, ExtensionConfig, Id, ProcessorConfig, ReceiverConfig};
use crate::settings::{Duration, Node, Secret};
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
    /// What builds it.
    pub config: Arc<T>,
}

/// One pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// `traces` or `traces/name`.
    pub id: Id,
    /// What flows in it.
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
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// Our own log, on stderr.
    pub logs: LogSettings,
    /// Our own metrics.
    pub metrics: MetricsSettings,
    /// Attributes of our own telemetry's resource.
    pub resource: BTreeMap<String, String>,
}

/// `service.telemetry.logs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// What is said; the command's own default unless written.
    pub level: Option<LogLevel>,
    /// In which form.
    pub encoding: LogEncoding,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Life cycle and problems.
    Info,
    /// Problems.
    Warn,
    /// Problems that somebody has to solve.
    Error,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogEncoding {
    /// For people.
    #[default]
    Console,
    /// One JSON object a line.
    Json,
}

/// `service.telemetry.metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSettings {
    /// How much is measured.
    pub level: MetricsLevel,
    /// Where it can be read; the command's own default unless written.
    pub readers: Option<Vec<MetricsReader>>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsLevel {
    /// Nothing.
    None,
    /// The essential.
    Basic,
    /// The Collector's default.
    #[default]
    Normal,
    /// With histograms.
    Detailed,
}

/// One of `service.telemetry.metrics.readers`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsReader {
    /// The one kind of reader there is.
    pub pull: PullReader,
}

/// `pull`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullReader {
    /// What it serves.
    pub exporter: PullExporter,
}

/// `pull.exporter`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullExporter {
    /// A page in Prometheus' text format.
    pub prometheus: PrometheusSettings,
}

/// `pull.exporter.prometheus`. The three switches that the Collector knows are taken and always on:
/// our metric names never gain suffixes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrometheusSettings {
    /// Where it listens.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The Collector's word.
    pub without_scope_info: bool,
    /// The Collector's word.
    pub without_type_suffix: bool,
    /// The Collector's word.
    pub without_units: bool,
}

impl Default for PrometheusSettings {
    fn default() -> Self {
        PrometheusSettings {
            host: "localhost".into(),
            port: 8888,
            without_scope_info: true,
            without_type_suffix: true,
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
