//! Attribute names of servers' dialects, and what the conventions call the same thing.

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};

use crate::telemetry::names::{METHOD, OPERATION, PROMPT, RESOURCE_URI, STATUS_CODE, TOOL};

/// Names seen in the wild and those of the conventions: arcade-mcp 1.32.1 (`mcp.method`, `mcp.tool`),
/// drafts of the MCP conventions, and OpenTelemetry's RPC conventions.
const RENAMED: [(&str, &str); 7] = [
    ("mcp.method", METHOD),
    ("mcp.tool", TOOL),
    ("mcp.tool.name", TOOL),
    ("mcp.prompt", PROMPT),
    ("mcp.prompt.name", PROMPT),
    ("mcp.resource", RESOURCE_URI),
    ("rpc.jsonrpc.error_code", STATUS_CODE),
];

/// Says nothing: every one of these spans is MCP's.
const SYSTEM: (&str, &str) = ("gen_ai.system", "mcp");

/// The method of which a tool is called.
const TOOLS_CALL: &str = "tools/call";

/// Brings the names to the conventions. Where a span has both names, the conventions' one stays.
pub(super) fn normalize(attributes: &mut Vec<KeyValue>) {
    attributes.retain(|a| a.key != SYSTEM.0 || text(a) != Some(SYSTEM.1));
    for (dialect, convention) in RENAMED {
        let Some(place) = attributes.iter().position(|a| a.key == dialect) else { continue };
        if attributes.iter().any(|a| a.key == convention) {
            attributes.remove(place);
        } else {
            attributes[place].key = convention.to_owned();
        }
    }
    // The conventions have both for calls of tools only.
    let method = attributes.iter().find(|a| a.key == METHOD).and_then(text);
    if method.is_some_and(|method| method != TOOLS_CALL) {
        attributes.retain(|a| a.key != OPERATION && a.key != TOOL);
    }
}

/// The value of an attribute, if it is a string.
fn text(attribute: &KeyValue) -> Option<&str> {
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}
