//! `service.telemetry.metrics` and `.resource`: where mcpcol's own metrics are served, and as what.
//!
//! A reader becomes an extension of the plan, which serves until everything else is drained.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Options;
use crate::extensions::own_metrics::Config;
use crate::http::sockets::{host_port, no_address};
use crate::pipeline::plan::{MetricsLevel, MetricsSettings, PrometheusSettings, TelemetrySettings};
use crate::pipeline::{ExtensionConfig, Id, Planned};
use crate::settings::{Mark, Node, Problems, Value, is_ipv6};
use crate::telemetry::instance_id;
use crate::telemetry::names::{SCOPE, SERVICE_INSTANCE, SERVICE_NAME, SERVICE_VERSION};

/// Where these settings stand.
const PATH: &str = "service::telemetry::metrics";
/// The port that everybody expects it on.
const PORT: u16 = 8888;

/// An address that was written, and where.
pub(super) struct Written<'a> {
    pub(super) endpoint: String,
    pub(super) mark: &'a Mark,
    pub(super) path: String,
}

/// Reads where metrics are to be served, as written, and says what is wrong with that. Without `metrics` in the
/// configuration it is nothing.
pub(super) fn written<'a>(
    root: &'a Node,
    settings: &MetricsSettings,
    problems: &mut Problems,
) -> Vec<Written<'a>> {
    let Some(node) = telemetry(root).and_then(|node| node.get("metrics")) else {
        return Vec::new();
    };
    if settings.level == MetricsLevel::None {
        return Vec::new();
    }
    let mut all = Vec::new();
    if let Some(address) = &settings.address {
        let (mark, path) = (&node.nearest("address").mark, format!("{PATH}::address"));
        if settings.readers.is_some() {
            problems.error(
                mark,
                &*path,
                "is the old spelling of one of the `readers`; write one of the two",
            );
        } else if host_port(address).is_none() {
            problems.error(mark, &*path, no_address(address, PORT));
        }
        all.push(Written { endpoint: address.clone(), mark, path });
    }
    for (index, reader) in settings.readers.iter().flatten().enumerate() {
        let (field, path) = (format!("readers.{index}"), format!("{PATH}::readers::{index}"));
        let mark = &node.nearest(&field).mark;
        if reader.periodic.is_some() {
            let why =
                "has no effect: metrics of mcpcol's own are not sent yet, only served (`pull`)";
            let mark = &node.nearest(&format!("{field}.periodic")).mark;
            problems.warn(mark, format!("{path}::periodic"), why);
        }
        let Some(pull) = &reader.pull else {
            if reader.periodic.is_none() {
                let why =
                    "is no reader; write `pull: { exporter: { prometheus: { port: 8888 } } }`";
                problems.error(mark, path, why);
            }
            continue;
        };
        let (below, field) =
            ("pull::exporter::prometheus", format!("{field}.pull.exporter.prometheus"));
        let (node, path) = (node.nearest(&field), format!("{path}::{below}"));
        warn_of_switches(node, &pull.exporter.prometheus, &path, problems);
        let endpoint = endpoint(&pull.exporter.prometheus);
        if host_port(&endpoint).is_none() {
            let why = "is a host's name or address, such as `localhost`";
            problems.error(&node.nearest("host").mark, format!("{path}::host"), why);
        }
        all.push(Written {
            endpoint,
            mark: &node.nearest("port").mark,
            path: format!("{path}::port"),
        });
    }
    all
}

/// Says which of the Collector's switches ask for other names than ours.
fn warn_of_switches(
    node: &Node,
    written: &PrometheusSettings,
    path: &str,
    problems: &mut Problems,
) {
    let ours = PrometheusSettings::default();
    for (switch, differs, why) in [
        (
            "without_scope_info",
            written.without_scope_info != ours.without_scope_info,
            "has no effect: series have no labels of a scope",
        ),
        (
            "without_type_suffix",
            written.without_type_suffix != ours.without_type_suffix,
            "has no effect: counters end in `_total` always",
        ),
        (
            "without_units",
            written.without_units != ours.without_units,
            "has no effect: names have the units that the list of metrics has them with, always",
        ),
    ] {
        if differs {
            problems.warn(&node.nearest(switch).mark, format!("{path}::{switch}"), why);
        }
    }
}

fn endpoint(written: &PrometheusSettings) -> String {
    let PrometheusSettings { host, port, .. } = written;
    if is_ipv6(host) { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Makes the extensions that serve the metrics.
pub(super) fn served(
    root: &Node,
    settings: &TelemetrySettings,
    written: &[Written<'_>],
    options: &Options<'_>,
) -> Vec<Planned<dyn ExtensionConfig>> {
    let unwritten = settings.metrics.readers.is_none() && settings.metrics.address.is_none();
    let by_default =
        options.serves_metrics && unwritten && settings.metrics.level != MetricsLevel::None;
    let resource = resource(&settings.resource);
    let planned = |(index, (endpoint, by_default)): (usize, (String, bool))| {
        let config = Config { endpoint, by_default, resource: resource.clone() };
        Planned {
            id: Id { kind: PATH.to_owned(), name: (index > 0).then(|| (index + 1).to_string()) },
            kind: "prometheus",
            settings: made_of(root, index),
            config: Arc::new(config) as Arc<dyn ExtensionConfig>,
        }
    };
    let endpoints = written.iter().map(|written| (written.endpoint.clone(), false));
    let default = by_default.then(|| (format!("localhost:{PORT}"), true));
    endpoints.chain(default).enumerate().map(planned).collect()
}

/// The attributes that mcpcol has as a service, with those of the configuration on top: an empty one takes a default
/// away, as in the Collector.
fn resource(written: &BTreeMap<String, Option<String>>) -> Vec<(String, String)> {
    let ours = [
        (SERVICE_NAME, SCOPE),
        (SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
        (SERVICE_INSTANCE, instance_id()),
    ];
    let ours = ours.map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
    let mut all = BTreeMap::from(ours);
    all.extend(written.clone());
    all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// What decides whether a reload keeps the reader of that number: what is written of it, and the resource.
fn made_of(root: &Node, index: usize) -> Node {
    let Some(telemetry) = telemetry(root) else { return Node::empty(root.mark.clone()) };
    let metrics = telemetry.get("metrics");
    let reader = metrics.and_then(|metrics| match metrics.get("readers") {
        Some(readers) => readers.items().get(index),
        None => metrics.get("address"),
    });
    let parts = [telemetry.get("resource"), reader];
    let value = Value::List(parts.into_iter().flatten().cloned().collect());
    Node::new(telemetry.mark.clone(), value)
}

fn telemetry(root: &Node) -> Option<&Node> {
    root.get("service")?.get("telemetry")
}
