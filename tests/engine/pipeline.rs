//! The engine with fakes and paused time: what a stalled branch lets through, what a sender is told,
//! and that the books add up.

mod mcp_metrics;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcpcol::metrics::Metrics;
use mcpcol::otlp::Messages;
use mcpcol::pipeline::accounting::Account;
use mcpcol::pipeline::{
    BoxFuture, Build, Context, Ended, Exit, ExportError, Exported, Exporter, ExporterConfig,
    Extension, ExtensionConfig, Flow, Id, Lifecycle, Next, Outcome, Outlet, Pass, Phase, Pipeline,
    Plan, Planned, Processor, ProcessorConfig, Receiver, ReceiverConfig, Service, Stop,
};
use mcpcol::settings::{
    BatchSettings, Delivery, Key, Mark, Node, OnFull, QueueSettings, RetrySettings, Value,
};
use mcpcol::telemetry::{Batch, Clock, Nanos, Receipt, Signal, Telemetry, Verdict, Waiting};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

// === Telemetry to send ===

fn spans(names: &[&str]) -> Telemetry {
    let spans = names.iter().map(|n| Span { name: (*n).into(), ..Span::default() }).collect();
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    Telemetry::from(Messages::Traces(vec![ResourceSpans {
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    }]))
}

fn names_of(telemetry: &Telemetry) -> Vec<String> {
    match telemetry.messages() {
        Messages::Traces(all) => all
            .iter()
            .flat_map(|r| &r.scope_spans)
            .flat_map(|s| &s.spans)
            .map(|s| s.name.clone())
            .collect(),
        Messages::Metrics(all) => all
            .iter()
            .flat_map(|r| &r.scope_metrics)
            .flat_map(|s| &s.metrics)
            .map(|m| m.name.clone())
            .collect(),
        Messages::Logs(_) => Vec::new(),
    }
}

// === Fakes ===

/// What a fake exporter does with an attempt.
#[derive(Clone)]
enum Does {
    Send,
    Hang,
    Partial(usize),
    Reject,
    Panic,
    /// Retryable this many times, with this hint, then sends.
    Flaky(Arc<AtomicUsize>, Option<Duration>),
    /// Sends once it is let go.
    Gate(Arc<Notify>),
    /// Sends after a while.
    Slow(Duration),
}

#[derive(Clone)]
struct Fake {
    does: Does,
    delivery: Delivery,
    keeps_unsampled: bool,
    got: Arc<Mutex<Vec<Vec<String>>>>,
    attempts: Arc<Mutex<Vec<Instant>>>,
    built: Arc<AtomicUsize>,
    wires: Arc<Mutex<Vec<usize>>>,
}

impl Fake {
    fn new(does: Does) -> Self {
        Fake {
            does,
            keeps_unsampled: false,
            delivery: Delivery { timeout: secs(5), ..Delivery::default() },
            got: Arc::default(),
            attempts: Arc::default(),
            built: Arc::default(),
            wires: Arc::default(),
        }
    }

    fn queue(mut self, change: impl FnOnce(&mut QueueSettings)) -> Self {
        self.delivery.queue.num_consumers = 1;
        change(&mut self.delivery.queue);
        self
    }

    fn retry(mut self, change: impl FnOnce(&mut RetrySettings)) -> Self {
        change(&mut self.delivery.retry);
        self
    }

    fn got(&self) -> Vec<Vec<String>> {
        self.got.lock().unwrap().clone()
    }
}

fn secs(n: u64) -> mcpcol::settings::Duration {
    mcpcol::settings::Duration::secs(n)
}

impl ExporterConfig for Fake {
    fn delivery(&self) -> Delivery {
        self.delivery.clone()
    }

    fn keeps_unsampled(&self) -> bool {
        self.keeps_unsampled
    }

    fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        self.built.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(self.clone()))
    }
}

impl Exporter for Fake {
    fn export<'a>(
        &'a self,
        telemetry: &'a Telemetry,
    ) -> BoxFuture<'a, Result<Exported, ExportError>> {
        Box::pin(async move {
            self.attempts.lock().unwrap().push(Instant::now());
            let mut exported = Exported::default();
            match &self.does {
                Does::Send => {}
                Does::Hang => std::future::pending().await,
                Does::Partial(n) => exported.rejected = *n,
                Does::Panic => panic!("a bug"),
                Does::Reject => return Err(ExportError::Reject { why: "no".into() }),
                Does::Gate(gate) => gate.notified().await,
                Does::Slow(time) => tokio::time::sleep(*time).await,
                Does::Flaky(left, after) => {
                    if left.load(Ordering::Relaxed) > 0 {
                        left.fetch_sub(1, Ordering::Relaxed);
                        return Err(ExportError::Retry { after: *after, why: "later".into() });
                    }
                }
            }
            self.wires.lock().unwrap().push(telemetry.wire().as_ptr() as usize);
            self.got.lock().unwrap().push(names_of(telemetry));
            Ok(exported)
        })
    }
}

/// A receiver that hands its outlet to the test and ends when stopped.
struct Tap {
    outlet: Arc<Mutex<Option<Outlet>>>,
    opened: Arc<AtomicUsize>,
}

impl Receiver for Tap {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }

    fn run(
        self: Box<Self>,
        out: Outlet,
        mut stop: Stop,
    ) -> BoxFuture<'static, anyhow::Result<Ended>> {
        *self.outlet.lock().unwrap() = Some(out);
        Box::pin(async move {
            stop.given().await;
            self.outlet.lock().unwrap().take();
            Ok(Ended::default())
        })
    }
}

#[derive(Clone, Default)]
struct PlannedTap {
    outlet: Arc<Mutex<Option<Outlet>>>,
    opened: Arc<AtomicUsize>,
}

impl ReceiverConfig for PlannedTap {
    fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>> {
        Ok(Box::new(Tap { outlet: Arc::clone(&self.outlet), opened: Arc::clone(&self.opened) }))
    }
}

/// A processor made of a function.
#[derive(Clone)]
struct Stage(Arc<StageFn>);
type StageFn = dyn Fn(Batch, &mut Pass) -> Flow + Send + Sync;

impl ProcessorConfig for Stage {
    fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Processor>> {
        Ok(Box::new(self.clone()))
    }
}

impl Processor for Stage {
    fn process(&self, batch: Batch, pass: &mut Pass) -> Flow {
        (self.0)(batch, pass)
    }
}

/// A processor of a function.
fn stage(process: impl Fn(Batch, &mut Pass) -> Flow + Send + Sync + 'static) -> Stage {
    Stage(Arc::new(process))
}

/// Counts spans and emits the count as a metric: on its timer and when it finishes.
struct PlannedCount {
    every: Option<Duration>,
}

struct Count {
    seen: Arc<AtomicU64>,
    emit: Outlet,
    every: Option<Duration>,
}

impl ProcessorConfig for PlannedCount {
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Processor>> {
        let seen = Arc::default();
        Ok(Box::new(Count { seen, emit: cx.emit.clone(), every: self.every }))
    }
}

impl Count {
    fn flush(&self) {
        let seen = self.seen.swap(0, Ordering::Relaxed);
        if seen == 0 {
            return;
        }
        let point = NumberDataPoint::default();
        let metric = Metric {
            name: format!("spans.{seen}"),
            data: Some(metric::Data::Gauge(Gauge { data_points: vec![point] })),
            ..Metric::default()
        };
        let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
        let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
        self.emit.offer(Batch::new(Telemetry::from(Messages::Metrics(vec![resource]))));
    }
}

impl Processor for Count {
    fn process(&self, batch: Batch, pass: &mut Pass) -> Flow {
        let (seen, items) = (Arc::clone(&self.seen), batch.telemetry.items() as u64);
        pass.once_accepted(move || {
            seen.fetch_add(items, Ordering::Relaxed);
        });
        Flow::Pass(batch)
    }

    fn tick(&self, now: Nanos) -> Option<Nanos> {
        self.flush();
        self.every.map(|every| now + every.as_nanos() as u64)
    }

    fn finish(&self, _: Nanos) {
        self.flush();
    }
}

// === A plan in a few words ===

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

fn node(text: &str) -> Node {
    let mark = Mark { file: "test".into(), line: 1, column: 1 };
    Node::new(mark, Value::Scalar { text: text.into(), quoted: false })
}

fn planned<T: ?Sized>(name: &str, settings: &str, config: Arc<T>) -> Planned<T> {
    Planned { id: id(name), kind: "fake", settings: node(settings), config }
}

struct Sketch(Plan);

impl Default for Sketch {
    fn default() -> Self {
        Sketch(Plan {
            receivers: Vec::new(),
            processors: Vec::new(),
            exporters: Vec::new(),
            extensions: Vec::new(),
            pipelines: Vec::new(),
            shutdown_timeout: None,
            telemetry: Default::default(),
            secrets: Vec::new(),
            base: ".".into(),
        })
    }
}

impl Sketch {
    fn receiver(mut self, name: &str, tap: &PlannedTap) -> Self {
        let config: Arc<dyn ReceiverConfig> = Arc::new(tap.clone());
        self.0.receivers.push(planned(name, "tap", config));
        self
    }

    fn processor(mut self, name: &str, stage: impl ProcessorConfig + 'static) -> Self {
        let config: Arc<dyn ProcessorConfig> = Arc::new(stage);
        self.0.processors.push(planned(name, "stage", config));
        self
    }

    fn exporter(self, name: &str, fake: &Fake) -> Self {
        self.exporter_with(name, fake, "same")
    }

    fn exporter_with(mut self, name: &str, fake: &Fake, settings: &str) -> Self {
        let config: Arc<dyn ExporterConfig> = Arc::new(fake.clone());
        self.0.exporters.push(planned(name, settings, config));
        Sketch(self.0)
    }

    fn extension(mut self, name: &str, settings: &str, fake: &Attached) -> Self {
        let config: Arc<dyn ExtensionConfig> = Arc::new(fake.clone());
        self.0.extensions.push(planned(name, settings, config));
        self
    }

    fn pipeline(mut self, name: &str, from: &[&str], via: &[&str], to: &[&str]) -> Self {
        let ids = |list: &[&str]| list.iter().map(|s| id(s)).collect::<Vec<_>>();
        let name = id(name);
        let signal = match name.kind.as_str() {
            "metrics" => Signal::Metrics,
            "logs" => Signal::Logs,
            _ => Signal::Traces,
        };
        let emits = |id: &Id| self.0.processors.iter().any(|part| part.id == *id);
        let (emitters, receivers) = ids(from).into_iter().partition(emits);
        let (processors, exporters) = (ids(via), ids(to));
        let id = name;
        let pipeline = Pipeline { id, signal, receivers, emitters, processors, exporters };
        self.0.pipelines.push(pipeline);
        self
    }
}

struct World {
    service: Service,
    metrics: Metrics,
    tap: PlannedTap,
}

impl World {
    async fn of(sketch: Sketch, tap: &PlannedTap) -> World {
        let metrics = Metrics::default();
        let cx = Context {
            metrics: metrics.clone(),
            clock: paused_clock(),
            runtime: Handle::current(),
            lenient: false,
        };
        let mut service = Service::new(cx);
        service.apply(&sketch.0).await.unwrap();
        settle().await;
        World { service, metrics, tap: tap.clone() }
    }

    /// One receiver `tap`, one pipeline, these exporters.
    async fn simple(fakes: &[(&str, &Fake)]) -> World {
        let tap = PlannedTap::default();
        let mut sketch = Sketch::default().receiver("tap", &tap);
        for (name, fake) in fakes {
            sketch = sketch.exporter(name, fake);
        }
        let to: Vec<_> = fakes.iter().map(|(name, _)| *name).collect();
        World::of(sketch.pipeline("traces", &["tap"], &[], &to), &tap).await
    }

    fn outlet(&self) -> Outlet {
        self.tap.outlet.lock().unwrap().clone().unwrap()
    }

    /// As a tap does: nobody waits.
    fn offer(&self, names: &[&str]) {
        self.outlet().offer(Batch::new(spans(names)));
    }

    /// As a server does: somebody waits for the answer.
    fn send(&self, names: &[&str]) -> Waiting {
        let (receipt, waiting) = Receipt::pair();
        self.outlet().offer(Batch { receipt, ..Batch::new(spans(names)) });
        waiting
    }

    fn counter(&self, name: &str, label: &str) -> i128 {
        let has = |s: &mcpcol::metrics::Sample| s.labels.iter().any(|(_, v)| v == label);
        self.metrics
            .samples()
            .into_iter()
            .filter(|s| s.name == name && has(s))
            .map(|s| s.value)
            .sum()
    }

    async fn stop(self) -> HashMap<String, Account> {
        let mut outcome = Outcome::default();
        self.service.drain(Instant::now() + Duration::from_secs(5), &mut outcome).await;
        assert_eq!(outcome.failures, Vec::<String>::new());
        for (exporter, account) in &outcome.accounts {
            assert_eq!(account.held(), 0, "{exporter}: {account}");
        }
        outcome.accounts.into_iter().collect()
    }
}

/// A clock whose wall follows paused time: the system's would seem to be set back all the time.
fn paused_clock() -> Clock {
    const BEGIN: Nanos = 1_700_000_000_000_000_000;
    let begun = Instant::now();
    Clock::reading(move || BEGIN + begun.elapsed().as_nanos() as Nanos)
}

/// Lets every task that can run, run.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn dropped(account: &Account) -> Vec<(&str, u64)> {
    account.dropped.iter().map(|(reason, n)| (reason.as_str(), *n)).collect()
}

// === Delivery ===

#[tokio::test(start_paused = true)]
async fn what_comes_in_goes_out_and_the_books_say_so() {
    let sink = Fake::new(Does::Send);
    let world = World::simple(&[("sink", &sink)]).await;
    world.offer(&["a", "b"]);
    assert_eq!(world.send(&["c"]).verdict().await, Verdict::Accepted);
    settle().await;
    assert_eq!(world.counter("otelcol_receiver_accepted_spans", "tap"), 3);
    assert_eq!(world.counter("otelcol_exporter_sent_spans", "sink"), 3);
    let accounts = world.stop().await;
    assert_eq!(sink.got(), [vec!["a", "b"], vec!["c"]]);
    assert_eq!(accounts["sink"].to_string(), "received=3 sent=3 dropped=0 held=0");
}

#[tokio::test(start_paused = true)]
async fn a_full_branch_drops_and_the_other_still_delivers() {
    let stuck = Fake::new(Does::Hang).queue(|q| q.queue_size = 1);
    let sink = Fake::new(Does::Send);
    let world = World::simple(&[("stuck", &stuck), ("sink", &sink)]).await;
    for name in ["a", "b", "c"] {
        assert_eq!(world.send(&[name]).verdict().await, Verdict::Accepted);
        settle().await;
    }
    assert_eq!(sink.got(), [["a"], ["b"], ["c"]]);
    let accounts = world.stop().await;
    assert_eq!(dropped(&accounts["stuck"]), [("queue_full", 2), ("shutdown", 1)]);
    assert_eq!(accounts["sink"].sent, 3);
}

#[tokio::test(start_paused = true)]
async fn a_full_exporter_alone_refuses_with_a_hint_and_a_tap_drops() {
    let gate = Arc::new(Notify::new());
    let slow = Fake::new(Does::Gate(Arc::clone(&gate))).queue(|q| q.queue_size = 1);
    let world = World::simple(&[("slow", &slow)]).await;
    assert_eq!(world.send(&["a"]).verdict().await, Verdict::Accepted);
    settle().await;
    let Verdict::Retry { after: Some(hint) } = world.send(&["b"]).verdict().await else {
        panic!("refused for now");
    };
    assert!(hint >= Duration::from_millis(100));
    world.offer(&["lost"]);
    gate.notify_one();
    settle().await;
    gate.notify_one();
    assert_eq!(world.send(&["b"]).verdict().await, Verdict::Accepted);
    settle().await;
    assert_eq!(world.counter("otelcol_receiver_refused_spans", "tap"), 1);
    let accounts = world.stop().await;
    assert_eq!(slow.got(), [["a"], ["b"]]);
    assert_eq!(accounts["slow"].to_string(), "received=3 sent=2 dropped=1 (queue_full=1) held=0");
}

#[tokio::test(start_paused = true)]
async fn exporters_that_refuse_take_a_batch_all_or_none() {
    let stuck = Fake::new(Does::Hang).queue(|q| {
        q.queue_size = 1;
        q.on_full = Some(OnFull::Refuse);
    });
    let sink = Fake::new(Does::Send).queue(|q| q.on_full = Some(OnFull::Refuse));
    let world = World::simple(&[("sink", &sink), ("stuck", &stuck)]).await;
    assert_eq!(world.send(&["a"]).verdict().await, Verdict::Accepted);
    settle().await;
    assert!(matches!(world.send(&["b"]).verdict().await, Verdict::Retry { .. }));
    settle().await;
    assert_eq!(sink.got(), [["a"]]);
    let accounts = world.stop().await;
    assert_eq!(accounts["sink"].received, 1);
}

#[tokio::test(start_paused = true)]
async fn with_block_on_overflow_the_receipt_waits_and_the_chain_does_not() {
    let gate = Arc::new(Notify::new());
    let slow = Fake::new(Does::Gate(Arc::clone(&gate))).queue(|q| {
        q.queue_size = 1;
        q.block_on_overflow = true;
    });
    let world = World::simple(&[("slow", &slow)]).await;
    assert_eq!(world.send(&["a"]).verdict().await, Verdict::Accepted);
    let waiting = world.send(&["b"]);
    let full = world.send(&["c"]);
    world.offer(&["tap"]);
    assert!(matches!(full.verdict().await, Verdict::Retry { .. }), "the waiting room is bounded");
    let mut waiting = Box::pin(waiting.verdict());
    tokio::select! {
        biased;
        verdict = &mut waiting => panic!("answered {verdict:?} before there was room"),
        () = settle() => {}
    }
    gate.notify_one();
    assert_eq!(waiting.await, Verdict::Accepted);
    gate.notify_one();
    settle().await;
    let accounts = world.stop().await;
    assert_eq!(slow.got(), [["a"], ["b"]]);
    assert_eq!(dropped(&accounts["slow"]), [("queue_full", 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_waiting_room_is_sent_home_at_stop() {
    let stuck = Fake::new(Does::Hang).queue(|q| {
        q.queue_size = 1;
        q.block_on_overflow = true;
    });
    let world = World::simple(&[("stuck", &stuck)]).await;
    assert_eq!(world.send(&["a"]).verdict().await, Verdict::Accepted);
    settle().await;
    let waiting = world.send(&["b"]);
    let mut outcome = Outcome::default();
    world.service.drain(Instant::now() + Duration::from_secs(1), &mut outcome).await;
    assert!(matches!(waiting.verdict().await, Verdict::Retry { .. }));
    let (_, account) = &outcome.accounts[0];
    assert_eq!(account.to_string(), "received=2 sent=0 dropped=2 (shutdown=2) held=0");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_waits_for_company_at_the_deadline_is_counted() {
    let sink = Fake::new(Does::Send).queue(|q| {
        q.batch = Some(BatchSettings { min_size: 100, ..BatchSettings::default() });
    });
    let world = World::simple(&[("sink", &sink)]).await;
    world.offer(&["a"]);
    settle().await;
    let mut outcome = Outcome::default();
    world.service.drain(Instant::now(), &mut outcome).await;
    let (_, account) = &outcome.accounts[0];
    assert_eq!(account.held(), 0, "{account}");
    assert_eq!(account.received, 1);
}

/// Offers what it has left once its time is over, and never returns.
struct Deaf;

impl ReceiverConfig for Deaf {
    fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>> {
        Ok(Box::new(Deaf))
    }
}

impl Receiver for Deaf {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn run(
        self: Box<Self>,
        out: Outlet,
        mut stop: Stop,
    ) -> BoxFuture<'static, anyhow::Result<Ended>> {
        Box::pin(async move {
            let deadline = stop.given().await;
            tokio::time::sleep_until(deadline.cut()).await;
            out.offer(Batch::new(spans(&["last"])));
            std::future::pending().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_part_of_a_stop_is_the_exporters_whatever_receivers_do() {
    let sink = Fake::new(Does::Slow(Duration::from_millis(400)));
    let mut sketch =
        Sketch::default().receiver("tap", &PlannedTap::default()).exporter("sink", &sink);
    sketch.0.receivers[0].config = Arc::new(Deaf);
    let sketch = sketch.pipeline("traces", &["tap"], &[], &["sink"]);
    let mut service = Service::new(Context {
        metrics: Metrics::default(),
        clock: Clock::start(),
        runtime: Handle::current(),
        lenient: false,
    });
    service.apply(&sketch.0).await.unwrap();
    let (begun, mut outcome) = (Instant::now(), Outcome::default());
    service.drain(begun + Duration::from_secs(25), &mut outcome).await;
    assert_eq!(sink.got(), [["last"]]);
    assert_eq!(
        begun.elapsed(),
        Duration::from_millis(24_500),
        "it is waited for half of that part"
    );
}

#[tokio::test(start_paused = true)]
async fn a_flush_sends_what_waits_and_ends_nothing() {
    let sink = Fake::new(Does::Send).queue(|q| {
        q.batch = Some(BatchSettings {
            min_size: 100,
            flush_timeout: secs(3600),
            ..BatchSettings::default()
        });
    });
    let world = World::simple(&[("sink", &sink)]).await;
    world.offer(&["a"]);
    settle().await;
    assert!(sink.got().is_empty());
    world.service.flush();
    settle().await;
    world.offer(&["b"]);
    settle().await;
    assert_eq!(sink.got(), [["a"], ["b"]]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn empty_batches_take_room_too() {
    let stuck = Fake::new(Does::Hang).queue(|q| {
        q.sizer = mcpcol::settings::Sizer::Items;
        q.queue_size = 2;
    });
    let world = World::simple(&[("stuck", &stuck)]).await;
    assert_eq!(world.send(&[]).verdict().await, Verdict::Accepted);
    assert_eq!(world.send(&[]).verdict().await, Verdict::Accepted);
    assert!(matches!(world.send(&[]).verdict().await, Verdict::Retry { .. }));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_panics_loses_its_batch_and_goes_on() {
    let bad = Fake::new(Does::Panic).queue(|_| {});
    let world = World::simple(&[("bad", &bad)]).await;
    for name in ["a", "b", "c"] {
        world.offer(&[name]);
        settle().await;
    }
    assert_eq!(bad.attempts.lock().unwrap().len(), 3, "its only consumer is still there");
    let accounts = world.stop().await;
    assert_eq!(dropped(&accounts["bad"]), [("rejected", 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_the_queue_is_refused_for_good() {
    let sink = Fake::new(Does::Send).queue(|q| {
        q.sizer = mcpcol::settings::Sizer::Items;
        q.queue_size = 2;
    });
    let world = World::simple(&[("sink", &sink)]).await;
    assert!(matches!(world.send(&["a", "b", "c"]).verdict().await, Verdict::Rejected(_)));
    world.offer(&["a", "b", "c"]);
    let accounts = world.stop().await;
    assert_eq!(dropped(&accounts["sink"]), [("too_large", 3)]);
}

#[tokio::test(start_paused = true)]
async fn retries_wait_longer_and_longer_and_never_less_than_the_hint() {
    let left = Arc::new(AtomicUsize::new(3));
    let hint = Some(Duration::from_secs(9));
    let flaky = Fake::new(Does::Flaky(left, hint)).retry(|r| r.randomization_factor = 0.0);
    let world = World::simple(&[("flaky", &flaky)]).await;
    world.offer(&["a"]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let times = flaky.attempts.lock().unwrap().clone();
    let waits: Vec<_> = times.windows(2).map(|t| (t[1] - t[0]).as_secs_f64().round()).collect();
    assert_eq!(waits, [9.0, 9.0, 11.0]);
    let accounts = world.stop().await;
    assert_eq!(accounts["flaky"].sent, 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_times_out_and_is_tried_again() {
    let stuck = Fake::new(Does::Hang);
    let world = World::simple(&[("stuck", &stuck)]).await;
    world.offer(&["a"]);
    tokio::time::sleep(Duration::from_secs(14)).await;
    assert!(stuck.attempts.lock().unwrap().len() >= 2);
    let accounts = world.stop().await;
    assert_eq!(dropped(&accounts["stuck"]), [("shutdown", 1)]);
}

#[tokio::test(start_paused = true)]
async fn rejections_and_partial_success_are_counted_and_not_retried() {
    let reject = Fake::new(Does::Reject);
    let partial = Fake::new(Does::Partial(2));
    let world = World::simple(&[("reject", &reject), ("partial", &partial)]).await;
    world.offer(&["a", "b", "c"]);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(reject.attempts.lock().unwrap().len(), 1);
    assert_eq!(partial.attempts.lock().unwrap().len(), 1);
    let accounts = world.stop().await;
    assert_eq!(dropped(&accounts["reject"]), [("rejected", 3)]);
    assert_eq!(dropped(&accounts["partial"]), [("partial_success", 2)]);
    assert_eq!(accounts["partial"].sent, 1);
}

#[tokio::test(start_paused = true)]
async fn giving_up_after_max_elapsed_time_is_a_counted_drop() {
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let flaky = Fake::new(Does::Flaky(left, None)).retry(|r| r.max_elapsed_time = secs(30));
    let world = World::simple(&[("flaky", &flaky)]).await;
    world.offer(&["a"]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let accounts = world.stop().await;
    assert_eq!(dropped(&accounts["flaky"]), [("retries_exhausted", 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_for_the_result_hears_the_export() {
    let reject = Fake::new(Does::Reject).queue(|q| q.wait_for_result = true);
    let world = World::simple(&[("reject", &reject)]).await;
    assert_eq!(world.send(&["a"]).verdict().await, Verdict::Rejected("no".into()));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn batches_are_joined_to_the_least_size_and_cut_at_the_greatest() {
    let sink = Fake::new(Does::Send).queue(|q| {
        q.batch = Some(BatchSettings { min_size: 4, max_size: 4, ..BatchSettings::default() });
    });
    let world = World::simple(&[("sink", &sink)]).await;
    world.offer(&["a", "b", "c"]);
    world.offer(&["d", "e", "f"]);
    settle().await;
    assert_eq!(sink.got(), [vec!["a", "b", "c", "d"], vec!["e", "f"]]);
    world.offer(&["g"]);
    settle().await;
    assert_eq!(sink.got().len(), 2, "a small batch waits for company");
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(sink.got()[2], ["g"]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn spans_that_callers_did_not_sample_pass_processors_and_end_before_exporters() {
    let joins = |q: &mut QueueSettings| {
        q.batch = Some(BatchSettings { min_size: 4, ..BatchSettings::default() });
    };
    let record = Fake { keeps_unsampled: true, ..Fake::new(Does::Send).queue(joins) };
    let backend = Fake::new(Does::Send);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let counts = stage(move |batch, _| {
        sees.lock().unwrap().push((batch.telemetry.items(), batch.telemetry.sampled()));
        Flow::Pass(batch)
    });
    let tap = PlannedTap::default();
    let sketch = Sketch::default().receiver("tap", &tap).processor("counts", counts);
    let sketch = sketch.exporter("record", &record).exporter("backend", &backend);
    let sketch = sketch.pipeline("traces", &["tap"], &["counts"], &["record", "backend"]);
    let world = World::of(sketch, &tap).await;
    world.offer(&["a"]);
    world.outlet().offer(Batch::new(spans(&["b", "c"]).with_sampled(false)));
    world.offer(&["d"]);
    settle().await;
    assert_eq!(*seen.lock().unwrap(), [(1, true), (2, false), (1, true)]);
    assert_eq!(record.got(), [vec!["a", "b", "c", "d"]], "in its queue nothing is marked any more");
    assert_eq!(backend.got(), [vec!["a"], vec!["d"]]);
    assert_eq!(world.counter("otelcol_receiver_accepted_spans", "tap"), 4);
    assert_eq!(world.counter("otelcol_exporter_enqueue_failed_spans", "backend"), 0);
    let accounts = world.stop().await;
    assert_eq!(accounts["record"].to_string(), "received=4 sent=4 dropped=0 held=0");
    let told = "received=4 sent=2 dropped=2 (unsampled=2) held=0";
    assert_eq!(accounts["backend"].to_string(), told);
}

#[tokio::test(start_paused = true)]
async fn stop_sends_what_is_queued_with_one_last_attempt_each() {
    let left = Arc::new(AtomicUsize::new(1));
    let flaky = Fake::new(Does::Flaky(left, None));
    let world = World::simple(&[("flaky", &flaky)]).await;
    world.offer(&["waits for its retry"]);
    settle().await;
    let begun = Instant::now();
    let accounts = world.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "the retry's wait is cut short");
    assert_eq!(accounts["flaky"].sent, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_deadline_is_reported_with_a_number() {
    let stuck = Fake::new(Does::Hang).queue(|_| {});
    let world = World::simple(&[("stuck", &stuck)]).await;
    for _ in 0..5 {
        world.offer(&["a", "b"]);
    }
    settle().await;
    let begun = Instant::now();
    let accounts = world.stop().await;
    assert!(begun.elapsed() <= Duration::from_secs(6));
    let account = "received=10 sent=0 dropped=10 (shutdown=10) held=0";
    let why = "no answer within the timeout of 5s";
    assert_eq!(accounts["stuck"].to_string(), format!("{account} last_failure={why:?}"));
}

// === Chains and signals ===

#[tokio::test(start_paused = true)]
async fn fan_out_shares_and_copies_nothing() {
    let (one, two) = (Fake::new(Does::Send), Fake::new(Does::Send));
    let world = World::simple(&[("one", &one), ("two", &two)]).await;
    world.offer(&["a"]);
    settle().await;
    assert_eq!(*one.wires.lock().unwrap(), *two.wires.lock().unwrap());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_edit_in_one_pipeline_does_not_show_in_the_other() {
    let (tap, plain, edited) =
        (PlannedTap::default(), Fake::new(Does::Send), Fake::new(Does::Send));
    let rename = stage(|mut batch, _| {
        let mut messages = batch.telemetry.messages();
        if let Messages::Traces(all) = &mut messages {
            all[0].scope_spans[0].spans[0].name = "edited".into();
        }
        batch.telemetry = Telemetry::from(messages);
        Flow::Pass(batch)
    });
    let sketch = Sketch::default()
        .receiver("tap", &tap)
        .processor("rename", rename)
        .exporter("plain", &plain)
        .exporter("edited", &edited)
        .pipeline("traces/a", &["tap"], &["rename"], &["edited"])
        .pipeline("traces/b", &["tap"], &[], &["plain"]);
    let world = World::of(sketch, &tap).await;
    world.offer(&["a"]);
    world.stop().await;
    assert_eq!((plain.got(), edited.got()), (vec![vec!["a".into()]], vec![vec!["edited".into()]]));
}

#[tokio::test(start_paused = true)]
async fn what_a_processor_drops_is_accepted_and_counted_for_its_reason() {
    let (tap, sink) = (PlannedTap::default(), Fake::new(Does::Send));
    let filter = stage(|batch, pass| {
        pass.dropped("filtered", batch.telemetry.items());
        Flow::Done(batch.receipt)
    });
    let sketch = Sketch::default()
        .receiver("tap", &tap)
        .processor("filter", filter)
        .exporter("sink", &sink)
        .pipeline("traces", &["tap"], &["filter"], &["sink"]);
    let world = World::of(sketch, &tap).await;
    assert_eq!(world.send(&["a"]).verdict().await, Verdict::Accepted);
    let accounts = world.stop().await;
    assert_eq!(dropped(&accounts["sink"]), [("filtered", 1)]);
}

// === What a processor may do, and when it has happened ===

/// Counts items, once they are accepted.
fn counted() -> (Stage, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let stage = stage(move |batch, pass| {
        let (count, items) = (Arc::clone(&count), batch.telemetry.items());
        pass.once_accepted(move || {
            count.fetch_add(items, Ordering::Relaxed);
        });
        Flow::Pass(batch)
    });
    (stage, seen)
}

/// Turns back so many batches, then lets all pass.
fn refusing(times: usize) -> Stage {
    let left = AtomicUsize::new(times);
    stage(move |batch, _| {
        let refuses = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        match refuses {
            Ok(_) => {
                Flow::Refused(batch.receipt, Verdict::Retry { after: Some(Duration::from_secs(3)) })
            }
            Err(_) => Flow::Pass(batch),
        }
    })
}

/// Keeps every batch and sends all on when it is let go, or drops it when it finishes.
#[derive(Clone, Default)]
struct Keeping {
    kept: Arc<Mutex<Vec<Telemetry>>>,
    next: Arc<Mutex<Option<Next>>>,
}

struct Keeper {
    kept: Arc<Mutex<Vec<Telemetry>>>,
    next: Next,
}

impl Keeping {
    fn let_go(&self) {
        let next = self.next.lock().unwrap().clone().unwrap();
        for telemetry in self.kept.lock().unwrap().drain(..) {
            next.send(Batch::new(telemetry));
        }
    }
}

impl ProcessorConfig for Keeping {
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Processor>> {
        *self.next.lock().unwrap() = Some(cx.next.clone());
        Ok(Box::new(Keeper { kept: Arc::clone(&self.kept), next: cx.next.clone() }))
    }
}

impl Processor for Keeper {
    fn process(&self, batch: Batch, pass: &mut Pass) -> Flow {
        let (kept, telemetry) = (Arc::clone(&self.kept), batch.telemetry);
        pass.keep(telemetry.items(), move || kept.lock().unwrap().push(telemetry));
        Flow::Done(batch.receipt)
    }

    fn finish(&self, _: Nanos) {
        for telemetry in self.kept.lock().unwrap().drain(..) {
            self.next.dropped("undecided", telemetry.items());
        }
    }
}

const LATER: Verdict = Verdict::Retry { after: Some(Duration::from_secs(3)) };

#[tokio::test(start_paused = true)]
async fn a_batch_that_comes_again_after_a_refusal_has_its_effects_once() {
    let (tap, sink) = (PlannedTap::default(), Fake::new(Does::Send));
    let (count, seen) = counted();
    let sketch = Sketch::default()
        .receiver("tap", &tap)
        .processor("count", count)
        .processor("busy", refusing(2))
        .exporter("sink", &sink)
        .pipeline("traces", &["tap"], &["count", "busy"], &["sink"]);
    let world = World::of(sketch, &tap).await;
    for (told, effects) in [(LATER, 0), (LATER, 0), (Verdict::Accepted, 2)] {
        assert_eq!(world.send(&["a", "b"]).verdict().await, told);
        assert_eq!(seen.load(Ordering::Relaxed), effects);
    }
    assert_eq!(world.counter("mcpcol_pipeline_accepted_items", "traces"), 2);
    assert_eq!(world.counter("otelcol_processor_incoming_items", "count"), 2);
    assert_eq!(world.counter("otelcol_receiver_refused_spans", "tap"), 4);
    let accounts = world.stop().await;
    assert_eq!(
        (sink.got(), dropped(&accounts["sink"])),
        (vec![vec!["a".into(), "b".into()]], vec![])
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_behind_a_processor_keeps_its_effects_from_happening() {
    let gate = Arc::new(Notify::new());
    let sink = Fake::new(Does::Gate(Arc::clone(&gate))).queue(|q| q.queue_size = 1);
    let tap = PlannedTap::default();
    let (count, seen) = counted();
    let sketch = Sketch::default()
        .receiver("tap", &tap)
        .processor("count", count)
        .exporter("sink", &sink)
        .pipeline("traces", &["tap"], &["count"], &["sink"]);
    let world = World::of(sketch, &tap).await;
    assert_eq!(world.send(&["a"]).verdict().await, Verdict::Accepted);
    assert!(matches!(world.send(&["b"]).verdict().await, Verdict::Retry { .. }));
    assert_eq!(seen.load(Ordering::Relaxed), 1);
    gate.notify_one();
    settle().await;
    assert_eq!(world.send(&["b"]).verdict().await, Verdict::Accepted);
    assert_eq!(seen.load(Ordering::Relaxed), 2);
    gate.notify_one();
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_effect_waits_for_the_result_where_the_sender_does() {
    let tap = PlannedTap::default();
    let sink = Fake::new(Does::Reject).queue(|q| q.wait_for_result = true);
    let (count, seen) = counted();
    let sketch = Sketch::default()
        .receiver("tap", &tap)
        .processor("count", count)
        .exporter("sink", &sink)
        .pipeline("traces", &["tap"], &["count"], &["sink"]);
    let world = World::of(sketch, &tap).await;
    assert_eq!(world.send(&["a"]).verdict().await, Verdict::Rejected("no".into()));
    assert_eq!(seen.load(Ordering::Relaxed), 0);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_pipeline_keeps_and_another_refuses_and_the_retry_is_kept_once() {
    let (tap, kept, plain) = (PlannedTap::default(), Fake::new(Does::Send), Fake::new(Does::Send));
    let keeping = Keeping::default();
    let sketch = Sketch::default()
        .receiver("tap", &tap)
        .processor("keep", keeping.clone())
        .processor("busy", refusing(1))
        .exporter("kept", &kept)
        .exporter("plain", &plain)
        .pipeline("traces/a", &["tap"], &["keep"], &["kept"])
        .pipeline("traces/b", &["tap"], &["busy"], &["plain"]);
    let world = World::of(sketch, &tap).await;
    assert_eq!(world.send(&["a"]).verdict().await, LATER);
    assert_eq!(keeping.kept.lock().unwrap().len(), 0);
    assert_eq!(world.send(&["a"]).verdict().await, Verdict::Accepted);
    assert_eq!(world.counter("mcpcol_processor_held_items", "keep"), 1);
    keeping.let_go();
    assert_eq!(world.counter("mcpcol_processor_held_items", "keep"), 0);
    keeping.next.lock().unwrap().take();
    let accounts = world.stop().await;
    assert_eq!((kept.got(), plain.got()), (vec![vec!["a".into()]], vec![vec!["a".into()]]));
    assert_eq!((accounts["kept"].received, accounts["kept"].sent), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_still_kept_at_the_end_is_dropped_for_its_reason_and_the_books_balance() {
    let (tap, sink) = (PlannedTap::default(), Fake::new(Does::Send));
    let keeping = Keeping::default();
    let (count, seen) = counted();
    let sketch = Sketch::default()
        .receiver("tap", &tap)
        .processor("keep", keeping.clone())
        .processor("count", count)
        .exporter("sink", &sink)
        .pipeline("traces", &["tap"], &["keep", "count"], &["sink"]);
    let world = World::of(sketch, &tap).await;
    world.offer(&["a", "b"]);
    keeping.let_go();
    assert_eq!(seen.load(Ordering::Relaxed), 2, "the stages behind it run when it is let go");
    world.offer(&["c"]);
    keeping.next.lock().unwrap().take();
    let accounts = world.stop().await;
    assert_eq!(sink.got(), [["a", "b"]]);
    assert_eq!(dropped(&accounts["sink"]), [("undecided", 1)]);
    assert_eq!((accounts["sink"].received, accounts["sink"].sent), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_one_of_two_pipelines_delivers_nowhere_and_the_retry_once() {
    let (tap, one, two) = (PlannedTap::default(), Fake::new(Does::Send), Fake::new(Does::Send));
    let sketch = Sketch::default()
        .receiver("tap", &tap)
        .processor("busy", refusing(1))
        .exporter("one", &one)
        .exporter("two", &two)
        .pipeline("traces/a", &["tap"], &[], &["one"])
        .pipeline("traces/b", &["tap"], &["busy"], &["two"]);
    let world = World::of(sketch, &tap).await;
    assert_eq!(world.send(&["a"]).verdict().await, LATER);
    settle().await;
    assert_eq!(one.got(), Vec::<Vec<String>>::new());
    assert_eq!(world.send(&["a"]).verdict().await, Verdict::Accepted);
    let accounts = world.stop().await;
    assert_eq!((one.got(), two.got()), (vec![vec!["a".into()]], vec![vec!["a".into()]]));
    assert!(accounts.values().all(|account| account.received == 1 && account.dropped.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_taps_batch_that_one_pipeline_refuses_is_a_counted_drop_there_and_reaches_the_other() {
    let (tap, one, two) = (PlannedTap::default(), Fake::new(Does::Send), Fake::new(Does::Send));
    let (count, seen) = counted();
    let sketch = Sketch::default()
        .receiver("tap", &tap)
        .processor("count", count)
        .processor("busy", refusing(1))
        .exporter("one", &one)
        .exporter("two", &two)
        .pipeline("traces/a", &["tap"], &[], &["one"])
        .pipeline("traces/b", &["tap"], &["count", "busy"], &["two"]);
    let world = World::of(sketch, &tap).await;
    world.offer(&["a"]);
    let accounts = world.stop().await;
    assert_eq!((one.got(), two.got()), (vec![vec!["a".into()]], vec![]));
    assert_eq!(dropped(&accounts["one"]), []);
    assert_eq!(dropped(&accounts["two"]), [("busy", 1)]);
    assert_eq!(seen.load(Ordering::Relaxed), 1, "what stood before the refusal has seen it");
}

#[tokio::test(start_paused = true)]
async fn items_of_which_a_processor_says_nothing_are_dropped_under_its_name() {
    let (tap, sink) = (PlannedTap::default(), Fake::new(Does::Send));
    let silent = stage(|batch, _| Flow::Done(batch.receipt));
    let sketch = Sketch::default()
        .receiver("tap", &tap)
        .processor("silent", silent)
        .exporter("sink", &sink)
        .pipeline("traces", &["tap"], &["silent"], &["sink"]);
    let world = World::of(sketch, &tap).await;
    assert_eq!(world.send(&["a"]).verdict().await, Verdict::Accepted);
    let accounts = world.stop().await;
    assert_eq!(dropped(&accounts["sink"]), [("silent", 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_processor_loses_its_batch_and_nothing_else() {
    let (tap, sink) = (PlannedTap::default(), Fake::new(Does::Send));
    let fussy = stage(|batch, _| {
        assert!(names_of(&batch.telemetry) != ["bad"], "a bug");
        Flow::Pass(batch)
    });
    let sketch = Sketch::default()
        .receiver("tap", &tap)
        .processor("fussy", fussy)
        .exporter("sink", &sink)
        .pipeline("traces", &["tap"], &["fussy"], &["sink"]);
    let world = World::of(sketch, &tap).await;
    assert_eq!(world.send(&["bad"]).verdict().await, Verdict::Lost);
    world.offer(&["good"]);
    let accounts = world.stop().await;
    assert_eq!(sink.got(), [["good"]]);
    assert_eq!(dropped(&accounts["sink"]), [("panic", 1)]);
}

fn counting(every: Option<Duration>, tap: &PlannedTap, sinks: [&Fake; 2]) -> Sketch {
    Sketch::default()
        .receiver("tap", tap)
        .processor("count", PlannedCount { every })
        .exporter("spans", sinks[0])
        .exporter("points", sinks[1])
        .pipeline("metrics", &["count"], &[], &["points"])
        .pipeline("traces", &["tap"], &["count"], &["spans"])
}

#[tokio::test(start_paused = true)]
async fn a_processor_that_makes_metrics_feeds_the_pipeline_that_names_it() {
    let tap = PlannedTap::default();
    let (spans, points) = (Fake::new(Does::Send), Fake::new(Does::Send));
    let sketch = counting(Some(Duration::from_secs(10)), &tap, [&spans, &points]);
    let world = World::of(sketch, &tap).await;
    world.offer(&["a", "b"]);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(points.got(), [["spans.2"]]);
    assert_eq!(spans.got(), [["a", "b"]]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_processor_emits_at_stop_is_still_delivered() {
    let tap = PlannedTap::default();
    let (spans, points) = (Fake::new(Does::Send), Fake::new(Does::Send));
    let world = World::of(counting(None, &tap, [&spans, &points]), &tap).await;
    world.offer(&["a", "b", "c"]);
    let accounts = world.stop().await;
    assert_eq!(points.got(), [["spans.3"]]);
    assert_eq!(accounts["points"].to_string(), "received=1 sent=1 dropped=0 held=0");
}

// === Reload ===

#[tokio::test(start_paused = true)]
async fn a_new_plan_keeps_equal_components_and_does_not_touch_the_receiver() {
    let tap = PlannedTap::default();
    let (kept, old, new) = (Fake::new(Does::Send), Fake::new(Does::Send), Fake::new(Does::Send));
    let before = Sketch::default()
        .receiver("tap", &tap)
        .exporter("kept", &kept)
        .exporter_with("changed", &old, "old settings")
        .pipeline("traces", &["tap"], &[], &["kept", "changed"]);
    let mut world = World::of(before, &tap).await;
    world.offer(&["a"]);
    let after = Sketch::default()
        .receiver("tap", &tap)
        .exporter("kept", &kept)
        .exporter_with("changed", &new, "new settings")
        .pipeline("traces", &["tap"], &[], &["kept", "changed"]);
    world.service.apply(&after.0).await.unwrap();
    world.offer(&["b"]);
    settle().await;
    assert_eq!(tap.opened.load(Ordering::Relaxed), 1);
    assert_eq!(kept.built.load(Ordering::Relaxed), 1);
    world.stop().await;
    assert_eq!(kept.got(), [["a"], ["b"]]);
    assert_eq!((old.got(), new.got()), (vec![vec!["a".into()]], vec![vec!["b".into()]]));
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_joins_later_answers_for_what_it_was_given() {
    let (tap, old, new) = (PlannedTap::default(), Fake::new(Does::Send), Fake::new(Does::Send));
    let before = Sketch::default().receiver("tap", &tap).exporter("old", &old);
    let mut world = World::of(before.pipeline("traces", &["tap"], &[], &["old"]), &tap).await;
    world.offer(&["a"]);
    let after = Sketch::default().receiver("tap", &tap).exporter("old", &old).exporter("new", &new);
    let after = after.pipeline("traces", &["tap"], &[], &["old", "new"]);
    world.service.apply(&after.0).await.unwrap();
    world.offer(&["b"]);
    let accounts = world.stop().await;
    assert_eq!(accounts["new"].to_string(), "received=1 sent=1 dropped=0 held=0");
    assert_eq!(accounts["old"].received, 2);
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_was_taken_out_does_not_hold_up_the_stop() {
    let (tap, stuck, new) = (PlannedTap::default(), Fake::new(Does::Hang), Fake::new(Does::Send));
    let before = Sketch::default().receiver("tap", &tap).exporter("stuck", &stuck);
    let mut world = World::of(before.pipeline("traces", &["tap"], &[], &["stuck"]), &tap).await;
    world.offer(&["a"]);
    settle().await;
    let after = Sketch::default().receiver("tap", &tap).exporter("new", &new);
    let after = after.pipeline("traces", &["tap"], &[], &["new"]);
    world.service.apply(&after.0).await.unwrap();
    let begun = Instant::now();
    let accounts = world.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "took {:?}", begun.elapsed());
    assert_eq!(dropped(&accounts["stuck"]), [("shutdown", 1)], "it still has its last line");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_a_reload_replaces_does_not_end_the_service() {
    let (old, new, sink) = (PlannedTap::default(), PlannedTap::default(), Fake::new(Does::Send));
    let sketch = |tap: &PlannedTap, settings: &str| {
        let mut sketch = Sketch::default().receiver("tap", tap).exporter("sink", &sink);
        sketch.0.receivers[0].settings = node(settings);
        sketch.pipeline("traces", &["tap"], &[], &["sink"])
    };
    let mut world = World::of(sketch(&old, "one"), &old).await;
    world.service.apply(&sketch(&new, "two").0).await.unwrap();
    let mut outcome = Outcome::default();
    let ended = world.service.ended(&mut outcome);
    let limit = tokio::time::timeout(Duration::from_secs(60), ended);
    assert!(limit.await.is_err(), "the new one still runs");
    world.tap = new;
    world.offer(&["a"]);
    world.stop().await;
    assert_eq!(sink.got(), [["a"]]);
}

/// What it had begun goes on, and its spans are as good as before.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_a_reload_takes_out_is_still_heard() {
    let (old, new, sink) = (PlannedTap::default(), PlannedTap::default(), Fake::new(Does::Send));
    let sketch = |id: &str, tap: &PlannedTap| {
        let sketch = Sketch::default().receiver(id, tap).exporter("sink", &sink);
        sketch.pipeline("traces", &[id], &[], &["sink"])
    };
    let mut world = World::of(sketch("tap", &old), &old).await;
    world.service.apply(&sketch("other", &new).0).await.unwrap();
    world.offer(&["a"]);
    let accounts = world.stop().await;
    assert_eq!(sink.got(), [["a"]]);
    assert_eq!(accounts["sink"].to_string(), "received=1 sent=1 dropped=0 held=0");
}

#[tokio::test(start_paused = true)]
async fn a_processor_that_panics_while_it_finishes_ends_nothing_else() {
    struct Bad;
    impl Processor for Bad {
        fn process(&self, batch: Batch, _: &mut Pass) -> Flow {
            Flow::Pass(batch)
        }
        fn tick(&self, _: Nanos) -> Option<Nanos> {
            panic!("a bug")
        }
        fn finish(&self, _: Nanos) {
            panic!("a bug")
        }
    }
    impl ProcessorConfig for Bad {
        fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Processor>> {
            Ok(Box::new(Bad))
        }
    }
    let (tap, sink) = (PlannedTap::default(), Fake::new(Does::Send));
    let sketch = Sketch::default()
        .receiver("tap", &tap)
        .processor("bad", Bad)
        .exporter("sink", &sink)
        .pipeline("traces", &["tap"], &["bad"], &["sink"]);
    let world = World::of(sketch, &tap).await;
    world.offer(&["a"]);
    let accounts = world.stop().await;
    assert_eq!(accounts["sink"].sent, 1);
}

struct Broken;

impl ExporterConfig for Broken {
    fn delivery(&self) -> Delivery {
        Delivery::default()
    }

    fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        anyhow::bail!("no such thing")
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_cannot_be_built_leaves_the_old_one_running() {
    let sink = Fake::new(Does::Send);
    let mut world = World::simple(&[("sink", &sink)]).await;
    let mut bad = Sketch::default().receiver("tap", &world.tap);
    let config: Arc<dyn ExporterConfig> = Arc::new(Broken);
    bad.0.exporters.push(planned("broken", "x", config));
    let bad = bad.pipeline("traces", &["tap"], &[], &["broken"]);
    let error = world.service.apply(&bad.0).await.unwrap_err();
    assert!(error.to_string().contains("broken"), "{error}");
    world.offer(&["still here"]);
    settle().await;
    assert_eq!(sink.got(), [["still here"]]);
    world.stop().await;
}

/// A receiver that ends by itself with an exit code: a wrapped child's end.
struct Short(Option<oneshot::Receiver<()>>);

/// Already running when the plan is made: it can be built once.
struct Running(Mutex<Option<Short>>);

impl ReceiverConfig for Running {
    fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>> {
        Ok(Box::new(self.0.lock().unwrap().take().expect("built once")))
    }
}

impl Receiver for Short {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn run(mut self: Box<Self>, _: Outlet, _: Stop) -> BoxFuture<'static, anyhow::Result<Ended>> {
        let end = self.0.take();
        Box::pin(async move {
            if let Some(end) = end {
                drop(end.await);
            }
            Ok(Ended { exit: Some(Exit::Code(7)) })
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_ends_by_itself_ends_the_service_with_its_code() {
    let (tap, sink) = (PlannedTap::default(), Fake::new(Does::Send));
    let mut sketch = Sketch::default().receiver("tap", &tap).exporter("sink", &sink).pipeline(
        "traces",
        &["tap"],
        &[],
        &["sink"],
    );
    let (end, ended) = oneshot::channel();
    sketch.0.receivers[0].config = Arc::new(Running(Mutex::new(Some(Short(Some(ended))))));
    let cx = Context {
        metrics: Metrics::default(),
        clock: Clock::start(),
        runtime: Handle::current(),
        lenient: false,
    };
    let mut service = Service::new(cx);
    service.apply(&sketch.0).await.unwrap();
    let mut outcome = Outcome::default();
    end.send(()).unwrap();
    service.ended(&mut outcome).await;
    assert_eq!(outcome.exit, Some(Exit::Code(7)));
}

// === Extensions ===

/// An extension that writes down what it is told, in one list with others.
#[derive(Clone, Default)]
struct Attached {
    told: Arc<Mutex<Vec<String>>>,
    opens: Opens,
    ends_early: bool,
}

#[derive(Clone, Copy, Default)]
enum Opens {
    #[default]
    Well,
    Never,
}

struct Serving {
    name: String,
    fake: Attached,
}

impl Attached {
    fn say(&self, name: &str, what: &str) {
        self.told.lock().unwrap().push(format!("{name} {what}"));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

impl ExtensionConfig for Attached {
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Extension>> {
        Ok(Box::new(Serving { name: cx.id.to_string(), fake: self.clone() }))
    }
}

impl Extension for Serving {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        self.fake.say(&self.name, "opens");
        Box::pin(async move {
            match self.fake.opens {
                Opens::Well => Ok(()),
                Opens::Never => anyhow::bail!("the address is taken"),
            }
        })
    }

    fn run(self: Box<Self>, mut stop: Stop) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(async move {
            if self.fake.ends_early {
                anyhow::bail!("the disk is gone");
            }
            self.fake.say(&self.name, "runs");
            stop.given().await;
            self.fake.say(&self.name, "stops");
            Ok(())
        })
    }
}

fn with_extensions(tap: &PlannedTap, fake: &Fake) -> Sketch {
    Sketch::default().receiver("tap", tap).exporter("fake", fake).pipeline(
        "traces",
        &["tap"],
        &[],
        &["fake"],
    )
}

#[tokio::test(start_paused = true)]
async fn extensions_open_before_receivers_and_stop_after_exporters() {
    let (tap, attached) = (PlannedTap::default(), Attached::default());
    let late = Fake::new(Does::Slow(Duration::from_secs(2)));
    let order = attached.clone();
    let watched = stage(move |batch, _| {
        order.say("a batch", "passes");
        Flow::Pass(batch)
    });
    let sketch = Sketch::default()
        .extension("probe", "same", &attached)
        .receiver("tap", &tap)
        .processor("watched", watched)
        .exporter("late", &late)
        .pipeline("traces", &["tap"], &["watched"], &["late"]);
    let world = World::of(sketch, &tap).await;
    world.offer(&["a"]);
    let begun = Instant::now();
    let accounts = world.stop().await;
    assert_eq!(accounts["late"].sent, 1);
    assert!(begun.elapsed() >= Duration::from_secs(2), "the exporter was slow");
    assert_eq!(attached.take(), ["probe opens", "probe runs", "a batch passes", "probe stops"]);
}

/// A receiver that writes down what the service is about, in one list with extensions; its opening may fail.
#[derive(Clone)]
struct Asking {
    told: Attached,
    lifecycle: Lifecycle,
    opens: Opens,
}

impl ReceiverConfig for Asking {
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>> {
        Ok(Box::new(Asking { lifecycle: cx.lifecycle.clone(), ..self.clone() }))
    }
}

impl Asking {
    fn say(&self) {
        let phase = match self.lifecycle.phase() {
            Phase::Starting => "starting",
            Phase::Running { .. } => "running",
            Phase::Draining => "draining",
        };
        self.told.say("it is", phase);
    }
}

impl Receiver for Asking {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            settle().await;
            self.say();
            match self.opens {
                Opens::Well => Ok(()),
                Opens::Never => anyhow::bail!("the address is taken"),
            }
        })
    }

    fn run(
        self: Box<Self>,
        _: Outlet,
        mut stop: Stop,
    ) -> BoxFuture<'static, anyhow::Result<Ended>> {
        Box::pin(async move {
            self.say();
            stop.given().await;
            self.say();
            Ok(Ended::default())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn extensions_serve_while_receivers_open_and_know_what_the_service_is_about() {
    for opens in [Opens::Well, Opens::Never] {
        let told = Attached::default();
        let sink = Fake::new(Does::Send);
        let mut sketch =
            with_extensions(&PlannedTap::default(), &sink).extension("probe", "1", &told);
        let asking = Asking { told: told.clone(), lifecycle: Lifecycle::default(), opens };
        sketch.0.receivers[0].config = Arc::new(asking);
        let mut service = Service::new(Context {
            metrics: Metrics::default(),
            clock: Clock::start(),
            runtime: Handle::current(),
            lenient: false,
        });
        let applied = service.apply(&sketch.0).await;
        settle().await;
        if applied.is_err() {
            assert_eq!(told.take(), ["probe opens", "probe runs", "it is starting", "probe stops"]);
            continue;
        }
        service.drain(Instant::now() + Duration::from_secs(1), &mut Outcome::default()).await;
        assert_eq!(
            told.take(),
            [
                "probe opens",
                "probe runs",
                "it is starting",
                "it is running",
                "it is draining",
                "probe stops"
            ]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_an_extension_whose_settings_did_not_change() {
    let (tap, fake, attached) = (PlannedTap::default(), Fake::new(Does::Send), Attached::default());
    let sketch = with_extensions(&tap, &fake)
        .extension("same", "1", &attached)
        .extension("other", "1", &attached)
        .extension("gone", "1", &attached);
    let mut world = World::of(sketch, &tap).await;
    attached.take();
    let sketch = with_extensions(&tap, &fake)
        .extension("same", "1", &attached)
        .extension("other", "2", &attached);
    world.service.apply(&sketch.0).await.unwrap();
    settle().await;
    let mut told = attached.take();
    told.sort();
    assert_eq!(told, ["gone stops", "other opens", "other runs", "other stops"]);
    world.stop().await;
    assert_eq!(attached.take().len(), 2, "both that are left stop");
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_cannot_open_stops_a_start_and_leaves_a_running_service_alone() {
    let (tap, fake, attached) = (PlannedTap::default(), Fake::new(Does::Send), Attached::default());
    let mut world =
        World::of(with_extensions(&tap, &fake).extension("good", "1", &attached), &tap).await;
    attached.take();
    let bad = Attached { opens: Opens::Never, ..attached.clone() };
    let sketch =
        with_extensions(&tap, &fake).extension("good", "1", &attached).extension("bad", "1", &bad);
    let error = world.service.apply(&sketch.0).await.unwrap_err();
    assert_eq!(format!("{error:#}"), "bad: cannot start: the address is taken");
    assert_eq!(attached.take(), ["bad opens"]);
    world.offer(&["a"]);
    assert_eq!(world.stop().await["fake"].sent, 1);
}

#[tokio::test(start_paused = true)]
async fn a_tap_goes_on_without_an_extension_that_cannot_open_and_anybody_without_one_that_fails() {
    let (tap, fake, told) = (PlannedTap::default(), Fake::new(Does::Send), Attached::default());
    let bad = Attached { opens: Opens::Never, ..told.clone() };
    let failing = Attached { ends_early: true, ..told.clone() };
    let cx = Context {
        metrics: Metrics::default(),
        clock: Clock::start(),
        runtime: Handle::current(),
        lenient: true,
    };
    let metrics = cx.metrics.clone();
    let mut service = Service::new(cx);
    let sketch = with_extensions(&tap, &fake)
        .extension("bad", "1", &bad)
        .extension("failing", "1", &failing);
    service.apply(&sketch.0).await.unwrap();
    settle().await;
    let world = World { service, metrics, tap };
    world.offer(&["a"]);
    assert_eq!(world.stop().await["fake"].sent, 1);
    assert_eq!(told.take(), ["bad opens", "failing opens"]);
}

#[tokio::test(start_paused = true)]
async fn series_of_what_a_reload_took_out_are_gone_and_its_account_is_not() {
    let (tap, old, new) = (PlannedTap::default(), Fake::new(Does::Reject), Fake::new(Does::Send));
    let sketch = |name: &str, fake: &Fake| {
        let sketch = Sketch::default().receiver("tap", &tap).exporter(name, fake);
        sketch.pipeline(&format!("traces/{name}"), &["tap"], &[], &[name])
    };
    let mut world = World::of(sketch("old", &old), &tap).await;
    world.offer(&["a"]);
    settle().await;
    let told_of = |world: &World, id: &str| {
        let of_it =
            |s: &mcpcol::metrics::Sample| s.labels.iter().any(|(_, value)| value.contains(id));
        world.metrics.samples().iter().filter(|sample| of_it(sample)).count()
    };
    assert!(told_of(&world, "old") > 5);
    world.service.apply(&sketch("new", &new).0).await.unwrap();
    settle().await;
    assert_eq!(told_of(&world, "old"), 0);
    assert!(told_of(&world, "new") > 5 && told_of(&world, "tap") > 0);
    let accounts = world.stop().await;
    assert_eq!(accounts["old"].dropped["rejected"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_reload_builds_anew_what_reads_a_certificate_that_was_renewed() {
    let directory = tempfile::tempdir().unwrap();
    let (tap, fake) = (PlannedTap::default(), Fake::new(Does::Send));
    let certificate = directory.path().join("cert.pem");
    std::fs::write(&certificate, "old").unwrap();
    let sketch = || {
        let mut sketch = with_extensions(&tap, &fake);
        let key = Key { mark: node("").mark, name: "cert_file".to_owned() };
        let settings = Value::Map(vec![(key, node("cert.pem"))]);
        sketch.0.exporters[0].settings = Node::new(node("").mark, settings);
        sketch.0.base = directory.path().to_owned();
        sketch
    };
    let mut world = World::of(sketch(), &tap).await;
    world.service.apply(&sketch().0).await.unwrap();
    assert_eq!(fake.built.load(Ordering::Relaxed), 1, "nothing has changed");
    std::fs::write(&certificate, "new").unwrap();
    world.service.apply(&sketch().0).await.unwrap();
    assert_eq!(fake.built.load(Ordering::Relaxed), 2);
    world.offer(&["a"]);
    settle().await;
    world.stop().await;
    assert_eq!(fake.got().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_reload_took_out_and_has_drained_is_dropped_and_what_comes_back_goes_on_counting() {
    let (tap, other) = (PlannedTap::default(), Fake::new(Does::Send));
    let with = |fake: &Fake| with_extensions(&tap, fake);
    let without = || {
        let sketch = Sketch::default().receiver("tap", &tap).exporter("other", &other);
        sketch.pipeline("traces", &["tap"], &[], &["other"])
    };
    let fake = Fake::new(Does::Send);
    let mut world = World::of(with(&fake), &tap).await;
    world.offer(&["a"]);
    settle().await;
    let before = Arc::strong_count(&fake.got);
    world.service.apply(&without().0).await.unwrap();
    settle().await;
    assert!(Arc::strong_count(&fake.got) < before, "its exporter is still there");
    let again = Fake::new(Does::Reject);
    world.service.apply(&with(&again).0).await.unwrap();
    settle().await;
    world.offer(&["b", "c"]);
    settle().await;
    assert_eq!(
        world.counter("otelcol_exporter_sent_spans", "fake"),
        1,
        "its series are there again"
    );
    let accounts = world.stop().await;
    assert_eq!(
        accounts["fake"].to_string(),
        "received=3 sent=1 dropped=2 (rejected=2) held=0 last_failure=\"no\""
    );
    assert_eq!(accounts["other"].received, 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_on_the_way_while_a_reload_takes_an_exporter_out_still_finds_it_open() {
    let (tap, old, new) = (PlannedTap::default(), Fake::new(Does::Send), Fake::new(Does::Send));
    // Two exporters: a full queue would drop, and not turn the batch back.
    let sketch = |name: &str, fake: &Fake, process: Stage| {
        let other = Fake::new(Does::Send);
        let sketch = Sketch::default()
            .receiver("tap", &tap)
            .processor("stage", process)
            .exporter(name, fake)
            .exporter("other", &other);
        sketch.pipeline("traces", &["tap"], &["stage"], &[name, "other"])
    };
    let (come, came) = std::sync::mpsc::sync_channel(1);
    let (go, gone) = std::sync::mpsc::sync_channel(1);
    let gone = Mutex::new(gone);
    let waits = stage(move |batch, _| {
        come.send(()).unwrap();
        gone.lock().unwrap().recv().unwrap();
        Flow::Pass(batch)
    });
    let mut world = World::of(sketch("old", &old, waits), &tap).await;
    let outlet = world.outlet();
    let sender = std::thread::spawn(move || outlet.offer(Batch::new(spans(&["a"]))));
    came.recv().unwrap();
    let passes = stage(|batch, _| Flow::Pass(batch));
    world.service.apply(&sketch("new", &new, passes).0).await.unwrap();
    settle().await;
    go.send(()).unwrap();
    sender.join().unwrap();
    settle().await;
    let accounts = world.stop().await;
    assert_eq!(accounts["old"].to_string(), "received=1 sent=1 dropped=0 held=0");
    assert_eq!(old.got(), [["a"]]);
}
