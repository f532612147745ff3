//! Remembers which calls were counted, so that none counts twice, in bounded memory.
//!
//! A call may be told twice in two ways. One span may stand in several files: a record, and what a
//! Collector wrote of it. Or two taps stand one behind the other, and the second has the context of the first as its
//! parent (`propagate: inject`): the same call of the same server then has two spans, one below the other.

use std::collections::HashSet;
use std::hash::BuildHasher;

use super::Call;
use crate::telemetry::{OwnKeys, PeerKeys, SpanId};

/// Says how many calls are remembered at least; twice as many at most.
const REMEMBERED: usize = 1 << 20;

/// Remembers calls by keyed hashes: the last 1,048,576 at least, in at most about 100 MiB. What comes again after more
/// than that counts again.
#[derive(Debug)]
pub struct Once {
    keys: PeerKeys,
    limit: usize,
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    /// Calls that were counted.
    calls: HashSet<u64, OwnKeys>,
    /// Spans above them: one of these that comes later is the same call.
    parents: HashSet<u64, OwnKeys>,
}

impl Default for Once {
    fn default() -> Self {
        Once::of(REMEMBERED)
    }
}

impl Once {
    /// Remembers that many calls at least.
    pub fn of(limit: usize) -> Self {
        let (young, old) = (Generation::default(), Generation::default());
        Once { keys: PeerKeys::default(), limit, young, old }
    }

    /// Says whether a call was not told before, and remembers it. It was told before if
    /// - its span was: the same trace and span id,
    /// - the span above it is a call of the same server, method and tool, or it is that span itself.
    ///
    /// Which of two such spans is told first is the one that counts.
    pub fn is_first(&mut self, call: &Call<'_>) -> bool {
        let own = self.key(call, &call.span);
        let parent = call.parent.map(|parent| self.key(call, &parent));
        let known = |generation: &Generation| {
            generation.calls.contains(&own)
                || generation.parents.contains(&own)
                || parent.is_some_and(|parent| generation.calls.contains(&parent))
        };
        if known(&self.young) || known(&self.old) {
            return false;
        }
        if self.young.calls.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.calls.insert(own);
        self.young.parents.extend(parent);
        true
    }

    /// Counts the calls that are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.young.calls.len() + self.old.calls.len()
    }

    fn key(&self, call: &Call<'_>, span: &SpanId) -> u64 {
        let ids = (u128::from_ne_bytes(call.trace), u64::from_ne_bytes(*span));
        self.keys.hash_one((ids, call.server, call.method, call.tool))
    }
}
