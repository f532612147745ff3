//! The real binary as a stdio tap that was told to change what it forwards: what server and client get,
//! byte by byte.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use tempfile::TempDir;

use crate::process::{Log, mcpcol};

/// Keeps what it reads and answers every line with the next one of a file.
const SERVER: &str = r#"exec 3<answers
while IFS= read -r line; do
  printf '%s\n' "$line" >>got
  IFS= read -r answer <&3 && printf '%s\n' "$answer"
done"#;
const MODERN: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00";
const OTEL: &str = r#""otel":{"traces":{"request":true,"detailed":true}}"#;
const SPANS: &str = r#""otel":{"traces":{"resourceSpans":[{"x":1.50}]}}"#;

struct Tap {
    dir: TempDir,
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

/// A tap with these settings around a server with these answers.
fn tap(settings: &str, answers: &[&str]) -> Tap {
    let dir = tempfile::tempdir().unwrap();
    let lines: String = answers.iter().map(|line| format!("{line}\n")).collect();
    fs::write(dir.path().join("answers"), lines).unwrap();
    let config = format!(
        "receivers: {{ mcp_stdio: {settings} }}\nprocessors: {{ digest: {{ mode: ephemeral }} }}\n\
         exporters: {{ file: {{ path: spans.jsonl }} }}\nservice:\n  pipelines:\n    traces: {{ receivers: \
         [mcp_stdio], processors: [digest], exporters: [file] }}\n"
    );
    fs::write(dir.path().join("config.yaml"), config).unwrap();
    let mut command = mcpcol(dir.path());
    command.args(["stdio", "--config", "config.yaml", "--", "sh", "-c", SERVER]);
    let mut process = command.current_dir(dir.path()).spawn().unwrap();
    let (to, from) = (process.stdin.take(), process.stdout.take().unwrap());
    Tap { dir, process, to, from: BufReader::new(from) }
}

impl Tap {
    fn ask(&mut self, line: &str) -> String {
        self.to.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        self.from.read_line(&mut answer).unwrap();
        assert_eq!(answer.pop(), Some('\n'));
        answer
    }

    /// What the server got, line by line.
    fn end(self) -> Vec<String> {
        let (got, talk) = self.end_talking();
        // On a machine that is busy otherwise an observer may be late at the end, and says so.
        let late = |line: &str| line.contains("was still busy at the end");
        let talk: Vec<&str> = talk.lines().filter(|line| !late(line)).collect();
        assert_eq!(talk, [""; 0], "agents' hosts count lines on stderr as errors");
        got
    }

    /// That, and what the tap said: a debug build may not have had the time to look at all of a burst.
    fn end_talking(mut self) -> (Vec<String>, String) {
        self.to = None;
        let mut rest = Vec::new();
        self.from.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "nothing is added");
        assert!(self.process.wait().unwrap().success());
        let talk = Log::of(&mut self.process).all();
        let got = fs::read_to_string(self.dir.path().join("got")).unwrap();
        (got.lines().map(str::to_owned).collect(), talk)
    }
}

fn call(id: u32, meta: &str) -> String {
    format!(
        r#"{{"method":"tools/call" , "params":{{"name":"x","arguments":{{"n":1e2,"n":0.10}},"_meta":{{{meta}}}}},"id":{id}}}"#
    )
}

fn answer(id: u32, meta: &str) -> String {
    format!(r#"{{"result":{{"content":[],"_meta":{{{meta}}}}},"id":{id}}}"#)
}

#[test]
fn a_modern_server_is_asked_and_the_client_sees_nothing_of_it() {
    let both = format!(r#"{SPANS},"x":1"#);
    let answers =
        [answer(1, SPANS), answer(2, SPANS), answer(3, &both), answer(4, SPANS), "{}".to_owned()];
    let lines: Vec<&str> = answers.iter().map(String::as_str).collect();
    let settings = "{ passback: { request: true, detailed: true } }";
    let mut tap = tap(settings, &lines);
    let own = call(2, &format!(r#"{MODERN},"otel":{{"traces":{{"request":true}}}}"#));
    assert_eq!(tap.ask(&call(1, MODERN)), r#"{"result":{"content":[]},"id":1}"#);
    assert_eq!(tap.ask(&own), answers[1], "what the client asked for is the client's");
    assert_eq!(tap.ask(&call(3, MODERN)), answer(3, r#""x":1"#));
    let batch = format!("[{}]", call(4, MODERN));
    assert_eq!(tap.ask(&batch), answers[3]);
    let long = call(5, &format!(r#"{MODERN},"x":"{}""#, "y".repeat(1 << 20)));
    assert_eq!(tap.ask(&long), "{}");
    let asked = |id| call(id, &format!("{MODERN},{OTEL}"));
    assert!(tap.end() == [asked(1), own, asked(3), batch, long]);
}

#[test]
fn a_legacy_server_is_asked_if_it_offered_and_the_tap_is_a_hop() {
    let offer = r#"{"id":0,"result":{"capabilities":{"serverExecutionTelemetry":{"version":"2026-03-01"}}}}"#;
    let none = r#"{"id":0,"result":{"capabilities":{}}}"#;
    for (hello, asked) in [(offer, true), (none, false)] {
        let answers = [hello.to_owned(), answer(1, SPANS)];
        let lines: Vec<&str> = answers.iter().map(String::as_str).collect();
        let settings =
            "{ unsampled: keep, propagate: inject, passback: { request: true, detailed: true } }";
        let mut tap = tap(settings, &lines);
        let initialize = r#"{"id":0,"method":"initialize","params":{"capabilities":{}}}"#;
        assert_eq!(tap.ask(initialize), hello);
        let own = format!(r#""traceparent":"{PARENT}","baggage":"a=b""#);
        let got = tap.ask(&call(1, &own));
        assert_eq!(got == answers[1], !asked);
        let seen = tap.end();
        assert_eq!(seen[0], initialize);
        let at = seen[1].find("00-").unwrap();
        let new = &seen[1][at..at + 55];
        assert_eq!((&new[..36], &new[52..]), (&PARENT[..36], "-00"), "trace and flags go on");
        assert_ne!(new, PARENT);
        let own = own.replace(PARENT, new);
        let meta = if asked { format!("{own},{OTEL}") } else { own };
        assert_eq!(seen[1], call(1, &meta));
    }
}

#[test]
fn nothing_changes_where_nothing_was_asked_for() {
    let answers = [answer(1, SPANS)];
    let mut tap = tap("{ passback: { ingest: solicited } }", &[&answers[0]]);
    assert_eq!(tap.ask(&call(1, MODERN)), answers[0]);
    assert_eq!(tap.end(), [call(1, MODERN)]);
}

#[test]
fn an_answer_whose_id_is_the_text_of_ours_is_stripped() {
    let text = answer(1, SPANS).replace(r#""id":1"#, r#""id":"1""#);
    let mut tap = tap("{ passback: { request: true } }", &[&text]);
    assert_eq!(tap.ask(&call(1, MODERN)), r#"{"result":{"content":[]},"id":"1"}"#);
    tap.end();
}

#[test]
fn a_slow_reader_holds_the_client_up_and_loses_nothing() {
    let calls: Vec<String> = (0..3000).map(|id| call(id, MODERN)).collect();
    let answers: Vec<String> = (0..3000).map(|id| answer(id, SPANS)).collect();
    let lines: Vec<&str> = answers.iter().map(String::as_str).collect();
    let mut tap = tap("{ passback: { request: true, detailed: true } }", &lines);
    let mut to = tap.to.take().unwrap();
    let sent = calls.join("\n");
    let writer = std::thread::spawn(move || to.write_all(sent.as_bytes()).unwrap());
    let mut got = Vec::new();
    // The last call has no newline, and `read` of a shell takes such a line for none.
    for _ in 0..2999 {
        let mut line = String::new();
        tap.from.read_line(&mut line).unwrap();
        got.push(line);
    }
    writer.join().unwrap();
    let expected = |id: usize| format!("{{\"result\":{{\"content\":[]}},\"id\":{id}}}\n");
    assert!(got.iter().enumerate().all(|(id, line)| *line == expected(id)));
    let (seen, _) = tap.end_talking();
    let meta = format!("{MODERN},{OTEL}");
    assert!(
        seen.iter().enumerate().all(|(id, line)| *line == call(u32::try_from(id).unwrap(), &meta))
    );
    assert_eq!(seen.len(), 2999);
}
