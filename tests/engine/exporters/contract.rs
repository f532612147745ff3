//! The exporters' contract, as the Collector's `CheckConsumeContract` has it: every span has an id of
//! its own, the backend answers by chance, and at the end each span was taken or dropped, once, and the
//! books say so. With queue, retry and splitting around the real exporters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcpcol::exporters::{otlp_http, zipkin};
use mcpcol::metrics::Metrics;
use mcpcol::otlp::Messages;
use mcpcol::pipeline::{
    BoxFuture, Build, Context, Ended, ExporterConfig, Id, Of, Outcome, Outlet, Pipeline, Plan,
    Planned, Receiver, ReceiverConfig, Service, Stop,
};
use mcpcol::settings::{Mark, Node};
use mcpcol::telemetry::{Batch, Clock, Receipt, Signal, Telemetry, Verdict};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::http_sink::{HttpSink, Reply, Seen, ok, says};
use super::request;

const SPANS: u64 = 400;
/// Spans in a batch.
const EACH: u64 = 4;

/// A receiver that hands its outlet to the test.
#[derive(Clone, Default)]
struct Source(Arc<Mutex<Option<Outlet>>>);

impl ReceiverConfig for Source {
    fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>> {
        Ok(Box::new(self.clone()))
    }
}

impl Receiver for Source {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn run(
        self: Box<Self>,
        out: Outlet,
        mut stop: Stop,
    ) -> BoxFuture<'static, anyhow::Result<Ended>> {
        *self.0.lock().unwrap() = Some(out);
        Box::pin(async move {
            stop.given().await;
            self.0.lock().unwrap().take();
            Ok(Ended::default())
        })
    }
}

fn planned<T: ?Sized>(name: &str, config: Arc<T>) -> Planned<T> {
    let mark = Mark { file: "test".into(), line: 1, column: 1 };
    let id = Id::parse(name).unwrap();
    Planned { id, kind: "test", settings: Node::empty(mark), config }
}

fn plan<C: Of<dyn ExporterConfig>>(source: &Source, settings: Value) -> Plan {
    let config: C = serde_json::from_value(settings).unwrap();
    let id = |name| Id::parse(name).unwrap();
    Plan {
        receivers: vec![planned("source", Arc::new(source.clone()) as Arc<dyn ReceiverConfig>)],
        processors: Vec::new(),
        extensions: Vec::new(),
        exporters: vec![planned("backend", config.boxed())],
        pipelines: vec![Pipeline {
            id: id("traces"),
            signal: Signal::Traces,
            receivers: vec![id("source")],
            emitters: Vec::new(),
            processors: Vec::new(),
            exporters: vec![id("backend")],
        }],
        shutdown_timeout: None,
        telemetry: Default::default(),
        secrets: Vec::new(),
        base: ".".into(),
    }
}

fn batch(ids: std::ops::Range<u64>) -> Telemetry {
    let mut all = request().resource_spans;
    let span = all[0].scope_spans[0].spans.remove(0);
    all[0].scope_spans[0].spans = ids
        .map(|id| {
            let mut span = span.clone();
            span.span_id = (id + 1).to_be_bytes().to_vec();
            span
        })
        .collect();
    Telemetry::from(Messages::Traces(all))
}

/// The ids of the spans in a request, of either exporter.
fn ids(seen: &Seen) -> Vec<u64> {
    let body = seen.plain();
    if body.starts_with(b"[") {
        let spans: Vec<Value> = serde_json::from_slice(&body).unwrap();
        let id = |span: &Value| u64::from_str_radix(span["id"].as_str().unwrap(), 16).unwrap() - 1;
        return spans.iter().map(id).collect();
    }
    let request = ExportTraceServiceRequest::decode(&*body).unwrap();
    let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
    let id = |bytes: &Vec<u8>| u64::from_be_bytes(bytes.as_slice().try_into().unwrap()) - 1;
    scopes.flat_map(|s| &s.spans).map(|span| id(&span.span_id)).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Says {
    Taken,
    Later,
    Never,
    TooLarge,
    /// It takes the request and goes away without a word.
    Gone,
}

/// As good as chance, and the same every time.
fn by_chance(turn: usize, among: &[Says]) -> Says {
    among[(turn.wrapping_mul(2_654_435_761) >> 9) % among.len()]
}

fn reply(says_: Says) -> Reply {
    match says_ {
        Says::Taken => ok(),
        Says::Later => says("503 Busy", &[("retry-after", "0")], b""),
        Says::Never => says("400 Bad Request", &[], b""),
        Says::TooLarge => says("413 Payload Too Large", &[], b""),
        Says::Gone => Reply::Last(Vec::new()),
    }
}

async fn keeps_the_contract<C: Of<dyn ExporterConfig>>(path: &str, among: &'static [Says]) {
    let heard: Arc<Mutex<BTreeMap<u64, Vec<Says>>>> = Arc::default();
    let (turn, all) = (AtomicUsize::new(0), Arc::clone(&heard));
    let sink = HttpSink::answering(move |seen| {
        let ids = ids(seen);
        let answer = match by_chance(turn.fetch_add(1, Ordering::Relaxed), among) {
            // What cannot be cut is not too large.
            Says::TooLarge if ids.len() == 1 => Says::Taken,
            answer => answer,
        };
        let mut all = all.lock().unwrap();
        ids.iter().for_each(|id| all.entry(*id).or_default().push(answer));
        reply(answer)
    })
    .await;
    let source = Source::default();
    let plan = plan::<C>(
        &source,
        json!({
            "endpoint": format!("{}{path}", sink.url()),
            "sending_queue": { "wait_for_result": true, "num_consumers": 4 },
            "retry_on_failure": { "initial_interval": "1ms", "max_interval": "5ms" },
        }),
    );
    let cx = Context {
        metrics: Metrics::default(),
        clock: Clock::start(),
        runtime: Handle::current(),
        lenient: false,
    };
    let mut service = Service::new(cx);
    service.apply(&plan).await.unwrap();
    while source.0.lock().unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let outlet = source.0.lock().unwrap().clone().unwrap();
    let mut waiting = Vec::new();
    for from in (0..SPANS).step_by(EACH as usize) {
        let (receipt, answer) = Receipt::pair();
        outlet.offer(Batch { receipt, ..Batch::new(batch(from..from + EACH)) });
        waiting.push((from, answer));
    }
    drop(outlet);
    let mut refused = BTreeSet::new();
    for (from, answer) in waiting {
        match answer.verdict().await {
            Verdict::Accepted => {}
            Verdict::Rejected(_) => drop(refused.insert(from)),
            other => panic!("{other:?}"),
        }
    }
    let mut outcome = Outcome::default();
    service.drain(Instant::now() + Duration::from_secs(5), &mut outcome).await;

    let heard = heard.lock().unwrap();
    assert_eq!(heard.len() as u64, SPANS, "every span was sent, and no stranger");
    let mut taken = 0;
    for (id, answers) in heard.iter() {
        let (last, before) = answers.split_last().unwrap();
        assert!(
            !before.iter().any(|says| [Says::Taken, Says::Never].contains(says)),
            "{id} was sent again after {answers:?}"
        );
        match last {
            Says::Taken => taken += 1,
            Says::Never => assert!(refused.contains(&(id / EACH * EACH)), "its sender was told"),
            other => panic!("{id} ended with {other:?}"),
        }
    }
    let account = &outcome.accounts[0].1;
    let dropped = account.dropped.get("rejected").copied().unwrap_or(0);
    assert_eq!((account.received, account.held()), (SPANS, 0));
    assert_eq!((account.sent, dropped), (taken, SPANS - taken), "{account}");
}

macro_rules! contract {
    ($($name:ident: $among:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            keeps_the_contract::<otlp_http::Config>("", &$among).await;
            keeps_the_contract::<zipkin::Config>("/api/v2/spans", &$among).await;
        }
    )*};
}

use Says::{Gone, Later, Never, Taken, TooLarge};

contract! {
    a_backend_that_takes_all: [Taken];
    a_backend_that_is_busy_at_times: [Taken, Later];
    a_backend_that_refuses_at_times: [Taken, Never];
    a_backend_that_does_all_of_it: [Taken, Later, Never];
    a_backend_that_takes_less_at_times: [Taken, TooLarge, Later, Never];
    a_backend_that_goes_away_at_times: [Taken, Gone, Never];
}
