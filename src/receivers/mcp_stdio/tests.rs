//! Intake, queue, relay and observer together, without processes.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::Direction::{ClientToServer, ServerToClient};
use super::counters::Counters;
use super::intake::{End, Intake};
use super::queue::{Event, Held, Kind, Note, Queue, Skipped};
use super::relay::{Progress, relay};
use super::{Direction, Watch};
use crate::mcp::TAIL;
use crate::metrics::{Counter, Metric, Metrics, names};
use crate::otlp::Messages;
use crate::pipeline::{Accounts, Build, Consumer, Id, Outlet, Shared, Transport};
use crate::receivers::tap::{CallBoards, EditCounters, Observer, edited, observe};
use crate::telemetry::{Batch, Clock, Content, Nanos, Needs, Offset, Telemetry};

mod board;

const ROOM: usize = 1 << 22;

/// Holds what was seen of one direction, put together again.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    bytes: Vec<u8>,
    cuts: Vec<(u64, bool, Vec<u8>)>,
    missed: Skipped,
    gaps: usize,
    left: Option<Direction>,
    eof: bool,
}

impl Seen {
    fn add(&mut self, event: &Event<'_>) {
        assert!(!self.eof, "nothing comes after the end");
        match event.note.kind {
            Kind::Bytes { .. } => self.bytes.extend_from_slice(event.bytes),
            Kind::Cut { skipped, newline } => {
                self.cuts.push((skipped, newline, event.bytes.to_vec()));
            }
            Kind::Gap(gap) => {
                self.gaps += 1;
                self.missed.bytes += gap.bytes;
                self.missed.lines += gap.lines;
            }
            Kind::Edited | Kind::Stopped => unreachable!("nothing is edited or told to stop here"),
            Kind::Left => self.left = Some(event.note.direction),
            Kind::Eof => self.eof = true,
        }
    }

    /// All bytes that went by, seen or not.
    fn total(&self) -> u64 {
        let cut = self.cuts.iter().map(|(n, newline, t)| n + u64::from(*newline) + t.len() as u64);
        self.bytes.len() as u64 + cut.sum::<u64>() + self.missed.bytes
    }

    /// All newlines that went by, seen or not.
    fn lines(&self) -> u64 {
        let cut = self.cuts.iter().filter(|(_, newline, _)| *newline).count() as u64;
        newlines(&self.bytes) + cut + self.missed.lines
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&b| b == b'\n').count() as u64
}

fn drain(queue: &Queue) -> BTreeMap<usize, Seen> {
    let mut held = Held::default();
    queue.drain(&mut held);
    let mut seen = BTreeMap::new();
    for event in held.events() {
        seen.entry(event.note.direction as usize).or_insert_with(Seen::default).add(&event);
    }
    seen
}

fn one(queue: &Queue, reads: &[&[u8]], max_line: usize) -> Seen {
    let queue = Arc::new(Queue::new(queue.limit()));
    let mut intake = Intake::new(Arc::clone(&queue), ClientToServer, max_line);
    for read in reads {
        intake.hand_over(read, Instant::now());
    }
    intake.eof(End::Source, Instant::now());
    drain(&queue).remove(&0).unwrap_or_default()
}

#[test]
fn short_lines_are_handed_over_as_they_are() {
    let seen = one(&Queue::new(ROOM), &[b"a\r\n\n\0\xff", b"b\nlast"], 100);
    assert_eq!(seen.bytes, b"a\r\n\n\0\xffb\nlast");
    assert!(seen.cuts.is_empty() && seen.eof && seen.gaps == 0);
}

#[test]
fn of_a_long_line_head_length_and_end_are_handed_over() {
    let long: Vec<u8> = (0..10_000u32).map(|n| b'a' + (n % 26) as u8).collect();
    let all = [b"x\n".as_slice(), &long, b"\ny\n"].concat();
    let seen = one(&Queue::new(ROOM), &all.chunks(777).collect::<Vec<_>>(), 100);
    assert_eq!(seen.bytes, [b"x\n".as_slice(), &long[..100], b"y\n"].concat());
    let left_out = (10_000 - 100 - TAIL) as u64;
    assert_eq!(seen.cuts, [(left_out, true, long[10_000 - TAIL..].to_vec())]);
    assert_eq!(seen.total(), all.len() as u64);
}

#[test]
fn a_line_of_exactly_the_limit_is_whole() {
    let seen = one(&Queue::new(ROOM), &[b"1234\n12345\n1234"], 4);
    assert_eq!(seen.bytes, b"1234\n12341234");
    assert_eq!(seen.cuts, [(0, true, b"5".to_vec())]);
}

#[test]
fn a_long_last_line_without_a_newline_is_cut_too() {
    let seen = one(&Queue::new(ROOM), &[b"123456"], 4);
    assert_eq!((seen.bytes, seen.cuts), (b"1234".to_vec(), vec![(0, false, b"56".to_vec())]));
}

#[test]
fn a_full_queue_skips_until_it_is_drained_and_then_tells_the_gap_once() {
    let queue = Arc::new(Queue::new(600));
    let mut intake = Intake::new(Arc::clone(&queue), ServerToClient, 10_000);
    for _ in 0..10 {
        intake.hand_over(&[b'\n'; 200], Instant::now());
    }
    let seen = drain(&queue).remove(&1).unwrap();
    assert_eq!((seen.bytes.len(), seen.gaps), (400, 1));
    assert_eq!(seen.missed, Skipped { bytes: 1600, lines: 1600 });
    intake.hand_over(b"again\n", Instant::now());
    assert_eq!(drain(&queue).remove(&1).unwrap().bytes, b"again\n");
}

#[test]
fn an_end_is_told_even_by_a_full_queue_and_after_its_gap() {
    let queue = Arc::new(Queue::new(1));
    let mut intake = Intake::new(Arc::clone(&queue), ServerToClient, 10_000);
    intake.hand_over(b"lost\n", Instant::now());
    intake.eof(End::Source, Instant::now());
    let mut held = Held::default();
    queue.drain(&mut held);
    let kinds: Vec<_> = held.events().map(|event| event.note.kind).collect();
    assert_eq!(kinds, [Kind::Gap(Skipped { bytes: 5, lines: 1 }), Kind::Eof]);
}

#[test]
fn a_closed_queue_counts_and_keeps_nothing() {
    let queue = Arc::new(Queue::new(ROOM));
    let mut intake = Intake::new(Arc::clone(&queue), ServerToClient, 10_000);
    queue.close();
    intake.hand_over(b"one\ntwo\n", Instant::now());
    let mut held = Held::default();
    assert!(!queue.drain(&mut held));
    let kinds: Vec<_> = held.events().map(|event| event.note.kind).collect();
    assert_eq!(kinds, [Kind::Gap(Skipped { bytes: 8, lines: 2 })]);
}

#[test]
fn a_sleeping_observer_is_woken_by_the_first_message_only() {
    let queue = Arc::new(Queue::new(ROOM));
    let mut intake = Intake::new(Arc::clone(&queue), ServerToClient, 10_000);
    assert!(!intake.hand_over(b"nobody sleeps\n", Instant::now()));
    drain(&queue);
    let (sleeper, woken) = (Arc::clone(&queue), Arc::new(AtomicBool::new(false)));
    let awake = Arc::clone(&woken);
    let slept = thread::spawn(move || {
        while !awake.load(Ordering::SeqCst) {
            sleeper.sleep(Duration::from_secs(60), &mut Held::default());
        }
    });
    while !intake.hand_over(b"x\n", Instant::now()) {
        drain(&queue);
        thread::yield_now();
    }
    woken.store(true, Ordering::SeqCst);
    assert!(!intake.hand_over(b"y\n", Instant::now()));
    intake.wake();
    slept.join().unwrap();
}

#[test]
fn reads_of_one_line_come_in_one_piece_with_the_last_stamp() {
    let queue = Arc::new(Queue::new(ROOM));
    let mut ask = Intake::new(Arc::clone(&queue), ClientToServer, 1000);
    let mut answer = Intake::new(Arc::clone(&queue), ServerToClient, 1000);
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    ask.hand_over(b"on", at(1));
    ask.hand_over(b"e\ntwo\n", at(2));
    ask.hand_over(b"three", at(3));
    answer.hand_over(b"between", at(4));
    ask.hand_over(b"\n", at(5));
    let mut held = Held::default();
    queue.drain(&mut held);
    let pieces: Vec<_> =
        held.events().map(|e| (e.bytes, e.at, e.note.missed(e.bytes).lines)).collect();
    assert_eq!(
        pieces,
        [
            (b"one\ntwo\n".as_slice(), at(2), 2),
            (b"three", at(3), 0),
            (b"between", at(4), 0),
            (b"\n", at(5), 1),
        ]
    );
}

proptest! {
    /// Whatever the limits and whenever the observer comes: seen + cut + missed is what was sent, and
    /// what is seen is what was sent, in order.
    #[test]
    fn nothing_goes_by_uncounted(
        reads in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 1..80), any::<bool>()),
            0..30,
        ),
        max_line in 1usize..100,
        limit in 1usize..1500,
    ) {
        let queue = Arc::new(Queue::new(limit));
        let mut intakes = Direction::BOTH.map(|d| Intake::new(Arc::clone(&queue), d, max_line));
        let mut sent = [Vec::new(), Vec::new()];
        let mut seen = [Seen::default(), Seen::default()];
        let mut held = Held::default();
        let mut take = |seen: &mut [Seen; 2]| {
            queue.drain(&mut held);
            held.events().for_each(|event| seen[event.note.direction as usize].add(&event));
        };
        for (way, read, drained) in &reads {
            let way = usize::from(*way);
            sent[way].extend_from_slice(read);
            intakes[way].hand_over(read, Instant::now());
            if *drained {
                take(&mut seen);
            }
        }
        for intake in &mut intakes {
            intake.eof(End::Source, Instant::now());
        }
        take(&mut seen);
        for way in 0..2 {
            prop_assert_eq!(seen[way].total(), sent[way].len() as u64);
            prop_assert_eq!(seen[way].lines(), newlines(&sent[way]));
            prop_assert!(seen[way].eof);
            if seen[way].gaps == 0 && seen[way].cuts.is_empty() {
                prop_assert_eq!(&seen[way].bytes, &sent[way]);
            }
        }
    }

    /// Read boundaries decide nothing about what is cut.
    #[test]
    fn cutting_does_not_depend_on_read_boundaries(
        bytes in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 1..400),
        size in 1usize..50,
        max_line in 1usize..60,
    ) {
        let queue = Queue::new(ROOM);
        let pieces: Vec<_> = bytes.chunks(size).collect();
        prop_assert_eq!(one(&queue, &pieces, max_line), one(&queue, &[&bytes], max_line));
    }
}

// The relay.

/// A writer that takes a few bytes at a time and fails after `room` of them.
struct Narrow {
    taken: Vec<u8>,
    room: usize,
}

impl Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let some = bytes.len().min(7).min(self.room);
        self.room -= some;
        self.taken.extend_from_slice(&bytes[..some]);
        Ok(some)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that is interrupted before every read.
struct Interrupted<R>(R, bool);

impl<R: Read> Read for Interrupted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(buffer) }
    }
}

fn relayed(bytes: &[u8], room: usize) -> (Vec<u8>, End, Seen) {
    let queue = Arc::new(Queue::new(ROOM));
    let intake = Intake::new(Arc::clone(&queue), ClientToServer, 1000);
    let mut to = Narrow { taken: Vec::new(), room };
    let progress = Progress::default();
    let end = relay(Interrupted(Cursor::new(bytes), false), &mut to, intake, None, &progress);
    (to.taken, end, drain(&queue).remove(&0).unwrap_or_default())
}

#[test]
fn bytes_pass_through_interruptions_and_short_writes() {
    let bytes: Vec<u8> = (0..200_000u32).map(|n| (n * 7 + n / 251) as u8).collect();
    let (taken, end, seen) = relayed(&bytes, usize::MAX);
    assert!(taken == bytes && end == End::Source && seen.eof);
    assert_eq!(seen.total(), bytes.len() as u64);
}

#[test]
fn a_reader_that_is_gone_ends_the_relay() {
    let (taken, end, seen) = relayed(&[b'x'; 1000], 100);
    assert_eq!((taken.len(), end, seen.eof), (100, End::Sink, true));
}

/// A queue keeps what is said of one side with the direction it sends in.
#[test]
fn a_relay_says_which_side_is_gone() {
    for (end, left) in [(End::Source, None), (End::Sink, Some(ServerToClient))] {
        let queue = Arc::new(Queue::new(ROOM));
        Intake::new(Arc::clone(&queue), ClientToServer, 1000).eof(end, Instant::now());
        let mut held = Held::default();
        queue.drain(&mut held);
        let told: Vec<_> =
            held.events().map(|event| (event.note.direction, event.note.kind)).collect();
        let mut expected = vec![(ClientToServer, Kind::Eof)];
        expected.splice(0..0, left.map(|side| (side, Kind::Left)));
        assert_eq!(told, expected);
    }
}

// The observer.

/// Writes down what it is told; every answer is a span.
struct Recorder {
    notes: Arc<Mutex<Vec<String>>>,
    ready: usize,
    /// Says how many batches are taken at once.
    signals: usize,
    trouble: Option<SyncSender<()>>,
    offset: Offset,
}

impl Recorder {
    fn note(&self, note: String) {
        self.notes.lock().unwrap().push(note);
    }
}

impl Watch<Note> for Recorder {
    fn want_logs(&mut self, _: bool) {}

    fn look(&mut self, event: &Event<'_>, _: Nanos) {
        let (direction, length) = (event.note.direction, event.bytes.len());
        match event.note.kind {
            Kind::Bytes { .. } => {
                if let Some(trouble) = self.trouble.take() {
                    trouble.send(()).unwrap();
                    panic!("asked for");
                }
                self.ready += event.bytes.iter().filter(|&&b| b == b'\n').count();
                self.note(format!("{direction:?} {}", String::from_utf8_lossy(event.bytes)));
            }
            Kind::Cut { skipped, newline: true } => self.note(format!("cut {skipped} {length}")),
            Kind::Cut { skipped, .. } => self.note(format!("skip {skipped} {length}")),
            Kind::Gap(Skipped { bytes, lines }) => self.note(format!("gap {bytes} {lines}")),
            Kind::Edited => {
                let edited = edited::decode(event.bytes).unwrap();
                self.note(format!("{direction:?} {edited:?}"));
            }
            Kind::Left => self.note(format!("{direction:?} left")),
            Kind::Stopped => self.note("stopped".into()),
            Kind::Eof => self.note(format!("{direction:?} eof")),
        }
    }

    fn anchor(&mut self, offset: Offset) {
        if offset != self.offset {
            self.offset = offset;
            self.note("anchor".into());
        }
    }

    fn tick(&mut self, _: Nanos) {}

    fn keep(&mut self, needs: Needs) {
        if needs == Needs::NONE {
            self.note("keep nothing".into());
        }
    }

    fn end(&mut self, _: Nanos) {
        self.note("end".into());
    }

    fn ready(&self) -> usize {
        self.ready
    }

    fn take(&mut self) -> Vec<(Telemetry, Content)> {
        let ready = std::mem::take(&mut self.ready);
        self.note(format!("take {ready}"));
        let empty = || (Telemetry::from(Messages::Traces(Vec::new())), Content::default());
        (0..self.signals).filter(|_| ready > 0).map(|_| empty()).collect()
    }
}

struct Batches {
    batches: SyncSender<Batch>,
    needs: Needs,
}

impl Consumer for Batches {
    fn needs(&self) -> Needs {
        self.needs
    }

    fn offer(&self, batch: Batch, _: Transport) {
        self.batches.send(batch).unwrap();
    }
}

struct Observed {
    queue: Arc<Queue>,
    notes: Arc<Mutex<Vec<String>>>,
    metrics: Metrics,
    batches: Receiver<Batch>,
    thread: thread::JoinHandle<()>,
}

fn observed(trouble: Option<SyncSender<()>>) -> Observed {
    observed_by(trouble, false, Needs::ALL)
}

fn observed_by(trouble: Option<SyncSender<()>>, hurry: bool, needs: Needs) -> Observed {
    observed_with(Clock::start(), trouble, hurry, needs)
}

fn observed_with(
    clock: Clock,
    trouble: Option<SyncSender<()>>,
    hurry: bool,
    needs: Needs,
) -> Observed {
    let (queue, notes) = (Arc::new(Queue::new(ROOM)), Arc::default());
    let metrics = Metrics::default();
    let (id, shared) = (Id::parse("mcp_stdio/x").unwrap(), Shared::default());
    let accounts = Accounts::new(metrics.clone());
    let cx = Build::alone(&id, &accounts, clock, "".as_ref(), &shared);
    let (tx, batches) = sync_channel(100);
    let counters = Counters::new(&cx);
    let watch = Box::new(Recorder {
        notes: Arc::clone(&notes),
        ready: 0,
        signals: 2,
        trouble,
        offset: Offset::default(),
    });
    let observer = Observer {
        queue: Arc::clone(&queue),
        watch,
        out: Outlet::to(Batches { batches: tx, needs }),
        clock: cx.clock.clone(),
        counters,
        edits: EditCounters::new(&cx),
        calls: CallBoards::new(&cx),
        hurry: Arc::new(hurry.into()),
    };
    let thread = thread::spawn(move || observe(observer));
    Observed { queue, notes, metrics, batches, thread }
}

impl Observed {
    fn intake(&self, direction: Direction) -> Intake {
        Intake::new(Arc::clone(&self.queue), direction, 1000)
    }

    fn ended(self) -> Metrics {
        self.thread.join().unwrap();
        self.metrics
    }
}

fn count(metrics: &Metrics, of: &Metric<Counter>) -> i128 {
    metrics.samples().iter().filter(|s| s.name == of.info().name).map(|s| s.value).sum()
}

#[test]
fn what_was_queued_before_the_observer_came_is_seen_in_order_and_offered_at_the_end() {
    let seen = observed(None);
    seen.intake(ClientToServer).hand_over(b"ask\n", Instant::now());
    let mut answers = seen.intake(ServerToClient);
    answers.hand_over(b"answer\n", Instant::now());
    answers.eof(End::Source, Instant::now());
    seen.queue.close();
    seen.thread.join().unwrap();
    let notes = seen.notes.lock().unwrap().join("|");
    assert_eq!(notes, "ClientToServer ask\n|ServerToClient answer\n|ServerToClient eof|end|take 2");
    assert_eq!(seen.batches.try_iter().count(), 2, "a batch for each signal");
}

/// A clock whose wall clock jumps by an hour when told to.
fn jumping() -> (Clock, Arc<AtomicBool>) {
    let jumped = Arc::new(AtomicBool::new(false));
    let (seen, start) = (Arc::clone(&jumped), Instant::now());
    let wall = move || {
        let hour = if seen.load(Ordering::Relaxed) { 3600 } else { 0 };
        start.elapsed().as_nanos() as Nanos + hour * 1_000_000_000
    };
    (Clock::reading(wall), jumped)
}

#[test]
fn the_clock_is_looked_at_before_what_came_since_the_last_look() {
    let (clock, jumped) = jumping();
    jumped.store(true, Ordering::Relaxed);
    let seen = observed_with(clock, None, false, Needs::ALL);
    seen.intake(ClientToServer).hand_over(b"ask\n", Instant::now());
    seen.queue.close();
    seen.thread.join().unwrap();
    let notes = seen.notes.lock().unwrap().join("|");
    assert_eq!(notes, "anchor|ClientToServer ask\n|end|take 1");
}

#[test]
fn the_clock_is_looked_at_though_nothing_comes() {
    let (clock, jumped) = jumping();
    let seen = observed_with(clock, None, false, Needs::ALL);
    jumped.store(true, Ordering::Relaxed);
    let deadline = Instant::now() + Duration::from_secs(30);
    while seen.notes.lock().unwrap().is_empty() {
        assert!(Instant::now() < deadline, "nobody looked");
        thread::yield_now();
    }
    assert_eq!(*seen.notes.lock().unwrap(), ["anchor"]);
    seen.queue.close();
    seen.thread.join().unwrap();
}

#[test]
fn a_flush_wakes_a_resting_observer_once_and_is_not_missed_by_a_busy_one() {
    let long = Duration::from_secs(3600);
    let queue = Arc::new(Queue::new(ROOM));
    let flushing = Arc::clone(&queue);
    let flusher = thread::spawn(move || flushing.flush());
    // Before it rests or while it does: either way it comes back.
    queue.sleep(long, &mut Held::default());
    flusher.join().unwrap();
    assert!(queue.flushing());
    // It has looked, and rests like any other.
    let begun = Instant::now();
    queue.sleep(Duration::from_millis(50), &mut Held::default());
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[test]
fn spans_do_not_wait_for_company_once_the_end_is_near() {
    let seen = observed(None);
    seen.queue.flush();
    let mut asks = seen.intake(ClientToServer);
    for _ in 0..3 {
        asks.hand_over(b"ask\n", Instant::now());
        asks.wake();
        // The queue is not closed: a batch a line comes by itself.
        seen.batches.recv_timeout(Duration::from_secs(20)).unwrap();
    }
    seen.queue.close();
    seen.thread.join().unwrap();
}

#[test]
fn answers_that_nobody_reads_are_not_kept() {
    let seen = observed_by(None, false, Needs::NONE);
    seen.intake(ClientToServer).hand_over(b"ask\n", Instant::now());
    seen.queue.close();
    seen.thread.join().unwrap();
    let mut notes = seen.notes.lock().unwrap();
    assert_eq!(notes[0], "keep nothing");
    // It is told so at every look, of which there may be more than one.
    notes.retain(|note| note != "keep nothing");
    assert_eq!(notes.join("|"), "ClientToServer ask\n|end|take 1");
}

#[test]
fn an_observer_in_a_hurry_passes_over_what_is_left_as_a_gap_and_counts_it() {
    let seen = observed_by(None, true, Needs::ALL);
    let mut asks = seen.intake(ClientToServer);
    asks.hand_over(b"ask\nask\nhalf", Instant::now());
    asks.eof(End::Source, Instant::now());
    seen.queue.close();
    let (notes, metrics) = (Arc::clone(&seen.notes), seen.ended());
    let notes = notes.lock().unwrap().join("|");
    assert_eq!(notes, "gap 12 2|ClientToServer eof|end|take 0");
    assert_eq!(count(&metrics, &names::TAP_SKIPPED_LINES), 2);
    assert_eq!(count(&metrics, &names::TAP_SKIPPED_BYTES), 12);
}

#[test]
fn a_long_last_line_without_a_newline_is_told_as_one_and_who_left_too() {
    let seen = observed(None);
    let mut asks = seen.intake(ClientToServer);
    asks.hand_over(&[b'x'; 1001], Instant::now());
    asks.eof(End::Sink, Instant::now());
    seen.queue.close();
    seen.thread.join().unwrap();
    let notes = seen.notes.lock().unwrap().join("|");
    let (_, after) = notes.split_once("x|").unwrap();
    assert_eq!(after, "skip 0 1|ServerToClient left|ClientToServer eof|end|take 0");
}

#[test]
fn a_few_spans_are_offered_without_waiting_for_more() {
    let seen = observed(None);
    seen.intake(ClientToServer).hand_over(b"ask\n", Instant::now());
    // Nobody wakes the observer: it looks up by itself, and the batch waits its time.
    seen.batches.recv_timeout(Duration::from_secs(30)).unwrap();
    seen.queue.close();
    seen.thread.join().unwrap();
}

#[test]
fn many_spans_do_not_wait() {
    let seen = observed(None);
    let mut intake = seen.intake(ClientToServer);
    for _ in 0..20 {
        intake.hand_over(&[b'\n'; 200], Instant::now());
    }
    seen.queue.close();
    seen.thread.join().unwrap();
    // 4000 spans, never more than 512 and what one read adds.
    assert!(seen.batches.try_iter().count() >= 5);
}

#[test]
fn after_a_panic_observation_is_over_and_everything_is_still_counted() {
    let (tx, panicked) = sync_channel(1);
    let seen = observed(Some(tx));
    let mut intake = seen.intake(ClientToServer);
    if intake.hand_over(b"one\n", Instant::now()) {
        intake.wake();
    }
    panicked.recv().unwrap();
    for _ in 0..1000 {
        intake.hand_over(b"two\nthree\n", Instant::now());
    }
    seen.queue.close();
    let metrics = seen.ended();
    assert_eq!(count(&metrics, &names::TAP_PANICS), 1);
    assert_eq!(count(&metrics, &names::TAP_LINES), 2001);
    assert_eq!(count(&metrics, &names::TAP_SKIPPED_LINES), 2000);
    assert_eq!(count(&metrics, &names::TAP_SKIPPED_BYTES), 10_000);
}

#[test]
fn a_cut_line_counts_as_a_line() {
    let seen = observed(None);
    let mut intake = seen.intake(ServerToClient);
    for size in [10, 2000, 999, 1001, 100_000] {
        let line = [vec![b'x'; size], b"\n".to_vec()].concat();
        intake.hand_over(&line, Instant::now());
    }
    intake.hand_over(&[b'x'; 2000], Instant::now());
    intake.eof(End::Source, Instant::now());
    seen.queue.close();
    let metrics = seen.ended();
    assert_eq!(count(&metrics, &names::TAP_CUTS), 4);
    assert_eq!(count(&metrics, &names::TAP_LINES), 5);
    assert_eq!(count(&metrics, &names::TAP_SKIPPED_LINES), 0);
}
