//! Writes the log record of a call that waits long for its answer.

use std::borrow::Cow;

use crate::mcp::call::{Call, Subject};
use crate::telemetry::Nanos;

const SECOND: Nanos = 1_000_000_000;

/// A call that waits.
#[derive(Debug)]
pub(in crate::mcp) struct Pending {
    pub(super) method: Cow<'static, str>,
    pub(super) tool: Option<String>,
    /// Says how long it has waited.
    pub(super) seconds: u64,
    /// Says how long ago its server last told of progress, if it did.
    progress: Option<u64>,
}

impl Pending {
    /// Tells of `call` as it is at `now`.
    pub(in crate::mcp) fn of(call: &Call, now: Nanos) -> Self {
        let seconds = |since: Nanos| now.saturating_sub(since) / SECOND;
        let tool = if let Subject::Tool(tool) = &call.subject { Some(tool.clone()) } else { None };
        let progress = (call.alive > call.start).then(|| seconds(call.alive));
        Pending { method: call.method.clone(), tool, seconds: seconds(call.start), progress }
    }

    /// Says it in words: the body of the record.
    pub(super) fn words(&self) -> String {
        let waited = format!("no answer after {} s", self.seconds);
        match self.progress {
            Some(ago) => format!("{waited}, last progress {ago} s ago"),
            None => waited,
        }
    }
}
