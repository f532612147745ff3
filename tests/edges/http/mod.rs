//! The HTTP tap as a process between raw sockets: what passes, who is let in, what peers can do to it,
//! and how it ends. Real MCP clients and servers are in `tests/peers/http.rs`.

mod broken_requests;
#[cfg(target_os = "linux")]
mod bounds;
mod capture;
mod edits;
mod encodings;
mod ends;
mod guard;
mod hostile;
mod interim;
mod kept;
mod late_answers;
mod message_ends;
mod old_places;
mod passing;
mod places;
#[cfg(target_os = "linux")]
mod priority;
mod redirects;
mod resets;
mod spans;
mod streams;
mod tap;
mod tls;
mod trailers;
mod two_ends;
mod versions;
mod waiting;
