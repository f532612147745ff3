//! One text of JSON-RPC, told apart into its messages.
//!
//! A text is an object or a batch. An answer counts as one only where it can be read by the one who waits
//! for it; the measure is what both official SDKs read (`JSON.parse` and a schema in TypeScript, `pydantic`
//! in Python), and where they differ the one that reads it. So it must be all there is on its line, of
//! version 2.0, and an error, or a result that is an object, and none of its strings may be flawed; what is
//! malformed otherwise deep inside of a result is not looked for. A request counts wherever it can be made
//! out, because its sender waits for an answer, whoever else reads it. Nothing is paired or counted here.

use super::{Answer, Message, Part, Shape, TAIL};
use crate::json::{ErrorKind, MAX_DEPTH, Reader, is_flawed};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Says how much of a message can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Whole,
    /// Observed whole, but nested too deeply to be read between head and tail.
    Deep,
    /// Only head and tail were observed.
    Cut,
}

/// Names what is found in a text.
pub(super) enum Found<'m> {
    /// A message, the bytes it takes, and how much of it can be told.
    Message(&'m Message<'m>, u64, Known),
    /// White space and nothing else.
    Blank,
    /// The text is a batch; its entries follow.
    Batch,
    /// The text, or an entry of it, is something else than one JSON object or array that can be read. What it
    /// has of requests and notifications came before.
    Junk,
}

/// Names what is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Notification,
    Answer,
    /// It may have been anything.
    Unreadable,
    /// JSON that is not JSON-RPC, or an answer that nobody takes.
    NotRpc,
}

impl Kind {
    /// Gives what `message` is, as far as that can be told.
    pub(super) fn of(message: &Message<'_>, known: Known) -> Self {
        let whole = known == Known::Whole;
        match message.shape() {
            Shape::Request => Kind::Request,
            Shape::Notification if !whole && !is_notification(message) => Kind::Unreadable,
            Shape::Notification => Kind::Notification,
            Shape::Answer if !is_taken(message, whole) => Kind::NotRpc,
            Shape::Answer => Kind::Answer,
            Shape::Other if !whole => Kind::Unreadable,
            Shape::Other => Kind::NotRpc,
        }
    }
}

/// Tells `text` apart; `ended` says that it came with its end. One that begins with a mark of the byte
/// order is read by nobody: whoever passes over that has taken it away.
pub(super) fn messages(text: &[u8], ended: bool, each: &mut dyn FnMut(Found<'_>)) {
    let (marked, text) = without_mark(text);
    let text = trim(text);
    let is_batch = text.first() == Some(&b'[');
    let mut sound = ended && !marked;
    if text.is_empty() {
        return each(Found::Blank);
    } else if is_batch {
        each(Found::Batch);
        sound &= entries(text, |_| ()).is_some() && !is_flawed(text);
        entries(text, |entry| {
            if !objects(entry, sound, each) {
                each(Found::Junk);
            }
        });
    } else {
        sound = objects(text, sound, each) && sound;
    }
    if !sound {
        each(Found::Junk);
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
    let (marked, head) = without_mark(head);
    let head = trim_start(head);
    let closed = closes(head, tail);
    // One that its sender may have left in the middle must close what it opened.
    if closed == Some(false) && !ended {
        return each(Found::Junk);
    }
    let mut message = Message::peek_cut(head, tail);
    if all {
        message.hide(false);
    }
    let spoilt = marked || !ended || message.flawed || (closed == Some(false) && !tail.is_empty());
    if matches!(head.first(), None | Some(b'{' | b'[')) && !(spoilt && is_answer(&message)) {
        each(Found::Message(&message, size, Known::Cut));
    } else {
        each(Found::Junk);
    }
}

/// Says whether `text` is one whole object.
pub(super) fn is_object(text: &[u8]) -> bool {
    Message::peek(text).is_ok_and(|(_, used)| trim(&text[used..]).is_empty())
}

/// Says whether there was a mark of the byte order, and what comes after it.
pub(super) fn without_mark(text: &[u8]) -> (bool, &[u8]) {
    text.strip_prefix(BOM).map_or((false, text), |text| (true, text))
}

/// Without the white space around it.
fn trim(text: &[u8]) -> &[u8] {
    let text = trim_start(text);
    let end = text.iter().rposition(|b| !is_space(*b)).map_or(0, |last| last + 1);
    &text[..end]
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| !is_space(*b)).unwrap_or(text.len());
    &text[start..]
}

/// The white space of JSON (RFC 8259 section 2), which is less than that of ASCII.
fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// Usually one object that can be read, and `false` if it is anything else. Of answers only one that is alone
/// in a `sound` text is handed on.
fn objects(text: &[u8], sound: bool, each: &mut dyn FnMut(Found<'_>)) -> bool {
    let mut rest = text;
    loop {
        // It is large, so it is read where it stays.
        let mut message = Message::default();
        let Some((used, known)) = first(rest, &mut message) else { return false };
        let readable = used == text.len() && !message.flawed;
        if (sound && readable) || !is_answer(&message) {
            each(Found::Message(&message, used as u64, known));
        }
        rest = trim(&rest[used..]);
        if rest.is_empty() {
            return readable;
        }
    }
}

fn is_answer(message: &Message<'_>) -> bool {
    message.shape() == Shape::Answer
}

/// Says whether the one who waits for this answer can take it. Of one that was not observed `whole` what is out of
/// sight is as it should be.
fn is_taken(message: &Message<'_>, whole: bool) -> bool {
    let version = message.jsonrpc.map_or(!whole, |version| version.is("2.0"));
    let object = |result: &Answer<'_>| match result.raw {
        Part::Whole(json) => json.starts_with(b"{"),
        Part::Cut | Part::Absent => true,
    };
    version && (message.error.is_some() || message.result.as_ref().is_some_and(object))
}

/// Says whether a text of which these are the ends closes what it opens; `None` if it is not known what that is.
fn closes(head: &[u8], tail: &[u8]) -> Option<bool> {
    let close = match head.first()? {
        b'{' => b'}',
        b'[' => b']',
        _ => return Some(false),
    };
    Some(trim(tail).last() == Some(&close))
}

/// Reads the message at the start of `text`: the bytes it takes, and how much of it can be told.
fn first<'a>(text: &'a [u8], message: &mut Message<'a>) -> Option<(usize, Known)> {
    match message.read_first(text) {
        Ok(used) => Some((used, Known::Whole)),
        Err(error) if error.kind == ErrorKind::Depth => {
            let used = extent(text)?;
            let tail = &text[used.saturating_sub(TAIL)..used];
            *message = Message::peek_cut(&text[..used], tail);
            message.flawed = is_flawed(&text[..used]);
            Some((used, Known::Deep))
        }
        Err(_) => None,
    }
}

/// Hands on the entries of a batch; `None` if it turns out to be none. Each gets a reader of its own,
/// because none can go on behind a value that is nested too deeply for it.
fn entries<'a>(batch: &'a [u8], mut each: impl FnMut(&'a [u8])) -> Option<()> {
    let mut rest = batch.strip_prefix(b"[").map(trim_start)?;
    if let Some(after) = rest.strip_prefix(b"]") {
        return after.is_empty().then_some(());
    }
    loop {
        let (entry, after) = rest.split_at(extent(rest)?);
        each(entry);
        match trim_start(after).split_first()? {
            (b',', after) => rest = trim_start(after),
            (b']', after) => return after.is_empty().then_some(()),
            _ => return None,
        }
    }
}

/// Says where the value at the start of `text` ends, however deep it is.
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
