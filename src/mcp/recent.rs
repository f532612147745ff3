//! A map that forgets its oldest entries.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// At most `capacity` entries; the one inserted first goes first.
#[derive(Debug)]
pub(in crate::mcp) struct Recent<K, V> {
    map: HashMap<K, (u64, V)>,
    /// Insertions in order. One that was removed or replaced since has another number in the map.
    order: VecDeque<(u64, K)>,
    capacity: usize,
    inserted: u64,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(in crate::mcp) fn new(capacity: usize) -> Self {
        Recent { map: HashMap::new(), order: VecDeque::new(), capacity, inserted: 0 }
    }

    /// The value that was forgotten for it, if one was.
    pub(in crate::mcp) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.inserted += 1;
        self.map.insert(key.clone(), (self.inserted, value));
        self.order.push_back((self.inserted, key));
        if self.order.len() > self.capacity
            && let Some((number, oldest)) = self.order.pop_front()
            && self.map.get(&oldest).is_some_and(|(n, _)| *n == number)
        {
            return self.map.remove(&oldest).map(|(_, value)| value);
        }
        None
    }

    pub(in crate::mcp) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key).map(|(_, value)| value)
    }

    pub(in crate::mcp) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key).map(|(_, value)| value)
    }

    pub(in crate::mcp) fn retain(&mut self, mut stays: impl FnMut(&K, &V) -> bool) {
        self.map.retain(|key, (_, value)| stays(key, value));
    }

    /// Almost always, where it is asked for every answer.
    pub(in crate::mcp) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub(in crate::mcp) fn remove(&mut self, key: &K) -> Option<V> {
        self.map.remove(key).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_goes_first_and_a_renewed_one_stays() {
        let mut recent = Recent::new(3);
        for key in ["a", "b", "a", "c"] {
            recent.insert(key, ());
        }
        assert!(recent.get(&"a").is_some());
        assert!(recent.get(&"b").is_some());
        recent.insert("d", ());
        assert!(recent.get(&"b").is_none());
        assert!(recent.get(&"a").is_some());
    }

    #[test]
    fn insert_and_remove_in_turn_never_grow_it() {
        let mut recent = Recent::new(4);
        for key in 0..100 {
            recent.insert(key, ());
            assert!(recent.remove(&key).is_some());
        }
        assert!(recent.map.is_empty());
        assert!(recent.order.len() <= 4);
    }
}
