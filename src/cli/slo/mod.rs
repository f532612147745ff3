//! `mcpcol slo`: the objectives of a configuration, judged on recorded spans or written for Prometheus.
//!
//! The configuration is the one that runs; nothing is opened and no receiver or exporter has to be there.

mod events;
mod verdict;
mod page;
mod check;
mod rules;

use std::process::ExitCode;

use clap::Subcommand;

use super::config_args::{ConfigArgs, Loading};
use super::discovery::Origin;
use super::say;
use crate::config::{Opens, Options};
use crate::pipeline::ComponentConfig;
use crate::processors::slo::Config;
use crate::settings::Problems;

/// Exit code where nothing can be judged.
const CANNOT_JUDGE: u8 = 2;

/// Arguments of `mcpcol slo`.
#[derive(clap::Args, Debug)]
pub(super) struct Slo {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Judge recorded calls: exit code 1 if a budget burns
    Check(check::Check),
    /// Print Prometheus rules of the same objectives, for fleets
    Rules(rules::Rules),
}

impl Slo {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Check(check) => check.run(),
            Command::Rules(rules) => rules.run(),
        }
    }
}

/// Reads the settings of each `slo` of a configuration that a pipeline names; nothing if there are none, which was said.
fn configured(config: &ConfigArgs) -> anyhow::Result<Option<Vec<Config>>> {
    let chosen = config.choose();
    if chosen.origin == Origin::Nowhere {
        say(&format!("mcpcol: {}", chosen.told()));
        return Ok(None);
    }
    let options = Options { opens: Opens::Nothing, lenient_env: true, ..Options::default() };
    let loading = Loading { sources: &chosen.sources, options: &options, flags: None };
    let Some(plan) = loading.load()? else { return Ok(None) };
    let ours = plan.processors.iter().filter(|part| part.kind == Config::NAME);
    let mut problems = Problems::default();
    let all: Vec<Config> =
        ours.filter_map(|part| part.settings.read(Config::NAME, &mut problems)).collect();
    if all.is_empty() {
        say(
            "mcpcol: no pipeline of the configuration names an `slo` processor; see docs/reference/slo.md",
        );
        return Ok(None);
    }
    Ok(Some(all))
}
