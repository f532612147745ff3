//! Findings: what was wrong on the wire, as it stands in the logs beside recorded spans.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::lines::{Line, Lines};
use super::selection::Filter;
use super::sources::Kind;
use crate::otlp::wire::view::{Item, each_item};
use crate::otlp::{Request, json};
use crate::telemetry::names;

/// Bounds how many servers and sessions are told apart.
const MOST: usize = 10_000;

/// Counts findings by server and session.
pub(in crate::cli) type Findings = HashMap<(String, String), u64>;

/// Finds the log records beside spans: `x.logs.jsonl` beside `x.jsonl`, and those of the same directory.
pub(in crate::cli) fn logs_beside(place: &Path) -> Option<PathBuf> {
    if place.is_dir() {
        return Some(place.to_owned());
    }
    let name = place.file_name()?.to_str()?;
    let (stem, _) = name.rsplit_once(".jsonl")?;
    let logs = place.with_file_name(format!("{stem}.logs.jsonl"));
    logs.is_file().then_some(logs)
}

/// Counts the findings beside the places, of the server and session that are wanted. `None` where calls are chosen by
/// what findings do not have.
pub(in crate::cli) fn count(places: &[PathBuf], filter: &Filter) -> io::Result<Option<Findings>> {
    let Filter { tool, client, outcome, since, until, .. } = filter;
    let by_others = tool.is_some() || client.is_some() || outcome.is_some();
    if by_others || since.is_some() || until.is_some() {
        return Ok(None);
    }
    let logs: Vec<_> = places.iter().filter_map(|place| logs_beside(place)).collect();
    let (mut all, kind) = (Findings::new(), memmem::Finder::new(names::FINDING_KIND));
    Lines::default().each(&logs, Kind::Logs, |line| {
        let (Line::Whole(text) | Line::Torn(text)) = line else { return };
        if kind.find(text).is_some()
            && let Ok(wire) = json::read(Request::Logs, text)
        {
            each_item(Request::Logs, &wire, &mut |item| add(item, filter, &mut all));
        }
    })?;
    Ok(Some(all))
}

fn add(item: &Item<'_>, filter: &Filter, all: &mut Findings) {
    if item.own.attribute(names::FINDING_KIND).is_none() {
        return;
    }
    let text = |value: Option<crate::otlp::wire::view::ValueView<'_>>| {
        value.and_then(|value| value.text().map(str::to_owned)).unwrap_or_default()
    };
    let server = text(item.resource.attribute(names::SERVER_NAME));
    let session = text(item.own.attribute(names::SESSION_ID));
    let other_server = filter.server.as_ref().is_some_and(|wanted| *wanted != server);
    let other_session = filter.session.as_ref().is_some_and(|id| !session.starts_with(id));
    if other_server || other_session {
        return;
    }
    let told = item.own.attribute(names::FINDING_COUNT).and_then(|count| count.int());
    let count = told.and_then(|count| u64::try_from(count).ok()).unwrap_or(1);
    let key = (server, session);
    if all.len() < MOST || all.contains_key(&key) {
        *all.entry(key).or_default() += count;
    }
}
