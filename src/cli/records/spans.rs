//! Reads the spans of sources, and tells what was read of what.

use std::io;
use std::path::{Path, PathBuf};

use super::lines::{Line, Lines};
use super::selection::Filter;
use super::sources::Kind;
use crate::calls::{Call, Once};
use crate::cli::say;
use crate::otlp::wire::view::{Item, each_item};
use crate::otlp::{Request, json};

/// Names so many files that were read; of more it says how many.
const NAMED: usize = 3;

/// Reads spans, and counts what is none.
#[derive(Default)]
pub(in crate::cli) struct Spans {
    pub(in crate::cli) lines: Lines,
    /// Spans that were read.
    spans: u64,
    /// Calls among them that were asked for, each once; `None` where nobody counts them.
    calls: Option<u64>,
    /// Calls that were told again.
    again: u64,
    /// Lines that are no OTLP JSON, or too long.
    strange: u64,
    /// Last lines that are not whole.
    torn: u64,
}

impl Spans {
    /// Shows each call of the places that is wanted, once.
    pub(in crate::cli) fn each_call(
        &mut self,
        places: &[PathBuf],
        filter: &Filter,
        mut show: impl FnMut(&Call<'_>),
    ) -> io::Result<()> {
        let (count, mut once) = (filter.count(), Once::default());
        let (mut calls, mut again) = (0, 0);
        self.each_document(places, |_, wire| {
            let mut spans = 0;
            each_item(Request::Traces, wire, &mut |item: &Item<'_>| {
                spans += 1;
                let Some(call) = Call::of(item, count).filter(|call| filter.takes(call)) else {
                    return;
                };
                if once.is_first(&call) {
                    calls += 1;
                    show(&call);
                } else {
                    again += 1;
                }
            });
            spans
        })?;
        self.calls = Some(self.calls.unwrap_or(0) + calls);
        self.again += again;
        Ok(())
    }

    /// Shows each line that is OTLP JSON, as it stands and as the bytes of an export request of spans; `show` says how
    /// many spans those are.
    pub(in crate::cli) fn each_document(
        &mut self,
        places: &[PathBuf],
        mut show: impl FnMut(&[u8], &[u8]) -> u64,
    ) -> io::Result<()> {
        let Spans { lines, spans, strange, torn, .. } = self;
        lines.each(places, Kind::Spans, |line| match line {
            Line::TooLong => *strange += 1,
            Line::Whole(text) if text.trim_ascii().is_empty() => {}
            Line::Whole(text) | Line::Torn(text) => match read(text) {
                Some(wire) => *spans += show(text, &wire),
                None if matches!(line, Line::Torn(_)) => *torn += 1,
                None => *strange += 1,
            },
        })
    }

    /// Says whether a source could not be read.
    pub(in crate::cli) fn is_incomplete(&self) -> bool {
        self.lines.unreadable
    }

    /// Says whether no call was shown.
    pub(in crate::cli) fn has_no_calls(&self) -> bool {
        self.calls.is_none_or(|calls| calls == 0)
    }

    /// Says on stderr what was read of what, and what was passed over.
    pub(in crate::cli) fn say(&self, places: &[PathBuf]) {
        if self.lines.read.is_empty() {
            if !self.lines.unreadable {
                say("mcpcol: no records here: wrap a server with `mcpcol stdio --`");
            }
            return;
        }
        say(&self.told(places));
    }

    fn told(&self, places: &[PathBuf]) -> String {
        let mut told = format!(
            "mcpcol: read {}: {}, {}",
            files(&self.lines.read, places),
            number(self.lines.lines, "line"),
            number(self.spans, "span"),
        );
        match self.calls {
            None => {}
            Some(0) if self.spans > 0 => {
                told += ", none of them a call that was asked for (by the filters and --count)"
            }
            Some(calls) => told += &format!(", {}", number(calls, "call")),
        }
        let rotated = |path: &PathBuf| path.extension().is_some_and(|end| end == "1");
        if self.lines.read.iter().any(rotated) {
            told += "; files were rotated, so calls before the oldest may be gone";
        }
        let over = [
            (self.strange, "line that is no OTLP JSON", "lines that are no OTLP JSON"),
            (self.torn, "torn last line", "torn last lines"),
            (self.again, "call told again", "calls told again"),
        ];
        let over: Vec<_> = over
            .into_iter()
            .filter(|(n, ..)| *n > 0)
            .map(|(n, one, many)| format!("{n} {}", if n == 1 { one } else { many }))
            .collect();
        if !over.is_empty() {
            told += &format!("; passed over {}", over.join(", "));
        }
        told
    }
}

/// Reads a line as the bytes of an export request of spans; `None` if it is no OTLP JSON. Of other signals there are no
/// spans.
pub(in crate::cli) fn read(line: &[u8]) -> Option<Vec<u8>> {
    let wire = json::read(Request::Traces, line).ok()?;
    let signals = [Request::Traces, Request::Metrics, Request::Logs];
    let strange = wire.is_empty() && signals.into_iter().all(|s| json::is_strange(s, line));
    (!strange).then_some(wire)
}

/// Names the files that were read, or says how many of which places.
fn files(read: &[PathBuf], places: &[PathBuf]) -> String {
    let shown = |paths: &[PathBuf]| {
        let name = |path: &PathBuf| match path.as_path() {
            stdin if stdin == Path::new("-") => "stdin".to_owned(),
            path => format!("`{}`", path.display()),
        };
        paths.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    match places {
        _ if read.len() <= NAMED => shown(read),
        few if few.len() <= NAMED => format!("{} files of {}", read.len(), shown(few)),
        many => format!("{} files of {} sources", read.len(), many.len()),
    }
}

fn number(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
