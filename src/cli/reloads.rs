//! Tells by metrics what became of reloads.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::metrics::{Counter, Gauge, Metrics, names};

/// Counts reloads, and tells of the last one.
#[derive(Debug)]
pub(super) struct Reloads {
    succeeded: Counter,
    failed: Counter,
    /// 1 if the configuration that was loaded last runs, else 0.
    last: Gauge,
    /// Says when the one that runs was put in place.
    at: Gauge,
}

impl Reloads {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let by = |outcome| metrics.counter(&names::CONFIG_RELOADS, &[("outcome", outcome)]);
        Reloads {
            succeeded: by("success"),
            failed: by("failure"),
            last: metrics.gauge(&names::CONFIG_RELOADED, &[]),
            at: metrics.gauge(&names::CONFIG_RELOADED_AT, &[]),
        }
    }

    /// The first configuration runs.
    pub(super) fn in_place(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.at.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        self.last.set(1);
    }

    /// A reload is over, and the new configuration runs or the old one goes on.
    pub(super) fn ended(&self, succeeded: bool) {
        if succeeded {
            self.succeeded.add(1);
            self.in_place();
        } else {
            self.failed.add(1);
            self.last.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_reload_is_told_until_a_good_one() {
        let metrics = Metrics::default();
        let reloads = Reloads::new(&metrics);
        reloads.in_place();
        let told = || {
            let value = |sample: crate::metrics::Sample| (sample.name, sample.value);
            metrics.samples().into_iter().map(value).collect::<Vec<_>>()
        };
        let last = |told: &[(&str, i128)]| {
            let name = "mcpcol_config_last_reload_successful";
            told.iter().find(|(of, _)| *of == name).unwrap().1
        };
        assert_eq!(last(&told()), 1);
        assert!(told().iter().any(|(name, at)| name.ends_with("_seconds") && *at > 1_700_000_000));
        reloads.ended(false);
        assert_eq!(last(&told()), 0);
        reloads.ended(true);
        let told = told();
        assert_eq!(last(&told), 1);
        let reloads: Vec<_> = told.iter().filter(|(n, _)| *n == "mcpcol_config_reloads").collect();
        assert_eq!(reloads.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [1, 1]);
    }
}
