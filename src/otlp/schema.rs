//! The messages of OTLP: for each field number what stands behind it, and how OTLP/JSON calls and writes it.
//!
//! One table for all who walk the bytes: the check, the editor, the split, and OTLP/JSON in both directions.
//! From the .proto files of OTLP 1.x as opentelemetry-proto 0.33 has them, and protobuf's rules for JSON. A field
//! that is missing here passes as unknown and is not written to JSON, as readers pass over members that they do
//! not know: the property tests compare the table with the decoder.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::ids::{SPAN_ID, TRACE_ID};
use super::request::Request;

/// Says how a field's value stands in protobuf, and with it what it is in JSON.
#[derive(Clone, Copy)]
pub(in crate::otlp) enum Form {
    /// Not in the schema.
    Unknown,
    /// UTF-8.
    Text,
    /// A trace or span id: hex.
    Id(Id),
    /// Other bytes: base64.
    Bytes,
    Bool,
    /// `uint32`: a number.
    U32,
    /// `int32`: a number.
    I32,
    /// `sint32`: a number.
    S32,
    /// An enum: a number, or read by the names of the .proto file.
    Enum(fn(&str) -> Option<i32>),
    /// `int64`: a string.
    I64,
    Fixed32,
    /// `fixed64`: a string.
    Fixed64,
    /// `sfixed64`: a string.
    Sfixed64,
    Double,
    Message(&'static Message),
    /// Repeated, as the rest.
    Messages(&'static Message),
    /// Messages that are one item each: spans, data points, log records.
    Items(&'static Message),
    Texts,
    /// `uint64`, packed: strings.
    Varints,
    /// `fixed64`, packed: strings.
    Fixed64s,
    /// `double`, packed.
    Doubles,
}

/// Says what an id owes to the item it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::otlp) struct Id {
    /// Its length in bytes.
    pub(in crate::otlp) len: usize,
    /// Says whether it is the item's own, which must be there and not be zero.
    pub(in crate::otlp) own: bool,
}

/// A span's own trace id.
const OWN_TRACE: Id = Id { len: TRACE_ID, own: true };
/// A span's own id.
const OWN_SPAN: Id = Id { len: SPAN_ID, own: true };
/// A trace id that may be missing.
const TRACE: Id = Id { len: TRACE_ID, own: false };
/// A span id that may be missing.
const SPAN_REF: Id = Id { len: SPAN_ID, own: false };

/// Says when a member is written to JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::otlp) enum Presence {
    /// Unless it holds its default.
    Implicit,
    /// Whenever the field is there.
    Explicit,
    /// Likewise, and it excludes the message's other choices: a oneof. No message of OTLP has two.
    Choice,
}

/// Names the messages that have attributes and texts of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// `Resource`, and the schema URL beside it.
    Resource,
    /// `InstrumentationScope`, and the schema URL beside it.
    Scope,
    /// `Span`, its status included.
    Span,
    /// `Span.Event`
    Event,
    /// `Span.Link`
    Link,
    /// `Metric`: its metadata.
    Metric,
    /// A data point of any kind.
    Point,
    /// `Exemplar`
    Exemplar,
    /// `LogRecord`
    LogRecord,
}

/// Describes one field of a message.
#[derive(Clone, Copy)]
pub(in crate::otlp) struct Field {
    /// The member's name in quotes, between the comma before it and the colon behind it.
    pub(in crate::otlp) key: &'static str,
    pub(in crate::otlp) form: Form,
    pub(in crate::otlp) presence: Presence,
    /// A bit for each field of a message; the choices of a oneof share one. None for what is unknown.
    pub(in crate::otlp) bit: u32,
    /// Says whether its values come one by one, a field each.
    pub(in crate::otlp) list: bool,
}

/// The highest field number of any message of OTLP.
const MAX_FIELD: usize = 16;

/// Describes one message.
pub(in crate::otlp) struct Message {
    fields: [Field; MAX_FIELD + 1],
    /// Its own place, if it is one.
    pub(in crate::otlp) holder: Option<Holder>,
    /// Says whether items of this kind must have ids of their own: spans.
    pub(in crate::otlp) identified: bool,
    /// Says whether it is one of the levels above items, which go when their last item does.
    pub(in crate::otlp) groups: bool,
    /// Says whether values stand in it: a list or a map.
    pub(in crate::otlp) nests: bool,
    /// The field number of its attributes; 0 where it has none.
    pub(in crate::otlp) attributes: u32,
    /// Says what one takes in memory once it is decoded, in bytes, without what its fields point at.
    pub(in crate::otlp) size: usize,
    /// Stands in JSON for field 1 where readers want it even if it is not there: some refuse a pair
    /// without key, and take `{"arrayValue":{}}` for a mistake.
    pub(in crate::otlp) wanted: Option<&'static str>,
}

const NONE: Field = Field::new("", Form::Unknown, Presence::Implicit, 0);
/// Stands behind every number that is not in the schema.
static UNKNOWN: Field = NONE;

impl Field {
    const fn new(key: &'static str, form: Form, presence: Presence, number: u32) -> Field {
        let bit = match (form, presence) {
            (Form::Unknown, _) => 0,
            (_, Presence::Choice) => 1,
            _ => 1 << number,
        };
        let list = matches!(form, Form::Messages(_) | Form::Items(_) | Form::Texts);
        Field { key, form, presence, bit, list }
    }

    /// Gives the member's name.
    pub(in crate::otlp) fn name(&self) -> &'static str {
        self.key.strip_prefix(",\"").and_then(|name| name.strip_suffix("\":")).unwrap_or_default()
    }
}

impl Message {
    /// Gives the request's message.
    pub(in crate::otlp) fn of(request: Request) -> &'static Message {
        match request {
            Request::Traces => &TRACES,
            Request::Metrics => &METRICS,
            Request::Logs => &LOGS,
        }
    }

    /// Says which holder a level above items has beside them: a resource, a scope.
    pub(in crate::otlp) fn level(&self) -> Option<Holder> {
        match self.field(1).form {
            Form::Message(inner) => inner.holder,
            _ => None,
        }
    }

    /// Gives what stands behind a field number.
    #[inline(always)]
    pub(in crate::otlp) fn field(&self, number: u32) -> &Field {
        self.fields.get(number as usize).unwrap_or(&UNKNOWN)
    }

    /// Finds the field of that name in OTLP/JSON, with its number. Members mostly come in the order of their
    /// numbers: it is looked for from `from` on first.
    pub(in crate::otlp) fn named(&self, name: &[u8], from: u32) -> Option<(u32, &Field)> {
        let from = (from as usize).min(MAX_FIELD);
        let numbers = (from..=MAX_FIELD).chain(1..from);
        let mut all = numbers.map(|number| (number as u32, &self.fields[number]));
        // Two quotes, comma and colon.
        all.find(|(_, f)| f.key.len() == name.len() + 4 && f.key.as_bytes()[2..].starts_with(name))
    }

    const fn new<M>(list: &[(u32, Field)], holder: Option<Holder>) -> Message {
        let mut fields = [NONE; MAX_FIELD + 1];
        let (mut identified, mut groups, mut nests, mut attributes) = (false, false, false, 0);
        let mut i = 0;
        while i < list.len() {
            let (number, field) = list[i];
            fields[number as usize] = field;
            match field.form {
                Form::Id(id) => identified |= id.own,
                Form::Items(_) => groups = true,
                // Told by their names: a message cannot be compared where tables are made.
                Form::Messages(_) if is_attributes(field.key) => attributes = number,
                Form::Messages(_) if is_group(field.key) => groups = true,
                Form::Messages(_) if is_values(field.key) => nests = true,
                _ => {}
            }
            i += 1;
        }
        // A metric is no list, but goes with its points.
        groups |= matches!(holder, Some(Holder::Metric));
        Message {
            fields,
            holder,
            identified,
            groups,
            nests,
            attributes,
            size: size_of::<M>(),
            wanted: None,
        }
    }

    const fn wants(self, wanted: &'static str) -> Message {
        Message { wanted: Some(wanted), ..self }
    }
}

/// Says whether the member of that key is a list of attributes of the message itself.
const fn is_attributes(key: &str) -> bool {
    matches!(key.as_bytes(), b",\"attributes\":" | b",\"filteredAttributes\":" | b",\"metadata\":")
}

/// Says whether the member of that key is a list of values, or of entries that have one.
const fn is_values(key: &str) -> bool {
    matches!(key.as_bytes(), b",\"values\":")
}

/// Says whether the member of that key is a list of levels above items.
const fn is_group(key: &str) -> bool {
    matches!(
        key.as_bytes(),
        b",\"resourceSpans\":"
            | b",\"resourceMetrics\":"
            | b",\"resourceLogs\":"
            | b",\"scopeSpans\":"
            | b",\"scopeMetrics\":"
            | b",\"scopeLogs\":"
            | b",\"metrics\":"
    )
}

/// Writes down a message: its decoded type and its holder, then lines of number, name, form, and the presence where it is not
/// implicit.
macro_rules! message {
    ($decoded:ty $(, $holder:ident)?;
     $($number:literal $name:literal $form:expr $(, $presence:ident)?;)*) => {
        Message::new::<$decoded>(
            &[$(($number, Field::new(
                concat!(",\"", $name, "\":"),
                $form,
                message!(@presence $($presence)?),
                $number,
            ))),*],
            message!(@holder $($holder)?),
        )
    };
    (@presence) => { Presence::Implicit };
    (@presence $presence:ident) => { Presence::$presence };
    (@holder) => { None };
    (@holder $holder:ident) => { Some(Holder::$holder) };
}

pub(in crate::otlp) fn span_kind(name: &str) -> Option<i32> {
    SpanKind::from_str_name(name).map(|value| value as i32)
}

pub(in crate::otlp) fn status_code(name: &str) -> Option<i32> {
    StatusCode::from_str_name(name).map(|value| value as i32)
}

fn severity(name: &str) -> Option<i32> {
    SeverityNumber::from_str_name(name).map(|value| value as i32)
}

fn temporality(name: &str) -> Option<i32> {
    AggregationTemporality::from_str_name(name).map(|value| value as i32)
}

use Form::{
    Bool, Bytes, Double, Doubles, Enum, Fixed32, Fixed64, Fixed64s, I32, I64, Items, Messages, S32,
    Sfixed64, Text, Texts, U32, Varints,
};

// collector/*/v1, which are `TracesData`, `MetricsData` and `LogsData` by another name.
pub(in crate::otlp) static TRACES: Message = message! { ExportTraceServiceRequest;
    1 "resourceSpans" Messages(&RESOURCE_SPANS);
};
pub(in crate::otlp) static METRICS: Message = message! { ExportMetricsServiceRequest;
    1 "resourceMetrics" Messages(&RESOURCE_METRICS);
};
pub(in crate::otlp) static LOGS: Message = message! { ExportLogsServiceRequest;
    1 "resourceLogs" Messages(&RESOURCE_LOGS);
};

// common/v1 and resource/v1
pub(in crate::otlp) static ANY_VALUE: Message = message! { AnyValue;
    1 "stringValue" Text, Choice;
    2 "boolValue" Bool, Choice;
    3 "intValue" I64, Choice;
    4 "doubleValue" Double, Choice;
    5 "arrayValue" Form::Message(&ARRAY_VALUE), Choice;
    6 "kvlistValue" Form::Message(&KEY_VALUE_LIST), Choice;
    7 "bytesValue" Bytes, Choice;
    8 "stringValueStrindex" I32, Choice;
};
pub(in crate::otlp) static ARRAY_VALUE: Message = message! { ArrayValue;
    1 "values" Messages(&ANY_VALUE);
}
.wants(",\"values\":[]");
pub(in crate::otlp) static KEY_VALUE_LIST: Message = message! { KeyValueList;
    1 "values" Messages(&KEY_VALUE);
}
.wants(",\"values\":[]");
pub(in crate::otlp) static KEY_VALUE: Message = message! { KeyValue;
    1 "key" Text, Explicit;
    2 "value" Form::Message(&ANY_VALUE);
    3 "keyStrindex" I32;
}
.wants(",\"key\":\"\"");
pub(in crate::otlp) static SCOPE: Message = message! { InstrumentationScope, Scope;
    1 "name" Text;
    2 "version" Text;
    3 "attributes" Messages(&KEY_VALUE);
    4 "droppedAttributesCount" U32;
};
static ENTITY_REF: Message = message! { EntityRef;
    1 "schemaUrl" Text;
    2 "type" Text;
    3 "idKeys" Texts;
    4 "descriptionKeys" Texts;
};
pub(in crate::otlp) static RESOURCE: Message = message! { Resource, Resource;
    1 "attributes" Messages(&KEY_VALUE);
    2 "droppedAttributesCount" U32;
    3 "entityRefs" Messages(&ENTITY_REF);
};

// trace/v1
pub(in crate::otlp) static RESOURCE_SPANS: Message = message! { ResourceSpans;
    1 "resource" Form::Message(&RESOURCE);
    2 "scopeSpans" Messages(&SCOPE_SPANS);
    3 "schemaUrl" Text;
};
pub(in crate::otlp) static SCOPE_SPANS: Message = message! { ScopeSpans;
    1 "scope" Form::Message(&SCOPE);
    2 "spans" Items(&SPAN);
    3 "schemaUrl" Text;
};
pub(in crate::otlp) static SPAN: Message = message! { Span, Span;
    1 "traceId" Form::Id(OWN_TRACE);
    2 "spanId" Form::Id(OWN_SPAN);
    3 "traceState" Text;
    4 "parentSpanId" Form::Id(SPAN_REF);
    5 "name" Text;
    6 "kind" Enum(span_kind);
    7 "startTimeUnixNano" Fixed64;
    8 "endTimeUnixNano" Fixed64;
    9 "attributes" Messages(&KEY_VALUE);
    10 "droppedAttributesCount" U32;
    11 "events" Messages(&EVENT);
    12 "droppedEventsCount" U32;
    13 "links" Messages(&LINK);
    14 "droppedLinksCount" U32;
    15 "status" Form::Message(&STATUS);
    16 "flags" Fixed32;
};
static EVENT: Message = message! { Event, Event;
    1 "timeUnixNano" Fixed64;
    2 "name" Text;
    3 "attributes" Messages(&KEY_VALUE);
    4 "droppedAttributesCount" U32;
};
pub(in crate::otlp) static LINK: Message = message! { Link, Link;
    1 "traceId" Form::Id(TRACE);
    2 "spanId" Form::Id(SPAN_REF);
    3 "traceState" Text;
    4 "attributes" Messages(&KEY_VALUE);
    5 "droppedAttributesCount" U32;
    6 "flags" Fixed32;
};
pub(in crate::otlp) static STATUS: Message = message! { Status;
    2 "message" Text;
    3 "code" Enum(status_code);
};

// metrics/v1
static RESOURCE_METRICS: Message = message! { ResourceMetrics;
    1 "resource" Form::Message(&RESOURCE);
    2 "scopeMetrics" Messages(&SCOPE_METRICS);
    3 "schemaUrl" Text;
};
static SCOPE_METRICS: Message = message! { ScopeMetrics;
    1 "scope" Form::Message(&SCOPE);
    2 "metrics" Messages(&METRIC);
    3 "schemaUrl" Text;
};
static METRIC: Message = message! { Metric, Metric;
    1 "name" Text;
    2 "description" Text;
    3 "unit" Text;
    5 "gauge" Form::Message(&GAUGE), Choice;
    7 "sum" Form::Message(&SUM), Choice;
    9 "histogram" Form::Message(&HISTOGRAM), Choice;
    10 "exponentialHistogram" Form::Message(&EXPONENTIAL_HISTOGRAM), Choice;
    11 "summary" Form::Message(&SUMMARY), Choice;
    12 "metadata" Messages(&KEY_VALUE);
};
static GAUGE: Message = message! { Gauge;
    1 "dataPoints" Items(&NUMBER_POINT);
};
static SUM: Message = message! { Sum;
    1 "dataPoints" Items(&NUMBER_POINT);
    2 "aggregationTemporality" Enum(temporality);
    3 "isMonotonic" Bool;
};
static HISTOGRAM: Message = message! { Histogram;
    1 "dataPoints" Items(&HISTOGRAM_POINT);
    2 "aggregationTemporality" Enum(temporality);
};
static EXPONENTIAL_HISTOGRAM: Message = message! { ExponentialHistogram;
    1 "dataPoints" Items(&EXPONENTIAL_POINT);
    2 "aggregationTemporality" Enum(temporality);
};
static SUMMARY: Message = message! { Summary;
    1 "dataPoints" Items(&SUMMARY_POINT);
};
static NUMBER_POINT: Message = message! { NumberDataPoint, Point;
    2 "startTimeUnixNano" Fixed64;
    3 "timeUnixNano" Fixed64;
    4 "asDouble" Double, Choice;
    5 "exemplars" Messages(&EXEMPLAR);
    6 "asInt" Sfixed64, Choice;
    7 "attributes" Messages(&KEY_VALUE);
    8 "flags" U32;
};
static HISTOGRAM_POINT: Message = message! { HistogramDataPoint, Point;
    2 "startTimeUnixNano" Fixed64;
    3 "timeUnixNano" Fixed64;
    4 "count" Fixed64;
    5 "sum" Double, Explicit;
    6 "bucketCounts" Fixed64s;
    7 "explicitBounds" Doubles;
    8 "exemplars" Messages(&EXEMPLAR);
    9 "attributes" Messages(&KEY_VALUE);
    10 "flags" U32;
    11 "min" Double, Explicit;
    12 "max" Double, Explicit;
};
static EXPONENTIAL_POINT: Message = message! { ExponentialHistogramDataPoint, Point;
    1 "attributes" Messages(&KEY_VALUE);
    2 "startTimeUnixNano" Fixed64;
    3 "timeUnixNano" Fixed64;
    4 "count" Fixed64;
    5 "sum" Double, Explicit;
    6 "scale" S32;
    7 "zeroCount" Fixed64;
    8 "positive" Form::Message(&BUCKETS);
    9 "negative" Form::Message(&BUCKETS);
    10 "flags" U32;
    11 "exemplars" Messages(&EXEMPLAR);
    12 "min" Double, Explicit;
    13 "max" Double, Explicit;
    14 "zeroThreshold" Double;
};
static BUCKETS: Message = message! { Buckets;
    1 "offset" S32;
    2 "bucketCounts" Varints;
};
static SUMMARY_POINT: Message = message! { SummaryDataPoint, Point;
    2 "startTimeUnixNano" Fixed64;
    3 "timeUnixNano" Fixed64;
    4 "count" Fixed64;
    5 "sum" Double;
    6 "quantileValues" Messages(&VALUE_AT_QUANTILE);
    7 "attributes" Messages(&KEY_VALUE);
    8 "flags" U32;
};
static VALUE_AT_QUANTILE: Message = message! { ValueAtQuantile;
    1 "quantile" Double;
    2 "value" Double;
};
static EXEMPLAR: Message = message! { Exemplar, Exemplar;
    2 "timeUnixNano" Fixed64;
    3 "asDouble" Double, Choice;
    4 "spanId" Form::Id(SPAN_REF);
    5 "traceId" Form::Id(TRACE);
    6 "asInt" Sfixed64, Choice;
    7 "filteredAttributes" Messages(&KEY_VALUE);
};

// logs/v1
static RESOURCE_LOGS: Message = message! { ResourceLogs;
    1 "resource" Form::Message(&RESOURCE);
    2 "scopeLogs" Messages(&SCOPE_LOGS);
    3 "schemaUrl" Text;
};
static SCOPE_LOGS: Message = message! { ScopeLogs;
    1 "scope" Form::Message(&SCOPE);
    2 "logRecords" Items(&LOG_RECORD);
    3 "schemaUrl" Text;
};
static LOG_RECORD: Message = message! { LogRecord, LogRecord;
    1 "timeUnixNano" Fixed64;
    2 "severityNumber" Enum(severity);
    3 "severityText" Text;
    5 "body" Form::Message(&ANY_VALUE);
    6 "attributes" Messages(&KEY_VALUE);
    7 "droppedAttributesCount" U32;
    8 "flags" Fixed32;
    9 "traceId" Form::Id(TRACE);
    10 "spanId" Form::Id(SPAN_REF);
    11 "observedTimeUnixNano" Fixed64;
    12 "eventName" Text;
};
