//! Wall-clock times that durations can be taken from, whatever happens to the wall clock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Nanoseconds since the Unix epoch, as OTLP writes times.
pub type Nanos = u64;

/// Says how far wall and steady time may be apart before the wall clock counts as having jumped. NTP slews what is less
/// (`adjtimex`), and steps what is more.
const TOLERANCE: Duration = Duration::from_millis(500);
/// A look that took longer says nothing: the thread was held up between the two clocks.
const HESITATION: Duration = Duration::from_millis(10);

/// The clock of a process: steady time, which never jumps and which everything is measured in, and how far
/// the wall clock is from it.
///
/// Steady time is the wall clock read once, then carried on by the monotonic one. The wall clock goes its own
/// way from there when it is stepped, or when the machine sleeps (Linux stops the monotonic clock then), so
/// whoever writes times for others looks at it again ([`look`](Clock::look)): at least once a second, and for
/// each batch. Clones share what was seen. Follows tokio's paused time in tests.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    wall: Box<dyn Fn() -> Nanos + Send + Sync>,
    /// Says when steady time was what the wall clock said: `begun`.
    start: Instant,
    begun: Nanos,
    /// The [`Offset`] that was seen last.
    offset: AtomicI64,
}

/// Says how far the wall clock was ahead of steady time at one look, in nanoseconds. All times of one span are told by
/// one offset, so that its duration is the one that was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offset(i64);

impl Offset {
    /// The wall-clock time of a steady one.
    pub fn wall(self, steady: Nanos) -> Nanos {
        steady.saturating_add_signed(self.0)
    }
}

impl Clock {
    /// A clock anchored now.
    pub fn start() -> Self {
        Clock::reading(|| nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
    }

    /// A clock anchored now whose wall clock is `wall` and not the system's.
    pub fn reading(wall: impl Fn() -> Nanos + Send + Sync + 'static) -> Self {
        let begun = wall();
        let (wall, start) = (Box::new(wall), Instant::now());
        Clock(Arc::new(Inner { wall, start, begun, offset: AtomicI64::new(0) }))
    }

    /// Now, by the wall clock.
    pub fn now(&self) -> Nanos {
        self.look().wall(self.steady())
    }

    /// Now, in steady time.
    pub fn steady(&self) -> Nanos {
        self.at(Instant::now().into_std())
    }

    /// The steady time of a monotonic stamp; one taken before the clock was started counts backwards.
    pub fn at(&self, stamp: std::time::Instant) -> Nanos {
        let Inner { start, begun, .. } = &*self.0;
        let start = start.into_std();
        match stamp.checked_duration_since(start) {
            Some(later) => begun.saturating_add(nanos(later)),
            None => begun.saturating_sub(nanos(start.duration_since(stamp))),
        }
    }

    /// Looks at the wall clock. The offset changes only if that has jumped since the last look.
    pub fn look(&self) -> Offset {
        /// Says how often a look is tried that takes too long.
        const TRIES: usize = 3;
        let known = self.0.offset.load(Ordering::Relaxed);
        let seen = (0..TRIES).find_map(|_| self.ahead());
        match seen.filter(|ahead| ahead.abs_diff(known) > nanos(TOLERANCE)) {
            Some(jumped) => {
                self.0.offset.store(jumped, Ordering::Relaxed);
                Offset(jumped)
            }
            None => Offset(known),
        }
    }

    /// Says how far the wall clock is ahead of steady time, if both could be read at once.
    fn ahead(&self) -> Option<i64> {
        let before = Instant::now();
        let wall = (self.0.wall)();
        if before.elapsed() > HESITATION {
            return None;
        }
        i64::try_from(i128::from(wall) - i128::from(self.at(before.into_std()))).ok()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({} ns ahead)", self.0.offset.load(Ordering::Relaxed))
    }
}

fn nanos(d: Duration) -> Nanos {
    Nanos::try_from(d.as_nanos()).unwrap_or(Nanos::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    const MS: Nanos = 1_000_000;
    const HOUR: Nanos = 3_600_000 * MS;
    const BEGUN: Nanos = 500_000 * HOUR;

    /// A clock whose wall clock shows what is written into the cell.
    fn clock() -> (Clock, Arc<AtomicU64>) {
        let shown = Arc::new(AtomicU64::new(BEGUN));
        let wall = Arc::clone(&shown);
        (Clock::reading(move || wall.load(Ordering::Relaxed)), shown)
    }

    #[tokio::test(start_paused = true)]
    async fn both_are_one_as_long_as_nothing_happens() {
        let (clock, shown) = clock();
        tokio::time::advance(Duration::from_secs(60)).await;
        shown.fetch_add(60_000 * MS, Ordering::Relaxed);
        assert_eq!(clock.look(), Offset::default());
        assert_eq!((clock.now(), clock.steady()), (BEGUN + 60_000 * MS, BEGUN + 60_000 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_either_way_is_seen_at_the_next_look_and_by_all_clones() {
        let (clock, shown) = clock();
        for jumped in [BEGUN + HOUR, BEGUN - HOUR, BEGUN + 501 * MS] {
            shown.store(jumped, Ordering::Relaxed);
            assert_eq!(clock.look().wall(BEGUN), jumped);
            assert_eq!(clock.clone().now(), jumped);
            assert_eq!(clock.steady(), BEGUN, "nothing that is measured has jumped");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_slewed_is_no_jump_and_does_not_add_up_beyond_the_tolerance() {
        let (clock, shown) = clock();
        shown.store(BEGUN + 500 * MS, Ordering::Relaxed);
        assert_eq!((clock.look(), clock.now()), (Offset::default(), BEGUN));
        shown.store(BEGUN - 500 * MS, Ordering::Relaxed);
        assert_eq!((clock.look(), clock.now()), (Offset::default(), BEGUN));
        shown.store(BEGUN - 501 * MS, Ordering::Relaxed);
        assert_eq!(clock.now(), BEGUN - 501 * MS);
    }

    #[test]
    fn a_thread_that_was_held_up_between_the_clocks_saw_nothing() {
        let shown = Arc::new(AtomicU64::new(BEGUN));
        let wall = Arc::clone(&shown);
        let clock = Clock::reading(move || {
            let begun = Instant::now();
            while begun.elapsed() <= HESITATION {
                std::hint::spin_loop();
            }
            wall.load(Ordering::Relaxed)
        });
        shown.store(BEGUN + HOUR, Ordering::Relaxed);
        assert_eq!(clock.look(), Offset::default());
    }

    #[test]
    fn a_stamp_from_before_the_start_counts_backwards() {
        let (clock, _) = clock();
        let start = clock.0.start.into_std();
        let earlier = start.checked_sub(Duration::from_millis(5)).unwrap();
        assert_eq!((clock.at(earlier), clock.at(start)), (BEGUN - 5 * MS, BEGUN));
    }
}
