//! Shows batches to those who look on, as they leave the chains: behind redaction, before the queues of the exporters,
//! and whatever is sampled or dropped later.
//!
//! An onlooker sees each batch of a receiver once, whichever pipelines it passes: at the end of the first one that
//! redacts, else of the first one. What a processor holds back and sends on later is not shown.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;

use crate::telemetry::Telemetry;

/// Looks at batches that were accepted. Called on the receivers' threads, possibly at once: it must be quick, bounded
/// and never wait.
pub trait Onlooker: Send + Sync {
    /// Looks at a batch, whose bytes are shared.
    fn look(&self, telemetry: &Telemetry);
}

/// The onlookers of a process, whom it does not keep alive.
#[derive(Default)]
pub struct Onlookers {
    all: ArcSwap<Vec<Weak<dyn Onlooker>>>,
    changing: Mutex<()>,
}

impl Onlookers {
    /// Lets one look on, for as long as somebody keeps it. One that does already is not added again.
    pub fn add<O: Onlooker + 'static>(&self, onlooker: &Arc<O>) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Weak<O> = Arc::downgrade(onlooker);
        let other = |one: &&Weak<dyn Onlooker>| !std::ptr::addr_eq(one.as_ptr(), new.as_ptr());
        let known = self.all.load_full();
        let known = known.iter().filter(other).filter(|one| one.strong_count() > 0);
        let mut all: Vec<Weak<dyn Onlooker>> = known.cloned().collect();
        all.push(new);
        self.all.store(Arc::new(all));
    }

    /// Says whether anybody looks on.
    pub(super) fn are_there(&self) -> bool {
        self.all.load().iter().any(|one| one.strong_count() > 0)
    }

    /// Shows a batch to all of them. A bug of one must not take the thread with it.
    pub(super) fn show(&self, telemetry: &Telemetry) {
        for onlooker in self.all.load().iter().filter_map(Weak::upgrade) {
            catch_unwind(AssertUnwindSafe(|| onlooker.look(telemetry))).ok();
        }
    }
}

impl fmt::Debug for Onlookers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Onlookers({})", self.all.load().len())
    }
}
