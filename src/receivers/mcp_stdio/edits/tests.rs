//! Lines on their way, without processes.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::pipeline::{Accounts, Build, Id, Shared};
use crate::receivers::mcp_stdio::Config;
use crate::receivers::mcp_stdio::intake::End;
use crate::receivers::mcp_stdio::intake::Intake;
use crate::receivers::mcp_stdio::queue::{Held, Kind, Queue};
use crate::receivers::mcp_stdio::relay::{Progress, relay};
use crate::receivers::tap::{EditCounters, edited};
use crate::settings::testing;
use crate::telemetry::Clock;
use Direction::{ClientToServer, ServerToClient};

const ASK: &str = "{ passback: { request: true } }";
const MODERN: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
const OTEL: &str = r#","otel":{"traces":{"request":true,"detailed":false}}"#;
const SPANS: &str = r#""_meta":{"otel":{"traces":{"resourceSpans":[]}}}"#;

fn editing(yaml: &str) -> Arc<Editing> {
    let config: Config = testing::read(yaml).unwrap();
    Editing::new(&config.observing()).unwrap()
}

/// A modern call, as the client writes it.
fn call(id: &str) -> String {
    call_with(id, "")
}

/// With that at the end of its `_meta`.
fn call_with(id: &str, more: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0", "id":{id},"method":"tools/call","params":{{"_meta":{{{MODERN}{more}}},"n":1.0}}}}"#
    )
}

fn answer(id: &str, spans: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[] ,{spans}}}}}"#)
}

/// Holds what came out of one direction, and what the observer was told.
#[derive(Debug, PartialEq)]
struct Passed {
    out: String,
    seen: String,
    /// Holds what was told, and after how many bytes.
    told: Vec<(usize, Edited)>,
}

/// Reads of at most so many bytes.
struct Slow<R>(R, usize);

impl<R: Read> Read for Slow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.1);
        self.0.read(&mut buffer[..length])
    }
}

/// Gives what an observer finds in the queue.
fn passed(queue: &Queue, out: Vec<u8>) -> Passed {
    let mut held = Held::default();
    queue.drain(&mut held);
    let (mut seen, mut told) = (Vec::new(), Vec::new());
    for event in held.events() {
        match event.note.kind {
            Kind::Bytes { .. } => seen.extend_from_slice(event.bytes),
            Kind::Edited => told.push((seen.len(), edited::decode(event.bytes).unwrap())),
            _ => {}
        }
    }
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Passed { out: text(out), seen: text(seen), told }
}

fn pass(editing: &Arc<Editing>, direction: Direction, text: &str, reads: usize) -> Passed {
    let queue = Arc::new(Queue::new(1 << 24));
    let intake = Intake::new(Arc::clone(&queue), direction, 1 << 22);
    let mut out = Vec::new();
    let from = Slow(Cursor::new(text), reads);
    let end = relay(from, &mut out, intake, Edits::new(editing, direction), &Progress::default());
    assert_eq!(end, End::Source);
    passed(&queue, out)
}

fn counted(editing: &Arc<Editing>) -> BTreeMap<String, i128> {
    let accounts = Accounts::default();
    let (id, shared) = (Id { kind: "mcp_stdio".into(), name: None }, Shared::default());
    let cx = Build::alone(&id, &accounts, Clock::start(), std::path::Path::new("."), &shared);
    let mut counters = EditCounters::new(&cx).follow(Some(Arc::clone(editing)));
    counters.tell();
    counters.tell();
    let samples = accounts.metrics().samples().into_iter();
    let name = |s: &crate::metrics::Sample| {
        let reason = s.labels.iter().find(|(label, _)| *label == "reason");
        let name = s.name.strip_prefix("mcpcol_tap_").unwrap();
        reason.map_or(name.to_owned(), |(_, reason)| format!("{name}/{reason}"))
    };
    samples.map(|sample| (name(&sample), sample.value)).collect()
}

fn counts(pairs: &[(&str, i128)]) -> BTreeMap<String, i128> {
    pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

#[test]
fn requests_are_asked_and_answers_stripped_and_the_observer_sees_what_was_sent() {
    let editing = editing(ASK);
    let ping = r#"{"id":2,"method":"ping"}"#;
    let asked = format!("{}\r\n{ping}\n\n{}", call("1"), call("\"a\""));
    let up = pass(&editing, ClientToServer, &asked, 1 << 16);
    let expected = [call_with("1", OTEL), format!("\r\n{ping}\n\n"), call_with("\"a\"", OTEL)];
    assert_eq!((up.out, up.seen), (expected.concat(), asked));
    let edited = Edited { hop: None, asked: true };
    let second = call("1").len() + 2 + ping.len() + 2;
    assert_eq!(up.told, [(0, edited), (second, edited)]);

    let log = r#"{"method":"notifications/message","params":{}}"#;
    let foreign = answer("1.5", SPANS);
    let sent =
        format!("{foreign}\n{}\r\nbanner\n{log}\n{}", answer("\"a\"", SPANS), answer("1", SPANS));
    let down = pass(&editing, ServerToClient, &sent, 1 << 16);
    let bare = |id| answer(id, "").replace(" ,", "");
    let expected = format!("{foreign}\n{}\r\nbanner\n{log}\n{}", bare("\"a\""), bare("1"));
    assert_eq!((down.out, down.seen), (expected, sent));
    assert_eq!(down.told, []);
    let expected = [("edited_requests", 2), ("stripped_answers", 2)];
    assert_eq!(counted(&editing), counts(&expected));
}

#[test]
fn what_the_client_asked_for_itself_stays_whoever_used_its_id_before() {
    let editing = editing(ASK);
    let own = call_with("1", r#","otel":{"traces":{"request":true}}"#);
    let asked = format!("{}\n{own}\n", call("1"));
    pass(&editing, ClientToServer, &asked, 1 << 16);
    let sent = format!("{}\n", answer("1", SPANS));
    assert_eq!(pass(&editing, ServerToClient, &sent, 1 << 16).out, sent);
    for odd in ["[]\n", "{\"id\":1,\"id\":1,\"method\":\"tools/call\"}\n"] {
        pass(&editing, ClientToServer, &format!("{}\n{odd}", call("1")), 1 << 16);
        assert_eq!(pass(&editing, ServerToClient, &sent, 1 << 16).out, sent, "{odd} may be id 1");
    }
    let counted = counted(&editing);
    assert_eq!(counted["unstripped_answers/forgotten"], 2);
    assert_eq!(
        (counted["unedited_requests/batch"], counted["unedited_requests/duplicate_key"]),
        (1, 1)
    );
}

#[test]
fn a_legacy_server_is_asked_once_it_said_that_it_can() {
    let editing = editing(ASK);
    let legacy = call("1").replace(MODERN, "");
    let hello = r#"{"id":0,"method":"initialize","params":{}}"#;
    let up = |text: &str| pass(&editing, ClientToServer, &format!("{text}\n"), 1 << 16).out;
    let down = |text: &str| pass(&editing, ServerToClient, &format!("{text}\n"), 1 << 16).out;
    assert_eq!(up(&legacy), format!("{legacy}\n"));
    let able = r#"{"serverExecutionTelemetry":{"version":"2026-03-01"}}"#;
    for (capabilities, asked) in [(able, true), ("{}", false)] {
        let can = format!(r#"{{"result":{{"capabilities":{capabilities}}},"id":0}}"#);
        assert_eq!(up(hello), format!("{hello}\n"));
        assert_eq!(down(&can), format!("{can}\n"));
        assert_eq!(up(&legacy).contains("otel"), asked);
    }
    assert_eq!(counted(&editing)["unedited_requests/not_offered"], 2);
}

#[test]
fn long_lines_pass_as_they_come_and_are_told_once() {
    let editing = editing(ASK);
    let long = call_with("1", &format!(r#","x":"{}""#, "y".repeat(HOLD)));
    let text = format!("{}\n{long}\n{}\n", call("2"), call("3"));
    for reads in [1 << 16, 1000] {
        let up = pass(&editing, ClientToServer, &text, reads);
        let expected = format!("{}\n{long}\n{}\n", call_with("2", OTEL), call_with("3", OTEL));
        assert!(up.out == expected && up.seen == text);
    }
    pass(&editing, ClientToServer, &format!("{}\n", call("7")), 1 << 16);
    let long = answer("7", &format!(r#""x":"{}",{SPANS}"#, "y".repeat(HOLD)));
    let sent = format!("{long}\n{}\n", answer("2", SPANS));
    let down = pass(&editing, ServerToClient, &sent, 1 << 16);
    assert!(down.out == format!("{long}\n{}\n", answer("2", "").replace(" ,", "")));
    let expected = [
        ("edited_requests", 5),
        ("unedited_requests/too_long", 2),
        ("stripped_answers", 1),
        ("unstripped_answers/too_long", 1),
    ];
    assert_eq!(counted(&editing), counts(&expected));
}

#[test]
fn a_line_is_not_written_before_it_is_whole_and_lines_of_one_read_go_together() {
    let mut lines = Lines::new(Edits::new(&editing(ASK), ClientToServer).unwrap());
    let mut took = |read: &str| {
        let mut out = Vec::new();
        lines
            .take(read.as_bytes(), |due| {
                out.push(String::from_utf8(due.bytes().to_vec()).unwrap());
                Ok(())
            })
            .unwrap();
        out
    };
    assert_eq!(took("ab"), [""; 0]);
    assert_eq!(took("c\nd\ne"), ["abc\nd\n"]);
    assert_eq!(took("\n"), ["e\n"]);
    assert_eq!(took("last"), [""; 0]);
    assert_eq!(took(""), ["last"]);
    assert_eq!(took(""), [""; 0]);
}

#[test]
fn where_there_is_no_room_neither_the_line_nor_what_was_done_to_it_is_told() {
    let editing = editing(ASK);
    let queue = Arc::new(Queue::new(10));
    let mut intake = Intake::new(Arc::clone(&queue), ClientToServer, 1 << 20);
    let edited = Edited { hop: None, asked: true };
    let line = call("1");
    intake.hand_over_pieces([(line.as_bytes(), Some(&edited))].into_iter(), Instant::now());
    let passed = passed(&queue, Vec::new());
    assert_eq!((passed.seen.as_str(), passed.told.len()), ("", 0));
    drop(editing);
}

#[test]
fn injected_contexts_are_those_that_the_observer_is_told() {
    let editing = editing("{ propagate: inject }");
    assert!(Edits::new(&editing, ServerToClient).is_none(), "nothing ever changes that way");
    let up = pass(&editing, ClientToServer, &format!("{}\n", call("1")), 7);
    let hop = up.told[0].1.hop.unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let parent = format!("00-{}-{}-01", hex(&hop.trace), hex(&hop.client));
    assert_eq!(up.out, format!("{}\n", call_with("1", &format!(r#","traceparent":"{parent}""#))));
    assert_ne!(hop.client, hop.server);
}

proptest! {
    /// Boundaries decide nothing.
    #[test]
    fn whatever_the_reads_the_same_passes(
        picked in prop::collection::vec(0usize..8, 0..20), reads in 1usize..300, last in any::<bool>(),
    ) {
        let pool = [
            call("1"), call("\"x\""), String::new(), "banner {".to_owned(), "[1]".to_owned(),
            r#"{"id":2,"method":"ping"}"#.to_owned(), call_with("3", r#","otel":3"#), format!("{}\r", call("4")),
        ];
        let mut text: String = picked.iter().map(|i| format!("{}\n", pool[*i])).collect();
        if last {
            text.pop();
        }
        let expected: String = text.split_inclusive('\n').map(|line| {
            if line.contains("otel") { line.to_owned() } else { line.replace(MODERN, &format!("{MODERN}{OTEL}")) }
        }).collect();
        let up = pass(&editing(ASK), ClientToServer, &text, reads);
        prop_assert_eq!(&up.out, &expected);
        prop_assert_eq!(&up.seen, &text);
        for (at, _) in up.told {
            prop_assert!(text[at..].starts_with(r#"{"jsonrpc":"2.0", "id""#), "told right before its line");
        }
    }
}
