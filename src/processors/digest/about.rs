//! What a span says of its call: whether a digest is due.

use crate::otlp::wire::view::View;
use crate::telemetry::names::{METHOD, PASSBACK, SCOPE, TOOL};

/// The method whose arguments and results are digested.
pub(super) const TOOLS_CALL: &str = "tools/call";

/// Says who made a span of which a tap saw more than stands on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The tap, of a call.
    Taps,
    /// The server, which handed it back.
    Servers,
}

impl Whose {
    /// By the name of the span's scope.
    pub(super) fn of(scope: &str) -> Self {
        if scope == SCOPE { Whose::Taps } else { Whose::Servers }
    }

    /// Says whether it is of a tool's call.
    pub(super) fn concerns(self, about: &About<'_>) -> bool {
        match self {
            Whose::Taps => about.method == Some(TOOLS_CALL),
            // Not every server names the method.
            Whose::Servers => about.passback && about.method.is_none_or(|m| m == TOOLS_CALL),
        }
    }
}

/// Holds what a span says that matters here.
pub(super) struct About<'a> {
    method: Option<&'a str>,
    pub(super) tool: Option<&'a str>,
    passback: bool,
}

impl<'a> About<'a> {
    /// Reads a span; the first attribute of a name counts.
    pub(super) fn of(span: View<'a>) -> Self {
        let (mut method, mut tool, mut passback) = (None, None, false);
        span.each_attribute(|name, value| match name {
            name if name == METHOD.as_bytes() && method.is_none() => method = Some(value),
            name if name == TOOL.as_bytes() && tool.is_none() => tool = Some(value),
            name => passback |= name == PASSBACK.as_bytes(),
        });
        About {
            method: method.and_then(|value| value.text()),
            tool: tool.and_then(|value| value.text()),
            passback,
        }
    }
}
