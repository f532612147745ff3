//! Taps that tell what goes on, by their sockets and over TCP, and `mcpcol tail`, which asks them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Output};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Log, PATIENCE, eventually, mcpcol, signal, text};

/// A tap of a server that answers whatever it is asked.
struct Tap {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

const SERVER: &str = r#"while read -r line; do echo '{"jsonrpc":"2.0","id":1,"result":{}}'; done"#;

impl Tap {
    fn start(home: &Path, args: &[&str]) -> Tap {
        let mut command = mcpcol(home);
        command.arg("stdio").args(args).args(["--", "sh", "-c", SERVER]);
        let mut child = command.spawn().unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        Tap { child, to, from }
    }

    fn call(&mut self, tool: &str) {
        let params = format!(r#"{{"name":"{tool}"}}"#);
        writeln!(self.to, r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
            .unwrap();
        let mut answer = String::new();
        self.from.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty());
    }

    fn end(self) -> Output {
        drop((self.to, self.from));
        self.child.wait_with_output().unwrap()
    }
}

/// `mcpcol tail --format json`, and the lines that it shows.
struct Tail {
    child: Child,
    lines: Receiver<String>,
}

impl Tail {
    fn start(home: &Path, args: &[&str]) -> Tail {
        let mut command = mcpcol(home);
        command.env("MCPCOL_STATS_TOKEN", TOKEN).args(["tail", "--format", "json"]).args(args);
        let mut child = command.spawn().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        let (give, lines) = sync_channel(1000);
        thread::spawn(move || {
            from.lines().map_while(Result::ok).all(|line| give.send(line).is_ok());
        });
        Tail { child, lines }
    }

    /// Calls until it shows one of that server.
    fn shows(&self, server: &str, mut call: impl FnMut()) -> Value {
        let mut shown = None;
        eventually("a call is shown", || {
            call();
            let line = self.lines.recv_timeout(AWHILE).ok();
            let told = line.map(|line| serde_json::from_str::<Value>(&line).unwrap());
            shown = told.filter(|call| call["server"] == server);
            shown.is_some()
        });
        shown.unwrap()
    }

    fn ends(mut self) {
        signal(&self.child, Signal::TERM);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut said = Log::of(&mut self.child);
        assert_eq!(said.all(), "");
    }
}

/// From one call to the next.
const AWHILE: Duration = Duration::from_millis(50);
/// Made up.
const TOKEN: &str = "t0ken-of-a-test";

fn state(home: &Path) -> PathBuf {
    home.join(".local/state/mcpcol")
}

fn sockets(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "sock")).collect()
}

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(state(home.path())).unwrap();
    home
}

#[test]
fn tail_shows_calls_of_all_taps_as_they_end_and_of_those_that_start_later() {
    let home = home();
    let tail = Tail::start(home.path(), &[]);
    let mut files = Tap::start(home.path(), &["--name", "files"]);
    let call = tail.shows("files", || files.call("read"));
    assert_eq!((&call["version"], &call["tool"]), (&1.into(), &"read".into()));
    assert_eq!((&call["method"], &call["outcome"]), (&"tools/call".into(), &"ok".into()));
    assert!(
        call["duration_ms"].as_f64().unwrap() > 0.0 && call["request_bytes"].is_u64(),
        "{call}"
    );
    let [socket] = &sockets(&state(home.path()))[..] else { panic!("one socket") };
    let there = fs::symlink_metadata(socket).unwrap();
    assert!(there.file_type().is_socket());
    assert_eq!(there.permissions().mode() & 0o777, 0o600);
    let record = socket.with_extension("jsonl");
    eventually("the record is beside it", || record.exists());

    let mut web = Tap::start(home.path(), &["--name", "web"]);
    tail.shows("web", || web.call("fetch"));
    let output = files.end();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    assert!(!socket.exists(), "an end leaves nothing behind");
    tail.shows("web", || web.call("fetch"));
    web.end();
    tail.ends();
}

#[test]
fn what_is_not_wanted_is_not_shown() {
    let home = home();
    let mut tap = Tap::start(home.path(), &["--name", "files"]);
    let tail = Tail::start(home.path(), &["--tool", "write", "--outcome", "ok"]);
    let mut tools = ["read", "write"].into_iter().cycle();
    for _ in 0..3 {
        let call = tail.shows("files", || tap.call(tools.next().unwrap()));
        assert_eq!(call["tool"], "write");
    }
    tap.end();
    tail.ends();
}

#[test]
fn what_waits_is_told_longest_first() {
    let home = home();
    let silent = |name: &str| {
        let mut command = mcpcol(home.path());
        command.args(["stdio", "--name", name, "--", "sh", "-c", "cat >/dev/null"]);
        let mut child = command.spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        let params = r#"{"name":"fetch\u001b[2J"}"#;
        writeln!(to, r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
            .unwrap();
        (child, to)
    };
    let pending = |args: &[&str]| {
        let mut command = mcpcol(home.path());
        let output = command.args(["tail", "--pending"]).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let waits = |count: usize| {
        eventually("it is told", || pending(&[]).lines().count() == count + 1);
    };
    let mut first = silent("web");
    waits(1);
    let mut second = silent("files");
    waits(2);
    let shown = pending(&[]);
    let servers = |shown: &str| -> Vec<String> {
        let words = |line: &str| line.split_whitespace().nth(1).unwrap().to_owned();
        shown.lines().skip(1).map(words).collect()
    };
    assert_eq!(servers(&shown), ["web", "files"], "{shown}");
    assert!(shown.contains(r"fetch\u{1b}[2J") && !shown.contains('\u{1b}'), "{shown}");
    assert_eq!(servers(&pending(&["--server", "files"])), ["files"]);
    let all: Value = serde_json::from_str(&pending(&["--format", "json"])).unwrap();
    assert_eq!((&all["version"], &all["rows"][0]["server"]), (&1.into(), &"web".into()));
    assert!(all["rows"][0]["age_ms"].is_u64() && all["left_out"] == 0, "{all}");
    // Whoever was killed has told nothing more.
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    assert_eq!(servers(&pending(&[])), ["files"]);
    drop(second.1);
    second.0.wait().unwrap();
}

#[test]
fn statistics_and_sessions_have_what_waits_beside_what_was_recorded() {
    let home = home();
    let mut files = Tap::start(home.path(), &["--name", "files"]);
    (0..3).for_each(|_| files.call("read"));
    let mut command = mcpcol(home.path());
    let mut silent = command
        .args(["stdio", "--name", "web", "--", "sh", "-c", "cat >/dev/null"])
        .spawn()
        .unwrap();
    let mut to = silent.stdin.take().unwrap();
    writeln!(to, r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"fetch"}}}}"#)
        .unwrap();
    let asked = |args: &[&str]| -> Vec<Value> {
        let output = mcpcol(home.path()).args(args).args(["--format", "json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        all["rows"].as_array().unwrap().clone()
    };
    let row = |rows: &[Value], server: &str| -> [Option<u64>; 2] {
        let row = rows.iter().find(|row| row["server"] == server);
        ["count", "in_flight"].map(|key| row.and_then(|row| row[key].as_u64()))
    };
    for args in [&["stats"][..], &["stats", "--by", "server"], &["sessions"]] {
        eventually("all is told, once", || {
            let rows = asked(args);
            row(&rows, "files") == [Some(3), Some(0)] && row(&rows, "web") == [Some(0), Some(1)]
        });
    }
    assert!(asked(&["stats", "--outcome", "ok"])[0]["in_flight"].is_null(), "nobody knows");
    let mut table = mcpcol(home.path());
    let table = text(&table.arg("stats").output().unwrap().stdout);
    assert!(table.lines().next().unwrap().contains("in flight"), "{table}");
    files.end();
    drop(to);
    silent.wait().unwrap();
}

#[test]
fn what_is_added_to_a_file_is_shown() {
    let home = home();
    let record = home.path().join("own.jsonl");
    let file = record.to_str().unwrap();
    let mut tap = Tap::start(home.path(), &["--name", "files", "--record", file]);
    tap.call("before");
    eventually("it is recorded", || fs::metadata(&record).is_ok_and(|file| file.len() > 0));
    let tail = Tail::start(home.path(), &[file, "--server", "files"]);
    let call = tail.shows("files", || tap.call("read"));
    assert_eq!((&call["tool"], &call["version"]), (&"read".into(), &1.into()));
    tap.end();
    tail.ends();
    let all = fs::File::open(&record).unwrap();
    let mut piped = mcpcol(home.path());
    let output = piped.args(["tail", "-", "--tool", "before"]).stdin(all).output().unwrap();
    let shown = text(&output.stdout);
    assert_eq!((shown.lines().count(), output.status.code()), (1, Some(0)), "{shown}");
    let absent = mcpcol(home.path()).args(["tail", "absent.jsonl"]).output().unwrap();
    assert_eq!(absent.status.code(), Some(2));
}

#[test]
fn a_tap_that_is_stopped_holds_up_nobody() {
    let home = home();
    let mut tap = Tap::start(home.path(), &["--name", "files"]);
    tap.call("read");
    eventually("it has a socket", || sockets(&state(home.path())).len() == 1);
    signal(&tap.child, Signal::STOP);
    let output = mcpcol(home.path()).args(["tail", "--pending"]).output().unwrap();
    signal(&tap.child, Signal::CONT);
    let said = text(&output.stderr);
    assert!(said.contains("no answer from 1 tap"), "{said}");
    tap.end();
}

#[test]
fn a_pipe_that_nobody_reads_ends_it() {
    let home = home();
    let mut tail = mcpcol(home.path()).arg("tail").spawn().unwrap();
    drop(tail.stdout.take());
    assert_eq!(tail.wait().unwrap().code(), Some(0));
}

#[test]
fn the_socket_of_a_tap_that_was_killed_goes_with_the_next_look() {
    let home = home();
    let mut tap = Tap::start(home.path(), &["--name", "files"]);
    tap.call("read");
    eventually("it has a socket", || sockets(&state(home.path())).len() == 1);
    tap.child.kill().unwrap();
    tap.end();
    let left = sockets(&state(home.path()));
    let old = Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
    let times = Timestamps { last_access: old, last_modification: old };
    utimensat(CWD, &left[0], &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    let mut alive = Tap::start(home.path(), &["--name", "web"]);
    alive.call("fetch");
    eventually("one is gone and one is new", || {
        let there = sockets(&state(home.path()));
        there.len() == 1 && there != left
    });
    // One that does not answer is no reason to wait.
    let pending = mcpcol(home.path()).args(["tail", "--pending"]).output().unwrap();
    assert_eq!(pending.status.code(), Some(0));
    assert_eq!(text(&pending.stderr), "mcpcol: nothing waits at 1 tap\n");
    alive.end();
}

#[test]
#[cfg(target_os = "linux")]
fn a_place_too_deep_for_a_socket_has_one_all_the_same() {
    let home = home();
    let deep = home.path().join("d".repeat(100)).join("e".repeat(100));
    let mut command = mcpcol(home.path());
    command
        .env("XDG_STATE_HOME", &deep)
        .args(["stdio", "--name", "files", "--", "sh", "-c", SERVER]);
    let mut child = command.spawn().unwrap();
    let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut tap = Tap { child, to, from: BufReader::new(from) };
    tap.call("read");
    eventually("it has a socket", || sockets(&deep.join("mcpcol")).len() == 1);
    let socket = sockets(&deep.join("mcpcol"))[0].display().to_string();
    let tail = Tail::start(home.path(), &["--endpoint", &socket]);
    tail.shows("files", || tap.call("read"));
    let output = tap.end();
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn nothing_is_told_where_nothing_is_to_be_kept() {
    let home = home();
    let mut tap = Tap::start(home.path(), &["--record", "off"]);
    tap.call("read");
    tap.call("read");
    assert!(sockets(&state(home.path())).is_empty());
    tap.end();
}

#[test]
fn a_tap_with_a_configuration_tells_too() {
    let home = home();
    let config = home.path().join("config.yaml");
    let yaml = "receivers: { mcp_stdio: {} }\nexporters: { nop: {} }\n\
                service: { pipelines: { traces: { receivers: [mcp_stdio], exporters: [nop] } } }\n";
    fs::write(&config, yaml).unwrap();
    let mut tap = Tap::start(home.path(), &["--name", "own", "--config", config.to_str().unwrap()]);
    let tail = Tail::start(home.path(), &[]);
    tail.shows("own", || tap.call("read"));
    tap.end();
    tail.ends();
}

#[test]
fn over_tcp_a_token_opens_the_door() {
    let home = home();
    let config = home.path().join("config.yaml");
    let yaml = format!(
        "receivers: {{ mcp_stdio: {{ command: sh, args: [-c, \"read -r line\"] }} }}\nexporters: {{ nop: {{}} }}\n\
         extensions: {{ stats: {{ endpoint: 'localhost:0', auth: {{ bearer_token: {TOKEN} }} }} }}\n\
         service: {{ extensions: [stats], pipelines: {{ traces: {{ receivers: [mcp_stdio], exporters: [nop] }} }} }}\n"
    );
    fs::write(&config, yaml).unwrap();
    let mut run = mcpcol(home.path()).args(["run", "--config"]).arg(&config).spawn().unwrap();
    let address = Log::of(&mut run).address("telling of calls at http://");
    let pending = |token: &str, endpoint: &str| {
        let mut command = mcpcol(home.path());
        command.env("MCPCOL_STATS_TOKEN", token).args([
            "tail",
            "--pending",
            "--endpoint",
            endpoint,
        ]);
        command.output().unwrap()
    };
    assert_eq!(pending(TOKEN, &address).status.code(), Some(0));
    for token in ["", "another"] {
        let refused = pending(token, &address);
        assert_eq!(refused.status.code(), Some(2));
        let said = text(&refused.stderr);
        assert!(said.contains("a valid bearer token is needed; set MCPCOL_STATS_TOKEN"), "{said}");
    }
    let mut tail = Tail::start(home.path(), &["--endpoint", &address]);
    signal(&run, Signal::TERM);
    run.wait().unwrap();
    // A process that was named and is gone is the end, whenever it went.
    let begun = std::time::Instant::now();
    tail.child.wait().unwrap();
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(pending(TOKEN, &address).status.code(), Some(2), "nobody is there any more");
}
