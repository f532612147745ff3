//! Every file in `pipelines/` runs as written: validated, then as a tap with a recorded session, and its
//! spans arrive where the file says.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use rustix::process::Signal;
use serde_json::Value;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::client::Client;
use crate::origin::Origin;
use crate::process::{Log, MCPCOL, example, mcpcol, signal, text};
use crate::session::{play, session};

fn pipelines() -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Spans that a backend of our own was sent.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<usize>>);

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        *self.0.lock().unwrap() += spans_in(request.get_ref());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// What a pipeline file needs around it.
struct Around {
    dir: tempfile::TempDir,
    collector: String,
    /// A backend that takes telemetry over HTTP.
    backend: String,
    /// An HTTP MCP server that answers everything.
    upstream: String,
}

impl Around {
    fn command(&self, args: &[&str], file: &Path) -> Command {
        let mut command = mcpcol(self.dir.path());
        command
            .args(args)
            .arg("--config")
            .arg(file)
            .env("XDG_CONFIG_HOME", self.dir.path())
            .env("MCPCOL_LISTEN", "127.0.0.1:0")
            .env("MCPCOL_OTLP_GRPC", "127.0.0.1:0")
            .env("MCPCOL_OTLP_HTTP", "127.0.0.1:0")
            .env("MCPCOL_PROBES", "127.0.0.1:0")
            .env("MCPCOL_METRICS", "0")
            .env("MCPCOL_STATS", "127.0.0.1:0")
            .env("NOTES_URL", &self.upstream)
            .env("SEARCH_URL", &self.upstream)
            .env("MCPCOL_SPANS", self.dir.path().join("spans.jsonl"))
            .env("MCPCOL_LOGS", self.dir.path().join("logs.jsonl"))
            .env("MCPCOL_ALERTS", self.dir.path().join("alerts.jsonl"))
            .env("MCPCOL_METRICS_FILE", self.dir.path().join("metrics.jsonl"))
            .env("MCPCOL_COLLECTOR", &self.collector)
            .env("MCPCOL_BACKEND", &self.backend)
            .env("MCPCOL_ZIPKIN", format!("{}/api/v2/spans", self.backend));
        command
    }

    /// Asks through the file's HTTP tap, as a client would; exit code and stderr.
    fn ask(&self, file: &Path) -> (Option<i32>, String) {
        let routed = fs::read_to_string(file).unwrap().contains("path: /notes");
        let (command, paths) = if routed {
            (vec!["run"], ["/notes", "/search"])
        } else {
            (vec!["http", "--upstream", &self.upstream], ["/mcp"; 2])
        };
        let mut command = self.command(&command, file);
        let mut tap = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut log = Log::of(&mut tap);
        let address = log.address("listening on http://");
        let mut client = Client::to(&address);
        for (id, path) in paths.iter().cycle().take(8).enumerate() {
            let body = serde_json::json!({
                "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "t"},
            });
            let (body, length) = (body.to_string(), body.to_string().len());
            client.send(format!(
                "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n{body}"
            ));
            let answer: Value = serde_json::from_slice(&client.answer().body).unwrap();
            assert_eq!(answer["id"], id);
        }
        signal(&tap, Signal::TERM);
        let talk = log.all();
        (tap.wait().unwrap().code(), talk)
    }

    /// Sends spans to the file's OTLP receiver; exit code and stderr.
    fn send(&self, file: &Path) -> (Option<i32>, String) {
        let mut command = self.command(&["run"], file);
        let mut gateway = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut log = Log::of(&mut gateway);
        let address = log.address("for OTLP over HTTP");
        let span = |n: u64| serde_json::json!({"traceId": "ab".repeat(16), "spanId": format!("{n:016x}"), "name": "n"});
        let spans: Vec<Value> = (1..9).map(span).collect();
        let body = serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
        let (body, mut client) = (body.to_string(), Client::to(&address));
        let length = body.len();
        client.send(format!(
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        ));
        assert_eq!(client.answer().text(), "{}");
        signal(&gateway, Signal::TERM);
        let talk = log.all();
        (gateway.wait().unwrap().code(), talk)
    }

    /// Plays a recorded session through the file's tap.
    fn replay(&self, file: &Path) -> Output {
        let session = session("modern-2026-07-28");
        let mut command = self.command(&["stdio"], file);
        command.arg("--").arg(example("replay")).arg(&session);
        play(command.spawn().unwrap(), &session)
    }
}

/// A backend that takes spans over HTTP, as OTLP or as Zipkin has them, and counts them.
fn backend(count: Sink) -> Origin {
    Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            *count.0.lock().unwrap() += match body.first() {
                Some(b'[') => serde_json::from_slice::<Vec<Value>>(&body).unwrap().len(),
                _ => {
                    let mut plain = Vec::new();
                    GzDecoder::new(&*body).read_to_end(&mut plain).unwrap();
                    spans_in(&ExportTraceServiceRequest::decode(&*plain).unwrap())
                }
            };
            conn.write("HTTP/1.1 202 OK\r\ncontent-length: 0\r\n\r\n");
        }
    })
}

fn spans_in(request: &ExportTraceServiceRequest) -> usize {
    let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
    scopes.map(|s| s.spans.len()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_pipeline_file_is_valid_and_runs_as_written() {
    let sink = Sink::default();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let collector = incoming.local_addr().unwrap().to_string();
    let service = TraceServiceServer::new(sink.clone())
        .accept_compressed(tonic::codec::CompressionEncoding::Gzip);
    let server = tonic::transport::Server::builder().add_service(service);
    #[allow(clippy::disallowed_methods)] // ends with the test's runtime
    tokio::spawn(server.serve_with_incoming(incoming));

    let (upstream, backend) = (Origin::echo(), backend(sink.clone()));
    for file in pipelines() {
        let around = Around {
            dir: tempfile::tempdir().unwrap(),
            collector: collector.clone(),
            backend: format!("http://{}", backend.address),
            upstream: upstream.url(),
        };
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let bare = Command::new(MCPCOL).arg("validate").arg(&file).env_clear().output().unwrap();
        let talk = text(&bare.stderr);
        assert_eq!((bare.status.code(), &*talk), (Some(0), ""), "{name} needs nothing around it");
        let validated = around.command(&["validate"], &file).output().unwrap();
        let talk = text(&validated.stderr);
        assert_eq!(validated.status.code(), Some(0), "{name}: {talk}");
        assert_eq!(talk, "", "{name} is valid without a word");

        let before = *sink.0.lock().unwrap();
        let (code, talk) = match name.split('-').next() {
            Some("gateway.yaml") => around.send(&file),
            Some("http") => around.ask(&file),
            _ => {
                let output = around.replay(&file);
                (output.status.code(), text(&output.stderr))
            }
        };
        assert_eq!(code, Some(0), "{name}: {talk}");
        let spans = match name.as_str() {
            "stdio-debug.yaml" => talk.lines().filter(|l| l.contains("tools/call")).count(),
            "mcp-metrics.yaml" => {
                let text = fs::read_to_string(around.dir.path().join("metrics.jsonl")).unwrap();
                text.matches("\"bucketCounts\"").count()
            }
            "slo.yaml" => {
                let text = fs::read_to_string(around.dir.path().join("metrics.jsonl")).unwrap();
                text.matches("\"mcpcol_slo_").count()
            }
            "stdio-file.yaml" | "http-file.yaml" => {
                let text = fs::read_to_string(around.dir.path().join("spans.jsonl")).unwrap();
                text.matches("\"spanId\"").count()
            }
            "stdio-otlp.yaml" | "stdio-zipkin.yaml" | "http-gateway.yaml"
            | "http-otlphttp.yaml" | "gateway.yaml" => *sink.0.lock().unwrap() - before,
            other => panic!("say here where the spans of {other} arrive"),
        };
        assert!(spans > 5, "{name}: {spans} spans\n{talk}");
    }
}
