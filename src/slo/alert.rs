//! The life of one alert: inactive, pending, firing, resolved. Pure: what its windows say and the time are handed in.

use super::budget::{Counts, Threshold};
use super::rules::Rule;

/// The state of one rule of one series. Times are in seconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing is the matter.
    #[default]
    Inactive,
    /// Its condition holds, not yet long enough.
    Pending {
        /// Since when.
        since: u64,
    },
    /// Somebody is told.
    Firing {
        /// Since when.
        since: u64,
        /// Since when its condition does not hold any more.
        clear: Option<u64>,
    },
}

/// Names what an alert changed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It may come to fire.
    Pending,
    /// It fires.
    Firing,
    /// What was pending did not come to fire.
    Inactive,
    /// It does not fire any more.
    Resolved(Reason),
}

/// Says why an alert ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its windows are below the threshold again.
    Recovered,
    /// Nobody calls any more: its short window is empty, which is no recovery.
    NoData,
    /// It is not configured any more.
    Config,
}

impl Reason {
    /// Gives its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Recovered => "recovered",
            Reason::NoData => "no_data",
            Reason::Config => "config",
        }
    }
}

/// Holds what the windows of a rule say at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// The long one.
    pub long: Counts,
    /// The short one.
    pub short: Counts,
}

impl State {
    /// Moves on to what the windows say. Without events a window is over no threshold.
    pub fn step(
        &mut self,
        rule: &Rule,
        threshold: Threshold,
        windows: Windows,
        now: u64,
    ) -> Option<Change> {
        let Windows { long, short } = windows;
        let over = long.over(threshold) && short.over(threshold);
        let silent = rule.hold_on_no_data && short.total == 0;
        let holds = long.over(threshold) && (short.over(threshold) || silent);
        let guarded = long.total >= rule.min_events && long.bad >= rule.min_bad;
        let (next, change) = match *self {
            State::Inactive if over && guarded && rule.hold == 0 => State::fires(now),
            State::Inactive if over && guarded => {
                (State::Pending { since: now }, Some(Change::Pending))
            }
            State::Pending { since }
                if over && guarded && now.saturating_sub(since) >= rule.hold =>
            {
                State::fires(now)
            }
            State::Pending { .. } if !(over && guarded) => {
                (State::Inactive, Some(Change::Inactive))
            }
            State::Firing { since, .. } if holds => (State::Firing { since, clear: None }, None),
            State::Firing { since, clear } => {
                let begun = clear.unwrap_or(now);
                if now.saturating_sub(begun) >= rule.keep_firing {
                    let reason = if short.total == 0 { Reason::NoData } else { Reason::Recovered };
                    (State::Inactive, Some(Change::Resolved(reason)))
                } else {
                    (State::Firing { since, clear: Some(begun) }, None)
                }
            }
            same => (same, None),
        };
        *self = next;
        change
    }

    fn fires(now: u64) -> (State, Option<Change>) {
        (State::Firing { since: now, clear: None }, Some(Change::Firing))
    }

    /// Gives its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            State::Inactive => "inactive",
            State::Pending { .. } => "pending",
            State::Firing { .. } => "firing",
        }
    }

    /// Says whether it fires.
    pub fn is_firing(self) -> bool {
        matches!(self, State::Firing { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slo::budget::Fraction;
    use crate::slo::rules::{Severity, Speed};

    /// A rule that fires above a tenth, of ten events of which three are bad.
    struct Alert {
        rule: Rule,
        state: State,
    }

    impl Alert {
        fn new() -> Self {
            let speed = Speed::Factor(Fraction::nano(10_000_000_000));
            let rule = Rule::new("page", Severity::Page, speed, 3600, Some(300));
            Alert { rule, state: State::Inactive }
        }

        fn at(&mut self, now: u64, long: [u64; 2], short: [u64; 2]) -> Option<Change> {
            let counts = |[bad, total]: [u64; 2]| Counts { total, bad };
            let threshold = self.rule.threshold(Fraction::nano(10_000_000), 0);
            let windows = Windows { long: counts(long), short: counts(short) };
            self.state.step(&self.rule, threshold, windows, now)
        }
    }

    #[test]
    fn it_fires_when_both_windows_are_over_and_not_on_the_threshold() {
        let mut alert = Alert::new();
        assert_eq!(alert.at(0, [10, 100], [10, 10]), None, "exactly a tenth");
        assert_eq!(alert.at(30, [11, 100], [1, 10]), None, "the short window is on it");
        assert_eq!(alert.at(60, [11, 100], [2, 10]), Some(Change::Firing));
        assert_eq!(alert.at(90, [11, 100], [2, 10]), None, "said once");
    }

    #[test]
    fn few_events_do_not_begin_an_alert_and_do_not_end_one() {
        let mut alert = Alert::new();
        assert_eq!(alert.at(0, [1, 1], [1, 1]), None);
        assert_eq!(alert.at(30, [9, 9], [9, 9]), None);
        assert_eq!(alert.at(60, [2, 10], [2, 10]), None);
        assert_eq!(alert.at(90, [3, 10], [3, 10]), Some(Change::Firing));
        assert_eq!(alert.at(120, [1, 1], [1, 1]), None);
        assert!(alert.state.is_firing());
    }

    #[test]
    fn it_goes_on_for_as_long_as_told_after_the_last_time_it_held() {
        let mut alert = Alert::new();
        alert.at(0, [50, 100], [5, 10]);
        assert_eq!(alert.at(100, [50, 100], [0, 10]), None);
        assert_eq!(alert.at(399, [50, 100], [0, 10]), None);
        assert_eq!(
            alert.at(399, [50, 100], [5, 10]),
            None,
            "it burns again: one alert, no flapping"
        );
        assert_eq!(alert.at(400, [50, 100], [0, 10]), None);
        assert_eq!(alert.at(699, [50, 100], [0, 10]), None);
        let resolved = alert.at(700, [50, 100], [0, 10]);
        assert_eq!(resolved, Some(Change::Resolved(Reason::Recovered)));
        assert_eq!(alert.state, State::Inactive);
    }

    #[test]
    fn silence_is_no_recovery_until_the_long_window_is_empty_too() {
        let mut alert = Alert::new();
        alert.at(0, [50, 100], [5, 10]);
        assert_eq!(alert.at(3000, [50, 100], [0, 0]), None);
        assert!(alert.state.is_firing());
        assert_eq!(alert.at(3600, [0, 0], [0, 0]), None);
        assert_eq!(alert.at(3900, [0, 0], [0, 0]), Some(Change::Resolved(Reason::NoData)));
        let mut alert = Alert::new();
        alert.rule.hold_on_no_data = false;
        alert.at(0, [50, 100], [5, 10]);
        alert.at(300, [50, 100], [0, 0]);
        assert_eq!(
            alert.at(600, [50, 100], [0, 0]),
            Some(Change::Resolved(Reason::NoData)),
            "when Prometheus would end it"
        );
    }

    #[test]
    fn it_may_have_to_hold_for_a_while_first() {
        let mut alert = Alert::new();
        alert.rule.hold = 60;
        assert_eq!(alert.at(0, [50, 100], [5, 10]), Some(Change::Pending));
        assert_eq!(alert.at(30, [50, 100], [5, 10]), None);
        assert_eq!(alert.at(45, [50, 100], [0, 10]), Some(Change::Inactive));
        assert_eq!(alert.at(50, [50, 100], [5, 10]), Some(Change::Pending));
        assert_eq!(alert.at(109, [50, 100], [5, 10]), None);
        assert_eq!(alert.at(110, [50, 100], [5, 10]), Some(Change::Firing));
    }
}
