//! Serving: accepting connections, what clients may do with them, and their end.
//!
//! Two executors share this. [`port`] serves on the shared runtime, a task a connection. A tap's acceptor deals
//! connections to threads with runtimes of their own, which watch them by [`connections`].

use std::time::Duration;

pub(crate) mod frame_limit;
pub(crate) mod reply;
pub(crate) mod slots;
pub(crate) mod usage;
pub(crate) mod wakeups;
pub(crate) mod write_limit;
pub(crate) mod acceptor;
pub(crate) mod connections;
pub(crate) mod displacement;
pub(crate) mod port;

/// Tells those who serve when to end.
pub(crate) trait Ends: Clone + Send + Sync + 'static {
    /// Returns once nothing new is to be taken in.
    fn given(&mut self) -> impl Future<Output = ()> + Send;
    /// Returns once what had begun must not go on: `patience` after [`given`](Self::given), or sooner.
    fn over(self, patience: Duration) -> impl Future<Output = ()> + Send;
}
