//! The real binary between official SDK clients and real servers, and a real OpenTelemetry Collector
//! behind it. Needs what `scripts/peers stdio` installs, therefore ignored in plain `cargo test`; CI
//! installs it and runs these with `--ignored`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn peers() -> PathBuf {
    let dir = std::env::var_os("MCPCOL_PEERS").map_or_else(|| root().join(".peers"), PathBuf::from);
    assert!(dir.is_dir(), "no peers in {}: run scripts/peers stdio", dir.display());
    dir
}

fn bin(name: &str) -> PathBuf {
    peers().join("npm/node_modules/.bin").join(name)
}

fn python() -> PathBuf {
    peers().join("python/bin/python")
}

fn driver(name: &str) -> PathBuf {
    root().join("tests/peers").join(name)
}

/// A client to drive with, as a command line up to the script's name.
#[derive(Clone, Copy)]
enum Driver {
    PythonAuto,
    PythonLegacy,
    TypeScript,
}

impl Driver {
    fn command(self) -> Command {
        let mut command = match self {
            Driver::TypeScript => Command::new("node"),
            _ => Command::new(python()),
        };
        match self {
            Driver::PythonAuto => command.arg(driver("drive.py")).args(["--mode", "auto"]),
            Driver::PythonLegacy => command.arg(driver("drive.py")).args(["--mode", "legacy"]),
            Driver::TypeScript => command.arg(driver("drive.mjs")),
        };
        command.env("MCPCOL_PEERS", peers());
        command
    }
}

/// A server's command line by the script that drives it; `{dir}` is the driver's scratch directory.
fn server(script: &str) -> Vec<String> {
    let npm = |name: &str| bin(name).to_str().unwrap().to_owned();
    match script {
        "everything" => vec![npm("mcp-server-everything"), "stdio".into()],
        "filesystem" => vec![npm("mcp-server-filesystem"), "{dir}".into()],
        "memory" => vec![npm("mcp-server-memory")],
        "modern" => {
            let path = driver("modern_server.py");
            vec![python().to_str().unwrap().into(), path.to_str().unwrap().into()]
        }
        other => panic!("no server for {other}"),
    }
}

/// `mcpcol stdio` with a config, in front of a server.
fn tapped(config: &Path, server: &[String]) -> Vec<String> {
    let mut line = vec![
        env!("CARGO_BIN_EXE_mcpcol").to_owned(),
        "stdio".into(),
        "--config".into(),
        config.to_str().unwrap().into(),
        "--".into(),
    ];
    line.extend_from_slice(server);
    line
}

fn drive(driver: Driver, script: &str, server: &[String]) -> Output {
    let mut command = driver.command();
    command.arg(script).arg("--").args(server);
    let output = command.output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} over {server:?}: {}\n{talk}", output.status);
    output
}

/// A config that writes spans to `spans.jsonl` beside it, and `more` exporters.
fn config(dir: &TempDir, more: &[(&str, &str)]) -> (PathBuf, PathBuf) {
    let spans = dir.path().join("spans.jsonl");
    let mut exporters = format!("  file: {{ path: {} }}\n", spans.display());
    let mut names = vec!["file"];
    for (name, settings) in more {
        exporters.push_str(&format!("  {name}: {settings}\n"));
        names.push(name);
    }
    let yaml = format!(
        "receivers: {{ mcp_stdio: {{}} }}\nprocessors: {{ digest: {{ mode: ephemeral }} }}\n\
         exporters:\n{exporters}service:\n  pipelines:\n    traces: {{ receivers: [mcp_stdio], \
         processors: [digest], exporters: [{}] }}\n",
        names.join(", ")
    );
    let path = dir.path().join("config.yaml");
    fs::write(&path, yaml).unwrap();
    (path, spans)
}

/// A span in the words of the assertions below.
#[derive(Clone, Debug, PartialEq)]
struct Span {
    id: String,
    trace: String,
    parent: String,
    name: String,
    kind: u64,
    status: u64,
    start: u64,
    end: u64,
    attributes: BTreeMap<String, String>,
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Reads OTLP JSON lines, ours or the Collector's.
fn spans(path: &Path) -> Vec<Span> {
    let text = fs::read_to_string(path).unwrap();
    let mut out = Vec::new();
    for line in text.lines() {
        let document: Value = serde_json::from_str(line).unwrap();
        for resource in list(&document["resourceSpans"]) {
            for scope in list(&resource["scopeSpans"]) {
                out.extend(list(&scope["spans"]).iter().map(span));
            }
        }
    }
    out.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
    out
}

fn span(span: &Value) -> Span {
    let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
    let attribute = |a: &Value| {
        let value = a["value"].as_object().unwrap().values().next().unwrap();
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (a["key"].as_str().unwrap().to_owned(), value)
    };
    Span {
        id: text("spanId"),
        trace: text("traceId"),
        parent: text("parentSpanId"),
        name: text("name"),
        kind: span["kind"].as_u64().unwrap_or_default(),
        status: span["status"]["code"].as_u64().unwrap_or_default(),
        start: text("startTimeUnixNano").parse().unwrap(),
        end: text("endTimeUnixNano").parse().unwrap(),
        attributes: list(&span["attributes"]).iter().map(attribute).collect(),
    }
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn attribute<'a>(span: &'a Span, key: &str) -> &'a str {
    span.attributes.get(key).map_or("", String::as_str)
}

/// Drives a server directly and through the tap: the answers are the same, and there are spans.
fn same_answers(driver: Driver, script: &str) -> Vec<Span> {
    let dir = tempfile::tempdir().unwrap();
    let (config, spans_file) = config(&dir, &[]);
    let server = server(script);
    let direct = drive(driver, script, &server);
    let through = drive(driver, script, &tapped(&config, &server));
    assert!(!direct.stdout.is_empty());
    assert_eq!(
        String::from_utf8_lossy(&through.stdout),
        String::from_utf8_lossy(&direct.stdout),
        "{script}: answers through the tap differ"
    );
    let spans = spans(&spans_file);
    assert!(!spans.is_empty());
    for span in &spans {
        assert!(span.end >= span.start, "{span:?}");
        assert!(!attribute(span, "mcpcol.outcome").is_empty(), "{span:?}");
        assert!(!attribute(span, "mcpcol.session.id").is_empty(), "{span:?}");
        assert_eq!(attribute(span, "network.transport"), "pipe");
    }
    spans
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn the_python_client_gets_the_same_answers_from_server_everything() {
    let spans = same_answers(Driver::PythonAuto, "everything");
    let probe = named(&spans, "server/discover");
    assert_eq!(attribute(probe[0], "error.type"), "-32601", "an old server knows no discover");
    assert_eq!(attribute(probe[0], "mcpcol.outcome"), "client_error");
    let traced: Vec<_> =
        spans.iter().filter(|s| s.trace == "0af7651916cd43dd8448eb211c80319c").collect();
    assert_eq!(traced.len(), 1, "one call carries the client's traceparent");
    assert_eq!(traced[0].name, "tools/call echo");
    assert_eq!(traced[0].parent, "b7ad6b7169203331");
    assert_eq!(traced[0].kind, 3);
    assert!(attribute(traced[0], "mcpcol.arguments.digest").starts_with("hmac-sha256:"));
    assert_eq!(attribute(traced[0], "mcp.protocol.version"), "2025-11-25");
    for asked in ["sampling/createMessage", "elicitation/create", "roots/list"] {
        let span = named(&spans, asked);
        assert!(!span.is_empty(), "no span of {asked}");
        assert_eq!(attribute(span[0], "mcpcol.initiator"), "server");
    }
    assert!(spans.iter().any(|s| attribute(s, "mcpcol.outcome") == "cancelled" && s.status == 0));
    assert!(spans.iter().any(|s| attribute(s, "error.type") == "tool_error" && s.status == 2));
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn the_python_client_in_the_legacy_era_gets_the_same_answers() {
    let spans = same_answers(Driver::PythonLegacy, "everything");
    assert!(named(&spans, "server/discover").is_empty());
    assert_eq!(named(&spans, "initialize").len(), 1);
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn the_python_client_gets_the_same_answers_from_a_modern_server() {
    let spans = same_answers(Driver::PythonAuto, "modern");
    assert!(named(&spans, "initialize").is_empty(), "the modern era has no handshake");
    let first = named(&spans, "server/discover");
    assert_eq!(attribute(first[0], "mcp.protocol.version"), "2026-07-28");
    assert!(spans.iter().any(|s| attribute(s, "mcpcol.outcome") == "input_required"));
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn a_modern_server_driven_in_the_legacy_era_gives_the_same_answers() {
    same_answers(Driver::PythonLegacy, "modern");
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn the_typescript_client_gets_the_same_answers_from_server_everything() {
    same_answers(Driver::TypeScript, "everything");
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn both_clients_get_the_same_answers_from_server_filesystem() {
    for driver in [Driver::PythonAuto, Driver::PythonLegacy, Driver::TypeScript] {
        let spans = same_answers(driver, "filesystem");
        assert!(spans.iter().any(|s| s.name.starts_with("tools/call ")));
    }
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn both_clients_get_the_same_answers_from_server_memory() {
    for driver in [Driver::PythonAuto, Driver::PythonLegacy, Driver::TypeScript] {
        same_answers(driver, "memory");
    }
}

// === A real OpenTelemetry Collector ===

/// The Collector that `scripts/peers` builds, until dropped.
struct Collector {
    child: Child,
    port: u16,
    file: PathBuf,
}

impl Collector {
    fn start(dir: &Path) -> Collector {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = dir.join("collector.jsonl");
        let child = Command::new(peers().join("otelcol"))
            .arg("--config")
            .arg(driver("otelcol-file.yaml"))
            .env("OTLP_PORT", port.to_string())
            .env("SPANS_FILE", &file)
            .spawn()
            .unwrap();
        let collector = Collector { child, port, file };
        let limit = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < limit, "the Collector does not listen");
            std::thread::yield_now();
        }
        collector
    }

    /// Ends it in an orderly way, which flushes its file.
    fn stop(mut self) -> Vec<Span> {
        signal(self.child.id(), "TERM");
        self.child.wait().unwrap();
        spans(&self.file)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn signal(pid: u32, name: &str) {
    Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap();
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn a_real_collector_has_every_call_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(dir.path());
    let otlp = format!(
        "{{ endpoint: \"127.0.0.1:{}\", tls: {{ insecure: true }}, sending_queue: {{ batch: {{}} }} }}",
        collector.port
    );
    let (config, file) = config(&dir, &[("otlp_grpc", &otlp)]);
    drive(Driver::PythonAuto, "everything", &tapped(&config, &server("everything")));
    let arrived = collector.stop();
    let written = spans(&file);
    assert!(written.len() > 20, "{} spans", written.len());
    assert_eq!(arrived, written, "what the Collector wrote is what the tap saw");
}

// === Ends ===

/// Descendants of this test's process by command line, those that mention `mark`.
fn alive(mark: &str) -> Vec<String> {
    let output = Command::new("ps").args(["-eo", "pid=,args="]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|l| l.contains(mark) && !l.contains("ps -eo")).map(str::to_owned).collect()
}

/// A copy of the stubborn server under a name of its own, so that the process list can be searched.
fn stubborn(dir: &TempDir) -> (PathBuf, String) {
    let mark = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
    let path = dir.path().join("stubborn_server.py");
    fs::copy(driver("stubborn_server.py"), &path).unwrap();
    (path, mark)
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn nothing_is_left_of_a_server_that_ignores_sigterm() {
    for client in ["python", "by hand"] {
        let dir = tempfile::tempdir().unwrap();
        let (config, _) = config(&dir, &[]);
        let (script, mark) = stubborn(&dir);
        let server =
            vec![python().to_str().unwrap().to_owned(), script.to_str().unwrap().to_owned()];
        let line = tapped(&config, &server);
        match client {
            "python" => close_by_python(&line),
            _ => close_by_hand(&line),
        }
        let limit = Instant::now() + Duration::from_secs(5);
        while !alive(&mark).is_empty() {
            assert!(Instant::now() < limit, "{client}: still there: {:?}", alive(&mark));
            std::thread::yield_now();
        }
    }
}

/// The SDK's own ladder: close stdin, 2 s, SIGTERM, 2 s, SIGKILL.
fn close_by_python(line: &[String]) {
    let code = "
import sys, anyio
from mcp import Client, StdioServerParameters
async def main():
    params = StdioServerParameters(command=sys.argv[1], args=sys.argv[2:])
    async with Client(params, mode='legacy') as client:
        print((await client.call_tool('echo', {'text': 'hi'})).content[0].text)
anyio.run(main)
";
    let output = Command::new(python()).arg("-c").arg(code).args(line).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "hi", "{talk}");
}

/// A host that sends SIGTERM at once.
fn close_by_hand(line: &[String]) {
    let mut tap = Command::new(&line[0])
        .args(&line[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut talk = BufReader::new(tap.stderr.take().unwrap());
    let mut first = String::new();
    talk.read_line(&mut first).unwrap();
    assert!(first.contains("started"), "{first}");
    let begun = Instant::now();
    signal(tap.id(), "TERM");
    let status = tap.wait().unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(1900), "gone within 1.9 s, took {took:?}");
    assert_eq!(status.code(), Some(137), "the child died of SIGKILL");
}
