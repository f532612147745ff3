//! Bodies and event streams, told apart into messages.
//!
//! Knows when a text is whole, when it was cut short, and which events were seen before. What is done
//! with a message is decided elsewhere.

use super::Verb;
use super::connections::Connections;
use super::endpoint::resolve;
use super::exchange::{Body, ExchangeState, IdScope, SessionRef};
use super::routing::What;
use super::sse::Event;
use super::target::comparable;
use crate::mcp::messages::{Found, Known, cut_message, messages, without_mark};
use crate::mcp::pairing::{Key, State};
use crate::mcp::{Cut, Direction, Finding, Id, Message, Outcome, TraceContext};
use crate::telemetry::Nanos;

use Direction::{ClientToServer, ServerToClient};

/// Says how a text of messages came.
#[derive(Clone, Copy)]
struct How<'a> {
    /// The context of the HTTP request, and whether it is that of one message.
    context: Option<&'a TraceContext>,
    alone: bool,
    /// Bytes of the text.
    size: u64,
}

impl Connections {
    /// The body of a request is complete.
    pub(super) fn request_ended(&mut self, open: &mut ExchangeState, now: Nanos) {
        if let Some(text) = open.request.take_text() {
            self.read(open, ClientToServer, text.text(), text.cut(), now);
        }
    }

    /// The body of a request came at once.
    pub(super) fn request_came(&mut self, open: &mut ExchangeState, text: &[u8], now: Nanos) {
        self.read(open, ClientToServer, text, None, now);
    }

    /// The server had enough of a request: what came of it is read like the head of a cut message.
    pub(super) fn request_cut_short(&mut self, open: &mut ExchangeState, now: Nanos) {
        let Some(text) = open.request.take_text() else { return };
        if text.is_empty() {
            return;
        }
        // What is a whole message was all of it, as far as the server was concerned.
        if text.cut().is_none() && is_whole(text.text()) {
            return self.read(open, ClientToServer, text.text(), None, now);
        }
        let cut = Some(Cut { size: text.size(), tail: b"" });
        self.read(open, ClientToServer, text.text(), cut, now);
    }

    /// The body of a response that is no stream is complete; whether there was anything in it.
    pub(super) fn reply_ended(&mut self, open: &mut ExchangeState, now: Nanos) -> bool {
        let Some(text) = open.reply.take_text() else { return false };
        self.reply_came(open, text.text(), text.cut(), now);
        !text.is_empty()
    }

    /// The body of a response that is no stream is complete and was not held.
    pub(super) fn reply_came(
        &mut self,
        open: &mut ExchangeState,
        text: &[u8],
        cut: Option<Cut<'_>>,
        now: Nanos,
    ) {
        if may_hold_messages(text) {
            self.read(open, ServerToClient, text, cut, now);
        }
    }

    /// Bytes of an event stream came.
    pub(super) fn events(
        &mut self,
        open: &mut ExchangeState,
        chunk: &[u8],
        max: usize,
        now: Nanos,
    ) {
        let Body::Events(mut events) = std::mem::replace(&mut open.reply, Body::Nothing) else {
            return;
        };
        events.push(chunk, max, |event| self.event(open, event, now));
        open.resumable |= events.has_ids();
        open.reply = Body::Events(events);
    }

    /// One event of a response.
    fn event(&mut self, open: &mut ExchangeState, event: Event<'_>, now: Nanos) {
        match event.name {
            b"" | b"message" => {}
            b"endpoint" => return self.endpoint(open, event.data, now),
            _ => return,
        }
        let again = self.seen_before(open, event.id);
        let size = event.cut.map_or(event.data.len() as u64, |cut| cut.size);
        let how = How { context: None, alone: false, size };
        let found = &mut |found: Found<'_>| match found {
            // What was seen before is read for an answer that is waited for still, and no more.
            Found::Message(message, ..) if again && !self.is_waited_for(open, message) => {
                self.common.counts.replayed += 1;
            }
            found => self.found(open, ServerToClient, found, how, now),
        };
        match event.cut {
            None => messages(event.data, true, found),
            Some(cut) => cut_message(event.data, cut.tail, cut.size, true, found),
        }
    }

    /// The first event of HTTP+SSE (2024-11-05) names the target of the session's messages.
    fn endpoint(&mut self, open: &mut ExchangeState, uri: &[u8], now: Nanos) {
        if open.verb != Verb::Get || !matches!(open.home, SessionRef::None) {
            return;
        }
        let Some(target) = resolve(&open.target, uri) else { return };
        let mut handle = self.handle(open.server, &comparable(&target), true);
        self.end_session(handle.key, Outcome::ServerGone, now);
        self.make_session(open.server, &handle, now);
        handle.is_stream = true;
        open.home = SessionRef::Session(handle);
    }

    /// Reads a text of messages.
    fn read(
        &mut self,
        open: &mut ExchangeState,
        direction: Direction,
        text: &[u8],
        cut: Option<Cut<'_>>,
        now: Nanos,
    ) {
        // Clients that read a body as a text pass over the mark.
        let (_, text) = without_mark(text);
        // No body is as good as an empty one, and nothing to count.
        if text.is_empty() && cut.is_none() {
            return;
        }
        // A request is read once; only its messages have to do with the context.
        let context = open.context.take_if(|_| direction == ClientToServer);
        let alone = context.is_some() && is_alone(text, cut.is_some());
        open.edited.take_if(|_| direction == ClientToServer && !is_alone(text, cut.is_some()));
        let size = cut.map_or(text.len() as u64, |cut| cut.size);
        let how = How { context: context.as_deref(), alone, size };
        let found = &mut |found: Found<'_>| self.found(open, direction, found, how, now);
        match cut {
            None => messages(text, true, found),
            Some(cut) => cut_message(text, cut.tail, cut.size, true, found),
        }
    }

    fn found(
        &mut self,
        open: &mut ExchangeState,
        direction: Direction,
        found: Found<'_>,
        how: How<'_>,
        now: Nanos,
    ) {
        let counts = &mut self.common.counts;
        match found {
            Found::Message(message, size, known) => {
                counts.cut += u64::from(known == Known::Cut);
                let How { context, alone, .. } = how;
                let what = What { message, size, known, now, context, alone };
                match direction {
                    ClientToServer => self.client_says(open, &what),
                    ServerToClient => self.server_says(open, &what),
                }
            }
            Found::Blank => counts.blank += 1,
            Found::Batch => counts.batches += 1,
            Found::Junk => {
                counts.junk += 1;
                open.garbled |= direction == ServerToClient;
                if self.common.logs.wanted {
                    let (lane, detail) = (open.own_lane(), || format!("{} bytes", how.size));
                    self.pair(open, lane, now, |p| {
                        p.find(Finding::NotJson, direction, None, now, detail);
                    });
                }
            }
        }
    }

    /// Says whether an event of that id came in this session before.
    fn seen_before(&mut self, open: &ExchangeState, id: Option<&[u8]>) -> bool {
        let (Some(id), Some(handle)) = (id, open.session()) else { return false };
        let event = self.common.hash(id);
        let entry = self.sessions.get(handle.key);
        entry.is_some_and(|entry| entry.note_event(event, open.resumes))
    }

    fn is_waited_for(&mut self, open: &mut ExchangeState, message: &Message<'_>) -> bool {
        let id = Id::read(&message.id, &self.common.keys);
        let answers = message.result.is_some() || message.error.is_some();
        let Some(key) = id.filter(|_| answers).map(|id| Key::new(0, id)) else { return false };
        let waits = |state: &mut State| {
            let flight = &state.flights[ClientToServer];
            flight.holds(&key) || flight.holds_number(&key)
        };
        self.state(open, IdScope::SessionRef, waits) == Some(true)
    }
}

/// Says whether the context of the HTTP request is that of one message.
fn is_alone(text: &[u8], cut: bool) -> bool {
    if !text.trim_ascii_start().starts_with(b"[") {
        return true;
    }
    let mut entries = 0;
    messages(text, true, &mut |found| entries += usize::from(matches!(found, Found::Message(..))));
    !cut && entries == 1
}

/// Says whether nothing of a text of messages is missing.
fn is_whole(text: &[u8]) -> bool {
    let mut whole = true;
    messages(text, true, &mut |found| whole &= !matches!(found, Found::Junk));
    whole
}

/// HTTP errors come as HTML or plain text, which is nobody's fault.
fn may_hold_messages(text: &[u8]) -> bool {
    let (_, text) = without_mark(text);
    matches!(text.trim_ascii_start().first(), None | Some(b'{' | b'['))
}
