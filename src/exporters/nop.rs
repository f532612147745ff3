//! Takes everything and forgets it: for measuring what comes before, and for trying out a pipeline.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::pipeline::{
    BoxFuture, Build, ComponentConfig, ExportError, Exported, Exporter, ExporterConfig,
};
use crate::settings::{Delivery, QueueSettings, Report};
use crate::telemetry::{Signal, Telemetry};

/// Settings: the Collector's, which are none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {}

impl ComponentConfig for Config {
    const NAME: &'static str = "nop";
    const ABOUT: &'static str = "takes everything and forgets it";
    const SIGNALS: &'static [Signal] = &Signal::ALL;

    fn check(&self, _: &mut Report<'_>) {}
}

impl ExporterConfig for Config {
    fn delivery(&self) -> Delivery {
        let queue = QueueSettings { num_consumers: 1, ..QueueSettings::default() };
        Delivery { queue, ..Delivery::default() }
    }

    fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        Ok(Box::new(Nop))
    }
}

struct Nop;

impl Exporter for Nop {
    fn export<'a>(&'a self, _: &'a Telemetry) -> BoxFuture<'a, Result<Exported, ExportError>> {
        Box::pin(std::future::ready(Ok(Exported::default())))
    }
}
