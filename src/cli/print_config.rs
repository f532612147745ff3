//! `mcpcol print-config`: the configuration as it stands after merging and expansion, for showing to
//! somebody: secrets are taken out. It says where it is from: in a comment, or on stderr beside JSON.

use std::io::{Write, stdout};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::config_args::{ConfigArgs, say};
use super::discovery::Origin;
use crate::config::{Options, Tree, redacted, written};

/// Print the merged and expanded configuration, without secrets
#[derive(Args, Clone, Debug)]
pub(super) struct PrintConfig {
    #[command(flatten)]
    config: ConfigArgs,
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Yaml,
    Json,
}

impl PrintConfig {
    /// Exit code 1 if a source cannot be read or a reference stands for nothing.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let chosen = self.config.choose();
        let (root, problems) = written(&chosen.sources, &Options::default());
        say(&problems)?;
        let comment = matches!(self.format, Format::Yaml) && chosen.origin != Origin::Nowhere;
        let told = chosen.told().replace(char::is_control, "?");
        if !comment {
            super::say(&format!("mcpcol: {told}"));
        }
        let Some(root) = root.filter(|_| !problems.fatal()) else { return Ok(ExitCode::FAILURE) };
        let root = redacted(&root);
        let text = match self.format {
            Format::Yaml => format!("# {told}\n{}", serde_saphyr::to_string(&Tree(&root))?),
            Format::Json => serde_json::to_string_pretty(&Tree(&root))?,
        };
        writeln!(stdout(), "{}", text.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}
