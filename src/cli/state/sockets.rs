//! The sockets of running taps, by which they tell of what goes on.

use std::fs;
use std::path::{Path, PathBuf};

use crate::http::unix;

/// Ends the name of such a socket: what stands before is the name of the tap's record.
pub(in crate::cli) const SOCKET: &str = "sock";
/// Says how many of a directory are looked at.
const MOST: usize = 4096;

/// Finds the sockets in a directory, in no order, and removes those of taps that were killed.
pub(in crate::cli) fn sockets(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let all = paths.filter(|path| path.extension().is_some_and(|end| end == SOCKET)).take(MOST);
    let (dead, alive) = all.partition::<Vec<_>, _>(|path| unix::is_abandoned(path));
    dead.iter().for_each(|path| drop(fs::remove_file(path)));
    alive
}
