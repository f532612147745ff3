//! All objectives of one state: events in, transitions and reports out. It reads no clock and does no I/O; an event
//! costs one look-up and a few additions for each objective that it belongs to.

use std::collections::HashMap;

use super::judge::{Judged, Outcome};
use super::matching::{Each, MAX_PATTERN, Selector};
use super::objective::{Objective, Series, Transition};
use super::rules::Rule;
use crate::telemetry::PeerKeys;

/// The longest name that a series is kept under, in bytes; calls with longer ones count with what has no place.
pub const MAX_NAME: usize = 128;
/// The most names of servers and tools whose objectives are remembered; others are looked for each time.
const MAX_KNOWN: usize = 10_000;

/// Says how many series there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of all objectives together; each may have one more for the others.
    pub series: usize,
    /// Of one server.
    pub per_server: usize,
}

/// One objective with what it is about.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Holds what is promised.
    pub objective: Objective,
    /// Of which calls.
    pub selector: Selector,
    /// Holds what has a budget of its own.
    pub each: Each,
}

/// A call that ended.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The server's name.
    pub server: &'a str,
    /// The tool's name.
    pub tool: &'a str,
    /// The server has listed a tool of that name, or it is not known what it has listed.
    pub listed: bool,
    /// Says how it ended.
    pub outcome: Outcome,
    /// Says when it ended, in seconds since the epoch.
    pub end: u64,
    /// Says how long it took, in nanoseconds.
    pub took: u64,
}

/// Names a series among those of its objective: what the objective does not tell apart is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The server, if they are told apart.
    pub server: Option<String>,
    /// The tool, if they are told apart.
    pub tool: Option<String>,
    /// Stands for all that have no series of their own.
    pub others: bool,
}

/// A series with its name.
#[derive(Clone, Debug)]
pub struct Row {
    /// The objective's place.
    pub objective: usize,
    /// Says whose calls it counts.
    pub key: Key,
    /// The counts.
    pub series: Series,
}

/// An alert that changed, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The objective's place.
    pub objective: usize,
    /// The name of the series.
    pub key: Key,
    /// Holds what it changed to.
    pub transition: Transition,
}

/// Judges calls by all objectives.
#[derive(Debug)]
pub struct Engine {
    entries: Vec<Entry>,
    limits: Limits,
    rows: Vec<Row>,
    by_key: HashMap<(usize, Key), usize, PeerKeys>,
    /// Says which objectives calls of a tool of a server belong to, and with which series if they have one.
    known: HashMap<String, HashMap<String, Vec<Belongs>, PeerKeys>, PeerKeys>,
    known_names: usize,
    now: u64,
}

#[derive(Clone, Copy, Debug)]
struct Belongs {
    entry: usize,
    row: Option<usize>,
}

impl Entry {
    /// Says whether the same calls count in the same series.
    fn counts_like(&self, other: &Entry) -> bool {
        let Entry { objective: Objective { judge, .. }, selector, each } = self;
        *judge == other.objective.judge && *selector == other.selector && *each == other.each
    }
}

impl Engine {
    /// Makes an engine at that time, in seconds since the epoch. Objectives that are not told apart have their series at
    /// once, so that counters begin with 0 and not with the first failure.
    pub fn new(entries: Vec<Entry>, limits: Limits, now: u64) -> Self {
        let mut engine = Engine {
            entries,
            limits,
            rows: Vec::new(),
            by_key: HashMap::default(),
            known: HashMap::default(),
            known_names: 0,
            now,
        };
        for at in 0..engine.entries.len() {
            if engine.entries[at].each == Each::default() {
                engine.row(at, Key::default());
            }
        }
        engine
    }

    /// Gives the objectives.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Gives all series, in the order in which they began.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Finds the series of that name.
    pub fn series(&self, objective: usize, key: &Key) -> Option<&Series> {
        self.by_key.get(&(objective, key.clone())).map(|row| &self.rows[*row].series)
    }

    /// Gives the time that it has come to, in seconds since the epoch.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Moves time on, without a look at the rules.
    pub fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.rows.iter_mut().for_each(|row| row.series.advance(self.now));
    }

    /// Counts a call for each objective that it belongs to.
    pub fn count(&mut self, event: &Event<'_>, now: u64) {
        self.now = self.now.max(now);
        let known = self.known.get(event.server).and_then(|tools| tools.get(event.tool));
        let mut belongs = match known {
            Some(belongs) if belongs.iter().all(|b| b.row.is_some()) => {
                // The usual case, without a copy.
                for Belongs { entry, row } in belongs {
                    let judged =
                        self.entries[*entry].objective.judge.judge(event.outcome, event.took);
                    if let (Some(row), Some(bad)) = (row, counts(judged)) {
                        let series = &mut self.rows[*row].series;
                        series.advance(self.now);
                        series.add(event.end, bad);
                    }
                }
                return;
            }
            Some(belongs) => belongs.clone(),
            None => self.belongs(event.server, event.tool),
        };
        for Belongs { entry, row } in &mut belongs {
            let judged = self.entries[*entry].objective.judge.judge(event.outcome, event.took);
            let Some(bad) = counts(judged) else { continue };
            let (at, lasts) = match *row {
                Some(at) => (at, true),
                None => self.place(*entry, event),
            };
            if lasts {
                *row = Some(at);
            }
            let now = self.now;
            let series = &mut self.rows[at].series;
            series.advance(now);
            series.add(event.end, bad);
        }
        self.remember(event, belongs);
    }

    /// Finds the objectives of a tool of a server.
    fn belongs(&self, server: &str, tool: &str) -> Vec<Belongs> {
        let (server, tool) = (head(server), head(tool));
        let all = self.entries.iter().enumerate();
        let selected = all.filter(|(_, entry)| entry.selector.selects(server, tool));
        selected.map(|(entry, _)| Belongs { entry, row: None }).collect()
    }

    fn remember(&mut self, event: &Event<'_>, belongs: Vec<Belongs>) {
        let tools = match self.known.get_mut(event.server) {
            Some(tools) => tools,
            None if self.known_names >= MAX_KNOWN || event.server.len() > MAX_NAME => return,
            None => self.known.entry(event.server.to_owned()).or_default(),
        };
        if let Some(known) = tools.get_mut(event.tool) {
            *known = belongs;
        } else if self.known_names < MAX_KNOWN && event.tool.len() <= MAX_NAME {
            self.known_names += 1;
            tools.insert(event.tool.to_owned(), belongs);
        }
    }

    /// Finds the series that a call counts in, and whether it is the one for all calls like it.
    fn place(&mut self, entry: usize, event: &Event<'_>) -> (usize, bool) {
        let Entry { each, selector, .. } = &self.entries[entry];
        let own = |told_apart: bool, name: &str| told_apart.then(|| name.to_owned());
        let key = Key {
            server: own(each.server, event.server),
            tool: own(each.tool, event.tool),
            others: false,
        };
        if let Some(at) = self.by_key.get(&(entry, key.clone())) {
            return (*at, true);
        }
        let invented = each.tool && !event.listed && !selector.names(event.tool);
        let long = event.server.len() > MAX_NAME || event.tool.len() > MAX_NAME;
        let of_server = |row: &&Row| row.key.server == key.server && key.server.is_some();
        let full = self.rows.len() >= self.limits.series
            || self.rows.iter().filter(of_server).count() >= self.limits.per_server;
        if key != Key::default() && (invented || long || full) {
            let others = Key { others: true, ..Key::default() };
            return (self.row(entry, others), false);
        }
        (self.row(entry, key), true)
    }

    fn row(&mut self, objective: usize, key: Key) -> usize {
        let (rows, entries, now) = (&mut self.rows, &self.entries, self.now);
        *self.by_key.entry((objective, key.clone())).or_insert_with(|| {
            rows.push(Row {
                objective,
                key,
                series: Series::new(&entries[objective].objective, now),
            });
            rows.len() - 1
        })
    }

    /// Moves time on and looks at every rule of every series; says what changed. Lets go of series of single servers
    /// and tools that have nothing to tell any more.
    pub fn evaluate(&mut self, now: u64) -> Vec<Alert> {
        self.now = self.now.max(now);
        let mut out = Vec::new();
        for row in &mut self.rows {
            let objective = &self.entries[row.objective].objective;
            let changed = row.series.evaluate(objective, self.now);
            let alert =
                |transition| Alert { objective: row.objective, key: row.key.clone(), transition };
            out.extend(changed.into_iter().map(alert));
        }
        self.let_go();
        out
    }

    /// Puts other objectives in place. Series are kept where the same calls count, told apart alike; alerts of what is no
    /// more end, and are returned with whose they were.
    pub fn replace(
        &mut self,
        entries: Vec<Entry>,
        limits: Limits,
    ) -> Vec<(Objective, Key, Transition)> {
        let now = self.now;
        let old = std::mem::replace(self, Engine::new(entries, limits, now));
        let successors = self.successors(&old.entries);
        let mut ended = Vec::new();
        for Row { objective, key, mut series } in old.rows {
            let of = &old.entries[objective].objective;
            let next = successors[objective].filter(|next| {
                self.by_key.contains_key(&(*next, key.clone()))
                    || self.rows.len() < self.limits.series
            });
            let rules = next.map_or(&[][..], |next| &self.entries[next].objective.rules);
            let is_gone = |rule: &Rule| rules.iter().all(|known| known.id != rule.id);
            let over = series.end(of, is_gone, now);
            ended.extend(over.into_iter().map(|transition| (of.clone(), key.clone(), transition)));
            if let Some(next) = next {
                let row = self.row(next, key);
                self.rows[row].series = series.under(of, &self.entries[next].objective, now);
            }
        }
        ended
    }

    /// Finds which of its objectives goes on with the series of each of these: one of the same calls, and of the same
    /// name if there are several.
    fn successors(&self, old: &[Entry]) -> Vec<Option<usize>> {
        let mut taken = vec![false; self.entries.len()];
        let mut found = vec![None; old.len()];
        for by_name in [true, false] {
            for (entry, found) in old.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
                let fits = |(at, new): (usize, &Entry)| {
                    let named = !by_name || new.objective.name == entry.objective.name;
                    (!taken[at] && named && new.counts_like(entry)).then_some(at)
                };
                *found = self.entries.iter().enumerate().find_map(fits);
                if let Some(at) = *found {
                    taken[at] = true;
                }
            }
        }
        found
    }

    fn let_go(&mut self) {
        let (entries, now) = (&self.entries, self.now);
        let idle = |row: &Row| {
            let objective = &entries[row.objective].objective;
            let old = now.saturating_sub(row.series.since) > objective.window;
            row.key != Key::default() && old && row.series.is_idle(objective)
        };
        if self.rows.iter().any(idle) {
            self.rows.retain(|row| !idle(row));
            let places = self.rows.iter().enumerate();
            self.by_key = places.map(|(at, row)| ((row.objective, row.key.clone()), at)).collect();
            self.known.clear();
            self.known_names = 0;
        }
    }

    /// Gives the series of that name, to be restored from a snapshot; makes it unless there are too many.
    pub fn restored(&mut self, objective: usize, key: Key) -> Option<(&Objective, &mut Series)> {
        let there = self.by_key.contains_key(&(objective, key.clone()));
        if objective >= self.entries.len() || !there && self.rows.len() >= self.limits.series {
            return None;
        }
        let row = self.row(objective, key);
        Some((&self.entries[objective].objective, &mut self.rows[row].series))
    }
}

/// Gives what patterns are compared with: longer names than any server should have cost no more than these.
fn head(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_PATTERN)]
}

fn counts(judged: Judged) -> Option<bool> {
    match judged {
        Judged::Good => Some(false),
        Judged::Bad => Some(true),
        Judged::NotCounted => None,
    }
}
