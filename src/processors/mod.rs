//! Processors: what happens to telemetry on its way.

mod complaints;
pub mod digest;
pub mod redaction;
pub mod mcp_metrics;
pub mod slo;

use crate::pipeline::ProcessorKind;

/// Every processor, in the order `components` lists them.
pub static PROCESSORS: &[ProcessorKind] = &[
    ProcessorKind::of::<digest::Config>(),
    ProcessorKind::of::<redaction::Config>(),
    ProcessorKind::of::<mcp_metrics::Config>(),
    ProcessorKind::of::<slo::Config>(),
];
