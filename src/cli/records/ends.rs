//! How far each file has been read, whatever it is called by now. A file whose name is missing may come back under
//! another, so it is not forgotten.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::place::Place;
use super::sources::Found;

/// Bounds how many files that are gone are remembered.
const GONE: usize = 10_000;

/// Bounds how long a file may have the same time of its last change though it was changed again: file systems round.
const TICK: Duration = Duration::from_secs(2);

/// Knows how far files have been read, by device and inode.
#[derive(Default)]
pub(in crate::cli) struct Ends(HashMap<(u64, u64), End>);

#[derive(Default)]
struct End {
    place: Place,
    /// Length and time of the last change when it was read: while they are the same, nothing was added. `None` where
    /// that is not certain.
    seen: Option<(u64, u64)>,
}

/// Gives what to compare the next time; `None` while it may change again unseen.
fn seen(file: &Found) -> Option<(u64, u64)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let age = now.checked_sub(Duration::from_nanos(file.modified));
    age.is_some_and(|age| age > TICK).then_some((file.length, file.modified))
}

impl Ends {
    /// Notes how far a file has been read, as it was found.
    pub(in crate::cli) fn insert(&mut self, file: &Found, place: Place) {
        self.0.insert(file.id, End { place, seen: seen(file) });
    }

    /// Has a file read on that has changed since. One that cannot be, or of which `read` says that it did not read all,
    /// is read on the next time.
    pub(in crate::cli) fn on(
        &mut self,
        file: &Found,
        read: impl FnOnce(&mut Place) -> io::Result<bool>,
    ) -> io::Result<()> {
        let end = self.0.entry(file.id).or_default();
        if end.seen != Some((file.length, file.modified)) {
            // Before it is read: what is written meanwhile may not move the time on.
            let seen = seen(file);
            end.seen = if read(&mut end.place)? { seen } else { None };
        }
        Ok(())
    }

    /// Forgets files that are gone, once they are very many.
    pub(in crate::cli) fn forget_old(&mut self, files: &[Found]) {
        if self.0.len() > files.len() + GONE {
            let there: HashSet<_> = files.iter().map(|file| file.id).collect();
            self.0.retain(|id, _| there.contains(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(inode: u64, length: u64, modified: u64) -> Found {
        Found { path: "x".into(), id: (1, inode), length, modified }
    }

    /// Says whether the file is read.
    fn is_read(ends: &mut Ends, file: &Found, all: bool) -> bool {
        let mut asked = false;
        let read = |_: &mut Place| {
            asked = true;
            Ok(all)
        };
        ends.on(file, read).unwrap();
        asked
    }

    #[test]
    fn a_file_that_is_as_it_was_is_not_opened() {
        let mut ends = Ends::default();
        let old = found(1, 10, 1_000);
        assert!(is_read(&mut ends, &old, false), "it is new");
        assert!(is_read(&mut ends, &old, true), "it was not read to its end");
        assert!(!is_read(&mut ends, &old, true));
        assert!(is_read(&mut ends, &found(1, 10, 2_000), true), "its time has changed");
        assert!(is_read(&mut ends, &found(1, 11, 2_000), true), "its length has changed");
        ends.on(&old, |_| Err(io::ErrorKind::PermissionDenied.into())).unwrap_err();
        assert!(is_read(&mut ends, &old, true), "it could not be read");
        // It may change again within the same tick.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let new = found(2, 10, u64::try_from(now.as_nanos()).unwrap());
        assert!(is_read(&mut ends, &new, true) && is_read(&mut ends, &new, true));
    }

    #[test]
    fn files_that_are_gone_are_remembered_up_to_a_number() {
        let mut ends = Ends::default();
        let files: Vec<_> = (0..=GONE as u64).map(|inode| found(inode, 1, 1)).collect();
        files.iter().for_each(|file| ends.insert(file, Place::default()));
        let there = |ends: &Ends| ends.0.len();
        ends.forget_old(&files[..1]);
        assert_eq!(there(&ends), GONE + 1);
        ends.forget_old(&[]);
        assert_eq!(there(&ends), 0);
    }
}
