//! Records in, requests out; the client itself has tests of its own.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use serde_json::{Value as Json, json};

use super::*;
use crate::otlp::Messages;
use crate::telemetry::names::*;

const SECOND: Nanos = 1_000_000_000;

fn record(rule: &str, state: &str, suppressed: bool, at: Nanos) -> LogRecord {
    let text = |key: &str, value: &str| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.into())) }),
        ..KeyValue::default()
    };
    let mut attributes = vec![
        text(SLO_NAME, "errors"),
        text(TOOL, "read_file"),
        text(SLO_RULE, rule),
        text(SLO_SEVERITY, if rule.starts_with("page") { "page" } else { "ticket" }),
        text(SLO_STATE, state),
    ];
    attributes.push(KeyValue {
        key: SLO_SUPPRESSED.into(),
        value: Some(AnyValue { value: Some(Value::BoolValue(suppressed)) }),
        ..KeyValue::default()
    });
    LogRecord {
        time_unix_nano: at,
        event_name: SLO_ALERT.into(),
        body: Some(AnyValue { value: Some(Value::StringValue(format!("{rule} {state}"))) }),
        attributes,
        ..LogRecord::default()
    }
}

fn logs(log_records: Vec<LogRecord>) -> Telemetry {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    Messages::Logs(vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }]).into()
}

fn read(body: &[u8]) -> Json {
    serde_json::from_slice(body).unwrap()
}

#[test]
fn what_fires_ends_in_four_minutes_unless_it_is_posted_again_and_what_ended_has_ended() {
    let mut alerts = Alerts::default();
    let began = 1_796_122_010 * SECOND;
    let taken = alerts.take(&logs(vec![record("page_fast", "firing", false, began)]));
    let labels = json!({
        "alertname": "McpSloPage", "severity": "page", "slo": "errors", "rule": "page_fast",
        "tool": "read_file",
    });
    let expected = json!([{
        "labels": labels, "annotations": { "summary": "page_fast firing" },
        "startsAt": "2026-12-01T10:46:50.000000000Z", "endsAt": "2026-12-01T10:50:50.000000000Z",
    }]);
    assert_eq!(read(&alerts::body(&taken.changed, began)), expected);
    // Told again after four hours: it began when it began.
    alerts.take(&logs(vec![record("page_fast", "firing", false, began + 14_400 * SECOND)]));
    let firing = read(&alerts.firing(began + 60 * SECOND).unwrap());
    assert_eq!(firing[0]["startsAt"], "2026-12-01T10:46:50.000000000Z");
    assert_eq!(firing[0]["endsAt"], "2026-12-01T10:51:50.000000000Z");
    let ended = began + 15_000 * SECOND;
    let taken = alerts.take(&logs(vec![record("page_fast", "resolved", false, ended)]));
    let body = read(&alerts::body(&taken.changed, ended + SECOND));
    assert_eq!(body[0]["labels"], labels);
    assert_eq!(body[0]["endsAt"], "2026-12-01T14:56:50.000000000Z");
    assert_eq!(alerts.firing(ended), None);
}

#[test]
fn only_what_somebody_is_to_be_told_is_posted() {
    let mut alerts = Alerts::default();
    let taken = alerts.take(&logs(vec![
        record("ticket_fast", "firing", true, 1),
        record("page_fast", "pending", false, 1),
        LogRecord::default(),
    ]));
    assert_eq!((taken.changed.len(), taken.foreign), (0, 1));
    assert_eq!(alerts.firing(1), None);
}

#[test]
fn a_batch_that_comes_again_late_brings_back_nothing() {
    let mut alerts = Alerts::default();
    let begin = logs(vec![record("page_fast", "firing", false, 1)]);
    alerts.take(&begin);
    alerts.take(&logs(vec![record("page_fast", "resolved", false, 2)]));
    assert!(alerts.take(&begin).changed.is_empty());
    assert_eq!(alerts.firing(3), None);
}

#[test]
fn no_more_than_a_thousand_are_kept() {
    let mut alerts = Alerts::default();
    for n in 0..MAX_ALERTS + 5 {
        let taken = alerts.take(&logs(vec![record(&format!("page_{n}"), "firing", false, 1)]));
        assert_eq!((taken.changed.len(), taken.no_room), (1, usize::from(n >= MAX_ALERTS)));
    }
    // One that ends makes room.
    alerts.take(&logs(vec![record("page_1", "resolved", false, 2)]));
    assert_eq!(alerts.take(&logs(vec![record("page_new", "firing", false, 3)])).no_room, 0);
    let firing = read(&alerts.firing(1).unwrap());
    assert_eq!(firing.as_array().unwrap().len(), MAX_ALERTS);
}

#[test]
fn the_address_is_completed() {
    for (endpoint, url) in [
        ("http://localhost:9093", "http://localhost:9093/api/v2/alerts"),
        ("http://localhost:9093/", "http://localhost:9093/api/v2/alerts"),
        ("https://am.example.com/prefix/", "https://am.example.com/prefix/api/v2/alerts"),
        ("http://localhost:9093/api/v2/alerts", "http://localhost:9093/api/v2/alerts"),
    ] {
        let config = Config { endpoint: endpoint.to_owned(), ..Config::default() };
        assert_eq!(config.url().unwrap().to_string(), url);
    }
    let said = |settings| crate::exporters::problems::<Config>(settings);
    assert!(said(json!({})).iter().any(|p| p.contains("endpoint: is required")));
    let gzip = json!({ "endpoint": "http://localhost:9093", "compression": "gzip" });
    assert!(said(gzip)[0].contains("takes no compressed requests"));
}
