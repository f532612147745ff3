//! What surrounds every exporter: queue, batching, timeout, retry, and the counters of what became of
//! each item.
//!
//! The queue answers for a batch when it takes it; from then on the item is this delivery's to account
//! for: sent, dropped for a named reason, or held. Exporters make single attempts and know none of
//! this.

mod size;
mod store;
mod queue;
mod in_flight;
mod incidents;
mod retry;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use self::in_flight::InFlight;
use self::incidents::Incidents;
pub(super) use self::queue::Permit;
use self::queue::{Gauges, Queue, Refusal, Taken};
use self::retry::Backoff;
use self::store::{Entry, MemoryStore, Store};
use super::accounting::{Account, ExporterCounters};
use super::{BoxFuture, ExportError, Exported, Exporter, Id};
use crate::settings::{Delivery as Settings, OnFull, Sizer};
use crate::telemetry::{Receipt, Telemetry, Verdict};

/// One exporter with everything around it.
pub(super) struct Delivery {
    worker: Arc<Worker>,
    tasks: Mutex<JoinSet<()>>,
    urgency: watch::Sender<Urgency>,
    /// Counts the chains that lead here.
    chains: watch::Sender<usize>,
}

/// Names what is known of the end. Each step cuts a pause before a retry short, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    None,
    /// What is ready goes out without waiting for company.
    Flush,
    /// What is left has one attempt.
    Close,
}

/// Holds what the consumers share.
struct Worker {
    id: Id,
    exporter: Box<dyn Exporter>,
    settings: Settings,
    queue: Arc<Queue>,
    /// Room for what is made of batches while they are sent, in KiB of [`WORK`].
    room: Semaphore,
    /// Tells of each attempt that succeeded to those who wait because the backend asked for it.
    taken: Notify,
    counters: ExporterCounters,
    incidents: Incidents,
}

impl Delivery {
    pub(super) fn start(
        id: Id,
        exporter: Box<dyn Exporter>,
        settings: Settings,
        counters: ExporterCounters,
        runtime: &Handle,
    ) -> Arc<Self> {
        // Without a queue the sender's answer is the result of sending.
        let answers = settings.queue.enabled && !settings.queue.wait_for_result;
        let store = Box::new(MemoryStore::new(answers));
        Self::start_on(store, id, exporter, settings, counters, runtime)
    }

    fn start_on(
        store: Box<dyn Store>,
        id: Id,
        exporter: Box<dyn Exporter>,
        settings: Settings,
        counters: ExporterCounters,
        runtime: &Handle,
    ) -> Arc<Self> {
        let gauges = Gauges {
            units: counters.queue_size(settings.queue.queue_size),
            bytes: counters.queue_bytes(settings.queue.max_bytes()),
        };
        let queue = Queue::new(settings.queue.clone(), gauges, store);
        let consumers = settings.queue.num_consumers;
        let incidents = Incidents::of(id.clone());
        let room = Semaphore::new(WORK >> 10);
        let taken = Notify::new();
        let worker =
            Arc::new(Worker { id, exporter, settings, queue, room, taken, counters, incidents });
        let urgency = watch::Sender::new(Urgency::None);
        let mut tasks = JoinSet::new();
        for _ in 0..consumers {
            let (worker, urgency) = (Arc::clone(&worker), urgency.subscribe());
            tasks.spawn_on(async move { worker.consume(urgency).await }, runtime);
        }
        Arc::new(Delivery {
            worker,
            tasks: Mutex::new(tasks),
            urgency,
            chains: watch::Sender::default(),
        })
    }

    /// Gives what a full queue does: as set, else it drops beside others and refuses alone.
    pub(super) fn on_full(&self, alone: bool) -> OnFull {
        let otherwise = if alone { OnFull::Refuse } else { OnFull::Drop };
        self.worker.settings.queue.on_full.unwrap_or(otherwise)
    }

    /// Its exporter is none: what it is given is dropped, and this is why.
    pub(super) fn cannot_start(&self, why: &str) {
        self.worker.incidents.cannot_start(why);
    }

    /// Gives what became of everything so far, and why sending failed last.
    pub(super) fn account(&self) -> Account {
        let Worker { counters, incidents, .. } = &*self.worker;
        let account = counters.account();
        Account {
            off: incidents.is_off(),
            last_failure: incidents.last_failure().or(account.last_failure),
            ..account
        }
    }

    /// Keeps room for the batch, or says what its sender should hear.
    pub(super) fn reserve(&self, batch: &Telemetry, awaited: bool) -> Result<Permit, Verdict> {
        self.worker.queue.reserve(batch, awaited).map_err(|refusal| match refusal {
            Refusal::TooLarge => Verdict::Rejected(format!(
                "the batch is larger than the whole sending_queue of {}",
                self.worker.id
            )),
            Refusal::Full => Verdict::Retry { after: Some(self.hint()) },
        })
    }

    /// Takes the batch over.
    pub(super) fn commit(&self, place: Permit, batch: Telemetry, receipt: Receipt) {
        self.worker.counters.received(batch.signal(), batch.items());
        if let Some(late) = place.commit(batch, receipt) {
            self.worker.counters.dropped(late.signal(), late.items(), "shutdown");
        }
        self.worker.incidents.room();
    }

    /// Counts a batch that this delivery should have had and had no room for.
    pub(super) fn overflow(&self, batch: &Telemetry, verdict: &Verdict) {
        let worker = &self.worker;
        let reason = match verdict {
            Verdict::Rejected(_) => "too_large",
            _ => "queue_full",
        };
        worker.counters.received(batch.signal(), batch.items());
        worker.counters.refused(batch.signal(), batch.items(), reason);
        worker.incidents.overflow(|| worker.queue.level());
    }

    /// Gives what to tell a sender that was refused: when the next attempt may have made room.
    fn hint(&self) -> Duration {
        self.worker.settings.retry.initial_interval.0.clamp(MIN_HINT, MAX_HINT)
    }

    /// Notes that one more chain leads here, until it [leaves](Self::leave).
    pub(super) fn join(&self) {
        self.chains.send_modify(|chains| *chains += 1);
    }

    /// Notes that one chain less leads here.
    pub(super) fn leave(&self) {
        self.chains.send_modify(|chains| *chains = chains.saturating_sub(1));
    }

    /// Waits until no chain leads here any more: then nothing more can come.
    pub(super) async fn left(&self) {
        // Its sender is this.
        drop(self.chains.subscribe().wait_for(|chains| *chains == 0).await);
    }

    /// Sends what it has at once, and from now on what it gets.
    pub(super) fn flush(&self) {
        self.worker.queue.flush();
        self.urge(Urgency::Flush);
    }

    fn urge(&self, to: Urgency) {
        self.urgency.send_if_modified(|now| {
            let more = to > *now;
            *now = to.max(*now);
            more
        });
    }

    /// Takes no more, sends what it has (one attempt each), and at the deadline gives up on the rest.
    pub(super) async fn drain(&self, deadline: Instant) {
        let refused = self.worker.queue.close();
        self.urge(Urgency::Close);
        let mut tasks = {
            let mut guard = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *guard)
        };
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        if timeout_at(deadline, all_ended).await.is_err() {
            tasks.shutdown().await;
        }
        for left in refused.into_iter().chain(self.worker.queue.abandon()) {
            self.worker.counters.dropped(left.signal(), left.items(), "shutdown");
        }
    }
}

/// The most memory that attempts of one exporter take at a time beside what is in the queue, in bytes, unless one item
/// alone takes more.
const WORK: usize = 128 << 20;
/// A sender that is told to come back sooner than this would only spin.
const MIN_HINT: Duration = Duration::from_millis(100);
/// A sender that is told to come back later than this would fill its own queue for nothing.
const MAX_HINT: Duration = Duration::from_secs(30);

impl Worker {
    async fn consume(&self, mut urgency: watch::Receiver<Urgency>) {
        while let Some(mut taken) = self.queue.take().await {
            let room = self.room(taken.bytes()).await;
            let entries = taken.give();
            let batches = self.batches(&taken, entries);
            drop(room);
            for batch in batches {
                self.deliver(batch, &mut urgency).await;
            }
        }
    }

    /// Waits for room for so many bytes: for all there is, if they are more.
    async fn room(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let wanted = (bytes >> 10).clamp(1, WORK >> 10);
        // It is never closed.
        self.room.acquire_many(u32::try_from(wanted).unwrap_or(u32::MAX)).await.ok()
    }

    /// Joins what was taken and cuts it to size.
    fn batches<'a>(&'a self, taken: &'a Taken, entries: Vec<Entry>) -> Vec<InFlight<'a>> {
        // Receipts never merge: a sender that waits for its own result gets a batch of its own.
        let (alone, joined): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.receipt.awaited());
        let batch = |telemetry, receipt| InFlight::new(&self.counters, taken, telemetry, receipt);
        let mut out: Vec<_> =
            alone.into_iter().map(|entry| batch(entry.telemetry, entry.receipt)).collect();
        let parts = joined.into_iter().map(|entry| entry.telemetry).collect();
        if let Some(whole) = Telemetry::join(parts) {
            out.extend(self.cut(whole).into_iter().map(|piece| batch(piece, Receipt::nobody())));
        }
        out
    }

    fn cut(&self, whole: Telemetry) -> Vec<Telemetry> {
        let queue = &self.settings.queue;
        let Some(batch) = &queue.batch else { return vec![whole] };
        let items = match batch.sizer(queue.sizer) {
            _ if batch.max_size == 0 => return vec![whole],
            Sizer::Bytes => {
                // Items of one batch are of a size: cut by their average.
                let average = whole.wire().len().div_ceil(whole.items().max(1));
                batch.max_size / average.max(1)
            }
            _ => batch.max_size,
        };
        whole.split(items)
    }

    /// Sends a batch, in parts where the backend finds it too large, or where it takes too much memory here.
    async fn deliver(&self, batch: InFlight<'_>, urgency: &mut watch::Receiver<Urgency>) {
        // As deep as a batch can be halved: the logarithm of its items.
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let part = match self.fitting(part).await {
                Ok(part) => part,
                Err([first, second]) => {
                    parts.extend([second, first]);
                    continue;
                }
            };
            if let Some((part, why)) = self.send(part, urgency).await {
                match part.halved() {
                    Ok([first, second]) => {
                        self.incidents.halved(&why);
                        parts.extend([second, first]);
                    }
                    Err(part) => self.reject(part, "too_large", why),
                }
            }
        }
    }

    /// Gives back a batch that an attempt has room for, or that cannot be cut; the halves of any other.
    async fn fitting<'a>(&self, batch: InFlight<'a>) -> Result<InFlight<'a>, [InFlight<'a>; 2]> {
        if self.exporter.takes(&batch.telemetry) <= WORK {
            return Ok(batch);
        }
        let _room = self.room(batch.telemetry.wire().len()).await;
        match batch.halved() {
            Ok(halves) => Err(halves),
            Err(batch) => Ok(batch),
        }
    }

    /// Attempts until sent, given up, or told to close: then one last time. Gives back what is too
    /// large, with the reason.
    async fn send<'a>(
        &self,
        batch: InFlight<'a>,
        urgency: &mut watch::Receiver<Urgency>,
    ) -> Option<(InFlight<'a>, String)> {
        let mut backoff = Backoff::new(&self.settings.retry);
        let begun = Instant::now();
        loop {
            let known = *urgency.borrow_and_update();
            let last = known == Urgency::Close;
            let error = match self.attempt(&batch.telemetry).await {
                Ok(rejected) => {
                    batch.sent(rejected);
                    return None;
                }
                Err(error) => error,
            };
            let (hint, why) = match error {
                ExportError::TooLarge { why } => return Some((batch, why)),
                ExportError::Reject { why } => {
                    self.reject(batch, "rejected", why);
                    return None;
                }
                ExportError::Retry { after, why } => (after, why),
            };
            let taken = self.taken.notified();
            let wait = backoff.next(begun.elapsed(), rand::random(), hint);
            let Some(wait) = wait.filter(|_| !last) else {
                if last {
                    self.leave(batch, &why);
                } else {
                    self.give_up(batch, &why);
                }
                return None;
            };
            self.incidents.will_retry(&why, wait.whole());
            // Whichever comes first, the next attempt is due.
            tokio::select! {
                () = wait.passed(taken) => {}
                _ = urgency.wait_for(|urgency| *urgency > known) => {}
            }
        }
    }

    /// One attempt within the time limit; how many items the backend refused of it.
    async fn attempt(&self, telemetry: &Telemetry) -> Result<usize, ExportError> {
        let _room = self.room(self.exporter.takes(telemetry)).await;
        let begun = Instant::now();
        let exported = self.export(telemetry).await;
        self.counters.attempted(begun.elapsed(), exported.is_ok());
        let exported = exported?;
        self.incidents.sent();
        self.taken.notify_waiters();
        if exported.rejected > 0 || !exported.message.is_empty() {
            self.incidents.partial_success(exported.rejected, &exported.message);
        }
        Ok(exported.rejected.min(telemetry.items()))
    }

    async fn export(&self, telemetry: &Telemetry) -> Result<Exported, ExportError> {
        let limit = self.settings.timeout.0;
        let export = caught(self.exporter.export(telemetry));
        if limit.is_zero() {
            return export.await;
        }
        timeout(limit, export).await.unwrap_or_else(|_| {
            let why = format!("no answer within the timeout of {limit:?}");
            Err(ExportError::Retry { after: None, why })
        })
    }

    fn reject(&self, batch: InFlight<'_>, reason: &'static str, why: String) {
        self.incidents.dropped(batch.telemetry.items(), reason, &why);
        batch.dropped(reason, Verdict::Rejected(why));
    }

    fn give_up(&self, batch: InFlight<'_>, why: &str) {
        let reason = "retries_exhausted";
        self.incidents.dropped(batch.telemetry.items(), reason, why);
        batch.dropped(reason, Verdict::Retry { after: None });
    }

    /// Leaves a batch whose last attempt failed.
    fn leave(&self, batch: InFlight<'_>, why: &str) {
        let items = batch.telemetry.items();
        if batch.left() {
            self.incidents.dropped(items, "shutdown", why);
        } else {
            self.incidents.held(why);
        }
    }
}

/// An attempt that panics is one that failed for good; its consumer goes on with the next batch.
async fn caught(
    mut export: BoxFuture<'_, Result<Exported, ExportError>>,
) -> Result<Exported, ExportError> {
    poll_fn(|cx| {
        let poll = AssertUnwindSafe(|| export.as_mut().poll(cx));
        catch_unwind(poll).unwrap_or_else(|_| {
            let why = "the exporter panicked".to_owned();
            Poll::Ready(Err(ExportError::Reject { why }))
        })
    })
    .await
}
