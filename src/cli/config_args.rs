//! The arguments that say where the configuration is, and how its problems are said.

use std::io::{IsTerminal, Write, stderr};

use clap::Args;

use super::discovery::{self, Chosen};
use super::flags::Flags;
use crate::config::{self, Options, Sources, render};
use crate::pipeline::{ComponentConfig, Plan};
use crate::settings::Problems;

/// Says where the configuration is.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ConfigArgs {
    /// Configuration file; repeat to merge. Also `file:PATH`, `env:NAME` and `yaml:TEXT`. Else MCPCOL_CONFIG, else
    /// mcpcol/config.yaml in $XDG_CONFIG_HOME (~/.config), else in /etc [env: MCPCOL_CONFIG=]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Vec<String>,
    /// Override one value, such as `exporters::debug::verbosity=detailed`; applied last
    #[arg(long, value_name = "PATH=VALUE")]
    pub(super) set: Vec<String>,
}

impl ConfigArgs {
    /// Chooses the configuration: what is named here, else what is found.
    pub(super) fn choose(&self) -> Chosen {
        discovery::choose(self.config.clone(), self.set.clone())
    }
}

/// Says problems on stderr, in colour on a terminal that wants it (<https://no-color.org>).
pub(super) fn say(problems: &Problems) -> std::io::Result<()> {
    let colour =
        stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    stderr().write_all(render(problems, colour).as_bytes())
}

/// Holds the sources that a plan is loaded from, again at each reload.
#[derive(Clone, Copy)]
pub(super) struct Loading<'a> {
    pub(super) sources: &'a Sources,
    pub(super) options: &'a Options<'a>,
    /// The flags whose values stand in the sources.
    pub(super) flags: Option<&'a Flags>,
}

impl Loading<'_> {
    /// Loads a configuration and says what is wrong with it; `None` if that forbids starting.
    pub(super) fn load(&self) -> std::io::Result<Option<Plan>> {
        let (plan, mut problems) = config::load(self.sources, self.options);
        if let Some(flags) = self.flags {
            flags.take(&mut problems).say();
        }
        say(&problems)?;
        Ok(plan)
    }
}

/// Takes every receiver but the one of kind `C` out of the plan and says which those are: several taps
/// share one configuration, and each opens only what is its own.
pub(super) fn only_tap<C: ComponentConfig>(
    plan: &mut Plan,
    command: &str,
) -> anyhow::Result<Vec<String>> {
    let kind = C::NAME;
    let (taps, others): (Vec<_>, Vec<_>) =
        std::mem::take(&mut plan.receivers).into_iter().partition(|part| part.kind == kind);
    if taps.len() != 1 {
        anyhow::bail!(
            "`mcpcol {command}` needs a configuration with one {kind} receiver in a pipeline, this one \
             has {}",
            taps.len()
        );
    }
    for pipeline in &mut plan.pipelines {
        pipeline.receivers.retain(|id| others.iter().all(|part| part.id != *id));
    }
    plan.receivers = taps;
    Ok(others.iter().map(|part| part.id.to_string()).collect())
}
