//! Exporters: where telemetry goes.
//!
//! Each makes single attempts. Queue, batching, retry and timeout surround them in `pipeline`.

mod sizes;
mod lines;
pub mod debug;
pub mod file;
pub mod nop;
mod peer;
mod allowance;
mod http;
pub mod alertmanager;
pub mod otlp_grpc;
pub mod otlp_http;
pub mod stdout;
pub mod zipkin;

use crate::pipeline::ExporterKind;

/// Every exporter, in the order `components` lists them.
pub static EXPORTERS: &[ExporterKind] = &[
    ExporterKind::of::<otlp_grpc::Config>(),
    ExporterKind::of::<otlp_http::Config>(),
    ExporterKind::of::<zipkin::Config>(),
    ExporterKind::of::<alertmanager::Config>(),
    ExporterKind::of::<stdout::Config>(),
    ExporterKind::of::<file::Config>(),
    ExporterKind::of::<debug::Config>(),
    ExporterKind::of::<nop::Config>(),
];

/// Gives what the check of an exporter's settings says of them: `path: message`, warnings marked.
#[cfg(test)]
fn problems<C: crate::pipeline::ComponentConfig>(settings: serde_json::Value) -> Vec<String> {
    use crate::settings::{Severity, testing};

    // JSON is YAML.
    let yaml = settings.to_string();
    let config: C = testing::read(&yaml).expect("settings that can be read");
    let problems = testing::check(&yaml, C::NAME, |report| config.check(report));
    let said = |p: crate::settings::Problem| {
        let mark = if p.severity == Severity::Warning { "warning: " } else { "" };
        format!("{mark}{}: {}", p.path, p.message)
    };
    problems.0.into_iter().map(said).collect()
}
