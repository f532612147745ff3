//! Bounds what peers say before it becomes a label: names downstream must not explode because a client makes up
//! methods, or a server makes up codes.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::call::Key;
use crate::mcp::{is_method, is_version};
use crate::telemetry::names::{
    ERROR_TYPE, METHOD, PROMPT, PROTOCOL_VERSION, SERVER_PORT, STATUS_CODE, TOOL,
};

/// Stands for whatever has no label of its own, as in the conventions (`_OTHER` of `error.type`).
pub(super) const OTHER: &str = "_OTHER";
/// Codes that JSON-RPC and MCP may use ("Error object": from -32768 to -32000 is reserved).
const CODES: RangeInclusive<i64> = -32768..=-32000;
/// Statuses of HTTP.
const STATUSES: RangeInclusive<i64> = 100..=599;

/// Gives the labels that `wanted` names and the key has.
pub(super) fn labels<'a>(
    key: &Key<'a>,
    wanted: impl Fn(&str) -> bool,
) -> Vec<(&'static str, Cow<'a, str>)> {
    let texts = key.words.texts().into_iter();
    let told = texts.filter(|(label, text)| !text.is_empty() && wanted(label));
    let told = told.map(|(label, text)| (label, bounded(key, label, text).into()));
    let port = (key.words.port > 0 && wanted(SERVER_PORT))
        .then(|| (SERVER_PORT, key.words.port.to_string().into()));
    told.chain(port).collect()
}

fn bounded<'a>(key: &Key<'a>, label: &str, text: &'a str) -> &'a str {
    let known = match label {
        METHOD => is_method(text),
        TOOL | PROMPT => !key.unlisted,
        PROTOCOL_VERSION => is_version(text),
        ERROR_TYPE | STATUS_CODE => {
            text.parse().map_or(true, |code: i64| CODES.contains(&code) || STATUSES.contains(&code))
        }
        _ => true,
    };
    if known { text } else { OTHER }
}
