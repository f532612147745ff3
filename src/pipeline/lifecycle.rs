//! Tells what the service is about, and so whether the process is ready: the service says it, extensions read it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::Nanos;

/// Says what the service is about. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle(Arc<Mutex<Phase>>);

/// A part of the life of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Its first pipelines are being built and opened.
    #[default]
    Starting,
    /// Pipelines run; a reload changes nothing of that.
    Running {
        /// Since when, by the wall clock.
        since: Nanos,
    },
    /// Nothing new is taken in, and what is there is sent.
    Draining,
}

impl Lifecycle {
    /// Returns what it is about now.
    pub fn phase(&self) -> Phase {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that pipelines run, unless they did before or the end has begun.
    pub(super) fn running(&self, since: Nanos) {
        let mut phase = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *phase == Phase::Starting {
            *phase = Phase::Running { since };
        }
    }

    /// Says that the end has begun.
    pub(super) fn draining(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Phase::Draining;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_is_no_new_beginning_and_an_end_is_final() {
        let lifecycle = Lifecycle::default();
        assert_eq!(lifecycle.phase(), Phase::Starting);
        lifecycle.running(7);
        lifecycle.clone().running(9);
        assert_eq!(lifecycle.phase(), Phase::Running { since: 7 });
        lifecycle.draining();
        lifecycle.running(9);
        assert_eq!(lifecycle.phase(), Phase::Draining);
    }
}
