//! `mcp_metrics` in a running service: when metrics are sent, what is counted of a request that comes again, and that
//! invented names are bounded.

use mcpcol::metrics::Reading;
use mcpcol::processors::mcp_metrics::Config;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value::StringValue,
};

use super::*;

/// Calls of tools, as a tap tells of them.
fn calls(tools: impl IntoIterator<Item = String>) -> Telemetry {
    let attribute = |key: &str, value: &str| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(StringValue(value.into())) }),
        ..KeyValue::default()
    };
    let span = |(n, tool): (u64, String)| Span {
        trace_id: vec![1; 16],
        span_id: n.to_be_bytes().to_vec(),
        name: format!("tools/call {tool}"),
        kind: 3,
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_030_000_000,
        attributes: vec![
            attribute("mcp.method.name", "tools/call"),
            attribute("gen_ai.tool.name", &tool),
        ],
        ..Span::default()
    };
    let spans = (1..).zip(tools).map(span).collect();
    let scope = Some(InstrumentationScope { name: "mcpcol".into(), ..Default::default() });
    let scope = ScopeSpans { scope, spans, ..ScopeSpans::default() };
    Telemetry::from(Messages::Traces(vec![ResourceSpans {
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    }]))
}

fn one(tool: &str) -> Telemetry {
    calls([tool.to_owned()])
}

fn sketch(tap: &PlannedTap, settings: &str, [spans, points]: [&Fake; 2]) -> Sketch {
    let config: Config = serde_json::from_str(settings).unwrap();
    Sketch::default()
        .receiver("tap", tap)
        .processor("mcp_metrics", config)
        .exporter("spans", spans)
        .exporter("points", points)
        .pipeline("metrics", &["mcp_metrics"], &[], &["points"])
        .pipeline("traces", &["tap"], &["mcp_metrics"], &["spans"])
}

impl World {
    /// How many calls each series of the time of calls has.
    fn calls(&self) -> Vec<u64> {
        let count = |(_, reading): &(_, Reading)| match reading {
            Reading::Histogram(buckets) => buckets.count(),
            other => panic!("{other:?}"),
        };
        let all = self.metrics.read().into_iter();
        all.filter(|family| family.info.name == "mcp_client_operation_duration_seconds")
            .flat_map(|family| family.series.iter().map(count).collect::<Vec<_>>())
            .collect()
    }

    async fn answer(&self, telemetry: Telemetry) -> Verdict {
        let (receipt, waiting) = Receipt::pair();
        self.outlet().offer(Batch { receipt, ..Batch::new(telemetry) });
        waiting.verdict().await
    }
}

/// The metrics of a call.
const NAMES: [&str; 2] = ["mcp.client.operation.duration", "gen_ai.execute_tool.duration"];

#[tokio::test(start_paused = true)]
async fn metrics_of_calls_come_each_interval_and_once_more_at_the_end() {
    let tap = PlannedTap::default();
    let (spans, points) = (Fake::new(Does::Send), Fake::new(Does::Send));
    let settings = r#"{ "metrics_interval": "10s" }"#;
    let world = World::of(sketch(&tap, settings, [&spans, &points]), &tap).await;
    world.outlet().offer(Batch::new(one("read")));
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(points.got().is_empty());
    assert_eq!(spans.got(), [["tools/call read"]]);
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(points.got(), [NAMES, NAMES]);
    world.outlet().offer(Batch::new(one("write")));
    let accounts = world.stop().await;
    assert_eq!(points.got(), [NAMES, NAMES, NAMES]);
    assert_eq!(accounts["points"].to_string(), "received=8 sent=8 dropped=0 held=0");
    assert_eq!(accounts["spans"].to_string(), "received=2 sent=2 dropped=0 held=0");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_full_queue_refuses_and_that_comes_again_counts_once() {
    let (tap, gate, points) = (PlannedTap::default(), Arc::default(), Fake::new(Does::Send));
    let slow = Fake::new(Does::Gate(Arc::clone(&gate))).queue(|q| q.queue_size = 1);
    let world = World::of(sketch(&tap, "{}", [&slow, &points]), &tap).await;
    assert_eq!(world.answer(one("a")).await, Verdict::Accepted);
    settle().await;
    assert!(matches!(world.answer(one("b")).await, Verdict::Retry { .. }));
    assert!(matches!(world.answer(one("b")).await, Verdict::Retry { .. }));
    assert_eq!(world.calls(), [1], "there is no series of b yet");
    gate.notify_one();
    settle().await;
    gate.notify_one();
    assert_eq!(world.answer(one("b")).await, Verdict::Accepted);
    settle().await;
    assert_eq!(world.calls(), [1, 1]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_names_of_tools_are_as_many_series_as_there_may_be() {
    let tap = PlannedTap::default();
    let (spans, points) = (Fake::new(Does::Send), Fake::new(Does::Send));
    let settings = r#"{ "aggregation_cardinality_limit": 100 }"#;
    let world = World::of(sketch(&tap, settings, [&spans, &points]), &tap).await;
    for part in 0..10 {
        let tools = (0..1000).map(|n| format!("tool{}", part * 1000 + n));
        assert_eq!(world.answer(calls(tools)).await, Verdict::Accepted);
        settle().await;
    }
    let series = world.calls();
    assert_eq!((series.len(), series.iter().sum::<u64>()), (101, 10_000));
    let accounts = world.stop().await;
    assert_eq!(accounts["points"].to_string(), "received=202 sent=202 dropped=0 held=0");
}
