//! What the demo's server tells of the inside of a call, if it is asked (SEP-2448): a root below the
//! caller's span, and its steps below the root.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// The spans of one call.
pub(super) struct Telemetry {
    /// Trace and span of the caller; absent if nobody wants spans.
    caller: Option<(String, String)>,
    tool: &'static str,
    root: String,
    begun: u64,
    steps: Vec<Value>,
}

impl Telemetry {
    /// Begins a call of `tool` with that `_meta`.
    pub(super) fn of(meta: &Value, tool: &'static str) -> Self {
        let asked = meta["otel"]["traces"]["request"] == json!(true);
        let caller = meta["traceparent"].as_str().filter(|_| asked).and_then(|context| {
            let mut parts = context.split('-').skip(1).map(str::to_owned);
            Some((parts.next()?, parts.next()?))
        });
        let root = id();
        Telemetry { caller, tool, root, begun: now(), steps: Vec::new() }
    }

    /// The time, for [`step`](Self::step).
    pub(super) fn now(&self) -> u64 {
        now()
    }

    /// A step that began at `begun` is over.
    pub(super) fn step(&mut self, name: &str, begun: u64) {
        if let Some((trace, _)) = &self.caller {
            self.steps.push(span(trace, &id(), &self.root, name, 1, begun));
        }
    }

    /// The call is over: its spans, children first, if they are wanted.
    pub(super) fn hand_back(mut self) -> Option<Value> {
        let (trace, caller) = self.caller?;
        let name = format!("tools/call {}", self.tool);
        self.steps.push(span(&trace, &self.root, &caller, &name, 2, self.begun));
        let service = json!({"key": "service.name", "value": {"stringValue": "demo-files"}});
        Some(json!({"resourceSpans": [{
            "resource": {"attributes": [service]},
            "scopeSpans": [{"scope": {"name": "demo-server"}, "spans": self.steps}],
        }]}))
    }
}

fn span(trace: &str, id: &str, parent: &str, name: &str, kind: u8, begun: u64) -> Value {
    json!({
        "traceId": trace, "spanId": id, "parentSpanId": parent, "name": name, "kind": kind,
        "startTimeUnixNano": begun.to_string(), "endTimeUnixNano": now().to_string(),
    })
}

fn id() -> String {
    format!("{:016x}", rand::random_range(1..=u64::MAX))
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
