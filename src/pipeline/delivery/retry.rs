//! How long to wait between attempts: exponential with jitter, and never shorter than the backend's
//! own hint. Pure: time and chance are handed in.

use std::time::Duration;

use crate::settings::RetrySettings;

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
    ) -> Option<Duration> {
        if !self.settings.enabled {
            return None;
        }
        let jitter = self.settings.randomization_factor * (2.0 * chance - 1.0);
        let wait = Duration::from_secs_f64((self.next * (1.0 + jitter)).max(0.0));
        let wait = wait.max(hint.unwrap_or_default());
        let longest = self.settings.max_interval.0.as_secs_f64();
        self.next = (self.next * self.settings.multiplier).min(longest);
        let limit = self.settings.max_elapsed_time.0;
        (limit.is_zero() || spent + wait <= limit).then_some(wait)
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
                let wait = backoff.next(spent, chance, None);
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
    fn a_hint_is_the_least_wait_and_never_shortens_one() {
        let settings = RetrySettings::default();
        let long = Some(Duration::from_secs(60));
        assert_eq!(Backoff::new(&settings).next(Duration::ZERO, 0.5, long), long);
        let short = Some(Duration::from_secs(1));
        let wait = Backoff::new(&settings).next(Duration::ZERO, 0.5, short);
        assert_eq!(wait, Some(Duration::from_secs(5)));
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
