//! Reads what is said about capturing content on the command line and in the environment: `--capture`, `MCPCOL_CAPTURE`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::say;
use super::variables::variable;

/// The values that can be captured, and the levels of each.
const LEVELS: [(&str, &[&str]); 5] = [
    ("arguments", &["off", "keys", "redacted"]),
    ("results", &["off", "keys", "redacted"]),
    ("errors", &["off", "redacted"]),
    ("stderr", &["off", "redacted"]),
    ("log_messages", &["off", "redacted"]),
];
const VARIABLE: &str = "MCPCOL_CAPTURE";

/// `--capture`
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct CaptureArgs {
    /// Capture content of calls onto spans, after redaction: arguments, results (off, keys, redacted) and errors
    /// (off, redacted); make log records of stderr and log_messages (off, redacted); such as
    /// `arguments=redacted,errors=off` [env: MCPCOL_CAPTURE=]
    #[arg(long, value_name = "WHAT=LEVEL,...", value_parser = parse)]
    capture: Option<Levels>,
}

/// Holds the levels that were given, by what they are of.
#[derive(Clone, Debug, Default, PartialEq)]
struct Levels(Map<String, Value>);

impl CaptureArgs {
    /// Gives the settings of a tap's `capture` that were said here. What the environment says and cannot be read is
    /// told and left out: it is the agent's, and not a reason to keep its server from starting. Told at each call.
    pub(super) fn settings(&self) -> Map<String, Value> {
        let from_env = || {
            parse(&variable(VARIABLE)?)
                .map_err(|why| say(&format!("mcpcol: {VARIABLE} is not used: {why}")))
                .ok()
        };
        self.capture.clone().or_else(from_env).unwrap_or_default().0
    }
}

/// Gives what was said as `--set` has it, for the receiver of that id.
pub(super) fn overrides(said: &Map<String, Value>, receiver: &str) -> Vec<String> {
    let at = format!("receivers::{receiver}::capture");
    said.iter().map(|(what, level)| format!("{at}::{what}={level}")).collect()
}

fn parse(text: &str) -> Result<Levels, String> {
    let mut levels = Levels::default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (what, level) = part.split_once('=').unwrap_or((part, ""));
        let known = LEVELS.iter().find(|(known, _)| *known == what.trim());
        match known.filter(|(_, levels)| levels.contains(&level.trim())) {
            Some((what, _)) => levels.0.insert((*what).to_owned(), level.trim().into()),
            None => return Err(format!("`{part}` is not one of {}", accepted())),
        };
    }
    Ok(levels)
}

fn accepted() -> String {
    let mut out = String::new();
    for (what, levels) in LEVELS {
        for level in levels {
            let comma = if out.is_empty() { "" } else { ", " };
            write!(out, "{comma}{what}={level}").ok();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_others_refused_with_a_list() {
        let levels = parse("arguments=redacted, results=keys,errors=off").unwrap();
        let expected =
            serde_json::json!({"arguments": "redacted", "results": "keys", "errors": "off"});
        assert_eq!(Value::Object(levels.0), expected);
        assert_eq!(parse(""), Ok(Levels::default()));
        for bad in ["arguments", "arguments=all", "errors=keys", "headers=off", "=off"] {
            let why = parse(bad).unwrap_err();
            assert!(why.contains(bad) && why.contains("errors=redacted"), "{why}");
        }
        let args = CaptureArgs { capture: parse("errors=off").ok() };
        let expected = ["receivers::mcp_stdio/x::capture::errors=\"off\""];
        assert_eq!(overrides(&args.settings(), "mcp_stdio/x"), expected);
    }
}
