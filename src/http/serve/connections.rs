//! The connections of one worker's clients, and how each is told to end: at the stop, because nothing was
//! asked by it for too long, or because all that it is for waits for its client.
//!
//! A stream on which its server is silent waits for the server, for as long as it likes.
//! One look at all of them every now and then stands in for a timer and a listener each, which every
//! request would have to set and to take back.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::http::write_tracker::Unflushed;

/// Lists the connections of one worker's clients.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    all: RefCell<HashMap<u64, Rc<Connection>>>,
    last: Cell<u64>,
    stopping: Cell<bool>,
}

/// Says why a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// The receiver stops.
    Stop,
    /// Its next request takes too long to come.
    TooLong,
    /// Its client takes nothing of what waits for it, or sends nothing more of what it began.
    Stuck,
}

/// Limits how long a connection may wait for its client, in looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looks {
    /// For its next request, and to take a refusal.
    pub(crate) quiet: u32,
    /// To go on with an exchange, and to take the rest of its answer.
    pub(crate) stuck: u32,
}

/// Keeps one connection on the list; dropping it takes it off.
#[derive(Debug)]
pub(crate) struct ConnectionGuard {
    connections: Rc<Connections>,
    number: u64,
    visit: Rc<Connection>,
}

/// Counts a request as being answered until it is dropped.
#[derive(Debug)]
pub(crate) struct RequestGuard {
    of: Rc<Connection>,
    admitted: Cell<bool>,
    /// Its response has begun: from there on it is that which moves or does not.
    answered: Cell<bool>,
    /// Its client is to act now.
    awaits: Cell<bool>,
}

#[derive(Debug)]
struct Connection {
    /// Requests that are being answered.
    now: Cell<usize>,
    /// There was a request at all.
    ever: Cell<bool>,
    /// Those among them whose client is to act now.
    awaiting: Cell<usize>,
    /// The last request was let through: its answer may be read slowly.
    owed: Cell<bool>,
    /// Looks since the last one was over.
    quiet: Cell<u32>,
    /// Looks since something moved that waits for the client.
    stuck: Cell<u32>,
    /// Holds what the client had taken at the last look.
    taken: Cell<u32>,
    told: Cell<Option<EndReason>>,
    waker: RefCell<Option<Waker>>,
    /// Something of an answer is not written yet.
    waits: Unflushed,
}

impl Connections {
    /// A connection is served from now on, of which `waits` says whether the client still has to read.
    pub(crate) fn enter(self: &Rc<Self>, waits: Unflushed) -> ConnectionGuard {
        let visit = Rc::new(Connection {
            now: Cell::new(0),
            awaiting: Cell::new(0),
            ever: Cell::new(false),
            owed: Cell::new(false),
            quiet: Cell::new(0),
            stuck: Cell::new(0),
            taken: Cell::new(0),
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
    pub(crate) fn stop(&self) {
        self.stopping.set(true);
        self.all.borrow().values().for_each(|visit| visit.tell(EndReason::Stop));
    }

    /// Says how many requests are being answered.
    pub(crate) fn asking(&self) -> usize {
        self.all.borrow().values().map(|visit| visit.now.get()).sum()
    }

    /// One of the looks at regular intervals. Tells those that have waited for their client for more than so
    /// many intervals.
    pub(crate) fn look(&self, limits: Looks) {
        self.all.borrow().values().for_each(|visit| visit.look(limits));
    }
}

impl ConnectionGuard {
    /// A request came by it.
    pub(crate) fn asked(&self) -> RequestGuard {
        self.visit.now.set(self.visit.now.get() + 1);
        self.visit.ever.set(true);
        RequestGuard {
            of: Rc::clone(&self.visit),
            admitted: Cell::new(false),
            answered: Cell::new(false),
            awaits: Cell::new(false),
        }
    }

    /// Says whether a request ever came.
    pub(crate) fn has_asked(&self) -> bool {
        self.visit.ever.get()
    }

    /// Says whether nothing is being answered, or its client does nothing for it.
    pub(crate) fn is_over(&self) -> bool {
        self.visit.now.get() == 0 || self.visit.told.get() == Some(EndReason::Stuck)
    }

    /// Returns when it is to end.
    pub(crate) async fn told(&self) -> EndReason {
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
    /// Says whether something waits to be written to the client.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.of.waits.now()
    }

    /// Says whether its connection carries others at the same time.
    pub(crate) fn is_beside_others(&self) -> bool {
        self.of.now.get() > 1
    }

    /// It is let through, and counts as use of its connection. A refusal keeps no place.
    pub(crate) fn admit(&self) {
        self.admitted.set(true);
        if self.of.told.get() == Some(EndReason::TooLong) {
            // It came in the last moment.
            self.of.told.set(None);
        }
    }

    /// Its response begins, of which the client has taken nothing yet.
    pub(crate) fn answer(&self) {
        self.answered.set(true);
        self.waits(true, true);
    }

    /// Its body was asked for more: whether there was some.
    pub(crate) fn uploaded(&self, some: bool) {
        if self.answered.get() {
            // Of a body that is read while the answer comes nobody knows whether more is to come now.
            self.of.stuck.set(if some { 0 } else { self.of.stuck.get() });
        } else {
            self.waits(!some, some);
        }
    }

    /// The body of its response was asked for more: whether there was some, which the client has to take.
    pub(crate) fn downloaded(&self, some: bool) {
        self.waits(some, some);
    }

    fn waits(&self, awaits: bool, moved: bool) {
        let Connection { awaiting, stuck, .. } = &*self.of;
        let changed = self.awaits.replace(awaits) != awaits;
        if changed {
            awaiting.set(if awaits { awaiting.get() + 1 } else { awaiting.get() - 1 });
        }
        if moved || changed {
            stuck.set(0);
        }
    }
}

impl Connection {
    fn look(&self, limits: Looks) {
        let taken = self.waits.taken();
        let goes_on = self.taken.replace(taken) != taken;
        let (now, unread) = (self.now.get(), self.waits.now());
        if now > 0 || unread && self.owed.get() {
            let waits = if unread { !goes_on } else { self.awaiting.get() == now };
            self.stuck.set(if waits { self.stuck.get() + 1 } else { 0 });
            if self.stuck.get() > limits.stuck {
                self.tell(EndReason::Stuck);
            }
            return;
        }
        self.quiet.set(self.quiet.get() + 1);
        if self.quiet.get() > limits.quiet {
            self.tell(if unread { EndReason::Stuck } else { EndReason::TooLong });
        }
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
        self.waits(false, true);
        self.of.now.set(self.of.now.get() - 1);
        self.of.owed.set(self.admitted.get());
        if self.admitted.get() {
            self.of.quiet.set(0);
        }
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
    use crate::http::write_tracker::WriteTracker;
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const fn looks(quiet: u32) -> Looks {
        Looks { quiet, stuck: 1000 }
    }

    /// A request that is let through.
    fn admitted(entered: &ConnectionGuard) -> RequestGuard {
        let request = entered.asked();
        request.admit();
        request
    }

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
        let request = admitted(&busy);
        connections.look(looks(2));
        connections.look(looks(2));
        drop(admitted(&late));
        assert_eq!(told(&quiet), None, "not yet more than that");
        connections.look(looks(2));
        assert_eq!([&quiet, &busy, &late].map(told), [Some(EndReason::TooLong), None, None]);
        drop(request);
        (0..3).for_each(|_| connections.look(looks(2)));
        assert_eq!(told(&busy), Some(EndReason::TooLong));
        assert!(busy.has_asked() && !quiet.has_asked());
    }

    #[tokio::test]
    async fn an_answer_that_is_not_written_to_its_end_is_waited_for() {
        let (ours, mut client) = tokio::io::duplex(10);
        let (mut socket, waits) = WriteTracker::over(ours);
        let connections = Rc::new(Connections::default());
        let visit = connections.enter(waits);
        drop(admitted(&visit));
        let writing = async {
            socket.write_all(&[0; 15]).await.unwrap();
        };
        let reading = async {
            connections.look(looks(1));
            connections.look(looks(1));
            assert_eq!(told(&visit), None);
            client.read_exact(&mut [0; 10]).await.unwrap();
        };
        tokio::join!(biased; writing, reading);
        connections.look(looks(1));
        assert_eq!(told(&visit), None, "it was read on");
        connections.look(looks(1));
        assert_eq!(told(&visit), Some(EndReason::TooLong));
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_is_given_up() {
        let (ours, mut client) = tokio::io::duplex(10);
        let (mut socket, waits) = WriteTracker::over(ours);
        let connections = Rc::new(Connections::default());
        let visit = connections.enter(waits);
        let mut write = || {
            let mut writing = pin!(socket.write_all(&[0; 15]));
            assert!(writing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        };
        drop(admitted(&visit));
        write();
        let limits = Looks { quiet: 1, stuck: 5 };
        (0..6).for_each(|_| connections.look(limits));
        assert_eq!(told(&visit), None, "as long as an exchange");
        connections.look(limits);
        assert_eq!(told(&visit), Some(EndReason::Stuck));
        // A refusal not for as long, and also if it is read on, a byte at a time.
        visit.visit.told.set(None);
        for _ in 0..2 {
            drop(visit.asked());
            client.read_exact(&mut [0; 5]).await.unwrap();
            write();
            connections.look(limits);
        }
        assert_eq!(told(&visit), Some(EndReason::Stuck));
    }

    #[test]
    fn a_refusal_is_no_use_of_a_connection() {
        let connections = Rc::new(Connections::default());
        let visit = connections.enter(Unflushed::default());
        for _ in 0..3 {
            drop(visit.asked());
            connections.look(looks(2));
        }
        assert_eq!(told(&visit), Some(EndReason::TooLong));
    }

    #[test]
    fn an_exchange_waits_for_its_server_as_long_as_it_likes_and_not_for_its_client() {
        const LIMITS: Looks = Looks { quiet: 0, stuck: 1 };
        let connections = Rc::new(Connections::default());
        let enter = || {
            let visit = connections.enter(Unflushed::default());
            let request = admitted(&visit);
            (visit, request)
        };
        let look = || (0..3).for_each(|_| connections.look(LIMITS));
        let stuck = Some(EndReason::Stuck);

        let (visit, request) = enter();
        look();
        assert_eq!(told(&visit), None, "its server is to answer");
        request.uploaded(false);
        look();
        assert_eq!(told(&visit), stuck, "the rest of its body");

        let (visit, request) = enter();
        request.uploaded(false);
        connections.look(LIMITS);
        request.uploaded(true);
        look();
        assert_eq!(told(&visit), None, "its server is to take it");
        request.answer();
        request.downloaded(false);
        request.uploaded(false);
        look();
        assert_eq!(told(&visit), None, "a stream that is silent");
        request.downloaded(true);
        let other = admitted(&visit);
        look();
        assert_eq!(told(&visit), None, "the other one's server is to answer");
        drop(other);
        look();
        assert_eq!(told(&visit), stuck, "an event that is not taken");
        drop(request);
        assert_eq!(visit.visit.awaiting.get(), 0);

        let (visit, request) = enter();
        request.answer();
        look();
        assert_eq!(told(&visit), stuck, "a response that is not taken");
        assert!(visit.is_over());
    }

    #[test]
    fn a_request_in_the_last_moment_is_in_time() {
        let connections = Rc::new(Connections::default());
        let late = connections.enter(Unflushed::default());
        connections.look(looks(0));
        let request = admitted(&late);
        assert_eq!(told(&late), None);
        drop(request);
        connections.look(looks(0));
        assert_eq!(told(&late), Some(EndReason::TooLong), "the next one");
        connections.stop();
        connections.look(looks(0));
        drop(admitted(&late));
        assert_eq!(told(&late), Some(EndReason::Stop), "a stop stands");
    }

    #[test]
    fn at_the_stop_all_are_told_and_who_comes_later_too() {
        let connections = Rc::new(Connections::default());
        let busy = connections.enter(Unflushed::default());
        let _request = admitted(&busy);
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
