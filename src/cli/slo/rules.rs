//! `mcpcol slo rules`: recording and alerting rules of Prometheus.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{CANNOT_JUDGE, configured};
use crate::cli::config_args::ConfigArgs;
use crate::cli::records::selection::Answer;
use crate::processors::slo::Config;
use crate::slo::prometheus;

/// Arguments of `mcpcol slo rules`.
#[derive(clap::Args, Debug)]
pub(super) struct Rules {
    #[command(flatten)]
    config: ConfigArgs,
    /// What the rules are for
    #[arg(long, value_enum, default_value = "prometheus")]
    format: Format,
    /// Write to this file, in place of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// `--format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// `rule_files` of Prometheus.
    Prometheus,
}

impl Rules {
    /// Prints them. Exit code 2 without a configuration that has objectives.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Rules { config, format: Format::Prometheus, output } = self;
        let Some(all) = configured(&config)? else { return Ok(CANNOT_JUDGE.into()) };
        let entries: Vec<_> = all.iter().flat_map(Config::objectives).collect();
        let interval = all.iter().map(Config::interval).min().unwrap_or_default() / 1_000_000_000;
        let answer = Answer { output, ..Answer::default() };
        answer.write(&prometheus::rules(&entries, interval.max(1)))?;
        Ok(ExitCode::SUCCESS)
    }
}
