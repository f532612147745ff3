//! How this tap's records reach its state machine, and what is counted of them.

use std::sync::Arc;

use super::Direction;
use super::queue::{Event, Kind, Note, Skipped};
use crate::mcp::Edited;
use crate::pipeline::{Build, Counter};
use crate::receivers::tap::{self, Books, Unseen, Watch, edited};
use crate::telemetry::{Content, Nanos, Offset, Reads, Telemetry};

/// The observer of a stdio tap.
pub(super) type Observer = tap::Observer<Looking, Counters>;

/// What looks at the traffic: a state machine without I/O and without a clock.
pub trait Observe: Send + 'static {
    /// Bytes went this way.
    fn bytes(&mut self, direction: Direction, chunk: &[u8], now: Nanos);
    /// The line that began with what came last ended: `skipped` bytes of it are left out, `tail` comes
    /// after them and is its end, without the newline.
    fn cut(&mut self, direction: Direction, skipped: u64, tail: &[u8], now: Nanos);
    /// The line that comes next this way is a request that was edited on its way.
    fn edited(&mut self, direction: Direction, edited: Edited);
    /// Bytes went this way unseen, with this many newlines among them.
    fn gap(&mut self, direction: Direction, bytes: u64, lines: u64, now: Nanos);
    /// The line in progress came to so much more, `tail` its last, and has not ended.
    fn skip(&mut self, direction: Direction, skipped: u64, tail: &[u8]);
    /// The side that sends this way is going: it reads no more.
    fn left(&mut self, sender: Direction);
    /// The tap was told to stop.
    fn stopped(&mut self);
    /// Nothing will come this way any more.
    fn eof(&mut self, direction: Direction, now: Nanos);
    /// Where the wall clock is from here on.
    fn anchor(&mut self, offset: Offset);
    /// Time has passed.
    fn tick(&mut self, now: Nanos);
    /// Nothing will come at all: what is in flight ends.
    fn end(&mut self, now: Nanos);
    /// What calls returned is kept from now on, or not.
    fn keep(&mut self, reads: Reads);
    /// How many spans are ready to be taken.
    fn ready(&self) -> usize;
    /// Takes the spans that are ready.
    fn take(&mut self) -> Option<(Telemetry, Content)>;
}

/// The state machine behind the records.
pub(super) struct Looking {
    pub(super) watch: Box<dyn Observe>,
    pub(super) counters: Counters,
    pub(super) edits: tap::EditCounters,
}

/// What the tap counts, by direction. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Counters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: [Counter; 2],
    skipped_lines: [Counter; 2],
    skipped_bytes: [Counter; 2],
    gaps: [Counter; 2],
    cuts: [Counter; 2],
    panics: Counter,
    /// Client lines that no state machine saw: they are received and dropped.
    unseen: [Counter; 2],
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
        Counters(Arc::new(Inner {
            lines: both("mcpcol_tap_lines"),
            skipped_lines: both("mcpcol_tap_skipped_lines"),
            skipped_bytes: both("mcpcol_tap_skipped_bytes"),
            gaps: both("mcpcol_tap_gaps"),
            cuts: both("mcpcol_tap_cuts"),
            panics: cx.vitals.counter("mcpcol_tap_observer_panics", &[("receiver", &id)]),
            unseen: tap::drops(cx),
        }))
    }

    fn skipped(&self, direction: Direction, skipped: Skipped) {
        self.0.skipped_lines[direction as usize].add(skipped.lines);
        self.0.skipped_bytes[direction as usize].add(skipped.bytes);
    }
}

impl Books<Note> for Counters {
    fn count(&self, event: &Event<'_>) {
        let (way, missed) = (event.note.direction as usize, || event.note.missed(event.bytes));
        match event.note.kind {
            Kind::Bytes { .. } => self.0.lines[way].add(missed().lines),
            Kind::Cut { .. } => {
                self.0.cuts[way].add(1);
                self.0.lines[way].add(missed().lines);
            }
            Kind::Gap(skipped) => {
                self.0.gaps[way].add(1);
                self.0.lines[way].add(skipped.lines);
                self.skipped(event.note.direction, skipped);
            }
            Kind::Edited | Kind::Left | Kind::Stopped | Kind::Eof => {}
        }
    }

    fn count_unseen(&self, event: &Event<'_>, why: Unseen) {
        self.count(event);
        let direction = event.note.direction;
        let skipped = event.note.missed(event.bytes);
        let gap = if let Kind::Gap(gap) = event.note.kind { gap.lines } else { 0 };
        if direction == Direction::ClientToServer {
            self.0.unseen[why as usize].add(skipped.lines + gap);
        }
        self.skipped(direction, skipped);
    }

    fn count_panic(&self) {
        self.0.panics.add(1);
    }
}

fn label(direction: Direction) -> &'static str {
    match direction {
        Direction::ClientToServer => "to_server",
        Direction::ServerToClient => "to_client",
    }
}

impl Watch for Looking {
    type Note = Note;

    fn look(&mut self, event: &Event<'_>, now: Nanos) {
        let (watch, direction) = (&mut self.watch, event.note.direction);
        match event.note.kind {
            Kind::Bytes { .. } => watch.bytes(direction, event.bytes, now),
            Kind::Cut { skipped, newline: true } => watch.cut(direction, skipped, event.bytes, now),
            Kind::Cut { skipped, .. } => watch.skip(direction, skipped, event.bytes),
            Kind::Edited => {
                edited::decode(event.bytes).into_iter().for_each(|e| watch.edited(direction, e));
            }
            Kind::Gap(gap) => watch.gap(direction, gap.bytes, gap.lines, now),
            Kind::Left => watch.left(direction),
            Kind::Stopped => watch.stopped(),
            Kind::Eof => watch.eof(direction, now),
        }
    }

    fn pass_over(&mut self, event: &Event<'_>, now: Nanos) {
        if event.note.kind == Kind::Edited {
            // Of a line that nobody will see.
            return;
        }
        let (Kind::Bytes { .. } | Kind::Cut { .. }) = event.note.kind else {
            return self.look(event, now);
        };
        let (direction, missed) = (event.note.direction, event.note.missed(event.bytes));
        self.counters.skipped(direction, missed);
        self.watch.gap(direction, missed.bytes, missed.lines, now);
    }

    fn anchor(&mut self, offset: Offset) {
        self.watch.anchor(offset);
    }

    fn tick(&mut self, now: Nanos) {
        self.watch.tick(now);
        self.edits.tell();
    }

    fn end(&mut self, now: Nanos) {
        self.watch.end(now);
        self.edits.tell();
    }

    fn keep(&mut self, reads: Reads) {
        self.watch.keep(reads);
    }

    fn ready(&self) -> usize {
        self.watch.ready()
    }

    fn take(&mut self) -> Option<(Telemetry, Content)> {
        self.watch.take()
    }
}
