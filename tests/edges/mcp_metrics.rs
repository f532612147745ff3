//! `mcp_metrics` through the real binary: the example of its pipeline in front of recorded servers, into files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde_json::Value;

use crate::process::{eventually, example, mcpcol, text};
use crate::session::session;
use crate::spans::{attribute, spans_in};

const PIPELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/mcp-metrics.yaml");

/// The data points of a metric in a file of OTLP JSON lines, with their resources.
fn points(file: &Path, metric: &str) -> Vec<(Value, Value)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut all = Vec::new();
    for line in fs::read_to_string(file).unwrap().lines() {
        for resource in list(&serde_json::from_str::<Value>(line).unwrap()["resourceMetrics"]) {
            let scopes = list(&resource["scopeMetrics"]);
            let metrics = scopes.iter().flat_map(|scope| list(&scope["metrics"]));
            for found in metrics.filter(|found| found["name"] == metric) {
                let data = found.get("histogram").or(found.get("sum")).unwrap();
                let points = list(&data["dataPoints"]).into_iter();
                all.extend(points.map(|point| (resource["resource"].clone(), point)));
            }
        }
    }
    all
}

fn count(point: &Value) -> u64 {
    let number = point.get("count").or(point.get("asInt")).unwrap();
    number.as_str().unwrap().parse().unwrap()
}

/// How many requests of a recording, of either side, are answered in it.
fn answered(events: &[Value]) -> usize {
    let message = |event: &Value| -> Value {
        serde_json::from_str(event["raw"].as_str().unwrap()).unwrap_or_default()
    };
    let told = |event: &Value| (event["dir"].clone(), message(event));
    let all: Vec<(Value, Value)> = events.iter().map(told).collect();
    let asks = |(_, m): &&(Value, Value)| m.get("method").is_some() && m.get("id").is_some();
    let answers = |(way, asked): &&(Value, Value)| {
        all.iter().any(|(back, m)| {
            back != way && m.get("method").is_none() && m.get("id") == asked.get("id")
        })
    };
    all.iter().filter(asks).filter(answers).count()
}

/// Plays a recording through the pipeline, in a home of its own. The client leaves once what it asked is in the file: a
/// tap waits half a second for its observer at the end, and this machine may be busy.
fn run(home: &Path, recording: &str) {
    let recording = session(recording);
    let mut command = mcpcol(home);
    command.args(["stdio", "--config", PIPELINE]);
    for (name, file) in [("SPANS", "spans"), ("LOGS", "logs"), ("METRICS_FILE", "metrics")] {
        command.env(format!("MCPCOL_{name}"), home.join(format!("{file}.jsonl")));
    }
    command.arg("--").arg(example("replay")).arg(&recording);
    let spans = home.join("spans.jsonl");
    let before = spans_in(&spans).len();
    let mut tap = command.spawn().unwrap();
    let (mut to, mut from) =
        (tap.stdin.take().unwrap(), BufReader::new(tap.stdout.take().unwrap()));
    let text_of = fs::read_to_string(&recording).unwrap();
    let events: Vec<Value> =
        text_of.lines().map(|event| serde_json::from_str(event).unwrap()).collect();
    for event in &events {
        if event["dir"] == "c2s" {
            writeln!(to, "{}", event["raw"].as_str().unwrap()).unwrap();
        } else {
            assert!(from.read_line(&mut String::new()).unwrap() > 0);
        }
    }
    let expected = before + answered(&events);
    eventually("all spans", || spans_in(&spans).len() >= expected);
    drop(to);
    let output = tap.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn a_tap_that_lives_a_moment_leaves_metrics_of_every_call() {
    for recording in ["modern-2026-07-28", "everything-handshake"] {
        let home = tempfile::tempdir().unwrap();
        run(home.path(), recording);
        let file = home.path().join("metrics.jsonl");
        let spans = spans_in(&home.path().join("spans.jsonl"));
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for span in &spans {
            *expected.entry(attribute(span, "mcp.method.name").unwrap()).or_default() += 1;
        }
        let operations = points(&file, "mcp.client.operation.duration");
        let mut counted: BTreeMap<String, u64> = BTreeMap::new();
        for (_, point) in &operations {
            let method = attribute(point, "mcp.method.name").unwrap();
            *counted.entry(method).or_default() += count(point);
        }
        assert!(!expected.is_empty());
        assert_eq!(counted, expected, "{recording}: each span is in one series");
        let ids: Vec<&Value> = spans.iter().map(|span| &span["spanId"]).collect();
        for (resource, point) in &operations {
            assert_eq!(attribute(point, "network.transport").unwrap(), "pipe");
            let instance = attribute(resource, "service.instance.id").unwrap();
            assert_eq!(instance.len(), 36);
            for exemplar in point["exemplars"].as_array().into_iter().flatten() {
                assert!(ids.contains(&&exemplar["spanId"]), "{exemplar}");
            }
        }
        let sessions: u64 =
            points(&file, "mcp.client.session.duration").iter().map(|(_, p)| count(p)).sum();
        let handshakes: u64 =
            points(&file, "mcpcol.handshakes").iter().map(|(_, p)| count(p)).sum();
        let legacy = u64::from(recording.starts_with("everything"));
        assert_eq!((sessions, handshakes), (legacy, legacy), "{recording}");
    }
}

#[test]
fn short_taps_that_share_a_file_have_sums_of_their_own() {
    let home = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        run(home.path(), "modern-2026-07-28");
    }
    let all = points(&home.path().join("metrics.jsonl"), "mcp.client.operation.duration");
    let instances: std::collections::BTreeSet<_> =
        all.iter().map(|(resource, _)| attribute(resource, "service.instance.id")).collect();
    assert_eq!(instances.len(), 3);
}
