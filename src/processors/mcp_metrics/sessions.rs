//! The sessions that are under way, by their id: from the beginning of the handshake to the end of the last call.
//!
//! One is known from its `initialize` on, so that sessions whose beginning nobody saw, and clients of 2026-07-28, which
//! have none, are not measured. There is room for a fixed number: of more the one that was quiet longest is taken as
//! ended.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::telemetry::names::ERROR_TYPE;
use crate::telemetry::{Nanos, PeerKeys};

use super::call::{Call, Side, seconds};

/// Says how many are known at once: as many as an HTTP tap knows.
pub(super) const MAX_SESSIONS: usize = 4096;
/// The longest id that is kept, in bytes.
const MAX_ID: usize = 256;
/// Says that a server went away (`mcpcol.outcome`, and `error.type` of a tap).
const GONE: &str = "server_gone";

/// A label that outlives the span it came from.
type Label = (&'static str, Cow<'static, str>);

/// Sessions, by id.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<Box<str>, Session, PeerKeys>);

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) side: Side,
    /// Holds what its handshake said of it.
    labels: Vec<Label>,
    began: Nanos,
    last: Nanos,
    gone: bool,
}

impl Session {
    /// Says how long it lasted, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        seconds(self.last - self.began)
    }

    /// The labels that it is counted under.
    pub(super) fn labels(&self) -> Vec<Label> {
        let gone = self.gone.then_some((ERROR_TYPE, Cow::Borrowed(GONE)));
        self.labels.iter().cloned().chain(gone).collect()
    }
}

impl Sessions {
    /// Notes a call; returns whether it belongs to a session that is not known and that begins with it.
    pub(super) fn note(&mut self, call: &Call<'_>) -> bool {
        let words = &call.key.words;
        let Some(session) = self.0.get_mut(call.session) else {
            let begins = words.method == "initialize" && words.error.is_empty();
            return begins && !call.session.is_empty() && call.session.len() <= MAX_ID;
        };
        if call.end >= session.last {
            (session.last, session.gone) = (call.end, words.error == GONE);
        }
        false
    }

    /// Adds the session that begins with a call; returns the one that had to go for it.
    pub(super) fn begin(&mut self, call: &Call<'_>, labels: Vec<Label>) -> Option<Session> {
        let quiet = || self.0.iter().min_by_key(|(_, session)| session.last);
        let evicted = (self.0.len() >= MAX_SESSIONS).then(quiet).flatten();
        let evicted = evicted.map(|(id, _)| id.clone());
        let evicted = evicted.and_then(|id| self.0.remove(&id));
        let (side, began, last) = (call.key.side, call.start, call.end);
        let session = Session { side, labels, began, last, gone: false };
        self.0.insert(call.session.into(), session);
        evicted
    }

    /// Takes those whose last call ended before a time.
    pub(super) fn quiet_since(&mut self, time: Nanos) -> Vec<Session> {
        self.0.extract_if(|_, session| session.last < time).map(|(_, session)| session).collect()
    }

    /// Takes all of them.
    pub(super) fn all(&mut self) -> Vec<Session> {
        self.0.drain().map(|(_, session)| session).collect()
    }
}
