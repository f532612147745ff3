//! The calls of recorded files, in the order in which they ended: what an engine is fed with in event time.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::calls::Count;
use crate::cli::records::spans::Spans;
use crate::otlp::Request;
use crate::otlp::wire::view::{Item, each_item};
use crate::processors::slo::{Operation, Operations};
use crate::slo::engine::Event;
use crate::slo::judge::Outcome;
use crate::telemetry::Nanos;

/// The most calls of one run: each takes 40 bytes.
const MOST: usize = 50_000_000;
/// Says how many calls at least are remembered, so that none counts twice.
const REMEMBERED: usize = 1 << 20;

/// Calls that were read, by the time of their end.
#[derive(Debug, Default)]
pub(super) struct Events {
    all: Vec<Ended>,
    names: Names,
    /// Calls that count for nothing, whatever the objectives say.
    pub(super) skipped: u64,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    end: Nanos,
    took: Nanos,
    server: u32,
    tool: u32,
    outcome: Outcome,
    listed: bool,
}

/// Each name once.
#[derive(Debug, Default)]
struct Names {
    all: Vec<String>,
    at: HashMap<String, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(known) = self.at.get(name) {
            return *known;
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(name.to_owned());
        self.at.insert(name.to_owned(), number);
        number
    }
}

impl Events {
    /// Reads all calls of the places. More than 50,000,000 are an error.
    pub(super) fn read(
        places: &[PathBuf],
        spans: &mut Spans,
        count: Count,
    ) -> anyhow::Result<Self> {
        let mut events = Events::default();
        let mut operations = Operations::new(count, REMEMBERED);
        let mut too_many = false;
        spans.each_document(places, |_, wire| {
            let mut read = 0;
            each_item(Request::Traces, wire, &mut |item: &Item<'_>| {
                read += 1;
                operations.read(item, |operation| match operation {
                    Ok(_) if events.all.len() >= MOST => too_many = true,
                    Ok(operation) => events.add(&operation),
                    Err(_) => events.skipped += 1,
                });
            });
            read
        })?;
        anyhow::ensure!(!too_many, "more than {MOST} calls; name fewer files");
        events.all.sort_by_key(|event| event.end);
        Ok(events)
    }

    fn add(&mut self, operation: &Operation<'_>) {
        let Operation { server, tool, listed, outcome, end, took } = *operation;
        let (server, tool) = (self.names.number(server), self.names.number(tool));
        self.all.push(Ended { end, took, server, tool, outcome, listed });
    }

    /// Gives the ends of the first and the last call, in nanoseconds since the epoch.
    pub(super) fn range(&self) -> Option<(Nanos, Nanos)> {
        Some((self.all.first()?.end, self.all.last()?.end))
    }

    /// Gives the calls that ended in that time, both ends included.
    pub(super) fn within(
        &self,
        from: Nanos,
        to: Nanos,
    ) -> impl Iterator<Item = (Nanos, Event<'_>)> {
        let first = self.all.partition_point(|event| event.end < from);
        let name = |number: u32| {
            self.names.all.get(number as usize).map(String::as_str).unwrap_or_default()
        };
        self.all[first..].iter().take_while(move |event| event.end <= to).map(move |ended| {
            let event = Event {
                server: name(ended.server),
                tool: name(ended.tool),
                listed: ended.listed,
                outcome: ended.outcome,
                end: ended.end / 1_000_000_000,
                took: ended.took,
            };
            (ended.end, event)
        })
    }
}
