//! The stop, and a reload: what was taken is answered, and the port stays.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::{Code, Request};

use super::rig::{BOTH, Fake, PROTOBUF, Rig, TRACES, answer, call, channel, post, send_on};
use super::telemetry::{tagged, tags_of};

#[tokio::test]
async fn requests_that_wait_at_the_stop_are_answered_when_their_turn_comes() {
    let gate = Arc::new(Notify::new());
    let told = Arc::clone(&gate);
    let fake = Fake::waiting(move |_| {
        let gate = Arc::clone(&told);
        Box::pin(async move {
            gate.notified().await;
            Ok(())
        })
    });
    let fake = fake.queue(|queue| queue.wait_for_result = true);
    let settings = BOTH.replacen('{', "{drain_timeout: 10s, ", 1);
    let rig = Rig::start(&settings, std::slice::from_ref(&fake)).await;
    let (http, channel) = (rig.http(), channel(rig.grpc()).await);
    let mut clients = JoinSet::new();
    clients.spawn(async move {
        let body = tagged([1]).encode_to_vec();
        post(http, "/v1/traces", &[PROTOBUF], &body).await.status == 200
    });
    clients.spawn(async move {
        let request = Request::new(Bytes::from(tagged([2]).encode_to_vec()));
        call(channel, TRACES, None, request).await.is_ok()
    });
    fake.asked(1).await;
    super::rig::until(|| rig.count("otelcol_receiver_accepted_spans", &[]) == 2).await;
    let mut stopping = std::pin::pin!(rig.stop());
    assert!(timeout(Duration::from_millis(50), stopping.as_mut()).await.is_err());
    assert!(TcpStream::connect(http).await.is_err(), "nobody new is let in");
    gate.notify_one();
    fake.asked(2).await;
    gate.notify_one();
    assert_eq!(stopping.await, ["received=2 sent=2 dropped=0 held=0"]);
    while let Some(fine) = clients.join_next().await {
        assert!(fine.unwrap());
    }
    let mut tags: Vec<u64> = fake.got().iter().flat_map(tags_of).collect();
    tags.sort_unstable();
    assert_eq!(tags, [1, 2]);
}

#[tokio::test]
async fn requests_that_nobody_answers_are_told_to_come_again() {
    let fake = Fake::stuck().queue(|queue| queue.wait_for_result = true);
    let settings = BOTH.replacen('{', "{drain_timeout: 20ms, ", 1);
    let rig = Rig::start(&settings, std::slice::from_ref(&fake)).await;
    let (http, channel) = (rig.http(), channel(rig.grpc()).await);
    let mut clients = JoinSet::new();
    clients.spawn(async move {
        let body = tagged([1]).encode_to_vec();
        let answer = post(http, "/v1/traces", &[PROTOBUF], &body).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    });
    clients.spawn(async move {
        let request = Request::new(Bytes::from(tagged([2]).encode_to_vec()));
        let status = call(channel, TRACES, None, request).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "the receiver stops"));
    });
    super::rig::until(|| rig.count("otelcol_receiver_accepted_spans", &[]) == 2).await;
    let mut outcome = None;
    let limit = Duration::from_secs(1);
    let stop = async { outcome = Some(rig.stop_within(limit).await) };
    // The exporter never answers: that is for its own deadline.
    tokio::join!(stop, async { while clients.join_next().await.is_some_and(|c| c.is_ok()) {} });
    assert_eq!(outcome.unwrap(), ["received=2 sent=0 dropped=2 (shutdown=2) held=0"]);
}

#[tokio::test]
async fn kept_connections_end_with_the_stop() {
    let rig = Rig::start(BOTH, &[Fake::taking_all()]).await;
    let mut stream = TcpStream::connect(rig.http()).await.unwrap();
    let body = tagged([1]).encode_to_vec();
    let line = "POST /v1/traces";
    assert_eq!(send_on(&mut stream, line, &[PROTOBUF], &body).await.status, 200);
    rig.stop().await;
    assert!(answer(&mut stream).await.is_none());
}
