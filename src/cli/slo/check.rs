//! `mcpcol slo check`: objectives judged on recorded spans, in event time, for CI and for yesterday's incident.

use std::path::PathBuf;
use std::process::ExitCode;

use super::events::Events;
use super::verdict::Verdict;
use super::{CANNOT_JUDGE, configured, page};
use crate::cli::config_args::ConfigArgs;
use crate::cli::records::selection::{Answer, Format, Selection, now, time};
use crate::cli::records::spans::Spans;
use crate::cli::say;
use crate::telemetry::Nanos;

/// Arguments of `mcpcol slo check`.
#[derive(clap::Args, Debug)]
pub(super) struct Check {
    /// Files of OTLP JSON lines, directories of `.jsonl` files, pipes, or `-` for stdin; default: the state directory
    #[arg(value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Read this as well: another way to write SOURCE
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Judge as of then, without later calls: a time such as 2026-01-31T12:00:00Z, or `2h` ago; default: the end of the last call, or now
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Nanos>,
    /// Exit code 2 if an objective has no calls to be judged by
    #[arg(long)]
    require_data: bool,
    #[command(flatten)]
    answer: Answer,
}

impl Check {
    /// Prints the verdict. Exit code 1 if an alert fires at that time, 2 if that cannot be said.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Check { sources, input, config, at, require_data, answer } = self;
        let Some(configs) = configured(&config)? else { return Ok(CANNOT_JUDGE.into()) };
        let selection = Selection { sources, input, ..Selection::default() };
        let (places, filter) = selection.resolve()?;
        if let Some(session) = filter.session {
            say(&format!(
                "mcpcol: there is no `{session}`: objectives are about all calls of a source"
            ));
            return Ok(CANNOT_JUDGE.into());
        }
        let (mut verdicts, mut incomplete, mut judged_at) = (Vec::new(), false, at);
        for config in &configs {
            let mut spans = Spans::default();
            let events = Events::read(&places, &mut spans, config.count())?;
            let last = events.range().map(|(_, last)| last);
            let at = *judged_at.get_or_insert(last.unwrap_or_else(now));
            verdicts.push(Verdict::of(config, &events, at));
            incomplete |= spans.is_incomplete();
            spans.say(&places);
            let skipped = events.skipped;
            if skipped > 0 {
                say(&format!(
                    "mcpcol: {skipped} calls count for nothing: told twice, in doubt, or of an unknown outcome"
                ));
            }
        }
        let at = judged_at.unwrap_or_default();
        match answer.format {
            Format::Json => answer.write(&page::json(&verdicts, at))?,
            Format::Text => answer.write(&page::text(&verdicts, at, answer.colours()))?,
        }
        let lacks_data = require_data && verdicts.iter().any(Verdict::lacks_data);
        Ok(match () {
            () if incomplete || lacks_data => CANNOT_JUDGE.into(),
            () if verdicts.iter().any(Verdict::burns) => ExitCode::FAILURE,
            () => ExitCode::SUCCESS,
        })
    }
}
