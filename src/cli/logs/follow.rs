//! Follows files as they grow, are rotated, and come to be.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::page::Page;
use super::reading::Reading;
use crate::cli::records::ends::Ends;
use crate::cli::records::lines::open;
use crate::cli::records::place::Place;
use crate::cli::records::record::Record;
use crate::cli::records::sources::{self, Found, Kind};
use crate::cli::records::stream::is_closed_within;

/// Says how often is looked for more.
const LOOK: Duration = Duration::from_millis(200);
/// Says how many times as long as a look took is waited for the next: looks take a twentieth of a core at most.
const REST: u32 = 19;

/// Has Ctrl-C end the process well from here on: it is how following ends.
pub(super) fn ends_by_signal() -> io::Result<()> {
    let always = Arc::new(AtomicBool::new(true));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 0, Arc::clone(&always))?;
    }
    Ok(())
}

/// Prints what is added to the files of the places, which are asked for anew, until nobody reads `out` any more: a broken pipe.
pub(super) fn follow<'a, W: Write>(
    places: impl Fn() -> Cow<'a, [PathBuf]>,
    mut ends: Ends,
    reading: &mut Reading,
    page: &mut Page<W>,
    out: BorrowedFd<'_>,
) -> io::Result<()> {
    let mut wait = LOOK;
    while !is_closed_within(out, wait)? {
        let begun = Instant::now();
        let records = more(&places(), &mut ends, reading);
        wait = LOOK.max(begun.elapsed() * REST);
        if !records.is_empty() {
            page.print(&records)?;
        }
        reading.say();
    }
    Err(ErrorKind::BrokenPipe.into())
}

/// Reads what was added since, in order of time.
pub(super) fn more(places: &[PathBuf], ends: &mut Ends, reading: &mut Reading) -> Vec<Record> {
    let mut records = Vec::new();
    let files = sources::list(places, Kind::Logs).files;
    ends.forget_old(&files);
    // Those of equal times stay in the order in which they were written.
    for file in files.iter().rev() {
        // One that is gone again is gone; one that cannot be read may be later.
        ends.on(file, |place| read_on(file, place, reading, &mut records)).ok();
    }
    records.sort_by_key(|record| record.time);
    records
}

fn read_on(
    file: &Found,
    place: &mut Place,
    reading: &mut Reading,
    records: &mut Vec<Record>,
) -> io::Result<bool> {
    let opened = open(file)?;
    place.read(&opened, file.length, |line| match line {
        Some(line) => records.extend(reading.records(line)),
        None => reading.pass_over(1),
    })
}
