//! Tests what a store that outlives the process is told, and how the end of the process is booked with one.

use std::collections::BTreeSet;

use super::*;
use crate::pipeline::delivery::size::Size;
use crate::telemetry::Signal;

/// Keeps batches for the next process, and settles receipts when a test says that they are safe.
#[derive(Clone, Default)]
struct Lasting(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    line: VecDeque<Entry>,
    /// Holds what is neither sent nor dropped.
    ids: BTreeSet<u64>,
    put: u64,
    unsettled: Vec<Receipt>,
}

impl Lasting {
    fn ids(&self) -> Vec<u64> {
        self.0.lock().unwrap().ids.iter().copied().collect()
    }

    fn sync(&self) {
        let unsettled = std::mem::take(&mut self.0.lock().unwrap().unsettled);
        unsettled.into_iter().for_each(|receipt| receipt.settle(Verdict::Accepted));
    }
}

impl Store for Lasting {
    fn put(&mut self, mut entry: Entry) {
        let kept = &mut *self.0.lock().unwrap();
        kept.put += 1;
        entry.id = kept.put;
        kept.ids.insert(entry.id);
        kept.unsettled.push(std::mem::replace(&mut entry.receipt, Receipt::nobody()));
        kept.line.push_back(entry);
    }

    fn first(&self) -> Option<(Signal, Size)> {
        let kept = self.0.lock().unwrap();
        kept.line.front().map(|entry| (entry.telemetry.signal(), entry.size))
    }

    fn take(&mut self) -> Option<Entry> {
        self.0.lock().unwrap().line.pop_front()
    }

    fn put_back(&mut self, entry: Entry) {
        self.0.lock().unwrap().line.push_front(entry);
    }

    fn done(&mut self, id: u64) {
        assert!(self.0.lock().unwrap().ids.remove(&id), "{id} was done before");
    }

    fn lasts(&self) -> bool {
        true
    }

    fn end(&mut self) -> Vec<Telemetry> {
        Vec::new()
    }
}

/// A backend with room for `most` spans, behind a lasting store.
fn setup(most: usize, queue: QueueSettings) -> (Setup, Lasting) {
    let line = Lasting::default();
    let store = Box::new(line.clone());
    let backend = Backend { most, ..Backend::default() };
    let setup = Setup::started(backend, |exporter, id, counters| {
        let timeout = Setting::secs(0);
        let settings = Settings { timeout, queue, retry: RetrySettings::default() };
        Delivery::start_on(store, id, exporter, settings, counters, &Handle::current())
    });
    (setup, line)
}

fn busy(setup: &Setup, from: usize) {
    let later = ExportError::Retry { after: None, why: "busy".to_owned() };
    let good = std::iter::repeat_n(Ok(Exported::default()), from);
    let bad = std::iter::repeat_n(Err(later), 100);
    setup.backend.answers.lock().unwrap().extend(good.chain(bad));
}

async fn passed(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

async fn ended(setup: &Setup) -> String {
    setup.delivery.drain(Instant::now() + Duration::from_secs(1)).await;
    setup.account().to_string()
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_or_refused_for_good_is_done_and_nothing_else() {
    let (setup, store) = setup(1, QueueSettings::default());
    let rejected = ExportError::Reject { why: "no such tenant".to_owned() };
    setup.backend.answers.lock().unwrap().push_back(Err(rejected));
    setup.offer(spans(&["rejected"]));
    passed(1).await;
    setup.offer(spans(&["sent", "in", "parts"]));
    passed(1).await;
    assert!(store.ids().is_empty(), "{:?}", store.ids());
    busy(&setup, 0);
    setup.offer(spans(&["waits"]));
    passed(60).await;
    assert_eq!(store.ids(), [3]);
    assert_eq!(
        ended(&setup).await,
        r#"received=5 sent=3 dropped=1 (rejected=1) held=1 last_failure="busy""#
    );
    assert_eq!(store.ids(), [3], "the last attempt failed: the next process goes on");
}

#[tokio::test(start_paused = true)]
async fn one_part_that_is_left_leaves_all_that_it_was_joined_with() {
    let batch = BatchSettings { min_size: 3, max_size: 2, ..BatchSettings::default() };
    let queue = QueueSettings { batch: Some(batch), num_consumers: 1, ..QueueSettings::default() };
    let (setup, store) = setup(100, queue);
    busy(&setup, 1);
    setup.offer(spans(&["a"]));
    setup.offer(spans(&["b", "c"]));
    passed(1).await;
    assert_eq!(setup.taken(), [["a", "b"]]);
    assert_eq!(
        ended(&setup).await,
        r#"received=3 sent=2 dropped=0 held=1 last_failure="busy""#,
        "what is sent again at the next start was sent, and counts as that"
    );
    assert_eq!(store.ids(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_hangs_at_the_deadline_is_held_with_what_waits_behind_it() {
    let queue = QueueSettings { num_consumers: 1, ..QueueSettings::default() };
    let (setup, store) = setup(100, queue);
    setup.backend.hangs.store(true, Ordering::Relaxed);
    setup.offer(spans(&["hangs"]));
    setup.offer(spans(&["waits", "behind"]));
    passed(0).await;
    assert_eq!(ended(&setup).await, "received=3 sent=0 dropped=0 held=3");
    assert_eq!(store.ids(), [1, 2]);
    let line: Vec<u64> = store.0.lock().unwrap().line.iter().map(|entry| entry.id).collect();
    assert_eq!(line, [2], "what was given out stays with the store, not in line");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_ended_while_it_gathers_puts_back_what_it_had() {
    let (setup, store) = setup(100, patient());
    setup.offer(spans(&["a"]));
    setup.offer(spans(&["b"]));
    passed(1).await;
    assert!(store.0.lock().unwrap().line.is_empty(), "gathered");
    setup.delivery.tasks.lock().unwrap().abort_all();
    passed(1).await;
    let line: Vec<u64> = store.0.lock().unwrap().line.iter().map(|entry| entry.id).collect();
    assert_eq!(line, [1, 2]);
    assert_eq!(ended(&setup).await, "received=2 sent=0 dropped=0 held=2");
}

#[tokio::test(start_paused = true)]
async fn the_store_settles_the_receipt_when_it_has_the_batch() {
    let (setup, store) = setup(100, QueueSettings::default());
    let (receipt, waiting) = Receipt::pair();
    let batch = spans(&["a"]);
    let place = setup.delivery.reserve(&batch, true).ok().unwrap();
    setup.delivery.commit(place, batch, receipt);
    let mut verdict = Box::pin(waiting.verdict());
    passed(1).await;
    assert_eq!(setup.taken(), [["a"]], "sending does not wait for the disk");
    assert!(timeout(Duration::from_secs(60), &mut verdict).await.is_err());
    store.sync();
    assert_eq!(verdict.await, Verdict::Accepted);
}
