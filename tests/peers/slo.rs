//! The generated rules before Prometheus' own tools, and alerts at a real Alertmanager. Needs `prometheus` among the peers,
//! therefore ignored in plain `cargo test`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::common::peers;

/// How long Alertmanager may take to show what it accepted.
const PATIENCE: Duration = Duration::from_secs(30);

fn program(name: &str) -> PathBuf {
    let path = peers().join("prometheus/usr/bin").join(name);
    assert!(path.is_file(), "no {}: run scripts/peers otlp", path.display());
    path
}

fn mcpcol() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mcpcol"))
}

/// A configuration of these objectives, whose alerts go there.
fn config(dir: &Path, slos: &str, exporter: &str) -> PathBuf {
    let text = format!(
        "
receivers: {{ mcp_stdio: {{}} }}
processors:
  slo: {{ interval: 1s, slos: {slos} }}
exporters:
  nop: {{}}
  {exporter}
service:
  pipelines:
    traces: {{ receivers: [mcp_stdio], processors: [slo], exporters: [nop] }}
    logs: {{ receivers: [slo], exporters: [{}] }}
",
        exporter.split(':').next().unwrap()
    );
    let file = dir.join("mcpcol.yaml");
    fs::write(&file, text).unwrap();
    file
}

/// Ratios and alerts at the times that the engine's own test (`a_fast_burn_pages_at_once_and_resolves_when_it_is_over`) has:
/// a call each 10 s, an hour of good ones, ten minutes of failures, good ones again.
const AGREEMENT: &str = r#"
rule_files: [rules.yaml]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - { series: 'mcpcol_slo_events_total{slo="read_file errors", instance="a"}', values: '1+3x259' }
      - { series: 'mcpcol_slo_bad_total{slo="read_file errors", instance="a"}', values: '0x119 1+3x20 61x119' }
    promql_expr_test:
      - { expr: 'ALERTS{rule="page_fast",alertstate="firing"}', eval_time: 68m, exp_samples: [] }
      - expr: 'count by (alertname, rule, severity, slo) (ALERTS{rule="page_fast",alertstate="firing"})'
        eval_time: 68m30s
        exp_samples:
          - { labels: '{alertname="McpSloPage",rule="page_fast",severity="page",slo="read_file errors"}', value: 1 }
      - { expr: 'ALERTS{rule="page_slow",alertstate="firing"}', eval_time: 63m30s, exp_samples: [] }
      - expr: 'count by (rule) (ALERTS{rule="page_slow",alertstate="firing"})'
        eval_time: 64m
        exp_samples: [{ labels: '{rule="page_slow"}', value: 1 }]
      - expr: 'round(mcpcol:slo_ratio:5m * 1000)'
        eval_time: 68m30s
        exp_samples: [{ labels: '{slo="read_file errors"}', value: 1000 }]
"#;

#[test]
#[ignore = "needs Prometheus: scripts/peers otlp"]
fn prometheus_takes_the_rules_and_fires_when_the_engine_does() {
    let dir = tempfile::tempdir().unwrap();
    let slos = r#"[{ name: read_file errors, metric: error_rate, target: 1% },
        { name: 'a "b\c" {{x}}', metric: latency, target_p90: 800ms }]"#;
    let config = config(dir.path(), slos, "debug: {}");
    let rules = dir.path().join("rules.yaml");
    let status = mcpcol()
        .args(["slo", "rules", "--config"])
        .arg(&config)
        .arg("-o")
        .arg(&rules)
        .status()
        .unwrap();
    assert!(status.success());
    fs::write(dir.path().join("test.yaml"), AGREEMENT).unwrap();
    for args in [["check", "rules", "rules.yaml"], ["test", "rules", "test.yaml"]] {
        let mut promtool = Command::new(program("promtool"));
        let output = promtool.args(args).current_dir(dir.path()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

/// Debian's Alertmanager reads its templates where the package would be installed: here that is a mount of its own.
const IN_A_HOUSE_OF_ITS_OWN: &str = r#"
    mount -t tmpfs none /usr/share && mkdir /usr/share/prometheus &&
    ln -s "$1" /usr/share/prometheus/alertmanager && shift && exec "$@"
"#;

/// An Alertmanager of this test's own. It ends with this.
struct Alertmanager {
    server: Child,
    /// Read no further, but open: a server that cannot write its log may stop.
    _log: BufReader<ChildStderr>,
    address: String,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

impl Alertmanager {
    fn start(dir: &Path) -> Self {
        fs::write(dir.join("am.yaml"), "{route: {receiver: none}, receivers: [{name: none}]}")
            .unwrap();
        let templates = peers().join("prometheus/usr/share/prometheus/alertmanager");
        let mut server = Command::new("unshare")
            .args(["-rm", "sh", "-c", IN_A_HOUSE_OF_ITS_OWN, "sh"])
            .args([&templates, &program("prometheus-alertmanager")])
            .args(["--config.file=am.yaml", "--storage.path=am", "--cluster.listen-address="])
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Listening on") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "Alertmanager ended while it started");
        }
        let (_, rest) = line.split_once("address=").unwrap();
        let address = rest.split_whitespace().next().unwrap().trim_matches('"').to_owned();
        Alertmanager { server, _log: log, address }
    }

    /// The alerts that it has now, by rule.
    fn active(&self) -> Vec<Value> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET /api/v2/alerts HTTP/1.0\r\nhost: {}\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    fn eventually(&self, what: &str, holds: impl Fn(&[Value]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.active();
            if holds(&now) {
                return;
            }
            assert!(Instant::now() < deadline, "never: {what}: {now:?}");
            std::thread::yield_now();
        }
    }
}

#[test]
#[ignore = "needs Alertmanager: scripts/peers otlp"]
fn a_page_arrives_at_a_real_alertmanager_and_resolves() {
    let dir = tempfile::tempdir().unwrap();
    let alertmanager = Alertmanager::start(dir.path());
    let exporter = format!("alertmanager: {{ endpoint: 'http://{}' }}", alertmanager.address);
    // Windows of seconds, so that it is over in some.
    let slos = "[{ name: errors, metric: error_rate, target: 1%, alerts: [
        { name: fast, severity: page, factor: 14.4, long: 10s, short: 5s, keep_firing_for: 1s }] }]";
    let config = config(dir.path(), slos, &exporter);
    let mut tap = mcpcol()
        .args(["stdio", "--record", "off", "--config"])
        .arg(&config)
        .args(["--", env!("CARGO_BIN_EXE_mcpcol"), "demo-server"])
        .env("HOME", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = tap.stdin.take().unwrap();
    let call = |stdin: &mut std::process::ChildStdin, id: u64, tool: &str| {
        let params = json!({"name": tool, "arguments": {}});
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        writeln!(stdin, "{call}").unwrap();
    };
    (0..12).for_each(|id| call(&mut stdin, id, "write_file"));
    alertmanager.eventually("the page fires", |alerts| {
        alerts.iter().any(|alert| alert["status"]["state"] == "active")
    });
    let page = &alertmanager.active()[0];
    let labels =
        json!({ "alertname": "McpSloPage", "severity": "page", "slo": "errors", "rule": "fast" });
    assert_eq!(page["labels"], labels);
    assert!(
        page["annotations"]["summary"].as_str().unwrap().contains("burns its budget"),
        "{page}"
    );
    // It is mended, and used.
    (100..130).for_each(|id| call(&mut stdin, id, "read_file"));
    alertmanager.eventually("the page resolves", |alerts| alerts.is_empty());
    drop(stdin);
    assert!(tap.wait().unwrap().success());
}
