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
    pub(super) known: Known,
    pub(super) now: Nanos,
}

/// How much of a message can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Whole,
    /// Observed whole, but nested too deeply to be read between head and tail.
    Deep,
    /// Only head and tail were observed.
    Cut,
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
            self.observe(&message, Observed { direction, size: cut.size, known: Known::Cut, now });
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
        let whole = entries(text, |entry| self.objects(direction, entry, now));
        self.counts.junk += u64::from(whole.is_none());
    }

    /// Usually one object; several on a line are read as several, as a stream decoder would.
    fn objects(&mut self, direction: Direction, text: &[u8], now: Nanos) {
        let mut rest = text;
        while !rest.is_empty() {
            let Some((message, used, known)) = first(rest) else {
                self.counts.junk += 1;
                return;
            };
            self.observe(&message, Observed { direction, size: used as u64, known, now });
            rest = rest[used..].trim_ascii_start();
            self.counts.crowded += u64::from(!rest.is_empty());
        }
    }

    fn observe(&mut self, message: &Message<'_>, seen: Observed) {
        self.counts.cut += u64::from(seen.known == Known::Cut);
        let whole = seen.known == Known::Whole;
        match message.shape() {
            Shape::Request => self.request(message, seen),
            Shape::Notification if !whole && !is_notification(message) => self.unreadable(seen),
            Shape::Notification => self.notification(message, seen),
            Shape::Answer => self.answer(message, seen),
            Shape::Other if !whole => self.unreadable(seen),
            Shape::Other => self.counts.not_rpc += 1,
        }
    }

    /// A message that may have been anything: a request that now goes unseen, or the answer to any
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

/// The message at the start of `text`, the bytes it takes, and how much of it can be told.
fn first(text: &[u8]) -> Option<(Message<'_>, usize, Known)> {
    match Message::peek(text) {
        Ok((message, used)) => Some((message, used, Known::Whole)),
        Err(error) if error.kind == ErrorKind::Depth => {
            let used = extent(text)?;
            let tail = &text[used.saturating_sub(TAIL)..used];
            Some((Message::peek_cut(&text[..used], tail), used, Known::Deep))
        }
        Err(_) => None,
    }
}

/// Hands on the entries of a batch; `None` if it turns out to be none. Each gets a reader of its own,
/// because none can go on behind a value that is nested too deeply for it.
fn entries<'a>(batch: &'a [u8], mut each: impl FnMut(&'a [u8])) -> Option<()> {
    let mut rest = batch.strip_prefix(b"[")?.trim_ascii_start();
    if let Some(after) = rest.strip_prefix(b"]") {
        return after.is_empty().then_some(());
    }
    loop {
        let (entry, after) = rest.split_at(extent(rest)?);
        each(entry);
        match after.trim_ascii_start().split_first()? {
            (b',', after) => rest = after.trim_ascii_start(),
            (b']', after) => return after.is_empty().then_some(()),
            _ => return None,
        }
    }
}

/// Where the value at the start of `text` ends, however deep it is.
fn extent(text: &[u8]) -> Option<usize> {
    match Reader::new(text, MAX_DEPTH).skip() {
        Ok(value) => Some(value.end),
        Err(error) if error.kind == ErrorKind::Depth => deep_extent(text),
        Err(_) => None,
    }
}

/// The same by counting brackets, of whichever kind.
fn deep_extent(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0u64, 0);
    loop {
        match text.get(at)? {
            b'"' => {
                let mut reader = Reader::new(&text[at..], 0);
                reader.text().ok()?;
                at += reader.offset();
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return Some(at + 1),
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
    }
}

/// Whether a line is one whole object.
fn whole(line: &[u8]) -> bool {
    Message::peek(line).is_ok_and(|(_, used)| line[used..].trim_ascii().is_empty())
}

/// A cut message without an id may be a request whose id is out of sight.
fn is_notification(message: &Message<'_>) -> bool {
    message.method.is_some_and(|method| method.raw().starts_with(b"notifications/"))
}
