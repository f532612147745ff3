//! Figures of calls by server, tool, session or client, in bounded memory.
//!
//! Peers choose what tools and clients are called, and how many: names are cut, and what does not fit into the table is
//! added up in one row.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::cut::cut;
use super::{Call, Figures};
use crate::telemetry::PeerKeys;

/// Bounds a name in a key, in bytes. Taps cut at less than that.
const NAME: usize = 256;

/// Says by what calls are added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// A row a server.
    Server,
    /// A row a server and tool, or method where that is no tool's.
    #[default]
    Tool,
    /// A row a server and session.
    Session,
    /// A row a server and client.
    Client,
}

/// Says whose figures a row has. What the table does not tell apart is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The server.
    pub server: String,
    /// The method, where rows are by tool.
    pub method: String,
    /// The tool, likewise.
    pub tool: String,
    /// The session, where rows are by session.
    pub session: String,
    /// The client, where rows are by session or by client.
    pub client: String,
}

/// Holds the figures of one key.
#[derive(Clone, Default)]
pub struct Row {
    /// Of all calls.
    pub all: Figures,
    /// Of those that ended in the window, if the table has one.
    pub window: Option<Figures>,
    /// Holds what was called last: method, and tool if there is one.
    pub last_call: String,
}

/// Adds up calls. Two tables of the same kind can be merged.
pub struct Table {
    by: By,
    /// Has rows for so many keys.
    limit: usize,
    /// The window's beginning, in nanoseconds since the epoch.
    since: Option<u64>,
    rows: HashMap<Box<str>, (Key, Row), PeerKeys>,
    /// Holds what did not fit.
    other: Option<Row>,
    /// Is used again and again for the key of a call.
    spelled: String,
}

impl Table {
    /// Has rows for `limit` keys, and one for all others. With `since`, a time in nanoseconds since the epoch, calls that
    /// ended then or later are added up beside all.
    pub fn new(by: By, limit: usize, since: Option<u64>) -> Self {
        let spelled = String::new();
        Table { by, limit, since, rows: HashMap::default(), other: None, spelled }
    }

    /// Adds a call.
    pub fn add(&mut self, call: &Call<'_>) {
        let names = self.by.names(call);
        spell(&names, &mut self.spelled);
        let since = self.since;
        self.row(&names).add(call, since);
    }

    /// Adds what another table has: of the same kind, and with the same window.
    pub fn merge(&mut self, other: Table) {
        for (spelled, (key, row)) in other.rows {
            self.spelled.clear();
            self.spelled.push_str(&spelled);
            let names = [&key.server, &key.method, &key.tool, &key.session, &key.client];
            self.row(&names.map(|name| name.as_str())).merge(row);
        }
        if let Some(row) = other.other {
            self.other.get_or_insert_default().merge(row);
        }
    }

    /// Finds the row of these names, which are spelled, or the one for all others.
    fn row(&mut self, names: &[&str; 5]) -> &mut Row {
        let is_there = self.rows.contains_key(&*self.spelled);
        if !is_there && self.rows.len() >= self.limit {
            return self.other.get_or_insert_default();
        }
        if !is_there {
            let [server, method, tool, session, client] =
                names.map(|name| cut(name, NAME).into_owned());
            let key = Key { server, method, tool, session, client };
            self.rows.insert(self.spelled.as_str().into(), (key, Row::default()));
        }
        &mut self.rows.get_mut(&*self.spelled).expect("it was put in if it was not there").1
    }

    /// Gives the rows in the order of their keys, and the one of all others.
    pub fn into_rows(self) -> (Vec<(Key, Row)>, Option<Row>) {
        let mut rows: Vec<_> = self.rows.into_values().collect();
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        (rows, self.other)
    }
}

impl By {
    /// Gives the names that tell rows apart, in the order of [`Key`].
    fn names<'a>(self, call: &Call<'a>) -> [&'a str; 5] {
        let Call { server, method, tool, session, client, .. } = *call;
        match self {
            By::Server => [server, "", "", "", ""],
            By::Tool => [server, method, tool, "", ""],
            By::Session => [server, "", "", session, client],
            By::Client => [server, "", "", "", client],
        }
    }
}

impl Row {
    fn add(&mut self, call: &Call<'_>, since: Option<u64>) {
        if call.end >= self.all.last {
            self.last_call.clear();
            self.last_call.push_str(&cut(call.method, NAME));
            if !call.tool.is_empty() {
                self.last_call.push(' ');
                self.last_call.push_str(&cut(call.tool, NAME));
            }
        }
        self.all.add(call);
        if let Some(since) = since {
            let window = self.window.get_or_insert_default();
            if call.end >= since {
                window.add(call);
            }
        }
    }

    fn merge(&mut self, other: Row) {
        if other.all.last > self.all.last {
            self.last_call = other.last_call;
        }
        self.all.merge(&other.all);
        if let Some(window) = other.window {
            self.window.get_or_insert_default().merge(&window);
        }
    }
}

/// Spells names as one text, which no other names are spelled as.
fn spell(names: &[&str; 5], into: &mut String) {
    into.clear();
    for name in names {
        let name = cut(name, NAME);
        write!(into, "{} ", name.len()).ok();
        into.push_str(&name);
    }
}
