//! The state machine of the `mcp` room as this tap's observer drives it, and its books as counters.

use std::sync::Arc;

use super::{Config, Direction, Notifications, Observe, SpanKind, Trace, Unsampled};
use crate::mcp::{self, Counts, Identity, ServiceName, Session, Settings, TraceContext, Transport};
use crate::pipeline::books::DROPPED;
use crate::pipeline::{Build, Counter};
use crate::telemetry::{Content, Nanos, Telemetry};

/// One observed connection.
pub(super) struct Watch {
    session: Session,
    counters: Vec<Row>,
}

/// A number of [`Counts`] and the counter that follows it.
struct Row {
    of: fn(&Counts) -> u64,
    counter: Counter,
    told: u64,
}

impl Watch {
    /// The session of a child called `server`.
    pub(super) fn new(config: &Config, server: &str, cx: &Build<'_>) -> Self {
        let session_id: [u8; 16] = rand::random();
        let identity = Identity {
            server: server.to_owned(),
            session: session_id.iter().map(|b| format!("{b:02x}")).collect(),
            transport: Transport::Pipe,
            ambient: ambient(),
        };
        let session = Session::new(Arc::new(settings(config)), identity, rand::random());
        Watch { session, counters: counters(cx) }
    }

    fn tell(&mut self) {
        let counts = self.session.counts();
        for row in &mut self.counters {
            let now = (row.of)(&counts);
            row.counter.add(now - row.told);
            row.told = now;
        }
    }
}

/// The context that whoever started us left in the environment, as the OpenTelemetry specification of
/// environment variables as carriers has it.
fn ambient() -> Option<TraceContext> {
    let parent = std::env::var("TRACEPARENT").ok()?;
    let state = std::env::var("TRACESTATE").ok();
    TraceContext::parse(parent.as_bytes(), state.as_deref())
}

fn settings(config: &Config) -> Settings {
    Settings {
        span_kind: match config.span_kind {
            SpanKind::Client => mcp::Perspective::Client,
            SpanKind::Server => mcp::Perspective::Server,
            SpanKind::Internal => mcp::Perspective::Internal,
        },
        service_name: match config.service_name.as_str() {
            "client" => ServiceName::Client,
            "server" => ServiceName::Server,
            text => ServiceName::Fixed(text.to_owned()),
        },
        notifications: match config.notifications {
            Notifications::Off => mcp::Notifications::Off,
            Notifications::Span => mcp::Notifications::Span,
        },
        unsampled: match config.unsampled {
            Unsampled::Drop => mcp::Unsampled::Drop,
            Unsampled::Keep => mcp::Unsampled::Keep,
        },
        trace: match config.trace {
            Trace::Request => mcp::Traces::Request,
            Trace::Session => mcp::Traces::Session,
        },
        cancelled_is_error: config.cancelled_is_error,
        max_message_bytes: config.max_message_bytes,
        ..Settings::default()
    }
}

/// What the session counts, by the name it has outside.
fn counters(cx: &Build<'_>) -> Vec<Row> {
    let id = cx.id.to_string();
    let row = |of, name: &'static str, labels: &[(&'static str, &str)]| Row {
        of,
        counter: cx.vitals.counter(name, labels),
        told: 0,
    };
    let seen =
        |of, kind: &str| row(of, "mcpcol_mcp_messages", &[("receiver", &id), ("kind", kind)]);
    let odd = |of, kind: &str| row(of, "mcpcol_mcp_oddities", &[("receiver", &id), ("kind", kind)]);
    let lost = |of, reason: &str| {
        row(of, DROPPED, &[("kind", "receiver"), ("component", &id), ("reason", reason)])
    };
    vec![
        seen(|c| c.requests, "request"),
        seen(|c| c.notifications, "notification"),
        seen(|c| c.answers, "answer"),
        odd(|c| c.junk, "junk"),
        odd(|c| c.not_rpc, "not_rpc"),
        odd(|c| c.orphans, "orphan_answer"),
        odd(|c| c.late, "late_answer"),
        odd(|c| c.duplicate_ids, "duplicate_id"),
        odd(|c| c.cancels_unknown, "cancel_of_unknown"),
        odd(|c| c.bad_traceparents, "bad_traceparent"),
        odd(|c| c.events_dropped, "event_dropped"),
        odd(|c| c.content_dropped, "content_dropped"),
        odd(|c| c.cut, "cut"),
        lost(|c| c.dropped.gap, "gap"),
        lost(|c| c.dropped.unreadable, "unreadable"),
        lost(|c| c.dropped.overflow, "overflow"),
        lost(|c| c.dropped.unsampled, "unsampled"),
    ]
}

impl Observe for Watch {
    fn bytes(&mut self, direction: Direction, chunk: &[u8], now: Nanos) {
        self.session.bytes(direction, chunk, now);
    }

    fn cut(&mut self, direction: Direction, skipped: u64, tail: &[u8], now: Nanos) {
        self.session.cut(direction, skipped, tail, now);
    }

    fn gap(&mut self, direction: Direction, bytes: u64, lines: u64, now: Nanos) {
        self.session.gap(direction, bytes, lines, now);
    }

    fn skip(&mut self, direction: Direction, skipped: u64, tail: &[u8]) {
        self.session.skip(direction, skipped, tail);
    }

    fn left(&mut self, sender: Direction) {
        self.session.left(sender);
    }

    fn eof(&mut self, direction: Direction, now: Nanos) {
        self.session.eof(direction, now);
    }

    fn tick(&mut self, now: Nanos) {
        self.session.tick(now);
    }

    fn end(&mut self, now: Nanos) {
        self.session.end(now);
        self.tell();
    }

    fn ready(&self) -> usize {
        self.session.ready()
    }

    fn take(&mut self) -> Option<(Telemetry, Content)> {
        self.tell();
        self.session.take()
    }
}
