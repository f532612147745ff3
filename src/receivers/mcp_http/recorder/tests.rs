//! What the observer is told of an exchange, record by record.

use super::*;
use crate::receivers::tap::Held;
use proptest::prelude::*;
use std::fmt::Write as _;

fn recording(limit: usize, max_message: usize) -> Rc<Recording> {
    Rc::new(Recording {
        queue: Arc::new(Queue::new(limit)),
        numbers: Arc::new(AtomicU64::new(1)),
        max_message,
        bell: Notify::new(),
        unseen: Counter::default(),
        cutting: Cell::new(false),
    })
}

fn head() -> Request {
    Request { post: true, bytes: b"head".to_vec() }
}

fn json(coding: Coding) -> Response {
    Response::with(200, BodyKind::Other, coding)
}

fn events(coding: Coding) -> Response {
    Response::with(200, BodyKind::Sse, coding)
}

/// Gives what the observer finds, a word a record.
fn told(recording: &Recording) -> String {
    let mut held = Held::default();
    recording.queue.drain(&mut held);
    let mut out = String::new();
    for event in held.events() {
        let text = String::from_utf8_lossy(event.bytes);
        match event.note.kind {
            Kind::Request { .. } => write!(out, "request "),
            Kind::Response => write!(out, "response "),
            Kind::Edited => write!(out, "edited "),
            Kind::Bytes(way) => write!(out, "{}{text:?} ", sign(way)),
            Kind::Last(way) => write!(out, "{}{text:?}. ", sign(way)),
            Kind::Skip(way, n) => write!(out, "{}skip{n} ", sign(way)),
            Kind::Ended(way) => write!(out, "{}end ", sign(way)),
            Kind::Lost(way) => write!(out, "{}lost ", sign(way)),
            Kind::Broken(by) => write!(out, "broken:{by:?} "),
            Kind::Gap(gap) => write!(out, "gap:{}+{} ", gap.posts, gap.bytes),
        }
        .unwrap();
    }
    out.trim_end().to_owned()
}

fn sign(way: Direction) -> char {
    if way == Direction::ClientToServer { '>' } else { '<' }
}

#[test]
fn head_body_and_end_of_a_request_go_together_and_before_the_response() {
    let recording = recording(1 << 20, 100);
    let recorder = ExchangeRecorder::start(&recording, head());
    assert_eq!(told(&recording), "", "nothing is told before there is something to tell");
    let mut asked = recorder.request(Coding::Identity);
    asked.bytes(b"{}", true);
    let mut answer = recorder.response(&json(Coding::Identity));
    answer.bytes(b"[", false);
    answer.bytes(b"]", true);
    answer.end();
    drop((asked, answer));
    assert_eq!(told(&recording), r#"request >"{}". response <"[" <"]"."#);
}

#[test]
fn what_was_done_to_a_message_is_told_right_before_it_or_before_its_loss() {
    let edited = Edited { hop: None, asked: true };
    let room = recording(1 << 20, 4);
    let mut asked = ExchangeRecorder::start(&room, head()).request(Coding::Identity);
    asked.whole(Some(&edited), b"12345");
    assert_eq!(told(&room), r#"request edited >"1234" >"5" >end"#);
    let full = recording(600, 1000);
    let mut asked = ExchangeRecorder::start(&full, head()).request(Coding::Identity);
    asked.whole(Some(&edited), &[b'x'; 600]);
    assert_eq!(told(&full), "request edited >lost >end gap:0+600");
}

#[test]
fn a_response_before_the_body_ends_after_it_or_when_none_can_come() {
    let recording = recording(1 << 20, 100);
    let begin = || {
        let recorder = ExchangeRecorder::start(&recording, head());
        (recorder.request(Coding::Identity), recorder.response(&json(Coding::Identity)))
    };
    let (mut asked, mut answer) = begin();
    answer.end();
    asked.bytes(b"la", false);
    asked.bytes(b"te", true);
    assert_eq!(told(&recording), r#"request response >"la" >"te". <end"#);
    let (asked, mut answer) = begin();
    answer.bytes(b"[]", true);
    answer.broken(Party::Client);
    assert_eq!(told(&recording), r#"request response <"[]""#);
    drop((asked, answer));
    assert_eq!(told(&recording), "<end");
    let (mut asked, mut answer) = begin();
    asked.bytes(b"some", false);
    answer.bytes(b"[]", true);
    drop((asked, answer));
    assert_eq!(told(&recording), r#"request response >"some" <"[]"."#);
}

#[test]
fn a_long_body_is_cut_to_head_and_tail_and_a_long_line_too() {
    let recording = recording(1 << 20, 4);
    let recorder = ExchangeRecorder::start(&recording, head());
    recorder.request(Coding::Identity).bytes(b"123456", true);
    assert_eq!(told(&recording), r#"request >"1234" >"56" >end"#);
    let long = [b'x'; 5000];
    let mut asked = ExchangeRecorder::start(&recording, head()).request(Coding::Identity);
    asked.bytes(b"abc", false);
    asked.bytes(&long, false);
    asked.end();
    let told_of = told(&recording);
    assert!(told_of.starts_with(r#"request >"abc" >"x" >skip903 >"xxx"#), "{told_of}");
    let mut answer = recorder.response(&events(Coding::Identity));
    answer.bytes(b"d\r\n123456\n", false);
    answer.bytes(b"12345", true);
    assert_eq!(told(&recording), r#"response <"d\r\n1234" <"56" <"\n" <"1234" <"5" <end"#);
}

#[test]
fn short_lines_are_not_cut_however_many_come_in_a_read() {
    let recording = recording(1 << 20, 8);
    let mut answer =
        ExchangeRecorder::start(&recording, head()).response(&events(Coding::Identity));
    answer.bytes(b"a\nb\nc\n", false);
    answer.bytes(b"d\n", false);
    answer.bytes(b"1234567", false);
    answer.bytes(b"8\n", true);
    assert_eq!(told(&recording), r#"request response <"a\nb\nc\n" <"d\n" <"1234567" <"8\n" <end"#);
}

#[test]
fn what_has_no_room_is_lost_once_and_the_end_still_told() {
    let recording = recording(600, 10_000);
    let recorder = ExchangeRecorder::start(&recording, head());
    let mut asked = recorder.request(Coding::Identity);
    asked.bytes(&[b'a'; 100], false);
    asked.bytes(&[b'b'; 600], false);
    asked.bytes(b"c", true);
    let other = ExchangeRecorder::start(&recording, head());
    other.request(Coding::Identity).bytes(b"unheard", true);
    other.broken(Party::Client);
    let told = told(&recording);
    assert!(told.ends_with(">lost >end gap:1+600"), "{told}");
    assert_eq!(recording.unseen.get(), 7);
}

#[test]
fn a_last_piece_that_has_no_room_is_lost_and_the_end_told() {
    let recording = recording(600, 10_000);
    let mut asked = ExchangeRecorder::start(&recording, head()).request(Coding::Identity);
    asked.bytes(&[b'a'; 600], true);
    asked.end();
    assert_eq!(told(&recording), "request >lost >end gap:0+600");
}

#[test]
fn a_packed_body_past_the_limit_is_given_up_and_a_packed_stream_is_not() {
    let recording = recording(1 << 20, 4);
    let recorder = ExchangeRecorder::start(&recording, head());
    let mut answer = recorder.response(&json(Coding::Gzip));
    answer.bytes(b"123", false);
    answer.bytes(b"456", false);
    answer.bytes(b"789", true);
    assert_eq!(told(&recording), r#"request response <"123" <lost <end"#);
    let mut stream = recorder.response(&events(Coding::Gzip));
    stream.bytes(b"123456", true);
    assert_eq!(told(&recording), r#"response <"123456"."#);
}

#[test]
fn only_the_first_end_is_told() {
    let recording = recording(1 << 20, 100);
    let recorder = ExchangeRecorder::start(&recording, head());
    let mut answer = recorder.response(&json(Coding::Identity));
    answer.bytes(b"1", true);
    answer.broken(Party::Client);
    let other = ExchangeRecorder::start(&recording, head());
    other.broken(Party::Server);
    other.broken(Party::Client);
    assert_eq!(told(&recording), r#"request response <"1". request broken:Server"#);
}

proptest! {
    /// Read boundaries decide nothing, and what is told is what came.
    #[test]
    fn whatever_the_boundaries_the_same_is_told(
        bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..400),
        size in 1usize..50,
        max in 1usize..60,
        events in any::<bool>(),
        known in any::<bool>(),
    ) {
        let tell = |size: usize, known: bool| {
            let recording = recording(1 << 22, max);
            let recorder = ExchangeRecorder::start(&recording, head());
            let kind = if events { BodyKind::Sse } else { BodyKind::Other };
            let response = Response::with(200, kind, Coding::Identity);
            let mut body_recorder = recorder.response(&response);
            let mut chunks = bytes.chunks(size).peekable();
            while let Some(chunk) = chunks.next() {
                // Whether a piece is known to be the last.
                body_recorder.bytes(chunk, known && chunks.peek().is_none());
            }
            body_recorder.end();
            let mut held = Held::default();
            recording.queue.drain(&mut held);
            let (mut out, mut skipped, mut ended) = (Vec::new(), 0, 0);
            for event in held.events() {
                match event.note.kind {
                    Kind::Bytes(_) | Kind::Last(_) => out.extend_from_slice(event.bytes),
                    Kind::Skip(_, n) => skipped += n,
                    _ => {}
                }
                let over = matches!(event.note.kind, Kind::Last(_) | Kind::Ended(_));
                ended += usize::from(over);
            }
            (out, skipped, ended)
        };
        let (out, skipped, ended) = tell(bytes.len().max(1), false);
        prop_assert_eq!((out.len() as u64 + skipped, ended), (bytes.len() as u64, 1));
        prop_assert_eq!(tell(size, known), (out, skipped, 1));
    }
}
