//! The requests of one direction that wait for their answers, by typed id.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Id;
use super::call::Call;
use crate::telemetry::Nanos;

/// Requests in flight. Of several under one id the first is answered first.
#[derive(Debug, Default)]
pub(super) struct Flight {
    calls: HashMap<Id, Box<Call>>,
    /// Progress token to id.
    tokens: HashMap<Id, Id>,
    len: usize,
    /// How many of them are in the hands of people. Doubtful ones are not counted: their answer may have
    /// been lost, and nobody waits for a person then.
    asking: usize,
    /// No request expires before this.
    pub(super) quiet_until: Nanos,
}

impl Flight {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether a person has one of them in hand.
    pub(super) fn asks_people(&self) -> bool {
        self.asking > 0
    }

    /// Adds one; `false` if its id was in flight already.
    pub(super) fn insert(&mut self, id: Id, call: Box<Call>) -> bool {
        self.len += 1;
        self.asking += usize::from(call.asks_people());
        if let Some(token) = &call.token {
            self.tokens.insert(token.clone(), id.clone());
        }
        match self.calls.entry(id) {
            Entry::Vacant(place) => {
                place.insert(call);
                true
            }
            Entry::Occupied(mut first) => {
                first.get_mut().behind.push(call);
                false
            }
        }
    }

    /// Takes out the one to answer.
    pub(super) fn take(&mut self, id: &Id) -> Option<Box<Call>> {
        let mut call = self.calls.remove(id)?;
        if !call.behind.is_empty() {
            let mut next = call.behind.remove(0);
            next.behind = std::mem::take(&mut call.behind);
            self.calls.insert(id.clone(), next);
        }
        self.forget(&call);
        Some(call)
    }

    /// Takes out the one to answer if it is doubtful.
    pub(super) fn take_doubtful(&mut self, id: &Id) -> Option<Box<Call>> {
        if self.calls.get(id).is_some_and(|call| call.doubtful) { self.take(id) } else { None }
    }

    /// The one that waits under `id`.
    pub(super) fn get(&self, id: &Id) -> Option<&Call> {
        self.calls.get(id).map(|call| &**call)
    }

    /// The one that asked for progress under `token`.
    pub(super) fn by_token(&mut self, token: &Id) -> Option<&mut Call> {
        let id = self.tokens.get(token)?;
        self.calls.get_mut(id).map(|call| &mut **call)
    }

    /// Observation was lost: nobody knows what became of any of them.
    pub(super) fn doubt(&mut self) {
        self.asking = 0;
        for call in self.calls.values_mut() {
            call.doubtful = true;
            call.behind.iter_mut().for_each(|call| call.doubtful = true);
        }
    }

    /// Takes out those that `which` says, in order of arrival. Of several under one id only the first
    /// is asked about.
    pub(super) fn drain(&mut self, mut which: impl FnMut(&Call) -> bool) -> Vec<(Id, Box<Call>)> {
        let chosen = self.calls.iter().filter(|(_, call)| which(call));
        let mut ids: Vec<_> = chosen.map(|(id, call)| (call.number, id.clone())).collect();
        ids.sort_unstable_by_key(|(number, _)| *number);
        ids.into_iter().filter_map(|(_, id)| self.take(&id).map(|call| (id, call))).collect()
    }

    /// The earliest that one was last heard of, those aside for which long is normal.
    pub(super) fn oldest(&self) -> Option<Nanos> {
        self.calls.values().filter(|call| !call.waits()).map(|call| call.alive).min()
    }

    fn forget(&mut self, call: &Call) {
        self.len -= 1;
        self.asking -= usize::from(call.asks_people() && !call.doubtful);
        if let Some(token) = &call.token {
            self.tokens.remove(token);
        }
        if self.calls.is_empty() {
            /// A burst does not keep its table for good.
            const KEEP: usize = 1024;
            self.calls.shrink_to(KEEP);
        }
    }
}
