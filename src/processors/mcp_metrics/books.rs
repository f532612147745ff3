//! Keeps what was counted so far, under one lock: by all instances of one id, and over reloads.
//!
//! Which series a call belongs to is looked up by its key, as it stands in the span; labels are made once for a key.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::call::{Call, Kept, Key, Side};
use super::series::{Family, Shown};
use super::sessions::{Session, Sessions};
use super::words::labels;
use crate::calls::Count;
use crate::metrics::{Counter, Histogram, names};
use crate::otlp::wire::compose::Exemplar;
use crate::otlp::wire::view::{Item, View};
use crate::telemetry::names::{
    ERROR_TYPE, FINDING_BY, FINDING_COUNT, FINDING_KIND, METHOD, NETWORK_PROTOCOL,
    PROTOCOL_VERSION, SCOPE, SERVER_ADDRESS, SERVER_NAME, SERVER_PORT, SERVICE_NAME, TOOL,
    TRANSPORT,
};
use crate::telemetry::{Nanos, OwnKeys, PeerKeys, Signal, Telemetry};

/// Holds what an instance is told by its settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) count: Count,
    /// Series of one metric.
    pub(super) max: usize,
    /// Times in nanoseconds.
    pub(super) interval: Nanos,
    pub(super) idle: Nanos,
}

/// The books of one id.
pub(super) struct Books {
    /// Says when they were begun, as OTLP wants it of sums.
    pub(super) began: Nanos,
    pub(super) shown: Shown,
    state: Mutex<State>,
    /// Instances that have not finished.
    instances: AtomicUsize,
}

/// Holds what is under the lock.
pub(super) struct State {
    pub(super) histograms: Histograms,
    pub(super) counters: Counters,
    sessions: Sessions,
    /// The series of keys that came before, by the keys' hashes.
    known: HashMap<u64, (Kept, Places), OwnKeys>,
    hasher: PeerKeys,
    /// Says when metrics are to be sent next; 0 before the first look.
    next: Nanos,
}

/// The metrics that are histograms.
pub(super) struct Histograms {
    pub(super) operation: [Family<Histogram>; 2],
    pub(super) session: [Family<Histogram>; 2],
    pub(super) tool: Family<Histogram>,
    pub(super) size: [Family<Histogram>; 2],
}

/// The metrics that are counters.
pub(super) struct Counters {
    pub(super) handshakes: Family<Counter>,
    pub(super) unlisted: Family<Counter>,
    pub(super) findings: Family<Counter>,
}

/// Says where a call is counted.
#[derive(Clone, Copy, Debug)]
struct Places {
    operation: u32,
    tool: Option<u32>,
    size: [Option<u32>; 2],
    handshake: Option<u32>,
    unlisted: Option<u32>,
}

impl Books {
    /// Begins them.
    pub(super) fn new(shown: Shown, began: Nanos) -> Self {
        let state = State {
            histograms: Histograms {
                operation: [
                    Family::new("mcp.client.operation.duration", &names::MCP_CLIENT_OPERATION),
                    Family::new("mcp.server.operation.duration", &names::MCP_SERVER_OPERATION),
                ],
                session: [
                    Family::new("mcp.client.session.duration", &names::MCP_CLIENT_SESSION),
                    Family::new("mcp.server.session.duration", &names::MCP_SERVER_SESSION),
                ],
                tool: Family::new("gen_ai.execute_tool.duration", &names::EXECUTE_TOOL),
                size: [
                    Family::new("mcpcol.request.size", &names::REQUEST_SIZE),
                    Family::new("mcpcol.response.size", &names::RESPONSE_SIZE),
                ],
            },
            counters: Counters {
                handshakes: Family::new("mcpcol.handshakes", &names::HANDSHAKES),
                unlisted: Family::new("mcpcol.unlisted_calls", &names::UNLISTED_CALLS),
                findings: Family::new("mcpcol.findings", &names::FINDINGS),
            },
            sessions: Sessions::default(),
            known: HashMap::default(),
            hasher: PeerKeys::default(),
            next: 0,
        };
        Books { began, shown, state: Mutex::new(state), instances: AtomicUsize::new(0) }
    }

    /// Notes an instance more, and shows what a reload may have taken from the Prometheus port.
    pub(super) fn enter(&self) {
        self.instances.fetch_add(1, Ordering::Relaxed);
        let state = self.lock();
        state.histograms.all().for_each(|family| family.show(&self.shown));
        state.counters.all().for_each(|family| family.show(&self.shown));
    }

    /// Notes an instance less; whether it was the last one.
    pub(super) fn leave(&self) -> bool {
        self.instances.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// Counts what is in a batch.
    pub(super) fn count(&self, telemetry: &Telemetry, rules: &Rules) {
        let mut state = self.lock();
        let mut of = ServerOf::default();
        telemetry.each_item(|item| match telemetry.signal() {
            Signal::Traces => {
                if let Some(call) = Call::read(item, of.server(item), rules.count) {
                    state.call(&call, rules, &self.shown);
                }
            }
            Signal::Logs => state.record(item, of.server(item), rules, &self.shown),
            Signal::Metrics => {}
        });
    }

    /// Says whether it is time to send, and then when it will be again.
    pub(super) fn is_due(&self, now: Nanos, rules: &Rules) -> bool {
        let mut state = self.lock();
        let next = now.saturating_add(rules.interval);
        // The wall clock may have been set back; and nothing is due when the process begins.
        if state.next == 0 || state.next > next {
            state.next = next;
        }
        let due = now >= state.next;
        if due {
            state.next = next;
        }
        due
    }

    /// Says when to send next.
    pub(super) fn next(&self) -> Nanos {
        self.lock().next
    }

    /// Ends sessions that have been quiet for long at `now`, or all.
    pub(super) fn end_sessions(&self, rules: &Rules, now: Option<Nanos>) {
        let mut state = self.lock();
        let ended = match now {
            Some(now) => state.sessions.quiet_since(now.saturating_sub(rules.idle)),
            None => state.sessions.all(),
        };
        ended.iter().for_each(|session| state.histograms.ended(session, rules, &self.shown));
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn call(&mut self, call: &Call<'_>, rules: &Rules, shown: &Shown) {
        let hash = self.hasher.hash_one(call.key);
        let places = match self.known.get(&hash) {
            Some((kept, places)) if kept.is(&call.key) => *places,
            _ => self.meet(hash, &call.key, rules, shown),
        };
        let shows = |value| {
            let (trace, span) = call.span?;
            Some(Exemplar { time: call.end, value, trace, span })
        };
        let all = &mut self.histograms;
        let seconds = call.seconds();
        all.operation[call.key.side as usize].record(places.operation, seconds, shows(seconds));
        if let Some(place) = places.tool {
            all.tool.record(place, seconds, shows(seconds));
        }
        for ((family, place), size) in all.size.iter_mut().zip(places.size).zip(call.sizes) {
            if let Some(place) = place {
                family.record(place, size as f64, shows(size as f64));
            }
        }
        places.handshake.iter().for_each(|place| self.counters.handshakes.add(*place, 1));
        places.unlisted.iter().for_each(|place| self.counters.unlisted.add(*place, 1));
        if self.sessions.note(call) {
            self.begin(call, rules, shown);
        }
    }

    /// Makes the labels of a key, and remembers where it belongs.
    fn meet(&mut self, hash: u64, key: &Key<'_>, rules: &Rules, shown: &Shown) -> Places {
        let max = rules.max;
        let some = |wanted: &'static [&str]| labels(key, |label| wanted.contains(&label));
        let all = &mut self.histograms;
        let address = [SERVER_ADDRESS, SERVER_PORT];
        let operation = labels(key, |label| key.side == Side::Client || !address.contains(&label));
        let of_tool = || some(&[SERVER_NAME, TOOL, ERROR_TYPE]);
        let of_size = || some(&[SERVER_NAME, METHOD, TOOL]);
        let words = &key.words;
        let runs = words.method == "tools/call" && !words.tool.is_empty();
        let mut sizes = all.size.iter_mut().zip(key.sizes);
        let mut size = || {
            let (family, wanted) = sizes.next()?;
            wanted.then(|| family.place(&of_size(), max, shown))
        };
        let places = Places {
            size: [size(), size()],
            operation: all.operation[key.side as usize].place(&operation, max, shown),
            tool: runs.then(|| all.tool.place(&of_tool(), max, shown)),
            handshake: (words.method == "initialize").then(|| {
                let labels = some(&[SERVER_NAME, PROTOCOL_VERSION, ERROR_TYPE]);
                self.counters.handshakes.place(&labels, max, shown)
            }),
            unlisted: key
                .unlisted
                .then(|| self.counters.unlisted.place(&some(&[SERVER_NAME, METHOD]), max, shown)),
        };
        // Beyond, labels are made each time.
        if self.known.len() < max {
            self.known.insert(hash, (Kept::of(key), places));
        }
        places
    }

    fn begin(&mut self, call: &Call<'_>, rules: &Rules, shown: &Shown) {
        let address = [SERVER_ADDRESS, SERVER_PORT];
        let all = [SERVER_NAME, PROTOCOL_VERSION, TRANSPORT, NETWORK_PROTOCOL];
        let labels = labels(&call.key, |label| {
            all.contains(&label) || call.key.side == Side::Client && address.contains(&label)
        });
        let kept = labels.into_iter().map(|(label, text)| (label, text.into_owned().into()));
        if let Some(evicted) = self.sessions.begin(call, kept.collect()) {
            self.histograms.ended(&evicted, rules, shown);
        }
    }

    /// Counts a log record that is a finding, which may stand for several.
    fn record(&mut self, item: &Item<'_>, server: &str, rules: &Rules, shown: &Shown) {
        let text = |name| item.own.attribute(name).and_then(|value| value.text());
        let Some(kind) = text(FINDING_KIND).filter(|_| item.scope.name() == SCOPE) else { return };
        let by = text(FINDING_BY).unwrap_or_default();
        let told = [(SERVER_NAME, server), (FINDING_KIND, kind), (FINDING_BY, by)];
        let told = told.into_iter().filter(|(_, value)| !value.is_empty());
        let labels: Vec<_> = told.map(|(label, value)| (label, value.into())).collect();
        let place = self.counters.findings.place(&labels, rules.max, shown);
        let count = item.own.attribute(FINDING_COUNT).and_then(|count| count.int());
        let count = count.and_then(|count| u64::try_from(count).ok()).unwrap_or(1);
        self.counters.findings.add(place, count);
    }
}

impl Histograms {
    pub(super) fn all(&self) -> impl Iterator<Item = &Family<Histogram>> {
        let one = std::iter::once(&self.tool);
        self.operation.iter().chain(&self.session).chain(one).chain(&self.size)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Family<Histogram>> {
        let one = std::iter::once(&mut self.tool);
        self.operation.iter_mut().chain(&mut self.session).chain(one).chain(&mut self.size)
    }

    fn ended(&mut self, session: &Session, rules: &Rules, shown: &Shown) {
        let family = &mut self.session[session.side as usize];
        let place = family.place(&session.labels(), rules.max, shown);
        family.record(place, session.seconds(), None);
    }
}

impl Counters {
    pub(super) fn all(&self) -> impl Iterator<Item = &Family<Counter>> {
        [&self.handshakes, &self.unlisted, &self.findings].into_iter()
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Family<Counter>> {
        [&mut self.handshakes, &mut self.unlisted, &mut self.findings].into_iter()
    }
}

/// The name of the server behind items, which is looked up once for those that follow each other under one resource.
#[derive(Default)]
struct ServerOf<'a>(Option<(View<'a>, &'a str)>);

impl<'a> ServerOf<'a> {
    fn server(&mut self, item: &Item<'a>) -> &'a str {
        match self.0 {
            Some((resource, server)) if resource.is(item.resource) => server,
            _ => {
                // Where no tap tells of a server, it is the service.
                let text = |name| item.resource.attribute(name).and_then(|value| value.text());
                let server = text(SERVER_NAME).or_else(|| text(SERVICE_NAME)).unwrap_or_default();
                self.0 = Some((item.resource, server));
                server
            }
        }
    }
}
