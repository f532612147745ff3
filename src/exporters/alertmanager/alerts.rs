//! The alerts that fire, as the log records of `slo` tell, and how Alertmanager reads them.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde::Serialize;

use crate::exporters::debug::Timestamp;
use crate::metrics::OVERFLOW;
use crate::otlp::Messages;
use crate::telemetry::names::{
    SERVER_NAME, SLO_ALERT, SLO_BUDGET_REMAINING, SLO_FAILURES_LEFT, SLO_NAME, SLO_OTHERS,
    SLO_RULE, SLO_SEVERITY, SLO_STATE, SLO_SUPPRESSED, TOOL,
};
use crate::telemetry::{Nanos, Telemetry};

/// The most alerts that are kept; of others only the change is posted.
pub(super) const MAX_ALERTS: usize = 1000;
/// Says how long after a post an alert ends by itself, in nanoseconds: four posts may be lost.
const ENDS: Nanos = 240_000_000_000;

/// The labels of an alert, which are its identity.
type Labels = BTreeMap<&'static str, String>;

/// Holds what fires, and since when nothing was told of what does not any more.
#[derive(Debug, Default)]
pub(super) struct Alerts(BTreeMap<Labels, Alert>);

/// An alert as it was told last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alert {
    labels: Labels,
    annotations: BTreeMap<&'static str, String>,
    began: Nanos,
    told: Nanos,
    /// Says when it ended, if it did.
    ended: Option<Nanos>,
}

/// Holds what came of a batch.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Alerts that began, go on or ended.
    pub(super) changed: Vec<Alert>,
    /// Records that are no alerts.
    pub(super) foreign: usize,
    /// Alerts for which there was no room.
    pub(super) no_room: usize,
}

impl Alerts {
    /// Takes what the records of a batch tell. To take it again changes nothing.
    pub(super) fn take(&mut self, telemetry: &Telemetry) -> Taken {
        let mut taken = Taken::default();
        let Messages::Logs(logs) = telemetry.messages() else { return taken };
        let records = logs.iter().flat_map(|l| &l.scope_logs).flat_map(|s| &s.log_records);
        for record in records {
            if record.event_name != SLO_ALERT {
                taken.foreign += 1;
                continue;
            }
            let Some(alert) = Alert::of(record) else { continue };
            let known = self.0.get(&alert.labels);
            if known.is_some_and(|known| known.told > alert.told) {
                // An older record that was sent again.
                continue;
            }
            let began = known.filter(|k| k.ended.is_none()).map_or(alert.began, |k| k.began);
            let alert = Alert { began, ..alert };
            taken.changed.push(alert.clone());
            if known.is_none() && !self.has_room() {
                taken.no_room += 1;
            } else {
                self.0.insert(alert.labels.clone(), alert);
            }
        }
        taken
    }

    /// Makes room among those that ended, if it must.
    fn has_room(&mut self) -> bool {
        if self.0.len() >= MAX_ALERTS {
            self.0.retain(|_, alert| alert.ended.is_none());
        }
        self.0.len() < MAX_ALERTS
    }

    /// Writes all that fire; nothing if none does.
    pub(super) fn firing(&self, now: Nanos) -> Option<Vec<u8>> {
        let firing: Vec<Alert> =
            self.0.values().filter(|alert| alert.ended.is_none()).cloned().collect();
        (!firing.is_empty()).then(|| body(&firing, now))
    }
}

impl Alert {
    /// Reads a record; nothing of one about which nobody is to be told.
    fn of(record: &LogRecord) -> Option<Self> {
        let find = |name: &str| {
            let found = record.attributes.iter().find(|KeyValue { key, .. }| key == name)?;
            found.value.as_ref()?.value.as_ref()
        };
        let text = |name: &str| match find(name) {
            Some(Value::StringValue(text)) if !text.is_empty() => Some(text.clone()),
            Some(Value::BoolValue(true)) => Some("true".to_owned()),
            Some(Value::IntValue(n)) => Some(n.to_string()),
            Some(Value::DoubleValue(n)) => Some(n.to_string()),
            _ => None,
        };
        let told = record.time_unix_nano;
        let ended = match text(SLO_STATE)?.as_str() {
            _ if text(SLO_SUPPRESSED).is_some() => return None,
            "firing" => None,
            "resolved" => Some(told),
            _ => return None,
        };
        let severity = text(SLO_SEVERITY)?;
        let name = if severity == "page" { "McpSloPage" } else { "McpSloTicket" };
        let labels = [
            ("alertname", Some(name.to_owned())),
            ("severity", Some(severity)),
            ("slo", Some(text(SLO_NAME)?)),
            ("rule", text(SLO_RULE)),
            ("server", text(SERVER_NAME)),
            ("tool", text(TOOL)),
            (OVERFLOW_LABEL, text(SLO_OTHERS)),
        ];
        let body = record.body.as_ref().and_then(|body| match &body.value {
            Some(Value::StringValue(text)) => Some(text.clone()),
            _ => None,
        });
        let annotations = [
            ("summary", body),
            ("budget_remaining", text(SLO_BUDGET_REMAINING)),
            ("failures_left", text(SLO_FAILURES_LEFT)),
        ];
        let all = |pairs: Vec<(&'static str, Option<String>)>| {
            pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
        };
        let (labels, annotations) = (all(labels.into()), all(annotations.into()));
        Some(Alert { labels, annotations, began: told, told, ended })
    }
}

/// Names what `otel.metric.overflow` is called in Prometheus.
const OVERFLOW_LABEL: &str = "otel_metric_overflow";
const _: () = assert!(OVERFLOW.0.len() == OVERFLOW_LABEL.len());

/// Holds what `POST /api/v2/alerts` takes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    labels: &'a Labels,
    annotations: &'a BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: String,
}

/// Writes alerts.
pub(super) fn body(alerts: &[Alert], now: Nanos) -> Vec<u8> {
    let posted: Vec<Posted<'_>> = alerts
        .iter()
        .map(|alert| Posted {
            labels: &alert.labels,
            annotations: &alert.annotations,
            starts_at: Timestamp(alert.began).to_string(),
            ends_at: Timestamp(alert.ended.unwrap_or(now + ENDS)).to_string(),
        })
        .collect();
    serde_json::to_vec(&posted).unwrap_or_default()
}
