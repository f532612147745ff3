//! The library inside this process: configurations, the engine with fakes, exporters against real sockets.
//!
//! Nothing here reads what is logged: while one test alone listens, `tracing` may ask the thread of another, which
//! does not, whether a line is of interest, and keeps the answer. Tests of what is logged are in `tests/edges`.

#![allow(clippy::unwrap_used, reason = "here an unwrap that fails is a test that fails")]

mod config;
mod exporters;
mod pipeline;
