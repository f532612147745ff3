//! The file in which counts and alerts outlast a process, and which the taps of a machine share.
//!
//! Each process adds what it counted since the last time to what the file has, under a lock, and takes over the sum: so
//! all share one budget, and nobody's calls count twice. The file is replaced whole (written beside, synced, renamed). It
//! blocks, so it has a thread of its own each time; nothing of it is ever waited for but at the end, for half a second.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::snapshot::Snapshot;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 256 << 20;
/// Only the user may read it: it has names of servers and tools.
const MODE: u32 = 0o600;

/// The file.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    path: PathBuf,
}

/// Names what a file has.
#[derive(Debug)]
pub(super) enum Kept {
    /// Nothing was written yet.
    Nothing,
    /// Counts and alerts.
    Snapshot(Box<Snapshot>),
    /// Something that cannot be read, and why.
    Unreadable(String),
}

impl Keeping {
    pub(super) fn new(path: PathBuf) -> Self {
        Keeping { path }
    }

    /// Names the file, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file.
    pub(super) fn read(&self) -> Kept {
        let mut bytes = Vec::new();
        let opened = File::open(&self.path);
        let read = opened.and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::Nothing,
            Err(error) => Kept::Unreadable(error.to_string()),
            Ok(_) if bytes.len() as u64 > MAX_FILE => {
                Kept::Unreadable("it is too large".to_owned())
            }
            Ok(_) => match Snapshot::read(&bytes) {
                Ok(snapshot) => Kept::Snapshot(Box::new(snapshot)),
                Err(why) => Kept::Unreadable(why.to_owned()),
            },
        }
    }

    /// Adds `own`, what this process counted since the last time, and writes the sum, which is returned. Where there is
    /// nothing that can be read, `all`, what this process knows, is written.
    pub(super) fn add(&self, own: Snapshot, all: &Snapshot) -> io::Result<Snapshot> {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(MODE)
            .open(self.beside("lock"))?;
        // Let go when it is closed, also by a crash.
        lock.lock()?;
        let mut sum = match self.read() {
            Kept::Snapshot(mut known) => {
                known.add(own);
                *known
            }
            Kept::Nothing => all.clone(),
            Kept::Unreadable(_) => {
                // For whoever wants to know what happened to it.
                fs::rename(&self.path, self.beside("unreadable")).ok();
                all.clone()
            }
        };
        sum.alerts_of(all);
        sum.prune();
        self.write(&sum.write())?;
        Ok(sum)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let new = self.beside("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }
}
