//! `slo`: watches objectives of tools, live, and alerts when their budgets burn.
//!
//! ```yaml
//! slo:
//!   slos:
//!     - { tool: search_web, metric: latency, target_p95: 800ms }
//!     - { tool: read_file, metric: error_rate, target: 0.01 }
//!     - { name: writes, server: fs, tool: "write_*", metric: availability, target: 99.5% }
//! ```
//! Spans go on as they came. Whenever an alert changes, a line stands in the log and a log record goes to every `logs`
//! pipeline that names the processor as a receiver; its metrics go to every such `metrics` pipeline, once an interval.
//! It sends nothing to anybody itself, and blocks no call.

mod written;
mod objectives;
mod settings;
mod operations;
mod snapshot;
mod keeping;
mod time;
mod notice;
mod shown;
mod export;
mod state;

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use self::keeping::Keeping;
use self::state::{Look, State};
use crate::pipeline::{Build, Flow, Outlet, Pass, Processor};
use crate::telemetry::{Batch, Nanos, Signal};

pub use notice::Notice;
pub use operations::{Operation, Operations, Skipped};
pub use settings::Config;

/// Says how long the last state is waited for at the end.
const PATIENCE: Duration = Duration::from_millis(500);

/// One instance: all of one id share their state.
struct Processing {
    config: Arc<Config>,
    generation: u64,
    state: Arc<Mutex<State>>,
    emit: Outlet,
}

impl Processing {
    fn new(config: Arc<Config>, cx: &Build<'_>) -> Self {
        let state = cx.shared(|| {
            let (clock, metrics) = (cx.clock.clone(), cx.metrics().clone());
            Mutex::new(State::new(Arc::clone(&config), clock, metrics, cx.id.to_string()))
        });
        if let Some(file) = config.state_file() {
            locked(&state).keep_in(Keeping::new(cx.base.join(file)));
        }
        let generation = locked(&state).build();
        Processing { config, generation, state, emit: cx.emit.clone() }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        let mut state = locked(&self.state);
        state.under(&self.config, self.generation);
        state
    }

    /// Writes the state file if that is due, or anyway, on a thread of its own; returns what tells when it is written.
    fn save(&self, anyway: bool) -> Option<Receiver<()>> {
        let due = self.locked().due_to_save(anyway)?;
        let (state, (done, saved)) = (Arc::clone(&self.state), sync_channel(1));
        let save = move || {
            let sum = due.write();
            locked(&state).saved(sum);
            done.send(()).ok();
        };
        if let Err(error) = thread::Builder::new().name("slo-state".to_owned()).spawn(save) {
            self.locked().saved(Err(error));
        }
        Some(saved)
    }

    /// Tells whoever wants to hear it, without the lock: others count meanwhile.
    fn tell(&self, look: Look) {
        look.notices.iter().for_each(Notice::log);
        let logs = look.logs();
        for metrics in look.metrics {
            self.emit.offer(Batch::new(metrics.into()));
        }
        if let Some(logs) = logs.filter(|_| self.emit.takes(Signal::Logs)) {
            self.emit.offer(Batch::new(logs.into()));
        }
    }
}

impl Processor for Processing {
    fn process(&self, batch: Batch, pass: &mut Pass) -> Flow {
        // Its bytes are shared, and looked at once nobody will send them again.
        let (state, telemetry) = (Arc::clone(&self.state), batch.telemetry.clone());
        let (config, generation) = (Arc::clone(&self.config), self.generation);
        // Nobody waits for what a tap of this process saw.
        let ours = !batch.receipt.awaited();
        pass.once_accepted(move || {
            let mut state = locked(&state);
            state.under(&config, generation);
            state.count(&telemetry, ours);
        });
        Flow::Pass(batch)
    }

    fn tick(&self, now: Nanos) -> Option<Nanos> {
        let (look, wait) = self.locked().look(false, self.emit.takes(Signal::Metrics));
        if let Some(look) = look {
            self.tell(look);
        }
        self.save(false);
        Some(now.saturating_add(wait))
    }

    fn finish(&self, _: Nanos) {
        let (look, _) = self.locked().look(true, self.emit.takes(Signal::Metrics));
        self.tell(look.unwrap_or_default());
        if let Some(saved) = self.save(true) {
            // Whatever holds the disk up must not hold up the stop.
            saved.recv_timeout(PATIENCE).ok();
        }
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
