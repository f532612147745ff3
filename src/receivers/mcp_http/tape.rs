//! One exchange's way into the queue: heads and bodies as they pass, cut where they are too long.
//!
//! It looks for line ends in event streams and for nothing else. What has no room is lost for the
//! observer and counted, and the rest of that body is not told: the traffic goes on. A panic in here
//! ends the observation of the exchange, not the exchange (law 1, "our own bug" included).

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use memchr::{memchr2, memrchr2};
use tokio::sync::Notify;

use super::note::{By, Coding, Event, Kind, Note, Queue, Request, Response};
use crate::mcp::{Direction, Edited};
use crate::pipeline::Counter;
use crate::receivers::tap::{Beyond, Handing, edited};

/// What the tapes of one worker share.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) queue: Arc<Queue>,
    /// Exchanges are numbered over all workers.
    pub(super) numbers: Arc<AtomicU64>,
    /// Messages are observed up to this many bytes.
    pub(super) max_message: usize,
    /// Rung when the observer is to be woken, once what is being handed over has been written.
    pub(super) bell: Notify,
    /// Bytes of bodies whose exchange is not observed.
    pub(super) unseen: Counter,
}

/// One exchange as the observer is told of it.
#[derive(Debug)]
pub(super) struct Tape {
    recorder: Rc<Recorder>,
    exchange: u64,
    /// The request's head, until something else is handed over: mostly they go together.
    head: RefCell<Option<Vec<u8>>>,
    post: bool,
    /// The observer was told of it.
    heard: Cell<bool>,
    /// The response was told to its end, or how it broke off.
    over: Cell<bool>,
}

/// One body of an exchange.
#[derive(Debug)]
pub(super) struct Reel {
    /// Nothing for what is not observed.
    tape: Option<Rc<Tape>>,
    direction: Direction,
    unit: Unit,
    /// Bytes of the current unit so far, counted no further than to the limit.
    used: usize,
    beyond: Beyond,
    /// There was no room.
    lost: bool,
    ended: bool,
}

/// What is cut when it is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// The body.
    Body,
    /// Each of its lines.
    Line,
    /// Nothing: what is left out of it would make the rest unreadable. Past the limit it is given up.
    Packed,
    /// Nothing: a packed stream, which has no end.
    PackedLines,
}

impl Tape {
    /// The tape of an exchange whose request has this head.
    pub(super) fn start(recorder: &Rc<Recorder>, head: &Request<'_>) -> Rc<Tape> {
        Rc::new(Tape {
            recorder: Rc::clone(recorder),
            exchange: recorder.numbers.fetch_add(1, Ordering::Relaxed),
            head: RefCell::new(Some(head.encode())),
            post: head.verb == super::note::Verb::Post,
            heard: Cell::new(true),
            over: Cell::new(false),
        })
    }

    /// The request's body.
    pub(super) fn request(self: &Rc<Self>, coding: Coding) -> Reel {
        let unit = if coding == Coding::Identity { Unit::Body } else { Unit::Packed };
        Reel::new(Some(Rc::clone(self)), Direction::ClientToServer, unit)
    }

    /// Tells of the response; its body comes by the reel.
    pub(super) fn response(self: &Rc<Self>, head: &Response<'_>) -> Reel {
        self.hand(Instant::now(), |to, at| {
            let note = self.note(Kind::Response);
            let taken = to.offer(Event { at, note, bytes: &head.encode() });
            if !taken {
                to.tell(at, self.note(Kind::Lost(Direction::ServerToClient)));
            }
        });
        let unit = match (head.coding, head.events) {
            (Coding::Identity, true) => Unit::Line,
            (Coding::Identity, false) => Unit::Body,
            (_, true) => Unit::PackedLines,
            (_, false) => Unit::Packed,
        };
        Reel::new(Some(Rc::clone(self)), Direction::ServerToClient, unit)
    }

    /// Tells that it is over before its end; the first to say so is believed.
    pub(super) fn broken(&self, by: By) {
        if !self.over.replace(true) {
            self.hand(Instant::now(), |to, at| to.tell(at, self.note(Kind::Broken(by))));
        }
    }

    fn note(&self, kind: Kind) -> Note {
        Note { exchange: self.exchange, kind }
    }

    /// Hands over under one lock, the request's head first.
    fn hand(&self, at: Instant, what: impl FnOnce(&mut Handing<'_, Note>, Instant)) {
        if !self.heard.get() {
            return;
        }
        let handed = catch_unwind(AssertUnwindSafe(|| {
            let head = self.head.take();
            let mut to = self.recorder.queue.lock();
            if let Some(head) = head {
                let note = self.note(Kind::Request { post: self.post });
                self.heard.set(to.offer(Event { at, note, bytes: &head }));
            }
            if self.heard.get() {
                what(&mut to, at);
            }
            if to.done() {
                self.recorder.bell.notify_one();
            }
        }));
        if handed.is_err() {
            self.heard.set(false);
        }
    }
}

impl Reel {
    fn new(tape: Option<Rc<Tape>>, direction: Direction, unit: Unit) -> Self {
        let beyond = Beyond::default();
        Reel { tape, direction, unit, used: 0, beyond, lost: false, ended: false }
    }

    /// The reel of a body that is not observed.
    pub(super) fn none() -> Self {
        Reel::new(None, Direction::ClientToServer, Unit::Body)
    }

    /// Bytes that were just read; `last` if the body ends with them.
    pub(super) fn bytes(&mut self, bytes: &[u8], last: bool) {
        let Some(tape) = self.tape.clone() else { return };
        tape.hand(Instant::now(), |to, at| {
            self.hand_over(&tape, bytes, at, to);
            if last {
                self.hand_end(&tape, at, to);
            }
        });
        if !tape.heard.get() {
            tape.recorder.unseen.add(bytes.len() as u64);
        }
    }

    /// A whole body that was held: its bytes as they were read, after what was done to the message in it.
    pub(super) fn whole(&mut self, edited: Option<&Edited>, bytes: &[u8]) {
        let Some(tape) = self.tape.clone() else { return };
        tape.hand(Instant::now(), |to, at| {
            if let Some(edited) = edited {
                let note = tape.note(Kind::Edited);
                if !to.offer(Event { at, note, bytes: &edited::encode(edited) }) {
                    self.give_up(&tape, at, to);
                }
            }
            self.hand_over(&tape, bytes, at, to);
            self.hand_end(&tape, at, to);
        });
        if !tape.heard.get() {
            tape.recorder.unseen.add(bytes.len() as u64);
        }
    }

    /// The body is complete.
    pub(super) fn end(&mut self) {
        if self.ended {
            return;
        }
        let Some(tape) = self.tape.clone() else { return };
        tape.hand(Instant::now(), |to, at| self.hand_end(&tape, at, to));
    }

    /// It broke off.
    pub(super) fn broken(&mut self, by: By) {
        if let Some(tape) = &self.tape {
            tape.broken(by);
        }
    }

    fn hand_end(&mut self, tape: &Tape, at: Instant, to: &mut Handing<'_, Note>) {
        self.hand_tail(tape, at, to);
        to.tell(at, tape.note(Kind::Ended(self.direction)));
        self.ended = true;
        if self.direction == Direction::ServerToClient {
            tape.over.set(true);
        }
    }

    /// What came past the limit, at the end of the unit.
    fn hand_tail(&mut self, tape: &Tape, at: Instant, to: &mut Handing<'_, Note>) -> bool {
        let mut beyond = std::mem::take(&mut self.beyond);
        let any = beyond.end(|skipped, tail| {
            if skipped > 0 && !self.lost {
                to.tell(at, tape.note(Kind::Skip(self.direction, skipped)));
            }
            self.offer(tape, tail, at, to);
        });
        self.beyond = beyond;
        any
    }

    fn offer(&mut self, tape: &Tape, bytes: &[u8], at: Instant, to: &mut Handing<'_, Note>) {
        if self.lost || bytes.is_empty() {
            return;
        }
        let note = tape.note(Kind::Bytes(self.direction));
        if !to.offer(Event { at, note, bytes }) {
            self.give_up(tape, at, to);
        }
    }

    /// Nothing more of this body is told.
    fn give_up(&mut self, tape: &Tape, at: Instant, to: &mut Handing<'_, Note>) {
        if !std::mem::replace(&mut self.lost, true) {
            to.tell(at, tape.note(Kind::Lost(self.direction)));
        }
    }

    fn hand_over(&mut self, tape: &Tape, read: &[u8], at: Instant, to: &mut Handing<'_, Note>) {
        let max = tape.recorder.max_message;
        match self.unit {
            Unit::PackedLines => self.offer(tape, read, at, to),
            _ if self.used + read.len() <= max => {
                self.used = match self.unit {
                    Unit::Line => match memrchr2(b'\n', b'\r', read) {
                        Some(end) => read.len() - end - 1,
                        None => self.used + read.len(),
                    },
                    _ => self.used + read.len(),
                };
                self.offer(tape, read, at, to);
            }
            Unit::Packed => self.give_up(tape, at, to),
            Unit::Body => {
                let (kept, rest) = read.split_at(max - self.used);
                self.used = max;
                self.offer(tape, kept, at, to);
                self.beyond.add(rest);
            }
            Unit::Line => self.hand_over_lines(tape, read, at, to),
        }
    }

    /// The same where a line may be too long.
    fn hand_over_lines(
        &mut self,
        tape: &Tape,
        read: &[u8],
        at: Instant,
        to: &mut Handing<'_, Note>,
    ) {
        let max = tape.recorder.max_message;
        let mut rest = read;
        while !rest.is_empty() {
            let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            let (kept, over) = line.split_at(line.len().min(max - self.used));
            self.used += kept.len();
            self.offer(tape, kept, at, to);
            if !over.is_empty() {
                self.beyond.add(over);
            }
            rest = after;
            if let Some((newline, after)) = after.split_at_checked(1)
                && !newline.is_empty()
            {
                self.hand_tail(tape, at, to);
                self.offer(tape, newline, at, to);
                self.used = 0;
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::tap::Held;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    fn recorder(limit: usize, max_message: usize) -> Rc<Recorder> {
        Rc::new(Recorder {
            queue: Arc::new(Queue::new(limit)),
            numbers: Arc::new(AtomicU64::new(1)),
            max_message,
            bell: Notify::new(),
            unseen: Counter::default(),
        })
    }

    fn head() -> Request<'static> {
        Request {
            route: 0,
            verb: super::super::note::Verb::Post,
            version: 11,
            coding: Coding::Identity,
            resumes: false,
            target: b"/mcp",
            session: None,
            protocol: None,
            traceparent: None,
            tracestate: None,
        }
    }

    const JSON: Response<'static> =
        Response { status: 200, events: false, coding: Coding::Identity, session: None };
    const EVENTS: Response<'static> = Response { events: true, ..JSON };

    /// What the observer finds, a word a record.
    fn told(recorder: &Recorder) -> String {
        let mut held = Held::default();
        recorder.queue.drain(&mut held);
        let mut out = String::new();
        for event in held.events() {
            let text = String::from_utf8_lossy(event.bytes);
            match event.note.kind {
                Kind::Request { .. } => write!(out, "request "),
                Kind::Response => write!(out, "response "),
                Kind::Edited => write!(out, "edited "),
                Kind::Bytes(way) => write!(out, "{}{text:?} ", sign(way)),
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
        let recorder = recorder(1 << 20, 100);
        let tape = Tape::start(&recorder, &head());
        assert_eq!(told(&recorder), "", "nothing is told before there is something to tell");
        let mut asked = tape.request(Coding::Identity);
        asked.bytes(b"{}", true);
        let mut answer = tape.response(&JSON);
        answer.bytes(b"[", false);
        answer.bytes(b"]", true);
        answer.end();
        drop((asked, answer));
        assert_eq!(told(&recorder), r#"request >"{}" >end response <"[" <"]" <end"#);
    }

    #[test]
    fn what_was_done_to_a_message_is_told_right_before_it_or_before_its_loss() {
        let edited = Edited { hop: None, asked: true };
        let room = recorder(1 << 20, 4);
        let mut asked = Tape::start(&room, &head()).request(Coding::Identity);
        asked.whole(Some(&edited), b"12345");
        assert_eq!(told(&room), r#"request edited >"1234" >"5" >end"#);
        let full = recorder(600, 1000);
        let mut asked = Tape::start(&full, &head()).request(Coding::Identity);
        asked.whole(Some(&edited), &[b'x'; 600]);
        assert_eq!(told(&full), "request edited >lost >end gap:0+600");
    }

    #[test]
    fn a_response_before_the_body_comes_after_the_head() {
        let recorder = recorder(1 << 20, 100);
        let tape = Tape::start(&recorder, &head());
        let mut asked = tape.request(Coding::Identity);
        tape.response(&JSON).end();
        asked.bytes(b"late", true);
        assert_eq!(told(&recorder), r#"request response <end >"late" >end"#);
    }

    #[test]
    fn a_long_body_is_cut_to_head_and_tail_and_a_long_line_too() {
        let recorder = recorder(1 << 20, 4);
        let tape = Tape::start(&recorder, &head());
        tape.request(Coding::Identity).bytes(b"123456", true);
        assert_eq!(told(&recorder), r#"request >"1234" >"56" >end"#);
        let long = [b'x'; 5000];
        let mut asked = Tape::start(&recorder, &head()).request(Coding::Identity);
        asked.bytes(b"abc", false);
        asked.bytes(&long, false);
        asked.end();
        let told_of = told(&recorder);
        assert!(told_of.starts_with(r#"request >"abc" >"x" >skip903 >"xxx"#), "{told_of}");
        let mut answer = tape.response(&EVENTS);
        answer.bytes(b"d\r\n123456\n", false);
        answer.bytes(b"12345", true);
        assert_eq!(
            told(&recorder),
            r#"response <"d" <"\r" <"\n" <"1234" <"56" <"\n" <"1234" <"5" <end"#
        );
    }

    #[test]
    fn short_lines_are_not_cut_however_many_come_in_a_read() {
        let recorder = recorder(1 << 20, 8);
        let mut answer = Tape::start(&recorder, &head()).response(&EVENTS);
        answer.bytes(b"a\nb\nc\n", false);
        answer.bytes(b"d\n", false);
        answer.bytes(b"1234567", false);
        answer.bytes(b"8\n", true);
        assert_eq!(
            told(&recorder),
            r#"request response <"a\nb\nc\n" <"d\n" <"1234567" <"8" <"\n" <end"#
        );
    }

    #[test]
    fn what_has_no_room_is_lost_once_and_the_end_still_told() {
        let recorder = recorder(600, 10_000);
        let tape = Tape::start(&recorder, &head());
        let mut asked = tape.request(Coding::Identity);
        asked.bytes(&[b'a'; 100], false);
        asked.bytes(&[b'b'; 600], false);
        asked.bytes(b"c", true);
        let other = Tape::start(&recorder, &head());
        other.request(Coding::Identity).bytes(b"unheard", true);
        other.broken(By::Client);
        let told = told(&recorder);
        assert!(told.ends_with(">lost >end gap:1+600"), "{told}");
        assert_eq!(recorder.unseen.get(), 7);
    }

    #[test]
    fn a_packed_body_past_the_limit_is_given_up_and_a_packed_stream_is_not() {
        let recorder = recorder(1 << 20, 4);
        let tape = Tape::start(&recorder, &head());
        let mut answer = tape.response(&Response { coding: Coding::Gzip, ..JSON });
        answer.bytes(b"123", false);
        answer.bytes(b"456", false);
        answer.bytes(b"789", true);
        assert_eq!(told(&recorder), r#"request response <"123" <lost <end"#);
        let mut stream = tape.response(&Response { coding: Coding::Gzip, ..EVENTS });
        stream.bytes(b"123456", true);
        assert_eq!(told(&recorder), r#"response <"123456" <end"#);
    }

    #[test]
    fn only_the_first_end_is_told() {
        let recorder = recorder(1 << 20, 100);
        let tape = Tape::start(&recorder, &head());
        let mut answer = tape.response(&JSON);
        answer.bytes(b"1", true);
        answer.broken(By::Client);
        let other = Tape::start(&recorder, &head());
        other.broken(By::Server);
        other.broken(By::Client);
        assert_eq!(told(&recorder), r#"request response <"1" <end request broken:Server"#);
    }

    proptest! {
        /// Read boundaries decide nothing, and what is told is what came.
        #[test]
        fn whatever_the_boundaries_the_same_is_told(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..400),
            size in 1usize..50,
            max in 1usize..60,
            events in any::<bool>(),
        ) {
            let tell = |size: usize| {
                let recorder = recorder(1 << 22, max);
                let tape = Tape::start(&recorder, &head());
                let response = if events { EVENTS } else { JSON };
                let mut reel = tape.response(&response);
                bytes.chunks(size).for_each(|chunk| reel.bytes(chunk, false));
                reel.end();
                let mut held = Held::default();
                recorder.queue.drain(&mut held);
                let (mut out, mut skipped) = (Vec::new(), 0);
                for event in held.events() {
                    match event.note.kind {
                        Kind::Bytes(_) => out.extend_from_slice(event.bytes),
                        Kind::Skip(_, n) => skipped += n,
                        _ => {}
                    }
                }
                (out, skipped)
            };
            let (out, skipped) = tell(bytes.len().max(1));
            prop_assert_eq!(out.len() as u64 + skipped, bytes.len() as u64);
            prop_assert_eq!(tell(size), (out, skipped));
        }
    }
}
