//! What stands behind a receiver's outlet: every pipeline that names it.
//!
//! An offer runs all chains first and then asks the queues, so that exporters which refuse when full
//! take a batch all or none: the sender's retry duplicates nothing. A tap has no sender that could
//! come again, so for it a full queue is a counted drop there and a delivery everywhere else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use super::chain::Chain;
use super::delivery::{Delivery, Permit};
use super::outlet::{Target, Transport};
use super::{Counter, Vitals};
use crate::privacy::digest::Key;
use crate::settings::OnFull;
use crate::telemetry::{Batch, Reads, Signal, Verdict};

/// All pipelines of one receiver.
pub(super) struct Route {
    id: String,
    branches: Vec<Branch>,
    vitals: Vitals,
    /// By transport, made when something comes in over it.
    books: [OnceLock<Books>; Transport::ALL.len()],
}

/// What came in over one transport, by signal.
struct Books {
    accepted: [Counter; 3],
    refused: [Counter; 3],
}

/// One pipeline: its chain and its exporters.
#[derive(Clone)]
pub(super) struct Branch {
    pub(super) signal: Signal,
    pub(super) chain: Arc<Chain>,
    pub(super) exits: Arc<[Arc<Delivery>]>,
}

/// A batch for one exporter, and what its queue said.
struct Offer<'a> {
    delivery: &'a Delivery,
    on_full: OnFull,
    batch: Batch,
    answer: Result<Permit, Verdict>,
}

/// What each chain let through, to be booked once the batch is taken.
type Counts<'a> = Vec<(&'a Chain, Vec<usize>)>;

impl Route {
    /// The route of the receiver (or emitting processor) `id`.
    pub(super) fn new(id: &str, branches: Vec<Branch>, vitals: &Vitals) -> Self {
        Route { id: id.to_owned(), branches, vitals: vitals.clone(), books: Default::default() }
    }

    fn books(&self, transport: Transport) -> &Books {
        self.books[transport as usize].get_or_init(|| {
            let labels = [("receiver", self.id.as_str()), ("transport", transport.name())];
            let labels = if transport == Transport::None { &labels[..1] } else { &labels[..] };
            let all = |at: usize| {
                Signal::ALL.map(|signal| self.vitals.counter(names(signal)[at], labels))
            };
            Books { accepted: all(0), refused: all(1) }
        })
    }

    fn run(&self, batch: Batch) -> (Vec<Offer<'_>>, Counts<'_>) {
        let signal = batch.telemetry.signal();
        let mut offers = Vec::new();
        let mut counts = Vec::new();
        let mut chains: Vec<_> = self.branches.iter().filter(|b| b.signal == signal).collect();
        let last = chains.pop();
        for branch in chains {
            branch.run(batch.clone(), &mut offers, &mut counts);
        }
        if let Some(branch) = last {
            branch.run(batch, &mut offers, &mut counts);
        }
        (offers, counts)
    }
}

impl Branch {
    fn run<'a>(&'a self, batch: Batch, offers: &mut Vec<Offer<'a>>, counts: &mut Counts<'a>) {
        let items = batch.telemetry.items();
        // A bug of a processor must not take the tap's observer with it; the batch is lost and counted.
        let Ok(passed) = catch_unwind(AssertUnwindSafe(|| self.chain.run(batch))) else {
            return self.chain.book_panic(items);
        };
        let (batch, items) = passed.into_parts();
        counts.push((&*self.chain, items));
        let Some(mut batch) = batch else { return };
        batch.telemetry = batch.telemetry.into_wire();
        let alone = self.exits.len() == 1;
        let mut exits: Vec<&Delivery> = self.exits.iter().map(|delivery| &**delivery).collect();
        let last = exits.pop();
        for delivery in exits {
            offers.push(Offer::new(delivery, alone, batch.clone()));
        }
        if let Some(delivery) = last {
            offers.push(Offer::new(delivery, alone, batch));
        }
    }
}

impl<'a> Offer<'a> {
    fn new(delivery: &'a Delivery, alone: bool, batch: Batch) -> Self {
        let answer = delivery.reserve(&batch.telemetry, batch.receipt.awaited());
        Offer { delivery, on_full: delivery.on_full(alone), batch, answer }
    }

    /// The answer that turns the whole batch back, if this is one.
    fn refusal(&self) -> Option<Verdict> {
        match &self.answer {
            Err(verdict) if self.on_full == OnFull::Refuse && self.batch.receipt.awaited() => {
                Some(verdict.clone())
            }
            _ => None,
        }
    }

    fn conclude(self) {
        let Batch { telemetry, receipt, .. } = self.batch;
        match self.answer {
            Ok(place) => self.delivery.commit(place, telemetry, receipt),
            Err(verdict) => {
                self.delivery.overflow(&telemetry, &verdict);
                receipt.settle(Verdict::Accepted);
            }
        }
    }
}

impl Target for Route {
    fn takes(&self, signal: Signal) -> bool {
        self.branches.iter().any(|branch| branch.signal == signal)
    }

    fn reads(&self) -> Reads {
        self.branches.iter().map(|branch| branch.chain.reads()).fold(Reads::NONE, Reads::or)
    }

    fn key(&self) -> Option<Key> {
        self.branches.iter().find_map(|branch| branch.chain.key())
    }

    fn offer(&self, batch: Batch, transport: Transport) {
        let (signal, items) = (batch.telemetry.signal(), batch.telemetry.items() as u64);
        let books = self.books(transport);
        if !self.takes(signal) {
            books.refused[signal as usize].add(items);
            let why = format!("no pipeline of {} takes this", signal.name());
            return batch.receipt.settle(Verdict::Rejected(why));
        }
        let (offers, counts) = self.run(batch);
        if let Some(verdict) = offers.iter().find_map(Offer::refusal) {
            books.refused[signal as usize].add(items);
            for offer in offers {
                offer.batch.receipt.settle(verdict.clone());
            }
            return;
        }
        books.accepted[signal as usize].add(items);
        for (chain, passed) in counts {
            chain.book(&passed);
        }
        for offer in offers {
            offer.conclude();
        }
    }
}

fn names(signal: Signal) -> [&'static str; 2] {
    match signal {
        Signal::Traces => ["otelcol_receiver_accepted_spans", "otelcol_receiver_refused_spans"],
        Signal::Metrics => {
            ["otelcol_receiver_accepted_metric_points", "otelcol_receiver_refused_metric_points"]
        }
        Signal::Logs => {
            ["otelcol_receiver_accepted_log_records", "otelcol_receiver_refused_log_records"]
        }
    }
}
