//! The calls that wait for their answers now, by the rows of the table: records do not know of them, running taps do.

use crate::calls::{By, Key, Row};
use crate::cli::live::{self, Peer};
use crate::cli::records::selection::Filter;
use crate::cli::say;
use crate::extensions::stats::v1::CallInFlight;

/// Holds what waits.
pub(in crate::cli) struct InFlight(Vec<CallInFlight>);

impl InFlight {
    /// Asks the running taps of this user. `None` where calls are chosen by what one that waits does not have.
    pub(in crate::cli) fn ask(filter: &Filter) -> anyhow::Result<Option<InFlight>> {
        if filter.is_of_the_end() {
            return Ok(None);
        }
        let peers: Vec<Peer> = live::sockets().into_iter().map(Peer::Socket).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let calls = runtime.block_on(live::calls(peers))?;
        if calls.silent > 0 {
            say(&format!(
                "mcpcol: {} running taps do not answer: their calls in flight are missing",
                calls.silent
            ));
        }
        let mut waiting = calls.waiting;
        waiting.retain(|call| filter.takes(&live::as_call(call)));
        Ok(Some(InFlight(waiting)))
    }

    /// Counts those of a row; `None` where rows are by what one that waits does not have.
    pub(in crate::cli) fn of(&self, by: By, key: &Key) -> Option<u64> {
        let count = || self.0.iter().filter(|call| is_of(by, key, call)).count() as u64;
        (by != By::Client).then(count)
    }

    /// Adds rows for those that have none: of their tools, or in their sessions, no call has ended yet.
    pub(in crate::cli) fn add_rows(&self, by: By, rows: &mut Vec<(Key, Row)>, limit: usize) {
        for call in &self.0 {
            let has_row = by == By::Client || rows.iter().any(|(key, _)| is_of(by, key, call));
            if has_row || rows.len() >= limit {
                continue;
            }
            let key = Key { server: call.server.clone(), ..Key::default() };
            let key = match by {
                By::Tool => Key { method: call.method.clone(), tool: call.tool.clone(), ..key },
                By::Session => Key { session: call.session.clone(), ..key },
                By::Server | By::Client => key,
            };
            let mut row = Row::default();
            (row.all.first, row.all.last) = (call.began_unix_nano, call.began_unix_nano);
            rows.push((key, row));
        }
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
}

/// Says whether a call belongs to a row.
fn is_of(by: By, key: &Key, call: &CallInFlight) -> bool {
    let by_tool = || (&key.method, &key.tool) == (&call.method, &call.tool);
    key.server == call.server
        && (by != By::Tool || by_tool())
        && (by != By::Session || key.session == call.session)
}
