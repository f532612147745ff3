//! Shows the calls that wait for their answers, those that have waited longest first.

use std::io::{self, Write};

use serde_json::json;

use super::Format;
use super::filter::Filter;
use crate::cli::table::Table;
use crate::exporters::debug::Timestamp;
use crate::extensions::stats::v1::{CallInFlight, GetCallsResponse};
use crate::settings::{harmless, harmless_json};

/// The widest name, in characters.
const WIDEST: usize = 40;

/// What waits at all processes that were asked.
#[derive(Default)]
pub(super) struct Waiting {
    calls: Vec<CallInFlight>,
    left_out: u64,
}

impl Waiting {
    /// Adds what a process answered.
    pub(super) fn add(&mut self, answer: GetCallsResponse, filter: &Filter) {
        self.left_out += answer.left_out;
        self.calls.extend(answer.calls.into_iter().filter(|call| filter.takes_waiting(call)));
    }

    /// Says whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Prints them.
    pub(super) fn print(
        &mut self,
        out: &mut impl Write,
        format: Format,
        colours: bool,
    ) -> io::Result<()> {
        self.calls.sort_by_key(|call| std::cmp::Reverse(call.age_nanos));
        match format {
            Format::Json => {
                let rows: Vec<_> = self.calls.iter().map(object).collect();
                let all = json!({ "version": 1, "rows": rows, "left_out": self.left_out });
                writeln!(out, "{}", harmless_json(&all.to_string()))
            }
            Format::Text if self.is_empty() => Ok(()),
            Format::Text => write!(out, "{}", self.table(colours)),
        }
    }

    fn table(&self, colours: bool) -> String {
        let mut table = Table::new(&[">waits", "server", "method", "tool", "session"])
            .painted(colours, |column, _| (column == 1).then_some(36));
        for call in &self.calls {
            let asked = if call.from_server { " (server asks)" } else { "" };
            let doubt = if call.doubtful { "?" } else { "" };
            table.row([
                format!("{}{doubt}", waited(call.age_nanos)),
                name(&call.server),
                format!("{}{asked}", name(&call.method)),
                name(&call.tool),
                name(&call.session),
            ]);
        }
        let more = match self.left_out {
            0 => String::new(),
            more => format!("and {more} more\n"),
        };
        format!("{table}{more}")
    }
}

fn object(call: &CallInFlight) -> serde_json::Value {
    let mut out = json!({
        "server": call.server,
        "method": call.method,
        "began": Timestamp(call.began_unix_nano).to_string(),
        "age_ms": call.age_nanos / 1_000_000,
    });
    for (key, text) in [("tool", &call.tool), ("session", &call.session)] {
        if !text.is_empty() {
            out[key] = text.as_str().into();
        }
    }
    for (key, is) in [("from_server", call.from_server), ("doubtful", call.doubtful)] {
        if is {
            out[key] = true.into();
        }
    }
    out
}

fn name(text: &str) -> String {
    let shown: String = text.chars().take(WIDEST + 1).collect();
    let shown = harmless(&shown);
    match shown.char_indices().nth(WIDEST) {
        None => shown.into_owned(),
        Some((at, _)) => format!("{}...", &shown[..at]),
    }
}

/// How long, in the two largest units.
fn waited(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    match seconds {
        0..60 => format!("{}.{}s", seconds, nanos / 100_000_000 % 10),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(server: &str, seconds: u64) -> CallInFlight {
        CallInFlight {
            server: server.into(),
            method: "tools/call".into(),
            tool: "search".into(),
            age_nanos: seconds * 1_000_000_000,
            ..CallInFlight::default()
        }
    }

    #[test]
    fn who_has_waited_longest_comes_first() {
        let mut waiting = Waiting::default();
        let filter = Filter::default();
        let answer = |calls, left_out| GetCallsResponse { calls, left_out };
        waiting.add(answer(vec![call("a", 2)], 0), &filter);
        waiting.add(
            answer(
                vec![call("b", 7_260), CallInFlight { doubtful: true, ..call("c\u{1b}", 61) }],
                3,
            ),
            &filter,
        );
        let mut out = Vec::new();
        waiting.print(&mut out, Format::Text, false).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(lines[1], "2h01m  b        tools/call  search");
        assert!(
            lines[2].starts_with("1m01s?  c\\u{1b}") && lines[3].starts_with("2.0s  a"),
            "{text}"
        );
        assert_eq!(lines[4], "and 3 more");
        let mut out = Vec::new();
        waiting.print(&mut out, Format::Json, false).unwrap();
        let all: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&all["rows"][0]["age_ms"], &all["left_out"]), (&json!(7_260_000), &json!(3)));
    }
}
