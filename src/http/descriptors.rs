//! The process's descriptors: how many it may have, and who may take how many of them.
//!
//! All ports that are listened on share what is left when a reserve is set aside: for exporters, files, names that are
//! looked up, and for telling a client that there is no room. Half of it is theirs in equal parts, whatever comes by
//! the others; who comes first has the rest. A client that is let in has what its requests need. Nothing here opens or
//! closes anything.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::metrics::RateLimitedLog;

/// Reserves descriptors for everything but clients and their requests: a quarter of the limit, within these bounds.
const RESERVE: (usize, usize) = (32, 256);
/// Assumed to be open where the system does not tell.
const OPEN: usize = 64;
/// However low the limit is: one client, and one request of its.
const LEAST: usize = 2;

/// The limit that the process began with, and whether it was raised. Held while a child is started.
static BEGAN: Mutex<Option<Rlimit>> = Mutex::new(None);

/// Raises the soft limit of descriptors to the hard one: each client has one, and each of its requests.
pub(crate) fn raise() {
    let mut began = BEGAN.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = getrlimit(Resource::Nofile);
    if began.is_none() && limit.current < limit.maximum {
        let raised = Rlimit { current: limit.maximum, ..limit };
        *began = setrlimit(Resource::Nofile, raised).is_ok().then_some(limit);
    }
}

/// Starts a child with the limit that the process began with: programs that use `select` fail with descriptors
/// beyond 1023. Where that limit is used up already, the child gets ours rather than not to be started.
pub(crate) fn with_first_limit<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
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
pub(crate) struct Descriptors {
    /// Known from the first client on: by then what serves them is there.
    room: OnceLock<usize>,
    shares: Mutex<Vec<Weak<Share>>>,
    full: RateLimitedLog,
}

/// Holds what one listening port has of them: some for certain, more while there are any.
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<Descriptors>,
    name: String,
    /// Changed by whoever holds the lock on all shares.
    used: AtomicUsize,
}

/// Holds some of them; dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Taken {
    from: Arc<Share>,
    count: usize,
}

impl Descriptors {
    /// So many, whatever the process may have.
    #[cfg(test)]
    pub(crate) fn of(room: usize) -> Arc<Self> {
        let descriptors = Descriptors::default();
        descriptors.room.set(room).ok();
        Arc::new(descriptors)
    }

    /// The share of a port by that name. A port that a reload changes keeps its share; one that is gone leaves its
    /// to the others once its last client is.
    pub(crate) fn share(self: &Arc<Self>, name: &str) -> Arc<Share> {
        let mut shares = self.shares();
        shares.retain(|share| share.strong_count() > 0);
        if let Some(known) = alive(&shares).find(|share| share.name == name) {
            return known;
        }
        let (of, name) = (Arc::clone(self), name.to_owned());
        let share = Arc::new(Share { of, name, used: AtomicUsize::new(0) });
        shares.push(Arc::downgrade(&share));
        share
    }

    fn shares(&self) -> MutexGuard<'_, Vec<Weak<Share>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Share {
    /// Takes so many; `None` if there are not as many.
    pub(crate) fn take(self: &Arc<Self>, count: usize) -> Option<Taken> {
        self.take_leaving(count, 0)
    }

    /// Takes one for something that is of use and not needed: a quarter is left for clients that come.
    pub(crate) fn spare(self: &Arc<Self>) -> Option<Taken> {
        self.take_leaving(1, self.of.room() / 4)
    }

    /// Says once in a while that clients are turned away for want of descriptors.
    pub(crate) fn complain(&self) {
        if let Some(unsaid) = self.of.full.due() {
            tracing::warn!(
                room = self.of.room(),
                port = self.name,
                unsaid,
                "clients are turned away: the process may not open more files and connections (`ulimit -n`)"
            );
        }
    }

    fn take_leaving(self: &Arc<Self>, count: usize, left: usize) -> Option<Taken> {
        let room = self.of.room();
        let shares = self.of.shares();
        let mine = self.used.load(Ordering::Relaxed);
        let used: Vec<_> = alive(&shares).map(|share| share.used.load(Ordering::Relaxed)).collect();
        // Half of the room is for certain, in equal parts.
        let certain = room / 2 / used.len();
        let beyond = |used: usize| used.saturating_sub(certain);
        let now = mine.checked_add(count)?;
        let (all, first_come): (usize, usize) =
            (used.iter().sum(), used.iter().map(|used| beyond(*used)).sum());
        let more = beyond(now) - beyond(mine);
        let fits = all + count <= room.saturating_sub(left)
            && (more == 0 || first_come + more <= room - certain * used.len());
        fits.then(|| {
            self.used.store(now, Ordering::Relaxed);
            Taken { from: Arc::clone(self), count }
        })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let _all = self.from.of.shares();
        self.from.used.fetch_sub(self.count, Ordering::Relaxed);
    }
}

fn alive(shares: &[Weak<Share>]) -> impl Iterator<Item = Arc<Share>> {
    shares.iter().filter_map(Weak::upgrade)
}

/// Says how much of a limit is for clients, where so many descriptors are open for other things.
fn room(limit: usize, open: usize) -> usize {
    let (least, most) = RESERVE;
    limit.saturating_sub(open + (limit / 4).clamp(least, most)).max(LEAST)
}

/// Says how many descriptors are open now.
fn open() -> usize {
    std::fs::read_dir("/dev/fd").map_or(OPEN, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as can be taken, one after the other.
    fn all_of(share: &Arc<Share>, each: usize) -> Vec<Taken> {
        (0..99).map_while(|_| share.take(each)).collect()
    }

    #[test]
    fn clients_have_what_the_reserve_leaves_and_give_it_back() {
        let all = Descriptors::of(8).share("a");
        let two: Vec<_> = (0..2).filter_map(|_| all.take(2)).collect();
        assert!(all.spare().is_some());
        let kept: Vec<_> = (0..9).map_while(|_| all.spare()).collect();
        assert_eq!(kept.len(), 2, "a quarter is left");
        let last = all.take(2);
        assert!(last.is_some() && all.take(1).is_none());
        drop((two, kept, last));
        assert_eq!(all.used.load(Ordering::Relaxed), 0);
        assert_eq!(all_of(&all, 2).len(), 4);
    }

    #[test]
    fn a_port_that_has_all_it_can_get_leaves_the_others_theirs() {
        let all = Descriptors::of(40);
        let [greedy, http, grpc] =
            ["mcp_http", "otlp/http", "otlp/grpc"].map(|name| all.share(name));
        let hers = all_of(&greedy, 1);
        assert_eq!(
            hers.len(),
            40 - 2 * 6,
            "her part of half of them, and all that nobody is promised"
        );
        assert_eq!([&http, &grpc].map(|port| all_of(port, 1).len()), [6, 6]);
        assert_eq!(all_of(&http, 2).len(), 3);
        let kept: Vec<_> = (0..99).map_while(|_| http.spare()).collect();
        assert_eq!(kept.len(), 2, "a quarter of all is left, whoever asks");
        drop((kept, hers));
        let (theirs, hers) = (all_of(&grpc, 5), all_of(&greedy, 1));
        assert_eq!((theirs.len() * 5, hers.len()), (25, 9), "28 at the most, and what that leaves");
        assert_eq!(all_of(&http, 1).len(), 6);
    }

    #[test]
    fn a_port_keeps_its_share_over_a_reload_and_one_that_is_gone_leaves_it_to_the_others() {
        let all = Descriptors::of(40);
        let (stays, goes) = (all.share("stays"), all.share("goes"));
        assert!(Arc::ptr_eq(&stays, &all.share("stays")));
        assert_eq!(all_of(&stays, 1).len(), 30);
        let last_client = goes.take(1);
        drop(goes);
        assert_eq!(all_of(&stays, 1).len(), 30);
        drop(last_client);
        assert_eq!(all_of(&stays, 1).len(), 40);
        // Whoever comes later has its share as soon as there is any room.
        let mut hers = all_of(&stays, 1);
        let late = all.share("late");
        assert!(late.take(1).is_none());
        hers.truncate(35);
        assert_eq!((all_of(&late, 1).len(), stays.take(1).is_some()), (5, false));
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
