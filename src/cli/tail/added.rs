//! Follows files of spans as they grow, are rotated, and come to be, and pipes as something comes.

use std::io::{self, BufReader, ErrorKind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::stdio::stdout;

use crate::calls::Call;
use crate::cli::records::backwards::Backwards;
use crate::cli::records::ends::Ends;
use crate::cli::records::lines::{Fault, Line, each_of, open};
use crate::cli::records::place::Place;
use crate::cli::records::selection::Filter;
use crate::cli::records::sources::{self, Found, Kind};
use crate::cli::records::spans::read;
use crate::cli::records::stream::{Stream, is_closed_within};
use crate::cli::say;
use crate::extensions::stats::finished;
use crate::extensions::stats::v1::FinishedCall;
use crate::otlp::Request;
use crate::otlp::wire::view::{Item, each_item};

/// Says how often is looked for more.
const LOOK: Duration = Duration::from_millis(200);
/// Says how many times as long as a look took is waited for the next: looks take a twentieth of a core at most.
const REST: u32 = 19;

/// Shows each call that is added to the sources and wanted, until nobody reads stdout any more, which is a broken pipe,
/// or until a pipe ends. Says whether all of them can be read.
pub(super) fn follow(
    places: &[PathBuf],
    filter: &Filter,
    mut show: impl FnMut(&FinishedCall) -> io::Result<()>,
) -> io::Result<bool> {
    let found = sources::list(places, Kind::Spans);
    for (place, error) in &found.failed {
        say(&format!("mcpcol: cannot read `{}`: {error}", place.display()));
    }
    if !found.failed.is_empty() {
        return Ok(false);
    }
    match &found.streams[..] {
        [] => {}
        [stream] if places.len() == 1 => {
            let from = match Stream::open(stream, stdout()) {
                Ok(from) => BufReader::new(from),
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(error),
                Err(error) => {
                    say(&format!("mcpcol: cannot read `{}`: {error}", stream.display()));
                    return Ok(false);
                }
            };
            let read = each_of(from, |line| match line {
                Line::Whole(line) | Line::Torn(line) => each_call(line, filter, &mut show),
                Line::TooLong => Ok(()),
            });
            return match read {
                Ok(()) => Ok(true),
                Err(Fault::Taken(error) | Fault::Read(error)) => Err(error),
            };
        }
        [stream, ..] => {
            say(&format!("mcpcol: `{}` has to be the only source", stream.display()));
            return Ok(false);
        }
    }
    let mut ends = Ends::default();
    for file in &found.files {
        // One that was rotated away meanwhile is read from its beginning.
        if let Ok(place) = end_of(file) {
            ends.insert(file, place);
        }
    }
    let mut wait = LOOK;
    while !is_closed_within(stdout(), wait)? {
        let begun = Instant::now();
        let files = sources::list(places, Kind::Spans).files;
        ends.forget_old(&files);
        let mut shown = Ok(());
        for file in files.iter().rev() {
            let more = |place: &mut Place| {
                let opened = open(file)?;
                place.read(&opened, file.length, |line| {
                    if let (Ok(()), Some(line)) = (&shown, line) {
                        shown = each_call(line, filter, &mut show);
                    }
                })
            };
            // One that is gone again is gone; one that cannot be read may be later.
            ends.on(file, more).ok();
        }
        shown?;
        wait = LOOK.max(begun.elapsed() * REST);
    }
    Err(ErrorKind::BrokenPipe.into())
}

/// The place behind the last whole line.
fn end_of(file: &Found) -> io::Result<Place> {
    let opened = open(file)?;
    let torn = Backwards::new(&opened, file.length).any_line()?;
    Place::new(&opened, torn.map_or(0, |torn| torn.begins), file.length)
}

/// Shows the calls of a line that are wanted; what is no OTLP JSON has none.
fn each_call(
    line: &[u8],
    filter: &Filter,
    show: &mut impl FnMut(&FinishedCall) -> io::Result<()>,
) -> io::Result<()> {
    let Some(wire) = read(line) else { return Ok(()) };
    let mut shown = Ok(());
    each_item(Request::Traces, &wire, &mut |item: &Item<'_>| {
        let call = Call::of(item, filter.count()).filter(|call| filter.takes(call));
        if let (Ok(()), Some(call)) = (&shown, call) {
            shown = show(&finished(&call, item));
        }
    });
    shown
}
