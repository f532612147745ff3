//! `mcpcol help [COMMAND]`.

use std::process::ExitCode;

use clap::CommandFactory;

/// Arguments of `mcpcol help`.
#[derive(clap::Args, Debug)]
pub(super) struct Help {
    /// The command that is to be described
    command: Option<String>,
}

impl Help {
    /// Prints the help of that command, or of all.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut cli = super::Cli::command();
        cli.build();
        let mut about = &mut cli;
        if let Some(name) = &self.command {
            let Some(found) = about.find_subcommand_mut(name) else {
                super::say(&format!(
                    "mcpcol: there is no command `{name}`; `mcpcol help` lists them"
                ));
                return Ok(ExitCode::from(2));
            };
            about = found;
        }
        about.print_long_help()?;
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory, Parser};

    use crate::cli::Cli;

    fn all(command: &mut Command, each: &mut impl FnMut(&mut Command)) {
        each(command);
        command.get_subcommands_mut().for_each(|command| all(command, each));
    }

    #[test]
    fn numbers_say_their_range_and_every_argument_what_it_is() {
        let mut cli = Cli::command();
        cli.build();
        cli.clone().debug_assert();
        let mut numbers = 0;
        all(&mut cli, &mut |command| {
            for argument in command.get_arguments() {
                let at = format!("{} {}", command.get_name(), argument.get_id());
                let help = argument.get_long_help().or(argument.get_help());
                let help = help.unwrap_or_else(|| panic!("{at}")).to_string();
                let default = argument.get_default_values().first().and_then(|d| d.to_str());
                if default.is_some_and(|default| default.parse::<u64>().is_ok()) {
                    numbers += 1;
                    let ranges = help
                        .match_indices(" to ")
                        .any(|(at, _)| help[..at].ends_with(|c: char| c.is_ascii_digit()));
                    assert!(ranges, "{at}: {help}");
                }
            }
        });
        assert!(numbers >= 4, "{numbers}");
    }

    #[test]
    fn help_has_a_help() {
        for line in ["help", "help help", "help stdio"] {
            assert!(Cli::try_parse_from(["mcpcol"].into_iter().chain(line.split(' '))).is_ok());
        }
        let help = Cli::try_parse_from(["mcpcol", "help", "--help"]).err().unwrap();
        assert_eq!(help.exit_code(), 0);
    }
}
