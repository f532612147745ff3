//! The streams of one legacy session that its client asked for by `GET`: on them come answers that the
//! exchange of their request did not bring.
//!
//! A server may accept a request (202) and answer it on such a stream, or end the response and go on with
//! it where the client resumes (2025-11-25). Both wait by one rule: a call waits as long as a stream is
//! open, for 5 minutes where one that brought event ids may be resumed, and without either for 5 s. It is a
//! state machine without a clock and knows of no message.

use crate::mcp::Outcome;
use crate::mcp::call::Owed;
use crate::mcp::span::Ending;
use crate::telemetry::Nanos;

/// Says how long a call waits for a stream where there is none. Both official clients ask for another one second after
/// theirs has ended.
pub(super) const PATIENCE: Nanos = 5_000_000_000;

/// Says how long a call waits for a client that may resume a stream: servers can ask it to stay away for a while
/// (`retry`, SSE), and one that never comes back must not keep its calls.
const RESUMPTION: Nanos = 300_000_000_000;

/// The streams of one session.
#[derive(Debug)]
pub(super) struct Streams {
    /// Says how many are open, or asked for and not refused.
    open: u32,
    /// One that ended brought event ids, so that its client may come back for the rest.
    resumable: bool,
    /// The session began under observation, or had a stream that was observed.
    pub(super) known: bool,
    /// One may be open that is not observed.
    pub(super) unseen: bool,
    /// Since when there has been none.
    none_since: Nanos,
    /// Says when the last one ended, and how calls end that waited for it.
    ended: Option<(Nanos, Outcome)>,
}

/// Says how a stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// It was open, and ended; its calls then end like that.
    Ended {
        /// Its client can tell from where to resume it.
        resumable: bool,
        /// Says how calls end that waited for it.
        outcome: Outcome,
    },
    /// The server would not open it.
    Refused,
    /// The client did not wait for it.
    GivenUp,
}

impl Streams {
    /// The streams of a session of which nothing has been seen. `begun`: it began under observation, so
    /// that no stream of it can have been overlooked.
    pub(super) fn new(begun: bool) -> Self {
        let (known, unseen) = (begun, !begun);
        Streams { open: 0, resumable: false, known, unseen, none_since: 0, ended: None }
    }

    /// The client asks for one.
    pub(super) fn asked(&mut self) {
        self.open += 1;
    }

    /// One that was asked for is open.
    pub(super) fn opened(&mut self) {
        self.known = true;
        // Servers have one such stream a session.
        self.unseen &= self.open > 1;
    }

    /// One that was asked for is over.
    pub(super) fn over(&mut self, how: Over, now: Nanos) {
        self.open = self.open.saturating_sub(1);
        self.none_since = now;
        match how {
            Over::Ended { resumable, outcome } => {
                self.resumable |= resumable;
                self.ended = Some((now, outcome));
            }
            Over::Refused => self.resumable = false,
            Over::GivenUp => {}
        }
    }

    /// The response to a request ended that may be resumed by such a stream.
    pub(super) fn may_be_resumed(&mut self) {
        self.resumable = true;
    }

    /// Something went by unseen: it may have been the request for a stream, if none is open.
    pub(super) fn overlooked(&mut self) {
        self.unseen |= self.open == 0;
    }

    /// Until when a call waits that is owed its answer; `None` as long as there is a way for it.
    pub(super) fn until(&self, owed: &Owed) -> Option<Nanos> {
        let patience = if self.resumable { RESUMPTION } else { PATIENCE };
        let since = owed.since.max(self.none_since);
        (self.open == 0).then(|| since.saturating_add(patience))
    }

    /// Says how it ends if it has waited long enough at `now`: when the last way for its answer was gone.
    pub(super) fn verdict(&self, owed: &Owed, now: Nanos) -> Option<Ending<'static>> {
        self.until(owed).filter(|until| *until <= now)?;
        let status = owed.status;
        let alone = || Ending { status, ..Ending::bare(owed.outcome, owed.since) };
        Some(self.last_word(owed).unwrap_or_else(alone))
    }

    /// Says how it ends if nothing more will come at all; `None` if no stream that it waited for has ended.
    pub(super) fn last_word(&self, owed: &Owed) -> Option<Ending<'static>> {
        let (at, outcome) = self.ended.filter(|(at, _)| self.open == 0 && *at >= owed.since)?;
        Some(Ending::bare(outcome, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWED: Owed = Owed { since: 100, outcome: Outcome::ProtocolError, status: Some(200) };
    const BROKEN: Over = Over::Ended { resumable: false, outcome: Outcome::ServerGone };
    const WITH_IDS: Over = Over::Ended { resumable: true, outcome: Outcome::ServerGone };

    /// Outcome and time of the end that is due at `now`.
    fn due(streams: &Streams, now: Nanos) -> Option<(Outcome, Nanos)> {
        streams.verdict(&OWED, now).map(|ending| (ending.outcome, ending.end))
    }

    #[test]
    fn without_a_stream_a_call_waits_for_five_seconds() {
        let streams = Streams::new(true);
        assert_eq!(due(&streams, 99 + PATIENCE), None);
        assert_eq!(due(&streams, 100 + PATIENCE), Some((Outcome::ProtocolError, 100)));
    }

    #[test]
    fn as_long_as_one_is_open_it_waits() {
        let mut streams = Streams::new(true);
        streams.asked();
        streams.asked();
        streams.opened();
        streams.over(BROKEN, 200);
        assert_eq!(due(&streams, Nanos::MAX), None);
        streams.over(BROKEN, 300);
        assert_eq!(due(&streams, 299 + PATIENCE), None);
        assert_eq!(due(&streams, 300 + PATIENCE), Some((Outcome::ServerGone, 300)));
        streams.asked();
        assert_eq!(due(&streams, Nanos::MAX), None, "the client came back");
    }

    #[test]
    fn one_that_ended_before_is_not_to_blame() {
        let mut streams = Streams::new(true);
        streams.asked();
        streams.over(BROKEN, 50);
        assert_eq!(due(&streams, 100 + PATIENCE), Some((Outcome::ProtocolError, 100)));
    }

    #[test]
    fn one_that_may_be_resumed_is_no_end_until_that_is_refused_or_nobody_came_for_long() {
        let mut streams = Streams::new(true);
        streams.asked();
        streams.over(WITH_IDS, 200);
        assert_eq!(due(&streams, 199 + RESUMPTION), None);
        assert_eq!(due(&streams, 200 + RESUMPTION), Some((Outcome::ServerGone, 200)));
        streams.asked();
        assert_eq!(due(&streams, Nanos::MAX), None, "it is asked for");
        streams.over(Over::GivenUp, 300);
        assert_eq!(due(&streams, 299 + RESUMPTION), None);
        streams.asked();
        streams.over(Over::Refused, 400);
        assert_eq!(due(&streams, 399 + PATIENCE), None);
        assert_eq!(due(&streams, 400 + PATIENCE), Some((Outcome::ServerGone, 200)));
    }

    #[test]
    fn one_may_be_open_unseen_until_one_is_seen() {
        assert!(!Streams::new(true).unseen);
        let mut streams = Streams::new(false);
        streams.asked();
        streams.opened();
        assert!(!streams.unseen);
        streams.overlooked();
        assert!(!streams.unseen, "that one is open still");
        streams.over(BROKEN, 1);
        streams.overlooked();
        assert!(streams.unseen);
    }
}
