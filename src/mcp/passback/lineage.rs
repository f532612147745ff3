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
pub(super) struct Lineage {
    /// Says whether a span may be put out.
    good: Vec<bool>,
    /// The span that each names as its parent, if it is among these.
    parents: Vec<Option<usize>>,
}

/// The first good span of each id, or the first, by place.
type ById = HashMap<u64, usize>;

/// Holds what follows from all of it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The nearest good ancestor of each span; `None` where it is a root.
    pub(super) above: Vec<Option<usize>>,
    /// Says how many spans are above it.
    depth: Vec<u32>,
    /// Spans whose parent was left off because their ancestors were a circle.
    pub(super) circles: u64,
}

impl Lineage {
    /// Checks every span. `trace` is the one they must belong to, `told` what roots hang on where the
    /// server was told, `own` are spans of ours that none may claim to be.
    pub(super) fn check(
        entries: &[Entry<'_>],
        trace: [u8; 16],
        told: Option<SpanId>,
        own: &[SpanId],
        refused: &mut Refused,
    ) -> Self {
        let mut good = vec![false; entries.len()];
        let mut by_id = ById::with_capacity(entries.len());
        let ours = |id: &SpanId| told.as_ref() == Some(id) || own.contains(id);
        for (place, Entry { ids, .. }) in entries.iter().enumerate() {
            let Id::Given(id) = ids.span else {
                refused.bad_id += 1;
                continue;
            };
            let problem = match ids.trace {
                _ if ids.parent == Id::Bad => Some(&mut refused.bad_id),
                Id::Absent | Id::Bad => Some(&mut refused.bad_id),
                Id::Given(id) if id != trace => Some(&mut refused.foreign_trace),
                Id::Given(_) if ours(&id) => Some(&mut refused.impersonation),
                Id::Given(_) => None,
            };
            // The children of a bad one may still find their way past it.
            let first = by_id.entry(key(id)).or_insert(place);
            match problem {
                Some(count) => *count += 1,
                None if good[*first] => refused.duplicate += 1,
                None => {
                    *first = place;
                    good[place] = true;
                }
            }
        }
        let parent = |entry: &Entry<'_>| {
            let id = entry.ids.parent.given().filter(|id| told != Some(*id))?;
            by_id.get(&key(id)).copied()
        };
        let parents = entries.iter().map(parent).collect();
        let mut lineage = Lineage { good, parents };
        // Without a parent that the server was told there is nothing to check against, and spans under one
        // that nobody knows are roots.
        if let Some(told) = told {
            lineage.refuse_strangers(entries, told, refused);
        }
        lineage
    }

    /// Spans under one that nobody knows.
    fn refuse_strangers(&mut self, entries: &[Entry<'_>], told: SpanId, refused: &mut Refused) {
        for (place, entry) in entries.iter().enumerate() {
            let known = match entry.ids.parent {
                Id::Absent => true,
                Id::Given(id) => id == told || self.parents[place].is_some(),
                Id::Bad => false,
            };
            if self.good[place] && !known {
                self.good[place] = false;
                refused.foreign_parent += 1;
            }
        }
    }

    /// Says whether the span of that place may be put out.
    pub(super) fn is_good(&self, place: usize) -> bool {
        self.good[place]
    }

    /// The span of that place turned out not to be good.
    pub(super) fn refuse(&mut self, place: usize) {
        self.good[place] = false;
    }

    /// Says how many are good.
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
        let n = self.good.len();
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
                        at = self.parents[place];
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
}

/// An id as one word: it is hashed in one go.
fn key(id: SpanId) -> u64 {
    u64::from_ne_bytes(id)
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
