//! One observed connection: the state machine that turns messages into spans.
//!
//! Bytes come in by direction ([`Session::bytes`] and what tells of its losses), or whole messages
//! where the transport frames them ([`Session::message`]); finished spans go out by
//! [`Session::take`]. All times are handed in. Requests are paired by direction and typed id.
//!
//! The books balance at every moment: what a span is owed for was put out, was dropped for a reason,
//! or is in flight ([`Counts::balanced`]). After a gap in the observation the calls in flight are
//! doubtful: they may complete, but they never fail, time out or pair with a newer use of their id.

mod answers;
mod intake;
mod requests;

use std::collections::HashSet;
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use self::intake::Known;
use super::call::{Call, Named, Speaker, Subject};
use super::flight::Flight;
use super::recent::Recent;
use super::span::{Ending, Frame, resource};
use super::{
    Counts, Direction, Id, Identity, Lines, Message, Outcome, Part, Settings, SpanRef, Unsampled,
    Ways,
};
use crate::telemetry::{Content, Model, Nanos, Raw, Seen, SpanId, Telemetry, names};

/// How many ended requests, interim answers and tasks are remembered, each.
const REMEMBERED: usize = 1024;
/// How many tool and prompt names a server may list before the rest is not remembered, each.
const MAX_LISTED: usize = 1024;

/// The state of one observed connection.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    identity: Identity,
    ids: SmallRng,
    /// Keys of the hashes that stand for what is too long or too secret to keep.
    keys: RandomState,

    lines: Ways<Lines>,
    flights: Ways<Flight>,
    /// Requests that ended without an answer, and until when a late one is expected.
    ended: Ways<Recent<Id, Nanos>>,
    /// When the other direction last had a request in the hands of a person: a call that led to it
    /// waits for the same person and must not time out.
    people: Ways<Nanos>,
    number: u64,
    /// Who went first, by the direction it sends in.
    left_first: Option<Direction>,

    /// The client of the handshake and the version that was negotiated.
    client: Arc<Speaker>,
    /// The client that the last modern request named.
    speaker: Arc<Speaker>,
    server: Named,
    tools: HashSet<String>,
    prompts: HashSet<String>,
    /// First legs that wait for their retry, by what the retry will echo.
    legs: Recent<u64, SpanRef>,
    tasks: Recent<String, SpanRef>,
    /// The trace of this session, and when it was last used.
    trace: Option<([u8; 16], Nanos)>,

    spans: Vec<Span>,
    seen: Vec<(SpanId, Seen)>,
    /// Content held for calls in flight, and for spans not taken yet, in bytes.
    held: usize,
    ready: usize,
    counts: Counts,
}

impl Session {
    /// A connection of which nothing has been seen. `seed` makes the trace and span ids.
    pub fn new(settings: Arc<Settings>, identity: Identity, seed: [u8; 32]) -> Self {
        Session {
            settings,
            identity,
            ids: SmallRng::from_seed(seed),
            keys: RandomState::new(),
            lines: Ways::default(),
            flights: Ways::default(),
            ended: Ways([Recent::new(REMEMBERED), Recent::new(REMEMBERED)]),
            people: Ways::default(),
            number: 0,
            left_first: None,
            client: Arc::default(),
            speaker: Arc::default(),
            server: Named::default(),
            tools: HashSet::new(),
            prompts: HashSet::new(),
            legs: Recent::new(REMEMBERED),
            tasks: Recent::new(REMEMBERED),
            trace: None,
            spans: Vec::new(),
            seen: Vec::new(),
            held: 0,
            ready: 0,
            counts: Counts::default(),
        }
    }

    /// The books so far.
    pub fn counts(&self) -> Counts {
        let in_flight = self.flights.0.iter().map(|flight| flight.len() as u64).sum();
        Counts { in_flight, ..self.counts }
    }

    /// How many spans are ready to be taken.
    pub fn ready(&self) -> usize {
        self.spans.len()
    }

    /// The spans finished since the last call, with what was seen of them; `None` if there are none.
    pub fn take(&mut self) -> Option<(Telemetry, Content)> {
        if self.spans.is_empty() {
            return None;
        }
        let scope = InstrumentationScope {
            name: names::SCOPE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let spans = std::mem::take(&mut self.spans);
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
        let client = if self.client.who.name.is_empty() { &self.speaker } else { &self.client };
        let resource = Some(resource(&self.settings, &self.identity, client));
        let model = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
        self.ready = 0;
        let content = self.seen.drain(..).collect();
        Some((Telemetry::from(Model::Traces(vec![model])), content))
    }

    /// Lets time pass: requests that nobody answers are given up.
    pub fn tick(&mut self, now: Nanos) {
        let timeout = nanos(self.settings.request_timeout);
        for direction in Direction::BOTH {
            if self.flights[direction.reverse()].asks_people() {
                self.people[direction] = now;
            }
            if now < self.flights[direction].quiet_until {
                continue;
            }
            let people = self.people[direction];
            let late = |alive: Nanos| alive.max(people).saturating_add(timeout) <= now;
            let given_up = self.flights[direction].drain(|call| !call.waits() && late(call.alive));
            for (id, call) in given_up {
                self.expect_late(direction, id, now);
                self.end_unanswered(call, Outcome::Timeout, now);
            }
            let oldest = self.flights[direction].oldest().unwrap_or(now).max(people);
            self.flights[direction].quiet_until = oldest.saturating_add(timeout);
        }
    }

    /// The server is gone: nothing in flight will be answered any more.
    ///
    /// A request of the client's ends as `server_gone`, unless the client had [left](Self::left) first:
    /// then nobody wanted the answer, and it ends as `cancelled`, as do subscriptions and the server's
    /// own requests.
    pub fn end(&mut self, now: Nanos) {
        Direction::BOTH.into_iter().for_each(|direction| self.flush(direction, now));
        let nobody_asks = self.left_first == Some(Direction::ClientToServer);
        for direction in Direction::BOTH {
            let nobody_asks = nobody_asks || direction == Direction::ServerToClient;
            while self.flights[direction].len() > 0 {
                for (_, call) in self.flights[direction].drain(|_| true) {
                    let cancelled = nobody_asks || call.method == "subscriptions/listen";
                    let gone = if cancelled { Outcome::Cancelled } else { Outcome::ServerGone };
                    self.end_unanswered(call, gone, now);
                }
            }
        }
    }

    /// Ends a call to which no answer came. A doubtful one may have had its answer in the gap.
    fn end_unanswered(&mut self, call: Box<Call>, outcome: Outcome, now: Nanos) {
        if call.doubtful {
            self.leave(&call, now);
            self.counts.dropped.gap += 1;
        } else {
            self.finish(call, &Ending::bare(outcome, now), Seen::default());
        }
    }

    /// Makes the span of a call that has left the flight, unless its parent was not sampled.
    fn finish(&mut self, call: Box<Call>, ending: &Ending<'_>, mut seen: Seen) {
        self.leave(&call, ending.end);
        if call.place.flags & super::trace::SAMPLED == 0
            && self.settings.unsampled == Unsampled::Drop
        {
            self.counts.dropped.unsampled += 1;
            return;
        }
        let mut call = *call;
        seen.arguments = std::mem::take(&mut call.arguments);
        let speaker = call.speaker.take();
        let frame = Frame {
            settings: &self.settings,
            identity: &self.identity,
            speaker: speaker.as_ref().unwrap_or(&self.client),
            server: &self.server,
            listed: match &call.subject {
                Subject::Tool(name) => self.tools.contains(name),
                Subject::Prompt(name) => self.prompts.contains(name),
                _ => false,
            },
        };
        let id = call.place.own.span;
        // A call of a tool without arguments is one with none, which is something to tell.
        let tells = seen != Seen::default() || matches!(call.subject, Subject::Tool(_));
        self.spans.push(frame.span(call, ending));
        self.counts.spans += 1;
        if tells {
            self.ready += held(&seen);
            self.seen.push((id, seen));
        }
    }

    /// A call is no longer in flight.
    fn leave(&mut self, call: &Call, now: Nanos) {
        self.held -= call.held();
        if call.asks_people() {
            self.people[call.direction.reverse()] = now;
        }
    }

    /// The arguments of a request. In one that was not read whole they may be out of sight.
    fn keep_arguments(&mut self, part: Part<'_>, known: Known) -> Raw {
        let unsure = part == Part::Absent && known != Known::Whole;
        self.keep(if unsure { Part::Cut } else { part }, known)
    }

    /// A copy of a raw value, as long as not too much is held already.
    fn keep(&mut self, part: Part<'_>, known: Known) -> Raw {
        match part {
            Part::Absent => Raw::Absent,
            Part::Cut if known == Known::Deep => Raw::Deep,
            Part::Cut => Raw::Cut,
            Part::Whole(bytes) => {
                if self.held + self.ready + bytes.len() > self.settings.max_content_bytes {
                    self.counts.content_dropped += 1;
                    return Raw::Cut;
                }
                Raw::Whole(Bytes::copy_from_slice(bytes))
            }
        }
    }

    /// For a while, an answer to that id is late and not an orphan.
    fn expect_late(&mut self, direction: Direction, id: Id, now: Nanos) {
        let until = now.saturating_add(nanos(self.settings.late_answers));
        self.ended[direction].insert(id, until);
    }

    /// Observation was lost, or something was seen that nobody can read.
    fn doubt(&mut self) {
        self.flights.0.iter_mut().for_each(Flight::doubt);
    }

    fn span_id(&mut self) -> SpanId {
        loop {
            let id = self.ids.next_u64().to_be_bytes();
            if id != [0; 8] {
                return id;
            }
        }
    }

    fn trace_id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        while id == [0; 16] {
            self.ids.fill_bytes(&mut id);
        }
        id
    }
}

fn held(seen: &Seen) -> usize {
    let len = |raw: &Raw| if let Raw::Whole(bytes) = raw { bytes.len() } else { 0 };
    len(&seen.arguments) + len(&seen.result) + len(&seen.error_message)
}

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

#[cfg(test)]
mod tests;
