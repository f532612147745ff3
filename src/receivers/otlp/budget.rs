//! The bytes that all requests of one receiver hold while they are read, worked on and wait for their answer (law
//! 7: bounded whatever clients do), and how many are worked on at once. Pure counting.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::otlp::Room;

/// Names what a request costs before its first byte: so that their number is bounded, too.
const EACH: usize = 4096;

/// Says how many bytes of large requests are in the pipelines' processors at a time, unless one has more: what an edit
/// remembers may be several times as much.
const WORKED: usize = 32 << 20;

/// The budget of one receiver.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    used: AtomicUsize,
    turns: Arc<Semaphore>,
    worked: Mutex<usize>,
    less: Condvar,
}

/// Holds what one request holds; given back when dropped.
#[derive(Debug)]
pub(super) struct Hold {
    budget: Arc<Budget>,
    bytes: usize,
}

/// Holds what is in the processors of one request; given back when dropped.
#[derive(Debug)]
pub(super) struct Work<'b> {
    budget: &'b Budget,
    bytes: usize,
}

/// Says why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Others have it.
    Now,
    /// The request needs more than there is in all.
    Never,
}

/// A hold that work is given whose result grows, and why it got no more.
#[derive(Debug)]
pub(super) struct Counted<'h> {
    pub(super) hold: &'h mut Hold,
    pub(super) full: Option<Full>,
}

impl Budget {
    pub(super) fn new(max: usize) -> Arc<Budget> {
        // More at once would not be faster, only larger.
        let turns = available_parallelism().map_or(1, NonZero::get);
        let turns = Arc::new(Semaphore::new(turns));
        let (used, worked) = (AtomicUsize::new(0), Mutex::new(0));
        Arc::new(Budget { max, used, turns, worked, less: Condvar::new() })
    }

    /// Waits until a large request may be worked on. `None` never comes: it would be worked on then as well.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// Waits until processors may have so many bytes more. For the threads of large requests, which have a turn.
    pub(super) fn work(&self, bytes: usize) -> Work<'_> {
        let bytes = bytes.min(WORKED);
        let waits = |worked: &mut usize| *worked > WORKED - bytes;
        let worked = self.less.wait_while(self.worked(), waits);
        *worked.unwrap_or_else(PoisonError::into_inner) += bytes;
        Work { budget: self, bytes }
    }

    fn worked(&self) -> MutexGuard<'_, usize> {
        self.worked.lock().unwrap_or_else(PoisonError::into_inner)
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
        let Budget { max, used, .. } = &*self.budget;
        let fits = |now: usize| now.checked_add(more).filter(|sum| sum <= max);
        let full = if fits(self.bytes).is_some() { Full::Now } else { Full::Never };
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_err(|_| full)?;
        self.bytes += more;
        Ok(())
    }

    /// Gives back room for bytes that are there no more.
    pub(super) fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.held());
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }

    /// The bytes that it has room for.
    pub(super) fn held(&self) -> usize {
        self.bytes.saturating_sub(EACH)
    }
}

impl Room for Counted<'_> {
    fn take(&mut self, bytes: usize) -> bool {
        self.full = self.hold.add(bytes).err();
        self.full.is_none()
    }

    fn give_back(&mut self, bytes: usize) {
        self.hold.give_back(bytes);
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        *self.budget.worked() -= self.bytes;
        self.budget.less.notify_all();
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
    fn processors_have_so_many_bytes_at_a_time_and_one_large_request_alone() {
        let budget = Budget::new(1);
        let (first, second) = (budget.work(WORKED / 2), budget.work(WORKED / 2));
        let (told, tell) = std::sync::mpsc::sync_channel(1);
        std::thread::scope(|scope| {
            let budget = &budget;
            scope.spawn(move || {
                let all = budget.work(3 * WORKED);
                told.send(*budget.worked()).unwrap();
                drop(all);
            });
            drop(first);
            assert!(tell.try_recv().is_err());
            drop(second);
            assert_eq!(tell.recv(), Ok(WORKED));
        });
        assert_eq!(*budget.worked(), 0);
    }

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let budget = Budget::new(3 * EACH);
        let mut a = budget.hold().unwrap();
        let b = budget.hold().unwrap();
        assert_eq!(a.add(EACH + 1), Err(Full::Now));
        assert_eq!(a.add(2 * EACH + 1), Err(Full::Never));
        a.add(EACH).unwrap();
        assert_eq!(budget.hold().err(), Some(Full::Now));
        drop(b);
        a.add(EACH).unwrap();
        assert_eq!(budget.hold().err(), Some(Full::Now));
        a.give_back(EACH);
        assert!(budget.hold().is_ok());
        // What a request costs by itself it costs to its end.
        a.give_back(9 * EACH);
        assert_eq!((a.held(), a.bytes), (0, EACH));
        drop(a);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
