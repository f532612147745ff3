//! Logs a repeated problem at most once every 30 s, with how often it happened since: a peer must not fill the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two lines about the same thing.
const PAUSE: Duration = Duration::from_secs(30);

/// Decides whether a problem that repeats itself is logged this time.
#[derive(Debug)]
pub struct RateLimitedLog {
    begun: Instant,
    /// Says when it may be said again, in milliseconds since then.
    next: AtomicU64,
    unsaid: AtomicU64,
}

impl Default for RateLimitedLog {
    fn default() -> Self {
        RateLimitedLog { begun: Instant::now(), next: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }
}

impl RateLimitedLog {
    /// Notes that it happened. If it is to be logged now, returns how often it happened unlogged since the last time.
    pub fn due(&self) -> Option<u64> {
        self.due_at(self.begun.elapsed())
    }

    fn due_at(&self, at: Duration) -> Option<u64> {
        let now = at.as_millis() as u64;
        let (next, later) = (self.next.load(Ordering::Relaxed), now + PAUSE.as_millis() as u64);
        let order = Ordering::Relaxed;
        if now < next || self.next.compare_exchange(next, later, order, order).is_err() {
            self.unsaid.fetch_add(1, order);
            return None;
        }
        Some(self.unsaid.swap(0, order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_once_in_a_while() {
        let complaint = RateLimitedLog::default();
        let at = |seconds| complaint.due_at(Duration::from_secs(seconds));
        assert_eq!([at(5), at(5), at(34), at(35), at(36)], [Some(0), None, None, Some(2), None]);
        assert_eq!(at(1000), Some(1));
    }
}
