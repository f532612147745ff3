//! One text of JSON-RPC, told apart into its messages.
//!
//! A text is an object or a batch; several objects in a row are read as several, as a stream decoder
//! would. Nothing is paired or counted here.

use super::{Message, Shape, TAIL};
use crate::json::{ErrorKind, MAX_DEPTH, Reader};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// How much of a message can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Whole,
    /// Observed whole, but nested too deeply to be read between head and tail.
    Deep,
    /// Only head and tail were observed.
    Cut,
}

/// What is found in a text.
pub(super) enum Found<'m> {
    /// A message, the bytes it takes, and how much of it can be told.
    Message(&'m Message<'m>, u64, Known),
    /// White space and nothing else.
    Blank,
    /// The text is a batch; its entries follow.
    Batch,
    /// Something, or a rest of the text, that is no JSON object or array.
    Junk,
    /// The message before was not the last one beside it.
    Crowded,
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Notification,
    Answer,
    /// It may have been anything.
    Unreadable,
    /// JSON that is not JSON-RPC.
    NotRpc,
}

impl Kind {
    /// What `message` is, as far as that can be told.
    pub(super) fn of(message: &Message<'_>, known: Known) -> Self {
        let whole = known == Known::Whole;
        match message.shape() {
            Shape::Request => Kind::Request,
            Shape::Notification if !whole && !is_notification(message) => Kind::Unreadable,
            Shape::Notification => Kind::Notification,
            Shape::Answer => Kind::Answer,
            Shape::Other if !whole => Kind::Unreadable,
            Shape::Other => Kind::NotRpc,
        }
    }
}

/// Tells `text` apart.
pub(super) fn messages(text: &[u8], each: &mut dyn FnMut(Found<'_>)) {
    let text = without_mark(text).trim_ascii();
    match text.first() {
        None => each(Found::Blank),
        Some(b'[') => {
            each(Found::Batch);
            if entries(text, |entry| objects(entry, each)).is_none() {
                each(Found::Junk);
            }
        }
        Some(_) => objects(text, each),
    }
}

/// Tells what can be told of a text of which only the ends were observed; `ended` says that the last
/// byte is the text's last for certain.
pub(super) fn cut_message(
    head: &[u8],
    tail: &[u8],
    size: u64,
    ended: bool,
    each: &mut dyn FnMut(Found<'_>),
) {
    let all = head.len() as u64 + tail.len() as u64 == size;
    let head = without_mark(head).trim_ascii_start();
    if may_be_message(head, tail, ended) {
        let mut message = Message::peek_cut(head, tail);
        if all {
            message.hide(false);
        }
        each(Found::Message(&message, size, Known::Cut));
    } else {
        each(Found::Junk);
    }
}

/// Whether `text` is one whole object.
pub(super) fn is_object(text: &[u8]) -> bool {
    Message::peek(text).is_ok_and(|(_, used)| text[used..].trim_ascii().is_empty())
}

fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BOM).unwrap_or(text)
}

/// Usually one object.
fn objects(text: &[u8], each: &mut dyn FnMut(Found<'_>)) {
    let mut rest = text;
    while !rest.is_empty() {
        // It is large, so it is read where it stays.
        let mut message = Message::default();
        let Some((used, known)) = first(rest, &mut message) else { return each(Found::Junk) };
        each(Found::Message(&message, used as u64, known));
        rest = rest[used..].trim_ascii_start();
        if !rest.is_empty() {
            each(Found::Crowded);
        }
    }
}

/// Whether a text of which these are the ends may be a message, or a batch of them. One that its sender
/// may have left in the middle must close what it opened.
fn may_be_message(head: &[u8], tail: &[u8], ended: bool) -> bool {
    let close = match head.first() {
        Some(b'{') => b'}',
        Some(b'[') => b']',
        Some(_) => return false,
        None => return true,
    };
    ended || tail.trim_ascii_end().last() == Some(&close)
}

/// Reads the message at the start of `text`: the bytes it takes, and how much of it can be told.
fn first<'a>(text: &'a [u8], message: &mut Message<'a>) -> Option<(usize, Known)> {
    match message.read_first(text) {
        Ok(used) => Some((used, Known::Whole)),
        Err(error) if error.kind == ErrorKind::Depth => {
            let used = extent(text)?;
            let tail = &text[used.saturating_sub(TAIL)..used];
            *message = Message::peek_cut(&text[..used], tail);
            Some((used, Known::Deep))
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
            b'\\' => return None,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return Some(at + 1),
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
    }
}

/// A cut message without an id may be a request whose id is out of sight.
fn is_notification(message: &Message<'_>) -> bool {
    message.method.is_some_and(|method| method.raw().starts_with(b"notifications/"))
}
