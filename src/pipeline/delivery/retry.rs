//! How long to wait between attempts: exponential with jitter, and as much longer as the backend asks for, within
//! what the settings allow. Pure: time and chance are handed in.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::settings::RetrySettings;

/// Says how many times `max_interval` a backend may ask for: five minutes unless set, which is as long as quotas by the
/// minute need. Past that it might as well be gone, or mean no good.
const LONGEST_HINT: u32 = 10;

/// Holds a wait before another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// Passes in any case.
    pub(super) own: Duration,
    /// Follows because the backend asked for it, until it takes something again.
    pub(super) asked: Duration,
}

impl Wait {
    pub(super) fn whole(self) -> Duration {
        self.own.saturating_add(self.asked)
    }

    /// Waits, of what was asked for until `taken` at most: a backend that takes from one takes from all, and each
    /// still comes after a pause of its own.
    pub(super) async fn passed(self, taken: impl Future) {
        sleep(self.own).await;
        // Either will do.
        drop(timeout(self.asked, taken).await);
    }
}

/// The waits of one batch.
#[derive(Debug)]
pub(super) struct Backoff<'a> {
    settings: &'a RetrySettings,
    next: f64,
}

impl<'a> Backoff<'a> {
    pub(super) fn new(settings: &'a RetrySettings) -> Self {
        Backoff { settings, next: settings.initial_interval.0.as_secs_f64() }
    }

    /// The next wait, or `None` to give up. `spent` is the time since the first attempt began, `chance`
    /// is uniform in 0..1, `hint` is what the backend asked for.
    pub(super) fn next(
        &mut self,
        spent: Duration,
        chance: f64,
        hint: Option<Duration>,
    ) -> Option<Wait> {
        if !self.settings.enabled {
            return None;
        }
        let jitter = self.settings.randomization_factor * (2.0 * chance - 1.0);
        let own = (self.next * (1.0 + jitter)).max(0.0);
        let own = Duration::try_from_secs_f64(own).unwrap_or(Duration::MAX);
        let longest = self.settings.max_interval.0;
        let hint = hint.unwrap_or_default().min(longest.saturating_mul(LONGEST_HINT));
        let wait = Wait { own, asked: hint.saturating_sub(own) };
        self.next = (self.next * self.settings.multiplier).min(longest.as_secs_f64());
        let limit = self.settings.max_elapsed_time.0;
        (limit.is_zero() || spent.saturating_add(wait.whole()) <= limit).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(settings: &RetrySettings, chance: f64, n: usize) -> Vec<Option<Duration>> {
        let mut backoff = Backoff::new(settings);
        let mut spent = Duration::ZERO;
        (0..n)
            .map(|_| {
                let wait = backoff.next(spent, chance, None).map(Wait::whole);
                spent += wait.unwrap_or_default();
                wait
            })
            .collect()
    }

    #[test]
    fn waits_grow_to_the_longest_and_never_end_by_default() {
        let seconds: Vec<_> = waits(&RetrySettings::default(), 0.5, 8)
            .into_iter()
            .map(|w| w.unwrap().as_secs_f64())
            .collect();
        assert_eq!(seconds, [5.0, 7.5, 11.25, 16.875, 25.3125, 30.0, 30.0, 30.0]);
    }

    #[test]
    fn jitter_stays_within_its_factor() {
        let settings = RetrySettings::default();
        assert_eq!(waits(&settings, 0.0, 1), [Some(Duration::from_millis(2500))]);
        assert_eq!(waits(&settings, 1.0, 1), [Some(Duration::from_millis(7500))]);
    }

    #[test]
    fn a_hint_makes_a_wait_longer_within_ten_times_the_longest_and_never_shorter() {
        let settings = RetrySettings::default();
        let wait = |settings, hint| {
            let wait = Backoff::new(settings).next(Duration::ZERO, 0.5, Some(hint)).unwrap();
            (wait.own.as_secs(), wait.asked.as_secs())
        };
        assert_eq!(wait(&settings, Duration::from_secs(60)), (5, 55));
        assert_eq!(wait(&settings, Duration::from_secs(1)), (5, 0));
        assert_eq!(wait(&settings, Duration::from_secs(3600)), (5, 295));
        assert_eq!(wait(&settings, Duration::MAX), (5, 295));
        let patient = crate::settings::Duration(Duration::MAX);
        let settings = RetrySettings { max_interval: patient, ..settings };
        assert_eq!(wait(&settings, Duration::MAX).1, u64::MAX - 5);
        let limited = RetrySettings {
            max_elapsed_time: crate::settings::Duration::secs(299),
            ..RetrySettings::default()
        };
        assert_eq!(Backoff::new(&limited).next(Duration::ZERO, 0.5, Some(Duration::MAX)), None);
    }

    #[test]
    fn it_gives_up_when_disabled_or_past_the_limit() {
        let off = RetrySettings { enabled: false, ..RetrySettings::default() };
        assert_eq!(waits(&off, 0.5, 1), [None]);
        let limited = RetrySettings {
            max_elapsed_time: crate::settings::Duration::secs(13),
            ..RetrySettings::default()
        };
        assert_eq!(waits(&limited, 0.5, 3)[2], None);
    }
}
