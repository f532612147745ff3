//! A batch on its way to the backend, and what it owes: to the accounts, to the store, and to who waits.

use super::super::accounting::ExporterCounters;
use super::queue::Taken;
use crate::telemetry::{Receipt, Telemetry, Verdict};

/// Holds a batch that is being sent: whatever becomes of it is booked, also when its task is ended.
pub(super) struct InFlight<'a> {
    counters: &'a ExporterCounters,
    /// Holds what it is a part of.
    taken: &'a Taken,
    pub(super) telemetry: Telemetry,
    receipt: Option<Receipt>,
}

impl<'a> InFlight<'a> {
    pub(super) fn new(
        counters: &'a ExporterCounters,
        taken: &'a Taken,
        telemetry: Telemetry,
        receipt: Receipt,
    ) -> Self {
        InFlight { counters, taken, telemetry, receipt: Some(receipt) }
    }

    /// Books it as sent, but for what the backend refused of it.
    pub(super) fn sent(mut self, rejected: usize) {
        let (signal, items) = (self.telemetry.signal(), self.telemetry.items());
        self.counters.sent(signal, items - rejected);
        if rejected > 0 {
            self.counters.dropped(signal, rejected, "partial_success");
        }
        if let Some(receipt) = self.receipt.take() {
            receipt.settle(Verdict::Accepted);
        }
    }

    /// Makes two batches of one, each with its share of the items and both owing the answer; the
    /// batch itself if it cannot be cut.
    pub(super) fn halved(mut self) -> Result<[Self; 2], Self> {
        let Some(halves) = self.telemetry.halves() else { return Err(self) };
        let receipt = self.receipt.take().unwrap_or_else(Receipt::nobody);
        let [first, second] = halves;
        Ok([
            InFlight::new(self.counters, self.taken, first, receipt.clone()),
            InFlight::new(self.counters, self.taken, second, receipt),
        ])
    }

    /// Books it as dropped, and says so to who waits.
    pub(super) fn dropped(mut self, reason: &'static str, verdict: Verdict) {
        self.counters.dropped(self.telemetry.signal(), self.telemetry.items(), reason);
        if let Some(receipt) = self.receipt.take() {
            receipt.settle(verdict);
        }
    }

    /// Leaves it unsent because the process ends: held if the store lasts, else dropped. Says whether it is dropped.
    pub(super) fn left(mut self) -> bool {
        let dropped = self.book_left();
        if let Some(receipt) = self.receipt.take() {
            receipt.settle(Verdict::Retry { after: None });
        }
        dropped
    }

    fn book_left(&self) -> bool {
        let lost = !self.taken.leave();
        if lost {
            self.counters.dropped(self.telemetry.signal(), self.telemetry.items(), "shutdown");
        }
        lost
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if self.receipt.is_some() {
            self.book_left();
        }
    }
}
