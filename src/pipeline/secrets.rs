//! The exact secrets that this process knows: values of its own settings, and of the variables of a server that it
//! started. Whoever redacts searches for them in all that leaves.
//!
//! In memory only. It knows nothing of where they come from, and prints none.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::privacy::redact::KnownValues;

/// Holds the process's secrets, by who knows them. One for the process:
/// [`Build::process`](super::Build::process).
#[derive(Default)]
pub struct Secrets {
    sets: Mutex<Vec<Set>>,
    all: ArcSwap<Vec<Arc<KnownValues>>>,
    keys: RandomState,
}

/// Holds what an owner knew at a time.
struct Set {
    owner: String,
    /// Tells equal sets, by a hash that this process alone can make.
    hash: u64,
    known: Arc<KnownValues>,
}

/// Says how many sets of one owner are kept: those of configurations that a reload replaced, or could not put in place,
/// may still be at work.
const MAX_SETS: usize = 8;

impl Secrets {
    /// Says which secrets an owner knows now. Those that it knew before are searched for, too, the last eight sets.
    pub fn set<V: AsRef<[u8]>>(&self, owner: &str, values: impl IntoIterator<Item = V>) {
        let values: BTreeSet<Vec<u8>> = values.into_iter().map(|v| v.as_ref().to_vec()).collect();
        let hash = self.keys.hash_one(&values);
        let known = Arc::new(KnownValues::new(&values));
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.retain(|set| set.owner != owner || set.hash != hash);
        if !known.is_empty() {
            sets.push(Set { owner: owner.to_owned(), hash, known });
        }
        if sets.iter().filter(|set| set.owner == owner).count() > MAX_SETS
            && let Some(oldest) = sets.iter().position(|set| set.owner == owner)
        {
            sets.remove(oldest);
        }
        self.all.store(Arc::new(sets.iter().map(|set| Arc::clone(&set.known)).collect()));
    }

    /// Gives all of them. Never waits.
    pub fn known(&self) -> Arc<Vec<Arc<KnownValues>>> {
        self.all.load_full()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reload_replaced_is_still_searched_for() {
        let secrets = Secrets::default();
        secrets.set("config", ["a-secret-of-config"]);
        secrets.set("mcp_stdio", ["a-secret-of-a-child"]);
        assert_eq!(secrets.known().len(), 2);
        // A configuration that could not be put in place leaves the old one at work.
        secrets.set("config", ["another-secret"]);
        assert_eq!(secrets.known().len(), 3);
        secrets.set("config", ["a-secret-of-config"]);
        assert_eq!(secrets.known().len(), 3, "equal sets are one");
        secrets.set("config", ["short"]);
        assert_eq!(secrets.known().len(), 3, "nothing to search for");
        (0..20).for_each(|i| secrets.set("config", [format!("secret-number-{i}")]));
        assert_eq!(secrets.known().len(), MAX_SETS + 1);
        assert_eq!(format!("{secrets:?}"), "Secrets");
    }
}
