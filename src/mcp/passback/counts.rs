//! The books of handed back spans.

/// Holds what came of the spans that servers handed back. At any time `received == spans + refused.total()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassbackCounts {
    /// Answers whose spans were looked into.
    pub answers: u64,
    /// Answers with spans that nobody had asked for; they are not looked into.
    pub unsolicited: u64,
    /// Answers with more bytes of spans than are looked into.
    pub too_large: u64,
    /// Answers whose spans were not observed whole.
    pub cut: u64,
    /// Answers whose spans are no OTLP/JSON to their end (what stands before the fault counts), and
    /// resources and scopes that are none.
    pub malformed: u64,

    /// Spans in the answers that were looked into.
    pub received: u64,
    /// Spans put out.
    pub spans: u64,
    /// Spans that are not.
    pub refused: Refused,

    /// Spans whose ancestors were a circle, which was opened.
    pub circles: u64,
    /// Spans whose times were moved into those of their call.
    pub moved: u64,
    /// Attributes and texts that may bear content or secrets, left out.
    pub withheld: u64,
    /// Names that are ours to give (`mcpcol.*`, our scope, our service), left out.
    pub claimed: u64,
    /// Attributes, events and links over a limit, left out.
    pub over_limit: u64,
    /// Spans that servers say they left out themselves.
    pub left_out: u64,
}

/// Says why handed back spans are not put out, in spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// No OTLP/JSON.
    pub malformed: u64,
    /// An id that is none; base64 in place of hex, as a rule.
    pub bad_id: u64,
    /// Another trace than that of the request.
    pub foreign_trace: u64,
    /// Under a span that is neither in the answer nor the one that the server was told.
    pub foreign_parent: u64,
    /// It claims to be a span that is not the server's.
    pub impersonation: u64,
    /// It came before.
    pub duplicate: u64,
    /// The request had no context.
    pub no_parent: u64,
    /// The request's context was not sampled.
    pub unsampled: u64,
    /// More spans than are taken from one answer.
    pub excess: u64,
}

impl Refused {
    /// The reasons by name, for metrics: they stand beside those of other drops.
    pub fn reasons(&self) -> [(&'static str, u64); 9] {
        [
            ("passback_malformed", self.malformed),
            ("passback_bad_id", self.bad_id),
            ("passback_foreign_trace", self.foreign_trace),
            ("passback_foreign_parent", self.foreign_parent),
            ("passback_impersonation", self.impersonation),
            ("passback_duplicate", self.duplicate),
            ("passback_no_parent", self.no_parent),
            ("passback_unsampled", self.unsampled),
            ("passback_excess", self.excess),
        ]
    }

    /// All reasons together.
    pub fn total(&self) -> u64 {
        self.reasons().iter().map(|(_, n)| n).sum()
    }
}

impl PassbackCounts {
    /// Says whether the books add up.
    pub fn balanced(&self) -> bool {
        self.received == self.spans + self.refused.total()
    }

    /// Gives what came about otherwise, by name, for metrics.
    pub fn oddities(&self) -> [(&'static str, u64); 10] {
        [
            ("passback_unsolicited", self.unsolicited),
            ("passback_too_large", self.too_large),
            ("passback_cut", self.cut),
            ("passback_malformed", self.malformed),
            ("passback_circle", self.circles),
            ("passback_moved", self.moved),
            ("passback_withheld", self.withheld),
            ("passback_claimed", self.claimed),
            ("passback_over_limit", self.over_limit),
            ("passback_left_out", self.left_out),
        ]
    }
}
