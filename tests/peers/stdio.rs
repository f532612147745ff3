//! The real binary between official SDK clients and real servers, and a real OpenTelemetry Collector
//! behind it. Needs what `scripts/peers stdio` installs, therefore ignored in plain `cargo test`; CI
//! installs it and runs these with `--ignored`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::common::{
    Collector, Driver, Span, attribute, bin, driver, named, peers, python, signal, spans,
};

/// A server's command line by the script that drives it; `{dir}` is the driver's scratch directory.
fn server(script: &str) -> Vec<String> {
    let npm = |name: &str| bin(name).to_str().unwrap().to_owned();
    match script {
        "everything" => vec![npm("mcp-server-everything"), "stdio".into()],
        "filesystem" => vec![npm("mcp-server-filesystem"), "{dir}".into()],
        "memory" => vec![npm("mcp-server-memory")],
        "modern" => {
            let path = driver("modern_server.py");
            vec![python().to_str().unwrap().into(), path.to_str().unwrap().into()]
        }
        other => panic!("no server for {other}"),
    }
}

/// `mcpcol stdio` with a config, in front of a server.
fn tapped(config: &Path, server: &[String]) -> Vec<String> {
    let mut line = vec![
        env!("CARGO_BIN_EXE_mcpcol").to_owned(),
        "stdio".into(),
        "--config".into(),
        config.to_str().unwrap().into(),
        "--".into(),
    ];
    line.extend_from_slice(server);
    line
}

fn drive(driver: Driver, script: &str, server: &[String]) -> Output {
    let mut to = vec!["--".to_owned()];
    to.extend_from_slice(server);
    driver.drive(script, &to)
}

fn config(dir: &TempDir, more: &[(&str, &str)]) -> (PathBuf, PathBuf) {
    super::common::config(dir, "mcp_stdio", more)
}

/// Drives a server directly and through the tap: the answers are the same, and there are spans.
fn same_answers(driver: Driver, script: &str) -> Vec<Span> {
    let dir = tempfile::tempdir().unwrap();
    let (config, spans_file) = config(&dir, &[]);
    let server = server(script);
    let direct = drive(driver, script, &server);
    let through = drive(driver, script, &tapped(&config, &server));
    assert_eq!(
        String::from_utf8_lossy(&through.stdout),
        String::from_utf8_lossy(&direct.stdout),
        "{script}: answers through the tap differ"
    );
    let spans = spans(&spans_file);
    assert!(!spans.is_empty());
    for span in &spans {
        assert!(span.end >= span.start, "{span:?}");
        assert!(!attribute(span, "mcpcol.outcome").is_empty(), "{span:?}");
        assert!(!attribute(span, "mcpcol.session.id").is_empty(), "{span:?}");
        assert_eq!(attribute(span, "network.transport"), "pipe");
    }
    spans
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn the_python_client_gets_the_same_answers_from_server_everything() {
    let spans = same_answers(Driver::PythonAuto, "everything");
    let probe = named(&spans, "server/discover");
    assert_eq!(attribute(probe[0], "mcpcol.outcome"), "client_error", "it knows no discover");
    let harm = (probe[0].status, attribute(probe[0], "error.type"));
    assert_eq!(harm, (0, ""), "which is how the client finds out");
    let traced: Vec<_> =
        spans.iter().filter(|s| s.trace == "0af7651916cd43dd8448eb211c80319c").collect();
    assert_eq!(traced.len(), 1, "one call carries the client's traceparent");
    assert_eq!(traced[0].name, "tools/call echo");
    assert_eq!(traced[0].parent, "b7ad6b7169203331");
    assert_eq!(traced[0].kind, 3);
    assert!(attribute(traced[0], "mcpcol.arguments.digest").starts_with("hmac-sha256:"));
    assert_eq!(attribute(traced[0], "mcp.protocol.version"), "2025-11-25");
    for asked in ["sampling/createMessage", "elicitation/create", "roots/list"] {
        let span = named(&spans, asked);
        assert!(!span.is_empty(), "no span of {asked}");
        assert_eq!(attribute(span[0], "mcpcol.initiator"), "server");
    }
    assert!(spans.iter().any(|s| attribute(s, "mcpcol.outcome") == "cancelled" && s.status == 0));
    assert!(spans.iter().any(|s| attribute(s, "error.type") == "tool_error" && s.status == 2));
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn the_python_client_in_the_legacy_era_gets_the_same_answers() {
    let spans = same_answers(Driver::PythonLegacy, "everything");
    assert!(named(&spans, "server/discover").is_empty());
    assert_eq!(named(&spans, "initialize").len(), 1);
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn the_python_client_gets_the_same_answers_from_a_modern_server() {
    let spans = same_answers(Driver::PythonAuto, "modern");
    assert!(named(&spans, "initialize").is_empty(), "the modern era has no handshake");
    let first = named(&spans, "server/discover");
    assert_eq!(attribute(first[0], "mcp.protocol.version"), "2026-07-28");
    assert!(spans.iter().any(|s| attribute(s, "mcpcol.outcome") == "input_required"));
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn a_modern_server_driven_in_the_legacy_era_gives_the_same_answers() {
    same_answers(Driver::PythonLegacy, "modern");
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn the_typescript_client_gets_the_same_answers_from_server_everything() {
    same_answers(Driver::TypeScript, "everything");
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn both_clients_get_the_same_answers_from_server_filesystem() {
    for driver in [Driver::PythonAuto, Driver::PythonLegacy, Driver::TypeScript] {
        let spans = same_answers(driver, "filesystem");
        assert!(spans.iter().any(|s| s.name.starts_with("tools/call ")));
    }
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn both_clients_get_the_same_answers_from_server_memory() {
    for driver in [Driver::PythonAuto, Driver::PythonLegacy, Driver::TypeScript] {
        same_answers(driver, "memory");
    }
}

// === A real OpenTelemetry Collector ===

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn a_real_collector_has_every_call_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::sink(dir.path());
    let otlp = format!(
        "{{ endpoint: \"127.0.0.1:{}\", tls: {{ insecure: true }}, sending_queue: {{ batch: {{}} }} }}",
        collector.grpc
    );
    let (config, file) = config(&dir, &[("otlp_grpc", &otlp)]);
    drive(Driver::PythonAuto, "everything", &tapped(&config, &server("everything")));
    let arrived = collector.stop();
    let written = spans(&file);
    assert!(written.len() > 20, "{} spans", written.len());
    assert_eq!(arrived, written, "what the Collector wrote is what the tap saw");
}

// === Ends ===

/// Processes whose command line has `mark` in it.
fn alive(mark: &str) -> Vec<String> {
    let output = Command::new("ps").args(["-eo", "pid=,args="]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| line.contains(mark)).map(str::to_owned).collect()
}

/// What is left once the processes that are ending have ended.
fn left(mark: &str) -> Vec<String> {
    let limit = Instant::now() + Duration::from_secs(5);
    loop {
        let alive = alive(mark);
        if alive.is_empty() || Instant::now() > limit {
            return alive;
        }
        std::thread::yield_now();
    }
}

/// A copy of a server under a path of its own, so that the process list can be searched for it.
fn marked(dir: &TempDir, script: &str) -> (Vec<String>, String) {
    let mark = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
    let path = dir.path().join(script);
    fs::copy(driver(script), &path).unwrap();
    (vec![python().to_str().unwrap().into(), path.to_str().unwrap().into()], mark)
}

/// Ways in which a host ends a server.
const HOSTS: [&str; 4] = ["python", "typescript", "eof", "sigterm"];

/// Starts a server as that host does and ends it as that host does.
fn open_and_close(host: &str, line: &[String]) {
    let mut command = match host {
        "python" => Command::new(python()),
        "typescript" => Command::new("node"),
        _ => return close_by_hand(host, line),
    };
    let script = if host == "python" { "close.py" } else { "close.mjs" };
    let output =
        command.arg(driver(script)).args(line).env("MCPCOL_PEERS", peers()).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "connected", "{talk}");
}

fn close_by_hand(host: &str, line: &[String]) {
    let mut server = Command::new(&line[0])
        .args(&line[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut to = server.stdin.take().unwrap();
    let mut from = BufReader::new(server.stdout.take().unwrap());
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"hand","version":"1"}}}"#;
    writeln!(to, "{hello}").unwrap();
    let mut answer = String::new();
    from.read_line(&mut answer).unwrap();
    assert!(answer.contains("protocolVersion"), "{answer}");
    match host {
        "eof" => drop(to),
        _ => signal(server.id(), "TERM"),
    }
    let limit = Instant::now() + Duration::from_secs(4);
    while server.try_wait().unwrap().is_none() {
        if Instant::now() > limit {
            server.kill().unwrap();
        }
        std::thread::yield_now();
    }
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn the_process_list_after_the_end_is_the_same_with_and_without_the_tap() {
    for host in HOSTS {
        let dir = tempfile::tempdir().unwrap();
        let (config, _) = config(&dir, &[]);
        let (server, mark) = marked(&dir, "modern_server.py");
        open_and_close(host, &server);
        assert_eq!(left(&mark), [""; 0], "{host}, directly");
        open_and_close(host, &tapped(&config, &server));
        assert_eq!(left(&mark), [""; 0], "{host}, through the tap");
    }
}

/// A configuration whose tap kills a server that stays a second after SIGTERM.
fn killing(dir: &TempDir) -> PathBuf {
    let (config, _) = config(dir, &[]);
    let yaml = fs::read_to_string(&config).unwrap();
    fs::write(&config, yaml.replace("mcp_stdio: {}", "mcp_stdio: { kill_after: 1s }")).unwrap();
    config
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn nothing_is_left_of_a_server_that_ignores_sigterm() {
    // Hosts that go on to SIGKILL: without the tap nothing is left then, and with it neither.
    for host in ["python", "typescript", "sigterm"] {
        let dir = tempfile::tempdir().unwrap();
        let config = killing(&dir);
        let (server, mark) = marked(&dir, "stubborn_server.py");
        open_and_close(host, &server);
        assert_eq!(left(&mark), [""; 0], "{host}, directly");
        open_and_close(host, &tapped(&config, &server));
        assert_eq!(left(&mark), [""; 0], "{host}, through the tap");
    }
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn a_tap_takes_a_deaf_server_along_where_a_setting_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = killing(&dir);
    let (server, _) = marked(&dir, "stubborn_server.py");
    let line = tapped(&config, &server);
    let mut tap = Command::new(&line[0])
        .args(&line[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut talk = BufReader::new(tap.stderr.take().unwrap());
    let mut first = String::new();
    talk.read_line(&mut first).unwrap();
    assert!(first.contains("started"), "{first}");
    let begun = Instant::now();
    signal(tap.id(), "TERM");
    let status = tap.wait().unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(1900), "took {took:?}");
    assert_eq!(status.signal(), Some(9), "as the server did");
}
