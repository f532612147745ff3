//! The real binary with the `otlp` receiver: what `validate` says, who opens the ports, a reload, and the stop.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::Signal;

use crate::client::Client;
use crate::origin::Origin;
use crate::process::{self, Log, MCPCOL, text};

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
    text(&output.stderr)
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
    log: Log,
}

impl Running {
    fn start(file: &str) -> Running {
        Running::of(Command::new(MCPCOL).args(["run", "--config", file]))
    }

    fn of(command: &mut Command) -> Running {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Log::of(&mut child);
        Running { child, log }
    }

    fn line(&mut self, with: &str) -> String {
        self.log.until(with)
    }

    fn address(&mut self) -> String {
        self.log.address("for OTLP over HTTP")
    }

    fn signal(&self, signal: Signal) {
        process::signal(&self.child, signal);
    }

    fn end(mut self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        let talk = self.log.all();
        (self.child.wait().unwrap().code(), talk)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
    }
}

/// Sends so many spans on a connection; the status of the answer.
fn send_on(client: &mut Client, spans: usize) -> u16 {
    let span = |n: usize| serde_json::json!({"traceId": "01".repeat(16), "spanId": format!("{:016x}", n + 1), "name": "s"});
    let spans: Vec<_> = (0..spans).map(span).collect();
    let body = serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
    let (body, length) = (body.to_string(), body.to_string().len());
    client.send(format!(
        "POST /v1/traces HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    ));
    client.answer().status
}

/// The same on a connection of its own.
fn send(address: &str, spans: usize) -> u16 {
    send_on(&mut Client::to(address), spans)
}

#[test]
fn a_reload_keeps_the_port_and_the_books_close_with_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let otlp = "otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}";
    let file = config(dir.path(), &[otlp], "nop: {}");
    let mut process = Running::start(&file);
    let address = process.address();
    let mut kept = Client::to(&address);
    assert_eq!(send_on(&mut kept, 1), 200);

    let changed = otlp.replacen('{', "{max_connections: 99, ", 1);
    config(dir.path(), &[&changed], "nop: {}");
    process.signal(Signal::HUP);
    assert_eq!(process.address(), address);
    assert_eq!(send(&address, 2), 200);
    // Whoever was with the old one is let go.
    assert!(kept.is_closed());

    let (code, talk) = process.end();
    assert_eq!(code, Some(0), "{talk}");
    assert!(talk.contains("nop: received=3 sent=3 dropped=0 held=0"), "{talk}");
}

const OTLP: &str = "otlp: {protocols: {http: {endpoint: '[127.0.0.1]:0'}}}";

/// As a full disk: the file takes a part of a line, and then no more.
#[test]
fn a_file_at_its_limit_has_whole_lines_and_what_did_not_fit_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let exporter = "file: {path: spans.jsonl, retry_on_failure: {enabled: false}}";
    let file = config(dir.path(), &[OTLP], exporter);
    let limited = "ulimit -f 8; exec \"$0\" run --config \"$1\"";
    let mut process = Running::of(Command::new("sh").args(["-c", limited, MCPCOL, &file]));
    let address = process.address();
    for _ in 0..100 {
        assert_eq!(send(&address, 1), 200);
    }
    let (code, talk) = process.end();
    assert_eq!(code, Some(0), "{talk}");
    let written = fs::read_to_string(dir.path().join("spans.jsonl")).unwrap();
    assert!(written.len() > 3000 && written.ends_with('\n'), "{written}");
    for line in written.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let sent = written.matches("\"spanId\"").count();
    let account = format!("file: received=100 sent={sent} dropped={}", 100 - sent);
    assert!(sent < 100 && talk.contains(&account), "{sent} {talk}");
}

#[test]
fn a_fifo_that_nobody_reads_has_nothing_and_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Command::new("mkfifo").arg(dir.path().join("fifo")).status().unwrap().success());
    let file = config(dir.path(), &[OTLP], "file: {path: fifo}");
    let mut process = Running::start(&file);
    let address = process.address();
    assert_eq!(send(&address, 2), 200);
    assert!(process.line("will retry").contains("fifo: nobody reads from this FIFO"));
    let (code, talk) = process.end();
    assert_eq!(code, Some(0), "{talk}");
    assert!(talk.contains("file: received=2 sent=0 dropped=2 (shutdown=2) held=0"), "{talk}");
}

#[test]
fn where_spans_go_is_said_at_the_start_and_when_nothing_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            conn.body(&asked);
            conn.write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let url = format!("http://{}", backend.address);
    let exporter = format!("otlp_http: {{endpoint: '{url}/otlp'}}");
    let file = config(dir.path(), &[OTLP], &exporter);
    let mut process = Running::start(&file);
    let start = process.line("otlp_http: to ");
    assert!(start.contains(&format!("otlp_http: to {url}/otlp/v1/traces")), "{start}");
    let address = process.address();
    assert_eq!(send(&address, 1), 200);
    let failed = process.line("exporting failed");
    assert!(failed.contains(&format!("404 Not Found at {url}/otlp/v1/traces")), "{failed}");
    let (_, talk) = process.end();
    assert!(talk.contains("dropped=1 (rejected=1)") && !talk.contains("/v1/metrics"), "{talk}");
}

/// More clients than descriptors: whoever is let in is served, the others hear so, and exporters go on.
#[test]
fn clients_leave_descriptors_for_everything_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = config(dir.path(), &[OTLP], "file: {path: spans.jsonl}");
    let limited = "ulimit -n 128; exec \"$0\" run --config \"$1\"";
    let mut process = Running::of(Command::new("sh").args(["-c", limited, MCPCOL, &file]));
    let address = process.address();
    let (mut let_in, mut turned_away) = (Vec::new(), 0);
    for _ in 0..200 {
        let mut client = Client::to(&address);
        match send_on(&mut client, 1) {
            200 => let_in.push(client),
            503 => turned_away += 1,
            other => panic!("{other}"),
        }
    }
    assert!(let_in.len() > 20 && turned_away > 80, "{} {turned_away}", let_in.len());
    for client in &mut let_in {
        assert_eq!(send_on(client, 1), 200);
    }
    let (code, talk) = process.end();
    assert_eq!(code, Some(0), "{talk}");
    let all = 2 * let_in.len();
    assert!(talk.contains(&format!("file: received={all} sent={all} dropped=0")), "{talk}");
    assert!(talk.contains("clients are turned away"), "{talk}");
}
