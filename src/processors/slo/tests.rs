//! The processor on batches made by hand, and its settings.

use std::path::Path;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span::Link};

use super::*;
use crate::calls::Count;
use crate::metrics::Metrics;
use crate::otlp::Messages;
use crate::pipeline::{
    Accounts, ComponentConfig, Consumer, Id, ProcessorConfig, Shared, Transport,
};
use crate::settings::{Severity, testing};
use crate::slo::judge::Outcome;
use crate::telemetry::names::*;
use crate::telemetry::{Clock, Receipt, Telemetry, Verdict};

const SECOND: Nanos = 1_000_000_000;
/// A time on the edge of every bucket.
const START: Nanos = 20_000 * 86_400 * SECOND;
const ERRORS: &str = "{slos: [{name: errors, tool: read_file, metric: error_rate, target: 0.01}]}";

fn config(yaml: &str) -> Config {
    testing::read(yaml).unwrap()
}

/// Gives what `check` says, errors and warnings apart.
fn checked(yaml: &str) -> (Vec<String>, Vec<String>) {
    let problems = testing::check(yaml, "slo", |report| config(yaml).check(report));
    let (errors, warnings): (Vec<_>, Vec<_>) =
        problems.0.into_iter().partition(|p| p.severity > Severity::Warning);
    let told = |all: Vec<crate::settings::Problem>| {
        all.into_iter().map(|p| format!("{}: {}", p.path, p.message)).collect()
    };
    (told(errors), told(warnings))
}

/// A process with one `slo`, whose clocks are in the test's hands.
struct Process {
    shared: Shared,
    accounts: Accounts,
    clock: Clock,
    wall: Arc<AtomicU64>,
    sent: Sent,
}

/// Holds what came out for other pipelines.
#[derive(Clone, Default)]
struct Sent(Arc<StdMutex<Vec<Telemetry>>>);

impl Consumer for Sent {
    fn offer(&self, batch: Batch, _: Transport) {
        self.0.lock().unwrap().push(batch.telemetry);
        batch.receipt.settle(Verdict::Accepted);
    }
}

impl Process {
    fn new() -> Self {
        let wall = Arc::new(AtomicU64::new(START));
        let shown = Arc::clone(&wall);
        let clock = Clock::reading(move || shown.load(Ordering::Relaxed));
        Process {
            shared: Shared::default(),
            accounts: Accounts::new(Metrics::default()),
            clock,
            wall,
            sent: Sent::default(),
        }
    }

    fn build(&self, yaml: &str) -> Box<dyn Processor> {
        let id = Id::parse("slo/test").unwrap();
        let alone =
            Build::alone(&id, &self.accounts, self.clock.clone(), Path::new(""), &self.shared);
        let cx = Build { emit: Outlet::to(self.sent.clone()), ..alone };
        config(yaml).build(&cx).unwrap()
    }

    async fn pass(&self, seconds: u64) {
        self.wall.fetch_add(seconds * SECOND, Ordering::Relaxed);
        tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
    }

    fn value(&self, metric: &str) -> i128 {
        let samples = self.accounts.metrics().samples();
        samples.iter().filter(|sample| sample.name == metric).map(|sample| sample.value).sum()
    }

    /// Log records that were sent since the last time: state, rule, and whether they are suppressed.
    fn alerts(&self) -> Vec<(String, String, bool)> {
        let sent = std::mem::take(&mut *self.sent.0.lock().unwrap());
        let mut all = Vec::new();
        for telemetry in sent {
            let Messages::Logs(logs) = telemetry.messages() else { continue };
            let records = logs.iter().flat_map(|l| &l.scope_logs).flat_map(|s| &s.log_records);
            for record in records {
                assert_eq!(record.event_name, SLO_ALERT);
                let text = |name: &str| {
                    let found = record.attributes.iter().find(|a| a.key == name);
                    match found.and_then(|a| a.value.as_ref()?.value.clone()) {
                        Some(Value::StringValue(text)) => text,
                        Some(Value::BoolValue(is)) => is.to_string(),
                        other => panic!("{name}: {other:?}"),
                    }
                };
                all.push((text(SLO_STATE), text(SLO_RULE), text(SLO_SUPPRESSED) == "true"));
            }
        }
        all
    }
}

fn accept(processor: &dyn Processor, telemetry: Telemetry) {
    let mut pass = Pass::new(0);
    let Flow::Pass(batch) = processor.process(Batch::new(telemetry), &mut pass) else {
        panic!("everything goes on")
    };
    pass.entrust(&batch.receipt);
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

/// A call of `read_file` that ended so, after so many milliseconds.
fn call(id: u64, outcome: &str, took: u64) -> Span {
    let error = (outcome != "ok").then(|| text(ERROR_TYPE, outcome));
    let attributes =
        vec![text(METHOD, "tools/call"), text(TOOL, "read_file"), text(OUTCOME, outcome)];
    Span {
        trace_id: vec![7; 16],
        span_id: id.to_be_bytes().to_vec(),
        name: "tools/call read_file".into(),
        kind: 3,
        flags: 0x101,
        start_time_unix_nano: START - took * 1_000_000,
        end_time_unix_nano: START,
        attributes: attributes.into_iter().chain(error).collect(),
        ..Span::default()
    }
}

fn linked(span: Span, why: &str, to: u64) -> Span {
    let link = Link {
        trace_id: vec![7; 16],
        span_id: to.to_be_bytes().to_vec(),
        attributes: vec![text(LINK, why)],
        ..Link::default()
    };
    Span { links: vec![link], ..span }
}

fn batch(scope: &str, spans: Vec<Span>) -> Telemetry {
    let scope = InstrumentationScope { name: scope.into(), ..Default::default() };
    let resource = Resource { attributes: vec![text(SERVER_NAME, "fs")], ..Resource::default() };
    Messages::Traces(vec![ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }])
    .into()
}

fn failures(ids: std::ops::Range<u64>) -> Telemetry {
    batch(SCOPE, ids.map(|id| call(id, "tool_error", 5)).collect())
}

#[test]
fn the_two_lines_that_everybody_writes_mean_what_they_say() {
    let yaml = "
slos:
  - tool: search_web
    metric: latency
    target_p95: 800ms
  - tool: read_file
    metric: error_rate
    target: 0.01
";
    assert_eq!(checked(yaml), (vec![], vec![]));
    let all = config(yaml).objectives();
    let told: Vec<String> = all
        .iter()
        .map(|entry| {
            let of = &entry.objective;
            format!("{} {} {:?}", of.name, of.budget, of.judge.measure)
        })
        .collect();
    assert_eq!(told[0], "search_web latency 0.05 Latency(800000000)");
    assert!(told[1].starts_with("read_file error_rate 0.01 Failures("), "{told:?}");
    let rules: Vec<&str> = all[0].objective.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(rules, ["page_fast", "page_slow", "ticket_fast", "ticket_slow"]);
}

#[test]
fn one_budget_is_meant_by_each_way_to_write_it() {
    for (written, budget) in [
        ("metric: availability, target: 99%", "0.01"),
        ("metric: availability, target: 0.995", "0.005"),
        ("metric: error_rate, target: 1%", "0.01"),
        ("metric: error_rate, target: 0.1", "0.1"),
        ("metric: latency, target_p99.9: 1s", "0.001"),
        ("metric: latency, objective: 0.95, threshold: 1s", "0.05"),
    ] {
        let all = config(&format!("{{slos: [{{tool: a, {written}}}]}}")).objectives();
        assert_eq!(all[0].objective.budget.to_string(), budget, "{written}");
    }
}

#[test]
fn what_can_be_no_objective_is_said_with_what_to_do() {
    for (written, path, message) in [
        ("metric: error_rate, target: 0", "slo::slos::0::target", "no budget to burn"),
        ("metric: error_rate, target: 1", "slo::slos::0::target", "every call may fail"),
        ("metric: availability, target: 1", "slo::slos::0::target", "a little less"),
        ("metric: availability, target: 0", "slo::slos::0::target", "every call may fail"),
        ("metric: availability, target: 99.9", "slo::slos::0::target", "write `99.9%`"),
        ("metric: error_rate, target: 150%", "slo::slos::0::target", "more than all"),
        ("metric: error_rate, target: -0.1", "slo::slos::0::target", "not a part of all"),
        ("metric: error_rate, target: .nan", "slo::slos::0::target", "not a part of all"),
        ("metric: error_rate", "slo::slos::0", "`target` is missing"),
        ("metric: error_rate, target: 1%, threshold: 1s", "slo::slos::0::threshold", "latency"),
        ("metric: latency", "slo::slos::0", "a target is missing"),
        ("metric: latency, target: 1%", "slo::slos::0::target", "says no time"),
        ("metric: latency, target_p100: 1s", "slo::slos::0", "less than all"),
        ("metric: latency, target_p0: 1s", "slo::slos::0", "more than 0"),
        ("metric: latency, target_p95: 0s", "slo::slos::0", "no time at all"),
        ("metric: latency, target_p95: 1s, target_p99: 2s", "slo::slos::0", "two kinds"),
        ("metric: latency, target_p95: 1s, threshold: 1s", "slo::slos::0", "two kinds"),
        ("metric: latency, threshold: 1s", "slo::slos::0", "go together"),
        ("metric: latency, target_p95: 1s, bad: [timeout]", "slo::slos::0::bad", "use `exclude`"),
        ("metric: error_rate, target: 1%, bad: [timout]", "slo::slos::0::bad", "`timeout`"),
        ("metric: error_rate, target: 1%, bad: []", "slo::slos::0::bad", "empty list"),
        ("metric: error_rate, target: 1%, bad: [ok]", "slo::slos::0::bad", "is no failure"),
        (
            "metric: error_rate, target: 1%, bad: [auth], exclude: [auth]",
            "slo::slos::0::exclude",
            "in `bad`, too",
        ),
        ("metric: error_rate, target: 1%, window: 14d", "slo::slos::0::window", "write `alerts`"),
        ("metric: error_rate, target: 1%, tool: ['']", "slo::slos::0::tool", "1 to 256 bytes"),
    ] {
        let (errors, _) = checked(&format!("{{slos: [{{{written}}}]}}"));
        let found = errors.iter().any(|error| {
            error.strip_prefix(path).is_some_and(|e| e.starts_with(": ") && e.contains(message))
        });
        assert!(found, "{written}: {errors:?}");
        assert_eq!(errors.len(), 1, "{written}: {errors:?}");
    }
    assert!(checked("{}").0[0].contains("needs an objective"));
    let twice = "{slos: [{metric: error_rate, target: 1%}, {metric: error_rate, target: 2%}]}";
    assert!(checked(twice).0[0].contains("two objectives are called `all error_rate`"));
}

#[test]
fn what_is_hardly_meant_is_a_warning() {
    for (written, message) in [
        ("metric: error_rate, target: 0.99", "did you mean `metric: availability`?"),
        ("metric: availability, target: 1%", "did you mean `metric: error_rate`?"),
        ("metric: latency, target_p90: 1s", "page_fast would need more than 90 %"),
    ] {
        let (errors, warnings) = checked(&format!("{{slos: [{{{written}}}]}}"));
        assert!(errors.is_empty(), "{errors:?}");
        assert!(warnings.iter().any(|w| w.contains(message)), "{written}: {warnings:?}");
    }
}

#[test]
fn alerts_of_ones_own_take_the_place_of_the_usual_ones() {
    let yaml = "
defaults: { window: 14d, for: 1m, min_events: 7 }
slos:
  - metric: availability
    target: 99%
    alerts:
      - { name: fast, severity: page, factor: 20, long: 2h }
      - { name: slow, severity: ticket, spent: 10%, long: 3d, short: 6h, for: 0s, min_bad: 1, keep_firing_for: 1h }
";
    assert_eq!(checked(yaml), (vec![], vec![]));
    let objective = config(yaml).objectives().remove(0).objective;
    let [fast, slow] = &objective.rules[..] else { panic!("{objective:?}") };
    assert_eq!((fast.short, fast.hold, fast.min_events, fast.keep_firing), (600, 60, 7, 600));
    assert_eq!((slow.hold, slow.min_bad, slow.keep_firing), (0, 1, 3_600));
    assert!((objective.threshold(1).as_f64() - 0.01 * 0.1 * 14.0 / 3.0).abs() < 1e-12);
}

#[tokio::test(start_paused = true)]
async fn a_burning_budget_is_told_in_the_log_pipeline_and_in_metrics_and_so_is_its_end() {
    let process = Process::new();
    let slo = process.build(ERRORS);
    assert_eq!(process.value("mcpcol_slo_events"), 0, "there before the first call");
    let samples = process.accounts.metrics().samples();
    assert!(samples.iter().any(|sample| sample.name == "mcpcol_slo_bad"));
    slo.tick(START);
    accept(&*slo, failures(1..11));
    process.pass(30).await;
    slo.tick(START);
    let told = process.alerts();
    let firing = |rule: &str, hidden| ("firing".to_owned(), rule.to_owned(), hidden);
    assert_eq!(
        told,
        [
            firing("page_fast", false),
            firing("page_slow", false),
            firing("ticket_fast", true),
            firing("ticket_slow", true)
        ]
    );
    assert_eq!((process.value("mcpcol_slo_events"), process.value("mcpcol_slo_bad")), (10, 10));
    assert_eq!(process.value("mcpcol_slo_alert_state"), 4 * 2);
    for minute in 0..11 {
        let good = (0..1000).map(|n| call(1_000 * (minute + 1) + n, "ok", 5)).collect();
        accept(&*slo, batch(SCOPE, good));
        process.pass(60).await;
        slo.tick(START);
    }
    let ended = process.alerts();
    assert!(ended.contains(&("resolved".to_owned(), "page_fast".to_owned(), false)), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_and_comes_again_counts_once_and_so_does_what_is_told_twice() {
    let process = Process::new();
    let slo = process.build(ERRORS);
    for verdict in [Verdict::Retry { after: None }, Verdict::Accepted, Verdict::Accepted] {
        let (receipt, _waiting) = Receipt::pair();
        let mut pass = Pass::new(0);
        let batch = Batch { receipt, ..Batch::new(failures(1..4)) };
        let Flow::Pass(batch) = slo.process(batch, &mut pass) else { panic!("it goes on") };
        pass.entrust(&batch.receipt);
        batch.receipt.settle(verdict);
    }
    process.pass(30).await;
    slo.tick(START);
    assert_eq!(process.value("mcpcol_slo_events"), 3);
    assert_eq!(process.value("mcpcol_slo_skipped"), 3);
}

#[tokio::test(start_paused = true)]
async fn instances_of_one_id_share_a_state_that_a_reload_keeps() {
    let process = Process::new();
    let old = process.build(ERRORS);
    accept(&*old, failures(1..4));
    let other = process.build(ERRORS);
    accept(&*other, failures(4..7));
    // Another target of the same calls, and one objective more.
    let new = process.build(
        "{slos: [{name: errors, tool: read_file, metric: error_rate, target: 90%}, {metric: latency, target_p95: 1ms}]}",
    );
    accept(&*new, failures(7..11));
    // Ends after its successor has begun, under the settings of that.
    accept(&*old, failures(11..12));
    old.finish(START);
    process.pass(30).await;
    new.tick(START);
    let samples = process.accounts.metrics().samples();
    let events: Vec<i128> =
        samples.iter().filter(|s| s.name == "mcpcol_slo_events").map(|s| s.value).collect();
    assert_eq!(events, [5, 11]);
    process.alerts();
    // The objective is taken out: its alerts end, and those of the other go on.
    let last =
        process.build("{slos: [{name: errors, tool: read_file, metric: error_rate, target: 1%}]}");
    process.pass(30).await;
    last.tick(START);
    let told = process.alerts();
    let ended: Vec<&str> = told
        .iter()
        .filter(|(state, ..)| state == "resolved")
        .map(|(_, rule, _)| rule.as_str())
        .collect();
    // Five calls are enough for tickets.
    assert_eq!(ended, ["ticket_fast", "ticket_slow"], "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_put_back_hides_nothing() {
    let process = Process::new();
    let slo = process.build(ERRORS);
    slo.tick(START);
    process.wall.fetch_sub(86_400 * SECOND, Ordering::Relaxed);
    accept(&*slo, failures(1..11));
    process.pass(30).await;
    slo.tick(START);
    assert_eq!(process.alerts().len(), 4);
    assert_eq!(process.value("mcpcol_slo_late_dropped"), 0);
}

/// The outcomes and times, in milliseconds, of the operations that end in these spans.
fn operations(count: Count, scope: &str, spans: Vec<Span>) -> Vec<(String, Outcome, u64)> {
    let mut operations = Operations::new(count, 100);
    let mut all = Vec::new();
    for span in spans {
        batch(scope, vec![span]).each_item(|item| {
            operations.read(item, |operation| {
                if let Ok(operation) = operation {
                    let took = operation.took / 1_000_000;
                    all.push((operation.tool.to_owned(), operation.outcome, took));
                }
            })
        });
    }
    all
}

#[test]
fn legs_are_one_operation_with_the_last_outcome_and_all_their_times() {
    let spans = vec![
        call(1, "input_required", 100),
        linked(call(2, "input_required", 20), "retry", 1),
        call(3, "ok", 1),
        linked(call(4, "tool_error", 3), "retry", 1),
        // What comes after that is another operation.
        linked(call(5, "ok", 4), "retry", 1),
    ];
    let tool = || "read_file".to_owned();
    assert_eq!(
        operations(Count::Tap, SCOPE, spans),
        [(tool(), Outcome::Ok, 1), (tool(), Outcome::ToolError, 123), (tool(), Outcome::Ok, 4)]
    );
}

#[test]
fn a_task_is_one_operation_under_the_name_of_its_tool_until_a_look_tells_its_end() {
    let look = |id, method: &str, status: &str, outcome: &str| {
        let end = START + id * 1_000_000_000;
        let attributes =
            vec![text(METHOD, method), text(OUTCOME, outcome), text(TASK_STATUS, status)];
        let span = Span { attributes, end_time_unix_nano: end, ..call(id, "ok", 0) };
        linked(span, "task", 1)
    };
    let begin = || call(1, "input_required", 500);
    for (last, outcome) in [
        (look(4, "tasks/get", "completed", "ok"), Outcome::Ok),
        (look(4, "tasks/get", "completed", "tool_error"), Outcome::ToolError),
        (look(4, "tasks/get", "failed", "protocol_error"), Outcome::ProtocolError),
        (look(4, "tasks/get", "failed", "ok"), Outcome::ProtocolError),
        (look(4, "tasks/cancel", "cancelled", "ok"), Outcome::Cancelled),
        (look(4, "tasks/result", "", "tool_error"), Outcome::ToolError),
    ] {
        let spans = vec![
            begin(),
            look(2, "tasks/get", "working", "ok"),
            look(3, "tasks/get", "input_required", "input_required"),
            last.clone(),
            look(5, "tasks/result", "", "ok"),
            look(6, "tasks/get", "completed", "ok"),
        ];
        let told = operations(Count::Tap, SCOPE, spans);
        assert_eq!(told, [("read_file".to_owned(), outcome, 4_500)], "{last:?}");
    }
}

#[test]
fn what_is_in_doubt_or_not_known_is_no_failure_and_what_servers_ask_is_no_call() {
    let with = |id, outcome: &str, more: KeyValue| {
        let mut span = call(id, outcome, 1);
        span.attributes.push(more);
        span
    };
    let yes = Some(AnyValue { value: Some(Value::BoolValue(true)) });
    let doubtful = KeyValue { key: DOUBTFUL.into(), value: yes, ..KeyValue::default() };
    let spans = vec![
        with(1, "tool_error", doubtful),
        call(2, "from_a_version_to_come", 1),
        with(3, "tool_error", text(INITIATOR, "server")),
    ];
    assert_eq!(operations(Count::Tap, SCOPE, spans), []);
}

#[test]
fn spans_of_others_count_where_they_are_asked_for() {
    let foreign = |id, error: Option<&str>| {
        let mut span = call(id, "ok", 2);
        span.attributes.retain(|a| a.key != OUTCOME);
        span.attributes.extend(error.map(|error| text(ERROR_TYPE, error)));
        span
    };
    let spans =
        || vec![foreign(1, None), foreign(2, Some("-32602")), foreign(3, Some("tool_error"))];
    let told = operations(Count::Client, "mcp-sdk", spans());
    let outcomes: Vec<Outcome> = told.into_iter().map(|(_, outcome, _)| outcome).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::ClientError, Outcome::ToolError]);
    assert_eq!(operations(Count::Tap, "mcp-sdk", spans()), []);
}

#[tokio::test(start_paused = true)]
async fn counts_outlast_the_process_and_are_shared_by_all_that_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("slo.state");
    let yaml = format!(
        "{{state_file: '{}', slos: [{{name: errors, metric: error_rate, target: 1%}}]}}",
        file.display()
    );
    let (one, other) = (Process::new(), Process::new());
    let slo = [one.build(&yaml), other.build(&yaml)];
    accept(&*slo[0], failures(1..6));
    accept(&*slo[1], failures(101..106));
    one.pass(30).await;
    other.pass(30).await;
    slo[0].finish(START);
    assert_eq!(one.alerts().len(), 2, "five of them are enough for tickets alone");
    slo[1].finish(START);
    // The third begins with the calls of both.
    let third = Process::new();
    let slo = third.build(&yaml);
    third.pass(30).await;
    slo.tick(START);
    let told = third.alerts();
    assert!(
        told.iter().any(|(state, rule, _)| state == "firing" && rule == "page_fast"),
        "{told:?}"
    );
    assert_eq!(third.value("mcpcol_slo_events"), 0, "counters are each process's own");
    slo.finish(START);
    // What was told before a restart is not told again.
    let fourth = Process::new();
    let slo = fourth.build(&yaml);
    fourth.pass(30).await;
    slo.tick(START);
    assert_eq!(fourth.alerts(), []);
    assert_eq!(fourth.value("mcpcol_slo_alert_state"), 8);
    assert_eq!(fourth.value("mcpcol_slo_state_reset"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_is_said_and_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("slo.state");
    std::fs::write(&file, "mcpcol-slo 1 0000\n{}").unwrap();
    let yaml =
        format!("{{state_file: '{}', slos: [{{metric: error_rate, target: 1%}}]}}", file.display());
    let process = Process::new();
    let slo = process.build(&yaml);
    assert_eq!(process.value("mcpcol_slo_state_reset"), 1);
    accept(&*slo, failures(1..3));
    slo.finish(START);
    assert!(file.with_extension("state.unreadable").exists());
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(
        written.starts_with("mcpcol-slo 1 ") && written.contains("\"buckets\":[["),
        "{written}"
    );
}
