//! One HTTP exchange in progress: what was gathered of its bodies, whose it is, and what it asked.
//!
//! It only remembers. What messages mean and how calls end is decided elsewhere.

use std::sync::Arc;

use super::mirrored::Mirrored;
use super::sse::Sse;
use super::{BodyKind, Verb};
use crate::mcp::pairing::{Key, State};
use crate::mcp::partial::Partial;
use crate::mcp::secrets::HeadSecrets;
use crate::mcp::{Direction, Edited, SessionName, TraceContext};
use crate::telemetry::{CallSecrets, Headers};

/// An exchange in progress.
pub(super) struct ExchangeState {
    /// Its number, from 1.
    pub(super) number: u64,
    pub(super) server: usize,
    pub(super) verb: Verb,
    pub(super) http_version: u8,
    /// The version in its header, if there is such a version.
    pub(super) protocol: Option<&'static str>,
    /// The context of the HTTP request.
    pub(super) context: Option<Box<TraceContext>>,
    /// The secrets that its heads carried.
    pub(super) secrets: HeadsSecrets,
    /// The headers of it that the user wants to see.
    pub(super) headers: Headers,
    /// Holds what its head says of the message in its body, where somebody wants to know.
    pub(super) mirrored: Option<Box<Mirrored>>,
    /// Holds what was done to the request that it brings.
    pub(super) edited: Option<Box<Edited>>,
    /// It asks for events that it may have seen before.
    pub(super) resumes: bool,
    /// Says where a stream was asked for, so that an endpoint can be found from there.
    pub(super) target: Box<[u8]>,
    pub(super) home: SessionRef,
    /// The session that the response granted, as long as nothing asked for one.
    pub(super) granted: Option<Handle>,
    pub(super) request: Body,
    pub(super) status: Option<u16>,
    pub(super) reply: Body,
    /// Its stream brought event ids: it may be resumed by another exchange.
    pub(super) resumable: bool,
    /// It is counted among the streams of the session of that number.
    pub(super) streams: Option<u64>,
    /// The requests it brought.
    pub(super) asked: Vec<Asked>,
    /// Says how many of them were made doubtful with the response.
    pub(super) doubted: usize,
    /// It brought a message of a modern client, or one of a legacy client.
    pub(super) modern: bool,
    pub(super) legacy: bool,
    /// It brought a JSON-RPC answer that is about a request and not about the session.
    pub(super) answered: bool,
    /// Its response brought something that no client can take for an answer.
    pub(super) garbled: bool,
}

/// The secrets of the two heads of an exchange.
#[derive(Clone, Default)]
pub(super) struct HeadsSecrets {
    pub(super) request: Option<Arc<HeadSecrets>>,
    pub(super) response: Option<Arc<HeadSecrets>>,
}

/// A body, as far as it is observed.
pub(super) enum Body {
    /// It carries no messages, it was read already, or its head has not come.
    Nothing,
    /// Messages, to be read when it is whole.
    Text(Partial),
    /// Messages, one an event.
    Events(Box<Sse>),
    /// It is not observed to its end.
    Lost,
}

/// Says where the legacy messages of an exchange belong.
pub(super) enum SessionRef {
    /// To no session: they are paired within their exchange.
    None,
    Session(Handle),
    /// To a session that has not got its id.
    Provisional(Box<State>),
}

/// Holds what finds a session.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) key: u64,
    pub(super) name: Arc<SessionName>,
    /// Its answers come on the one stream that names its endpoint (2024-11-05).
    pub(super) by_stream: bool,
    /// This is that stream.
    pub(super) is_stream: bool,
}

/// Says where a message is paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdScope {
    /// Among all that the server is asked without a session.
    Shared,
    /// In the session of the exchange.
    SessionRef,
}

/// A request that an exchange brought.
pub(super) struct Asked {
    pub(super) direction: Direction,
    pub(super) lane: IdScope,
    pub(super) key: Key,
}

impl ExchangeState {
    /// Bytes held of its bodies and heads.
    pub(super) fn held(&self) -> usize {
        self.request.held() + self.reply.held() + self.headers.size()
    }

    /// The body that comes that way.
    pub(super) fn body(&mut self, direction: Direction) -> &mut Body {
        match direction {
            Direction::ClientToServer => &mut self.request,
            Direction::ServerToClient => &mut self.reply,
        }
    }

    /// Says whether it is a stream of a session that its client asked for.
    pub(super) fn is_stream(&self) -> bool {
        let good = self.status.is_some_and(|status| (200..300).contains(&status));
        self.verb == Verb::Get && good && matches!(self.reply, Body::Events(_) | Body::Lost)
    }

    /// The session that it belongs to.
    pub(super) fn session(&self) -> Option<&Handle> {
        match &self.home {
            SessionRef::Session(handle) => Some(handle),
            SessionRef::None | SessionRef::Provisional(_) => None,
        }
    }

    /// Says where its legacy messages are paired.
    pub(super) fn own_lane(&self) -> IdScope {
        if matches!(self.home, SessionRef::None) { IdScope::Shared } else { IdScope::SessionRef }
    }

    /// Says where ids are unique on that lane.
    pub(super) fn scope(&self, lane: IdScope) -> u64 {
        match lane {
            IdScope::Shared => self.number,
            IdScope::SessionRef => 0,
        }
    }
}

impl HeadsSecrets {
    /// Gives all of them. Most servers say the session's id again in each response.
    pub(super) fn all(&self) -> CallSecrets {
        match (&self.request, &self.response) {
            (None, None) => CallSecrets::default(),
            (Some(request), Some(response)) if !response.is_within(request) => {
                request.secrets.with(&response.secrets)
            }
            (Some(head), _) | (None, Some(head)) => head.secrets.clone(),
        }
    }
}

impl SessionRef {
    pub(super) fn provisional(&mut self) -> Option<&mut State> {
        match self {
            SessionRef::Provisional(state) => Some(state),
            SessionRef::None | SessionRef::Session(_) => None,
        }
    }
}

impl Body {
    /// A body of which nothing has come.
    pub(super) fn new(kind: BodyKind) -> Self {
        match kind {
            BodyKind::Sse => Body::Events(Box::default()),
            BodyKind::Other => Body::Text(Partial::default()),
        }
    }

    /// Takes the next bytes of a text, of which `max` may be kept; with no `room` they are not.
    pub(super) fn push(&mut self, chunk: &[u8], max: usize, room: bool) {
        match self {
            Body::Text(text) if room => text.push(chunk, max),
            Body::Text(text) => text.skip(chunk.len() as u64),
            Body::Nothing | Body::Events(_) | Body::Lost => {}
        }
    }

    /// Bytes were left out.
    pub(super) fn skip(&mut self, skipped: u64, max: usize) {
        match self {
            Body::Text(text) => text.skip(skipped),
            Body::Events(events) => events.skip(skipped, max),
            Body::Nothing | Body::Lost => {}
        }
    }

    pub(super) fn held(&self) -> usize {
        match self {
            Body::Text(text) => text.held(),
            Body::Events(events) => events.held(),
            Body::Nothing | Body::Lost => 0,
        }
    }

    /// Says whether it came, and there was nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Body::Nothing => true,
            Body::Text(text) => text.is_empty(),
            Body::Events(events) => events.is_empty(),
            Body::Lost => false,
        }
    }

    /// Says whether it is a text of which nothing has come.
    pub(super) fn is_text_to_come(&self) -> bool {
        matches!(self, Body::Text(text) if text.is_empty())
    }

    /// The text, if it is one; it is not held any more.
    pub(super) fn take_text(&mut self) -> Option<Partial> {
        match std::mem::replace(self, Body::Nothing) {
            Body::Text(text) => Some(text),
            other => {
                *self = other;
                None
            }
        }
    }
}
