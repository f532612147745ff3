//! `service`, and the plan as a whole.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::attributes;
use super::circles;
use super::clashes;
use super::components::{Component, Context, read_foreign, read_section};
use super::expand::Expanded;
use super::idle;
use super::own_telemetry;
use super::pipelines::{self, Defined};
use super::secrets;
use super::{Opens, Options};
use crate::pipeline::plan::TelemetrySettings;
use crate::pipeline::{Plan, Section};
use crate::settings::{Duration, Node, Problems, did_you_mean, quoted_list};

const SECTIONS: [&str; 6] =
    ["receivers", "processors", "exporters", "connectors", "extensions", "service"];

/// `service`, except for the pipelines.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Service {
    /// Bounds how long a stop may take: 25s unless written, 1s in `mcpcol stdio`.
    shutdown_timeout: Option<Duration>,
    /// Says what mcpcol tells about itself.
    telemetry: TelemetrySettings,
    /// Lists the extensions that are started.
    extensions: Vec<String>,
    #[serde(rename = "pipelines")]
    #[schemars(skip)]
    _pipelines: Option<IgnoredAny>,
}

/// Makes the plan; it is complete only if no problem is fatal.
pub(super) fn plan(
    root: &Node,
    base: &Path,
    expanded: &Expanded,
    options: &Options<'_>,
    problems: &mut Problems,
) -> Option<Plan> {
    check_sections(root, problems);
    let context = Context { base, absent: &expanded.absent };
    let registries = &options.registries;
    let mut defined = Defined {
        receivers: read_section(root, registries.receivers, &context, problems),
        processors: read_section(root, registries.processors, &context, problems),
        exporters: read_section(root, registries.exporters, &context, problems),
        extensions: read_section(root, registries.extensions, &context, problems),
        foreign: read_foreign(root, "connectors", "connector", problems),
        readable: true,
    };
    let service = read_service(root, &mut defined, problems);
    let pipelines = pipelines::read(root, &mut defined, problems);
    circles::check(&defined, problems);
    let own = service.as_ref().map(|service| &service.telemetry.metrics);
    let own =
        own.map_or_else(Vec::new, |own| own_telemetry::written(root, own, base, options, problems));
    clashes::check_addresses(&defined, &own, options, problems);
    clashes::check_files(&defined, base, problems);
    clashes::check_counting(&defined, &pipelines, problems);
    if options.opens == Opens::All {
        check_complete(&defined, problems);
    }
    idle::warn(root, problems);
    attributes::check_order(&defined, &pipelines, problems);
    attributes::warn_of_masked(&defined, &pipelines, problems);
    attributes::check_captures(&defined, &pipelines, problems);
    if options.advice {
        attributes::warn_of_unredacted(root, &defined, &pipelines, problems);
    }
    pipelines::check_stdout(&defined, options.stdout_is_mcp, problems);
    if defined.readable {
        warn_of_unused(&defined.receivers, "no pipeline uses it", problems);
        warn_of_unused(&defined.processors, "no pipeline uses it", problems);
        warn_of_unused(&defined.exporters, "no pipeline uses it", problems);
    }
    let service = service?;
    let readers = own_telemetry::planned(root, &service.telemetry, own, options);
    warn_of_unused(&defined.extensions, "`service.extensions` does not name it", problems);
    Some(Plan {
        receivers: defined.receivers.iter().filter_map(Component::planned).collect(),
        processors: defined.processors.iter().filter_map(Component::planned).collect(),
        exporters: defined.exporters.iter().filter_map(Component::planned).collect(),
        extensions: defined
            .extensions
            .iter()
            .filter_map(Component::planned)
            .chain(readers)
            .collect(),
        pipelines,
        shutdown_timeout: service.shutdown_timeout,
        telemetry: service.telemetry,
        secrets: secrets::secrets(root),
        base: base.to_owned(),
    })
}

fn check_sections(root: &Node, problems: &mut Problems) {
    for (key, _) in root.entries() {
        if SECTIONS.contains(&key.name.as_str()) {
            continue;
        }
        let meant = did_you_mean(&key.name, SECTIONS);
        let message = format!("unknown key;{meant} accepted: {}", quoted_list(SECTIONS));
        problems.error(&key.mark, key.name.clone(), message);
    }
}

/// Reads `service`, marking the extensions that it names as used.
fn read_service(root: &Node, defined: &mut Defined, problems: &mut Problems) -> Option<Service> {
    let Some(node) = root.get("service") else { return Some(Service::default()) };
    let service: Option<Service> = node.read("service", problems);
    for (index, name) in service.iter().flat_map(|service| service.extensions.iter().enumerate()) {
        let mark = &node.nearest(&format!("extensions.{index}")).mark;
        let mut named = defined.extensions.iter_mut().find(|part| part.id.to_string() == *name);
        let message = match &mut named {
            Some(part) if part.used => format!("`{name}` is listed twice"),
            Some(part) => {
                part.used = true;
                continue;
            }
            None => format!("`{name}` is not defined under `extensions`"),
        };
        problems.error(mark, "service::extensions", message);
    }
    service
}

/// Reports receivers that `run` could not start.
fn check_complete(defined: &Defined, problems: &mut Problems) {
    for receiver in defined.receivers.iter().filter(|c| c.used) {
        if let Some((field, message)) = receiver.config().and_then(|config| config.lacks()) {
            let path = format!("receivers::{}::{field}", receiver.id);
            problems.error(receiver.mark_of(field), path, message);
        }
    }
}

fn warn_of_unused<S: Section + ?Sized>(
    components: &[Component<S>],
    why: &str,
    problems: &mut Problems,
) {
    for component in components.iter().filter(|c| !c.used && c.kind.is_some()) {
        let path = format!("{}::{}", S::NAME, component.id);
        problems.warn(&component.mark, path, format!("is defined but {why}"));
    }
}
