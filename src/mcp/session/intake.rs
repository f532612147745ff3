//! What comes in: bytes, losses, lines, messages; each told apart, counted and handed on.

use super::*;
use crate::mcp::messages::{Found, Kind, Known, cut_message, is_object, messages};
use crate::mcp::pairing::{Key, Observed, Via};
use crate::mcp::{Finding, Id, Line, MAX_BODY, Message};

impl Session {
    /// Bytes of one direction as they were read, at any boundary. `now` is when.
    pub fn bytes(&mut self, direction: Direction, chunk: &[u8], now: Nanos) {
        self.framed(direction, now, |lines, max, each| lines.push(chunk, max, each));
    }

    /// The line in progress was longer than what is observed: its head came by [`bytes`](Self::bytes),
    /// then `skipped` bytes were not copied, and `tail` is its end, up to but without the newline.
    pub fn cut(&mut self, direction: Direction, skipped: u64, tail: &[u8], now: Nanos) {
        self.framed(direction, now, |lines, max, each| lines.cut(skipped, tail, max, each));
    }

    /// The same of a line that has not ended: `tail` is the last that came of it.
    pub fn skip(&mut self, direction: Direction, skipped: u64, tail: &[u8]) {
        self.lines[direction].skip(skipped, tail, self.common.settings.max_message_bytes);
    }

    /// The request whose bytes come next this way was edited on its way; what comes is the original. A
    /// gap in between forgets it, and so does any other message.
    pub fn edited(&mut self, direction: Direction, edited: Edited) {
        self.edited[direction] = Some(edited);
    }

    /// Observation was lost: `bytes` bytes with `lines` newlines in them went by unseen.
    pub fn gap(&mut self, direction: Direction, bytes: u64, lines: u64, _now: Nanos) {
        self.common.counts.gaps += 1;
        self.common.counts.gap_bytes += bytes;
        if direction == Direction::ClientToServer {
            self.common.counts.received += lines;
            self.common.counts.dropped.gap += lines;
        }
        self.lines[direction].gap();
        self.edited[direction] = None;
        self.state.doubt();
    }

    /// The direction ended: what is left without a newline is its last line. Its sender
    /// [left](Self::left), unless the other side did before.
    pub fn eof(&mut self, direction: Direction, now: Nanos) {
        self.flush(direction, now);
        self.left(direction);
    }

    /// The side that sends this way is going: it sends or reads no more. Who goes first is the one on
    /// whose account calls stay unanswered.
    pub fn left(&mut self, sender: Direction) {
        self.left_first.get_or_insert(match sender {
            Direction::ClientToServer => Party::Client,
            Direction::ServerToClient => Party::Server,
        });
    }

    /// The tap was told to stop, and the server will be with it: that is on nobody else's account.
    pub fn stopped(&mut self) {
        self.left_first.get_or_insert(Party::Tap);
    }

    /// Bytes that the server wrote to its stderr, at any boundary. `now` is when they were read.
    pub fn stderr(&mut self, chunk: &[u8], now: Nanos) {
        let mut lines = std::mem::take(&mut self.stderr);
        lines.push(chunk, MAX_BODY, |line| self.log_line(line, now));
        self.stderr = lines;
    }

    /// Bytes of stderr went by unseen, with so many newlines in them.
    pub fn stderr_gap(&mut self, lines: u64) {
        self.stderr.gap();
        self.common.logs.missed(lines.max(1));
    }

    pub(super) fn flush_stderr(&mut self, now: Nanos) {
        let mut lines = std::mem::take(&mut self.stderr);
        lines.end(|line| self.log_line(line, now));
    }

    /// Logs a line of stderr. What is left of one that lost its beginning says little, and may be half of a secret.
    fn log_line(&mut self, line: Line<'_>, now: Nanos) {
        if !line.torn {
            self.pairing().log_line(line.text, line.cut.is_some(), now);
        }
    }

    /// One JSON-RPC message, or a batch of them, where the transport does the framing.
    pub fn message(&mut self, direction: Direction, text: &[u8], now: Nanos) {
        self.text(direction, text, true, now);
    }

    fn text(&mut self, direction: Direction, text: &[u8], ended: bool, now: Nanos) {
        let size = text.len() as u64;
        messages(text, ended, &mut |found| self.found(direction, found, size, now));
    }

    pub(super) fn flush(&mut self, direction: Direction, now: Nanos) {
        self.framed(direction, now, |lines, _, each| lines.end(each));
    }

    fn framed(
        &mut self,
        direction: Direction,
        now: Nanos,
        feed: impl FnOnce(&mut Lines, usize, &mut dyn FnMut(Line<'_>)),
    ) {
        let max = self.common.settings.max_message_bytes;
        let mut lines = std::mem::take(&mut self.lines[direction]);
        feed(&mut lines, max, &mut |line| self.line(direction, line, now));
        self.lines[direction] = lines;
    }

    fn line(&mut self, direction: Direction, line: Line<'_>, now: Nanos) {
        self.common.counts.lines += 1;
        if let Some(cut) = line.cut {
            if line.torn {
                return self.torn(direction);
            }
            let found = &mut |found: Found<'_>| self.found(direction, found, cut.size, now);
            cut_message(line.text, cut.tail, cut.size, line.ended, found);
        } else if line.torn && !is_object(line.text) {
            self.torn(direction);
        } else {
            self.text(direction, line.text, line.ended, now);
        }
    }

    /// A line that lost its beginning to a gap. One that reads as a whole object lost nothing: the
    /// rest of a longer JSON object never is an object itself, because its brackets do not match if it
    /// begins outside of a string, and its quotes do not if it begins inside of one.
    fn torn(&mut self, direction: Direction) {
        self.common.counts.torn += 1;
        if direction == Direction::ClientToServer {
            self.common.counts.received += 1;
            self.common.counts.dropped.gap += 1;
        }
    }

    /// Takes in what was found in a text of `text` bytes.
    fn found(&mut self, direction: Direction, found: Found<'_>, text: u64, now: Nanos) {
        let counts = &mut self.common.counts;
        match found {
            Found::Message(message, size, known) => {
                let via = Via { whole: true, ..Via::default() };
                let seen = Observed { direction, size, known, now, via };
                self.observe(message, seen);
            }
            Found::Blank => counts.blank += 1,
            Found::Batch => counts.batches += 1,
            Found::Junk => {
                counts.junk += 1;
                let detail = || format!("{text} bytes");
                self.pairing().find(Finding::NotJson, direction, None, now, detail);
            }
        }
    }

    fn observe(&mut self, message: &Message<'_>, seen: Observed<'_>) {
        let edited = self.edited[seen.direction].take();
        let seen = Observed { via: Via { edited: edited.as_ref(), ..seen.via }, ..seen };
        self.common.counts.cut += u64::from(seen.known == Known::Cut);
        let key = Id::read(&message.id, &self.common.keys).map(|id| Key::new(0, id));
        match Kind::of(message, seen.known) {
            Kind::Request => {
                key.map(|key| self.pairing().request(message, key, seen));
            }
            Kind::Notification => self.pairing().notification(message, seen),
            Kind::Answer => {
                // One that does not tell its id may be the answer to any call.
                let unsure = key.is_none() && seen.known != Known::Whole;
                self.pairing().answer(message, key, seen);
                if unsure {
                    self.state.doubt();
                }
            }
            Kind::Unreadable => self.unreadable(seen.direction),
            Kind::NotRpc => {
                self.common.counts.not_rpc += 1;
                self.pairing().find_no_rpc(message, seen.direction, None, seen.now);
            }
        }
    }

    /// A message that may have been anything: a request that now goes unseen, or the answer to any
    /// call in flight.
    fn unreadable(&mut self, direction: Direction) {
        if direction == Direction::ClientToServer {
            self.common.counts.received += 1;
            self.common.counts.dropped.unreadable += 1;
        }
        self.state.doubt();
    }
}
