//! The Model Context Protocol as a passive observer sees it: two directions of bytes in, spans out.
//!
//! [`Session`] is the whole of it for stdio, [`Http`] for HTTP: framing ([`Lines`], [`Sse`]), a look
//! into each message ([`Message`]), pairing of requests and answers, and the span that follows from
//! both. They have no I/O, no clock and no runtime, so that taps, replays, fuzzers and benches drive
//! the same state machines.
//!
//! They never fail and never grow with the traffic: what cannot be read is counted ([`Counts`]), and
//! every table has a bound. They never change a byte: a tap that was told to does so with [`edit`].

mod edited;
mod recent;
mod finding;
mod outcome;
mod partial;
mod framing;
mod sep2448;
mod peek;
mod id;
mod messages;
mod trace;
mod capture;
mod secrets;
mod call;
mod settings;
mod in_flight;
mod passback;
mod span;
mod logs;
mod counts;
mod hop;
mod pairing;
pub mod edit;
mod http;
mod session;
#[cfg(test)]
mod testing;

pub use call::{is_known as is_method, is_version};
pub use capture::{CaptureRule, CaptureRules};
pub use counts::{Counts, Dropped};
pub use edited::{Edited, Hop};
pub use finding::Finding;
pub use framing::{Line, Lines};
pub use http::{
    BodyKind, EndpointFinder, Event, Exchange, HeadContent, HeadField, Http, HttpServer, Looked,
    MAX_ENDPOINT, MAX_MIRRORED, Party, RequestHead, ResponseHead, Sse, Verb, comparable,
    resolve_reference,
};
pub use id::Id;
pub use in_flight::{CallInFlight, InFlight, ServerLoad};
pub use logs::{LogCounts, MAX_BODY};
pub use outcome::{CancelledBy, Outcome};
pub use partial::{Cut, TAIL};
pub use passback::{HandedBack, PassbackCounts, Posted, Received, Refused};
pub use peek::{Answer, Failure, Info, Message, Meta, Params, Part, RawId, Shape};
pub use session::Session;
pub use settings::{
    Hidden, Identity, Ingest, Notifications, Orphans, Parent, Passback, Perspective, ServiceName,
    SessionName, SessionNames, Settings, Traces, Transport, Unsampled,
};
pub use trace::{SpanRef, TraceContext};

/// Says which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the MCP client (the agent's side) to the MCP server.
    ClientToServer,
    /// From the MCP server to the MCP client.
    ServerToClient,
}

impl Direction {
    /// Both, client first.
    pub const BOTH: [Direction; 2] = [Direction::ClientToServer, Direction::ServerToClient];

    /// The other one.
    pub fn reverse(self) -> Direction {
        match self {
            Direction::ClientToServer => Direction::ServerToClient,
            Direction::ServerToClient => Direction::ClientToServer,
        }
    }
}

/// One value for each direction.
#[derive(Debug, Default)]
struct Ways<T>([T; 2]);

impl<T> std::ops::Index<Direction> for Ways<T> {
    type Output = T;
    fn index(&self, direction: Direction) -> &T {
        &self.0[direction as usize]
    }
}

impl<T> std::ops::IndexMut<Direction> for Ways<T> {
    fn index_mut(&mut self, direction: Direction) -> &mut T {
        &mut self.0[direction as usize]
    }
}
