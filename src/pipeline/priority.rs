//! Telemetry yields to the traffic and to the servers behind it (law 9).

/// Just below what people and servers run at. Much lower, and on a machine whose cores are all taken telemetry
/// gets too little to keep up: at 10 a twentieth of the calls went by unobserved, at 2 none, at the same rate.
const NICE: i32 = 2;

/// Lowers the calling thread's priority, to the same level however often it is called. On Linux
/// niceness belongs to threads; on macOS it is the whole process's, so there nothing is done. Where the
/// system says no, the thread goes on as it is.
pub fn lower_priority() {
    if cfg!(target_os = "linux")
        && let Err(error) = rustix::process::setpriority_process(None, NICE)
    {
        tracing::debug!(%error, "a telemetry thread keeps its priority");
    }
}
