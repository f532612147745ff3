//! The telemetry side's runtime, and what a process says at its end.

use std::process::ExitCode;

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};

use super::logging;
use super::signals::end_by;
use crate::pipeline::{Exit, Outcome, lower_priority};

/// A runtime whose threads run at lower priority.
pub(super) fn runtime(threads: usize) -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("telemetry")
        .enable_all()
        .on_thread_start(lower_priority)
        .build()
        .context("cannot start the telemetry threads")
}

/// The last lines: what became of everything, for each exporter. Where logs are for problems only, an
/// account without drops is not one.
pub(super) fn close_the_books(outcome: &Outcome) {
    for (exporter, account) in &outcome.accounts {
        if account.is_bad() {
            tracing::warn!("{exporter}: {account}");
        } else {
            tracing::info!("{exporter}: {account}");
        }
    }
}

/// Says how the process ends: as a wrapped child did, else by whether any receiver failed. Does not return if that is
/// by a signal.
pub(super) fn exit_code(outcome: &Outcome) -> ExitCode {
    for failure in &outcome.failures {
        tracing::error!("{failure}");
    }
    if let Some(Exit::Signal(number)) = outcome.exit {
        logging::flush();
        end_by(number);
    }
    match outcome.exit.map(Exit::code) {
        Some(code) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
        None if outcome.failures.is_empty() => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}
