//! Checks what every tap is told about observing, and makes settings of the state machine of it.

use std::time::Duration;

use super::{CaptureSettings, Passback, Propagate};
use crate::mcp::{
    Notifications, Parent, Perspective, ServiceName, Settings, TraceContext, Traces, Unsampled,
};
use crate::pipeline::surroundings;
use crate::settings::Report;

/// The smallest queue: a few full reads of both directions.
const MIN_QUEUE: usize = 256 * 1024;
/// The shortest observation limit: an envelope with its `_meta` fits.
const MIN_MESSAGE: usize = 4 * 1024;

/// The longest name of a server, in characters: it labels every metric.
pub(in crate::receivers) const MAX_NAME: usize = 128;

/// `service_name` unless written.
pub(in crate::receivers) const SERVICE_NAME: &str = "mcpcol";

/// Says whether `name` may be a server's name.
pub fn usable_name(name: &str) -> bool {
    !name.is_empty() && name.chars().count() <= MAX_NAME && !name.contains("://")
}

/// Gathers what a tap's settings say about observing. They stay flat: each tap has its own `Config`.
pub(in crate::receivers) struct Observing<'a> {
    pub(in crate::receivers) max_message_bytes: usize,
    pub(in crate::receivers) queue_size: usize,
    pub(in crate::receivers) request_timeout: Duration,
    pub(in crate::receivers) pending_after: Duration,
    pub(in crate::receivers) span_kind: Perspective,
    pub(in crate::receivers) notifications: Notifications,
    pub(in crate::receivers) parent: Parent,
    pub(in crate::receivers) unsampled: Unsampled,
    pub(in crate::receivers) cancelled_is_error: bool,
    pub(in crate::receivers) service_name: &'a str,
    pub(in crate::receivers) trace: Traces,
    pub(in crate::receivers) propagate: Propagate,
    pub(in crate::receivers) passback: &'a Passback,
    pub(in crate::receivers) capture: &'a CaptureSettings,
}

impl Observing<'_> {
    /// Reports what is wrong with them.
    pub(in crate::receivers) fn check(&self, report: &mut Report<'_>) {
        if self.service_name.is_empty() {
            report.error("service_name", "must be `client`, `server` or any other text");
        }
        if self.queue_size < MIN_QUEUE {
            report.error("queue_size", format!("must be at least {MIN_QUEUE}"));
        }
        if self.max_message_bytes < MIN_MESSAGE {
            report.error("max_message_bytes", format!("must be at least {MIN_MESSAGE}"));
        }
        if self.max_message_bytes > self.queue_size / 2 {
            report.error("max_message_bytes", "must be at most half of queue_size");
        }
        if self.request_timeout.is_zero() {
            let message =
                "must be more than 0: requests that nobody answers would be kept for good";
            report.error("request_timeout", message);
        }
        if self.propagate == Propagate::Inject && self.trace == Traces::Session {
            let message = "`session` does not hold for what `propagate: inject` touches: what is not in \
                           its caller's trace begins one of its own";
            report.warn("trace", message);
        }
        if self.parent != Parent::Meta && self.unsampled == Unsampled::Keep {
            report.warn(
                "unsampled",
                "does nothing without `parent: meta`: all traces are the tap's own",
            );
        }
        self.passback.check(report);
        self.capture.check(report);
    }

    /// Returns what they mean to the state machine.
    pub(in crate::receivers) fn settings(&self) -> Settings {
        Settings {
            resource: surroundings().to_vec(),
            span_kind: self.span_kind,
            service_name: match self.service_name {
                "client" => ServiceName::Client,
                "server" => ServiceName::Server,
                text => ServiceName::Fixed(text.to_owned()),
            },
            notifications: self.notifications,
            parent: self.parent,
            unsampled: self.unsampled,
            trace: self.trace,
            cancelled_is_error: self.cancelled_is_error,
            max_message_bytes: self.max_message_bytes,
            request_timeout: self.request_timeout,
            pending_after: self.pending_after,
            passback: self.passback.settings(),
            capture: self.capture.rules(),
            log_messages: self.capture.log_messages(),
            ..Settings::default()
        }
    }
}

/// The context that whoever started us left in the environment, as the OpenTelemetry specification of
/// environment variables as carriers has it.
pub(in crate::receivers) fn ambient() -> Option<TraceContext> {
    let parent = std::env::var("TRACEPARENT").ok()?;
    let state = std::env::var("TRACESTATE").ok();
    TraceContext::parse(parent.as_bytes(), state.as_deref())
}
