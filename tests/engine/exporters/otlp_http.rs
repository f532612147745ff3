//! `otlp_http` against real sockets: what arrives, and what every answer means for the batch.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mcpcol::exporters::otlp_http;
use mcpcol::otlp::Messages;
use mcpcol::otlp::Request;
use mcpcol::otlp::json;
use mcpcol::otlp::wire;
use mcpcol::pipeline::{ExportError, Exported, Exporter};
use mcpcol::telemetry::Telemetry;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::http_sink::{HttpSink, Proxy, Reply, Seen, ok, says};
use super::{authority, build, request, spans};

fn built(config: Value) -> Box<dyn Exporter> {
    build::<otlp_http::Config>(config)
}

fn plain(sink: &HttpSink) -> Box<dyn Exporter> {
    built(json!({ "endpoint": sink.url() }))
}

async fn export_to(
    answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> Result<Exported, ExportError> {
    let sink = HttpSink::answering(answer).await;
    let result = plain(&sink).export(&spans()).await;
    assert_eq!(sink.seen().len(), 1, "one attempt is one request");
    result
}

/// What a document says.
fn read(request: Request, document: &[u8]) -> Telemetry {
    let bytes = json::read(request, document).unwrap();
    Telemetry::from(wire::check(request, bytes.into()).unwrap().repaired().unwrap())
}

fn logs() -> Telemetry {
    let document = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":13}]}]}]}"#;
    read(Request::Logs, document)
}

fn metrics() -> Telemetry {
    let document = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"calls",
        "gauge":{"dataPoints":[{"asInt":"7"}]}}]}]}]}"#;
    read(Request::Metrics, document)
}

#[tokio::test]
async fn bytes_arrive_as_they_are_held_even_those_of_a_newer_sender() {
    let mut bytes = request().encode_to_vec();
    // A field 99 that no schema of ours has.
    bytes.extend_from_slice(&[0x9a, 0x06, 0x03, b'n', b'e', b'w']);
    let telemetry = Telemetry::from(
        wire::check(Request::Traces, bytes.clone().into()).unwrap().repaired().unwrap(),
    );
    let sink = HttpSink::taking_all().await;
    assert_eq!(plain(&sink).export(&telemetry).await, Ok(Exported::default()));
    let seen = sink.seen();
    assert_eq!(seen[0].plain(), bytes);
    assert_eq!(seen[0].target, "/v1/traces");
    assert_eq!(seen[0].header("content-type"), Some("application/x-protobuf"));
}

#[tokio::test]
async fn each_signal_goes_to_its_own_path_in_either_encoding() {
    for encoding in ["proto", "json"] {
        let sink = HttpSink::taking_all().await;
        let exporter = built(json!({
            "endpoint": format!("{}/base/", sink.url()),
            "logs_endpoint": format!("{}/in?tenant=blue", sink.url()),
            "encoding": encoding,
        }));
        let all = [spans(), metrics(), logs()];
        for telemetry in &all {
            exporter.export(telemetry).await.unwrap();
        }
        let seen = sink.seen();
        let targets: Vec<_> = seen.iter().map(|seen| seen.target.as_str()).collect();
        assert_eq!(targets, ["/base/v1/traces", "/base/v1/metrics", "/in?tenant=blue"]);
        for (seen, telemetry) in seen.iter().zip(&all) {
            let body = seen.plain();
            if encoding == "proto" {
                assert_eq!(body, telemetry.wire().to_vec());
                continue;
            }
            assert_eq!(seen.header("content-type"), Some("application/json"));
            let arrived = read(telemetry.signal().request(), &body);
            assert_eq!(arrived.messages(), telemetry.messages());
        }
    }
}

#[tokio::test]
async fn a_signal_without_an_endpoint_is_rejected_and_says_so() {
    let sink = HttpSink::taking_all().await;
    let exporter = built(json!({ "traces_endpoint": sink.url() }));
    exporter.export(&spans()).await.unwrap();
    assert_eq!(sink.seen()[0].target, "/");
    let error = exporter.export(&logs()).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no endpoint for logs: set logs_endpoint");
    assert!(matches!(error, ExportError::Reject { .. }));
}

#[tokio::test]
async fn headers_agent_and_compression_are_sent_as_set() {
    for (compression, level) in [("gzip", 0), ("gzip", 9), ("zstd", 0), ("zstd", 19), ("none", 0)] {
        let sink = HttpSink::taking_all().await;
        let exporter = built(json!({
            "endpoint": sink.url(),
            "headers": { "X-Tenant": "blue" },
            "compression": compression,
            "compression_params": { "level": level },
        }));
        // The second is large enough for a thread of its own.
        let mut large = request().resource_spans;
        large[0].scope_spans[0].spans[0].name = "large ".repeat(1 << 18);
        for telemetry in [spans(), Telemetry::from(Messages::Traces(large))] {
            exporter.export(&telemetry).await.unwrap();
            let seen = sink.seen().remove(0);
            assert_eq!(seen.plain(), telemetry.wire().to_vec());
            let encoding = Some(compression).filter(|name| *name != "none");
            assert_eq!(seen.header("content-encoding"), encoding);
            assert_eq!(seen.header("x-tenant"), Some("blue"));
            let agent = seen.header("user-agent").unwrap();
            assert!(agent.starts_with("mcpcol/") && agent.ends_with(')'), "{agent}");
            assert_eq!(seen.header("accept-encoding"), None, "no answer is decompressed");
        }
    }
}

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let sink = HttpSink::taking_all().await;
    let exporter = plain(&sink);
    for _ in 0..5 {
        exporter.export(&spans()).await.unwrap();
    }
    assert_eq!((sink.seen().len(), sink.connections()), (5, 1));
    let exporter = built(json!({ "endpoint": sink.url(), "disable_keep_alives": true }));
    for _ in 0..3 {
        exporter.export(&spans()).await.unwrap();
    }
    assert_eq!((sink.seen().len(), sink.connections()), (3, 4));
}

/// Larger than every buffer on the way, several at once, one after another: nobody waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_pass_side_by_side_on_connections_that_are_kept() {
    let sink = HttpSink::taking_all().await;
    let exporter = built(json!({ "endpoint": sink.url(), "compression": "none" }));
    let mut large = request().resource_spans;
    large[0].schema_url = "x".repeat(400 << 10);
    let large = Telemetry::from(Messages::Traces(large));
    for _ in 0..50 {
        let results = tokio::join!(
            exporter.export(&large),
            exporter.export(&large),
            exporter.export(&large),
            exporter.export(&large),
        );
        let fine = Ok(Exported::default());
        assert_eq!(results, (fine.clone(), fine.clone(), fine.clone(), fine));
        assert!(sink.seen().iter().all(|seen| seen.body == *large.wire()));
    }
    // Of 200 requests. The pool may open one while it waits for one that is about to come back, and how
    // often that happens is up to the scheduler.
    assert!(sink.connections() <= 20, "{} connections", sink.connections());
}

#[tokio::test]
async fn every_status_is_judged_by_the_table_of_otlp() {
    for status in [301, 307, 400, 401, 403, 404, 405, 408, 413, 415, 429, 500, 501, 502, 503, 504] {
        let error =
            export_to(move |_| says(&format!("{status} No"), &[("location", "/x")], b"no\nway"))
                .await
                .unwrap_err();
        match (status, &error) {
            (429 | 502 | 503 | 504, ExportError::Retry { after: None, .. })
            | (413, ExportError::TooLarge { .. }) => {}
            (429 | 502 | 503 | 504 | 413, other) => panic!("{status}: {other:?}"),
            (_, ExportError::Reject { .. }) => {}
            (_, other) => panic!("{status}: {other:?}"),
        }
        let why = error.to_string();
        assert!(why.starts_with(&status.to_string()), "{why}");
        let named = why.contains("/v1/traces");
        assert_eq!(named, [301, 307, 404, 405].contains(&status), "{why}");
        assert!(why.contains(if status < 400 { "not followed" } else { ": no way" }), "{why}");
    }
}

#[tokio::test]
async fn the_status_message_is_read_in_the_encoding_of_the_answer() {
    let status =
        tonic_types::pb::Status { code: 3, message: "no such tenant".into(), details: vec![] };
    let proto = status.encode_to_vec();
    let json = br#"{"code":3,"message":"no such tenant","details":[]}"#.to_vec();
    for (kind, body) in [
        ("application/x-protobuf", &proto),
        ("application/json; charset=utf-8", &json),
        ("text/plain", &b"no such tenant".to_vec()),
    ] {
        let (kind, body) = (kind.to_owned(), body.clone());
        let answer = move |_: &Seen| says("400 Bad Request", &[("content-type", &kind)], &body);
        let error = export_to(answer).await.unwrap_err();
        assert_eq!(error.to_string(), "400 Bad Request: no such tenant");
    }
}

#[tokio::test]
async fn retry_after_is_the_hint_as_seconds_and_as_a_date() {
    let error = export_to(|_| says("429 Slow", &[("retry-after", "7")], b"")).await.unwrap_err();
    assert!(matches!(error, ExportError::Retry { after: Some(after), .. } if after.as_secs() == 7));
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(120));
    let answer = move |_: &Seen| says("503 Busy", &[("Retry-After", &date)], b"");
    let ExportError::Retry { after: Some(after), .. } = export_to(answer).await.unwrap_err() else {
        panic!("503 may be tried again");
    };
    assert!((60..=120).contains(&after.as_secs()), "{after:?}");
}

#[tokio::test]
async fn a_partial_success_counts_what_was_rejected_and_no_more_than_was_sent() {
    for (said, counted) in [(1, 1), (0, 0), (1_000_000, 1), (-5, 0)] {
        let partial = ExportTracePartialSuccess {
            rejected_spans: said,
            error_message: "too\told".to_owned(),
        };
        let response = ExportTraceServiceResponse { partial_success: Some(partial) };
        let proto = response.encode_to_vec();
        let string = json!({"partialSuccess": {
            "rejectedSpans": said.to_string(), "errorMessage": "too\told",
        }});
        let number =
            json!({"partialSuccess": {"rejectedDataPoints": said, "errorMessage": "too\told"}});
        for (kind, body) in [
            ("application/x-protobuf", proto),
            ("application/json", string.to_string().into_bytes()),
            ("application/json", number.to_string().into_bytes()),
        ] {
            let answer = move |_: &Seen| says("200 OK", &[("content-type", kind)], &body);
            let exported = export_to(answer).await;
            assert_eq!(exported, Ok(Exported { rejected: counted, message: "too old".to_owned() }));
        }
    }
}

#[tokio::test]
async fn a_success_is_one_whatever_is_in_it() {
    for (kind, body) in [
        ("text/plain", &b"ok"[..]),
        ("application/x-protobuf", b"\xff\xff\xff"),
        ("application/json", b"{\"partialSuccess\":{}}"),
        ("application/json", b"{\"partialSuccess\":null}"),
        ("application/json", b"[[[["),
        ("application/json", b"{}"),
    ] {
        let answer = move |_: &Seen| says("200 OK", &[("content-type", kind)], body);
        assert_eq!(export_to(answer).await, Ok(Exported::default()));
    }
}

#[tokio::test]
async fn an_answer_over_the_limit_is_what_its_status_says() {
    let large = || vec![b'x'; 5 << 20];
    let message = "partial success unread: the answer is over the limit of 4 MiB".to_owned();
    let exported = export_to(move |_| says("200 OK", &[], &large())).await;
    assert_eq!(exported, Ok(Exported { rejected: 0, message }));
    let error = export_to(move |_| says("503 Busy", &[], &large())).await.unwrap_err();
    assert!(matches!(error, ExportError::Retry { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_or_drips_is_what_its_status_says() {
    let message = "partial success unread: the answer did not come to its end".to_owned();
    let refused = ExportError::Reject { why: "400 Bad Request".to_owned() };
    for (status, said) in
        [("200 OK", Ok(Exported { rejected: 0, message })), ("400 Bad Request", Err(refused))]
    {
        for (drips, behind) in [
            (false, "content-length: 10\r\n\r\nhalf"),
            (false, "transfer-encoding: chunked\r\n\r\nzz\r\n"),
            (true, "content-length: 10\r\n\r\nhalf"),
        ] {
            let bytes = format!("HTTP/1.1 {status}\r\n{behind}").into_bytes();
            let reply = move |_: &Seen| match drips {
                true => Reply::Stall(bytes.clone()),
                false => Reply::Last(bytes.clone()),
            };
            let sink = HttpSink::answering(reply).await;
            let exporter = built(json!({ "endpoint": sink.url(), "timeout": "100ms" }));
            assert_eq!(exporter.export(&spans()).await, said, "{behind}");
        }
    }
}

#[tokio::test]
async fn what_is_not_http_or_breaks_off_is_tried_again() {
    for bytes in [&b""[..], b"\x15\x03\x01\x00\x02\x02", b"HTTP/1.1 200"] {
        let error = export_to(move |_| Reply::Last(bytes.to_vec())).await.unwrap_err();
        assert!(matches!(error, ExportError::Retry { after: None, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_closes_idle_connections_loses_no_batch() {
    // It promises to keep the connection, and closes it all the same.
    let close = |_: &Seen| Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec());
    let sink = HttpSink::answering(close).await;
    let exporter = plain(&sink);
    let mut tried = 0;
    for _ in 0..50 {
        // What delivery does about it: the same batch again.
        while let Err(error) = exporter.export(&spans()).await {
            assert!(matches!(error, ExportError::Retry { .. }), "{error:?}");
            tried += 1;
        }
    }
    let arrived = sink.seen().len();
    assert!(
        (50..=50 + tried).contains(&arrived),
        "{arrived} requests arrived, {tried} were repeated"
    );
}

#[tokio::test]
async fn a_request_over_the_limit_is_not_sent_and_asks_to_be_cut() {
    let mut all = request().resource_spans;
    all[0].schema_url = "x".repeat(64 << 20);
    let sink = HttpSink::taking_all().await;
    let error = plain(&sink).export(&Telemetry::from(Messages::Traces(all))).await.unwrap_err();
    assert!(matches!(error, ExportError::TooLarge { .. }), "{error:?}");
    assert_eq!((sink.seen().len(), sink.connections()), (0, 0));
}

/// A server that says 413 when it has seen the head, as nginx does, and reads no further.
#[tokio::test]
async fn a_refusal_that_comes_before_the_body_was_written_is_heard() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut large = request().resource_spans;
    large[0].schema_url = "x".repeat(16 << 20);
    let exporter = built(json!({ "endpoint": url, "compression": "none" }));
    let telemetry = Telemetry::from(Messages::Traces(large));
    let refuse = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        super::http_sink::read_head(&mut stream).await.unwrap();
        let head = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.get_mut().write_all(head).await.unwrap();
        stream.get_mut().shutdown().await.unwrap();
        // It lingers, or what it said would be lost in a reset.
        drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
        let mut rest = [0; 1];
        drop(stream.read(&mut rest).await);
    };
    let (result, ()) = tokio::join!(exporter.export(&telemetry), refuse);
    assert!(matches!(result, Err(ExportError::TooLarge { .. })), "{result:?}");
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_found_when_the_backend_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let exporter = built(json!({ "endpoint": format!("http://{addr}") }));
    let why = retry_of(&*exporter).await;
    assert!(why.contains("refused"), "{why}");
    let listener = TcpListener::bind(addr).await.unwrap();
    let sink = HttpSink::serving(listener, None, Arc::new(|_: &Seen| ok()));
    exporter.export(&spans()).await.unwrap();
    assert_eq!(sink.seen().len(), 1);
}

/// The attempt after one that was given up connects anew: the old connection may be half dead.
#[tokio::test]
async fn a_backend_that_never_answers_is_left_by_dropping_the_attempt() {
    for begun in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"] {
        let told = Arc::new(tokio::sync::Notify::new());
        let tell = Arc::clone(&told);
        let sink = HttpSink::answering(move |_| {
            tell.notify_one();
            Reply::Stall(begun.to_vec())
        })
        .await;
        let exporter = plain(&sink);
        for _ in 0..2 {
            let spans = spans();
            tokio::select! {
                result = exporter.export(&spans) => panic!("nobody answered: {result:?}"),
                () = told.notified() => {}
                () = tokio::time::sleep(Duration::from_secs(20)) => panic!("it waits on the old one"),
            }
        }
        assert_eq!(sink.connections(), 2);
    }
}

async fn retry_of(exporter: &dyn Exporter) -> String {
    match exporter.export(&spans()).await {
        Err(ExportError::Retry { after: None, why }) => why,
        other => panic!("{other:?}"),
    }
}

/// What a TLS server is set with; `client_ca`: who clients have to be signed by.
fn tls(authority: &super::Authority, alpn: &[&[u8]], client_ca: bool) -> ServerConfig {
    let (cert, key) = &authority.server_pem;
    let chain = CertificateDer::pem_slice_iter(cert.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if client_ca {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.ca.as_bytes()).unwrap()).unwrap();
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

#[tokio::test]
async fn a_server_is_believed_by_its_authority_and_its_name() {
    let authority = authority("test");
    let sink = HttpSink::with_tls(tls(&authority, &[], false)).await;
    let with =
        |tls: Value| built(json!({ "endpoint": format!("https://{}", sink.addr), "tls": tls }));
    let name = "otel.test";
    let good = with(json!({ "ca_pem": authority.ca, "server_name_override": name }));
    good.export(&spans()).await.unwrap();
    with(json!({ "insecure_skip_verify": true })).export(&spans()).await.unwrap();
    assert_eq!(sink.seen().len(), 2);

    let other = with(json!({ "ca_pem": authority.ca, "server_name_override": "other.test" }));
    let why = retry_of(&*other).await;
    assert!(why.contains("not valid for name"), "{why}");
    let stranger = super::authority("another").ca;
    let unknown = with(json!({ "ca_pem": stranger, "server_name_override": name }));
    let why = retry_of(&*unknown).await;
    assert!(why.contains("tls.ca_file"), "{why}");
    assert!(sink.seen().is_empty());
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_ours() {
    let authority = authority("test");
    let sink = HttpSink::with_tls(tls(&authority, &[], true)).await;
    let mut tls = json!({ "ca_pem": authority.ca, "server_name_override": "otel.test" });
    let endpoint = format!("https://{}", sink.addr);
    retry_of(&*built(json!({ "endpoint": endpoint, "tls": tls }))).await;
    assert!(sink.seen().is_empty());
    tls["cert_pem"] = json!(authority.client.0);
    tls["key_pem"] = json!(authority.client.1);
    built(json!({ "endpoint": endpoint, "tls": tls })).export(&spans()).await.unwrap();
    assert_eq!(sink.seen().len(), 1);
}

#[tokio::test]
async fn both_sides_that_disagree_about_tls_are_told_what_to_write() {
    let sink = HttpSink::taking_all().await;
    let ca = authority("test").ca;
    let endpoint = format!("https://{}", sink.addr);
    let why = retry_of(&*built(json!({ "endpoint": endpoint, "tls": { "ca_pem": ca } }))).await;
    assert!(why.contains("write the endpoint with http://"), "{why}");
    let sink = HttpSink::with_tls(tls(&authority("test"), &[], false)).await;
    let why = retry_of(&*plain(&sink)).await;
    assert!(why.contains("write the endpoint with https://"), "{why}");
}

#[tokio::test]
async fn a_certificate_that_is_not_there_yet_is_looked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let authority = authority("test");
    let sink = HttpSink::with_tls(tls(&authority, &[], false)).await;
    let exporter = built(json!({
        "endpoint": format!("https://{}", sink.addr),
        "tls": { "ca_file": path, "server_name_override": "otel.test" },
    }));
    let why = retry_of(&*exporter).await;
    assert!(why.contains("ca.pem"), "{why}");
    std::fs::write(&path, &authority.ca).unwrap();
    exporter.export(&spans()).await.unwrap();
}

/// A server that speaks HTTP/2 only, to whoever asks for it in the handshake.
#[tokio::test]
async fn http2_is_spoken_where_the_server_has_it() {
    let authority = authority("test");
    let acceptor = TlsAcceptor::from(Arc::new(tls(&authority, &[b"h2"], false)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let exporter = built(json!({
        "endpoint": format!("https://{}", listener.local_addr().unwrap()),
        "tls": { "ca_pem": authority.ca, "server_name_override": "otel.test" },
        "compression": "none",
    }));
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        let service =
            hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| {
                let bodies = Arc::clone(&bodies);
                async move {
                    assert_eq!(request.version(), hyper::Version::HTTP_2);
                    let body = request.into_body().collect().await?.to_bytes();
                    bodies.lock().unwrap().push(body);
                    Ok::<_, hyper::Error>(hyper::Response::new(Full::new(Bytes::new())))
                }
            });
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await
    };
    let send = async {
        for _ in 0..3 {
            exporter.export(&spans()).await.unwrap();
        }
    };
    tokio::select! {
        () = send => {}
        ended = serve => panic!("the one connection ended: {ended:?}"),
    }
    assert_eq!(bodies.lock().unwrap().len(), 3);
    assert_eq!(bodies.lock().unwrap()[0], *spans().wire());
}

fn proxied(endpoint: &str, proxy: SocketAddr, tls: Value) -> Box<dyn Exporter> {
    let password = ["open", "sesame"].concat();
    let proxy_url = format!("http://me:{password}@{proxy}");
    built(json!({ "endpoint": endpoint, "proxy_url": proxy_url, "tls": tls }))
}

const PASSWORD: &str = "Basic bWU6b3BlbnNlc2FtZQ==";

#[tokio::test]
async fn https_goes_through_a_proxys_tunnel() {
    let authority = authority("test");
    let sink = HttpSink::with_tls(tls(&authority, &[], false)).await;
    let proxy = Proxy::to(sink.addr).await;
    let tls = json!({ "ca_pem": authority.ca });
    let exporter = proxied("https://otel.test:4318", proxy.addr, tls);
    exporter.export(&spans()).await.unwrap();
    let heads = proxy.heads.lock().unwrap().clone();
    assert_eq!((heads.len(), heads[0].target.as_str()), (1, "otel.test:4318"));
    assert_eq!(heads[0].header("proxy-authorization"), Some(PASSWORD));
    let seen = sink.seen();
    assert_eq!(seen[0].target, "/v1/traces");
    assert_eq!(seen[0].header("proxy-authorization"), None, "that is for the proxy alone");
}

#[tokio::test]
async fn http_is_asked_of_the_proxy_by_its_whole_url() {
    let proxy = HttpSink::taking_all().await;
    let exporter = proxied("http://otel.test:4318", proxy.addr, json!({}));
    exporter.export(&spans()).await.unwrap();
    let seen = proxy.seen();
    assert_eq!(seen[0].target, "http://otel.test:4318/v1/traces");
    assert_eq!(seen[0].header("host"), Some("otel.test:4318"));
    assert_eq!(seen[0].header("proxy-authorization"), Some(PASSWORD));
}
