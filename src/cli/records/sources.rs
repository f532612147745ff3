//! Finds what is meant by the sources: named files with those that they were rotated to, files of directories, and
//! streams, which are whatever else can be read. Each directory is listed once. Nothing is opened or read here.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Ends the names of files of OTLP JSON lines.
const LINES: &str = ".jsonl";
/// Ends the names of those that hold log records.
const LOGS: &str = ".logs.jsonl";

/// Says which files of a directory are meant; a file that is named is meant whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Kind {
    /// Files of log records.
    Logs,
    /// Files of spans.
    Spans,
}

/// A file that is there.
pub(in crate::cli) struct Found {
    pub(in crate::cli) path: PathBuf,
    /// Device and inode: the same file, whatever it is called.
    pub(in crate::cli) id: (u64, u64),
    /// In bytes.
    pub(in crate::cli) length: u64,
    /// Says when it was written last, in nanoseconds since the epoch.
    pub(in crate::cli) modified: u64,
}

/// Lists what the sources are.
#[derive(Default)]
pub(in crate::cli) struct Listing {
    /// Regular files, each once, those written last first.
    pub(in crate::cli) files: Vec<Found>,
    /// Lists the sources that are neither files nor directories, and `-`, as they were given.
    pub(in crate::cli) streams: Vec<PathBuf>,
    /// Sources that are not there or cannot be looked at, and why.
    pub(in crate::cli) failed: Vec<(PathBuf, io::Error)>,
}

/// Has the names that are asked for in a directory; true where a file is there to which the named one was rotated.
type Names = HashMap<String, bool>;

/// Finds what is there now.
pub(in crate::cli) fn list(sources: &[PathBuf], kind: Kind) -> Listing {
    let mut listing = Listing::default();
    let mut named: HashMap<PathBuf, Names> = HashMap::new();
    let mut absent = Vec::new();
    for source in sources {
        if source.as_os_str() == "-" {
            listing.streams.push(source.clone());
            continue;
        }
        match fs::metadata(source) {
            Ok(there) if there.is_dir() => match in_directory(source, |name| kind.is_in(name)) {
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
pub(in crate::cli) fn id(of: &Metadata) -> (u64, u64) {
    (of.dev(), of.ino())
}

impl Kind {
    /// Says whether a file of that name is meant.
    fn is_in(self, name: &str) -> bool {
        let name = unrotated(name);
        name.ends_with(LINES) && name.ends_with(LOGS) == (self == Kind::Logs)
    }
}

/// The name that a file had before it was rotated: `x` of `x.1`.
fn unrotated(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((before, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => before,
        _ => name,
    }
}
