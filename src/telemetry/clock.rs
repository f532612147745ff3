//! Wall-clock nanoseconds that never step back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Nanoseconds since the Unix epoch, as OTLP writes times.
pub type Nanos = u64;

/// The wall clock read once, then carried on by the monotonic one: durations are exact and a stepped
/// system clock does not make spans end before they start. Follows tokio's paused time in tests.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Nanos,
    start: Instant,
}

impl Clock {
    /// A clock anchored now.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { wall: nanos(wall), start: Instant::now() }
    }

    /// Now.
    pub fn now(&self) -> Nanos {
        self.at(Instant::now().into_std())
    }

    /// The time of a monotonic stamp; one taken before the clock was started counts backwards.
    pub fn at(&self, stamp: std::time::Instant) -> Nanos {
        let start = self.start.into_std();
        match stamp.checked_duration_since(start) {
            Some(later) => self.wall.saturating_add(nanos(later)),
            None => self.wall.saturating_sub(nanos(start.duration_since(stamp))),
        }
    }
}

fn nanos(d: Duration) -> Nanos {
    Nanos::try_from(d.as_nanos()).unwrap_or(Nanos::MAX)
}
