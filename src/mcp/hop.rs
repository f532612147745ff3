//! A tap that puts a context of its own into requests is a hop: its call has two spans.
//!
//! SERVER, under the client's context, is what came in; CLIENT, its child, is what went out, and its
//! context is the one that the server was told. The CLIENT span is the call: it is what a passive tap
//! makes, with events, links to earlier legs and content (so, with the digest). The SERVER span is marked
//! `mcpcol.hop`, so that whoever counts calls counts each once. Both have the same times, sizes and
//! outcome; `error.type` and status follow the conventions for their kind.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::call::{Call, Incoming, SpanPosition};
use super::span::{Attributes, Ending, Frame, Server, status};
use super::trace::span_flags;
use super::{Edited, Hop, Perspective, SpanRef};
use crate::otlp::wire::compose::Span;
use crate::telemetry::names;

impl Edited {
    /// Says how many spans a request makes to which this was done.
    pub(super) fn spans(&self) -> u64 {
        1 + u64::from(self.hop.is_some())
    }
}

impl SpanPosition {
    /// The place of the CLIENT span, and the SERVER span above it that takes this place.
    pub(super) fn through(self, hop: Hop) -> (SpanPosition, Option<Box<Incoming>>) {
        // A parent in another trace is none: the hop did not know of it.
        let same = self.own.trace == hop.trace;
        let incoming = Incoming { span: hop.server, parent: self.parent.filter(|_| same) };
        let own = SpanRef { trace: hop.trace, span: hop.client };
        let state = if same { self.state } else { String::new() };
        let place = SpanPosition { own, parent: Some(hop.server), state, ..self };
        (place, Some(Box::new(incoming)))
    }
}

impl Frame<'_> {
    /// Writes the SERVER span of a call that went through the hop `incoming`.
    pub(super) fn incoming(
        &self,
        call: &Call,
        incoming: &Incoming,
        ending: &Ending<'_>,
        span: &mut Span<'_>,
    ) {
        // Its address is of whom we called, not of whom the client did.
        let server = Server { address: String::new(), port: None, ..self.server.clone() };
        let frame = Frame { kind: Perspective::Server, server: &server, ..*self };
        let place = &call.place;
        let error = frame.error_type(call, ending);
        span.ids(&place.own.trace, &incoming.span);
        span.trace_state(&place.state);
        incoming.parent.iter().for_each(|parent| span.parent(parent));
        frame.name(call, ending, span);
        span.kind(SpanKind::Server);
        let (start, end) = call.times(ending.end);
        span.times(start, end);
        let mut attributes = Attributes(span);
        frame.attributes(call, ending, error.as_deref(), &mut attributes);
        attributes.flag(names::HOP);
        frame.callers(call, span);
        span.status(status(error.as_deref()));
        span.flags(span_flags(place.flags, incoming.parent.is_some()));
    }
}
