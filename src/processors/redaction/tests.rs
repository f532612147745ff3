//! The processor on batches made by hand and by chance, and its settings.

use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;

use super::*;
use crate::metrics::Metrics;
use crate::otlp::{Messages, Request, arbitrary, wire};
use crate::pipeline::{Accounts, Build, ComponentConfig, Id, ProcessorConfig, Shared};
use crate::settings::{Severity, testing};
use crate::telemetry::names::SCOPE;
use crate::telemetry::{
    CallSecrets, Capture, CaptureLevel, Clock, Header, Headers, Raw, Receipt, Seen, Telemetry,
    Verdict,
};

/// A token of GitHub's form that nobody has.
fn token() -> String {
    ["gh", "p_", "A1b2C3d4E5f6", "G7h8I9j0K1l2", "M3n4O5p6Q7r8"].concat()
}

fn config(yaml: &str) -> Config {
    testing::read(yaml).unwrap()
}

fn build(yaml: &str, metrics: &Metrics, shared: &Shared) -> anyhow::Result<Box<dyn Processor>> {
    let id = Id::parse("redaction").unwrap();
    config(yaml).build(&Build::alone(
        &id,
        &Accounts::new(metrics.clone()),
        Clock::start(),
        Path::new(""),
        shared,
    ))
}

/// Runs telemetry through a processor, as a batch that is accepted.
fn passed(processor: &dyn Processor, telemetry: Telemetry) -> Telemetry {
    let mut pass = Pass::new(0);
    let Flow::Pass(batch) = processor.process(Batch::new(telemetry), &mut pass) else {
        panic!("redaction passes all that it is given")
    };
    pass.entrust(&batch.receipt);
    batch.telemetry
}

/// Runs telemetry through a processor with these settings: what it becomes, and what was counted.
fn run(yaml: &str, messages: Messages) -> (Messages, Vec<String>) {
    let metrics = Metrics::default();
    let processor = build(yaml, &metrics, &Shared::default()).unwrap();
    let telemetry = passed(&*processor, Telemetry::from(messages));
    // What was let through is let through and counted again; nobody can tell a plain hash from a secret.
    if !yaml.contains("allowed_values") && !yaml.contains("md5") {
        let again = passed(&*processor, telemetry.clone());
        assert_eq!(again.wire(), telemetry.wire(), "a second pass changes nothing");
    }
    let counted = metrics.samples().into_iter().filter(|sample| sample.value > 0);
    let counted = counted.map(|sample| {
        let labels: Vec<&str> = sample.labels[1..].iter().map(|(_, value)| &**value).collect();
        format!("{} {} {}", sample.name, labels.join(" "), sample.value)
    });
    (telemetry.messages(), counted.collect())
}

fn text(text: &str) -> Any {
    Any::StringValue(text.into())
}

fn attribute(key: &str, value: Any) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

fn map(entries: Vec<KeyValue>) -> Any {
    Any::KvlistValue(KeyValueList { values: entries })
}

fn list(values: Vec<Any>) -> Any {
    let values = values.into_iter().map(|value| AnyValue { value: Some(value) }).collect();
    Any::ArrayValue(ArrayValue { values })
}

fn span(attributes: Vec<KeyValue>) -> Span {
    let (trace_id, span_id) = (vec![1; 16], vec![1; 8]);
    Span { trace_id, span_id, name: "n".into(), attributes, ..Span::default() }
}

fn traces(span: Span) -> Messages {
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    Messages::Traces(vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }])
}

fn logs(record: LogRecord) -> Messages {
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    Messages::Logs(vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }])
}

/// The only span of some telemetry.
fn first_span(messages: Messages) -> Span {
    let Messages::Traces(mut all) = messages else { panic!("no traces") };
    all.remove(0).scope_spans.remove(0).spans.remove(0)
}

fn first_record(messages: Messages) -> LogRecord {
    let Messages::Logs(mut all) = messages else { panic!("no logs") };
    all.remove(0).scope_logs.remove(0).log_records.remove(0)
}

/// Runs the attributes of a span through a processor.
fn attributes(yaml: &str, attributes: Vec<KeyValue>) -> Vec<KeyValue> {
    first_span(run(yaml, traces(span(attributes))).0).attributes
}

/// Checks settings: gives errors by their fields, and warnings.
fn checked(yaml: &str) -> (Vec<String>, Vec<String>) {
    let problems = testing::check(yaml, "redaction", |report| config(yaml).check(report));
    let (errors, warnings): (Vec<_>, Vec<_>) =
        problems.0.into_iter().partition(|p| p.severity > Severity::Warning);
    let told = |p: crate::settings::Problem| format!("{}: {}", p.path, p.message);
    (errors.into_iter().map(told).collect(), warnings.into_iter().map(told).collect())
}

/// Puts a text at every place where a text can stand.
struct Plant<'t>(&'t str);

impl<'a> Edit<'a> for Plant<'_> {
    fn wants(&self) -> Wants {
        Wants { texts: true, statuses: true, ..Wants::default() }
    }
    fn text(&mut self, _: &At<'a>, _: &'a str) -> Option<&str> {
        Some(self.0)
    }
    fn bytes(&mut self, _: &At<'a>, _: &'a [u8]) -> Option<&str> {
        Some(self.0)
    }
    fn number(&mut self, _: &At<'a>, _: Number) -> Option<&str> {
        Some(self.0)
    }
    fn status_message(&mut self, _: View<'a>) -> Option<&str> {
        Some(self.0)
    }
}

fn requests() -> impl Strategy<Value = Messages> {
    prop_oneof![
        arbitrary::traces().prop_map(|r| Messages::Traces(r.resource_spans)),
        arbitrary::metrics().prop_map(|r| Messages::Metrics(r.resource_metrics)),
        arbitrary::logs().prop_map(|r| Messages::Logs(r.resource_logs)),
    ]
}

fn has(bytes: &[u8], secret: &str) -> bool {
    memchr::memmem::find(bytes, secret.as_bytes()).is_some()
}

proptest! {
    /// Wherever the schema has a text, a secret in it does not leave.
    #[test]
    fn no_place_of_any_signal_is_forgotten(messages in requests(), debug in any::<bool>()) {
        static BUILT: LazyLock<[Box<dyn Processor>; 2]> = LazyLock::new(|| {
            ["{}", "{ summary: debug }"].map(|yaml| build(yaml, &Metrics::default(), &Shared::default()).unwrap())
        });
        let (token, processor) = (token(), &BUILT[usize::from(debug)]);
        for planted in [token.clone(), format!("{{\"a\":[\"x {token}\"]}}")] {
            let full = Telemetry::from(messages.clone()).edited(&mut Plant(&planted));
            let clean = passed(&**processor, full.clone());
            prop_assert!(!has(clean.wire(), &token));
            let mut json = Vec::new();
            clean.write_json(&mut json);
            prop_assert!(!has(&json, &token));
            prop_assert_eq!(clean.items(), full.items());
            let found = wire::check(full.signal().request(), clean.wire().clone()).unwrap();
            prop_assert_eq!((found.repair_size(), found.broken()), (0, 0));
            let again = passed(&**processor, clean.clone());
            prop_assert_eq!(again.wire(), clean.wire());
        }
    }
}

#[test]
fn values_of_all_types_are_looked_at_and_keep_their_shape() {
    let token = token();
    let deep = map(vec![
        attribute(
            "password",
            map(vec![attribute("a", text("x")), attribute("n", Any::IntValue(5))]),
        ),
        attribute(
            "b",
            list(vec![text("ok"), Any::IntValue(4_111_111_111_111_111), Any::BoolValue(true)]),
        ),
    ]);
    let bytes = Any::BytesValue(format!("as bytes {token}").into_bytes());
    let made = attributes(
        "{}",
        vec![
            attribute("deep", deep),
            attribute("bytes", bytes),
            attribute("unreadable", Any::BytesValue(vec![0xff, 0xfe])),
            attribute("card", Any::IntValue(4_111_111_111_111_111)),
            attribute("gen_ai.usage.input_tokens", Any::IntValue(42)),
            attribute("api_key", Any::DoubleValue(0.5)),
            attribute("secret", Any::BoolValue(true)),
        ],
    );
    let named = "[REDACTED:key_name]";
    let deep = map(vec![
        attribute("password", map(vec![attribute("a", text(named)), attribute("n", text(named))])),
        attribute("b", list(vec![text("ok"), text("[REDACTED:card]"), Any::BoolValue(true)])),
    ]);
    assert_eq!(
        made,
        [
            attribute("deep", deep),
            attribute("bytes", text("as bytes [REDACTED:github]")),
            attribute("unreadable", text("[REDACTED:unscanned]")),
            attribute("card", text("[REDACTED:card]")),
            attribute("gen_ai.usage.input_tokens", Any::IntValue(42)),
            attribute("api_key", text(named)),
            attribute("secret", Any::BoolValue(true)),
        ]
    );
}

#[test]
fn what_is_found_is_counted_by_rule_and_place() {
    let token = token();
    let event = Event {
        name: "exception".into(),
        attributes: vec![attribute("exception.stacktrace", text(&format!("{token} {token}")))],
        ..Event::default()
    };
    let mut span = span(vec![attribute(&token, Any::BytesValue(vec![0xff]))]);
    (span.name, span.trace_state) = (format!("n {token}"), format!("v={token}"));
    span.events.push(event);
    let (_, counted) = run("{}", traces(span));
    // Counted once: the second pass, which `run` does, finds nothing.
    assert_eq!(
        counted,
        [
            "mcpcol_redaction_failed unreadable 1",
            "mcpcol_redaction_masked github event.attributes 2",
            "mcpcol_redaction_masked github span.attributes.keys 1",
            "mcpcol_redaction_masked github span.name 1",
            "mcpcol_redaction_masked github span.trace_state 1",
        ]
    );
}

#[test]
fn a_batch_that_is_turned_back_is_not_counted() {
    let metrics = Metrics::default();
    let processor = build("{}", &metrics, &Shared::default()).unwrap();
    let messages = traces(span(vec![attribute("password", text("hunter2"))]));
    let mut pass = Pass::new(0);
    let (receipt, _waiting) = Receipt::pair();
    let batch = Batch { receipt, ..Batch::new(Telemetry::from(messages)) };
    let flow = processor.process(batch, &mut pass);
    let Flow::Pass(batch) = flow else { panic!("it passes") };
    pass.entrust(&batch.receipt);
    batch.receipt.settle(Verdict::Retry { after: None });
    assert!(metrics.samples().iter().all(|sample| sample.value == 0));
}

#[test]
fn keys_that_no_list_names_go_and_summaries_say_so() {
    let yaml = "{ allowed_keys: [note, seen], ignored_keys: [safe], summary: debug, \
                blocked_values: ['[0-9]{4}-x'], allowed_values: ['9999-x'] }";
    let made = attributes(
        yaml,
        vec![
            attribute("note", text("1234-x")),
            attribute("gone", text("v")),
            attribute("also", text("v")),
            attribute("safe", text("1234-x")),
            attribute("seen", text("9999-x")),
        ],
    );
    let expected = [
        attribute("note", text("[REDACTED:blocked_value]")),
        attribute("safe", text("1234-x")),
        attribute("seen", text("9999-x")),
        attribute("redaction.redacted.keys", text("also,gone")),
        attribute("redaction.redacted.count", Any::IntValue(2)),
        attribute("redaction.masked.keys", text("note")),
        attribute("redaction.masked.count", Any::IntValue(1)),
        attribute("redaction.allowed.keys", text("seen")),
        attribute("redaction.allowed.count", Any::IntValue(1)),
        attribute("redaction.ignored.count", Any::IntValue(1)),
    ];
    let metrics = Metrics::default();
    let processor = build(yaml, &metrics, &Shared::default()).unwrap();
    assert_eq!(made.len(), expected.len(), "{made:#?}");
    // What stays and is let through is counted again by whoever sees it again, as in the Collector.
    let again = traces(span(expected[..3].to_vec()));
    let first = first_span(passed(&*processor, Telemetry::from(again)).messages()).attributes;
    assert_eq!(first[3..], expected[7..]);
}

#[test]
fn keys_of_a_logs_body_are_treated_as_attributes_are() {
    let body = map(vec![
        attribute("kept", text("v")),
        attribute("gone", text("v")),
        attribute("inner", map(vec![attribute("gone", text("v")), attribute("kept", text("v"))])),
        attribute("token", text("v")),
    ]);
    let record = LogRecord { body: Some(AnyValue { value: Some(body) }), ..LogRecord::default() };
    let yaml = "{ allowed_keys: [kept, inner, token], summary: info }";
    let record = first_record(run(yaml, logs(record)).0);
    let expected = map(vec![
        attribute("kept", text("v")),
        attribute("inner", map(vec![attribute("kept", text("v"))])),
        attribute("token", text("[REDACTED:key_name]")),
    ]);
    assert_eq!(record.body, Some(AnyValue { value: Some(expected) }));
    let expected = [
        attribute("redaction.body.redacted.count", Any::IntValue(2)),
        attribute("redaction.body.masked.count", Any::IntValue(1)),
    ];
    assert_eq!(record.attributes, expected);
}

#[test]
fn secrets_of_the_process_are_known() {
    let secret = ["correct-", "horse-", "battery"].concat();
    let (accounts, shared) = (Accounts::default(), Shared::default());
    let processor = build("{}", accounts.metrics(), &shared).unwrap();
    let id = Id::parse("other").unwrap();
    let cx = Build::alone(&id, &accounts, Clock::start(), Path::new(""), &shared);
    cx.process(Secrets::default).set("config", [&secret]);
    let messages = traces(span(vec![
        attribute("note", text(&format!("say {secret}"))),
        attribute(&format!("{secret}.name"), text("x")),
    ]));
    let made = first_span(passed(&*processor, Telemetry::from(messages)).messages()).attributes;
    assert_eq!(made[0], attribute("note", text("say [REDACTED:known_value]")));
    assert!(made[1].key.starts_with("[REDACTED]#"), "{}", made[1].key);
}

#[test]
fn our_own_ids_words_and_digests_stay_in_their_forms_alone() {
    let session = "0123456789abcdef".repeat(2);
    let yaml = "{ blocked_values: ['[0-9a-f]{16}', ok] }";
    let made = attributes(
        yaml,
        vec![
            attribute("mcpcol.session.id", text(&session)),
            attribute("mcpcol.outcome", text("ok")),
            attribute("other", text("ok")),
        ],
    );
    let masked = attribute("other", text("[REDACTED:blocked_value]"));
    assert_eq!(made[0], attribute("mcpcol.session.id", text(&session)));
    assert_eq!(made[1..], [attribute("mcpcol.outcome", text("ok")), masked.clone()]);
    let other = format!("{session} {session}");
    let made = attributes(yaml, vec![attribute("mcpcol.session.id", text(&other))]);
    assert_ne!(made[0], attribute("mcpcol.session.id", text(&other)));
}

#[test]
fn urls_and_queries_are_sanitized_where_that_is_wanted() {
    let yaml = "{ url_sanitizer: { enabled: true, attributes: [http.url] }, \
                db_sanitizer: { sql: { enabled: true } } }";
    let all = || {
        vec![
            attribute("http.url", text("https://h.example/users/17?q=1")),
            attribute("db.statement", text("SELECT * FROM t WHERE name = 'jane'")),
            attribute("other", text("https://h.example/users/17?q=1")),
        ]
    };
    let mut by_path = span(all());
    by_path.name = "GET /users/17".into();
    let made = first_span(run(yaml, traces(by_path)).0);
    assert_eq!(made.name, "GET /users/*");
    let expected = [
        attribute("http.url", text("https://h.example/users/*")),
        attribute("db.statement", text("[REDACTED:db_query]")),
        all()[2].clone(),
    ];
    assert_eq!(made.attributes, expected);
    let mut by_query = span(Vec::new());
    by_query.name = "SELECT 1 FROM t".into();
    assert_eq!(first_span(run(yaml, traces(by_query)).0).name, "[REDACTED:db_query]");
    assert_eq!(attributes("{}", all()), all());
}

#[test]
fn hashes_stand_in_for_secrets_where_a_function_is_named() {
    let md5 = attributes("{ hash_function: md5 }", vec![attribute("password", text("secret"))]);
    assert_ne!(md5[0], attribute("password", text("secret")));
    let key = "k".repeat(32);
    let yaml = format!("{{ hash_function: hmac-sha256, hmac_key: {key} }}");
    let password = || attribute("password", text("hunter2"));
    let made = attributes(&yaml, vec![password(), attribute("a", map(vec![password()]))]);
    let Some(Any::StringValue(hash)) = made[0].value.clone().and_then(|v| v.value) else {
        panic!("a text")
    };
    assert!(hash.starts_with("hmac:"), "{hash}");
    assert_eq!(
        made[1],
        attribute("a", map(vec![attribute("password", text(&hash))])),
        "equal again"
    );
}

#[test]
fn a_resource_and_a_scope_are_looked_at_too() {
    let token = token();
    let resource = Resource {
        attributes: vec![attribute(
            "process.command_args",
            list(vec![text("--key"), text(&token)]),
        )],
        ..Resource::default()
    };
    let mut messages = traces(span(Vec::new()));
    if let Messages::Traces(all) = &mut messages {
        all[0].resource = Some(resource);
        all[0].schema_url = format!("https://u:{token}@h/schema");
    }
    let (made, counted) = run("{}", messages);
    let bytes = Bytes::from(made.encode());
    assert!(!has(&bytes, &token));
    assert_eq!(
        counted,
        [
            "mcpcol_redaction_masked github resource.attributes 1",
            "mcpcol_redaction_masked github resource.schema_url 1",
        ]
    );
    assert_eq!(made.request(), Request::Traces);
}

#[test]
fn settings_are_checked_all_at_once() {
    let (errors, warnings) = checked(
        "{ presets: [credentials], rules: [{ name: 'a b', pattern: '(' }], blocked_values: ['(?<!a)b'], \
         hash_function: hmac-sha512, hmac_key: short, mask: '', max_value_bytes: 1, \
         allow_all_keys: true, allowed_keys: [a] }",
    );
    let fields: Vec<&str> = errors.iter().map(|e| e.split(": ").next().unwrap()).collect();
    assert_eq!(
        fields,
        [
            "redaction::hmac_key",
            "redaction::mask",
            "redaction::mask",
            "redaction::max_value_bytes",
            "redaction::rules::0::name",
            "redaction::rules::0::pattern",
            "redaction::blocked_values::0",
        ],
        "{errors:#?}"
    );
    assert!(errors[0].contains("has 5 bytes; 64 or more"), "{}", errors[0]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(checked("{}").0.is_empty() && checked("{}").1.is_empty());
    let (errors, warnings) = checked("{ hash_function: sha1, allow_all_keys: false }");
    assert_eq!((errors.len(), warnings.len()), (0, 2));
    let (errors, _) = checked("{ hmac_key: x }");
    assert!(errors[0].contains("is not used"), "{errors:?}");
    let (errors, _) = checked("{ presets: [] }");
    assert!(errors[0].contains("no rule at all"), "{errors:?}");
    let (errors, _) = checked("{ hash_function: hmac-sha256, hmac_key_file: /nowhere/key }");
    assert!(errors[0].contains("/nowhere/key"), "{errors:?}");
}

/// A call that a tap saw, as it comes to the processor.
fn tapped(seen: Seen, attributes: Vec<KeyValue>) -> Batch {
    let status = Some(Status { code: 2, ..Status::default() });
    let span = Span { status, ..span(attributes) };
    let mut messages = traces(span);
    if let Messages::Traces(all) = &mut messages {
        all[0].scope_spans[0].scope =
            Some(InstrumentationScope { name: SCOPE.into(), ..InstrumentationScope::default() });
    }
    let content = [(([1; 16], [1; 8]), seen)].into_iter().collect();
    Batch { content, ..Batch::new(messages.into()) }
}

fn captured(seen: Seen, attributes: Vec<KeyValue>) -> Span {
    let processor = build("{}", &Metrics::default(), &Shared::default()).unwrap();
    let mut pass = Pass::new(0);
    let Flow::Pass(batch) = processor.process(tapped(seen, attributes), &mut pass) else {
        panic!("it passes")
    };
    first_span(batch.telemetry.messages())
}

fn whole(text: &str) -> Raw {
    Raw::Whole(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn what_was_captured_is_redacted_first_and_cut_then() {
    let token = token();
    let (arguments, results) = (CaptureLevel::Redacted, CaptureLevel::Keys);
    let capture = Capture { arguments, results, errors: CaptureLevel::Redacted, max_bytes: 48 };
    let seen = Seen {
        arguments: whole(&format!(
            r#"{{"q":"x {token} y","password":"p","more":"{}"}}"#,
            "z".repeat(99)
        )),
        result: whole(r#"{"city":"Oslo","n":[1,2,3]}"#),
        error_text: whole(&format!(r#""401 for {token}, {}""#, "é".repeat(200))),
        capture,
        ..Seen::default()
    };
    let stale = attribute("gen_ai.tool.call.arguments", text("of somebody else"));
    let span = captured(seen, vec![stale, attribute("gen_ai.tool.name", text("t"))]);
    let message = span.status.unwrap().message;
    assert!(
        message.starts_with("401 for [REDACTED:github], é") && message.len() <= 256,
        "{message}"
    );
    let expected = [
        attribute("gen_ai.tool.name", text("t")),
        attribute(
            "gen_ai.tool.call.arguments",
            text(r#"{"q":"x [REDACTED:github] y","password":"[REDACT"#),
        ),
        attribute("mcpcol.arguments.truncated", Any::BoolValue(true)),
        attribute("mcpcol.result.shape", text(r#"{"city":"string(4)","n":["number","+2"]}"#)),
    ];
    assert_eq!(span.attributes, expected);
}

/// Applies what the settings say of a name to what is captured under it, so that a second pass changes nothing.
#[test]
fn captured_content_goes_by_its_name_too() {
    let level = CaptureLevel::Redacted;
    let capture = Capture { arguments: level, results: level, ..Capture::default() };
    let written = |yaml: &str| {
        let seen = Seen {
            arguments: whole(r#"{"a":1}"#),
            result: whole("[\"hunter2\"]"),
            capture,
            ..Seen::default()
        };
        let processor = build(yaml, &Metrics::default(), &Shared::default()).unwrap();
        let Flow::Pass(batch) = processor.process(tapped(seen, Vec::new()), &mut Pass::new(0))
        else {
            panic!("it passes")
        };
        let again = passed(&*processor, batch.telemetry.clone());
        assert_eq!(again.wire(), batch.telemetry.wire(), "a second pass");
        first_span(batch.telemetry.messages()).attributes
    };
    let arguments = |value: &str| attribute("gen_ai.tool.call.arguments", text(value));
    let result = |value: &str| attribute("gen_ai.tool.call.result", text(value));
    let both = [arguments(r#"{"a":1}"#), result("[\"hunter2\"]")];
    assert_eq!(written("{}"), both);
    let blocked = written("{ blocked_key_patterns: ['call.result$'] }");
    assert_eq!(blocked, [both[0].clone(), result("[REDACTED:blocked_key]")]);
    assert_eq!(written("{ allowed_keys: [gen_ai.tool.call.result] }"), both[1..]);
}

#[test]
fn what_was_not_captured_is_not_written_and_what_was_cut_is_withheld() {
    let seen = Seen {
        arguments: whole(r#"{"a":1}"#),
        result: whole("{}"),
        error_text: whole(r#""no""#),
        ..Seen::default()
    };
    let span = captured(seen, Vec::new());
    assert_eq!((span.attributes, span.status.unwrap().message), (Vec::new(), String::new()));
    let capture = Capture { arguments: CaptureLevel::Redacted, ..Capture::default() };
    let seen = Seen { arguments: Raw::Cut, capture, ..Seen::default() };
    let expected = [attribute("gen_ai.tool.call.arguments", text("[REDACTED:unscanned]"))];
    assert_eq!(captured(seen, Vec::new()).attributes, expected);
}

#[test]
fn a_shape_is_json_however_short_and_never_the_value() {
    let capture = Capture { arguments: CaptureLevel::Keys, max_bytes: 60, ..Capture::default() };
    let shown = |json: &str| {
        let arguments = Raw::Whole(Bytes::copy_from_slice(json.as_bytes()));
        captured(Seen { arguments, capture, ..Seen::default() }, Vec::new()).attributes
    };
    let shape = |shape: &str| attribute("mcpcol.arguments.shape", text(shape));
    assert_eq!(shown(r#"{"city":"kettle"}"#), [shape(r#"{"city":"string(6)"}"#)]);
    let cut = attribute("mcpcol.arguments.truncated", Any::BoolValue(true));
    let long = format!(r#"{{"city":"kettle","{}":1,"z":2}}"#, "k".repeat(30));
    assert_eq!(shown(&long), [shape(r#"{"city":"string(6)","+":2}"#), cut]);
    assert_eq!(shown(r#"{"city":"kettle","\ud800":1}"#), [shape("[REDACTED:unscanned]")]);
}

#[test]
fn headers_are_written_redacted_and_cut_then() {
    let token = token();
    let value = |value: &str| Some(Box::from(value));
    let header = |key: &str, values| Header { key: key.into(), values };
    let request = vec![
        header("http.request.header.x-one", vec![value("plain"), value(&format!("see {token}"))]),
        header("http.request.header.x-two", vec![None]),
    ];
    let response = vec![header("http.response.header.retry-after", vec![value("123456789")])];
    let headers = Headers { request: Some(request.into()), response: Some(response.into()) };
    let capture = Capture { max_bytes: 24, ..Capture::default() };
    let seen = Seen { capture, headers, ..Seen::default() };
    let before = vec![attribute("http.request.header.x-two", text(&token))];
    let list = |texts: &[&str]| {
        let values = texts.iter().map(|t| AnyValue { value: Some(text(t)) }).collect();
        Any::ArrayValue(ArrayValue { values })
    };
    let expected = [
        attribute("http.request.header.x-one", list(&["plain", "see [REDACTED:github]"])),
        attribute("http.request.header.x-two", list(&["[REDACTED:unscanned]"])),
        attribute("http.response.header.retry-after", list(&["123456789"])),
    ];
    assert_eq!(captured(seen, before).attributes, expected);
}

#[test]
fn secrets_that_came_with_a_call_are_searched_for_on_its_span_alone() {
    let secret = ["correct-", "horse-", "battery"].concat();
    let secrets: CallSecrets = std::iter::once(Arc::new(KnownValues::new([&secret]))).collect();
    let echo = || vec![attribute("note", text(&secret)), attribute(&secret, text("x"))];
    let mut batch = tapped(Seen { secrets, ..Seen::default() }, echo());
    let mut messages = batch.telemetry.messages();
    if let Messages::Traces(all) = &mut messages {
        let attributes = vec![attribute("server", text(&secret))];
        all[0].resource = Some(Resource { attributes, ..Resource::default() });
        let other = Span { span_id: vec![2; 8], ..span(echo()) };
        all[0].scope_spans[0].spans.push(other);
        all.push(all[0].clone());
        all[1].scope_spans[0].spans.remove(0);
    }
    batch.telemetry = messages.into();
    let processor = build("{}", &Metrics::default(), &Shared::default()).unwrap();
    let Flow::Pass(batch) = processor.process(batch, &mut Pass::new(0)) else {
        panic!("it passes")
    };
    let Messages::Traces(all) = batch.telemetry.messages() else { panic!("no traces") };
    let spans = &all[0].scope_spans[0].spans;
    assert_eq!(spans[0].attributes[0], attribute("note", text("[REDACTED:known_value]")));
    assert!(spans[0].attributes[1].key.starts_with("[REDACTED]#"));
    assert_eq!(spans[1].attributes, echo(), "another call's");
    for resource in &all {
        let server = &resource.resource.as_ref().unwrap().attributes[0];
        assert_eq!(*server, attribute("server", text(&secret)), "what all calls share");
    }
}

#[test]
fn a_summary_counts_what_was_captured() {
    let capture = Capture { arguments: CaptureLevel::Redacted, ..Capture::default() };
    let seen = |json: &str| Seen { arguments: whole(json), capture, ..Seen::default() };
    let processor = build("{ summary: debug }", &Metrics::default(), &Shared::default()).unwrap();
    let summary = |json: &str| {
        let batch = tapped(seen(json), Vec::new());
        let Flow::Pass(batch) = processor.process(batch, &mut Pass::new(0)) else {
            panic!("it passes")
        };
        first_span(batch.telemetry.messages()).attributes.split_off(1)
    };
    let expected = [
        attribute("redaction.masked.keys", text("gen_ai.tool.call.arguments")),
        attribute("redaction.masked.count", Any::IntValue(1)),
    ];
    assert_eq!(summary(r#"{"password":"abcdef"}"#), expected);
    assert_eq!(summary(r#"{"city":"Oslo"}"#), []);
}

#[test]
fn secrets_that_came_with_a_batch_are_searched_for_in_all_of_it_and_in_no_other() {
    let secret = ["correct-", "horse-", "battery"].concat();
    let said = format!("login with {secret} failed");
    let record =
        LogRecord { body: Some(AnyValue { value: Some(text(&said)) }), ..LogRecord::default() };
    let processor = build("{}", &Metrics::default(), &Shared::default()).unwrap();
    let body = |secrets: CallSecrets| {
        let telemetry = Telemetry::from(logs(record.clone()));
        let content = Content::with_secrets(secrets);
        let batch = Batch { content, ..Batch::new(telemetry) };
        let Flow::Pass(batch) = processor.process(batch, &mut Pass::new(0)) else {
            panic!("it passes")
        };
        first_record(batch.telemetry.messages()).body
    };
    let secrets = std::iter::once(Arc::new(KnownValues::new([&secret]))).collect();
    let masked = "login with [REDACTED:known_value] failed";
    assert_eq!(body(secrets), Some(AnyValue { value: Some(text(masked)) }));
    assert_eq!(body(CallSecrets::default()), record.body);
}

#[test]
fn what_others_say_in_a_summary_is_looked_at_and_names_of_entities_follow_their_attributes() {
    let token = token();
    for level in ["info", "debug"] {
        let yaml = format!("{{ summary: {level} }}");
        let before = attribute("redaction.masked.keys", text(&format!("{token},kept")));
        let made = attributes(&yaml, vec![before, attribute("password", text("x"))]);
        let names = if level == "info" { "kept" } else { "kept,password" };
        assert!(made.contains(&attribute("redaction.masked.keys", text(names))), "{made:?}");
        assert!(!format!("{made:?}").contains(&token));
    }
    let name = format!("host {token}");
    let entity = EntityRef { id_keys: vec![name.clone()], ..EntityRef::default() };
    let attributes = vec![attribute(&name, text("x"))];
    let resource = Resource { attributes, entity_refs: vec![entity], ..Resource::default() };
    let mut messages = traces(span(Vec::new()));
    if let Messages::Traces(all) = &mut messages {
        all[0].resource = Some(resource);
    }
    let Messages::Traces(all) = run("{}", messages).0 else { panic!("no traces") };
    let resource = all[0].resource.as_ref().unwrap();
    assert_eq!(resource.entity_refs[0].id_keys[0], resource.attributes[0].key);
    assert!(resource.attributes[0].key.starts_with("[REDACTED]#"));
}
