//! The child's stderr, where it is captured: relayed to ours as it comes, and only then copied for the observer.
//!
//! A queue of its own, so that a server that logs a lot costs no traffic its observation, and one end of its own:
//! nobody waits for it, because grandchildren may hold it for as long as they like.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

use memchr::memchr_iter;

use super::child::Pipe;
use crate::receivers::tap;

/// Bytes that wait for the observer: it looks at least once a second, and makes 1,000 records at once at most.
const QUEUE: usize = 256 * 1024;
/// Bytes that a pipe holds on Linux.
const READ: usize = 64 * 1024;
/// Says how long what a dead child left in the pipe may take to be relayed.
const DRAIN: Duration = Duration::from_millis(500);

/// Queues what the child wrote to its stderr.
pub(super) type LineQueue = tap::Queue<Chunk>;

/// Says what a record of that queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Bytes as they were read.
    Bytes,
    /// There was no room for so many bytes, with so many newlines in them.
    Gap {
        /// Bytes.
        bytes: u64,
        /// Newlines.
        lines: u64,
    },
}

impl tap::Note for Chunk {
    /// Bytes, and newlines in them.
    type Skipped = (u64, u64);

    fn skip(&self, bytes: &[u8], skipped: &mut (u64, u64)) {
        skipped.0 += bytes.len() as u64;
        skipped.1 += memchr_iter(b'\n', bytes).count() as u64;
    }

    fn gaps((bytes, lines): (u64, u64)) -> impl Iterator<Item = Self> {
        (bytes > 0).then_some(Chunk::Gap { bytes, lines }).into_iter()
    }

    fn gap_before(&self, _: &mut (u64, u64)) -> Option<Self> {
        None
    }

    fn passed_over(&self, _: &[u8]) -> impl Iterator<Item = Self> {
        std::iter::once(*self)
    }

    fn join(&mut self, _: usize, _: &Self) -> bool {
        false
    }
}

/// Makes an empty queue.
pub(super) fn queue() -> Arc<LineQueue> {
    Arc::new(LineQueue::new(QUEUE))
}

/// A relay at work.
#[derive(Debug)]
pub(super) struct Relay {
    /// Only the relay holds it, so that the child hears of our reader's end as if the pipe were direct.
    from: Weak<Pipe>,
    hands: Arc<Hands>,
    queue: Arc<LineQueue>,
}

/// Says whether a relay has bytes in its hands.
#[derive(Debug, Default)]
struct Hands {
    full: Mutex<bool>,
    changed: Condvar,
}

impl Hands {
    fn set(&self, full: bool) {
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) = full;
        self.changed.notify_all();
    }
}

impl Relay {
    /// Starts the thread that relays until either side is gone. Bytes that our stderr does not take otherwise, as on a
    /// full disk, are lost as they would be if the server wrote there itself; it goes on.
    pub(super) fn start(
        from: Pipe,
        to: impl Write + Send + 'static,
        queue: Arc<LineQueue>,
    ) -> io::Result<Relay> {
        let (from, hands) = (Arc::new(from), Arc::new(Hands::default()));
        let relay = Relay { from: Arc::downgrade(&from), hands, queue };
        let (hands, lines) = (Arc::clone(&relay.hands), Arc::clone(&relay.queue));
        thread::Builder::new().name("stderr".into()).spawn(move || {
            pass_on(&from, to, &lines, &hands);
            drop(from);
            hands.set(false);
        })?;
        Ok(relay)
    }

    /// Waits until what is in the pipe now has been relayed, if that is soon, and ends the observation. What
    /// others write later is relayed all the same.
    pub(super) fn end(&self) {
        let full = self.hands.full.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = |full: &mut bool| self.is_busy(*full);
        drop(self.hands.changed.wait_timeout_while(full, DRAIN, busy));
        self.queue.close();
    }

    /// Says whether something is in the relay's hands, or in the pipe: it says that its hands are full before it takes
    /// bytes out of that, and empty once they are relayed.
    fn is_busy(&self, full: bool) -> bool {
        full || self.from.upgrade().is_some_and(|from| from.has_something())
    }
}

fn pass_on(from: &Pipe, mut to: impl Write, queue: &LineQueue, hands: &Hands) {
    let (mut buffer, mut observed) = (vec![0; READ], true);
    loop {
        if from.wait_for_something().is_err_and(|error| error.kind() != ErrorKind::Interrupted) {
            return;
        }
        hands.set(true);
        let read = match (&mut &*from).read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == ErrorKind::Interrupted => &[],
            Err(_) => return,
        };
        let at = Instant::now();
        let written = to.write_all(read).and_then(|()| to.flush());
        if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
            return;
        }
        // A panic of ours ends observation and not the relaying.
        observed =
            observed && catch_unwind(AssertUnwindSafe(|| hand_over(queue, read, at))).is_ok();
        hands.set(false);
    }
}

/// Nobody is woken for it: the observer looks by itself.
fn hand_over(queue: &LineQueue, bytes: &[u8], at: Instant) {
    let mut handing = queue.lock();
    handing.offer(tap::Event { at, note: Chunk::Bytes, bytes });
    handing.done();
}

/// The observer's side: what was read, in the order of the traffic beside it.
#[derive(Debug)]
pub(super) struct Lines {
    queue: Arc<LineQueue>,
    taken: VecDeque<(Instant, Chunk, Box<[u8]>)>,
}

impl Lines {
    /// Takes them from `queue`.
    pub(super) fn of(queue: Arc<LineQueue>) -> Self {
        Lines { queue, taken: VecDeque::new() }
    }

    /// Takes in what was read so far.
    pub(super) fn look(&mut self) {
        let mut held = tap::Held::default();
        self.queue.drain(&mut held);
        self.taken.extend(held.events().map(|event| (event.at, event.note, event.bytes.into())));
    }

    /// The next piece, if it was read before that.
    pub(super) fn before(&mut self, at: Option<Instant>) -> Option<(Instant, Chunk, Box<[u8]>)> {
        let due = self.taken.front().is_some_and(|(read, ..)| at.is_none_or(|at| *read <= at));
        self.taken.pop_front_if(|_| due)
    }
}

#[cfg(test)]
mod tests {
    use std::io::pipe;
    use std::os::fd::OwnedFd;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// A reader of our stderr that takes a write when it is let.
    struct Slow(Receiver<()>, SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(|_| ErrorKind::BrokenPipe)?;
            // Less than was offered, as pipes do.
            let some = &bytes[..bytes.len().min(5)];
            self.1.send(some.to_vec()).map_err(|_| ErrorKind::BrokenPipe)?;
            Ok(some.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn started() -> (io::PipeWriter, Relay, SyncSender<()>, Receiver<Vec<u8>>) {
        let (from, child) = pipe().unwrap();
        let ((go, gone), (to, got)) = (sync_channel(9), sync_channel(9));
        let relay = Relay::start(Pipe::from(OwnedFd::from(from)), Slow(gone, to), queue()).unwrap();
        (child, relay, go, got)
    }

    fn is_busy(relay: &Relay) -> bool {
        let full = *relay.hands.full.lock().unwrap();
        relay.is_busy(full)
    }

    fn seen(relay: &Relay) -> Vec<u8> {
        let mut lines = Lines::of(Arc::clone(&relay.queue));
        lines.look();
        std::iter::from_fn(|| lines.before(None)).flat_map(|(.., bytes)| bytes).collect()
    }

    #[test]
    fn bytes_are_relayed_before_they_are_looked_at_and_the_end_waits_for_those_that_are_there() {
        let (mut child, relay, go, got) = started();
        child.write_all(b"hello, world").unwrap();
        go.send(()).unwrap();
        assert_eq!(got.recv().unwrap(), b"hello");
        assert!(is_busy(&relay));
        assert_eq!(seen(&relay), b"", "not relayed yet");
        (0..2).for_each(|_| go.send(()).unwrap());
        relay.end();
        assert!(!is_busy(&relay));
        assert_eq!(got.try_iter().flatten().collect::<Vec<_>>(), b", world");
        assert_eq!(seen(&relay), b"hello, world");
        // What comes later passes and is not looked at.
        child.write_all(b"later").unwrap();
        go.send(()).unwrap();
        assert_eq!(got.recv().unwrap(), b"later");
        assert_eq!(seen(&relay), b"");
    }

    #[test]
    fn nobody_waits_long_for_a_reader_that_takes_nothing() {
        let (mut child, relay, _go, _got) = started();
        child.write_all(b"x").unwrap();
        let begun = Instant::now();
        relay.end();
        assert!(begun.elapsed() >= DRAIN && is_busy(&relay));
    }

    /// Fails as a full disk does, but for the bytes of one letter.
    struct Full(SyncSender<Vec<u8>>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes[0] == b'x' {
                return Err(ErrorKind::StorageFull.into());
            }
            self.0.send(bytes.to_vec()).map_err(|_| ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_no_end_for_the_server() {
        let (from, mut child) = pipe().unwrap();
        let (to, got) = sync_channel(9);
        let relay = Relay::start(Pipe::from(OwnedFd::from(from)), Full(to), queue()).unwrap();
        child.write_all(b"x").unwrap();
        relay.end();
        child.write_all(b"later").unwrap();
        assert_eq!(got.recv().unwrap(), b"later");
    }

    #[test]
    fn a_reader_that_is_gone_breaks_the_childs_pipe() {
        let (mut child, relay, go, got) = started();
        drop((go, got));
        let broken = (0..10_000).find_map(|_| child.write_all(&[b'x'; 4096]).err());
        assert_eq!(broken.unwrap().kind(), ErrorKind::BrokenPipe);
        relay.end();
    }

    #[test]
    fn what_has_no_room_is_counted_in_order() {
        let queue = queue();
        let at = Instant::now();
        for _ in 0..5 {
            hand_over(&queue, &[b"line\n".as_slice(), &[b'x'; 60_000]].concat(), at);
        }
        let mut lines = Lines::of(Arc::clone(&queue));
        lines.look();
        let taken: Vec<_> = std::iter::from_fn(|| lines.before(None)).collect();
        let bytes = taken.iter().filter(|(_, chunk, _)| *chunk == Chunk::Bytes).count();
        assert_eq!((bytes, taken.len()), (4, 5));
        assert_eq!(taken[4].1, Chunk::Gap { bytes: 60_005, lines: 1 });
    }
}
