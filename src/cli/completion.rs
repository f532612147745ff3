//! `mcpcol completion SHELL`.

use std::io;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

/// Arguments of `mcpcol completion`.
#[derive(clap::Args, Debug)]
pub(super) struct Completion {
    /// The shell to print a script for
    shell: Shell,
}

impl Completion {
    /// Prints the script.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "mcpcol", &mut script);
        io::Write::write_all(&mut io::stdout(), &script)?;
        Ok(ExitCode::SUCCESS)
    }
}
