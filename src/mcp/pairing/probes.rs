//! `server/discover`, by which a client finds out which era a server is of.
//!
//! An old server refuses it, which is how the two agree on the handshake and no failure of anybody's, or
//! never answers. A client that waited long enough goes on with the handshake and leaves it at that: nothing
//! says that the probe is over, and over HTTP its exchange stays open as long as the client runs.

use super::*;

/// Says whether this refuses a probe, rather than failing at it: with an error of the caller's, or with one that
/// servers define themselves in a response of the caller's fault (the TypeScript SDK's of the legacy era answers 400
/// and -32000 to whatever comes before the handshake).
pub(super) fn is_refusal(code: Option<i64>, status: Option<u16>) -> bool {
    let callers = matches!(status, Some(400..500)) && matches!(code, Some(-32019..=-32000));
    callers || Outcome::of_code(code) == Outcome::ClientError
}

impl Pairing<'_> {
    /// A client shakes hands: `message` is its `initialize`. If it had probed the server and nothing came of
    /// that, the probe timed out. Where several clients are asked for, it is known by what it says of itself.
    /// Each probe is followed by one handshake at most, so that of a client whose own probe is over does
    /// not end another one's.
    pub(in crate::mcp) fn gives_up_probe(&mut self, message: &Message<'_>, now: Nanos) {
        let who = Named::read(&message.params.client).unwrap_or_default();
        let over = self.probe(&who);
        if self.common.followed(over) {
            return;
        }
        let alone = self.is_alone();
        let of_client = |call: &Call| alone || call.prober() == who;
        let way = Direction::ClientToServer;
        if let Some((key, exchange)) = self.state.flights[way].first_probe(of_client) {
            self.give_up(way, &key, exchange, &Ending::bare(Outcome::Timeout, now));
            self.common.followed(over);
        }
    }

    /// A probe is over, however it ended.
    pub(super) fn probed(&mut self, call: &Call) {
        let over = self.probe(&call.prober());
        self.common.probed(over);
    }

    /// Gives what a probe and the handshake that follows it have in common.
    fn probe(&self, who: &Named) -> u64 {
        let who = if self.is_alone() { None } else { Some(who) };
        self.common.hash((self.state.number, who))
    }

    /// Says whether all that is asked here is one client's.
    fn is_alone(&self) -> bool {
        self.state.name.is_some()
    }
}
