//! Where each message of an exchange is paired.
//!
//! Modern requests, and legacy ones without a session, are paired within their exchange; the rest
//! within the session, whichever exchange brings the answer. The era is told by each message. How
//! calls end that get no answer is decided elsewhere.

use super::connections::Connections;
use super::exchange::{Asked, Body, ExchangeState, IdScope, SessionRef};
use crate::json::Text;
use crate::mcp::call::Call;
use crate::mcp::messages::{Kind, Known};
use crate::mcp::pairing::{Cause, Flight, Key, Observed, State, Via};
use crate::mcp::{Direction, Finding, Id, Message, TraceContext};
use crate::telemetry::Nanos;

use Direction::{ClientToServer, ServerToClient};

/// JSON-RPC error by which servers say that a session is not known (TypeScript SDK).
const SESSION_NOT_FOUND: i64 = -32001;

/// One message, and what is known of how it came.
pub(super) struct What<'a> {
    pub(super) message: &'a Message<'a>,
    pub(super) size: u64,
    pub(super) known: Known,
    pub(super) now: Nanos,
    /// The context of the HTTP request.
    pub(super) context: Option<&'a TraceContext>,
    /// It is the only message of its body.
    pub(super) alone: bool,
}

impl Connections {
    /// A message of the client's.
    pub(super) fn client_says(&mut self, open: &mut ExchangeState, what: &What<'_>) {
        let id = Id::read(&what.message.id, &self.common.keys);
        let kind = Kind::of(what.message, what.known);
        if kind == Kind::NotRpc {
            return self.no_rpc(open, ClientToServer, what);
        }
        let lane = self.lane_of_client(open, what);
        let scope = open.scope(lane);
        match kind {
            Kind::Request => {
                if what.message.method.is_some_and(|method| method.is("initialize")) {
                    let (shared, now) = (IdScope::Shared, what.now);
                    self.pair(open, shared, now, |p| p.gives_up_probe(what.message, now));
                }
                self.ask(open, ClientToServer, lane, Key { scope, id }, what);
            }
            // A request whose id is out of sight: its exchange tells which answer is its.
            Kind::Unreadable if what.message.method.is_some() => {
                let key = Key { scope: open.number, id: None };
                self.ask(open, ClientToServer, lane, key, what);
            }
            Kind::Notification => self.notify(open, ClientToServer, lane, what),
            Kind::Answer => {
                let key = id.map(|id| Key::new(scope, id));
                self.answer(open, ClientToServer, lane, key, what);
            }
            Kind::Unreadable | Kind::NotRpc => {
                self.common.counts.received += 1;
                self.common.counts.dropped.unreadable += 1;
                self.request_unseen(open);
            }
        }
    }

    /// A message of the server's.
    pub(super) fn server_says(&mut self, open: &mut ExchangeState, what: &What<'_>) {
        let id = Id::read(&what.message.id, &self.common.keys);
        match Kind::of(what.message, what.known) {
            Kind::Request => {
                let lane = open.own_lane();
                let key = Key { scope: open.scope(lane), id };
                self.ask(open, ServerToClient, lane, key, what);
            }
            Kind::Notification => {
                let lane = self.lane_of_notification(open, what.message);
                self.notify(open, ServerToClient, lane, what);
            }
            Kind::Answer => self.answer_of_server(open, id, what),
            Kind::Unreadable => self.reply_unseen(open),
            Kind::NotRpc => {
                open.garbled = true;
                self.no_rpc(open, ServerToClient, what);
            }
        }
    }

    /// JSON that is not JSON-RPC, or an answer that nobody takes: of the only call of its exchange, if there is
    /// but one.
    fn no_rpc(&mut self, open: &mut ExchangeState, direction: Direction, what: &What<'_>) {
        self.common.counts.not_rpc += 1;
        if self.common.logs.wanted {
            let (lane, now) = (open.own_lane(), what.now);
            let call = self.cause(open, direction).map(|cause| cause.place());
            self.pair(open, lane, now, |p| p.find_no_rpc(what.message, direction, call, now));
        }
    }

    /// Says where a message of the client's is paired; makes the session if it is not known.
    fn lane_of_client(&mut self, open: &mut ExchangeState, what: &What<'_>) -> IdScope {
        let begins = what.message.method.is_some_and(|method| method.is("initialize"));
        // There is no modern handshake, whatever it says.
        if what.message.params.meta.protocol_version.is_some() && !begins {
            open.modern = true;
            return IdScope::Shared;
        }
        open.legacy = true;
        if begins && matches!(open.home, SessionRef::None) {
            open.home = match open.granted.take() {
                Some(handle) => SessionRef::Session(handle),
                None => {
                    let server = &self.servers[open.server].server;
                    SessionRef::Provisional(Box::new(State::new(&mut self.common, server, None)))
                }
            };
        }
        if let SessionRef::Session(handle) = &open.home {
            self.make_session(open.server, handle, what.now);
        }
        self.share_secrets(open, what.now);
        open.own_lane()
    }

    /// Says where a notification of the server's is paired: with the modern call it is about, if it is.
    fn lane_of_notification(&mut self, open: &mut ExchangeState, message: &Message<'_>) -> IdScope {
        let own = open.own_lane();
        if own == IdScope::Shared || !open.modern {
            return own;
        }
        let params = &message.params;
        let about = [&params.progress_token, &params.request_id]
            .map(|raw| Id::read(raw, &self.common.keys).map(|id| Key::new(open.number, id)));
        let flight = &self.servers[open.server].state.flights[ClientToServer];
        let [token, request] = about;
        let known = token.is_some_and(|token| flight.knows_token(&token))
            || request.is_some_and(|key| flight.holds(&key));
        if known { IdScope::Shared } else { own }
    }

    /// A request, either way.
    fn ask(
        &mut self,
        open: &mut ExchangeState,
        direction: Direction,
        lane: IdScope,
        key: Key,
        what: &What<'_>,
    ) {
        let mut seen = what.seen(open, direction, key.scope);
        let edited = open.edited.take_if(|_| direction == ClientToServer);
        seen.via.edited = edited.as_deref();
        let cause = self.cause(open, direction);
        seen.via.cause = cause.as_ref();
        let (secrets, headers) = (open.secrets.all(), open.headers.request.clone());
        seen.via.secrets = Some(&secrets);
        seen.via.headers = headers.as_ref().filter(|_| direction == ClientToServer);
        let fault = match direction {
            ClientToServer => open.mirrored.take().and_then(|head| head.fault(what.message)),
            ServerToClient => None,
        };
        let tracked = self
            .pair(open, lane, what.now, |pairing| pairing.request(what.message, key.clone(), seen));
        self.mismatch(open, lane, &key, fault, what.now);
        let scoped = direction == ClientToServer || lane == IdScope::Shared;
        if !tracked || !scoped {
            return;
        }
        if matches!(open.reply, Body::Lost) {
            let number = open.number;
            self.state(open, lane, |state| state.doubt_one(direction, &key, number));
        }
        open.asked.push(Asked { direction, lane, key });
    }

    /// A header did not say what the body says.
    fn mismatch(
        &mut self,
        open: &mut ExchangeState,
        lane: IdScope,
        key: &Key,
        fault: Option<String>,
        now: Nanos,
    ) {
        let Some(fault) = fault else { return };
        self.common.counts.header_mismatches += 1;
        let number = open.number;
        let place = |call: &Call| call.in_trace();
        let place =
            |state: &mut State| state.flights[ClientToServer].brought(key, number).map(place);
        let call = self.state(open, lane, place).flatten();
        self.pair(open, lane, now, |p| {
            p.find(Finding::HeaderMismatch, ClientToServer, call, now, || fault);
        });
    }

    fn notify(
        &mut self,
        open: &mut ExchangeState,
        direction: Direction,
        lane: IdScope,
        what: &What<'_>,
    ) {
        let mut seen = what.seen(open, direction, open.scope(lane));
        let secrets = open.secrets.all();
        seen.via.secrets = Some(&secrets);
        let logs = self.common.logs.wanted && self.common.settings.log_messages;
        let is_log = |method: Text<'_>| method.is("notifications/message");
        let cause = match what.message.method.is_some_and(|method| logs && is_log(method)) {
            true => self.cause(open, direction),
            false => None,
        };
        seen.via.cause = cause.as_ref();
        self.pair(open, lane, what.now, |pairing| pairing.notification(what.message, seen));
    }

    /// An answer to what waits under `key`.
    fn answer(
        &mut self,
        open: &mut ExchangeState,
        direction: Direction,
        lane: IdScope,
        key: Option<Key>,
        what: &What<'_>,
    ) {
        let mut seen = what.seen(open, direction, open.scope(lane));
        let (secrets, headers) = (open.secrets.all(), open.headers.response.clone());
        seen.via.secrets = Some(&secrets);
        seen.via.headers = headers.as_ref().filter(|_| direction == ServerToClient);
        self.pair(open, lane, what.now, |pairing| pairing.answer(what.message, key, seen));
    }

    /// An answer of the server's: to a request of this exchange, else to one of the session's.
    fn answer_of_server(&mut self, open: &mut ExchangeState, id: Option<Id>, what: &What<'_>) {
        if matches!(open.request, Body::Text(_)) {
            self.request_cut_short(open, what.now);
        }
        if let Some((lane, key)) = self.answered_by(open, id.as_ref()) {
            let code = what.message.error.as_ref().and_then(|error| error.code);
            open.answered |= code != Some(SESSION_NOT_FOUND);
            return self.answer(open, ServerToClient, lane, Some(key), what);
        }
        if matches!(open.request, Body::Lost) {
            // It may answer what went by unseen.
            self.common.counts.answers += 1;
            return;
        }
        if id.is_none() && what.known != Known::Whole {
            self.reply_unseen(open);
        }
        let lane = open.own_lane();
        let key = id.map(|id| Key::new(open.scope(lane), id));
        self.answer(open, ServerToClient, lane, key, what);
    }

    /// The request in flight that an answer under `id` belongs to.
    fn answered_by(&mut self, open: &mut ExchangeState, id: Option<&Id>) -> Option<(IdScope, Key)> {
        let lanes =
            [(IdScope::Shared, open.number), (open.own_lane(), open.scope(open.own_lane()))];
        // An id that is just the same comes first, wherever it waits.
        for holds in [Flight::holds, Flight::holds_number] {
            for (lane, scope) in lanes {
                let Some(id) = id else { break };
                let key = Key::new(scope, id.clone());
                let waits = |state: &mut State| holds(&state.flights[ClientToServer], &key);
                if self.state(open, lane, waits) == Some(true) {
                    return Some((lane, key));
                }
            }
        }
        self.only_open(open).filter(|(_, key)| id.is_none() || key.id.is_none())
    }

    /// The only request of the client's that this exchange brought and that is in flight.
    fn only_open(&mut self, open: &mut ExchangeState) -> Option<(IdScope, Key)> {
        /// Of a larger batch nobody looks for the one that is left: a server could have us look for ever.
        const LOOK: usize = 64;
        if open.asked.len() > LOOK {
            return None;
        }
        let mut still = self.still_open(open);
        still.pop().filter(|_| still.is_empty())
    }

    /// The call that a request of that direction comes with: the only one of a POST whose response brings it.
    fn cause(&mut self, open: &mut ExchangeState, direction: Direction) -> Option<Cause> {
        let by_server = direction == ServerToClient;
        let (lane, key) = by_server.then(|| self.only_open(open)).flatten()?;
        let number = open.number;
        let cause =
            |state: &mut State| state.flights[ClientToServer].brought(&key, number).map(Cause::of);
        self.state(open, lane, cause).flatten()
    }

    /// The client's requests that this exchange brought and that are in flight.
    pub(super) fn still_open(&mut self, open: &mut ExchangeState) -> Vec<(IdScope, Key)> {
        let asked = std::mem::take(&mut open.asked);
        let number = open.number;
        let mut still = Vec::new();
        for Asked { direction, lane, key } in &asked {
            let waits = |state: &mut State| state.flights[*direction].waits(key, number);
            if *direction == ClientToServer && self.state(open, *lane, waits) == Some(true) {
                still.push((*lane, key.clone()));
            }
        }
        open.asked = asked;
        still
    }
}

impl<'a> What<'a> {
    fn seen(&self, open: &ExchangeState, direction: Direction, scope: u64) -> Observed<'a> {
        let (size, known, now) = (self.size, self.known, self.now);
        let via = Via {
            scope,
            exchange: open.number,
            brought: open.asked.len(),
            http_version: open.http_version,
            status: open.status.filter(|_| direction == ServerToClient),
            protocol: open.protocol,
            context: self.context,
            alone: self.alone,
            edited: None,
            secrets: None,
            headers: None,
            // HTTP+SSE (2024-11-05); other streams bring what has to do with no call.
            whole: open.session().is_some_and(|handle| handle.is_stream),
            cause: None,
        };
        Observed { direction, size, known, now, via }
    }
}
