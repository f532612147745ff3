//! What the receiver counts itself: requests by outcome, refusals by reason, and items that no backend
//! would take. Items that are offered are counted by the pipelines.

use super::refusal::Reason;
use crate::mcp::PassbackCounts;
use crate::metrics::{Counter, RateLimitedLog, names};
use crate::otlp::json;
use crate::pipeline::{Accounts, Build, Id, Transport};
use crate::telemetry::Signal;

/// The counters of one protocol.
pub(super) struct ReceiverCounters {
    id: Id,
    accounts: Accounts,
    transport: Transport,
    taken: Counter,
    refused: Counter,
    strange: Counter,
    /// Connections that were closed because there were too many.
    pub(super) turned_away: Counter,
    /// Connections that gave their place to others.
    pub(super) displaced: Counter,
    /// Connections that were closed because of what came by them.
    pub(super) flooding: Counter,
    said: [RateLimitedLog; 3],
}

impl ReceiverCounters {
    pub(super) fn new(cx: &Build<'_>, transport: Transport) -> ReceiverCounters {
        let id = cx.id.to_string();
        let requests = |outcome| {
            let labels =
                [("receiver", id.as_str()), ("transport", transport.name()), ("outcome", outcome)];
            cx.metrics().counter(&names::RECEIVER_REQUESTS, &labels)
        };
        let labels = [("receiver", id.as_str()), ("transport", transport.name())];
        ReceiverCounters {
            taken: requests("success"),
            refused: requests("refused"),
            strange: cx.metrics().counter(&names::OTLP_STRANGE, &labels),
            turned_away: cx.metrics().counter(&names::OTLP_TURNED_AWAY, &labels),
            displaced: cx.metrics().counter(&names::OTLP_DISPLACED, &labels),
            flooding: cx.metrics().counter(&names::OTLP_FLOODING, &labels),
            id: cx.id.clone(),
            accounts: cx.accounts.clone(),
            transport,
            said: Default::default(),
        }
    }

    pub(super) fn taken(&self) {
        self.taken.add(1);
    }

    pub(super) fn refused(&self, reason: Reason) {
        self.refused.add(1);
        let id = self.id.to_string();
        let labels = [
            ("receiver", id.as_str()),
            ("transport", self.transport.name()),
            ("reason", reason.name()),
        ];
        self.accounts.metrics().counter(&names::OTLP_REFUSED, &labels).add(1);
    }

    /// Items with unusable ids: received, and dropped here.
    pub(super) fn invalid(&self, signal: Signal, items: usize, why: &str) {
        if items == 0 {
            return;
        }
        self.accounts.receiver_drops(&self.id, signal, "invalid").add(items as u64);
        if let Some(unsaid) = self.said[0].due() {
            tracing::warn!(receiver = %self.id, unsaid, items, "a sender's {why}");
        }
    }

    /// Texts that were not UTF-8, in items that were taken.
    pub(super) fn repaired(&self, signal: Signal, texts: usize) {
        if texts == 0 {
            return;
        }
        let id = self.id.to_string();
        let labels = [
            ("receiver", id.as_str()),
            ("transport", self.transport.name()),
            ("signal", signal.name()),
        ];
        self.accounts.metrics().counter(&names::OTLP_REPAIRED, &labels).add(texts as u64);
        if let Some(unsaid) = self.said[2].due() {
            tracing::warn!(receiver = %self.id, unsaid, strings = texts,
                "a sender's strings were not UTF-8: U+FFFD stands for what could not be read");
        }
    }

    /// Spans that were handed back before: received, and dropped here.
    pub(super) fn duplicates(&self, spans: u64) {
        if spans > 0 {
            let dropped =
                self.accounts.receiver_drops(&self.id, Signal::Traces, "passback_duplicate");
            dropped.add(spans);
        }
    }

    /// Gives what came of spans that a server handed back to the sender.
    pub(super) fn handed_back(&self, counts: &PassbackCounts) {
        for (reason, spans) in counts.refused.reasons().iter().filter(|(_, spans)| *spans > 0) {
            self.accounts.receiver_drops(&self.id, Signal::Traces, reason).add(*spans);
        }
        let id = self.id.to_string();
        for (kind, count) in counts.oddities().iter().filter(|(_, count)| *count > 0) {
            let labels = [("receiver", id.as_str()), ("kind", *kind)];
            self.accounts.metrics().counter(&names::MCP_ODDITIES, &labels).add(*count);
        }
    }

    /// A JSON document in which nothing is known: taken, because unknown members are to be ignored, but
    /// its sender surely meant something else.
    pub(super) fn strange(&self, signal: Signal) {
        self.strange.add(1);
        if let Some(unsaid) = self.said[1].due() {
            tracing::warn!(receiver = %self.id, unsaid,
                "a JSON request for {0} holds nothing that OTLP knows and was taken as empty; it should have `{1}`",
                signal.name(), json::root(signal.request()));
        }
    }
}
