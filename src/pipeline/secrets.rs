//! The exact secrets that this process knows: values of its own settings, and of the variables of a server that it
//! started. Whoever redacts searches for them in all that leaves.
//!
//! In memory only. It knows nothing of where they come from, and prints none.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::privacy::redact::KnownValues;

/// Holds the process's secrets, by who knows them. One for the process:
/// [`Build::process`](super::Build::process).
#[derive(Default)]
pub struct Secrets {
    by_owner: Mutex<Vec<(String, Arc<KnownValues>)>>,
    all: ArcSwap<Vec<Arc<KnownValues>>>,
}

impl Secrets {
    /// Says which secrets an owner knows, in place of those that it knew before.
    pub fn set<V: AsRef<[u8]>>(&self, owner: &str, values: impl IntoIterator<Item = V>) {
        let known = Arc::new(KnownValues::new(values));
        let mut by_owner = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
        by_owner.retain(|(other, _)| other != owner);
        if !known.is_empty() {
            by_owner.push((owner.to_owned(), known));
        }
        self.all.store(Arc::new(by_owner.iter().map(|(_, known)| Arc::clone(known)).collect()));
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
    fn an_owner_replaces_its_own_secrets_and_no_others() {
        let secrets = Secrets::default();
        secrets.set("config", ["a-secret-of-config"]);
        secrets.set("mcp_stdio", ["a-secret-of-a-child"]);
        assert_eq!(secrets.known().len(), 2);
        secrets.set("config", ["another-secret"]);
        assert_eq!(secrets.known().len(), 2);
        secrets.set("config", ["short"]);
        assert_eq!(secrets.known().len(), 1);
        assert_eq!(format!("{secrets:?}"), "Secrets");
    }
}
