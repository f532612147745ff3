//! `mcpcol schema`: what a configuration of this build may have in it, for editors and other programs.

use std::io::{Write, stdout};
use std::process::ExitCode;

use clap::Args;

use crate::config::{Registries, schema};

/// Print the JSON Schema (2020-12) of configurations
#[derive(Args, Clone, Debug)]
pub(super) struct Schema {}

impl Schema {
    /// Writes the schema on stdout.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        writeln!(stdout(), "{:#}", schema(&Registries::builtin()))?;
        Ok(ExitCode::SUCCESS)
    }
}
