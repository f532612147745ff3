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

/// What the check of an exporter's settings says of them: `path: message`, warnings marked.
#[cfg(test)]
fn problems<C: crate::pipeline::ExporterConfig>(settings: serde_json::Value) -> Vec<String> {
    use crate::settings::{Mark, Node, Problems, Report, Severity, Value};

    let config: C = serde_json::from_value(settings).expect("settings that can be read");
    let node = Node { mark: Mark { file: "".into(), line: 1, column: 1 }, value: Value::Null };
    let mut problems = Problems::default();
    config.check(&mut Report::new(&node, C::NAME, &mut problems));
    let said = |p: crate::settings::Problem| {
        let mark = if p.severity == Severity::Warning { "warning: " } else { "" };
        format!("{mark}{}: {}", p.path, p.message)
    };
    problems.0.into_iter().map(said).collect()
}
