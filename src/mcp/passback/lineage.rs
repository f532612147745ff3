//! Whose child each span is: what is the server's to say of it, and what it says.
//!
//! A span belongs to the request's trace, and under a span of the same answer or the one that the server
//! was told is its parent. One that does not is refused alone: what is below it hangs on the nearest
//! ancestor that is good. It looks at ids only.

use std::collections::HashMap;

use super::outline::Entry;
use super::{Refused, Told};
use crate::mcp::SpanRef;
use crate::otlp::json::view::Id;
use crate::telemetry::SpanId;

/// Spans by place, and what is known of each.
pub(super) struct Lineage<'e, 'a> {
    entries: &'e [Entry<'a>],
    /// Whether a span may be put out.
    good: Vec<bool>,
    /// Spans by id; of several under one id the first that is good.
    by_id: HashMap<SpanId, usize>,
    /// What the roots hang on, where the server was told.
    told: Option<SpanId>,
}

/// What follows from all of it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The nearest good ancestor of each span; `None` where it is a root.
    pub(super) above: Vec<Option<usize>>,
    /// How many spans are above it.
    depth: Vec<u32>,
    /// Spans whose parent was left off because their ancestors were a circle.
    pub(super) circles: u64,
}

impl<'e, 'a> Lineage<'e, 'a> {
    /// Checks every span. `trace` is the one they must belong to, `own` a span of ours that none may claim
    /// to be.
    pub(super) fn check(
        entries: &'e [Entry<'a>],
        trace: [u8; 16],
        told: Option<SpanId>,
        own: &[SpanId],
        refused: &mut Refused,
    ) -> Self {
        let good = vec![false; entries.len()];
        let by_id = HashMap::with_capacity(entries.len());
        let mut lineage = Lineage { entries, good, by_id, told };
        let ours = |id: &SpanId| told.as_ref() == Some(id) || own.contains(id);
        for (place, entry) in entries.iter().enumerate() {
            let Id::Given(id) = entry.ids.span else {
                refused.bad_id += 1;
                continue;
            };
            let count = match entry.ids.trace {
                _ if entry.ids.parent == Id::Bad => &mut refused.bad_id,
                Id::Absent | Id::Bad => &mut refused.bad_id,
                Id::Given(id) if id != trace => &mut refused.foreign_trace,
                Id::Given(_) if ours(&id) => &mut refused.impersonation,
                Id::Given(_) if lineage.is_taken(&id) => &mut refused.duplicate,
                Id::Given(_) => {
                    lineage.by_id.insert(id, place);
                    lineage.good[place] = true;
                    continue;
                }
            };
            *count += 1;
            // Its children may still find their way past it.
            lineage.by_id.entry(id).or_insert(place);
        }
        lineage.refuse_strangers(refused);
        lineage
    }

    fn is_taken(&self, id: &SpanId) -> bool {
        self.by_id.get(id).is_some_and(|place| self.good[*place])
    }

    /// Spans under one that nobody knows. Without a parent that the server was told there is nothing to
    /// check against, and they are roots.
    fn refuse_strangers(&mut self, refused: &mut Refused) {
        let Some(told) = self.told else { return };
        for (place, entry) in
            self.entries.iter().enumerate().filter(|(_, e)| e.ids.parent != Id::Absent)
        {
            let known = |id: &SpanId| *id == told || self.by_id.contains_key(id);
            if self.good[place] && !entry.ids.parent.given().is_some_and(|id| known(&id)) {
                self.good[place] = false;
                refused.foreign_parent += 1;
            }
        }
    }

    /// Whether the span of that place may be put out.
    pub(super) fn is_good(&self, place: usize) -> bool {
        self.good[place]
    }

    /// The span of that place turned out not to be good.
    pub(super) fn refuse(&mut self, place: usize) {
        self.good[place] = false;
    }

    /// How many are good.
    fn count(&self) -> usize {
        self.good.iter().filter(|good| **good).count()
    }

    /// Refuses the lowest, the last first, until `max` are left. Says how many went.
    pub(super) fn prune(&mut self, max: usize) -> u64 {
        let excess = self.count().saturating_sub(max);
        if excess == 0 {
            return 0;
        }
        let depth = self.tree().depth;
        let mut places: Vec<_> = (0..self.good.len()).filter(|place| self.good[*place]).collect();
        places.sort_by_key(|place| depth[*place]);
        places[max..].iter().for_each(|place| self.good[*place] = false);
        excess as u64
    }

    /// Finds the nearest good ancestor of every span.
    pub(super) fn tree(&self) -> Tree {
        let n = self.entries.len();
        let mut tree = Tree { above: vec![None; n], depth: vec![0; n], circles: 0 };
        let mut done = vec![false; n];
        // Where each span stands on the way up, from 1; 0 if it does not.
        let mut on_way = vec![0; n];
        let mut way = Vec::new();
        for start in 0..n {
            let mut at = Some(start);
            let mut top = loop {
                match at {
                    None => break None,
                    Some(place) if done[place] => {
                        break if self.good[place] { at } else { tree.above[place] };
                    }
                    Some(place) if on_way[place] == start + 1 => {
                        tree.circles += 1;
                        break None;
                    }
                    Some(place) => {
                        on_way[place] = start + 1;
                        way.push(place);
                        at = self.parent(place);
                    }
                }
            };
            while let Some(place) = way.pop() {
                tree.above[place] = top;
                tree.depth[place] = top.map_or(0, |top| tree.depth[top] + 1);
                done[place] = true;
                if self.good[place] {
                    top = Some(place);
                }
            }
        }
        tree
    }

    /// The span that one names as its parent, if it is among these.
    fn parent(&self, place: usize) -> Option<usize> {
        let id = self.entries[place].ids.parent.given().filter(|id| self.told != Some(*id))?;
        self.by_id.get(&id).copied()
    }
}

/// The trace that spans must belong to, and the parent that the server was told, if it was.
pub(super) fn context(told: Option<Told>, entries: &[Entry<'_>]) -> Option<SpanRef> {
    let told = told?;
    // A context that came beside the message may not have reached the server's code.
    let reached = || entries.iter().any(|entry| entry.ids.trace == Id::Given(told.parent.trace));
    (told.certain || reached()).then_some(told.parent)
}

/// The trace of spans that have none to belong to: that of the first that has one.
pub(super) fn trace_of(entries: &[Entry<'_>]) -> Option<[u8; 16]> {
    entries.iter().find_map(|entry| entry.ids.trace.given())
}
