//! The settings of `slo`: as written, and what is wrong with them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::written::{Defaults, Slo};
use super::{Processing, objectives};
use crate::calls::Count;
use crate::pipeline::{Build, ComponentConfig, Processor, ProcessorConfig};
use crate::processors::complaints::Complaints;
use crate::settings::{Duration, Report};
use crate::slo::engine::{Entry, Limits};
use crate::telemetry::names::{ERROR_TYPE, METHOD, OUTCOME, SERVER_NAME, TOOL};
use crate::telemetry::{Nanos, Signal};

/// The bounds of `interval`: rules are looked at and metrics sent that often.
const INTERVALS: [time::Duration; 2] =
    [time::Duration::from_secs(1), time::Duration::from_secs(300)];
/// The most series of one processor: each takes about 13 KB.
const MAX_SERIES: usize = 100_000;

/// Settings of the `slo` processor.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Lists the objectives.
    slos: Vec<Slo>,
    /// Sets what holds for all objectives that do not say otherwise.
    defaults: Defaults,
    /// Says which spans are calls: each call has one of them, however many parties tell of it.
    count: Whose,
    /// Says how often rules are looked at and metrics sent, 1s to 5m.
    interval: Duration,
    /// Names a file in which counts and alerts outlast the process.
    state_file: Option<PathBuf>,
}

/// Whose spans are calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Whose {
    /// Counts what taps made, here or elsewhere.
    #[default]
    Tap,
    /// Counts CLIENT spans of clients' own instrumentation.
    Client,
    /// Counts SERVER spans of servers' own instrumentation.
    Server,
}

impl From<Whose> for Count {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Tap => Count::Tap,
            Whose::Client => Count::Client,
            Whose::Server => Count::Server,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            slos: Vec::new(),
            defaults: Defaults::default(),
            count: Whose::default(),
            interval: Duration::secs(30),
            state_file: None,
        }
    }
}

impl ComponentConfig for Config {
    const NAME: &'static str = "slo";
    const ABOUT: &'static str = "watches objectives of tools and alerts when their budgets burn";
    const SIGNALS: &'static [Signal] = &[Signal::Traces];

    fn check(&self, report: &mut Report<'_>) {
        let mut complaints = Complaints::default();
        self.prepare(&mut complaints);
        let folder = self.state_file.as_ref().and_then(|file| file.parent());
        if let Some(folder) = folder.filter(|folder| !report.base().join(folder).is_dir()) {
            complaints.unready(
                "state_file",
                format!("there is no folder `{}`; make it", folder.display()),
            );
        }
        complaints.tell(report);
    }
}

impl ProcessorConfig for Config {
    fn emits(&self) -> &'static [Signal] {
        &[Signal::Metrics, Signal::Logs]
    }

    fn counts(&self) -> bool {
        true
    }

    fn needs(&self) -> Vec<&str> {
        vec![METHOD, TOOL, OUTCOME, ERROR_TYPE, SERVER_NAME]
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Processor>> {
        let mut complaints = Complaints::default();
        self.prepare(&mut complaints);
        if let Some(bad) = complaints.first_error() {
            anyhow::bail!("{}: {}", bad.field, bad.message);
        }
        Ok(Box::new(Processing::new(Arc::new(self.clone()), cx)))
    }
}

impl Config {
    /// Gives the objectives that are written, without a word about what is wrong with others.
    pub fn objectives(&self) -> Vec<Entry> {
        self.prepare(&mut Complaints::default())
    }

    /// Names the metric of the objective at that place.
    pub fn metric(&self, objective: usize) -> &'static str {
        self.slos.get(objective).map_or("", |slo| slo.metric.name())
    }

    /// Says how many series there may be.
    pub fn limits(&self) -> Limits {
        Limits { series: self.defaults.max_series, per_server: self.defaults.max_per_server }
    }

    /// Says whose spans are calls.
    pub fn count(&self) -> Count {
        self.count.into()
    }

    /// Says how often rules are looked at.
    pub fn interval(&self) -> Nanos {
        Nanos::try_from(self.interval.0.as_nanos()).unwrap_or(Nanos::MAX)
    }

    /// Names the file in which state outlasts the process.
    pub(super) fn state_file(&self) -> Option<&PathBuf> {
        self.state_file.as_ref()
    }

    fn prepare(&self, complaints: &mut Complaints) -> Vec<Entry> {
        let [least, most] = INTERVALS;
        if !(least..=most).contains(&self.interval.0) {
            complaints.error(
                "interval",
                "is from 1s to 5m: an alert comes at most so much later than it is due",
            );
        }
        for (field, max) in [
            ("max_series", self.defaults.max_series),
            ("max_per_server", self.defaults.max_per_server),
        ] {
            if !(1..=MAX_SERIES).contains(&max) {
                complaints.error(format!("defaults.{field}"), format!("is from 1 to {MAX_SERIES}"));
            }
        }
        if self.state_file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            complaints.error("state_file", "is empty; name a file or leave it out");
        }
        objectives::read(&self.slos, &self.defaults, complaints)
    }
}
