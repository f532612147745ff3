//! What the spans of a stdio tap without a configuration say of their traces and of who ended a call.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{mcpcol, signal};
use crate::spans::{attribute, record_in, spans_in};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

/// `mcpcol stdio` in a home of its own, in front of a shell script.
struct Tap {
    home: TempDir,
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Tap {
    fn start(set: &[&str], script: &str) -> Tap {
        let home = tempfile::tempdir().unwrap();
        let mut command = mcpcol(home.path());
        command.arg("stdio");
        set.iter().for_each(|set| {
            command.args(["--set", set]);
        });
        command.args(["--", "sh", "-c", script]).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let (to, from) = (process.stdin.take(), process.stdout.take().unwrap());
        Tap { home, process, to, from: BufReader::new(from) }
    }

    /// Sends a line and waits for one.
    fn ask(&mut self, line: &str) {
        writeln!(self.to.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        assert!(self.from.read_line(&mut answer).unwrap() > 0);
    }

    /// Waits for the end; the spans by request id.
    fn spans(mut self) -> Vec<Value> {
        self.process.wait().unwrap();
        let record = record_in(&self.home.path().join(".local/state/mcpcol")).unwrap();
        let mut spans = spans_in(&record);
        spans.sort_by_key(|span| attribute(span, "jsonrpc.request.id"));
        spans
    }
}

/// A server that answers the requests 0 and 1 and then waits for its end.
const TWO: &str = r#"
read a; echo '{"jsonrpc":"2.0","id":0,"result":{}}'
read b; echo '{"jsonrpc":"2.0","id":1,"result":{}}'
exec cat"#;

/// Two calls, one of which its caller did not sample.
#[test]
fn calls_that_were_not_sampled_are_in_the_record_and_nowhere_else() {
    let set = [
        "exporters::file/kept::path=kept.jsonl",
        "service::pipelines::traces::exporters=[file, file/kept]",
    ];
    let home = tempfile::tempdir().unwrap();
    let mut command = mcpcol(home.path());
    command.current_dir(home.path()).arg("stdio");
    set.iter().for_each(|set| {
        command.args(["--set", set]);
    });
    let mut process = command.args(["--", "sh", "-c", TWO]).spawn().unwrap();
    let mut to = process.stdin.take().unwrap();
    for (id, flags) in [(0, "00"), (1, "01")] {
        let meta = format!("{{\"traceparent\":\"{}{flags}\"}}", &PARENT[..53]);
        writeln!(
            to,
            r#"{{"jsonrpc":"2.0","id":{id},"method":"ping","params":{{"_meta":{meta}}}}}"#
        )
        .unwrap();
    }
    drop(to);
    let output = process.wait_with_output().unwrap();
    let ids = |file: &Path| -> Vec<String> {
        let id = |span| attribute(span, "jsonrpc.request.id");
        let mut ids: Vec<_> = spans_in(file).iter().filter_map(id).collect();
        ids.sort();
        ids
    };
    let record = record_in(&home.path().join(".local/state/mcpcol")).unwrap();
    assert_eq!(ids(&record), ["0", "1"]);
    assert_eq!(ids(&home.path().join("kept.jsonl")), ["1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("received=2 sent=1 dropped=1 (unsampled=1) held=0"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

fn two(set: &[&str]) -> Vec<Value> {
    let mut tap = Tap::start(set, TWO);
    tap.ask(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#);
    tap.ask(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{{"traceparent":"{PARENT}"}}}}}}"#
    ));
    tap.to = None;
    let spans = tap.spans();
    assert_eq!(spans.len(), 2);
    spans
}

#[test]
fn a_session_is_one_trace_unless_its_client_or_its_user_says_otherwise() {
    let traces = |set: &[&str]| {
        two(set).iter().map(|s| s["traceId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(traces(&[])[1], PARENT[3..35]);
    let own = traces(&["receivers::mcp_stdio::parent=own"]);
    assert_eq!(own[0], own[1]);
    let set = ["receivers::mcp_stdio::parent=own", "receivers::mcp_stdio::trace=request"];
    let each = traces(&set);
    assert_ne!(each[0], each[1]);
}

#[test]
fn a_client_that_others_do_not_export_for_is_linked_to() {
    let spans = two(&["receivers::mcp_stdio::parent=link"]);
    assert_eq!(spans[0]["traceId"], spans[1]["traceId"]);
    assert!(spans[0]["links"].is_null());
    assert_eq!(spans[1]["links"][0]["traceId"], PARENT[3..35]);
    assert_eq!(spans[1]["links"][0]["spanId"], PARENT[36..52]);
}

/// A server that leaves its first request unanswered.
const SILENT: &str = "read a; echo ready; exec cat";

#[test]
fn an_open_call_tells_whether_its_client_left_or_the_tap_was_stopped() {
    for by in ["disconnect", "tap"] {
        let mut tap = Tap::start(&[], SILENT);
        tap.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#);
        match by {
            "tap" => signal(&tap.process, Signal::TERM),
            _ => tap.to = None,
        }
        let spans = tap.spans();
        assert_eq!(attribute(&spans[0], "mcpcol.outcome").as_deref(), Some("cancelled"), "{by}");
        assert_eq!(attribute(&spans[0], "mcpcol.cancelled.by").as_deref(), Some(by));
    }
}
