//! The tap under test and a client without manners.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Nothing in these tests takes this long unless it is stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A running `mcpcol http`.
pub(super) struct Tap {
    process: Child,
    stderr: BufReader<ChildStderr>,
    dir: TempDir,
    /// Where it listens.
    pub(super) address: String,
    log: String,
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
    command.arg(env!("CARGO_BIN_EXE_mcpcol"));
    start_by(command, dir)
}

fn start(dir: TempDir) -> Tap {
    start_by(Command::new(env!("CARGO_BIN_EXE_mcpcol")), dir)
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
    let mut stderr = BufReader::new(process.stderr.take().unwrap());
    let mut log = String::new();
    let address = loop {
        let mut line = String::new();
        let read = stderr.read_line(&mut line).unwrap();
        log.push_str(&line);
        assert!(read > 0, "it did not start:\n{log}");
        if let Some((_, rest)) = line.split_once("listening on ") {
            let rest = rest.split_once("://").unwrap().1;
            break rest.split(['/', ' ', ',']).next().unwrap().to_owned();
        }
    };
    Tap { process, stderr, dir, address, log }
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
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Writes another configuration in place of the first.
    pub(super) fn rewrite(&self, routes: &str, settings: &str) {
        let settings = format!("endpoint: 127.0.0.1:0\n{settings}");
        write_config(&self.dir, routes, &settings, EPHEMERAL, "file: { path: spans.jsonl }");
    }

    /// The next line of its log that holds `word`.
    pub(super) fn said(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line).unwrap();
            self.log.push_str(&line);
            assert!(read > 0, "it never said {word}:\n{}", self.log);
            if line.contains(word) {
                return line;
            }
        }
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
        self.stderr.read_to_string(&mut self.log).unwrap();
        let code = self.process.wait().unwrap().code();
        let text = self.written();
        let mut spans = Vec::new();
        for line in text.lines() {
            let request: Value = serde_json::from_str(line).unwrap();
            for resource in request["resourceSpans"].as_array().unwrap() {
                for scope in resource["scopeSpans"].as_array().unwrap() {
                    spans.extend(scope["spans"].as_array().unwrap().iter().cloned());
                }
            }
        }
        End { code, spans, log: self.log.clone() }
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
    /// An attribute of a span, as text.
    pub(super) fn attribute(span: &Value, key: &str) -> Option<String> {
        let all = span["attributes"].as_array().unwrap();
        let value = &all.iter().find(|a| a["key"] == key)?["value"];
        let value = value.as_object().unwrap().values().next().unwrap();
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// `name outcome` of each span, in the order they began.
    pub(super) fn outcomes(&self) -> Vec<String> {
        let mut spans: Vec<_> = self.spans.iter().collect();
        spans.sort_by_key(|span| span["startTimeUnixNano"].as_str().unwrap().to_owned());
        let outcome = |span: &&Value| {
            let outcome = End::attribute(span, "mcpcol.outcome").unwrap();
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

/// A connection, byte by byte.
pub(super) struct Client(pub(super) BufReader<TcpStream>);

/// A response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Header lines in lower case names, in order.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Trailers of a chunked body.
    pub(super) trailers: Vec<(String, String)>,
}

impl Client {
    pub(super) fn to(address: &str) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(BufReader::new(stream))
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub(super) fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).unwrap();
        String::from_utf8(line).unwrap()
    }

    /// Status and headers of a response.
    pub(super) fn head(&mut self) -> (u16, Vec<(String, String)>) {
        let first = self.line();
        let status = first.split(' ').nth(1).unwrap_or_else(|| panic!("no response: {first:?}"));
        (status.parse().unwrap(), self.header_lines())
    }

    fn header_lines(&mut self) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.trim_end().split_once(':') else { return headers };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
    }

    /// A chunk of a chunked body; empty at the end.
    pub(super) fn chunk(&mut self) -> Vec<u8> {
        let size = self.line();
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_else(|_| panic!("{size:?}"));
        let mut chunk = vec![0; size];
        self.0.read_exact(&mut chunk).unwrap();
        if size > 0 {
            self.line();
        }
        chunk
    }

    /// A whole response.
    pub(super) fn answer(&mut self) -> Answer {
        let (status, headers) = self.head();
        let find = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let (mut body, mut trailers) = (Vec::new(), Vec::new());
        if find("transfer-encoding").is_some() {
            loop {
                let chunk = self.chunk();
                if chunk.is_empty() {
                    break;
                }
                body.extend(chunk);
            }
            trailers = self.header_lines();
        } else if let Some(length) = find("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.0.read_exact(&mut body).unwrap();
        } else if !matches!(status, 204 | 304) {
            self.0.read_to_end(&mut body).unwrap();
        }
        Answer { status, headers, body, trailers }
    }

    /// Whether the other side has closed or reset the connection, with nothing more to read.
    pub(super) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        !matches!(self.0.read(&mut byte), Ok(1))
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Asks until it holds; for what another process does in its own time.
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}
