//! `mcp_stdio`: the tap between a client and one stdio MCP server, which it starts.
//!
//! ```yaml
//! receivers:
//!   mcp_stdio/files: { command: npx, args: [-y, "@modelcontextprotocol/server-filesystem", .] }
//! ```
//!
//! Two worlds, joined by one bounded queue. Forwarding: a blocking thread a direction, which hands a
//! copy over and writes the bytes on (`relay`, `intake`). Observing: a thread at lower priority that
//! drives the state machine of the `mcp` room and the pipeline behind it (`observer`). The ends are the
//! `ladder`'s. Nothing on the observing side can delay, change or end the traffic.

mod child;
mod config;
mod intake;
mod ladder;
mod name;
mod observer;
mod queue;
mod receiver;
mod relay;
mod tap;

#[cfg(test)]
mod tests;

pub use child::CannotStart;
pub use config::{Config, Notifications, ProcessGroup, SpanKind, Trace, Unsampled};
pub use ladder::Signal;
pub use observer::Observe;
pub use receiver::{running, start, watched_by};
pub use tap::{Remote, Tap};

/// Which way a message goes.
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
}
