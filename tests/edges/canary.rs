//! Secrets are planted wherever a session has a place for text, and everything that leaves the real binary is
//! searched for them: files, what backends get, stdout of exporters, our own lines on stderr. Forwarded traffic and the
//! server's own lines on stderr are set aside: they are nobody's to change.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::client::{Answer, Client};
use crate::origin::{Nobody, Origin};
use crate::process::{Log, mcpcol, signal};

/// The secrets of one test: some have a shape, one is known because a variable holds it.
struct Canaries {
    /// A token of GitHub's form.
    token: String,
    /// A password, in URLs and under names.
    password: String,
    /// A text that only its place in the environment makes a secret.
    shapeless: String,
}

impl Canaries {
    fn new() -> Self {
        let random = |n: usize| -> String {
            let digits =
                "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".as_bytes();
            (0..n).map(|_| char::from(digits[rand::random_range(0..digits.len())])).collect()
        };
        Canaries {
            token: ["gh", "p_", &random(36)].concat(),
            password: format!("Pw{}9x", random(12)),
            shapeless: format!("kettle-{}-window", random(6)),
        }
    }

    fn all(&self) -> [&str; 3] {
        [&self.token, &self.password, &self.shapeless]
    }

    /// Panics if any of them is in `bytes`, as it is or in base64, hex, or percent-encoded.
    fn are_not_in(&self, what: &str, bytes: &[u8]) {
        for secret in self.all() {
            let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
            let mut forms =
                vec![secret.to_owned(), secret.replace('-', "%2D"), hex.to_uppercase(), hex];
            for before in 0..3 {
                let padded = [&vec![b' '; before], secret.as_bytes()].concat();
                let encoded = STANDARD_NO_PAD.encode(&padded);
                let inner = &encoded[[0, 2, 3][before]..encoded.len() - 2];
                forms.push(inner.to_owned());
            }
            for form in forms {
                let at = bytes.windows(form.len()).position(|window| window == form.as_bytes());
                assert!(
                    at.is_none(),
                    "{what} has {form} at {}:\n{}",
                    at.unwrap(),
                    String::from_utf8_lossy(bytes)
                );
            }
        }
    }

    /// Makes the requests of a client that trusts nobody to look.
    fn requests(&self) -> Vec<String> {
        let Canaries { token, password, shapeless } = self;
        vec![
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-06-18","clientInfo":{{"name":"client {token}","version":"{shapeless}"}},"capabilities":{{}}}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"login","arguments":{{"password":"{password}","note":"{token}","{token}":1}},"_meta":{{"baggage":"k={token}"}}}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{{"name":"t_{token}","arguments":{{}}}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","id":4,"method":"resources/read","params":{{"uri":"https://u:{password}@h/x?token={password}#{token}"}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","id":"{token}","method":"prompts/get","params":{{"name":"{token}"}}}}"#
            ),
            format!(r#"{{"jsonrpc":"2.0","id":6,"method":"x/{token}","params":{{}}}}"#),
        ]
    }

    /// Makes the answers of a server that echoes all it was told and knows.
    fn answers(&self) -> Vec<String> {
        let Canaries { token, password, shapeless } = self;
        vec![
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"protocolVersion":"2025-06-18","serverInfo":{{"name":"server {token}","version":"1"}},"capabilities":{{}}}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","id":2,"result":{{"content":[{{"type":"text","text":"401: password={password} token {token} key {shapeless}"}}],"isError":true}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","id":3,"result":{{"content":[{{"type":"text","text":"{token} {shapeless}"}}]}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","id":4,"error":{{"code":-32000,"message":"GET https://u:{password}@h/x failed: {shapeless}"}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","id":"{token}","error":{{"code":-32602,"message":"{shapeless}"}}}}"#
            ),
            format!("this is no JSON: {token} password={password} {shapeless}"),
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"error","logger":"l {token}","data":{{"password":"{password}","key":"{shapeless}"}}}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","id":6,"error":{{"code":-32601,"message":"Authorization: Bearer {token}"}}}}"#
            ),
        ]
    }

    /// A server that answers each line by the next of its answers, and says them on stderr, too.
    fn server(&self, dir: &Path) -> Command {
        fs::write(dir.join("answers"), self.answers().join("\n") + "\n").unwrap();
        let script = "exec 3<answers; answer() { read -r answer <&3; printf '%s\\n' \"$answer\"; \
                      printf 'server: %s\\n' \"$answer\" >&2; }; while read -r line; do answer; \
                      case $answer in this*) answer; answer;; esac; done";
        let mut command = mcpcol(dir);
        command.current_dir(dir).env("XDG_STATE_HOME", dir.join("state"));
        command.env("APP_SECRET", &self.shapeless).arg("stdio");
        command.env("CANARY_SCRIPT", script);
        command
    }
}

/// Talks to the end; returns what mcpcol itself said on stderr.
fn talk(canaries: &Canaries, mut command: Command) -> Vec<u8> {
    let mut child = command.args(["--", "sh", "-c", "eval \"$CANARY_SCRIPT\""]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut stderr = child.stderr.take().unwrap();
    let said = thread::spawn(move || {
        let mut said = Vec::new();
        stderr.read_to_end(&mut said).map(|_| said)
    });
    for (i, request) in canaries.requests().iter().enumerate() {
        writeln!(stdin, "{request}").unwrap();
        // The last has three lines: text that is no JSON, a log notification, and its answer.
        for _ in 0..if i == 5 { 3 } else { 1 } {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "the server answers");
        }
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let said = said.join().unwrap().unwrap();
    let (of_server, own): (Vec<_>, Vec<_>) =
        said.split_inclusive(|b| *b == b'\n').partition(|line| line.starts_with(b"server: "));
    assert_eq!(of_server.len(), canaries.answers().len(), "the server's lines pass");
    own.concat()
}

/// A backend that takes whatever comes, and remembers it.
fn sink() -> (Origin, Arc<Mutex<Vec<u8>>>) {
    let taken = Arc::<Mutex<Vec<u8>>>::default();
    let all = Arc::clone(&taken);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            let mut taken = all.lock().unwrap();
            taken.extend_from_slice(asked.text().as_bytes());
            taken.extend_from_slice(&body);
            drop(taken);
            conn.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    (origin, taken)
}

/// Every file below a directory but the script of the server.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != "answers") {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    all
}

fn search(canaries: &Canaries, dir: &TempDir) -> Vec<u8> {
    let files = files(dir.path());
    for (name, bytes) in &files {
        canaries.are_not_in(name, bytes);
        canaries.are_not_in("a file's name", name.as_bytes());
    }
    files.into_iter().flat_map(|(_, bytes)| bytes).collect()
}

fn has(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

#[test]
fn nothing_leaves_the_built_in_pipeline() {
    for capture in
        ["errors=redacted", "arguments=redacted,results=redacted,errors=redacted", "arguments=keys"]
    {
        let (canaries, dir) = (Canaries::new(), tempfile::tempdir().unwrap());
        let mut command = canaries.server(dir.path());
        command.args(["--capture", capture]);
        let said = talk(&canaries, command);
        canaries.are_not_in("stderr", &said);
        let written = search(&canaries, &dir);
        // It was there to be masked: a call that failed says why, without the secrets of it.
        let shown = String::from_utf8_lossy(&written);
        assert!(shown.contains("[REDACTED:"), "{shown}");
        for record in
            ["\"server: this is no JSON: [REDACTED:", "notifications/message", "mcpcol.finding"]
        {
            assert!(shown.contains(record), "{record} in {shown}");
        }
        if capture != "arguments=keys" {
            assert!(has(&written, "401: password=[REDACTED:"));
        }
    }
}

#[test]
fn nothing_leaves_by_any_exporter_nor_when_it_fails() {
    for alive in [true, false] {
        let (canaries, dir) = (Canaries::new(), tempfile::tempdir().unwrap());
        let ((zipkin, to_zipkin), (otlp, to_otlp)) = (sink(), sink());
        let nobody = Nobody::new();
        let address = |origin: &Origin| match alive {
            true => origin.address.clone(),
            false => format!("127.0.0.1:{}", nobody.port),
        };
        let path = if alive { "spans.jsonl" } else { "nowhere/spans.jsonl" };
        let config = format!(
            "receivers:\n  mcp_stdio: {{ capture: {{ arguments: redacted, results: redacted, errors: redacted, stderr: redacted, log_messages: redacted }} }}\n\
             processors: {{ redaction: {{ summary: debug }} }}\n\
             exporters:\n  debug: {{ verbosity: detailed }}\n  file: {{ path: {path} }}\n  file/logs: {{ path: {path}.logs }}\n  \
             zipkin: {{ endpoint: \"http://{}/api/v2/spans\", retry_on_failure: {{ enabled: false }} }}\n  \
             otlp_http: {{ endpoint: \"http://{}\", compression: none, retry_on_failure: {{ enabled: false }} }}\n\
             service:\n  telemetry: {{ logs: {{ level: debug }} }}\n  pipelines:\n    \
             traces: {{ receivers: [mcp_stdio], processors: [redaction], exporters: [debug, file, zipkin, otlp_http] }}\n    \
             logs: {{ receivers: [mcp_stdio], processors: [redaction], exporters: [debug, file/logs, otlp_http] }}\n",
            address(&zipkin),
            address(&otlp)
        );
        fs::write(dir.path().join("config.yaml"), config).unwrap();
        let mut command = canaries.server(dir.path());
        command.args(["--config", "config.yaml"]);
        let said = talk(&canaries, command);
        canaries.are_not_in("stderr", &said);
        assert!(
            has(&said, "[REDACTED:github]"),
            "debug shows spans: {}",
            String::from_utf8_lossy(&said)
        );
        search(&canaries, &dir);
        for (what, taken) in [("zipkin", to_zipkin), ("otlp_http", to_otlp)] {
            let taken = taken.lock().unwrap();
            canaries.are_not_in(what, &taken);
            assert_eq!(has(&taken, "[REDACTED:github]"), alive, "{what}");
        }
    }
}

/// An HTTP MCP server that puts all it was sent, credentials too, into a result that failed.
fn echo_server() -> Origin {
    Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            let id: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let text = format!("{} {}", asked.text(), String::from_utf8_lossy(&body));
            let result =
                serde_json::json!({"content": [{"type": "text", "text": text}], "isError": true});
            let answer = serde_json::json!({"jsonrpc": "2.0", "id": id["id"], "result": result});
            conn.json(&answer.to_string());
        }
    })
}

/// Sends a request, with more header lines, and reads the answer.
fn post(address: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut client = Client::to(address);
    let length = body.len();
    client.send(format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         {headers}content-length: {length}\r\n\r\n{body}"
    ));
    client.answer()
}

/// Runs `mcpcol run` while `act` acts on the address where it listens; what it said.
fn running(dir: &TempDir, config: &str, act: impl FnOnce(&str)) -> Vec<u8> {
    fs::write(dir.path().join("config.yaml"), config).unwrap();
    let mut command = mcpcol(dir.path());
    command.current_dir(dir.path()).args(["run", "--config", "config.yaml"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut log = Log::of(&mut child);
    let address = log.address("listening");
    act(&address);
    signal(&child, Signal::TERM);
    let said = log.all();
    assert!(child.wait().unwrap().success());
    said.into_bytes()
}

#[test]
fn credentials_that_pass_over_http_are_on_no_span_of_their_exchange() {
    let (canaries, dir) = (Canaries::new(), tempfile::tempdir().unwrap());
    let upstream = echo_server();
    let config = format!(
        "receivers:\n  mcp_http:\n    endpoint: 127.0.0.1:0\n    \
         capture: {{ arguments: redacted, results: redacted, errors: redacted, max_bytes: 65536 }}\n    \
         routes: [{{ upstream: \"{}\" }}]\n\
         processors: {{ redaction: {{}} }}\nexporters: {{ file: {{ path: spans.jsonl }} }}\n\
         service: {{ pipelines: {{ traces: {{ receivers: [mcp_http], processors: [redaction], exporters: [file] }} }} }}\n",
        upstream.url()
    );
    let said = running(&dir, &config, |address| {
        let Canaries { token, password, shapeless } = &canaries;
        for headers in [
            format!("authorization: Bearer {shapeless}\r\n"),
            format!("x-api-key: {shapeless}\r\ncookie: a={shapeless}; b={token}\r\n"),
            format!("mcp-session-id: {shapeless}\r\n"),
        ] {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"t","arguments":{{"secret":"{password}","echo":"{shapeless}"}}}}}}"#
            );
            let answer = post(address, "/mcp", &headers, &body);
            let text = answer.text();
            assert!(text.contains(shapeless.as_str()), "what passes is not changed: {text}");
        }
    });
    canaries.are_not_in("stderr", &said);
    let written = search(&canaries, &dir);
    assert!(has(&written, "[REDACTED:known_value]"), "{}", String::from_utf8_lossy(&written));
}

#[test]
fn what_others_send_by_otlp_leaves_without_secrets() {
    let (canaries, dir) = (Canaries::new(), tempfile::tempdir().unwrap());
    let pipeline = "{ receivers: [otlp], processors: [redaction], exporters: [file, debug] }";
    let config = format!(
        "receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: \"127.0.0.1:0\" }} }} }} }}\n\
         processors: {{ redaction: {{}} }}\n\
         exporters: {{ file: {{ path: out.jsonl }}, debug: {{ verbosity: detailed }} }}\n\
         service: {{ pipelines: {{ traces: {pipeline}, metrics: {pipeline}, logs: {pipeline} }} }}\n"
    );
    let said = running(&dir, &config, |address| {
        let Canaries { token, password, .. } = &canaries;
        let attributes = format!(
            r#"[{{"key":"k","value":{{"stringValue":"{token}"}}}},{{"key":"db.password","value":{{"stringValue":"{password}"}}}},{{"key":"{token}","value":{{"boolValue":true}}}}]"#
        );
        let ids = r#""traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708""#;
        for (signal, body) in [
            (
                "traces",
                format!(
                    r#"{{"resourceSpans":[{{"resource":{{"attributes":{attributes}}},"schemaUrl":"{token}","scopeSpans":[{{"scope":{{"name":"{token}","attributes":{attributes}}},"spans":[{{{ids},"name":"{token}","traceState":"a={token}","attributes":{attributes},"events":[{{"name":"{token}","attributes":{attributes}}}],"links":[{{{ids},"traceState":"a={token}","attributes":{attributes}}}],"status":{{"code":2,"message":"password={password}"}}}}]}}]}}]}}"#
                ),
            ),
            (
                "metrics",
                format!(
                    r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m.{token}","description":"{token}","unit":"{token}","metadata":{attributes},"sum":{{"dataPoints":[{{"asInt":"1","attributes":{attributes},"exemplars":[{{"filteredAttributes":{attributes}}}]}}]}}}}]}}]}}]}}"#
                ),
            ),
            (
                "logs",
                format!(
                    r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"severityText":"{token}","eventName":"{token}","attributes":{attributes},"body":{{"kvlistValue":{{"values":{attributes}}}}}}}]}}]}}]}}"#
                ),
            ),
        ] {
            let answer = post(address, &format!("/v1/{signal}"), "", &body);
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    });
    canaries.are_not_in("stderr", &said);
    assert!(has(&search(&canaries, &dir), "[REDACTED:github]"));
}
