//! Processors: what happens to telemetry on its way.

pub mod digest;
pub mod redaction;
pub mod mcp_metrics;

use crate::pipeline::ProcessorKind;

/// Every processor, in the order `components` lists them.
pub static PROCESSORS: &[ProcessorKind] = &[
    ProcessorKind::of::<digest::Config>(),
    ProcessorKind::of::<redaction::Config>(),
    ProcessorKind::of::<mcp_metrics::Config>(),
];
