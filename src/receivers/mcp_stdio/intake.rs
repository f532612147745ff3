//! Hands one direction over to the queue, with lines that are too long cut ([`Cutter`]).

use std::sync::Arc;
use std::time::Instant;

use super::Direction;
use super::queue::{Event, Handing, Kind, Note, Queue};
use crate::mcp::Edited;
use crate::receivers::tap::{Cutter, Ends, Piece, edited};

/// Hands over one direction.
#[derive(Debug)]
pub(super) struct Intake {
    queue: Arc<Queue>,
    lines: Lines,
}

/// Tells which side of a direction is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The one that is read from.
    Source,
    /// The one that is written to.
    Sink,
}

/// Cuts the lines of one direction.
#[derive(Debug)]
struct Lines {
    direction: Direction,
    cutter: Cutter,
}

impl Intake {
    /// Observes lines up to `max_line` bytes.
    pub(super) fn new(queue: Arc<Queue>, direction: Direction, max_line: usize) -> Self {
        let cutter = Cutter::new(Ends::Lines, max_line);
        Intake { queue, lines: Lines { direction, cutter } }
    }

    /// Hands over what was read at `at`. True if [`wake`](Intake::wake) is to be called once the bytes
    /// have been forwarded.
    pub(super) fn hand_over(&mut self, read: &[u8], at: Instant) -> bool {
        let whole = self.lines.cutter.whole(read);
        let mut handing = self.queue.lock();
        self.lines.hand_over(whole, read, at, &mut handing);
        handing.done()
    }

    /// Hands over several pieces, with what was done to those that were edited: it is told right before the
    /// bytes, which are the original ones.
    pub(super) fn hand_over_pieces<'p>(
        &mut self,
        pieces: impl Iterator<Item = (&'p [u8], Option<&'p Edited>)>,
        at: Instant,
    ) -> bool {
        let mut handing = self.queue.lock();
        for (bytes, edited) in pieces {
            if let Some(edited) = edited {
                let note = Note { direction: self.lines.direction, kind: Kind::Edited };
                handing.offer(Event { at, note, bytes: &edited::encode(edited) });
            }
            let whole = self.lines.cutter.whole(bytes);
            self.lines.hand_over(whole, bytes, at, &mut handing);
        }
        handing.done()
    }

    /// Says that the direction ended, and on whose account.
    pub(super) fn eof(&mut self, end: End, at: Instant) -> bool {
        let Lines { direction, ref mut cutter } = self.lines;
        let mut handing = self.queue.lock();
        cutter.end(|piece| hand_piece(piece, direction, at, &mut handing));
        if end == End::Sink {
            handing.tell(at, Note { direction: direction.reverse(), kind: Kind::Left });
        }
        handing.tell(at, Note { direction, kind: Kind::Eof });
        handing.done()
    }

    /// Wakes the observer.
    pub(super) fn wake(&self) {
        self.queue.wake();
    }

    /// Ends observation of both directions.
    pub(super) fn give_up(&self) {
        self.queue.close();
    }
}

impl Lines {
    /// Hands over what was read, in one record where nothing of it is too long: `whole` bytes of it are then
    /// known to hold no newline.
    fn hand_over(&mut self, whole: Option<usize>, read: &[u8], at: Instant, to: &mut Handing<'_>) {
        let direction = self.direction;
        if let Some(plain) = whole {
            let note = Note { direction, kind: Kind::Bytes { plain } };
            to.offer(Event { at, note, bytes: read });
        } else {
            self.cutter.cut(read, |piece| hand_piece(piece, direction, at, to));
        }
    }
}

fn hand_piece(piece: Piece<'_>, direction: Direction, at: Instant, to: &mut Handing<'_>) {
    let (kind, bytes) = match piece {
        Piece::Bytes(bytes) => (Kind::Bytes { plain: 0 }, bytes),
        Piece::Cut { skipped, tail, end } => {
            (Kind::Cut { skipped, newline: !end.is_empty() }, tail)
        }
    };
    to.offer(Event { at, note: Note { direction, kind }, bytes });
}
