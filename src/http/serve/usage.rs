//! How one connection is used: its requests, and the replies that its client has yet to take.
//!
//! From it follows when a connection is of no use or its client does nothing for its own good. Nothing here
//! reads, writes or ends a connection.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::Response;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::reply::Reply;

/// Counts the requests of one connection.
#[derive(Debug)]
pub(crate) struct Usage {
    /// Requests that are being answered: those that began in this round and those of earlier ones, in turn.
    now: [AtomicUsize; 2],
    /// The round's place there.
    round: AtomicUsize,
    /// Requests that were let in at all, whatever became of them.
    seen: AtomicU64,
    /// Requests that were answered and not refused for good.
    ever: AtomicU64,
    /// Replies that wait for the client to take them, and those that it took.
    untaken: AtomicUsize,
    taken: AtomicU64,
    begun: Instant,
    /// Says when it last did something, in milliseconds since then.
    moved: AtomicU64,
    leave: Notify,
}

/// Marks a response as a refusal that is not to be sent again: its request keeps no connection open.
#[derive(Clone, Copy, Debug)]
struct ForGood;

/// Marks a response as one whose request does not count as use of its connection.
pub(crate) fn keeps_no_place(response: &mut Response<Reply>) {
    response.extensions_mut().insert(ForGood);
}

/// Counts a request as being answered until it is dropped.
#[derive(Debug)]
pub(crate) struct Using {
    usage: Arc<Usage>,
    round: usize,
}

/// Counts a reply as one that the client has yet to take, until it is dropped.
#[derive(Debug)]
struct Untaken(Arc<Usage>);

/// A reply that tells when it was taken: HTTP lets it go with its last byte.
#[derive(Debug)]
pub(crate) struct Tracked {
    reply: Reply,
    #[expect(dead_code, reason = "held until the reply is taken")]
    untaken: Option<Untaken>,
}

impl Using {
    /// A request came by that connection.
    pub(crate) fn of(usage: &Arc<Usage>) -> Using {
        let round = usage.round.load(Ordering::Relaxed);
        usage.now[round].fetch_add(1, Ordering::Relaxed);
        usage.seen.fetch_add(1, Ordering::Relaxed);
        Using { usage: Arc::clone(usage), round }
    }

    /// Its answer goes out.
    pub(crate) fn answered(self, mut response: Response<Reply>) -> Response<Tracked> {
        let usage = &self.usage;
        if response.extensions_mut().remove::<ForGood>().is_none() {
            usage.ever.fetch_add(1, Ordering::Relaxed);
        }
        response.map(|reply| {
            let untaken = (!reply.is_streamed()).then(|| Untaken::of(usage));
            Tracked { reply, untaken }
        })
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        self.usage.moves();
        self.usage.now[self.round].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Untaken {
    fn of(usage: &Arc<Usage>) -> Untaken {
        usage.untaken.fetch_add(1, Ordering::Relaxed);
        Untaken(Arc::clone(usage))
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        self.0.moves();
        self.0.untaken.fetch_sub(1, Ordering::Relaxed);
        self.0.taken.fetch_add(1, Ordering::Relaxed);
    }
}

impl Usage {
    /// No request yet.
    pub(crate) fn new() -> Usage {
        Usage {
            now: Default::default(),
            round: AtomicUsize::new(0),
            seen: AtomicU64::new(0),
            ever: AtomicU64::new(0),
            untaken: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            begun: Instant::now(),
            moved: AtomicU64::new(0),
            leave: Notify::new(),
        }
    }

    /// Says how long it has done nothing; `None` while something is being answered or waits to be taken.
    pub(crate) fn quiet_for(&self) -> Option<Duration> {
        let busy = self.is_answering() || self.untaken.load(Ordering::Relaxed) > 0;
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        (!busy).then(|| self.begun.elapsed().saturating_sub(moved))
    }

    /// Says whether any request was answered and not refused for good.
    pub(crate) fn is_of_use(&self) -> bool {
        self.ever.load(Ordering::Relaxed) > 0
    }

    /// Somebody else needs its place.
    pub(crate) fn tell_to_leave(&self) {
        self.leave.notify_one();
    }

    /// Returns, once, when it was told to leave.
    pub(crate) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }

    fn moves(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
    }

    /// Says whether no request ever came.
    pub(crate) fn is_fresh(&self) -> bool {
        self.seen.load(Ordering::Relaxed) == 0
    }

    /// Returns when no request that counts came in time, or when there was none for as long as `idle` says;
    /// looks only so often.
    pub(crate) async fn unused(&self, first: Duration, idle: Option<Duration>) {
        if !self.is_used_after(0, first).await {
            return;
        }
        let Some(idle) = idle else { return pending().await };
        while self.is_used_after(self.ever.load(Ordering::Relaxed), idle).await {}
    }

    /// Waits for a look at which more requests were of use than so many, or that finds nothing under way. What is
    /// under way may yet be of use, but not for ever one refusal after the other: when all that began before a look
    /// is over at a later one, what began since is no reason to wait.
    async fn is_used_after(&self, before: u64, every: Duration) -> bool {
        let mut waited = false;
        loop {
            sleep(every).await;
            if self.ever.load(Ordering::Relaxed) > before {
                return true;
            }
            let round = self.round.load(Ordering::Relaxed);
            let earlier_are_over = self.now[1 - round].load(Ordering::Relaxed) == 0;
            if !self.is_answering() || waited && earlier_are_over {
                return false;
            }
            if earlier_are_over {
                self.round.store(1 - round, Ordering::Relaxed);
                waited = true;
            }
        }
    }

    fn is_answering(&self) -> bool {
        self.now.iter().any(|some| some.load(Ordering::Relaxed) > 0)
    }

    /// Returns when replies have waited for longer than `limit` and the client took none; looks only so often.
    pub(crate) async fn stuck(&self, limit: Duration) {
        let taken = || self.taken.load(Ordering::Relaxed);
        let waits = || self.untaken.load(Ordering::Relaxed) > 0;
        loop {
            let (before, waited) = (taken(), waits());
            sleep(limit).await;
            if waited && waits() && taken() == before {
                return;
            }
        }
    }

    /// Returns when nothing has been answered for as long as `limit`; looks only so often.
    pub(crate) async fn over(&self, limit: Duration) {
        loop {
            sleep(limit).await;
            if !self.is_answering() && self.untaken.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.reply).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const FIRST: Duration = Duration::from_secs(60);
    const IDLE: Option<Duration> = Some(Duration::from_secs(90));

    fn refuse(using: Using) {
        let mut response = Response::new(Reply::default());
        keeps_no_place(&mut response);
        drop(using.answered(response));
    }

    /// Says how long it took until a connection was found unused, of which each request begins before the last is over.
    async fn refusals_without_end(usage: &Arc<Usage>) -> Duration {
        let began = Instant::now();
        let asks = async {
            let mut last = Using::of(usage);
            loop {
                sleep(Duration::from_secs(1)).await;
                refuse(std::mem::replace(&mut last, Using::of(usage)));
            }
        };
        let unused = timeout(10 * FIRST, usage.unused(FIRST, IDLE));
        tokio::select! {
            () = asks => {}
            unused = unused => unused.unwrap(),
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_one_after_the_other_keep_no_connection() {
        let usage = Arc::new(Usage::new());
        assert_eq!(refusals_without_end(&usage).await, 2 * FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn nor_do_they_once_one_was_of_use() {
        let usage = Arc::new(Usage::new());
        drop(Using::of(&usage).answered(Response::new(Reply::default())));
        assert_eq!(refusals_without_end(&usage).await, FIRST + 2 * IDLE.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_take_its_time_beside_refusals() {
        let usage = Arc::new(Usage::new());
        let slow = Using::of(&usage);
        assert!(timeout(4 * FIRST, refusals_without_end(&usage)).await.is_err());
        drop(slow.answered(Response::new(Reply::default())));
        assert!(usage.is_of_use());
    }
}
