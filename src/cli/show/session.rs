//! The spans and findings of one session, gathered from its records.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::PathBuf;

use memchr::memmem;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span as Decoded, span};

use crate::calls::{Call, Count};
use crate::cli::records::findings::logs_beside;
use crate::cli::records::lines::{Line, Lines};
use crate::cli::records::record::{self, Record};
use crate::cli::records::selection::Filter;
use crate::cli::records::sources::Kind;
use crate::cli::records::spans::Spans;
use crate::otlp::wire::view::each_item;
use crate::otlp::{Messages, Request};
use crate::telemetry::names;

/// Bounds how many spans of the session are held, how many that servers handed back, and how many findings.
const MOST: usize = 100_000;
/// Bounds how many sessions are told apart that begin alike.
const CANDIDATES: usize = 100;

/// A trace id and a span id.
pub(super) type Ids = (Vec<u8>, Vec<u8>);

/// Says what a span is to its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// A call, as the tap saw it.
    #[default]
    Call,
    /// The half of a hop that looks towards the agent: the call itself is below it.
    Hop,
    /// The server handed it back: it is the server's claim.
    HandedBack,
}

/// One span, as far as it is shown.
#[derive(Debug, Default)]
pub(super) struct Span {
    pub(super) role: Role,
    pub(super) ids: Ids,
    pub(super) parent: Vec<u8>,
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) end: u64,
    /// `service.name` of its resource.
    pub(super) service: String,
    pub(super) server: String,
    pub(super) method: String,
    pub(super) tool: String,
    pub(super) session: String,
    pub(super) client: String,
    pub(super) outcome: String,
    pub(super) error: String,
    pub(super) doubtful: bool,
    /// Other calls that it belongs to, and why.
    pub(super) links: Vec<(Ids, String)>,
    /// Progress that the server told: when, how much, of how much.
    pub(super) progress: Vec<(u64, Option<f64>, Option<f64>)>,
}

/// Holds what was found of the sessions whose ids begin as was asked.
#[derive(Default)]
pub(super) struct Session {
    /// Those of the session, and those that servers handed back in any.
    pub(super) spans: Vec<Span>,
    pub(super) findings: Vec<Record>,
    /// The sessions, with the server of each and when it began.
    pub(super) candidates: BTreeMap<String, (String, u64)>,
    /// Spans that are not held, because there are too many.
    pub(super) left_out: u64,
    /// Says how many spans of the session are held, and of those that were handed back.
    held: [usize; 2],
}

impl Session {
    /// Reads what begins with `id` in the places.
    pub(super) fn read(
        &mut self,
        id: &str,
        places: &[PathBuf],
        filter: &Filter,
        spans: &mut Spans,
    ) -> io::Result<()> {
        let (of_session, handed_back) =
            (memmem::Finder::new(id), memmem::Finder::new(names::PASSBACK));
        let mut seen = HashSet::new();
        spans.each_document(places, |line, wire| {
            if of_session.find(line).is_some() || handed_back.find(line).is_some() {
                let decoded = Messages::decode(Request::Traces, wire.to_vec().into());
                if let Ok(Messages::Traces(all)) = decoded {
                    self.take(id, all, filter, &mut seen);
                }
            }
            let mut count = 0;
            each_item(Request::Traces, wire, &mut |_| count += 1);
            count
        })
    }

    fn take(
        &mut self,
        id: &str,
        all: Vec<ResourceSpans>,
        filter: &Filter,
        seen: &mut HashSet<Ids>,
    ) {
        for resource in all {
            let attributes = resource.resource.unwrap_or_default().attributes;
            for scope in resource.scope_spans {
                let ours = scope.scope.is_some_and(|scope| scope.name == names::SCOPE);
                for span in scope.spans {
                    let Some(span) = Span::of(span, &attributes, ours) else { continue };
                    let own = span.role != Role::HandedBack;
                    let wanted = !own || span.session.starts_with(id) && span.is_of(filter);
                    if wanted && seen.insert(span.ids.clone()) {
                        self.hold(span, own);
                    }
                }
            }
        }
    }

    fn hold(&mut self, span: Span, own: bool) {
        if own {
            let few = self.candidates.len() < CANDIDATES;
            if few || self.candidates.contains_key(&span.session) {
                let new = || (span.server.clone(), span.start);
                let (_, began) = self.candidates.entry(span.session.clone()).or_insert_with(new);
                *began = span.start.min(*began);
            }
        }
        let held = &mut self.held[usize::from(own)];
        if *held < MOST {
            *held += 1;
            self.spans.push(span);
        } else {
            self.left_out += 1;
        }
    }

    /// Reads the findings of the session `id` that stand in the logs beside the spans.
    pub(super) fn read_findings(&mut self, id: &str, places: &[PathBuf]) -> io::Result<()> {
        let of_session = memmem::Finder::new(id);
        let logs: Vec<_> = places.iter().filter_map(|place| logs_beside(place)).collect();
        Lines::default().each(&logs, Kind::Logs, |line| {
            let (Line::Whole(text) | Line::Torn(text)) = line else { return };
            if of_session.find(text).is_none() {
                return;
            }
            let records = record::read(text).unwrap_or_default().records;
            let findings = records.into_iter().filter(|r| r.is_finding && r.session == id);
            let room = MOST.saturating_sub(self.findings.len());
            self.findings.extend(findings.take(room));
        })
    }
}

impl Span {
    /// Takes what is shown of a span; `None` for one of others.
    fn of(span: Decoded, resource: &[KeyValue], ours: bool) -> Option<Span> {
        let attributes = &span.attributes;
        let role = match (ours, flag(attributes, names::PASSBACK), flag(attributes, names::HOP)) {
            (_, true, _) => Role::HandedBack,
            (true, _, true) => Role::Hop,
            (true, ..) => Role::Call,
            _ => return None,
        };
        let of_resource = |name| text(resource, name);
        let own = |name| text(attributes, name);
        let server = Some(own(names::SERVER_NAME)).filter(|server| !server.is_empty());
        let links = span.links.iter().map(|link| {
            let ids = (link.trace_id.clone(), link.span_id.clone());
            (ids, text(&link.attributes, names::LINK))
        });
        Some(Span {
            role,
            parent: span.parent_span_id.clone(),
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            service: of_resource(names::SERVICE_NAME),
            server: server.unwrap_or_else(|| of_resource(names::SERVER_NAME)),
            method: own(names::METHOD),
            tool: own(names::TOOL),
            session: own(names::SESSION_ID),
            client: own(names::CLIENT_NAME),
            outcome: own(names::OUTCOME),
            error: own(names::ERROR_TYPE),
            doubtful: flag(attributes, names::DOUBTFUL),
            links: links.collect(),
            progress: span.events.iter().filter_map(progress).collect(),
            ids: (span.trace_id, span.span_id),
            name: span.name,
        })
    }

    fn is_of(&self, filter: &Filter) -> bool {
        filter.takes(&Call {
            server: &self.server,
            method: &self.method,
            tool: &self.tool,
            session: &self.session,
            client: &self.client,
            outcome: &self.outcome,
            error: &self.error,
            start: self.start,
            end: self.end,
            ..Call::default()
        }) && filter.count() == Count::Tap
    }
}

fn progress(event: &span::Event) -> Option<(u64, Option<f64>, Option<f64>)> {
    let number = |name| match value(&event.attributes, name)? {
        Value::DoubleValue(number) => Some(*number),
        Value::IntValue(number) => Some(*number as f64),
        _ => None,
    };
    let told = || {
        let (value, total) = (number(names::PROGRESS_VALUE), number(names::PROGRESS_TOTAL));
        (event.time_unix_nano, value, total)
    };
    (event.name == names::PROGRESS).then(told)
}

fn value<'a>(of: &'a [KeyValue], name: &str) -> Option<&'a Value> {
    let found = of.iter().find(|attribute| attribute.key == name)?;
    found.value.as_ref()?.value.as_ref()
}

fn flag(of: &[KeyValue], name: &str) -> bool {
    matches!(value(of, name), Some(Value::BoolValue(true)))
}

fn text(of: &[KeyValue], name: &str) -> String {
    match value(of, name) {
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}
