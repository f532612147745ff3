//! What comes in: bytes, losses, lines, messages; each told apart, counted and handed on.

use super::*;
use crate::json::{ErrorKind, MAX_DEPTH, Reader};
use crate::mcp::{Line, Shape, TAIL};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// How much of a message was observed, and where it came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    pub(super) direction: Direction,
    /// Bytes of the message on the wire.
    pub(super) size: u64,
    /// Only head and tail are known.
    pub(super) cut: bool,
    pub(super) now: Nanos,
}

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
        self.lines[direction].skip(skipped, tail, self.settings.max_message_bytes);
    }

    /// Observation was lost: `bytes` bytes with `lines` newlines in them went by unseen.
    pub fn gap(&mut self, direction: Direction, bytes: u64, lines: u64, _now: Nanos) {
        self.counts.gaps += 1;
        self.counts.gap_bytes += bytes;
        if direction == Direction::ClientToServer {
            self.counts.received += lines;
            self.counts.dropped.gap += lines;
        }
        self.lines[direction].gap();
        self.doubt();
    }

    /// The direction ended: what is left without a newline is its last line. Its sender
    /// [left](Self::left), unless the other side did before.
    pub fn eof(&mut self, direction: Direction, now: Nanos) {
        self.flush(direction, now);
        self.left(direction);
    }

    /// The side that sends this way is going: it was told to, or it reads no more. Who goes first is
    /// the one on whose account calls stay unanswered.
    pub fn left(&mut self, sender: Direction) {
        self.left_first.get_or_insert(sender);
    }

    /// One JSON-RPC message, or a batch of them, where the transport does the framing.
    pub fn message(&mut self, direction: Direction, text: &[u8], now: Nanos) {
        let text = text.strip_prefix(BOM).unwrap_or(text).trim_ascii();
        match text.first() {
            None => self.counts.blank += 1,
            Some(b'[') => self.batch(direction, text, now),
            Some(_) => self.objects(direction, text, now),
        }
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
        let max = self.settings.max_message_bytes;
        let mut lines = std::mem::take(&mut self.lines[direction]);
        feed(&mut lines, max, &mut |line| self.line(direction, line, now));
        self.lines[direction] = lines;
    }

    fn line(&mut self, direction: Direction, line: Line<'_>, now: Nanos) {
        self.counts.lines += 1;
        if let Some(cut) = line.cut {
            if line.torn {
                return self.torn(direction);
            }
            let head = line.text.strip_prefix(BOM).unwrap_or(line.text).trim_ascii_start();
            if !may_be_message(head, cut.tail, line.ended) {
                self.counts.junk += 1;
                return;
            }
            let message = Message::peek_cut(head, cut.tail);
            self.observe(&message, Observed { direction, size: cut.size, cut: true, now });
        } else if line.torn && !whole(line.text) {
            self.torn(direction);
        } else {
            self.message(direction, line.text, now);
        }
    }

    /// A line that lost its beginning to a gap. One that reads as a whole object lost nothing: the
    /// rest of a longer JSON object never is an object itself, because its brackets do not match if it
    /// begins outside of a string, and its quotes do not if it begins inside of one.
    fn torn(&mut self, direction: Direction) {
        self.counts.torn += 1;
        if direction == Direction::ClientToServer {
            self.counts.received += 1;
            self.counts.dropped.gap += 1;
        }
    }

    fn batch(&mut self, direction: Direction, text: &[u8], now: Nanos) {
        self.counts.batches += 1;
        let mut reader = Reader::new(text, MAX_DEPTH);
        let mut walk = || -> Result<(), crate::json::Error> {
            reader.array()?;
            while reader.item()? {
                let entry = &text[reader.skip()?];
                self.objects(direction, entry, now);
            }
            reader.end()
        };
        if walk().is_err() {
            self.counts.junk += 1;
        }
    }

    /// Usually one object; several on a line are read as several, as a stream decoder would.
    fn objects(&mut self, direction: Direction, text: &[u8], now: Nanos) {
        let mut rest = text;
        while !rest.is_empty() {
            match Message::peek(rest) {
                Ok((message, used)) => {
                    let size = used as u64;
                    self.observe(&message, Observed { direction, size, cut: false, now });
                    rest = rest[used..].trim_ascii_start();
                    self.counts.crowded += u64::from(!rest.is_empty());
                }
                Err(error) if error.kind == ErrorKind::Depth => {
                    let tail = &rest[rest.len().saturating_sub(TAIL)..];
                    let message = Message::peek_cut(rest, tail);
                    let size = rest.len() as u64;
                    return self.observe(&message, Observed { direction, size, cut: true, now });
                }
                Err(_) => {
                    self.counts.junk += 1;
                    return;
                }
            }
        }
    }

    fn observe(&mut self, message: &Message<'_>, seen: Observed) {
        self.counts.cut += u64::from(seen.cut);
        match message.shape() {
            Shape::Request => self.request(message, seen),
            Shape::Notification if seen.cut && !is_notification(message) => self.unreadable(seen),
            Shape::Notification => self.notification(message, seen),
            Shape::Answer => self.answer(message, seen),
            Shape::Other if seen.cut => self.unreadable(seen),
            Shape::Other => self.counts.not_rpc += 1,
        }
    }

    /// A cut message that may have been anything: a request that now goes unseen, or the answer to any
    /// call in flight.
    pub(super) fn unreadable(&mut self, seen: Observed) {
        if seen.direction == Direction::ClientToServer {
            self.counts.received += 1;
            self.counts.dropped.unreadable += 1;
        }
        self.doubt();
    }
}

/// Whether a line of which these are the ends may be a message, or a batch of them. A last line without
/// a newline must close what it opened, else its sender died over it.
fn may_be_message(head: &[u8], tail: &[u8], ended: bool) -> bool {
    let close = match head.first() {
        Some(b'{') => b'}',
        Some(b'[') => b']',
        Some(_) => return false,
        None => return true,
    };
    ended || tail.trim_ascii_end().last() == Some(&close)
}

/// Whether a line is one whole object.
fn whole(line: &[u8]) -> bool {
    Message::peek(line).is_ok_and(|(_, used)| line[used..].trim_ascii().is_empty())
}

/// A cut message without an id may be a request whose id is out of sight.
fn is_notification(message: &Message<'_>) -> bool {
    message.method.is_some_and(|method| method.raw().starts_with(b"notifications/"))
}
