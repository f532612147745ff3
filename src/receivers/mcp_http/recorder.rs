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

use tokio::sync::Notify;

use super::decode::Coding;
use super::heads::{Request, Response};
use super::note::{Event, Kind, Note, Queue};
use crate::mcp::{BodyKind, Direction, Edited, Party};
use crate::pipeline::Counter;
use crate::receivers::tap::{Cutter, Ends, Handing, Piece, edited};

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
    /// What is still open is being cut off: nobody else gives it up.
    pub(super) cutting: Cell<bool>,
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
    /// How much of the request's body was told; all, if nobody is to tell it.
    request: Cell<Came>,
    /// The end of the response is still to be told.
    ending: Cell<bool>,
}

/// How much of a body came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Nothing,
    Something,
    All,
}

/// One body of an exchange.
#[derive(Debug)]
pub(super) struct Reel {
    /// Nothing for what is not observed.
    tape: Option<Rc<Tape>>,
    direction: Direction,
    form: Form,
    cutter: Cutter,
    /// There was no room.
    lost: bool,
    ended: bool,
}

/// Says what becomes of a body that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// It is cut, or each of its lines.
    Plain,
    /// It is given up: what is left out of it would make the rest unreadable.
    Packed,
    /// Nothing: a packed stream has no end.
    PackedStream,
}

impl Tape {
    /// The tape of an exchange whose request has this head.
    pub(super) fn start(recorder: &Rc<Recorder>, head: Request) -> Rc<Tape> {
        Rc::new(Tape {
            recorder: Rc::clone(recorder),
            exchange: recorder.numbers.fetch_add(1, Ordering::Relaxed),
            head: RefCell::new(Some(head.bytes)),
            post: head.post,
            heard: Cell::new(true),
            over: Cell::new(false),
            request: Cell::new(Came::All),
            ending: Cell::new(false),
        })
    }

    /// The request's body.
    pub(super) fn request(self: &Rc<Self>, coding: Coding) -> Reel {
        self.request.set(Came::Nothing);
        let form = if coding == Coding::Identity { Form::Plain } else { Form::Packed };
        self.reel(Direction::ClientToServer, form, Ends::Never)
    }

    /// Tells of the response; its body comes by the reel.
    pub(super) fn response(self: &Rc<Self>, head: &Response) -> Reel {
        self.hand(Instant::now(), |to, at| self.hand_response(head, at, to));
        let events = head.kind == BodyKind::Sse;
        let form = match (head.coding, events) {
            (Coding::Identity, _) => Form::Plain,
            (_, true) => Form::PackedStream,
            (_, false) => Form::Packed,
        };
        let ends = if events { Ends::EventLines } else { Ends::Never };
        self.reel(Direction::ServerToClient, form, ends)
    }

    fn reel(self: &Rc<Self>, direction: Direction, form: Form, ends: Ends) -> Reel {
        Reel {
            cutter: Cutter::new(ends, self.recorder.max_message),
            tape: Some(Rc::clone(self)),
            direction,
            form,
            lost: false,
            ended: false,
        }
    }

    /// Tells that it is over before its end; the first to say so is believed.
    pub(super) fn broken(&self, by: Party) {
        let by = if self.recorder.cutting.get() { Party::Tap } else { by };
        if !self.over.replace(true) {
            self.hand(Instant::now(), |to, at| to.tell(at, self.note(Kind::Broken(by))));
        }
    }

    /// Tells that the tap answered in the server's place, with that status and nothing of MCP; what has
    /// been told before stands.
    pub(super) fn answered(&self, status: u16) {
        if !self.over.replace(true) {
            let head = Response::with(status, BodyKind::Other, Coding::Identity);
            self.hand(Instant::now(), |to, at| {
                self.hand_response(&head, at, to);
                to.tell(at, self.note(Kind::Ended(Direction::ServerToClient)));
            });
        }
    }

    fn hand_response(&self, head: &Response, at: Instant, to: &mut Handing<'_, Note>) {
        if !to.offer(Event { at, note: self.note(Kind::Response), bytes: &head.bytes }) {
            to.tell(at, self.note(Kind::Lost(Direction::ServerToClient)));
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

impl Drop for Tape {
    fn drop(&mut self) {
        // Nothing more of the request can come.
        if self.ending.take() {
            let end = self.note(Kind::Ended(Direction::ServerToClient));
            self.hand(Instant::now(), |to, at| to.tell(at, end));
        }
    }
}

impl Reel {
    /// The reel of a body that is not observed.
    pub(super) fn none() -> Self {
        Reel {
            tape: None,
            direction: Direction::ClientToServer,
            form: Form::Plain,
            cutter: Cutter::new(Ends::Never, 0),
            lost: false,
            ended: false,
        }
    }

    /// Bytes that were just read; `last` if the body ends with them.
    pub(super) fn bytes(&mut self, bytes: &[u8], last: bool) {
        let Some(tape) = self.tape.clone() else { return };
        if self.direction == Direction::ClientToServer {
            tape.request.set(Came::Something);
        }
        tape.hand(Instant::now(), |to, at| match last {
            true => self.hand_last(&tape, bytes, at, to),
            false => self.hand_over(&tape, bytes, at, to),
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
            self.hand_last(&tape, bytes, at, to);
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
    pub(super) fn broken(&mut self, by: Party) {
        if let Some(tape) = &self.tape {
            tape.broken(by);
        }
    }

    /// The last bytes; in one record with the end, unless there is more to tell.
    fn hand_last(&mut self, tape: &Tape, read: &[u8], at: Instant, to: &mut Handing<'_, Note>) {
        let fits = self.form == Form::PackedStream || self.cutter.has_room(read.len());
        if self.lost || read.is_empty() || !fits || self.is_early(tape) {
            self.hand_over(tape, read, at, to);
            return self.hand_end(tape, at, to);
        }
        let note = tape.note(Kind::Last(self.direction));
        if to.offer(Event { at, note, bytes: read }) {
            self.told_end(tape, at, to);
        } else {
            self.give_up(tape, at, to);
            self.hand_end(tape, at, to);
        }
    }

    fn hand_end(&mut self, tape: &Tape, at: Instant, to: &mut Handing<'_, Note>) {
        self.with_cutter(tape, at, to, |cutter, each| cutter.end(each));
        if self.is_early(tape) {
            tape.ending.set(true);
        } else {
            to.tell(at, tape.note(Kind::Ended(self.direction)));
        }
        self.told_end(tape, at, to);
    }

    /// Whether it is a response that came before anything of its request's body. With its end the exchange
    /// is over, and nobody would hear what was asked.
    fn is_early(&self, tape: &Tape) -> bool {
        self.direction == Direction::ServerToClient && tape.request.get() == Came::Nothing
    }

    fn told_end(&mut self, tape: &Tape, at: Instant, to: &mut Handing<'_, Note>) {
        self.ended = true;
        match self.direction {
            Direction::ServerToClient => tape.over.set(true),
            Direction::ClientToServer => {
                tape.request.set(Came::All);
                if tape.ending.take() {
                    to.tell(at, tape.note(Kind::Ended(Direction::ServerToClient)));
                }
            }
        }
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
        if self.form == Form::PackedStream || self.cutter.whole(read).is_some() {
            self.offer(tape, read, at, to);
        } else if self.form == Form::Packed {
            self.give_up(tape, at, to);
        } else {
            self.with_cutter(tape, at, to, |cutter, each| cutter.cut(read, each));
        }
    }

    /// Hands over the pieces that the cutter makes.
    fn with_cutter(
        &mut self,
        tape: &Tape,
        at: Instant,
        to: &mut Handing<'_, Note>,
        cut: impl FnOnce(&mut Cutter, &mut dyn FnMut(Piece<'_>)),
    ) {
        let mut cutter = std::mem::replace(&mut self.cutter, Cutter::new(Ends::Never, 0));
        cut(&mut cutter, &mut |piece| match piece {
            Piece::Bytes(bytes) => self.offer(tape, bytes, at, to),
            Piece::Cut { skipped, tail, end } => {
                if skipped > 0 && !self.lost {
                    to.tell(at, tape.note(Kind::Skip(self.direction, skipped)));
                }
                self.offer(tape, tail, at, to);
                self.offer(tape, end, at, to);
            }
        });
        self.cutter = cutter;
    }
}

#[cfg(test)]
mod tests;
