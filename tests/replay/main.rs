//! Recorded sessions of real clients and servers, replayed through the MCP state machines, and all that comes out
//! of them.

#![expect(clippy::unwrap_used, reason = "a test tells what is wrong by failing")]

mod output;
mod stdio;

mod http1;

mod http;
