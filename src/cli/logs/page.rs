//! Shows log records to people, one readable line each, or to programs, one JSON object each.
//!
//! Nothing that a record says steers a terminal: what is more than to be seen is escaped.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::Format;
use crate::cli::records::record::Record;
use crate::exporters::debug::Timestamp;
use crate::settings::steers;

/// The widest column of a name, in characters: what is longer moves its own line alone.
const WIDEST: usize = 24;
/// Digits of a time in seconds that are shown: to the millisecond.
const TIME: usize = "2026-01-01T00:00:00.000".len();

/// Prints records.
pub(super) struct Page<W> {
    out: W,
    format: Format,
    colours: bool,
    /// Widths of server and source so far, in characters.
    widths: [usize; 2],
}

impl<W: Write> Page<W> {
    pub(super) fn new(out: W, format: Format, colours: bool) -> Self {
        Page { out, format, colours, widths: [0; 2] }
    }

    /// Prints records whose columns align.
    pub(super) fn print(&mut self, records: &[Record]) -> io::Result<()> {
        let cells: Vec<_> = records.iter().map(|r| [tame(&r.server), tame(&r.source)]).collect();
        for (width, at) in self.widths.iter_mut().zip(0..) {
            let widest = cells.iter().map(|cells| cells[at].chars().count()).max();
            *width = widest.unwrap_or(0).min(WIDEST).max(*width);
        }
        for (record, cells) in records.iter().zip(&cells) {
            match self.format {
                Format::Json => writeln!(self.out, "{}", record.json())?,
                Format::Text => {
                    let line = self.line(record, cells);
                    writeln!(self.out, "{}", line.trim_end())?;
                }
            }
        }
        self.out.flush()
    }

    fn line(&self, record: &Record, [server, source]: &[String; 2]) -> String {
        let [wide_server, wide_source] = self.widths;
        let time = Timestamp(record.time).to_string();
        let mut line = format!("{}Z  {server:wide_server$}  ", &time[..TIME.min(time.len())]);
        let level = record.level();
        match self.colour(record) {
            Some(colour) => write!(line, "\x1b[{colour}m{level:5}\x1b[0m"),
            None => write!(line, "{level:5}"),
        }
        .unwrap_or_default();
        write!(line, "  {source:wide_source$}  {}", tame(record.text.trim_end()))
            .unwrap_or_default();
        if !record.notes.is_empty() {
            write!(line, " ({})", tame(&record.notes.join(", "))).unwrap_or_default();
        }
        line
    }

    fn colour(&self, record: &Record) -> Option<u8> {
        if !self.colours {
            return None;
        }
        match record.severity {
            1..=8 => Some(2),
            13..=16 => Some(33),
            17..=24 => Some(31),
            _ => None,
        }
    }
}

fn tame(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}
