//! The real binary's objectives: judged on records, written for Prometheus, and live behind a tap.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Log, MCPCOL, mcpcol, piped, text};

/// 2026-12-01T10:00:00Z, in seconds.
const START: u64 = 1_796_119_200;

const OBJECTIVES: &str = "
receivers: { mcp_stdio: {} }
processors:
  slo:
    interval: 1s
    slos:
      - { tool: read_file, metric: error_rate, target: 0.01 }
      - { tool: search_web, metric: latency, target_p95: 800ms }
exporters:
  file/spans: { path: spans.jsonl }
  file/alerts: { path: alerts.jsonl }
service:
  pipelines:
    traces: { receivers: [mcp_stdio], processors: [slo], exporters: [file/spans] }
    logs: { receivers: [slo], exporters: [file/alerts] }
";

fn run(home: &Path, args: &[&str]) -> Output {
    mcpcol(home).args(args).current_dir(home).stdin(Stdio::null()).output().unwrap()
}

/// A call that ended so many seconds after the start.
fn call(at: u64, tool: &str, outcome: &str, millis: u64) -> Value {
    let mut attributes = vec![
        json!({"key": "mcp.method.name", "value": {"stringValue": "tools/call"}}),
        json!({"key": "gen_ai.tool.name", "value": {"stringValue": tool}}),
        json!({"key": "mcpcol.outcome", "value": {"stringValue": outcome}}),
    ];
    if outcome != "ok" {
        attributes.push(json!({"key": "error.type", "value": {"stringValue": outcome}}));
    }
    let end = (START + at) * 1_000_000_000;
    json!({
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": format!("{:016x}", at + 1),
        "name": format!("tools/call {tool}"), "kind": 3, "attributes": attributes,
        "startTimeUnixNano": (end - millis * 1_000_000).to_string(),
        "endTimeUnixNano": end.to_string(),
    })
}

fn record(home: &TempDir, spans: &[Value]) {
    let server = json!({"key": "mcpcol.server.name", "value": {"stringValue": "files"}});
    let lines: String = spans
        .chunks(50)
        .map(|spans| {
            let document = json!({"resourceSpans": [{
                "resource": {"attributes": [server]},
                "scopeSpans": [{"scope": {"name": "mcpcol"}, "spans": spans}],
            }]});
            format!("{document}\n")
        })
        .collect();
    fs::write(home.path().join("spans.jsonl"), lines + "{\"resourceSpans\":[{\"res").unwrap();
}

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("mcpcol.yaml"), OBJECTIVES).unwrap();
    home
}

/// What `slo check` says, with its exit code.
fn check(home: &TempDir, more: &[&str]) -> (Option<i32>, Value, String) {
    let args = ["slo", "check", "spans.jsonl", "--config", "mcpcol.yaml", "--format", "json"];
    let output = run(home.path(), &[&args[..], more].concat());
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), answer, text(&output.stderr))
}

#[test]
fn recorded_calls_are_judged_in_their_own_time() {
    let home = home();
    // An hour of good calls each 10 s, ten minutes of failures, an hour of good ones: as the engine's own test.
    let outage = |n: &u64| (360..421).contains(n);
    let spans: Vec<Value> = (0..781_u64)
        .map(|n| call(10 * n, "read_file", if outage(&n) { "tool_error" } else { "ok" }, 5))
        .collect();
    record(&home, &spans);
    let (code, answer, said) = check(&home, &["--at", "2026-12-01T11:10:00Z"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("torn last line"), "{said}");
    let slo = &answer["slos"][0];
    assert_eq!(
        (&answer["version"], &answer["at"]),
        (&json!(1), &json!("2026-12-01T11:10:00.000000000Z"))
    );
    assert_eq!(
        (&slo["name"], &slo["metric"]),
        (&json!("read_file error_rate"), &json!("error_rate"))
    );
    assert_eq!((&slo["budget"], &slo["state"]), (&json!(0.01), &json!("burning")));
    let window = |name: &str| {
        let all = slo["windows"].as_array().unwrap();
        all.iter().find(|window| window["window"] == name).unwrap().clone()
    };
    let names: Vec<&Value> =
        slo["windows"].as_array().unwrap().iter().map(|window| &window["window"]).collect();
    assert_eq!(names, ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"]);
    assert_eq!(
        window("5m"),
        json!({"window": "5m", "total": 31, "bad": 31, "ratio": 1.0, "burn": 100.0})
    );
    assert_eq!((&window("1h")["total"], &window("1h")["bad"]), (&json!(361), &json!(61)));
    let fired = |rule: &str| {
        let all = slo["alerts"].as_array().unwrap();
        let first = all.iter().find(|alert| alert["rule"] == rule).unwrap();
        (first["state"].clone(), first["at"].clone(), first["suppressed"].clone())
    };
    // 52 of 361 are more than 14.4 %: after 510 s, and looked at each second.
    assert_eq!(
        fired("page_fast"),
        (json!("firing"), json!("2026-12-01T11:08:30.000000000Z"), json!(false))
    );
    let rules = slo["rules"].as_array().unwrap();
    assert!(rules.iter().all(|rule| rule["state"] == "firing"), "{rules:?}");
    assert_eq!((&rules[2]["suppressed"], &rules[0]["burn"]), (&json!(true), &json!(14.4)));
    let slow = &answer["slos"][1];
    assert_eq!((&slow["no_data"], &slow["windows"][0]["burn"]), (&json!(true), &Value::Null));
    assert_eq!(slow["budget_remaining"], 1.0);

    // Nothing of it is known before; a time of later calls has no part in it.
    let (code, answer, _) = check(&home, &["--at", "2026-12-01T10:59:00Z"]);
    assert_eq!((code, &answer["slos"][0]["alerts"]), (Some(0), &json!([])));
    assert_eq!(answer["slos"][0]["windows"][7]["total"], 355);
    let (code, ..) = check(&home, &["--at", "2026-12-01T10:59:00Z", "--require-data"]);
    assert_eq!(code, Some(2), "of searches nothing is known");
    // At the end of all it has recovered but for the long ones.
    let (code, answer, _) = check(&home, &[]);
    let alerts = answer["slos"][0]["alerts"].as_array().unwrap();
    let resolved = alerts.iter().find(|alert| alert["state"] == "resolved").unwrap();
    assert_eq!(
        (&resolved["rule"], &resolved["reason"]),
        (&json!("page_fast"), &json!("recovered"))
    );
    assert_eq!(code, Some(1), "the others burn still");
}

#[test]
fn people_get_a_table_and_a_verdict_by_exit_code() {
    let home = home();
    let spans: Vec<Value> =
        (0..20).map(|n| call(n, "search_web", "ok", if n < 3 { 5 } else { 900 })).collect();
    record(&home, &spans);
    let output =
        run(home.path(), &["slo", "check", "--input", "spans.jsonl", "--config", "mcpcol.yaml"]);
    let page = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{page}");
    assert!(page.starts_with("at 2026-12-01 10:00:19Z\n\n"), "{page}");
    for line in [
        "read_file error_rate",
        "no calls",
        "<1%",
        "search_web latency",
        "burning: page_fast, page_slow, ticket_fast, ticket_slow",
        "search_web latency: latency, 5% of calls may be bad in 30d; the budget is spent",
        "14.4 (page_fast)",
        "page_fast firing",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    let output = run(home.path(), &["slo", "check", "nowhere.jsonl", "--config", "mcpcol.yaml"]);
    assert_eq!(output.status.code(), Some(2), "it cannot be read");
}

#[test]
fn rules_are_for_prometheus_and_without_objectives_there_are_none() {
    let home = home();
    let output = run(home.path(), &["slo", "rules", "--config", "mcpcol.yaml"]);
    let rules = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    assert!(rules.contains("record: mcpcol:slo_ratio:30d") && rules.contains("alert: McpSloPage"));
    assert!(rules.contains("interval: 1s"), "{rules}");
    fs::write(
        home.path().join("none.yaml"),
        "{receivers: {mcp_stdio: {}}, exporters: {nop: {}}, service: {pipelines: {traces: {receivers: [mcp_stdio], exporters: [nop]}}}}",
    )
    .unwrap();
    for command in ["rules", "check"] {
        let output = run(home.path(), &["slo", command, "--config", "none.yaml"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("names an `slo` processor"));
    }
}

#[test]
fn calls_that_would_count_twice_are_refused_at_their_place() {
    let home = home();
    let twice = OBJECTIVES.replace(
        "    logs:",
        "    traces/two: { receivers: [mcp_stdio], processors: [slo], exporters: [file/spans] }\n    logs:",
    );
    fs::write(home.path().join("twice.yaml"), twice).unwrap();
    let output = run(home.path(), &["validate", "twice.yaml"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("processors::slo") && said.contains("each call would count twice"),
        "{said}"
    );
}

#[test]
fn a_failing_tool_behind_a_tap_pages_within_an_evaluation_and_is_told_in_the_log_pipeline() {
    let home = home();
    let config = OBJECTIVES.replace("tool: read_file", "tool: write_file");
    fs::write(home.path().join("mcpcol.yaml"), config).unwrap();
    let args = ["stdio", "--name", "files", "--config", "mcpcol.yaml", "--", MCPCOL, "demo-server"];
    let mut tap = piped(mcpcol(home.path()).args(args).current_dir(home.path())).spawn().unwrap();
    let mut log = Log::of(&mut tap);
    let mut stdin = tap.stdin.take().unwrap();
    for id in 0..12 {
        let params = json!({"name": "write_file", "arguments": {}});
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        writeln!(stdin, "{call}").unwrap();
    }
    let told = log.until("page: write_file error_rate burns its budget");
    assert!(told.contains("calls failed in the last 1h"), "{told}");
    drop(stdin);
    let output = tap.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let alerts = fs::read_to_string(home.path().join("alerts.jsonl")).unwrap();
    let first: Value = serde_json::from_str(alerts.lines().next().unwrap()).unwrap();
    let record = &first["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["eventName"], "mcpcol.slo.alert");
    assert_eq!((&record["severityText"], &record["severityNumber"]), (&json!("ERROR"), &json!(17)));
    // The same records, judged afterwards.
    let (code, answer, _) = check(&home, &[]);
    assert_eq!((code, &answer["slos"][0]["windows"][0]["bad"]), (Some(1), &json!(12)));
}
