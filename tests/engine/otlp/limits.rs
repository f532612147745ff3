//! What clients can not make the receiver do: sizes, bombs, depth, bytes in flight, slowness.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use super::rig::{BOTH, Fake, JSON, PROTOBUF, Rig, TRACES, answer, call, channel, post, until};
use super::telemetry::tagged;

const SMALL: &str = "{protocols: {grpc: {endpoint: '127.0.0.1:0', max_recv_msg_size_mib: 1}, \
                     http: {endpoint: '127.0.0.1:0', max_request_body_size: 1048576}}}";

/// Bytes of protobuf that are fine and say nothing: a field that nobody knows.
fn padding(bytes: usize) -> Vec<u8> {
    let mut out = vec![0x9a, 0x06];
    prost::encoding::encode_varint(bytes as u64, &mut out);
    out.resize(out.len() + bytes, 0);
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut to, bytes).unwrap();
    to.finish().unwrap()
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_before_and_after_decompression() {
    let rig = Rig::start(SMALL, &[Fake::taking_all()]).await;
    let (fits, large) = (padding(1_000_000), padding(1_100_000));
    let bomb = padding(8 << 20);
    let zstd = zstd::encode_all(&bomb[..], 3).unwrap();
    for (coding, body, status) in [
        ("", fits.clone(), 200),
        ("", large.clone(), 413),
        ("gzip", gzip(&fits), 200),
        ("gzip", gzip(&large), 413),
        ("gzip", gzip(&bomb), 413),
        ("zstd", zstd, 413),
    ] {
        let headers = [PROTOBUF, ("content-encoding", coding)];
        let headers = if coding.is_empty() { &headers[..1] } else { &headers[..] };
        assert_eq!(post(rig.http(), "/v1/traces", headers, &body).await.status, status);
    }
    // Without a length nobody knows beforehand.
    let chunk = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    let headers = [PROTOBUF, ("transfer-encoding", "chunked")];
    assert_eq!(post(rig.http(), "/v1/traces", &headers, &chunk).await.status, 413);

    let channel = channel(rig.grpc()).await;
    let gzip = Some(CompressionEncoding::Gzip);
    for (compression, body, code) in [
        (None, fits, Code::Ok),
        (None, large.clone(), Code::ResourceExhausted),
        (gzip, large, Code::ResourceExhausted),
        (gzip, bomb, Code::ResourceExhausted),
    ] {
        let result = call(channel.clone(), TRACES, compression, Request::new(body.into())).await;
        let status = result.err().unwrap_or_else(|| tonic::Status::ok(""));
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.get_details_retry_info().is_none(), "never to be sent again");
    }
    assert_eq!(rig.count("mcpcol_otlp_refused_requests", &["too_large"]), 8);
}

#[tokio::test]
async fn depth_and_growth_of_json_are_bounded() {
    let rig = Rig::start(BOTH, &[Fake::taking_all()]).await;
    let value =
        format!("{}{{}}{}", "{\"arrayValue\":{\"values\":[".repeat(5000), "]}}".repeat(5000));
    let deep = format!(
        "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"k\",\"value\":{value}}}]}}}}]}}"
    );
    let answer = post(rig.http(), "/v1/traces", &[JSON], deep.as_bytes()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("nested too deeply"));
    // Three bytes each, and hundreds of bytes in memory.
    let many = format!(
        "{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{}{{}}]}}]}}]}}",
        "{},".repeat(1_000_000)
    );
    let answer = post(rig.http(), "/v1/traces", &[JSON], many.as_bytes()).await;
    assert_eq!(answer.status, 413);
    assert!(answer.text().contains("too many"), "{}", answer.text());
    // The same in protobuf.
    let spans = [0x12, 0x00].repeat(2_000_000);
    let mut scope = vec![0x12];
    prost::encoding::encode_varint(spans.len() as u64, &mut scope);
    let scope = [scope, spans].concat();
    let mut all = vec![0x0a];
    prost::encoding::encode_varint(scope.len() as u64, &mut all);
    let answer = post(rig.http(), "/v1/traces", &[PROTOBUF], &[all, scope].concat()).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn bytes_in_flight_are_bounded_and_the_next_is_told_when_to_come() {
    let waiting = Fake::stuck().queue(|queue| queue.wait_for_result = true);
    let settings = "{max_in_flight_bytes: 1200000, drain_timeout: 10ms, protocols: {\
                    grpc: {endpoint: '127.0.0.1:0', max_recv_msg_size_mib: 1}, \
                    http: {endpoint: '127.0.0.1:0', max_request_body_size: 1048576}}}";
    let rig = Rig::start(settings, std::slice::from_ref(&waiting)).await;
    let body = [tagged([1]).encode_to_vec(), padding(900_000)].concat();
    let (address, first) = (rig.http(), body.clone());
    let mut clients = tokio::task::JoinSet::new();
    clients.spawn(async move { post(address, "/v1/traces", &[PROTOBUF], &first).await.status });
    waiting.asked(1).await;

    let answer = post(rig.http(), "/v1/traces", &[PROTOBUF], &body).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    let result = call(channel(rig.grpc()).await, TRACES, None, Request::new(body.into())).await;
    let status = result.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let hint = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(hint, Some(Duration::from_secs(1)));
    assert_eq!(rig.count("mcpcol_otlp_refused_requests", &["in_flight"]), 2);
    // A small one has room.
    let small = Bytes::from(tagged([2]).encode_to_vec());
    let (channel, request) = (channel(rig.grpc()).await, Request::new(small));
    clients.spawn(async move {
        let status = call(channel, TRACES, None, request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "the stop");
        0
    });
    until(|| rig.count("otelcol_receiver_accepted_spans", &["grpc"]) == 1).await;
    rig.stop_within(Duration::from_secs(1)).await;
    let mut statuses = Vec::new();
    while let Some(status) = clients.join_next().await {
        statuses.push(status.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [0, 503]);
}

/// One good span, with these fields behind its own.
fn span_with(fields: &[u8]) -> Vec<u8> {
    let field = |number: u8, inner: &[u8]| {
        let mut out = vec![number << 3 | 2];
        prost::encoding::encode_varint(inner.len() as u64, &mut out);
        [&out, inner].concat()
    };
    let span = tagged([1]).resource_spans[0].scope_spans[0].spans[0].encode_to_vec();
    field(1, &field(2, &field(2, &[&span, fields].concat())))
}

#[tokio::test]
async fn what_a_request_becomes_is_held_and_what_never_fits_is_refused_for_good() {
    let waiting = Fake::stuck().queue(|queue| queue.wait_for_result = true);
    let settings = "{max_in_flight_bytes: 2200000, drain_timeout: 10ms, protocols: {\
                    http: {endpoint: '127.0.0.1:0', max_request_body_size: 1048576}}}";
    let rig =
        Rig::of_signals(settings, std::slice::from_ref(&waiting), &["traces", "metrics"]).await;
    // Two bytes each, and eight in protobuf.
    let counts = format!(
        "{{\"resourceMetrics\":[{{\"scopeMetrics\":[{{\"metrics\":[{{\"histogram\":\
         {{\"dataPoints\":[{{\"bucketCounts\":[0{}]}}]}}}}]}}]}}]}}",
        ",0".repeat(250_000)
    );
    // One byte each, and three when they are repaired; packed they are next to nothing.
    let mut name = vec![0x2a];
    prost::encoding::encode_varint(900_000, &mut name);
    name.resize(name.len() + 900_000, 0xff);
    let name = zstd::encode_all(&span_with(&name)[..], 3).unwrap();
    for (path, headers, body) in [
        ("/v1/metrics", &[JSON][..], counts.into_bytes()),
        ("/v1/traces", &[PROTOBUF, ("content-encoding", "zstd")], name),
    ] {
        let answer = post(rig.http(), path, headers, &body).await;
        assert_eq!((answer.status, answer.header("retry-after")), (413, None), "{path}");
        assert!(answer.text().contains("max_in_flight_bytes"), "{}", answer.text());
    }
    assert_eq!(waiting.got().len(), 0);

    // What a repair does not remember costs nothing: many empty messages are merged as one.
    let broken = [0x2a, 1, 0xff];
    let empties = span_with(&[&[0x7a, 0].repeat(400_000)[..], &broken].concat());
    let mut clients = tokio::task::JoinSet::new();
    let address = rig.http();
    clients.spawn(async move { post(address, "/v1/traces", &[PROTOBUF], &empties).await.status });
    waiting.asked(1).await;
    // What is held is what came of it, and what is repaired beside another one waits for its turn.
    let repaired_of = |bytes| span_with(&[&padding(bytes)[..], &broken].concat());
    let large = repaired_of(1_000_000);
    clients.spawn(async move { post(address, "/v1/traces", &[PROTOBUF], &large).await.status });
    until(|| rig.count("otelcol_receiver_accepted_spans", &["http"]) == 2).await;
    let answer = post(rig.http(), "/v1/traces", &[PROTOBUF], &repaired_of(600_000)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    rig.stop_within(Duration::from_secs(1)).await;
    assert_eq!(clients.join_all().await, [503, 503], "the stop");
}

#[tokio::test]
async fn a_slow_head_and_an_idle_connection_are_ended() {
    let settings = "{protocols: {http: {endpoint: '127.0.0.1:0', read_header_timeout: 100ms, \
                    idle_timeout: 100ms}}}";
    let rig = Rig::start(settings, &[Fake::taking_all()]).await;
    for beginning in ["", "PRI", "POST /v1/traces HTTP/1.1\r\nhost:"] {
        let mut stream = TcpStream::connect(rig.http()).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let ended = timeout(Duration::from_secs(10), answer(&mut stream)).await.unwrap();
        assert!(ended.is_none_or(|answer| answer.status == 408), "{beginning}");
    }
    let mut stream = TcpStream::connect(rig.http()).await.unwrap();
    let line = "POST /v1/traces";
    let answered = super::rig::send_on(&mut stream, line, &[JSON], b"{}").await;
    assert_eq!(answered.status, 200);
    assert!(timeout(Duration::from_secs(10), answer(&mut stream)).await.unwrap().is_none());
}

#[tokio::test]
async fn connections_are_bounded() {
    let settings = "{max_connections: 1, protocols: {http: {endpoint: '127.0.0.1:0'}}}";
    let rig = Rig::start(settings, &[Fake::taking_all()]).await;
    let mut first = TcpStream::connect(rig.http()).await.unwrap();
    let line = "POST /v1/traces";
    assert_eq!(super::rig::send_on(&mut first, line, &[JSON], b"{}").await.status, 200);
    let mut second = TcpStream::connect(rig.http()).await.unwrap();
    let refused = answer(&mut second).await.expect("a word");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(rig.count("mcpcol_otlp_turned_away_connections", &["http"]), 1);
}
