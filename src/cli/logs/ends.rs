//! How far each file has been read, whatever it is called by now. A file whose name is missing may come back under
//! another, so it is not forgotten.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::place::Place;
use super::sources::Found;

/// How many files that are gone are remembered.
const GONE: usize = 10_000;

/// How long a file may have the same time of its last change though it was changed again: file systems round.
const TICK: Duration = Duration::from_secs(2);

/// How far files have been read, by device and inode.
#[derive(Default)]
pub(super) struct Ends(HashMap<(u64, u64), End>);

#[derive(Default)]
struct End {
    place: Place,
    /// Length and time of the last change when it was read: while they are the same, nothing was added. `None` where
    /// that is not certain.
    seen: Option<(u64, u64)>,
}

fn seen(file: &Found) -> Option<(u64, u64)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let age = now.checked_sub(Duration::from_nanos(file.modified));
    age.is_some_and(|age| age > TICK).then_some((file.length, file.modified))
}

impl Ends {
    /// Notes how far a file has been read, as it was found.
    pub(super) fn insert(&mut self, file: &Found, place: Place) {
        self.0.insert(file.id, End { place, seen: seen(file) });
    }

    /// Has a file read on that has changed since; one that cannot be is tried again the next time.
    pub(super) fn on(
        &mut self,
        file: &Found,
        read: impl FnOnce(&mut Place) -> io::Result<()>,
    ) -> io::Result<()> {
        let end = self.0.entry(file.id).or_default();
        if end.seen != Some((file.length, file.modified)) {
            // Before it is read: what is written meanwhile may not move the time on.
            let seen = seen(file);
            read(&mut end.place)?;
            end.seen = seen;
        }
        Ok(())
    }

    /// Forgets files that are gone, once they are very many.
    pub(super) fn forget_old(&mut self, files: &[Found]) {
        if self.0.len() > files.len() + GONE {
            let there: HashSet<_> = files.iter().map(|file| file.id).collect();
            self.0.retain(|id, _| there.contains(id));
        }
    }
}
