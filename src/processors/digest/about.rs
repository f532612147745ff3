//! What a span says of its call, read from its messages or from its bytes: whether a digest is due.

use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};

use super::attributes;
use crate::otlp::wire::edit::{AttributeView, SpanView};
use crate::otlp::wire::fields::Irregular;
use crate::telemetry::names::{METHOD, PASSBACK, SCOPE, TOOL};
use crate::telemetry::{Content, Seen};

/// The method whose arguments and results are digested.
pub(super) const TOOLS_CALL: &str = "tools/call";

/// Who made a span of which a tap saw more than stands on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The tap, of a call.
    Taps,
    /// The server, which handed it back.
    Servers,
}

impl Whose {
    /// By the name of the span's scope.
    pub(super) fn of(scope: &[u8]) -> Self {
        if scope == SCOPE.as_bytes() { Whose::Taps } else { Whose::Servers }
    }

    /// Whether it is of a tool's call.
    pub(super) fn concerns(self, about: &About<'_>) -> bool {
        match self {
            Whose::Taps => about.method == Some(TOOLS_CALL.as_bytes()),
            // Not every server names the method.
            Whose::Servers => {
                about.passback && about.method.is_none_or(|m| m == TOOLS_CALL.as_bytes())
            }
        }
    }

    /// What was seen of the call behind `span`, if it is a tool's.
    pub(super) fn seen<'c>(self, span: &Span, content: &'c Content) -> Option<&'c Seen> {
        let seen = content.of(&span.trace_id, &span.span_id)?;
        self.concerns(&About::in_messages(span)).then_some(seen)
    }
}

/// The name of a scope.
pub(super) fn name_of(scope: &ScopeSpans) -> &[u8] {
    scope.scope.as_ref().map_or(b"", |scope| scope.name.as_bytes())
}

/// What a span says that matters here.
pub(super) struct About<'a> {
    pub(super) method: Option<&'a [u8]>,
    pub(super) tool: Option<&'a [u8]>,
    passback: bool,
}

impl<'a> About<'a> {
    pub(super) fn in_messages(span: &'a Span) -> Self {
        let attribute = |name| attributes::find(&span.attributes, name);
        About {
            method: attribute(METHOD).and_then(attributes::text).map(str::as_bytes),
            tool: attribute(TOOL).and_then(attributes::text).map(str::as_bytes),
            passback: attribute(PASSBACK).is_some(),
        }
    }

    pub(super) fn in_bytes(span: &SpanView<'a>) -> Result<Self, Irregular> {
        let (mut method, mut tool, mut passback) = (None, None, false);
        // The first of a name counts, as everywhere.
        for attribute in span.attributes.iter().rev() {
            match attribute.name {
                name if name == METHOD.as_bytes() => method = Some(attribute),
                name if name == TOOL.as_bytes() => tool = Some(attribute),
                name => passback |= name == PASSBACK.as_bytes(),
            }
        }
        let text =
            |attribute: Option<&AttributeView<'a>>| attribute.map_or(Ok(None), AttributeView::text);
        Ok(About { method: text(method)?, tool: text(tool)?, passback })
    }
}
