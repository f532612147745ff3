//! Counts what the pass over a batch found, in counters once the batch is accepted.

use std::collections::HashMap;
use std::sync::Arc;

use super::places::Spot;
use crate::pipeline::Vitals;
use crate::privacy::redact::{Redactor, RuleId, Why};

/// Counts matches and failures of one batch. Rules are bounded by the settings, spots by OTLP's schema.
#[derive(Debug, Default)]
pub(super) struct Tally {
    masked: HashMap<(RuleId, Spot), u64>,
    failed: HashMap<Why, u64>,
}

impl Tally {
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
    vitals: Vitals,
}

impl Counters {
    pub(super) fn new(processor: String, redactor: Arc<Redactor>, vitals: &Vitals) -> Self {
        let vitals = vitals.clone();
        // Failures are few and matter: their series are there before the first.
        for why in Why::ALL {
            let labels = [("processor", &*processor), ("reason", why.name())];
            vitals.counter("mcpcol_redaction_failed", &labels);
        }
        Counters { processor, redactor, vitals }
    }

    pub(super) fn count(&self, tally: Tally) {
        for ((rule, spot), times) in tally.masked {
            let (rule, place) = (self.redactor.rule_name(rule), spot.label());
            let labels = [("processor", &*self.processor), ("rule", rule), ("place", &*place)];
            self.vitals.counter("mcpcol_redaction_masked", &labels).add(times);
        }
        for (why, times) in tally.failed {
            let labels = [("processor", &*self.processor), ("reason", why.name())];
            self.vitals.counter("mcpcol_redaction_failed", &labels).add(times);
        }
    }
}
