//! The real binary between clients, servers and backends without manners.
//!
//! Tests share this process: they change the environment, the working directory and the limits of what they start,
//! never their own. What needs a process of its own starts one.

#![allow(clippy::unwrap_used, reason = "here an unwrap that fails is a test that fails")]

#[path = "../support/process.rs"]
mod process;
#[path = "../support/spans.rs"]
mod spans;
#[path = "../support/session.rs"]
mod session;
#[path = "../support/terminal.rs"]
mod terminal;
#[path = "../support/client.rs"]
mod client;
#[path = "../support/origin.rs"]
mod origin;
#[path = "../support/exposition.rs"]
mod exposition;

mod admin;
mod canary;
mod commands;
#[cfg(unix)]
mod http;
#[cfg(unix)]
mod mcp_metrics;
mod otlp;
mod pipelines;
mod records;
#[cfg(target_os = "linux")] // it counts descriptors in /proc
mod reloads;
#[cfg(target_os = "linux")] // /proc tells what is ignored, `setsid` begins sessions
mod signals;
mod slo;
#[cfg(unix)]
mod stdio;
#[cfg(unix)]
mod tail;
