//! What stands behind a receiver's outlet: every pipeline that names it.
//!
//! An offer runs all chains first and then asks the queues, so that a batch that a processor or a full
//! exporter turns back is taken by all or by none: the sender's retry duplicates nothing, and what stages
//! did for it has not happened. A tap has no sender that could come again, so for it a refusal is a counted
//! drop there and a delivery everywhere else.

use std::sync::{Arc, OnceLock};

use super::accounting::PipelineCounters;
use super::chain::{AtExits, Chain, End, Passed, Rest};
use super::gate::Offer;
use super::onlookers::Onlookers;
use super::outlet::{Consumer, Transport};
use crate::metrics::{Counter, Metric, Metrics, names};
use crate::telemetry::{Batch, Nanos, Needs, Receipt, Signal, Telemetry, Verdict};

/// All pipelines of one receiver.
pub(super) struct Route {
    id: String,
    branches: Vec<Branch>,
    onlookers: Arc<Onlookers>,
    metrics: Metrics,
    /// By transport, made when something comes in over it.
    counters: [OnceLock<ReceiverCounters>; Transport::ALL.len()],
}

/// Holds what came in over one transport, by signal.
struct ReceiverCounters {
    accepted: [Counter; 3],
    refused: [Counter; 3],
}

/// One pipeline.
#[derive(Clone)]
pub(super) struct Branch {
    pub(super) signal: Signal,
    pub(super) chain: Arc<Chain>,
    /// Shows onlookers what leaves it, for its receiver.
    pub(super) shown: bool,
}

/// Holds what came of a batch in one pipeline, before it is taken or turned back.
struct Answer<'a> {
    counters: &'a Arc<PipelineCounters>,
    /// Items that came in.
    items: usize,
    shown: bool,
    /// `None` if a processor panicked.
    passed: Option<Passed<Vec<Offer<'a>>>>,
}

impl Route {
    /// The route of the receiver (or emitting processor) `id`.
    pub(super) fn new(
        id: &str,
        branches: Vec<Branch>,
        onlookers: Arc<Onlookers>,
        metrics: &Metrics,
    ) -> Self {
        Route {
            id: id.to_owned(),
            branches,
            onlookers,
            metrics: metrics.clone(),
            counters: Default::default(),
        }
    }

    fn counters(&self, transport: Transport) -> &ReceiverCounters {
        self.counters[transport as usize].get_or_init(|| {
            let labels = [("receiver", self.id.as_str()), ("transport", transport.name())];
            let labels = if transport == Transport::None { &labels[..1] } else { &labels[..] };
            let all = |at: usize| {
                Signal::ALL.map(|signal| self.metrics.counter(receiver_metrics(signal)[at], labels))
            };
            ReceiverCounters { accepted: all(0), refused: all(1) }
        })
    }

    /// Runs the chains of the batch's signal and asks the queues behind them.
    fn run(&self, batch: Batch) -> Vec<Answer<'_>> {
        let signal = batch.telemetry.signal();
        let mut branches: Vec<_> = self.branches.iter().filter(|b| b.signal == signal).collect();
        let last = branches.pop();
        let mut answers: Vec<_> = branches.into_iter().map(|b| b.run(batch.clone())).collect();
        answers.extend(last.map(|branch| branch.run(batch)));
        answers
    }
}

impl Branch {
    fn run(&self, batch: Batch) -> Answer<'_> {
        let items = batch.telemetry.items();
        let answer = Answer::of(self.chain.run(batch), items, &self.chain.counters);
        Answer { shown: self.shown, ..answer }
    }
}

/// Sends a batch that nobody waits for through the rest of a chain.
pub(super) fn go_on(rest: &Rest, batch: Batch, now: Nanos, counters: &Arc<PipelineCounters>) {
    let (items, receipt) = (batch.telemetry.items(), batch.receipt.clone());
    Answer::of(rest.run(batch, now), items, counters).conclude(&receipt);
    receipt.settle(Verdict::Accepted);
}

impl<'a> Answer<'a> {
    fn of(
        passed: Option<Passed<AtExits<'a>>>,
        items: usize,
        counters: &'a Arc<PipelineCounters>,
    ) -> Self {
        let passed = passed.map(|Passed { end, steps }| Passed { end: end.map(offers), steps });
        Answer { counters, items, shown: false, passed }
    }

    /// The answer that turns the whole batch back, if a processor or a queue gave one. Where nobody waits for
    /// it, nobody does.
    fn refusal(&self) -> Option<Verdict> {
        match &self.passed.as_ref()?.end {
            End::Exits(offers) => offers.iter().find_map(Offer::refusal),
            End::Refused { receipt, verdict, .. } if receipt.awaited() => Some(verdict.clone()),
            End::Refused { .. } | End::Done(_) => None,
        }
    }

    /// Returns what onlookers are to see: the batch as it left the chain.
    fn shown(&self) -> Option<&Telemetry> {
        match &self.passed.as_ref()?.end {
            End::Exits(offers) if self.shown => offers.first().map(Offer::telemetry),
            _ => None,
        }
    }

    /// Gives the batch to the queues. What the stages said and want done happens once `receipt` is Accepted.
    fn conclude(self, receipt: &Receipt) {
        let Some(Passed { end, steps }) = self.passed else {
            return self.counters.panicked(self.items);
        };
        steps.entrust(receipt);
        match end {
            End::Exits(offers) => offers.into_iter().for_each(Offer::conclude),
            End::Done(receipt) => receipt.settle(Verdict::Accepted),
            End::Refused { receipt, items, by, .. } => {
                self.counters.dropped(by.processor(), items);
                receipt.settle(Verdict::Accepted);
            }
        }
    }

    fn turn_back(self, verdict: &Verdict) {
        match self.passed.map(|passed| passed.end) {
            Some(End::Exits(offers)) => {
                offers.into_iter().for_each(|offer| offer.turn_back(verdict.clone()));
            }
            Some(End::Done(receipt) | End::Refused { receipt, .. }) => {
                receipt.settle(verdict.clone());
            }
            None => {}
        }
    }
}

/// Offers a batch to each of its exporters.
fn offers((exits, batch): AtExits<'_>) -> Vec<Offer<'_>> {
    let alone = exits.len() == 1;
    let Some((last, others)) = exits.split_last() else {
        batch.receipt.settle(Verdict::Accepted);
        return Vec::new();
    };
    let mut offers = Vec::with_capacity(exits.len());
    offers.extend(others.iter().map(|gate| gate.offer(batch.clone(), alone)));
    offers.push(last.offer(batch, alone));
    offers
}

impl Consumer for Route {
    fn takes(&self, signal: Signal) -> bool {
        self.branches.iter().any(|branch| branch.signal == signal)
    }

    fn needs(&self) -> Needs {
        self.branches.iter().map(|branch| branch.chain.needs()).fold(Needs::NONE, Needs::or)
    }

    fn offer(&self, batch: Batch, transport: Transport) {
        let (signal, items) = (batch.telemetry.signal(), batch.telemetry.items() as u64);
        let counters = self.counters(transport);
        if !self.takes(signal) {
            counters.refused[signal as usize].add(items);
            let why = format!("no pipeline of {} takes this", signal.name());
            return batch.receipt.settle(Verdict::Rejected(why));
        }
        let receipt = batch.receipt.clone();
        let answers = self.run(batch);
        if let Some(verdict) = answers.iter().find_map(Answer::refusal) {
            counters.refused[signal as usize].add(items);
            answers.into_iter().for_each(|answer| answer.turn_back(&verdict));
            return receipt.settle(verdict);
        }
        counters.accepted[signal as usize].add(items);
        for answer in answers {
            if let Some(telemetry) = answer.shown().filter(|_| self.onlookers.are_there()) {
                let (onlookers, telemetry) = (Arc::clone(&self.onlookers), telemetry.clone());
                receipt.once_accepted(move || onlookers.show(&telemetry));
            }
            let (counters, items) = (Arc::clone(answer.counters), answer.items);
            receipt.once_accepted(move || counters.accepted(items));
            answer.conclude(&receipt);
        }
        receipt.settle(Verdict::Accepted);
    }
}

fn receiver_metrics(signal: Signal) -> [&'static Metric<Counter>; 2] {
    match signal {
        Signal::Traces => [&names::RECEIVER_ACCEPTED_SPANS, &names::RECEIVER_REFUSED_SPANS],
        Signal::Metrics => {
            [&names::RECEIVER_ACCEPTED_METRIC_POINTS, &names::RECEIVER_REFUSED_METRIC_POINTS]
        }
        Signal::Logs => {
            [&names::RECEIVER_ACCEPTED_LOG_RECORDS, &names::RECEIVER_REFUSED_LOG_RECORDS]
        }
    }
}
