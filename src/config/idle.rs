//! Warns of sections that are read, because configurations of the Collector have them, and that change nothing here.

use crate::settings::{Key, Node, Problems};

/// Adds a warning for each.
pub(super) fn warn(root: &Node, problems: &mut Problems) {
    // What stands in these is reported by itself.
    for section in ["connectors", "extensions"] {
        let empty = entry(root, section).filter(|(_, node)| node.entries().is_empty());
        if let Some((key, _)) = empty {
            problems.warn(&key.mark, section, "has no effect: it is empty; remove it");
        }
    }
    let Some(service) = root.get("service") else { return };
    if let Some((key, _)) = entry(service, "extensions").filter(|(_, n)| n.items().is_empty()) {
        let message = "has no effect: it is empty; remove it";
        problems.warn(&key.mark, "service::extensions", message);
    }
    let Some(telemetry) = service.get("telemetry") else { return };
    if let Some((key, _)) = entry(telemetry, "metrics").filter(|(_, node)| !wants_none(node)) {
        let message = "has no effect: no metrics of mcpcol's own are served; what it counted stands in its last \
                       log line";
        problems.warn(&key.mark, "service::telemetry::metrics", message);
    }
    if let Some((key, _)) = entry(telemetry, "resource") {
        let message = "has no effect: no telemetry of mcpcol's own is sent; what spans should say of where they \
                       were made goes into OTEL_RESOURCE_ATTRIBUTES";
        problems.warn(&key.mark, "service::telemetry::resource", message);
    }
}

fn entry<'a>(node: &'a Node, name: &str) -> Option<&'a (Key, Node)> {
    node.entries().iter().find(|(key, _)| key.name == name)
}

/// Says whether these settings ask for what they get: no metrics.
fn wants_none(metrics: &Node) -> bool {
    let level = metrics.get("level").and_then(Node::text);
    level == Some("none") && metrics.get("readers").is_none()
}
