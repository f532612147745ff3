//! Reads sources line by line, in bounded memory: files from their beginnings, streams as they come.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::stdio::stdout;

use super::backwards::MAX_LINE;
use super::sources::{self, Found, Kind};
use super::stream::Stream;
use crate::cli::say;

/// Bytes that are read at once.
const BLOCK: usize = 1 << 20;
/// Says how often is looked for a file that was moved away before it was opened.
const LOOKS: usize = 5;

/// A line, without its newline.
pub(in crate::cli) enum Line<'a> {
    /// It ends with a newline.
    Whole(&'a [u8]),
    /// It ends where the source does: it may not be all of it.
    Torn(&'a [u8]),
    /// It has more than [`MAX_LINE`] bytes.
    TooLong,
}

/// Says whose error it is.
pub(in crate::cli) enum Fault {
    /// The source's.
    Read(io::Error),
    /// Of whoever takes the lines.
    Taken(io::Error),
}

/// Hands out each line of a source, which ends with the first error.
pub(in crate::cli) fn each_of(
    mut from: impl BufRead,
    mut each: impl FnMut(Line<'_>) -> io::Result<()>,
) -> Result<(), Fault> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = from.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line);
        let read = read.map_err(Fault::Read)?;
        match line.pop_if(|byte| *byte == b'\n') {
            Some(_) => each(Line::Whole(&line)),
            None if read == 0 => return Ok(()),
            None if read > MAX_LINE => {
                from.skip_until(b'\n').map_err(Fault::Read)?;
                each(Line::TooLong)
            }
            None => each(Line::Torn(&line)),
        }
        .map_err(Fault::Taken)?;
    }
}

/// Opens a file that was found; `NotFound` if another one is at its path by now.
pub(in crate::cli) fn open(file: &Found) -> io::Result<File> {
    // What took its place may be a FIFO.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(&file.path)?;
    if sources::id(&opened.metadata()?) != file.id {
        return Err(ErrorKind::NotFound.into());
    }
    Ok(opened)
}

/// Knows what was read of sources.
#[derive(Default)]
pub(in crate::cli) struct Lines {
    /// Files and streams, by the names under which they were found.
    pub(in crate::cli) read: Vec<PathBuf>,
    /// Says how many bytes those have.
    pub(in crate::cli) bytes: u64,
    /// Says how many lines.
    pub(in crate::cli) lines: u64,
    /// A source cannot be read.
    pub(in crate::cli) unreadable: bool,
}

impl Lines {
    /// Hands out each line of the sources: files that were written last come first. What is added to a file meanwhile is
    /// not read. Says on stderr what cannot be read; an error is a broken pipe, where nobody reads stdout any more.
    pub(in crate::cli) fn each(
        &mut self,
        sources: &[PathBuf],
        kind: Kind,
        mut each: impl FnMut(Line<'_>),
    ) -> io::Result<()> {
        let found = sources::list(sources, kind);
        for (place, error) in &found.failed {
            self.cannot_read(place, error);
        }
        for path in &found.streams {
            match Stream::open(path, stdout()) {
                Ok(from) => self.each_of(path, BufReader::with_capacity(BLOCK, from), &mut each)?,
                Err(error) => self.fault(path, Fault::Read(error))?,
            }
        }
        let (mut files, mut tried) = (found.files, HashSet::new());
        for _ in 0..LOOKS {
            let mut moved = false;
            for file in files.iter().filter(|file| !tried.contains(&file.id)).collect::<Vec<_>>() {
                match open(file) {
                    Ok(opened) => {
                        let from = BufReader::with_capacity(BLOCK, opened.take(file.length));
                        self.each_of(&file.path, from, &mut each)?;
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {
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
            files = sources::list(sources, kind).files;
        }
        Ok(())
    }

    fn each_of(
        &mut self,
        path: &Path,
        from: impl BufRead,
        each: &mut impl FnMut(Line<'_>),
    ) -> io::Result<()> {
        self.read.push(path.to_owned());
        let (mut lines, mut bytes) = (0, 0);
        let read = each_of(from, |line| {
            lines += 1;
            bytes += match &line {
                Line::Whole(text) => text.len() as u64 + 1,
                Line::Torn(text) => text.len() as u64,
                Line::TooLong => MAX_LINE as u64,
            };
            each(line);
            Ok(())
        });
        self.lines += lines;
        self.bytes += bytes;
        read.or_else(|fault| self.fault(path, fault))
    }

    fn fault(&mut self, path: &Path, fault: Fault) -> io::Result<()> {
        match fault {
            Fault::Taken(error) => Err(error),
            // Nothing that is read breaks: nobody wants it any more.
            Fault::Read(error) if error.kind() == ErrorKind::BrokenPipe => Err(error),
            Fault::Read(error) => {
                self.cannot_read(path, &error);
                Ok(())
            }
        }
    }

    fn cannot_read(&mut self, place: &Path, error: &io::Error) {
        self.unreadable = true;
        say(&format!("mcpcol: cannot read `{}`: {error}", place.display()));
    }
}
