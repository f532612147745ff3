//! Shows the calls that wait for their answers, those that have waited longest first.

use std::io::{self, Write};

use serde_json::json;

use crate::cli::live::Calls;
use crate::cli::records::selection::Format;
use crate::cli::shown::{name, took};
use crate::cli::table::Table;
use crate::exporters::debug::Timestamp;
use crate::extensions::stats::v1::CallInFlight;
use crate::settings::harmless_json;

/// Prints them.
pub(super) fn print(
    calls: &Calls,
    out: &mut impl Write,
    format: Format,
    colours: bool,
) -> io::Result<()> {
    match format {
        Format::Json => {
            let rows: Vec<_> = calls.waiting.iter().map(object).collect();
            let all = json!({ "version": 1, "rows": rows, "left_out": calls.left_out });
            writeln!(out, "{}", harmless_json(&all.to_string()))
        }
        Format::Text if calls.waiting.is_empty() => Ok(()),
        Format::Text => write!(out, "{}", text(calls, colours)),
    }
}

/// Says how many characters of a session's id are shown; `mcpcol show` takes them.
const PREFIX: usize = 8;

fn text(calls: &Calls, colours: bool) -> String {
    let mut table = Table::new(&[">waits", "server", "method", "tool", "session"])
        .painted(colours, |column, _| (column == 1).then_some(36));
    for call in &calls.waiting {
        let asked = if call.from_server { " (server asks)" } else { "" };
        let doubt = if call.doubtful { "?" } else { "" };
        table.row([
            format!("{}{doubt}", took(call.age_nanos)),
            name(&call.server),
            format!("{}{asked}", name(&call.method)),
            name(&call.tool),
            name(&call.session.chars().take(PREFIX).collect::<String>()),
        ]);
    }
    let more = match calls.left_out {
        0 => String::new(),
        more => format!("and {more} more\n"),
    };
    format!("{table}{more}")
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
    fn what_waits_is_a_row_with_all_that_is_known() {
        let doubtful = CallInFlight { doubtful: true, ..call("c\u{1b}", 61) };
        let waiting = vec![call("b", 7_260), doubtful, call("a", 2)];
        let calls = Calls { waiting, left_out: 3, ..Calls::default() };
        let mut out = Vec::new();
        print(&calls, &mut out, Format::Text, false).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(lines[1], "2h01m  b        tools/call  search  -");
        assert!(
            lines[2].starts_with("1m01s?  c\\u{1b}") && lines[3].starts_with("2.00s  a"),
            "{text}"
        );
        assert_eq!(lines[4], "and 3 more");
        let mut out = Vec::new();
        print(&calls, &mut out, Format::Json, false).unwrap();
        let all: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&all["rows"][0]["age_ms"], &all["left_out"]), (&json!(7_260_000), &json!(3)));
    }
}
