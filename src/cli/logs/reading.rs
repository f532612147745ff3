//! Reads the records of sources, and remembers what is to be said about them. It prints no records.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use super::newest::Newest;
use crate::cli::records::backwards::Backwards;
use crate::cli::records::ends::Ends;
use crate::cli::records::lines::{Fault, Line, each_of, open};
use crate::cli::records::place::Place;
use crate::cli::records::record::{self, Record};
use crate::cli::records::sources::{self, Found, Kind};
use crate::cli::records::stream::Stream;
use crate::cli::say;

/// Says how often is looked for a file that was moved away before it was opened.
const LOOKS: usize = 5;

/// Reads sources, and counts what cannot be read.
#[derive(Default)]
pub(super) struct Reading {
    server: Option<String>,
    /// Lines that are no OTLP/JSON, or too long, and records that are none.
    strange: u64,
    /// A source cannot be read.
    unreadable: bool,
}

impl Reading {
    /// Reads what belongs to that server, or everything.
    pub(super) fn new(server: Option<String>) -> Self {
        Reading { server, ..Reading::default() }
    }

    /// Says whether a source could not be read.
    pub(super) fn is_incomplete(&self) -> bool {
        self.unreadable
    }

    /// Adds the newest records of files. Returns how far each has been read, up to its last newline; what comes
    /// after that is read only if nobody comes `again` for it. A file that was rotated away meanwhile is looked for
    /// in `places`.
    pub(super) fn newest_of(
        &mut self,
        places: &[PathBuf],
        mut files: Vec<Found>,
        again: bool,
        newest: &mut Newest,
    ) -> Ends {
        let (mut ends, mut tried) = (Ends::default(), HashSet::new());
        for _ in 0..LOOKS {
            let mut moved = false;
            for file in files.iter().filter(|file| !tried.contains(&file.id)).collect::<Vec<_>>() {
                match self.newest_of_file(file, again, newest) {
                    Ok(place) => ends.insert(file, place),
                    // Or it was emptied.
                    Err(error)
                        if matches!(
                            error.kind(),
                            ErrorKind::NotFound | ErrorKind::UnexpectedEof
                        ) =>
                    {
                        moved = true;
                        continue;
                    }
                    Err(error) => self.cannot_read(&file.path, &error),
                }
                tried.insert(file.id);
            }
            if !moved {
                break;
            }
            files = sources::list(places, Kind::Logs).files;
        }
        ends
    }

    fn newest_of_file(
        &mut self,
        file: &Found,
        again: bool,
        newest: &mut Newest,
    ) -> io::Result<Place> {
        let opened = open(file)?;
        let mut lines = Backwards::new(&opened, file.length);
        // What comes after the last newline is a line that is not finished, unless nobody will finish it.
        let torn = lines.any_line()?;
        let end = torn.as_ref().map_or(0, |torn| torn.begins);
        let place = Place::new(&opened, end, file.length)?;
        if !again && let Some(torn) = torn {
            match torn.text {
                Some(text) => self.torn(&text).into_iter().for_each(|record| newest.add(record)),
                None => self.strange += 1,
            }
        }
        // A file that was written last before the oldest record that is kept has none to add.
        while newest.wants(file.modified)
            && let Some(text) = lines.line()?
        {
            let records = self.records(&text);
            // Batches stand in the order in which they were made, or nearly so.
            let newer =
                records.is_empty() || records.iter().any(|record| newest.wants(record.time));
            records.into_iter().for_each(|record| newest.add(record));
            if !newer {
                break;
            }
        }
        self.strange += lines.too_long;
        Ok(place)
    }

    /// Hands on the records of each line of a stream as it comes. An error is one of `each`, or a broken pipe where
    /// nobody reads `out` any more.
    pub(super) fn stream(
        &mut self,
        path: &Path,
        out: BorrowedFd<'_>,
        each: impl FnMut(Vec<Record>) -> io::Result<()>,
    ) -> io::Result<()> {
        match Stream::open(path, out) {
            Ok(from) => self.each_line(path, BufReader::new(from), each),
            Err(error) => self.cannot_read_on(path, error),
        }
    }

    pub(super) fn each_line(
        &mut self,
        path: &Path,
        from: impl BufRead,
        mut each: impl FnMut(Vec<Record>) -> io::Result<()>,
    ) -> io::Result<()> {
        let read = each_of(from, |line| match line {
            Line::Whole(text) => each(self.records(text)),
            Line::Torn(text) => each(self.torn(text)),
            Line::TooLong => {
                self.strange += 1;
                Ok(())
            }
        });
        match read {
            Ok(()) => Ok(()),
            Err(Fault::Read(error)) => self.cannot_read_on(path, error),
            Err(Fault::Taken(error)) => Err(error),
        }
    }

    /// Reads the records of a whole line.
    pub(super) fn records(&mut self, line: &[u8]) -> Vec<Record> {
        if line.trim_ascii().is_empty() {
            return Vec::new();
        }
        let read = record::read(line);
        self.strange += u64::from(read.is_none());
        self.wanted(read)
    }

    /// Reads the records of a last line, which is no error if it is torn.
    fn torn(&mut self, line: &[u8]) -> Vec<Record> {
        self.wanted(record::read(line))
    }

    fn wanted(&mut self, read: Option<record::Read>) -> Vec<Record> {
        let mut read = read.unwrap_or_default();
        self.strange += read.strange;
        if let Some(server) = &self.server {
            read.records.retain(|record| record.server == *server);
        }
        read.records
    }

    /// Counts what cannot be read.
    pub(super) fn pass_over(&mut self, lines: u64) {
        self.strange += lines;
    }

    /// Says that a source cannot be read.
    pub(super) fn cannot_read(&mut self, place: &Path, error: &io::Error) {
        self.unreadable = true;
        say(&format!("mcpcol: cannot read `{}`: {error}", place.display()));
    }

    fn cannot_read_on(&mut self, stream: &Path, error: io::Error) -> io::Result<()> {
        // Nothing that is read breaks: nobody wants it any more.
        if error.kind() == ErrorKind::BrokenPipe {
            return Err(error);
        }
        self.cannot_read(stream, &error);
        Ok(())
    }

    /// Says what was passed over since the last time.
    pub(super) fn say(&mut self) {
        let strange = std::mem::take(&mut self.strange);
        if strange > 0 {
            let lines = if strange == 1 { "line or record" } else { "lines or records" };
            say(&format!("mcpcol: passed over {strange} {lines} that cannot be read as OTLP JSON"));
        }
    }

    /// Gives how many were passed over and not said.
    #[cfg(test)]
    pub(super) fn strange(&self) -> u64 {
        self.strange
    }
}
