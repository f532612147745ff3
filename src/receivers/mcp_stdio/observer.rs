//! The observer: takes what the relays handed over, lets the state machine look at it, and offers the
//! spans to the pipeline. A thread of its own at lower priority; the chain runs on it too.
//!
//! It may be slow, stuck or broken: the queue skips and counts, the traffic does not notice. It parses
//! nothing itself; MCP is known to [`Observe`] only.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Direction;
use super::queue::{Event, Held, Kind, Queue, Skipped};
use crate::pipeline::books::DROPPED;
use crate::pipeline::{Build, Counter, Outlet, lower_priority};
use crate::telemetry::{Batch, Clock, Content, Nanos, Receipt, Telemetry};

/// Between two drains: what comes meanwhile costs no wake-up. At 60,000 calls a second it is 180 calls.
const NAP: Duration = Duration::from_millis(3);
/// How long it sleeps at most, so that calls time out and late wake-ups do no harm.
const LOOK_UP: Duration = Duration::from_secs(1);
/// A batch waits this long for company.
const COALESCE: Duration = Duration::from_millis(200);
/// A batch this big waits for none.
const ENOUGH: usize = 512;

/// What looks at the traffic: a state machine without I/O and without a clock.
pub trait Observe: Send + 'static {
    /// Bytes went this way.
    fn bytes(&mut self, direction: Direction, chunk: &[u8], now: Nanos);
    /// The line that began with what came last ended: `skipped` bytes of it are left out, `tail` comes
    /// after them and is its end, without the newline.
    fn cut(&mut self, direction: Direction, skipped: u64, tail: &[u8], now: Nanos);
    /// Bytes went this way unseen, with this many newlines among them.
    fn gap(&mut self, direction: Direction, bytes: u64, lines: u64, now: Nanos);
    /// The line in progress came to so much more, `tail` its last, and has not ended.
    fn skip(&mut self, direction: Direction, skipped: u64, tail: &[u8]);
    /// The side that sends this way is going: it was told to, or it reads no more.
    fn left(&mut self, sender: Direction);
    /// Nothing will come this way any more.
    fn eof(&mut self, direction: Direction, now: Nanos);
    /// Time has passed.
    fn tick(&mut self, now: Nanos);
    /// Nothing will come at all: what is in flight ends.
    fn end(&mut self, now: Nanos);
    /// How many spans are ready to be taken.
    fn ready(&self) -> usize;
    /// Takes the spans that are ready.
    fn take(&mut self) -> Option<(Telemetry, Content)>;
}

/// What the tap counts, by direction.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    lines: [Counter; 2],
    skipped_lines: [Counter; 2],
    skipped_bytes: [Counter; 2],
    gaps: [Counter; 2],
    cuts: [Counter; 2],
    panics: Counter,
    /// Client lines that no state machine saw, by why: they are received and dropped.
    unseen: [Counter; 2],
}

/// Why nobody looked.
#[derive(Clone, Copy)]
pub(super) enum Unseen {
    /// The observer failed.
    Panic,
    /// It was too slow at the end.
    Shutdown,
}

impl Counters {
    /// The counters of one tap.
    pub(super) fn new(cx: &Build<'_>) -> Self {
        let id = cx.id.to_string();
        let both = |name| {
            Direction::BOTH.map(|direction| {
                cx.vitals.counter(name, &[("receiver", &id), ("direction", label(direction))])
            })
        };
        Counters {
            lines: both("mcpcol_tap_lines"),
            skipped_lines: both("mcpcol_tap_skipped_lines"),
            skipped_bytes: both("mcpcol_tap_skipped_bytes"),
            gaps: both("mcpcol_tap_gaps"),
            cuts: both("mcpcol_tap_cuts"),
            panics: cx.vitals.counter("mcpcol_tap_observer_panics", &[("receiver", &id)]),
            unseen: ["panic", "shutdown"].map(|reason| {
                let labels = [("kind", "receiver"), ("component", &*id), ("reason", reason)];
                cx.vitals.counter(DROPPED, &labels)
            }),
        }
    }

    fn count(&self, event: &Event<'_>) {
        let way = event.direction as usize;
        match event.kind {
            Kind::Bytes { .. } => self.lines[way].add(event.missed().lines),
            Kind::Cut { .. } => {
                self.cuts[way].add(1);
                self.lines[way].add(event.missed().lines);
            }
            Kind::Gap(skipped) => {
                self.gaps[way].add(1);
                self.lines[way].add(skipped.lines);
                self.skipped_lines[way].add(skipped.lines);
                self.skipped_bytes[way].add(skipped.bytes);
            }
            Kind::Left | Kind::Eof => {}
        }
    }

    /// Counts what nobody will look at any more.
    pub(super) fn count_as_skipped(&self, held: &Held, why: Unseen) {
        for event in held.events() {
            self.count(&event);
            let skipped = event.missed();
            let gap = if let Kind::Gap(gap) = event.kind { gap.lines } else { 0 };
            if event.direction == Direction::ClientToServer {
                self.unseen[why as usize].add(skipped.lines + gap);
            }
            self.skipped(event.direction, skipped);
        }
    }

    fn skipped(&self, direction: Direction, skipped: Skipped) {
        self.skipped_lines[direction as usize].add(skipped.lines);
        self.skipped_bytes[direction as usize].add(skipped.bytes);
    }
}

fn label(direction: Direction) -> &'static str {
    match direction {
        Direction::ClientToServer => "to_server",
        Direction::ServerToClient => "to_client",
    }
}

/// What one observer works with.
pub(super) struct Observer {
    /// Where the copies come from.
    pub(super) queue: Arc<Queue>,
    /// What looks at them.
    pub(super) watch: Box<dyn Observe>,
    /// Where the spans go.
    pub(super) out: Outlet,
    /// Turns stamps into times.
    pub(super) clock: Clock,
    /// What is counted.
    pub(super) counters: Counters,
    /// Set when the process has to be gone: what is still to be looked at is passed over, and counted.
    pub(super) hurry: Arc<AtomicBool>,
}

/// Observes until the queue closes. A panic, ours or of a processor, ends observation: it is said and
/// counted, and what goes by from then on counts as skipped.
pub(super) fn observe(observer: Observer) {
    lower_priority();
    let Observer { queue, watch, out, clock, counters, hurry } = observer;
    let watching =
        Watching { queue: &queue, watch, out, clock, counters: &counters, hurry, since: None };
    let run = || watching.run();
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        counters.panics.add(1);
        tracing::error!("the observer failed: no more spans from here on, traffic goes on");
        count_what_goes_by(&queue, &counters);
    }
}

fn count_what_goes_by(queue: &Queue, counters: &Counters) {
    let mut held = Held::default();
    while queue.drain(&mut held) {
        counters.count_as_skipped(&held, Unseen::Panic);
        if held.is_empty() {
            queue.sleep(LOOK_UP, &mut held);
        }
        queue.nap(NAP);
    }
    counters.count_as_skipped(&held, Unseen::Panic);
}

struct Watching<'a> {
    queue: &'a Queue,
    watch: Box<dyn Observe>,
    out: Outlet,
    clock: Clock,
    counters: &'a Counters,
    hurry: Arc<AtomicBool>,
    /// Since when the oldest span that is ready waits for company.
    since: Option<Instant>,
}

impl Watching<'_> {
    fn run(mut self) {
        let mut held = Held::default();
        while self.queue.drain(&mut held) {
            self.look_at(&held);
            self.watch.tick(self.clock.now());
            let patience = self.offer_what_is_due();
            if held.is_empty() {
                self.queue.sleep(patience, &mut held);
            }
            self.queue.nap(NAP);
        }
        self.look_at(&held);
        self.watch.end(self.clock.now());
        self.offer();
    }

    fn look_at(&mut self, held: &Held) {
        held.events().for_each(|event| self.counters.count(&event));
        for event in held.events() {
            let (direction, now) = (event.direction, self.clock.at(event.at));
            match event.kind {
                Kind::Bytes { .. } | Kind::Cut { .. } if self.hurry.load(Ordering::Relaxed) => {
                    let missed = event.missed();
                    self.counters.skipped(direction, missed);
                    self.watch.gap(direction, missed.bytes, missed.lines, now);
                }
                Kind::Bytes { .. } => self.watch.bytes(direction, event.bytes, now),
                Kind::Cut { skipped, newline: true } => {
                    self.watch.cut(direction, skipped, event.bytes, now);
                }
                Kind::Cut { skipped, .. } => self.watch.skip(direction, skipped, event.bytes),
                Kind::Gap(gap) => self.watch.gap(direction, gap.bytes, gap.lines, now),
                Kind::Left => self.watch.left(direction),
                Kind::Eof => self.watch.eof(direction, now),
            }
            if self.watch.ready() >= ENOUGH {
                self.offer();
            }
        }
    }

    /// Offers what has waited long enough and says how long the rest may wait.
    fn offer_what_is_due(&mut self) -> Duration {
        if self.watch.ready() == 0 {
            return LOOK_UP;
        }
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited >= COALESCE {
            self.offer();
            return LOOK_UP;
        }
        COALESCE - waited
    }

    fn offer(&mut self) {
        self.since = None;
        if let Some((telemetry, content)) = self.watch.take() {
            self.out.offer(Batch { telemetry, content, receipt: Receipt::nobody() });
        }
    }
}
