//! Exporters: where telemetry goes.
//!
//! Each makes single attempts. Queue, batching, retry and timeout surround them in `pipeline`.

pub mod debug;
pub mod file;
mod lines;
pub mod otlp_grpc;
pub mod stdout;

use crate::pipeline::ExporterKind;

/// Every exporter, in the order `components` lists them.
pub static EXPORTERS: &[ExporterKind] = &[
    ExporterKind::of::<otlp_grpc::Config>(),
    ExporterKind::of::<stdout::Config>(),
    ExporterKind::of::<file::Config>(),
    ExporterKind::of::<debug::Config>(),
];
