//! Exporters: where telemetry goes.

use crate::pipeline::ExporterKind;

/// Every exporter, in the order `components` lists them.
pub static EXPORTERS: &[ExporterKind] = &[];
