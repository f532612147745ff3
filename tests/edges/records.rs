//! The real binary's commands that read recorded spans: `stats`, `sessions`, `show`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{MCPCOL, mcpcol, text};

const NO_RECORDS: &str = "mcpcol: no records here: wrap a server with `mcpcol stdio --`\n";

fn run(home: &TempDir, args: &[&str]) -> Output {
    mcpcol(home.path()).args(args).stdin(Stdio::null()).output().unwrap()
}

/// What it prints as JSON, and what it says.
fn asked(home: &TempDir, args: &[&str]) -> (Value, String) {
    let output = run(home, &[args, &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["version"], 1);
    (answer, text(&output.stderr))
}

fn state(home: &TempDir) -> PathBuf {
    let dir = home.path().join(".local/state/mcpcol");
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// The demo's server behind a tap without a configuration, in a home.
fn tap(home: &TempDir, name: &str, tools: &[&str]) {
    let call = |(id, tool): (usize, &&str)| {
        let params = json!({"name": tool, "arguments": {}});
        format!(
            "{}\n",
            json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
        )
    };
    let hello = json!({"jsonrpc": "2.0", "id": "i", "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "agent", "version": "1"},
    }});
    let lines: String = tools.iter().enumerate().map(call).collect();
    let args = ["stdio", "--name", name, "--", MCPCOL, "demo-server"];
    let mut tap = mcpcol(home.path()).args(args).spawn().unwrap();
    write!(tap.stdin.take().unwrap(), "{hello}\n{lines}").unwrap();
    let output = tap.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout).lines().count(), tools.len() + 1, "{}", text(&output.stderr));
}

/// A span of a tap's, or of whoever has another scope; it takes 2 ms.
fn span(id: u8, attributes: Value) -> Value {
    let attributes: Vec<_> = attributes
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| {
            let kind = if value.is_boolean() { "boolValue" } else { "stringValue" };
            json!({"key": key, "value": {kind: value}})
        })
        .collect();
    json!({
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": format!("{id:016x}"),
        "name": "tools/call", "kind": 3, "attributes": attributes,
        "startTimeUnixNano": "1796122010000000000", "endTimeUnixNano": "1796122010002000000",
    })
}

fn line(scope: &str, spans: &[Value]) -> String {
    let server = json!({"key": "mcpcol.server.name", "value": {"stringValue": "files"}});
    let document = json!({"resourceSpans": [{
        "resource": {"attributes": [server]},
        "scopeSpans": [{"scope": {"name": scope}, "spans": spans}],
    }]});
    format!("{document}\n")
}

fn call(id: u8, tool: &str) -> Value {
    span(
        id,
        json!({"mcp.method.name": "tools/call", "gen_ai.tool.name": tool, "mcpcol.outcome": "ok"}),
    )
}

fn append(file: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn without_records_the_commands_say_how_to_get_some() {
    let home = tempfile::tempdir().unwrap();
    for command in ["stats", "sessions"] {
        let output = run(&home, &[command]);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), NO_RECORDS.into()));
        assert!(output.stdout.is_empty());
    }
    let output = run(&home, &["show", "abcd"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).ends_with(NO_RECORDS), "{}", text(&output.stderr));
    let output = run(&home, &["stats", "nowhere.jsonl"]);
    assert_eq!(output.status.code(), Some(2), "it cannot be read");
}

#[test]
fn the_commands_tell_what_taps_saw() {
    let home = tempfile::tempdir().unwrap();
    tap(&home, "files", &["read_file", "read_file", "write_file"]);
    tap(&home, "other", &["no_such_tool"]);
    let (stats, said) = asked(&home, &["stats"]);
    let rows = stats["rows"].as_array().unwrap();
    let row = |tool: &str| rows.iter().find(|row| row["tool"] == tool).unwrap();
    assert_eq!(rows.len(), 5, "{stats}");
    assert_eq!((&row("read_file")["count"], &row("read_file")["errors"]), (&json!(2), &json!(0)));
    assert_eq!(row("write_file")["errors_by_class"], json!({"tool_error": 1}));
    assert_eq!(row("no_such_tool")["errors_by_class"], json!({"client_error": 1}));
    assert!(row("read_file")["p50_ms"].as_f64().unwrap() > 0.5, "{stats}");
    assert_eq!(row("read_file")["p95_ms"], Value::Null, "of two calls nothing is known of that");
    assert!(row("read_file")["response_bytes"].as_u64().unwrap() > 1000);
    assert!(said.contains(" 6 calls") && said.contains("2 lines"), "{said}");

    let (by_server, _) = asked(&home, &["stats", "--by", "server", "--window", "1h"]);
    let counts = |row: &Value| [row["count"].clone(), row["window"]["count"].clone()];
    let rows = by_server["rows"].as_array().unwrap();
    assert_eq!(
        rows.iter().map(counts).collect::<Vec<_>>(),
        [[json!(4), json!(4)], [json!(2), json!(2)]]
    );

    let (sessions, _) = asked(&home, &["sessions"]);
    let rows = sessions["rows"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &rows[0]["server"], &rows[1]["server"]),
        (2, &json!("files"), &json!("other"))
    );
    assert_eq!((&rows[0]["count"], &rows[0]["errors"]), (&json!(4), &json!(1)));
    assert_eq!(
        (&rows[0]["client"], &rows[0]["last_call"]),
        (&json!("agent"), &json!("tools/call write_file"))
    );

    let id = rows[0]["session"].as_str().unwrap();
    let (show, _) = asked(&home, &["show", &id[..8]]);
    let called: Vec<_> =
        show["rows"].as_array().unwrap().iter().map(|row| row["method"].clone()).collect();
    assert_eq!(called, ["initialize", "tools/call", "tools/call", "tools/call"]);
    let (stats, _) = asked(&home, &["stats", &id[..8]]);
    assert_eq!(stats["rows"].as_array().unwrap().len(), 3, "of this session alone");
    // A prefix that all have.
    let output = run(&home, &["show", ""]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("2 sessions begin with"), "{}", text(&output.stderr));
}

#[test]
fn what_is_torn_foreign_or_told_twice_is_passed_over_and_counted() {
    let home = tempfile::tempdir().unwrap();
    let file = state(&home).join("files-1-0123abcd.jsonl");
    append(&file, &line("mcpcol", &[call(1, "a"), call(2, "a")]));
    append(&file, "no JSON\n\n{\"level\":\"info\"}\n{\"resourceLogs\":[]}\n");
    append(&file, &line("agent-sdk", &[call(3, "a")]));
    fs::copy(&file, state(&home).join("files-1-0123abcd.jsonl.1")).unwrap();
    let whole = line("mcpcol", &[call(4, "a")]);
    append(&file, &whole[..whole.len() - 20]);
    let (stats, said) = asked(&home, &["stats"]);
    assert_eq!(stats["rows"][0]["count"], 2, "{stats}");
    for word in [
        "6 spans, 2 calls",
        "4 lines that are no OTLP JSON",
        "1 torn last line",
        "2 calls told again",
    ] {
        assert!(said.contains(word), "no `{word}` in {said}");
    }
    // The rest of the line comes.
    append(&file, &whole[whole.len() - 20..]);
    let (stats, said) = asked(&home, &["stats", file.to_str().unwrap()]);
    assert_eq!((&stats["rows"][0]["count"], said.contains("torn")), (&json!(3), false));
    let (stats, _) = asked(&home, &["stats", "--count", "client"]);
    assert_eq!(stats["rows"][0]["count"], 1);
}

#[test]
fn hostile_names_steer_nothing_and_move_no_column() {
    let home = tempfile::tempdir().unwrap();
    let file = state(&home).join("files-1-0123abcd.jsonl");
    let names = ["\u{1b}]0;gotcha\u{7}", "a\nb\tc", "\u{202e}gnp.exe", &"x".repeat(10_000), "漢字"];
    for (tool, id) in names.iter().zip(1..) {
        append(&file, &line("mcpcol", &[call(id, tool)]));
    }
    let output = run(&home, &["stats"]);
    let shown = text(&output.stdout);
    assert_eq!(shown.lines().count(), names.len() + 1, "{shown}");
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{shown:?}");
    assert!(shown.lines().all(|line| line.chars().count() < 120), "{shown}");
    let (stats, _) = asked(&home, &["stats"]);
    assert!(stats["rows"].as_array().unwrap().iter().any(|row| row["tool"] == names[0]));
}

#[test]
fn a_session_is_a_tree_with_what_servers_handed_back_progress_and_findings() {
    let home = tempfile::tempdir().unwrap();
    let file = state(&home).join("files-1-0123abcd.jsonl");
    let own = |id: u8, more: Value| {
        let mut attributes = json!({
            "mcp.method.name": "tools/call", "gen_ai.tool.name": "report", "mcpcol.session.id": "feedbeef",
            "mcpcol.outcome": "ok",
        });
        attributes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        span(id, attributes)
    };
    let below = |mut span: Value, parent: u8, at: u32| {
        span["parentSpanId"] = format!("{parent:016x}").into();
        span["startTimeUnixNano"] = format!("1796122010{at:09}").into();
        span
    };
    let hop = own(1, json!({"mcpcol.hop": true}));
    let mut inner = below(own(2, json!({})), 1, 1);
    inner["events"] = json!([{"name": "mcpcol.progress", "timeUnixNano": "1796122010001000000", "attributes": [
        {"key": "mcpcol.progress.value", "value": {"doubleValue": 1.0}},
        {"key": "mcpcol.progress.total", "value": {"doubleValue": 3.0}},
    ]}]);
    let mut retry = own(5, json!({"mcpcol.outcome": "input_required"}));
    retry["startTimeUnixNano"] = "1796122010001500000".into();
    retry["links"] = json!([{"traceId": retry["traceId"], "spanId": "0000000000000002", "attributes": [
        {"key": "mcpcol.link", "value": {"stringValue": "retry"}},
    ]}]);
    append(&file, &line("mcpcol", &[inner, hop, retry]));
    let claimed = |id, parent, at| below(span(id, json!({"mcpcol.passback": true})), parent, at);
    append(&file, &line("server", &[claimed(4, 3, 3), claimed(3, 2, 2), claimed(9, 9, 2)]));
    let finding = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{
        "timeUnixNano": "1796122010001200000", "body": {"stringValue": "an answer to no request"}, "attributes": [
            {"key": "mcpcol.finding.kind", "value": {"stringValue": "orphan_answer"}},
            {"key": "mcpcol.session.id", "value": {"stringValue": "feedbeef"}},
        ],
    }]}]}]});
    append(&state(&home).join("files-1-0123abcd.logs.jsonl"), &format!("{finding}\n"));
    for args in [vec!["show", "feed"], vec!["show", "feed", file.to_str().unwrap()]] {
        let shown = text(&run(&home, &args).stdout);
        let calls: Vec<_> = shown
            .lines()
            .skip(4)
            .map(|line| {
                let (_, call) = line.split_at(line.find(['t', '├', '└', '!']).unwrap());
                call.split("  ").next().unwrap().to_owned()
            })
            .collect();
        assert!(calls[0].starts_with("tools/call report"), "{shown}");
        assert_eq!(shown.matches("handed back").count(), 2, "{shown}");
        for word in
            ["towards the agent", "progress 1 of 3", "! orphan_answer", "goes on from at 1ns"]
        {
            assert!(shown.contains(word), "no `{word}` in\n{shown}");
        }
    }
    let (show, _) = asked(&home, &["show", "feedbeef"]);
    let rows: Vec<_> = show["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["kind"].as_str().unwrap(), row["depth"].as_u64().unwrap()))
        .collect();
    let expected = [
        ("hop", 0),
        ("call", 1),
        ("handed_back", 2),
        ("handed_back", 3),
        ("progress", 2),
        ("finding", 0),
        ("call", 0),
    ];
    assert_eq!(rows, expected, "{show}");
}

#[test]
fn the_answer_goes_to_a_file_or_down_a_pipe_that_may_break() {
    let home = tempfile::tempdir().unwrap();
    let file = state(&home).join("files-1-0123abcd.jsonl");
    append(&file, &line("mcpcol", &[call(1, "a")]));
    let to = home.path().join("answer.json");
    let output = run(&home, &["stats", "--format", "json", "-o", to.to_str().unwrap()]);
    assert!(output.stdout.is_empty() && output.status.success());
    let answer: Value = serde_json::from_str(&fs::read_to_string(&to).unwrap()).unwrap();
    assert_eq!(answer["rows"][0]["count"], 1);
    let mut stats = mcpcol(home.path()).args(["stats", "-"]).spawn().unwrap();
    let mut to = stats.stdin.take().unwrap();
    to.write_all(&fs::read(&file).unwrap()).unwrap();
    drop(to);
    let output = stats.wait_with_output().unwrap();
    assert!(text(&output.stdout).contains("files"), "{}", text(&output.stdout));
    assert!(
        text(&output.stderr).contains("read stdin: 1 line, 1 span, 1 call"),
        "{}",
        text(&output.stderr)
    );
}
