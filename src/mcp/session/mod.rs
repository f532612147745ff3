//! One connection over stdio: bytes of two directions in, spans out.
//!
//! Bytes come in by direction ([`Session::bytes`] and what tells of its losses); finished spans go out
//! by [`Session::take`]. All times are handed in. Requests are paired by direction and typed id.
//!
//! The books balance at every moment: what a span is owed for was put out, was dropped for a reason,
//! or is in flight ([`Counts::balanced`]). After a gap in the observation the calls in flight are
//! doubtful: they may complete, but they never fail, time out or pair with a newer use of their id.

mod intake;

use std::sync::Arc;

use super::pairing::{Common, Pairing, State};
use super::span::Server;
use super::{
    CancelledBy, Counts, Direction, Edited, HandedBack, Hidden, Identity, InFlight, Lines, Outcome,
    Party, SessionName, Settings, Ways,
};
use crate::telemetry::{Content, Nanos, Needs, Offset, Telemetry};

/// Says how many ended requests, interim answers and tasks are remembered, each.
const REMEMBERED: usize = 1024;

/// The state of one observed connection.
#[derive(Debug)]
pub struct Session {
    lines: Ways<Lines>,
    /// Those of the server's stderr.
    stderr: Lines,
    common: Common,
    state: State,
    /// Says who went first.
    left_first: Option<Party>,
    /// Holds what was done to the request that comes next.
    edited: Ways<Option<Edited>>,
}

impl Session {
    /// A connection of which nothing has been seen. `seed` makes the trace and span ids.
    pub fn new(settings: Arc<Settings>, identity: Identity, seed: [u8; 32]) -> Self {
        let Identity { server, general, session, transport, ambient } = identity;
        let (address, port) = (String::new(), None);
        let server = Server { index: 0, name: server, general, transport, address, port };
        let name = SessionName { shown: session, clear: None };
        let mut common = Common::new(settings, REMEMBERED, seed);
        common.ambient = ambient;
        let state = State::new(&mut common, &Arc::new(server), Some(Arc::new(name)));
        let (lines, stderr) = (Ways::default(), Lines::default());
        Session { lines, stderr, common, state, left_first: None, edited: Ways::default() }
    }

    /// Shares the memory of what was handed back with others; each has its own otherwise.
    pub fn share(&mut self, handed_back: Arc<HandedBack>) {
        self.common.handed_back = handed_back;
    }

    /// Says where the wall clock is from here on: spans that begin later are told by it.
    pub fn anchor(&mut self, offset: Offset) {
        self.common.offset = offset;
    }

    /// Says what may be told of task ids from here on: nothing unless said otherwise.
    pub fn hide(&mut self, hidden: Hidden) {
        self.common.hidden = hidden;
    }

    /// Gives what of calls' content is kept for processors from here on: all of it unless said otherwise.
    pub fn keep(&mut self, needs: Needs) {
        self.common.needs = needs;
    }

    /// The books so far.
    pub fn counts(&self) -> Counts {
        self.common.counts()
    }

    /// Gives the name of the server.
    pub fn server(&self) -> &str {
        &self.state.server.name
    }

    /// Shows what waits for its answer, in no order.
    pub fn in_flight(&self) -> impl Iterator<Item = InFlight<'_>> {
        self.state.waiting()
    }

    /// Says how many spans are ready to be taken, and what log records weigh beside them.
    pub fn ready(&self) -> usize {
        self.common.ready()
    }

    /// The spans finished since the last call, with what was seen of them; those whose callers did not sample
    /// apart.
    pub fn take(&mut self) -> Vec<(Telemetry, Content)> {
        self.common.take()
    }

    /// The log records made since the last call, with what is searched for in them.
    pub fn take_logs(&mut self) -> Vec<(Telemetry, Content)> {
        self.common.logs.take()
    }

    /// Says whether log records are made from here on: none unless somebody wants them.
    pub fn want_logs(&mut self, wanted: bool) {
        self.common.logs.wanted = wanted;
    }

    /// Lets time pass: requests that nobody answers are given up.
    pub fn tick(&mut self, now: Nanos) {
        self.pairing().tick(now);
    }

    /// The server is gone: nothing in flight will be answered any more.
    ///
    /// A request of the client's ends as `server_gone`, unless the client had [left](Self::left) first, so
    /// that nobody wanted the answer, or the tap was [stopped](Self::stopped): then it ends as `cancelled`, as
    /// subscriptions and the server's own requests always do.
    pub fn end(&mut self, now: Nanos) {
        self.flush_stderr(now);
        Direction::BOTH.into_iter().for_each(|direction| self.flush(direction, now));
        let outcome = match self.left_first {
            Some(Party::Client) => Outcome::Cancelled(CancelledBy::Disconnect),
            Some(Party::Tap) => Outcome::Cancelled(CancelledBy::Tap),
            Some(Party::Server) | None => Outcome::ServerGone,
        };
        self.pairing().end(outcome, now);
    }

    fn pairing(&mut self) -> Pairing<'_> {
        Pairing { common: &mut self.common, state: &mut self.state }
    }
}

#[cfg(test)]
mod tests;
