//! The stdio tap as a process between a client and a server: what passes, and how it ends.
//!
//! `examples/bare_tap.rs` is the tap and `examples/peer.rs` the server where `sh` and `cat` do not
//! serve; `cargo test` builds both.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

use crate::process::{self, example, piped};

/// A tap process with a server behind it.
struct Tap {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: ChildStderr,
    stats: tempfile::NamedTempFile,
}

/// How it ended.
struct End {
    code: Option<i32>,
    output: Vec<u8>,
    errors: String,
    stats: HashMap<String, u64>,
}

fn tap(settings: &[&str], command: &[&str]) -> Tap {
    tap_on("/nowhere", settings, command)
}

/// A tap process with that folder first on its PATH.
fn tap_on(folder: impl AsRef<std::path::Path>, settings: &[&str], command: &[&str]) -> Tap {
    let stats = tempfile::NamedTempFile::new().unwrap();
    let mut tap = Command::new(example("bare_tap"));
    tap.arg("--set").arg(format!("stats={}", stats.path().display()));
    for setting in settings {
        tap.args(["--set", setting]);
    }
    tap.arg("--").args(command).env("PEER", example("peer"));
    let path = std::env::var_os("PATH").unwrap();
    let path = [folder.as_ref().to_owned()].into_iter().chain(std::env::split_paths(&path));
    tap.env("PATH", std::env::join_paths(path).unwrap());
    tap.env("MCPCOL_CONFIG", "ours").env("OTHER", "other").env_remove("RUST_BACKTRACE");
    let mut process = piped(&mut tap).spawn().unwrap();
    let (stdin, stdout) = (process.stdin.take(), process.stdout.take());
    let stderr = process.stderr.take().unwrap();
    Tap { process, stdin, stdout, stderr, stats }
}

/// A tap around a shell script, in which `$PEER` is the example server.
fn shell(settings: &[&str], script: &str) -> Tap {
    tap(settings, &["sh", "-c", script])
}

impl Tap {
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let stdout = self.stdout.as_mut().unwrap();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            stdout.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    fn signal(&self, signal: Signal) {
        process::signal(&self.process, signal);
    }

    /// Waits for the end without closing the client's side first.
    fn end(&mut self) -> End {
        let (mut output, mut errors) = (Vec::new(), String::new());
        if let Some(mut stdout) = self.stdout.take() {
            stdout.read_to_end(&mut output).unwrap();
        }
        let code = self.process.wait().unwrap().code();
        self.stderr.read_to_string(&mut errors).unwrap();
        let text = std::fs::read_to_string(self.stats.path()).unwrap();
        let pair = |line: &str| {
            let (name, value) = line.split_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        End { code, output, errors, stats: text.lines().map(pair).collect() }
    }

    fn close(&mut self) -> End {
        self.stdin = None;
        self.end()
    }
}

/// Sends all of `input` while reading what comes back, then closes.
fn through(mut tap: Tap, input: &[u8]) -> End {
    thread::scope(|scope| {
        let mut stdin = tap.stdin.take().unwrap();
        scope.spawn(move || stdin.write_all(input).unwrap());
        tap.end()
    })
}

fn hostile() -> Vec<Vec<u8>> {
    let junk: Vec<u8> =
        (0..300_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    vec![
        Vec::new(),
        b"\n".to_vec(),
        b"{\"id\":1}\r\n\r\n\n\n{\"id\":2}\r\n".to_vec(),
        b"no newline at the end".to_vec(),
        b"\xff\xfe\0\0\n\xc3\x28\n\xed\xa0\x80\n\xef\xbb\xbf{}\n".to_vec(),
        b"[{\"id\":1},{\"id\":2}]\nbanner! {{{\n\xe2\x80\xa8\n".to_vec(),
        [vec![b'x'; 1 << 21], b"\nshort\n".to_vec(), vec![b'y'; 1 << 20]].concat(),
        vec![b'\n'; 200_000],
        junk,
    ]
}

// Law 1: the bytes.

#[test]
fn hostile_streams_pass_verbatim_both_ways() {
    for stream in hostile() {
        let end = through(tap(&[], &["cat"]), &stream);
        assert!(end.output == stream, "{} bytes came of {}", end.output.len(), stream.len());
        assert_eq!(end.code, Some(0));
        for way in ["to_server", "to_client"] {
            let skipped = end.stats[&format!("mcpcol_tap_skipped_bytes/{way}")];
            let cuts = end.stats[&format!("mcpcol_tap_cuts/{way}")];
            let seen = end.stats[&format!("seen_bytes/{way}")];
            assert!(seen + skipped + cuts >= stream.len() as u64 && seen <= stream.len() as u64);
            assert_eq!(end.stats[&format!("eof/{way}")], 1);
        }
    }
}

#[test]
fn a_stuck_or_broken_observer_or_no_room_at_all_changes_no_byte() {
    let stream = hostile().concat();
    for setting in [
        &["watch=stuck", "patience_ms=100"] as &[_],
        &["watch=panic"],
        &["queue=1"],
        &["max_line=1"],
    ] {
        let started = Instant::now();
        let end = through(tap(setting, &["cat"]), &stream);
        assert!(end.output == stream, "{setting:?}");
        assert_eq!(end.code, Some(0), "{setting:?}");
        assert!(started.elapsed() < Duration::from_secs(10), "{setting:?}");
        if setting[0] == "watch=panic" {
            assert_eq!(end.stats["mcpcol_tap_observer_panics"], 1);
        }
    }
}

#[test]
fn a_line_of_100_mb_passes_and_costs_less_than_100_mib() {
    const CHUNK: usize = 1 << 20;
    const CHUNKS: usize = 100;
    let mut tap = tap(&[], &["cat"]);
    let chunk: Vec<u8> = (0..CHUNK).map(|n| b'a' + (n % 23) as u8).collect();
    let (mut stdin, mut stdout) = (tap.stdin.take().unwrap(), tap.stdout.take().unwrap());
    thread::scope(|scope| {
        let chunk = &chunk;
        let sender = scope.spawn(move || {
            (0..CHUNKS).for_each(|_| stdin.write_all(chunk).unwrap());
            stdin.write_all(b"\n").unwrap();
            stdin
        });
        let mut got = vec![0; CHUNK];
        for _ in 0..CHUNKS {
            stdout.read_exact(&mut got).unwrap();
            assert!(&got == chunk);
        }
        stdout.read_exact(&mut got[..1]).unwrap();
        assert_eq!(got[0], b'\n');
        if let Some(peak) = peak_rss(tap.process.id()) {
            assert!(peak < 100 << 20, "{peak} bytes");
        }
        drop(sender.join().unwrap());
    });
    let end = tap.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.stats["mcpcol_tap_cuts/to_client"] + end.stats["mcpcol_tap_gaps/to_client"], 1);
}

/// Linux tells; elsewhere nothing is claimed.
fn peak_rss(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[test]
fn a_client_that_does_not_read_stops_the_server_and_nothing_piles_up() {
    let mut tap = tap(&[], &["cat"]);
    let stdin = tap.stdin.take().unwrap();
    // Ours alone: the other end of the pipe is another description.
    fcntl_setfl(&stdin, OFlags::NONBLOCK).unwrap();
    let mut stdin = File::from(std::os::fd::OwnedFd::from(stdin));
    let mut sent = 0;
    let silence = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };
    while poll(&mut [PollFd::new(&stdin, PollFlags::OUT)], Some(&silence)).unwrap() > 0 {
        sent += stdin.write(&[b'x'; 4096]).unwrap_or(0);
        assert!(sent < 4 << 20, "it takes more than a few pipes hold");
    }
    drop(stdin);
    let end = tap.end();
    assert_eq!((end.output.len(), end.code), (sent, Some(0)));
}

#[test]
fn an_answer_is_never_seen_before_its_request() {
    let mut tap = shell(&[], "exec \"$PEER\" echo");
    let mut stdin = tap.stdin.take().unwrap();
    let mut stdout = BufReader::new(tap.stdout.take().unwrap());
    let mut answer = String::new();
    for id in 1..=5000 {
        let request = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n");
        stdin.write_all(request.as_bytes()).unwrap();
        answer.clear();
        stdout.read_line(&mut answer).unwrap();
        assert!(answer.contains(&format!("\"id\":{id},")), "{answer}");
    }
    drop(stdin);
    let end = tap.end();
    assert_eq!((end.stats["early"], end.stats["seen_lines/to_client"]), (0, 5000));
}

#[test]
fn what_is_seen_and_what_is_skipped_is_what_was_sent() {
    let request = |id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\"}}\n");
    let input: String = (0..20_000).map(request).collect();
    let end = through(shell(&["queue=20000", "watch=20"], "exec \"$PEER\" echo"), input.as_bytes());
    assert!(end.stats["mcpcol_tap_gaps/to_server"] > 0, "the queue is too big for this test");
    for (way, bytes) in [("to_server", input.len()), ("to_client", end.output.len())] {
        let stat = |name: &str| end.stats[&format!("{name}/{way}")];
        assert_eq!(stat("seen_bytes") + stat("mcpcol_tap_skipped_bytes"), bytes as u64);
        assert_eq!(stat("mcpcol_tap_lines"), 20_000);
        assert!(stat("seen_lines") + stat("mcpcol_tap_skipped_lines") <= 20_000);
    }
}

// The ends.

#[test]
fn the_servers_exit_code_is_ours_even_while_the_client_stays() {
    assert_eq!(shell(&[], "exit 7").end().code, Some(7));
    assert_eq!(shell(&[], "kill -KILL $$").end().code, Some(128 + 9));
    assert_eq!(shell(&[], "cat; exit 4").close().code, Some(4));
}

#[test]
fn what_the_server_says_last_still_arrives() {
    let end = shell(&[], "cat >/dev/null; echo bye; exit 2").close();
    assert_eq!((end.output.as_slice(), end.code), (b"bye\n".as_slice(), Some(2)));
}

#[test]
fn a_command_that_cannot_be_started_is_one_line_and_the_shells_code() {
    for (command, code, why) in [
        ("no-such-command-anywhere", 127, "no such command"),
        ("/no/such/file", 127, "no such file"),
        ("/", 126, "ermission denied"),
    ] {
        let end = tap(&[], &[command]).end();
        assert_eq!(end.code, Some(code), "{command}");
        assert!(end.errors.contains(why) && end.errors.lines().count() == 1, "{}", end.errors);
        assert!(end.output.is_empty());
    }
}

/// Writes a program and says where. A process of its own writes it: what another test starts meanwhile could
/// inherit a descriptor of ours, and what is open for writing cannot be started.
fn program(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> String {
    let path = folder.path().join(name).to_str().unwrap().to_owned();
    let mut writer = Command::new("sh");
    writer.args(["-c", "cat >\"$0\" && chmod 755 \"$0\"", &path]).stdin(Stdio::piped());
    let mut writer = writer.spawn().unwrap();
    writer.stdin.take().unwrap().write_all(bytes).unwrap();
    assert!(writer.wait().unwrap().success());
    path
}

/// As `execvp` has it, by which clients start their servers.
#[test]
fn a_script_that_does_not_say_who_reads_it_is_read_by_the_shell() {
    let folder = tempfile::tempdir().unwrap();
    let path = program(&folder, "weather", b"echo \"$0 $1-$#\"; cat; exit 5\n");
    for command in [path.as_str(), "weather"] {
        let end = through(tap_on(folder.path(), &[], &[command, "a b", "c"]), b"hello\n");
        assert_eq!(end.code, Some(5), "{}", end.errors);
        assert_eq!(String::from_utf8(end.output).unwrap(), format!("{path} a b-2\nhello\n"));
    }
    assert_eq!(tap(&[], &[&program(&folder, "empty", b"")]).close().code, Some(0));
}

#[test]
fn a_program_for_another_machine_is_no_script() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = program(&folder, "foreign", b"\x7fELF\x02\x01\x01\0\0\0\0 exit 3\n");
    let end = tap(&[], &[&foreign]).end();
    assert_eq!(end.code, Some(126));
    assert!(end.errors.contains("format") && end.errors.lines().count() == 1, "{}", end.errors);
}

#[test]
fn the_server_inherits_the_environment_but_not_our_settings() {
    let end = shell(&[], "echo \"$MCPCOL_CONFIG-$MCPCOL_GIVEN-$OTHER\"").close();
    assert_eq!(String::from_utf8_lossy(&end.output), "-given-other\n");
}

#[test]
fn stderr_is_passed_through() {
    let end = shell(&[], "echo trouble >&2").close();
    assert_eq!(end.errors, "trouble\n");
}

#[test]
fn a_server_that_closes_its_stdout_is_seen_to_by_the_client() {
    let mut tap = shell(&[], "exec >&-; cat >/dev/null; exit 5");
    let mut output = Vec::new();
    tap.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    assert!(output.is_empty() && tap.process.try_wait().unwrap().is_none());
    assert_eq!(tap.close().code, Some(5));
}

#[test]
fn a_client_that_stops_reading_for_good_breaks_the_servers_pipe() {
    let mut tap = shell(&[], "while echo x; do :; done");
    tap.stdout = None;
    assert_eq!(tap.end().code, Some(128 + 13));
}

#[test]
fn a_server_that_stops_reading_for_good_breaks_the_clients_pipe() {
    let mut tap = shell(&[], "exec <&-; echo ready; exec \"$PEER\" deaf");
    assert_eq!(tap.line(), "ready\n");
    let stdin = tap.stdin.as_mut().unwrap();
    let broken = loop {
        if let Err(error) = stdin.write_all(b"hello?\n") {
            break error;
        }
    };
    assert_eq!(broken.kind(), std::io::ErrorKind::BrokenPipe);
    tap.signal(Signal::TERM);
    assert_eq!(tap.end().code, Some(128 + 15));
}

#[test]
fn signals_are_forwarded_as_they_came() {
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        let mut tap = shell(&[], "echo ready; exec \"$PEER\" deaf");
        assert_eq!(tap.line(), "ready\n");
        let sent = Instant::now();
        tap.signal(signal);
        assert_eq!(tap.end().code, Some(128 + number));
        assert!(sent.elapsed() < Duration::from_millis(1400), "it was not killed");
    }
}

#[test]
fn a_server_that_ignores_sigterm_is_killed_where_a_setting_asks_for_it() {
    let mut tap = shell(&["kill_ms=300"], "trap '' TERM; echo ready; exec \"$PEER\" deaf");
    assert_eq!(tap.line(), "ready\n");
    let sent = Instant::now();
    tap.signal(Signal::TERM);
    assert_eq!(tap.end().code, Some(128 + 9));
    assert!(sent.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_server_that_ignores_eof_gets_what_the_settings_ask_for() {
    for (script, number) in [("", 15), ("trap '' TERM; ", 9)] {
        let settings = ["grace_ms=300", "kill_ms=100"];
        let mut tap = shell(&settings, &format!("{script}exec \"$PEER\" deaf"));
        let closed = Instant::now();
        assert_eq!(tap.close().code, Some(128 + number));
        assert!(closed.elapsed() >= Duration::from_millis(300));
    }
}

#[test]
fn somebody_who_keeps_the_dead_servers_stdout_keeps_us_until_a_signal_comes() {
    let mut tap = shell(&[], "exec \"$PEER\" orphan last-words");
    let mut line = String::new();
    let mut errors = BufReader::new(&mut tap.stderr);
    errors.read_line(&mut line).unwrap();
    let orphan: i32 = line.trim().strip_prefix("orphan ").unwrap().parse().unwrap();
    let mut words = [0; 10];
    tap.stdout.as_mut().unwrap().read_exact(&mut words).unwrap();
    assert_eq!(&words, b"last-words");
    // Who looked at silence alone would go within a quarter of a second.
    let silence = Timespec { tv_sec: 0, tv_nsec: 600_000_000 };
    let mut output = [PollFd::new(tap.stdout.as_ref().unwrap(), PollFlags::IN)];
    assert_eq!(poll(&mut output, Some(&silence)).unwrap(), 0);
    tap.signal(Signal::TERM);
    let mut rest = Vec::new();
    tap.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
    assert_eq!((rest.len(), tap.process.wait().unwrap().code()), (0, Some(3)));
    kill_process(Pid::from_raw(orphan).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_group_of_its_own_is_ended_as_a_whole() {
    let mut tap = shell(&["group=own"], "\"$PEER\" deaf & echo ready; exec \"$PEER\" deaf");
    assert_eq!(tap.line(), "ready\n");
    let sent = Instant::now();
    tap.signal(Signal::TERM);
    // Its stderr ends once everybody is gone who holds it.
    assert_eq!(tap.end().code, Some(128 + 15));
    assert!(sent.elapsed() < Duration::from_secs(9));
}
