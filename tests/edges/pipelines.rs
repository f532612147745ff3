//! Every file in `pipelines/` runs as written: validated, then as a tap with a recorded session, and its
//! spans arrive where the file says.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::Value;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

const MCPCOL: &str = env!("CARGO_BIN_EXE_mcpcol");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pipelines() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("pipelines")).unwrap();
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
        let mut command = Command::new(MCPCOL);
        command
            .args(args)
            .arg("--config")
            .arg(file)
            .env("HOME", self.dir.path())
            .env("XDG_CONFIG_HOME", self.dir.path())
            .env("MCPCOL_LISTEN", "127.0.0.1:0")
            .env("MCPCOL_OTLP_GRPC", "127.0.0.1:0")
            .env("MCPCOL_OTLP_HTTP", "127.0.0.1:0")
            .env("NOTES_URL", &self.upstream)
            .env("SEARCH_URL", &self.upstream)
            .env("MCPCOL_SPANS", self.dir.path().join("spans.jsonl"))
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
        let mut tap = self.command(&command, file).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(tap.stderr.take().unwrap());
        let mut talk = String::new();
        while !talk.contains("listening on http://") {
            assert!(stderr.read_line(&mut talk).unwrap() > 0, "{talk}");
        }
        let address =
            talk.rsplit("listening on http://").next().unwrap().split('/').next().unwrap();
        let mut client = BufReader::new(TcpStream::connect(address).unwrap());
        for (id, path) in paths.iter().cycle().take(8).enumerate() {
            let body = serde_json::json!({
                "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "t"},
            });
            let (body, host) = (body.to_string(), address);
            let length = body.len();
            write!(
                client.get_mut(),
                "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .unwrap();
            let answer: Value = serde_json::from_slice(&message(&mut client).unwrap()).unwrap();
            assert_eq!(answer["id"], id);
        }
        let pid = rustix::process::Pid::from_child(&tap);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        stderr.read_to_string(&mut talk).unwrap();
        (tap.wait().unwrap().code(), talk)
    }

    /// Sends spans to the file's OTLP receiver; exit code and stderr.
    fn send(&self, file: &Path) -> (Option<i32>, String) {
        let mut gateway = self.command(&["run"], file).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(gateway.stderr.take().unwrap());
        let mut talk = String::new();
        while !talk.contains("for OTLP over HTTP") {
            assert!(stderr.read_line(&mut talk).unwrap() > 0, "{talk}");
        }
        let line = talk.lines().find(|line| line.contains("for OTLP over HTTP")).unwrap();
        let address = line.split("http://").nth(1).unwrap().split(' ').next().unwrap();
        let span = |n: u64| serde_json::json!({"traceId": "ab".repeat(16), "spanId": format!("{n:016x}"), "name": "n"});
        let spans: Vec<Value> = (1..9).map(span).collect();
        let body = serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
        let (body, mut client) = (body.to_string(), TcpStream::connect(address).unwrap());
        let length = body.len();
        write!(
            client,
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        assert_eq!(message(&mut BufReader::new(client)).unwrap(), b"{}");
        let pid = rustix::process::Pid::from_child(&gateway);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        stderr.read_to_string(&mut talk).unwrap();
        (gateway.wait().unwrap().code(), talk)
    }

    /// Plays a recorded session through the file's tap.
    fn replay(&self, file: &Path) -> Output {
        let session = root().join("tests/data/stdio-sessions/modern-2026-07-28.session.jsonl");
        let server = Path::new(MCPCOL).parent().unwrap().join("examples/replay");
        let mut tap = self
            .command(&["stdio"], file)
            .arg("--")
            .arg(server)
            .arg(&session)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut to = tap.stdin.take().unwrap();
        let mut from = BufReader::new(tap.stdout.take().unwrap());
        for event in fs::read_to_string(session).unwrap().lines() {
            let event: Value = serde_json::from_str(event).unwrap();
            let line = format!("{}\n", event["raw"].as_str().unwrap());
            if event["dir"] == "c2s" {
                to.write_all(line.as_bytes()).unwrap();
            } else {
                let mut got = String::new();
                from.read_line(&mut got).unwrap();
                assert_eq!(got, line);
            }
        }
        drop(to);
        tap.wait_with_output().unwrap()
    }
}

/// A server that gives every request an empty result.
fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            thread::spawn(move || {
                while let Some(body) = message(&mut stream) {
                    let request: Value = serde_json::from_slice(&body).unwrap();
                    let result =
                        serde_json::json!({"jsonrpc": "2.0", "id": request["id"], "result": {}});
                    let result = result.to_string();
                    let length = result.len();
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
                    write!(stream.get_mut(), "{head}\r\ncontent-length: {length}\r\n\r\n{result}")
                        .unwrap();
                }
            });
        }
    });
    url
}

/// A backend that takes spans over HTTP, as OTLP or as Zipkin has them, and counts them.
fn backend(count: Sink) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, count) = (BufReader::new(stream.unwrap()), count.clone());
            thread::spawn(move || {
                while let Some(body) = message(&mut stream) {
                    *count.0.lock().unwrap() += match body.first() {
                        Some(b'[') => serde_json::from_slice::<Vec<Value>>(&body).unwrap().len(),
                        _ => {
                            let mut plain = Vec::new();
                            GzDecoder::new(&*body).read_to_end(&mut plain).unwrap();
                            let request = ExportTraceServiceRequest::decode(&*plain).unwrap();
                            spans_in(&request)
                        }
                    };
                    stream
                        .get_mut()
                        .write_all(b"HTTP/1.1 202 OK\r\ncontent-length: 0\r\n\r\n")
                        .unwrap();
                }
            });
        }
    });
    url
}

fn spans_in(request: &ExportTraceServiceRequest) -> usize {
    let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
    scopes.map(|s| s.spans.len()).sum()
}

/// The body of the next message with a length; `None` at the end of the connection.
fn message(from: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap();
            }
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).unwrap();
    Some(body)
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

    let (upstream, backend) = (upstream(), backend(sink.clone()));
    for file in pipelines() {
        let around = Around {
            dir: tempfile::tempdir().unwrap(),
            collector: collector.clone(),
            backend: backend.clone(),
            upstream: upstream.clone(),
        };
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let bare = Command::new(MCPCOL).arg("validate").arg(&file).env_clear().output().unwrap();
        let talk = String::from_utf8_lossy(&bare.stderr);
        assert_eq!((bare.status.code(), &*talk), (Some(0), ""), "{name} needs nothing around it");
        let validated = around.command(&["validate"], &file).output().unwrap();
        let talk = String::from_utf8_lossy(&validated.stderr);
        assert_eq!(validated.status.code(), Some(0), "{name}: {talk}");
        assert_eq!(talk, "", "{name} is valid without a word");

        let before = *sink.0.lock().unwrap();
        let (code, talk) = match name.split('-').next() {
            Some("gateway.yaml") => around.send(&file),
            Some("http") => around.ask(&file),
            _ => {
                let output = around.replay(&file);
                (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
            }
        };
        assert_eq!(code, Some(0), "{name}: {talk}");
        let spans = match name.as_str() {
            "stdio-debug.yaml" => talk.lines().filter(|l| l.contains("tools/call")).count(),
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
