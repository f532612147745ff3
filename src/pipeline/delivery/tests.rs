//! What becomes of batches that a backend finds too large: fakes, and a clock that stands still.

mod lasting;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::*;
use crate::metrics::{Metrics, Reading, names};
use crate::otlp::Messages;
use crate::pipeline::Accounts;
use crate::pipeline::accounting::Account;
use crate::settings::{BatchSettings, Duration as Setting, QueueSettings, RetrySettings};

/// A backend with room for `most` spans a request, which refuses those called `huge` for good and
/// answers what fits with `answers`, then with success.
#[derive(Clone, Default)]
struct Backend {
    most: usize,
    answers: Arc<Mutex<VecDeque<Result<Exported, ExportError>>>>,
    taken: Arc<Mutex<Vec<Vec<String>>>>,
    attempts: Arc<Mutex<usize>>,
    /// Bytes that an attempt takes here, for each span.
    heavy: usize,
    /// Attempts do not end.
    hangs: Arc<AtomicBool>,
    /// The attempts that are under way: how many, and the most there were.
    under_way: Arc<Mutex<[usize; 2]>>,
}

impl Exporter for Backend {
    fn takes(&self, telemetry: &Telemetry) -> usize {
        self.heavy * telemetry.items()
    }

    fn export<'a>(
        &'a self,
        telemetry: &'a Telemetry,
    ) -> BoxFuture<'a, Result<Exported, ExportError>> {
        Box::pin(async move {
            *self.attempts.lock().unwrap() += 1;
            if self.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            if self.heavy > 0 {
                let count = |more: usize, fewer: usize| {
                    let [now, most] = &mut *self.under_way.lock().unwrap();
                    *now = *now + more - fewer;
                    *most = (*most).max(*now);
                };
                count(1, 0);
                tokio::time::sleep(Duration::from_secs(1)).await;
                count(0, 1);
            }
            let names = names(telemetry);
            if names.len() > self.most || names.iter().any(|name| name == "huge") {
                return Err(ExportError::TooLarge { why: "413 Payload Too Large".to_owned() });
            }
            let answer = self.answers.lock().unwrap().pop_front();
            let answer = answer.unwrap_or(Ok(Exported::default()));
            if answer.is_ok() {
                self.taken.lock().unwrap().push(names);
            }
            answer
        })
    }
}

fn names(telemetry: &Telemetry) -> Vec<String> {
    let Messages::Traces(all) = telemetry.messages() else { panic!("made of spans") };
    let scopes = all.iter().flat_map(|r| &r.scope_spans);
    scopes.flat_map(|s| &s.spans).map(|s| s.name.clone()).collect()
}

fn spans(names: &[&str]) -> Telemetry {
    let spans = names.iter().map(|n| Span { name: (*n).into(), ..Span::default() }).collect();
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    let all = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    Telemetry::from(Messages::Traces(vec![all]))
}

/// A queue whose batches would wait for an hour.
fn patient() -> QueueSettings {
    let batch = BatchSettings {
        min_size: 100,
        flush_timeout: Setting::secs(3600),
        ..BatchSettings::default()
    };
    QueueSettings { batch: Some(batch), num_consumers: 1, ..QueueSettings::default() }
}

struct Setup {
    backend: Backend,
    delivery: Arc<Delivery>,
    metrics: Metrics,
}

impl Setup {
    fn new(most: usize, retry: RetrySettings) -> Setup {
        let queue = QueueSettings { wait_for_result: true, ..QueueSettings::default() };
        Setup::with(most, retry, queue)
    }

    fn with(most: usize, retry: RetrySettings, queue: QueueSettings) -> Setup {
        Setup::of(Backend { most, ..Backend::default() }, retry, queue)
    }

    fn of(backend: Backend, retry: RetrySettings, queue: QueueSettings) -> Setup {
        Setup::started(backend, |exporter, id, counters| {
            let settings = Settings { timeout: Setting::secs(0), queue, retry };
            Delivery::start(id, exporter, settings, counters, &Handle::current())
        })
    }

    fn started(
        backend: Backend,
        start: impl FnOnce(Box<dyn Exporter>, Id, ExporterCounters) -> Arc<Delivery>,
    ) -> Setup {
        let metrics = Metrics::default();
        let id = Id::parse("fake").unwrap();
        let counters = ExporterCounters::new(&Accounts::new(metrics.clone()), &id);
        let delivery = start(Box::new(backend.clone()), id, counters);
        Setup { backend, delivery, metrics }
    }

    /// Sends one batch and waits for its answer.
    async fn verdict(&self, batch: Telemetry) -> Verdict {
        let (receipt, waiting) = Receipt::pair();
        let place = self.delivery.reserve(&batch, true).ok().unwrap();
        self.delivery.commit(place, batch, receipt);
        waiting.verdict().await
    }

    /// Sends one batch that nobody waits for.
    fn offer(&self, batch: Telemetry) {
        let place = self.delivery.reserve(&batch, false).ok().unwrap();
        self.delivery.commit(place, batch, Receipt::nobody());
    }

    fn taken(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.backend.taken.lock().unwrap())
    }

    fn account(&self) -> Account {
        self.delivery.account()
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_too_large_arrives_in_halves_in_order() {
    let setup = Setup::new(2, RetrySettings::default());
    let verdict = setup.verdict(spans(&["a", "b", "c", "d", "e"])).await;
    assert_eq!(verdict, Verdict::Accepted);
    assert_eq!(setup.taken(), [vec!["a", "b"], vec!["c"], vec!["d", "e"]]);
    assert_eq!(setup.account().to_string(), "received=5 sent=5 dropped=0 held=0");
}

#[tokio::test(start_paused = true)]
async fn one_item_that_is_too_large_is_dropped_and_the_others_are_not() {
    let setup = Setup::new(100, RetrySettings::default());
    let verdict = setup.verdict(spans(&["a", "b", "huge", "c", "d"])).await;
    assert_eq!(verdict, Verdict::Rejected("413 Payload Too Large".to_owned()));
    assert_eq!(setup.taken().concat(), ["a", "b", "c", "d"]);
    assert_eq!(
        setup.account().to_string(),
        r#"received=5 sent=4 dropped=1 (too_large=1) held=0 last_failure="413 Payload Too Large""#
    );
    // It was in the queue: what failed is sending it.
    let counted = |name: &str| {
        let samples = setup.metrics.samples();
        samples.iter().filter(|sample| sample.name == name).map(|sample| sample.value).sum::<i128>()
    };
    assert_eq!(counted("otelcol_exporter_send_failed_spans"), 1);
    assert_eq!(counted("otelcol_exporter_enqueue_failed_spans"), 0);
}

#[tokio::test(start_paused = true)]
async fn each_part_is_retried_by_itself_and_what_was_taken_is_not_sent_again() {
    let setup = Setup::new(2, RetrySettings::default());
    let later = || Err(ExportError::Retry { after: None, why: "busy".to_owned() });
    let answers = [Ok(Exported::default()), later(), later()];
    setup.backend.answers.lock().unwrap().extend(answers);
    let verdict = setup.verdict(spans(&["a", "b", "c", "d"])).await;
    assert_eq!(verdict, Verdict::Accepted);
    assert_eq!(setup.taken(), [vec!["a", "b"], vec!["c", "d"]]);
    assert_eq!(*setup.backend.attempts.lock().unwrap(), 5);
    let counted = |outcome| {
        let labels = [("exporter", "fake"), ("outcome", outcome)];
        setup.metrics.histogram(&names::EXPORTER_ATTEMPT_SECONDS, &labels).get().count()
    };
    assert_eq!(counted("success") + counted("failure"), 5, "each attempt has its time");
    assert!(counted("success") > 0 && counted("failure") > 0);
    assert_eq!(setup.account().to_string(), "received=4 sent=4 dropped=0 held=0");
    let families = setup.metrics.read();
    let timed =
        families.iter().find(|of| of.info.name == "mcpcol_exporter_attempt_duration_seconds");
    let count = |reading: &Reading| match reading {
        Reading::Histogram(buckets) => buckets.count(),
        other => panic!("{other:?}"),
    };
    let timed: Vec<u64> = timed.unwrap().series.iter().map(|(_, reading)| count(reading)).collect();
    assert_eq!(timed, [3, 2], "failed, success");
}

#[tokio::test(start_paused = true)]
async fn partial_success_of_a_part_is_counted_once() {
    let setup = Setup::new(2, RetrySettings::default());
    let partial = Ok(Exported { rejected: 1, message: "too old".to_owned() });
    setup.backend.answers.lock().unwrap().push_back(partial);
    let verdict = setup.verdict(spans(&["a", "b", "c", "d"])).await;
    assert_eq!(verdict, Verdict::Accepted);
    assert_eq!(
        setup.account().to_string(),
        r#"received=4 sent=3 dropped=1 (partial_success=1) held=0 last_failure="too old""#
    );
}

#[tokio::test(start_paused = true)]
async fn parts_that_wait_when_the_time_is_up_are_lost_and_counted() {
    let setup = Setup::new(2, RetrySettings::default());
    let later = ExportError::Retry { after: None, why: "busy".to_owned() };
    let answers = std::iter::repeat_n(Err(later), 100);
    setup.backend.answers.lock().unwrap().extend(answers);
    let batch = spans(&["a", "b", "c", "d"]);
    let (receipt, waiting) = Receipt::pair();
    let place = setup.delivery.reserve(&batch, true).ok().unwrap();
    setup.delivery.commit(place, batch, receipt);
    tokio::time::sleep(Duration::from_secs(60)).await;
    setup.delivery.drain(Instant::now() + Duration::from_secs(1)).await;
    // Each part had its last attempt.
    assert_eq!(waiting.verdict().await, Verdict::Retry { after: None });
    assert_eq!(
        setup.account().to_string(),
        r#"received=4 sent=0 dropped=4 (shutdown=4) held=0 last_failure="busy""#
    );
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_cannot_start_is_told_with_and_without_items() {
    let setup = Setup::new(0, RetrySettings::default());
    assert!(!setup.account().is_bad());
    setup.delivery.cannot_start("no such file");
    assert!(setup.account().is_bad());
    assert_eq!(
        setup.account().to_string(),
        r#"received=0 sent=0 dropped=0 held=0 last_failure="cannot start: no such file""#
    );
}

#[tokio::test(start_paused = true)]
async fn a_flush_sends_what_waits_for_company_and_what_comes_later_at_once() {
    let setup = Setup::with(100, RetrySettings::default(), patient());
    setup.offer(spans(&["a"]));
    setup.offer(spans(&["b"]));
    let passed = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
    passed(60).await;
    assert!(setup.taken().is_empty(), "it waits");
    setup.delivery.flush();
    passed(1).await;
    assert_eq!(setup.taken(), [["a", "b"]]);
    // The end is near, and the traffic goes on: still in batches, of what is there.
    setup.offer(spans(&["c"]));
    setup.offer(spans(&["d"]));
    passed(1).await;
    assert_eq!(setup.taken(), [["c", "d"]]);
}

#[tokio::test(start_paused = true)]
async fn a_flush_cuts_a_pause_before_a_retry_short_once() {
    let slow = RetrySettings { initial_interval: Setting::secs(1000), ..RetrySettings::default() };
    let setup = Setup::new(2, slow);
    let later = ExportError::Retry { after: None, why: "busy".to_owned() };
    setup.backend.answers.lock().unwrap().extend(std::iter::repeat_n(Err(later), 100));
    setup.offer(spans(&["a"]));
    for attempts in [1, 2, 2] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(*setup.backend.attempts.lock().unwrap(), attempts);
        setup.delivery.flush();
    }
}

/// A backend that asks those who come first to wait for as long as it can say.
fn parking(first: usize, num_consumers: usize) -> Setup {
    let queue = QueueSettings { num_consumers, ..QueueSettings::default() };
    let setup = Setup::with(100, RetrySettings::default(), queue);
    let never =
        ExportError::Retry { after: Some(Duration::MAX), why: "429 Too Many Requests".to_owned() };
    setup.backend.answers.lock().unwrap().extend(std::iter::repeat_n(Err(never), first));
    setup
}

#[tokio::test(start_paused = true)]
async fn a_backend_parks_no_consumer_for_longer_than_ten_times_the_longest_interval() {
    let setup = parking(10, 10);
    (0..10).for_each(|_| setup.offer(spans(&["a"])));
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert_eq!(*setup.backend.attempts.lock().unwrap(), 10, "the hint is followed");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(setup.account().to_string(), "received=10 sent=10 dropped=0 held=0");
}

#[tokio::test(start_paused = true)]
async fn what_the_backend_takes_ends_the_waits_that_it_asked_for_but_not_their_own_pauses() {
    let setup = parking(9, 10);
    (0..9).for_each(|_| setup.offer(spans(&["parked"])));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(*setup.backend.attempts.lock().unwrap(), 9);
    setup.offer(spans(&["free"]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(setup.taken().len(), 10);
    // What is taken while a pause of its own lasts ends what was asked for on top of that.
    let setup = parking(1, 2);
    setup.offer(spans(&["parked"]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    setup.offer(spans(&["free"]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(setup.taken(), [["free"]]);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(setup.taken(), [["parked"]]);
}

#[tokio::test(start_paused = true)]
async fn the_end_wakes_all_that_wait_because_the_backend_asked_for_it() {
    let setup = parking(10, 10);
    (0..10).for_each(|_| setup.offer(spans(&["a"])));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let begun = Instant::now();
    setup.delivery.drain(begun + Duration::from_secs(1)).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(setup.account().to_string(), "received=10 sent=10 dropped=0 held=0");
}

/// One span with a name of so many bytes.
fn large(bytes: usize) -> Telemetry {
    spans(&[&"x".repeat(bytes)])
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_requests_is_bounded_in_bytes_unless_told_otherwise() {
    let queue = QueueSettings { num_consumers: 1, ..QueueSettings::default() };
    let setup = Setup::with(0, RetrySettings::default(), queue);
    // A thousand of them would be 32 GiB, and have room as requests. Their bytes are shared here.
    let batch = large(32 << 20);
    let taken = (0..1000).map_while(|_| setup.delivery.reserve(&batch, true).ok());
    let places: Vec<_> = taken.collect();
    assert_eq!(places.len(), 7);
    let refused = setup.delivery.reserve(&batch, true).err();
    assert!(matches!(refused, Some(Verdict::Retry { after: Some(_) })), "{refused:?}");
    // A small one has room.
    assert!(setup.delivery.reserve(&spans(&["a"]), true).is_ok());
    drop(places);
    assert!(setup.delivery.reserve(&batch, true).is_ok());
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_being_sent_or_wait_for_room_count_and_more_than_all_never_fits() {
    let queue = QueueSettings {
        max_bytes: Some(10_000),
        sizer: Sizer::Items,
        block_on_overflow: true,
        num_consumers: 1,
        ..QueueSettings::default()
    };
    let setup = Setup::with(100, RetrySettings::default(), queue);
    let later = ExportError::Retry { after: None, why: "busy".to_owned() };
    setup.backend.answers.lock().unwrap().extend(std::iter::repeat_n(Err(later), 1));
    let never = setup.delivery.reserve(&large(10_000), true).err();
    assert!(matches!(never, Some(Verdict::Rejected(_))), "{never:?}");
    let mut senders = Vec::new();
    for _ in 0..2 {
        let (receipt, waiting) = Receipt::pair();
        let batch = large(6_000);
        let place = setup.delivery.reserve(&batch, true).ok().unwrap();
        setup.delivery.commit(place, batch, receipt);
        senders.push(waiting);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    // One is being sent, one is in the overflow room, which is as large.
    assert!(setup.delivery.reserve(&large(6_000), true).is_err());
    assert!(setup.delivery.reserve(&large(6_000), false).is_err());
    for waiting in senders {
        assert_eq!(waiting.verdict().await, Verdict::Accepted);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let counted = |name: &str| {
        let samples = setup.metrics.samples();
        samples.iter().find(|sample| sample.name == name).map(|sample| sample.value)
    };
    assert_eq!(counted("mcpcol_exporter_queue_bytes"), Some(0));
    assert_eq!(counted("mcpcol_exporter_queue_bytes_limit"), Some(10_000));
}

#[tokio::test(start_paused = true)]
async fn a_batch_joins_no_more_than_its_bound_in_bytes() {
    let setup = Setup::with(100, RetrySettings::default(), patient());
    let batch = large(5 << 20);
    for _ in 0..5 {
        setup.offer(batch.clone());
    }
    setup.delivery.flush();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let joined: Vec<_> = setup.taken().iter().map(Vec::len).collect();
    assert_eq!(joined, [3, 2]);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_made_as_far_as_they_have_room_and_what_takes_more_than_all_comes_in_parts() {
    let heavy = WORK / 3;
    let backend = Backend { most: 100, heavy, ..Backend::default() };
    let setup = Setup::of(backend, RetrySettings::default(), QueueSettings::default());
    for name in ["a", "b", "c", "d", "e", "f"] {
        setup.offer(spans(&[name]));
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(setup.taken().len(), 6);
    assert_eq!(*setup.backend.under_way.lock().unwrap(), [0, 3]);
    setup.offer(spans(&["a", "b", "c", "d", "e"]));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(setup.taken(), [vec!["a", "b", "c"], vec!["d", "e"]]);
    // One that cannot be cut is sent all the same, alone.
    let backend = Backend { most: 100, heavy: 2 * WORK, ..Backend::default() };
    let setup = Setup::of(backend, RetrySettings::default(), QueueSettings::default());
    setup.offer(spans(&["a", "b"]));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(setup.taken(), [["a"], ["b"]]);
    assert_eq!(*setup.backend.under_way.lock().unwrap(), [0, 1]);
    assert_eq!(setup.account().to_string(), "received=2 sent=2 dropped=0 held=0");
}
