//! The real binary in front of a real Zipkin: what was sent is what Zipkin shows. Needs Java 17 and
//! Zipkin's server at `zipkin/zipkin.jar` among the peers, therefore ignored in plain `cargo test`.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::common::{Span, attribute, peers, root, spans};

/// How long Zipkin may take to index what it accepted.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Zipkin of this test's own, with its spans in memory. It ends with this.
struct Zipkin {
    server: Child,
    /// Read no further, but open: a server that cannot write its log may stop.
    _log: BufReader<ChildStdout>,
    port: u16,
}

impl Drop for Zipkin {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

impl Zipkin {
    fn start() -> Zipkin {
        let jar = peers().join("zipkin/zipkin.jar");
        assert!(jar.is_file(), "no Zipkin at {}", jar.display());
        // On a free port of this machine alone; `QUERY_PORT` would open a given one to the network.
        let at = |field: &str| format!("--armeria.ports[0].{field}");
        let mut server = Command::new("java")
            .args(["-Xmx256m", "-jar"])
            .arg(jar)
            .arg(at("address=127.0.0.1"))
            .arg(at("port=0"))
            .arg(at("protocols[0]=http"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(server.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("Serving HTTP at") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "Zipkin ended while it started");
        }
        let port = line.trim_end().trim_end_matches('/').rsplit(':').next().unwrap();
        let port = port.parse().unwrap();
        Zipkin { server, _log: log, port }
    }

    /// The spans of a trace, once there are as many as were sent.
    fn trace(&self, id: &str, spans: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let found: Vec<Value> =
                serde_json::from_slice(&self.get(&format!("/api/v2/trace/{id}")))
                    .unwrap_or_default();
            if found.len() == spans {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{} of {spans} spans in {id}", found.len());
            thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// The body of an answer; it comes with its length, and the connection may stay.
    fn get(&self, path: &str) -> Vec<u8> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).unwrap());
        write!(stream.get_mut(), "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(stream.read_line(&mut line).unwrap() > 0);
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        body
    }
}

/// A recorded session: who said what, in order.
fn recorded(name: &str) -> Vec<(bool, String)> {
    let path = root().join(format!("tests/data/stdio-sessions/{name}.session.jsonl"));
    let text = fs::read_to_string(path).unwrap();
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        (event["dir"] == "c2s", event["raw"].as_str().unwrap().to_owned())
    };
    text.lines().map(event).collect()
}

/// A server that reads and says what was recorded, as a shell script.
fn server(dir: &TempDir, session: &[(bool, String)]) -> PathBuf {
    let mut script = String::new();
    for (from_client, line) in session {
        if *from_client {
            script.push_str("IFS= read -r line\n");
        } else {
            writeln!(script, "cat <<'END-OF-LINE'\n{line}\nEND-OF-LINE").unwrap();
        }
    }
    let path = dir.path().join("server.sh");
    fs::write(&path, script).unwrap();
    path
}

/// Plays a session through the tap.
fn play(config: &Path, server: &Path, session: &[(bool, String)]) {
    let mut tap = Command::new(env!("CARGO_BIN_EXE_mcpcol"))
        .args(["stdio", "--config"])
        .arg(config)
        .args(["--name", "Recorded", "--", "sh"])
        .arg(server)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = tap.stdin.take().unwrap();
    let mut from = BufReader::new(tap.stdout.take().unwrap());
    for (from_client, line) in session {
        if *from_client {
            writeln!(to, "{line}").unwrap();
        } else {
            let mut got = String::new();
            from.read_line(&mut got).unwrap();
            assert_eq!(got.trim_end_matches('\n'), line);
        }
    }
    drop(to);
    assert_eq!(tap.wait().unwrap().code(), Some(0));
}

/// What Zipkin shows of a span is what was sent, but for names, which it keeps in lower case.
fn same(sent: &Span, shown: &Value) {
    let text = |key: &str| shown[key].as_str().unwrap_or_default();
    assert_eq!(text("id"), sent.id);
    assert_eq!(text("parentId"), sent.parent, "{shown}");
    assert_eq!(text("name"), sent.name.to_lowercase());
    let kinds = ["", "", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    assert_eq!(text("kind"), kinds[sent.kind as usize]);
    assert_eq!(shown["timestamp"], sent.start / 1000);
    let lasted = sent.end - sent.start;
    let micros = (lasted > 0).then(|| (lasted / 1000).max(1));
    assert_eq!(shown["duration"], serde_json::json!(micros));
    assert_eq!(shown["localEndpoint"]["serviceName"], "mcpcol");
    let peer = attribute(sent, "peer.service").to_lowercase();
    assert_eq!(shown["remoteEndpoint"]["serviceName"], peer);
    for (key, value) in &sent.attributes {
        assert_eq!(shown["tags"][key], *value, "{key} of {}", sent.name);
    }
    assert_eq!(shown["tags"]["otel.scope.name"], "mcpcol");
    let failed = sent.status == 2;
    assert_eq!(shown["tags"].get("error").is_some(), failed, "{shown}");
    assert_eq!(shown["tags"].get("otel.status_code").is_some(), failed, "{shown}");
}

#[test]
#[ignore = "needs a real Zipkin"]
fn zipkin_shows_the_spans_of_a_recorded_session() {
    let zipkin = Zipkin::start();
    let mut seen = 0;
    for name in ["everything-handshake", "modern-2026-07-28"] {
        let dir = tempfile::tempdir().unwrap();
        // The first request that a cold JVM answers takes seconds on a busy machine.
        let endpoint = format!("http://127.0.0.1:{}/api/v2/spans", zipkin.port);
        let settings = format!("{{ endpoint: '{endpoint}', timeout: 60s }}");
        let (config, file) = super::common::config(&dir, "mcp_stdio", &[("zipkin", &settings)]);
        let patient = fs::read_to_string(&config).unwrap() + "  shutdown_timeout: 60s\n";
        fs::write(&config, patient).unwrap();
        let session = recorded(name);
        play(&config, &server(&dir, &session), &session);
        let sent = spans(&file);
        for span in &sent {
            let in_trace = sent.iter().filter(|other| other.trace == span.trace).count();
            let shown = zipkin.trace(&span.trace, in_trace);
            let shown = shown.iter().find(|shown| shown["id"] == span.id.as_str());
            same(span, shown.unwrap_or_else(|| panic!("{} is missing", span.name)));
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} spans");
}
