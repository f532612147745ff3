//! The books of one tap: of a stdio connection, or of all HTTP sessions together.

use super::{LogCounts, PassbackCounts};

/// Holds what was seen and what became of it, since the tap began. Everything only grows, but `in_flight`. At any time
/// `received == spans + dropped.total() + in_flight`. Where the tap is a hop a call makes two spans; the second is on
/// these books once the call is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Holds what a span is owed for: requests, notifications where they make spans, and client lines that nobody can
    /// tell any more.
    pub received: u64,
    /// Spans put out.
    pub spans: u64,
    /// Spans that will never be put out.
    pub dropped: Dropped,
    /// Requests that wait for their answer.
    pub in_flight: u64,

    /// Lines framed, blank and unreadable ones included.
    pub lines: u64,
    /// Lines of white space.
    pub blank: u64,
    /// Lines, bodies and events that are something else than one JSON object or array: banners, log text,
    /// text beside an object. Requests in them count as such all the same; answers do not, for nobody can
    /// read them.
    pub junk: u64,
    /// JSON that is not JSON-RPC, or an answer that the one who waits for it cannot take.
    pub not_rpc: u64,
    /// JSON-RPC batches (arrays); their entries count as messages.
    pub batches: u64,
    /// Requests, both directions.
    pub requests: u64,
    /// Notifications, both directions.
    pub notifications: u64,
    /// Answers, both directions.
    pub answers: u64,

    /// Answers to no request known.
    pub orphans: u64,
    /// Messages of a resumed stream that were seen before.
    pub replayed: u64,
    /// Answers to a request that was cancelled or given up before.
    pub late: u64,
    /// Cancellations of no request known.
    pub cancels_unknown: u64,
    /// Requests whose id was in flight already; answered first come, first served.
    pub duplicate_ids: u64,
    /// Answers and progress under the text of an integer, where that integer was waited for.
    pub text_ids: u64,
    /// `traceparent` values that are none; treated as absent.
    pub bad_traceparents: u64,
    /// Requests that had waited so long that it was to be said.
    pub pending: u64,
    /// Progress beyond what one span carries.
    pub events_dropped: u64,
    /// Arguments, results or error texts not kept because too many bytes were held.
    pub content_dropped: u64,

    /// Messages longer than what is observed.
    pub cut: u64,
    /// Losses of observation.
    pub gaps: u64,
    /// Bytes lost in them.
    pub gap_bytes: u64,
    /// Lines torn by them.
    pub torn: u64,

    /// Requests with headers that do not say what their body says.
    pub header_mismatches: u64,
    /// Log records; they are on books of their own.
    pub logs: LogCounts,
    /// Spans that servers handed back; they are on books of their own.
    pub passback: PassbackCounts,
}

/// Says why a span is not put out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// A gap in the observation swallowed the line, or left the call without an answer.
    pub gap: u64,
    /// The message was longer than what is observed, and neither end of it told what it was.
    pub unreadable: u64,
    /// Too many requests were in flight.
    pub overflow: u64,
}

impl Dropped {
    /// The reasons by name, for metrics.
    pub fn reasons(&self) -> [(&'static str, u64); 3] {
        [("gap", self.gap), ("unreadable", self.unreadable), ("overflow", self.overflow)]
    }

    /// All reasons together.
    pub fn total(&self) -> u64 {
        self.reasons().iter().map(|(_, n)| n).sum()
    }
}

impl Counts {
    /// Says whether the books add up.
    pub fn balanced(&self) -> bool {
        self.received == self.spans + self.dropped.total() + self.in_flight
            && self.passback.balanced()
    }
}
