//! A stdio server for the tap's tests and bench: small, quick and ill-behaved on request.
//!
//! `peer echo` answers every line that has an `"id":N` with a result of that id and about the same
//! size, one write an answer. `peer deaf` reads nothing and ignores the end of its input for a while.
//! `peer orphan TEXT` leaves a deaf process behind that holds its stdout, writes TEXT and exits with 3.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio, exit};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use memchr::memmem;

/// Longer than any test waits; then nothing is left behind even if a test fails.
const DEAF_FOR: Duration = Duration::from_secs(30);

fn main() -> io::Result<()> {
    run(std::env::args().skip(1))
}

/// The bench calls this too: its children are itself.
pub(crate) fn run(mut args: impl Iterator<Item = String>) -> io::Result<()> {
    match args.next().as_deref() {
        Some("echo") => echo(),
        Some("deaf") => deaf(),
        Some("orphan") => orphan(&args.next().unwrap_or_default()),
        _ => exit(64),
    }
}

fn echo() -> io::Result<()> {
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    let mut input = vec![0; 1 << 16];
    let mut line = Vec::new();
    let mut answer = Vec::new();
    loop {
        let read = match stdin.read(&mut input)? {
            0 => return Ok(()),
            length => &input[..length],
        };
        for piece in read.split_inclusive(|&b| b == b'\n') {
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") {
                answer_to(&line, &mut answer);
                // Past the line buffer of `Stdout`: one write, as the SDKs do it.
                stdout.write_all(&answer)?;
                stdout.flush()?;
                line.clear();
            }
        }
    }
}

fn answer_to(line: &[u8], answer: &mut Vec<u8>) {
    answer.clear();
    let Some(at) = memmem::find(line, b"\"id\":") else { return };
    let digits = line[at + 5..].iter().take_while(|b| b.is_ascii_digit()).count();
    answer.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    answer.extend_from_slice(&line[at + 5..at + 5 + digits]);
    answer.extend_from_slice(b",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"");
    let rest = line.len().saturating_sub(answer.len() + b"\"}]}}\n".len());
    answer.resize(answer.len() + rest, b'x');
    answer.extend_from_slice(b"\"}]}}\n");
}

fn deaf() -> io::Result<()> {
    let until = Instant::now() + DEAF_FOR;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        park_timeout(left);
    }
    Ok(())
}

fn orphan(text: &str) -> io::Result<()> {
    let deaf = Command::new(std::env::current_exe()?).arg("deaf").stdin(Stdio::null()).spawn()?;
    io::stderr().write_all(format!("orphan {}\n", deaf.id()).as_bytes())?;
    io::stdout().write_all(text.as_bytes())?;
    io::stdout().flush()?;
    exit(3)
}
