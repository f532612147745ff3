//! Suppresses the redundant wake-up that hyper issues after the last piece of a body, which would poll a
//! connection's task once more for nothing.
//!
//! hyper's bodies wake whoever reads the socket each time that a piece is taken, after the last one too,
//! when nobody reads any more. Here the one who takes it is the task that reads, so that it would run
//! again at once and in vain: twice a call. A wake-up of a task by itself is therefore noted until its
//! turn is over, and [`WakeMark`] takes the one back that is known to mean nothing. All others are passed on.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

thread_local! {
    /// Whose turn it is on this thread, and whether it woke itself.
    static TURN: Cell<Turn> = const { Cell::new(Turn { of: 0, again: false }) };
}

#[derive(Clone, Copy)]
struct Turn {
    /// Says where its waker is; 0 for nobody.
    of: usize,
    again: bool,
}

/// Remembers whether the task had woken itself at some point of its poll.
pub(crate) struct WakeMark(Turn);

impl WakeMark {
    /// Now.
    pub(crate) fn set() -> WakeMark {
        WakeMark(TURN.get())
    }

    /// If the task woke itself since, it meant nothing.
    pub(crate) fn take_back(self) {
        TURN.set(self.0);
    }
}

/// A future whose wake-ups of its own task are passed on when its turn is over.
pub(crate) struct DeferWakeups<F> {
    inner: F,
    task: Option<Arc<Task>>,
}

/// Wakes the task, later if it is its turn.
struct Task(Waker);

/// Ends a turn, be it by a panic.
struct Over<'a> {
    before: Turn,
    task: &'a Waker,
}

impl<F> DeferWakeups<F> {
    pub(crate) fn of(inner: F) -> Self {
        DeferWakeups { inner, task: None }
    }

    pub(crate) fn inner(self: Pin<&mut Self>) -> Pin<&mut F>
    where
        F: Unpin,
    {
        Pin::new(&mut self.get_mut().inner)
    }
}

impl Task {
    /// Tells it from all others.
    fn id(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // On another thread it is never its turn.
        match TURN.get() {
            turn if turn.of == self.id() => TURN.set(Turn { again: true, ..turn }),
            _ => self.0.wake_by_ref(),
        }
    }
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if TURN.replace(self.before).again {
            self.task.wake_by_ref();
        }
    }
}

impl<F: Future + Unpin> Future for DeferWakeups<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let known = self.task.take().filter(|task| task.0.will_wake(cx.waker()));
        let task = known.unwrap_or_else(|| Arc::new(Task(cx.waker().clone())));
        let before = TURN.replace(Turn { of: task.id(), again: false });
        let over = Over { before, task: cx.waker() };
        self.task = Some(Arc::clone(&task));
        let waker = Waker::from(task);
        let polled = self.as_mut().inner().poll(&mut Context::from_waker(&waker));
        drop(over);
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Woken {
        fn often(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// One turn of a task in which `happens`; how often the task was woken by the end of it.
    fn turn(mut happens: impl FnMut(&Waker, &Woken) + Unpin) -> usize {
        let woken = Arc::new(Woken::default());
        let inner = std::future::poll_fn(|cx| {
            happens(cx.waker(), &woken);
            Poll::<()>::Pending
        });
        let task = Waker::from(Arc::clone(&woken));
        let mut turns = DeferWakeups::of(inner);
        let polled = Pin::new(&mut turns).poll(&mut Context::from_waker(&task));
        assert!(polled.is_pending());
        woken.often()
    }

    #[test]
    fn a_task_that_wakes_itself_is_woken_when_its_turn_is_over() {
        let woken = turn(|own, woken| {
            own.wake_by_ref();
            own.wake_by_ref();
            assert_eq!(woken.often(), 0);
        });
        assert_eq!(woken, 1);
    }

    #[test]
    fn what_means_nothing_is_taken_back_and_nothing_else() {
        let in_vain = |own: &Waker, _: &Woken| {
            let mark = WakeMark::set();
            own.wake_by_ref();
            mark.take_back();
        };
        assert_eq!(turn(in_vain), 0);
        let before = |own: &Waker, woken: &Woken| {
            own.wake_by_ref();
            in_vain(own, woken);
        };
        assert_eq!(turn(before), 1);
        let after = |own: &Waker, woken: &Woken| {
            in_vain(own, woken);
            own.wake_by_ref();
        };
        assert_eq!(turn(after), 1);
    }

    #[test]
    fn other_tasks_and_other_threads_are_not_held_up() {
        let other = Arc::new(Woken::default());
        let other_waker = Waker::from(Arc::clone(&other));
        let kept = Cell::new(None);
        let own = turn(|own, woken| {
            let mark = WakeMark::set();
            other_waker.wake_by_ref();
            assert_eq!(other.often(), 1);
            std::thread::scope(|scope| {
                scope.spawn(|| own.wake_by_ref());
            });
            assert_eq!(woken.often(), 1);
            mark.take_back();
            kept.set(Some(own.clone()));
        });
        assert_eq!(own, 1);
        // Between turns nothing is noted.
        let woken = turn(|_, _| kept.take().unwrap().wake());
        assert_eq!(woken, 0, "that was another task's");
    }

    #[test]
    fn a_panic_ends_the_turn() {
        let kept = Cell::new(None);
        let result = catch_unwind(AssertUnwindSafe(|| {
            turn(|own, _| {
                kept.set(Some(own.clone()));
                panic!("on purpose");
            })
        }));
        assert!(result.is_err());
        assert_eq!(TURN.get().of, 0);
        kept.take().unwrap().wake();
    }
}
