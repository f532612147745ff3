//! `mcpcol stats`: what the recorded calls come to, by server, tool, session or client.
//!
//! It reads records, and asks the running taps of this machine which calls wait: what ended is in the records alone, so
//! that no call counts twice.

mod in_flight;
mod page;

use std::path::PathBuf;
use std::process::ExitCode;

pub(super) use self::in_flight::InFlight;
use super::records::findings::{self, Findings};
use super::records::selection::{Filter, Format, Selection, length, now};
use super::records::spans::Spans;
use crate::calls::{By, Table};

/// Exit code where a source cannot be read.
const UNREADABLE: u8 = 2;
/// Bounds the rows of a table; all others are one.
const ROWS: usize = 1000;

/// Arguments of `mcpcol stats`.
#[derive(clap::Args, Debug)]
pub(super) struct Stats {
    #[command(flatten)]
    selection: Selection,
    /// What a row stands for
    #[arg(long, value_enum, default_value = "tool")]
    by: Rows,
    /// Also tell of the calls that ended within so long before now, or before --until: `1h`, `15m`, `2d`
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    window: Option<std::time::Duration>,
}

/// `--by`
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Rows {
    /// A server.
    Server,
    /// A tool of a server, or a method that is no tool's.
    Tool,
    /// A session.
    Session,
    /// A client of a server.
    Client,
}

impl Stats {
    /// Prints the table. Exit code 2 if a source cannot be read.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (places, filter) = self.selection.resolve()?;
        let until = filter.until.unwrap_or_else(now);
        let nanos = |window: std::time::Duration| u64::try_from(window.as_nanos()).unwrap_or(until);
        let since = self.window.map(|window| until.saturating_sub(nanos(window)));
        let mut table = Table::new(self.by(), ROWS, since);
        let mut spans = Spans::default();
        spans.each_call(&places, &filter, |call| table.add(call))?;
        let page = page::Page {
            by: self.by(),
            window: self.window,
            colours: self.selection.answer.colours(),
            findings: self.findings(&places, &filter)?,
            in_flight: match self.selection.is_this_machine() {
                true => InFlight::ask(&filter)?,
                false => None,
            },
        };
        self.answer(&page, table, &spans)?;
        spans.say(&places);
        Ok(if spans.is_incomplete() { UNREADABLE.into() } else { ExitCode::SUCCESS })
    }

    fn answer(&self, page: &page::Page, table: Table, spans: &Spans) -> anyhow::Result<()> {
        let (mut rows, other) = table.into_rows();
        page.in_flight.iter().for_each(|waiting| waiting.add_rows(page.by, &mut rows, ROWS));
        let answer = &self.selection.answer;
        match answer.format {
            Format::Json => answer.write(&page.json(&rows, other.as_ref())),
            Format::Text if spans.has_no_calls() && rows.is_empty() => Ok(()),
            Format::Text => answer.write(&page.text(&rows, other.as_ref())),
        }
    }

    /// Counts findings where rows are what has some: servers and sessions.
    fn findings(&self, places: &[PathBuf], filter: &Filter) -> anyhow::Result<Option<Findings>> {
        match self.by() {
            By::Server | By::Session => Ok(findings::count(places, filter)?),
            By::Tool | By::Client => Ok(None),
        }
    }

    fn by(&self) -> By {
        match self.by {
            Rows::Server => By::Server,
            Rows::Tool => By::Tool,
            Rows::Session => By::Session,
            Rows::Client => By::Client,
        }
    }
}

/// Gives the table of the tools in a file, as the command prints it.
pub(super) fn of_file(file: PathBuf, colours: bool) -> anyhow::Result<String> {
    let mut table = Table::new(By::Tool, ROWS, None);
    Spans::default().each_call(&[file], &Default::default(), |call| table.add(call))?;
    let (rows, other) = table.into_rows();
    let page = page::Page { by: By::Tool, window: None, colours, findings: None, in_flight: None };
    Ok(page.text(&rows, other.as_ref()))
}
