//! The messages of OTLP as the check sees them: field numbers and what stands behind each.
//!
//! From the .proto files of OTLP 1.x as opentelemetry-proto 0.33 has them. A field that is missing here
//! is skipped as unknown, which is laxer than the decoder: the property tests compare the two.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::otlp::ids;

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Not in the schema: skipped, as a decoder does.
    Unknown,
    /// A bool, an enum or any integer that is not fixed.
    Varint,
    /// Four bytes.
    Fixed32,
    /// Eight bytes.
    Fixed64,
    /// Varints, packed or one by one.
    Varints,
    /// Eight bytes each, packed or one by one.
    Fixed64s,
    /// UTF-8.
    Text,
    /// Any bytes.
    Bytes,
    /// A trace or span id of `len` bytes.
    Id { len: usize, duty: Duty },
    /// A message.
    Message(&'static Schema),
    /// A message that is one item: a span, a data point, a log record.
    Item(&'static Schema),
    /// A member of the oneof of a metric's data: the last one written counts.
    Data(&'static Schema),
}

/// What an id owes to the item it stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// The item's own trace id: there, of the right length, not zero.
    OwnTrace,
    /// The item's own span id, likewise.
    OwnSpan,
    /// Of the right length if it is there.
    Optional,
}

/// The highest field number of any message of OTLP.
const MAX_FIELD: usize = 16;

/// One message.
pub(super) struct Schema {
    fields: [Kind; MAX_FIELD + 1],
    /// Whether items of this kind must have ids of their own: spans.
    pub(super) identified: bool,
    /// What one takes in memory once it is decoded, in bytes, without what its fields point at.
    pub(super) size: usize,
}

impl Schema {
    /// What stands behind a field number.
    pub(super) fn field(&self, number: u32) -> Kind {
        self.fields.get(number as usize).copied().unwrap_or(Kind::Unknown)
    }
}

const fn schema<M>(list: &[(usize, Kind)]) -> Schema {
    let mut fields = [Kind::Unknown; MAX_FIELD + 1];
    let mut identified = false;
    let mut i = 0;
    while i < list.len() {
        fields[list[i].0] = list[i].1;
        if let Kind::Id { duty: Duty::OwnSpan, .. } = list[i].1 {
            identified = true;
        }
        i += 1;
    }
    Schema { fields, identified, size: size_of::<M>() }
}

use Kind::{Bytes, Data, Fixed32, Fixed64, Fixed64s, Item, Message, Text, Varint, Varints};

const fn trace_id(duty: Duty) -> Kind {
    Kind::Id { len: ids::TRACE_ID, duty }
}

const fn span_id(duty: Duty) -> Kind {
    Kind::Id { len: ids::SPAN_ID, duty }
}

// collector/*/v1: the three requests have one field each.
pub(super) static TRACES: Schema =
    schema::<ExportTraceServiceRequest>(&[(1, Message(&RESOURCE_SPANS))]);
pub(super) static METRICS: Schema =
    schema::<ExportMetricsServiceRequest>(&[(1, Message(&RESOURCE_METRICS))]);
pub(super) static LOGS: Schema =
    schema::<ExportLogsServiceRequest>(&[(1, Message(&RESOURCE_LOGS))]);

// common/v1 and resource/v1
pub(super) static ANY_VALUE: Schema = schema::<AnyValue>(&[
    (1, Text),
    (2, Varint),
    (3, Varint),
    (4, Fixed64),
    (5, Message(&ARRAY_VALUE)),
    (6, Message(&KEY_VALUE_LIST)),
    (7, Bytes),
    (8, Varint),
]);
static ARRAY_VALUE: Schema = schema::<ArrayValue>(&[(1, Message(&ANY_VALUE))]);
static KEY_VALUE_LIST: Schema = schema::<KeyValueList>(&[(1, Message(&KEY_VALUE))]);
pub(super) static KEY_VALUE: Schema =
    schema::<KeyValue>(&[(1, Text), (2, Message(&ANY_VALUE)), (3, Varint)]);
static SCOPE: Schema =
    schema::<InstrumentationScope>(&[(1, Text), (2, Text), (3, Message(&KEY_VALUE)), (4, Varint)]);
static ENTITY_REF: Schema = schema::<EntityRef>(&[(1, Text), (2, Text), (3, Text), (4, Text)]);
static RESOURCE: Schema =
    schema::<Resource>(&[(1, Message(&KEY_VALUE)), (2, Varint), (3, Message(&ENTITY_REF))]);

// trace/v1
pub(super) static RESOURCE_SPANS: Schema =
    schema::<ResourceSpans>(&[(1, Message(&RESOURCE)), (2, Message(&SCOPE_SPANS)), (3, Text)]);
pub(super) static SCOPE_SPANS: Schema =
    schema::<ScopeSpans>(&[(1, Message(&SCOPE)), (2, Item(&SPAN)), (3, Text)]);
pub(super) static SPAN: Schema = schema::<Span>(&[
    (1, trace_id(Duty::OwnTrace)),
    (2, span_id(Duty::OwnSpan)),
    (3, Text),
    (4, span_id(Duty::Optional)),
    (5, Text),
    (6, Varint),
    (7, Fixed64),
    (8, Fixed64),
    (9, Message(&KEY_VALUE)),
    (10, Varint),
    (11, Message(&EVENT)),
    (12, Varint),
    (13, Message(&LINK)),
    (14, Varint),
    (15, Message(&STATUS)),
    (16, Fixed32),
]);
static EVENT: Schema =
    schema::<Event>(&[(1, Fixed64), (2, Text), (3, Message(&KEY_VALUE)), (4, Varint)]);
static LINK: Schema = schema::<Link>(&[
    (1, trace_id(Duty::Optional)),
    (2, span_id(Duty::Optional)),
    (3, Text),
    (4, Message(&KEY_VALUE)),
    (5, Varint),
    (6, Fixed32),
]);
static STATUS: Schema = schema::<Status>(&[(2, Text), (3, Varint)]);

// metrics/v1
static RESOURCE_METRICS: Schema =
    schema::<ResourceMetrics>(&[(1, Message(&RESOURCE)), (2, Message(&SCOPE_METRICS)), (3, Text)]);
static SCOPE_METRICS: Schema =
    schema::<ScopeMetrics>(&[(1, Message(&SCOPE)), (2, Message(&METRIC)), (3, Text)]);
static METRIC: Schema = schema::<Metric>(&[
    (1, Text),
    (2, Text),
    (3, Text),
    (5, Data(&GAUGE)),
    (7, Data(&SUM)),
    (9, Data(&HISTOGRAM)),
    (10, Data(&EXPONENTIAL_HISTOGRAM)),
    (11, Data(&SUMMARY)),
    (12, Message(&KEY_VALUE)),
]);
static GAUGE: Schema = schema::<Gauge>(&[(1, Item(&NUMBER_POINT))]);
static SUM: Schema = schema::<Sum>(&[(1, Item(&NUMBER_POINT)), (2, Varint), (3, Varint)]);
static HISTOGRAM: Schema = schema::<Histogram>(&[(1, Item(&HISTOGRAM_POINT)), (2, Varint)]);
static EXPONENTIAL_HISTOGRAM: Schema =
    schema::<ExponentialHistogram>(&[(1, Item(&EXPONENTIAL_POINT)), (2, Varint)]);
static SUMMARY: Schema = schema::<Summary>(&[(1, Item(&SUMMARY_POINT))]);
static NUMBER_POINT: Schema = schema::<NumberDataPoint>(&[
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Message(&EXEMPLAR)),
    (6, Fixed64),
    (7, Message(&KEY_VALUE)),
    (8, Varint),
]);
static HISTOGRAM_POINT: Schema = schema::<HistogramDataPoint>(&[
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Fixed64),
    (6, Fixed64s),
    (7, Fixed64s),
    (8, Message(&EXEMPLAR)),
    (9, Message(&KEY_VALUE)),
    (10, Varint),
    (11, Fixed64),
    (12, Fixed64),
]);
static EXPONENTIAL_POINT: Schema = schema::<ExponentialHistogramDataPoint>(&[
    (1, Message(&KEY_VALUE)),
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Fixed64),
    (6, Varint),
    (7, Fixed64),
    (8, Message(&BUCKETS)),
    (9, Message(&BUCKETS)),
    (10, Varint),
    (11, Message(&EXEMPLAR)),
    (12, Fixed64),
    (13, Fixed64),
    (14, Fixed64),
]);
static BUCKETS: Schema = schema::<Buckets>(&[(1, Varint), (2, Varints)]);
static SUMMARY_POINT: Schema = schema::<SummaryDataPoint>(&[
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Fixed64),
    (6, Message(&VALUE_AT_QUANTILE)),
    (7, Message(&KEY_VALUE)),
    (8, Varint),
]);
static VALUE_AT_QUANTILE: Schema = schema::<ValueAtQuantile>(&[(1, Fixed64), (2, Fixed64)]);
static EXEMPLAR: Schema = schema::<Exemplar>(&[
    (2, Fixed64),
    (3, Fixed64),
    (4, span_id(Duty::Optional)),
    (5, trace_id(Duty::Optional)),
    (6, Fixed64),
    (7, Message(&KEY_VALUE)),
]);

// logs/v1
static RESOURCE_LOGS: Schema =
    schema::<ResourceLogs>(&[(1, Message(&RESOURCE)), (2, Message(&SCOPE_LOGS)), (3, Text)]);
static SCOPE_LOGS: Schema =
    schema::<ScopeLogs>(&[(1, Message(&SCOPE)), (2, Item(&LOG_RECORD)), (3, Text)]);
static LOG_RECORD: Schema = schema::<LogRecord>(&[
    (1, Fixed64),
    (2, Varint),
    (3, Text),
    (5, Message(&ANY_VALUE)),
    (6, Message(&KEY_VALUE)),
    (7, Varint),
    (8, Fixed32),
    (9, trace_id(Duty::Optional)),
    (10, span_id(Duty::Optional)),
    (11, Fixed64),
    (12, Text),
]);
