//! The four traits of components. Their contracts stand here and nowhere else.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Deadline, Outlet, Pass};
use crate::telemetry::{Batch, Nanos, Needs, Receipt, Telemetry, Verdict};

/// A future behind a box, so that traits with async methods stay object-safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Takes telemetry in.
pub trait Receiver: Send {
    /// Binds sockets, spawns children: whatever can fail at start. All receivers open before any runs.
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>>;

    /// Admits telemetry into `out` until `stop`, then stops admitting, settles what it admitted and
    /// returns: by itself, or soon after [`Deadline::cut`]. Keeps no clone of `out` alive past that.
    /// Returning before `stop` ends the process.
    ///
    /// Called on the thread that runs the service, at the process's own priority; the future runs on
    /// telemetry threads, at a lower one. Threads inherit it: those that forward traffic are started
    /// by the call, or in `open`.
    fn run(self: Box<Self>, out: Outlet, stop: Stop) -> BoxFuture<'static, anyhow::Result<Ended>>;
}

/// Says how a receiver's run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Says how the process should end because of it: as a wrapped child did.
    pub exit: Option<Exit>,
}

/// Says how a process ends, as the one that waits for it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By the signal of this number.
    Signal(i32),
}

impl Exit {
    /// The exit code that shells make of it: `128 + n` for signal n.
    pub fn code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(number) => 128 + number,
        }
    }
}

/// Looks at batches and changes them. Plain functions: no I/O, no waiting, no clock of its own. `now` is
/// wall-clock time, as spans have it, and may jump between two calls. One instance a pipeline; called from
/// the receivers' threads, possibly at once.
pub trait Processor: Send + Sync {
    /// Works on a batch and says how it goes on. Whoever sent the batch may be told to send it again, by
    /// a queue behind this processor or by another pipeline: until then nothing has happened. So whatever a
    /// batch changes beyond itself (counters, state, what is kept for later) changes by
    /// [`Pass::once_accepted`] or [`Pass::keep`].
    fn process(&self, batch: Batch, pass: &mut Pass) -> Flow;

    /// Does what is due and says when to be called next; `None` for a processor without a timer.
    fn tick(&self, _now: Nanos) -> Option<Nanos> {
        None
    }

    /// Lets go of whatever it keeps, into `Build::next` and `Build::emit`: the last call it gets.
    fn finish(&self, _now: Nanos) {}

    /// Says what it reads of a batch's content. Taps keep what somebody reads, from their next look after a
    /// reload on; what they kept nothing of before is [`Raw::Unread`](crate::telemetry::Raw::Unread).
    fn needs(&self) -> Needs {
        Needs::NONE
    }
}

/// Says how a batch goes on behind a processor.
#[derive(Debug)]
pub enum Flow {
    /// It goes on, changed or not, perhaps without items that were dropped or kept.
    Pass(Batch),
    /// Nothing goes on now: every item was dropped or kept, as was said on the [`Pass`].
    Done(Receipt),
    /// It is turned back, with this answer to its sender. No pipeline delivers it and nothing is counted;
    /// where nobody waits for an answer, this pipeline alone drops it and counts that.
    Refused(Receipt, Verdict),
}

/// Sends telemetry out. One attempt at a time: queue, batching, retry, timeout live in `delivery`.
pub trait Exporter: Send + Sync {
    /// Says how much memory an attempt takes beside the batch, in bytes: so many attempts are made at a time as have
    /// room together, and a batch that takes more than there is comes in parts. Unless said otherwise it is a copy
    /// and as much again, compressed.
    fn takes(&self, telemetry: &Telemetry) -> usize {
        telemetry.wire().len().saturating_mul(2)
    }

    /// Sends one batch, all of it or nothing. Called again with the same batch after
    /// [`ExportError::Retry`], with its halves after [`ExportError::TooLarge`]. Dropping the future
    /// abandons the attempt.
    fn export<'a>(
        &'a self,
        telemetry: &'a Telemetry,
    ) -> BoxFuture<'a, Result<Exported, ExportError>>;
}

/// Serves the process beside its pipelines: a probe, a page, a place where queues are stored. Telemetry does
/// not pass it.
pub trait Extension: Send {
    /// Binds sockets, takes locks: whatever can fail at start. Extensions open before all receivers.
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>>;

    /// Serves from before receivers open until `stop`, which is given when everything else is drained, then
    /// returns soon. Returning before, or with an error, is said in the log and ends nothing: telemetry does not
    /// depend on it.
    fn run(self: Box<Self>, stop: Stop) -> BoxFuture<'static, anyhow::Result<()>>;
}

/// Holds what a successful attempt reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Items that the backend took the request but not these of (OTLP partial success).
    pub rejected: usize,
    /// Holds what the backend said about that, or a warning without rejections.
    pub message: String,
}

/// Says why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// May work later.
    #[error("{why}")]
    Retry {
        /// The backend's own hint: wait at least this long.
        after: Option<Duration>,
        /// Holds what happened.
        why: String,
    },
    /// Will never work with this batch.
    #[error("{why}")]
    Reject {
        /// Holds what happened.
        why: String,
    },
    /// Will never work with this batch, but may with parts of it.
    #[error("{why}")]
    TooLarge {
        /// Holds what happened.
        why: String,
    },
}

/// The stop signal. Receivers alone see it; everybody behind them is drained.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Order>);

/// Holds what gives it. Dropping it gives it too.
#[derive(Debug)]
pub struct Switch(watch::Sender<Order>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Go,
    /// Another receiver is in its place, or none is wanted any more.
    Retire(Deadline),
    /// The process ends.
    End(Deadline),
}

/// Names what a receiver that a reload took out may take for what it has begun: streams without an end must not keep
/// every configuration that there ever was.
const RETIREMENT: Duration = Duration::from_secs(10 * 60);

impl Stop {
    /// A signal and the switch that gives it.
    pub fn switch() -> (Switch, Stop) {
        let (tx, rx) = watch::channel(Order::Go);
        (Switch(tx), Stop(rx))
    }

    /// Says whether stop was given.
    pub fn is_given(&self) -> bool {
        *self.0.borrow() != Order::Go || self.0.has_changed().is_err()
    }

    /// Returns once stop was given, with the times that it gives.
    pub async fn given(&mut self) -> Deadline {
        let order = self.0.wait_for(|order| *order != Order::Go).await.map(|order| *order);
        order.unwrap_or(Order::Go).deadline()
    }

    /// Returns once it was given because the process ends, and not because a reload took the receiver out,
    /// which leaves it time for what it has begun.
    pub async fn ends(&mut self) -> Deadline {
        let ends = |order: &Order| matches!(order, Order::End(_));
        let order = self.0.wait_for(ends).await.map(|order| *order);
        order.unwrap_or(Order::Go).deadline()
    }

    /// Until when what had begun may go on after a stop that was just given: for `patience`, if the end
    /// of the process leaves as much.
    pub fn until(&self, patience: Duration) -> Instant {
        let patient = Instant::now() + patience;
        match *self.0.borrow() {
            Order::End(deadline) => patient.min(deadline.cut()),
            Order::Go | Order::Retire(_) => patient,
        }
    }
}

impl Stop {
    /// Returns once what had begun must not go on: `patience` after the stop, and sooner if the process ends
    /// sooner, though a reload had taken the receiver out before.
    pub async fn over(mut self, patience: Duration) {
        self.given().await;
        let until = self.until(patience);
        let mut ending = self.clone();
        tokio::select! {
            () = sleep_until(until) => {}
            _ = ending.ends() => sleep_until(until.min(self.until(patience))).await,
        }
    }
}

impl Order {
    /// Of a switch that is gone without an order as of one that retired its receiver.
    fn deadline(self) -> Deadline {
        match self {
            Order::Go => Deadline::within(RETIREMENT),
            Order::Retire(deadline) | Order::End(deadline) => deadline,
        }
    }
}

impl Switch {
    /// Stops a receiver that a reload took out, unless that has been done.
    pub fn retire(&self) {
        let order = Order::Retire(Deadline::within(RETIREMENT));
        self.0.send_if_modified(|now| {
            let first = *now == Order::Go;
            if first {
                *now = order;
            }
            first
        });
    }

    /// Stops a receiver because the process ends.
    pub fn end(&self, deadline: Deadline) {
        self.0.send_replace(Order::End(deadline));
    }

    /// Says whether stop was given.
    pub fn is_given(&self) -> bool {
        *self.0.borrow() != Order::Go
    }

    /// Says whether nobody listens any more: the receiver has returned.
    pub fn is_over(&self) -> bool {
        self.0.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_had_begun_has_its_time_within_that_of_the_process() {
        let (switch, mut stop) = Stop::switch();
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(3600));
        switch.retire();
        let retired = stop.given().await;
        assert_eq!(retired.over() - Instant::now(), RETIREMENT);
        assert_eq!(stop.until(long), Instant::now() + long, "a reload takes nothing of it");
        let deadline = Deadline::within(Duration::from_secs(25));
        switch.end(deadline);
        switch.retire();
        assert_eq!(stop.ends().await, deadline, "and is no reprieve");
        assert_eq!(stop.until(short), Instant::now() + short);
        assert_eq!(stop.until(long), deadline.cut());
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_comes_after_a_reload_shortens_what_is_left() {
        let (switch, stop) = Stop::switch();
        let begun = Instant::now();
        switch.retire();
        #[expect(clippy::disallowed_methods, reason = "ended by this test")]
        let over = tokio::spawn(stop.clone().over(Duration::from_secs(10)));
        tokio::time::sleep(Duration::from_secs(2)).await;
        switch.end(Deadline::within(Duration::from_secs(4)));
        over.await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 5, "two and the four's first three");
        let (switch, stop) = Stop::switch();
        let begun = Instant::now();
        switch.retire();
        stop.over(Duration::from_secs(10)).await;
        assert_eq!(begun.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_switch_that_is_gone_has_stopped_its_receiver() {
        let (switch, mut stop) = Stop::switch();
        assert!(!stop.is_given());
        drop(switch);
        assert!(stop.is_given());
        let deadline = stop.given().await;
        assert_eq!(deadline.over() - Instant::now(), RETIREMENT);
    }
}
