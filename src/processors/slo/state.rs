//! The one state of all instances of an id: engine, time, and what was told. It survives a reload.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::export;
use super::keeping::{Keeping, Kept};
use super::notice::Notice;
use super::operations::{Operation, Operations, Skipped};
use super::settings::Config;
use super::shown::Shown;
use super::snapshot::Snapshot;
use super::time::{Moment, Time};
use crate::metrics::Metrics as Registry;
use crate::otlp::wire::compose::{Logs, Metrics};
use crate::slo::engine::{Engine, Event};
use crate::telemetry::{Clock, Nanos, Telemetry};

/// Says how many calls at least are remembered, so that none counts twice: about 10 MB at most.
const REMEMBERED: usize = 100_000;

/// Holds it.
#[derive(Debug)]
pub(super) struct State {
    time: Time,
    engine: Engine,
    operations: Operations,
    shown: Shown,
    /// The settings in force, and which build brought them.
    config: Arc<Config>,
    generation: u64,
    /// Says how often it was built.
    built: u64,
    /// Alerts that ended with their objectives, to be told at the next look.
    ended: Vec<Notice>,
    /// Says when the next look is due, in the time of the windows.
    due: Nanos,
    kept: Option<Shared>,
}

/// Holds what is shared with other processes, by a file.
#[derive(Debug)]
struct Shared {
    file: Keeping,
    /// Holds what this process counted that the file does not have.
    own: Engine,
    /// Holds what it counted, while that is written.
    leaving: Option<Snapshot>,
    /// Says when it is written next, in the time of the windows.
    due: Nanos,
    /// Writing failed, which was said.
    failed: bool,
}

/// Says how often the file is written, in nanoseconds.
const SAVED: Nanos = 60_000_000_000;

/// A snapshot on its way to the file.
#[derive(Debug)]
pub(super) struct Saving {
    file: Keeping,
    own: Snapshot,
    all: Snapshot,
}

impl Saving {
    /// Adds it to the file. Blocks.
    pub(super) fn write(self) -> io::Result<Snapshot> {
        self.file.add(self.own, &self.all)
    }
}

/// Holds what a look at all rules found, to be sent.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) metrics: Vec<Metrics>,
    pub(super) notices: Vec<Notice>,
    pub(super) wall: Nanos,
}

impl Look {
    /// Writes log records of what changed, if anything did.
    pub(super) fn logs(&self) -> Option<Logs> {
        (!self.notices.is_empty()).then(|| export::logs(&self.notices, self.wall))
    }
}

impl State {
    /// Begins with these settings. Counters of objectives are there at once.
    pub(super) fn new(config: Arc<Config>, clock: Clock, metrics: Registry, id: String) -> Self {
        let mut time = Time::new(clock);
        let now = time.look();
        let engine = Engine::new(config.objectives(), config.limits(), now.seconds());
        let operations = Operations::new(config.count(), REMEMBERED);
        let mut shown = Shown::new(metrics, id);
        shown.update(&engine);
        let (due, ended) = (now.nanos(), Vec::new());
        let (generation, built, kept) = (0, 0, None);
        State { time, engine, operations, shown, config, generation, built, ended, due, kept }
    }

    /// Gives the number of one more build.
    pub(super) fn build(&mut self) -> u64 {
        self.built += 1;
        self.built
    }

    /// Puts settings in force the first time that an instance of a newer build works. One that is about to end works
    /// under those of its successor.
    pub(super) fn under(&mut self, config: &Arc<Config>, generation: u64) {
        if generation <= self.generation {
            return;
        }
        self.generation = generation;
        if self.config == *config {
            return;
        }
        if self.config.count() != config.count() {
            self.operations = Operations::new(config.count(), REMEMBERED);
        }
        let ended = self.engine.replace(config.objectives(), config.limits());
        if config.state_file().is_none() {
            self.kept = None;
        }
        if let Some(Shared { own, .. }) = &mut self.kept {
            own.replace(config.objectives(), config.limits());
        }
        let told = |(of, key, transition)| Notice::new(&of, &key, None, transition);
        self.ended.extend(ended.into_iter().map(told));
        self.config = Arc::clone(config);
        self.due = 0;
        self.shown.update(&self.engine);
    }

    /// Counts the operations that end in these spans. Those of a tap of this process end when they come.
    pub(super) fn count(&mut self, telemetry: &Telemetry, ours: bool) {
        let now = self.time.look();
        let State { operations, engine, kept, .. } = self;
        let mut skipped: BTreeMap<Skipped, u64> = BTreeMap::new();
        let mut count = |operation: Result<Operation<'_>, Skipped>| match operation {
            Ok(operation) => {
                let end = if ours { now.seconds() } else { now.place(operation.end) };
                let event = Event {
                    server: operation.server,
                    tool: operation.tool,
                    listed: operation.listed,
                    outcome: operation.outcome,
                    end,
                    took: operation.took,
                };
                engine.count(&event, now.seconds());
                if let Some(Shared { own, .. }) = kept {
                    own.count(&event, now.seconds());
                }
            }
            Err(why) => *skipped.entry(why).or_default() += 1,
        };
        telemetry.each_item(|item| operations.read(item, &mut count));
        skipped.into_iter().for_each(|(why, calls)| self.shown.skipped(why, calls));
    }

    /// Looks at all rules if that is due, or anyway; returns what is to be told, and how long until the next look.
    pub(super) fn look(&mut self, anyway: bool, metrics: bool) -> (Option<Look>, Nanos) {
        let now = self.time.look();
        if now.nanos() < self.due && !anyway {
            return (None, self.due - now.nanos());
        }
        let interval = self.config.interval();
        self.due = now.nanos().saturating_add(interval);
        let mut look = self.evaluate(now);
        if metrics {
            look.metrics = export::metrics(&self.engine, &self.shown, now);
        }
        (Some(look), interval)
    }

    /// Takes over what a file has, and shares it from now on. It is said if that cannot be read.
    pub(super) fn keep_in(&mut self, file: Keeping) {
        if self.kept.as_ref().is_some_and(|kept| kept.file.path() == file.path()) {
            return;
        }
        let now = self.time.look();
        let reset = match file.read() {
            Kept::Nothing => false,
            Kept::Snapshot(known) => {
                self.engine.advance(now.seconds());
                known.put_into(&mut self.engine, now.wall_seconds(), now.shift(), true);
                false
            }
            Kept::Unreadable(why) => {
                let file = file.path().display();
                tracing::warn!(%file, "what was counted before cannot be read, so budgets begin anew: {why}");
                true
            }
        };
        self.shown.state_reset(reset);
        self.shown.update(&self.engine);
        let own = Engine::new(self.config.objectives(), self.config.limits(), now.seconds());
        let due = now.nanos().saturating_add(SAVED);
        self.kept = Some(Shared { file, own, leaving: None, due, failed: false });
    }

    /// Gives what is to be written to the file, if that is due and not under way.
    pub(super) fn due_to_save(&mut self, anyway: bool) -> Option<Saving> {
        let now = self.time.look();
        let kept = self.kept.as_mut()?;
        if kept.leaving.is_some() || now.nanos() < kept.due && !anyway {
            return None;
        }
        kept.due = now.nanos().saturating_add(SAVED);
        self.engine.advance(now.seconds());
        let (at, shift) = (now.wall_seconds(), now.shift());
        let all = Snapshot::of(&self.engine, at, shift);
        let fresh = Engine::new(self.config.objectives(), self.config.limits(), now.seconds());
        let own = Snapshot::of(&std::mem::replace(&mut kept.own, fresh), at, shift);
        kept.leaving = Some(own.clone());
        Some(Saving { file: kept.file.clone(), own, all })
    }

    /// Takes over what the file has now, with what was counted meanwhile; or keeps what could not be written for the next
    /// time.
    pub(super) fn saved(&mut self, sum: io::Result<Snapshot>) {
        let now = self.time.look();
        let (at, shift) = (now.wall_seconds(), now.shift());
        let Some(kept) = &mut self.kept else { return };
        let Some(left) = kept.leaving.take() else { return };
        let meanwhile = Snapshot::of(&kept.own, at, shift);
        match sum {
            Ok(mut sum) => {
                sum.add(meanwhile);
                self.engine.advance(now.seconds());
                sum.put_into(&mut self.engine, at, shift, false);
                kept.failed = false;
            }
            Err(error) => {
                let mut both = left;
                both.add(meanwhile);
                both.put_into(&mut kept.own, at, shift, false);
                if !std::mem::replace(&mut kept.failed, true) {
                    let file = kept.file.path().display();
                    tracing::warn!(%file, "counts cannot be kept for later: {error}");
                }
            }
        }
    }

    fn evaluate(&mut self, now: Moment) -> Look {
        let mut notices = std::mem::take(&mut self.ended);
        let alerts = self.engine.evaluate(now.seconds());
        for alert in alerts {
            let of = &self.engine.entries()[alert.objective].objective;
            let series = self.engine.series(alert.objective, &alert.key);
            notices.push(Notice::new(of, &alert.key, series, alert.transition));
        }
        self.shown.update(&self.engine);
        Look { notices, wall: now.wall, metrics: Vec::new() }
    }
}
