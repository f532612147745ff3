//! A tap that puts a context of its own into requests is a hop: its call has two spans.
//!
//! SERVER, under the client's context, is what came in; CLIENT, its child, is what went out, and its
//! context is the one that the server was told. The CLIENT span is the call: it is what a passive tap
//! makes, with events, links to earlier legs and content (so, with the digest). The SERVER span is marked
//! `mcpcol.hop`, so that whoever counts calls counts each once. Both have the same times, sizes and
//! outcome; `error.type` and status follow the conventions for their kind.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};

use super::call::{Call, Place};
use super::span::{Ending, Frame, carrier};
use super::trace::span_flags;
use super::{Edited, Hop, Perspective, SpanRef};
use crate::telemetry::{SpanId, names};

/// The SERVER span above the call of a hop.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) span: SpanId,
    /// The client's span.
    parent: Option<SpanId>,
}

impl Edited {
    /// How many spans a request makes to which this was done.
    pub(super) fn spans(&self) -> u64 {
        1 + u64::from(self.hop.is_some())
    }
}

impl Place {
    /// The place of the CLIENT span, and the SERVER span above it that takes this place.
    pub(super) fn through(self, hop: Hop) -> (Place, Option<Box<Incoming>>) {
        // A parent in another trace is none: the hop did not know of it.
        let same = self.own.trace == hop.trace;
        let incoming = Incoming { span: hop.server, parent: self.parent.filter(|_| same) };
        let own = SpanRef { trace: hop.trace, span: hop.client };
        let state = if same { self.state } else { String::new() };
        let place = Place { own, parent: Some(hop.server), state, ..self };
        (place, Some(Box::new(incoming)))
    }
}

impl Frame<'_> {
    /// The SERVER span of a call that went through a hop.
    pub(super) fn incoming(&self, call: &mut Call, ending: &Ending<'_>) -> Option<Span> {
        let hop = call.hop.as_ref()?;
        let links = call.carrier.take().as_deref().map(carrier).into_iter().collect();
        let frame = Frame { kind: Perspective::Server, ..*self };
        let error = frame.error_type(call, ending);
        let code = if error.is_some() { StatusCode::Error } else { StatusCode::Unset };
        let mut attributes = frame.attributes(call, ending, error);
        // Of whom the client called, not of whom we did.
        let beyond = [names::SERVER_ADDRESS, names::SERVER_PORT];
        attributes.retain(|attribute| !beyond.contains(&&*attribute.key));
        let value = Some(AnyValue { value: Some(Value::BoolValue(true)) });
        attributes.push(KeyValue { key: names::HOP.to_owned(), value, ..KeyValue::default() });
        Some(Span {
            trace_id: call.place.own.trace.to_vec(),
            span_id: hop.span.to_vec(),
            trace_state: call.place.state.clone(),
            parent_span_id: hop.parent.map(|id| id.to_vec()).unwrap_or_default(),
            flags: span_flags(call.place.flags, hop.parent.is_some()),
            name: frame.name(call, ending),
            kind: SpanKind::Server as i32,
            start_time_unix_nano: call.start,
            end_time_unix_nano: ending.end.max(call.start),
            attributes,
            links,
            status: Some(Status { code: code as i32, message: String::new() }),
            ..Span::default()
        })
    }
}
