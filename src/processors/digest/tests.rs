//! The processor on batches made by hand, and its settings.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};
use sha2::{Digest as _, Sha256};

use super::about::TOOLS_CALL;
use super::*;
use crate::metrics::{Metrics, names};
use crate::otlp::Request;
use crate::otlp::{Messages, arbitrary, wire};
use crate::pipeline::{Accounts, Build, ComponentConfig, Id, ProcessorConfig, Shared};
use crate::settings::{Severity, testing};
use crate::telemetry::names::{INPUT_MESSAGES, METHOD, PASSBACK, SCOPE, TOOL_RESULT};
use crate::telemetry::{Clock, Receipt, SpanId, Telemetry};

const SPAN: SpanId = *b"spanspan";
const TRACE: [u8; 16] = *b"tracetracetrace!";

fn sha256(canonical: &str) -> String {
    let hex: String = Sha256::digest(canonical).iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

fn hex_key(seed: u8) -> String {
    format!("{seed:02x}").repeat(32)
}

fn keyed(seed: u8, id: &str, canonical: &str) -> String {
    Key::from_bytes(&[seed; 32], Some(id)).unwrap().digest(canonical.as_bytes())
}

fn config(yaml: &str) -> Config {
    testing::read(yaml).unwrap()
}

fn build(yaml: &str, metrics: &Metrics, base: &Path) -> anyhow::Result<Box<dyn Processor>> {
    let id = Id::parse("digest/test").unwrap();
    let shared = Shared::default();
    config(yaml).build(&Build::alone(
        &id,
        &Accounts::new(metrics.clone()),
        Clock::start(),
        base,
        &shared,
    ))
}

fn processor(yaml: &str) -> (Box<dyn Processor>, Metrics) {
    let metrics = Metrics::default();
    (build(yaml, &metrics, Path::new("")).unwrap(), metrics)
}

/// Gives what a batch becomes that is accepted.
fn passed(processor: &dyn Processor, batch: Batch) -> Batch {
    let mut pass = Pass::new(0);
    let Flow::Pass(batch) = processor.process(batch, &mut pass) else {
        panic!("a digest passes all that it is given")
    };
    pass.entrust(&batch.receipt);
    batch
}

/// Gives what `check` says: field paths, and messages of errors and warnings apart.
fn checked(yaml: &str) -> (Vec<(String, String)>, Vec<String>) {
    let problems = testing::check(yaml, "digest", |report| config(yaml).check(report));
    let (errors, warnings): (Vec<_>, Vec<_>) =
        problems.0.into_iter().partition(|p| p.severity > Severity::Warning);
    let errors = errors.into_iter().map(|p| (p.path, p.message)).collect();
    (errors, warnings.into_iter().map(|p| p.message).collect())
}

fn value(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

fn attribute(key: &str, text: &str) -> KeyValue {
    KeyValue { key: key.into(), value: Some(value(text)), ..KeyValue::default() }
}

fn list(items: Vec<KeyValue>) -> Value {
    Value::KvlistValue(KeyValueList { values: items })
}

fn traces(scope: &str, spans: Vec<Span>) -> Telemetry {
    let scope = Some(InstrumentationScope { name: scope.into(), ..Default::default() });
    let scope_spans = vec![ScopeSpans { scope, spans, ..Default::default() }];
    Telemetry::from(Messages::Traces(vec![ResourceSpans { scope_spans, ..Default::default() }]))
}

fn call(tool: &str) -> Span {
    let attributes = vec![attribute(METHOD, TOOLS_CALL), attribute(TOOL, tool)];
    Span { trace_id: TRACE.to_vec(), span_id: SPAN.to_vec(), attributes, ..Default::default() }
}

fn whole(text: &str) -> Raw {
    Raw::Whole(Bytes::copy_from_slice(text.as_bytes()))
}

fn seen(arguments: Raw, result: Raw) -> Content {
    [((TRACE, SPAN), Seen { arguments, result, ..Seen::default() })].into_iter().collect()
}

fn batch(telemetry: Telemetry, content: Content) -> Batch {
    Batch { telemetry, content, receipt: Receipt::nobody() }
}

/// The attributes that a call of `tool` gets beyond those it came with.
fn described(processor: &dyn Processor, tool: &str, content: Content) -> Vec<(String, Value)> {
    let made = passed(processor, batch(traces(SCOPE, vec![call(tool)]), content));
    let Messages::Traces(all) = made.telemetry.messages() else { panic!("traces stay traces") };
    let span = &all[0].scope_spans[0].spans[0];
    let added = &span.attributes[2..];
    added.iter().map(|a| (a.key.clone(), a.value.clone().unwrap().value.unwrap())).collect()
}

fn string(key: &str, text: impl Into<String>) -> (String, Value) {
    (key.into(), Value::StringValue(text.into()))
}

fn size(n: i64) -> (String, Value) {
    ("mcpcol.arguments.digest.size".into(), Value::IntValue(n))
}

fn rejected(metrics: &Metrics, reason: &str) -> u64 {
    let labels = [("processor", "digest/test"), ("reason", reason)];
    metrics.counter(&names::DIGEST_REJECTED, &labels).get()
}

#[test]
fn a_call_gets_the_digest_of_its_canonical_arguments() {
    let (processor, _) = processor("{}");
    let made = described(&*processor, "t", seen(whole(r#"{ "b": 1.0, "a": "x" }"#), Raw::Absent));
    let canonical = r#"{"a":"x","b":1}"#;
    assert_eq!(made, [string(ARGUMENTS_DIGEST, sha256(canonical)), size(canonical.len() as i64)]);
}

#[test]
fn no_arguments_are_empty_arguments() {
    let (processor, _) = processor("{}");
    let absent = described(&*processor, "t", seen(Raw::Absent, Raw::Absent));
    assert_eq!(absent, [string(ARGUMENTS_DIGEST, sha256("{}")), size(2)]);
    assert_eq!(described(&*processor, "t", seen(whole("{}"), Raw::Absent)), absent);
}

#[test]
fn a_number_that_lost_value_is_marked() {
    let (processor, _) = processor("{}");
    let content = seen(whole(r#"{"id":9007199254740993}"#), Raw::Absent);
    let made = described(&*processor, "t", content);
    let lossy = ("mcpcol.arguments.digest.lossy".into(), Value::BoolValue(true));
    let digest = sha256(r#"{"id":9007199254740992}"#);
    assert_eq!(made, [string(ARGUMENTS_DIGEST, digest), size(23), lossy]);
}

#[test]
fn what_has_no_digest_says_why_and_is_counted() {
    let (processor, metrics) = processor("{ max_bytes: 30, result: true }");
    let cases = [
        (Raw::Cut, "size"),
        (Raw::Deep, "depth"),
        (Raw::Unread, "unread"),
        (whole(&" ".repeat(31)), "size"),
        (whole(r#"{"a":1,"a":2}"#), "duplicate_key"),
        (whole(r#"{"a":"\ud800"}"#), "lone_surrogate"),
        (whole("[1e400]"), "number_range"),
        (whole("{"), "not_json"),
    ];
    for (arguments, reason) in cases {
        let before = rejected(&metrics, reason);
        let made = described(&*processor, "t", seen(arguments, Raw::Absent));
        assert_eq!(made, [string("mcpcol.arguments.digest.error", reason)]);
        assert_eq!(rejected(&metrics, reason), before + 1);
    }
    let made = described(&*processor, "t", seen(Raw::Absent, Raw::Cut));
    assert_eq!(made.last(), Some(&string("mcpcol.result.digest.error", "size")));
    let made = described(&*processor, "t", seen(Raw::Absent, Raw::Deep));
    assert_eq!(made.last(), Some(&string("mcpcol.result.digest.error", "depth")));
    let made = described(&*processor, "t", seen(Raw::Absent, Raw::Unread));
    assert_eq!(made.last(), Some(&string("mcpcol.result.digest.error", "unread")));
}

#[test]
fn excluded_values_do_not_count_and_only_for_the_tools_named() {
    let yaml = "{ exclude: [/nonce], tools: { search: { exclude: [/items/*/t] } } }";
    let (processor, _) = processor(yaml);
    let arguments = r#"{"items":[{"id":1,"t":5}],"nonce":7}"#;
    let digest = |tool| described(&*processor, tool, seen(whole(arguments), Raw::Absent)).remove(0);
    let everywhere = sha256(r#"{"items":[{"id":1,"t":5}]}"#);
    assert_eq!(digest("other"), string(ARGUMENTS_DIGEST, everywhere));
    assert_eq!(digest("search"), string(ARGUMENTS_DIGEST, sha256(r#"{"items":[{"id":1}]}"#)));
}

#[test]
fn fields_get_keyed_digests_of_their_own() {
    let yaml = format!(
        "{{ key: '{}', key_id: k, tools: {{ search: {{ fields: [/user/id, /none] }} }} }}",
        hex_key(1)
    );
    let (processor, _) = processor(&yaml);
    let content = || seen(whole(r#"{"user":{"id":1.0}}"#), Raw::Absent);
    let digest = string(ARGUMENTS_DIGEST, keyed(1, "k", r#"{"user":{"id":1}}"#));
    let field = string("mcpcol.arguments.digest.field.user.id", keyed(1, "k", "1"));
    assert_eq!(described(&*processor, "search", content()), [digest.clone(), size(17), field]);
    assert_eq!(described(&*processor, "other", content()), [digest, size(17)]);
}

#[test]
fn the_first_key_signs_and_the_others_only_if_asked() {
    let keys = |emit: &str| {
        format!(
            "{{ emit: {emit}, keys: [{{ key: '{}', key_id: new }}, {{ key: '{}', key_id: old }}] }}",
            hex_key(1),
            hex_key(2)
        )
    };
    let content = || seen(Raw::Absent, Raw::Absent);
    let new = string(ARGUMENTS_DIGEST, keyed(1, "new", "{}"));
    let first = described(&*processor(&keys("first")).0, "t", content());
    assert_eq!(first, [new.clone(), size(2)]);
    let all = described(&*processor(&keys("all")).0, "t", content());
    let values = vec![value(&keyed(2, "old", "{}"))];
    let also = Value::ArrayValue(ArrayValue { values });
    assert_eq!(all, [new, size(2), ("mcpcol.arguments.digest.also".into(), also)]);
}

#[test]
fn an_ephemeral_key_lasts_as_long_as_the_process() {
    let digest = || {
        let (processor, _) = processor("mode: ephemeral");
        described(&*processor, "t", seen(Raw::Absent, Raw::Absent)).remove(0)
    };
    let (name, Value::StringValue(text)) = digest() else { panic!("a string") };
    assert!(name == ARGUMENTS_DIGEST && text.starts_with("hmac-sha256:"));
    assert_eq!(digest(), (name, Value::StringValue(text)), "two instances, one key");
}

#[test]
fn results_get_a_digest_only_if_asked() {
    let content = || seen(Raw::Absent, whole(r#"{"content":[]}"#));
    assert_eq!(described(&*processor("{}").0, "t", content()).len(), 2);
    let made = described(&*processor("result: true").0, "t", content());
    assert_eq!(made[2], string(RESULT_DIGEST, sha256(r#"{"content":[]}"#)));
    assert_eq!(made[3], ("mcpcol.result.digest.size".into(), Value::IntValue(14)));
}

#[test]
fn only_tool_calls_that_a_tap_of_ours_saw_get_one() {
    let (processor, _) = processor("{}");
    let content = || seen(whole("{}"), Raw::Absent);
    let other_method = Span { attributes: vec![attribute(METHOD, "prompts/get")], ..call("t") };
    let other_span = Span { span_id: b"otherone".to_vec(), ..call("t") };
    for telemetry in
        [traces(SCOPE, vec![other_method, other_span]), traces("somebody.else", vec![call("t")])]
    {
        let made = passed(&*processor, batch(telemetry.clone(), content()));
        assert_eq!(made.telemetry.messages(), telemetry.messages());
    }
}

#[test]
fn spans_that_servers_handed_back_get_one_if_they_had_arguments() {
    let handed_back = |method: Option<&str>| {
        let mark = Some(AnyValue { value: Some(Value::BoolValue(true)) });
        let mark = KeyValue { key: PASSBACK.into(), value: mark, ..KeyValue::default() };
        let method = method.map(|method| attribute(METHOD, method));
        let attributes = method.into_iter().chain([mark]).collect();
        traces("their scope", vec![Span { attributes, ..call("t") }])
    };
    let (processor, _) = processor("result: true");
    let digests = |telemetry, content| {
        let made = passed(&*processor, batch(telemetry, content));
        let Messages::Traces(all) = made.telemetry.messages() else { panic!("traces stay traces") };
        let names = all[0].scope_spans[0].spans[0].attributes.iter().map(|a| a.key.clone());
        names.filter(|name| name.ends_with(".digest")).collect::<Vec<_>>()
    };
    let both = || seen(whole("{}"), whole("{}"));
    for method in [None, Some(TOOLS_CALL)] {
        assert_eq!(digests(handed_back(method), both()), [ARGUMENTS_DIGEST, RESULT_DIGEST]);
    }
    assert_eq!(digests(handed_back(Some("resources/read")), both()), [""; 0]);
    assert_eq!(digests(handed_back(None), seen(Raw::Absent, whole("1"))), [RESULT_DIGEST]);
}

/// The same, with more bytes at the end.
fn with(telemetry: &Telemetry, more: &[u8]) -> Telemetry {
    let bytes = [telemetry.wire(), more].concat();
    Telemetry::from(wire::check(Request::Traces, bytes.into()).unwrap().repaired().unwrap())
}

/// Gathers every list of attributes.
fn lists(messages: &Messages) -> Vec<Vec<KeyValue>> {
    let mut all = Vec::new();
    arbitrary::each_list(&mut messages.clone(), |list| all.push(list.clone()));
    all
}

fn text_of(attribute: &KeyValue) -> Option<&str> {
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[test]
fn what_nobody_knows_passes_and_changes_nothing_of_the_rest() {
    /// A field that nobody knows.
    const UNKNOWN: &[u8] = &[0x98, 0x06, 0x07];
    /// A group of no meaning.
    const GROUP: &[u8] = &[0x9b, 0x06, 0x9c, 0x06];
    let settings = "{ emit: all, keys: [{ key: K1, key_id: a }, { key: K2, key_id: b }],
        result: true, tools: { search: { exclude: [/nonce], fields: [/query] } } }";
    let settings = settings.replace("K1", &hex_key(1)).replace("K2", &hex_key(2));
    let (processor, metrics) = processor(&settings);
    let other = Span { span_id: b"anything".to_vec(), ..call("search") };
    let method = attribute(METHOD, TOOLS_CALL);
    let before = [method.clone(), attribute(ARGUMENTS_DIGEST, "of before")];
    let described = Span { attributes: before.to_vec(), ..call("") };
    let deep = Value::ArrayValue(ArrayValue { values: vec![value("1"), AnyValue::default()] });
    let loaded = |more: Vec<KeyValue>| {
        let mut span = call("search");
        span.attributes.splice(1..1, more);
        span
    };
    let arguments = attribute(TOOL_ARGUMENTS, r#"{"nonce":7,"query":"q"}"#);
    let digested = attribute(INPUT_MESSAGES, &sha256("[]"));
    let unset = KeyValue { key: INPUT_MESSAGES.to_owned(), ..KeyValue::default() };
    let content = vec![
        arguments.clone(),
        attribute(INPUT_MESSAGES, "\u{7}\u{2028} no JSON"),
        KeyValue { value: Some(AnyValue { value: Some(deep) }), ..digested.clone() },
        digested,
        unset,
        attribute(TOOL_ARGUMENTS, "[1e999]"),
    ];
    let in_event = span::Event { attributes: vec![arguments.clone()], ..Default::default() };
    let in_event = Span { events: vec![in_event], ..loaded(vec![arguments]) };
    let odd = KeyValue { key_strindex: 1, ..attribute(INPUT_MESSAGES, "x") };
    for spans in [
        vec![call("search")],
        vec![other.clone(), call("x")],
        vec![described],
        vec![loaded(content.clone()), call("x"), loaded(content)],
        vec![in_event],
        vec![loaded(vec![odd])],
    ] {
        for (arguments, result, refused) in [
            (whole(r#"{"query":"q","nonce":7,"n":1e400}"#), Raw::Absent, 0),
            (whole(r#"{"query":"q","nonce":7}"#), whole("[1.0]"), 0),
            (Raw::Absent, Raw::Deep, 1),
            (Raw::Cut, Raw::Cut, 2),
        ] {
            let content = seen(arguments, result);
            let telemetry = traces(SCOPE, spans.clone());
            let [one, other] = [UNKNOWN, GROUP].map(|more| with(&telemetry, more));
            let counted = || Reason::ALL.iter().map(|r| rejected(&metrics, r.name())).sum::<u64>();
            let before = counted();
            let one = passed(&*processor, batch(one, content.clone()));
            let between = counted();
            let other = passed(&*processor, batch(other, content));
            assert!(one.telemetry.wire().ends_with(UNKNOWN), "{spans:?}");
            assert!(other.telemetry.wire().ends_with(GROUP), "{spans:?}");
            assert_eq!(one.telemetry.messages(), other.telemetry.messages());
            assert_eq!(between - before, counted() - between);
            assert!(counted() - between >= refused, "{refused}");
        }
    }
}

/// The tool is looked up once a span, or this would not end.
#[test]
fn a_span_of_nothing_but_content_takes_no_longer_than_it_is_long() {
    const MANY: usize = 100_000;
    let (processor, _) = processor("{}");
    let span = Span { attributes: vec![attribute(TOOL_ARGUMENTS, "1"); MANY], ..Span::default() };
    let telemetry = traces("x", vec![span]);
    let group: &[u8] = &[0x9b, 0x06, 0x9c, 0x06];
    for telemetry in [with(&telemetry, group), telemetry] {
        let made = passed(&*processor, Batch::new(telemetry));
        let all = lists(&made.telemetry.messages()).concat();
        assert_eq!(all.iter().filter(|a| text_of(a) == Some(&*sha256("1"))).count(), MANY);
    }
}

/// In whatever order they stand.
#[test]
fn what_decides_how_content_is_digested_is_read_before_it_is_replaced() {
    let (processor, _) = processor(
        "{ attributes: [gen_ai.tool.name, gen_ai.tool.call.arguments],
        tools: { t: { exclude: [/a] } } }",
    );
    let arguments = attribute(TOOL_ARGUMENTS, r#"{"a":1}"#);
    let tool = attribute(TOOL, "t");
    for list in [[tool.clone(), arguments.clone()], [arguments, tool]] {
        let span = Span { attributes: list.to_vec(), ..Span::default() };
        let made = passed(&*processor, Batch::new(traces("x", vec![span])));
        let all = lists(&made.telemetry.messages()).concat();
        let found = all.iter().find(|a| a.key == TOOL_ARGUMENTS).and_then(text_of);
        assert_eq!(found, Some(&*sha256("{}")));
    }
}

#[test]
fn untouched_telemetry_is_not_copied() {
    let (processor, _) = processor("{}");
    let telemetry = traces("x", vec![call("t")]);
    let held = telemetry.clone();
    let made = passed(&*processor, batch(telemetry, Content::default()));
    assert_eq!(made.telemetry.wire().as_ptr(), held.wire().as_ptr());
}

#[test]
fn content_is_replaced_wherever_it_stands() {
    let content = || vec![attribute("kept", "as it is"), attribute(INPUT_MESSAGES, "[1, 2]")];
    let resource = || Some(Resource { attributes: content(), ..Default::default() });
    let scope = || Some(InstrumentationScope { attributes: content(), ..Default::default() });
    let event = span::Event { attributes: content(), ..Default::default() };
    let link = span::Link { attributes: content(), ..Default::default() };
    let (events, links) = (vec![event], vec![link]);
    let spans = vec![Span { attributes: content(), events, links, ..Default::default() }];
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..Default::default() }];
    let traces = ResourceSpans { resource: resource(), scope_spans, ..Default::default() };

    let log_records = vec![LogRecord { attributes: content(), ..Default::default() }];
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..Default::default() }];
    let logs = ResourceLogs { resource: resource(), scope_logs, ..Default::default() };

    let exemplars = vec![Exemplar { filtered_attributes: content(), ..Default::default() }];
    let point = NumberDataPoint { attributes: content(), exemplars, ..Default::default() };
    let gauge = Data::Gauge(Gauge { data_points: vec![point] });
    let point = HistogramDataPoint { attributes: content(), ..Default::default() };
    let histogram = Data::Histogram(Histogram { data_points: vec![point], ..Default::default() });
    let point = SummaryDataPoint { attributes: content(), ..Default::default() };
    let summary = Data::Summary(Summary { data_points: vec![point] });
    let metric = |data| Metric { metadata: content(), data: Some(data), ..Default::default() };
    let metrics = [gauge, histogram, summary].map(metric).into();
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..Default::default() }];
    let metrics = ResourceMetrics { resource: resource(), scope_metrics, ..Default::default() };

    let (processor, _) = processor("{}");
    let all = [
        (Messages::Traces(vec![traces]), 5),
        (Messages::Logs(vec![logs]), 3),
        (Messages::Metrics(vec![metrics]), 9),
    ];
    for (messages, places) in all {
        let made = passed(&*processor, Batch::new(Telemetry::from(messages)));
        let found = lists(&made.telemetry.messages());
        let expected = [attribute("kept", "as it is"), attribute(INPUT_MESSAGES, &sha256("[1,2]"))];
        assert!(found.iter().all(|list| *list == expected), "{found:?}");
        assert_eq!(found.len(), places);
        let again = passed(&*processor, made.clone());
        let [again, made] = [again, made].map(|batch| batch.telemetry.wire().as_ptr());
        assert_eq!(again, made, "once is enough");
    }
}

/// Gives what becomes of an attribute of that value, in a list that names `tool`.
fn replaced(processor: &dyn Processor, tool: &str, name: &str, content: Value) -> Option<Value> {
    let content = Some(AnyValue { value: Some(content) });
    let content = KeyValue { key: name.into(), value: content, ..Default::default() };
    let attributes = vec![content, attribute(TOOL, tool)];
    let telemetry = traces("x", vec![Span { attributes, ..Default::default() }]);
    let made = passed(processor, Batch::new(telemetry));
    let Messages::Traces(all) = made.telemetry.messages() else { panic!("traces stay traces") };
    let span = &all[0].scope_spans[0].spans[0];
    span.attributes[0].value.clone().unwrap().value
}

#[test]
fn text_and_structure_of_one_meaning_have_one_digest() {
    let (processor, _) = processor("{}");
    let made = |content| replaced(&*processor, "t", TOOL_RESULT, content);
    let any = |value| Some(AnyValue { value: Some(value) });
    let entry =
        |key: &str, value| KeyValue { key: key.into(), value: any(value), ..Default::default() };
    let items = vec![AnyValue { value: Some(Value::DoubleValue(1.5)) }, AnyValue::default()];
    let structure = list(vec![
        entry("b", Value::BoolValue(true)),
        entry("a", Value::ArrayValue(ArrayValue { values: items })),
        entry("\"", list(vec![])),
        entry("c", Value::BytesValue(b"hi".to_vec())),
        entry("d", Value::DoubleValue(f64::NEG_INFINITY)),
        entry("e", Value::ArrayValue(ArrayValue::default())),
        entry("f", Value::IntValue(-7)),
    ]);
    let canonical = r#"{"\"":{},"a":[1.5,null],"b":true,"c":"aGk=","d":"-Infinity","e":[],"f":-7}"#;
    let expected = Some(Value::StringValue(sha256(canonical)));
    assert_eq!(made(structure), expected);
    assert_eq!(made(Value::StringValue(format!("  {canonical}"))), expected);
    let prose = Value::StringValue("not JSON: \u{1}".into());
    assert_eq!(made(prose), Some(Value::StringValue(sha256(r#""not JSON: \u0001""#))));
    let ambiguous = Value::StringValue(r#"{"a":1,"a":2}"#.into());
    let as_text = sha256(r#""{\"a\":1,\"a\":2}""#);
    assert_eq!(made(ambiguous), Some(Value::StringValue(as_text)));
}

#[test]
fn arguments_that_others_recorded_have_the_digest_that_a_tap_makes() {
    let (processor, _) = processor("tools: { search: { exclude: [/nonce] } }");
    let arguments = r#"{"nonce":7,"q":"x"}"#;
    let ours = described(&*processor, "search", seen(whole(arguments), Raw::Absent)).remove(0).1;
    let theirs = |name, tool| {
        replaced(&*processor, tool, name, Value::StringValue(arguments.into())).unwrap()
    };
    assert_eq!(theirs(TOOL_ARGUMENTS, "search"), ours);
    assert_ne!(theirs(TOOL_ARGUMENTS, "other"), ours);
    assert_ne!(theirs(TOOL_RESULT, "search"), ours, "excludes are of arguments");
}

#[test]
fn what_cannot_be_digested_is_withheld_all_the_same() {
    let (processor, metrics) = processor("max_bytes: 20");
    let made = |content| match replaced(&*processor, "t", TOOL_RESULT, content) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{other:?} is no text"),
    };
    assert_eq!(made(Value::StringValue("x".repeat(21))), "withheld:size");
    let twice = || attribute("a", "1");
    assert_eq!(made(list(vec![twice(), twice()])), "withheld:duplicate_key");
    assert_eq!(rejected(&metrics, "size"), 1);
    let posing = "withheld: secret";
    assert_eq!(made(Value::StringValue(posing.into())), sha256(&format!("\"{posing}\"")));
}

#[test]
fn other_names_are_replaced_if_the_list_says_so() {
    let text = || Value::StringValue("1".into());
    let (processor, _) = processor("attributes: [my.input]");
    let made = replaced(&*processor, "t", "my.input", text());
    assert_eq!(made, Some(Value::StringValue(sha256("1"))));
    assert_eq!(replaced(&*processor, "t", INPUT_MESSAGES, text()), Some(text()));
}

#[test]
fn an_instance_is_shared_by_threads() {
    let processor: Arc<dyn Processor> = processor("{}").0.into();
    let expected = string(ARGUMENTS_DIGEST, sha256(r#"{"a":1}"#));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let content = seen(whole(r#"{ "a": 1 }"#), Raw::Absent);
                    assert_eq!(described(&*processor, "t", content)[0], expected);
                }
            });
        }
    });
}

mod settings {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn errors(yaml: &str) -> Vec<(String, String)> {
        checked(yaml).0
    }

    #[track_caller]
    fn refused(yaml: &str, path: &str, word: &str) {
        let found = errors(yaml);
        let fits = |(p, m): &(String, String)| p == path && m.contains(word);
        assert!(found.iter().any(fits), "{yaml}: {found:?}");
        if let Ok(built) = build(yaml, &Metrics::default(), Path::new("")) {
            let made = described(&*built, "t", seen(Raw::Absent, Raw::Absent));
            assert_eq!(made, [string(ARGUMENTS.error, "no_key")], "{yaml}: no digest at all");
        }
    }

    #[test]
    fn the_sample_in_the_documentation_is_read() {
        let source = include_str!("../digest.rs");
        let sample = source.split("```").nth(1).unwrap().trim_start_matches("yaml\n");
        let yaml: Vec<&str> = sample
            .lines()
            .map(|line| line.trim_start_matches("//!"))
            .map(|l| l.get(3..).unwrap_or(""))
            .collect();
        let body = yaml.iter().skip(1).copied().collect::<Vec<_>>().join("\n");
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("digest.key"), hex_key(5)).unwrap();
        assert!(body.contains("key_file"), "{body}");
        build(&body, &Metrics::default(), directory.path()).unwrap();
    }

    #[test]
    fn a_key_written_but_empty_is_an_error_in_every_spelling() {
        refused("key: ''", "digest::key", "empty");
        refused("key:", "digest::key", "empty");
        refused("key: '  '", "digest::key", "empty");
        refused("key_file: ''", "digest::key_file", "empty");
        refused("key_file:", "digest::key_file", "empty");
        refused("keys: []", "digest::keys", "empty");
        refused("keys:", "digest::keys", "empty");
        refused("keys: [{}]", "digest::keys::0", "`key` or `key_file`");
        refused("keys: [{ key: '' }]", "digest::keys::0::key", "empty");
        let file = tempfile::NamedTempFile::new().unwrap();
        refused(&format!("key_file: {}", file.path().display()), "digest::key_file", "empty");
    }

    #[test]
    fn unusable_keys_are_refused_where_they_stand() {
        let key = hex_key(1);
        refused(&format!("key: '{}'", &key[2..]), "digest::key", "31 bytes");
        refused("key: 'not a key!'", "digest::key", "neither hex nor base64");
        refused(&format!("{{ key: '{key}', key_id: 'a:b' }}"), "digest::key_id", "key id");
        refused(&format!("{{ key: '{key}', key_id: }}"), "digest::key_id", "key id");
        refused("key_id: k", "digest::key_id", "neither `key` nor `key_file`");
        refused("key_file: /no/such/file", "digest::key_file", "/no/such/file");
        refused(&format!("{{ key: '{key}', key_file: x }}"), "digest::key_file", "beside `key`");
        refused(
            &format!("{{ key: '{key}', keys: [{{ key: '{key}' }}] }}"),
            "digest::keys",
            "beside",
        );
        let twice = format!("keys: [{{ key: '{key}' }}, {{ key: '{key}' }}]");
        refused(&twice, "digest::keys::1", "two keys are called");
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "ab".repeat(3000)).unwrap();
        refused(&format!("key_file: {}", file.path().display()), "digest::key_file", "too long");
        let all: String =
            errors(&format!("key: '{}'", &key[2..])).into_iter().map(|e| e.1).collect();
        assert!(!all.contains(&key[2..]), "a bad key is not repeated");
    }

    #[test]
    fn a_mode_must_fit_the_keys() {
        let key = hex_key(1);
        refused("mode: hmac-sha256", "digest::mode", "needs `key`");
        refused(&format!("{{ mode: sha256, key: '{key}' }}"), "digest::mode", "does not use a key");
        refused(
            &format!("{{ mode: ephemeral, key: '{key}' }}"),
            "digest::mode",
            "does not use a key",
        );
        assert!(errors(&format!("{{ mode: hmac-sha256, key: '{key}' }}")).is_empty());
    }

    #[test]
    fn an_unkeyed_digest_is_warned_about_once() {
        for yaml in ["{}", "mode: sha256"] {
            let (errors, warnings) = checked(yaml);
            assert!(errors.is_empty() && warnings.len() == 1, "{yaml}: {warnings:?}");
            assert!(warnings[0].contains("not anonymous"));
        }
        for yaml in ["mode: ephemeral".to_owned(), format!("key: '{}'", hex_key(1))] {
            assert_eq!(checked(&yaml), (vec![], vec![]));
        }
    }

    #[test]
    fn pointers_and_limits_are_checked() {
        refused("exclude: [nonce]", "digest::exclude::0", "starts with `/`");
        refused("tools: { t: { exclude: [/a, /~] } }", "digest::tools::t::exclude::1", "~0");
        refused("tools: { t: { fields: [/a] } }", "digest::tools::t::fields", "need a key");
        let fields =
            |list: &str| format!("{{ mode: ephemeral, tools: {{ t: {{ fields: [{list}] }} }} }}");
        assert!(errors(&fields("/a, /b, /c, /d, /e, /f, /g, /h")).is_empty());
        let at = "digest::tools::t::fields";
        refused(&fields("/a, /b, /c, /d, /e, /f, /g, /h, /i"), at, "at most 8");
        refused(&fields("/a/*"), at, "`*`");
        refused(&fields("/a/b, /a.b"), at, "two fields");
        refused(&fields("/"), at, "name");
        let many: Vec<String> = (0..65).map(|n| format!("/{n}")).collect();
        refused(&format!("exclude: [{}]", many.join(", ")), "digest::exclude", "more than 64");
        refused("max_bytes: 0", "digest::max_bytes", "1 to");
        refused("max_bytes: 99999999", "digest::max_bytes", "1 to");
        refused("attributes: ['']", "digest::attributes::0", "not an attribute name");
    }

    #[test]
    fn unknown_settings_are_refused() {
        for yaml in ["keey: x", "tools: { t: { field: [] } }", "keys: [{ id: x }]", "mode: md5"] {
            assert!(testing::read::<Config>(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn a_key_file_that_others_can_read_is_warned_about() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), hex_key(9) + "\n").unwrap();
        let yaml = format!("key_file: {}", file.path().display());
        for (mode, warned) in [(0o600, false), (0o400, false), (0o644, true), (0o660, true)] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            let (errors, warnings) = checked(&yaml);
            assert!(errors.is_empty(), "{errors:?}");
            assert_eq!(warnings.len(), usize::from(warned), "{mode:o}: {warnings:?}");
        }
    }

    #[test]
    fn a_relative_key_file_starts_at_the_config_file() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("k"), hex_key(3)).unwrap();
        let metrics = Metrics::default();
        let processor = build("{ key_file: k, key_id: k }", &metrics, directory.path()).unwrap();
        let made = described(&*processor, "t", seen(Raw::Absent, Raw::Absent));
        assert_eq!(made[0], string(ARGUMENTS_DIGEST, keyed(3, "k", "{}")));
    }
}

#[test]
fn a_batch_that_is_turned_back_and_comes_again_is_counted_once() {
    let (processor, metrics) = processor("{ max_bytes: 2 }");
    let call = || {
        let content = seen(whole(r#"{"a":1}"#), Raw::Absent);
        batch(traces(SCOPE, vec![call("t")]), content)
    };
    let refused = processor.process(call(), &mut Pass::new(0));
    assert!(matches!(refused, Flow::Pass(_)));
    assert_eq!(rejected(&metrics, "size"), 0);
    passed(&*processor, call());
    assert_eq!(rejected(&metrics, "size"), 1);
}
