//! A batch on its way to the backend, and what it owes: to the accounts, and to who waits.

use super::super::accounting::ExporterCounters;
use crate::telemetry::{Receipt, Telemetry, Verdict};

/// Holds a batch that is being sent: whatever becomes of it is booked, also when its task is ended.
pub(super) struct InFlight<'a> {
    counters: &'a ExporterCounters,
    pub(super) telemetry: Telemetry,
    receipt: Option<Receipt>,
}

impl<'a> InFlight<'a> {
    pub(super) fn new(
        counters: &'a ExporterCounters,
        telemetry: Telemetry,
        receipt: Receipt,
    ) -> Self {
        InFlight { counters, telemetry, receipt: Some(receipt) }
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
            InFlight::new(self.counters, first, receipt.clone()),
            InFlight::new(self.counters, second, receipt),
        ])
    }

    /// Books it as dropped, and says so to who waits.
    pub(super) fn dropped(mut self, reason: &'static str, verdict: Verdict) {
        self.counters.dropped(self.telemetry.signal(), self.telemetry.items(), reason);
        if let Some(receipt) = self.receipt.take() {
            receipt.settle(verdict);
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if self.receipt.is_some() {
            self.counters.dropped(self.telemetry.signal(), self.telemetry.items(), "shutdown");
        }
    }
}
