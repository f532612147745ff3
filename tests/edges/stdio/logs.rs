//! The real binary as a stdio tap of a server that logs: what the server writes to its stderr reaches ours as it
//! was, the end waits for nobody's stderr, and `mcpcol logs` shows what was said.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{self, Log, signal, text};

/// A tap's own end takes far less; the rest is a busy machine.
const END: Duration = Duration::from_secs(5);

/// `mcpcol` in a home of its own.
fn mcpcol(home: &TempDir, args: &[&str]) -> Command {
    let mut command = process::mcpcol(home.path());
    command.args(args);
    command
}

/// A tap of a shell script, which is given these lines; its end.
fn tap(home: &TempDir, script: &str, lines: &str) -> Output {
    let mut tap = mcpcol(home, &["stdio", "--", "sh", "-c", script]).spawn().unwrap();
    tap.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    tap.wait_with_output().unwrap()
}

fn state(home: &TempDir) -> PathBuf {
    home.path().join(".local/state/mcpcol")
}

/// What `mcpcol logs` prints, with these arguments.
fn logs(home: &TempDir, args: &[&str]) -> Output {
    mcpcol(home, &[&["logs"], args].concat()).output().unwrap()
}

const CALL: &str =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}\n";

#[test]
fn stderr_passes_as_it_is_and_is_told_of() {
    let home = tempfile::tempdir().unwrap();
    let script = "printf 'ERROR \\033[1mbad\\033[0m \\377\\000 start\\r\\n\\n' >&2; read -r line; \
                  printf 'at work' >&2; echo banner; \
                  echo '{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"notice\",\"logger\":\"db\",\"data\":\"slow\"}}'; \
                  echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}'; exit 3";
    let output = tap(&home, script, CALL);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stderr, b"ERROR \x1b[1mbad\x1b[0m \xff\0 start\r\n\nat work");
    assert_eq!(text(&output.stdout).lines().count(), 3);
    let shown = text(&logs(&home, &[]).stdout);
    let shown: Vec<_> = shown.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    let has = |what: &str| {
        let found = shown.iter().filter(|line| line.ends_with(what)).count();
        assert_eq!(found, 1, "{what} in {shown:#?}");
    };
    has("ERROR  stderr    ERROR bad \u{fffd}\\u{0} start");
    has("-      stderr    at work");
    has("INFO   db        slow");
    has("WARN   not_json  text where a JSON-RPC message belongs (by server, 6 bytes)");
    assert_eq!(shown.len(), 4);
    // What was written while a call was in flight has its span.
    let json = text(&logs(&home, &["--format", "json", "-n", "9"]).stdout);
    let slow = json.lines().find(|line| line.contains("\"slow\"")).unwrap();
    assert!(slow.contains("\"span_id\"") && slow.contains("\"session\""), "{slow}");
    assert_eq!(logs(&home, &["--server", "nobody"]).stdout, b"");
}

#[test]
fn a_flood_passes_byte_by_byte() {
    let home = tempfile::tempdir().unwrap();
    let script = "read -r line; i=0; while [ $i -lt 20000 ]; do echo \"line $i of a flood, which is rather \
                  long so that it fills pipes\"; i=$((i+1)); done >&2";
    let output = tap(&home, script, CALL);
    let expected: String = (0..20_000)
        .map(|i| format!("line {i} of a flood, which is rather long so that it fills pipes\n"))
        .collect();
    assert!(text(&output.stderr).starts_with(&expected), "{} bytes", output.stderr.len());
}

/// It outlives its parent, writes nothing and keeps its stderr.
#[test]
fn nobody_waits_for_a_grandchild_that_keeps_stderr() {
    let home = tempfile::tempdir().unwrap();
    let script = "sleep 30 </dev/null >/dev/null & echo $! >&2; exit 4";
    let begun = Instant::now();
    let mut tap = mcpcol(&home, &["stdio", "--", "sh", "-c", script]).spawn().unwrap();
    assert_eq!(tap.wait().unwrap().code(), Some(4));
    assert!(begun.elapsed() < END, "{:?}", begun.elapsed());
    let pid = Log::of(&mut tap).until("").trim().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL)
        .unwrap();
}

/// As with a pipe of its own: it is broken, and the server may go on or not.
#[test]
fn a_host_that_reads_no_stderr_does_no_harm() {
    let home = tempfile::tempdir().unwrap();
    let script = "read -r line; trap '' PIPE; echo lost >&2; echo lost >&2; \
                  echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}'; exit 5";
    let mut tap = mcpcol(&home, &["stdio", "--", "sh", "-c", script]).spawn().unwrap();
    drop(tap.stderr.take());
    tap.stdin.take().unwrap().write_all(CALL.as_bytes()).unwrap();
    let output = tap.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(5), 1));
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn record(text: &str) -> String {
    format!(
        "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"timeUnixNano\":\"1\",\"body\":{{\"stringValue\":\"{text}\"}}}}]}}]}}]}}\n"
    )
}

fn next(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim_end().rsplit("  ").next().unwrap().to_owned()
}

#[test]
fn what_is_added_is_followed_until_it_is_interrupted() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.logs.jsonl");
    append(&path, &record("one"));
    let file = path.to_str().unwrap();
    let mut follow = mcpcol(&home, &["logs", "-f", file]).spawn().unwrap();
    let mut from = BufReader::new(follow.stdout.take().unwrap());
    assert_eq!(next(&mut from), "one");
    append(&path, &record("two"));
    assert_eq!(next(&mut from), "two");
    fs::rename(&path, home.path().join("x.logs.jsonl.1")).unwrap();
    append(&path, &record("three"));
    assert_eq!(next(&mut from), "three");
    signal(&follow, Signal::INT);
    assert_eq!(follow.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    from.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");

    // Stdin is followed as it is.
    let mut follow = mcpcol(&home, &["logs", "-f", "-"]).spawn().unwrap();
    let mut to = follow.stdin.take().unwrap();
    let mut from = BufReader::new(follow.stdout.take().unwrap());
    to.write_all(record("four").as_bytes()).unwrap();
    assert_eq!(next(&mut from), "four");
    drop(to);
    assert_eq!(follow.wait().unwrap().code(), Some(0));
}

#[test]
fn a_state_directory_that_comes_to_be_is_followed() {
    let home = tempfile::tempdir().unwrap();
    // What a tap uses that can use no other.
    let other = home.path().join(format!("mcpcol-{}", rustix::process::geteuid().as_raw()));
    fs::create_dir(&other).unwrap();
    append(&other.join("x.logs.jsonl"), &record("one"));
    let mut follow = mcpcol(&home, &["logs", "-f"]).spawn().unwrap();
    let mut from = BufReader::new(follow.stdout.take().unwrap());
    assert_eq!(next(&mut from), "one");
    fs::create_dir_all(state(&home)).unwrap();
    append(&state(&home).join("x.logs.jsonl"), &record("two"));
    assert_eq!(next(&mut from), "two");
    drop(from);
    assert_eq!(follow.wait().unwrap().code(), Some(0));
}

/// A FIFO in that home.
fn fifo(home: &TempDir) -> PathBuf {
    let path = home.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn a_fifo_is_waited_for_aloud_and_read_to_its_end() {
    let home = tempfile::tempdir().unwrap();
    let path = fifo(&home);
    let fifo = path.to_str().unwrap();
    let waiting = format!("mcpcol: waiting for somebody to write to `{fifo}`\n");
    let wait_for = |args: &[&str]| {
        let mut logs = mcpcol(&home, args).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(logs.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, waiting);
        logs
    };
    for args in [&["logs", fifo][..], &["logs", "-f", fifo]] {
        let reader = wait_for(args);
        fs::write(fifo, record("one") + &record("two")).unwrap();
        let output = reader.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(0), 2));
    }
    // Ctrl-C ends `-f` well from its start.
    let mut follow = wait_for(&["logs", "-f", fifo]);
    signal(&follow, Signal::INT);
    assert_eq!(follow.wait().unwrap().code(), Some(0));
    assert_eq!(logs(&home, &["-f", fifo, "."]).status.code(), Some(2));
}

#[test]
fn stdin_by_its_path_is_read_whatever_it_is() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x");
    append(&path, &record("one"));
    let mut logs = mcpcol(&home, &["logs", "/dev/stdin"]).spawn().unwrap();
    logs.stdin.take().unwrap().write_all(record("one").as_bytes()).unwrap();
    let from_pipe = logs.wait_with_output().unwrap().stdout;
    let file = fs::File::open(&path).unwrap();
    let from_file = mcpcol(&home, &["logs", "/dev/stdin"]).stdin(file).output().unwrap().stdout;
    assert!(text(&from_pipe).ends_with("  one\n"), "{}", text(&from_pipe));
    assert_eq!(text(&from_file), text(&from_pipe));
    // A directory is no stream.
    let dir = fs::File::open(home.path()).unwrap();
    let output = mcpcol(&home, &["logs", "-"]).stdin(dir).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

/// Nothing is written once the reader has left.
#[test]
fn following_ends_when_its_reader_leaves() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.logs.jsonl");
    append(&path, &record("one"));
    for source in [path.to_str().unwrap(), "-"] {
        let mut follow = mcpcol(&home, &["logs", "-f", source]).spawn().unwrap();
        let mut to = follow.stdin.take().unwrap();
        to.write_all(record("one").as_bytes()).unwrap();
        let mut from = BufReader::new(follow.stdout.take().unwrap());
        assert_eq!(next(&mut from), "one");
        drop(from);
        assert_eq!(follow.wait().unwrap().code(), Some(0));
        assert_eq!(Log::of(&mut follow).all(), "");
    }
}

#[test]
fn exit_codes_tell_what_could_be_read() {
    let home = tempfile::tempdir().unwrap();
    let output = logs(&home, &[]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b""[..]));
    assert_eq!(text(&output.stderr), "mcpcol: there are no log records yet\n");
    assert!(!state(&home).exists(), "looking makes nothing");
    append(&home.path().join("x"), &record("one"));
    let [x, none] = ["x", "none"].map(|name| home.path().join(name).to_str().unwrap().to_owned());
    let output = logs(&home, &[&none, &x]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("cannot read `") && text(&output.stdout).ends_with("one\n")
    );
    assert_eq!(logs(&home, &["-f", "-", &x]).status.code(), Some(2));
}

#[test]
fn a_configuration_that_captures_what_nothing_redacts_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.yaml");
    for (processors, code) in [("[]", 1), ("[redaction]", 0)] {
        let yaml = format!(
            "receivers: {{ mcp_stdio: {{ command: cat, capture: {{ stderr: redacted }} }} }}\n\
             processors: {{ redaction: {{}} }}\nexporters: {{ nop: {{}} }}\n\
             service: {{ pipelines: {{ logs: {{ receivers: [mcp_stdio], processors: {processors}, exporters: [nop] }} }} }}\n"
        );
        fs::write(&config, yaml).unwrap();
        let args = ["validate", "--config", config.to_str().unwrap()];
        let output = mcpcol(&home, &args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr).contains("captures content"), code == 1);
    }
}
