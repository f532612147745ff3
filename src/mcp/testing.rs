//! Finished spans taken apart, for the tests of this room.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::Hidden;
use crate::otlp::Messages;
use crate::telemetry::{Clock, Content, Nanos, Offset, Seen, Telemetry, names};

/// A finished span, taken apart.
pub(super) struct Done {
    pub(super) span: Span,
    pub(super) seen: Seen,
    /// It is for exporters, too.
    pub(super) sampled: bool,
    attributes: BTreeMap<String, String>,
}

impl Done {
    /// All spans of what a tap put out, in order.
    pub(super) fn all(taken: Vec<(Telemetry, Content)>) -> Vec<Done> {
        taken.into_iter().flat_map(Done::each).collect()
    }

    fn each((telemetry, content): (Telemetry, Content)) -> Vec<Done> {
        let Messages::Traces(all) = telemetry.messages() else { panic!("a tap makes spans") };
        let spans = all.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
        let done = spans
            .map(|span| Done {
                attributes: span.attributes.iter().map(|a| (a.key.clone(), text(a))).collect(),
                sampled: telemetry.sampled(),
                seen: content.of(&span.trace_id, &span.span_id).cloned().unwrap_or_default(),
                span: span.clone(),
            })
            .collect::<Vec<_>>();
        for done in &done {
            let by = done.get(names::CANCELLED_BY);
            assert_eq!(done.outcome() == "cancelled", !by.is_empty(), "{}", done.span.name);
        }
        done
    }

    pub(super) fn get(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", |v| v)
    }

    pub(super) fn outcome(&self) -> &str {
        self.get(names::OUTCOME)
    }

    pub(super) fn error(&self) -> &str {
        self.get(names::ERROR_TYPE)
    }

    pub(super) fn is_error(&self) -> bool {
        let status = self.span.status.as_ref().unwrap();
        assert_eq!(status.message, "");
        assert_eq!(status.code == 2, !self.error().is_empty());
        status.code == 2
    }
}

/// Adds the version to all answers of a text, unless there is one somewhere in it: answers without
/// are none, and in most tests only the rest matters.
pub(super) fn versioned(text: &str) -> String {
    let answers = text.contains("\"result\":") || text.contains("\"error\":");
    if text.contains("jsonrpc") || !answers {
        return text.to_owned();
    }
    let keys = ["id", "result", "error"];
    let first = keys.iter().find(|key| text.contains(&format!("{{\"{key}\":"))).copied();
    let first = format!("{{\"{}\":", first.unwrap_or_default());
    text.replace(&first, &first.replace('{', r#"{"jsonrpc":"2.0","#))
}

/// Returns the request id of each span and who cancelled it; nothing for what was not cancelled.
pub(super) fn cancelled(spans: &[Done]) -> Vec<(String, String)> {
    let by = |done: &Done| {
        let id = done.get(names::REQUEST_ID).to_owned();
        (id, done.get(names::CANCELLED_BY).to_owned())
    };
    spans.iter().map(by).collect()
}

/// Gives what stands for task ids.
pub(super) fn hidden() -> Hidden {
    Hidden::by(|id| format!("name of {}", String::from_utf8_lossy(id)))
}

pub(super) fn text(attribute: &KeyValue) -> String {
    match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(s) => s.clone(),
        Value::IntValue(n) => n.to_string(),
        other => format!("{other:?}"),
    }
}

pub(super) fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

/// Gives what is seen of a wall clock that went that many seconds ahead, or back.
pub(super) fn jumped(seconds: i64) -> Offset {
    const BEGUN: Nanos = 1 << 60;
    let shown = Arc::new(AtomicU64::new(BEGUN));
    let wall = Arc::clone(&shown);
    let clock = Clock::reading(move || wall.load(Ordering::Relaxed));
    shown.store(BEGUN.saturating_add_signed(seconds * 1_000_000_000), Ordering::Relaxed);
    clock.look()
}

/// A log record, taken apart.
pub(super) struct Record {
    pub(super) record: LogRecord,
    attributes: BTreeMap<String, String>,
    resource: BTreeMap<String, String>,
}

impl Record {
    /// All records of what a tap put out, in order.
    pub(super) fn all(taken: Vec<(Telemetry, Content)>) -> Vec<Record> {
        taken.iter().flat_map(|(telemetry, _)| Record::each(telemetry)).collect()
    }

    fn each(telemetry: &Telemetry) -> Vec<Record> {
        let Messages::Logs(all) = telemetry.messages() else {
            panic!("log records were asked for")
        };
        let told = |list: &[KeyValue]| list.iter().map(|a| (a.key.clone(), text(a))).collect();
        let mut out = Vec::new();
        for resource in &all {
            let of = resource.resource.as_ref().unwrap();
            for record in resource.scope_logs.iter().flat_map(|s| &s.log_records) {
                let (attributes, resource) = (told(&record.attributes), told(&of.attributes));
                out.push(Record { record: record.clone(), attributes, resource });
            }
        }
        out
    }

    pub(super) fn get(&self, key: &str) -> &str {
        let own = self.attributes.get(key);
        own.or_else(|| self.resource.get(key)).map_or("", |v| v)
    }

    /// The body; `-` if there is none.
    pub(super) fn body(&self) -> &str {
        match self.record.body.as_ref().and_then(|body| body.value.as_ref()) {
            Some(Value::StringValue(text)) => text,
            Some(_) => panic!("bodies are strings"),
            None => "-",
        }
    }

    /// Gives what a finding is about: its kind, who did it, and the detail.
    pub(super) fn finding(&self) -> [&str; 3] {
        assert_eq!(self.record.event_name, names::FINDING);
        assert_eq!(self.record.severity_number, 13);
        [names::FINDING_KIND, names::FINDING_BY, names::FINDING_DETAIL].map(|key| self.get(key))
    }
}
