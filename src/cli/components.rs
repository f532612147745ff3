//! `mcpcol components`: what this build can be configured with, straight from the registries.

use std::io::{Write, stdout};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::config::Registries;
use crate::pipeline::{Kind, Section};
use crate::telemetry::Signal;

/// List the receivers, processors, exporters and extensions of this build
#[derive(Args, Clone, Debug)]
pub(super) struct Components {
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Serialize)]
struct Row {
    kind: &'static str,
    name: &'static str,
    aliases: &'static [&'static str],
    signals: Vec<&'static str>,
    about: &'static str,
}

impl Components {
    /// Writes the list on stdout.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Registries { receivers, processors, exporters, extensions } = Registries::builtin();
        let mut rows: Vec<Row> = receivers.iter().map(row).collect();
        rows.extend(processors.iter().map(row));
        rows.extend(exporters.iter().map(row));
        rows.extend(extensions.iter().map(row));
        let text = match self.format {
            Format::Text => table(&rows),
            Format::Json => serde_json::to_string_pretty(&rows)? + "\n",
        };
        stdout().write_all(text.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row<S: Section + ?Sized>(kind: &Kind<S>) -> Row {
    Row {
        kind: S::NOUN,
        name: kind.name,
        aliases: kind.aliases,
        signals: kind.signals.iter().copied().map(Signal::name).collect(),
        about: kind.about,
    }
}

/// Columns as wide as their widest cell; the last one is not padded.
fn table(rows: &[Row]) -> String {
    let head = ["KIND", "NAME", "ALIASES", "SIGNALS", "ABOUT"].map(String::from);
    let cells = rows.iter().map(|row| {
        let aliases = if row.aliases.is_empty() { "-".into() } else { row.aliases.join(" ") };
        [row.kind.into(), row.name.into(), aliases, row.signals.join(" "), row.about.into()]
    });
    let lines: Vec<[String; 5]> = std::iter::once(head).chain(cells).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: [usize; 4] = std::array::from_fn(width);
    let mut out = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(widths) {
            out.push_str(&format!("{cell:width$}  "));
        }
        out.push_str(&line[4]);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned() {
        let row = |name, aliases, about| Row {
            kind: "exporter",
            name,
            aliases,
            signals: vec!["traces", "logs"],
            about,
        };
        let text = table(&[row("a", &[], "one"), row("otlp_grpc", &["otlp"], "two")]);
        assert_eq!(
            text,
            "KIND      NAME       ALIASES  SIGNALS      ABOUT\n\
             exporter  a          -        traces logs  one\n\
             exporter  otlp_grpc  otlp     traces logs  two\n"
        );
    }
}
