//! Counts what the pass over a batch found, in counters once the batch is accepted.

use std::collections::HashMap;
use std::sync::Arc;

use super::places::Spot;
use crate::metrics::{Metrics, names};
use crate::privacy::redact::{Redactor, RuleId, Why};

/// Counts matches and failures of one batch. Rules are bounded by the settings, spots by OTLP's schema.
#[derive(Debug, Default)]
pub(super) struct Counts {
    masked: HashMap<(RuleId, Spot), u64>,
    failed: HashMap<Why, u64>,
}

impl Counts {
    pub(super) fn is_empty(&self) -> bool {
        self.masked.is_empty() && self.failed.is_empty()
    }

    pub(super) fn masked(&mut self, spot: Spot, hits: &[(RuleId, u32)]) {
        for (rule, times) in hits {
            *self.masked.entry((*rule, spot)).or_default() += u64::from(*times);
        }
    }

    pub(super) fn failed(&mut self, why: Why) {
        *self.failed.entry(why).or_default() += 1;
    }
}

/// The counters of one processor.
pub(super) struct Counters {
    processor: String,
    redactor: Arc<Redactor>,
    metrics: Metrics,
}

impl Counters {
    pub(super) fn new(processor: String, redactor: Arc<Redactor>, metrics: &Metrics) -> Self {
        let metrics = metrics.clone();
        // Failures are few and matter: their series are there before the first.
        for why in Why::ALL {
            let labels = [("processor", &*processor), ("reason", why.name())];
            metrics.counter(&names::REDACTION_FAILED, &labels);
        }
        Counters { processor, redactor, metrics }
    }

    pub(super) fn count(&self, counts: Counts) {
        for ((rule, spot), times) in counts.masked {
            let (rule, place) = (self.redactor.rule_name(rule), spot.label());
            let labels = [("processor", &*self.processor), ("rule", rule), ("place", &*place)];
            self.metrics.counter(&names::REDACTION_MASKED, &labels).add(times);
        }
        for (why, times) in counts.failed {
            let labels = [("processor", &*self.processor), ("reason", why.name())];
            self.metrics.counter(&names::REDACTION_FAILED, &labels).add(times);
        }
    }
}
