//! `mcpcol logs`: what the tapped servers logged and what was wrong on the wire, newest last.
//!
//! Reads files of OTLP JSON lines from their ends, in bounded memory; follows them through rotation. It opens no
//! tap and asks no process: what is in the files is all it knows.

mod record;
mod newest;
mod backwards;
mod sources;
mod page;
mod follow;

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::backwards::{Backwards, MAX_LINE};
use self::newest::Newest;
use self::page::Page;
use self::record::Record;
use self::sources::Found;
use super::{say, state};

/// Exit code where a source cannot be read.
const UNREADABLE: u8 = 2;

/// Arguments of `mcpcol logs`.
#[derive(clap::Args, Debug)]
pub(super) struct Logs {
    /// Files of OTLP JSON lines, directories of `.logs.jsonl` files, or `-` for stdin; default: the state directory
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
        let stdin = self.sources.iter().any(|source| source.as_os_str() == "-");
        if stdin && self.follow && self.sources.len() > 1 {
            say("mcpcol: with --follow, `-` has to be the only source");
            return Ok(UNREADABLE.into());
        }
        let out = io::stdout();
        let colours =
            out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let mut page = Page::new(out.lock(), self.format, colours);
        let mut reading = Reading { server: self.server.clone(), strange: 0, unreadable: false };
        if stdin && self.follow {
            follow::ends_by_signal()?;
            reading.each_line(io::stdin().lock(), |records| page.print(&records))?;
            reading.say();
            return Ok(reading.code());
        }
        let places = if self.sources.is_empty() { state::found() } else { self.sources.clone() };
        let files = reading.files(&places, true);
        if files.is_empty() && !stdin && !self.follow && !reading.unreadable {
            say("mcpcol: there are no log records yet");
        }
        let mut newest = Newest::new(self.lines);
        if stdin {
            reading.each_line(io::stdin().lock(), |records| {
                records.into_iter().for_each(|record| newest.add(record));
                Ok(())
            })?;
        }
        let ends = reading.newest_of(files, self.follow, &mut newest);
        page.print(&newest.into_sorted())?;
        reading.say();
        if self.follow {
            follow::ends_by_signal()?;
            follow::follow(&places, ends, &mut reading, &mut page)?;
        }
        Ok(reading.code())
    }
}

/// Reads sources, and what is to be said about them.
struct Reading {
    server: Option<String>,
    /// Lines that are no OTLP/JSON, or too long.
    strange: u64,
    /// A source cannot be read.
    unreadable: bool,
}

impl Reading {
    /// The files of all sources, each once, those written last first.
    fn files(&mut self, places: &[PathBuf], loudly: bool) -> Vec<Found> {
        let mut files: Vec<Found> = Vec::new();
        for place in places.iter().filter(|place| place.as_os_str() != "-") {
            match sources::files(place) {
                Ok(found) => files.extend(found),
                Err(error) if loudly => self.cannot_read(place, &error),
                Err(_) => {}
            }
        }
        files.sort_by(|a, b| b.modified.cmp(&a.modified).then_with(|| b.path.cmp(&a.path)));
        let mut ids = std::collections::HashSet::new();
        files.retain(|file| ids.insert(file.id));
        files
    }

    /// Adds the newest records of files. Returns how far each has been read, up to its last newline; what comes
    /// after that is read only if nobody comes back for it.
    fn newest_of(&mut self, files: Vec<Found>, again: bool, newest: &mut Newest) -> follow::Ends {
        let mut ends = follow::Ends::default();
        for file in files {
            match self.newest_of_file(&file, again, newest) {
                Ok(end) => drop(ends.insert(file.id, end)),
                // It was rotated away or cleaned up meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.cannot_read(&file.path, &error),
            }
        }
        ends
    }

    fn newest_of_file(
        &mut self,
        file: &Found,
        again: bool,
        newest: &mut Newest,
    ) -> io::Result<u64> {
        let opened = File::open(&file.path)?;
        let mut lines = Backwards::new(&opened, file.length);
        // What comes after the last newline is a line that is not finished, unless nobody will finish it.
        let torn = lines.line()?.unwrap_or_default();
        let end = file.length - torn.len() as u64;
        let mut line = if again || torn.is_empty() { lines.line()? } else { Some(torn) };
        let mut first = !again && end < file.length;
        // A file that was written last before the oldest record that is kept has none to add.
        while newest.wants(file.modified)
            && let Some(text) = line
        {
            let records = match std::mem::take(&mut first) {
                true => record::read(&text).map(|records| self.wanted(records)).unwrap_or_default(),
                false => self.records(&text),
            };
            // Batches stand in the order in which they were made, or nearly so.
            let newer =
                records.is_empty() || records.iter().any(|record| newest.wants(record.time));
            records.into_iter().for_each(|record| newest.add(record));
            line = if newer { lines.line()? } else { None };
        }
        self.strange += lines.too_long;
        Ok(end)
    }

    /// Hands on the records of each line of a stream as it comes.
    fn each_line(
        &mut self,
        mut from: impl BufRead,
        mut each: impl FnMut(Vec<Record>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = from.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
            match line.pop_if(|byte| *byte == b'\n') {
                Some(_) => each(self.records(&line))?,
                None if read == 0 => return Ok(()),
                None if read > MAX_LINE => {
                    self.strange += 1;
                    from.skip_until(b'\n')?;
                }
                // The last one, which may be torn.
                None => each(self.wanted(record::read(&line).unwrap_or_default()))?,
            }
        }
    }

    fn records(&mut self, line: &[u8]) -> Vec<Record> {
        if line.trim_ascii().is_empty() {
            return Vec::new();
        }
        let records = record::read(line);
        self.strange += u64::from(records.is_none());
        self.wanted(records.unwrap_or_default())
    }

    fn wanted(&self, mut records: Vec<Record>) -> Vec<Record> {
        if let Some(server) = &self.server {
            records.retain(|record| record.server == *server);
        }
        records
    }

    fn cannot_read(&mut self, place: &Path, error: &io::Error) {
        self.unreadable = true;
        say(&format!("mcpcol: cannot read `{}`: {error}", place.display()));
    }

    /// Says what was passed over.
    fn say(&mut self) {
        let strange = std::mem::take(&mut self.strange);
        if strange > 0 {
            let lines = if strange == 1 { "line" } else { "lines" };
            say(&format!("mcpcol: passed over {strange} {lines} that cannot be read as OTLP JSON"));
        }
    }

    fn code(&self) -> ExitCode {
        if self.unreadable { UNREADABLE.into() } else { ExitCode::SUCCESS }
    }
}

#[cfg(test)]
mod tests;
