//! The answer tells the truth: what queues and backends say is what the sender hears.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mcpcol::pipeline::ExportError;
use mcpcol::settings::{self, OnFull};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use super::rig::{BOTH, Fake, JSON, PROTOBUF, Rig, TRACES, call, channel, post};
use super::telemetry::{span, tagged, tags_of, traces};

fn body(tag: u64) -> Vec<u8> {
    tagged([tag]).encode_to_vec()
}

fn one_at_a_time(fake: Fake) -> Fake {
    fake.queue(|queue| {
        queue.queue_size = 1;
        queue.on_full = Some(OnFull::Refuse);
    })
}

#[tokio::test]
async fn a_full_queue_is_a_hint_to_come_again_and_nothing_is_enqueued_anywhere() {
    let roomy = Fake::taking_all();
    let full = one_at_a_time(Fake::stuck());
    let rig = Rig::start(BOTH, &[roomy.clone(), full.clone()]).await;
    assert_eq!(post(rig.http(), "/v1/traces", &[PROTOBUF], &body(1)).await.status, 200);
    full.asked(1).await;
    roomy.has(1).await;

    for _ in 0..3 {
        let answer = post(rig.http(), "/v1/traces", &[JSON], JSON_SPAN.as_bytes()).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
        let status = answer.json();
        assert_eq!(status["code"], 14);
        assert_eq!(status["details"][0]["retryDelay"], "5s");
    }
    let answer = post(rig.http(), "/v1/traces", &[PROTOBUF], &body(2)).await;
    assert_eq!(answer.status, 503);
    let status = tonic_types::pb::Status::decode(&answer.body[..]).unwrap();
    assert_eq!((status.code, status.details.len()), (14, 1));
    let request = Request::new(Bytes::from(body(2)));
    let status = call(channel(rig.grpc()).await, TRACES, None, request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let hint = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(hint, Some(Duration::from_secs(5)));

    assert_eq!(rig.count("otelcol_receiver_refused_spans", &["http"]), 4);
    assert_eq!(rig.count("otelcol_receiver_refused_spans", &["grpc"]), 1);
    assert_eq!(rig.count("mcpcol_otlp_refused_requests", &["pipeline"]), 5);
    // Whatever was refused is in no queue, so that coming again duplicates nothing.
    assert_eq!(roomy.got().iter().flat_map(tags_of).collect::<Vec<_>>(), [1]);
}

const JSON_SPAN: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
    {"traceId":"01010101010101010101010101010101","spanId":"0101010101010101"}]}]}]}"#;

#[tokio::test]
async fn a_queue_that_drops_beside_others_does_not_trouble_the_sender() {
    let (good, full) = (Fake::taking_all(), Fake::stuck().queue(|queue| queue.queue_size = 1));
    let rig = Rig::start(BOTH, &[good.clone(), full.clone()]).await;
    for tag in 0..3 {
        assert_eq!(post(rig.http(), "/v1/traces", &[PROTOBUF], &body(tag)).await.status, 200);
    }
    assert_eq!(good.has(3).await.len(), 3);
    assert_eq!(rig.count("mcpcol_dropped_items", &["queue_full"]), 2);
}

#[tokio::test]
async fn who_waits_for_the_result_hears_the_backends() {
    for (answer, status, code, hint) in [
        (None, 200, Code::Ok, None),
        (Some(ExportError::Reject { why: "not mine".into() }), 500, Code::Internal, None),
        (
            Some(ExportError::Retry { after: None, why: "gone".into() }),
            503,
            Code::Unavailable,
            Some(Duration::from_secs(1)),
        ),
    ] {
        let fake = Fake::new(move |_| answer.clone().map_or(Ok(()), Err))
            .queue(|queue| queue.wait_for_result = true)
            .retry(|retry| retry.enabled = false);
        let rig = Rig::start(BOTH, &[fake]).await;
        let said = post(rig.http(), "/v1/traces", &[PROTOBUF], &body(1)).await;
        assert_eq!(said.status, status);
        let request = Request::new(Bytes::from(body(2)));
        let said = call(channel(rig.grpc()).await, TRACES, None, request).await;
        let said = said.err().unwrap_or_else(|| tonic::Status::ok(""));
        assert_eq!(said.code(), code);
        let told = said.get_details_retry_info().and_then(|info| info.retry_delay);
        assert_eq!(told, hint);
    }
}

#[tokio::test]
async fn a_request_that_no_queue_could_ever_hold_is_refused_for_good() {
    let fake = Fake::taking_all().queue(|queue| {
        queue.sizer = settings::Sizer::Items;
        queue.queue_size = 2;
    });
    let rig = Rig::start(BOTH, &[fake]).await;
    let large = tagged(0..3).encode_to_vec();
    let answer = post(rig.http(), "/v1/traces", &[PROTOBUF], &large).await;
    assert_eq!((answer.status, answer.header("retry-after")), (500, None));
}

/// A backend that is busy so many times, for senders that wait for its answer.
fn busy(times: usize) -> Fake {
    let left = AtomicUsize::new(times);
    let fake = Fake::new(move |_| {
        let busy = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        let later = || ExportError::Retry { after: None, why: "busy".into() };
        if busy.is_ok() { Err(later()) } else { Ok(()) }
    });
    fake.queue(|queue| queue.wait_for_result = true).retry(|retry| retry.enabled = false)
}

#[tokio::test]
async fn what_comes_again_after_a_refusal_is_counted_once() {
    let rig = Rig::start(BOTH, &[busy(2)]).await;
    let nameless = Span { trace_id: Vec::new(), ..span(2) };
    let body = traces(vec![span(1), nameless]).encode_to_vec();
    for (status, invalid) in [(503, 0), (503, 0), (200, 1)] {
        assert_eq!(post(rig.http(), "/v1/traces", &[PROTOBUF], &body).await.status, status);
        assert_eq!(rig.count("mcpcol_dropped_items", &["invalid"]), invalid);
    }
}

#[tokio::test]
async fn a_request_of_which_nothing_is_left_is_counted_though_no_queue_is_asked() {
    let rig = Rig::start(BOTH, &[one_at_a_time(Fake::stuck())]).await;
    let body = traces(vec![Span { trace_id: Vec::new(), ..span(2) }]).encode_to_vec();
    assert_eq!(post(rig.http(), "/v1/traces", &[PROTOBUF], &body).await.status, 200);
    assert_eq!(rig.count("mcpcol_dropped_items", &["invalid"]), 1);
}
