//! mcpcol, the OpenTelemetry Collector for MCP.
//!
//! The rooms, from the ground up; a room uses rooms on lower floors only (`tests/house.rs` checks it):
//! [`json`] 0, [`metrics`], [`otlp`] and [`privacy`] 1, [`telemetry`] 2, [`calls`], [`mcp`] and [`slo`] 3, [`settings`] 4, `http` and [`pipeline`] 5,
//! [`receivers`], [`processors`], [`exporters`] and [`extensions`] 6, [`config`] 7, [`cli`] 8.
//! Within a room modules are declared low to high. ARCHITECTURE.md has the picture and the laws,
//! docs/decisions the reasons.

#![forbid(unsafe_code)]

pub mod calls;
pub mod cli;
pub mod config;
pub mod exporters;
pub mod extensions;
mod http;
pub mod json;
pub mod mcp;
pub mod metrics;
pub mod otlp;
pub mod pipeline;
pub mod privacy;
pub mod processors;
pub mod receivers;
pub mod settings;
pub mod slo;
pub mod telemetry;
