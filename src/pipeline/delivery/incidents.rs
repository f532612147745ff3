//! What goes wrong on the way to one backend, as the log has it.
//!
//! Said when it begins and when it is over, and if it begins again and again, once in a while: neither a
//! batch nor a retry has a line of its own. What became of the items is counted in the accounts, and the
//! last failure stands beside them in the last line. A stdio tap says that line only: agents' hosts take
//! each line on stderr for a failure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::size::Size;
use crate::metrics::RateLimitedLog;
use crate::pipeline::{INCIDENTS, Id};
use crate::privacy::cut::cut;

/// The longest reason in the last line, in bytes: a backend's words with what stands before them.
const MAX_REASON: usize = 640;

/// Holds what went wrong for one exporter.
#[derive(Debug)]
pub(super) struct Incidents {
    exporter: Id,
    failing: Ongoing,
    overflowing: Ongoing,
    partial: RateLimitedLog,
    /// Said once: the backend takes less at a time than it is sent.
    halving: AtomicBool,
    last: Mutex<Option<String>>,
    off: AtomicBool,
}

/// Something that lasts, from the line that says so to the one that it is over.
#[derive(Debug, Default)]
struct Ongoing {
    said: AtomicBool,
    complaint: RateLimitedLog,
}

impl Ongoing {
    /// It happened. If it is to be said now, how often it happened unsaid since the last time.
    fn begin(&self) -> Option<u64> {
        if self.said.load(Ordering::Relaxed) {
            return None;
        }
        let unsaid = self.complaint.due()?;
        self.said.store(true, Ordering::Relaxed);
        Some(unsaid)
    }

    /// It does not happen any more. Whether that is worth a line, because the other was.
    fn end(&self) -> bool {
        self.said.load(Ordering::Relaxed) && self.said.swap(false, Ordering::Relaxed)
    }
}

impl Incidents {
    pub(super) fn of(exporter: Id) -> Self {
        Incidents {
            exporter,
            failing: Ongoing::default(),
            overflowing: Ongoing::default(),
            partial: RateLimitedLog::default(),
            halving: AtomicBool::new(false),
            last: Mutex::default(),
            off: AtomicBool::new(false),
        }
    }

    /// Says why sending failed last, in one line.
    pub(super) fn last_failure(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says whether there is no exporter to send with.
    pub(super) fn is_off(&self) -> bool {
        self.off.load(Ordering::Relaxed)
    }

    fn remember(&self, why: &str) {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let why: String = cut(why, MAX_REASON, false).chars().map(plain).collect();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// There is no exporter to send with.
    pub(super) fn cannot_start(&self, why: &str) {
        self.off.store(true, Ordering::Relaxed);
        self.remember(&format!("cannot start: {why}"));
        tracing::error!(target: INCIDENTS, exporter = %self.exporter,
            "cannot start, its telemetry is dropped: {why}");
    }

    /// An attempt failed, and another one follows after `wait`.
    pub(super) fn will_retry(&self, why: &str, wait: Duration) {
        self.remember(why);
        if let Some(unsaid) = self.failing.begin() {
            tracing::warn!(target: INCIDENTS, exporter = %self.exporter, error = why,
                interval = ?wait, unsaid, "exporting failed, will retry");
        }
    }

    /// Items were dropped that the backend will never take, or did not take in time.
    pub(super) fn dropped(&self, items: usize, reason: &str, why: &str) {
        self.remember(why);
        if let Some(unsaid) = self.failing.begin() {
            tracing::error!(target: INCIDENTS, exporter = %self.exporter, error = why,
                dropped_items = items, reason, unsaid,
                "exporting failed, dropping (further ones are only counted)");
        }
    }

    /// Items are left to the next process, because the last attempt failed.
    pub(super) fn held(&self, why: &str) {
        self.remember(why);
    }

    /// An attempt succeeded.
    pub(super) fn sent(&self) {
        if self.failing.end() {
            tracing::info!(target: INCIDENTS, exporter = %self.exporter, "exporting works again");
        }
    }

    /// The backend took a request and refused some of its items, or has something to say about it.
    pub(super) fn partial_success(&self, rejected: usize, message: &str) {
        if rejected > 0 {
            self.remember(message);
        }
        if let Some(unsaid) = self.partial.due() {
            tracing::warn!(target: INCIDENTS, exporter = %self.exporter, rejected, message, unsaid,
                "partial success");
        }
    }

    /// The backend found a request too large, and gets it in parts.
    pub(super) fn halved(&self, why: &str) {
        if !self.halving.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: INCIDENTS, exporter = %self.exporter, error = why,
                "too large for the backend: sending it in parts");
        }
    }

    /// The queue has no room; how much of it is taken, and how much there is.
    pub(super) fn overflow(&self, level: impl FnOnce() -> (Size, Size)) {
        if let Some(unsaid) = self.overflowing.begin() {
            let (used, limit) = level();
            tracing::warn!(target: INCIDENTS, exporter = %self.exporter, used = used.units, limit = limit.units,
                bytes = used.bytes, max_bytes = limit.bytes, unsaid,
                "sending queue is full: dropping");
        }
    }

    /// The queue took something.
    pub(super) fn room(&self) {
        if self.overflowing.end() {
            tracing::info!(target: INCIDENTS, exporter = %self.exporter,
                "sending queue has room again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_said_once_and_its_end_too() {
        let ongoing = Ongoing::default();
        assert!(!ongoing.end(), "nothing has begun");
        assert_eq!([ongoing.begin(), ongoing.begin()], [Some(0), None]);
        assert_eq!([ongoing.end(), ongoing.end()], [true, false]);
        // A backend that comes and goes has no line each time.
        assert_eq!([ongoing.begin(), ongoing.begin()], [None, None]);
        assert!(!ongoing.end());
    }

    #[test]
    fn the_last_failure_is_one_line() {
        let incidents = Incidents::of(Id::parse("file").unwrap());
        assert_eq!(incidents.last_failure(), None);
        incidents.will_retry("first", Duration::ZERO);
        incidents.dropped(1, "rejected", &format!("a\nb\u{1b}{}", "x ".repeat(1000)));
        incidents.sent();
        incidents.partial_success(0, "a word of advice");
        let last = incidents.last_failure().unwrap();
        assert!(
            last.starts_with("a b x") && last.ends_with("x…") && last.len() <= MAX_REASON,
            "{last}"
        );
    }
}
