//! Recorded stdio sessions: what both sides wrote, in the order in which they did.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::text;

/// After its child's end, a tap may take its shutdown timeout of 1 s; the rest is a busy machine.
pub(crate) const END: Duration = Duration::from_secs(4);

/// The files of all recordings.
pub(crate) fn sessions() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stdio-sessions");
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut sessions: Vec<_> =
        paths.filter(|p| p.to_str().unwrap().ends_with(".session.jsonl")).collect();
    sessions.sort();
    assert_eq!(sessions.len(), 4);
    sessions
}

/// The recording of that name.
pub(crate) fn session(name: &str) -> PathBuf {
    let file = format!("{name}.session.jsonl");
    sessions().into_iter().find(|path| path.ends_with(&file)).unwrap()
}

/// Plays the client's part of a recording to a tap of `examples/replay.rs`, which plays the server's; the tap's end.
pub(crate) fn play(mut tap: Child, session: &Path) -> Output {
    let mut to = tap.stdin.take().unwrap();
    let mut from = BufReader::new(tap.stdout.take().unwrap());
    for event in fs::read_to_string(session).unwrap().lines() {
        let event: Value = serde_json::from_str(event).unwrap();
        let line = format!("{}\n", event["raw"].as_str().unwrap());
        if event["dir"] == "c2s" {
            to.write_all(line.as_bytes()).unwrap();
        } else {
            let mut got = Vec::new();
            from.read_until(b'\n', &mut got).unwrap();
            assert_eq!(String::from_utf8(got).unwrap(), line);
        }
    }
    drop(to);
    let mut rest = Vec::new();
    from.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "nothing is added");
    let begun = Instant::now();
    let output = tap.wait_with_output().unwrap();
    assert!(begun.elapsed() < END, "ended after {:?}", begun.elapsed());
    let talk = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "the server saw the recorded bytes: {talk}");
    output
}
