//! Telemetry yields to the traffic and to the servers behind it (law 9).

use std::sync::atomic::{AtomicI32, Ordering};

use rustix::process::{getpid, getpriority_process, setpriority_process};

/// Says how far below the process telemetry runs, in steps of niceness: enough that traffic goes first. Ten below, and
/// where calls over HTTP take all cores it got too little to keep up: up to a twentieth of them went by unobserved,
/// where two below lost next to none at the same rate of calls.
const BELOW: i32 = 2;
/// The same for [`lower_priority_further`].
const FAR_BELOW: i32 = 10;

static STEPS: AtomicI32 = AtomicI32::new(BELOW);

/// For a process that wraps one server and has nothing to itself: from now on telemetry takes only what
/// nobody else wants. A relay over pipes is a copy of memory, and loses a fifth of its rate and more to
/// an observer two steps below it on a machine without a free core.
pub fn lower_priority_further() {
    STEPS.store(FAR_BELOW, Ordering::Relaxed);
}

/// Lowers the calling thread's priority, to the same level however often it is called: below that of the
/// process, whose first thread keeps it. On Linux niceness belongs to threads; on macOS it is the whole
/// process's, so there nothing is done. Where the system says no, the thread goes on as it is.
pub fn lower_priority() {
    let below = STEPS.load(Ordering::Relaxed);
    if cfg!(target_os = "linux")
        && let Err(error) = getpriority_process(Some(getpid()))
            .and_then(|ours| setpriority_process(None, ours + below))
    {
        tracing::debug!(%error, "a telemetry thread keeps its priority");
    }
}
