//! Processors: what happens to telemetry on its way.

use crate::pipeline::ProcessorKind;

/// Every processor, in the order `components` lists them.
pub static PROCESSORS: &[ProcessorKind] = &[];
