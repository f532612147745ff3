//! Processors: what happens to telemetry on its way.

pub mod digest;
pub mod redaction;

use crate::pipeline::ProcessorKind;

/// Every processor, in the order `components` lists them.
pub static PROCESSORS: &[ProcessorKind] =
    &[ProcessorKind::of::<digest::Config>(), ProcessorKind::of::<redaction::Config>()];
