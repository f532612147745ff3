//! The time of the windows: the wall clock's at first, and then it only goes forward.
//!
//! A clock that is put back hides nothing: calls go on to count where the windows are. A clock that is put forward, and a
//! machine that slept, move the windows on. Times that others tell are moved by as much as the two have come apart.

use super::snapshot::Shift;
use crate::telemetry::{Clock, Nanos};

const SECOND: Nanos = 1_000_000_000;

/// Reads the time of the windows.
#[derive(Debug)]
pub(super) struct Time {
    clock: Clock,
    /// Says how far this time is ahead of steady time, and how far the wall clock was at the last look; in nanoseconds.
    ahead: i64,
    seen: i64,
}

/// One look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The time of the windows, in nanoseconds.
    now: Nanos,
    /// Holds what the wall clock says.
    pub(super) wall: Nanos,
}

impl Time {
    pub(super) fn new(clock: Clock) -> Self {
        let mut time = Time { clock, ahead: 0, seen: 0 };
        time.seen = time.offset().0;
        time.ahead = time.seen;
        time
    }

    pub(super) fn look(&mut self) -> Moment {
        let (offset, steady, wall) = self.offset();
        self.ahead = self.ahead.saturating_add((offset.saturating_sub(self.seen)).max(0));
        self.seen = offset;
        Moment { now: steady.saturating_add_signed(self.ahead), wall }
    }

    fn offset(&self) -> (i64, Nanos, Nanos) {
        let steady = self.clock.steady();
        let wall = self.clock.look().wall(steady);
        let offset = i128::from(wall) - i128::from(steady);
        (i64::try_from(offset).unwrap_or_default(), steady, wall)
    }
}

impl Moment {
    /// Gives it in seconds.
    pub(super) fn seconds(self) -> u64 {
        self.now / SECOND
    }

    /// Gives the time of the windows, in nanoseconds.
    pub(super) fn nanos(self) -> Nanos {
        self.now
    }

    /// Gives what the wall clock says, in seconds.
    pub(super) fn wall_seconds(self) -> u64 {
        self.wall / SECOND
    }

    /// Says how far the time of the windows is ahead of the wall clock.
    pub(super) fn shift(self) -> Shift {
        let ahead = i128::from(self.seconds()) - i128::from(self.wall_seconds());
        Shift(i64::try_from(ahead).unwrap_or_default())
    }

    /// Places what somebody's wall clock says, in seconds; what is to come is now.
    pub(super) fn place(self, told: Nanos) -> u64 {
        let age = self.wall.saturating_sub(told);
        self.now.saturating_sub(age) / SECOND
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    const HOUR: Nanos = 3_600 * SECOND;
    const BEGUN: Nanos = 400_000 * HOUR;

    #[tokio::test(start_paused = true)]
    async fn it_goes_forward_with_the_clock_and_stays_where_that_is_put_back() {
        let shown = Arc::new(AtomicU64::new(BEGUN));
        let wall = Arc::clone(&shown);
        let mut time = Time::new(Clock::reading(move || wall.load(Ordering::Relaxed)));
        assert_eq!(time.look().nanos(), BEGUN);
        tokio::time::advance(Duration::from_secs(60)).await;
        shown.fetch_add(60 * SECOND, Ordering::Relaxed);
        assert_eq!(time.look().nanos(), BEGUN + 60 * SECOND);
        // The machine slept, or the clock was put forward: steady time knows nothing of it.
        shown.fetch_add(HOUR, Ordering::Relaxed);
        let later = BEGUN + HOUR + 60 * SECOND;
        assert_eq!(time.look().nanos(), later);
        // Put back by a day, and time passes.
        shown.fetch_sub(24 * HOUR, Ordering::Relaxed);
        assert_eq!(time.look().nanos(), later);
        tokio::time::advance(Duration::from_secs(10)).await;
        shown.fetch_add(10 * SECOND, Ordering::Relaxed);
        let moment = time.look();
        assert_eq!(moment.nanos(), later + 10 * SECOND);
        // What ended five seconds ago by that clock ended five seconds ago.
        assert_eq!(moment.place(moment.wall - 5 * SECOND), (later + 5 * SECOND) / SECOND);
        assert_eq!(moment.place(moment.wall + HOUR), moment.seconds());
        assert_eq!(moment.place(0), (later + 10 * SECOND - moment.wall) / SECOND);
    }
}
