//! What a request of the server's has to do with the calls of the client's: which of them caused it, and
//! whom it is sent to. Where that cannot be known for certain nothing is told.

use super::*;
use crate::mcp::Params;

/// The call that a request of the server's came with.
#[derive(Clone, Debug)]
pub(in crate::mcp) struct Cause {
    place: (SpanRef, u8),
    /// The client that its request named.
    speaker: Option<Arc<ClientInfo>>,
}

impl Cause {
    pub(in crate::mcp) fn of(call: &Call) -> Self {
        Cause { place: call.in_trace(), speaker: call.speaker.clone() }
    }
}

impl Cause {
    /// Says where the call's span stands, and the flags of its trace.
    pub(in crate::mcp) fn place(&self) -> (SpanRef, u8) {
        self.place
    }
}

impl Pairing<'_> {
    /// The call that caused a request of the server's: the one whose task it names, the one under whose
    /// progress token it runs, the one whose exchange brings it, or, where all that a server sends comes one
    /// way, the only one in flight. The roots that a client has just told of are asked for in nobody's call.
    pub(super) fn cause(
        &mut self,
        method: &str,
        params: &Params<'_>,
        seen: Observed<'_>,
    ) -> Option<SpanRef> {
        let in_no_call = method == "roots/list" && std::mem::take(&mut self.state.roots_due);
        let related = params.meta.related_task;
        let task = related.map(|task| self.common.task_key(self.state.number, &task));
        if let Some(call) = task.and_then(|task| self.common.task(task)) {
            return Some(call);
        }
        let flight = &self.state.flights[seen.direction.reverse()];
        // Both sides count from nought, so a number is the token of either's own request as a rule.
        let token = Id::read(&params.meta.progress_token, &self.common.keys);
        let token = token.filter(|id| matches!(id, Id::Text(_)) && id.spelled().is_none());
        if let Some(call) = token.and_then(|id| flight.asks_for(&Key::new(seen.via.scope, id))) {
            return Some(call.place.own);
        }
        if let Some(cause) = seen.via.cause {
            return Some(cause.place.0);
        }
        let certain = seen.via.whole && !self.state.missed && related.is_none() && !in_no_call;
        flight.only_call().filter(|_| certain).map(|call| call.place.own)
    }

    /// The client that a request concerns: the one that a modern request of its own names; for one of the
    /// server's, which names nobody, that of the call it came with, else the one that spoke last. `None` for
    /// the client of the handshake.
    pub(super) fn speaker(
        &mut self,
        meta: &Meta<'_>,
        seen: Observed<'_>,
    ) -> Option<Arc<ClientInfo>> {
        if seen.direction == Direction::ServerToClient {
            let of_cause = seen.via.cause.and_then(|cause| cause.speaker.clone());
            return of_cause.or_else(|| self.state.modern.then(|| self.state.speaker.clone()));
        }
        meta.protocol_version?;
        // Kept from request to request, because they all say the same as a rule.
        if !self.state.speaker.matches(meta) {
            self.state.speaker = Arc::new(ClientInfo::read(meta));
        }
        Some(self.state.speaker.clone())
    }
}
