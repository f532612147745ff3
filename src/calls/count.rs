//! Decides whose telling of a call counts.

use crate::otlp::wire::view::View;
use crate::telemetry::names;

/// Says whose spans count as calls; of the others none does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Count {
    /// Spans of taps: of scope `mcpcol`, made here or by a tap upstream, but for the SERVER half of a hop
    /// (`mcpcol.hop`) and for what servers handed back (`mcpcol.passback`). So a call through a tap counts once,
    /// whatever its `span_kind` and whether it is a hop.
    #[default]
    Tap,
    /// CLIENT spans of clients' own instrumentation: of any other scope, and not handed back by a server.
    Client,
    /// SERVER spans of servers' own instrumentation, handed back or exported: of any other scope.
    Server,
}

/// Numbers of `SpanKind` in OTLP's trace.proto.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

impl Count {
    /// Says whether spans of a scope may count at all.
    pub fn may_be_of(self, scope: &View<'_>) -> bool {
        (scope.name() == names::SCOPE) == (self == Count::Tap)
    }

    /// Says whether a call's span counts, of a scope of which spans may.
    pub fn takes(self, kind: u64, is_hop: bool, handed_back: bool) -> bool {
        match self {
            Count::Tap => !is_hop && !handed_back,
            Count::Client => kind == CLIENT && !handed_back,
            Count::Server => kind == SERVER,
        }
    }
}
