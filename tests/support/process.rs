//! The real binary and the examples as processes, and what is said to and heard from them.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) const MCPCOL: &str = env!("CARGO_BIN_EXE_mcpcol");

/// Nothing in these tests takes this long unless it is stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A program of `examples/`.
pub(crate) fn example(name: &str) -> PathBuf {
    let path = Path::new(MCPCOL).parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "no {path:?}: run `cargo test`, or `cargo build --examples` first");
    path
}

/// The real binary in that home, with nothing of our environment but the path, between pipes. Temporary files are in
/// the home, too: a tap that found no other place has its record there.
pub(crate) fn mcpcol(home: &Path) -> Command {
    let mut command = Command::new(MCPCOL);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", home).env("TMPDIR", home);
    piped(&mut command);
    command
}

/// Puts a command between pipes.
pub(crate) fn piped(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped())
}

/// Sends a signal to a child.
pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// What a process said, as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asks until it holds; for what another process does in its own time.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

/// What a child says on its stderr.
pub(crate) struct Log {
    from: BufReader<ChildStderr>,
    /// What was read so far.
    text: String,
}

impl Log {
    /// Of a child whose stderr is a pipe.
    pub(crate) fn of(child: &mut Child) -> Log {
        Log { from: BufReader::new(child.stderr.take().unwrap()), text: String::new() }
    }

    /// The next line that holds `word`.
    pub(crate) fn until(&mut self, word: &str) -> String {
        loop {
            let begin = self.text.len();
            let read = self.from.read_line(&mut self.text).unwrap();
            assert!(read > 0, "it never said `{word}`:\n{}", self.text);
            let line = &self.text[begin..];
            if line.contains(word) {
                return line.to_owned();
            }
        }
    }

    /// Where it says next that it listens, in a line that holds `word`: host and port.
    pub(crate) fn address(&mut self, word: &str) -> String {
        let line = self.until(word);
        let (_, rest) = line.split_once("://").unwrap();
        rest.split(['/', ' ', ',', '\n']).next().unwrap().to_owned()
    }

    /// Waits until it is closed; everything that was said.
    pub(crate) fn all(&mut self) -> String {
        self.from.read_to_string(&mut self.text).unwrap();
        self.text.clone()
    }
}
