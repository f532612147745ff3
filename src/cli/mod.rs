//! The command line: parse, load, build, run, drain, exit code. One file a subcommand.
//!
//! stdout is data and stderr is talk, in every subcommand; only this room prints.

mod completion;
mod help;
mod components;
mod variables;
mod discovery;
mod record;
mod flags;
mod config_args;
mod digest;
mod logging;
mod otlp_env;
mod print_config;
mod schema;
mod redact;
mod signals;
mod runtime;
mod reloads;
mod watch;
mod run;
mod state;
mod live;
mod builtin;
mod capture;
mod http;
mod stdio;
mod records;
mod table;
mod shown;
mod logs;
mod stats;
mod sessions;
mod show;
mod tail;
mod slo;
mod prune;
mod demo;
mod validate;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::harmless;

/// The OpenTelemetry Collector for MCP: taps the traffic between AI agents and their tool servers and
/// turns every exchange into a span.
#[derive(Parser)]
#[command(name = "mcpcol", version = VERSION, max_term_width = 100, after_help = EXAMPLES)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The version, and the commit where it is known: `build.rs` says.
const VERSION: &str = env!("MCPCOL_VERSION");

const EXAMPLES: &str = "\
Examples:
  mcpcol demo                                        a real server behind the tap, in seconds
  mcpcol stdio -- npx -y @scope/mcp-server .         wrap one stdio server (agents' mcp.json)
  mcpcol stdio --config pipelines/stdio-otlp.yaml -- npx -y @scope/mcp-server .
                                                     the same into an OpenTelemetry Collector
  mcpcol http --upstream http://localhost:3001/mcp   tap one HTTP server
  mcpcol tail                                        calls as they end, of all taps of this machine
  mcpcol stats --window 1h                           what the recorded calls come to
  mcpcol validate --config pipelines/stdio-file.yaml all problems of a config at once";

#[derive(Subcommand)]
enum Command {
    /// Run the pipelines of a configuration until SIGTERM; SIGHUP reloads it
    Run(run::Run),
    /// Wrap one stdio MCP server: what goes into an agent's mcp.json
    Stdio(stdio::Stdio),
    /// Tap one HTTP MCP server: a reverse proxy in front of it
    Http(http::Http),
    /// A real MCP server behind the tap, a client that drives it, and the spans
    Demo(demo::Demo),
    /// Show calls as they end, of all taps of this machine
    Tail(tail::Tail),
    /// Show what the recorded calls come to, by server and tool
    Stats(stats::Stats),
    /// List the recorded sessions
    Sessions(sessions::Sessions),
    /// Show one recorded session as a timeline and tree
    Show(show::Show),
    /// Judge objectives on recorded calls, or write Prometheus rules of them
    Slo(slo::Slo),
    /// Show what tapped servers logged, and what was wrong on the wire
    Logs(logs::Logs),
    /// Remove local records that are too old or too many
    Prune(prune::Prune),
    /// Check a configuration: all problems at once
    Validate(validate::Validate),
    /// List the components of this build
    Components(components::Components),
    /// Print a configuration as it is after merging and expansion, secrets hidden
    PrintConfig(print_config::PrintConfig),
    /// Print the JSON Schema of configurations, for editors
    Schema(schema::Schema),
    /// Print the digest of a JSON text, as the digest processor makes it
    Digest(digest::Digest),
    /// Mask secrets in text or in OTLP JSON lines, as the redaction processor does
    Redact(redact::Redact),
    /// Print a shell's completion script
    Completion(completion::Completion),
    /// Print this help, or that of a command
    Help(help::Help),
    /// The demo's MCP server (what the demo wraps)
    #[command(hide = true)]
    DemoServer,
}

/// Runs the program; the exit code is the process's.
pub fn main() -> ExitCode {
    logging::hide_panic_messages();
    let result = match Cli::parse().command {
        Command::Run(run) => run.run(),
        Command::Stdio(stdio) => stdio.run(),
        Command::Http(http) => http.run(),
        Command::Demo(demo) => demo.run(),
        Command::Stats(stats) => stats.run(),
        Command::Sessions(sessions) => sessions.run(),
        Command::Show(show) => show.run(),
        Command::Tail(tail) => tail.run(),
        Command::Slo(slo) => slo.run(),
        Command::Logs(logs) => logs.run(),
        Command::Prune(prune) => prune.run(),
        Command::Validate(validate) => validate.run(),
        Command::Components(components) => components.run(),
        Command::PrintConfig(print_config) => print_config.run(),
        Command::Schema(schema) => schema.run(),
        Command::Digest(digest) => digest.run(),
        Command::Redact(redact) => redact.run(),
        Command::Completion(completion) => completion.run(),
        Command::Help(help) => help.run(),
        Command::DemoServer => demo::serve(),
    };
    logging::flush();
    result.unwrap_or_else(|error| {
        if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) {
            // `| head` has seen enough.
            return ExitCode::SUCCESS;
        }
        say(&format!("mcpcol: {error:#}"));
        ExitCode::FAILURE
    })
}

/// One line to the user, with nothing in it that steers a terminal. Whoever closed stderr does not want to know.
fn say(line: &str) {
    writeln!(io::stderr(), "{}", harmless(line)).ok();
}
