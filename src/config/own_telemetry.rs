//! `service.telemetry.metrics` and `.resource`: where mcpcol's own metrics are served and sent, and as what.
//!
//! A reader becomes an extension of the plan, which goes on until everything else is drained.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Options;
use crate::extensions::{own_metrics, sent_metrics};
use crate::http::sockets::{host_port, no_address};
use crate::pipeline::plan::{
    MetricsLevel, MetricsSettings, PeriodicReader, PrometheusSettings, PushProtocol,
    TelemetrySettings,
};
use crate::pipeline::{ExporterConfig, ExtensionConfig, Id, Planned};
use crate::settings::{Key, Mark, Node, Place, Problems, Value, is_ipv6};
use crate::telemetry::instance_id;
use crate::telemetry::names::{SCOPE, SERVICE_INSTANCE, SERVICE_NAME, SERVICE_VERSION};

/// Says where these settings stand.
const PATH: &str = "service::telemetry::metrics";
/// The port that everybody expects it on.
const PORT: u16 = 8888;
/// The times that a reader may have, in milliseconds.
const TIMES: std::ops::RangeInclusive<u64> = 100..=86_400_000;

/// A reader that was written, and where.
pub(super) struct Written<'a> {
    /// Its place among the readers.
    index: usize,
    does: Does,
    pub(super) mark: &'a Mark,
    pub(super) path: String,
}

/// Names what a reader does.
enum Does {
    Serve { endpoint: String },
    Send { exporter: Arc<dyn ExporterConfig>, interval: Duration, timeout: Duration },
}

impl Written<'_> {
    /// Returns the address that it takes, if it takes one.
    pub(super) fn endpoint(&self) -> Option<&str> {
        match &self.does {
            Does::Serve { endpoint } => Some(endpoint),
            Does::Send { .. } => None,
        }
    }
}

/// Reads where metrics are to be served and sent, as written, and says what is wrong with that. Without `metrics` in
/// the configuration it is nothing.
pub(super) fn written<'a>(
    root: &'a Node,
    settings: &MetricsSettings,
    base: &Path,
    options: &Options<'_>,
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
            let why = "is the old spelling of one of the `readers`; write one of the two";
            problems.error(mark, &*path, why);
        } else if host_port(address).is_none() {
            problems.error(mark, &*path, no_address(address, PORT));
        }
        all.push(Written { index: 0, does: Does::Serve { endpoint: address.clone() }, mark, path });
    }
    for (index, reader) in settings.readers.iter().flatten().enumerate() {
        let path = format!("{PATH}::readers::{index}");
        let node = node.nearest(&format!("readers.{index}"));
        let (pull, periodic) = (&reader.pull, &reader.periodic);
        if pull.is_some() == periodic.is_some() {
            let why = "is either `pull` or `periodic`: write `pull: { exporter: { prometheus: { port: 8888 } } }`";
            problems.error(&node.mark, path.clone(), why);
        }
        if let Some(pull) = pull {
            all.push(served_at(index, &pull.exporter.prometheus, node, &path, problems));
        }
        if let Some(periodic) = periodic {
            let place = Place { path: &format!("{path}::periodic"), base };
            all.extend(sent_to(
                index,
                periodic,
                node.nearest("periodic"),
                place,
                options,
                problems,
            ));
        }
    }
    all
}

fn served_at<'a>(
    index: usize,
    written: &PrometheusSettings,
    reader: &'a Node,
    path: &str,
    problems: &mut Problems,
) -> Written<'a> {
    let node = reader.nearest("pull.exporter.prometheus");
    let path = format!("{path}::pull::exporter::prometheus");
    warn_of_switches(node, written, &path, problems);
    let endpoint = endpoint(written);
    if host_port(&endpoint).is_none() {
        let why = "is a host's name or address, such as `localhost`";
        problems.error(&node.nearest("host").mark, format!("{path}::host"), why);
    }
    let does = Does::Serve { endpoint };
    Written { index, does, mark: &node.nearest("port").mark, path: format!("{path}::port") }
}

/// Makes the exporter that a `periodic` reader sends by: the one of pipelines, with its settings.
fn sent_to<'a>(
    index: usize,
    written: &PeriodicReader,
    node: &'a Node,
    place: Place<'_>,
    options: &Options<'_>,
    problems: &mut Problems,
) -> Option<Written<'a>> {
    for (field, value) in [("interval", written.interval), ("timeout", written.timeout)] {
        if !TIMES.contains(&value) {
            let why = "is a time in milliseconds, from 100 to 86400000";
            problems.error(&node.nearest(field).mark, format!("{}::{field}", place.path), why);
        }
    }
    let otlp = &written.exporter.otlp;
    let (kind, url, encoding) = match otlp.protocol {
        PushProtocol::Grpc => ("otlp_grpc", "endpoint", None),
        PushProtocol::HttpProtobuf => ("otlp_http", "metrics_endpoint", Some("proto")),
        PushProtocol::HttpJson => ("otlp_http", "metrics_endpoint", Some("json")),
    };
    let below = node.nearest("exporter.otlp");
    let key = |name: &str, mark: &Mark| Key { mark: mark.clone(), name: name.to_owned() };
    let text = |text: &str| Value::Scalar { text: text.to_owned(), quoted: false };
    let mut settings = Vec::new();
    for (name, as_name) in [("endpoint", url), ("headers", "headers")] {
        let written = below.entries().iter().find(|(key, _)| key.name == name);
        settings.extend(written.map(|(at, node)| (key(as_name, &at.mark), node.clone())));
    }
    let here = |value| Node::new(below.mark.clone(), value);
    settings.extend(encoding.map(|name| (key("encoding", &below.mark), here(text(name)))));
    if otlp.insecure && otlp.protocol == PushProtocol::Grpc {
        let insecure = vec![(key("insecure", &below.mark), here(text("true")))];
        settings.push((key("tls", &below.mark), here(Value::Map(insecure))));
    }
    let kind = options.registries.exporters.iter().find(|row| row.answers_to(kind))?;
    let (path, before) = (format!("{}::exporter::otlp", place.path), problems.0.len());
    let place = Place { path: &path, ..place };
    let exporter = (kind.parse)(&here(Value::Map(settings)), place, problems);
    for problem in &mut problems.0[before..] {
        // What is written there is called so, and what is not there is not to be written.
        problem.path = problem.path.replace("::metrics_endpoint", "::endpoint");
        problem.message = problem.message.replace(", or set `allow_cleartext: true`", "");
    }
    let [interval, timeout] = [written.interval, written.timeout].map(Duration::from_millis);
    let does = Does::Send { exporter: exporter?, interval, timeout };
    Some(Written { index, does, mark: &below.mark, path })
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

/// Makes the extensions that serve the metrics and send them.
pub(super) fn planned(
    root: &Node,
    settings: &TelemetrySettings,
    written: Vec<Written<'_>>,
    options: &Options<'_>,
) -> Vec<Planned<dyn ExtensionConfig>> {
    let unwritten = settings.metrics.readers.is_none() && settings.metrics.address.is_none();
    let by_default =
        options.serves_metrics && unwritten && settings.metrics.level != MetricsLevel::None;
    let resource = resource(&settings.resource);
    let plan = |index: usize, config: Arc<dyn ExtensionConfig>| Planned {
        id: Id { kind: PATH.to_owned(), name: (index > 0).then(|| (index + 1).to_string()) },
        kind: "reader",
        settings: made_of(root, index),
        config,
    };
    let served = |endpoint, by_default| {
        let resource = resource.clone();
        Arc::new(own_metrics::Config { endpoint, by_default, resource }) as Arc<dyn ExtensionConfig>
    };
    let mut all = Vec::new();
    for Written { index, does, .. } in written {
        let config = match does {
            Does::Serve { endpoint } => served(endpoint, false),
            Does::Send { exporter, interval, timeout } => {
                let resource = resource.clone();
                Arc::new(sent_metrics::Config { exporter, interval, timeout, resource })
            }
        };
        all.push(plan(index, config));
    }
    if by_default {
        all.push(plan(0, served(format!("localhost:{PORT}"), true)));
    }
    all
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

/// Gives what decides whether a reload keeps the reader of that number: what is written of it, and the resource.
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
