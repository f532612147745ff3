//! The arguments that all commands have that read spans: which sources, and what of them.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use crate::calls::{Call, Count};
use crate::cli::state;
use crate::settings::{Duration, harmless_json};

/// A text of hexadecimal digits that is as long as this is taken for the beginning of a session's id where no file
/// has that name.
const PREFIX: usize = 4;

/// Says what is read, what of it, and where the answer goes.
#[derive(clap::Args, Clone, Debug, Default)]
pub(in crate::cli) struct Selection {
    /// Files of OTLP JSON lines, directories of `.jsonl` files, pipes, `-` for stdin, or the beginning of a session's id; default: the state directory
    #[arg(value_name = "SOURCE")]
    pub(in crate::cli) sources: Vec<PathBuf>,
    /// Read this as well: another way to write SOURCE
    #[arg(long, value_name = "SOURCE", hide = true)]
    pub(in crate::cli) input: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) filter: Filter,
    #[command(flatten)]
    pub(in crate::cli) answer: Answer,
}

/// Says which calls are wanted.
#[derive(clap::Args, Clone, Debug, Default)]
pub(in crate::cli) struct Filter {
    /// Only calls of the server of this name
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) server: Option<String>,
    /// Only calls of this tool
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) tool: Option<String>,
    /// Only calls of the session whose id begins so
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) session: Option<String>,
    /// Only calls of the client of this name
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) client: Option<String>,
    /// Only calls that ended so, such as `ok` or `tool_error`; `error` for all that failed
    #[arg(long, value_name = "OUTCOME")]
    pub(in crate::cli) outcome: Option<String>,
    /// Only calls that ended then or later: `2h` or `3d` ago, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(in crate::cli) since: Option<u64>,
    /// Only calls that ended before then
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(in crate::cli) until: Option<u64>,
    /// Whose spans count as calls: the taps', or those of clients' or servers' own instrumentation
    #[arg(long, value_enum, default_value = "tap")]
    pub(in crate::cli) count: Counted,
}

/// Says how the answer is given, and where.
#[derive(clap::Args, Clone, Debug, Default)]
pub(in crate::cli) struct Answer {
    /// A table, or a JSON object
    #[arg(long, value_enum, default_value = "text")]
    pub(in crate::cli) format: Format,
    /// Write to this file, in place of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
}

/// `--format`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// `--count`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Counted {
    /// Spans that taps make.
    #[default]
    Tap,
    /// CLIENT spans of others.
    Client,
    /// SERVER spans of others.
    Server,
}

impl Selection {
    /// Gives the places to read, without a source the state directories; and the filter, which has the session that a
    /// source names. More than one such is an error.
    pub(in crate::cli) fn resolve(&self) -> anyhow::Result<(Vec<PathBuf>, Filter)> {
        let (mut places, mut filter) = (Vec::new(), self.filter.clone());
        for source in self.sources.iter().chain(&self.input) {
            match session_of(source) {
                None => places.push(source.clone()),
                Some(session) if filter.session.is_none() => filter.session = Some(session),
                Some(other) => anyhow::bail!("`{other}` would be a second session; name one"),
            }
        }
        if places.is_empty() {
            places = state::found();
        }
        Ok((places, filter))
    }
}

impl Selection {
    /// Says whether the sources are the records of this machine.
    pub(in crate::cli) fn is_this_machine(&self) -> bool {
        self.sources.iter().chain(&self.input).all(|source| session_of(source).is_some())
    }
}

/// Reads a source as the beginning of a session's id, if it can be nothing else.
fn session_of(source: &std::path::Path) -> Option<String> {
    let text = source.to_str().filter(|text| text.len() >= PREFIX)?;
    let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (hex && fs::symlink_metadata(source).is_err()).then(|| text.to_owned())
}

impl Filter {
    /// Says whose telling counts.
    pub(in crate::cli) fn count(&self) -> Count {
        match self.count {
            Counted::Tap => Count::Tap,
            Counted::Client => Count::Client,
            Counted::Server => Count::Server,
        }
    }

    /// Says whether a call is wanted.
    pub(in crate::cli) fn takes(&self, call: &Call<'_>) -> bool {
        let is = |wanted: &Option<String>, it: &str| wanted.as_ref().is_none_or(|w| w == it);
        is(&self.server, call.server)
            && is(&self.tool, call.tool)
            && is(&self.client, call.client)
            && self.takes_outcome(call)
            && self.session.as_ref().is_none_or(|wanted| call.session.starts_with(wanted))
            && self.since.is_none_or(|since| call.end >= since)
            && self.until.is_none_or(|until| call.end < until)
    }
}

impl Filter {
    /// Says whether it chooses by what a call has only once it has ended, or is not known of one that waits.
    pub(in crate::cli) fn is_of_the_end(&self) -> bool {
        let times = [self.since, self.until].iter().any(Option::is_some);
        times || self.outcome.is_some() || self.client.is_some() || self.count != Counted::Tap
    }

    fn takes_outcome(&self, call: &Call<'_>) -> bool {
        match self.outcome.as_deref() {
            None => true,
            Some("error") => call.is_error(),
            Some(outcome) => call.outcome() == outcome,
        }
    }
}

impl Answer {
    /// Writes the answer. Names in a JSON document may yet steer a terminal.
    pub(in crate::cli) fn write(&self, text: &str) -> anyhow::Result<()> {
        let text = match self.format {
            Format::Text => text.into(),
            Format::Json => harmless_json(text),
        };
        match &self.output {
            Some(file) => fs::write(file, text.as_bytes())
                .with_context(|| format!("cannot write `{}`", file.display())),
            None => Ok(io::stdout().lock().write_all(text.as_bytes())?),
        }
    }

    /// Says whether it may have colours.
    pub(in crate::cli) fn colours(&self) -> bool {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        wanted && self.output.is_none() && io::IsTerminal::is_terminal(&io::stdout())
    }
}

/// Gives the time in nanoseconds since the epoch.
pub(in crate::cli) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Reads a length of time: Go's syntax, and whole days.
pub(in crate::cli) fn length(text: &str) -> Result<std::time::Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    match days {
        Some(days) => Ok(std::time::Duration::from_secs(u64::from(days) * 86_400)),
        None => Duration::parse(text).map(|duration| duration.0),
    }
}

/// Reads a time, in nanoseconds since the epoch: a length of time ago, or a time with its zone or in the local one.
pub(in crate::cli) fn time(text: &str) -> Result<u64, String> {
    if let Ok(ago) = length(text) {
        return Ok(now().saturating_sub(u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX)));
    }
    let local = || {
        let time = text.parse::<jiff::civil::DateTime>().ok()?;
        jiff::tz::TimeZone::system().to_timestamp(time).ok()
    };
    let time = text.parse::<jiff::Timestamp>().ok().or_else(local);
    time.and_then(|time| u64::try_from(time.as_nanosecond()).ok()).ok_or_else(|| {
        format!("`{text}` is no time; write `2h`, `3d` or a time such as 2026-01-31T12:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(time("1970-01-01T00:00:01Z"), Ok(1_000_000_000));
        assert_eq!(time("1970-01-01T01:00:01+01:00"), Ok(1_000_000_000));
        assert!(time("2026-01-31").is_ok() && time("2026-01-31T12:00").is_ok());
        let day = 86_400_000_000_000;
        let ago = time("2d").unwrap();
        assert!((2 * day..3 * day).contains(&(now() - ago)));
        for strange in ["", "5", "yesterday", "-1h", "1960-01-01T00:00:00Z"] {
            assert!(time(strange).is_err(), "{strange}");
        }
    }

    #[test]
    fn a_source_that_is_no_file_may_be_a_session() {
        assert_eq!(session_of("0b5f2f".as_ref()), Some("0b5f2f".into()));
        for other in ["0b5", "records.jsonl", "-", "/", "0B5F2F"] {
            assert_eq!(session_of(other.as_ref()), None, "{other}");
        }
        let select = |sources: [&str; 2]| Selection {
            sources: sources.map(PathBuf::from).into(),
            ..Selection::default()
        };
        let (places, filter) = select(["x.jsonl", "0b5f2f"]).resolve().unwrap();
        assert_eq!((places, filter.session), (vec!["x.jsonl".into()], Some("0b5f2f".into())));
        assert!(select(["aaaa", "bbbb"]).resolve().is_err());
    }
}
