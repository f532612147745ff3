//! `mcpcol logs`: what the tapped servers logged and what was wrong on the wire, newest last.
//!
//! Reads files of OTLP JSON lines from their ends, in bounded memory; follows them through rotation. It opens no
//! tap and asks no process: what is in the files is all it knows.

mod newest;
mod reading;
mod page;
mod follow;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::stdio::stdout;

use self::newest::Newest;
use self::page::Page;
use self::reading::Reading;
use super::records::sources::{self, Kind, Listing};
use super::{say, state};

/// Exit code where a source cannot be read.
const UNREADABLE: u8 = 2;

/// Arguments of `mcpcol logs`.
#[derive(clap::Args, Debug)]
pub(super) struct Logs {
    /// Files of OTLP JSON lines, directories of `.logs.jsonl` files, pipes, or `-` for stdin; default: the state directory
    #[arg(value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Only what belongs to the server of this name
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// How many records are shown, the newest ones: 0 to as many as there are
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 50)]
    lines: usize,
    /// Go on with what is added, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// A readable line a record, or a JSON object
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// `--format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Logs {
    /// Prints the newest records and, if asked to, follows. Exit code 2 if a source cannot be read.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if self.follow {
            follow::ends_by_signal()?;
        }
        let out = io::stdout();
        let colours =
            out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let mut page = Page::new(out.lock(), self.format, colours);
        let mut reading = Reading::new(self.server.clone());
        let found = sources::list(&self.places(), Kind::Logs);
        if self.follow
            && let Some(stream) = found.streams.first()
        {
            if self.sources.len() > 1 {
                let stream = stream.display();
                say(&format!("mcpcol: with --follow, `{stream}` has to be the only source"));
                return Ok(UNREADABLE.into());
            }
            reading.stream(stream, stdout(), |records| page.print(&records))?;
        } else {
            self.print(found, &mut reading, &mut page)?;
        }
        reading.say();
        Ok(if reading.is_incomplete() { UNREADABLE.into() } else { ExitCode::SUCCESS })
    }

    fn print<W: Write>(
        &self,
        found: Listing,
        reading: &mut Reading,
        page: &mut Page<W>,
    ) -> io::Result<()> {
        for (place, error) in &found.failed {
            reading.cannot_read(place, error);
        }
        let nothing = [found.files.is_empty(), found.streams.is_empty(), found.failed.is_empty()];
        if nothing == [true; 3] && !self.follow {
            say("mcpcol: there are no log records yet");
        }
        let mut newest = Newest::new(self.lines);
        for stream in &found.streams {
            reading.stream(stream, stdout(), |records| {
                records.into_iter().for_each(|record| newest.add(record));
                Ok(())
            })?;
        }
        let ends = reading.newest_of(&self.places(), found.files, self.follow, &mut newest);
        page.print(&newest.into_sorted())?;
        if self.follow {
            reading.say();
            follow::follow(|| self.places(), ends, reading, page, stdout())?;
        }
        Ok(())
    }

    /// Gives the sources; without any, the state directories, which may come to be.
    fn places(&self) -> Cow<'_, [PathBuf]> {
        if self.sources.is_empty() { state::found().into() } else { self.sources.as_slice().into() }
    }
}

#[cfg(test)]
mod tests;
