//! The processor on spans made by hand: what is counted, under which labels, within which bounds, and what is sent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::sessions::MAX_SESSIONS;
use super::*;
use crate::calls::Count;
use crate::metrics::{Metrics, Reading, names as metric_names};
use crate::otlp::Messages;
use crate::otlp::wire::compose::{LogRecords, Traces, Value};
use crate::pipeline::{Accounts, Build, Consumer, Id, ProcessorConfig, Shared, Transport};
use crate::settings::testing;
use crate::telemetry::names::{
    CLEAR_SESSION_ID, ERROR_TYPE, FINDING, FINDING_BY, FINDING_COUNT, FINDING_KIND, HOP, METHOD,
    NETWORK_PROTOCOL, NETWORK_VERSION, OPERATION, PASSBACK, PROMPT, PROTOCOL_VERSION, REQUEST_SIZE,
    RESPONSE_SIZE, SCOPE, SERVER_ADDRESS, SERVER_NAME, SERVER_PORT, SESSION_ID, STATUS_CODE, TOOL,
    TRANSPORT,
};
use crate::telemetry::{Clock, Receipt, Telemetry, Verdict};

/// A second and a millisecond, in nanoseconds.
const S: Nanos = 1_000_000_000;
const MS: Nanos = 1_000_000;

/// A span in words.
#[derive(Clone)]
struct Span {
    scope: &'static str,
    server: String,
    name: String,
    kind: SpanKind,
    /// Says when it began and how long it took.
    times: (Nanos, Nanos),
    flags: u32,
    said: Vec<(&'static str, String)>,
    /// Whole numbers, and what is just true.
    numbers: Vec<(&'static str, i64)>,
    marks: Vec<&'static str>,
}

/// A call of `tool` that went well, of 30 ms.
fn call(tool: &str) -> Span {
    let said =
        [(METHOD, "tools/call"), (TOOL, tool), (OPERATION, "execute_tool"), (TRANSPORT, "pipe")];
    Span {
        scope: SCOPE,
        server: "files".into(),
        name: format!("tools/call {tool}"),
        kind: SpanKind::Client,
        times: (100 * S, 30 * MS),
        flags: 0x101,
        said: said.map(|(key, value)| (key, value.to_owned())).into(),
        numbers: vec![(REQUEST_SIZE, 100), (RESPONSE_SIZE, 2000)],
        marks: Vec::new(),
    }
}

/// A request of `method` that went well.
fn request(method: &str) -> Span {
    let said = vec![(METHOD, method.to_owned())];
    Span { name: method.to_owned(), said, numbers: Vec::new(), ..call("") }
}

impl Span {
    fn with(mut self, key: &'static str, value: &str) -> Self {
        self.said.push((key, value.to_owned()));
        self
    }

    fn at(mut self, start: Nanos, took: Nanos) -> Self {
        self.times = (start, took);
        self
    }

    fn kind(self, kind: SpanKind) -> Self {
        Span { kind, ..self }
    }
}

fn telemetry(spans: &[Span]) -> Telemetry {
    let mut traces = Traces::default();
    for (n, span) in (1_u64..).zip(spans) {
        traces.resource(|resource| {
            resource.resource(|mut out| {
                out.add(SERVER_NAME, Value::Text(&span.server));
                0
            });
            resource.scope(|scope| {
                scope.scope(span.scope, "", |_| 0);
                scope.span(|out| {
                    out.ids(&[7; 16], &n.to_be_bytes());
                    out.name(&span.name);
                    out.kind(span.kind);
                    out.times(span.times.0, span.times.0 + span.times.1);
                    for (key, value) in &span.said {
                        out.attribute(key, Value::Text(value));
                    }
                    for (key, value) in &span.numbers {
                        out.attribute(key, Value::Int(*value));
                    }
                    span.marks.iter().for_each(|key| out.attribute(key, Value::Bool(true)));
                    out.flags(span.flags);
                });
            });
        });
    }
    traces.into()
}

/// Holds what a pipeline of metrics was sent.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<Telemetry>>>);

impl Consumer for Sent {
    fn offer(&self, batch: Batch, _: Transport) {
        self.0.lock().unwrap().push(batch.telemetry);
        batch.receipt.settle(Verdict::Accepted);
    }
}

/// A processor, and what it sends.
struct World {
    processor: Box<dyn Processor>,
    sent: Sent,
    metrics: Metrics,
    shared: Shared,
}

impl World {
    fn of(yaml: &str) -> World {
        let (metrics, shared, sent) = (Metrics::default(), Shared::default(), Sent::default());
        let processor = build(yaml, &metrics, &shared, &sent);
        World { processor, sent, metrics, shared }
    }

    fn count(&self, spans: &[Span]) {
        self.pass(telemetry(spans), Verdict::Accepted);
    }

    fn pass(&self, telemetry: Telemetry, verdict: Verdict) {
        let wire = telemetry.wire().clone();
        let (receipt, _waiting) = Receipt::pair();
        let mut pass = Pass::new(0);
        let batch = Batch { receipt, ..Batch::new(telemetry) };
        let Flow::Pass(batch) = self.processor.process(batch, &mut pass) else {
            panic!("all goes on")
        };
        assert_eq!(*batch.telemetry.wire(), wire, "as it came");
        pass.entrust(&batch.receipt);
        batch.receipt.settle(verdict);
    }

    /// The points as they are now.
    fn now(&self) -> Vec<Point> {
        let books = self.shared_books();
        points(&books.export(500 * S).into_iter().map(Telemetry::from).collect::<Vec<_>>())
    }

    /// The points that are sent at the end.
    fn end(&self) -> Vec<Point> {
        self.sent.0.lock().unwrap().clear();
        self.processor.finish(500 * S);
        points(&self.sent.0.lock().unwrap())
    }
}

fn build(yaml: &str, metrics: &Metrics, shared: &Shared, sent: &Sent) -> Box<dyn Processor> {
    let id = Id::parse("mcp_metrics/x").unwrap();
    let accounts = Accounts::new(metrics.clone());
    let clock = Clock::reading(|| 50 * S);
    let cx = Build::alone(&id, &accounts, clock, Path::new(""), shared);
    let cx = Build { emit: Outlet::to(sent.clone()), ..cx };
    testing::read::<Config>(yaml).unwrap().build(&cx).unwrap()
}

/// A data point in words.
#[derive(Clone, Debug)]
struct Point {
    metric: String,
    labels: BTreeMap<String, String>,
    /// Of a histogram.
    spread: Option<HistogramDataPoint>,
    count: u64,
}

fn points(sent: &[Telemetry]) -> Vec<Point> {
    let mut all = Vec::new();
    for telemetry in sent {
        let Messages::Metrics(resources) = telemetry.messages() else { panic!("metrics") };
        let scopes = resources.into_iter().flat_map(|resource| resource.scope_metrics);
        for metric in scopes.flat_map(|scope| scope.metrics) {
            let name = metric.name;
            match metric.data.unwrap() {
                metric::Data::Histogram(histogram) => {
                    assert_eq!(histogram.aggregation_temporality, 2, "cumulative");
                    all.extend(histogram.data_points.into_iter().map(|point| Point {
                        metric: name.clone(),
                        labels: labels(&point.attributes),
                        count: point.count,
                        spread: Some(point),
                    }));
                }
                metric::Data::Sum(sum) => {
                    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (2, true));
                    all.extend(sum.data_points.into_iter().map(|point| Point {
                        metric: name.clone(),
                        labels: labels(&point.attributes),
                        count: match point.value {
                            Some(number_data_point::Value::AsInt(n)) => n as u64,
                            other => panic!("{other:?}"),
                        },
                        spread: None,
                    }));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    all
}

fn labels(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &any_value::Value| match value {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(n) => format!("int {n}"),
        any_value::Value::BoolValue(b) => format!("bool {b}"),
        other => panic!("{other:?}"),
    };
    let value = |a: &KeyValue| text(a.value.as_ref().unwrap().value.as_ref().unwrap());
    attributes.iter().map(|a| (a.key.clone(), value(a))).collect()
}

/// The points of a metric, with their labels but for the server's name.
fn of<'p>(all: &'p [Point], metric: &str) -> Vec<(Vec<(&'p str, &'p str)>, u64)> {
    let told = |point: &'p Point| {
        let labels = point.labels.iter().filter(|(label, _)| *label != SERVER_NAME);
        (labels.map(|(label, value)| (&**label, &**value)).collect(), point.count)
    };
    all.iter().filter(|point| point.metric == metric).map(told).collect()
}

fn one<'p>(all: &'p [Point], metric: &str) -> &'p HistogramDataPoint {
    let mut found = all.iter().filter(|point| point.metric == metric);
    let point = found.next().unwrap_or_else(|| panic!("no {metric}"));
    assert!(found.next().is_none(), "{metric}: more than one");
    point.spread.as_ref().unwrap()
}

#[test]
fn a_call_is_in_every_metric_that_tells_of_it() {
    let world = World::of("{}");
    let mut span = call("read")
        .with(PROTOCOL_VERSION, "2025-06-18")
        .with(NETWORK_PROTOCOL, "http")
        .with(NETWORK_VERSION, "1.1")
        .with(SERVER_ADDRESS, "example.com")
        .with(SESSION_ID, "s")
        .with("some.other", "x");
    span.numbers.push((SERVER_PORT, 443));
    world.count(&[span]);
    let all = world.end();
    let expected = [
        (OPERATION, "execute_tool"),
        (TOOL, "read"),
        (METHOD, "tools/call"),
        (PROTOCOL_VERSION, "2025-06-18"),
        (SERVER_NAME, "files"),
        (NETWORK_PROTOCOL, "http"),
        (NETWORK_VERSION, "1.1"),
        (TRANSPORT, "pipe"),
        (SERVER_ADDRESS, "example.com"),
        (SERVER_PORT, "int 443"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let operation = all.iter().find(|p| p.metric == "mcp.client.operation.duration").unwrap();
    assert_eq!(operation.labels, BTreeMap::from(expected));
    let point = operation.spread.as_ref().unwrap();
    assert_eq!(point.explicit_bounds, metric_names::CALL_SECONDS);
    assert_eq!((point.bucket_counts[2], point.count, point.sum), (1, 1, Some(0.03)));
    assert_eq!((point.start_time_unix_nano / S, point.time_unix_nano), (50, 500 * S));
    let exemplar = &point.exemplars[0];
    assert_eq!((&*exemplar.trace_id, &*exemplar.span_id), (&[7; 16][..], &1_u64.to_be_bytes()[..]));
    assert_eq!(exemplar.time_unix_nano, 100 * S + 30 * MS);

    let tool = one(&all, "gen_ai.execute_tool.duration");
    assert_eq!(tool.explicit_bounds, metric_names::TOOL_SECONDS);
    assert_eq!(of(&all, "gen_ai.execute_tool.duration"), [(vec![(TOOL, "read")], 1)]);
    let labels = vec![(TOOL, "read"), (METHOD, "tools/call")];
    assert_eq!(of(&all, "mcpcol.request.size"), [(labels.clone(), 1)]);
    assert_eq!(of(&all, "mcpcol.response.size"), [(labels, 1)]);
    assert_eq!(one(&all, "mcpcol.response.size").sum, Some(2000.0));
    assert_eq!(all.len(), 4, "and in no other");
}

#[test]
fn a_span_of_the_one_that_was_asked_has_a_metric_of_its_own() {
    let world = World::of("{}");
    let span = request("ping").with(SERVER_ADDRESS, "h").kind(SpanKind::Server);
    world.count(&[span, request("ping").kind(SpanKind::Internal)]);
    let all = world.end();
    assert_eq!(of(&all, "mcp.server.operation.duration"), [(vec![(METHOD, "ping")], 1)]);
    assert_eq!(of(&all, "mcp.client.operation.duration"), [(vec![(METHOD, "ping")], 1)]);
}

#[test]
fn which_spans_are_calls_is_a_setting() {
    let mut hop = call("t").kind(SpanKind::Server);
    hop.marks.push(HOP);
    let mut claimed = call("t");
    claimed.marks.push(PASSBACK);
    let foreign = Span { scope: "sdk", ..call("t") };
    let bare = Span { scope: "sdk", said: Vec::new(), ..call("t") };
    let served = foreign.clone().kind(SpanKind::Server);
    let noted = request("notifications/progress");
    let spans = [hop, call("t"), claimed, foreign, served, bare, noted];
    let counted = |yaml| {
        let world = World::of(yaml);
        world.count(&spans);
        let all = world.end();
        let of_all = |metric| of(&all, metric).iter().map(|(_, count)| count).sum::<u64>();
        [of_all("mcp.client.operation.duration"), of_all("mcp.server.operation.duration")]
    };
    assert_eq!(counted("{}"), [1, 0]);
    assert_eq!(counted("{ count: tap }"), [1, 0]);
    assert_eq!(counted("{ count: client }"), [1, 0]);
    assert_eq!(counted("{ count: server }"), [0, 1]);
}

#[test]
fn what_peers_make_up_is_no_label() {
    let world = World::of("{}");
    let failing = |span: Span, error: &str| span.with(ERROR_TYPE, error).with(STATUS_CODE, error);
    let mut unlisted = failing(call("invented"), "-32602");
    unlisted.name = "tools/call".into();
    let mut prompt = failing(request("prompts/get").with(PROMPT, "invented"), "-32602");
    prompt.name = "prompts/get".into();
    world.count(&[unlisted, prompt]);
    world.count(&[failing(call("read").with(PROTOCOL_VERSION, "9999-01-01"), "77777")]);
    world.count(&[failing(request("made/up"), "server_gone")]);
    let all = world.end();
    let mut told = of(&all, "mcp.client.operation.duration");
    told.sort();
    let other = "_OTHER";
    assert_eq!(told.len(), 4);
    let has = |labels: &[(&str, &str)]| {
        told.iter().any(|(told, _)| labels.iter().all(|label| told.contains(label)))
    };
    assert!(has(&[(TOOL, other), (ERROR_TYPE, "-32602"), (STATUS_CODE, "-32602")]), "{told:?}");
    assert!(has(&[(PROMPT, other), (METHOD, "prompts/get")]));
    assert!(has(&[(TOOL, "read"), (PROTOCOL_VERSION, other), (ERROR_TYPE, other)]));
    assert!(has(&[(METHOD, other), (ERROR_TYPE, "server_gone")]));
    let unlisted = of(&all, "mcpcol.unlisted_calls");
    let expected = [(vec![(METHOD, "tools/call")], 1), (vec![(METHOD, "prompts/get")], 1)];
    assert_eq!(unlisted, expected);
    assert_eq!(of(&all, "gen_ai.execute_tool.duration").len(), 2);
}

#[test]
fn ten_thousand_tools_are_as_many_series_as_there_may_be() {
    let world = World::of("{ aggregation_cardinality_limit: 50 }");
    let spans: Vec<Span> = (0..10_000).map(|n| call(&format!("tool{n}"))).collect();
    world.count(&spans);
    world.count(&[call("tool3"), call("tool9999")]);
    let all = world.end();
    let metrics = ["mcp.client.operation.duration", "gen_ai.execute_tool.duration"];
    for metric in metrics.into_iter().chain(["mcpcol.request.size"]) {
        let told: Vec<&Point> = all.iter().filter(|point| point.metric == metric).collect();
        assert_eq!(told.len(), 51);
        assert_eq!(told.iter().map(|point| point.count).sum::<u64>(), 10_002, "none is lost");
        let overflow = BTreeMap::from([("otel.metric.overflow".into(), "bool true".into())]);
        let other = told.iter().find(|point| point.labels == overflow).unwrap();
        assert_eq!(other.count, 9951);
        let third = told.iter().find(|p| p.labels.get(TOOL).is_some_and(|t| t == "tool3"));
        assert_eq!(third.unwrap().count, 2, "what has a series keeps it");
    }
}

#[test]
fn a_request_that_is_refused_and_sent_again_counts_once() {
    let world = World::of("{}");
    world.pass(telemetry(&[call("a")]), Verdict::Retry { after: None });
    world.pass(telemetry(&[call("a")]), Verdict::Rejected("no".into()));
    assert!(world.now().is_empty(), "nothing was accepted, so there is no series");
    world.pass(telemetry(&[call("a")]), Verdict::Accepted);
    assert_eq!(one(&world.end(), "mcp.client.operation.duration").count, 1);
}

#[test]
fn exemplars_are_of_sampled_spans_and_told_once() {
    let world = World::of("{}");
    let slow = call("a").at(100 * S, 3 * S);
    world.count(&[call("a"), slow.clone(), Span { flags: 0, ..slow }]);
    let all = world.now();
    let point = one(&all, "mcp.client.operation.duration");
    let ids: Vec<&[u8]> = point.exemplars.iter().map(|e| &*e.span_id).collect();
    assert_eq!(ids, [&1_u64.to_be_bytes()[..], &2_u64.to_be_bytes()[..]], "one a bucket");
    let all = world.now();
    let point = one(&all, "mcp.client.operation.duration");
    assert_eq!((point.count, point.exemplars.len()), (3, 0));
}

fn handshake(session: &str, start: Nanos) -> Span {
    let span = request("initialize").at(start, 10 * MS).with(SESSION_ID, session);
    span.with(PROTOCOL_VERSION, "2025-06-18").with(TRANSPORT, "pipe")
}

fn within(session: &str, start: Nanos, took: Nanos) -> Span {
    call("t").at(start, took).with(SESSION_ID, session)
}

#[test]
fn a_session_lasts_from_its_handshake_to_the_end_of_its_last_call() {
    let world = World::of("{ session_idle: 60s }");
    world.count(&[handshake("a", 100 * S), within("a", 105 * S, 2 * S)]);
    world.count(&[handshake("b", 100 * S), within("b", 150 * S, S)]);
    // Two whose beginning nobody saw, and a handshake that failed.
    world.count(&[within("c", 100 * S, S), within("", 100 * S, S)]);
    world.count(&[handshake("d", 100 * S).with(ERROR_TYPE, "-32602")]);
    assert_eq!(world.processor.tick(50 * S), Some(110 * S));
    assert_eq!(world.processor.tick(168 * S), Some(228 * S));
    let all = points(&world.sent.0.lock().unwrap());
    let session = one(&all, "mcp.client.session.duration");
    assert_eq!((session.count, session.sum), (1, Some(7.0)), "a has been quiet for a minute");
    let labels = vec![(PROTOCOL_VERSION, "2025-06-18"), (TRANSPORT, "pipe")];
    assert_eq!(of(&all, "mcp.client.session.duration"), [(labels, 1)]);
    let all = world.end();
    let session = one(&all, "mcp.client.session.duration");
    assert_eq!((session.count, session.sum), (2, Some(58.0)), "b ends with the process");
    let good = vec![(PROTOCOL_VERSION, "2025-06-18")];
    let bad = vec![(ERROR_TYPE, "-32602"), (PROTOCOL_VERSION, "2025-06-18")];
    assert_eq!(of(&all, "mcpcol.handshakes"), [(good, 2), (bad, 1)]);
}

#[test]
fn a_session_whose_server_went_away_says_so() {
    let world = World::of("{}");
    let gone = within("a", 105 * S, S).with(ERROR_TYPE, "server_gone");
    world.count(&[handshake("a", 100 * S), gone]);
    world.count(&[handshake("b", 100 * S).kind(SpanKind::Server)]);
    let all = world.end();
    let told = of(&all, "mcp.client.session.duration");
    assert!(told[0].0.contains(&(ERROR_TYPE, "server_gone")), "{told:?}");
    assert_eq!(one(&all, "mcp.server.session.duration").sum, Some(0.01));
}

#[test]
fn sessions_of_other_instrumentations_are_told_by_their_own_id() {
    let world = World::of("{ count: client }");
    let span = request("initialize").with(CLEAR_SESSION_ID, "x");
    world.count(&[Span { scope: "sdk", ..span }]);
    assert_eq!(one(&world.end(), "mcp.client.session.duration").count, 1);
}

#[test]
fn of_more_sessions_than_there_is_room_for_the_quietest_has_ended() {
    let world = World::of("{}");
    let spans: Vec<Span> =
        (0..MAX_SESSIONS as u64 + 5).map(|n| handshake(&format!("s{n}"), 100 * S + n)).collect();
    world.count(&spans);
    let books = world.shared_books();
    assert_eq!(books.lock().histograms.session[0].series[0].cell.get().count(), 5);
    assert_eq!(one(&world.end(), "mcp.client.session.duration").count, MAX_SESSIONS as u64 + 5);
}

impl World {
    fn shared_books(&self) -> Arc<Books> {
        let id = Id::parse("mcp_metrics/x").unwrap();
        let accounts = Accounts::default();
        let cx = Build::alone(&id, &accounts, Clock::start(), Path::new(""), &self.shared);
        cx.shared(|| -> Books { panic!("there are some") })
    }
}

#[test]
fn findings_are_counted_as_many_as_they_stand_for() {
    let world = World::of("{}");
    let scope = |name: &str| InstrumentationScope { name: name.into(), ..Default::default() };
    let records = |scope: &InstrumentationScope| {
        let mut records = LogRecords::of(&Default::default(), scope, 0);
        for count in [1, 3] {
            records.add(|record| {
                record.attribute(FINDING_KIND, Value::Text("late_answer"));
                record.attribute(FINDING_BY, Value::Text("server"));
                record.attribute(FINDING_COUNT, Value::Int(count));
                record.event_name(FINDING);
            });
        }
        records.add(|record| record.body("a line"));
        Telemetry::from(records.finish())
    };
    world.pass(records(&scope(SCOPE)), Verdict::Accepted);
    world.pass(records(&scope("other")), Verdict::Accepted);
    let labels = vec![(FINDING_BY, "server"), (FINDING_KIND, "late_answer")];
    assert_eq!(of(&world.end(), "mcpcol.findings"), [(labels, 4)]);
}

#[test]
fn metrics_are_sent_once_an_interval_whatever_the_clock_does() {
    let world = World::of("{ metrics_interval: 10s }");
    world.count(&[call("a")]);
    let sent = || std::mem::take(&mut *world.sent.0.lock().unwrap()).len();
    assert_eq!(world.processor.tick(100 * S), Some(110 * S));
    assert_eq!(world.processor.tick(109 * S), Some(110 * S));
    assert_eq!(sent(), 0);
    assert_eq!(world.processor.tick(110 * S), Some(120 * S));
    assert_eq!(sent(), 1);
    assert_eq!(world.processor.tick(50 * S), Some(60 * S), "it was set back");
    assert_eq!(sent(), 0);
    assert_eq!(world.processor.tick(1000 * S), Some(1010 * S), "and forward");
    assert_eq!(sent(), 1);
}

#[test]
fn a_metric_of_many_series_is_sent_in_parts() {
    let world = World::of("{ aggregation_cardinality_limit: 1300 }");
    let spans: Vec<Span> = (0..1300).map(|n| call(&format!("tool{n}"))).collect();
    world.count(&spans);
    let all = world.end();
    let sent = world.sent.0.lock().unwrap();
    let items: Vec<usize> = sent.iter().map(Telemetry::items).collect();
    assert_eq!((all.len(), items), (4 * 1300, vec![1000, 1000, 1000, 1000, 1000, 200]));
}

#[test]
fn the_prometheus_port_shows_the_same_and_does_so_again_after_a_reload() {
    let world = World::of("{}");
    world.count(&[call("a"), handshake("s", 100 * S)]);
    let shown = || -> BTreeMap<&str, u64> {
        let count = |reading: &Reading| match reading {
            Reading::Histogram(buckets) => buckets.count(),
            Reading::Counter(n) => *n,
            _ => 0,
        };
        let all = world.metrics.read().into_iter();
        all.map(|f| (f.info.name, f.series.iter().map(|(_, reading)| count(reading)).sum()))
            .collect()
    };
    let expected = BTreeMap::from([
        ("mcp_client_operation_duration_seconds", 2),
        ("gen_ai_execute_tool_duration_seconds", 1),
        ("mcpcol_request_size_bytes", 1),
        ("mcpcol_response_size_bytes", 1),
        ("mcpcol_handshakes", 1),
    ]);
    assert_eq!(shown(), expected);
    let labels = world.metrics.read()[0].series[0].0.clone();
    assert_eq!(labels[0], ("processor", "mcp_metrics/x".to_owned()));
    world.metrics.retire(&[("processor", "mcp_metrics/x")]);
    assert!(shown().is_empty());
    let again = build("{}", &world.metrics, &world.shared, &world.sent);
    assert_eq!(shown(), expected, "the books outlive a reload");
    let (first, mut pass) = (telemetry(&[call("a")]), Pass::new(0));
    again.process(Batch::new(first), &mut pass);
    pass.entrust(&Receipt::nobody());
    assert_eq!(shown()["mcp_client_operation_duration_seconds"], 3);
    assert!(of(&world.end(), "mcp.client.session.duration").is_empty(), "one is left");
    again.finish(500 * S);
    assert_eq!(shown()["mcp_client_session_duration_seconds"], 1);
}

#[test]
fn the_resource_is_the_process_and_the_scope_names_the_processor() {
    let world = World::of("{}");
    world.count(&[call("a")]);
    world.end();
    let Messages::Metrics(resources) = world.sent.0.lock().unwrap()[0].messages() else {
        panic!("metrics")
    };
    let resource = labels(&resources[0].resource.as_ref().unwrap().attributes);
    assert_eq!(resource["service.name"], "mcpcol");
    assert_eq!(resource["service.instance.id"].len(), 36);
    let scope = resources[0].scope_metrics[0].scope.as_ref().unwrap();
    assert_eq!(scope.name, SCOPE);
    assert_eq!(labels(&scope.attributes)["otelcol.component.id"], "mcp_metrics/x");
}

#[test]
fn while_no_pipeline_wants_them_metrics_are_kept() {
    struct Nobody;
    impl Consumer for Nobody {
        fn offer(&self, _: Batch, _: Transport) {
            panic!("nobody wants it")
        }
        fn takes(&self, _: Signal) -> bool {
            false
        }
    }
    let world = World::of("{}");
    let books = world.shared_books();
    let rules = Rules { count: Count::Tap, max: 10, interval: S, idle: S };
    let alone = McpMetrics { rules, books, emit: Outlet::to(Nobody) };
    world.count(&[call("a")]);
    alone.send(100 * S);
    assert_eq!(one(&world.end(), "mcp.client.operation.duration").exemplars.len(), 1);
}

#[test]
fn each_setting_that_cannot_be_is_named() {
    let said = |yaml: &str| {
        let config = testing::read::<Config>(yaml).unwrap();
        let problems = testing::check(yaml, "mcp_metrics", |report| {
            crate::pipeline::ComponentConfig::check(&config, report);
        });
        problems.0.iter().map(|problem| problem.path.clone()).collect::<Vec<_>>()
    };
    assert!(said("{}").is_empty());
    assert_eq!(said("{ metrics_interval: 10ms }"), ["mcp_metrics::metrics_interval"]);
    assert_eq!(said("{ session_idle: 0 }"), ["mcp_metrics::session_idle"]);
    for limit in ["0", "2001"] {
        let yaml = format!("{{ aggregation_cardinality_limit: {limit} }}");
        assert_eq!(said(&yaml), ["mcp_metrics::aggregation_cardinality_limit"]);
    }
    assert!(testing::read::<Config>("{ count: all }").is_err());
}
