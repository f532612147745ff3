//! How a stdio tap ends: as its server would without it, with all spans that could be had by then.
//!
//! `examples/puppet.rs` is the server; what it does is ordered through a FIFO.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{self, Log, MCPCOL, eventually, example, piped};
use crate::spans::{attribute, spans_in};

/// A tap between this test and a server, which is a puppet or a script that starts one.
struct Tap {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    orders: fs::File,
    home: TempDir,
}

/// How it ended.
struct End {
    status: ExitStatus,
    log: String,
    /// `ID OUTCOME` of its spans, by id.
    spans: Vec<String>,
}

/// A place with a FIFO for orders and a configuration, with these settings of the tap and the service.
fn place(tap: &str, service: &str) -> (TempDir, fs::File) {
    let home = tempfile::tempdir().unwrap();
    let fifo = home.path().join("orders");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // Both ways, so that opening does not wait for the puppet.
    let orders = fs::File::options().read(true).write(true).open(&fifo).unwrap();
    // No batch would be full for an hour: what goes out goes because somebody wants it out.
    let config = format!(
        "receivers: {{ mcp_stdio: {{ {tap} }} }}\n\
         exporters: {{ file: {{ path: spans.jsonl, sending_queue: {{ batch: {{ min_size: 1000, \
         flush_timeout: 1h }} }} }} }}\n\
         service: {{ {service} pipelines: {{ traces: {{ receivers: [mcp_stdio], exporters: [file] }} }} }}\n"
    );
    fs::write(home.path().join("config.yaml"), config).unwrap();
    (home, orders)
}

fn spawn((home, orders): (TempDir, fs::File), mode: &str, server: &[&str]) -> Tap {
    let mut command = Command::new(MCPCOL);
    command.args([mode, "--config"]).arg(home.path().join("config.yaml")).args(server);
    command.env("PUPPET", example("puppet")).env("FIFO", home.path().join("orders"));
    let mut process = piped(&mut command).spawn().unwrap();
    let to = process.stdin.take();
    let from = BufReader::new(process.stdout.take().unwrap());
    Tap { process, to, from, orders, home }
}

/// `mcpcol stdio` with these settings around a shell script, in which `$PUPPET` and `$FIFO` are.
fn script(settings: &str, script: &str) -> Tap {
    spawn(place(settings, ""), "stdio", &["--", "sh", "-c", script])
}

/// The same around a puppet that is ready.
fn tapped(settings: &str) -> Tap {
    let mut tap = script(settings, "exec \"$PUPPET\" \"$FIFO\"");
    tap.says("ready");
    tap
}

/// A launcher that has ended, with 5; its server is a puppet that keeps the pipes.
fn launched() -> Tap {
    let mut tap = script("", "exec 3<&0; \"$PUPPET\" \"$FIFO\" $$ <&3 3<&- & exit 5");
    tap.says("ready");
    tap.says("orphaned");
    tap
}

impl Tap {
    fn says(&mut self, expected: &str) {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), expected);
    }

    /// Neither says anything nor ends for this many milliseconds.
    fn is_silent(&self, ms: i64) {
        assert!(self.from.buffer().is_empty());
        let limit = Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 };
        let mut output = [PollFd::new(self.from.get_ref(), PollFlags::IN)];
        assert_eq!(poll(&mut output, Some(&limit)).unwrap(), 0);
    }

    fn send(&mut self, line: &str) {
        writeln!(self.to.as_mut().unwrap(), "{line}").unwrap();
    }

    fn ask(&mut self, id: u32, method: &str) {
        self.send(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\"}}"));
    }

    fn answers(&mut self, id: u32) {
        self.says(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}"));
    }

    fn call(&mut self, id: u32) {
        self.ask(id, "ping");
        self.answers(id);
    }

    fn order(&mut self, order: &str) {
        self.orders.write_all(order.as_bytes()).unwrap();
    }

    fn signal(&self, signal: Signal) {
        process::signal(&self.process, signal);
    }

    fn close(&mut self) {
        self.to = None;
    }

    /// Waits until the spans in the file are these.
    fn wrote(&self, expected: &[&str]) {
        eventually("the spans are written", || spans(self.home.path()) == expected);
    }

    /// What comes until the tap has ended, with the client's side as it is.
    fn end(mut self) -> End {
        let status = self.process.wait().unwrap();
        let log = Log::of(&mut self.process).all();
        End { status, log, spans: spans(self.home.path()) }
    }
}

fn spans(home: &Path) -> Vec<String> {
    let told = |key: &str, span| attribute(span, key).unwrap();
    let spans = spans_in(&home.join("spans.jsonl"));
    let each = spans.iter().map(|span| {
        format!("{} {}", told("jsonrpc.request.id", span), told("mcpcol.outcome", span))
    });
    let mut found: Vec<_> = each.collect();
    found.sort();
    found
}

// Nothing of our own.

#[test]
fn a_server_that_saves_at_sigterm_has_the_time_it_needs_and_its_input() {
    let mut tap = tapped("");
    tap.ask(1, "hold");
    tap.signal(Signal::TERM);
    tap.says("told 15");
    // Longer than the tap, or a host that goes on to SIGKILL, would once have given it.
    tap.is_silent(2200);
    tap.call(2);
    tap.order("a");
    tap.answers(1);
    tap.order("x");
    let end = tap.end();
    assert_eq!((end.status.code(), end.log.as_str()), (Some(0), ""));
    assert_eq!(end.spans, ["1 ok", "2 ok"]);
}

#[test]
fn a_call_in_flight_at_the_clients_eof_is_answered() {
    let mut tap = tapped("");
    tap.ask(1, "hold");
    tap.close();
    tap.says("eof");
    tap.order("a");
    tap.answers(1);
    tap.order("x");
    let end = tap.end();
    assert_eq!((end.status.code(), end.log.as_str()), (Some(0), ""));
    assert_eq!(end.spans, ["1 ok"]);
}

#[test]
fn the_settings_bring_sigterm_after_eof_and_sigkill_after_sigterm() {
    let mut tap = tapped("eof_grace: 1s, kill_after: 3s");
    tap.close();
    tap.says("eof");
    tap.says("told 15");
    let end = tap.end();
    assert_eq!(end.status.signal(), Some(9));
    assert!(end.log.contains("SIGKILL"), "{}", end.log);
}

#[test]
fn a_server_has_its_own_end_though_whoever_started_us_ignores_ended_children() {
    for (end, code) in [("exit 3", 3), ("exit 0", 0)] {
        let home = tempfile::tempdir().unwrap();
        let line = format!("trap '' CHLD; exec \"$0\" stdio -- sh -c 'cat >/dev/null; {end}'");
        let status = Command::new("sh")
            .args(["-c", &line, MCPCOL])
            .env("XDG_STATE_HOME", home.path())
            .stdin(Stdio::null())
            .status();
        assert_eq!(status.unwrap().code(), Some(code));
    }
}

// Telemetry.

#[test]
fn a_tap_that_is_killed_after_a_signal_has_sent_its_spans() {
    let mut tap = tapped("");
    tap.call(1);
    tap.ask(2, "hold");
    tap.ask(3, "hold");
    tap.signal(Signal::TERM);
    tap.says("told 15");
    tap.wrote(&["1 ok"]);
    tap.order("a");
    tap.answers(2);
    tap.wrote(&["1 ok", "2 ok"]);
    tap.signal(Signal::KILL);
    let end = tap.end();
    assert_eq!((end.status.signal(), end.spans), (Some(9), vec!["1 ok".into(), "2 ok".into()]));
}

#[test]
fn what_nobody_answers_after_a_signal_is_cancelled_at_the_end_and_not_before() {
    let mut tap = tapped("");
    tap.ask(1, "hold");
    tap.signal(Signal::INT);
    tap.says("told 2");
    tap.call(2);
    tap.wrote(&["2 ok"]);
    tap.order("x");
    assert_eq!(tap.end().spans, ["1 cancelled", "2 ok"]);
}

// Launchers.

#[test]
fn a_server_outlives_its_launcher_whose_code_is_ours() {
    let mut tap = launched();
    for id in 1..=2 {
        // The silence that once was the end.
        tap.is_silent(500);
        tap.call(id);
    }
    tap.ask(3, "hold");
    tap.close();
    tap.says("eof");
    tap.is_silent(500);
    tap.order("a");
    tap.answers(3);
    tap.order("x");
    let end = tap.end();
    assert_eq!((end.status.code(), end.log.as_str()), (Some(5), ""));
    assert_eq!(end.spans, ["1 ok", "2 ok", "3 ok"]);
}

#[test]
fn without_a_launcher_a_signal_and_silence_are_the_end() {
    let mut tap = launched();
    tap.call(1);
    tap.signal(Signal::TERM);
    let end = tap.end();
    assert_eq!((end.status.code(), end.spans), (Some(5), vec!["1 ok".to_owned()]));
}

// A server that a signal ends.

#[test]
fn a_signal_that_ends_the_server_ends_the_tap() {
    for (name, signal) in [
        ("TERM", Signal::TERM),
        ("KILL", Signal::KILL),
        ("INT", Signal::INT),
        ("HUP", Signal::HUP),
        ("QUIT", Signal::QUIT),
        ("SEGV", Signal::SEGV),
        ("ABRT", Signal::ABORT),
        ("PIPE", Signal::PIPE),
        ("USR1", Signal::USR1),
        ("ALRM", Signal::ALARM),
    ] {
        let mut tap = script("", &format!("read line; kill -{name} $$"));
        tap.ask(1, "ping");
        let end = tap.end();
        assert_eq!(end.status.signal(), Some(signal.as_raw()), "{name}: {}", end.log);
        assert!(!end.status.core_dumped(), "{name}");
        assert_eq!(end.spans, ["1 server_gone"], "{name}");
    }
}

#[test]
fn a_code_that_looks_like_a_signal_is_a_code() {
    let end = script("", "exit 143").end();
    assert_eq!((end.status.code(), end.status.signal()), (Some(143), None));
}

// `mcpcol run`.

fn run(timeout: &str) -> Tap {
    let command = format!("command: {:?}, args: [\"${{env:FIFO}}\"]", example("puppet"));
    let service = format!(
        "shutdown_timeout: {timeout}, telemetry: {{ logs: {{ level: warn }}, metrics: {{ level: none }} }},"
    );
    let mut tap = spawn(place(&command, &service), "run", &[]);
    tap.says("ready");
    tap
}

#[test]
fn a_run_that_stops_asks_its_server_once_then_ends_its_input_and_kills_it_in_the_end() {
    let mut tap = run("6s");
    tap.call(1);
    tap.ask(2, "hold");
    tap.ask(3, "hold");
    tap.signal(Signal::TERM);
    tap.says("told 15");
    tap.call(4);
    // At half of the time, with the client still there.
    tap.says("eof");
    tap.order("a");
    tap.answers(2);
    let mut rest = String::new();
    tap.from.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "it is asked once");
    let end = tap.end();
    assert_eq!(end.status.code(), Some(0), "an orderly stop: {}", end.log);
    assert_eq!(end.log.matches("SIGKILL").count(), 1, "{}", end.log);
    assert_eq!(end.spans, ["1 ok", "2 ok", "3 cancelled", "4 ok"]);
}

#[test]
fn a_run_that_stops_waits_for_its_server_and_no_longer() {
    let mut tap = run("1h");
    tap.signal(Signal::TERM);
    tap.says("told 15");
    tap.call(1);
    tap.order("x");
    let end = tap.end();
    assert_eq!((end.status.code(), end.log.as_str()), (Some(0), ""));
    assert_eq!(end.spans, ["1 ok"]);
}

#[test]
fn a_server_that_a_signal_ended_by_itself_ends_a_run_too() {
    let mut tap = spawn(place("command: sh, args: [-c, 'kill -TERM $$$$']", ""), "run", &[]);
    let mut rest = String::new();
    tap.from.read_to_string(&mut rest).unwrap();
    assert_eq!(tap.end().status.signal(), Some(15));
}
