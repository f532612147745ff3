//! The telemetry side's runtime and the signals that end it.

use std::process::ExitCode;

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::pipeline::{Outcome, lower_priority};

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

/// The signals a process of ours listens to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGHUP.
    Reload,
}

impl Signals {
    /// Must be called within the runtime.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// The next signal.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Terminate,
            _ = self.interrupt.recv() => Asked::Interrupt,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }
}

/// The last lines: what became of everything, for each exporter. Where logs are for problems only, an
/// account without drops is not one.
pub(super) fn close_the_books(outcome: &Outcome) {
    for (exporter, account) in &outcome.accounts {
        if account.dropped.is_empty() && account.held() == 0 {
            tracing::info!("{exporter}: {account}");
        } else {
            tracing::warn!("{exporter}: {account}");
        }
    }
}

/// The process's exit code: a wrapped child's, else whether any receiver failed.
pub(super) fn exit_code(outcome: &Outcome) -> ExitCode {
    for failure in &outcome.failures {
        tracing::error!("{failure}");
    }
    match outcome.exit_code {
        Some(code) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
        None if outcome.failures.is_empty() => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}
