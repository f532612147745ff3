//! trace/v1

use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, status::StatusCode,
};

use super::common::{key_value, resource, scope};
use crate::otlp::json::input::Reader;
use crate::otlp::json::members::{Result, hex, list, members, named, text, u32, u64};

pub(super) fn resource_spans(r: &mut Reader<'_>) -> Result<ResourceSpans> {
    let mut m = ResourceSpans::default();
    members(r, |r, key| {
        match key {
            b"resource" => m.resource = Some(resource(r)?),
            b"scopeSpans" => m.scope_spans = list(r, scope_spans)?,
            b"schemaUrl" => m.schema_url = text(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn scope_spans(r: &mut Reader<'_>) -> Result<ScopeSpans> {
    let mut m = ScopeSpans::default();
    members(r, |r, key| {
        match key {
            b"scope" => m.scope = Some(scope(r)?),
            b"spans" => m.spans = list(r, span)?,
            b"schemaUrl" => m.schema_url = text(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn span(r: &mut Reader<'_>) -> Result<Span> {
    let mut m = Span::default();
    members(r, |r, key| {
        match key {
            b"traceId" => m.trace_id = hex(r)?,
            b"spanId" => m.span_id = hex(r)?,
            b"traceState" => m.trace_state = text(r)?,
            b"parentSpanId" => m.parent_span_id = hex(r)?,
            b"flags" => m.flags = u32(r)?,
            b"name" => m.name = text(r)?,
            b"kind" => m.kind = named(r, span_kind)?,
            b"startTimeUnixNano" => m.start_time_unix_nano = u64(r)?,
            b"endTimeUnixNano" => m.end_time_unix_nano = u64(r)?,
            b"attributes" => m.attributes = list(r, key_value)?,
            b"droppedAttributesCount" => m.dropped_attributes_count = u32(r)?,
            b"events" => m.events = list(r, event)?,
            b"droppedEventsCount" => m.dropped_events_count = u32(r)?,
            b"links" => m.links = list(r, link)?,
            b"droppedLinksCount" => m.dropped_links_count = u32(r)?,
            b"status" => m.status = Some(status(r)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn event(r: &mut Reader<'_>) -> Result<Event> {
    let mut m = Event::default();
    members(r, |r, key| {
        match key {
            b"timeUnixNano" => m.time_unix_nano = u64(r)?,
            b"name" => m.name = text(r)?,
            b"attributes" => m.attributes = list(r, key_value)?,
            b"droppedAttributesCount" => m.dropped_attributes_count = u32(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn link(r: &mut Reader<'_>) -> Result<Link> {
    let mut m = Link::default();
    members(r, |r, key| {
        match key {
            b"traceId" => m.trace_id = hex(r)?,
            b"spanId" => m.span_id = hex(r)?,
            b"traceState" => m.trace_state = text(r)?,
            b"attributes" => m.attributes = list(r, key_value)?,
            b"droppedAttributesCount" => m.dropped_attributes_count = u32(r)?,
            b"flags" => m.flags = u32(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn status(r: &mut Reader<'_>) -> Result<Status> {
    let mut m = Status::default();
    members(r, |r, key| {
        match key {
            b"message" => m.message = text(r)?,
            b"code" => m.code = named(r, status_code)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

pub(in crate::otlp::json) fn span_kind(name: &str) -> Option<i32> {
    SpanKind::from_str_name(name).map(|value| value as i32)
}

pub(in crate::otlp::json) fn status_code(name: &str) -> Option<i32> {
    StatusCode::from_str_name(name).map(|value| value as i32)
}
