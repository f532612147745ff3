//! Answers: the spans taken out of them, and what a legacy server says it can do.

use std::hash::RandomState;
use std::ops::Range;

use super::object::{Object, is_object};
use super::request::raw_id;
use super::{Edit, Splice, Unedited, message, strict};
use crate::mcp::{Id, Message, RawId};

/// Names what servers of the extension call it (SEP-2448, third generation).
const EXTENSION: &str = "io.modelcontextprotocol/server-execution-telemetry";
/// Names what they called it before.
const CAPABILITY: &str = "serverExecutionTelemetry";

/// The objects whose `_meta` may hold spans. Where errors have them no text says (SEP-2448), so
/// everywhere that implementers put them.
const PLACES: [&[&str]; 4] = [&["result"], &["error"], &["error", "data"], &[]];

/// One answer of a server.
pub struct Reply<'a> {
    text: &'a [u8],
    id: RawId<'a>,
}

impl<'a> Reply<'a> {
    /// The answer that `text` is; `None` for requests, notifications, white space, and errors that name
    /// no request.
    pub fn read(text: &'a [u8]) -> Result<Option<Self>, Unedited> {
        if message(text)?.is_none() {
            return Ok(None);
        }
        let top = Object::scan(text, 0..text.len(), ["method", "id", "result", "error"])?;
        if !text[top.end..].trim_ascii().is_empty() {
            return Err(Unedited::Invalid);
        }
        let (None, Some(id)) = (top.member(0)?, top.member(1)?) else { return Ok(None) };
        Ok(raw_id(text, id).map(|id| Reply { text, id }))
    }

    /// The id of the request that it answers.
    pub fn id(&self, keys: &RandomState) -> Option<Id> {
        Id::read(&self.id, keys)
    }

    /// The id of an answer that cannot be read whole, if its beginning tells it.
    pub fn id_in_part(head: &[u8], keys: &RandomState) -> Option<Id> {
        let message = Message::peek_cut(head, &[]);
        Id::read(&message.id, keys).filter(|_| message.method.is_none())
    }

    /// The changes that take the spans out: `traces`, then `otel` and `_meta` if nothing else is in
    /// them, so that the client sees what it would have seen. No changes if there are none.
    pub fn strip(&self) -> Result<Edit, Unedited> {
        let mut splices = Vec::new();
        for path in PLACES {
            if let Some(place) = find(self.text, path)? {
                splices.extend(strip(self.text, place)?);
            }
        }
        if !splices.is_empty() {
            strict(self.text)?;
        }
        Ok(Edit::new(splices))
    }

    /// Says whether this answer to `initialize` says that the server hands its spans back.
    pub fn offers_spans(&self) -> bool {
        let offered = |path: &[&str]| {
            let found = find(self.text, path).ok().flatten();
            found.filter(|value| is_object(self.text, value))
        };
        if offered(&["result", "capabilities", "extensions", EXTENSION]).is_some() {
            return true;
        }
        let supported = ["result", "capabilities", CAPABILITY, "signals", "traces", "supported"];
        let refused = find(self.text, &supported).ok().flatten();
        offered(&supported[..3]).is_some() && refused.is_none_or(|v| &self.text[v] != b"false")
    }
}

/// The value at that path through objects; the whole message for none.
fn find(text: &[u8], path: &[&str]) -> Result<Option<Range<usize>>, Unedited> {
    let mut value = text.len() - text.trim_ascii_start().len()..text.len();
    for key in path {
        if !is_object(text, &value) {
            return Ok(None);
        }
        let Some(member) = Object::scan(text, value, [key])?.member(0)?.cloned() else {
            return Ok(None);
        };
        value = member.value;
    }
    Ok(Some(value))
}

/// Takes the spans out of the `_meta` of the value that stands at `parent`.
fn strip(text: &[u8], parent: Range<usize>) -> Result<Option<Splice>, Unedited> {
    let mut outer = parent;
    let mut going = None;
    for key in ["_meta", "otel", "traces"] {
        if !is_object(text, &outer) {
            return Ok(None);
        }
        let object = Object::scan(text, outer, [key])?;
        let Some(member) = object.member(0)? else { return Ok(None) };
        outer = member.value.clone();
        // What has other members stays, so it is this one that goes. `_meta` itself may always go.
        if key == "_meta" || object.members > 1 {
            going = Some(member.removed());
        }
    }
    Ok(going)
}
