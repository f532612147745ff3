//! Our own log lines: always on stderr, coloured only on a terminal.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::pipeline::plan::{LogEncoding, LogLevel, LogSettings};

/// Starts logging. `default` is the level of this subcommand where the config names none.
pub(super) fn start(settings: &LogSettings, default: LogLevel) {
    let level = match settings.level.unwrap_or(default) {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    // Libraries speak up only about what is wrong; their debug output is not for users of mcpcol.
    let filter = EnvFilter::new(format!("warn,mcpcol={level},h2=error,hyper=error"));
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .with_span_events(FmtSpan::NONE);
    // A second start (a test in one process) keeps the first.
    drop(if settings.encoding == LogEncoding::Json {
        builder.json().try_init()
    } else {
        builder.try_init()
    });
}
