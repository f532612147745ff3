//! Judges calls in event time: the same engine as in a running process, with the times of the calls for a clock.

use super::events::Events;
use crate::processors::slo::{Config, Notice};
use crate::slo::engine::Engine;
use crate::telemetry::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// Says how many times the longest window of a budget is looked back: what is older has no part in what is now.
const BACK: u64 = 3;

/// Holds what an engine came to.
pub(super) struct Verdict<'a> {
    pub(super) config: &'a Config,
    pub(super) engine: Engine,
    /// Every change of an alert, oldest first.
    pub(super) changes: Vec<Notice>,
}

impl<'a> Verdict<'a> {
    /// Judges by one processor's objectives at that time, in nanoseconds since the epoch. Later calls are left out.
    pub(super) fn of(config: &'a Config, events: &Events, at: Nanos) -> Self {
        let objectives = config.objectives();
        let longest = objectives.iter().map(|entry| entry.objective.window).max().unwrap_or(0);
        let back = at.saturating_sub(longest.saturating_mul(BACK).saturating_mul(SECOND));
        let from = events.range().map_or(at, |(first, _)| first.min(at)).max(back);
        let interval = (config.interval() / SECOND).max(1);
        let engine = Engine::new(objectives, config.limits(), from / SECOND);
        let mut verdict = Verdict { config, engine, changes: Vec::new() };
        let mut next = (from / SECOND).next_multiple_of(interval);
        for (end, event) in events.within(from, at) {
            verdict.until(&mut next, end / SECOND, interval);
            verdict.engine.count(&event, event.end);
        }
        verdict.until(&mut next, at / SECOND, interval);
        verdict.look(at / SECOND);
        verdict
    }

    /// Looks at all rules at each time that is due before `now`.
    fn until(&mut self, next: &mut u64, now: u64, interval: u64) {
        while *next < now {
            self.look(*next);
            *next += interval;
            let entries = self.engine.entries();
            let idle = |row: &crate::slo::engine::Row| {
                row.series.is_idle(&entries[row.objective].objective)
            };
            if self.engine.rows().iter().all(idle) {
                *next = (*next).max(now / interval * interval);
            }
        }
    }

    fn look(&mut self, now: u64) {
        for alert in self.engine.evaluate(now) {
            if alert.transition.again {
                continue;
            }
            let of = &self.engine.entries()[alert.objective].objective;
            let series = self.engine.series(alert.objective, &alert.key);
            self.changes.push(Notice::new(of, &alert.key, series, alert.transition));
        }
    }

    /// Says whether an alert fires.
    pub(super) fn burns(&self) -> bool {
        self.engine.rows().iter().any(|row| {
            let of = &self.engine.entries()[row.objective].objective;
            row.series.states(of).any(|(state, _)| state.is_firing())
        })
    }

    /// Says whether an objective has no calls to be judged by.
    pub(super) fn lacks_data(&self) -> bool {
        let entries = self.engine.entries();
        (0..entries.len()).any(|at| {
            let mut rows = self.engine.rows().iter().filter(|row| row.objective == at);
            rows.all(|row| row.series.whole(&entries[at].objective).total == 0)
        })
    }
}
