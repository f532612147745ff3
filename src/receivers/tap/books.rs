//! The state machine's books as counters with names that the outside knows.

use crate::mcp::Counts;
use crate::pipeline::books::DROPPED;
use crate::pipeline::{Build, Counter};

/// Counters that follow the [`Counts`] of one tap.
pub(in crate::receivers) struct Followed(Vec<Row>);

/// A number of [`Counts`] and the counter that follows it.
struct Row {
    of: fn(&Counts) -> u64,
    counter: Counter,
    told: u64,
}

impl Followed {
    /// The counters of the component that is built.
    pub(in crate::receivers) fn new(cx: &Build<'_>) -> Self {
        let id = cx.id.to_string();
        let row = |of, name: &'static str, labels: &[(&'static str, &str)]| Row {
            of,
            counter: cx.vitals.counter(name, labels),
            told: 0,
        };
        let seen =
            |of, kind: &str| row(of, "mcpcol_mcp_messages", &[("receiver", &id), ("kind", kind)]);
        let odd =
            |of, kind: &str| row(of, "mcpcol_mcp_oddities", &[("receiver", &id), ("kind", kind)]);
        let lost = |of, reason: &str| {
            row(of, DROPPED, &[("kind", "receiver"), ("component", &id), ("reason", reason)])
        };
        Followed(vec![
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
            odd(|c| c.bad_traceparents, "bad_traceparent"),
            odd(|c| c.events_dropped, "event_dropped"),
            odd(|c| c.content_dropped, "content_dropped"),
            odd(|c| c.cut, "cut"),
            lost(|c| c.dropped.gap, "gap"),
            lost(|c| c.dropped.unreadable, "unreadable"),
            lost(|c| c.dropped.overflow, "overflow"),
            lost(|c| c.dropped.unsampled, "unsampled"),
        ])
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
