//! Plays the server's part of a recorded stdio session: writes what the server wrote, when the client's
//! lines before it have come. Exits with 9 if the client's bytes are not the recorded ones.
//!
//! `replay SESSION.jsonl`

use std::io::{self, BufRead, Read, Write};
use std::process::exit;

use serde_json::Value;

const NOT_AS_RECORDED: i32 = 9;

fn main() -> io::Result<()> {
    let path = std::env::args_os().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    let session = std::fs::read_to_string(path)?;
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    for event in session.lines() {
        let event: Value = serde_json::from_str(event)?;
        let mut line = event["raw"].as_str().unwrap_or_default().as_bytes().to_vec();
        line.push(b'\n');
        if event["dir"] == "s2c" {
            stdout.write_all(&line)?;
            stdout.flush()?;
            continue;
        }
        let mut got = Vec::new();
        stdin.read_until(b'\n', &mut got)?;
        if got != line {
            exit(NOT_AS_RECORDED);
        }
    }
    let mut rest = Vec::new();
    stdin.read_to_end(&mut rest)?;
    exit(if rest.is_empty() { 0 } else { NOT_AS_RECORDED });
}
