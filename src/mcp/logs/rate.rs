//! Bounds how many log records a tap makes.

use std::time::Duration;

use crate::mcp::Finding;
use crate::mcp::recent::Recent;
use crate::telemetry::Nanos;

/// From one record to the next in the long run: 100 a second.
const INTERVAL: Nanos = Duration::from_millis(10).as_nanos() as Nanos;
/// Bounds how many may come at once.
const BURST: u64 = 1000;
/// Bounds how many findings of one kind are told of a session one by one.
const ONE_BY_ONE: u32 = 10;
/// Says how long later ones are summed up, in nanoseconds.
const SUMMED: Nanos = Duration::from_secs(60).as_nanos() as Nanos;
/// Bounds how many sessions' findings are remembered, by kind.
const REMEMBERED: usize = 1024;

/// Lets records through at a bounded rate (the generic cell rate algorithm, ITU-T I.371).
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// Says when the next record would be due if all came evenly.
    due: Nanos,
}

impl Rate {
    /// Says whether one more may pass.
    pub(super) fn lets(&mut self, now: Nanos) -> bool {
        let due = self.due.max(now);
        if due - now > (BURST - 1) * INTERVAL {
            return false;
        }
        self.due = due + INTERVAL;
        true
    }
}

/// Remembers how often each kind of finding was told of each session.
#[derive(Debug)]
pub(super) struct Told(Recent<(Finding, u64), Kept>);

#[derive(Debug, Default)]
struct Kept {
    told: u32,
    /// Says when the last was told.
    at: Nanos,
    /// Counts those that were not told since.
    untold: u64,
}

impl Default for Told {
    fn default() -> Self {
        Told(Recent::new(REMEMBERED))
    }
}

impl Told {
    /// Takes a finding; how many it stands for if it is to be told.
    pub(super) fn take(&mut self, kind: Finding, session: u64, now: Nanos) -> Option<u64> {
        let key = (kind, session);
        if self.0.get(&key).is_none() {
            self.0.insert(key, Kept::default());
        }
        let kept = self.0.get_mut(&key)?;
        let due = kept.told < ONE_BY_ONE || now.saturating_sub(kept.at) >= SUMMED;
        kept.untold += 1;
        let count = due.then(|| std::mem::take(&mut kept.untold));
        if due {
            (kept.told, kept.at) = (kept.told.saturating_add(1), now);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_a_hundred_a_second() {
        let (mut rate, second) = (Rate::default(), 100 * INTERVAL);
        let mut passed = |now| (0..5000).filter(|_| rate.lets(now)).count();
        assert_eq!((passed(5), passed(5)), (1000, 0));
        assert_eq!(passed(5 + second), 100);
        assert_eq!(passed(5 + 100 * second), 1000);
    }

    #[test]
    fn ten_findings_are_told_and_then_one_a_minute_for_all() {
        let mut told = Told::default();
        let mut take = |now| told.take(Finding::NotJson, 1, now);
        assert!((0..10).all(|_| take(0) == Some(1)));
        assert!((0..7).all(|_| take(1).is_none()));
        assert_eq!((take(SUMMED), take(SUMMED + 1)), (Some(8), None));
        assert_eq!(told.take(Finding::NotJson, 2, 1), Some(1));
        assert_eq!(told.take(Finding::NotRpc, 1, 1), Some(1));
    }
}
