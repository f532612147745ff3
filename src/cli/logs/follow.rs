//! Follows files as they grow, are rotated, and come to be.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::Reading;
use super::backwards::MAX_LINE;
use super::page::Page;
use super::record::Record;
use super::sources::Found;

/// How often is looked for more.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes that are read at once.
const BLOCK: usize = 256 << 10;

/// How far files have been read, by device and inode.
pub(super) type Ends = HashMap<(u64, u64), u64>;

/// Has Ctrl-C end the process well from here on: it is how following ends.
pub(super) fn ends_by_signal() -> io::Result<()> {
    let always = Arc::new(AtomicBool::new(true));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 0, Arc::clone(&always))?;
    }
    Ok(())
}

/// Prints what is added to the files of `places`, for good.
pub(super) fn follow<W: Write>(
    places: &[PathBuf],
    mut ends: Ends,
    reading: &mut Reading,
    page: &mut Page<W>,
) -> io::Result<()> {
    loop {
        thread::park_timeout(LOOK);
        let records = more(places, &mut ends, reading);
        if !records.is_empty() {
            page.print(&records)?;
        }
        reading.say();
    }
}

/// Reads what was added since, in order of time.
pub(super) fn more(places: &[PathBuf], ends: &mut Ends, reading: &mut Reading) -> Vec<Record> {
    let mut records = Vec::new();
    let files = reading.files(places, false);
    // A number may come to be another file's.
    ends.retain(|id, _| files.iter().any(|file| file.id == *id));
    for file in files {
        let end = ends.entry(file.id).or_default();
        if file.length < *end {
            *end = 0;
        }
        if file.length > *end {
            // One that is gone again is gone; one that cannot be read may be later.
            read_on(&file, end, reading, &mut records).ok();
        }
    }
    records.sort_by_key(|record| record.time);
    records
}

/// Reads whole lines that were added.
fn read_on(
    file: &Found,
    end: &mut u64,
    reading: &mut Reading,
    records: &mut Vec<Record>,
) -> io::Result<()> {
    let opened = File::open(&file.path)?;
    let (mut held, mut at) = (Vec::new(), *end);
    let mut block = vec![0; BLOCK];
    loop {
        let read = opened.read_at(&mut block, at)?;
        if read == 0 {
            return Ok(());
        }
        at += read as u64;
        held.extend_from_slice(&block[..read]);
        while let Some(newline) = memchr::memchr(b'\n', &held) {
            records.extend(reading.records(&held[..newline]));
            held.drain(..=newline);
            *end = at - held.len() as u64;
        }
        if held.len() > MAX_LINE {
            // It counts once it ends: what is left of it is no JSON.
            *end = at;
            held.clear();
        }
    }
}
