//! Counts the receivers of a kind that a configuration has in its pipelines, before anything in it is expanded or
//! checked: what is not meant for a tap must not keep it from starting.

use super::sources::{self, Sources};
use crate::pipeline::Id;
use crate::settings::{Node, Problems};

/// Counts them; `None` if the configuration cannot be read.
pub fn count_receivers(sources: &Sources, kind: &str) -> Option<usize> {
    let root =
        sources::gather(sources, &|name| std::env::var_os(name), &mut Problems::default()).root?;
    let mut found: Vec<Id> = Vec::new();
    let pipelines = root.get("service").and_then(|service| service.get("pipelines"));
    for (_, pipeline) in pipelines.map(Node::entries).unwrap_or_default() {
        let names = pipeline.get("receivers").map(Node::items).unwrap_or_default();
        for id in names.iter().filter_map(|name| Id::parse(name.text()?).ok()) {
            if id.kind == kind && !found.contains(&id) {
                found.push(id);
            }
        }
    }
    Some(found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_count_where_a_pipeline_names_them() {
        let count = |yaml: &str| {
            let config = vec![format!("yaml:{yaml}")];
            count_receivers(&Sources { config, set: Vec::new() }, "mcp_http")
        };
        let pipelines = |names: &str| {
            format!(
                "{{ receivers: {{ mcp_http: {{ nonsense: \"${{env:NOPE}}\" }} }}, service: {{ pipelines: {{ \
                 traces: {{ receivers: [{names}] }}, logs: {{ receivers: [mcp_http] }} }} }} }}"
            )
        };
        assert_eq!(count(&pipelines("otlp, mcp_http")), Some(1));
        assert_eq!(count(&pipelines("mcp_http/two")), Some(2));
        assert_eq!(count("{ receivers: { mcp_http: {} } }"), Some(0));
        assert_eq!(count("{}"), Some(0));
        assert_eq!(count("{ a: ["), None);
    }
}
