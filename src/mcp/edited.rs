//! What a tap that was told to edit did to a request: the forwarding side says it, the state machine
//! hears it just before that request's bytes. The bytes it observes are the original ones.

use crate::telemetry::SpanId;

/// Holds what was done to one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edited {
    /// The context that went upstream in the place of the client's (`propagate: inject`).
    pub hop: Option<Hop>,
    /// The server was asked for its spans where the client had not (`passback.request`).
    pub asked: bool,
}

/// The two spans of a tap that is a hop: SERVER towards the client, CLIENT towards the server. The
/// request's context, where it has one in the same trace, is the parent of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The trace of both: the client's, if there is one and it is joined, else a new one.
    pub trace: [u8; 16],
    /// The SERVER span.
    pub server: SpanId,
    /// The CLIENT span, which the server was told is its parent.
    pub client: SpanId,
}
