//! `mcpcol validate`: everything that `run` does up to binding sockets. Silent if all is well, but for a line on a
//! terminal.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::config_args::{self, ConfigArgs};
use super::discovery::{self, Origin};
use super::say;
use crate::config::{Options, load};
use crate::settings::{Problem, Problems, Severity};

/// Check a configuration: every problem in one go, with its place
#[derive(Args, Clone, Debug)]
pub(super) struct Validate {
    /// Configuration files, each checked by itself
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// How problems are written: as text on stderr, or as JSON on stdout
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

impl Validate {
    /// Exit code 1 if a configuration cannot run; warnings keep it 0 unless they count as errors.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        // Each file is a configuration; what is named by `--config` is one in all.
        let named: Vec<Vec<String>> = match self.file.is_empty() {
            true => vec![self.config.config],
            false => self.file.into_iter().map(|file| vec![file]).collect(),
        };
        let (mut valid, mut all) = (true, Problems::default());
        for sources in named {
            let chosen = discovery::choose(sources, self.config.set.clone());
            let options = Options { advice: true, ..Options::default() };
            let (plan, problems) = load(&chosen.sources, &options);
            valid &= plan.is_some() && (!self.strict || problems.0.is_empty());
            if self.format == Format::Json {
                all.0.extend(problems.0);
                continue;
            }
            config_args::say(&problems)?;
            let nothing = chosen.origin == Origin::Nowhere;
            let well = problems.0.is_empty() && stderr().is_terminal();
            if nothing || well {
                let is = if nothing { "" } else { "valid: " };
                say(&format!("mcpcol: {is}{}", chosen.told()));
            }
        }
        if self.format == Format::Json {
            writeln!(stdout(), "{:#}", report(valid, &all))?;
        }
        Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The problems as JSON: where each stands is null where it stands nowhere.
fn report(valid: bool, problems: &Problems) -> Value {
    let problems: Vec<Value> = problems.0.iter().map(entry).collect();
    json!({ "version": 1, "valid": valid, "problems": problems })
}

fn entry(problem: &Problem) -> Value {
    let (message, hint) = parts(&problem.message);
    let severity = match problem.severity {
        Severity::Warning => "warning",
        Severity::Unready | Severity::Error => "error",
    };
    let mark = problem.mark.as_ref();
    json!({
        "file": mark.map(|mark| &*mark.file),
        "line": mark.map(|mark| mark.line),
        "col": mark.map(|mark| mark.column),
        "path": problem.path,
        "severity": severity,
        "message": message,
        "hint": hint,
    })
}

/// Cuts a message into what was found and what would be accepted or done instead, which stands behind the first
/// semicolon outside of quoted text.
fn parts(message: &str) -> (&str, Option<&str>) {
    let mut quoted = false;
    let at = message.char_indices().find(|&(at, c)| {
        quoted ^= c == '`';
        !quoted && message[at..].starts_with("; ")
    });
    match at {
        Some((at, _)) => (&message[..at], Some(message[at + 2..].trim_start())),
        None => (message, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_what_stands_behind_what_was_found() {
        for (message, found, hint) in [
            ("is missing", "is missing", None),
            (
                "unknown key; did you mean `a`? accepted: `a`",
                "unknown key",
                Some("did you mean `a`? accepted: `a`"),
            ),
            ("found `a; b`; accepted: a number", "found `a; b`", Some("accepted: a number")),
            ("found `a; b", "found `a; b", None),
            ("one; two; three", "one", Some("two; three")),
            ("\u{e4}; b", "\u{e4}", Some("b")),
        ] {
            assert_eq!(parts(message), (found, hint), "{message}");
        }
    }
}
