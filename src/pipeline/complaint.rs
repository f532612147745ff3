//! What goes wrong again and again, said once in a while: a peer must not fill the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The target of log lines about single events, which the account at the end sums up.
pub const INCIDENTS: &str = "mcpcol::incidents";

/// Between two lines about the same thing.
const PAUSE: Duration = Duration::from_secs(30);

/// One thing that may go wrong.
#[derive(Debug)]
pub struct Complaint {
    begun: Instant,
    /// When it may be said again, in milliseconds since then.
    next: AtomicU64,
    unsaid: AtomicU64,
}

impl Default for Complaint {
    fn default() -> Self {
        Complaint { begun: Instant::now(), next: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }
}

impl Complaint {
    /// It happened. If it is to be said now, how often it happened unsaid since the last time.
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
        let complaint = Complaint::default();
        let at = |seconds| complaint.due_at(Duration::from_secs(seconds));
        assert_eq!([at(5), at(5), at(34), at(35), at(36)], [Some(0), None, None, Some(2), None]);
        assert_eq!(at(1000), Some(1));
    }
}
