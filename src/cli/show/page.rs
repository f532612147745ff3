//! Shows a session to people, as a timeline and tree, or to programs, as one JSON object.

use std::collections::HashMap;

use serde::Serialize;

use super::session::{Ids, Role, Session, Span};
use super::tree::{Line, Of};
use crate::cli::shown::{self, millis, took};
use crate::cli::table::Table;
use crate::exporters::debug::Timestamp;

/// Shows the lines of the session `id`.
pub(super) struct Page<'a> {
    id: &'a str,
    session: &'a Session,
    lines: &'a [Line],
    /// Says when the first call began, in nanoseconds since the epoch.
    began: u64,
    /// Says when each of the tap's spans did.
    starts: HashMap<&'a Ids, u64>,
}

impl<'a> Page<'a> {
    /// Shows these lines, which are the session's.
    pub(super) fn new(id: &'a str, session: &'a Session, lines: &'a [Line]) -> Self {
        let mut page = Page { id, session, lines, began: 0, starts: HashMap::new() };
        page.starts = page.own().map(|span| (&span.ids, span.start)).collect();
        page.began = page.starts.values().copied().min().unwrap_or(0);
        page
    }

    /// Makes a head and a table.
    pub(super) fn text(&self, colours: bool) -> String {
        let mut table = Table::new(&[">at", ">took", "call", "outcome", ""]);
        for line in self.lines {
            let (at, began) = (self.at(line.of), self.began);
            // What was wrong before the first call.
            let before = if at < began { "-" } else { "" };
            let at = format!("{before}{}", took(at.abs_diff(began)));
            let [time, call, outcome, note] = match line.of {
                Of::Span(span) => self.span(&self.session.spans[span]),
                Of::Progress(span, at) => {
                    let (_, value, total) = self.session.spans[span].progress[at];
                    let [value, total] = [value, total].map(|n| n.map(|n| n.to_string()));
                    let of = total.map_or(String::new(), |total| format!(" of {total}"));
                    let told = format!("progress {}{of}", value.unwrap_or_default());
                    [String::new(), told, String::new(), String::new()]
                }
                Of::Finding(at) => {
                    let finding = &self.session.findings[at];
                    let notes = shown::name(&finding.notes.join(", "));
                    let call = format!("! {}", shown::name(&finding.source));
                    [String::new(), call, String::new(), notes]
                }
            };
            table.row([at, time, format!("{}{call}", line.branches), outcome, note]);
        }
        let bad = |column, cell: &str| (column == 3 && !HARMLESS.contains(&cell)).then_some(31);
        format!("{}\n\n{}", self.head(), table.painted(colours, bad))
    }

    fn head(&self) -> String {
        let own = || self.own();
        let calls = own().filter(|span| span.role == Role::Call);
        let (calls, failed) = calls
            .fold((0, 0), |(n, failed), span| (n + 1, failed + u64::from(!span.error.is_empty())));
        let client = own().map(|span| span.client.as_str()).find(|client| !client.is_empty());
        let server = own().next().map_or("", |span| &span.server);
        format!(
            "session {} of {}\nclient {}, {}, {calls} call{}, {failed} failed",
            shown::name(self.id),
            shown::name(server),
            shown::name(client.unwrap_or_default()),
            shown::time(self.began),
            if calls == 1 { "" } else { "s" },
        )
    }

    /// Gives the spans that the tap made of it.
    fn own(&self) -> impl Iterator<Item = &'a Span> + use<'a> {
        let id = self.id;
        let spans = self.session.spans.iter();
        spans.filter(move |span| span.role != Role::HandedBack && span.session == id)
    }

    fn at(&self, of: Of) -> u64 {
        match of {
            Of::Span(span) => self.session.spans[span].start,
            Of::Progress(span, at) => self.session.spans[span].progress[at].0,
            Of::Finding(at) => self.session.findings[at].time,
        }
    }

    fn span(&self, span: &Span) -> [String; 4] {
        let time = took(span.end.saturating_sub(span.start));
        let call = match span.role {
            Role::HandedBack => span.name.clone(),
            _ if span.tool.is_empty() => span.method.clone(),
            _ => format!("{} {}", span.method, span.tool),
        };
        let outcome = match (span.outcome.as_str(), span.error.as_str()) {
            (outcome, error) if error.is_empty() || error == outcome => outcome.to_owned(),
            (outcome, error) => format!("{outcome} {error}").trim().to_owned(),
        };
        let outcome = if outcome.is_empty() { outcome } else { shown::name(&outcome) };
        [time, shown::name(&call), outcome, self.notes(span).join(", ")]
    }

    /// Says what else there is to a span.
    fn notes(&self, span: &Span) -> Vec<String> {
        let mut notes = Vec::new();
        match span.role {
            Role::HandedBack => notes.push(format!("{}, handed back", shown::name(&span.service))),
            Role::Hop => notes.push("towards the agent".to_owned()),
            Role::Call => {}
        }
        for (ids, why) in &span.links {
            let to = self.starts.get(ids).map(|start| took(start.saturating_sub(self.began)));
            let what = match why.as_str() {
                "retry" => "goes on from",
                "task" => "of the task begun",
                "cause" => "asked during",
                _ => continue,
            };
            notes
                .push(format!("{what} {}", to.map_or("elsewhere".into(), |to| format!("at {to}"))));
        }
        notes.extend(span.doubtful.then(|| "doubtful".to_owned()));
        notes
    }

    /// Makes the JSON object.
    pub(super) fn json(&self) -> String {
        let lines = self.lines.iter().map(|line| self.json_line(line)).collect();
        let own = || self.own();
        let all = Json {
            version: 1,
            session: self.id,
            server: own().next().map_or("", |span| &span.server),
            client: own().map(|span| span.client.as_str()).find(|c| !c.is_empty()).unwrap_or(""),
            started: Timestamp(self.began).to_string(),
            rows: lines,
        };
        serde_json::to_string(&all).unwrap_or_default() + "\n"
    }

    fn json_line(&self, line: &Line) -> JsonLine<'_> {
        let at = self.at(line.of);
        let base = JsonLine {
            at_ms: (at as f64 - self.began as f64) / 1e6,
            time: Timestamp(at).to_string(),
            depth: line.depth,
            ..JsonLine::default()
        };
        match line.of {
            Of::Span(span) => {
                let span = &self.session.spans[span];
                let link = |(ids, why): &'_ (Ids, String)| JsonLink {
                    trace_id: hex(&ids.0),
                    span_id: hex(&ids.1),
                    why: why.clone(),
                };
                JsonLine {
                    kind: match span.role {
                        Role::Call => "call",
                        Role::Hop => "hop",
                        Role::HandedBack => "handed_back",
                    },
                    took_ms: Some(millis(span.end.saturating_sub(span.start))),
                    name: Some(&span.name),
                    method: told(&span.method),
                    tool: told(&span.tool),
                    outcome: told(&span.outcome),
                    error: told(&span.error),
                    service: told(&span.service),
                    doubtful: span.doubtful,
                    trace_id: Some(hex(&span.ids.0)),
                    span_id: Some(hex(&span.ids.1)),
                    parent_span_id: Some(hex(&span.parent)).filter(|id| !id.is_empty()),
                    links: span.links.iter().map(link).collect(),
                    ..base
                }
            }
            Of::Progress(span, at) => {
                let (_, progress, total) = self.session.spans[span].progress[at];
                JsonLine { kind: "progress", progress, total, ..base }
            }
            Of::Finding(at) => {
                let finding = &self.session.findings[at];
                let notes = finding.notes.clone();
                JsonLine { kind: "finding", name: Some(&finding.source), notes, ..base }
            }
        }
    }
}

/// Outcomes that are nobody's fault, and cells without one.
const HARMLESS: [&str; 4] = ["", "ok", "cancelled", "input_required"];

fn told(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Holds what `--format json` prints. Fields are added, never changed, while `version` is the same.
#[derive(Serialize)]
struct Json<'a> {
    version: u8,
    session: &'a str,
    server: &'a str,
    client: &'a str,
    started: String,
    rows: Vec<JsonLine<'a>>,
}

/// A line: a span, progress or a finding. What is not known is left out.
#[derive(Default, Serialize)]
struct JsonLine<'a> {
    kind: &'static str,
    /// Milliseconds after the session began.
    at_ms: f64,
    time: String,
    depth: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    doubtful: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<JsonLink>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

#[derive(Serialize)]
struct JsonLink {
    trace_id: String,
    span_id: String,
    why: String,
}
