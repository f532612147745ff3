//! Tests what mcpcol tells of itself to a real Prometheus and to a real Collector. Needs what `scripts/peers otlp` installs,
//! therefore ignored in plain `cargo test`; CI installs it and runs these with `--ignored`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::common::{Collector, bin, free_port, listening, peers, signal};

/// How long Prometheus may take to have scraped what it is asked for, each second once.
const PATIENCE: Duration = Duration::from_secs(60);

fn program(name: &str) -> PathBuf {
    let path = peers().join("prometheus/usr/bin").join(name);
    assert!(path.is_file(), "no {}: run scripts/peers otlp", path.display());
    path
}

/// The body of an answer to a request whose connection ends with it.
fn ask(port: u16, request: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "{request} HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{request}: {answer}");
    body.to_owned()
}

/// A Prometheus of this test's own, which scrapes one port each second. It ends with this.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Prometheus {
    fn scraping(target: u16, dir: &Path) -> Prometheus {
        let config = dir.join("prometheus.yaml");
        let job = json!({"job_name": "mcpcol", "static_configs": [{"targets": [format!("127.0.0.1:{target}")]}]});
        let settings = json!({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]});
        fs::write(&config, settings.to_string()).unwrap();
        let port = free_port();
        let child = Command::new(program("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        listening(port, "Prometheus");
        Prometheus { child, port }
    }

    /// What it has of a query now, by the value of a label.
    fn query(&self, query: &str, label: &str) -> BTreeMap<String, f64> {
        let escaped: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
        let answer = ask(self.port, &format!("GET /api/v1/query?query={escaped}"), "");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let found = answer["data"]["result"].as_array().unwrap().iter();
        let one = |one: &Value| {
            let name = one["metric"][label].as_str().unwrap_or_default().to_owned();
            (name, one["value"][1].as_str().unwrap().parse().unwrap())
        };
        found.map(one).collect()
    }

    /// Asks until it has that.
    fn has(&self, query: &str, label: &str, expected: &[(&str, f64)]) {
        let expected: BTreeMap<String, f64> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let limit = Instant::now() + PATIENCE;
        loop {
            let found = self.query(query, label);
            if found == expected {
                return;
            }
            assert!(Instant::now() < limit, "{query}: {found:?} and not {expected:?}");
            std::thread::park_timeout(Duration::from_millis(200));
        }
    }
}

/// A request of spans, of which the first `bad` have ids that are none.
fn spans(spans: usize, bad: usize) -> String {
    let span = |n: usize| {
        let id = if n < bad { "00".repeat(8) } else { format!("{:016x}", n + 1) };
        json!({"traceId": "01".repeat(16), "spanId": id, "name": "x",
            "startTimeUnixNano": "1", "endTimeUnixNano": "2"})
    };
    let spans: Vec<Value> = (0..spans).map(span).collect();
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string()
}

#[test]
#[ignore = "needs a real Prometheus"]
fn a_real_prometheus_adds_up_to_the_books_of_the_last_line() {
    let dir = tempfile::tempdir().unwrap();
    let (otlp, metrics) = (free_port(), free_port());
    let config = dir.path().join("config.yaml");
    // The second exporter has a queue for one batch and a backend that is not there.
    fs::write(
        &config,
        format!(
            "receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:{otlp}' }} }} }} }}\n\
             exporters:\n  file: {{ path: {} }}\n  otlp_http:\n    endpoint: http://127.0.0.1:9\n    \
             tls: {{ insecure: true }}\n    sending_queue: {{ queue_size: 1, on_full: drop }}\n\
             service:\n  shutdown_timeout: 2s\n  telemetry: {{ metrics: {{ readers: [{{ pull: {{ exporter: \
             {{ prometheus: {{ host: 127.0.0.1, port: {metrics} }} }} }} }}] }} }}\n  \
             pipelines: {{ traces: {{ receivers: [otlp], exporters: [file, otlp_http] }} }}\n",
            dir.path().join("spans.jsonl").display()
        ),
    )
    .unwrap();
    let mcpcol = Command::new(env!("CARGO_BIN_EXE_mcpcol"))
        .args(["run", "--config"])
        .arg(&config)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    listening(metrics, "mcpcol");
    listening(otlp, "mcpcol");
    let prometheus = Prometheus::scraping(metrics, dir.path());
    for _ in 0..300 {
        ask(otlp, "POST /v1/traces", &spans(20, 1));
    }
    let (good, bad) = (300.0 * 19.0, 300.0);
    let accepted = "sum by (receiver) (otelcol_receiver_accepted_spans_total)";
    prometheus.has(accepted, "receiver", &[("otlp", good)]);
    prometheus.has(
        "otelcol_exporter_sent_spans_total",
        "exporter",
        &[("file", good), ("otlp_http", 0.0)],
    );
    let dropped = "sum by (reason) (mcpcol_dropped_items_total) > 0";
    let queue = 299.0 * 19.0;
    prometheus.has(dropped, "reason", &[("invalid", bad), ("queue_full", queue)]);
    let page = ask(metrics, "GET /metrics", "");
    let mut check = Command::new(program("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let checked = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.is_empty(), "{said}");
    signal(mcpcol.id(), "TERM");
    let told = mcpcol.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&told.stderr);
    // What was invalid came in for both.
    let line =
        |exporter: &str| told.lines().find(|line| line.contains(&format!(" {exporter}: received")));
    assert!(
        line("file").unwrap().contains("received=6000 sent=5700 dropped=300 (invalid=300)"),
        "{told}"
    );
    let away = line("otlp_http").unwrap();
    assert!(
        away.contains(
            "received=6000 sent=0 dropped=6000 (invalid=300 queue_full=5681 shutdown=19)"
        ),
        "{told}"
    );
}

/// Makes `calls` calls of a real server through a tap, and leaves.
fn tap(config: &Path, home: &Path, calls: usize) -> Child {
    let server = bin("mcp-server-everything");
    let mut tap = Command::new(env!("CARGO_BIN_EXE_mcpcol"))
        .args(["stdio", "--config"])
        .arg(config)
        .args(["--name", "everything", "--"])
        .arg(server)
        .arg("stdio")
        .env("XDG_STATE_HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut to = tap.stdin.take().unwrap();
    let mut from = BufReader::new(tap.stdout.take().unwrap());
    let mut say = |message: Value, answered: bool| {
        writeln!(to, "{message}").unwrap();
        let mut line = String::new();
        while answered && !line.contains(&format!("\"id\":{}", message["id"])) {
            line.clear();
            assert!(from.read_line(&mut line).unwrap() > 0, "the server has ended");
        }
    };
    say(
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25",
            "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}),
        true,
    );
    say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}), false);
    for id in 1..=calls {
        let params = json!({"name": "echo", "arguments": {"message": "hello"}});
        say(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}), true);
    }
    tap
}

#[test]
#[ignore = "needs a real Collector"]
fn ten_taps_at_once_do_not_overwrite_each_other_in_a_real_collector() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::sink(dir.path());
    let config = dir.path().join("tap.yaml");
    fs::write(
        &config,
        format!(
            "receivers: {{ mcp_stdio: {{}} }}\nprocessors: {{ mcp_metrics: {{}} }}\n\
             exporters: {{ nop: {{}}, otlp_http: {{ endpoint: 'http://127.0.0.1:{}' }} }}\n\
             service:\n  shutdown_timeout: 20s\n  pipelines:\n    \
             traces: {{ receivers: [mcp_stdio], processors: [mcp_metrics], exporters: [nop] }}\n    \
             metrics: {{ receivers: [mcp_metrics], exporters: [otlp_http] }}\n",
            collector.http
        ),
    )
    .unwrap();

    let taps: Vec<Child> = (1..=10).map(|n| tap(&config, dir.path(), n)).collect();
    for mut tap in taps {
        assert_eq!(tap.wait().unwrap().code(), Some(0));
    }
    let mut instances = BTreeSet::new();
    let mut calls: BTreeMap<String, u64> = BTreeMap::new();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for line in fs::read_to_string(collector.end()).unwrap().lines() {
        for resource in list(&serde_json::from_str::<Value>(line).unwrap()["resourceMetrics"]) {
            let text = |attributes: &Value, key: &str| {
                let found = list(attributes).into_iter().find(|pair| pair["key"] == key);
                found.map(|pair| {
                    pair["value"]["stringValue"].as_str().unwrap_or_default().to_owned()
                })
            };
            let instance =
                text(&resource["resource"]["attributes"], "service.instance.id").unwrap();
            instances.insert(instance.clone());
            let scopes = list(&resource["scopeMetrics"]);
            let metrics = scopes.iter().flat_map(|scope| list(&scope["metrics"]));
            for metric in metrics.filter(|metric| metric["name"] == "mcp.client.operation.duration")
            {
                for point in list(&metric["histogram"]["dataPoints"]) {
                    if text(&point["attributes"], "gen_ai.tool.name").as_deref() == Some("echo") {
                        // Cumulative: the last one counts.
                        let count = point["count"].as_str().unwrap().parse().unwrap();
                        calls.insert(instance.clone(), count);
                    }
                }
            }
        }
    }
    assert_eq!(instances.len(), 10);
    let mut counted: Vec<u64> = calls.into_values().collect();
    counted.sort_unstable();
    assert_eq!(counted, (1..=10).collect::<Vec<u64>>());
}
