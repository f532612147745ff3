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

use super::outgoing::Waits;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Clients {
    all: RefCell<HashMap<u64, Rc<Visit>>>,
    last: Cell<u64>,
    stopping: Cell<bool>,
}

/// Why a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The receiver stops.
    Stop,
    /// Its next request takes too long to come.
    TooLong,
}

/// One connection among all, as long as it is kept.
#[derive(Debug)]
pub(super) struct Entered {
    clients: Rc<Clients>,
    number: u64,
    visit: Rc<Visit>,
}

/// A request and its response, while they last.
#[derive(Debug)]
pub(super) struct Asked(Rc<Visit>);

#[derive(Debug)]
struct Visit {
    /// Requests that are being answered.
    now: Cell<usize>,
    /// There was a request at all.
    ever: Cell<bool>,
    /// Looks since the last one was over.
    quiet: Cell<u32>,
    told: Cell<Option<Told>>,
    waker: RefCell<Option<Waker>>,
    /// Something of an answer is not written yet.
    waits: Waits,
}

impl Clients {
    /// A connection is served from now on, of which `waits` says whether the client still has to read.
    pub(super) fn enter(self: &Rc<Self>, waits: Waits) -> Entered {
        let visit = Rc::new(Visit {
            now: Cell::new(0),
            ever: Cell::new(false),
            quiet: Cell::new(0),
            told: Cell::new(self.stopping.get().then_some(Told::Stop)),
            waker: RefCell::default(),
            waits,
        });
        let number = self.last.get() + 1;
        self.last.set(number);
        self.all.borrow_mut().insert(number, Rc::clone(&visit));
        Entered { clients: Rc::clone(self), number, visit }
    }

    /// Tells all of them that the receiver stops.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
        self.all.borrow().values().for_each(|visit| visit.tell(Told::Stop));
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
                visit.tell(Told::TooLong);
            }
        }
    }
}

impl Entered {
    /// A request came by it.
    pub(super) fn asked(&self) -> Asked {
        self.visit.now.set(self.visit.now.get() + 1);
        self.visit.ever.set(true);
        if self.visit.told.get() == Some(Told::TooLong) {
            // It came in the last moment.
            self.visit.told.set(None);
        }
        Asked(Rc::clone(&self.visit))
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
    pub(super) async fn told(&self) -> Told {
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

impl Asked {
    /// Whether something waits to be written to the client.
    pub(super) fn is_unwritten(&self) -> bool {
        self.0.waits.now()
    }
}

impl Visit {
    fn is_busy(&self) -> bool {
        self.now.get() > 0 || self.waits.now()
    }

    fn tell(&self, told: Told) {
        // A stop stands, whatever else is to be told.
        if self.told.get() != Some(Told::Stop) {
            self.told.set(Some(told));
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.now.set(self.0.now.get() - 1);
        self.0.quiet.set(0);
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.clients.all.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;

    fn told(entered: &Entered) -> Option<Told> {
        match pin!(entered.told()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(told) => Some(told),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_asks_nothing_for_too_long_is_told_and_nobody_else() {
        let clients = Rc::new(Clients::default());
        let (quiet, busy, late) = (
            clients.enter(Waits::default()),
            clients.enter(Waits::default()),
            clients.enter(Waits::default()),
        );
        let request = busy.asked();
        clients.look(2);
        clients.look(2);
        drop(late.asked());
        assert_eq!(told(&quiet), None, "not yet more than that");
        clients.look(2);
        assert_eq!([&quiet, &busy, &late].map(told), [Some(Told::TooLong), None, None]);
        drop(request);
        (0..3).for_each(|_| clients.look(2));
        assert_eq!(told(&busy), Some(Told::TooLong));
        assert!(busy.has_asked() && !quiet.has_asked());
    }

    #[tokio::test]
    async fn an_answer_that_is_not_written_to_its_end_is_waited_for() {
        use crate::receivers::mcp_http::outgoing::Outgoing;
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (ours, mut client) = tokio::io::duplex(10);
        let (mut socket, waits) = Outgoing::over(ours);
        let clients = Rc::new(Clients::default());
        let visit = clients.enter(waits);
        let writing = async {
            socket.write_all(&[0; 15]).await.unwrap();
        };
        let reading = async {
            (0..3).for_each(|_| clients.look(0));
            assert_eq!(told(&visit), None);
            assert!(visit.is_busy());
            client.read_exact(&mut [0; 10]).await.unwrap();
        };
        tokio::join!(biased; writing, reading);
        clients.look(0);
        assert_eq!(told(&visit), Some(Told::TooLong));
    }

    #[test]
    fn a_request_in_the_last_moment_is_in_time() {
        let clients = Rc::new(Clients::default());
        let late = clients.enter(Waits::default());
        clients.look(0);
        let request = late.asked();
        assert_eq!(told(&late), None);
        drop(request);
        clients.look(0);
        assert_eq!(told(&late), Some(Told::TooLong), "the next one");
        clients.stop();
        clients.look(0);
        drop(late.asked());
        assert_eq!(told(&late), Some(Told::Stop), "a stop stands");
    }

    #[test]
    fn at_the_stop_all_are_told_and_who_comes_later_too() {
        let clients = Rc::new(Clients::default());
        let busy = clients.enter(Waits::default());
        let _request = busy.asked();
        clients.stop();
        assert_eq!(told(&busy), Some(Told::Stop));
        assert_eq!(told(&clients.enter(Waits::default())), Some(Told::Stop));
        drop(busy);
        assert!(clients.all.borrow().is_empty());
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
        let clients = Rc::new(Clients::default());
        let entered = clients.enter(Waits::default());
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        assert!(pin!(entered.told()).poll(&mut Context::from_waker(&waker)).is_pending());
        clients.stop();
        assert!(woken.0.load(std::sync::atomic::Ordering::Relaxed));
    }
}
