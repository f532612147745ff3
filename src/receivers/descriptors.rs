//! The process's descriptors: how many it may have, and who may take how many of them.
//!
//! All receivers that listen share what is left when a reserve is set aside: for exporters, files, names that are
//! looked up, and for telling a client that there is no room. A client that is let in has what its requests need.
//! Nothing here opens or closes anything.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::pipeline::Complaint;

/// What is left for everything but clients and their requests: a quarter, within these bounds.
const RESERVE: (usize, usize) = (32, 256);
/// Assumed to be open where the system does not tell.
const OPEN: usize = 64;
/// However low the limit is: one client, and one request of its.
const LEAST: usize = 2;

/// The limit that the process began with, and whether it was raised. Held while a child is started.
static BEGAN: Mutex<Option<Rlimit>> = Mutex::new(None);

/// Raises the soft limit of descriptors to the hard one: each client has one, and each of its requests.
pub(in crate::receivers) fn raise() {
    let mut began = BEGAN.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = getrlimit(Resource::Nofile);
    if began.is_none() && limit.current < limit.maximum {
        let raised = Rlimit { current: limit.maximum, ..limit };
        *began = setrlimit(Resource::Nofile, raised).is_ok().then_some(limit);
    }
}

/// Starts a child with the limit that the process began with: programs that use `select` fail with descriptors
/// beyond 1023. Where that limit is used up already, the child gets ours rather than not to be started.
pub(in crate::receivers) fn with_first_limit<T>(
    mut start: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let began = BEGAN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(first) = *began else { return start() };
    let ours = getrlimit(Resource::Nofile);
    let lowered = setrlimit(Resource::Nofile, Rlimit { maximum: ours.maximum, ..first }).is_ok();
    let started = start();
    if !lowered {
        return started;
    }
    setrlimit(Resource::Nofile, ours).ok();
    match started {
        Err(error) if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => start(),
        started => started,
    }
}

/// Counts the descriptors that clients and their requests have or may come to need.
#[derive(Debug, Default)]
pub(in crate::receivers) struct Descriptors {
    /// Known from the first client on: by then what serves them is there.
    room: OnceLock<usize>,
    used: AtomicUsize,
    full: Complaint,
}

/// Holds some of them; dropping it gives them back.
#[derive(Debug)]
pub(in crate::receivers) struct Taken {
    of: Arc<Descriptors>,
    count: usize,
}

impl Descriptors {
    /// So many, whatever the process may have.
    #[cfg(test)]
    pub(in crate::receivers) fn of(room: usize) -> Arc<Self> {
        let descriptors = Descriptors::default();
        descriptors.room.set(room).ok();
        Arc::new(descriptors)
    }

    /// Takes so many; `None` if there are not as many.
    pub(in crate::receivers) fn take(self: &Arc<Self>, count: usize) -> Option<Taken> {
        self.take_leaving(count, 0)
    }

    /// Takes one for something that is of use and not needed: a quarter is left for clients that come.
    pub(in crate::receivers) fn spare(self: &Arc<Self>) -> Option<Taken> {
        self.take_leaving(1, self.room() / 4)
    }

    /// Says once in a while that clients are turned away for want of descriptors.
    pub(in crate::receivers) fn complain(&self) {
        if let Some(unsaid) = self.full.due() {
            tracing::warn!(
                room = self.room(),
                unsaid,
                "clients are turned away: the process may not open more files and connections (`ulimit -n`)"
            );
        }
    }

    fn take_leaving(self: &Arc<Self>, count: usize, left: usize) -> Option<Taken> {
        let most = self.room().saturating_sub(left);
        let fits = |used: usize| used.checked_add(count).filter(|sum| *sum <= most);
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.ok().map(|_| Taken { of: Arc::clone(self), count })
    }

    fn room(&self) -> usize {
        *self.room.get_or_init(|| {
            let limit = getrlimit(Resource::Nofile).current;
            let limit =
                limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
            room(limit, open())
        })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// How much of a limit is for clients, where so many descriptors are open for other things.
fn room(limit: usize, open: usize) -> usize {
    let (least, most) = RESERVE;
    limit.saturating_sub(open + (limit / 4).clamp(least, most)).max(LEAST)
}

/// How many descriptors are open now.
fn open() -> usize {
    std::fs::read_dir("/dev/fd").map_or(OPEN, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_what_the_reserve_leaves_and_give_it_back() {
        let all = Descriptors::of(8);
        let two: Vec<_> = (0..2).filter_map(|_| all.take(2)).collect();
        assert!(all.spare().is_some());
        let kept: Vec<_> = (0..9).map_while(|_| all.spare()).collect();
        assert_eq!(kept.len(), 2, "a quarter is left");
        let last = all.take(2);
        assert!(last.is_some() && all.take(1).is_none());
        drop((two, kept, last));
        assert_eq!(all.used.load(Ordering::Relaxed), 0);
        let again: Vec<_> = (0..9).map_while(|_| all.take(2)).collect();
        assert_eq!(again.len(), 4);
    }

    #[test]
    fn the_reserve_is_a_quarter_within_bounds() {
        for (limit, open, left) in [
            (256, 30, 162),
            (1024, 30, 1024 - 30 - 256),
            (1 << 20, 100, (1 << 20) - 100 - 256),
            (64, 30, 2),
            (10, 30, 2),
            (usize::MAX, 30, usize::MAX - 30 - 256),
        ] {
            assert_eq!(room(limit, open), left, "{limit}");
        }
        assert!(open() > 2);
    }
}
