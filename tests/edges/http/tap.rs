//! The tap under test.

use std::fs;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Answer, Client};
use crate::process::{self, Log, MCPCOL};
use crate::spans::{attribute, spans_in};

/// A running `mcpcol http`.
pub(super) struct Tap {
    process: Child,
    log: Log,
    dir: TempDir,
    /// Where it listens.
    pub(super) address: String,
}

/// What it left behind.
pub(super) struct End {
    /// Its exit code.
    pub(super) code: Option<i32>,
    /// The spans, as OTLP JSON has them.
    pub(super) spans: Vec<Value>,
    /// Everything it said on stderr.
    pub(super) log: String,
}

/// A tap in front of `upstream`, with more settings for the receiver as YAML lines.
pub(super) fn tap(upstream: &str, settings: &str) -> Tap {
    with_routes(&format!("[{{ upstream: \"{upstream}\", name: origin }}]"), settings)
}

/// Settings of the digest, unless a test is about them.
const EPHEMERAL: &str = "{ mode: ephemeral }";

/// The same with any routes.
pub(super) fn with_routes(routes: &str, settings: &str) -> Tap {
    let dir = tempfile::tempdir().unwrap();
    write_config(&dir, routes, settings, EPHEMERAL, "file: { path: spans.jsonl }");
    start(dir)
}

/// The same with other settings of the digest.
pub(super) fn with_digest(upstream: &str, settings: &str, digest: &str) -> Tap {
    let dir = tempfile::tempdir().unwrap();
    let routes = format!("[{{ upstream: \"{upstream}\", name: origin }}]");
    write_config(&dir, &routes, settings, digest, "file: { path: spans.jsonl }");
    start(dir)
}

/// The same with another exporter than the file.
pub(super) fn with_exporter(upstream: &str, settings: &str, exporter: &str) -> Tap {
    let dir = tempfile::tempdir().unwrap();
    let routes = format!("[{{ upstream: \"{upstream}\", name: origin }}]");
    write_config(&dir, &routes, settings, EPHEMERAL, exporter);
    start(dir)
}

/// Makes one with a redaction behind the digest.
pub(super) fn with_redaction(upstream: &str, settings: &str) -> Tap {
    let dir = tempfile::tempdir().unwrap();
    let routes = format!("[{{ upstream: \"{upstream}\", name: origin }}]");
    write_config(&dir, &routes, settings, EPHEMERAL, "file: { path: spans.jsonl }");
    let path = dir.path().join("config.yaml");
    let yaml = fs::read_to_string(&path).unwrap();
    let yaml = yaml.replace("processors: { ", "processors: { redaction: {}, ");
    fs::write(path, yaml.replace("processors: [digest]", "processors: [digest, redaction]"))
        .unwrap();
    start(dir)
}

/// The same with more lines of `service`.
pub(super) fn with_service(upstream: &str, settings: &str, service: &str) -> Tap {
    let dir = tempfile::tempdir().unwrap();
    let routes = format!("[{{ upstream: \"{upstream}\", name: origin }}]");
    write_config(&dir, &routes, settings, EPHEMERAL, "file: { path: spans.jsonl }");
    let path = dir.path().join("config.yaml");
    let yaml = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{yaml}  {service}\n")).unwrap();
    start(dir)
}

fn write_config(dir: &TempDir, routes: &str, settings: &str, digest: &str, exporter: &str) {
    let name = exporter.split(':').next().unwrap();
    let endpoint = if settings.contains("endpoint:") { "" } else { "    endpoint: 127.0.0.1:0\n" };
    // Many tests stop with streams open: those are not waited for as long as users would want.
    let drain = if settings.contains("drain_timeout:") { "" } else { "    drain_timeout: 1s\n" };
    let settings: String = settings.lines().map(|line| format!("    {}\n", line.trim())).collect();
    let yaml = format!(
        "receivers:\n  mcp_http:\n{endpoint}{drain}    routes: {routes}\n{settings}\
         processors: {{ digest: {digest} }}\n\
         exporters: {{ {exporter} }}\n\
         service:\n  pipelines:\n    traces: {{ receivers: [mcp_http], processors: [digest], exporters: [{name}] }}\n"
    );
    fs::write(dir.path().join("config.yaml"), yaml).unwrap();
}

/// The same where the process may have so many descriptors.
pub(super) fn with_descriptors(upstream: &str, settings: &str, limit: usize) -> Tap {
    let dir = tempfile::tempdir().unwrap();
    let routes = format!("[{{ upstream: \"{upstream}\", name: origin }}]");
    write_config(&dir, &routes, settings, EPHEMERAL, "file: { path: spans.jsonl }");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]);
    command.arg(MCPCOL);
    start_by(command, dir)
}

fn start(dir: TempDir) -> Tap {
    start_by(Command::new(MCPCOL), dir)
}

fn start_by(mut command: Command, dir: TempDir) -> Tap {
    let mut process = command
        .arg("http")
        .arg("--config")
        .arg(dir.path().join("config.yaml"))
        .current_dir(dir.path())
        .env_remove("TRACEPARENT")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = Log::of(&mut process);
    let address = log.address("listening on ");
    Tap { process, log, dir, address }
}

impl Tap {
    /// A connection to it.
    pub(super) fn connect(&self) -> Client {
        Client::to(&self.address)
    }

    /// One request on a connection of its own: head lines without `Host` and length, and a body.
    pub(super) fn ask(&self, head: &str, body: &str) -> Answer {
        let mut client = self.connect();
        client.send(self.request(head, body));
        client.answer()
    }

    /// A request as [`ask`](Self::ask) sends it.
    pub(super) fn request(&self, head: &str, body: &str) -> String {
        let lines: String = head.lines().map(|line| format!("{}\r\n", line.trim())).collect();
        let (first, rest) = lines.split_once("\r\n").unwrap();
        let host = if rest.to_lowercase().lines().any(|line| line.starts_with("host:")) {
            String::new()
        } else {
            format!("host: {}\r\n", self.address)
        };
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("content-length: {}\r\n", body.len())
        };
        format!("{first} HTTP/1.1\r\n{host}{rest}{length}\r\n{body}")
    }

    /// A JSON-RPC POST.
    pub(super) fn post(&self, body: &str) -> Answer {
        self.ask("POST /mcp\ncontent-type: application/json", body)
    }

    /// Its id.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal.
    pub(super) fn signal(&self, signal: Signal) {
        process::signal(&self.process, signal);
    }

    /// Writes another configuration in place of the first.
    pub(super) fn rewrite(&self, routes: &str, settings: &str) {
        let settings = format!("endpoint: 127.0.0.1:0\n{settings}");
        write_config(&self.dir, routes, &settings, EPHEMERAL, "file: { path: spans.jsonl }");
    }

    /// The next line of its log that holds `word`.
    pub(super) fn said(&mut self, word: &str) -> String {
        self.log.until(word)
    }

    /// SIGTERM, and what is left.
    pub(super) fn end(self) -> End {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// The text of its spans so far.
    pub(super) fn written(&self) -> String {
        fs::read_to_string(self.dir.path().join("spans.jsonl")).unwrap_or_default()
    }

    /// What is left once it has ended.
    pub(super) fn ended(mut self) -> End {
        let log = self.log.all();
        let code = self.process.wait().unwrap().code();
        End { code, spans: spans_in(&self.dir.path().join("spans.jsonl")), log }
    }

    /// Resident memory, in KiB (Linux).
    pub(super) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl End {
    /// `name outcome` of each span, in the order they began.
    pub(super) fn outcomes(&self) -> Vec<String> {
        let mut spans: Vec<_> = self.spans.iter().collect();
        spans.sort_by_key(|span| span["startTimeUnixNano"].as_str().unwrap().to_owned());
        let outcome = |span: &&Value| {
            let outcome = attribute(span, "mcpcol.outcome").unwrap();
            format!("{} {outcome}", span["name"].as_str().unwrap())
        };
        spans.iter().map(outcome).collect()
    }

    /// The last line of the books.
    pub(super) fn books(&self) -> &str {
        let line = self.log.lines().rev().find(|line| line.contains("received=")).unwrap();
        line.split_once("received=").map(|(at, _)| &line[at.len()..]).unwrap()
    }
}
