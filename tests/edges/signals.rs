//! Signals to the real binary: whom they reach, how often, and what stays ignored.
//!
//! `examples/signals.rs` is the server: it tells what reaches it and whether the kernel sent it, which is what a
//! key at a terminal looks like, or a process did, which is what a signal that was passed on looks like.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;

use crate::process::{Log, MCPCOL, eventually, example, signal};
use crate::terminal::Terminal;

fn server() -> PathBuf {
    example("signals")
}

/// A tap with its server, and the test as its client.
struct Tap {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// The tap's own process, which a shell may stand before.
    tap: Pid,
    server: Pid,
    _home: TempDir,
}

/// `sh -c SCRIPT SCRIPT MCPCOL ARG...`: the script runs `"$@"`.
fn by_shell(script: &str, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, script, MCPCOL]).args(args);
    command
}

fn stdio<'a>(more: &[&'a str], server: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    [&["stdio"], more, &["--", server], flags].concat()
}

impl Tap {
    /// Starts it in a home of its own; returns once its server is ready.
    fn start(mut command: Command) -> Tap {
        let home = tempfile::tempdir().unwrap();
        command.env("HOME", home.path());
        for other in ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "MCPCOL_CONFIG"] {
            command.env_remove(other);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = process.stdin.take().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        let pids: Vec<_> = ready.split_whitespace().skip(1).map(|id| id.parse().unwrap()).collect();
        let [server, tap] = *pids else { panic!("not ready: {ready:?}") };
        let [server, tap] = [server, tap].map(|id| Pid::from_raw(id).unwrap());
        eventually("the tap is ready, too", || threads(tap).iter().any(|name| name == "signals\n"));
        Tap { process, stdin, stdout, tap, server, _home: home }
    }

    fn kill(&self, signal: Signal) {
        kill_process(self.tap, signal).unwrap();
    }

    /// What the server tells next.
    fn hears(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Closes the server's stdin; what it still told, and the process's exit code.
    fn end(self) -> (Vec<String>, Option<i32>) {
        let Tap { mut process, stdin, stdout, .. } = self;
        drop(stdin);
        let told = stdout.lines().collect::<Result<_, _>>().unwrap();
        (told, process.wait().unwrap().code())
    }
}

/// The names of a process's threads, each with a newline.
fn threads(pid: Pid) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_pid())).unwrap();
    tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok()).collect()
}

/// Whether a process ignores a signal.
fn ignores(pid: Pid, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal.as_raw() - 1) & 1 == 1
}

/// A session on a terminal, which a shell leads that runs `script`, with `"$@"` for the tap.
fn session(terminal: &Terminal, script: &str, args: &[&str]) -> Command {
    let mut command = Command::new("setsid");
    let script = format!("exec 3<>\"$0\" 3>&-; {script}");
    command.args(["sh", "-c", &script, &terminal.name, MCPCOL]).args(args);
    command
}

fn type_key(terminal: &mut Terminal, key: u8) {
    terminal.keys.write_all(&[key]).unwrap();
}

const CTRL_C: u8 = 0x03;
const CTRL_BACKSLASH: u8 = 0x1c;
/// The tap is in the foreground group and a shell leads the session, as at a prompt.
const AT_A_PROMPT: &str = "trap : INT QUIT WINCH; \"$@\"; exit $?";

#[test]
fn a_key_at_the_terminal_reaches_the_server_once() {
    let mut terminal = Terminal::new();
    let path = server();
    let args = stdio(&[], path.to_str().unwrap(), &[]);
    for script in [AT_A_PROMPT, "exec \"$@\""] {
        let mut tap = Tap::start(session(&terminal, script, &args));
        let size = Winsize { ws_row: 20, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal.keys, Winsize { ws_row: 30, ..size }).unwrap();
        assert_eq!(tap.hears(), "WINCH kernel");
        tcsetwinsize(&terminal.keys, size).unwrap();
        assert_eq!(tap.hears(), "WINCH kernel");
        for (key, name) in [(CTRL_C, "INT"), (CTRL_BACKSLASH, "QUIT"), (CTRL_C, "INT")] {
            type_key(&mut terminal, key);
            assert_eq!(tap.hears(), format!("{name} kernel"));
        }
        // Were one of them passed on, it would come before this: of what is pending, SIGINT is taken first.
        tap.kill(Signal::USR1);
        assert_eq!(tap.hears(), "USR1 sent");
        tap.kill(Signal::INT);
        assert_eq!(tap.hears(), "INT sent");
        let (told, _) = tap.end();
        assert!(told.is_empty(), "{told:?}");
    }
}

#[test]
fn a_server_in_a_group_of_its_own_gets_the_terminals_keys_from_the_tap() {
    let mut terminal = Terminal::new();
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), "{ process_group: own }");
    let path = server();
    let args = stdio(&["--config", &config], path.to_str().unwrap(), &[]);
    let mut tap = Tap::start(session(&terminal, AT_A_PROMPT, &args));
    for (key, name) in [(CTRL_C, "INT"), (CTRL_BACKSLASH, "QUIT")] {
        type_key(&mut terminal, key);
        assert_eq!(tap.hears(), format!("{name} sent"));
    }
    let (told, _) = tap.end();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_hang_up_reaches_the_server_once_whoever_leads_the_session() {
    // Only the leader hears of it from the kernel; when it goes, the foreground group does.
    for (script, expected) in [("exec \"$@\"", "HUP sent"), ("\"$@\"; exit $?", "HUP kernel")] {
        let terminal = Terminal::new();
        let path = server();
        let args = stdio(&[], path.to_str().unwrap(), &[]);
        let mut tap = Tap::start(session(&terminal, script, &args));
        drop(terminal);
        assert_eq!(tap.hears(), expected);
        tap.kill(Signal::USR2);
        assert_eq!(tap.hears(), "USR2 sent");
        let (told, _) = tap.end();
        assert!(told.is_empty(), "{told:?}");
    }
}

#[test]
fn a_stdio_tap_passes_signals_on_as_they_came() {
    let path = server();
    let args = stdio(&[], path.to_str().unwrap(), &[]);
    let mut tap = Tap::start(by_shell("exec \"$@\"", &args));
    for (signal, name) in [
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::WINCH, "WINCH"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::INT, "INT"),
        (Signal::TERM, "TERM"),
        (Signal::HUP, "HUP"),
    ] {
        tap.kill(signal);
        assert_eq!(tap.hears(), format!("{name} sent"));
    }
    assert_eq!(tap.end(), (vec![], Some(0)));
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored_in_the_tap_and_in_the_server() {
    let path = server();
    let flags = ["-HUP", "-INT", "-QUIT"];
    let args = stdio(&[], path.to_str().unwrap(), &flags);
    let mut tap = Tap::start(by_shell("trap '' HUP INT QUIT; exec \"$@\"", &args));
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT] {
        for pid in [tap.tap, tap.server] {
            assert!(ignores(pid, signal), "{signal:?}");
        }
        tap.kill(signal);
    }
    tap.kill(Signal::USR1);
    assert_eq!(tap.hears(), "USR1 sent");
    assert_eq!(tap.end(), (vec![], Some(0)));
}

#[test]
fn a_server_that_listens_to_sigterm_gets_it_though_it_was_ignored_at_the_start() {
    let path = server();
    for (flags, expected) in [(&[][..], "TERM sent"), (&["-TERM"], "")] {
        let args = stdio(&[], path.to_str().unwrap(), flags);
        let mut tap = Tap::start(by_shell("trap '' TERM; exec \"$@\"", &args));
        assert_eq!(ignores(tap.server, Signal::TERM), expected.is_empty());
        tap.kill(Signal::TERM);
        if !expected.is_empty() {
            assert_eq!(tap.hears(), expected);
        }
        assert_eq!(tap.end(), (vec![], Some(0)));
    }
}

/// A configuration with one receiver that exports to nowhere.
fn config(dir: &Path, stdio: &str) -> String {
    let path = dir.join("config.yaml");
    let text = format!(
        "receivers: {{ mcp_stdio: {stdio} }}\nexporters: {{ nop: {{}} }}\nservice: {{ pipelines: {{ traces: \
         {{ receivers: [mcp_stdio], exporters: [nop] }} }} }}\n"
    );
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// `mcpcol run` with the server as its child.
fn run(home: &Path, script: &str, flags: &str) -> (Tap, Log) {
    let stdio = format!("{{ command: {}, args: [{flags}] }}", server().display());
    let config = config(home, &stdio);
    let mut command = by_shell(script, &["run", "--config", &config]);
    let mut tap = Tap::start({
        command.stderr(Stdio::piped());
        command
    });
    let mut log = Log::of(&mut tap.process);
    log.until("everything is ready");
    (tap, log)
}

#[test]
fn run_reloads_on_sighup_and_passes_on_what_is_not_its_own() {
    for (stop, name) in [(Signal::INT, "INT"), (Signal::TERM, "TERM")] {
        let home = tempfile::tempdir().unwrap();
        let (mut tap, mut log) = run(home.path(), "exec \"$@\"", "");
        tap.kill(Signal::HUP);
        log.until("reloaded");
        for (signal, name) in [
            (Signal::QUIT, "QUIT"),
            (Signal::USR1, "USR1"),
            (Signal::USR2, "USR2"),
            (Signal::WINCH, "WINCH"),
        ] {
            tap.kill(signal);
            assert_eq!(tap.hears(), format!("{name} sent"));
        }
        tap.kill(stop);
        assert_eq!(tap.hears(), format!("{name} sent"));
        log.until("stopping");
        // Also while it stops.
        tap.kill(Signal::USR1);
        assert_eq!(tap.hears(), "USR1 sent");
        assert_eq!(tap.end(), (vec![], Some(0)), "its own signal and no other");
    }
}

#[test]
fn run_reloads_on_sighup_though_it_was_ignored_and_its_server_goes_on_ignoring_it() {
    let home = tempfile::tempdir().unwrap();
    let (tap, mut log) = run(home.path(), "trap '' HUP INT; exec \"$@\"", "-HUP, -INT");
    assert!(ignores(tap.server, Signal::HUP) && ignores(tap.server, Signal::INT));
    assert!(ignores(tap.tap, Signal::INT));
    tap.kill(Signal::INT);
    tap.kill(Signal::HUP);
    log.until("reloaded");
    assert_eq!(tap.end(), (vec![], Some(0)));
}

#[test]
fn without_a_child_signals_that_are_not_ours_have_their_usual_effect() {
    for usual in [Signal::USR1, Signal::USR2, Signal::QUIT] {
        let args = ["http", "--upstream", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"];
        let home = tempfile::tempdir().unwrap();
        let mut command = by_shell("ulimit -c 0; exec \"$@\"", &args);
        command.env("HOME", home.path()).stderr(Stdio::piped());
        let mut http = command.spawn().unwrap();
        let mut log = Log::of(&mut http);
        log.until("everything is ready");
        signal(&http, Signal::WINCH);
        signal(&http, Signal::HUP);
        log.until("reloaded");
        signal(&http, usual);
        assert_eq!(http.wait().unwrap().signal(), Some(usual.as_raw()));
    }
}
