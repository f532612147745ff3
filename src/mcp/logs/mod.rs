//! The log records of one tap: what a server logs, by its stderr or by MCP, what clients and servers do wrong on the
//! wire, and calls that wait long.
//!
//! They wait here until they are taken, and here are their bounds: the length of a body, and how many come a
//! second. What belongs to a session or call is told by whoever adds one. Nothing is made while nobody wants
//! records. Bodies are content: a redaction has to stand behind the tap.

mod key;
mod pending;
mod rate;
mod text;

use std::sync::Arc;

use super::call::Named;
use super::span::{Server, resource, scope};
use super::{Finding, SessionName, Settings, SpanRef};
use crate::otlp::wire::compose::{LogRecord, LogRecords, Logs, Value};
use crate::telemetry::{CallSecrets, Content, Nanos, Telemetry, names};

use self::key::KeyLines;
pub(super) use self::pending::Pending;
use self::rate::{Rate, Told};
pub(super) use self::text::logger;

/// The longest body, in bytes.
pub const MAX_BODY: usize = 64 << 10;
/// The longest name of a logger, in bytes.
pub(super) const MAX_LOGGER: usize = 256;
/// Says how many bytes of records weigh as much as one span when it is time to take them.
const WEIGHT: usize = 2048;

/// Counts what became of log records. Everything only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Records put out.
    pub records: u64,
    /// Bodies of them that were cut, or left out because they could not be.
    pub cut: u64,
    /// Records that were not made, because there were too many.
    pub rate: u64,
    /// Lines of stderr that nobody read in time.
    pub gap: u64,
    /// Findings that were summed up in the record of a later one, if one came.
    pub summed: u64,
}

/// A severity: the levels of RFC 5424, and TRACE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Trace,
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl Severity {
    /// The one of an MCP log level.
    pub(super) fn of_level(level: &str) -> Option<Self> {
        Some(match level {
            "debug" => Severity::Debug,
            "info" => Severity::Info,
            "notice" => Severity::Notice,
            "warning" => Severity::Warning,
            "error" => Severity::Error,
            "critical" => Severity::Critical,
            "alert" => Severity::Alert,
            "emergency" => Severity::Emergency,
            _ => return None,
        })
    }

    /// The one of a word by which loggers say it.
    fn of_line(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        Some(match &*word {
            "trace" => Severity::Trace,
            "information" => Severity::Info,
            "warn" => Severity::Warning,
            "err" => Severity::Error,
            "fatal" | "panic" => Severity::Emergency,
            word => return Severity::of_level(word),
        })
    }

    /// Number and text, as OpenTelemetry maps those of syslog (Logs Data Model, appendix B).
    fn told(self) -> (u8, &'static str) {
        match self {
            Severity::Trace => (1, "trace"),
            Severity::Debug => (5, "debug"),
            Severity::Info => (9, "info"),
            Severity::Notice => (10, "notice"),
            Severity::Warning => (13, "warning"),
            Severity::Error => (17, "error"),
            Severity::Critical => (18, "critical"),
            Severity::Alert => (19, "alert"),
            Severity::Emergency => (21, "emergency"),
        }
    }
}

/// Says whose a record is.
pub(super) struct Of<'a> {
    pub(super) settings: &'a Settings,
    pub(super) server: &'a Arc<Server>,
    /// Holds what the service says of itself, where that is a peer.
    pub(super) peer: &'a Named,
    pub(super) session: Option<&'a SessionName>,
    /// The call it belongs to, and the flags of its span.
    pub(super) call: Option<(SpanRef, u8)>,
    /// Secrets that were seen with its session or call.
    pub(super) secrets: CallSecrets,
    /// Now, in steady time and by the wall clock.
    pub(super) now: Nanos,
    pub(super) wall: Nanos,
}

/// Holds what a notification logs, as far as it is kept.
pub(super) struct Logged<'a> {
    pub(super) severity: Option<Severity>,
    pub(super) logger: String,
    pub(super) data: Data<'a>,
}

/// The data of a log notification.
pub(super) enum Data<'a> {
    Absent,
    /// It is too long, or not all of it was observed.
    Withheld,
    /// A string, and whether it goes on beyond what is here.
    Text(&'a str, bool),
    /// Any other value, as its JSON text: redaction looks into it by key.
    Json(&'a str),
}

/// The records that wait to be taken.
#[derive(Debug, Default)]
pub(super) struct LogQueue {
    /// Somebody wants records.
    pub(super) wanted: bool,
    groups: Vec<Group>,
    /// Counts the bytes of the records that wait, and the records.
    bytes: usize,
    records: usize,
    rate: Rate,
    /// Findings are not to be lost in a flood of lines.
    rate_of_findings: Rate,
    told: Told,
    /// Follow private keys in the lines of stderr, and in messages that are one line.
    stderr_keys: KeyLines,
    message_keys: KeyLines,
    /// Counts records that were dropped since the one before.
    unsaid: u64,
    counts: LogCounts,
}

/// Records of one resource, in which the same secrets are searched for.
#[derive(Debug)]
struct Group {
    secrets: CallSecrets,
    server: Arc<Server>,
    peer: Named,
    records: LogRecords,
}

impl LogQueue {
    /// Gives what became of records so far.
    pub(super) fn counts(&self) -> LogCounts {
        self.counts
    }

    /// Says how many spans the records weigh that wait.
    pub(super) fn weight(&self) -> usize {
        self.records.max(self.bytes / WEIGHT)
    }

    /// The records since the last call: those apart in which other secrets are searched for, so that the credentials
    /// of one client hide nothing of another one's.
    pub(super) fn take(&mut self) -> Vec<(Telemetry, Content)> {
        (self.records, self.bytes) = (0, 0);
        let mut parts: Vec<(CallSecrets, Logs)> = Vec::new();
        for Group { secrets, records, .. } in self.groups.drain(..) {
            let at = parts.iter().position(|(known, _)| *known == secrets);
            let at = at.unwrap_or_else(|| {
                parts.push((secrets, Logs::default()));
                parts.len() - 1
            });
            parts[at].1.join(records.finish());
        }
        let told = |(secrets, logs): (_, Logs)| (logs.into(), Content::with_secrets(secrets));
        parts.into_iter().map(told).collect()
    }

    /// Lines of stderr went by that nobody read.
    pub(super) fn missed(&mut self, lines: u64) {
        self.counts.gap += lines;
        self.stderr_keys.lost();
        self.unsaid += lines;
    }

    /// Adds a line of stderr; `more`: it goes on beyond what is here. Blank lines are none.
    pub(super) fn line(&mut self, of: &Of<'_>, line: &[u8], more: bool) {
        if !self.wanted {
            return;
        }
        let line = String::from_utf8_lossy(line);
        let line = text::without_escapes(&line);
        if self.stderr_keys.withhold(&line) {
            return self.withheld();
        }
        if line.trim().is_empty() || !self.passes(of.now) {
            return;
        }
        let (body, cut) = text::bounded(line.trim_end(), more);
        self.add(of, text::said(body), cut, "", |record, _| {
            record.body(body);
            record.attribute(names::IOSTREAM, Value::Text("stderr"));
        });
    }

    /// Adds what a notification logs.
    pub(super) fn message(&mut self, of: &Of<'_>, logged: &Logged<'_>) {
        if !self.wanted {
            return;
        }
        if let Data::Text(text, _) = logged.data
            && self.message_keys.withhold(&text::without_escapes(text))
        {
            return self.withheld();
        }
        if !self.passes(of.now) {
            return;
        }
        let plain;
        let (body, cut) = match logged.data {
            Data::Absent => (None, false),
            Data::Text(text, more) => {
                plain = text::without_escapes(text);
                let (body, cut) = text::bounded(&plain, more);
                (Some(body), cut)
            }
            Data::Json(json) if json.len() <= MAX_BODY => {
                plain = text::without_escapes_in_json(json);
                (Some(&*plain), false)
            }
            // Half of it is no JSON: nobody could tell what stands under a secret name.
            Data::Json(_) | Data::Withheld => (None, true),
        };
        self.add(of, logged.severity, cut, "", |record, _| {
            body.into_iter().for_each(|body| record.body(body));
            record.attribute(names::METHOD, Value::Text("notifications/message"));
            if !logged.logger.is_empty() {
                record.attribute(names::LOGGER, Value::Text(&logged.logger));
            }
        });
    }

    /// Adds a finding about session `number`, unless enough of its kind were told; `detail` must hold no
    /// content.
    pub(super) fn finding(
        &mut self,
        of: &Of<'_>,
        (finding, by): (Finding, &'static str),
        number: u64,
        detail: impl FnOnce() -> String,
    ) {
        if !self.wanted {
            return;
        }
        let Some(count) = self.told.take(finding, number, of.now) else {
            self.counts.summed += 1;
            return;
        };
        if !self.rate_of_findings.lets(of.now) {
            return self.dropped();
        }
        let detail = detail();
        self.add(of, Some(Severity::Warning), false, names::FINDING, |record, int| {
            record.body(finding.words());
            record.attribute(names::FINDING_KIND, Value::Text(finding.name()));
            record.attribute(names::FINDING_BY, Value::Text(by));
            if !detail.is_empty() {
                record.attribute(names::FINDING_DETAIL, Value::Text(&detail));
            }
            record.attribute(names::FINDING_COUNT, int(count));
        });
    }

    /// Adds that a call waits.
    pub(super) fn pending(&mut self, of: &Of<'_>, call: &Pending) {
        if !self.rate_of_findings.lets(of.now) {
            return self.dropped();
        }
        self.add(of, Some(Severity::Warning), false, names::PENDING, |record, int| {
            record.body(&call.words());
            record.attribute(names::METHOD, Value::Text(&call.method));
            if let Some(tool) = &call.tool {
                record.attribute(names::TOOL, Value::Text(tool));
            }
            record.attribute(names::PENDING_SECONDS, int(call.seconds));
        });
    }

    /// A line was part of a key.
    fn withheld(&mut self) {
        self.counts.cut += 1;
        self.unsaid += 1;
    }

    fn passes(&mut self, now: Nanos) -> bool {
        let passes = self.rate.lets(now);
        if !passes {
            self.dropped();
        }
        passes
    }

    fn dropped(&mut self) {
        self.counts.rate += 1;
        self.unsaid += 1;
    }

    /// Adds a record; `write` writes what comes between its severity and what all have.
    fn add(
        &mut self,
        of: &Of<'_>,
        severity: Option<Severity>,
        cut: bool,
        event: &str,
        write: impl FnOnce(&mut LogRecord<'_>, fn(u64) -> Value<'static>),
    ) {
        let int = |n| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let unsaid = std::mem::take(&mut self.unsaid);
        let records = self.group(of);
        let before = records.size();
        records.add(|record| {
            record.time(of.wall);
            let (number, text) = severity.map_or((0, ""), Severity::told);
            record.severity(number, text);
            write(record, int);
            if let Some(session) = of.session.filter(|session| !session.shown.is_empty()) {
                record.attribute(names::SESSION_ID, Value::Text(&session.shown));
                if let Some(clear) = &session.clear {
                    record.attribute(names::CLEAR_SESSION_ID, Value::Text(clear));
                }
            }
            if cut {
                record.attribute(names::OBSERVED, Value::Text("cut"));
            }
            if unsaid > 0 {
                record.attribute(names::LOG_DROPPED, int(unsaid));
            }
            if let Some((span, flags)) = of.call {
                record.span(flags.into(), &span.trace, &span.span);
            }
            record.observed(of.wall);
            record.event_name(event);
        });
        self.bytes += records.size() - before;
        self.records += 1;
        self.counts.records += 1;
        self.counts.cut += u64::from(cut);
    }

    fn group(&mut self, of: &Of<'_>) -> &mut LogRecords {
        /// Says how many groups are compared; a resource beyond may come twice in a batch, which is no harm.
        const LOOK: usize = 64;
        let same = |group: &Group| {
            let (server, name) = (group.server.index, &group.server.name);
            server == of.server.index
                && *name == of.server.name
                && group.peer == *of.peer
                && group.secrets == of.secrets
        };
        let known = self.groups.iter().rev().take(LOOK).position(same);
        let at = match known {
            Some(back) => self.groups.len() - 1 - back,
            None => {
                let resource = resource(of.settings, of.server, of.peer);
                let records = LogRecords::of(&resource, &scope(), WEIGHT);
                let (server, peer) = (Arc::clone(of.server), of.peer.clone());
                let secrets = of.secrets.clone();
                self.groups.push(Group { secrets, server, peer, records });
                self.groups.len() - 1
            }
        };
        &mut self.groups[at].records
    }
}
