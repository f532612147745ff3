//! The messages of OTLP as OTLP/JSON has them: for each field number the member's name and how its value
//! is written.
//!
//! From the .proto files of OTLP 1.x and protobuf's rules for JSON. What is not here is not written, as
//! readers pass over members that they do not know.

use super::super::wire::Request;

/// How a field's value stands in protobuf, and with it what it becomes.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// Not in the schema.
    Unknown,
    Text,
    /// A trace or span id: hex.
    Id,
    /// Other bytes: base64.
    Bytes,
    Bool,
    /// `uint32`: a number.
    U32,
    /// `int32` or an enum: a number.
    I32,
    /// `sint32`: a number.
    S32,
    /// `int64`: a string.
    I64,
    Fixed32,
    /// `fixed64`: a string.
    Fixed64,
    /// `sfixed64`: a string.
    Sfixed64,
    Double,
    Message(&'static Shape),
    /// Repeated, as the next four.
    Messages(&'static Shape),
    Texts,
    /// `uint64`, packed: strings.
    Varints,
    /// `fixed64`, packed: strings.
    Fixed64s,
    /// `double`, packed.
    Doubles,
}

/// When a member is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Unless it holds its default.
    Implicit,
    /// Whenever the field is there.
    Explicit,
    /// Likewise, and it excludes the message's other choices: a oneof. No message of OTLP has two.
    Choice,
}

/// One field of a message.
#[derive(Clone, Copy)]
pub(super) struct Member {
    /// The name in quotes, between the comma before it and the colon behind it.
    pub(super) key: &'static str,
    pub(super) form: Form,
    pub(super) presence: Presence,
}

/// The highest field number of any message of OTLP.
const MAX_FIELD: usize = 16;

/// One message.
pub(super) struct Shape {
    members: [Member; MAX_FIELD + 1],
    /// What stands in for field 1 where readers want it even if it is not there: some refuse a pair
    /// without key, and take `{"arrayValue":{}}` for a mistake.
    pub(super) wanted: Option<&'static str>,
}

const UNKNOWN: Member = Member { key: "", form: Form::Unknown, presence: Presence::Implicit };

impl Shape {
    pub(super) fn of(request: Request) -> &'static Shape {
        match request {
            Request::Traces => &TRACES,
            Request::Metrics => &METRICS,
            Request::Logs => &LOGS,
        }
    }

    /// What stands behind a field number.
    pub(super) fn member(&self, number: u32) -> Member {
        self.members.get(number as usize).copied().unwrap_or(UNKNOWN)
    }

    const fn new(list: &[(usize, Member)]) -> Shape {
        let mut members = [UNKNOWN; MAX_FIELD + 1];
        let mut i = 0;
        while i < list.len() {
            members[list[i].0] = list[i].1;
            i += 1;
        }
        Shape { members, wanted: None }
    }

    const fn wants(self, wanted: &'static str) -> Shape {
        Shape { wanted: Some(wanted), ..self }
    }
}

/// A message: lines of number, name, form, and the presence where it is not implicit.
macro_rules! shape {
    ($($number:literal $name:literal $form:expr $(, $presence:ident)?;)*) => {
        Shape::new(&[$(($number, Member {
            key: concat!(",\"", $name, "\":"),
            form: $form,
            presence: shape!(@ $($presence)?),
        })),*])
    };
    (@) => { Presence::Implicit };
    (@ $presence:ident) => { Presence::$presence };
}

use Form::{
    Bool, Bytes, Double, Doubles, Fixed32, Fixed64, Fixed64s, I32, I64, Id, Message, Messages, S32,
    Sfixed64, Text, Texts, U32, Varints,
};

// collector/*/v1, which are `TracesData`, `MetricsData` and `LogsData` by another name.
static TRACES: Shape = shape! { 1 "resourceSpans" Messages(&RESOURCE_SPANS); };
static METRICS: Shape = shape! { 1 "resourceMetrics" Messages(&RESOURCE_METRICS); };
static LOGS: Shape = shape! { 1 "resourceLogs" Messages(&RESOURCE_LOGS); };

// common/v1 and resource/v1
static ANY_VALUE: Shape = shape! {
    1 "stringValue" Text, Choice;
    2 "boolValue" Bool, Choice;
    3 "intValue" I64, Choice;
    4 "doubleValue" Double, Choice;
    5 "arrayValue" Message(&ARRAY_VALUE), Choice;
    6 "kvlistValue" Message(&KEY_VALUE_LIST), Choice;
    7 "bytesValue" Bytes, Choice;
    8 "stringValueStrindex" I32, Choice;
};
static ARRAY_VALUE: Shape = shape! { 1 "values" Messages(&ANY_VALUE); }.wants(",\"values\":[]");
static KEY_VALUE_LIST: Shape = shape! { 1 "values" Messages(&KEY_VALUE); }.wants(",\"values\":[]");
pub(super) static KEY_VALUE: Shape = shape! {
    1 "key" Text, Explicit;
    2 "value" Message(&ANY_VALUE);
    3 "keyStrindex" I32;
}
.wants(",\"key\":\"\"");
static SCOPE: Shape = shape! {
    1 "name" Text;
    2 "version" Text;
    3 "attributes" Messages(&KEY_VALUE);
    4 "droppedAttributesCount" U32;
};
static ENTITY_REF: Shape = shape! {
    1 "schemaUrl" Text;
    2 "type" Text;
    3 "idKeys" Texts;
    4 "descriptionKeys" Texts;
};
static RESOURCE: Shape = shape! {
    1 "attributes" Messages(&KEY_VALUE);
    2 "droppedAttributesCount" U32;
    3 "entityRefs" Messages(&ENTITY_REF);
};

// trace/v1
static RESOURCE_SPANS: Shape = shape! {
    1 "resource" Message(&RESOURCE);
    2 "scopeSpans" Messages(&SCOPE_SPANS);
    3 "schemaUrl" Text;
};
static SCOPE_SPANS: Shape = shape! {
    1 "scope" Message(&SCOPE);
    2 "spans" Messages(&SPAN);
    3 "schemaUrl" Text;
};
static SPAN: Shape = shape! {
    1 "traceId" Id;
    2 "spanId" Id;
    3 "traceState" Text;
    4 "parentSpanId" Id;
    5 "name" Text;
    6 "kind" I32;
    7 "startTimeUnixNano" Fixed64;
    8 "endTimeUnixNano" Fixed64;
    9 "attributes" Messages(&KEY_VALUE);
    10 "droppedAttributesCount" U32;
    11 "events" Messages(&EVENT);
    12 "droppedEventsCount" U32;
    13 "links" Messages(&LINK);
    14 "droppedLinksCount" U32;
    15 "status" Message(&STATUS);
    16 "flags" Fixed32;
};
static EVENT: Shape = shape! {
    1 "timeUnixNano" Fixed64;
    2 "name" Text;
    3 "attributes" Messages(&KEY_VALUE);
    4 "droppedAttributesCount" U32;
};
static LINK: Shape = shape! {
    1 "traceId" Id;
    2 "spanId" Id;
    3 "traceState" Text;
    4 "attributes" Messages(&KEY_VALUE);
    5 "droppedAttributesCount" U32;
    6 "flags" Fixed32;
};
static STATUS: Shape = shape! {
    2 "message" Text;
    3 "code" I32;
};

// metrics/v1
static RESOURCE_METRICS: Shape = shape! {
    1 "resource" Message(&RESOURCE);
    2 "scopeMetrics" Messages(&SCOPE_METRICS);
    3 "schemaUrl" Text;
};
static SCOPE_METRICS: Shape = shape! {
    1 "scope" Message(&SCOPE);
    2 "metrics" Messages(&METRIC);
    3 "schemaUrl" Text;
};
static METRIC: Shape = shape! {
    1 "name" Text;
    2 "description" Text;
    3 "unit" Text;
    5 "gauge" Message(&GAUGE), Choice;
    7 "sum" Message(&SUM), Choice;
    9 "histogram" Message(&HISTOGRAM), Choice;
    10 "exponentialHistogram" Message(&EXPONENTIAL_HISTOGRAM), Choice;
    11 "summary" Message(&SUMMARY), Choice;
    12 "metadata" Messages(&KEY_VALUE);
};
static GAUGE: Shape = shape! { 1 "dataPoints" Messages(&NUMBER_POINT); };
static SUM: Shape = shape! {
    1 "dataPoints" Messages(&NUMBER_POINT);
    2 "aggregationTemporality" I32;
    3 "isMonotonic" Bool;
};
static HISTOGRAM: Shape = shape! {
    1 "dataPoints" Messages(&HISTOGRAM_POINT);
    2 "aggregationTemporality" I32;
};
static EXPONENTIAL_HISTOGRAM: Shape = shape! {
    1 "dataPoints" Messages(&EXPONENTIAL_POINT);
    2 "aggregationTemporality" I32;
};
static SUMMARY: Shape = shape! { 1 "dataPoints" Messages(&SUMMARY_POINT); };
static NUMBER_POINT: Shape = shape! {
    2 "startTimeUnixNano" Fixed64;
    3 "timeUnixNano" Fixed64;
    4 "asDouble" Double, Choice;
    5 "exemplars" Messages(&EXEMPLAR);
    6 "asInt" Sfixed64, Choice;
    7 "attributes" Messages(&KEY_VALUE);
    8 "flags" U32;
};
static HISTOGRAM_POINT: Shape = shape! {
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
static EXPONENTIAL_POINT: Shape = shape! {
    1 "attributes" Messages(&KEY_VALUE);
    2 "startTimeUnixNano" Fixed64;
    3 "timeUnixNano" Fixed64;
    4 "count" Fixed64;
    5 "sum" Double, Explicit;
    6 "scale" S32;
    7 "zeroCount" Fixed64;
    8 "positive" Message(&BUCKETS);
    9 "negative" Message(&BUCKETS);
    10 "flags" U32;
    11 "exemplars" Messages(&EXEMPLAR);
    12 "min" Double, Explicit;
    13 "max" Double, Explicit;
    14 "zeroThreshold" Double;
};
static BUCKETS: Shape = shape! {
    1 "offset" S32;
    2 "bucketCounts" Varints;
};
static SUMMARY_POINT: Shape = shape! {
    2 "startTimeUnixNano" Fixed64;
    3 "timeUnixNano" Fixed64;
    4 "count" Fixed64;
    5 "sum" Double;
    6 "quantileValues" Messages(&VALUE_AT_QUANTILE);
    7 "attributes" Messages(&KEY_VALUE);
    8 "flags" U32;
};
static VALUE_AT_QUANTILE: Shape = shape! {
    1 "quantile" Double;
    2 "value" Double;
};
static EXEMPLAR: Shape = shape! {
    2 "timeUnixNano" Fixed64;
    3 "asDouble" Double, Choice;
    4 "spanId" Id;
    5 "traceId" Id;
    6 "asInt" Sfixed64, Choice;
    7 "filteredAttributes" Messages(&KEY_VALUE);
};

// logs/v1
static RESOURCE_LOGS: Shape = shape! {
    1 "resource" Message(&RESOURCE);
    2 "scopeLogs" Messages(&SCOPE_LOGS);
    3 "schemaUrl" Text;
};
static SCOPE_LOGS: Shape = shape! {
    1 "scope" Message(&SCOPE);
    2 "logRecords" Messages(&LOG_RECORD);
    3 "schemaUrl" Text;
};
static LOG_RECORD: Shape = shape! {
    1 "timeUnixNano" Fixed64;
    2 "severityNumber" I32;
    3 "severityText" Text;
    5 "body" Message(&ANY_VALUE);
    6 "attributes" Messages(&KEY_VALUE);
    7 "droppedAttributesCount" U32;
    8 "flags" Fixed32;
    9 "traceId" Id;
    10 "spanId" Id;
    11 "observedTimeUnixNano" Fixed64;
    12 "eventName" Text;
};
