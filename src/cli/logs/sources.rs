//! Finds the files that are meant: named ones with those that they were rotated to, those of directories, or
//! those of the state directory.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How the names of files of log records end.
const ENDING: &str = ".logs.jsonl";

/// A file that is there.
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Device and inode: the same file, whatever it is called.
    pub(super) id: (u64, u64),
    pub(super) length: u64,
    /// When it was written last, in nanoseconds since the epoch.
    pub(super) modified: u64,
}

/// Finds the files of one source; an error if it cannot be read.
pub(super) fn files(source: &Path) -> io::Result<Vec<Found>> {
    let there = fs::metadata(source)?;
    if there.is_dir() {
        return in_directory(source, is_logs);
    }
    // Whether it can be opened is part of it.
    File::open(source)?;
    let mut files = vec![found(source.to_owned(), &there)];
    let (directory, name) = (source.parent(), source.file_name());
    if let (Some(directory), Some(name)) = (directory, name.and_then(OsStr::to_str)) {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let rotated = |other: &str| other != name && unrotated(other) == name;
        // What it was rotated to may be out of reach; it is not.
        files.extend(in_directory(directory, rotated).unwrap_or_default());
    }
    Ok(files)
}

fn in_directory(directory: &Path, which: impl Fn(&str) -> bool) -> io::Result<Vec<Found>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        let wanted = entry.file_name().to_str().is_some_and(&which);
        // One that is gone by now was rotated away or cleaned up.
        if let Some(there) = wanted.then(|| fs::metadata(entry.path()).ok()).flatten()
            && there.is_file()
        {
            files.push(found(entry.path(), &there));
        }
    }
    Ok(files)
}

fn found(path: PathBuf, there: &Metadata) -> Found {
    let nanos = i128::from(there.mtime()) * 1_000_000_000 + i128::from(there.mtime_nsec());
    let modified = u64::try_from(nanos).unwrap_or(0);
    Found { path, id: (there.dev(), there.ino()), length: there.len(), modified }
}

fn is_logs(name: &str) -> bool {
    unrotated(name).ends_with(ENDING)
}

/// The name that a file had before it was rotated: `x` of `x.1`.
fn unrotated(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((before, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => before,
        _ => name,
    }
}
