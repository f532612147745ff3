//! The telemetry side's runtime, and what a process says at its end.

use std::process::ExitCode;

use anyhow::Context;
#[cfg(target_os = "linux")]
use rustix::process::DumpableBehavior;
use rustix::process::{Resource, Rlimit, setrlimit};
use signal_hook::low_level::emulate_default_handler;
use tokio::runtime::{Builder, Runtime};

use super::logging;
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

/// How the process ends: as a wrapped child did, else by whether any receiver failed. Does not return if
/// that is by a signal.
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

/// Ends the process by the signal that ended its child, so that whoever waits for it sees what it would
/// have seen without us. Returns if there is no such signal, or if nothing would come of it: the first
/// process of a container is spared its own signals.
fn end_by(number: i32) {
    if rustix::process::getpid().is_init() {
        return;
    }
    // The core that is worth a look is the child's.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).ok();
    #[cfg(target_os = "linux")] // where a limit does not hold back cores that go to a program
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
    emulate_default_handler(number).ok();
}
