//! One span as Zipkin v2 has it: the mapping of the OpenTelemetry specification ("OpenTelemetry to
//! Zipkin Transformation"), and for links and `tracestate`, which it leaves open, the Collector's.
//!
//! What has no place in Zipkin is left out: attributes of the scope, flags, schema URLs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde::Serialize;

use super::tags::{object, text};
use crate::telemetry::names;

/// Says where the other side of a request is named, first hit first, and the port that goes with it.
const REMOTE: &[(&str, Option<&str>)] = &[
    (names::PEER_SERVICE, None),
    (names::SERVER_ADDRESS, None),
    ("net.peer.name", None),
    ("network.peer.address", Some("network.peer.port")),
    ("server.socket.domain", None),
    ("server.socket.address", Some("server.socket.port")),
    ("net.sock.peer.name", None),
    ("net.sock.peer.addr", Some("net.sock.peer.port")),
    ("peer.hostname", None),
    ("peer.address", None),
    ("db.name", None),
];

type Tags<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

/// A span, ready to be written. Nothing is written empty.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ZipkinSpan<'a> {
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    /// Microseconds, as everywhere in Zipkin.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    local_endpoint: Endpoint<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_endpoint: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation<'a>>,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: Tags<'a>,
}

#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    service_name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

#[derive(Serialize)]
struct Annotation<'a> {
    timestamp: u64,
    value: Cow<'a, str>,
}

/// Holds what all spans of one resource share.
pub(super) struct Origin<'a> {
    service: Endpoint<'a>,
    attributes: &'a [KeyValue],
}

impl<'a> Origin<'a> {
    pub(super) fn new(resource: Option<&'a Resource>, default_service_name: &'a str) -> Self {
        let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
        let name = find(attributes, names::SERVICE_NAME).unwrap_or(default_service_name.into());
        let service = Endpoint { service_name: Some(name), ..Endpoint::default() };
        Origin { service, attributes }
    }
}

impl<'a> ZipkinSpan<'a> {
    /// The ids must have been checked.
    pub(super) fn new(
        origin: &Origin<'a>,
        scope: Option<&'a InstrumentationScope>,
        span: &'a Span,
    ) -> Self {
        // Without a start its end is a time and no duration.
        let lasted = match span.start_time_unix_nano {
            0 => 0,
            start => span.end_time_unix_nano.saturating_sub(start),
        };
        let kind = kind(span);
        ZipkinSpan {
            trace_id: hex(&span.trace_id),
            parent_id: span
                .parent_span_id
                .iter()
                .any(|b| *b != 0)
                .then(|| hex(&span.parent_span_id)),
            id: hex(&span.span_id),
            kind,
            name: &span.name,
            timestamp: micros(span.start_time_unix_nano),
            duration: micros(lasted),
            local_endpoint: origin.service.clone(),
            remote_endpoint: matches!(kind, Some("CLIENT" | "PRODUCER"))
                .then(|| remote(&span.attributes))
                .flatten(),
            annotations: span.events.iter().filter_map(|event| annotation(event, span)).collect(),
            tags: tags(origin, scope, span),
        }
    }
}

fn kind(span: &Span) -> Option<&'static str> {
    match span.kind() {
        SpanKind::Client => Some("CLIENT"),
        SpanKind::Server => Some("SERVER"),
        SpanKind::Producer => Some("PRODUCER"),
        SpanKind::Consumer => Some("CONSUMER"),
        SpanKind::Internal | SpanKind::Unspecified => None,
    }
}

/// The other side of the request. An address that is one goes where Zipkin has addresses.
fn remote(attributes: &[KeyValue]) -> Option<Endpoint<'_>> {
    let (name, port) =
        REMOTE.iter().find_map(|(key, port)| Some((find(attributes, key)?, *port)))?;
    let port = port.and_then(|port| find(attributes, port)?.parse().ok()).filter(|port| *port > 0);
    let endpoint = Endpoint { port, ..Endpoint::default() };
    Some(match name.parse() {
        Ok(IpAddr::V4(ip)) => Endpoint { ipv4: Some(ip.to_string()), ..endpoint },
        Ok(IpAddr::V6(ip)) => Endpoint { ipv6: Some(ip.to_string()), ..endpoint },
        Err(_) => Endpoint { service_name: Some(name), ..endpoint },
    })
}

/// The event's name, and its attributes where it has some. One without either says nothing.
fn annotation<'a>(event: &'a Event, span: &Span) -> Option<Annotation<'a>> {
    let value = match (event.name.as_str(), event.attributes.as_slice()) {
        ("", []) => return None,
        (name, []) => Cow::Borrowed(name),
        (name, attributes) => {
            let mut value = Vec::new();
            crate::json::write_string(&mut value, name);
            value.extend_from_slice(b": ");
            object(&mut value, attributes);
            Cow::Owned(String::from_utf8_lossy(&value).into_owned())
        }
    };
    // Zipkin has no annotation without a time; without any, the first moment there is.
    let timestamp = micros(event.time_unix_nano).or(micros(span.start_time_unix_nano));
    Some(Annotation { timestamp: timestamp.unwrap_or(1), value })
}

/// A span's own attribute wins over its resource's, and what the span is over both.
fn tags<'a>(
    origin: &Origin<'a>,
    scope: Option<&'a InstrumentationScope>,
    span: &'a Span,
) -> Tags<'a> {
    let mut tags = Tags::new();
    let resource = origin.attributes.iter().filter(|a| a.key != names::SERVICE_NAME);
    for attribute in resource.chain(&span.attributes).filter(|a| !a.key.is_empty()) {
        tags.insert(attribute.key.as_str().into(), text(attribute.value.as_ref()));
    }
    // What says that there is no error must not look like one: Zipkin only asks whether it is there.
    if tags.get("error").is_some_and(|error| error == "false") {
        tags.remove("error");
    }
    let mut put = |key: &'static str, value: Cow<'a, str>| {
        if !value.is_empty() {
            tags.insert(key.into(), value);
        }
    };
    if let Some(scope) = scope {
        // The second name of each is the deprecated one.
        for key in ["otel.scope.name", "otel.library.name"] {
            put(key, scope.name.as_str().into());
        }
        for key in ["otel.scope.version", "otel.library.version"] {
            put(key, scope.version.as_str().into());
        }
    }
    for (key, count) in [
        ("otel.dropped_attributes_count", span.dropped_attributes_count),
        ("otel.dropped_events_count", span.dropped_events_count),
        ("otel.dropped_links_count", span.dropped_links_count),
    ] {
        put(key, if count > 0 { count.to_string().into() } else { "".into() });
    }
    put("w3c.tracestate", span.trace_state.as_str().into());
    for (i, one) in span.links.iter().enumerate() {
        tags.insert(format!("otlp.link.{i}").into(), link(one).into());
    }
    status(span, &mut tags);
    tags
}

fn status<'a>(span: &'a Span, tags: &mut Tags<'a>) {
    let Some(status) = &span.status else { return };
    match status.code() {
        StatusCode::Unset => {}
        StatusCode::Ok => drop(tags.insert("otel.status_code".into(), "OK".into())),
        StatusCode::Error => {
            tags.insert("otel.status_code".into(), "ERROR".into());
            // Empty where there is no description: that it is there is what counts.
            tags.insert("error".into(), status.message.as_str().into());
        }
    }
}

/// The Collector's form: `trace|span|tracestate|attributes|dropped attributes`.
fn link(link: &Link) -> String {
    let mut attributes = Vec::new();
    object(&mut attributes, &link.attributes);
    let attributes = String::from_utf8_lossy(&attributes);
    let (trace, span) = (hex(&link.trace_id), hex(&link.span_id));
    format!("{trace}|{span}|{}|{attributes}|{}", link.trace_state, link.dropped_attributes_count)
}

/// The text of an attribute that is there and says something.
fn find<'a>(attributes: &'a [KeyValue], key: &str) -> Option<Cow<'a, str>> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(text(found.value.as_ref())).filter(|text| !text.is_empty())
}

/// Zipkin counts in microseconds and takes 0 for missing, so that what took less than one took one.
fn micros(nanos: u64) -> Option<u64> {
    (nanos > 0).then(|| (nanos / 1000).max(1))
}

fn hex(id: &[u8]) -> String {
    id.iter().fold(String::with_capacity(id.len() * 2), |mut out, byte| {
        // Writing to a String cannot fail.
        let _written = write!(out, "{byte:02x}");
        out
    })
}
