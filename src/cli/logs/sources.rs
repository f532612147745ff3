//! Finds what is meant by the sources: named files with those that they were rotated to, files of directories, and
//! streams, which are whatever else can be read. Each directory is listed once. Nothing is opened or read here.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Ends the names of files of log records.
const ENDING: &str = ".logs.jsonl";

/// A file that is there.
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Device and inode: the same file, whatever it is called.
    pub(super) id: (u64, u64),
    /// In bytes.
    pub(super) length: u64,
    /// When it was written last, in nanoseconds since the epoch.
    pub(super) modified: u64,
}

/// Lists what the sources are.
#[derive(Default)]
pub(super) struct Listing {
    /// Regular files, each once, those written last first.
    pub(super) files: Vec<Found>,
    /// Lists the sources that are neither files nor directories, and `-`, as they were given.
    pub(super) streams: Vec<PathBuf>,
    /// Sources that are not there or cannot be looked at, and why.
    pub(super) failed: Vec<(PathBuf, io::Error)>,
}

/// Has the names that are asked for in a directory; true where a file is there to which the named one was rotated.
type Names = HashMap<String, bool>;

/// Finds what is there now.
pub(super) fn list(sources: &[PathBuf]) -> Listing {
    let mut listing = Listing::default();
    let mut named: HashMap<PathBuf, Names> = HashMap::new();
    let mut absent = Vec::new();
    for source in sources {
        if source.as_os_str() == "-" {
            listing.streams.push(source.clone());
            continue;
        }
        match fs::metadata(source) {
            Ok(there) if there.is_dir() => match in_directory(source, is_logs) {
                Ok(found) => listing.files.extend(found),
                Err(error) => listing.failed.push((source.clone(), error)),
            },
            Ok(there) if there.is_file() => listing.files.push(found(source.clone(), &there)),
            Ok(_) => {
                listing.streams.push(source.clone());
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => absent.push((source, error)),
            Err(error) => listing.failed.push((source.clone(), error)),
        }
        if let Some((directory, name)) = split(source) {
            named.entry(directory.to_owned()).or_default().insert(name.to_owned(), false);
        }
    }
    for (directory, names) in &mut named {
        // What a file was rotated to may be out of reach; the file itself is not.
        listing.files.extend(rotated(directory, names).unwrap_or_default());
    }
    // A file that was moved away may come to be again only with the next record.
    absent.retain(|(source, _)| !split(source).is_some_and(|(dir, name)| named[dir][name]));
    listing.failed.extend(absent.into_iter().map(|(source, error)| (source.clone(), error)));
    let files = &mut listing.files;
    files.sort_by(|a, b| b.modified.cmp(&a.modified).then_with(|| b.path.cmp(&a.path)));
    let mut ids = HashSet::with_capacity(files.len());
    files.retain(|file| ids.insert(file.id));
    listing
}

/// Splits a path into its directory and the name in it.
fn split(path: &Path) -> Option<(&Path, &str)> {
    let directory = path.parent()?;
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    Some((directory, path.file_name().and_then(OsStr::to_str)?))
}

/// Finds what the named files of a directory were rotated to, and notes for which there is any.
fn rotated(directory: &Path, names: &mut Names) -> io::Result<Vec<Found>> {
    in_directory(directory, |other| {
        let name = unrotated(other);
        let known = (name != other).then(|| names.get_mut(name)).flatten();
        known.map(|there| *there = true).is_some()
    })
}

fn in_directory(directory: &Path, mut which: impl FnMut(&str) -> bool) -> io::Result<Vec<Found>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        let wanted = entry.file_name().to_str().is_some_and(&mut which);
        // One that is gone by now was rotated away or cleaned up.
        if let Some(there) = wanted.then(|| metadata(&entry).ok()).flatten()
            && there.is_file()
        {
            files.push(found(entry.path(), &there));
        }
    }
    Ok(files)
}

/// Asks by name within the directory, which costs less than by path, unless a link has to be followed.
fn metadata(entry: &DirEntry) -> io::Result<Metadata> {
    if entry.file_type()?.is_symlink() { fs::metadata(entry.path()) } else { entry.metadata() }
}

fn found(path: PathBuf, there: &Metadata) -> Found {
    let nanos = i128::from(there.mtime()) * 1_000_000_000 + i128::from(there.mtime_nsec());
    let modified = u64::try_from(nanos).unwrap_or(0);
    Found { path, id: id(there), length: there.len(), modified }
}

/// Gives device and inode.
pub(super) fn id(of: &Metadata) -> (u64, u64) {
    (of.dev(), of.ino())
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
