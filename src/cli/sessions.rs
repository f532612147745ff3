//! `mcpcol sessions`: the recorded sessions, a row each, newest last.
//!
//! A session is what a stdio tap saw in its life, or an HTTP session. What is in the records is all that is known, but for
//! calls that wait: running taps are asked for these.

use std::process::ExitCode;

use serde::Serialize;

use super::records::selection::{Format, Selection};
use super::records::spans::Spans;
use super::say;
use super::shown::{self, millis};
use super::stats::InFlight;
use super::table::Table as Page;
use crate::calls::{By, Key, Row, Table};
use crate::exporters::debug::Timestamp;

/// Exit code where a source cannot be read.
const UNREADABLE: u8 = 2;
/// Bounds how many sessions are told apart. Files that were written last are read first.
const SESSIONS: usize = 10_000;
/// The fewest characters that are shown of a session's id; as many more as tell it from others.
const PREFIX: usize = 8;

/// Arguments of `mcpcol sessions`.
#[derive(clap::Args, Debug)]
pub(super) struct Sessions {
    #[command(flatten)]
    selection: Selection,
    /// How many sessions are shown, the newest ones: 0 to as many as there are
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 50)]
    lines: usize,
}

impl Sessions {
    /// Prints the rows. Exit code 2 if a source cannot be read.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (places, filter) = self.selection.resolve()?;
        let mut table = Table::new(By::Session, SESSIONS, None);
        let mut spans = Spans::default();
        spans.each_call(&places, &filter, |call| table.add(call))?;
        let (mut rows, other) = table.into_rows();
        let waiting = match self.selection.is_this_machine() {
            true => InFlight::ask(&filter)?,
            false => None,
        };
        waiting.iter().for_each(|waiting| waiting.add_rows(By::Session, &mut rows, SESSIONS));
        rows.sort_by_key(|(_, row)| row.all.first);
        let left_out = rows.len().saturating_sub(self.lines);
        let rows = &rows[left_out..];
        let answer = &self.selection.answer;
        match answer.format {
            Format::Json => answer.write(&json(rows, waiting.as_ref()))?,
            Format::Text if rows.is_empty() => {}
            Format::Text => answer.write(&text(rows, waiting.as_ref(), answer.colours()))?,
        }
        spans.say(&places);
        if left_out > 0 {
            say(&format!(
                "mcpcol: {left_out} older sessions are not shown; -n {} shows them",
                rows.len() + left_out
            ));
        }
        if let Some(other) = other {
            say(&format!(
                "mcpcol: more than {SESSIONS} sessions: {} calls of others are left out",
                other.all.count
            ));
        }
        Ok(if spans.is_incomplete() { UNREADABLE.into() } else { ExitCode::SUCCESS })
    }
}

fn text(rows: &[(Key, Row)], waiting: Option<&InFlight>, colours: bool) -> String {
    let columns = [
        "session",
        "server",
        "client",
        "started",
        ">lasted",
        ">calls",
        ">in flight",
        ">errors",
        "last call",
    ];
    let mut page = Page::new(&columns);
    let length = prefix(rows);
    for (key, Row { all, last_call, .. }) in rows {
        let session: String = key.session.chars().take(length).collect();
        page.row([
            shown::name(&session),
            shown::name(&key.server),
            shown::name(&key.client),
            shown::time(all.first),
            shown::took(all.last.saturating_sub(all.first)),
            all.count.to_string(),
            in_flight(key, waiting).map_or("-".into(), |count| count.to_string()),
            all.errors.to_string(),
            shown::name(last_call),
        ]);
    }
    page.painted(colours, |column, cell| (column == 7 && cell != "0").then_some(31)).to_string()
}

/// Says how many characters tell the sessions apart.
fn prefix(rows: &[(Key, Row)]) -> usize {
    let mut ids: Vec<_> = rows.iter().map(|(key, _)| key.session.as_str()).collect();
    ids.sort();
    ids.dedup();
    let common = |pair: &[&str]| {
        let same = pair[0].chars().zip(pair[1].chars()).take_while(|(a, b)| a == b);
        same.count() + 1
    };
    ids.windows(2).map(common).max().unwrap_or(0).max(PREFIX)
}

/// Counts the calls of a session that wait; `None` where they are not known.
fn in_flight(key: &Key, waiting: Option<&InFlight>) -> Option<u64> {
    waiting?.of(By::Session, key)
}

fn json(rows: &[(Key, Row)], waiting: Option<&InFlight>) -> String {
    let rows = rows.iter().map(|(key, row)| JsonRow::of(key, row, in_flight(key, waiting)));
    let rows = rows.collect();
    serde_json::to_string(&Json { version: 1, rows }).unwrap_or_default() + "\n"
}

/// Holds what `--format json` prints. Fields are added, never changed, while `version` is the same.
#[derive(Serialize)]
struct Json<'a> {
    version: u8,
    rows: Vec<JsonRow<'a>>,
}

#[derive(Serialize)]
struct JsonRow<'a> {
    session: &'a str,
    server: &'a str,
    client: &'a str,
    started: String,
    ended: String,
    duration_ms: f64,
    count: u64,
    errors: u64,
    /// Calls that wait for their answers; `null` where they are not known.
    in_flight: Option<u64>,
    last_call: &'a str,
}

impl<'a> JsonRow<'a> {
    fn of(key: &'a Key, Row { all, last_call, .. }: &'a Row, in_flight: Option<u64>) -> Self {
        JsonRow {
            session: &key.session,
            server: &key.server,
            client: &key.client,
            started: Timestamp(all.first).to_string(),
            ended: Timestamp(all.last).to_string(),
            duration_ms: millis(all.last.saturating_sub(all.first)),
            count: all.count,
            errors: all.errors,
            in_flight,
            last_call,
        }
    }
}
