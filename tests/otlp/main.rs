//! The `otlp` receiver on real sockets, with real pipelines behind it and fake exporters at their end.

#![allow(clippy::unwrap_used, reason = "here an unwrap that fails is a test that fails")]

mod browser;
mod contract;
mod ends;
mod grpc;
mod http;
mod limits;
mod loops;
mod passback;
mod process;
mod rig;
mod telemetry;
mod tls;
mod truth;
