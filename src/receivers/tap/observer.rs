//! The observer: takes what was handed over, lets the tap's state machine look at it, and offers the
//! spans to the pipeline. A thread of its own at lower priority; the chain runs on it too.
//!
//! It may be slow, stuck or broken: the queue skips and counts, the traffic does not notice. It parses
//! nothing itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};

use tokio::sync::oneshot;
use tokio::time::{self, sleep_until, timeout};

use super::calls::CallBoards;
use super::editing::EditCounters;
use super::queue::{Event, Held, Note, Queue};
use super::watch::Watch;
use crate::metrics::Counter;
use crate::pipeline::{Build, Outlet, Stop, lower_priority};
use crate::telemetry::{Batch, Clock, Nanos, Receipt, Signal};

/// Between two drains: what comes meanwhile costs no wake-up, and each drain begins with cold caches. At
/// 60,000 calls a second it is 600 calls.
const NAP: Duration = Duration::from_millis(10);
/// Says how long it sleeps at most, so that calls time out, late wake-ups do no harm, and the clock is looked at.
const LOOK_UP: Duration = Duration::from_secs(1);
/// A batch waits this long for company.
const COALESCE: Duration = Duration::from_millis(200);
/// A batch this big waits for none.
const ENOUGH: usize = 512;
/// After the traffic's end, how long an observer may take with what it has.
pub(in crate::receivers) const PATIENCE: Duration = Duration::from_millis(500);
/// And then, told to hurry: enough to count what is left, unless something behind it is stuck.
const LAST_PATIENCE: Duration = Duration::from_millis(100);

/// Waits as long as an observer may take after its traffic's end: `usual`, and at the process's end no longer
/// than receivers may. Returns how long it may take then, told to hurry; what it leaves is still to be counted
/// before receivers have to be back, however little time there is.
pub(in crate::receivers) async fn patience(usual: Duration, mut stop: Stop) -> Duration {
    let enough = time::Instant::now() + usual;
    let deadline = tokio::select! {
        () = sleep_until(enough) => return LAST_PATIENCE,
        deadline = stop.ends() => deadline,
    };
    let left = deadline.returned().saturating_duration_since(time::Instant::now());
    let last = LAST_PATIENCE.min(left / 4);
    sleep_until(enough.min(time::Instant::now() + left - 2 * last)).await;
    last
}

/// Counts the records of one tap.
pub(in crate::receivers) trait RecordCounters<N: Note>: Send {
    /// Counts what somebody looks at.
    fn count(&self, event: &Event<'_, N>);
    /// Counts as skipped what is passed over, which was counted before.
    fn count_passed_over(&self, event: &Event<'_, N>);
    /// Counts what nobody will look at any more.
    fn count_unseen(&self, event: &Event<'_, N>, why: Unseen);
    /// Counts a failure of the observer.
    fn count_panic(&self);
}

/// Says why nobody looked.
#[derive(Clone, Copy, Debug)]
pub(in crate::receivers) enum Unseen {
    /// The observer failed.
    Panic,
    /// It was too slow at the end.
    Shutdown,
}

/// The counters of what nobody looked at, by [`Unseen`]: it is received and dropped.
pub(in crate::receivers) fn drops(cx: &Build<'_>) -> [Counter; 2] {
    ["panic", "shutdown"].map(|reason| cx.accounts.receiver_drops(cx.id, Signal::Traces, reason))
}

/// Holds what one observer works with.
pub(in crate::receivers) struct Observer<N: Note, C> {
    /// Says where the copies come from.
    pub(in crate::receivers) queue: Arc<Queue<N>>,
    /// Holds what looks at them.
    pub(in crate::receivers) watch: Box<dyn Watch<N>>,
    /// Says where the spans go.
    pub(in crate::receivers) out: Outlet,
    /// Turns stamps into times.
    pub(in crate::receivers) clock: Clock,
    /// Holds what is counted.
    pub(in crate::receivers) counters: C,
    /// Holds what is counted of edits.
    pub(in crate::receivers) edits: EditCounters,
    /// Says where what waits is published.
    pub(in crate::receivers) calls: CallBoards,
    /// Set when the process has to be gone: what is still to be looked at is passed over, and counted.
    pub(in crate::receivers) hurry: Arc<AtomicBool>,
}

/// A running observer.
pub(in crate::receivers) struct Running<N: Note, C> {
    queue: Arc<Queue<N>>,
    counters: C,
    hurry: Arc<AtomicBool>,
    ended: oneshot::Receiver<()>,
}

impl<N: Note<Skipped: Send> + Send + 'static, C: RecordCounters<N> + Clone + 'static>
    Observer<N, C>
{
    /// Starts the thread that observes until the queue closes.
    pub(in crate::receivers) fn start(self) -> io::Result<Running<N, C>> {
        let (done, ended) = oneshot::channel();
        let (queue, counters) = (Arc::clone(&self.queue), self.counters.clone());
        let hurry = Arc::clone(&self.hurry);
        thread::Builder::new().name("observer".into()).spawn(move || {
            observe(self);
            // Nobody waits any more once the limit is over.
            done.send(()).ok();
        })?;
        Ok(Running { queue, counters, hurry, ended })
    }
}

impl<N: Note, C: RecordCounters<N>> Running<N, C> {
    /// Waits for the end, the queue being closed, until `enough`. Then tells it to hurry, and counts what
    /// it leaves if it does not come to an end all the same.
    pub(in crate::receivers) async fn end(self, enough: impl Future<Output = Duration>) {
        let Running { queue, counters, hurry, mut ended } = self;
        let last = tokio::select! {
            _ = &mut ended => return,
            last = enough => last,
        };
        hurry.store(true, Ordering::Relaxed);
        if timeout(last, ended).await.is_err() {
            let mut unseen = Held::default();
            queue.drain(&mut unseen);
            unseen.events().for_each(|event| counters.count_unseen(&event, Unseen::Shutdown));
            tracing::warn!("the observer was still busy at the end: its last spans are lost");
        }
    }
}

/// Observes until the queue closes. A panic, ours or of a processor, ends observation: it is said and
/// counted, and what goes by from then on counts as skipped.
pub(in crate::receivers) fn observe<N: Note, C: RecordCounters<N>>(observer: Observer<N, C>) {
    lower_priority();
    let Observer { queue, watch, out, clock, counters, edits, calls, hurry } = observer;
    let (of, since) = (&*queue, None);
    let counted = &counters;
    let watching =
        Watching { queue: of, watch, out, clock, counters: counted, edits, calls, hurry, since };
    if catch_unwind(AssertUnwindSafe(|| watching.run())).is_err() {
        counters.count_panic();
        tracing::error!("the observer failed: no more spans from here on, traffic goes on");
        count_what_goes_by(&queue, &counters);
    }
}

fn count_what_goes_by<N: Note>(queue: &Queue<N>, counters: &impl RecordCounters<N>) {
    let mut held = Held::default();
    let count =
        |held: &Held<N>| held.events().for_each(|e| counters.count_unseen(&e, Unseen::Panic));
    while queue.drain(&mut held) {
        count(&held);
        if held.is_empty() {
            queue.sleep(LOOK_UP, &mut held);
        }
        queue.nap(NAP);
    }
    count(&held);
}

struct Watching<'a, N: Note, C> {
    queue: &'a Queue<N>,
    watch: Box<dyn Watch<N>>,
    out: Outlet,
    clock: Clock,
    counters: &'a C,
    edits: EditCounters,
    calls: CallBoards,
    hurry: Arc<AtomicBool>,
    /// Since when the oldest span that is ready waits for company.
    since: Option<Instant>,
}

impl<N: Note, C: RecordCounters<N>> Watching<'_, N, C> {
    fn run(mut self) {
        let mut held = Held::default();
        while self.queue.drain(&mut held) {
            self.look_at(&held);
            let now = self.clock.steady();
            self.watch.tick(now);
            self.edits.tell();
            let patience = self.offer_what_is_due().min(self.publish(&held, now));
            if held.is_empty() {
                self.queue.sleep(patience, &mut held);
            }
            self.queue.nap(NAP);
        }
        self.look_at(&held);
        self.watch.end(self.clock.steady());
        self.edits.tell();
        self.offer();
    }

    /// Looks at the clock first, then at what is held: after a sleep of the machine that is late, too.
    fn look_at(&mut self, held: &Held<N>) {
        self.watch.anchor(self.clock.look());
        self.watch.keep(self.out.needs());
        self.watch.want_logs(self.out.takes(Signal::Logs));
        held.events().for_each(|event| self.counters.count(&event));
        for event in held.events() {
            let now = self.clock.at(event.at);
            if self.hurry.load(Ordering::Relaxed) {
                self.pass_over(&event, now);
            } else {
                self.watch.look(&event, now);
            }
            if self.watch.ready() >= ENOUGH {
                self.offer();
            }
        }
    }

    /// Tells of a gap in place of what there is no time to look at, and counts that.
    fn pass_over(&mut self, event: &Event<'_, N>, now: Nanos) {
        self.counters.count_passed_over(event);
        for note in event.note.passed_over(event.bytes) {
            let bytes = if note == event.note { event.bytes } else { &[] };
            self.watch.look(&Event { at: event.at, note, bytes }, now);
        }
    }

    /// Makes known what waits for its answer, and says how long that may wait if it is too early.
    fn publish(&mut self, held: &Held<N>, now: Nanos) -> Duration {
        if !held.is_empty() {
            self.calls.changed();
        }
        self.calls.publish(&*self.watch, now)
    }

    /// Offers what has waited long enough and says how long the rest may wait.
    fn offer_what_is_due(&mut self) -> Duration {
        if self.watch.ready() == 0 {
            return LOOK_UP;
        }
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited >= COALESCE || self.queue.flushing() {
            self.offer();
            return LOOK_UP;
        }
        COALESCE - waited
    }

    fn offer(&mut self) {
        self.since = None;
        for (telemetry, content) in self.watch.take() {
            // Of a tap that is named for its logs alone nobody misses the spans.
            if self.out.takes(telemetry.signal()) {
                self.out.offer(Batch { telemetry, content, receipt: Receipt::nobody() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Deadline;

    /// Says how long an observer that is stuck is waited for in all, and whether receivers had to be back by then.
    async fn waited(usual: u64, shutdown: Option<u64>) -> (Duration, bool) {
        let (switch, stop) = Stop::switch();
        let begun = time::Instant::now();
        let deadline = shutdown.map(|ms| Deadline::within(Duration::from_millis(ms)));
        deadline.into_iter().for_each(|deadline| switch.end(deadline));
        let last = patience(Duration::from_millis(usual), stop).await;
        let waited = begun.elapsed() + last;
        (waited, deadline.is_some_and(|deadline| begun + waited >= deadline.returned()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_observer_is_given_up_while_there_is_time_to_count_what_it_leaves() {
        let ms = Duration::from_millis;
        assert_eq!(waited(500, None).await, (ms(600), false));
        // The process's end leaves more than it needs.
        assert_eq!(waited(500, Some(1_000)).await, (ms(600), false));
        assert_eq!(waited(500, Some(25_000)).await, (ms(600), false));
        for short in [10, 100, 400] {
            let (waited, late) = waited(500, Some(short)).await;
            assert!(!late && waited > ms(short / 2), "{short}: {waited:?}");
        }
    }
}
