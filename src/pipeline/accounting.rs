//! Who counts what: the accounts behind "received = sent + dropped + held".
//!
//! Counting happens here, on the edges, under the Collector's names where it has one. Components do not
//! count items themselves; a tap adds only what never became one. An account is a typed number; metrics show
//! it, and nobody reads an account back out of metrics.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Id;
use super::pass::Said;
use crate::metrics::RateLimitedLog;
use crate::metrics::{Counter, Gauge, Histogram, Metric, Metrics, names};
use crate::telemetry::Signal;

/// The target of log lines about single events, which the account at the end sums up.
pub const INCIDENTS: &str = "mcpcol::incidents";

/// The accounts of one process, by component. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    metrics: Metrics,
    ledgers: Arc<Mutex<BTreeMap<(Owner, String), Ledger>>>,
}

/// Has an account of what ended there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Receiver,
    Pipeline,
    Exporter,
}

/// Holds what ended at one component, what it keeps, and what an exporter sent: over all its lives, if reloads took it
/// out and brought it back.
#[derive(Debug, Default)]
struct Ledger {
    dropped: BTreeMap<(Signal, String), Counter>,
    /// By processor, of a pipeline.
    held: BTreeMap<String, Gauge>,
    /// Of an exporter.
    exported: Option<[SignalCounters; 3]>,
    /// Says why an exporter that is gone failed last.
    last_failure: Option<String>,
    /// Metrics do not show it since it was taken out.
    hidden: bool,
}

impl Owner {
    fn label(self) -> &'static str {
        match self {
            Owner::Receiver => "receiver",
            Owner::Pipeline => "pipeline",
            Owner::Exporter => "exporter",
        }
    }
}

impl Accounts {
    /// Makes accounts that these metrics show.
    pub fn new(metrics: Metrics) -> Self {
        Accounts { metrics, ledgers: Arc::default() }
    }

    /// The metrics of the process.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Gives the counter of items of one signal that end at a receiver, for a reason: they never got into a
    /// pipeline, and are part of what its exporters should have had.
    pub fn receiver_drops(&self, id: &Id, signal: Signal, reason: &str) -> Counter {
        self.drops(Owner::Receiver, &id.to_string(), signal, reason)
    }

    fn drops(&self, owner: Owner, id: &str, signal: Signal, reason: &str) -> Counter {
        let mut ledgers = self.lock();
        let ledger = ledgers.entry((owner, id.to_owned())).or_default();
        let known = ledger.dropped.entry((signal, reason.to_owned()));
        let fresh = matches!(known, Entry::Vacant(_));
        let counter = known.or_default().clone();
        if fresh && !ledger.hidden {
            self.show(owner, id, ledger);
        }
        counter
    }

    /// Has metrics show a component's account again, if it is there again after a reload had taken it out.
    pub(super) fn revive(&self, owner: Owner, id: &str) {
        let mut ledgers = self.lock();
        let ledger = ledgers.entry((owner, id.to_owned())).or_default();
        ledger.hidden = false;
        self.show(owner, id, ledger);
    }

    fn show(&self, owner: Owner, id: &str, ledger: &Ledger) {
        for ((signal, reason), counter) in &ledger.dropped {
            let labels = [
                ("kind", owner.label()),
                ("component", id),
                ("reason", reason),
                ("signal", signal.name()),
            ];
            self.metrics.show(&names::DROPPED, &labels, counter);
        }
        for (signal, counters) in Signal::ALL.into_iter().zip(ledger.exported.iter().flatten()) {
            let label = [("exporter", id)];
            let [sent, failed, enqueue_failed] = exporter_metrics(signal);
            let received = [("exporter", id), ("signal", signal.name())];
            self.metrics.show(&names::EXPORTER_RECEIVED, &received, &counters.received);
            self.metrics.show(sent, &label, &counters.sent);
            self.metrics.show(failed, &label, &counters.failed);
            self.metrics.show(enqueue_failed, &label, &counters.enqueue_failed);
        }
    }

    /// Gives the counters of an exporter, those of its earlier lives if it had any.
    fn exported(&self, id: &str) -> [SignalCounters; 3] {
        let mut ledgers = self.lock();
        let ledger = ledgers.entry((Owner::Exporter, id.to_owned())).or_default();
        ledger.exported.get_or_insert_default().clone()
    }

    fn held(&self, pipeline: &str, processor: &str) -> Gauge {
        let make = || {
            let labels = [("pipeline", pipeline), ("processor", processor)];
            self.metrics.gauge(&names::PROCESSOR_HELD, &labels)
        };
        let mut ledgers = self.lock();
        let ledger = ledgers.entry((Owner::Pipeline, pipeline.to_owned())).or_default();
        ledger.held.entry(processor.to_owned()).or_insert_with(make).clone()
    }

    /// Returns what a component dropped, by reason; of one signal, or of all.
    pub(super) fn dropped(
        &self,
        owner: Owner,
        id: &str,
        signal: Option<Signal>,
    ) -> BTreeMap<String, u64> {
        let mut out = BTreeMap::new();
        let ledgers = self.lock();
        let dropped = ledgers.get(&(owner, id.to_owned())).map(|ledger| &ledger.dropped);
        for ((of, reason), counter) in dropped.into_iter().flatten() {
            let items = counter.get();
            if signal.is_none_or(|signal| signal == *of) && items > 0 {
                *out.entry(reason.clone()).or_default() += items;
            }
        }
        out
    }

    /// Returns how many items the processors of a pipeline still keep.
    pub(super) fn kept(&self, pipeline: &str) -> u64 {
        let ledgers = self.lock();
        let held = ledgers.get(&(Owner::Pipeline, pipeline.to_owned())).map(|ledger| &ledger.held);
        let levels = held.into_iter().flatten().map(|(_, gauge)| gauge.get());
        levels.map(|level| u64::try_from(level).unwrap_or_default()).sum()
    }

    /// Takes the series of a component or pipeline that a reload took out of the metrics; `label` is the one that
    /// names it. Its account stays: the last line tells of all that there ever was.
    pub(super) fn retire(&self, label: &str, id: &str) {
        self.metrics.retire(&[(label, id)]);
        self.metrics.retire(&[("kind", label), ("component", id)]);
        for ((owner, of), ledger) in self.lock().iter_mut() {
            ledger.hidden |= owner.label() == label && of == id;
        }
    }

    /// Returns what became of everything that an exporter had, over all signals and all its lives.
    pub(super) fn account(&self, id: &str) -> Account {
        let counters = self.exported(id);
        let sum = |of: fn(&SignalCounters) -> &Counter| {
            counters.iter().map(|counters| of(counters).get()).sum()
        };
        Account {
            received: sum(|c| &c.received),
            sent: sum(|c| &c.sent),
            dropped: self.dropped(Owner::Exporter, id, None),
            last_failure: self
                .lock()
                .get(&(Owner::Exporter, id.to_owned()))
                .and_then(|l| l.last_failure.clone()),
            off: false,
        }
    }

    /// Returns what became of everything that each exporter had, by id. What ended before it is not in it.
    pub fn exporters(&self) -> Vec<(String, Account)> {
        let known: Vec<String> = {
            let ledgers = self.lock();
            let exporters = ledgers.keys().filter(|(owner, _)| *owner == Owner::Exporter);
            exporters.map(|(_, id)| id.clone()).collect()
        };
        known.into_iter().map(|id| (id.clone(), self.account(&id))).collect()
    }

    /// Notes why an exporter that is gone failed last.
    pub(super) fn failed(&self, id: &str, why: Option<String>) {
        let mut ledgers = self.lock();
        ledgers.entry((Owner::Exporter, id.to_owned())).or_default().last_failure = why;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Owner, String), Ledger>> {
        self.ledgers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts what becomes of the items of one exporter.
#[derive(Clone, Debug)]
pub(super) struct ExporterCounters {
    accounts: Accounts,
    id: String,
    signals: [SignalCounters; 3],
    /// Times of attempts that succeeded, and of those that did not.
    attempts: [Histogram; 2],
}

#[derive(Clone, Debug, Default)]
struct SignalCounters {
    received: Counter,
    sent: Counter,
    failed: Counter,
    enqueue_failed: Counter,
}

impl ExporterCounters {
    pub(super) fn new(accounts: &Accounts, id: &Id) -> Self {
        let (id, metrics) = (id.to_string(), accounts.metrics());
        let signals = accounts.exported(&id);
        accounts.revive(Owner::Exporter, &id);
        let attempts = ["success", "failure"].map(|outcome| {
            let labels = [("exporter", id.as_str()), ("outcome", outcome)];
            metrics.histogram(&names::EXPORTER_ATTEMPT_SECONDS, &labels)
        });
        ExporterCounters { accounts: accounts.clone(), id, signals, attempts }
    }

    /// The gauge of the queue's level; its capacity never changes.
    pub(super) fn queue_size(&self, capacity: usize) -> Gauge {
        self.level(&names::EXPORTER_QUEUE_SIZE, &names::EXPORTER_QUEUE_CAPACITY, capacity)
    }

    /// The gauge of the bytes that the queue holds; their limit never changes.
    pub(super) fn queue_bytes(&self, limit: usize) -> Gauge {
        self.level(&names::EXPORTER_QUEUE_BYTES, &names::EXPORTER_QUEUE_BYTES_LIMIT, limit)
    }

    fn level(&self, level: &Metric<Gauge>, limit: &Metric<Gauge>, most: usize) -> Gauge {
        let (label, metrics) = ([("exporter", self.id.as_str())], self.accounts.metrics());
        metrics.gauge(limit, &label).set(i64::try_from(most).unwrap_or(i64::MAX));
        metrics.gauge(level, &label)
    }

    /// Enters the time that one attempt took.
    pub(super) fn attempted(&self, took: Duration, succeeded: bool) {
        self.attempts[usize::from(!succeeded)].record(took.as_secs_f64());
    }

    pub(super) fn received(&self, signal: Signal, items: usize) {
        self.of(signal).received.add(items as u64);
    }

    pub(super) fn sent(&self, signal: Signal, items: usize) {
        self.of(signal).sent.add(items as u64);
    }

    /// Enters items that the queue had no room for.
    pub(super) fn refused(&self, signal: Signal, items: usize, reason: &'static str) {
        self.of(signal).enqueue_failed.add(items as u64);
        self.count_drop(signal, items, reason);
    }

    /// Enters items that the exporter is not to have, because their callers did not sample.
    pub(super) fn unsampled(&self, signal: Signal, items: usize) {
        self.received(signal, items);
        self.count_drop(signal, items, "unsampled");
    }

    /// Enters items that were in the queue and could not be sent.
    pub(super) fn dropped(&self, signal: Signal, items: usize, reason: &'static str) {
        self.of(signal).failed.add(items as u64);
        self.count_drop(signal, items, reason);
    }

    fn count_drop(&self, signal: Signal, items: usize, reason: &str) {
        self.accounts.drops(Owner::Exporter, &self.id, signal, reason).add(items as u64);
    }

    fn of(&self, signal: Signal) -> &SignalCounters {
        &self.signals[signal as usize]
    }

    /// Returns what became of everything that the exporter had.
    pub(super) fn account(&self) -> Account {
        self.accounts.account(&self.id)
    }
}

fn exporter_metrics(signal: Signal) -> [&'static Metric<Counter>; 3] {
    match signal {
        Signal::Traces => [
            &names::EXPORTER_SENT_SPANS,
            &names::EXPORTER_FAILED_SPANS,
            &names::EXPORTER_ENQUEUE_FAILED_SPANS,
        ],
        Signal::Metrics => [
            &names::EXPORTER_SENT_METRIC_POINTS,
            &names::EXPORTER_FAILED_METRIC_POINTS,
            &names::EXPORTER_ENQUEUE_FAILED_METRIC_POINTS,
        ],
        Signal::Logs => [
            &names::EXPORTER_SENT_LOG_RECORDS,
            &names::EXPORTER_FAILED_LOG_RECORDS,
            &names::EXPORTER_ENQUEUE_FAILED_LOG_RECORDS,
        ],
    }
}

/// Counts the items that come into one pipeline, and those that end in it before its exporters.
#[derive(Debug)]
pub(super) struct PipelineCounters {
    accounts: Accounts,
    id: String,
    signal: Signal,
    accepted: Counter,
    panics: RateLimitedLog,
}

impl PipelineCounters {
    pub(super) fn new(accounts: &Accounts, id: &str, signal: Signal) -> Self {
        let accepted = accounts.metrics().counter(&names::PIPELINE_ACCEPTED, &[("pipeline", id)]);
        accounts.revive(Owner::Pipeline, id);
        let panics = RateLimitedLog::default();
        PipelineCounters { accounts: accounts.clone(), id: id.to_owned(), signal, accepted, panics }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Enters items that were taken.
    pub(super) fn accepted(&self, items: usize) {
        self.accepted.add(items as u64);
    }

    /// Enters items that were lost in a bug of a processor.
    pub(super) fn panicked(&self, items: usize) {
        self.dropped("panic", items);
        if let Some(unsaid) = self.panics.due() {
            tracing::error!(target: INCIDENTS, pipeline = self.id, items, unsaid,
                "a processor panicked: dropping");
        }
    }

    /// Enters items that ended here, for a reason.
    pub(super) fn dropped(&self, reason: &str, items: usize) {
        self.accounts.drops(Owner::Pipeline, &self.id, self.signal, reason).add(items as u64);
    }
}

/// Counts the items that pass one processor of a pipeline, and those that it holds.
#[derive(Debug)]
pub(super) struct StageCounters {
    pub(super) pipeline: Arc<PipelineCounters>,
    processor: String,
    incoming: Counter,
    outgoing: Counter,
    held: Gauge,
    pub(super) panics: RateLimitedLog,
}

impl StageCounters {
    pub(super) fn new(pipeline: Arc<PipelineCounters>, processor: &str) -> Self {
        let accounts = &pipeline.accounts;
        let labels = [("processor", processor), ("otel.signal", pipeline.signal.name())];
        let incoming = accounts.metrics().counter(&names::PROCESSOR_INCOMING, &labels);
        let outgoing = accounts.metrics().counter(&names::PROCESSOR_OUTGOING, &labels);
        let held = accounts.held(pipeline.id(), processor);
        let (processor, panics) = (processor.to_owned(), RateLimitedLog::default());
        StageCounters { processor, incoming, outgoing, held, panics, pipeline }
    }

    /// The processor's id.
    pub(super) fn processor(&self) -> &str {
        &self.processor
    }

    /// Enters a batch that passed, with what its processor said of the items that did not. Items of which it
    /// said nothing are dropped under its own name, so that the books add up whatever it does.
    pub(super) fn enter(&self, incoming: usize, outgoing: usize, said: &Said) {
        self.incoming.add(incoming as u64);
        self.outgoing.add(outgoing as u64);
        self.held.add(said.kept);
        let mut told = outgoing + said.kept;
        for (reason, items) in &said.dropped {
            self.pipeline.dropped(reason, *items);
            told += items;
        }
        if told < incoming {
            self.pipeline.dropped(&self.processor, incoming - told);
        }
    }

    /// Enters items that were held and go on.
    pub(super) fn sent_on(&self, items: usize) {
        self.held.take(items);
        self.outgoing.add(items as u64);
    }

    /// Enters items that were held and end here.
    pub(super) fn let_go(&self, reason: &str, items: usize) {
        self.held.take(items);
        self.pipeline.dropped(reason, items);
    }
}

/// Holds what became of everything that one exporter should have sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Items that its receivers took in.
    pub received: u64,
    /// Items its backend has.
    pub sent: u64,
    /// Items that ended on the way, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Says why sending failed last, in one line.
    pub last_failure: Option<String>,
    /// The exporter could not be made, for that reason.
    pub off: bool,
}

impl Account {
    /// Items still here: none once the process has drained without a storage.
    pub fn held(&self) -> u64 {
        self.received.saturating_sub(self.sent + self.dropped.values().sum::<u64>())
    }

    /// Says whether anything did not arrive, or could not have.
    pub fn is_bad(&self) -> bool {
        !self.dropped.is_empty() || self.held() > 0 || self.off
    }

    /// Adds what came in for the exporter and is kept before it.
    pub(super) fn add_held(&mut self, items: u64) {
        self.received += items;
    }

    /// Adds what came in for the exporter and was dropped before it.
    pub(super) fn add_drops(&mut self, drops: BTreeMap<String, u64>) {
        for (reason, items) in drops {
            self.received += items;
            *self.dropped.entry(reason).or_default() += items;
        }
    }
}

/// The last log line's text: `received=9 sent=7 dropped=2 (rejected=2) held=0 last_failure="no such tenant"`.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.dropped.values().sum();
        write!(f, "received={} sent={} dropped={total}", self.received, self.sent)?;
        for (i, (reason, items)) in self.dropped.iter().enumerate() {
            write!(f, "{}{reason}={items}", if i == 0 { " (" } else { " " })?;
        }
        let close = if self.dropped.is_empty() { "" } else { ")" };
        write!(f, "{close} held={}", self.held())?;
        match &self.last_failure {
            Some(why) if self.is_bad() => write!(f, " last_failure={why:?}"),
            _ => Ok(()),
        }
    }
}
