//! What a component is given when it is built, and the state that outlives it.
//!
//! Building touches nothing outside the process: sockets and children belong to `open`.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Accounts, Board, Boards, Id, Lifecycle, Next, Onlookers, Outlet};
use crate::metrics::Metrics;
use crate::telemetry::Clock;

/// Holds what a component may use while it is built. Building touches nothing outside the process.
#[derive(Debug)]
pub struct Build<'a> {
    /// The component's own id.
    pub id: &'a Id,
    /// The accounts of the process, and its metrics.
    pub accounts: &'a Accounts,
    /// The process's clock.
    pub clock: Clock,
    /// Relative paths in settings start here: the directory of the config file.
    pub base: &'a Path,
    /// Says where a processor puts telemetry of other signals: the pipelines that name it as a receiver.
    pub emit: Outlet,
    /// Says where a processor sends what it kept of earlier batches.
    pub next: Next,
    /// The processors behind a receiver, in the order in which batches come to them.
    pub behind: &'a [Id],
    /// State that is single per id.
    pub shared: &'a Shared,
    /// Holds what the service is about.
    pub lifecycle: Lifecycle,
}

impl<'a> Build<'a> {
    /// Makes what a component that stands alone is built with: its ways out lead nowhere.
    pub fn alone(
        id: &'a Id,
        accounts: &'a Accounts,
        clock: Clock,
        base: &'a Path,
        shared: &'a Shared,
    ) -> Self {
        let (emit, next) = (Outlet::default(), Next::nowhere());
        let lifecycle = Lifecycle::default();
        Build { id, accounts, clock, base, emit, next, behind: &[], shared, lifecycle }
    }

    /// The metrics of the process.
    pub fn metrics(&self) -> &Metrics {
        self.accounts.metrics()
    }

    /// The one value of type `T` for this component's id, made the first time: an engine that several
    /// instances of one processor share and that survives a reload.
    pub fn shared<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.shared.of(Some(self.id), make)
    }

    /// The one value of type `T` for the whole process, whichever component asks: what all of them must
    /// know together.
    pub fn process<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.shared.of(None, make)
    }

    /// Opens a board of rows `R` under this component's id. It is there for as long as the component keeps it.
    pub fn board<R: Send + Sync + 'static>(&self) -> Board<R> {
        self.boards().open(self.id)
    }

    /// The boards of the process, for whoever serves them.
    pub fn boards(&self) -> Arc<Boards> {
        self.process(Boards::default)
    }

    /// Those who look on as batches leave the chains.
    pub fn onlookers(&self) -> Arc<Onlookers> {
        self.process(Onlookers::default)
    }

    /// Makes a value known to the receivers in front of this component, in place of the one that it made
    /// known before, or takes that one back.
    pub fn publish<T: Any + Send + Sync>(&self, value: Option<T>) {
        self.shared.put(self.id, value);
    }

    /// The value of type `T` that a processor behind this receiver published: of several the first.
    pub fn published<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.behind.iter().find_map(|id| self.shared.get(id))
    }
}

/// State that is single per component id, or for the process.
#[derive(Debug, Default)]
pub struct Shared(Mutex<SharedMap>);

type SharedMap = HashMap<(Option<Id>, TypeId), Arc<dyn Any + Send + Sync>>;

impl Shared {
    pub(super) fn of<T: Any + Send + Sync>(
        &self,
        id: Option<&Id>,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = map
            .entry((id.cloned(), TypeId::of::<T>()))
            .or_insert_with(|| Arc::new(make()) as Arc<dyn Any + Send + Sync>);
        Arc::clone(slot).downcast().unwrap_or_else(|_| unreachable!("keyed by its type"))
    }

    fn put<T: Any + Send + Sync>(&self, id: &Id, value: Option<T>) {
        let key = (Some(id.clone()), TypeId::of::<T>());
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => drop(map.insert(key, Arc::new(value))),
            None => drop(map.remove(&key)),
        }
    }

    fn get<T: Any + Send + Sync>(&self, id: &Id) -> Option<Arc<T>> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(map.get(&(Some(id.clone()), TypeId::of::<T>()))?).downcast().ok()
    }
}
