//! OTLP over gRPC, with tonic's client: what is taken, and what every refusal looks like.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request};

use super::rig::{BOTH, Fake, LOGS, METRICS, Rig, TRACES, call, channel, post};
use super::telemetry::{logs, metrics, span, tagged, tags_of, traces};

#[tokio::test]
async fn bytes_arrive_as_they_were_sent_compressed_or_not() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let channel = channel(rig.grpc()).await;
    // More than one frame of any size that clients use.
    let sent = Bytes::from(tagged(0..9000).encode_to_vec());
    assert!(sent.len() > 256 << 10);
    for compression in
        [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd), None]
    {
        let request = Request::new(sent.clone());
        let answer = call(channel.clone(), TRACES, compression, request).await.unwrap();
        assert_eq!(answer.into_inner(), Bytes::new(), "partial_success is unset");
    }
    for telemetry in fake.has(4).await {
        assert_eq!(telemetry.wire(), &sent);
    }
    assert_eq!(rig.count("otelcol_receiver_accepted_spans", &["grpc"]), 36_000);
    assert_eq!(rig.stop().await, ["received=36000 sent=36000 dropped=0 held=0"]);
}

#[tokio::test]
async fn the_three_services_are_served_and_nothing_else() {
    let fake = Fake::taking_all();
    let rig = Rig::of_signals(BOTH, std::slice::from_ref(&fake), &["traces", "logs"]).await;
    let channel = channel(rig.grpc()).await;
    for (path, body, code) in [
        (TRACES, tagged([1]).encode_to_vec(), Code::Ok),
        (LOGS, logs(&[b""]).encode_to_vec(), Code::Ok),
        (TRACES, Vec::new(), Code::Ok),
        (METRICS, metrics(&[b""]).encode_to_vec(), Code::Unimplemented),
        ("/grpc.health.v1.Health/Check", Vec::new(), Code::Unimplemented),
        (TRACES, vec![0x0a, 0xff], Code::InvalidArgument),
    ] {
        let answer = call(channel.clone(), path, None, Request::new(body.into())).await;
        assert_eq!(answer.map_or_else(|status| status.code(), |_| Code::Ok), code, "{path}");
    }
    assert_eq!(fake.has(2).await.len(), 2);
}

#[tokio::test]
async fn what_no_backend_would_take_is_left_out_and_said() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let channel = channel(rig.grpc()).await;
    let mut bad = span(2);
    bad.span_id.clear();
    for (spans, rejected, passed) in
        [(vec![span(1), bad.clone()], 1, vec![1]), (vec![bad.clone(), bad], 2, vec![])]
    {
        let request = Request::new(traces(spans).encode_to_vec().into());
        let answer = call(channel.clone(), TRACES, None, request).await.unwrap().into_inner();
        let partial = ExportTraceServiceResponse::decode(answer).unwrap().partial_success.unwrap();
        assert_eq!(partial.rejected_spans, rejected);
        assert!(!partial.error_message.is_empty());
        assert_eq!(fake.has(1).await.iter().skip(passed.len() - passed.len()).count(), 1);
        assert_eq!(tags_of(&fake.got()[0]), [1]);
    }
    assert_eq!(rig.stop().await, ["received=4 sent=1 dropped=3 (invalid=3) held=0"]);
}

#[tokio::test]
async fn a_token_comes_as_metadata() {
    let token = ["open", "sesame"].join("-");
    let settings = format!(
        "{{protocols: {{grpc: {{endpoint: '127.0.0.1:0', auth: {{bearer_token: {token}}}}}}}}}"
    );
    let rig = Rig::start(&settings, &[Fake::taking_all()]).await;
    let channel = channel(rig.grpc()).await;
    let bare = call(channel.clone(), TRACES, None, Request::new(Bytes::new())).await;
    assert_eq!(bare.unwrap_err().code(), Code::Unauthenticated);
    let mut request = Request::new(Bytes::new());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    call(channel, TRACES, None, request).await.unwrap();
}

#[tokio::test]
async fn http_on_this_port_is_told_where_to_go() {
    let rig = Rig::start(BOTH, &[Fake::taking_all()]).await;
    let answer = post(rig.grpc(), "/v1/traces", &[super::rig::JSON], b"{}").await;
    assert_eq!(answer.status, 415);
    assert!(answer.text().contains("4318"), "{answer:?}");
    let grpc = ("content-type", "application/grpc");
    let answer = post(rig.grpc(), TRACES, &[grpc, super::rig::JSON], b"").await;
    assert_eq!(answer.status, 415, "two content types that differ");
}

#[tokio::test]
async fn two_compressions_are_none_that_is_known() {
    let rig = Rig::start(BOTH, &[Fake::taking_all()]).await;
    let mut request = Request::new(Bytes::new());
    for encoding in ["gzip", "zstd"] {
        request.metadata_mut().append("grpc-encoding", encoding.parse().unwrap());
    }
    let refused = call(channel(rig.grpc()).await, TRACES, None, request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}
