//! Exports the counts of a tap's state machine as counters with names that the outside knows.

use crate::mcp::{Counts, PassbackCounts};
use crate::metrics::{Counter, Metric, names};
use crate::pipeline::Build;
use crate::telemetry::Signal;

/// Brings counters up to the [`Counts`] of one tap.
pub(in crate::receivers) struct CountsExporter(Vec<Row>);

type Of = Box<dyn Fn(&Counts) -> u64 + Send>;

/// A number of [`Counts`] and the counter that follows it.
struct Row {
    of: Of,
    counter: Counter,
    told: u64,
}

impl CountsExporter {
    /// The counters of the component that is built.
    pub(in crate::receivers) fn new(cx: &Build<'_>) -> Self {
        let id = cx.id.to_string();
        let row = |of: Of, metric: &Metric<Counter>, labels: &[(&'static str, &str)]| Row {
            of,
            counter: cx.metrics().counter(metric, labels),
            told: 0,
        };
        let of_kind = |of: Of, metric: &Metric<Counter>, kind: &str| {
            row(of, metric, &[("receiver", id.as_str()), ("kind", kind)])
        };
        let seen =
            |of: fn(&Counts) -> u64, kind: &str| of_kind(Box::new(of), &names::MCP_MESSAGES, kind);
        let odd =
            |of: fn(&Counts) -> u64, kind: &str| of_kind(Box::new(of), &names::MCP_ODDITIES, kind);
        let lost_in = |of: Of, signal, reason: &str| Row {
            of,
            counter: cx.accounts.receiver_drops(cx.id, signal, reason),
            told: 0,
        };
        let lost_of = |of: Of, reason: &str| lost_in(of, Signal::Traces, reason);
        let lost = |of: fn(&Counts) -> u64, reason: &str| lost_of(Box::new(of), reason);
        let mut rows = vec![
            seen(|c| c.requests, "request"),
            seen(|c| c.notifications, "notification"),
            seen(|c| c.answers, "answer"),
            odd(|c| c.junk, "junk"),
            odd(|c| c.not_rpc, "not_rpc"),
            odd(|c| c.orphans, "orphan_answer"),
            odd(|c| c.late, "late_answer"),
            odd(|c| c.replayed, "replayed_event"),
            odd(|c| c.duplicate_ids, "duplicate_id"),
            odd(|c| c.cancels_unknown, "cancel_of_unknown"),
            odd(|c| c.text_ids, "id_as_text"),
            odd(|c| c.header_mismatches, "header_mismatch"),
            odd(|c| c.pending, "pending_call"),
            odd(|c| c.bad_traceparents, "bad_traceparent"),
            odd(|c| c.events_dropped, "event_dropped"),
            odd(|c| c.content_dropped, "content_dropped"),
            odd(|c| c.cut, "cut"),
            lost(|c| c.dropped.gap, "gap"),
            lost(|c| c.dropped.unreadable, "unreadable"),
            lost(|c| c.dropped.overflow, "overflow"),
            lost_in(Box::new(|c| c.logs.rate), Signal::Logs, "rate"),
            lost_in(Box::new(|c| c.logs.gap), Signal::Logs, "gap"),
            odd(|c| c.logs.cut, "log_cut"),
            seen(|c| c.passback.answers, "answer_with_passback"),
            of_kind(Box::new(|c| c.passback.spans), &names::MCP_SPANS, "passback"),
        ];
        let none = PassbackCounts::default();
        for (i, (kind, _)) in none.oddities().into_iter().enumerate() {
            let of = Box::new(move |c: &Counts| c.passback.oddities()[i].1);
            rows.push(of_kind(of, &names::MCP_ODDITIES, kind));
        }
        for (i, (reason, _)) in none.refused.reasons().into_iter().enumerate() {
            rows.push(lost_of(Box::new(move |c| c.passback.refused.reasons()[i].1), reason));
        }
        CountsExporter(rows)
    }

    /// Brings the counters up to date.
    pub(in crate::receivers) fn tell(&mut self, counts: &Counts) {
        for row in &mut self.0 {
            let now = (row.of)(counts);
            row.counter.add(now - row.told);
            row.told = now;
        }
    }
}
