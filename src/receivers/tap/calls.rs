//! Makes known what a tap has of requests that wait for their answers: a board of them, a board of its servers, and the
//! gauges that are made of the latter whenever metrics are read.
//!
//! The observer publishes, at most four times a second. It asks the state machine for all that waits, and nothing of
//! that reaches the threads that forward.

use std::collections::BTreeMap;
use std::time::Duration;

use super::watch::Watch;
use crate::mcp::{CallInFlight, InFlight, ServerLoad};
use crate::metrics::{Levels, names};
use crate::pipeline::{Board, Boards, Build, MAX_ROWS};
use crate::telemetry::{Clock, Nanos};

/// From one table to the next while something changes, in nanoseconds.
const INTERVAL: Nanos = Duration::from_millis(250).as_nanos() as Nanos;
const SECOND: Nanos = 1_000_000_000;

/// Publishes what waits at one tap.
#[derive(Debug)]
pub(in crate::receivers) struct CallBoards {
    calls: Board<CallInFlight>,
    servers: Board<ServerLoad>,
    /// Says when it was done last, in steady time.
    published: Option<Nanos>,
    /// There is something new.
    changed: bool,
    /// Something waited then, and may be given up though nothing comes.
    busy: bool,
}

/// Marks that the gauges are told of in this process.
struct Told;

impl CallBoards {
    /// Opens the boards of the component that is built.
    pub(in crate::receivers) fn new(cx: &Build<'_>) -> Self {
        let (boards, clock) = (cx.boards(), cx.clock.clone());
        cx.process(|| {
            cx.metrics().on_read(move |levels| tell(&boards, &clock, levels));
            Told
        });
        let (calls, servers) = (cx.board(), cx.board());
        CallBoards { calls, servers, published: None, changed: true, busy: false }
    }

    /// Notes that something was observed.
    pub(super) fn changed(&mut self) {
        self.changed = true;
    }

    /// Publishes what waits, if that is due. Says how long the observer may rest until it is.
    pub(super) fn publish<N>(&mut self, watch: &dyn Watch<N>, now: Nanos) -> Duration {
        let due = self.published.map_or(now, |at| at + INTERVAL);
        if due > now && self.changed {
            return Duration::from_nanos(due - now);
        }
        if due > now || !(self.changed || self.busy) {
            return Duration::MAX;
        }
        let mut loads: BTreeMap<&str, ServerLoad> =
            watch.servers().into_iter().map(|name| (name, ServerLoad::none(name))).collect();
        let mut waiting = Vec::new();
        watch.in_flight(&mut |call| {
            let server = call.server();
            loads.entry(server).or_insert_with(|| ServerLoad::none(server)).add(&call);
            waiting.push(call);
        });
        self.servers.publish(loads.into_values().collect(), 0);
        let left_out = waiting.len().saturating_sub(MAX_ROWS);
        self.calls.publish(oldest(&mut waiting).iter().map(InFlight::row).collect(), left_out);
        (self.published, self.changed, self.busy) = (Some(now), false, !waiting.is_empty());
        Duration::MAX
    }
}

/// Gives those that a board has room for: the ones that have waited longest, in this order.
fn oldest<'a, 'c>(waiting: &'a mut [InFlight<'c>]) -> &'a [InFlight<'c>] {
    if waiting.len() > MAX_ROWS {
        waiting.select_nth_unstable_by_key(MAX_ROWS, InFlight::since);
    }
    let room = waiting.len().min(MAX_ROWS);
    waiting[..room].sort_unstable_by_key(InFlight::since);
    &waiting[..room]
}

/// Tells the gauges of all taps, by receiver and server: of one that is going and the one in its place together.
fn tell(boards: &Boards, clock: &Clock, levels: &mut Levels) {
    let now = clock.steady();
    let mut loads: BTreeMap<(String, String), (usize, Nanos)> = BTreeMap::new();
    for (id, table) in boards.read::<ServerLoad>() {
        for load in &table.rows {
            let (calls, age) = loads.entry((id.to_string(), load.server.clone())).or_default();
            *calls += load.calls;
            *age = (*age).max(load.oldest.map_or(0, |since| now.saturating_sub(since)));
        }
    }
    for ((receiver, server), (calls, age)) in loads {
        let labels = [("receiver", receiver.as_str()), ("server", server.as_str())];
        levels.gauge(&names::CALLS_IN_FLIGHT, &labels, i64::try_from(calls).unwrap_or(i64::MAX));
        let seconds = i64::try_from(age / SECOND).unwrap_or(i64::MAX);
        levels.gauge(&names::CALLS_OLDEST_SECONDS, &labels, seconds);
    }
}

#[cfg(test)]
mod tests;
