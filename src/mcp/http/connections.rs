//! Keeps what the exchanges of one tap are about: its servers, their sessions, and what all of them share.
//!
//! Knows where the messages of an exchange belong, what heads tell of that, and what a loss of
//! observation makes doubtful. Reads no message.

use std::sync::Arc;

use super::credentials::Credentials;
use super::endpoint::MAX_ENDPOINT;
use super::exchange::{Asked, Body, ExchangeState, Handle, HeadsSecrets, IdScope, SessionRef};
use super::mirrored::Mirrored;
use super::sessions::Sessions;
use super::target::comparable;
use super::{BodyKind, HeadContent, HeadField, HttpServer, RequestHead, ResponseHead, Verb};
use crate::mcp::call::VERSIONS;
use crate::mcp::pairing::{Common, Pairing, State};
use crate::mcp::secrets::{FORGOTTEN_AFTER, HeadSecrets};
use crate::mcp::span::Server;
use crate::mcp::{CancelledBy, Outcome, SessionNames, Settings, TraceContext, Transport};
use crate::telemetry::{Header, Headers, Nanos};

/// Says how many ended requests, interim answers and tasks are remembered, each, over all sessions.
const REMEMBERED: usize = 16_384;

/// Servers, sessions, and what they share.
pub(super) struct Connections {
    pub(super) common: Common,
    pub(super) servers: Vec<Tapped>,
    pub(super) sessions: Sessions,
    pub(super) session_name: SessionNames,
    /// The secrets that heads carried lately.
    credentials: Credentials,
    /// Says when to look whether some are to be forgotten.
    forgets_at: Nanos,
    /// No call waits in vain before this.
    pub(super) look_at: Nanos,
}

/// One server, and what it is asked without a session.
pub(super) struct Tapped {
    pub(super) server: Arc<Server>,
    pub(super) state: State,
}

impl Connections {
    pub(super) fn new(
        settings: Arc<Settings>,
        servers: Vec<HttpServer>,
        ambient: Option<TraceContext>,
        seed: [u8; 32],
        session_name: SessionNames,
    ) -> Self {
        let mut common = Common::new(settings, REMEMBERED, seed);
        common.ambient = ambient;
        // A tap of nothing is a tap of a server that nobody named.
        let nobody = servers.is_empty().then(HttpServer::default);
        let tapped = |(index, server): (usize, HttpServer)| {
            let HttpServer { name, address, port } = server;
            let (transport, general) = (Transport::Http, false);
            let server = Arc::new(Server { index, name, general, transport, address, port });
            Tapped { state: State::shared(&mut common, &server), server }
        };
        let servers = servers.into_iter().chain(nobody).enumerate().map(tapped).collect();
        let sessions = Sessions::default();
        Connections {
            common,
            servers,
            sessions,
            session_name,
            credentials: Credentials::default(),
            forgets_at: 0,
            look_at: Nanos::MAX,
        }
    }

    /// Walks over what is known of servers and of sessions.
    pub(super) fn states(&self) -> impl Iterator<Item = &State> {
        self.servers.iter().map(|tapped| &tapped.state).chain(self.sessions.known())
    }

    /// The longest message that is read whole, in bytes.
    pub(super) fn max_message_bytes(&self) -> usize {
        self.common.settings.max_message_bytes
    }

    /// An exchange begins.
    pub(super) fn open(&mut self, x: u64, head: &RequestHead<'_>, now: Nanos) -> ExchangeState {
        let server = head.server.min(self.servers.len() - 1);
        let home = self.home(server, head);
        if head.verb == Verb::Delete
            && let SessionRef::Session(handle) = &home
        {
            let known = self.sessions.get(handle.key);
            known.into_iter().for_each(|entry| entry.leaving = true);
        }
        let streams = self.asks_for_stream(head.verb, &home);
        let posts = head.verb == Verb::Post;
        let target = if head.verb == Verb::Get { head.target } else { b"" };
        let version = head.protocol_version.unwrap_or_default();
        let request = self.secrets(&head.content, head.session, head.target, now);
        let redacts = self.common.needs.secrets;
        let headers = redacts.then(|| gathered(head.content.headers)).flatten();
        ExchangeState {
            number: x.saturating_add(1),
            server,
            verb: head.verb,
            http_version: head.http_version,
            protocol: VERSIONS.into_iter().find(|known| known.as_bytes() == version),
            context: self.context(head).filter(|_| posts).map(Box::new),
            secrets: HeadsSecrets { request, response: None },
            headers: Headers { request: headers, response: None },
            mirrored: (posts && self.common.logs.wanted).then(|| Box::new(Mirrored::of(head))),
            edited: None,
            resumes: head.resumes,
            target: target[..target.len().min(MAX_ENDPOINT)].into(),
            home,
            granted: None,
            request: if posts { Body::new(BodyKind::Other) } else { Body::Nothing },
            status: None,
            reply: Body::Nothing,
            resumable: false,
            streams,
            asked: Vec::new(),
            doubted: 0,
            modern: false,
            legacy: false,
            answered: false,
            garbled: false,
        }
    }

    /// An exchange that is not observed for want of room. Whatever it has to do with its session goes
    /// by unseen.
    pub(super) fn overflow(&mut self, head: &RequestHead<'_>) {
        let posts = u64::from(head.verb == Verb::Post);
        self.common.counts.received += posts;
        self.common.counts.dropped.overflow += posts;
        let server = head.server.min(self.servers.len() - 1);
        if let SessionRef::Session(handle) = self.home(server, head) {
            self.doubt_session(handle.key);
            let known = self.sessions.get(handle.key).filter(|_| head.verb == Verb::Get);
            known.into_iter().for_each(|entry| entry.streams.unseen = true);
        }
    }

    /// The head of a response came.
    pub(super) fn replied(
        &mut self,
        open: &mut ExchangeState,
        head: &ResponseHead<'_>,
        now: Nanos,
    ) {
        open.status = Some(head.status);
        if self.common.needs.secrets {
            open.secrets.response = self.secrets(&head.content, head.session, b"", now);
            open.headers.response = gathered(head.content.headers);
        }
        if let Some(raw) = head.session.filter(|raw| !raw.is_empty()) {
            self.grant(open, raw, now);
        }
        let streams = head.kind == BodyKind::Sse;
        if !matches!(open.reply, Body::Lost) && (streams || open.verb == Verb::Post) {
            open.reply = Body::new(head.kind);
        }
        if open.is_stream()
            && let SessionRef::Session(handle) = &open.home
        {
            self.make_session(open.server, handle, now);
            self.stream_opened(open);
        }
        self.share_secrets(open, now);
    }

    /// Finds the secrets of a head, as long as somebody searches for them.
    fn secrets(
        &mut self,
        content: &HeadContent<'_>,
        session: Option<&[u8]>,
        target: &[u8],
        now: Nanos,
    ) -> Option<Arc<HeadSecrets>> {
        if !self.common.needs.secrets {
            return None;
        }
        let found = self.credentials.of(content, session, target, now);
        self.common.counts.content_dropped += u64::from(found.is_err());
        found.ok().flatten()
    }

    /// Forgets the secrets of heads and sessions that were not seen for a while. Looks seldom.
    pub(super) fn forget_secrets(&mut self, now: Nanos) {
        /// Says how often, in nanoseconds.
        const EVERY: Nanos = FORGOTTEN_AFTER / 10;
        if now < self.forgets_at {
            return;
        }
        self.forgets_at = now.saturating_add(EVERY);
        self.credentials.forget(now);
        self.sessions.states().for_each(|state| state.secrets.forget(now));
    }

    /// Has the secrets that the heads of an exchange carried searched for in what is told of its whole session.
    pub(super) fn share_secrets(&mut self, open: &mut ExchangeState, now: Nanos) {
        let state = match &mut open.home {
            SessionRef::None => return,
            SessionRef::Provisional(state) => state,
            SessionRef::Session(handle) => match self.sessions.get(handle.key) {
                Some(entry) => &mut entry.state,
                None => return,
            },
        };
        for head in [&open.secrets.request, &open.secrets.response].into_iter().flatten() {
            state.secrets.add(head, now);
        }
    }

    /// There is no room for the headers of an exchange.
    pub(super) fn give_up_headers(&mut self, open: &mut ExchangeState) {
        if open.headers != Headers::default() {
            open.headers = Headers::default();
            self.common.counts.content_dropped += 1;
        }
    }

    /// A response brought a session id. It is of use to a handshake, which may not have been read yet.
    fn grant(&mut self, open: &mut ExchangeState, raw: &[u8], now: Nanos) {
        match std::mem::replace(&mut open.home, SessionRef::None) {
            SessionRef::Provisional(mut state) => {
                let handle = self.handle(open.server, raw, false);
                state.name = Some(handle.name.clone());
                self.end_session(handle.key, Outcome::ServerGone, now);
                self.sessions.insert(&handle, (*state, true), &mut self.common, now);
                open.home = SessionRef::Session(handle);
            }
            SessionRef::None if matches!(open.request, Body::Text(_)) => {
                open.granted = Some(self.handle(open.server, raw, false));
            }
            home => open.home = home,
        }
    }

    /// The session is in use; makes it if it is not known.
    pub(super) fn make_session(&mut self, server: usize, handle: &Handle, now: Nanos) {
        if !self.sessions.touch(handle.key) {
            let server = &self.servers[server].server;
            let state = State::new(&mut self.common, server, Some(handle.name.clone()));
            self.sessions.insert(handle, (state, false), &mut self.common, now);
        }
    }

    /// Observation of a request is lost.
    pub(super) fn request_lost(&mut self, open: &mut ExchangeState) {
        if matches!(open.request, Body::Text(_)) {
            self.common.counts.received += 1;
            self.common.counts.dropped.gap += 1;
            self.request_unseen(open);
        }
    }

    /// Observation of a response is lost.
    pub(super) fn reply_lost(&mut self, open: &mut ExchangeState) {
        open.reply = Body::Lost;
        self.reply_unseen(open);
        if let SessionRef::Session(handle) = &open.home
            && handle.is_stream
            && let Some(entry) = self.sessions.get(handle.key)
        {
            // No answer of this session will be seen any more.
            entry.state.blind = true;
        }
        if let SessionRef::Session(handle) = &open.home
            && open.verb == Verb::Get
            && let Some(entry) = self.sessions.get(handle.key)
        {
            entry.streams.unseen = true;
        }
    }

    /// Whole exchanges went by unobserved.
    pub(super) fn gap(&mut self, requests: u64, bytes: u64) {
        let counts = &mut self.common.counts;
        counts.gaps += 1;
        counts.gap_bytes += bytes;
        counts.received += requests;
        counts.dropped.gap += requests;
        for entry in self.sessions.all() {
            entry.state.doubt();
            entry.streams.overlooked();
        }
    }

    /// Lets time pass in all connections. Says when to look again.
    pub(super) fn tick<'a>(
        &mut self,
        provisional: impl Iterator<Item = &'a mut State>,
        now: Nanos,
    ) -> Nanos {
        let common = &mut self.common;
        let mut next = Nanos::MAX;
        let mut tick = |state: &mut State| {
            next = next.min(Pairing { common: &mut *common, state }.tick(now));
        };
        provisional.for_each(&mut tick);
        self.servers.iter_mut().map(|tapped| &mut tapped.state).for_each(&mut tick);
        self.sessions.states().for_each(&mut tick);
        next
    }

    /// All is over.
    pub(super) fn finish(&mut self, now: Nanos) {
        self.end_waiting(now);
        let common = &mut self.common;
        let shared = self.servers.iter_mut().map(|tapped| &mut tapped.state);
        for state in shared.chain(self.sessions.states()) {
            Pairing { common: &mut *common, state }.end(Outcome::Cancelled(CancelledBy::Tap), now);
        }
    }

    /// A session is over. What the client asked in it ends as `outcome`.
    pub(super) fn end_session(&mut self, key: u64, outcome: Outcome, now: Nanos) {
        if let Some(mut entry) = self.sessions.remove(key) {
            Pairing { common: &mut self.common, state: &mut entry.state }.end(outcome, now);
        }
    }

    /// A 404 says that the server does not know a session, or it has no such place and knows it well. What
    /// waits for another exchange waits in vain; calls whose own goes on will hear from that.
    pub(super) fn end_unknown_session(&mut self, key: u64, outcome: Outcome, now: Nanos) {
        let Some(entry) = self.sessions.get(key) else { return };
        Pairing { common: &mut self.common, state: &mut entry.state }.end_adrift(outcome, now);
        if entry.state.in_flight() == 0 {
            self.sessions.remove(key);
        }
    }

    /// A body of messages went by that nobody could read: it may have cancelled or answered something.
    pub(super) fn request_unseen(&mut self, open: &mut ExchangeState) {
        open.request = Body::Lost;
        if let SessionRef::Session(handle) = &open.home {
            self.doubt_session(handle.key);
        }
    }

    /// A body of a response went by that nobody could read: it may have held any answer that it could.
    pub(super) fn reply_unseen(&mut self, open: &mut ExchangeState) {
        let asked = std::mem::take(&mut open.asked);
        for Asked { direction, lane, key } in &asked[open.doubted..] {
            let number = open.number;
            self.state(open, *lane, |state| state.doubt_one(*direction, key, number));
        }
        open.doubted = asked.len();
        open.asked = asked;
        if open.verb == Verb::Get
            && let SessionRef::Session(handle) = &open.home
        {
            self.doubt_session(handle.key);
        }
    }

    fn doubt_session(&mut self, key: u64) {
        self.sessions.get(key).into_iter().for_each(|entry| entry.state.doubt());
    }

    /// Looks at what is known where messages of that lane belong; `None` if it is known no more.
    pub(super) fn state<R>(
        &mut self,
        open: &mut ExchangeState,
        lane: IdScope,
        look: impl FnOnce(&mut State) -> R,
    ) -> Option<R> {
        match &mut open.home {
            SessionRef::Provisional(state) if lane == IdScope::SessionRef => Some(look(state)),
            SessionRef::Session(handle) if lane == IdScope::SessionRef => {
                self.sessions.get(handle.key).map(|entry| look(&mut entry.state))
            }
            _ => Some(look(&mut self.servers[open.server].state)),
        }
    }

    /// Pairs something where it belongs. A session that is over comes back only for the client.
    pub(super) fn pair<R>(
        &mut self,
        open: &mut ExchangeState,
        lane: IdScope,
        now: Nanos,
        pair: impl FnOnce(&mut Pairing<'_>) -> R,
    ) -> R {
        let common = &mut self.common;
        let tapped = &mut self.servers[open.server];
        let state = match &mut open.home {
            SessionRef::Provisional(state) if lane == IdScope::SessionRef => state,
            SessionRef::Session(handle) if lane == IdScope::SessionRef => {
                match self.sessions.get(handle.key) {
                    Some(entry) => &mut entry.state,
                    None => {
                        let mut state =
                            State::new(common, &tapped.server, Some(handle.name.clone()));
                        let mut pairing = Pairing { common, state: &mut state };
                        let paired = pair(&mut pairing);
                        pairing.end(Outcome::Cancelled(CancelledBy::Disconnect), now);
                        return paired;
                    }
                }
            }
            _ => &mut tapped.state,
        };
        pair(&mut Pairing { common, state })
    }

    /// The context of the HTTP request, if it is valid.
    fn context(&mut self, head: &RequestHead<'_>) -> Option<TraceContext> {
        let traceparent = head.traceparent.filter(|_| head.verb == Verb::Post)?;
        let tracestate = head.tracestate.and_then(|state| std::str::from_utf8(state).ok());
        let context = TraceContext::parse(traceparent, tracestate);
        self.common.counts.bad_traceparents += u64::from(context.is_none());
        context
    }

    /// The session that a request says it belongs to.
    fn home(&self, server: usize, head: &RequestHead<'_>) -> SessionRef {
        if let Some(raw) = head.session.filter(|raw| !raw.is_empty()) {
            return SessionRef::Session(self.handle(server, raw, false));
        }
        let maybe = head.verb == Verb::Post && head.target.len() <= MAX_ENDPOINT;
        if maybe && self.sessions.by_stream() > 0 {
            let key = self.common.hash((server, true, comparable(head.target).as_slice()));
            if let Some(name) = self.sessions.name(key) {
                return SessionRef::Session(Handle {
                    key,
                    name,
                    by_stream: true,
                    is_stream: false,
                });
            }
        }
        SessionRef::None
    }

    /// Makes what finds the session that `raw` names.
    pub(super) fn handle(&self, server: usize, raw: &[u8], by_stream: bool) -> Handle {
        let key = self.common.hash((server, by_stream, raw));
        let known = self.sessions.name(key);
        let name = known.unwrap_or_else(|| Arc::new((self.session_name)(raw)));
        Handle { key, name, by_stream, is_stream: false }
    }
}

/// Gathers headers by name; `None` if there are none.
fn gathered(fields: &[HeadField<'_>]) -> Option<Arc<[Header]>> {
    let mut headers: Vec<Header> = Vec::new();
    for HeadField { key, value } in fields {
        let value = value.and_then(|value| std::str::from_utf8(value).ok()).map(Box::from);
        match headers.iter_mut().find(|header| header.key == **key) {
            Some(header) => header.values.push(value),
            None => headers.push(Header { key: Arc::clone(key), values: vec![value] }),
        }
    }
    (!headers.is_empty()).then(|| headers.into())
}
