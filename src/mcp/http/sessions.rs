//! The sessions that are known, by a hash of what names them.
//!
//! There is room for a fixed number. The one that was longest unused goes first, idle ones before those
//! with calls in flight. Session ids are not kept: they are as good as passwords.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::mcp::SessionName;
use crate::mcp::pairing::{Common, Pairing, State};
use crate::telemetry::Nanos;

use super::exchange::Handle;
use super::streams::Streams;

/// Says how many sessions are known at once. One that is forgotten is known again when it is seen again; only what its
/// handshake told is lost.
pub(super) const MAX_SESSIONS: usize = 4096;
/// Says how many event ids a session remembers: what may come again when a stream is resumed.
const MAX_EVENTS: usize = 128;

/// Sessions, by key.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    entries: HashMap<u64, Box<Entry>>,
    /// Keys by when they were last used.
    order: BTreeMap<u64, u64>,
    stamp: u64,
    /// Says how many of them have their answers on one stream.
    by_stream: usize,
}

/// One session.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) state: State,
    /// Its end was asked for.
    pub(super) leaving: bool,
    /// Says where answers may come.
    pub(super) streams: Streams,
    /// Says when to look whether calls wait in vain.
    pub(super) look_at: Nanos,
    /// Tells it from others of the same key.
    pub(super) number: u64,
    by_stream: bool,
    stamp: u64,
    /// Hashes of the latest event ids.
    events: VecDeque<u64>,
}

impl Sessions {
    /// Says how many have their answers on one stream (2024-11-05).
    pub(super) fn by_stream(&self) -> usize {
        self.by_stream
    }

    /// The session of that key.
    pub(super) fn get(&mut self, key: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&key).map(|entry| &mut **entry)
    }

    /// The session of that key is in use; `false` if it is not known.
    pub(super) fn touch(&mut self, key: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&key) else { return false };
        if entry.stamp != self.stamp {
            self.stamp += 1;
            self.order.remove(&entry.stamp);
            entry.stamp = self.stamp;
            self.order.insert(self.stamp, key);
        }
        true
    }

    /// Gives what the session of that key is called.
    pub(super) fn name(&self, key: u64) -> Option<Arc<SessionName>> {
        self.entries.get(&key)?.state.name.clone()
    }

    /// Puts a session in; another of the same key must be gone. `begun`: its beginning was seen.
    pub(super) fn insert(
        &mut self,
        handle: &Handle,
        (state, begun): (State, bool),
        common: &mut Common,
        now: Nanos,
    ) {
        self.make_room(common, now);
        self.stamp += 1;
        let (stamp, by_stream) = (self.stamp, handle.by_stream);
        let (streams, events) = (Streams::new(begun), VecDeque::new());
        let (look_at, number) = (Nanos::MAX, stamp);
        let entry =
            Entry { state, leaving: false, streams, look_at, number, by_stream, stamp, events };
        self.by_stream += usize::from(by_stream);
        self.order.insert(stamp, handle.key);
        self.entries.insert(handle.key, Box::new(entry));
    }

    /// Takes a session out.
    pub(super) fn remove(&mut self, key: u64) -> Option<Box<Entry>> {
        let entry = self.entries.remove(&key)?;
        self.order.remove(&entry.stamp);
        self.by_stream -= usize::from(entry.by_stream);
        Some(entry)
    }

    /// Says how many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All of them, in no order.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut().map(|entry| &mut **entry)
    }

    /// Gives what is known of their connections, to be looked at.
    pub(super) fn known(&self) -> impl Iterator<Item = &State> {
        self.entries.values().map(|entry| &entry.state)
    }

    /// The same, to be changed.
    pub(super) fn states(&mut self) -> impl Iterator<Item = &mut State> {
        self.all().map(|entry| &mut entry.state)
    }

    fn make_room(&mut self, common: &mut Common, now: Nanos) {
        /// Says how many are asked whether they are idle; those that are not are spared this time.
        const LOOK: usize = 64;
        if self.entries.len() < MAX_SESSIONS {
            return;
        }
        for _ in 0..LOOK {
            let Some(key) = self.oldest() else { return };
            if self.get(key).is_some_and(|entry| entry.state.in_flight() == 0) {
                self.remove(key);
                return;
            }
            self.touch(key);
        }
        if let Some(mut entry) = self.oldest().and_then(|key| self.remove(key)) {
            Pairing { common, state: &mut entry.state }.evict(now);
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.order.first_key_value().map(|(_, key)| *key)
    }
}

impl Entry {
    /// Remembers an event. `true` if it was seen before, which only a stream that `resumes` can tell:
    /// servers that number the events of each stream anew would deceive us elsewhere.
    pub(super) fn note_event(&mut self, event: u64, resumes: bool) -> bool {
        if resumes && self.events.contains(&event) {
            return true;
        }
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
        false
    }
}
