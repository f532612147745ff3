//! The real binary between real senders and real sinks of OTLP, and before a real MCP server that
//! hands its spans back. Needs what `scripts/peers otlp` installs, therefore ignored in plain
//! `cargo test`; CI installs it and runs these with `--ignored`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::common::{
    Collector, Span, attribute, driver, free_port, listening, peers, python, signal, spans,
};

// === OTLP in and out ===

/// `mcpcol run` between OTLP and what `exporter` says, until dropped.
struct Mcpcol {
    child: Child,
    grpc: u16,
    http: u16,
}

impl Mcpcol {
    fn start(dir: &Path, exporter: &str) -> Mcpcol {
        let (grpc, http) = (free_port(), free_port());
        let name = exporter.split(':').next().unwrap();
        let pipeline = format!("{{ receivers: [otlp], exporters: [{name}] }}");
        let yaml = format!(
            "receivers:\n  otlp:\n    protocols:\n      grpc: {{ endpoint: \"127.0.0.1:{grpc}\" }}\n      \
             http: {{ endpoint: \"127.0.0.1:{http}\" }}\nexporters: {{ {exporter} }}\nservice:\n  \
             telemetry: {{ metrics: {{ level: none }} }}\n  pipelines:\n    traces: {pipeline}\n    \
             metrics: {pipeline}\n    logs: {pipeline}\n"
        );
        let config = dir.join("mcpcol.yaml");
        fs::write(&config, yaml).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_mcpcol"))
            .args(["run", "--config"])
            .arg(&config)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mcpcol = Mcpcol { child, grpc, http };
        listening(grpc, "mcpcol");
        listening(http, "mcpcol");
        mcpcol
    }

    /// Ends it in an orderly way; what it said.
    fn end(self) -> String {
        signal(self.child.id(), "TERM");
        let output = self.child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}\n{said}", output.status);
        assert!(said.contains("dropped=0") && said.contains("held=0"), "{said}");
        said
    }
}

/// Sends with OpenTelemetry's SDK; what was sent.
fn send(protocol: &str, port: u16, more: &[&str]) -> Sent {
    let output = Command::new(peers().join("python-otel/bin/python"))
        .arg(driver("send.py"))
        .arg(protocol)
        .arg(format!("http://127.0.0.1:{port}"))
        .args(more)
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{protocol} {more:?}: {talk}");
    serde_json::from_slice(&output.stdout).map(Sent).unwrap()
}

/// What `send.py` says it sent.
struct Sent(Value);

impl Sent {
    fn ids(&self) -> Vec<String> {
        let ids = self.0["spans"].as_array().unwrap().iter();
        let mut ids: Vec<_> = ids.map(|id| id.as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }
}

fn ids(spans: &[Span]) -> Vec<String> {
    let mut ids: Vec<_> = spans.iter().map(|span| span.id.clone()).collect();
    ids.sort();
    ids
}

/// Data points and log records of a file of OTLP/JSON lines.
fn points_and_logs(path: &Path) -> (u64, u64) {
    fn all<'a>(value: &'a Value, path: &[&str]) -> Vec<&'a Value> {
        let Some((key, rest)) = path.split_first() else { return vec![value] };
        let list = value[key].as_array().map_or(&[][..], Vec::as_slice);
        list.iter().flat_map(|value| all(value, rest)).collect()
    }
    let (mut points, mut logs) = (0, 0);
    for line in fs::read_to_string(path).unwrap().lines() {
        let document: Value = serde_json::from_str(line).unwrap();
        for metric in all(&document, &["resourceMetrics", "scopeMetrics", "metrics"]) {
            for kind in ["sum", "gauge", "histogram"] {
                points += all(&metric[kind], &["dataPoints"]).len() as u64;
            }
        }
        logs += all(&document, &["resourceLogs", "scopeLogs", "logRecords"]).len() as u64;
    }
    (points, logs)
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn opentelemetrys_sdk_gets_everything_through() {
    for (protocol, more) in
        [("grpc", &[][..]), ("grpc", &["--gzip"]), ("http", &[]), ("http", &["--gzip"])]
    {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out.jsonl");
        let mcpcol = Mcpcol::start(dir.path(), &format!("file: {{ path: {} }}", file.display()));
        let port = if protocol == "grpc" { mcpcol.grpc } else { mcpcol.http };
        let sent = send(protocol, port, more);
        mcpcol.end();
        assert_eq!(ids(&spans(&file)), sent.ids(), "{protocol} {more:?}");
        assert_eq!(points_and_logs(&file), (2, 5), "{protocol} {more:?}");
    }
}

/// Sender, Collector, mcpcol, Collector: what arrives is what was sent, and it is the same as what
/// arrives without us in between.
#[test]
#[ignore = "needs the peers of scripts/peers"]
fn between_two_collectors_nothing_is_lost_and_nothing_changes() {
    for (from, to) in [("otlp_grpc", "otlp_http"), ("otlp_http", "otlp_grpc")] {
        let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sink = Collector::sink(after.path());
        let out = match to {
            "otlp_http" => format!("otlp_http: {{ endpoint: \"http://127.0.0.1:{}\" }}", sink.http),
            _ => format!(
                "otlp_grpc: {{ endpoint: \"127.0.0.1:{}\", tls: {{ insecure: true }} }}",
                sink.grpc
            ),
        };
        let mcpcol = Mcpcol::start(after.path(), &out);
        let port = if from == "otlp_grpc" { mcpcol.grpc } else { mcpcol.http };
        let first = Collector::relay(before.path(), from, port);
        let sent = send("grpc", first.grpc, &["--spans", "2000"]);
        first.end();
        mcpcol.end();
        let file = sink.end();
        let arrived = spans(&file);
        assert_eq!(ids(&arrived), sent.ids(), "{from} to {to}");
        assert_eq!(points_and_logs(&file), (2, 5), "{from} to {to}");
        let step = arrived.iter().find(|span| span.name == "step").unwrap();
        assert_eq!(attribute(step, "pi"), "3.14");
        assert_eq!(step.kind, 3);
    }
}

// === Handed back spans ===

/// What a call's line says (`passback.py`).
#[derive(Debug)]
struct Call {
    label: String,
    /// Trace and span of the context sent.
    context: Option<(String, String)>,
    /// The client sees spans in the answer.
    otel: bool,
    /// Names of the spans that the client sees.
    names: Vec<String>,
}

fn calls(output: &[u8]) -> Vec<Call> {
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let context = line["traceparent"].as_str().map(|traceparent| {
            let mut parts = traceparent.split('-').skip(1).map(str::to_owned);
            (parts.next().unwrap(), parts.next().unwrap())
        });
        let names = line["spans"].as_array().unwrap().iter();
        Call {
            label: line["label"].as_str().unwrap().to_owned(),
            context,
            otel: line["otel"].as_bool().unwrap(),
            names: names.map(|name| name.as_str().unwrap().to_owned()).collect(),
        }
    };
    String::from_utf8(output.to_vec()).unwrap().lines().map(line).collect()
}

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Over {
    Stdio,
    Http,
}

/// The calls of `passback.py` to a real server through a tap, and what a real Collector got of them.
fn handed_back(over: Over, settings: &str) -> (Vec<Call>, Vec<Span>) {
    let dir = tempfile::tempdir().unwrap();
    let sink = Collector::sink(dir.path());
    let calls = match over {
        Over::Stdio => {
            let config =
                tap_config(&dir, &format!("mcp_stdio: {{ name: desk, {settings} }}"), sink.grpc);
            let mut command = passback();
            command.args(["--", env!("CARGO_BIN_EXE_mcpcol"), "stdio", "--config"]).arg(config);
            command.arg("--").arg(desk()).arg(driver("desk_server.py"));
            talk(command)
        }
        Over::Http => {
            let (server, tap) = (free_port(), free_port());
            let mut desk = Ended(
                Command::new(desk())
                    .arg(driver("desk_server.py"))
                    .args(["http", &server.to_string()])
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap(),
            );
            listening(server, "the server");
            let receiver = format!(
                "mcp_http: {{ endpoint: \"127.0.0.1:{tap}\", {settings}, routes: [{{ path: /mcp, \
                 name: desk, upstream: \"http://127.0.0.1:{server}/mcp\" }}] }}"
            );
            let config = tap_config(&dir, &receiver, sink.grpc);
            let mut mcpcol = Ended(
                Command::new(env!("CARGO_BIN_EXE_mcpcol"))
                    .args(["run", "--config"])
                    .arg(config)
                    .spawn()
                    .unwrap(),
            );
            listening(tap, "mcpcol");
            let mut command = passback();
            command.args(["--http", &format!("http://127.0.0.1:{tap}/mcp")]);
            let calls = talk(command);
            mcpcol.end();
            desk.end();
            calls
        }
    };
    (calls, sink.stop())
}

/// A process that does not outlive the test.
struct Ended(Child);

impl Ended {
    fn end(&mut self) {
        signal(self.0.id(), "TERM");
        self.0.wait().unwrap();
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn desk() -> PathBuf {
    peers().join("arcade/bin/python")
}

fn passback() -> Command {
    let mut command = Command::new(python());
    command.arg(driver("passback.py"));
    command
}

fn talk(mut command: Command) -> Vec<Call> {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    calls(&output.stdout)
}

fn tap_config(dir: &TempDir, receiver: &str, collector: u16) -> PathBuf {
    let name = receiver.split(':').next().unwrap();
    let yaml = format!(
        "receivers: {{ {receiver} }}\nprocessors: {{ digest: {{ mode: ephemeral }} }}\nexporters: {{ \
         otlp_grpc: {{ endpoint: \"127.0.0.1:{collector}\", tls: {{ insecure: true }} }} }}\nservice:\n  \
         telemetry: {{ metrics: {{ level: none }} }}\n  pipelines:\n    traces: {{ receivers: [{name}], \
         processors: [digest], exporters: [otlp_grpc] }}\n"
    );
    let path = dir.path().join("tap.yaml");
    fs::write(&path, yaml).unwrap();
    path
}

/// Spans by trace.
fn traces(spans: Vec<Span>) -> BTreeMap<String, Vec<Span>> {
    let mut traces = BTreeMap::<String, Vec<Span>>::new();
    for span in spans {
        traces.entry(span.trace.clone()).or_default().push(span);
    }
    traces
}

fn is_handed_back(span: &Span) -> bool {
    attribute(span, "mcpcol.passback") == "true"
}

/// Spans of one trace: ours, and those that were handed back.
fn split(trace: &[Span]) -> (Vec<&Span>, Vec<&Span>) {
    trace.iter().partition(|span| !is_handed_back(span))
}

/// Every span hangs on another of the trace, but the ones that hang on `top`.
fn is_connected(trace: &[Span], top: &str) {
    let known: BTreeSet<_> = trace.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(known.len(), trace.len(), "an id twice: {trace:#?}");
    for span in trace {
        assert!(span.parent == top || known.contains(&*span.parent), "{span:#?} in {trace:#?}");
    }
}

/// What must hold of all handed back spans.
fn are_proper(handed_back: &[&Span]) {
    for span in handed_back {
        assert_eq!(attribute(span, "mcpcol.server.name"), "desk", "{span:#?}");
        assert!(!attribute(span, "jsonrpc.request.id").is_empty(), "{span:#?}");
        let text = format!("{span:?}");
        for content in ["Oslo", "Rome", "dry in", "no desk for", "Traceback"] {
            assert!(!text.contains(content), "content leaves: {span:#?}");
        }
        if span.name.starts_with("tools/call") {
            assert!(attribute(span, "mcpcol.arguments.digest").starts_with("hmac-sha256:"));
            assert_eq!(attribute(span, "mcp.method.name"), "tools/call");
            assert!(attribute(span, "gen_ai.tool.name").starts_with("Desk_"));
            assert_eq!(attribute(span, "mcp.method"), "");
        }
    }
}

fn names(spans: &[&Span]) -> Vec<String> {
    let mut names: Vec<_> = spans.iter().map(|span| span.name.clone()).collect();
    names.sort();
    names
}

/// Bytes verbatim: the server's spans are siblings of the tap's, under the client's span.
fn hang_where_the_client_said(over: Over) {
    let (calls, spans) = handed_back(over, "span_kind: client");
    let traces = traces(spans);
    assert_eq!(calls.len(), 15);
    for call in &calls {
        assert_eq!(call.otel, !matches!(&*call.label, "not asked" | "bare"), "{call:?}");
        let Some((trace, parent)) = &call.context else { continue };
        let trace = traces.get(trace).map_or(&[][..], Vec::as_slice);
        if call.label == "unsampled" {
            assert!(trace.is_empty(), "{trace:#?}");
            continue;
        }
        let (ours, theirs) = split(trace);
        assert_eq!(ours.len(), 1, "{call:?}: {trace:#?}");
        assert_eq!((&*ours[0].parent, ours[0].kind), (&**parent, 3));
        is_connected(trace, parent);
        are_proper(&theirs);
        assert_eq!(names(&theirs), call.names, "{call:?}: {trace:#?}");
        let roots = theirs.iter().filter(|span| span.parent == *parent).count();
        assert_eq!(roots, usize::from(!theirs.is_empty()), "{call:?}: {trace:#?}");
    }
    // Two calls came without a context: spans of the tap alone.
    let all = traces.values().flatten();
    let known: BTreeSet<_> = calls.iter().flat_map(|call| &call.context).map(|c| &c.0).collect();
    assert!(all.filter(|span| !known.contains(&span.trace)).all(|span| !is_handed_back(span)));
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn handed_back_over_stdio_they_hang_where_the_client_said() {
    hang_where_the_client_said(Over::Stdio);
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn handed_back_over_http_they_hang_where_the_client_said() {
    hang_where_the_client_said(Over::Http);
}

/// The tap is a hop and asks for itself: the server's spans nest under its own pair, also where the
/// client did not ask; and that client sees nothing of them.
fn nest_under_the_tap(over: Over) {
    let settings = "propagate: inject, passback: { request: true, detailed: true }";
    let (calls, spans) = handed_back(over, settings);
    let traces = traces(spans);
    for call in &calls {
        let asked = !matches!(&*call.label, "not asked" | "bare");
        assert_eq!(call.otel, asked, "asked for by the tap, seen by the client: {call:?}");
        let Some((trace, parent)) = &call.context else { continue };
        let trace = traces.get(trace).map_or(&[][..], Vec::as_slice);
        if call.label == "unsampled" {
            assert!(trace.is_empty(), "{trace:#?}");
            continue;
        }
        is_connected(trace, parent);
        let (ours, theirs) = split(trace);
        are_proper(&theirs);
        let server = ours.iter().find(|span| span.kind == 2).expect("a SERVER span of the tap");
        let client = ours.iter().find(|span| span.kind == 3).expect("a CLIENT span of the tap");
        assert_eq!((&server.parent, &client.parent), (parent, &server.id), "{call:?}");
        let roots: Vec<_> = theirs.iter().filter(|span| span.parent == client.id).collect();
        assert_eq!(roots.len(), 1, "{call:?}: {trace:#?}");
        assert!(roots[0].name.contains('/'), "{call:?}: {trace:#?}");
        if asked {
            assert_eq!(names(&theirs), call.names, "{call:?}: {trace:#?}");
        }
    }
    // Without a context of the client's the trace is the tap's own, with the server's spans in it.
    let known: BTreeSet<_> = calls.iter().flat_map(|call| &call.context).map(|c| &c.0).collect();
    let of_the_tap = traces.iter().filter(|(trace, _)| !known.contains(trace));
    let nested = of_the_tap.filter(|(_, spans)| spans.iter().any(is_handed_back)).count();
    assert_eq!(nested, 2, "`no traceparent` and `bare`");
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn handed_back_over_stdio_they_nest_under_a_tap_that_is_a_hop() {
    nest_under_the_tap(Over::Stdio);
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn handed_back_over_http_they_nest_under_a_tap_that_is_a_hop() {
    nest_under_the_tap(Over::Http);
}
