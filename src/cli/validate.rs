//! `mcpcol validate`: everything that `run` does up to binding sockets. Silent if all is well.

use std::process::ExitCode;

use clap::Args;

use super::config_args::{ConfigArgs, say};
use crate::config::{Options, load};

/// Check a configuration: every problem in one go, with its place
#[derive(Args, Clone, Debug)]
pub(super) struct Validate {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Validate {
    /// Exit code 1 if the configuration cannot run; warnings keep it 0.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (plan, problems) =
            load(&self.config.into(), &Options { advice: true, ..Options::default() });
        say(&problems)?;
        Ok(if plan.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
