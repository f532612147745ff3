//! mcpcol and a real Collector side by side, with the same settings of redaction and the same telemetry: where the
//! Collector hides something, so does mcpcol. Needs what `scripts/peers otlp` installs, therefore ignored in plain
//! `cargo test`; CI installs it and runs these with `--ignored`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::common::{Collector, free_port, listening, signal};

/// Blocks of settings as people have them in Collector configurations, with `allow_all_keys` written.
const SETTINGS: [&str; 5] = [
    r#"{ allow_all_keys: false, allowed_keys: [description, group, id, name, note, number, list, map],
         ignored_keys: [safe_attribute], redact_all_types: true,
         blocked_key_patterns: [".*token.*", ".*api_key.*"],
         blocked_values: ["4[0-9]{12}(?:[0-9]{3})?", "(5[1-5][0-9]{14})", "MARK-[0-9]+"],
         allowed_values: [".+@mycompany.com"], summary: debug }"#,
    r#"{ allow_all_keys: true, blocked_values: ["MARK-[0-9]+"], redact_all_types: true }"#,
    r#"{ allow_all_keys: true, blocked_key_patterns: ["note", "^map$"], hash_function: sha1, summary: info }"#,
    r#"{ allow_all_keys: true, ignored_key_patterns: ["^safe_"], blocked_values: ["MARK-[0-9]+"],
         hash_function: md5, redact_all_types: true, summary: silent }"#,
    r#"{ allow_all_keys: true, blocked_values: ["MARK-[0-9]+"],
         url_sanitizer: { enabled: true, attributes: [http.url] },
         db_sanitizer: { sql: { enabled: true, attributes: [db.statement] } } }"#,
];

/// Makes marks, each of which stands at one place only.
struct Marks(u32);

impl Marks {
    fn next(&mut self) -> String {
        self.0 += 1;
        format!("MARK-{:05}", self.0)
    }

    /// Attributes of all kinds, with a mark in each.
    fn attributes(&mut self) -> Value {
        let text = |key: &str, value: String| json!({"key": key, "value": {"stringValue": value}});
        let mut all: Vec<Value> =
            ["description", "note", "other", "my_token", "safe_attribute", "api_key_x"]
                .map(|key| text(key, format!("some {} here", self.next())))
                .into();
        all.push(text(
            "http.url",
            format!("https://h.example/users/{}?q={}", self.next(), self.next()),
        ));
        all.push(text("db.statement", format!("SELECT * FROM t WHERE a = '{}'", self.next())));
        all.push(text("note.mail", format!("{}@mycompany.com", self.next())));
        all.push(
            json!({"key": "number", "value": {"intValue": format!("41111111111{:05}", self.0)}}),
        );
        all.push(json!({"key": "list", "value": {"arrayValue": {"values": [
            {"stringValue": self.next()}, {"stringValue": format!("x {}", self.next())}]}}}));
        all.push(json!({"key": "map", "value": {"kvlistValue": {"values": [
            text("inner", self.next()), text("note", self.next())]}}}));
        Value::Array(all)
    }

    fn requests(&mut self) -> [(&'static str, Value); 3] {
        let ids =
            json!({"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708"});
        let mut span = ids.clone();
        span["name"] = format!("GET /users/{}", self.next()).into();
        span["kind"] = 3.into();
        span["attributes"] = self.attributes();
        span["status"] = json!({"code": 2, "message": self.next()});
        span["events"] = json!([{"name": self.next(), "attributes": self.attributes()}]);
        span["links"] = json!([{"traceId": ids["traceId"], "spanId": ids["spanId"], "attributes": self.attributes()}]);
        let point = json!({"asInt": "1", "timeUnixNano": "1", "attributes": self.attributes()});
        let record = json!({"body": {"stringValue": format!("body {}", self.next())}, "attributes": self.attributes()});
        let entries = self.attributes();
        let mapped = json!({"body": {"kvlistValue": {"values": entries}}});
        let mut around = |items: Value, levels: [&str; 3]| {
            let scope = json!({"name": "scope", "attributes": self.attributes()});
            let resource = json!({"attributes": self.attributes()});
            json!({levels[0]: [{"resource": resource, levels[1]: [{"scope": scope, levels[2]: items}]}]})
        };
        [
            ("traces", around(json!([span]), ["resourceSpans", "scopeSpans", "spans"])),
            (
                "metrics",
                around(
                    json!([{"name": "m", "gauge": {"dataPoints": [point]}}]),
                    ["resourceMetrics", "scopeMetrics", "metrics"],
                ),
            ),
            ("logs", around(json!([record, mapped]), ["resourceLogs", "scopeLogs", "logRecords"])),
        ]
    }
}

fn post(port: u16, signal: &str, body: &Value) {
    let body = body.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "POST /v1/{signal} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{signal}: {answer}");
}

/// Sends the requests through mcpcol with these settings; returns the lines that it writes.
fn through_mcpcol(dir: &Path, settings: &str, requests: &[(&str, Value)]) -> String {
    let (port, file) = (free_port(), dir.join("mcpcol.jsonl"));
    let pipeline = "{ receivers: [otlp], processors: [redaction], exporters: [file] }";
    let yaml = format!(
        "receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: \"127.0.0.1:{port}\" }} }} }} }}\n\
         processors:\n  redaction: {settings}\nexporters: {{ file: {{ path: {} }} }}\n\
         service:\n  telemetry: {{ metrics: {{ level: none }} }}\n  pipelines:\n    traces: {pipeline}\n    \
         metrics: {pipeline}\n    logs: {pipeline}\n",
        file.display()
    );
    fs::write(dir.join("mcpcol.yaml"), yaml).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_mcpcol"))
        .args(["run", "--config"])
        .arg(dir.join("mcpcol.yaml"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    listening(port, "mcpcol");
    requests.iter().for_each(|(signal, body)| post(port, signal, body));
    signal(child.id(), "TERM");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read_to_string(file).unwrap()
}

/// The same through the Collector, which is asked again where it has not written all: what it has lost it does not
/// hide.
fn through_the_collector(dir: &Path, settings: &str, requests: &[(&str, Value)]) -> String {
    let settings = settings.replace('\n', " ");
    for _ in 0..5 {
        let collector = Collector::with("otelcol-redaction.yaml", dir, &[("REDACTION", &settings)]);
        requests.iter().for_each(|(signal, body)| post(collector.http, signal, body));
        let whole = collector.has_written(requests.len());
        let file = collector.end();
        if whole {
            return fs::read_to_string(file).unwrap();
        }
        fs::remove_file(file).ok();
    }
    panic!("the Collector loses requests each time");
}

/// The marks, and other telling numbers, that a text shows.
fn shown(text: &str) -> BTreeSet<String> {
    let numbers = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let telling = |word: &&str| word.starts_with("MARK-") || word.starts_with("41111111111");
    numbers.filter(telling).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn nothing_that_the_collector_hides_is_shown() {
    for settings in SETTINGS {
        let dir = tempfile::tempdir().unwrap();
        let requests = Marks(0).requests();
        let sent: String = requests.iter().map(|(_, body)| body.to_string()).collect();
        let theirs = shown(&through_the_collector(dir.path(), settings, &requests));
        let ours = shown(&through_mcpcol(dir.path(), settings, &requests));
        let all = shown(&sent);
        assert!(theirs.len() < all.len(), "{settings}: the Collector hides something");
        let leaks: Vec<_> = ours.difference(&theirs).collect();
        assert!(leaks.is_empty(), "{settings}: shown here and hidden there: {leaks:?}");
        eprintln!(
            "of {} marks the Collector shows {}, mcpcol {}",
            all.len(),
            theirs.len(),
            ours.len()
        );
    }
}
