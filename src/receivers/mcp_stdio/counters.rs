//! Counts what goes by in a stdio tap, by direction.

use std::sync::Arc;

use super::Direction;
use super::queue::{Event, Kind, Note, Skipped};
use crate::metrics::{Counter, names};
use crate::pipeline::Build;
use crate::receivers::tap::{self, RecordCounters, Unseen};

/// Holds the counters of one tap. Clones count together.
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
                cx.metrics().counter(name, &[("receiver", &id), ("direction", label(direction))])
            })
        };
        Counters(Arc::new(Inner {
            lines: both(&names::TAP_LINES),
            skipped_lines: both(&names::TAP_SKIPPED_LINES),
            skipped_bytes: both(&names::TAP_SKIPPED_BYTES),
            gaps: both(&names::TAP_GAPS),
            cuts: both(&names::TAP_CUTS),
            panics: cx.metrics().counter(&names::TAP_PANICS, &[("receiver", &id)]),
            unseen: tap::drops(cx),
        }))
    }

    fn skipped(&self, direction: Direction, skipped: Skipped) {
        self.0.skipped_lines[direction as usize].add(skipped.lines);
        self.0.skipped_bytes[direction as usize].add(skipped.bytes);
    }
}

impl RecordCounters<Note> for Counters {
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

    fn count_passed_over(&self, event: &Event<'_>) {
        self.skipped(event.note.direction, event.note.missed(event.bytes));
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
