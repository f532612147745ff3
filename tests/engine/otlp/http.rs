//! OTLP over HTTP/1.1: what is taken, and what every refusal looks like.

use std::io::Write;

use mcpcol::otlp::Messages;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::rig::{BOTH, Fake, JSON, PROTOBUF, Rig, answer, post, send, send_on};
use super::telemetry::{logs, metrics, span, tagged, tags_of, traces};

/// The google.rpc.Status of an answer, code and message, in whatever encoding it has.
fn status_of(answer: &super::rig::Answer) -> (i64, String) {
    match answer.header("content-type") {
        Some("application/json") => {
            let status = answer.json();
            (status["code"].as_i64().unwrap(), status["message"].as_str().unwrap().to_owned())
        }
        Some("application/x-protobuf") => {
            let status = tonic_types::pb::Status::decode(&answer.body[..]).unwrap();
            (status.code.into(), status.message)
        }
        other => panic!("{other:?}: {answer:?}"),
    }
}

#[tokio::test]
async fn protobuf_arrives_byte_by_byte_as_it_was_sent() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let mut sent = tagged([7]).encode_to_vec();
    // A field 99 that no schema of ours has.
    sent.extend_from_slice(&[0x9a, 0x06, 0x03, b'n', b'e', b'w']);
    let answer = post(rig.http(), "/v1/traces", &[PROTOBUF], &sent).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(PROTOBUF.1)));
    assert_eq!(answer.body, b"", "nothing to say: partial_success is unset");
    assert_eq!(fake.has(1).await[0].wire(), &sent);
    assert_eq!(rig.count("otelcol_receiver_accepted_spans", &["otlp", "http"]), 1);
    assert_eq!(rig.count("otelcol_receiver_requests", &["http", "success"]), 1);
    assert_eq!(rig.stop().await, ["received=1 sent=1 dropped=0 held=0"]);
}

#[tokio::test]
async fn all_signals_have_their_paths_and_empty_requests_succeed() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    for (path, body) in [
        ("/v1/traces", tagged([1]).encode_to_vec()),
        ("/v1/metrics", metrics(&[&[1; 8]]).encode_to_vec()),
        ("/v1/logs", logs(&[b""]).encode_to_vec()),
        ("/v1/traces", Vec::new()),
        ("/v1/logs", Vec::new()),
    ] {
        assert_eq!(post(rig.http(), path, &[PROTOBUF], &body).await.status, 200, "{path}");
    }
    for text in ["{}", " {\"resourceSpans\": []}", "{\"resource_spans\":[{}]}"] {
        let answer = post(rig.http(), "/v1/traces", &[JSON], text.as_bytes()).await;
        assert_eq!((answer.status, answer.text()), (200, "{}".into()), "{text}");
    }
    assert_eq!(fake.has(3).await.len(), 3, "a request without items is not passed on");
    assert_eq!(rig.count("mcpcol_otlp_strange_documents", &[]), 0);
    drop(rig);
}

#[tokio::test]
async fn json_is_read_as_laxly_as_the_collector_does() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let body = json!({"resourceSpans": [{"scope_spans": [{"spans": [{
        "traceId": "0102030405060708090A0B0C0D0E0F10", "span_id": "0000000000000008",
        "name": "n", "kind": "SPAN_KIND_SERVER", "startTimeUnixNano": "5", "endTimeUnixNano": 6,
        "status": {"code": "STATUS_CODE_ERROR"}, "unknown": {"deep": [1]},
        "attributes": [{"key": "k", "value": {"intValue": 7}}, {"key": "d", "value": {"doubleValue": "NaN"}}],
    }]}]}]});
    let text = body.to_string();
    let kind = ("content-type", "application/json; charset=utf-8");
    let answer = post(rig.http(), "/v1/traces", &[kind], text.as_bytes()).await;
    assert_eq!((answer.status, answer.text()), (200, "{}".into()));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(tags_of(&fake.has(1).await[0]), [7]);
}

#[tokio::test]
async fn a_document_in_which_nothing_is_known_is_taken_and_complained_about_once() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    for _ in 0..3 {
        let answer = post(rig.http(), "/v1/logs", &[JSON], b"{\"logs\":[{\"body\":\"x\"}]}").await;
        assert_eq!((answer.status, answer.text()), (200, "{}".into()));
    }
    assert_eq!(rig.count("mcpcol_otlp_strange_documents", &["http"]), 3);
    assert_eq!(rig.log.text().matches("it should have `resourceLogs`").count(), 1);
}

#[tokio::test]
async fn what_no_backend_would_take_is_left_out_said_and_counted() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let mut bad = span(2);
    bad.trace_id = vec![0; 16];
    let mut short = span(3);
    short.parent_span_id = vec![1; 4];
    let request = traces(vec![span(1), bad, short, span(4)]);
    let answer = post(rig.http(), "/v1/traces", &[PROTOBUF], &request.encode_to_vec()).await;
    assert_eq!(answer.status, 200);
    let said = ExportTraceServiceResponse::decode(&answer.body[..]).unwrap();
    let partial = said.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    assert!(partial.error_message.contains("trace id of 16 bytes"), "{}", partial.error_message);
    assert_eq!(tags_of(&fake.has(1).await[0]), [1, 4]);

    let text =
        json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "", "spanId": "01"}]}]}]});
    let answer = post(rig.http(), "/v1/traces", &[JSON], text.to_string().as_bytes()).await;
    assert_eq!(answer.json()["partialSuccess"]["rejectedSpans"], "1");
    let request = metrics(&[&[1; 8], &[1; 3]]).encode_to_vec();
    let answer = post(rig.http(), "/v1/metrics", &[PROTOBUF], &request).await;
    let said = ExportTraceServiceResponse::decode(&answer.body[..]).unwrap();
    assert_eq!(said.partial_success.unwrap().rejected_spans, 1);
    let request = logs(&[&[1; 8], &[1; 3], &[1; 3]]).encode_to_vec();
    post(rig.http(), "/v1/logs", &[PROTOBUF], &request).await;
    fake.has(3).await;

    let dropped = |signal| rig.count("mcpcol_dropped_items", &["receiver", "invalid", signal]);
    assert_eq!([dropped("traces"), dropped("metrics"), dropped("logs")], [3, 1, 2]);
    assert_eq!(rig.count("otelcol_receiver_accepted_spans", &["http"]), 2);
    // Six of ten were received and dropped, whatever pipelines they did not get into.
    assert_eq!(rig.stop().await, ["received=10 sent=4 dropped=6 (invalid=6) held=0"]);
}

#[tokio::test]
async fn strings_that_are_not_utf8_cost_no_span_and_are_said_and_counted() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let mut spans: Vec<_> = (0..100).map(span).collect();
    spans[7].name = "caf?".into();
    let mut request = traces(spans).encode_to_vec();
    let at = memchr::memmem::find(&request, b"caf?").unwrap();
    request[at + 3] = 0xe9;
    for _ in 0..2 {
        let answer = post(rig.http(), "/v1/traces", &[PROTOBUF], &request).await;
        let said = ExportTraceServiceResponse::decode(&answer.body[..]).unwrap();
        let partial = said.partial_success.unwrap();
        assert_eq!((answer.status, partial.rejected_spans), (200, 0));
        assert_eq!(partial.error_message, "strings that were not UTF-8 and were repaired: 1");
    }
    let got = fake.has(2).await;
    assert_eq!(tags_of(&got[0]), (0..100).collect::<Vec<_>>());
    let Messages::Traces(all) = got[1].messages() else { panic!("traces stay traces") };
    assert_eq!(all[0].scope_spans[0].spans[7].name, "caf\u{fffd}");
    assert_eq!(rig.count("mcpcol_otlp_repaired_strings", &["http", "traces"]), 2);
    assert_eq!(rig.log.text().matches("were not UTF-8").count(), 1, "{}", rig.log.text());
    assert_eq!(rig.stop().await, ["received=200 sent=200 dropped=0 held=0"]);
}

/// An attribute whose number no double can hold.
const INFINITE: &[u8] = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":
    "01010101010101010101010101010101","spanId":"0202020202020202","attributes":[{"key":"k",
    "value":{"doubleValue":1e400}}]}]}]}]}"#;

#[tokio::test]
async fn every_refusal_has_its_status_and_says_why_in_the_requests_encoding() {
    let rig = Rig::start(BOTH, &[Fake::taking_all()]).await;
    let gzip = ("content-encoding", "gzip");
    let snappy = ("content-encoding", "snappy");
    let both = ("content-encoding", "gzip, gzip");
    for (line, headers, body, status, code) in [
        ("POST /v1/spans", vec![PROTOBUF], &b""[..], 404, 12),
        ("POST /v1/traces/", vec![JSON], b"{}", 404, 12),
        ("GET /v1/traces", vec![JSON], b"", 405, 12),
        ("PUT /v1/logs", vec![PROTOBUF], b"", 405, 12),
        ("POST /v1/traces", vec![PROTOBUF], b"\x0a\xff", 400, 3),
        ("POST /v1/traces", vec![PROTOBUF, gzip], b"not gzip", 400, 3),
        ("POST /v1/traces", vec![JSON], b"{\"resourceSpans\":[", 400, 3),
        ("POST /v1/traces", vec![JSON], b"[]", 400, 3),
        ("POST /v1/traces", vec![JSON], INFINITE, 400, 3),
        ("POST /v1/traces", vec![JSON, JSON], INFINITE, 400, 3),
        ("POST /v1/traces", vec![JSON], b"", 400, 3),
        ("POST /v1/traces", vec![JSON, snappy], b"x", 415, 12),
        ("POST /v1/traces", vec![PROTOBUF, both], b"x", 415, 12),
    ] {
        let answer = send(rig.http(), line, &headers, body).await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
        let kind = answer.header("content-type").unwrap();
        assert_eq!(kind, headers[0].1, "{line}");
        let said = status_of(&answer);
        assert!(said.0 == code && !said.1.is_empty(), "{line}: {said:?}");
        assert_eq!(answer.header("retry-after"), None);
        match status {
            405 => assert_eq!(answer.header("allow"), Some("POST")),
            415 => assert_eq!(answer.header("accept-encoding"), Some("gzip, zstd, deflate")),
            _ => {}
        }
    }
    for headers in [vec![], vec![("content-type", "text/plain")]] {
        let answer = post(rig.http(), "/v1/traces", &headers, b"x").await;
        assert_eq!(answer.status, 415);
        assert!(answer.text().starts_with("mcpcol: the content type is neither"));
    }
    let with_charset = (JSON.0, "application/json; charset=utf-8");
    for headers in [[JSON, PROTOBUF], [PROTOBUF, JSON], [JSON, with_charset]] {
        let answer = post(rig.http(), "/v1/traces", &headers, b"{}").await;
        let said = "mcpcol: there are two content types, and they differ\n";
        assert_eq!((answer.status, &*answer.text()), (415, said));
    }
    assert_eq!(rig.count("mcpcol_otlp_refused_requests", &["malformed"]), 7);
    assert_eq!(rig.count("otelcol_receiver_requests", &["refused"]), 18);
}

/// The same by each encoding.
fn packed(plain: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let fast = flate2::Compression::fast();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), fast);
    gzip.write_all(plain).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), fast);
    zlib.write_all(plain).unwrap();
    [
        ("gzip", gzip.finish().unwrap()),
        ("deflate", zlib.finish().unwrap()),
        ("zstd", zstd::encode_all(plain, 3).unwrap()),
    ]
}

#[tokio::test]
async fn compressed_requests_are_taken() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let plain = tagged(0..500).encode_to_vec();
    for (coding, body) in packed(&plain).into_iter().chain([("identity", plain.clone())]) {
        let headers = [PROTOBUF, ("content-encoding", coding)];
        assert_eq!(post(rig.http(), "/v1/traces", &headers, &body).await.status, 200, "{coding}");
    }
    for telemetry in fake.has(4).await {
        assert_eq!(telemetry.wire(), &plain);
    }
}

#[tokio::test]
async fn one_encoding_is_undone_and_of_a_body_all_or_nothing() {
    let rig = Rig::start(BOTH, &[Fake::taking_all()]).await;
    for (coding, body) in packed(&tagged([1]).encode_to_vec()) {
        let twice = [&body[..], &body].concat();
        let parts = if coding == "deflate" { 400 } else { 200 };
        let layered = format!("{coding}, {coding}");
        let plainly = format!("identity, {coding}");
        for (named, body, status, says) in [
            (&[coding][..], &body[..body.len() - 1], 400, "ends too early"),
            (&[coding], &[], 400, "ends too early"),
            (&[coding], &[&body[..], b"garbage"].concat(), 400, "something behind the end"),
            (&[coding], &[0; 30], 400, "not compressed as its encoding says"),
            (&[coding], &twice, parts, ""),
            (&[&layered], &body, 415, "one content encoding"),
            (&[&plainly], &body, 415, "one content encoding"),
            (&[coding, coding], &body, 415, "one content encoding"),
        ] {
            let named = named.iter().map(|named| ("content-encoding", *named));
            let headers: Vec<_> = [PROTOBUF].into_iter().chain(named).collect();
            let answer = post(rig.http(), "/v1/traces", &headers, body).await;
            assert_eq!(answer.status, status, "{headers:?} {says}");
            assert!(answer.text().contains(says), "{headers:?} {says}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_connection_is_kept_and_a_chunked_request_that_asks_first_is_told_to_go_on() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let mut stream = TcpStream::connect(rig.http()).await.unwrap();
    for tag in 0..3 {
        let body = tagged([tag]).encode_to_vec();
        let line = "POST /v1/traces";
        assert_eq!(send_on(&mut stream, line, &[PROTOBUF], &body).await.status, 200);
    }
    let head = "POST /v1/traces HTTP/1.1\r\nhost: here\r\ncontent-type: application/x-protobuf\r\n\
                transfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    let body = tagged([3]).encode_to_vec();
    for half in body.chunks(body.len() / 2 + 1) {
        let chunk = [format!("{:x}\r\n", half.len()).as_bytes(), half, b"\r\n"].concat();
        stream.write_all(&chunk).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(answer(&mut stream).await.unwrap().status, 200);
    let got: Vec<u64> = fake.has(4).await.iter().flat_map(tags_of).collect();
    assert_eq!(got, [0, 1, 2, 3]);
}

#[tokio::test]
async fn whoever_asks_first_and_is_refused_sends_nothing() {
    let rig = Rig::start(BOTH, &[Fake::taking_all()]).await;
    let mut stream = TcpStream::connect(rig.http()).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n\
                content-length: 99999999\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await.unwrap().status, 413);
}

#[tokio::test]
async fn a_token_is_asked_for_and_not_told_apart() {
    let fake = Fake::taking_all();
    let token = ["open", "sesame"].join("-");
    let settings = format!(
        "{{protocols: {{http: {{endpoint: '127.0.0.1:0', auth: {{bearer_token: {token}}}}}}}}}"
    );
    let rig = Rig::start(&settings, std::slice::from_ref(&fake)).await;
    let body = tagged([1]).encode_to_vec();
    let right = format!("bearer {token}");
    let wrong = format!("Bearer {token}x");
    for (headers, status) in [
        (vec![PROTOBUF], 401),
        (vec![PROTOBUF, ("authorization", wrong.as_str())], 401),
        (vec![PROTOBUF, ("authorization", token.as_str())], 401),
        (vec![PROTOBUF, ("authorization", right.as_str())], 200),
    ] {
        let answer = post(rig.http(), "/v1/traces", &headers, &body).await;
        assert_eq!(answer.status, status);
        if status == 401 {
            assert_eq!(status_of(&answer).0, 16);
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
        }
    }
    assert_eq!(fake.has(1).await.len(), 1);
    assert_eq!(rig.count("mcpcol_otlp_refused_requests", &["token"]), 3);
    assert!(!rig.log.text().contains(&token));
}

#[tokio::test]
async fn paths_and_headers_of_responses_are_settings_and_grpc_is_told_its_port() {
    let settings = "{protocols: {http: {endpoint: '127.0.0.1:0', traces_url_path: /in, \
                    response_headers: {x-served-by: here}}}}";
    let rig = Rig::of_signals(settings, &[Fake::taking_all()], &["traces"]).await;
    let answer = post(rig.http(), "/in", &[JSON], b"{}").await;
    assert_eq!((answer.status, answer.header("x-served-by")), (200, Some("here")));
    assert_eq!(post(rig.http(), "/v1/traces", &[JSON], b"{}").await.status, 404);
    let answer = post(rig.http(), "/v1/metrics", &[JSON], b"{}").await;
    assert_eq!(answer.status, 404);
    assert!(status_of(&answer).1.contains("no pipeline takes metrics"));
    let grpc = ("content-type", "application/grpc");
    let answer = post(rig.http(), super::rig::TRACES, &[grpc], b"").await;
    assert_eq!((answer.status, answer.header("grpc-status")), (200, Some("12")));
    assert!(answer.header("grpc-message").unwrap().contains("4317"));
}
