//! Requests: what one is, and what is written into its `_meta`.

use std::fmt::Write as _;
use std::hash::RandomState;
use std::ops::Range;

use super::object::{Member, Object, Room, is_object};
use super::{Edit, Splice, Unedited, message, strict};
use crate::json::{Kind, Reader, write_string};
use crate::mcp::{Hop, Id, Message, RawId, TraceContext};

/// The flags of W3C Trace Context that are passed on: sampled, and random ids (level 2).
const KNOWN_FLAGS: u8 = 0b11;
/// Names what tells a modern request (2026-07-28).
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// One request of a client.
pub struct Request<'a> {
    text: &'a [u8],
    id: RawId<'a>,
    /// Holds what it asks for.
    pub method: Method,
    top: Object<3>,
}

/// The methods that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `initialize`: its answer tells what a legacy server can do.
    Initialize,
    /// `tools/call` or `resources/read`: what servers hand spans back for.
    Call,
    /// `prompts/get`, which only carries a context.
    Prompt,
    /// Any other, which stays as it is.
    Other,
}

/// The place in a request where changes go, and what stands there.
pub struct Target<'a> {
    text: &'a [u8],
    place: Place,
    /// It is a request of 2026-07-28 or later.
    pub modern: bool,
    traceparent: Result<Option<Member>, Unedited>,
    tracestate: Result<Option<Member>, Unedited>,
    otel: Result<Option<Member>, Unedited>,
}

/// The innermost object that is there.
enum Place {
    Message(Room),
    Params(Room),
    Meta(Room),
}

/// Says how a server is asked for its spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// The whole tree instead of its top.
    pub detailed: bool,
}

/// Says who asks for the spans of a call.
pub enum Asking {
    /// The client does already.
    Client,
    /// Nobody yet: it can be written here.
    Nobody(Opening),
}

/// Says where the asking can be written.
pub struct Opening(Inside);

enum Inside {
    Meta,
    Otel(Room),
}

impl<'a> Request<'a> {
    /// The request that `text` is; `None` for notifications, answers and white space.
    pub fn read(text: &'a [u8]) -> Result<Option<Self>, Unedited> {
        if message(text)?.is_none() {
            return Ok(None);
        }
        let top = Object::scan(text, 0..text.len(), ["method", "id", "params"])?;
        if !text[top.end..].trim_ascii().is_empty() {
            return Err(Unedited::Invalid);
        }
        let (Some(method), Some(id)) = (top.member(0)?, top.member(1)?) else { return Ok(None) };
        let (Some(method), Some(id)) = (Method::read(text, method), raw_id(text, id)) else {
            return Ok(None);
        };
        Ok(Some(Request { text, id, method, top }))
    }

    /// Its id.
    pub fn id(&self, keys: &RandomState) -> Option<Id> {
        Id::read(&self.id, keys)
    }

    /// The id of a request that cannot be read whole, if its beginning tells it.
    pub fn id_in_part(head: &[u8], keys: &RandomState) -> Option<Id> {
        Id::read(&Message::peek_cut(head, &[]).id, keys)
    }

    /// Says where changes go.
    pub fn target(&self) -> Result<Target<'a>, Unedited> {
        let text = self.text;
        strict(text)?;
        let bare = |place| Target {
            text,
            place,
            modern: false,
            traceparent: Ok(None),
            tracestate: Ok(None),
            otel: Ok(None),
        };
        let Some(params) = self.top.member(2)? else {
            return Ok(bare(Place::Message(self.top.room())));
        };
        let params = Object::scan(text, params.value.clone(), ["_meta"])?;
        let Some(meta) = params.member(0)? else {
            return Ok(bare(Place::Params(params.room())));
        };
        let keys = ["traceparent", "tracestate", "otel", VERSION];
        let meta = Object::scan(text, meta.value.clone(), keys)?;
        let find = |key| meta.member(key).map(Option::<&Member>::cloned);
        Ok(Target {
            modern: meta.member(3)?.is_some_and(|version| text[version.value.start] == b'"'),
            traceparent: find(0),
            tracestate: find(1),
            otel: find(2),
            ..bare(Place::Meta(meta.room()))
        })
    }
}

impl Method {
    fn read(text: &[u8], member: &Member) -> Option<Self> {
        let name = Reader::new(&text[member.value.clone()], 0).text().ok()?;
        let is = |method: &&str| name.is(method);
        Some(match () {
            () if ["tools/call", "resources/read"].iter().any(is) => Method::Call,
            () if is(&"prompts/get") => Method::Prompt,
            () if is(&"initialize") => Method::Initialize,
            () => Method::Other,
        })
    }

    /// Says whether its requests carry a context.
    pub fn carries_context(self) -> bool {
        matches!(self, Method::Call | Method::Prompt)
    }
}

impl<'a> Target<'a> {
    /// The context that the request brings itself, if it is valid. Fails where the new one cannot be
    /// written.
    pub fn context(&self) -> Result<Option<TraceContext>, Unedited> {
        let (parent, state) = (self.traceparent.clone()?, self.tracestate.clone()?);
        let read = |member: Option<Member>| {
            let value = member?.value;
            Reader::new(&self.text[value], 0).text().ok()
        };
        Ok(TraceContext::read(read(parent), read(state)))
    }

    /// Says who asks for spans.
    pub fn asking(&self) -> Result<Asking, Unedited> {
        let Some(otel) = self.otel.clone()? else {
            return Ok(Asking::Nobody(Opening(Inside::Meta)));
        };
        let otel = Object::scan(self.text, otel.value, ["traces"])?;
        let Some(traces) = otel.member(0)? else {
            return Ok(Asking::Nobody(Opening(Inside::Otel(otel.room()))));
        };
        if !is_object(self.text, &traces.value) {
            return Err(Unedited::OddRequest);
        }
        let traces = Object::scan(self.text, traces.value.clone(), ["request"])?;
        match traces.member(0)?.map(|request| &self.text[request.value.clone()]) {
            Some(b"true") => Ok(Asking::Client),
            Some(b"false") => Err(Unedited::Declined),
            _ => Err(Unedited::OddRequest),
        }
    }

    /// The changes. With `hop` its CLIENT span becomes the request's parent, as part of `incoming`, which is
    /// the context that the request stands in: its own, if that is valid. `None` begins a trace, whatever
    /// the request brings.
    ///
    /// `tracestate` goes with the `traceparent` it came with. Beside a valid one it stays; another
    /// context brings its own; one that belongs to no valid `traceparent` is taken out, as W3C Trace
    /// Context section 4.3 has it. `baggage` is nobody's part and stays.
    pub fn edit(
        &self,
        hop: Option<(&Hop, Option<&TraceContext>)>,
        ask: Option<(&Opening, Ask)>,
    ) -> Edit {
        let mut work = Work::default();
        if let Some((hop, incoming)) = hop {
            self.write_context(hop, incoming, &mut work);
        }
        if let Some((Opening(inside), Ask { detailed })) = ask {
            let traces = format!(r#""traces":{{"request":true,"detailed":{detailed}}}"#);
            match inside {
                Inside::Meta => work.add(&format!(r#""otel":{{{traces}}}"#)),
                Inside::Otel(room) => work.splices.push(room.add(&traces)),
            }
        }
        if !work.members.is_empty() {
            let members = &work.members;
            work.splices.push(match &self.place {
                Place::Meta(room) => room.add(members),
                Place::Params(room) => room.add(&format!(r#""_meta":{{{members}}}"#)),
                Place::Message(room) => room.add(&format!(r#""params":{{"_meta":{{{members}}}}}"#)),
            });
        }
        Edit::new(work.splices)
    }

    fn write_context(&self, hop: &Hop, incoming: Option<&TraceContext>, work: &mut Work) {
        let (Ok(parent), Ok(state)) = (&self.traceparent, &self.tracestate) else { return };
        let parent_text = traceparent(hop, incoming);
        // Beside a valid context of its own the request keeps its state, whatever that is.
        let own = incoming.is_some() && matches!(self.context(), Ok(Some(_)));
        let new = incoming.filter(|from| !own && !from.state.is_empty()).map(|from| {
            let mut text = Vec::new();
            write_string(&mut text, &from.state);
            String::from_utf8_lossy(&text).into_owned()
        });
        let parent_member = format!(r#""traceparent":"{parent_text}""#);
        match (parent, state, new) {
            // Stale, and the new parent takes its place: no comma to think of.
            (None, Some(state), None) => work.replace(&state.whole, &parent_member),
            (None, state, new) => {
                work.add(&parent_member);
                work.state(state.as_ref(), new);
            }
            (Some(parent), state, new) => {
                work.replace(&parent.value, &format!("\"{parent_text}\""));
                match (state, new) {
                    (Some(state), None) if !own => work.splices.push(state.removed()),
                    (state, new) => work.state(state.as_ref(), new),
                }
            }
        }
    }
}

/// Changes in the making.
#[derive(Default)]
struct Work {
    splices: Vec<Splice>,
    /// New members of `_meta`, with commas between them.
    members: String,
}

impl Work {
    fn add(&mut self, member: &str) {
        let comma = if self.members.is_empty() { "" } else { "," };
        self.members.push_str(comma);
        self.members.push_str(member);
    }

    fn replace(&mut self, at: &Range<usize>, text: &str) {
        self.splices.push(Splice { at: at.clone(), text: text.as_bytes().to_vec() });
    }

    /// Writes a new `tracestate`, if there is one.
    fn state(&mut self, old: Option<&Member>, new: Option<String>) {
        match (old, new) {
            (Some(old), Some(new)) => self.replace(&old.value, &new),
            (None, Some(new)) => self.add(&format!(r#""tracestate":{new}"#)),
            (_, None) => {}
        }
    }
}

/// The `traceparent` that makes the hop's CLIENT span the parent.
fn traceparent(hop: &Hop, incoming: Option<&TraceContext>) -> String {
    let flags = incoming.map_or(crate::mcp::trace::SAMPLED, |from| from.flags & KNOWN_FLAGS);
    let mut out = String::with_capacity(55);
    out.push_str("00-");
    for byte in hop.trace {
        write!(out, "{byte:02x}").unwrap_or_default();
    }
    out.push('-');
    for byte in hop.client {
        write!(out, "{byte:02x}").unwrap_or_default();
    }
    write!(out, "-{flags:02x}").unwrap_or_default();
    out
}

/// An id that can be answered.
pub(super) fn raw_id<'a>(text: &'a [u8], member: &Member) -> Option<RawId<'a>> {
    let mut reader = Reader::new(&text[member.value.clone()], 0);
    match reader.peek().ok()?.0 {
        Kind::Number => reader.number().ok().map(RawId::Number),
        Kind::String => reader.text().ok().map(RawId::Text),
        _ => None,
    }
}
