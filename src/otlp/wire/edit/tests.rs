//! The law: editing bytes and decoding equals decoding and editing; what comes out passes the check.

use std::collections::BTreeSet;

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use proptest::prelude::*;

use super::*;
use crate::otlp::Request;
use crate::otlp::schema::{self, Form, Message};
use crate::otlp::wire::check;
use crate::otlp::wire::fields::{Fields, Value};
use crate::otlp::{Messages, arbitrary};

/// Says what becomes of attributes and items, by what is in them, so that messages can be treated alike.
fn fate(text: &str) -> u64 {
    text.bytes().fold(7, |hash: u64, b| hash.wrapping_mul(31).wrapping_add(b.into())) % 5
}

/// Drops some attributes, gives others another value, adds one to some holders, and replaces texts.
#[derive(Default)]
struct Pass {
    texts: bool,
    new: String,
}

impl<'a> Edit<'a> for Pass {
    fn wants(&self) -> Wants {
        Wants {
            attributes: Holders::ALL,
            lengths: u64::MAX,
            more: Holders::ALL,
            texts: self.texts,
            ..Wants::default()
        }
    }

    fn attribute(&mut self, _: View<'a>, name: &'a str, value: ValueView<'a>) -> Change<'_> {
        match fate(name) {
            0 => Change::Drop,
            1 => {
                self.new = format!("{name} {:?}", value.text());
                Change::Value(Composed::Text(&self.new))
            }
            _ => Change::Keep,
        }
    }

    fn text(&mut self, at: &At<'a>, text: &'a str) -> Option<&str> {
        // Nothing that decides about attributes.
        let named = matches!(at.place, Place::Name) && at.depth == 0;
        (!named && fate(text) == 3).then(|| {
            self.new = format!("{text}!");
            &*self.new
        })
    }

    fn more(&mut self, of: View<'a>, out: &mut Attributes<'_>) {
        let mut count = 0;
        of.each_attribute(|_, _| count += 1);
        if count % 3 == 1 {
            out.add("more", Composed::Int(count));
        }
    }
}

/// The same on decoded attributes.
fn on_messages(list: &mut Vec<KeyValue>) {
    let count = list.len();
    list.retain(|a| fate(&a.key) != 0);
    for a in list.iter_mut().filter(|a| fate(&a.key) == 1) {
        let text = match a.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Any::StringValue(text)) => Some(text),
            _ => None,
        };
        *a = attribute(&a.key, Any::StringValue(format!("{} {text:?}", a.key)));
    }
    if count % 3 == 1 {
        list.push(attribute("more", Any::IntValue(count as i64)));
    }
}

fn attribute(key: &str, value: Any) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

fn requests() -> impl Strategy<Value = Messages> {
    prop_oneof![
        arbitrary::traces().prop_map(|r| Messages::Traces(r.resource_spans)),
        arbitrary::metrics().prop_map(|r| Messages::Metrics(r.resource_metrics)),
        arbitrary::logs().prop_map(|r| Messages::Logs(r.resource_logs)),
    ]
}

fn edited(messages: &Messages, by: &mut impl for<'a> Edit<'a>) -> (Bytes, usize) {
    let (request, bytes) = (messages.request(), Bytes::from(messages.encode()));
    let Edited { bytes: new, dropped } = edit(request, &bytes, by);
    let new = new.unwrap_or(bytes);
    let found = check(request, new.clone()).unwrap();
    assert_eq!((found.repair_size(), found.broken()), (0, 0));
    (new, dropped)
}

/// Notes every text, all bytes and every number of a value.
#[derive(Default)]
struct Seen(Vec<Vec<u8>>);

impl<'a> Edit<'a> for Seen {
    fn wants(&self) -> Wants {
        Wants { texts: true, ..Wants::default() }
    }

    fn text(&mut self, _: &At<'a>, text: &'a str) -> Option<&str> {
        self.0.push(text.as_bytes().to_vec());
        None
    }

    fn bytes(&mut self, _: &At<'a>, bytes: &'a [u8]) -> Option<&str> {
        self.0.push(bytes.to_vec());
        None
    }

    fn number(&mut self, _: &At<'a>, number: Number) -> Option<&str> {
        self.0.push(format!("{number:?}").into());
        None
    }
}

/// Every text of a request, and every number of a value, by a walk of its own.
fn texts(message: &Message, bytes: &[u8], all: &mut Vec<Vec<u8>>) {
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.field() {
        let of_value = std::ptr::eq(message, &schema::ANY_VALUE);
        let slice = match (message.field(number).form, value) {
            (_, Value::Slice(slice)) => slice,
            (Form::I64, Value::Varint(int)) if of_value => {
                all.push(format!("{:?}", Number::Int(int as i64)).into());
                continue;
            }
            (Form::Double, Value::Fixed64(bits)) if of_value => {
                all.push(format!("{:?}", Number::Double(f64::from_bits(bits))).into());
                continue;
            }
            _ => continue,
        };
        match message.field(number).form {
            Form::Text | Form::Texts | Form::Bytes => all.push(slice.to_vec()),
            Form::Message(inner) | Form::Messages(inner) | Form::Items(inner) => {
                texts(inner, slice, all);
            }
            _ => {}
        }
    }
}

/// Drops items by the ids or the count that is before them.
struct Drops(Vec<bool>, usize);

impl<'a> Edit<'a> for Drops {
    fn wants(&self) -> Wants {
        Wants { items: true, ..Wants::default() }
    }

    fn item(&mut self, _: &Item<'a>) -> Take {
        let drops = self.0[self.1 % self.0.len()];
        self.1 += 1;
        if drops { Take::Drop } else { Take::Keep }
    }
}

proptest! {
    #[test]
    fn attributes_change_everywhere_as_they_do_on_messages(mut messages in requests()) {
        let (bytes, dropped) = edited(&messages, &mut Pass::default());
        prop_assert_eq!(dropped, 0);
        arbitrary::each_list(&mut messages, on_messages);
        let expected = messages.encode();
        prop_assert_eq!(Messages::decode(messages.request(), bytes).unwrap().encode(), expected);
    }

    #[test]
    fn every_text_all_bytes_and_every_number_of_a_value_are_shown(messages in requests()) {
        let mut seen = Seen::default();
        let (bytes, _) = edited(&messages, &mut seen);
        let mut expected = Vec::new();
        texts(Message::of(messages.request()), &bytes, &mut expected);
        prop_assert_eq!(seen.0, expected);
    }

    /// A text that was replaced is another one: a second pass finds nothing to do.
    #[test]
    fn a_second_pass_changes_nothing(messages in requests()) {
        struct Mask;
        impl<'a> Edit<'a> for Mask {
            fn wants(&self) -> Wants {
                Wants { texts: true, ..Wants::default() }
            }
            fn text(&mut self, _: &At<'a>, text: &'a str) -> Option<&str> {
                (!text.is_empty() && text != "****").then_some("****")
            }
            fn bytes(&mut self, _: &At<'a>, _: &'a [u8]) -> Option<&str> {
                Some("****")
            }
            fn number(&mut self, _: &At<'a>, _: Number) -> Option<&str> {
                Some("****")
            }
        }
        let (bytes, _) = edited(&messages, &mut Mask);
        prop_assert!(edit(messages.request(), &bytes, &mut Mask).bytes.is_none());
        let mut seen = Seen::default();
        edit(messages.request(), &bytes, &mut seen);
        prop_assert!(seen.0.iter().all(|text| text.is_empty() || text == b"****"));
    }

    #[test]
    fn texts_and_attributes_change_in_one_pass(messages in requests()) {
        let (bytes, _) = edited(&messages, &mut Pass { texts: true, ..Pass::default() });
        Messages::decode(messages.request(), bytes).unwrap();
    }

    #[test]
    fn dropped_items_take_what_they_leave_empty(
        messages in requests(),
        drops in prop::collection::vec(any::<bool>(), 1..8),
    ) {
        let (request, bytes) = (messages.request(), Bytes::from(messages.encode()));
        let before = check(request, bytes).unwrap().repaired().unwrap().items();
        let (bytes, dropped) = edited(&messages, &mut Drops(drops.clone(), 0));
        let gone = (0..before).filter(|i| drops[i % drops.len()]).count();
        prop_assert_eq!(dropped, gone);
        prop_assert_eq!(check(request, bytes.clone()).unwrap().repaired().unwrap().items(), before - gone);
        let (nothing, _) = edited(&messages, &mut Drops(vec![true], 0));
        if let Messages::Traces(all) = &messages
            && all.iter().all(|r| r.scope_spans.iter().all(|s| !s.spans.is_empty()) && !r.scope_spans.is_empty())
        {
            prop_assert!(nothing.is_empty());
        }
    }

    /// Anything at all: no panic.
    #[test]
    fn garbage_ends(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let bytes = Bytes::from(bytes);
        for request in [Request::Traces, Request::Metrics, Request::Logs] {
            edit(request, &bytes, &mut Pass { texts: true, ..Pass::default() });
            edit(request, &bytes, &mut Drops(vec![true, false], 0));
        }
    }
}

/// Tells where a text stands in the words of OTLP/JSON.
#[test]
fn places_have_names() {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

    #[derive(Default)]
    struct Places(BTreeSet<String>);
    impl<'a> Edit<'a> for Places {
        fn wants(&self) -> Wants {
            Wants { texts: true, ..Wants::default() }
        }
        fn text(&mut self, at: &At<'a>, text: &'a str) -> Option<&str> {
            self.0.insert(format!("{:?} {:?} {}: {text}", at.holder, at.place, at.depth));
            None
        }
    }
    let entry = attribute("inner", Any::StringValue("deep".into()));
    let map = Any::KvlistValue(KeyValueList { values: vec![entry] });
    let body = Any::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(map.clone()) }] });
    let map = attribute("outer", map);
    let record = LogRecord {
        severity_text: "WARN".into(),
        body: Some(AnyValue { value: Some(Any::StringValue("said".into())) }),
        attributes: vec![map],
        ..LogRecord::default()
    };
    let mapped = LogRecord { body: Some(AnyValue { value: Some(body) }), ..LogRecord::default() };
    let scope_logs = ScopeLogs {
        log_records: vec![record, mapped],
        schema_url: "u".into(),
        ..ScopeLogs::default()
    };
    let logs = ResourceLogs { scope_logs: vec![scope_logs], ..ResourceLogs::default() };
    let mut places = Places::default();
    edit(Request::Logs, &Messages::Logs(vec![logs]).encode().into(), &mut places);
    let expected = [
        "LogRecord BodyName 2: inner",
        r#"LogRecord Field("body") 0: said"#,
        r#"LogRecord Field("body") 2: deep"#,
        r#"LogRecord Field("severityText") 0: WARN"#,
        "LogRecord Name 0: outer",
        "LogRecord Name 1: inner",
        r#"LogRecord Value("outer") 1: deep"#,
        r#"Scope Field("schemaUrl") 0: u"#,
    ];
    assert_eq!(places.0.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

/// Levels that were empty before stay, and keep what is above them.
#[test]
fn a_level_goes_only_with_all_that_was_in_it() {
    let level = |number: u8, inner: &[&[u8]]| {
        let body = inner.concat();
        [&[number << 3 | 2, body.len() as u8], body.as_slice()].concat()
    };
    let (empty, full) = (level(2, &[]), level(2, &[&level(2, &[])]));
    let request = |scopes: &[&[u8]]| Bytes::from(level(1, scopes));
    let dropped = |bytes: &Bytes| {
        edit(Request::Logs, bytes, &mut Drops(vec![true], 0)).bytes.map(|bytes| bytes.to_vec())
    };
    assert_eq!(dropped(&request(&[&full])), Some(Vec::new()));
    assert_eq!(dropped(&request(&[&empty, &full])), Some(request(&[&empty]).to_vec()));
    assert_eq!(dropped(&request(&[&full, &empty])), Some(request(&[&empty]).to_vec()));
    assert_eq!(dropped(&request(&[&empty])), None);
}

/// Applies what a name says to all within its value, unless a deeper name says otherwise, and to nothing beside it.
#[test]
fn marks_reach_into_values_and_no_further() {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};

    #[derive(Default)]
    struct Marks(Vec<String>);
    impl<'a> Edit<'a> for Marks {
        fn wants(&self) -> Wants {
            Wants { texts: true, ..Wants::default() }
        }
        fn name(&mut self, at: &At<'a>, name: &'a str) -> Named {
            assert_eq!(at.place, Place::Name);
            if name == "gone" {
                return Named::Drop;
            }
            Named::Marked(name.parse().unwrap_or(at.mark))
        }
        fn text(&mut self, at: &At<'a>, text: &'a str) -> Option<&str> {
            if at.place == Place::Name {
                assert_ne!(text, "gone");
            } else {
                self.0.push(format!("{text}={}", at.mark));
            }
            None
        }
        fn number(&mut self, at: &At<'a>, number: Number) -> Option<&str> {
            self.0.push(format!("{number:?}={}", at.mark));
            None
        }
    }
    let value = |value| AnyValue { value: Some(value) };
    let list =
        ArrayValue { values: vec![value(Any::StringValue("c".into())), value(Any::IntValue(4))] };
    let entries = vec![
        attribute("x", Any::StringValue("a".into())),
        attribute("2", Any::StringValue("b".into())),
        attribute("y", Any::ArrayValue(list)),
        attribute("z", Any::DoubleValue(0.5)),
        attribute("gone", Any::BoolValue(true)),
    ];
    let map = attribute("1", Any::KvlistValue(KeyValueList { values: entries }));
    let span = OtlpSpan {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        name: "n".into(),
        attributes: vec![
            map,
            attribute("gone", Any::StringValue("e".into())),
            attribute("w", Any::StringValue("d".into())),
        ],
        ..OtlpSpan::default()
    };
    let mut marks = Marks::default();
    let bytes = spans(vec![span]);
    let left = edit(Request::Traces, &bytes, &mut marks).bytes.unwrap();
    let expected = ["n=0", "a=1", "b=2", "c=1", "Int(4)=1", "Double(0.5)=1", "d=0"];
    assert_eq!(marks.0, expected);
    let mut again = Marks::default();
    assert!(edit(Request::Traces, &left, &mut again).bytes.is_none());
    assert_eq!(again.0, expected);
}

/// Only a status that is there and has no message can be given one.
#[test]
fn a_status_without_a_message_can_get_one() {
    use opentelemetry_proto::tonic::trace::v1::Status;

    struct Says;
    impl<'a> Edit<'a> for Says {
        fn wants(&self) -> Wants {
            Wants { statuses: true, ..Wants::default() }
        }
        fn status_message(&mut self, span: View<'a>) -> Option<&str> {
            (span.ids().1 != [4; 8]).then_some("why")
        }
    }
    let status = |message: &str| Some(Status { message: message.into(), code: 2 });
    let span = |id, status| OtlpSpan {
        trace_id: vec![1; 16],
        span_id: vec![id; 8],
        status,
        ..OtlpSpan::default()
    };
    let all = |second| {
        vec![span(1, status("told")), span(2, status(second)), span(3, None), span(4, status(""))]
    };
    let (bytes, expected) = (spans(all("")), spans(all("why")));
    assert_eq!(edit(Request::Traces, &bytes, &mut Says).bytes, Some(expected));
}

fn spans(spans: Vec<OtlpSpan>) -> Bytes {
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};

    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    Messages::Traces(resource_spans).encode().into()
}
