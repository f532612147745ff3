//! A checked configuration: what is to be built, in terms of the engine. Plain data; the config room
//! makes it, [`Service`](super::Service) builds it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Id, PlannedExporter, PlannedProcessor, PlannedReceiver};
use crate::settings::Node;
use crate::telemetry::Signal;

/// Everything a process should run.
#[derive(Clone, Default)]
pub struct Plan {
    /// Receivers that a pipeline uses.
    pub receivers: Vec<Part<dyn PlannedReceiver>>,
    /// Processors that a pipeline uses.
    pub processors: Vec<Part<dyn PlannedProcessor>>,
    /// Exporters that a pipeline uses.
    pub exporters: Vec<Part<dyn PlannedExporter>>,
    /// Pipelines: every id in them is one of the above; a receiver's id may be a processor's, which
    /// then feeds the pipeline with what it emits. Free of cycles.
    pub pipelines: Vec<PipelinePlan>,
    /// Relative paths in settings start here.
    pub base: PathBuf,
    /// `service.shutdown_timeout`, if written.
    pub shutdown_timeout: Option<Duration>,
    /// `service.telemetry.logs`
    pub logs: LogSettings,
}

/// One component: its settings as written decide whether a reload keeps it.
pub struct Part<T: ?Sized> {
    /// Id.
    pub id: Id,
    /// Settings as written, after expansion.
    pub node: Node,
    /// Settings as meant.
    pub planned: Arc<T>,
}

impl<T: ?Sized> Clone for Part<T> {
    fn clone(&self) -> Self {
        Part {
            id: self.id.clone(),
            node: self.node.clone(),
            planned: Arc::clone(&self.planned),
        }
    }
}

/// One pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelinePlan {
    /// `traces`, `traces/name`, ...
    pub id: Id,
    /// What flows in it.
    pub signal: Signal,
    /// Receivers, and processors that emit this signal.
    pub receivers: Vec<Id>,
    /// Processors, in order.
    pub processors: Vec<Id>,
    /// Exporters.
    pub exporters: Vec<Id>,
}

/// `service.telemetry.logs`: our own log lines, always on stderr.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// `debug info warn error`; the subcommand's default if not written.
    pub level: Option<String>,
    /// One JSON object a line instead of text.
    pub json: bool,
}
