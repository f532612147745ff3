//! The law: what the check accepts, the decoder decodes, and the other way round.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, metric::Data};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::otlp::{Messages, arbitrary};

/// Gives what the decoder says of some bytes: the items and how many have unusable ids; `None` if it refuses.
fn decoded(request: Request, bytes: &[u8]) -> Option<(usize, usize)> {
    let verdicts: Vec<bool> = match request {
        Request::Traces => {
            let all = ExportTraceServiceRequest::decode(bytes).ok()?.resource_spans;
            let spans = all.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
            spans.map(arbitrary::usable).collect()
        }
        Request::Logs => {
            let all = ExportLogsServiceRequest::decode(bytes).ok()?.resource_logs;
            let records = all.iter().flat_map(|r| &r.scope_logs).flat_map(|s| &s.log_records);
            records.map(|r| arbitrary::usable_pair(&r.trace_id, &r.span_id)).collect()
        }
        Request::Metrics => {
            let all = ExportMetricsServiceRequest::decode(bytes).ok()?.resource_metrics;
            let metrics = all.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
            metrics.filter_map(|m| m.data.as_ref()).flat_map(point_verdicts).collect()
        }
    };
    Some((verdicts.len(), verdicts.iter().filter(|good| !**good).count()))
}

fn point_verdicts(data: &Data) -> Vec<bool> {
    fn of<P>(points: &[P], exemplars: impl Fn(&P) -> &[Exemplar]) -> Vec<bool> {
        let usable = |e: &Exemplar| arbitrary::usable_pair(&e.trace_id, &e.span_id);
        points.iter().map(|point| exemplars(point).iter().all(usable)).collect()
    }
    match data {
        Data::Gauge(d) => of(&d.data_points, |p| &p.exemplars),
        Data::Sum(d) => of(&d.data_points, |p| &p.exemplars),
        Data::Histogram(d) => of(&d.data_points, |p| &p.exemplars),
        Data::ExponentialHistogram(d) => of(&d.data_points, |p| &p.exemplars),
        Data::Summary(d) => of(&d.data_points, |_| &[]),
    }
}

/// A request of any signal, encoded.
fn encoded() -> impl Strategy<Value = (Request, Vec<u8>)> {
    prop_oneof![
        arbitrary::traces().prop_map(|r| (Request::Traces, r.encode_to_vec())),
        arbitrary::metrics().prop_map(|r| (Request::Metrics, r.encode_to_vec())),
        arbitrary::logs().prop_map(|r| (Request::Logs, r.encode_to_vec())),
    ]
}

/// Gives what bytes decode to, encoded: as bytes, for NaN is not equal to itself.
fn meaning(request: Request, bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes = Bytes::copy_from_slice(bytes);
    Some(Messages::decode(request, bytes).ok()?.encode())
}

/// The check and the decoder must be of one mind about `bytes`, texts apart; made regular they mean the same.
fn agree(request: Request, bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let expected = decoded(request, &bytes);
    let (found, items) = match (check(request, bytes.clone().into()), expected) {
        (Ok(found), Some(items)) => (found, Some(items)),
        (Ok(found), None) if found.broken() > 0 => (found, None),
        (Err(_), None) => return Ok(()),
        (found, expected) => {
            prop_assert!(false, "check says {found:?}, the decoder {expected:?}");
            return Ok(());
        }
    };
    prop_assert_eq!(found.broken() > 0, items.is_none());
    let checked = found.clone().repaired().unwrap();
    let regular = checked.clone().into_bytes();
    if let Some(items) = items {
        prop_assert_eq!((checked.items(), checked.bad()), items);
        prop_assert_eq!(meaning(request, &regular), meaning(request, &bytes));
    }
    prop_assert!(found.repair_size() > 0 || regular == bytes);
    let again = check(request, regular.clone()).unwrap();
    prop_assert_eq!((again.repair_size(), again.broken()), (0, 0));
    // Without the bad ones.
    let good = checked.clone().without_bad();
    let (items, bad) = decoded(request, &regular).unwrap();
    prop_assert_eq!(decoded(request, &good.clone().into_bytes()), Some((items - bad, 0)));
    prop_assert_eq!(good.items(), items - bad);
    Ok(())
}

proptest! {
    #[test]
    fn what_was_encoded_passes_with_its_items((request, bytes) in encoded()) {
        let (items, bad) = decoded(request, &bytes).unwrap();
        let found = check(request, bytes.clone().into()).unwrap();
        prop_assert_eq!(found.repair_size(), 0);
        let checked = found.repaired().unwrap();
        prop_assert_eq!((checked.items(), checked.bad()), (items, bad));
        prop_assert_eq!(checked.into_bytes(), bytes);
    }

    #[test]
    fn a_truncated_request_is_judged_like_the_decoder_does(
        (request, bytes) in encoded(),
        cut in any::<prop::sample::Index>(),
    ) {
        let keep = cut.index(bytes.len() + 1);
        agree(request, bytes[..keep].to_vec())?;
    }

    #[test]
    fn a_damaged_request_is_judged_like_the_decoder_does(
        (request, mut bytes) in encoded(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for (at, with) in hits {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = with;
            }
        }
        agree(request, bytes)?;
    }

    #[test]
    fn inserted_bytes_are_judged_like_the_decoder_does(
        (request, mut bytes) in encoded(),
        at in any::<prop::sample::Index>(),
        extra in prop::collection::vec(any::<u8>(), 1..12),
    ) {
        let at = at.index(bytes.len() + 1);
        bytes.splice(at..at, extra);
        agree(request, bytes)?;
    }

    /// Twice the same, a part of it again somewhere in it: fields come twice, lists in pieces.
    #[test]
    fn fields_that_come_again_are_judged_like_the_decoder_does(
        (request, bytes) in encoded(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let ends = boundaries(Message::of(request), &bytes);
        let pick = |index: &prop::sample::Index| ends[index.index(ends.len())].clone();
        let (field, at) = (pick(&from), pick(&to));
        let mut again = bytes.clone();
        again.splice(at.2..at.2, bytes[field.0..field.2].iter().copied());
        // Lengths of what is around it.
        let grown = field.2 - field.0;
        prop_assume!(at.3.iter().all(|len_at| usize::from(bytes[*len_at]) + grown < 0x80));
        at.3.iter().for_each(|len_at| again[*len_at] += grown as u8);
        agree(request, again)?;
    }

    /// Whatever is sent as the wrong signal is judged by that signal's schema.
    #[test]
    fn a_request_of_another_signal_is_judged_like_the_decoder_does((_, bytes) in encoded()) {
        for request in [Request::Traces, Request::Metrics, Request::Logs] {
            agree(request, bytes.clone())?;
        }
    }

    #[test]
    fn noise_is_judged_like_the_decoder_does(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for request in [Request::Traces, Request::Metrics, Request::Logs] {
            agree(request, bytes.clone())?;
        }
    }

    /// Small field numbers, small lengths, all wire types: deeper into the schema than noise gets.
    #[test]
    fn protobuf_like_noise_is_judged_like_the_decoder_does(
        fields in prop::collection::vec((0u8..18, 0u8..8, 0u8..20), 0..40),
    ) {
        let bytes: Vec<u8> = fields
            .iter()
            .flat_map(|(number, wire, value)| [number << 3 | wire, *value])
            .collect();
        for request in [Request::Traces, Request::Metrics, Request::Logs] {
            agree(request, bytes.clone())?;
        }
    }
}

/// Says where each field at any depth begins, its value and it end, and where the lengths of one byte around it are.
type Boundary = (usize, usize, usize, Vec<usize>);

fn boundaries(message: &Message, bytes: &[u8]) -> Vec<Boundary> {
    let mut all = vec![(0, 0, 0, Vec::new())];
    walk(message, bytes, 0, &[], &mut all);
    all
}

fn walk(message: &Message, bytes: &[u8], base: usize, around: &[usize], all: &mut Vec<Boundary>) {
    let mut fields = fields::Fields(bytes);
    loop {
        let from = base + bytes.len() - fields.0.len();
        let Some((number, value)) = fields.field() else { return };
        let end = base + bytes.len() - fields.0.len();
        all.push((from, end, end, around.to_vec()));
        if let fields::Value::Slice(body) = value
            && let Form::Message(inner) | Form::Messages(inner) | Form::Items(inner) =
                message.field(number).form
            && body.len() < 0x80
        {
            let start = end - body.len();
            walk(inner, body, start, &[around, &[start - 1]].concat(), all);
        }
    }
}

/// Every field number with every wire type in every message: the schema is the decoder's, no field
/// missing and none of another kind.
#[test]
fn the_schema_is_that_of_the_decoder() {
    let mut probes = 0;
    for (request, root) in [
        (Request::Traces, &crate::otlp::schema::TRACES),
        (Request::Metrics, &crate::otlp::schema::METRICS),
        (Request::Logs, &crate::otlp::schema::LOGS),
    ] {
        probe(request, root, &mut Vec::new(), &mut probes);
    }
    assert!(probes > 10_000, "{probes}");
}

/// Probes the message at the end of a path of field numbers, and those below it.
fn probe(request: Request, message: &Message, path: &mut Vec<u8>, probes: &mut usize) {
    // As far down as a value in a list in an attribute of an exemplar of a data point.
    const DEEPEST: usize = 9;
    let values: [&[u8]; 5] = [&[0], &[0, 0, 0, 0], &[0; 8], &[1, 0xff], &[2, 0x08, 0x00]];
    for number in 1..=17u8 {
        for wire in 0..=5 {
            for value in values {
                let mut bytes = Vec::new();
                prost::encoding::encode_varint(u64::from(number) << 3 | wire, &mut bytes);
                bytes.extend_from_slice(value);
                for outer in path.iter().rev() {
                    bytes = [&[outer << 3 | 2, bytes.len() as u8], bytes.as_slice()].concat();
                }
                agree(request, bytes).unwrap();
                *probes += 1;
            }
        }
        if path.len() < DEEPEST
            && let Form::Message(inner) | Form::Messages(inner) | Form::Items(inner) =
                message.field(u32::from(number)).form
        {
            path.push(number);
            probe(request, inner, path, probes);
            path.pop();
        }
    }
}

#[test]
fn a_varint_has_64_bits_and_no_more() {
    for (last, whole) in [(0x01, true), (0x02, false), (0x03, false), (0x81, false)] {
        // Field 99, which nobody knows, as a varint of ten bytes.
        let bytes = [[0x98, 0x06].as_slice(), &[0xff; 9], &[last]].concat();
        assert_eq!(decoded(Request::Traces, &bytes).is_some(), whole);
        assert_eq!(check(Request::Traces, bytes.into()).is_ok(), whole, "{last:#x}");
    }
}

fn nested(levels: usize) -> Vec<u8> {
    let mut value = AnyValue { value: Some(Value::BoolValue(true)) };
    for _ in 0..levels {
        value = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: vec![value] })) };
    }
    let attribute = KeyValue { value: Some(value), ..KeyValue::default() };
    request_with(Span { attributes: vec![attribute], ..good_span() })
}

fn good_span() -> Span {
    Span { trace_id: vec![1; 16], span_id: vec![2; 8], ..Span::default() }
}

fn request_with(span: Span) -> Vec<u8> {
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let all = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![all] }.encode_to_vec()
}

fn why(bytes: &[u8]) -> Option<Why> {
    check(Request::Traces, Bytes::copy_from_slice(bytes)).err().map(|e| e.why)
}

#[test]
fn nesting_is_refused_exactly_where_the_decoder_refuses_it() {
    let verdicts: Vec<bool> = (0..60)
        .map(|levels| {
            let bytes = nested(levels);
            let decodes = decoded(Request::Traces, &bytes).is_some();
            assert_eq!(check(Request::Traces, bytes.into()).is_ok(), decodes, "{levels} levels");
            decodes
        })
        .collect();
    assert!(verdicts[0] && !verdicts[59], "the limit lies in the range that was tried");
}

#[test]
fn each_kind_of_damage_has_its_name() {
    assert_eq!(why(&[0x0a, 0x05, 0x00]), Some(Why::Truncated));
    assert_eq!(why(&[0x0a]), Some(Why::Truncated));
    assert_eq!(why(&[0xff; 11]), Some(Why::Varint));
    assert_eq!(why(&[0x00, 0x00]), Some(Why::Key));
    assert_eq!(why(&[0x0e]), Some(Why::Key));
    assert_eq!(why(&[0x08, 0x01]), Some(Why::WireType));
    assert_eq!(why(&[0x13, 0x1c]), Some(Why::Group));
    assert_eq!(why(&nested(60)), Some(Why::Depth));
}

#[test]
fn strings_that_are_not_utf8_are_counted_and_repaired() {
    let key = KeyValue { key: "key".into(), ..KeyValue::default() };
    let span = Span { name: "tools/call".into(), attributes: vec![key], ..good_span() };
    let mut bytes = request_with(span);
    let at = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).position(|w| w == text).unwrap();
    let (name, key) = (at(&bytes, b"tools"), at(&bytes, b"key"));
    bytes[name + 2] = 0xff;
    bytes[key..key + 3].copy_from_slice(&[0xe2, 0x82, 0xff]);
    // A field that nobody knows, whatever is in it.
    bytes.extend_from_slice(&[0x9a, 0x06, 1, 0xff]);
    let found = check(Request::Traces, bytes.clone().into()).unwrap();
    assert_eq!(found.broken(), 2);
    let repaired = found.repaired().unwrap().into_bytes();
    assert!(repaired.ends_with(&[0x9a, 0x06, 1, 0xff]));
    let all = ExportTraceServiceRequest::decode(repaired).unwrap().resource_spans;
    let span = &all[0].scope_spans[0].spans[0];
    assert_eq!((&*span.name, &*span.attributes[0].key), ("to\u{fffd}ls/call", "\u{fffd}\u{fffd}"));
}

#[test]
fn unknown_fields_and_groups_of_a_newer_sender_pass() {
    let mut bytes = request_with(good_span());
    bytes.extend_from_slice(&[0x9b, 0x06, 0x08, 0x01, 0x9c, 0x06]);
    let found = check(Request::Traces, bytes.clone().into()).unwrap();
    let checked = found.repaired().unwrap();
    assert_eq!((checked.items(), checked.into_bytes().to_vec()), (1, bytes));
}

#[test]
fn items_whose_ids_no_backend_takes_are_counted() {
    for span in [
        Span { trace_id: vec![0; 16], ..good_span() },
        Span { trace_id: vec![1; 15], ..good_span() },
        Span { span_id: Vec::new(), ..good_span() },
        Span { parent_span_id: vec![1; 4], ..good_span() },
    ] {
        let checked =
            check(Request::Traces, request_with(span.clone()).into()).unwrap().repaired().unwrap();
        assert_eq!((checked.items(), checked.bad()), (1, 1), "{span:?}");
    }
    let checked =
        check(Request::Traces, request_with(good_span()).into()).unwrap().repaired().unwrap();
    assert_eq!((checked.items(), checked.bad()), (1, 0));
}

/// Protobuf's oneof: the member written last counts, with the items in it.
#[test]
fn points_of_a_replaced_oneof_member_do_not_count() {
    let gauge = [0x2a, 0x04, 0x0a, 0x00, 0x0a, 0x00];
    let sum = [0x3a, 0x02, 0x0a, 0x00];
    let metric: Vec<u8> = [gauge.as_slice(), &gauge, &sum].concat();
    let wrap = |field: u8, inner: &[u8]| [&[field << 3 | 2, inner.len() as u8], inner].concat();
    let request = wrap(1, &wrap(2, &wrap(2, &metric)));
    assert_eq!(decoded(Request::Metrics, &request), Some((1, 0)));
    assert_eq!(check(Request::Metrics, request.into()).unwrap().repaired().unwrap().items(), 1);
}

#[test]
fn honest_requests_grow_less_than_the_bound_and_empty_messages_more() {
    let grows = |spans: Vec<Span>| {
        let scope = ScopeSpans { spans, ..ScopeSpans::default() };
        let all = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        let bytes = ExportTraceServiceRequest { resource_spans: vec![all] }.encode_to_vec();
        let length = bytes.len();
        check(Request::Traces, bytes.into()).unwrap().decoded_size()
            > crate::otlp::MAX_GROWTH.of(length)
    };
    let bare = Span { trace_id: vec![1; 16], span_id: vec![1; 8], ..Span::default() };
    assert!(!grows(vec![bare.clone(); 100_000]));
    let value = Some(AnyValue { value: Some(Value::BoolValue(true)) });
    let short = KeyValue { key: "k".into(), value, key_strindex: 0 };
    assert!(!grows(vec![Span { attributes: vec![short; 200_000], ..bare }]));
    assert!(grows(vec![Span::default(); 100_000]));
}

/// Gives what decoders understand and encoders do not write.
#[test]
fn what_encoders_do_not_write_is_made_regular() {
    let spans = |span: &[u8]| {
        let nested =
            |field: u8, inner: &[u8]| [&[field << 3 | 2, inner.len() as u8], inner].concat();
        nested(1, &nested(2, &nested(2, span)))
    };
    let name = |text: &str| [&[0x2a, text.len() as u8], text.as_bytes()].concat();
    let attribute = [0x4a, 3, 0x0a, 1, b'k'];
    for (span, regular) in [
        (name("a"), true),
        ([name("a"), vec![0x98, 0x06, 1]].concat(), true), // field 99, nobody's
        ([name("a"), name("b")].concat(), false),          // twice: the last counts
        ([&attribute[..], &name("a"), &attribute].concat(), false), // a list in two parts
        (vec![0x4a, 6, 0x12, 4, 0x10, 1, 0x18, 1], false), // two choices
        ([name("a"), vec![0x9b, 0x06, 0x9c, 0x06]].concat(), true), // a group, nobody's
    ] {
        let found = check(Request::Traces, spans(&span).into()).unwrap();
        assert_eq!(found.repair_size() == 0, regular, "{span:?}");
        agree(Request::Traces, spans(&span)).unwrap();
    }
}

/// A newer sender may write what nobody here knows before the choice of a value.
#[test]
fn a_value_is_its_choice_wherever_that_stands() {
    let unknown: &[u8] = &[0xa0, 0x06, 1];
    let group: &[u8] = &[0x9b, 0x06, 0x9c, 0x06];
    let text: &[u8] = &[0x0a, 2, b'h', b'i'];
    let list: &[u8] = &[0x2a, 9, 0x0a, 7, 0xa0, 0x06, 1, 0x0a, 2, b'h', b'i'];
    for (value, json) in [
        (text.to_vec(), r#""hi""#),
        ([unknown, text].concat(), r#""hi""#),
        ([group, text, unknown].concat(), r#""hi""#),
        ([unknown, &[0x10, 0]].concat(), "false"),
        ([unknown, list].concat(), r#"["hi"]"#),
        (unknown.to_vec(), "null"),
    ] {
        let mut out = Vec::new();
        write_plain(&value, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), json, "{value:?}");
    }
}

/// Charges beforehand what a few kilobytes of a packed request would make the repair remember, and nothing for what it
/// does not remember.
#[test]
fn what_a_repair_remembers_is_known_before() {
    let wrap = |number: u8, inner: &[u8]| {
        let mut out = Vec::new();
        compose::slice(&mut out, number.into(), inner);
        out
    };
    for (parts, remembered) in [(1000, 999), (0, 0)] {
        let span = [[0x7a, 2, 0x18, 1].repeat(parts), [0x7a, 0].repeat(1000)].concat();
        let request = wrap(1, &wrap(2, &wrap(2, &span)));
        let found = check(Request::Traces, request.clone().into()).unwrap();
        let least = request.len() + remembered * size_of::<&[u8]>();
        assert!(
            (least..2 * least + 1024).contains(&found.repair_size()),
            "{}",
            found.repair_size()
        );
        agree(Request::Traces, request).unwrap();
    }
}

/// The worst there are: texts whose every byte becomes three, at the edge of a longer length on every level, and
/// numbers that get a length each.
#[test]
fn what_a_repair_writes_is_known_before() {
    let wrap = |number: u8, inner: &[u8]| {
        let mut out = Vec::new();
        compose::slice(&mut out, number.into(), inner);
        out
    };
    for len in 0..140 {
        let mut value = wrap(1, &vec![0xff; len]);
        for _ in 0..40 {
            value = wrap(5, &wrap(1, &value));
        }
        let attribute = [wrap(1, &[0xff]), wrap(2, &value)].concat();
        let request = wrap(1, &wrap(2, &wrap(2, &wrap(9, &attribute))));
        agree(Request::Traces, request).unwrap();
    }
    for singles in [1, 2, 13, 14, 15, 126, 127, 128] {
        let counts = [0x31, 1, 2, 3, 4, 5, 6, 7, 8].repeat(singles);
        let request = wrap(1, &wrap(2, &wrap(2, &wrap(9, &wrap(1, &counts)))));
        agree(Request::Metrics, request).unwrap();
    }
}

/// Millions of bad items side by side are removed as one, and what removing takes is known before.
#[test]
fn what_a_removal_remembers_is_known_before() {
    let wrap = |number: u8, inner: &[u8]| {
        let mut out = Vec::new();
        compose::slice(&mut out, number.into(), inner);
        out
    };
    let good = wrap(2, &good_span().encode_to_vec());
    let bad = [0x12, 0];
    let size = |spans: &[u8]| {
        let request = wrap(1, &wrap(2, spans));
        agree(Request::Traces, request.clone()).unwrap();
        let checked = check(Request::Traces, request.clone().into()).unwrap().repaired().unwrap();
        checked.removal_size() as isize - request.len().cast_signed()
    };
    assert!(size(&good) < 0, "nothing is removed");
    let one = size(&bad);
    assert!((1..200).contains(&one), "{one}");
    assert_eq!(size(&bad.repeat(10_000)), one);
    assert_eq!(size(&[&good[..], &bad.repeat(10), &good].concat()), one);
    assert_eq!(size(&[&bad[..], &good].concat().repeat(100)), 100 * one);
}
