//! The way from a pipeline to one exporter: what that exporter is not to have ends here, on its own account.
//!
//! Spans of a tap whose callers did not sample come this far, so that processors see every call. Behind the gate
//! nothing is marked: what waits there may be joined.

use std::sync::Arc;

use super::accounting::ExporterCounters;
use super::delivery::{Delivery, Permit};
use crate::settings::OnFull;
use crate::telemetry::{Batch, Telemetry, Verdict};

/// An exporter, as a pipeline sees it.
pub(super) struct Gate {
    delivery: Arc<Delivery>,
    counters: ExporterCounters,
    keeps_unsampled: bool,
}

/// A batch before a gate.
pub(super) struct Offer<'a> {
    gate: &'a Gate,
    on_full: OnFull,
    batch: Batch,
    place: Place,
}

/// Says where a batch would go.
enum Place {
    Queue(Permit),
    /// There is no room for it.
    Full(Verdict),
    /// The exporter is not to have it.
    Outside,
}

impl Gate {
    /// The way to `delivery`, which has these counters.
    pub(super) fn new(
        delivery: Arc<Delivery>,
        counters: ExporterCounters,
        keeps_unsampled: bool,
    ) -> Self {
        delivery.join();
        Gate { delivery, counters, keeps_unsampled }
    }

    /// Asks for room for a batch; `alone`: the pipeline has no other exporter.
    pub(super) fn offer(&self, batch: Batch, alone: bool) -> Offer<'_> {
        let place = if batch.telemetry.sampled() || self.keeps_unsampled {
            let room = self.delivery.reserve(&batch.telemetry, batch.receipt.awaited());
            room.map_or_else(Place::Full, Place::Queue)
        } else {
            Place::Outside
        };
        Offer { gate: self, on_full: self.delivery.on_full(alone), batch, place }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.delivery.leave();
    }
}

impl Offer<'_> {
    /// Shows what is offered.
    pub(super) fn telemetry(&self) -> &Telemetry {
        &self.batch.telemetry
    }

    /// The answer that turns the whole batch back, if this is one.
    pub(super) fn refusal(&self) -> Option<Verdict> {
        match &self.place {
            Place::Full(verdict)
                if self.on_full == OnFull::Refuse && self.batch.receipt.awaited() =>
            {
                Some(verdict.clone())
            }
            _ => None,
        }
    }

    /// Gives the batch to the queue, or books why not.
    pub(super) fn conclude(self) {
        let Batch { telemetry, receipt, .. } = self.batch;
        let Gate { delivery, counters, .. } = self.gate;
        match self.place {
            Place::Queue(room) => delivery.commit(room, telemetry.with_sampled(true), receipt),
            Place::Full(verdict) => {
                delivery.overflow(&telemetry, &verdict);
                receipt.settle(Verdict::Accepted);
            }
            Place::Outside => {
                counters.unsampled(telemetry.signal(), telemetry.items());
                receipt.settle(Verdict::Accepted);
            }
        }
    }

    /// Leaves it as if it had not come.
    pub(super) fn turn_back(self, verdict: Verdict) {
        self.batch.receipt.settle(verdict);
    }
}
