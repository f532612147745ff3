//! Operations: calls of tools as objectives count them, of spans of which one operation may have several.
//!
//! A call that is answered by a question (`input_required`) goes on in another call, its next leg; one that is answered
//! by a task goes on in looks at it. Spans of taps link these to the first call. What is shown is the end: the outcome
//! of the last leg with the times of all legs together, without the time that people took in between; the first end of
//! a task that a look at it tells, with the time since the call. It judges nothing.

use std::collections::HashMap;

use crate::calls::{Call, Count, Once};
use crate::otlp::wire::view::Item;
use crate::slo::judge::Outcome;
use crate::telemetry::names::{LINK, TASK_STATUS};
use crate::telemetry::{Nanos, PeerKeys, SpanKey};

/// The most operations that are remembered while they go on, twice: those that were begun before are forgotten.
const REMEMBERED: usize = 8192;
/// The longest name of a tool that is remembered with a task, in bytes.
const MAX_TOOL: usize = 256;

/// An operation that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// The server's name.
    pub server: &'a str,
    /// The tool's name.
    pub tool: &'a str,
    /// The server has listed such a tool, as far as is known.
    pub listed: bool,
    /// Says how it ended.
    pub outcome: Outcome,
    /// Says when it ended, in nanoseconds since the epoch.
    pub end: Nanos,
    /// Says how long it took, in nanoseconds.
    pub took: Nanos,
}

/// Says why a call of a tool is not counted, whatever the objectives say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    /// It was told before.
    Repeated,
    /// It may have ended in another way than it says.
    Doubtful,
    /// Its outcome is one that this version does not know.
    Unknown,
}

impl Skipped {
    /// Every reason.
    pub const ALL: [Skipped; 3] = [Skipped::Repeated, Skipped::Doubtful, Skipped::Unknown];

    /// Gives its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Skipped::Repeated => "repeated",
            Skipped::Doubtful => "doubtful",
            Skipped::Unknown => "unknown_outcome",
        }
    }
}

/// Reads operations, one span after the other, in the order in which they ended.
#[derive(Debug)]
pub struct Operations {
    count: Count,
    once: Once,
    young: HashMap<SpanKey, Begun, PeerKeys>,
    old: HashMap<SpanKey, Begun, PeerKeys>,
}

/// An operation that goes on, by its first call.
#[derive(Clone, Debug)]
struct Begun {
    tool: String,
    start: Nanos,
    /// The time of its legs so far.
    took: Nanos,
}

impl Operations {
    /// Begins with none, of the calls that `count` says; so many calls at least are remembered, so that none counts
    /// twice.
    pub fn new(count: Count, remembered: usize) -> Self {
        let (young, old) = (HashMap::default(), HashMap::default());
        Operations { count, once: Once::of(remembered), young, old }
    }

    /// Shows the operation that ends in a span, or why it does not count, if any does.
    pub fn read(&mut self, item: &Item<'_>, mut show: impl FnMut(Result<Operation<'_>, Skipped>)) {
        let Some(call) = Call::of(item, self.count) else { return };
        let is_task = call.method.starts_with("tasks/");
        if call.by_server || !(is_task || call.method == "tools/call") {
            return;
        }
        if !self.once.is_first(&call) {
            return show(Err(Skipped::Repeated));
        }
        if is_task {
            self.look(&call, item, &mut show);
        } else {
            self.call(&call, item, &mut show);
        }
    }

    fn call(
        &mut self,
        call: &Call<'_>,
        item: &Item<'_>,
        show: &mut impl FnMut(Result<Operation<'_>, Skipped>),
    ) {
        let Some(outcome) = outcome(call, self.count) else { return show(Err(Skipped::Unknown)) };
        let first = self.earlier(item, "retry");
        let begun = first.and_then(|first| self.take(&first));
        if outcome == Outcome::InputRequired {
            let known = begun.unwrap_or_else(|| Begun {
                tool: call.tool[..call.tool.floor_char_boundary(MAX_TOOL)].to_owned(),
                start: call.start,
                took: 0,
            });
            let took = known.took.saturating_add(call.duration());
            self.remember(first.unwrap_or((call.trace, call.span)), Begun { took, ..known });
            return;
        }
        if call.doubtful {
            return show(Err(Skipped::Doubtful));
        }
        let before = begun.map_or(0, |begun| begun.took);
        show(Ok(Operation {
            server: call.server,
            tool: call.tool,
            listed: !(call.is_error() && item.own.span(|_, _| {}).name == call.method),
            outcome,
            end: call.end,
            took: call.duration().saturating_add(before),
        }));
    }

    /// A look at a task.
    fn look(
        &mut self,
        call: &Call<'_>,
        item: &Item<'_>,
        show: &mut impl FnMut(Result<Operation<'_>, Skipped>),
    ) {
        let status = item.own.attribute(TASK_STATUS).and_then(|status| status.text());
        let told = outcome(call, self.count);
        let outcome = match (status.unwrap_or_default(), told) {
            ("completed", Some(told)) => told,
            ("failed", None | Some(Outcome::Ok)) => Outcome::ProtocolError,
            ("failed", Some(told)) => told,
            ("cancelled", _) => Outcome::Cancelled,
            // It waits for the end, and is the result of the call.
            ("", Some(told @ (Outcome::Ok | Outcome::ToolError | Outcome::ProtocolError)))
                if call.method == "tasks/result" =>
            {
                told
            }
            _ => return,
        };
        let Some(first) = self.earlier(item, "task") else { return };
        if call.doubtful {
            return;
        }
        let Some(begun) = self.take(&first) else { return };
        show(Ok(Operation {
            server: call.server,
            tool: &begun.tool,
            listed: true,
            outcome,
            end: call.end,
            took: call.end.saturating_sub(begun.start),
        }));
    }

    /// Finds the call that a span links to for that reason, if any operation goes on at all.
    fn earlier(&self, item: &Item<'_>, why: &str) -> Option<SpanKey> {
        if self.young.is_empty() && self.old.is_empty() {
            return None;
        }
        let mut found = None;
        item.own.each_link(|link| {
            if link.attribute(LINK).and_then(|link| link.text()) == Some(why) {
                let (trace, span) = link.ids();
                found = trace.try_into().ok().zip(span.try_into().ok());
            }
        });
        found
    }

    fn take(&mut self, first: &SpanKey) -> Option<Begun> {
        self.young.remove(first).or_else(|| self.old.remove(first))
    }

    fn remember(&mut self, first: SpanKey, begun: Begun) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(first, begun);
    }
}

/// Reads how a call ended; `None` of an outcome from a version to come.
fn outcome(call: &Call<'_>, count: Count) -> Option<Outcome> {
    match count {
        Count::Tap => Outcome::parse(call.outcome()),
        Count::Client | Count::Server if call.outcome.is_empty() => {
            Some(call.error_class().map_or(Outcome::Ok, Outcome::of_error))
        }
        Count::Client | Count::Server => Outcome::parse(call.outcome),
    }
}
