//! Who counts what: the accounts behind "received = sent + dropped + held".
//!
//! Counting happens here, on the edges, in the Collector's names where it has one. Components do not
//! count themselves; a tap adds only what never became an item.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::pass::Said;
use super::{Complaint, Counter, Gauge, INCIDENTS, Id, Vitals};
use crate::telemetry::Signal;

/// Items that were dropped somewhere, by component and reason. Dropped is dropped: the name says what
/// kind of component did it.
pub const DROPPED: &str = "mcpcol_dropped_items";

/// Items that a processor keeps for later.
const HELD: &str = "mcpcol_processor_held_items";

/// The account of one exporter.
#[derive(Clone, Debug)]
pub(super) struct ExporterBooks {
    vitals: Vitals,
    id: String,
    signals: [ExporterCounters; 3],
}

#[derive(Clone, Debug)]
struct ExporterCounters {
    received: Counter,
    sent: Counter,
    failed: Counter,
    enqueue_failed: Counter,
}

impl ExporterBooks {
    pub(super) fn new(vitals: &Vitals, id: &Id) -> Self {
        let id = id.to_string();
        let signals = Signal::ALL.map(|signal| {
            let label = [("exporter", id.as_str())];
            let [sent, failed, enqueue_failed] = exporter_names(signal);
            let received = [("exporter", id.as_str()), ("signal", signal.name())];
            ExporterCounters {
                received: vitals.counter("mcpcol_exporter_received_items", &received),
                sent: vitals.counter(sent, &label),
                failed: vitals.counter(failed, &label),
                enqueue_failed: vitals.counter(enqueue_failed, &label),
            }
        });
        ExporterBooks { vitals: vitals.clone(), id, signals }
    }

    /// The gauge of the queue's level; its capacity never changes.
    pub(super) fn queue_size(&self, capacity: usize) -> Gauge {
        let label = [("exporter", self.id.as_str())];
        let limit = self.vitals.gauge("otelcol_exporter_queue_capacity", &label);
        limit.set(i64::try_from(capacity).unwrap_or(i64::MAX));
        self.vitals.gauge("otelcol_exporter_queue_size", &label)
    }

    /// The gauge of the bytes that the queue holds; their limit never changes.
    pub(super) fn queue_bytes(&self, limit: usize) -> Gauge {
        let label = [("exporter", self.id.as_str())];
        let gauge = self.vitals.gauge("mcpcol_exporter_queue_bytes_limit", &label);
        gauge.set(i64::try_from(limit).unwrap_or(i64::MAX));
        self.vitals.gauge("mcpcol_exporter_queue_bytes", &label)
    }

    pub(super) fn received(&self, signal: Signal, items: usize) {
        self.of(signal).received.add(items as u64);
    }

    pub(super) fn sent(&self, signal: Signal, items: usize) {
        self.of(signal).sent.add(items as u64);
    }

    /// Items that the queue had no room for.
    pub(super) fn refused(&self, signal: Signal, items: usize, reason: &'static str) {
        self.of(signal).enqueue_failed.add(items as u64);
        count_drop(&self.vitals, "exporter", &self.id, reason, items as u64);
    }

    /// Items that were in the queue and could not be sent.
    pub(super) fn dropped(&self, signal: Signal, items: usize, reason: &'static str) {
        self.of(signal).failed.add(items as u64);
        count_drop(&self.vitals, "exporter", &self.id, reason, items as u64);
    }

    fn of(&self, signal: Signal) -> &ExporterCounters {
        &self.signals[signal as usize]
    }

    /// Received, sent and dropped by reason, over all signals.
    pub(super) fn account(&self) -> Account {
        let sum = |of: fn(&ExporterCounters) -> &Counter| {
            self.signals.iter().map(|counters| of(counters).get()).sum()
        };
        Account {
            received: sum(|c| &c.received),
            sent: sum(|c| &c.sent),
            dropped: drops(&self.vitals, "exporter", &self.id, None),
            ..Account::default()
        }
    }
}

fn exporter_names(signal: Signal) -> [&'static str; 3] {
    match signal {
        Signal::Traces => [
            "otelcol_exporter_sent_spans",
            "otelcol_exporter_send_failed_spans",
            "otelcol_exporter_enqueue_failed_spans",
        ],
        Signal::Metrics => [
            "otelcol_exporter_sent_metric_points",
            "otelcol_exporter_send_failed_metric_points",
            "otelcol_exporter_enqueue_failed_metric_points",
        ],
        Signal::Logs => [
            "otelcol_exporter_sent_log_records",
            "otelcol_exporter_send_failed_log_records",
            "otelcol_exporter_enqueue_failed_log_records",
        ],
    }
}

/// The counter of items of one signal that end at a receiver, for a reason: they never got into a
/// pipeline, and are part of what its exporters should have had.
pub fn receiver_drops(vitals: &Vitals, id: &Id, signal: Signal, reason: &str) -> Counter {
    let id = id.to_string();
    let labels = [
        ("kind", "receiver"),
        ("component", id.as_str()),
        ("reason", reason),
        ("signal", signal.name()),
    ];
    vitals.counter(DROPPED, &labels)
}

/// Counts the items that come into one pipeline, and those that end in it before its exporters.
#[derive(Debug)]
pub(super) struct PipelineCounters {
    vitals: Vitals,
    id: String,
    accepted: Counter,
    panics: Complaint,
}

impl PipelineCounters {
    pub(super) fn new(vitals: &Vitals, id: &str) -> Self {
        let accepted = vitals.counter("mcpcol_pipeline_accepted_items", &[("pipeline", id)]);
        let panics = Complaint::default();
        PipelineCounters { vitals: vitals.clone(), id: id.to_owned(), accepted, panics }
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
        count_drop(&self.vitals, "pipeline", &self.id, reason, items as u64);
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
    pub(super) panics: Complaint,
}

impl StageCounters {
    pub(super) fn new(pipeline: Arc<PipelineCounters>, processor: &str, signal: Signal) -> Self {
        let vitals = &pipeline.vitals;
        let labels = [("processor", processor), ("otel.signal", signal.name())];
        let incoming = vitals.counter("otelcol_processor_incoming_items", &labels);
        let outgoing = vitals.counter("otelcol_processor_outgoing_items", &labels);
        let labels = [("pipeline", pipeline.id()), ("processor", processor)];
        let held = vitals.gauge(HELD, &labels);
        let (processor, panics) = (processor.to_owned(), Complaint::default());
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

/// Counts items that end at a component, for a reason.
pub(super) fn count_drop(vitals: &Vitals, kind: &str, id: &str, reason: &str, items: u64) {
    vitals.counter(DROPPED, &[("kind", kind), ("component", id), ("reason", reason)]).add(items);
}

/// What a component dropped, by reason; of one signal, or of all. A count without a signal belongs to a
/// component that has but one.
pub(super) fn drops(
    vitals: &Vitals,
    kind: &str,
    id: &str,
    signal: Option<Signal>,
) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    for sample in vitals.samples().into_iter().filter(|sample| sample.name == DROPPED) {
        let [(_, k), (_, component), (_, reason), rest @ ..] = sample.labels.as_slice() else {
            continue;
        };
        let foreign = |of: &str| signal.is_some_and(|signal| of != signal.name());
        let other = rest.iter().any(|(name, of)| *name == "signal" && foreign(of));
        if k == kind && component == id && !other && sample.value > 0 {
            *out.entry(reason.clone()).or_default() +=
                u64::try_from(sample.value).unwrap_or(u64::MAX);
        }
    }
    out
}

/// Items that the processors of a pipeline still keep.
pub(super) fn held(vitals: &Vitals, pipeline: &str) -> u64 {
    let samples = vitals.samples().into_iter().filter(|sample| sample.name == HELD);
    let here = samples.filter(|sample| sample.labels[0].1 == pipeline);
    here.map(|sample| u64::try_from(sample.value).unwrap_or_default()).sum()
}

/// What became of everything that one exporter should have sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Items that its receivers took in.
    pub received: u64,
    /// Items its backend has.
    pub sent: u64,
    /// Items that ended on the way, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Why sending failed last, in one line.
    pub last_failure: Option<String>,
    /// The exporter could not be made, for that reason.
    pub off: bool,
}

impl Account {
    /// Items still here: none once the process has drained without a storage.
    pub fn held(&self) -> u64 {
        self.received.saturating_sub(self.sent + self.dropped.values().sum::<u64>())
    }

    /// Whether anything did not arrive, or could not have.
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
