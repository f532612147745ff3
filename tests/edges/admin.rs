//! Tests what a running process says of itself: its metrics for Prometheus, probes, and reloads.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message as _;
use rustix::process::Signal;

use crate::client::{Answer, Client};
use crate::exposition::Page;
use crate::origin::Origin;
use crate::process::{Log, eventually, mcpcol, signal, text};

/// Serves on any port, so that tests do not meet.
const READER: &str =
    "readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: 0 } } } }]";

/// A running `mcpcol run`, with its configuration in a directory of its own.
struct Running {
    dir: tempfile::TempDir,
    child: Child,
    log: Log,
}

impl Running {
    fn start(config: &str, flags: &[&str]) -> Running {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.yaml"), config).unwrap();
        let mut command = mcpcol(dir.path());
        command.current_dir(dir.path()).args(["run", "--config", "config.yaml"]).args(flags);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let log = Log::of(&mut child);
        Running { dir, child, log }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the configuration anew, as editors do: beside it, then in its place.
    fn write(&self, config: &str) {
        fs::write(self.path("new"), config).unwrap();
        fs::rename(self.path("new"), self.path("config.yaml")).unwrap();
    }

    fn reload(&mut self, config: &str, word: &str) {
        self.write(config);
        signal(&self.child, Signal::HUP);
        self.log.until(word);
    }

    /// Stops it; its exit code and what it said.
    fn end(mut self) -> (Option<i32>, String) {
        signal(&self.child, Signal::TERM);
        let said = self.log.all();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn ask(address: &str, what: &str) -> Answer {
    let mut client = Client::to(address);
    client.send(format!("{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"));
    client.answer()
}

fn scrape(address: &str) -> Page {
    let answer = ask(address, "GET /metrics");
    assert_eq!(answer.status, 200);
    let kind = ("content-type".to_owned(), "text/plain; version=0.0.4; charset=utf-8".to_owned());
    assert!(answer.headers.contains(&kind), "{:?}", answer.headers);
    Page::read(answer.text())
}

/// A gateway whose exporter has that id.
fn gateway(exporter: &str, service: &str) -> String {
    format!(
        "receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:0' }} }} }} }}\n\
         processors: {{ redaction: {{}} }}\n\
         exporters: {{ {exporter}: {{ path: {} }} }}\n\
         service:\n  telemetry: {{ metrics: {{ {READER} }}{service} }}\n  pipelines:\n    \
         traces: {{ receivers: [otlp], processors: [redaction], exporters: [{exporter}] }}\n",
        exporter.replace('/', "-")
    )
}

/// Sends so many spans, of which the last has no id and is refused.
fn send(address: &str, good: usize) {
    let span = |n: usize| {
        let id = if n < good { format!("{:016x}", n + 1) } else { String::new() };
        serde_json::json!({"traceId": "01".repeat(16), "spanId": id, "name": "s"})
    };
    let spans: Vec<_> = (0..=good).map(span).collect();
    let body =
        serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string();
    let (mut client, length) = (Client::to(address), body.len());
    client.send(format!(
        "POST /v1/traces HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    ));
    assert_eq!(client.answer().status, 200);
}

/// The number behind a word of the last line.
fn told(said: &str, word: &str) -> f64 {
    let (_, rest) = said.rsplit_once(word).unwrap_or_else(|| panic!("no {word}: {said}"));
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn what_is_scraped_is_what_the_last_line_says() {
    let mut run = Running::start(&gateway("file", ", resource: { a.b: c }"), &[]);
    let metrics = run.log.address("serving metrics at");
    let otlp = run.log.address("for OTLP over HTTP");
    for spans in [1, 20, 300] {
        send(&otlp, spans);
    }
    eventually("all is sent", || {
        scrape(&metrics).sum("otelcol_exporter_sent_spans_total", &["exporter=\"file\""]) == 321.0
    });
    let page = scrape(&metrics);
    assert_eq!(page.sum("mcpcol_exporter_received_items_total", &[]), 321.0);
    assert_eq!(page.sum("otelcol_receiver_accepted_spans_total", &["receiver=\"otlp\""]), 321.0);
    assert_eq!(page.sum("mcpcol_dropped_items_total", &["reason=\"invalid\""]), 3.0);
    assert_eq!(
        page.sum("otelcol_processor_incoming_items_total", &["otel_signal=\"traces\""]),
        321.0
    );
    for there in [
        "target_info{a_b=\"c\",service_instance_id=\"",
        "mcpcol_exporter_attempt_duration_seconds_bucket{",
        "otelcol_process_uptime_total",
        "mcpcol_config_last_reload_successful",
    ] {
        assert!(page.has(there), "{there}: {page:#?}");
    }
    let (code, said) = run.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!([told(&said, "received="), told(&said, "sent=")], [324.0, 321.0], "{said}");
    assert!(said.contains("dropped=3 (invalid=3)"), "{said}");
}

#[test]
fn only_the_page_is_there_and_only_to_be_read() {
    let mut run = Running::start(&gateway("file", ""), &[]);
    let metrics = run.log.address("serving metrics at");
    for (what, status) in [
        ("GET /", 404),
        ("GET /metrics/", 404),
        ("POST /metrics", 405),
        ("GET /metrics?name=x", 200),
        ("HEAD /metrics", 200),
    ] {
        let mut client = Client::to(&metrics);
        client.send(format!("{what} HTTP/1.1\r\nhost: {metrics}\r\nconnection: close\r\n\r\n"));
        let (said, _) = client.head();
        let mut body = Vec::new();
        client.0.read_to_end(&mut body).unwrap();
        assert_eq!((said, body.is_empty()), (status, what.starts_with("HEAD")), "{what}");
    }
}

#[test]
fn scrapers_that_read_nothing_keep_nobody_waiting() {
    let mut run = Running::start(&gateway("file", ""), &[]);
    let metrics = run.log.address("serving metrics at");
    let otlp = run.log.address("for OTLP over HTTP");
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let mut client = Client::to(&metrics);
            for _ in 0..100 {
                client.send(format!("GET /metrics HTTP/1.1\r\nhost: {metrics}\r\n\r\n"));
            }
            client
        })
        .collect();
    send(&otlp, 7);
    eventually("it is sent", || {
        scrape(&metrics).sum("otelcol_exporter_sent_spans_total", &[]) == 7.0
    });
    let (code, said) = run.end();
    assert_eq!(code, Some(0), "{said}");
    drop(slow);
}

#[test]
fn a_port_that_nobody_asked_for_is_a_warning_where_it_is_taken_and_a_written_one_an_error() {
    let mut held = None;
    // Another test's process may have it for a moment.
    eventually("somebody has it for certain", || {
        held = TcpListener::bind("127.0.0.1:8888").ok();
        held.is_some()
    });
    let config = gateway("file", "").replace(&format!("metrics: {{ {READER} }}"), "");
    let mut run = Running::start(&config, &[]);
    run.log.until("everything is ready");
    let (code, said) = run.end();
    assert_eq!((code, said.matches("WARN").count()), (Some(0), 1), "{said}");
    assert!(said.contains("metrics are not served: cannot listen on localhost:8888"), "{said}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let written = gateway("file", "").replace("port: 0", &format!("port: {port}"));
    let mut run = Running::start(&written, &[]);
    let said = run.log.all();
    assert_eq!(run.child.wait().unwrap().code(), Some(1), "{said}");
    let message =
        format!("service::telemetry::metrics: cannot start: cannot listen on 127.0.0.1:{port}");
    assert!(said.contains(&message), "{said}");
}

#[test]
fn a_tap_serves_no_metrics_unless_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let config = |telemetry: &str| {
        let text = format!(
            "receivers: {{ mcp_stdio: {{}} }}\nexporters: {{ nop: {{}} }}\nservice:\n  \
             telemetry: {{ logs: {{ level: info }}{telemetry} }}\n  \
             pipelines: {{ traces: {{ receivers: [mcp_stdio], exporters: [nop] }} }}\n"
        );
        fs::write(dir.path().join("config.yaml"), text).unwrap();
        let mut command = mcpcol(dir.path());
        command.current_dir(dir.path()).args(["stdio", "--config", "config.yaml", "--", "cat"]);
        command
    };
    let output = config("").stdin(Stdio::null()).output().unwrap();
    assert!(!text(&output.stderr).contains("metrics"), "{}", text(&output.stderr));
    let mut tap = config(&format!(", metrics: {{ {READER} }}")).spawn().unwrap();
    let mut log = Log::of(&mut tap);
    let metrics = log.address("serving metrics at");
    eventually("the tap counts", || scrape(&metrics).has("mcpcol_tap_lines_total{"));
    drop(tap.stdin.take());
    assert_eq!(tap.wait().unwrap().code(), Some(0));
}

#[test]
fn series_of_what_a_reload_took_out_are_served_no_more_and_reloads_are_told() {
    let mut run = Running::start(&gateway("file/old", ""), &[]);
    let metrics = run.log.address("serving metrics at");
    run.log.until("everything is ready");
    assert!(scrape(&metrics).has("exporter=\"file/old\""));
    let last = |page: &Page| {
        let reloads = |outcome| page.sum("mcpcol_config_reloads_total", &[outcome]);
        let last = page.sum("mcpcol_config_last_reload_successful", &[]);
        (last, reloads("outcome=\"success\""), reloads("outcome=\"failure\""))
    };
    assert_eq!(last(&scrape(&metrics)), (1.0, 0.0, 0.0));
    run.reload("receivers: [", "the old one goes on");
    eventually("it is told", || last(&scrape(&metrics)) == (0.0, 0.0, 1.0));
    assert!(scrape(&metrics).has("exporter=\"file/old\""));
    // The address stays, though its settings are built anew.
    run.reload(&gateway("file/new", ", resource: { service.name: , region: x }"), "reloaded");
    eventually("it is told", || last(&scrape(&metrics)) == (1.0, 1.0, 1.0));
    let page = scrape(&metrics);
    assert!(page.has("exporter=\"file/new\"") && !page.has("file/old"), "{page:#?}");
    eventually("the resource is the new one", || {
        let page = scrape(&metrics);
        page.has("region=\"x\"") && !page.has("service_name=")
    });
    assert_eq!(run.end().0, Some(0));
}

/// A backend for metrics over HTTP: the numbers of spans sent that it was told of, one a request.
fn metrics_backend() -> (Origin, Arc<Mutex<Vec<i64>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let write = Arc::clone(&told);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            assert!(asked.line.starts_with("POST /v1/metrics "), "{}", asked.line);
            assert!(asked.headers.iter().any(|(name, value)| (&**name, &**value) == ("x-a", "b")));
            let mut plain = Vec::new();
            GzDecoder::new(&*conn.body(&asked)).read_to_end(&mut plain).unwrap();
            let request = ExportMetricsServiceRequest::decode(&*plain).unwrap();
            let resource = &request.resource_metrics[0];
            let about = &resource.resource.as_ref().unwrap().attributes;
            assert!(about.iter().any(|attribute| attribute.key == "service.instance.id"));
            let all = resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
            let sent = all.filter(|metric| metric.name == "otelcol_exporter_sent_spans");
            let number = |metric: &Metric| match &metric.data {
                Some(Data::Sum(sum)) => match sum.data_points[0].value {
                    Some(Value::AsInt(number)) => number,
                    _ => panic!("{metric:?}"),
                },
                _ => panic!("{metric:?}"),
            };
            write.lock().unwrap().push(sent.map(number).sum());
            conn.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    (origin, told)
}

#[test]
fn metrics_are_sent_at_intervals_and_the_last_numbers_at_the_end() {
    for interval in [100, 86_400_000] {
        let (backend, told) = metrics_backend();
        let reader = format!(
            "readers: [{{ periodic: {{ interval: {interval}, exporter: {{ otlp: {{ endpoint: 'http://{}/v1/metrics', \
             headers: {{ x-a: b }} }} }} }} }}]",
            backend.address
        );
        let mut run = Running::start(&gateway("file", "").replace(READER, &reader), &[]);
        run.log.until("sending metrics to ");
        let otlp = run.log.address("for OTLP over HTTP");
        if interval == 100 {
            eventually("some are sent", || told.lock().unwrap().len() > 1);
        }
        send(&otlp, 9);
        let (code, said) = run.end();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("sent=9") && !said.contains("WARN own metrics"), "{said}");
        assert_eq!(told.lock().unwrap().last(), Some(&9), "{interval}: {said}");
    }
}

/// A tap of that upstream, with probes; stops have so long.
fn probed(upstream: &str, timeout: &str, tap: &str) -> String {
    format!(
        "receivers:\n  mcp_http:\n    endpoint: 127.0.0.1:0\n    routes: [{{ upstream: \"{upstream}\" }}]\n{tap}\
         exporters: {{ file: {{ path: spans.jsonl }} }}\n\
         extensions: {{ health_check: {{ endpoint: '127.0.0.1:0' }} }}\n\
         service:\n  extensions: [health_check]\n  shutdown_timeout: {timeout}\n  \
         telemetry: {{ metrics: {{ {READER} }} }}\n  \
         pipelines: {{ traces: {{ receivers: [mcp_http], exporters: [file] }} }}\n"
    )
}

/// A server that answers once it is let go, and a client's call that is under way.
struct Held {
    upstream: Origin,
    asked: std::sync::mpsc::Receiver<()>,
    go: std::sync::mpsc::SyncSender<()>,
}

fn held() -> Held {
    let (tell, asked) = sync_channel(1);
    let (go, may) = sync_channel(1);
    let may = Arc::new(Mutex::new(may));
    let upstream = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            conn.body(&asked);
            tell.send(()).unwrap();
            may.lock().unwrap().recv().ok();
            conn.json("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
        }
    });
    Held { upstream, asked, go }
}

fn call(tap: &str) -> Client {
    let body =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}";
    let (mut client, length) = (Client::to(tap), body.len());
    client.send(format!(
        "POST /mcp HTTP/1.1\r\nhost: {tap}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    ));
    client
}

#[test]
fn probes_hear_that_it_runs_and_that_it_drains_and_the_tap_answers_none() {
    let held = held();
    let mut run = Running::start(&probed(&held.upstream.url(), "20s", ""), &[]);
    let (probes, metrics) =
        (run.log.address("answering probes at"), run.log.address("serving metrics at"));
    let tap = run.log.address("listening");
    eventually("it is ready", || ask(&probes, "GET /").status == 200);
    let answer = ask(&probes, "GET /");
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &told["status"]), (200, &"Server available".into()));
    assert!(told["upSince"].as_str().unwrap().ends_with('Z'), "{told}");
    assert_eq!(ask(&probes, "GET /live").status, 200);
    assert_eq!(ask(&probes, "POST /").status, 405);

    let mut client = call(&tap);
    held.asked.recv().unwrap();
    signal(&run.child, Signal::TERM);
    run.log.until("stopping");
    eventually("it is not ready", || ask(&probes, "GET /").status == 503);
    assert_eq!(ask(&probes, "GET /live").status, 200);
    assert!(scrape(&metrics).has("mcpcol_http_forwarded_requests_total"));
    held.go.send(()).unwrap();
    assert_eq!(client.answer().status, 200);
    assert_eq!(run.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_stop_does_not_wait_for_what_a_reload_retired() {
    let held = held();
    let config = probed(&held.upstream.url(), "1s", "");
    let mut run = Running::start(&config, &[]);
    let tap = run.log.address("listening");
    let client = call(&tap);
    held.asked.recv().unwrap();
    let changed = probed(&held.upstream.url(), "1s", "    request_timeout: 60s\n");
    run.reload(&changed, "reloaded");
    let begun = std::time::Instant::now();
    signal(&run.child, Signal::TERM);
    let said = run.log.all();
    assert_eq!(run.child.wait().unwrap().code(), Some(0), "{said}");
    assert!(begun.elapsed().as_secs() < 8, "the retired receiver may take ten minutes: {said}");
    drop((client, held));
}

#[test]
fn a_watched_configuration_is_reloaded_and_a_half_written_one_changes_nothing() {
    let config = gateway("file/a", "");
    let mut run = Running::start(&config, &["--watch"]);
    run.log.until("everything is ready");
    // In place, and not to its end.
    fs::write(run.path("config.yaml"), &config[..config.len() - 20]).unwrap();
    run.log.until("the old one goes on");
    run.write(&gateway("file/b", ""));
    run.log.until("reloaded");
    run.write(&gateway("file/c", ""));
    run.log.until("reloaded");
    let (code, said) = run.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("file/c: "), "{said}");
}

#[test]
fn nothing_to_watch_is_said_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let config = format!("yaml:{}", gateway("file", ""));
    let mut command = mcpcol(dir.path());
    command.current_dir(dir.path()).args(["run", "--watch", "--config", &config]);
    let mut child = command.spawn().unwrap();
    let mut log = Log::of(&mut child);
    log.until("--watch: there is no file to watch");
    log.until("everything is ready");
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A `run` whose server says its argument, then echoes.
fn server(dir: &Path, stdio: &str) -> String {
    fs::write(
        dir.join("config.yaml"),
        format!(
            "receivers: {{ mcp_stdio: {stdio} }}\nexporters: {{ file: {{ path: spans.jsonl }} }}\nservice:\n  \
             telemetry: {{ metrics: {{ level: none }} }}\n  \
             pipelines: {{ traces: {{ receivers: [mcp_stdio], exporters: [file] }} }}\n"
        ),
    )
    .unwrap();
    "config.yaml".into()
}

#[test]
fn a_reload_that_would_restart_a_server_is_refused_and_says_by_what() {
    let dir = tempfile::tempdir().unwrap();
    let config = server(dir.path(), "{ command: cat, args: [-u], env: { A: b } }");
    let mut command = mcpcol(dir.path());
    command.current_dir(dir.path()).args(["run", "--config", &config]);
    let mut run = command.spawn().unwrap();
    let mut log = Log::of(&mut run);
    log.until("everything is ready");
    for (stdio, what) in [
        ("{ command: sh, args: [-u], env: { A: b } }", "`command` changed"),
        ("{ command: cat, args: [-b], env: { A: hush } }", "`args`, `env` changed"),
        ("{ command: cat, args: [-u], env: { A: b }, cwd: / }", "`cwd` changed"),
        (
            "{ command: cat, args: [-u], env: { A: b }, name: x }",
            "settings of a server that runs changed",
        ),
    ] {
        server(dir.path(), stdio);
        signal(&run, Signal::HUP);
        let line = log.until("cannot reload");
        assert!(line.contains(what) && line.contains("restart mcpcol"), "{line}");
        assert!(!line.contains("hush"), "{line}");
    }
    server(dir.path(), "{ command: cat, args: [-u], env: { A: b } }");
    signal(&run, Signal::HUP);
    log.until("reloaded");
    drop(run.stdin.take());
    assert_eq!(run.wait().unwrap().code(), Some(0));
}
