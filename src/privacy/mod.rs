//! Keeps content private: canonical JSON, plain and keyed digests of it that can still be compared, and
//! detectors of content, secrets and credentials.
//!
//! Pure functions of bytes and texts, below all that knows telemetry or MCP: no I/O, no clock, no randomness of their own. Keys arrive as text or bytes
//! from whoever read them, and never print.

pub mod cut;
pub mod detect;
pub mod digest;
mod number;
mod pointer;
mod rejected;
mod members;
pub mod canonical;
pub mod shape;
pub mod redact;

pub use pointer::{BadPointer, Paths, Pointer};
pub use rejected::{Reason, Rejected};
