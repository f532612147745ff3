//! The requests of one direction that wait for their answers, by scope and typed id.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::mcp::Id;
use crate::mcp::call::{Call, Owed};
use crate::telemetry::{Nanos, PeerKeys};

/// Holds what tells a request in flight from the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::mcp) struct Key {
    /// Says where its id is unique: 0 for a whole session, else the number of one exchange.
    pub(in crate::mcp) scope: u64,
    /// `None` if it was out of sight; its exchange tells then.
    pub(in crate::mcp) id: Option<Id>,
}

impl Key {
    pub(in crate::mcp) fn new(scope: u64, id: Id) -> Self {
        Key { scope, id: Some(id) }
    }

    /// The key of the integer that its id spells, if it is a text that does.
    pub(super) fn spelled(&self) -> Option<Key> {
        let number = self.id.as_ref()?.spelled()?;
        Some(Key::new(self.scope, Id::Int(number)))
    }
}

/// Requests in flight. Of several under one key the first is answered first.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Flight {
    calls: HashMap<Key, Box<Call>, PeerKeys>,
    /// Progress token to request.
    tokens: HashMap<Key, Key, PeerKeys>,
    len: usize,
    /// Says how many of them are not doubtful.
    certain: usize,
    /// Says how many of them are in the hands of people. Doubtful ones are not counted: their answer may have been
    /// lost, and nobody waits for a person then.
    asking: usize,
    /// Says how many of them probe the server.
    probing: usize,
    /// No request expires before this.
    pub(super) quiet_until: Nanos,
    /// None has waited so long before this that it is to be said.
    pub(super) pending_at: Nanos,
}

impl Flight {
    /// Says how many.
    pub(in crate::mcp) fn len(&self) -> usize {
        self.len
    }

    /// Walks over all of them, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Call> {
        let lines =
            self.calls.values().flat_map(|first| std::iter::once(first).chain(&first.behind));
        lines.map(|call| &**call)
    }

    /// Changes each of them, in no order.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(&mut Call)) {
        for first in self.calls.values_mut() {
            change(first);
            first.behind.iter_mut().for_each(|call| change(call));
        }
    }

    /// Says whether a person has one of them in hand.
    pub(super) fn asks_people(&self) -> bool {
        self.asking > 0
    }

    /// Adds one; `false` if its key was in flight already.
    pub(super) fn insert(&mut self, key: Key, call: Box<Call>) -> bool {
        self.len += 1;
        self.certain += usize::from(!call.doubtful);
        self.asking += usize::from(call.asks_people() && !call.doubtful);
        self.probing += usize::from(call.probes());
        if let Some(token) = &call.token {
            self.tokens.insert(Key::new(key.scope, token.clone()), key.clone());
        }
        match self.calls.entry(key) {
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

    /// Takes out the one to answer: of several the first that `exchange` brought, else the first.
    pub(super) fn take(&mut self, key: &Key, exchange: u64) -> Option<Box<Call>> {
        let mut call = self.calls.remove(key)?;
        if !call.behind.is_empty() {
            let mut line = std::mem::take(&mut call.behind);
            line.insert(0, call);
            let own = line.iter().position(|call| call.exchange == exchange);
            call = line.remove(own.unwrap_or(0));
            let mut first = line.remove(0);
            first.behind = line;
            self.calls.insert(key.clone(), first);
        }
        self.forget(key.scope, &call);
        Some(call)
    }

    /// Takes out the one to answer if it is doubtful.
    pub(super) fn take_doubtful(&mut self, key: &Key) -> Option<Box<Call>> {
        if self.certain == self.len {
            return None;
        }
        let call = self.calls.get(key).filter(|call| call.doubtful)?;
        let exchange = call.exchange;
        self.take(key, exchange)
    }

    /// The one that waits under `key`.
    pub(in crate::mcp) fn get(&self, key: &Key) -> Option<&Call> {
        self.calls.get(key).map(|call| &**call)
    }

    /// Says whether `exchange` brought one of those that wait under `key`.
    pub(in crate::mcp) fn waits(&self, key: &Key, exchange: u64) -> bool {
        let of = |call: &Call| call.exchange == exchange;
        self.calls.get(key).is_some_and(|first| of(first) || first.behind.iter().any(|c| of(c)))
    }

    /// Says whether one waits under `key`.
    pub(in crate::mcp) fn holds(&self, key: &Key) -> bool {
        self.calls.contains_key(key)
    }

    /// Says whether none waits under `key`, but one under the integer that it spells.
    pub(in crate::mcp) fn holds_number(&self, key: &Key) -> bool {
        self.number(key).is_some()
    }

    /// The key of the one that waits under the integer that `key` spells.
    pub(super) fn number(&self, key: &Key) -> Option<Key> {
        spelled_in(&self.calls, key)
    }

    /// The one that waits under `key`, if `exchange` brought it.
    pub(in crate::mcp) fn brought(&self, key: &Key, exchange: u64) -> Option<&Call> {
        self.get(key).filter(|call| call.exchange == exchange)
    }

    /// The only call that waits, subscriptions aside, if it is certain and one in which a server may ask
    /// something.
    pub(super) fn only_call(&self) -> Option<&Call> {
        self.only().filter(|call| call.may_ask())
    }

    /// The only call that waits, subscriptions aside, if it is certain.
    pub(super) fn only(&self) -> Option<&Call> {
        /// Among more nobody looks: a peer could have us look for ever.
        const LOOK: usize = 16;
        if self.len > LOOK {
            return None;
        }
        let mut calls = self.calls.values().filter(|call| !call.listens());
        let only = calls.next().filter(|call| !call.doubtful)?;
        (calls.next().is_none() && only.behind.is_empty()).then_some(only)
    }

    /// The one that asked for progress under just that token.
    pub(super) fn asks_for(&self, token: &Key) -> Option<&Call> {
        self.tokens.get(token).and_then(|key| self.get(key))
    }

    /// The probe that has waited longest, of those that `which` says: its key, and the exchange that brought
    /// it.
    pub(super) fn first_probe(&self, which: impl Fn(&Call) -> bool) -> Option<(Key, u64)> {
        if self.probing == 0 {
            return None;
        }
        let probes = self.calls.iter().filter(|(_, call)| call.probes() && which(call));
        let first = probes.min_by_key(|(_, call)| call.number)?;
        Some((first.0.clone(), first.1.exchange))
    }

    /// Says whether one asked for progress under `token`, or under the integer that it spells.
    pub(in crate::mcp) fn knows_token(&self, token: &Key) -> bool {
        self.tokens.contains_key(token) || spelled_in(&self.tokens, token).is_some()
    }

    /// The one that asked for progress under `token`, or under the integer that it spells, and whether it
    /// is the latter.
    pub(super) fn by_token(&mut self, token: &Key) -> Option<(&mut Call, bool)> {
        let exact = self.tokens.get(token);
        let key = match exact {
            Some(key) => key,
            None => self.tokens.get(&spelled_in(&self.tokens, token)?)?,
        };
        self.calls.get_mut(key).map(|call| (&mut **call, exact.is_none()))
    }

    /// Observation was lost: nobody knows what became of any of them.
    pub(super) fn doubt(&mut self) {
        // A peer that sends what nobody can read does so again and again.
        if self.certain == 0 {
            return;
        }
        (self.certain, self.asking) = (0, 0);
        self.change_all(|call| call.doubtful = true);
    }

    /// The same of those under `key` that `exchange` brought.
    pub(super) fn doubt_one(&mut self, key: &Key, exchange: u64) {
        let Some(first) = self.calls.get_mut(key) else { return };
        let mut behind = std::mem::take(&mut first.behind);
        let line = std::iter::once(&mut *first).chain(&mut behind);
        for call in line.filter(|call| call.exchange == exchange && !call.doubtful) {
            call.doubtful = true;
            self.certain -= 1;
            self.asking -= usize::from(call.asks_people());
        }
        first.behind = behind;
    }

    /// `exchange`, which brought one of those under `key`, is over and that one waits for another. `owed`:
    /// the server has to bring it.
    pub(in crate::mcp) fn cast_adrift(&mut self, key: &Key, exchange: u64, owed: Option<Owed>) {
        let Some(first) = self.calls.get_mut(key) else { return };
        let cast = |call: &mut Call| (call.adrift, call.owed) = (true, owed);
        if first.exchange == exchange {
            cast(first);
        }
        first
            .behind
            .iter_mut()
            .filter(|call| call.exchange == exchange)
            .for_each(|call| cast(call));
    }

    /// Those whose answers are owed.
    pub(in crate::mcp) fn owed(&self) -> impl Iterator<Item = &Owed> {
        self.calls.values().filter_map(|call| call.owed.as_ref())
    }

    /// Takes out those that `which` says, in order of arrival. Of several under one key only the first
    /// is asked about.
    pub(super) fn drain(&mut self, mut which: impl FnMut(&Call) -> bool) -> Vec<(Key, Box<Call>)> {
        let chosen = self.calls.iter().filter(|(_, call)| which(call));
        let mut keys: Vec<_> =
            chosen.map(|(key, call)| (call.number, call.exchange, key.clone())).collect();
        keys.sort_unstable_by_key(|(number, ..)| *number);
        let mut take =
            |(_, exchange, key): (_, _, Key)| self.take(&key, exchange).map(|call| (key, call));
        keys.into_iter().filter_map(&mut take).collect()
    }

    /// The earliest that one was last heard of, those aside for which long is normal.
    pub(super) fn oldest(&self) -> Option<Nanos> {
        self.calls.values().filter(|call| !call.waits()).map(|call| call.alive).min()
    }

    fn forget(&mut self, scope: u64, call: &Call) {
        self.len -= 1;
        self.certain -= usize::from(!call.doubtful);
        self.asking -= usize::from(call.asks_people() && !call.doubtful);
        self.probing -= usize::from(call.probes());
        if let Some(token) = &call.token {
            self.tokens.remove(&Key::new(scope, token.clone()));
        }
        if self.calls.is_empty() {
            /// A burst does not keep its table for good: there may be thousands of sessions.
            const KEEP: usize = 64;
            self.calls.shrink_to(KEEP);
            self.tokens.shrink_to(KEEP);
        }
    }
}

/// The key of the integer that `key` spells, where that is known and its digits as a text are not: between
/// `7` and `"7"` nobody can say which one ` 7` means.
fn spelled_in<V>(known: &HashMap<Key, V, PeerKeys>, key: &Key) -> Option<Key> {
    let number = key.spelled()?;
    let text = number.id.as_ref()?.to_string().into();
    let rival = Key::new(key.scope, Id::Text(text));
    (known.contains_key(&number) && !known.contains_key(&rival)).then_some(number)
}
