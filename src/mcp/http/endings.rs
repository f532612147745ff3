//! How calls end that got no answer by the time their exchange is over, and how sessions end.
//!
//! A response that fails or redirects by its status fails its calls. Else it depends on who left: a client
//! that disconnects cancels what only this exchange could have answered, and nothing of a legacy session. A
//! server that stops without an answer owes it where the session has another way for it; else it is gone,
//! and one that sent an empty response breaks the protocol.

use super::Verb;
use super::connections::Connections;
use super::exchange::{Asked, Body, ExchangeState, IdScope, SessionRef};
use crate::mcp::pairing::{Key, Pairing};
use crate::mcp::span::Ending;
use crate::mcp::{CancelledBy, Direction, Outcome};
use crate::telemetry::Nanos;

/// Says why an exchange is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its response ended.
    Ended,
    /// The client disconnected.
    Client,
    /// The server could not be reached, or broke off.
    Server,
    /// The tap refused it, or stops.
    Tap,
}

impl Cause {
    /// Says who cancels what can no longer be answered for it.
    fn cancels(self) -> CancelledBy {
        if self == Cause::Tap { CancelledBy::Tap } else { CancelledBy::Disconnect }
    }
}

/// Says how an exchange ended.
struct End {
    cause: Cause,
    /// The response said something, and was no stream, or one that said what nobody can read.
    told: bool,
    /// It came to its end, and there was nothing in it.
    empty: bool,
    /// The client had asked for the end of the session.
    leaving: bool,
}

/// Names what becomes of a call.
enum CallEnd {
    /// Its answer may come by another exchange.
    Stays,
    /// It has to, or the call ends like that.
    Waits(Outcome),
    /// It ends without an answer.
    Ends(Outcome),
    /// Its answer went by where nobody looked.
    Unseen,
}

impl Connections {
    /// An exchange is over. `reply` is its response, if that came at once.
    pub(super) fn over(
        &mut self,
        mut open: Box<ExchangeState>,
        reply: &[u8],
        cause: Cause,
        now: Nanos,
    ) {
        if matches!(cause, Cause::Ended | Cause::Server) {
            self.request_cut_short(&mut open, now);
        }
        let empty = cause == Cause::Ended && reply.is_empty() && open.reply.is_empty();
        let told = if reply.is_empty() {
            cause == Cause::Ended && self.reply_ended(&mut open, now)
        } else {
            self.reply_came(&mut open, reply, None, now);
            true
        };
        let told = told || (open.garbled && cause == Cause::Ended);
        let end = End { cause, told, empty, leaving: self.is_leaving(&open) };
        for (lane, key) in self.still_open(&mut open) {
            let fate = self.fate(&mut open, lane, &key, &end);
            self.apply(&mut open, lane, &key, fate, now);
        }
        self.end_askers(&mut open, cause, now);
        self.stream_over(&open, cause, now);
        self.end_home(&mut open, cause, now);
    }

    /// Decides about a call of this exchange that is open still.
    fn fate(&mut self, open: &mut ExchangeState, lane: IdScope, key: &Key, end: &End) -> CallEnd {
        // Only its own exchange can answer it.
        let scoped = key.scope != 0 || matches!(open.home, SessionRef::Provisional(_));
        // Nobody reads the body of a 202 to its end.
        let accepted = open.status == Some(202) && !scoped;
        match end.cause {
            Cause::Client if scoped => return given_up(open, lane),
            Cause::Client if !accepted && !open.resumable => return CallEnd::Stays,
            Cause::Tap => return CallEnd::Ends(Outcome::Cancelled(CancelledBy::Tap)),
            _ => {}
        }
        let listens = self.state(open, lane, |state| state.listens(key)) == Some(true);
        let by_stream = open.session().is_some_and(|handle| handle.by_stream);
        match open.status {
            Some(status @ 300..) => CallEnd::Ends(refused(status)),
            // The answer comes on the session's stream.
            Some(200..300) if by_stream && !scoped => CallEnd::Stays,
            _ if open.resumable && !scoped => CallEnd::Waits(Outcome::ServerGone),
            _ if listens => {
                let orderly = end.cause == Cause::Ended;
                let broken = Outcome::Cancelled(CancelledBy::Disconnect);
                CallEnd::Ends(if orderly { Outcome::Ok } else { broken })
            }
            // HTTP+SSE: its answer comes on a stream that began before we looked. Or it was none: what
            // was seen of it did not tell for certain.
            Some(202) if (scoped && !open.modern) || key.id.is_none() => CallEnd::Unseen,
            _ if end.leaving && !scoped => CallEnd::Ends(Outcome::Cancelled(CancelledBy::Client)),
            Some(202) if accepted => CallEnd::Waits(Outcome::ServerGone),
            Some(_) if end.told => CallEnd::Ends(Outcome::ProtocolError),
            Some(_) if end.cause == Cause::Ended => {
                let outcome = if end.empty { Outcome::ProtocolError } else { Outcome::ServerGone };
                if !scoped && self.has_streams(open) {
                    CallEnd::Waits(outcome)
                } else {
                    CallEnd::Ends(outcome)
                }
            }
            _ => CallEnd::Ends(Outcome::ServerGone),
        }
    }

    /// Says whether the session of an exchange is one whose streams are known.
    fn has_streams(&mut self, open: &ExchangeState) -> bool {
        let handle = open.session().filter(|_| !matches!(open.reply, Body::Lost));
        let entry = handle.and_then(|handle| self.sessions.get(handle.key));
        entry.is_some_and(|entry| entry.streams.known)
    }

    fn apply(
        &mut self,
        open: &mut ExchangeState,
        lane: IdScope,
        key: &Key,
        fate: CallEnd,
        now: Nanos,
    ) {
        let way = Direction::ClientToServer;
        let (number, status) = (open.number, open.status);
        let outcome = match fate {
            CallEnd::Stays => {
                self.state(open, lane, |state| state.flights[way].cast_adrift(key, number, None));
                return;
            }
            CallEnd::Waits(outcome) => return self.wait(open, key, outcome, now),
            CallEnd::Ends(outcome) => outcome,
            CallEnd::Unseen => {
                // What is doubtful is dropped, however it ends.
                self.state(open, lane, |state| state.doubt_one(way, key, number));
                Outcome::ServerGone
            }
        };
        let headers = open.headers.response.clone();
        let ending = Ending { status, headers, ..Ending::bare(outcome, now) };
        self.pair(open, lane, now, |pairing| pairing.give_up(way, key, number, &ending));
    }

    /// Gives what the server asked in an exchange without a session: nobody can answer it any more.
    fn end_askers(&mut self, open: &mut ExchangeState, cause: Cause, now: Nanos) {
        let (number, outcome) = (open.number, Outcome::Cancelled(cause.cancels()));
        for Asked { direction, lane, key } in std::mem::take(&mut open.asked) {
            if direction == Direction::ServerToClient {
                let ending = Ending::bare(outcome, now);
                self.pair(open, lane, now, |p| p.give_up(direction, &key, number, &ending));
            }
        }
    }

    /// Gives what the end of an exchange means for its session.
    fn end_home(&mut self, open: &mut ExchangeState, cause: Cause, now: Nanos) {
        let gone = matches!(cause, Cause::Ended | Cause::Server);
        let outcome = if gone { Outcome::ServerGone } else { Outcome::Cancelled(cause.cancels()) };
        let on_purpose = Outcome::Cancelled(CancelledBy::Client);
        // Whether a 404 says that the server knows no such session, and not that a call was in vain.
        let about_session = open.verb != Verb::Other && (open.legacy || !open.modern);
        let told_all = cause == Cause::Ended && !matches!(open.reply, Body::Lost);
        let unknown = about_session && told_all && !open.answered;
        match &mut open.home {
            SessionRef::None => {}
            SessionRef::Provisional(state) => {
                Pairing { common: &mut self.common, state }.end(outcome, now);
            }
            SessionRef::Session(handle) if handle.is_stream => {
                self.end_session(handle.key, outcome, now);
            }
            SessionRef::Session(handle) => {
                let deletes = open.verb == Verb::Delete;
                match open.status {
                    Some(200..300) if deletes => {
                        self.end_session(handle.key, on_purpose, now);
                    }
                    Some(404) if unknown && !handle.by_stream => {
                        let outcome = if deletes { on_purpose } else { outcome };
                        self.end_unknown_session(handle.key, outcome, now);
                    }
                    _ if deletes => {
                        let known = self.sessions.get(handle.key);
                        known.into_iter().for_each(|entry| entry.leaving = false);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Says whether the end of the session of an exchange was asked for.
    fn is_leaving(&mut self, open: &ExchangeState) -> bool {
        let handle = open.session();
        let entry = handle.and_then(|handle| self.sessions.get(handle.key));
        entry.is_some_and(|entry| entry.leaving)
    }
}

/// Says how a call ends whose client closed the one exchange that can answer it.
fn given_up(open: &ExchangeState, lane: IdScope) -> CallEnd {
    // In 2026-07-28 it is how a client cancels (basic/transports, cancellation).
    let on_purpose = open.modern && lane == IdScope::Shared;
    let by = if on_purpose { CancelledBy::Client } else { CancelledBy::Disconnect };
    CallEnd::Ends(Outcome::Cancelled(by))
}

/// Gives what a status says that refuses a request, or sends it elsewhere.
fn refused(status: u16) -> Outcome {
    match status {
        401 | 403 => Outcome::Auth,
        429 => Outcome::RateLimited,
        300..500 => Outcome::ClientError,
        _ => Outcome::ServerGone,
    }
}
