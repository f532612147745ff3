//! The real binary: what `validate` says, who opens the ports, a reload, and the stop.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use prost::Message;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use crate::rig::{PROTOBUF, post, send_on};
use crate::telemetry::tagged;

const MCPCOL: &str = env!("CARGO_BIN_EXE_mcpcol");

/// A file with these receivers, all in one pipeline to one exporter.
fn config(dir: &Path, receivers: &[&str], exporter: &str) -> String {
    let path = dir.join("config.yaml");
    let id = |component: &str| component.split(':').next().unwrap().to_owned();
    let named: Vec<String> = receivers.iter().map(|receiver| id(receiver)).collect();
    let yaml = format!(
        "receivers: {{{}}}\nexporters: {{{exporter}}}\nservice:\n  telemetry: {{logs: {{level: info}}}}\n  \
         pipelines: {{traces: {{receivers: [{}], exporters: [{}]}}}}\n",
        receivers.join(", "),
        named.join(", "),
        id(exporter)
    );
    fs::write(&path, yaml).unwrap();
    path.to_str().unwrap().to_owned()
}

fn run(args: &[&str]) -> Output {
    Command::new(MCPCOL).args(args).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_exporter_that_sends_to_our_own_receiver_is_an_error_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    for (endpoint, wrong) in [
        ("localhost:4317", true),
        ("http://127.0.0.1:4318", true),
        ("localhost:4319", false),
        ("collector.example.com:4317", false),
    ] {
        let exporter = format!("otlp_grpc: {{endpoint: '{endpoint}', tls: {{insecure: true}}}}");
        let file = config(dir.path(), &["otlp: {protocols: {grpc: , http: }}"], &exporter);
        let output = run(&["validate", "--config", &file]);
        assert_eq!(output.status.success(), !wrong, "{endpoint}: {}", said(&output));
        if wrong {
            let message = "config.yaml:2:35: error: exporters::otlp_grpc::endpoint: is where the \
                           receiver `otlp` of this process listens";
            assert!(said(&output).contains(message), "{}", said(&output));
        }
    }
}

#[test]
fn a_port_that_is_taken_is_said_and_a_tap_does_not_want_it() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let otlp = format!("otlp: {{protocols: {{http: {{endpoint: '{address}'}}}}}}");
    let file = config(dir.path(), &[&otlp], "nop: {}");
    let output = run(&["run", "--config", &file]);
    assert_eq!(output.status.code(), Some(1));
    let message = format!("cannot listen on {address}; choose another `endpoint`");
    assert!(said(&output).contains(&message), "{}", said(&output));

    let file = config(dir.path(), &["mcp_stdio: {}", &otlp], "nop: {}");
    let output = run(&["stdio", "--config", &file, "--", "cat"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("not opened by a stdio tap: otlp"), "{}", said(&output));
}

/// A running `mcpcol run`.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    fn start(file: &str) -> Running {
        let mut child = Command::new(MCPCOL)
            .args(["run", "--config", file])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running { child, stderr }
    }

    fn line(&mut self, with: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "no line with {with}");
            if line.contains(with) {
                return line;
            }
        }
    }

    fn address(&mut self) -> SocketAddr {
        let line = self.line("for OTLP over HTTP");
        line.split("://").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(mut self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
    }
}

#[tokio::test]
async fn a_reload_keeps_the_port_and_the_books_close_with_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let otlp = "otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}";
    let file = config(dir.path(), &[otlp], "nop: {}");
    let mut process = Running::start(&file);
    let address = process.address();
    let mut kept = TcpStream::connect(address).await.unwrap();
    let line = "POST /v1/traces";
    let body = tagged([1]).encode_to_vec();
    assert_eq!(send_on(&mut kept, line, &[PROTOBUF], &body).await.status, 200);

    let changed = otlp.replacen('{', "{max_connections: 99, ", 1);
    config(dir.path(), &[&changed], "nop: {}");
    process.signal(Signal::HUP);
    assert_eq!(process.address(), address);
    let body = tagged([2, 3]).encode_to_vec();
    assert_eq!(post(address, "/v1/traces", &[PROTOBUF], &body).await.status, 200);
    // Whoever was with the old one is let go.
    assert!(crate::rig::answer(&mut kept).await.is_none());

    let (code, talk) = process.end();
    assert_eq!(code, Some(0), "{talk}");
    assert!(talk.contains("nop: received=3 sent=3 dropped=0 held=0"), "{talk}");
}
