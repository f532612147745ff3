//! Tasks of a worker stay on its thread: hyper's executor and clock for that.

use std::future::Future;

use hyper::rt::Executor;
use tokio::task::spawn_local;

/// Starts HTTP/2's tasks beside their connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local;

impl<F> Executor<F> for Local
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, task: F) {
        spawn_local(task);
    }
}
