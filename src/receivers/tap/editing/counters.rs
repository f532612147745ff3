//! Counts what is edited and what is not, under names that the outside knows.

use std::sync::Arc;

use super::{Counts, Editing};
use crate::metrics::Metrics;
use crate::pipeline::Build;

/// Counters that follow what one tap edits.
pub(in crate::receivers) struct EditCounters {
    metrics: Metrics,
    receiver: String,
    of: Option<Arc<Editing>>,
    told: Counts,
}

impl EditCounters {
    /// Those of the component that is built; nothing to follow yet.
    pub(in crate::receivers) fn new(cx: &Build<'_>) -> Self {
        EditCounters {
            metrics: cx.metrics().clone(),
            receiver: cx.id.to_string(),
            of: None,
            told: Counts::new(),
        }
    }

    /// Follows this one.
    pub(in crate::receivers) fn follow(mut self, editing: Option<Arc<Editing>>) -> Self {
        self.of = editing;
        self
    }

    /// Brings the counters up to date.
    pub(in crate::receivers) fn tell(&mut self) {
        let Some(editing) = &self.of else { return };
        for (&(became, reason), &now) in &editing.state().counts {
            let told = self.told.entry((became, reason)).or_default();
            let labels = [("receiver", self.receiver.as_str()), ("reason", reason)];
            let labels = if reason.is_empty() { &labels[..1] } else { &labels[..] };
            self.metrics.counter(became.metric(), labels).add(now - *told);
            *told = now;
        }
    }
}
