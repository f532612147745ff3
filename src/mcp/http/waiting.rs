//! Calls that wait for an answer which their own exchange did not bring, and where it may come from.

use super::Verb;
use super::connections::Connections;
use super::endings::Cause;
use super::exchange::{Body, ExchangeState, SessionRef};
use super::streams::{Over, PATIENCE};
use crate::mcp::call::Owed;
use crate::mcp::pairing::{Key, Pairing};
use crate::mcp::{CancelledBy, Direction, Outcome};
use crate::telemetry::Nanos;

impl Connections {
    /// A client asks for a stream of a session that is known, by a request like that: the session's number.
    pub(super) fn asks_for_stream(&mut self, verb: Verb, home: &SessionRef) -> Option<u64> {
        let SessionRef::Session(handle) = home else { return None };
        let entry = self.sessions.get(handle.key).filter(|_| verb == Verb::Get)?;
        entry.streams.asked();
        Some(entry.number)
    }

    /// The server opened it.
    pub(super) fn stream_opened(&mut self, open: &mut ExchangeState) {
        let SessionRef::Session(handle) = &open.home else { return };
        let Some(entry) = self.sessions.get(handle.key) else { return };
        if open.streams != Some(entry.number) {
            entry.streams.asked();
            open.streams = Some(entry.number);
        }
        if !matches!(open.reply, Body::Lost) {
            entry.streams.opened();
        }
    }

    /// An exchange that asked for a stream is over.
    pub(super) fn stream_over(&mut self, open: &ExchangeState, cause: Cause, now: Nanos) {
        let SessionRef::Session(handle) = &open.home else { return };
        let Some(entry) = self.sessions.get(handle.key) else { return };
        if open.streams != Some(entry.number) {
            return;
        }
        let by_server = matches!(cause, Cause::Ended | Cause::Server);
        let how = if open.is_stream() {
            let outcome = match cause {
                Cause::Ended | Cause::Server => Outcome::ServerGone,
                Cause::Client => Outcome::Cancelled(CancelledBy::Disconnect),
                Cause::Tap => Outcome::Cancelled(CancelledBy::Tap),
            };
            Over::Ended { resumable: open.resumable || open.resumes, outcome }
        } else if by_server {
            Over::Refused
        } else {
            Over::GivenUp
        };
        entry.streams.over(how, now);
        entry.look_at = entry.look_at.min(now.saturating_add(PATIENCE));
        self.look_at = self.look_at.min(entry.look_at);
    }

    /// A call is owed its answer from now on.
    pub(super) fn wait(&mut self, open: &ExchangeState, key: &Key, outcome: Outcome, now: Nanos) {
        let (number, status, resumable) = (open.number, open.status, open.resumable);
        let Some(handle) = open.session() else { return };
        let Some(entry) = self.sessions.get(handle.key) else { return };
        let owed = Owed { since: now, outcome, status };
        entry.state.flights[Direction::ClientToServer].cast_adrift(key, number, Some(owed));
        if resumable {
            entry.streams.may_be_resumed();
        } else if entry.streams.unseen {
            entry.state.doubt_one(Direction::ClientToServer, key, number);
        }
        entry.look_at = entry.look_at.min(entry.streams.until(&owed).unwrap_or(Nanos::MAX));
        self.look_at = self.look_at.min(entry.look_at);
    }

    /// Ends the calls whose answers can come no more.
    pub(super) fn end_in_vain(&mut self, now: Nanos) {
        if now < self.look_at {
            return;
        }
        self.look_at = Nanos::MAX;
        let common = &mut self.common;
        for entry in self.sessions.all() {
            if entry.look_at <= now {
                let (state, streams) = (&mut entry.state, &entry.streams);
                Pairing { common: &mut *common, state }
                    .end_owed(|owed| streams.verdict(owed, now), now);
                let owed = entry.state.flights[Direction::ClientToServer].owed();
                let next = owed.filter_map(|owed| streams.until(owed)).min();
                entry.look_at = next.unwrap_or(Nanos::MAX);
            }
            self.look_at = self.look_at.min(entry.look_at);
        }
    }

    /// Nothing more will come: calls that waited for a stream that has ended end with it.
    pub(super) fn end_waiting(&mut self, now: Nanos) {
        let common = &mut self.common;
        for entry in self.sessions.all() {
            let (state, streams) = (&mut entry.state, &entry.streams);
            Pairing { common: &mut *common, state }.end_owed(|owed| streams.last_word(owed), now);
        }
    }
}
