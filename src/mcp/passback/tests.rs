//! Rules of the intake, by plain calls: JSON in, spans and counts out.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};

use super::*;
use crate::mcp::testing::text;
use crate::otlp::Messages;
use crate::otlp::Request;
use crate::otlp::wire;
use crate::telemetry::{Nanos, Telemetry, names};

mod hostile;
mod posted;
mod screening;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00f067aa0ba902b7";
const SECOND: Nanos = 1_000_000_000;
const START: Nanos = 1_795_000_000 * SECOND;

/// A call, the rules, and what was known before.
struct Case {
    told: Option<Told>,
    own: SpanRef,
    hop: Option<SpanId>,
    flags: u8,
    unsampled: Unsampled,
    window: Window,
    rules: Passback,
    known: HandedBack,
}

/// Holds what came of it.
struct Outcome {
    resources: Vec<ResourceSpans>,
    content: Vec<(SpanKey, Texts)>,
    counts: PassbackCounts,
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    let byte = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
    std::array::from_fn(byte)
}

fn case() -> Case {
    let parent = SpanRef { trace: bytes(TRACE), span: bytes(PARENT) };
    Case {
        told: Some(Told { parent, certain: true }),
        own: SpanRef { trace: bytes(TRACE), span: [0xee; 8] },
        hop: None,
        flags: 1,
        unsampled: Unsampled::Drop,
        window: Window::call(START, START + 10 * SECOND),
        rules: Passback::default(),
        known: HandedBack::default(),
    }
}

impl Case {
    fn take(&self, json: &str) -> Outcome {
        let mut counts = PassbackCounts::default();
        let expected = Expected {
            told: self.told,
            own: Some(self.own),
            hop: self.hop,
            flags: self.flags,
            unsampled: self.unsampled,
            window: self.window,
            server: "files",
            request_id: "7",
        };
        let accepted = take_in(json.as_bytes(), &expected, &self.rules, &self.known, &mut counts);
        assert!(counts.balanced(), "{counts:?}");
        assert_eq!(counts.spans as usize, accepted.spans.spans());
        let Accepted { spans, content } = accepted;
        let spans = Telemetry::from(spans);
        // It is as encoders write it.
        let found = wire::check(Request::Traces, spans.wire().clone()).unwrap();
        assert_eq!(found.repair_size(), 0, "{:?}", spans.messages());
        let Messages::Traces(resources) = spans.messages() else { panic!("spans") };
        Outcome { resources, content, counts }
    }
}

impl Outcome {
    fn spans(&self) -> Vec<&Span> {
        let scopes = self.resources.iter().flat_map(|r| &r.scope_spans);
        let spans: Vec<_> = scopes.flat_map(|s| &s.spans).collect();
        assert_eq!(spans.len() as u64, self.counts.spans);
        spans
    }

    /// Id and parent of each, by their first bytes.
    fn tree(&self) -> BTreeMap<u8, u8> {
        let parent = |span: &&Span| span.parent_span_id.first().copied().unwrap_or_default();
        self.spans().iter().map(|span| (span.span_id[0], parent(span))).collect()
    }

    fn only(&self) -> &Span {
        let spans = self.spans();
        assert_eq!(spans.len(), 1);
        spans[0]
    }
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    span.attributes.iter().map(|a| (&*a.key, text(a))).collect()
}

/// `{"resourceSpans":..}` with these spans.
fn traces(spans: &[String]) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"srv"}}}}]}},"scopeSpans":[{{"scope":{{"name":"their scope"}},"spans":[{}]}}]}}]}}"#,
        spans.join(",")
    )
}

/// A span of the trace; `id` and `parent` are bytes that their ids are made of, parent 0 is the one that
/// the server was told. `more` is put in as it is.
fn span(id: u8, parent: u8, more: &str) -> String {
    let parent = if parent == 0 { PARENT.to_owned() } else { format!("{parent:02x}").repeat(8) };
    let id = format!("{id:02x}").repeat(8);
    let (start, end) = (START + SECOND, START + 2 * SECOND);
    let comma = if more.is_empty() { "" } else { "," };
    format!(
        r#"{{"traceId":"{TRACE}","spanId":"{id}","parentSpanId":"{parent}","name":"n","startTimeUnixNano":"{start}","endTimeUnixNano":{end}{comma}{more}}}"#
    )
}

fn with_attributes(list: &str) -> String {
    traces(&[span(1, 0, &format!(r#""attributes":[{list}]"#))])
}

fn string(key: &str, value: &str) -> String {
    format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#)
}

#[test]
fn a_tree_is_kept_with_its_resource_and_scope_and_says_where_it_came_from() {
    // Children first, as servers send them.
    let json =
        traces(&[span(3, 2, ""), span(2, 1, ""), span(1, 0, r#""kind":2,"status":{"code":2}"#)]);
    let outcome = case().take(&json);
    assert_eq!(outcome.tree(), [(1, 0x00), (2, 1), (3, 2)].into());
    let [resource] = &outcome.resources[..] else { panic!("one resource") };
    assert_eq!(text(&resource.resource.as_ref().unwrap().attributes[0]), "srv");
    assert_eq!(resource.scope_spans[0].scope.as_ref().unwrap().name, "their scope");
    let root = outcome.spans()[2];
    assert_eq!(root.parent_span_id, bytes::<8>(PARENT));
    assert_eq!((root.kind, root.status.as_ref().unwrap().code, root.flags), (2, 2, 0x301));
    assert_eq!(outcome.spans()[0].flags, 0x101);
    let told = [
        (names::REQUEST_ID, "7".to_owned()),
        (names::SERVER_NAME, "files".to_owned()),
        (names::PASSBACK, "BoolValue(true)".to_owned()),
    ];
    assert_eq!(attributes(root), told.into());
    assert_eq!((outcome.counts.received, outcome.counts.spans), (3, 3));
}

#[test]
fn shapes_that_servers_send_are_all_read() {
    let upper = span(1, 0, r#""kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"}"#)
        .replace(TRACE, &TRACE.to_uppercase());
    let outcome = case().take(&traces(&[upper]));
    assert_eq!((outcome.only().kind, outcome.only().status.as_ref().unwrap().code), (2, 2));
    let snake = span(1, 0, "").replace("spanId", "span_id").replace("traceId", "trace_id");
    let snake = traces(&[snake]).replace("resourceSpans", "resource_spans");
    assert_eq!(case().take(&snake).counts.spans, 1);
    let bare = format!(r#"{{"traceId":"{TRACE}","spanId":"0101010101010101"}}"#);
    let outcome = case().take(&traces(&[bare]));
    assert_eq!(outcome.only().name, "_OTHER");
    let odd = r#"{"key":"a","value":{"doubleValue":null}},{"key":"b","value":{"intValue":5}},{"key":"c","value":{"intValue":"6"}},{"key":"d"}"#;
    let outcome = case().take(&with_attributes(odd));
    let keys: Vec<_> = outcome.only().attributes.iter().map(|a| a.key.as_str()).collect();
    assert_eq!(keys[..3], ["a", "b", "c"]);
    for empty in ["{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":null}"#, &traces(&[]), "[]"]
    {
        let outcome = case().take(empty);
        assert_eq!((outcome.counts.received, outcome.counts.spans), (0, 0), "{empty}");
    }
}

#[test]
fn a_server_that_left_spans_out_says_so_on_its_root() {
    let json = traces(&[span(2, 1, ""), span(1, 0, "")]);
    let json = json.strip_suffix('}').unwrap();
    let outcome = case().take(&format!(r#"{json},"truncated":true,"droppedSpanCount":3}}"#));
    let told = attributes(outcome.spans()[1]);
    assert_eq!(told[names::PASSBACK_LEFT_OUT], "3");
    assert_eq!(told[names::PASSBACK_TRUNCATED], "BoolValue(true)");
    assert!(!attributes(outcome.spans()[0]).contains_key(names::PASSBACK_TRUNCATED));
    assert_eq!(outcome.counts.left_out, 3);
    let fine = case().take(&format!(r#"{json},"truncated":false,"droppedSpanCount":0}}"#));
    assert!(!attributes(fine.spans()[1]).contains_key(names::PASSBACK_TRUNCATED));
}

#[test]
fn one_bad_span_goes_alone_and_its_children_hang_on_the_nearest_good_ancestor() {
    let bad = span(2, 1, r#""attributes":{"not":"a list"}"#);
    let outcome = case().take(&traces(&[span(4, 3, ""), span(3, 2, ""), bad, span(1, 0, "")]));
    assert_eq!(outcome.tree(), [(1, 0), (3, 1), (4, 3)].into());
    assert_eq!(outcome.counts.refused.malformed, 1);
    let foreign = span(2, 1, "").replace(TRACE, &"7".repeat(32));
    let outcome = case().take(&traces(&[span(3, 2, ""), foreign, span(1, 0, "")]));
    assert_eq!(outcome.tree(), [(1, 0), (3, 1)].into());
    assert_eq!(outcome.counts.refused.foreign_trace, 1);
    let stranger = span(2, 9, "");
    let outcome = case().take(&traces(&[span(3, 2, ""), stranger, span(1, 0, "")]));
    assert_eq!(outcome.tree(), [(1, 0), (3, 0)].into());
    assert_eq!(outcome.counts.refused.foreign_parent, 1);
}

#[test]
fn roots_without_a_parent_hang_on_the_one_that_was_told() {
    let root = span(1, 0, "").replace(&format!(r#""parentSpanId":"{PARENT}","#), "");
    assert_eq!(case().take(&traces(&[root])).only().parent_span_id, bytes::<8>(PARENT));
    let zero = span(1, 0, "").replace(PARENT, "0000000000000000");
    assert_eq!(case().take(&traces(&[zero])).only().parent_span_id, bytes::<8>(PARENT));
}

#[test]
fn without_a_context_spans_are_dropped_or_kept_below_the_taps_span() {
    let other = "11".repeat(16);
    let root = span(1, 0, "").replace(&format!(r#""parentSpanId":"{PARENT}","#), "");
    let json = traces(&[span(2, 1, ""), root]).replace(TRACE, &other);
    let mut case = Case { told: None, ..case() };
    let outcome = case.take(&json);
    assert_eq!((outcome.counts.spans, outcome.counts.refused.no_parent), (0, 2));
    case.rules.orphans = Orphans::Mark;
    let outcome = case.take(&json);
    assert_eq!(outcome.tree(), [(1, 0xee), (2, 1)].into());
    for span in outcome.spans() {
        assert_eq!(span.trace_id, bytes::<16>(TRACE));
        assert_eq!(attributes(span)[names::PASSBACK_ORPHAN], "BoolValue(true)");
    }
}

/// A header or the environment may not have reached the server's code.
#[test]
fn a_context_beside_the_request_counts_if_the_server_used_it() {
    let told = case().told.map(|told| Told { certain: false, ..told });
    let mut case = Case { told, ..case() };
    assert_eq!(case.take(&traces(&[span(1, 0, "")])).counts.spans, 1);
    let other = traces(&[span(2, 0, "")]).replace(TRACE, &"11".repeat(16));
    assert_eq!(case.take(&other).counts.refused.no_parent, 1);
    case.told = case.told.map(|told| Told { certain: true, ..told });
    assert_eq!(case.take(&other).counts.refused.foreign_trace, 1);
}

#[test]
fn unsampled_spans_follow_the_taps_own_rule() {
    let json = traces(&[span(1, 0, "")]);
    let mut case = Case { flags: 0, ..case() };
    assert_eq!(case.take(&json).counts.refused.unsampled, 1);
    case.unsampled = Unsampled::Keep;
    assert_eq!(case.take(&json).only().flags, 0x300);
}

#[test]
fn what_came_before_is_left_out_and_its_children_keep_it_as_their_parent() {
    let case = case();
    assert_eq!(case.take(&traces(&[span(1, 0, "")])).counts.spans, 1);
    let outcome = case.take(&traces(&[span(2, 1, ""), span(1, 0, "")]));
    assert_eq!(outcome.tree(), [(2, 1)].into());
    assert_eq!(outcome.counts.refused.duplicate, 1);
    let outcome = case.take(&traces(&[span(3, 0, ""), span(3, 0, "")]));
    assert_eq!((outcome.counts.spans, outcome.counts.refused.duplicate), (1, 1));
}

#[test]
fn times_that_are_off_as_a_whole_are_shifted_into_the_call() {
    // An hour early: the root takes 2 s of 10 s.
    let at = |seconds: u64| (START + seconds * SECOND - 3600 * SECOND).to_string();
    let timed = |json: String, start, end| {
        json.replace(&(START + SECOND).to_string(), &at(start))
            .replace(&(START + 2 * SECOND).to_string(), &at(end))
    };
    let event = format!(r#""events":[{{"timeUnixNano":"{}","name":"e"}}]"#, at(1));
    let json = traces(&[timed(span(2, 1, &event), 1, 2), timed(span(1, 0, ""), 0, 2)]);
    let outcome = case().take(&json);
    let [child, root] = outcome.spans()[..] else { panic!("two spans") };
    assert_eq!(root.start_time_unix_nano, START + 4 * SECOND);
    assert_eq!(root.end_time_unix_nano, START + 6 * SECOND);
    assert_eq!(child.start_time_unix_nano, START + 5 * SECOND);
    assert_eq!(child.events[0].time_unix_nano, START + 5 * SECOND);
    assert_eq!(attributes(root)[names::PASSBACK_ORIGINAL_START], at(0));
    assert_eq!(outcome.counts.moved, 2);
}

#[test]
fn times_that_lie_are_clamped_and_small_skew_is_left_alone() {
    let timed = |start: &str, end: &str| {
        let json = span(1, 0, "").replace(&format!("\"{}\"", START + SECOND), start);
        case().take(&traces(&[json.replace(&(START + 2 * SECOND).to_string(), end)]))
    };
    let times = |outcome: &Outcome| {
        let span = outcome.only();
        let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
        assert!(start <= end && start + SECOND >= START && end <= START + 11 * SECOND);
        (start - (START - SECOND), end - (START - SECOND), outcome.counts.moved)
    };
    let small = timed(&(START - SECOND / 2).to_string(), &(START + 10 * SECOND).to_string());
    assert_eq!(times(&small), (SECOND / 2, 11 * SECOND, 0));
    assert_eq!(times(&timed("0", "0")), (SECOND, SECOND, 1));
    assert_eq!(times(&timed(&u64::MAX.to_string(), &u64::MAX.to_string())).2, 1);
    assert_eq!(times(&timed("1", &u64::MAX.to_string())), (SECOND, 11 * SECOND, 1));
    let backwards = timed(&(START + 5 * SECOND).to_string(), &(START + 4 * SECOND).to_string());
    assert_eq!(times(&backwards), (6 * SECOND, 6 * SECOND, 1));
}
