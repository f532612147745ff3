//! Exporters against real sockets: what arrives, and what every answer means for the batch. Here
//! `otlp_grpc`, the others beside it.

mod contract;
mod floods;
mod http_sink;
mod otlp_http;
mod sink;
mod zipkin;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use mcpcol::exporters::otlp_grpc;
use mcpcol::otlp::Messages;
use mcpcol::otlp::Request;
use mcpcol::otlp::wire;
use mcpcol::pipeline::{
    Accounts, Build, ExportError, Exported, Exporter, ExporterConfig, Id, Of, Shared,
};
use mcpcol::telemetry::{Clock, Telemetry};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use sink::Sink;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

fn built(config: Value) -> Box<dyn Exporter> {
    build::<otlp_grpc::Config>(config)
}

/// An exporter by its settings.
fn build<C: Of<dyn ExporterConfig>>(config: Value) -> Box<dyn Exporter> {
    let config: C = serde_json::from_value(config).unwrap();
    let (id, accounts, shared) =
        (Id::parse(C::NAME).unwrap(), Accounts::default(), Shared::default());
    let cx = Build::alone(&id, &accounts, Clock::start(), Path::new(""), &shared);
    config.boxed().build(&cx).unwrap()
}

/// An exporter to `addr` without TLS.
fn plain(addr: SocketAddr) -> Box<dyn Exporter> {
    built(json!({ "endpoint": addr.to_string(), "tls": { "insecure": true } }))
}

fn request() -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "tools/call search".into(),
        ..Span::default()
    };
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let all = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![all] }
}

fn spans() -> Telemetry {
    Telemetry::from(Messages::Traces(request().resource_spans))
}

async fn export_to(sink: &Sink) -> Result<Exported, ExportError> {
    let listening = sink.listen(None).await;
    plain(listening.addr).export(&spans()).await
}

async fn retry_of(exporter: &dyn Exporter) -> String {
    match exporter.export(&spans()).await {
        Err(ExportError::Retry { after: None, why }) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bytes_arrive_as_they_are_held_even_those_of_a_newer_sender() {
    let mut bytes = request().encode_to_vec();
    // A field 99 that no schema of ours has.
    bytes.extend_from_slice(&[0x9a, 0x06, 0x03, b'n', b'e', b'w']);
    let bytes = Bytes::from(bytes);
    let telemetry =
        Telemetry::from(wire::check(Request::Traces, bytes.clone()).unwrap().repaired().unwrap());
    let sink = Sink::taking_all();
    let listening = sink.listen(None).await;
    let exported = plain(listening.addr).export(&telemetry).await;
    assert_eq!(exported, Ok(Exported::default()));
    let seen = sink.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].wire, bytes);
}

#[tokio::test]
async fn each_signal_has_its_own_service() {
    let point = NumberDataPoint { time_unix_nano: 7, ..NumberDataPoint::default() };
    let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
    let metric = Metric { name: "calls".into(), data, ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let metrics = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    let record = LogRecord { severity_text: "WARN".into(), ..LogRecord::default() };
    let scope = ScopeLogs { log_records: vec![record], ..ScopeLogs::default() };
    let logs = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };

    let sink = Sink::taking_all();
    let listening = sink.listen(None).await;
    let exporter = plain(listening.addr);
    exporter.export(&Telemetry::from(Messages::Metrics(vec![metrics.clone()]))).await.unwrap();
    exporter.export(&Telemetry::from(Messages::Logs(vec![logs.clone()]))).await.unwrap();
    let seen = sink.seen();
    let paths: Vec<_> = seen.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        ]
    );
    let arrived = ExportMetricsServiceRequest::decode(seen[0].wire.clone()).unwrap();
    assert_eq!(arrived.resource_metrics, [metrics]);
    let arrived = ExportLogsServiceRequest::decode(seen[1].wire.clone()).unwrap();
    assert_eq!(arrived.resource_logs, [logs]);
}

/// The stubs that opentelemetry-proto generates: they know the service's name, and they decode.
#[tokio::test]
async fn a_generated_service_understands_what_is_sent() {
    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
        TraceService, TraceServiceServer,
    };
    use tonic::codec::CompressionEncoding::Gzip;

    struct Expects(ExportTraceServiceRequest);

    #[tonic::async_trait]
    impl TraceService for Expects {
        async fn export(
            &self,
            request: tonic::Request<ExportTraceServiceRequest>,
        ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
            assert_eq!(request.into_inner(), self.0);
            Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
        }
    }

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let exporter = plain(listener.local_addr().unwrap());
    let service = TraceServiceServer::new(Expects(request())).accept_compressed(Gzip);
    let serve = tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener));
    let spans = spans();
    tokio::select! {
        result = exporter.export(&spans) => assert_eq!(result, Ok(Exported::default())),
        ended = serve => panic!("the server ended: {ended:?}"),
    }
}

#[tokio::test]
async fn headers_agent_and_compression_are_sent_as_set() {
    for compression in ["gzip", "zstd", "none"] {
        let sink = Sink::taking_all();
        let listening = sink.listen(None).await;
        let exporter = built(json!({
            "endpoint": format!("http://{}", listening.addr),
            "headers": { "X-Tenant": "blue" },
            "compression": compression,
            "authority": "otel.example.com",
        }));
        exporter.export(&spans()).await.unwrap();
        let seen = sink.seen();
        assert_eq!(seen[0].wire, request().encode_to_vec());
        let header = |name: &str| seen[0].headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("x-tenant"), Some("blue"));
        assert!(header("user-agent").unwrap().starts_with("mcpcol/"));
        assert_eq!(header("grpc-encoding"), Some(compression).filter(|c| *c != "none"));
    }
}

#[tokio::test]
async fn every_status_code_is_judged_by_the_table_of_otlp() {
    use Code::*;
    let retryable = [Cancelled, DeadlineExceeded, Aborted, OutOfRange, Unavailable, DataLoss];
    for code in (1..=16).map(Code::from_i32) {
        let sink = Sink::answering(move || Err(Status::new(code, "no\nway")));
        let listening = sink.listen(None).await;
        let error = plain(listening.addr).export(&spans()).await.unwrap_err();
        let why = match code {
            Unimplemented => format!("{code:?} at {}: no way", listening.addr),
            _ => format!("{code:?}: no way"),
        };
        let expected = if retryable.contains(&code) {
            ExportError::Retry { after: None, why }
        } else {
            ExportError::Reject { why }
        };
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn retry_info_is_the_hint_and_makes_exhaustion_retryable() {
    let after = Some(Duration::from_millis(1500));
    for code in [Code::Unavailable, Code::ResourceExhausted] {
        let details = ErrorDetails::with_retry_info(after);
        let status = Status::with_error_details(code, "later", details);
        let error = export_to(&Sink::answering(move || Err(status.clone()))).await.unwrap_err();
        assert_eq!(error, ExportError::Retry { after, why: format!("{code:?}: later") });
    }
}

#[tokio::test]
async fn a_hint_beyond_all_reason_is_one_and_one_on_a_permanent_error_is_ignored() {
    let details = || ErrorDetails::with_retry_info(Some(Duration::MAX));
    let status = Status::with_error_details(Code::Unavailable, "x", details());
    match export_to(&Sink::answering(move || Err(status.clone()))).await.unwrap_err() {
        // Ten thousand years are the most that can be said; delivery cuts it.
        ExportError::Retry { after: Some(after), .. } => assert!(after.as_secs() > 1 << 30),
        other => panic!("{other:?}"),
    }
    let status = Status::with_error_details(Code::InvalidArgument, "x", details());
    let error = export_to(&Sink::answering(move || Err(status.clone()))).await.unwrap_err();
    assert!(matches!(error, ExportError::Reject { .. }), "{error:?}");
}

/// They stand in the trailers behind a message, or in the head of an answer without one.
#[tokio::test]
async fn details_that_cannot_be_read_change_nothing_about_the_status() {
    let unreadable = |sink: Sink| sink.saying("grpc-status-details-bin", "!");
    assert_eq!(export_to(&unreadable(Sink::taking_all())).await, Ok(Exported::default()));
    let later = Sink::answering(|| Err(Status::unavailable("later")));
    let error = export_to(&unreadable(later)).await.unwrap_err();
    assert_eq!(error, ExportError::Retry { after: None, why: "Unavailable: later".to_owned() });
}

#[tokio::test]
async fn a_partial_success_counts_what_was_rejected_and_no_more_than_was_sent() {
    for (said, counted) in [(1, 1), (0, 0), (1_000_000, 1), (-5, 0)] {
        let partial = ExportTracePartialSuccess {
            rejected_spans: said,
            error_message: "too\told".to_owned(),
        };
        let response = ExportTraceServiceResponse { partial_success: Some(partial) };
        let response = Bytes::from(response.encode_to_vec());
        let exported = export_to(&Sink::answering(move || Ok(response.clone()))).await;
        assert_eq!(exported, Ok(Exported { rejected: counted, message: "too old".to_owned() }));
    }
}

#[tokio::test]
async fn a_response_that_is_too_large_is_one_all_the_same_and_one_that_is_unreadable_rejects() {
    // The sink compresses: one of the two is small on the wire and grows, the other is large there too.
    let mut state = 1u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let message = "partial success unread: the answer is over the limit of 4 MiB".to_owned();
    for response in [vec![0x0a; 5 << 20], noise.take(5 << 20).collect()] {
        let response = Bytes::from(response);
        let exported = export_to(&Sink::answering(move || Ok(response.clone()))).await;
        assert_eq!(exported, Ok(Exported { rejected: 0, message: message.clone() }));
    }
    let unreadable = || Ok(Bytes::from_static(&[0xff; 3]));
    let error = export_to(&Sink::answering(unreadable)).await.unwrap_err();
    assert!(matches!(error, ExportError::Reject { .. }), "{error:?}");
}

/// A server of the same make says of our request what we say of its answer.
#[tokio::test]
async fn a_request_that_is_too_large_for_the_server_is_not_taken_for_sent() {
    let words = "Error, decoded message length too large: found 9 bytes, the limit is: 8 bytes";
    let status = move || Err(Status::out_of_range(words));
    let error = export_to(&Sink::answering(status)).await.unwrap_err();
    assert!(matches!(error, ExportError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn a_request_over_the_limit_is_not_sent_and_asks_to_be_cut() {
    let mut all = request().resource_spans;
    all[0].schema_url = "x".repeat(64 << 20);
    let sink = Sink::taking_all();
    let listening = sink.listen(None).await;
    let error =
        plain(listening.addr).export(&Telemetry::from(Messages::Traces(all))).await.unwrap_err();
    assert!(matches!(error, ExportError::TooLarge { .. }), "{error:?}");
    assert!(sink.seen().is_empty());
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_found_when_the_backend_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let exporter = plain(addr);
    let why = retry_of(&*exporter).await;
    assert!(why.contains("refused"), "{why}");

    let sink = Sink::taking_all();
    let listener = TcpListener::bind(addr).await.unwrap();
    let _listening = sink.serve(listener, None);
    exporter.export(&spans()).await.unwrap();
    assert_eq!(sink.seen().len(), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_without_an_answer_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let exporter = plain(listener.local_addr().unwrap());
    let hang_up = async {
        loop {
            drop(listener.accept().await.unwrap());
        }
    };
    tokio::select! {
        why = retry_of(&*exporter) => assert!(!why.is_empty()),
        () = hang_up => unreachable!("it loops"),
    }
}

/// The attempt after one that was given up connects anew: the old connection may be half dead.
#[tokio::test]
async fn a_backend_that_never_answers_is_left_by_dropping_the_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let exporter = plain(listener.local_addr().unwrap());
    let mut held = Vec::new();
    for _ in 0..2 {
        let spans = spans();
        tokio::select! {
            result = exporter.export(&spans) => panic!("nobody answered: {result:?}"),
            accepted = listener.accept() => held.push(accepted.unwrap()),
            () = tokio::time::sleep(Duration::from_secs(20)) => panic!("it waits on the old one"),
        }
    }
    assert_ne!(held[0].1, held[1].1);
}

/// As the Collector's client does.
#[tokio::test]
async fn any_address_may_stand_in_brackets() {
    let sink = Sink::taking_all();
    let listening = sink.listen(None).await;
    let endpoint = format!("[127.0.0.1]:{}", listening.addr.port());
    let settings = json!({ "endpoint": endpoint, "tls": { "insecure": true } });
    built(settings).export(&spans()).await.unwrap();
    assert_eq!(sink.seen().len(), 1);
}

#[tokio::test]
async fn a_unix_socket_is_an_endpoint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("otel.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let exporter = built(json!({ "endpoint": format!("unix:{}", path.display()) }));
    let spans = spans();
    tokio::select! {
        result = exporter.export(&spans) => panic!("nobody answered: {result:?}"),
        accepted = listener.accept() => drop(accepted.unwrap()),
    }
}

/// An authority and two certificates of it, made for this run.
struct Authority {
    ca: String,
    server: Identity,
    server_pem: (String, String),
    client: (String, String),
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    };
    let server_pem = issue("otel.test");
    let server = Identity::from_pem(&server_pem.0, &server_pem.1);
    Authority { ca: issuer.pem(), server, server_pem, client: issue("client") }
}

#[tokio::test]
async fn a_server_is_believed_by_its_authority_and_its_name() {
    let authority = authority("test");
    let sink = Sink::taking_all();
    let tls = ServerTlsConfig::new().identity(authority.server.clone());
    let listening = sink.listen(Some(tls)).await;
    let endpoint = listening.addr.to_string();
    let with = |tls: Value| built(json!({ "endpoint": endpoint, "tls": tls }));

    let name = "otel.test";
    let good = with(json!({ "ca_pem": authority.ca, "server_name_override": name }));
    good.export(&spans()).await.unwrap();
    with(json!({ "insecure_skip_verify": true })).export(&spans()).await.unwrap();
    assert_eq!(sink.seen().len(), 2);

    let other = with(json!({ "ca_pem": authority.ca, "server_name_override": "other.test" }));
    let why = retry_of(&*other).await;
    assert!(why.contains("not valid for name"), "{why}");
    let stranger = self::authority("another").ca;
    let unknown = with(json!({ "ca_pem": stranger, "server_name_override": name }));
    let why = retry_of(&*unknown).await;
    assert!(why.contains("tls.ca_file"), "{why}");
    assert!(sink.seen().is_empty());
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_ours() {
    let authority = authority("test");
    let sink = Sink::taking_all();
    let tls = ServerTlsConfig::new()
        .identity(authority.server.clone())
        .client_ca_root(Certificate::from_pem(&authority.ca));
    let listening = sink.listen(Some(tls)).await;
    let mut tls = json!({ "ca_pem": authority.ca, "server_name_override": "otel.test" });
    let endpoint = listening.addr.to_string();

    let bare = built(json!({ "endpoint": endpoint, "tls": tls }));
    retry_of(&*bare).await;
    assert!(sink.seen().is_empty());

    // From files this time, as users have them.
    let dir = tempfile::tempdir().unwrap();
    for (field, text) in [("cert_file", &authority.client.0), ("key_file", &authority.client.1)] {
        let path = dir.path().join(field);
        std::fs::write(&path, text).unwrap();
        tls[field] = json!(path);
    }
    built(json!({ "endpoint": endpoint, "tls": tls })).export(&spans()).await.unwrap();
    assert_eq!(sink.seen().len(), 1);
}

#[tokio::test]
async fn tls_that_meets_plaintext_says_what_to_write() {
    let sink = Sink::taking_all();
    let listening = sink.listen(None).await;
    let ca = authority("test").ca;
    let exporter =
        built(json!({ "endpoint": listening.addr.to_string(), "tls": { "ca_pem": ca } }));
    let why = retry_of(&*exporter).await;
    assert!(why.contains("add `tls.insecure: true`"), "{why}");
}

#[tokio::test]
async fn plaintext_that_meets_tls_says_what_to_write() {
    let tls = ServerTlsConfig::new().identity(authority("test").server);
    let listening = Sink::taking_all().listen(Some(tls)).await;
    let why = retry_of(&*plain(listening.addr)).await;
    assert!(why.contains("if the server wants TLS"), "{why}");
}

#[tokio::test]
async fn a_certificate_that_is_not_there_yet_is_looked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let authority = authority("test");
    let sink = Sink::taking_all();
    let tls = ServerTlsConfig::new().identity(authority.server.clone());
    let listening = sink.listen(Some(tls)).await;
    let exporter = built(json!({
        "endpoint": listening.addr.to_string(),
        "tls": { "ca_file": path, "server_name_override": "otel.test" },
    }));
    let why = retry_of(&*exporter).await;
    assert!(why.contains("ca.pem"), "{why}");
    std::fs::write(&path, &authority.ca).unwrap();
    exporter.export(&spans()).await.unwrap();
}
