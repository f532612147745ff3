//! Secrets that heads of HTTP messages carried: those of one head, and those of a session.
//!
//! Held in memory only, for as long as they are used and a little longer. Nothing of them is told: whoever redacts
//! searches for them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::privacy::redact::KnownValues;
use crate::telemetry::{CallSecrets, Nanos};

/// The most values of one head, and of one session.
const MAX_VALUES: usize = 64;
/// Says how much of them one head has at most, in bytes: to search for them takes some twenty times as much memory.
const MAX_BYTES: usize = 16 << 10;
/// Says how many heads with secrets of their own a session remembers: each is searched for by itself.
const MAX_HEADS: usize = 16;
/// Says how long after their last use they are remembered, in nanoseconds.
pub(super) const FORGOTTEN_AFTER: Nanos = Duration::from_secs(10 * 60).as_nanos() as Nanos;

/// The secrets of one head, ready to be searched for.
pub(super) struct HeadSecrets {
    values: Vec<String>,
    pub(super) secrets: CallSecrets,
}

impl HeadSecrets {
    /// Takes values; of more than 64, or than 16 KiB, the first.
    pub(super) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut left = MAX_BYTES;
        let fits = |value: &String| {
            let rest = left.checked_sub(value.len());
            left = rest.unwrap_or(left);
            rest.is_some()
        };
        let mut values: Vec<String> = values.into_iter().filter(fits).take(MAX_VALUES).collect();
        values.sort_unstable();
        values.dedup();
        let secrets = std::iter::once(Arc::new(KnownValues::new(&values))).collect();
        HeadSecrets { values, secrets }
    }

    /// Counts the bytes of the values.
    pub(super) fn bytes(&self) -> usize {
        self.values.iter().map(String::len).sum()
    }

    /// Says whether another one has all of these.
    pub(super) fn is_within(&self, other: &HeadSecrets) -> bool {
        self.values.iter().all(|value| other.values.binary_search(value).is_ok())
    }
}

// There are secrets in it.
impl fmt::Debug for HeadSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeadSecrets({})", self.values.len())
    }
}

/// The secrets that the heads of a session carried lately.
#[derive(Debug, Default)]
pub(super) struct SessionSecrets {
    /// Heads, and when each was last seen.
    heads: Vec<(Arc<HeadSecrets>, Nanos)>,
    all: CallSecrets,
}

impl SessionSecrets {
    /// Takes note of a head. Mostly it is one that is known.
    pub(super) fn add(&mut self, head: &Arc<HeadSecrets>, now: Nanos) {
        self.forget(now);
        let knows = |(known, _): &&mut (Arc<HeadSecrets>, Nanos)| {
            Arc::ptr_eq(known, head) || head.is_within(known)
        };
        if let Some((_, used)) = self.heads.iter_mut().find(knows) {
            *used = now;
            return;
        }
        // What has all of another one takes its place.
        self.heads.retain(|(known, _)| !known.is_within(head));
        self.heads.push((Arc::clone(head), now));
        let count = |heads: &[(Arc<HeadSecrets>, Nanos)]| -> usize {
            heads.iter().map(|(head, _)| head.values.len()).sum()
        };
        while self.heads.len() > MAX_HEADS || count(&self.heads) > MAX_VALUES {
            let used = self.heads.iter().enumerate().map(|(i, (_, used))| (*used, i));
            let Some((_, oldest)) = used.min() else { break };
            self.heads.remove(oldest);
        }
        self.tell();
    }

    /// Gives all that are remembered.
    pub(super) fn all(&mut self, now: Nanos) -> &CallSecrets {
        self.forget(now);
        &self.all
    }

    /// Forgets what was not used for a while.
    pub(super) fn forget(&mut self, now: Nanos) {
        let before = self.heads.len();
        self.heads.retain(|(_, used)| now.saturating_sub(*used) < FORGOTTEN_AFTER);
        if self.heads.len() != before {
            self.tell();
        }
    }

    fn tell(&mut self) {
        let sets = self.heads.iter().flat_map(|(head, _)| head.secrets.sets());
        self.all = sets.cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(values: &[&str]) -> Arc<HeadSecrets> {
        Arc::new(HeadSecrets::new(values.iter().map(|value| format!("kettle-{value}"))))
    }

    #[test]
    fn a_head_that_has_all_of_another_takes_its_place() {
        let mut session = SessionSecrets::default();
        let (small, large, other) = (head(&["one"]), head(&["one", "two"]), head(&["three"]));
        session.add(&small, 0);
        assert_eq!(*session.all(0), small.secrets);
        session.add(&large, 1);
        assert_eq!(*session.all(1), large.secrets);
        let shared = session.all(1).clone();
        for known in [&small, &large, &head(&["two"])] {
            session.add(known, 2);
        }
        assert_eq!(*session.all(2), shared);
        session.add(&other, 3);
        assert_eq!(session.all(3).sets().len(), 2);
    }

    #[test]
    fn what_is_not_used_is_forgotten() {
        let mut session = SessionSecrets::default();
        let (one, two) = (head(&["one"]), head(&["two"]));
        session.add(&one, 0);
        session.add(&two, FORGOTTEN_AFTER / 2);
        session.add(&one, FORGOTTEN_AFTER - 1);
        assert_eq!(session.all(FORGOTTEN_AFTER).sets().len(), 2);
        assert_eq!(*session.all(FORGOTTEN_AFTER * 3 / 2), one.secrets);
        assert!(session.all(FORGOTTEN_AFTER * 2).is_empty());
    }

    #[test]
    fn there_is_room_for_so_many_values() {
        let mut session = SessionSecrets::default();
        let many: Vec<String> = (0..100).map(|i| format!("value-{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let full = head(&many);
        assert_eq!(full.values.len(), MAX_VALUES);
        session.add(&head(&["before"]), 0);
        session.add(&full, 1);
        assert_eq!(*session.all(1), full.secrets);
        for i in 0..100 {
            session.add(&head(&[&format!("after-{i}")]), 2 + i);
        }
        assert_eq!(session.all(200).sets().len(), MAX_HEADS);
    }
}
