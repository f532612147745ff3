//! Says how long spans and log records are kept: 30 days, and 1 GiB over all files of a directory.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use super::{key, sockets};

/// Says how long files are kept after their last span, and how many bytes all of a directory may have.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Limits {
    pub(in crate::cli) age: Duration,
    pub(in crate::cli) bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { age: Duration::from_secs(30 * 24 * 3600), bytes: 1 << 30 }
    }
}

/// A file of spans or log records.
#[derive(Debug)]
pub(in crate::cli) struct Found {
    pub(in crate::cli) path: PathBuf,
    name: String,
    pub(in crate::cli) modified: SystemTime,
    pub(in crate::cli) bytes: u64,
}

/// Says what pruning a directory did.
#[derive(Debug, Default)]
pub(in crate::cli) struct Pruned {
    /// Lists the files that are gone, or would be, the oldest first.
    pub(in crate::cli) removed: Vec<Found>,
    /// Lists the files that could not be removed, and why.
    pub(in crate::cli) failed: Vec<(Found, io::Error)>,
    /// Files that stay, and their bytes.
    pub(in crate::cli) stay: usize,
    pub(in crate::cli) bytes: u64,
    /// Counts those of them that running taps write.
    pub(in crate::cli) written: usize,
}

/// Removes what is beyond the usual limits, and the sockets of dead taps.
pub(in crate::cli) fn clean(dir: &Path) {
    sockets(dir);
    prune(dir, Limits::default(), SystemTime::now(), true);
}

/// Removes files of spans and log records that are too old, and the oldest of those that are too many; `remove`: or
/// only says so. Files of running taps stay, though they count: the `file` exporter holds a lock on what it writes.
pub(in crate::cli) fn prune(dir: &Path, limits: Limits, now: SystemTime, remove: bool) -> Pruned {
    let old = |file: &Found| now.duration_since(file.modified).is_ok_and(|age| age > limits.age);
    let (mut records, others): (Vec<_>, Vec<_>) =
        files(dir).into_iter().partition(|file| running_name(&file.name).is_some());
    // A key that was written aside and never linked into place: its tap was killed in between.
    let aside =
        |file: &&Found| file.name.strip_prefix(key::NAME).is_some_and(|n| n.starts_with('.'));
    for file in others.iter().filter(aside).filter(|file| remove && old(file)) {
        drop(fs::remove_file(&file.path));
    }
    records.sort_by_key(|file| file.modified);
    let mut pruned =
        Pruned { bytes: records.iter().map(|file| file.bytes).sum(), ..Pruned::default() };
    for file in records {
        let running = running_name(&file.name).is_some_and(|name| is_written(&dir.join(name)));
        let goes = (pruned.bytes > limits.bytes || old(&file)) && !running;
        match (goes, if goes && remove { fs::remove_file(&file.path) } else { Ok(()) }) {
            (true, Ok(())) => {
                pruned.bytes -= file.bytes;
                pruned.removed.push(file);
                continue;
            }
            (true, Err(error)) => pruned.failed.push((file, error)),
            (false, _) => {}
        }
        pruned.stay += 1;
        pruned.written += usize::from(running);
    }
    pruned
}

/// The regular files in the directory; links are not followed.
fn files(dir: &Path) -> Vec<Found> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let found = |entry: fs::DirEntry| {
        let (path, name) = (entry.path(), entry.file_name().into_string().ok()?);
        let there = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some(Found { path, name, modified: there.modified().ok()?, bytes: there.len() })
    };
    entries.flatten().filter_map(found).collect()
}

/// The name of the file that a tap writes to, of that file and of those it moved on by rotation:
/// `<server>-<pid>-<8 hex digits>.jsonl`, `.logs.jsonl` for log records, in earlier versions `<server>-<pid>.jsonl`, and `.1` behind it.
fn running_name(name: &str) -> Option<&str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let hex = |text: &str| text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let running = match name.rsplit_once('.') {
        Some((before, number)) if digits(number) => before,
        _ => name,
    };
    let stem = running.strip_suffix(".jsonl")?;
    let stem = stem.strip_suffix(".logs").unwrap_or(stem);
    let (before, last) = stem.rsplit_once('-')?;
    let unique = hex(last) && before.rsplit_once('-').is_some_and(|(_, pid)| digits(pid));
    (digits(last) || unique).then_some(running)
}

/// Says whether a tap has the file open. Where locks cannot be had nobody can tell, and the bound holds.
fn is_written(path: &Path) -> bool {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
    opened.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}
