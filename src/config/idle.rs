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
}

fn entry<'a>(node: &'a Node, name: &str) -> Option<&'a (Key, Node)> {
    node.entries().iter().find(|(key, _)| key.name == name)
}
