//! Shows what the objectives say as metrics of the process.
//!
//! Counters of a series are there with 0 for one look before they count, so that whoever scrapes them sees the first
//! failure as an increase. A burn rate is there only while there are calls in its window.

use std::collections::{BTreeMap, BTreeSet};

use super::operations::Skipped;
use crate::metrics::{Counter, Metrics, OVERFLOW, names};
use crate::slo::alert::State;
use crate::slo::engine::{Engine, Key, Row};
use crate::slo::objective::Objective;
use crate::slo::words::exact;

/// Labels of a series.
type Labels<'a> = Vec<(&'static str, &'a str)>;

/// The metrics of one processor.
#[derive(Debug)]
pub(super) struct Shown {
    metrics: Metrics,
    processor: String,
    rows: BTreeMap<(String, Key), Counters>,
}

/// The counters of a series.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    pub(super) events: Counter,
    pub(super) bad: Counter,
}

impl Shown {
    pub(super) fn new(metrics: Metrics, processor: String) -> Self {
        let shown = Shown { metrics, processor, rows: BTreeMap::new() };
        Skipped::ALL.into_iter().for_each(|why| shown.skipped(why, 0));
        shown
    }

    /// Counts calls that count for no objective.
    pub(super) fn skipped(&self, why: Skipped, calls: u64) {
        let labels = [("processor", &*self.processor), ("reason", why.name())];
        self.metrics.counter(&names::SLO_SKIPPED, &labels).add(calls);
    }

    /// Says whether what earlier processes counted could be read.
    pub(super) fn state_reset(&self, reset: bool) {
        let labels = [("processor", &*self.processor)];
        self.metrics.gauge(&names::SLO_STATE_RESET, &labels).set(reset.into());
    }

    /// Gives the counters of a series, as they were shown last.
    pub(super) fn counters(&self, slo: &str, key: &Key) -> Option<&Counters> {
        self.rows.get(&(slo.to_owned(), key.clone()))
    }

    /// Shows what an engine says now.
    pub(super) fn update(&mut self, engine: &Engine) {
        let mut gone: BTreeSet<(String, Key)> = self.rows.keys().cloned().collect();
        let mut late: BTreeMap<&str, u64> = BTreeMap::new();
        for row in engine.rows() {
            let of = &engine.entries()[row.objective].objective;
            gone.remove(&(of.name.clone(), row.key.clone()));
            *late.entry(&of.name).or_default() += row.series.late;
            self.count(of, row);
            self.levels(of, row, engine.now());
        }
        for (slo, late) in late {
            let labels = [("processor", &*self.processor), ("slo", slo)];
            let counter = self.metrics.counter(&names::SLO_LATE, &labels);
            counter.add(late.saturating_sub(counter.get()));
        }
        for (slo, key) in gone {
            self.metrics.retire(&labels(&self.processor, &slo, &key));
            self.rows.remove(&(slo, key));
        }
    }

    fn count(&mut self, of: &Objective, row: &Row) {
        let id = (of.name.clone(), row.key.clone());
        if let Some(Counters { events, bad }) = self.rows.get(&id) {
            let counts = row.series.counts;
            events.add(counts.total.saturating_sub(events.get()));
            bad.add(counts.bad.saturating_sub(bad.get()));
            return;
        }
        let labels = labels(&self.processor, &of.name, &row.key);
        let counters = Counters {
            events: self.metrics.counter(&names::SLO_EVENTS, &labels),
            bad: self.metrics.counter(&names::SLO_BAD, &labels),
        };
        self.rows.insert(id, counters);
    }

    fn levels(&self, of: &Objective, row: &Row, now: u64) {
        let labels = labels(&self.processor, &of.name, &row.key);
        let left = of.budget_left(row.series.whole(of));
        self.metrics.ratio(&names::SLO_BUDGET_REMAINING, &labels).set(left);
        let whole = row.key == Key::default();
        if whole {
            self.metrics.ratio(&names::SLO_COVERAGE, &labels).set(row.series.coverage(of, now));
            for window in row.series.all_windows(of) {
                let length = exact(window.length);
                let labels = with(&labels, &[("window", &length)]);
                match window.counts.burn(of.budget) {
                    Some(burn) => self.metrics.ratio(&names::SLO_BURN_RATE, &labels).set(burn),
                    None => self.metrics.retire(&labels),
                }
            }
        }
        for (rule, (state, _)) in of.rules.iter().zip(row.series.states(of)) {
            let labels = with(&labels, &[("rule", &rule.id), ("severity", rule.severity.name())]);
            if whole || state != State::Inactive {
                self.metrics.gauge(&names::SLO_ALERT_STATE, &labels).set(number(state));
            } else {
                self.metrics.retire(&labels);
            }
        }
    }
}

/// Gives the number that stands for a state of an alert.
pub(super) fn number(state: State) -> i64 {
    match state {
        State::Inactive => 0,
        State::Pending { .. } => 1,
        State::Firing { .. } => 2,
    }
}

fn labels<'a>(processor: &'a str, slo: &'a str, key: &'a Key) -> Labels<'a> {
    let mut labels = vec![("processor", processor), ("slo", slo)];
    labels.extend(of_key(key));
    labels
}

/// Gives the labels that tell a series of an objective from its others.
pub(super) fn of_key(key: &Key) -> impl Iterator<Item = (&'static str, &str)> {
    let names = [("server", key.server.as_deref()), ("tool", key.tool.as_deref())];
    let named = names.into_iter().filter_map(|(label, name)| Some((label, name?)));
    named.chain(key.others.then_some(OVERFLOW))
}

fn with<'a>(labels: &Labels<'a>, more: &[(&'static str, &'a str)]) -> Labels<'a> {
    labels.iter().chain(more).copied().collect()
}
