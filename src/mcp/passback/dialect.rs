//! Attribute names of servers' dialects, and what the conventions call the same thing.

use crate::otlp::json::view::{Attribute, Value};
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

/// Says how every name begins that is spoken of here.
const BEGINNINGS: [&str; 3] = ["mcp.", "gen_ai.", "rpc."];

/// Brings the names to the conventions. Where a span has both names, the conventions' one stays.
pub(super) fn normalize(list: &mut [Attribute<'_>]) {
    let known = |a: &Attribute<'_>| BEGINNINGS.iter().any(|begin| a.key.starts_with(begin));
    if !list.iter().any(known) {
        return;
    }
    remove(list, |a| a.key == SYSTEM.0 && text(a) == Some(SYSTEM.1));
    for (dialect, convention) in RENAMED {
        let Some(place) = list.iter().position(|a| a.key == dialect) else { continue };
        if list.iter().any(|a| a.key == convention && a.value != Value::Gone) {
            list[place].value = Value::Gone;
        } else {
            list[place].key = convention.into();
        }
    }
    // The conventions have both for calls of tools only.
    let method = list.iter().filter(|a| a.key == METHOD).find_map(text);
    if method.is_some_and(|method| method != TOOLS_CALL) {
        remove(list, |a| a.key == OPERATION || a.key == TOOL);
    }
}

fn remove(list: &mut [Attribute<'_>], unwanted: impl Fn(&Attribute<'_>) -> bool) {
    list.iter_mut().filter(|a| unwanted(a)).for_each(|a| a.value = Value::Gone);
}

/// The value of an attribute, if it is a string.
fn text<'v>(attribute: &'v Attribute<'_>) -> Option<&'v str> {
    attribute.value.as_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_is_spoken_of_begins_as_is_said() {
        let dialects = RENAMED.into_iter().flat_map(|(dialect, convention)| [dialect, convention]);
        for name in dialects.chain([SYSTEM.0, METHOD, OPERATION, TOOL]) {
            assert!(BEGINNINGS.iter().any(|begin| name.starts_with(begin)), "{name}");
        }
    }
}
