//! The library inside this process: configurations, the engine with fakes, the `otlp` receiver and the exporters on
//! real sockets.

#![allow(clippy::unwrap_used, reason = "here an unwrap that fails is a test that fails")]

mod raw;

mod config;
mod exporters;
mod otlp;
mod pipeline;
