//! Tells of an alert that changed: as a line of the log, and as a log record of OTLP.

use crate::otlp::wire::compose::{LogRecord, Value};
use crate::slo::alert::{Change, Reason};
use crate::slo::engine::Key;
use crate::slo::objective::{Objective, Series, Transition};
use crate::slo::rules::Severity;
use crate::slo::words;
use crate::telemetry::Nanos;
use crate::telemetry::names::{
    SERVER_NAME, SLO_AGAIN, SLO_ALERT, SLO_BAD, SLO_BUDGET_REMAINING, SLO_BURN_RATE, SLO_EVENTS,
    SLO_FAILURES_LEFT, SLO_NAME, SLO_OTHERS, SLO_REASON, SLO_RULE, SLO_SEVERITY,
    SLO_SHORT_BURN_RATE, SLO_STATE, SLO_SUPPRESSED, SLO_THRESHOLD, SLO_WINDOW, TOOL,
};

/// An alert that changed, with all that is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Name of the objective.
    pub slo: String,
    /// Says whose calls it is about.
    pub key: Key,
    /// Name of the rule.
    pub rule: String,
    /// Says how urgent it is.
    pub severity: Severity,
    /// Holds what changed.
    pub transition: Transition,
    /// The rule's long window, in words.
    pub window: String,
    /// Says how many times as fast as allowed the budget burned in the rule's long and short window; nothing without
    /// calls.
    pub burn: [Option<f64>; 2],
    /// From which burn on it fires.
    pub threshold: f64,
    /// The part of the budget that is left, and after how many more bad calls it is gone.
    pub left: (f64, u64),
    /// All of that in plain words, in one line.
    pub body: String,
}

/// Numbers of OTLP's severities.
const ERROR: u8 = 17;
const WARN: u8 = 13;
const INFO: u8 = 9;

impl Notice {
    /// Makes what is told of a change of a series.
    pub fn new(of: &Objective, key: &Key, series: Option<&Series>, transition: Transition) -> Self {
        let rule = &of.rules[transition.rule];
        let whole = series.map(|series| series.whole(of)).unwrap_or_default();
        let left = (of.budget_left(whole), of.failures_left(whole));
        let burn = [transition.windows.long, transition.windows.short].map(|n| n.burn(of.budget));
        Notice {
            slo: of.name.clone(),
            key: key.clone(),
            rule: rule.id.clone(),
            severity: rule.severity,
            window: words::exact(rule.long),
            burn,
            threshold: of.threshold(transition.rule).factor(of.budget),
            left,
            body: words::alert(of, key, &transition, left),
            transition,
        }
    }

    /// Names what the alert changed to.
    pub fn state(&self) -> &'static str {
        match self.transition.change {
            Change::Pending => "pending",
            Change::Firing => "firing",
            Change::Inactive => "inactive",
            Change::Resolved(_) => "resolved",
        }
    }

    /// Names why it ended, if it did.
    pub fn reason(&self) -> Option<&'static str> {
        match self.transition.change {
            Change::Resolved(reason) => Some(Reason::name(reason)),
            _ => None,
        }
    }

    /// Writes a line of the log: what has to be told as a warning, and the rest for who looks closer.
    pub(super) fn log(&self) {
        let Notice { slo, rule, body, .. } = self;
        let kept_back = self.transition.suppressed;
        match self.transition.change {
            Change::Firing if !kept_back => tracing::warn!(%slo, %rule, "{body}"),
            Change::Resolved(_) if !kept_back => tracing::info!(%slo, %rule, "{body}"),
            _ => tracing::debug!(%slo, %rule, kept_back, "{body}"),
        }
    }

    /// Writes a log record.
    pub(super) fn write(&self, out: &mut LogRecord<'_>, now: Nanos) {
        let Notice { transition, burn: [long, short], left, .. } = self;
        let (number, text) = match (transition.change, self.severity) {
            (Change::Firing, _) if transition.suppressed => (INFO, "INFO"),
            (Change::Firing, Severity::Page) => (ERROR, "ERROR"),
            (Change::Firing, Severity::Ticket) => (WARN, "WARN"),
            _ => (INFO, "INFO"),
        };
        out.time(now);
        out.observed(now);
        out.severity(number, text);
        out.event_name(SLO_ALERT);
        out.body(&self.body);
        let count = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        out.attribute(SLO_NAME, Value::Text(&self.slo));
        let names = [(SERVER_NAME, &self.key.server), (TOOL, &self.key.tool)];
        for (attribute, name) in names {
            if let Some(name) = name {
                out.attribute(attribute, Value::Text(name));
            }
        }
        if self.key.others {
            out.attribute(SLO_OTHERS, Value::Bool(true));
        }
        out.attribute(SLO_RULE, Value::Text(&self.rule));
        out.attribute(SLO_SEVERITY, Value::Text(self.severity.name()));
        out.attribute(SLO_STATE, Value::Text(self.state()));
        if let Some(reason) = self.reason() {
            out.attribute(SLO_REASON, Value::Text(reason));
        }
        out.attribute(SLO_SUPPRESSED, Value::Bool(transition.suppressed));
        out.attribute(SLO_AGAIN, Value::Bool(transition.again));
        out.attribute(SLO_WINDOW, Value::Text(&self.window));
        out.attribute(SLO_EVENTS, count(transition.windows.long.total));
        out.attribute(SLO_BAD, count(transition.windows.long.bad));
        for (attribute, burn) in [(SLO_BURN_RATE, long), (SLO_SHORT_BURN_RATE, short)] {
            if let Some(burn) = burn {
                out.attribute(attribute, Value::Double(*burn));
            }
        }
        out.attribute(SLO_THRESHOLD, Value::Double(self.threshold));
        out.attribute(SLO_BUDGET_REMAINING, Value::Double(left.0));
        out.attribute(SLO_FAILURES_LEFT, count(left.1));
    }
}
