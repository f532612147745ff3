//! What the tests against real peers share: where the peers are, how their clients are run, and spans
//! in the words of the assertions.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn peers() -> PathBuf {
    let dir = std::env::var_os("MCPCOL_PEERS").map_or_else(|| root().join(".peers"), PathBuf::from);
    assert!(dir.is_dir(), "no peers in {}: run scripts/peers all", dir.display());
    dir
}

pub(crate) fn bin(name: &str) -> PathBuf {
    peers().join("npm/node_modules/.bin").join(name)
}

pub(crate) fn python() -> PathBuf {
    peers().join("python/bin/python")
}

/// A program or file of `tests/peers`.
pub(crate) fn driver(name: &str) -> PathBuf {
    root().join("tests/peers").join(name)
}

/// A client to drive with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Driver {
    PythonAuto,
    PythonLegacy,
    TypeScript,
}

impl Driver {
    /// Its command line up to the script's name.
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

    /// Runs a script to its end; `to` is what says which server.
    pub(crate) fn drive<T: AsRef<str>>(self, script: &str, to: &[T]) -> Output {
        let to: Vec<&str> = to.iter().map(AsRef::as_ref).collect();
        let output = self.command().arg(script).args(&to).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{self:?}, {script}, {to:?}: {}\n{talk}", output.status);
        assert!(!output.stdout.is_empty());
        output
    }
}

/// A config that takes from `receiver` and writes spans to `spans.jsonl` beside it, and to `more`
/// exporters.
pub(crate) fn config(dir: &TempDir, receiver: &str, more: &[(&str, &str)]) -> (PathBuf, PathBuf) {
    let spans = dir.path().join("spans.jsonl");
    let mut exporters = format!("  file: {{ path: {} }}\n", spans.display());
    let mut names = vec!["file"];
    for (name, settings) in more {
        exporters.push_str(&format!("  {name}: {settings}\n"));
        names.push(name);
    }
    let yaml = format!(
        "receivers: {{ {receiver}: {{}} }}\nprocessors: {{ digest: {{ mode: ephemeral }} }}\n\
         exporters:\n{exporters}service:\n  pipelines:\n    traces: {{ receivers: [{receiver}], \
         processors: [digest], exporters: [{}] }}\n",
        names.join(", ")
    );
    let path = dir.path().join("config.yaml");
    fs::write(&path, yaml).unwrap();
    (path, spans)
}

/// A span in the words of the assertions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) id: String,
    pub(crate) trace: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) status: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: BTreeMap<String, String>,
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Reads OTLP JSON lines, ours or the Collector's.
pub(crate) fn spans(path: &Path) -> Vec<Span> {
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

pub(crate) fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

pub(crate) fn attribute<'a>(span: &'a Span, key: &str) -> &'a str {
    span.attributes.get(key).map_or("", String::as_str)
}

pub(crate) fn signal(pid: u32, name: &str) {
    Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap();
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until somebody listens on a port.
pub(crate) fn listening(port: u16, who: &str) {
    let limit = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < limit, "{who} does not listen");
        std::thread::yield_now();
    }
}

/// The Collector that `scripts/peers` builds, until dropped.
pub(crate) struct Collector {
    child: Child,
    pub(crate) grpc: u16,
    pub(crate) http: u16,
    file: PathBuf,
}

impl Collector {
    /// One that writes what it gets to a file.
    pub(crate) fn sink(dir: &Path) -> Collector {
        Collector::with("otelcol-file.yaml", dir, &[])
    }

    /// One that passes on what it gets.
    pub(crate) fn relay(dir: &Path, exporter: &str, to: u16) -> Collector {
        let next = to.to_string();
        Collector::with("otelcol-relay.yaml", dir, &[("EXPORTER", exporter), ("NEXT_PORT", &next)])
    }

    /// One with that configuration.
    pub(crate) fn with(config: &str, dir: &Path, more: &[(&str, &str)]) -> Collector {
        let (grpc, http) = (free_port(), free_port());
        let file = dir.join("collector.jsonl");
        let child = Command::new(peers().join("otelcol"))
            .arg("--config")
            .arg(driver(config))
            .envs([("OTLP_PORT", grpc.to_string()), ("OTLP_HTTP_PORT", http.to_string())])
            .env("SPANS_FILE", &file)
            .envs(more.iter().copied())
            .spawn()
            .unwrap();
        let collector = Collector { child, grpc, http, file };
        listening(grpc, "the Collector");
        listening(http, "the Collector");
        collector
    }

    /// Waits until its file has so many lines, for at most 5 s; says whether it has. Now and then one that it has
    /// answered never gets there.
    pub(crate) fn has_written(&self, lines: usize) -> bool {
        let limit = Instant::now() + Duration::from_secs(5);
        while Instant::now() < limit {
            if fs::read_to_string(&self.file).unwrap_or_default().lines().count() >= lines {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    /// Ends it in an orderly way, which flushes its queue and its file.
    pub(crate) fn end(mut self) -> PathBuf {
        signal(self.child.id(), "TERM");
        self.child.wait().unwrap();
        self.file.clone()
    }

    /// The same, and what it wrote.
    pub(crate) fn stop(self) -> Vec<Span> {
        spans(&self.end())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
