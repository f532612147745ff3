//! The connections of one worker's clients, and how each is told to end: at the stop, or because nothing
//! was asked by it for too long.
//!
//! One look at all of them every now and then stands in for a timer and a listener each, which every
//! request would have to set and to take back.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::write_tracker::Unflushed;

/// Lists the connections of one worker's clients.
#[derive(Debug, Default)]
pub(super) struct Connections {
    all: RefCell<HashMap<u64, Rc<Connection>>>,
    last: Cell<u64>,
    stopping: Cell<bool>,
}

/// Says why a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndReason {
    /// The receiver stops.
    Stop,
    /// Its next request takes too long to come.
    TooLong,
}

/// Keeps one connection on the list; dropping it takes it off.
#[derive(Debug)]
pub(super) struct ConnectionGuard {
    connections: Rc<Connections>,
    number: u64,
    visit: Rc<Connection>,
}

/// Counts a request as being answered until it is dropped.
#[derive(Debug)]
pub(super) struct RequestGuard(Rc<Connection>);

#[derive(Debug)]
struct Connection {
    /// Requests that are being answered.
    now: Cell<usize>,
    /// There was a request at all.
    ever: Cell<bool>,
    /// Looks since the last one was over.
    quiet: Cell<u32>,
    told: Cell<Option<EndReason>>,
    waker: RefCell<Option<Waker>>,
    /// Something of an answer is not written yet.
    waits: Unflushed,
}

impl Connections {
    /// A connection is served from now on, of which `waits` says whether the client still has to read.
    pub(super) fn enter(self: &Rc<Self>, waits: Unflushed) -> ConnectionGuard {
        let visit = Rc::new(Connection {
            now: Cell::new(0),
            ever: Cell::new(false),
            quiet: Cell::new(0),
            told: Cell::new(self.stopping.get().then_some(EndReason::Stop)),
            waker: RefCell::default(),
            waits,
        });
        let number = self.last.get() + 1;
        self.last.set(number);
        self.all.borrow_mut().insert(number, Rc::clone(&visit));
        ConnectionGuard { connections: Rc::clone(self), number, visit }
    }

    /// Tells all of them that the receiver stops.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
        self.all.borrow().values().for_each(|visit| visit.tell(EndReason::Stop));
    }

    /// How many requests are being answered.
    pub(super) fn asking(&self) -> usize {
        self.all.borrow().values().map(|visit| visit.now.get()).sum()
    }

    /// One of the looks at regular intervals. Tells those that have asked nothing for more than so many
    /// intervals.
    pub(super) fn look(&self, limit: u32) {
        for visit in self.all.borrow().values().filter(|visit| !visit.is_busy()) {
            visit.quiet.set(visit.quiet.get() + 1);
            if visit.quiet.get() > limit {
                visit.tell(EndReason::TooLong);
            }
        }
    }
}

impl ConnectionGuard {
    /// A request came by it.
    pub(super) fn asked(&self) -> RequestGuard {
        self.visit.now.set(self.visit.now.get() + 1);
        self.visit.ever.set(true);
        if self.visit.told.get() == Some(EndReason::TooLong) {
            // It came in the last moment.
            self.visit.told.set(None);
        }
        RequestGuard(Rc::clone(&self.visit))
    }

    /// Whether a request ever came.
    pub(super) fn has_asked(&self) -> bool {
        self.visit.ever.get()
    }

    /// Whether it is being answered, to the last byte written.
    pub(super) fn is_busy(&self) -> bool {
        self.visit.is_busy()
    }

    /// Returns when it is to end.
    pub(super) async fn told(&self) -> EndReason {
        poll_fn(|cx| {
            if let Some(told) = self.visit.told.get() {
                return Poll::Ready(told);
            }
            let mut waker = self.visit.waker.borrow_mut();
            if waker.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

impl RequestGuard {
    /// Whether something waits to be written to the client.
    pub(super) fn is_unwritten(&self) -> bool {
        self.0.waits.now()
    }
}

impl Connection {
    fn is_busy(&self) -> bool {
        self.now.get() > 0 || self.waits.now()
    }

    fn tell(&self, told: EndReason) {
        // A stop stands, whatever else is to be told.
        if self.told.get() != Some(EndReason::Stop) {
            self.told.set(Some(told));
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.now.set(self.0.now.get() - 1);
        self.0.quiet.set(0);
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.connections.all.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;

    fn told(entered: &ConnectionGuard) -> Option<EndReason> {
        match pin!(entered.told()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(told) => Some(told),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_asks_nothing_for_too_long_is_told_and_nobody_else() {
        let connections = Rc::new(Connections::default());
        let (quiet, busy, late) = (
            connections.enter(Unflushed::default()),
            connections.enter(Unflushed::default()),
            connections.enter(Unflushed::default()),
        );
        let request = busy.asked();
        connections.look(2);
        connections.look(2);
        drop(late.asked());
        assert_eq!(told(&quiet), None, "not yet more than that");
        connections.look(2);
        assert_eq!([&quiet, &busy, &late].map(told), [Some(EndReason::TooLong), None, None]);
        drop(request);
        (0..3).for_each(|_| connections.look(2));
        assert_eq!(told(&busy), Some(EndReason::TooLong));
        assert!(busy.has_asked() && !quiet.has_asked());
    }

    #[tokio::test]
    async fn an_answer_that_is_not_written_to_its_end_is_waited_for() {
        use crate::receivers::mcp_http::write_tracker::WriteTracker;
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (ours, mut client) = tokio::io::duplex(10);
        let (mut socket, waits) = WriteTracker::over(ours);
        let connections = Rc::new(Connections::default());
        let visit = connections.enter(waits);
        let writing = async {
            socket.write_all(&[0; 15]).await.unwrap();
        };
        let reading = async {
            (0..3).for_each(|_| connections.look(0));
            assert_eq!(told(&visit), None);
            assert!(visit.is_busy());
            client.read_exact(&mut [0; 10]).await.unwrap();
        };
        tokio::join!(biased; writing, reading);
        connections.look(0);
        assert_eq!(told(&visit), Some(EndReason::TooLong));
    }

    #[test]
    fn a_request_in_the_last_moment_is_in_time() {
        let connections = Rc::new(Connections::default());
        let late = connections.enter(Unflushed::default());
        connections.look(0);
        let request = late.asked();
        assert_eq!(told(&late), None);
        drop(request);
        connections.look(0);
        assert_eq!(told(&late), Some(EndReason::TooLong), "the next one");
        connections.stop();
        connections.look(0);
        drop(late.asked());
        assert_eq!(told(&late), Some(EndReason::Stop), "a stop stands");
    }

    #[test]
    fn at_the_stop_all_are_told_and_who_comes_later_too() {
        let connections = Rc::new(Connections::default());
        let busy = connections.enter(Unflushed::default());
        let _request = busy.asked();
        connections.stop();
        assert_eq!(told(&busy), Some(EndReason::Stop));
        assert_eq!(told(&connections.enter(Unflushed::default())), Some(EndReason::Stop));
        drop(busy);
        assert!(connections.all.borrow().is_empty());
    }

    #[test]
    fn being_told_wakes() {
        #[derive(Default)]
        struct Woken(std::sync::atomic::AtomicBool);
        impl std::task::Wake for Woken {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let connections = Rc::new(Connections::default());
        let entered = connections.enter(Unflushed::default());
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        assert!(pin!(entered.told()).poll(&mut Context::from_waker(&waker)).is_pending());
        connections.stop();
        assert!(woken.0.load(std::sync::atomic::Ordering::Relaxed));
    }
}
