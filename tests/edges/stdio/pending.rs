//! The real binary around a server that hangs: it is said once, while the call waits and though nothing else comes.

use std::fs;
use std::io::Write;

use crate::process::{Log, eventually, mcpcol, text};

const CONFIG: &str = "receivers: { mcp_stdio: { name: desk, pending_after: 100ms } }
processors: { redaction: {} }
exporters: { file: { path: spans.jsonl }, file/logs: { path: logs.jsonl } }
service:
  pipelines:
    traces: { receivers: [mcp_stdio], processors: [redaction], exporters: [file] }
    logs: { receivers: [mcp_stdio], processors: [redaction], exporters: [file/logs] }
";
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"lookup"}}"#;

#[test]
fn a_call_that_hangs_is_said_once() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::write(at("config.yaml"), CONFIG).unwrap();
    let mut command = mcpcol(home.path());
    let hangs = "cat >/dev/null";
    command.args(["stdio", "--config", "config.yaml", "--", "sh", "-c", hangs]);
    let mut tap = command.current_dir(home.path()).spawn().unwrap();
    let mut to = tap.stdin.take().unwrap();
    to.write_all(format!("{CALL}\n").as_bytes()).unwrap();
    let logs = || fs::read_to_string(at("logs.jsonl")).unwrap_or_default();
    eventually("the call is said", || logs().contains("mcpcol.pending.seconds"));
    drop(to);
    assert!(tap.wait().unwrap().success());
    assert_eq!(Log::of(&mut tap).all(), "", "agents' hosts count lines on stderr as errors");
    assert_eq!(logs().matches("\"mcpcol.pending\"").count(), 1, "{}", logs());
    // The span comes with the end, and is the one that was told of.
    let span = fs::read_to_string(at("spans.jsonl")).unwrap();
    let (_, id) = span.split_once("\"spanId\":\"").unwrap();
    assert!(logs().contains(&format!("\"spanId\":\"{}\"", &id[..16])), "{span}\n{}", logs());
    let shown = mcpcol(home.path()).args(["logs"]).arg(at("logs.jsonl")).output().unwrap();
    let shown = text(&shown.stdout);
    let line = shown.trim_end();
    assert!(line.contains("  desk  WARN   pending  no answer after "), "{line}");
    assert!(line.ends_with(" s (tools/call, lookup)"), "{line}");
}
