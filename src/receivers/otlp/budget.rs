//! The bytes that all requests of one receiver hold while they are read and wait for their answer (law
//! 7: bounded whatever clients do). Pure counting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a request costs before its first byte: so that their number is bounded, too.
const EACH: usize = 4096;

/// The budget of one receiver.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    used: AtomicUsize,
}

/// What one request holds; given back when dropped.
#[derive(Debug)]
pub(super) struct Hold {
    budget: Arc<Budget>,
    bytes: usize,
}

/// There is no room now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Budget {
    pub(super) fn new(max: usize) -> Arc<Budget> {
        Arc::new(Budget { max, used: AtomicUsize::new(0) })
    }

    /// Room for a request of which nothing has been read.
    pub(super) fn hold(self: &Arc<Self>) -> Result<Hold, Full> {
        let mut hold = Hold { budget: Arc::clone(self), bytes: 0 };
        hold.add(EACH)?;
        Ok(hold)
    }
}

impl Hold {
    /// Room for more bytes.
    pub(super) fn add(&mut self, more: usize) -> Result<(), Full> {
        let Budget { max, used } = &*self.budget;
        let fits = |now: usize| now.checked_add(more).filter(|sum| sum <= max);
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_err(|_| Full)?;
        self.bytes += more;
        Ok(())
    }

    /// Room for `bytes` in all.
    pub(super) fn at_least(&mut self, bytes: usize) -> Result<(), Full> {
        let held = self.bytes.saturating_sub(EACH);
        if bytes > held { self.add(bytes - held) } else { Ok(()) }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let budget = Budget::new(3 * EACH);
        let mut a = budget.hold().unwrap();
        let b = budget.hold().unwrap();
        assert_eq!(a.add(EACH + 1), Err(Full));
        a.add(EACH).unwrap();
        assert_eq!(budget.hold().err(), Some(Full));
        drop(b);
        a.at_least(EACH).unwrap();
        a.at_least(2 * EACH).unwrap();
        assert_eq!(budget.hold().err(), Some(Full));
        drop(a);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
