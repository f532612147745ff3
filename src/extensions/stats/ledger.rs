//! Keeps what is known of calls that ended: numbers by tool, sessions, findings, and the calls themselves for watchers.
//!
//! It looks on at the ends of the chains, so it has what redaction left. Everything is bounded; nothing is computed that
//! nobody can ask for, and a row for those who watch is made only while somebody does.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use super::sketch::Sketch;
use super::v1;
use crate::calls::{Call, Count, Once, each_call};
use crate::otlp::wire::view::Item;
use crate::pipeline::Onlooker;
use crate::telemetry::{Clock, Nanos, OwnKeys, PeerKeys, Signal, Telemetry, names};

/// Rows of each list.
const MAX_ROWS: usize = 1000;
/// Calls that a watcher may be behind.
const RING: usize = 1024;
/// Bytes of a name that are kept.
const MAX_TEXT: usize = 256;
/// Ways to end that a tool has counts of; what else there is counts as `_OTHER`.
const MAX_OUTCOMES: usize = 32;
/// Calls that are remembered, so that none counts twice: what two pipelines or two taps of one process tell comes
/// shortly one after the other.
const REMEMBERED: usize = 4096;

/// Counts calls from its beginning on.
pub(super) struct Ledger {
    clock: Clock,
    since: Nanos,
    keys: PeerKeys,
    books: Mutex<Books>,
    ring: broadcast::Sender<Arc<v1::FinishedCall>>,
}

struct Books {
    once: Once,
    tools: Rows<Tool>,
    sessions: Rows<v1::Session>,
    findings: Rows<v1::Finding>,
}

/// Rows by the hash of what tells them apart, and how many there was no room for.
#[derive(Debug)]
struct Rows<R> {
    rows: HashMap<u64, R, OwnKeys>,
    left_out: u64,
}

#[derive(Debug, Default)]
struct Tool {
    server: String,
    method: String,
    tool: String,
    from_server: bool,
    calls: u64,
    /// Of a set that is small where taps tell of it; others may tell anything.
    outcomes: BTreeMap<String, u64>,
    duration: Sketch,
    bytes: [u64; 2],
    last: Nanos,
}

impl<R> Default for Rows<R> {
    fn default() -> Self {
        Rows { rows: HashMap::default(), left_out: 0 }
    }
}

impl<R> Rows<R> {
    /// Finds a row, or makes it; `None` if there is no room for more.
    fn row(&mut self, key: u64, make: impl FnOnce() -> R) -> Option<&mut R> {
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&key) {
            return None;
        }
        Some(self.rows.entry(key).or_insert_with(make))
    }
}

impl Ledger {
    /// Nothing has ended yet.
    pub(super) fn new(clock: &Clock) -> Self {
        let books = Books {
            once: Once::of(REMEMBERED),
            tools: Rows::default(),
            sessions: Rows::default(),
            findings: Rows::default(),
        };
        Ledger {
            clock: clock.clone(),
            since: clock.now(),
            keys: PeerKeys::default(),
            books: Mutex::new(books),
            ring: broadcast::channel(RING).0,
        }
    }

    /// Gives all calls that end from now on. Who is more than 1,024 calls behind misses some.
    pub(super) fn watch(&self) -> broadcast::Receiver<Arc<v1::FinishedCall>> {
        self.ring.subscribe()
    }

    /// The numbers by tool.
    pub(super) fn statistics(&self) -> v1::GetStatisticsResponse {
        let books = self.books();
        let mut tools: Vec<_> = books.tools.rows.values().map(Tool::message).collect();
        let left_out = books.tools.left_out;
        drop(books);
        let names = |tool: &v1::ToolStatistics| {
            (tool.server.clone(), tool.method.clone(), tool.tool.clone(), tool.from_server)
        };
        tools.sort_by_cached_key(names);
        v1::GetStatisticsResponse { since_unix_nano: self.since, tools, left_out }
    }

    /// The sessions, those with the latest call first.
    pub(super) fn sessions(&self) -> v1::GetSessionsResponse {
        let books = self.books();
        let mut sessions: Vec<_> = books.sessions.rows.values().cloned().collect();
        let left_out = books.sessions.left_out;
        drop(books);
        sessions.sort_by_key(|session| std::cmp::Reverse(session.last_unix_nano));
        v1::GetSessionsResponse { sessions, left_out }
    }

    /// The findings.
    pub(super) fn findings(&self) -> v1::GetFindingsResponse {
        let books = self.books();
        let mut findings: Vec<_> = books.findings.rows.values().cloned().collect();
        let left_out = books.findings.left_out;
        drop(books);
        findings.sort_by(|a, b| (&a.server, &a.kind, &a.by).cmp(&(&b.server, &b.kind, &b.by)));
        v1::GetFindingsResponse { findings, left_out }
    }

    fn ended(&self, books: &mut Books, call: &Call<'_>, item: &Item<'_>) {
        if !books.once.is_first(call) {
            return;
        }
        let key = self.key((call.server, call.method, call.tool, call.by_server));
        match books.tools.row(key, || Tool::of(call)) {
            Some(tool) => tool.add(call),
            None => books.tools.left_out += 1,
        }
        if !call.session.is_empty() {
            let key = self.key((call.server, call.session));
            books.sessions.make_room(key);
            if let Some(session) = books.sessions.row(key, || session_of(call)) {
                add_to_session(session, call);
            }
        }
        if self.ring.receiver_count() > 0 {
            // Nobody may have come in between.
            self.ring.send(Arc::new(finished(call, item))).ok();
        }
    }

    /// Counts a finding, if a log record is one.
    fn found(&self, books: &mut Books, item: &Item<'_>) {
        let text = |name| item.own.attribute(name).and_then(|value| value.text());
        let Some(kind) = text(names::FINDING_KIND) else { return };
        let server = item.resource.attribute(names::SERVER_NAME).and_then(|value| value.text());
        let (server, by) =
            (server.unwrap_or_default(), text(names::FINDING_BY).unwrap_or_default());
        let count = item.own.attribute(names::FINDING_COUNT).and_then(|value| value.int());
        let count = count.and_then(|count| u64::try_from(count).ok()).unwrap_or(1);
        let make = || v1::Finding {
            server: cut(server),
            kind: cut(kind),
            by: cut(by),
            ..v1::Finding::default()
        };
        match books.findings.row(self.key((server, kind, by)), make) {
            Some(finding) => {
                finding.count += count;
                finding.last_unix_nano = self.clock.now();
            }
            None => books.findings.left_out += count,
        }
    }

    fn key(&self, of: impl Hash) -> u64 {
        self.keys.hash_one(of)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Onlooker for Ledger {
    fn look(&self, telemetry: &Telemetry) {
        let mut books = self.books();
        match telemetry.signal() {
            Signal::Traces => {
                each_call(telemetry, Count::Tap, |call, item| self.ended(&mut books, call, item));
            }
            Signal::Logs => telemetry.each_item(|item| self.found(&mut books, item)),
            Signal::Metrics => {}
        }
    }
}

impl Rows<v1::Session> {
    /// Forgets the session that was quiet longest, if one more is to come and there is no room.
    fn make_room(&mut self, key: u64) {
        if self.rows.len() < MAX_ROWS || self.rows.contains_key(&key) {
            return;
        }
        let oldest = self.rows.iter().min_by_key(|(_, session)| session.last_unix_nano);
        if let Some(oldest) = oldest.map(|(key, _)| *key) {
            self.rows.remove(&oldest);
            self.left_out += 1;
        }
    }
}

impl Tool {
    fn of(call: &Call<'_>) -> Self {
        Tool {
            server: cut(call.server),
            method: cut(call.method),
            tool: cut(call.tool),
            from_server: call.by_server,
            ..Tool::default()
        }
    }

    fn add(&mut self, call: &Call<'_>) {
        self.calls += 1;
        let outcome = call.outcome();
        if let Some(count) = self.outcomes.get_mut(outcome) {
            *count += 1;
        } else {
            let known =
                if self.outcomes.len() < MAX_OUTCOMES { cut(outcome) } else { "_OTHER".to_owned() };
            *self.outcomes.entry(known).or_default() += 1;
        }
        self.duration.record(call.duration());
        for (sum, bytes) in self.bytes.iter_mut().zip([call.request_size, call.response_size]) {
            *sum = sum.saturating_add(bytes.unwrap_or(0));
        }
        self.last = self.last.max(call.end);
    }

    fn message(&self) -> v1::ToolStatistics {
        v1::ToolStatistics {
            server: self.server.clone(),
            method: self.method.clone(),
            tool: self.tool.clone(),
            from_server: self.from_server,
            calls: self.calls,
            outcomes: self.outcomes.iter().map(|(name, count)| (name.clone(), *count)).collect(),
            duration: Some(self.duration.message()),
            request_bytes: self.bytes[0],
            response_bytes: self.bytes[1],
            last_unix_nano: self.last,
        }
    }
}

fn session_of(call: &Call<'_>) -> v1::Session {
    v1::Session {
        session: cut(call.session),
        server: cut(call.server),
        first_unix_nano: call.start,
        ..v1::Session::default()
    }
}

fn add_to_session(session: &mut v1::Session, call: &Call<'_>) {
    if session.client.is_empty() {
        session.client = cut(call.client);
    }
    session.first_unix_nano = session.first_unix_nano.min(call.start);
    session.last_unix_nano = session.last_unix_nano.max(call.end);
    session.calls += 1;
    session.errors += u64::from(call.is_error());
}

/// Makes what is sent of a call that ended.
pub(crate) fn finished(call: &Call<'_>, item: &Item<'_>) -> v1::FinishedCall {
    let prompt = item.own.attribute(names::PROMPT).and_then(|value| value.text());
    v1::FinishedCall {
        start_unix_nano: call.start,
        duration_nanos: call.duration(),
        server: cut(call.server),
        session: cut(call.session),
        client: cut(call.client),
        method: cut(call.method),
        tool: cut(call.tool),
        prompt: cut(prompt.unwrap_or_default()),
        from_server: call.by_server,
        outcome: cut(call.outcome()),
        error_type: cut(call.error),
        request_bytes: call.request_size,
        response_bytes: call.response_size,
        doubtful: call.doubtful,
        trace_id: call.trace.to_vec(),
        span_id: call.span.to_vec(),
    }
}

/// Copies a name, up to its bound.
pub(super) fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ledger")
    }
}

#[cfg(test)]
mod tests;
