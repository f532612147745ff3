//! What is written here, an independent reader reads as the same messages: the serde support of
//! `opentelemetry-proto`, which is on in tests only. What it cannot read (doubles that are no numbers)
//! is checked as text.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogsData, ResourceLogs};
use opentelemetry_proto::tonic::metrics::v1::{MetricsData, ResourceMetrics};
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, TracesData,
    span::{Event, Link, SpanKind},
};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::otlp::Request;
use crate::otlp::{Messages, Room, arbitrary, wire};

fn written(request: Request, message: &impl Message) -> String {
    let mut out = Vec::new();
    write(&mut out, request, &message.encode_to_vec());
    String::from_utf8(out).unwrap()
}

/// Counts what is taken.
struct Tally {
    left: usize,
    taken: usize,
}

impl Room for Tally {
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        self.taken += if left.is_some() { bytes } else { 0 };
        left.is_some()
    }

    fn give_back(&mut self, bytes: usize) {
        self.left += bytes;
        self.taken -= bytes;
    }
}

/// Reads a document and decodes what was made of it.
fn taken(request: Request, json: &[u8]) -> std::result::Result<Messages, Error> {
    let bytes = read(request, json)?;
    let mut tally = Tally { left: usize::MAX, taken: 0 };
    let counted = read_within(request, json, &mut tally).unwrap();
    assert_eq!((&counted, counted.capacity()), (&bytes, tally.taken), "it grew by itself");
    let bytes = wire::check(request, bytes.into()).unwrap().repaired().unwrap().into_bytes();
    Ok(Messages::decode(request, bytes).unwrap())
}

fn read_traces(json: &[u8]) -> std::result::Result<Vec<ResourceSpans>, Error> {
    taken(Request::Traces, json).map(|messages| match messages {
        Messages::Traces(all) => all,
        _ => panic!("traces stay traces"),
    })
}

fn read_metrics(json: &[u8]) -> std::result::Result<Vec<ResourceMetrics>, Error> {
    taken(Request::Metrics, json).map(|messages| match messages {
        Messages::Metrics(all) => all,
        _ => panic!("metrics stay metrics"),
    })
}

fn read_logs(json: &[u8]) -> std::result::Result<Vec<ResourceLogs>, Error> {
    taken(Request::Logs, json).map(|messages| match messages {
        Messages::Logs(all) => all,
        _ => panic!("logs stay logs"),
    })
}

proptest! {
    #[test]
    fn traces_are_read_back_as_they_were(request in arbitrary::traces()) {
        let text = written(Request::Traces, &request);
        // Without any resource, all members are defaults and the document is empty.
        prop_assume!(!request.resource_spans.is_empty());
        let read: TracesData = serde_json::from_str(&text).expect(&text);
        prop_assert_eq!(read.resource_spans, &request.resource_spans[..]);
        prop_assert_eq!(read_traces(text.as_bytes()).unwrap(), request.resource_spans);
        prop_assert!(!text.contains('\n'));
    }

    #[test]
    fn metrics_are_read_back_as_they_were(request in arbitrary::metrics()) {
        let text = written(Request::Metrics, &request);
        prop_assume!(!request.resource_metrics.is_empty());
        let read: MetricsData = serde_json::from_str(&text).expect(&text);
        prop_assert_eq!(read.resource_metrics, &request.resource_metrics[..]);
        prop_assert_eq!(read_metrics(text.as_bytes()).unwrap(), request.resource_metrics);
    }

    #[test]
    fn logs_are_read_back_as_they_were(request in arbitrary::logs()) {
        let text = written(Request::Logs, &request);
        prop_assume!(!request.resource_logs.is_empty());
        let read: LogsData = serde_json::from_str(&text).expect(&text);
        prop_assert_eq!(read.resource_logs, &request.resource_logs[..]);
        prop_assert_eq!(read_logs(text.as_bytes()).unwrap(), request.resource_logs);
    }

    /// Gives what another implementation writes: every default, in its own order.
    #[test]
    fn what_serde_writes_is_read(request in arbitrary::traces()) {
        let text = serde_json::to_vec(&request).unwrap();
        prop_assert_eq!(read_traces(&text).unwrap(), request.resource_spans);
    }

    /// Reading never panics, and what it takes is within protobuf's bounds.
    #[test]
    fn a_damaged_document_is_refused_or_can_be_encoded(
        request in arbitrary::traces(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut text = written(Request::Traces, &request).into_bytes();
        for (at, with) in hits {
            let at = at.index(text.len());
            text[at] = with;
        }
        if let Ok(resource_spans) = read_traces(&text) {
            let wire = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
            prop_assert!(wire::check(Request::Traces, wire.into()).is_ok());
        }
    }
}

proptest! {
    /// The same for the other signals, and for what is no document at all.
    #[test]
    fn damaged_metrics_and_logs_are_refused_or_can_be_encoded(
        metrics in arbitrary::metrics(),
        logs in arbitrary::logs(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let damaged = |mut text: Vec<u8>| {
            for (at, with) in &hits {
                let at = at.index(text.len());
                text[at] = *with;
            }
            text
        };
        let text = written(Request::Metrics, &metrics).into_bytes();
        if let Ok(resource_metrics) = read_metrics(&damaged(text)) {
            let wire = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
            prop_assert!(wire::check(Request::Metrics, wire.into()).is_ok());
        }
        let text = written(Request::Logs, &logs).into_bytes();
        if let Ok(resource_logs) = read_logs(&damaged(text)) {
            let wire = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
            prop_assert!(wire::check(Request::Logs, wire.into()).is_ok());
        }
        is_strange(Request::Logs, &noise);
    }
}

#[test]
fn a_document_that_would_grow_out_of_proportion_is_refused() {
    let spans = |one: &str, times: usize| {
        let spans = vec![one; times].join(",");
        let text = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
        read_traces(text.as_bytes()).map(drop).map_err(|error| error.why)
    };
    assert_eq!(spans("{}", 100_000), Err(Why::Growth));
    assert_eq!(spans("{}", 1000), Ok(()), "small ones may be odd");
    let id = r#"{"traceId":"01010101010101010101010101010101","spanId":"0101010101010101"}"#;
    assert_eq!(spans(id, 100_000), Ok(()));
}

#[test]
fn only_a_document_of_other_things_is_strange() {
    for (text, strange) in [
        ("{}", false),
        (r#"{"resourceSpans":[]}"#, false),
        (r#"{"resource_spans":null}"#, false),
        (r#"{"resourceSpans":[],"more":1}"#, false),
        (r#"{"spans":[]}"#, true),
        (r#"{"resourceLogs":[]}"#, true),
        ("[]", false),
        ("{", false),
    ] {
        assert_eq!(is_strange(Request::Traces, text.as_bytes()), strange, "{text}");
    }
}

fn document_of(span: Span) -> String {
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let all = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    written(Request::Traces, &ExportTraceServiceRequest { resource_spans: vec![all] })
}

fn value_of(value: Value) -> String {
    let value = Some(AnyValue { value: Some(value) });
    let attribute = KeyValue { key: "k".into(), value, key_strindex: 0 };
    let text = document_of(Span { attributes: vec![attribute], ..Span::default() });
    let start = text.find(r#""value":"#).unwrap() + r#""value":"#.len();
    text[start..text.len() - "}]}]}]}]}".len()].to_owned()
}

#[test]
fn a_span_is_written_by_the_rules_of_otlp_json() {
    let text = document_of(Span {
        trace_id: (0xa0..0xb0).collect(),
        span_id: vec![0, 1, 2, 3, 4, 5, 6, 0xff],
        name: "tools/call".into(),
        kind: SpanKind::Client as i32,
        start_time_unix_nano: u64::MAX,
        status: Some(Status { message: String::new(), code: 2 }),
        ..Span::default()
    });
    let span = concat!(
        r#"{"traceId":"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf","spanId":"00010203040506ff","#,
        r#""name":"tools/call","kind":3,"startTimeUnixNano":"18446744073709551615","#,
        r#""status":{"code":2}}"#
    );
    assert_eq!(text, format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#));
}

#[test]
fn values_keep_their_kind_even_when_they_are_empty() {
    for (value, text) in [
        (Value::StringValue(String::new()), r#"{"stringValue":""}"#),
        (Value::BoolValue(false), r#"{"boolValue":false}"#),
        (Value::IntValue(i64::MIN), r#"{"intValue":"-9223372036854775808"}"#),
        (Value::IntValue(0), r#"{"intValue":"0"}"#),
        (Value::DoubleValue(0.0), r#"{"doubleValue":0}"#),
        (Value::DoubleValue(-0.0), r#"{"doubleValue":-0.0}"#),
        (Value::DoubleValue(1.5e300), r#"{"doubleValue":1.5e+300}"#),
        (Value::DoubleValue(f64::NAN), r#"{"doubleValue":"NaN"}"#),
        (Value::DoubleValue(f64::INFINITY), r#"{"doubleValue":"Infinity"}"#),
        (Value::DoubleValue(f64::NEG_INFINITY), r#"{"doubleValue":"-Infinity"}"#),
        (Value::BytesValue(vec![0xfb, 0xff]), r#"{"bytesValue":"+/8="}"#),
        (Value::ArrayValue(ArrayValue::default()), r#"{"arrayValue":{"values":[]}}"#),
        (Value::KvlistValue(KeyValueList::default()), r#"{"kvlistValue":{"values":[]}}"#),
    ] {
        assert_eq!(value_of(value), text);
    }
}

#[test]
fn nothing_is_an_empty_document() {
    assert_eq!(written(Request::Traces, &ExportTraceServiceRequest::default()), "{}");
}

/// Gives what a view holds, as messages. It leaves out some members; so does `in_view`.
fn message_of(view: &mut view::Span<'_>) -> Span {
    let id = |id: Option<Vec<u8>>| id.unwrap_or_default();
    let list = |view: &mut view::Span<'_>, places: std::ops::Range<usize>| {
        let attribute = |a: &mut view::Attribute<'_>| KeyValue {
            key: a.key.to_string(),
            value: std::mem::take(&mut a.value).into_message(),
            ..KeyValue::default()
        };
        view.all[places].iter_mut().map(attribute).collect()
    };
    let mut span = Span {
        trace_id: id(view.trace.given().map(Vec::from)),
        span_id: id(view.span.given().map(Vec::from)),
        parent_span_id: id(view.parent.given().map(Vec::from)),
        name: view.name.to_string(),
        kind: view.kind,
        start_time_unix_nano: view.start,
        end_time_unix_nano: view.end,
        dropped_attributes_count: view.dropped_attributes,
        dropped_events_count: view.dropped_events,
        dropped_links_count: view.dropped_links,
        ..Span::default()
    };
    let places = view.attributes.clone();
    span.attributes = list(view, places);
    for event in std::mem::take(&mut view.events) {
        span.events.push(Event {
            time_unix_nano: event.time,
            name: event.name.to_string(),
            attributes: list(view, event.attributes),
            dropped_attributes_count: event.dropped_attributes,
        });
    }
    for link in std::mem::take(&mut view.links) {
        span.links.push(Link {
            trace_id: id(link.trace.given().map(Vec::from)),
            span_id: id(link.span.given().map(Vec::from)),
            attributes: list(view, link.attributes),
            dropped_attributes_count: link.dropped_attributes,
            flags: link.flags,
            ..Link::default()
        });
    }
    span.status = view.status.map(|status| Status {
        code: status.code,
        message: if status.speaks { "something".to_owned() } else { String::new() },
    });
    span
}

/// A span with what a view has of it.
fn in_view(mut span: Span) -> Span {
    let id = |id: &mut Vec<u8>, len| {
        if id.len() != len || id.iter().all(|b| *b == 0) {
            id.clear();
        }
    };
    let keys = |list: &mut Vec<KeyValue>| list.iter_mut().for_each(|a| a.key_strindex = 0);
    id(&mut span.trace_id, 16);
    id(&mut span.span_id, 8);
    id(&mut span.parent_span_id, 8);
    (span.flags, span.trace_state) = (0, String::new());
    keys(&mut span.attributes);
    span.events.iter_mut().for_each(|event| keys(&mut event.attributes));
    for link in &mut span.links {
        id(&mut link.trace_id, 16);
        id(&mut link.span_id, 8);
        link.trace_state.clear();
        keys(&mut link.attributes);
    }
    if let Some(status) = &mut span.status
        && !status.message.is_empty()
    {
        status.message = "something".to_owned();
    }
    span
}

proptest! {
    /// A span that is looked at is the one that is read, or neither can be; in either style of writing,
    /// alone or after another.
    #[test]
    fn a_view_shows_what_is_read(
        spans in prop::collection::vec(arbitrary::span(), 1..3),
        serde in any::<bool>(),
        quick in any::<bool>(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2),
    ) {
        let text = |span: Span| {
            let mut text = if serde {
                serde_json::to_vec(&span).unwrap()
            } else {
                let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
                let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
                let text = written(Request::Traces, &TracesData { resource_spans });
                let begin = text.find(r#""spans":["#).unwrap() + r#""spans":["#.len();
                text.as_bytes()[begin..text.len() - "]}]}]}".len()].to_vec()
            };
            for (at, with) in &hits {
                let at = at.index(text.len());
                text[at] = *with;
            }
            String::from_utf8_lossy(&text).into_owned()
        };
        let texts: Vec<_> = spans.into_iter().map(text).collect();
        let mut view = view::Span::default();
        for text in &texts {
            let reader = if quick { json::Reader::of_strings } else { json::Reader::new };
            let mut reader = reader(text.as_bytes(), json::MAX_DEPTH);
            let seen = view.read(&mut reader).is_ok() && reader.end().is_ok();
            match read_span(text) {
                Ok(read) => {
                    prop_assert!(seen, "{text}");
                    let seen = message_of(&mut view);
                    prop_assert_eq!(format!("{seen:?}"), format!("{:?}", in_view(read)));
                }
                Err(_) => prop_assert!(!seen, "{text}"),
            }
        }
    }
}

fn read_span(span: &str) -> Result<Span, Error> {
    let text = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
    read_traces(text.as_bytes()).map(|mut all| all[0].scope_spans[0].spans.remove(0))
}

#[test]
fn what_receivers_must_forgive_is_forgiven() {
    let expected = Span {
        trace_id: vec![0xab; 16],
        name: "n".into(),
        kind: 3,
        start_time_unix_nano: 5,
        end_time_unix_nano: 7000,
        dropped_events_count: 3,
        status: Some(Status { message: String::new(), code: 2 }),
        ..Span::default()
    };
    for span in [
        r#"{"traceId":"ABABABABABABABABABABABABABABABAB","name":"n","kind":3,
            "startTimeUnixNano":5,"endTimeUnixNano":"7000","droppedEventsCount":"3",
            "status":{"code":2}}"#,
        r#"{"trace_id":"abababababababababababababababab","name":"n","kind":"SPAN_KIND_CLIENT",
            "start_time_unix_nano":"5","end_time_unix_nano":7e3,"dropped_events_count":3.0,
            "status":{"code":"STATUS_CODE_ERROR","later":{"deep":[1]}},"spanId":null,
            "attributes":null,"invented":[{}]}"#,
    ] {
        assert_eq!(read_span(span).unwrap(), expected, "{span}");
    }
}

#[test]
fn values_that_serde_loses_are_read() {
    let value = |text: &str| {
        let span = format!(r#"{{"attributes":[{{"key":"k","value":{text}}}]}}"#);
        read_span(&span).unwrap().attributes.remove(0).value.unwrap().value
    };
    assert!(matches!(value(r#"{"doubleValue":"NaN"}"#), Some(Value::DoubleValue(v)) if v.is_nan()));
    for (text, expected) in [
        (r#"{"doubleValue":"-Infinity"}"#, Some(Value::DoubleValue(f64::NEG_INFINITY))),
        (r#"{"arrayValue":{}}"#, Some(Value::ArrayValue(ArrayValue::default()))),
        (r#"{"kvlistValue":{}}"#, Some(Value::KvlistValue(KeyValueList::default()))),
        (r#"{"bytesValue":"-_8"}"#, Some(Value::BytesValue(vec![0xfb, 0xff]))),
        (r#"{"stringValue":null}"#, None),
        ("{}", None),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_at_its_place() {
    for (span, why) in [
        (r#"{"traceId":"abc"}"#, Why::Hex),
        (r#"{"traceId":"zz"}"#, Why::Hex),
        (r#"{"startTimeUnixNano":-1}"#, Why::Integer),
        (r#"{"startTimeUnixNano":"1.5"}"#, Why::Integer),
        (r#"{"startTimeUnixNano":18446744073709551616}"#, Why::Integer),
        (r#"{"kind":"CLIENT"}"#, Why::Enum),
        (r#"{"attributes":[{"value":{"bytesValue":"*"}}]}"#, Why::Base64),
        (r#"{"attributes":[{"value":{"doubleValue":"inf"}}]}"#, Why::Double),
        (r#"{"name":7}"#, Why::Json(crate::json::ErrorKind::WrongKind)),
        (r#"[]"#, Why::Json(crate::json::ErrorKind::WrongKind)),
    ] {
        assert_eq!(read_span(span).unwrap_err().why, why, "{span}");
    }
    assert_eq!(
        read_traces(b"{\"resourceSpans\":[{]}").unwrap_err().to_string(),
        "unexpected byte at byte 19"
    );
    assert!(read_traces(b"{} {}").is_err());
}

/// proto3 JSON has no number beyond the type of its field; an infinite double is a word.
#[test]
fn a_number_that_its_field_cannot_hold_is_refused_wherever_it_stands() {
    let attribute = |value: &str| format!(r#"{{"attributes":[{{"key":"k","value":{value}}}]}}"#);
    let metric = |kind: &str, member: &str| {
        let points = format!(r#"{{"{kind}":{{"dataPoints":[{{{member}}}]}}}}"#);
        format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{points}]}}]}}]}}"#)
    };
    for number in ["1e400", "-1e400", "1.7976931348623159e308", r#""1e400""#, r#""-1E+400""#] {
        let double = format!(r#"{{"doubleValue":{number}}}"#);
        for value in [
            double.clone(),
            format!(r#"{{ "doubleValue" : {number} }}"#),
            format!(r#"{{"arrayValue":{{"values":[{double}]}}}}"#),
            format!(r#"{{"kvlistValue":{{"values":[{{"key":"k","value":{double}}}]}}}}"#),
        ] {
            assert_eq!(read_span(&attribute(&value)).unwrap_err().why, Why::Double, "{value}");
        }
        for (kind, member) in [
            ("gauge", format!(r#""asDouble":{number}"#)),
            ("sum", format!(r#""exemplars":[{{"asDouble":{number}}}]"#)),
            ("histogram", format!(r#""sum":{number}"#)),
            ("histogram", format!(r#""min":{number}"#)),
            ("histogram", format!(r#""max":{number}"#)),
            ("histogram", format!(r#""explicitBounds":[1,{number}]"#)),
            ("exponentialHistogram", format!(r#""zeroThreshold":{number}"#)),
            ("summary", format!(r#""quantileValues":[{{"quantile":{number}}}]"#)),
            ("summary", format!(r#""quantileValues":[{{"value":{number}}}]"#)),
        ] {
            let error = read_metrics(metric(kind, &member).as_bytes()).unwrap_err();
            assert_eq!(error.why, Why::Double, "{kind} {member}");
        }
        for span in [
            attribute(&format!(r#"{{"intValue":{number}}}"#)),
            format!(r#"{{"startTimeUnixNano":{number}}}"#),
            format!(r#"{{"droppedEventsCount":{number}}}"#),
            format!(r#"{{"flags":{number}}}"#),
        ] {
            assert_eq!(read_span(&span).unwrap_err().why, Why::Integer, "{span}");
        }
        for (kind, member) in [
            ("gauge", format!(r#""asInt":{number}"#)),
            ("histogram", format!(r#""bucketCounts":[{number}]"#)),
            ("exponentialHistogram", format!(r#""scale":{number}"#)),
            ("exponentialHistogram", format!(r#""positive":{{"offset":{number}}}"#)),
            ("exponentialHistogram", format!(r#""positive":{{"bucketCounts":[{number}]}}"#)),
        ] {
            let error = read_metrics(metric(kind, &member).as_bytes()).unwrap_err();
            assert_eq!(error.why, Why::Integer, "{kind} {member}");
        }
    }
    assert!(read_span(&attribute(r#"{"doubleValue":1.7976931348623157e308}"#)).is_ok());
    assert!(read_span(&attribute(r#"{"doubleValue":1e-400}"#)).is_ok(), "that is 0, nearly");
}

#[test]
fn whole_numbers_are_exact_however_they_are_written() {
    for (text, whole) in [
        ("9007199254740993.0", Some(9_007_199_254_740_993)),
        ("9.007199254740993e15", Some(9_007_199_254_740_993)),
        (r#""18446744073709551615.000""#, Some(u64::MAX)),
        ("1844674407370955161.5e1", Some(u64::MAX)),
        ("70e-1", Some(7)),
        ("0.0", Some(0)),
        ("0e400", Some(0)),
        ("-0", Some(0)),
        ("18446744073709551616.0", None),
        ("1.5", None),
        ("75e-1", None),
        ("1e-400", None),
        ("1e99999999999999999999", None),
        (r#""1e""#, None),
        (r#""e1""#, None),
        (r#"".""#, None),
        (r#""""#, None),
        (r#""1e1.0""#, None),
        (r#""0x10""#, None),
        (r#"" 1""#, None),
    ] {
        let span = read_span(&format!(r#"{{"startTimeUnixNano":{text}}}"#));
        assert_eq!(span.ok().map(|span| span.start_time_unix_nano), whole, "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = |n: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(n);
        let span = format!(r#"{{"attributes":[{{"value":{open}{{}}{}}}]}}"#, "]}}".repeat(n));
        read_span(&span).map_err(|e| e.why)
    };
    assert!(deep(30).is_ok());
    assert_eq!(deep(60), Err(Why::Json(crate::json::ErrorKind::Depth)));
}

/// An attribute that is read in one step is as deep as any other.
#[test]
fn what_is_read_in_one_step_is_no_deeper() {
    let mut refused = 0;
    for (lists, maps) in (0..8).flat_map(|lists| (24..33).map(move |maps| (lists, maps))) {
        let nested = |colon: &str| {
            let open = r#"{"arrayValue":{"values":["#.repeat(lists)
                + &r#"{"kvlistValue":{"values":[{"key":"k","value":"#.repeat(maps);
            let close = "}]}}".repeat(maps) + &"]}}".repeat(lists);
            let inner = format!(
                r#"{{"kvlistValue":{{"values":[{{"key"{colon}"k","value":{{"intValue":1}}}}]}}}}"#
            );
            format!(r#"{{"attributes":[{{"key":"k","value":{open}{inner}{close}}}]}}"#)
        };
        let read = |span: &str| read_span(span).map_err(|e| e.why);
        let seen = |span: &str| {
            let mut reader = json::Reader::of_strings(span.as_bytes(), json::MAX_DEPTH);
            view::Span::default().read(&mut reader).map_err(|e| e.why)
        };
        let (quick, slow) = (nested(":"), nested(" : "));
        assert_eq!(read(&quick), read(&slow), "{lists} {maps}");
        assert_eq!(seen(&quick), seen(&slow), "{lists} {maps}");
        refused +=
            [read(&quick).is_err(), seen(&quick).is_err()].map(usize::from).iter().sum::<usize>();
    }
    assert!((1..2 * 8 * 9).contains(&refused));
}

#[test]
fn the_last_of_a_member_that_stands_twice_counts_default_or_not() {
    let document = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"01","traceId":"",
        "name":"a","name":"","kind":2,"kind":0,"flags":5,"flags":0,
        "startTimeUnixNano":"7","start_time_unix_nano":0}]}]}]}"#;
    let all = read_traces(document).unwrap();
    assert_eq!(all[0].scope_spans[0].spans[0], Span::default());
}

/// Two bytes of text are eight of protobuf, and no more is taken than there is.
#[test]
fn what_a_document_becomes_is_asked_for_while_it_grows() {
    let counts = format!("[0{}]", ",0".repeat(500_000));
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"bucketCounts":{counts}}}]}}}}]}}]}}]}}"#
    );
    let within = |left| {
        let mut tally = Tally { left, taken: 0 };
        let read = read_within(Request::Metrics, json.as_bytes(), &mut tally);
        (read.map(|bytes| bytes.len()), tally.taken)
    };
    let (read, taken) = within(16 << 20);
    assert_eq!(read, Ok(taken));
    assert!(taken > 4_000_000);
    for left in [0, 100_000, 1 << 20, 4_000_000] {
        let (read, taken) = within(left);
        assert_eq!(read.map_err(|error| error.why), Err(Why::Room));
        assert!(taken <= left);
    }
}
