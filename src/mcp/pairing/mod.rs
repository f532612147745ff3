//! Requests and answers of one connection, paired into spans: the rules that stdio and HTTP share.
//!
//! A [`State`] is what is known of one connection, [`Common`] what all connections of one tap share:
//! settings, books, limits, finished spans. [`Pairing`] is the rules, applied to one of them. Framing
//! and transport are not its business; whoever drives it says where a message came from ([`Via`]).
//!
//! The books balance at every moment: what a span is owed for was put out, was dropped for a reason,
//! or is in flight. After a loss of observation calls are doubtful: they may complete, but they never
//! fail, time out or pair with a newer use of their id.

mod answers;
mod causes;
mod flight;
mod handed;
mod probes;
mod common;
mod records;
mod pending;
mod requests;

use std::sync::Arc;

use super::call::{Call, ClientInfo, Named, Owed, Subject};
use super::messages::Known;
use super::secrets::SessionSecrets;
use super::span::{Ending, Frame, Server};
use super::{
    Direction, Edited, Id, InFlight, Message, Meta, Outcome, Part, Perspective, SessionName,
    SpanRef, TraceContext, Unsampled, Ways,
};
use crate::telemetry::{CallSecrets, Header, Headers, Nanos, Raw, Seen};

pub(super) use self::causes::Cause;
pub(super) use self::common::Common;
use self::common::nanos;
pub(super) use self::flight::{Flight, Key};

/// Says how a message came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Via<'a> {
    /// Says where its id is unique: 0 for the whole connection, else the number of one exchange.
    pub(super) scope: u64,
    /// The exchange that brought it; 0 where there are none.
    pub(super) exchange: u64,
    /// Says how many requests that exchange brought before.
    pub(super) brought: usize,
    /// Version of HTTP in tenths; 0 where it is not HTTP.
    pub(super) http_version: u8,
    /// Status of the response that it came in.
    pub(super) status: Option<u16>,
    /// The protocol version that stands in a header, if there is such a version.
    pub(super) protocol: Option<&'static str>,
    /// The context of the exchange.
    pub(super) context: Option<&'a TraceContext>,
    /// It came alone, so that the context of the exchange is its own.
    pub(super) alone: bool,
    /// Holds what was done to it on its way.
    pub(super) edited: Option<&'a Edited>,
    /// Secrets that the exchange that brought it carried.
    pub(super) secrets: Option<&'a CallSecrets>,
    /// The headers that the user wants to see, of the half of the exchange that brought it.
    pub(super) headers: Option<&'a Arc<[Header]>>,
    /// All that its sender has to say comes this way.
    pub(super) whole: bool,
    /// The only call of the exchange that brought it, if the server sent it.
    pub(super) cause: Option<&'a Cause>,
}

/// Says how much of a message was observed, and where it came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed<'a> {
    pub(super) direction: Direction,
    /// Bytes of the message on the wire.
    pub(super) size: u64,
    pub(super) known: Known,
    pub(super) now: Nanos,
    pub(super) via: Via<'a>,
}

/// Holds what is known of one connection.
#[derive(Debug)]
pub(super) struct State {
    /// Tells what is remembered for it from what is remembered for others.
    number: u64,
    pub(super) server: Arc<Server>,
    /// The id of the session; absent where it has not got one, or is none.
    pub(super) name: Option<Arc<SessionName>>,
    /// It is no session: what is asked here has the server in common, and nothing else.
    shared: bool,
    /// Answers go by unseen: what is asked from now on is doubtful.
    pub(super) blind: bool,
    pub(super) flights: Ways<Flight>,
    /// Says when the other direction last had a request in the hands of a person: a call that led to it waits for the
    /// same person and must not time out.
    people: Ways<Nanos>,
    /// The client of the handshake and the version that was negotiated.
    pub(super) client: Arc<ClientInfo>,
    /// The client that the last modern request named.
    speaker: Arc<ClientInfo>,
    /// The client of a connection with one client spoke so last.
    modern: bool,
    /// The client said that there are roots to be asked for, and the server has not asked since.
    roots_due: bool,
    /// Something went by that nobody read: there may be calls that nobody knows of.
    missed: bool,
    info: Named,
    /// The trace of this session, and when it was last used.
    trace: Option<([u8; 16], Nanos)>,
    /// The secrets that its heads carried lately.
    pub(super) secrets: SessionSecrets,
}

impl State {
    /// A connection of which nothing has been seen.
    pub(super) fn new(
        common: &mut Common,
        server: &Arc<Server>,
        name: Option<Arc<SessionName>>,
    ) -> Self {
        State {
            number: common.next_number(),
            server: server.clone(),
            name,
            shared: false,
            blind: false,
            flights: Ways::default(),
            people: Ways::default(),
            client: Arc::default(),
            speaker: Arc::default(),
            modern: false,
            roots_due: false,
            missed: false,
            info: Named::default(),
            trace: None,
            secrets: SessionSecrets::default(),
        }
    }

    /// The server says what it calls itself, which is its name where the user's tells nothing.
    fn name_server(&mut self, name: &str) {
        if self.server.general && !name.is_empty() && !name.contains("://") {
            let server = Arc::make_mut(&mut self.server);
            (server.name, server.general) = (name.to_owned(), false);
        }
    }

    /// Gives what a server is asked without a session, by whomever.
    pub(super) fn shared(common: &mut Common, server: &Arc<Server>) -> Self {
        State { shared: true, ..State::new(common, server, None) }
    }

    /// Observation was lost, or something was seen that nobody can read.
    pub(super) fn doubt(&mut self) {
        self.missed = true;
        self.flights.0.iter_mut().for_each(Flight::doubt);
    }

    /// The same where only one call can be concerned.
    pub(super) fn doubt_one(&mut self, direction: Direction, key: &Key, exchange: u64) {
        self.flights[direction].doubt_one(key, exchange);
    }

    /// Says whether a subscription waits under `key`.
    pub(super) fn listens(&self, key: &Key) -> bool {
        self.flights[Direction::ClientToServer].get(key).is_some_and(Call::listens)
    }

    /// Shows what waits, both directions.
    pub(super) fn waiting(&self) -> impl Iterator<Item = InFlight<'_>> {
        let shown = |call| InFlight::of(call, &self.server.name, self.name.as_deref());
        self.flights.0.iter().flat_map(Flight::all).map(shown)
    }

    /// Says how many requests wait, both directions.
    pub(super) fn in_flight(&self) -> usize {
        self.flights.0.iter().map(Flight::len).sum()
    }
}

/// The rules, at work on one connection.
pub(super) struct Pairing<'a> {
    pub(super) common: &'a mut Common,
    pub(super) state: &'a mut State,
}

impl Pairing<'_> {
    /// Lets time pass: requests that nobody answers are said and, in the end, given up. Says when to look again.
    pub(super) fn tick(&mut self, now: Nanos) -> Nanos {
        for direction in Direction::BOTH {
            if self.state.flights[direction.reverse()].asks_people() {
                self.state.people[direction] = now;
            }
            self.give_up_late(direction, now);
            self.say_pending(direction, now);
        }
        let next = |flight: &Flight| flight.quiet_until.min(flight.pending_at);
        self.state.flights.0.iter().map(next).min().unwrap_or(now)
    }

    /// Gives up what has waited too long that way, if it is time to look.
    fn give_up_late(&mut self, direction: Direction, now: Nanos) {
        if now < self.state.flights[direction].quiet_until {
            return;
        }
        let timeout = nanos(self.common.settings.request_timeout);
        let people = self.state.people[direction];
        let late = |alive: Nanos| alive.max(people).saturating_add(timeout) <= now;
        let flight = &mut self.state.flights[direction];
        for (key, call) in flight.drain(|call| !call.waits() && late(call.alive)) {
            self.expect_late(direction, &key, now);
            self.end_unanswered(call, &Ending::bare(Outcome::Timeout, now));
        }
        let flight = &mut self.state.flights[direction];
        let oldest = flight.oldest().unwrap_or(now).max(people);
        flight.quiet_until = oldest.saturating_add(timeout);
    }

    /// The connection is over. What the client asked ends as `outcome`, subscriptions and what the
    /// server asked as cancelled.
    pub(super) fn end(&mut self, outcome: Outcome, now: Nanos) {
        for direction in Direction::BOTH {
            while self.state.flights[direction].len() > 0 {
                for (_, call) in self.state.flights[direction].drain(|_| true) {
                    let by_server = direction == Direction::ServerToClient;
                    let blameless = by_server || call.listens();
                    let outcome = if blameless { outcome.or_cancelled() } else { outcome };
                    self.end_unanswered(call, &Ending::bare(outcome, now));
                }
            }
        }
    }

    /// Nobody answers any more what the client asked by exchanges that are over.
    pub(super) fn end_adrift(&mut self, outcome: Outcome, now: Nanos) {
        let flight = &mut self.state.flights[Direction::ClientToServer];
        for (_, call) in flight.drain(|call| call.adrift) {
            let outcome = if call.listens() { outcome.or_cancelled() } else { outcome };
            self.end_unanswered(call, &Ending::bare(outcome, now));
        }
    }

    /// Ends those of the client's calls whose answers are owed and will not come any more, as `verdict` says.
    pub(super) fn end_owed(
        &mut self,
        verdict: impl Fn(&Owed) -> Option<Ending<'static>>,
        now: Nanos,
    ) {
        const WAY: Direction = Direction::ClientToServer;
        let over = |call: &Call| call.owed.as_ref().and_then(&verdict);
        loop {
            let gone = self.state.flights[WAY].drain(|call| over(call).is_some());
            if gone.is_empty() {
                return;
            }
            for (key, call) in gone {
                self.expect_late(WAY, &key, now);
                let ending = over(&call).unwrap_or(Ending::bare(Outcome::ServerGone, now));
                self.end_unanswered(call, &ending);
            }
        }
    }

    /// The connection is forgotten for want of room, and its calls with it.
    pub(super) fn evict(&mut self, now: Nanos) {
        for direction in Direction::BOTH {
            while self.state.flights[direction].len() > 0 {
                for (_, call) in self.state.flights[direction].drain(|_| true) {
                    self.leave(&call, now);
                    self.common.counts.dropped.overflow += call.spans();
                }
            }
        }
    }

    /// Takes the call that `exchange` brought under `key` out of the flight and ends it without an
    /// answer.
    pub(super) fn give_up(
        &mut self,
        direction: Direction,
        key: &Key,
        exchange: u64,
        ending: &Ending<'_>,
    ) {
        if let Some(call) = self.state.flights[direction].take(key, exchange) {
            self.expect_late(direction, key, ending.end);
            self.end_unanswered(call, ending);
        }
    }

    /// Ends a call to which no answer came. A doubtful one may have had its answer unseen.
    fn end_unanswered(&mut self, call: Box<Call>, ending: &Ending<'_>) {
        if call.doubtful {
            self.leave(&call, ending.end);
            self.common.counts.dropped.gap += call.spans();
        } else {
            self.finish(call, ending, Seen::default());
        }
    }

    /// Makes the span of a call that has left the flight.
    fn finish(&mut self, call: Box<Call>, ending: &Ending<'_>, seen: Seen) {
        self.leave(&call, ending.end);
        if call.probes() {
            self.probed(&call);
        }
        self.put_out(call, ending, seen);
    }

    /// Puts the span of a call out; of one whose parent was not sampled for processors alone.
    fn put_out(&mut self, mut call: Box<Call>, ending: &Ending<'_>, mut seen: Seen) {
        let common = &mut *self.common;
        let sampled = call.place.flags & super::trace::SAMPLED != 0
            || common.settings.unsampled == Unsampled::Keep;
        seen.arguments = std::mem::take(&mut call.arguments);
        seen.secrets = self.state.secrets.all(ending.end).with(&call.secrets);
        let response = common.keep_headers(ending.headers.as_ref());
        seen.headers = Headers { request: call.headers.take(), response };
        let speaker = call.speaker.take();
        let settings = Arc::clone(&common.settings);
        let frame = Frame {
            settings: &settings,
            kind: if call.hop.is_some() { Perspective::Client } else { common.settings.span_kind },
            server: &self.state.server,
            session: self.state.name.as_deref(),
            speaker: speaker.as_ref().unwrap_or(&self.state.client),
            info: &self.state.info,
            listed: common.lists(&self.state.server, &call.subject),
        };
        // A call of a tool without arguments is one with none, which is something to tell.
        let tells = seen != Seen::default() || matches!(call.subject, Subject::Tool(_));
        let (server, peers) = (&self.state.server, (&frame.speaker.who, frame.info));
        if let Some(hop) = call.hop.take() {
            common
                .put_out(server, sampled, peers, |span| frame.incoming(&call, &hop, ending, span));
            if !seen.secrets.is_empty() {
                let secrets = seen.secrets.clone();
                let span = SpanRef { span: hop.span, ..call.place.own };
                common.keep_seen(span, Seen { secrets, ..Seen::default() });
            }
            (call.carrier, call.place.beside) = (None, None);
            call.hop = Some(hop);
        }
        common.put_out(server, sampled, peers, |span| frame.span(&call, ending, span));
        if tells {
            seen.capture = call.capture;
            common.keep_seen(call.place.own, seen);
        }
    }

    /// A call is no longer in flight.
    fn leave(&mut self, call: &Call, now: Nanos) {
        self.common.left(call);
        // The second span of a hop is on the books once its call is over.
        self.common.counts.received += call.spans() - 1;
        if call.asks_people() {
            self.state.people[call.direction.reverse()] = now;
        }
    }

    /// For a while, an answer to that request is late and not an orphan.
    fn expect_late(&mut self, direction: Direction, key: &Key, now: Nanos) {
        self.common.expect_late(self.state.number, direction, key, now);
    }
}
