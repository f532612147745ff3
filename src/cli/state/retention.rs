//! How long spans and log records are kept: 30 days, and 1 GiB over all files.

use std::fs::{self, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use super::key;

/// How long a file is kept after its last span.
pub(super) const AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many bytes all files of spans may have.
pub(super) const BYTES: u64 = 1 << 30;

/// A file of spans.
struct Found {
    path: PathBuf,
    name: String,
    modified: SystemTime,
    bytes: u64,
}

/// Removes files of spans that are too old, and the oldest of those that are too many. Files of running
/// taps stay, though they count: the `file` exporter holds a lock on what it writes. What cannot be
/// removed stays.
pub(in crate::cli) fn clean(dir: &Path) {
    clean_as_of(SystemTime::now(), BYTES, dir);
}

pub(super) fn clean_as_of(now: SystemTime, bytes: u64, dir: &Path) {
    let old = |file: &Found| now.duration_since(file.modified).is_ok_and(|age| age > AGE);
    let (mut spans, others): (Vec<_>, Vec<_>) =
        files(dir).into_iter().partition(|file| running_name(&file.name).is_some());
    // A key that was written aside and never linked into place: its tap was killed in between.
    let aside =
        |file: &&Found| file.name.strip_prefix(key::NAME).is_some_and(|n| n.starts_with('.'));
    for file in others.iter().filter(aside).filter(|file| old(file)) {
        drop(fs::remove_file(&file.path));
    }
    spans.sort_by_key(|file| file.modified);
    let mut total: u64 = spans.iter().map(|file| file.bytes).sum();
    for file in spans {
        if total <= bytes && !old(&file) {
            continue;
        }
        let running = running_name(&file.name).is_some_and(|name| is_written(&dir.join(name)));
        if !running && fs::remove_file(&file.path).is_ok() {
            total -= file.bytes;
        }
    }
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

/// Whether a tap has the file open. Where locks cannot be had nobody can tell, and the bound holds.
fn is_written(path: &Path) -> bool {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
    opened.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}
