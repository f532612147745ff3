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
use crate::metrics::Counter;
use crate::receivers::tap::{Cutter, Ends, Handing, Piece, edited};

/// Shares what the recorders of one worker need.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) queue: Arc<Queue>,
    /// Exchanges are numbered over all workers.
    pub(super) numbers: Arc<AtomicU64>,
    /// Messages are observed up to this many bytes.
    pub(super) max_message: usize,
    /// Rung when the observer is to be woken, once what is being handed over has been written.
    pub(super) bell: Notify,
    /// Bytes of bodies whose exchange is not observed.
    pub(super) unseen: Counter,
    /// Says that what is still open is being cut off: nobody else gives it up.
    pub(super) cutting: Cell<bool>,
}

/// Records one exchange for the observer.
#[derive(Debug)]
pub(super) struct ExchangeRecorder {
    recording: Rc<Recording>,
    number: u64,
    /// The request's head, until something else is handed over: mostly they go together.
    head: RefCell<Option<Vec<u8>>>,
    post: bool,
    /// The observer was told of it.
    heard: Cell<bool>,
    /// The response was told to its end, or how it broke off.
    over: Cell<bool>,
    /// Says how much of the request's body was told; all, if nobody is to tell it.
    request: Cell<Came>,
    /// The end of the response is still to be told.
    ending: Cell<bool>,
}

/// Says how much of a body came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Nothing,
    Something,
    All,
}

/// Records one body of an exchange.
#[derive(Debug)]
pub(super) struct BodyRecorder {
    /// Nothing for what is not observed.
    exchange: Option<Rc<ExchangeRecorder>>,
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

impl ExchangeRecorder {
    /// Begins the record of an exchange whose request has this head.
    pub(super) fn start(recording: &Rc<Recording>, head: Request) -> Rc<ExchangeRecorder> {
        Rc::new(ExchangeRecorder {
            recording: Rc::clone(recording),
            number: recording.numbers.fetch_add(1, Ordering::Relaxed),
            head: RefCell::new(Some(head.bytes)),
            post: head.post,
            heard: Cell::new(true),
            over: Cell::new(false),
            request: Cell::new(Came::All),
            ending: Cell::new(false),
        })
    }

    /// Records the request's body.
    pub(super) fn request(self: &Rc<Self>, coding: Coding) -> BodyRecorder {
        self.request.set(Came::Nothing);
        let form = if coding == Coding::Identity { Form::Plain } else { Form::Packed };
        self.body_recorder(Direction::ClientToServer, form, Ends::Never)
    }

    /// Tells of the response; its body comes by the reel.
    pub(super) fn response(self: &Rc<Self>, head: &Response) -> BodyRecorder {
        self.hand(Instant::now(), |to, at| self.hand_response(head, at, to));
        let events = head.kind == BodyKind::Sse;
        let form = match (head.coding, events) {
            (Coding::Identity, _) => Form::Plain,
            (_, true) => Form::PackedStream,
            (_, false) => Form::Packed,
        };
        let ends = if events { Ends::EventLines } else { Ends::Never };
        self.body_recorder(Direction::ServerToClient, form, ends)
    }

    fn body_recorder(
        self: &Rc<Self>,
        direction: Direction,
        form: Form,
        ends: Ends,
    ) -> BodyRecorder {
        BodyRecorder {
            cutter: Cutter::new(ends, self.recording.max_message),
            exchange: Some(Rc::clone(self)),
            direction,
            form,
            lost: false,
            ended: false,
        }
    }

    /// Tells that it is over before its end; the first to say so is believed.
    pub(super) fn broken(&self, by: Party) {
        let by = if self.recording.cutting.get() { Party::Tap } else { by };
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
        Note { exchange: self.number, kind }
    }

    /// Hands over under one lock, the request's head first.
    fn hand(&self, at: Instant, what: impl FnOnce(&mut Handing<'_, Note>, Instant)) {
        if !self.heard.get() {
            return;
        }
        let handed = catch_unwind(AssertUnwindSafe(|| {
            let head = self.head.take();
            let mut to = self.recording.queue.lock();
            if let Some(head) = head {
                let note = self.note(Kind::Request { post: self.post });
                self.heard.set(to.offer(Event { at, note, bytes: &head }));
            }
            if self.heard.get() {
                what(&mut to, at);
            }
            if to.done() {
                self.recording.bell.notify_one();
            }
        }));
        if handed.is_err() {
            self.heard.set(false);
        }
    }
}

impl Drop for ExchangeRecorder {
    fn drop(&mut self) {
        // Nothing more of the request can come.
        if self.ending.take() {
            let end = self.note(Kind::Ended(Direction::ServerToClient));
            self.hand(Instant::now(), |to, at| to.tell(at, end));
        }
    }
}

impl BodyRecorder {
    /// Records nothing: the body is not observed.
    pub(super) fn none() -> Self {
        BodyRecorder {
            exchange: None,
            direction: Direction::ClientToServer,
            form: Form::Plain,
            cutter: Cutter::new(Ends::Never, 0),
            lost: false,
            ended: false,
        }
    }

    /// Bytes that were just read; `last` if the body ends with them.
    pub(super) fn bytes(&mut self, bytes: &[u8], last: bool) {
        let Some(exchange) = self.exchange.clone() else { return };
        if self.direction == Direction::ClientToServer {
            exchange.request.set(Came::Something);
        }
        exchange.hand(Instant::now(), |to, at| match last {
            true => self.hand_last(&exchange, bytes, at, to),
            false => self.hand_over(&exchange, bytes, at, to),
        });
        if !exchange.heard.get() {
            exchange.recording.unseen.add(bytes.len() as u64);
        }
    }

    /// A whole body that was held: its bytes as they were read, after what was done to the message in it.
    pub(super) fn whole(&mut self, edited: Option<&Edited>, bytes: &[u8]) {
        let Some(exchange) = self.exchange.clone() else { return };
        exchange.hand(Instant::now(), |to, at| {
            if let Some(edited) = edited {
                let note = exchange.note(Kind::Edited);
                if !to.offer(Event { at, note, bytes: &edited::encode(edited) }) {
                    self.give_up(&exchange, at, to);
                }
            }
            self.hand_last(&exchange, bytes, at, to);
        });
        if !exchange.heard.get() {
            exchange.recording.unseen.add(bytes.len() as u64);
        }
    }

    /// The body is complete.
    pub(super) fn end(&mut self) {
        if self.ended {
            return;
        }
        let Some(exchange) = self.exchange.clone() else { return };
        exchange.hand(Instant::now(), |to, at| self.hand_end(&exchange, at, to));
    }

    /// It broke off.
    pub(super) fn broken(&mut self, by: Party) {
        if let Some(exchange) = &self.exchange {
            exchange.broken(by);
        }
    }

    /// The last bytes; in one record with the end, unless there is more to tell.
    fn hand_last(
        &mut self,
        exchange: &ExchangeRecorder,
        read: &[u8],
        at: Instant,
        to: &mut Handing<'_, Note>,
    ) {
        let fits = self.form == Form::PackedStream || self.cutter.has_room(read.len());
        if self.lost || read.is_empty() || !fits || self.is_early(exchange) {
            self.hand_over(exchange, read, at, to);
            return self.hand_end(exchange, at, to);
        }
        let note = exchange.note(Kind::Last(self.direction));
        if to.offer(Event { at, note, bytes: read }) {
            self.told_end(exchange, at, to);
        } else {
            self.give_up(exchange, at, to);
            self.hand_end(exchange, at, to);
        }
    }

    fn hand_end(&mut self, exchange: &ExchangeRecorder, at: Instant, to: &mut Handing<'_, Note>) {
        self.with_cutter(exchange, at, to, |cutter, each| cutter.end(each));
        if self.is_early(exchange) {
            exchange.ending.set(true);
        } else {
            to.tell(at, exchange.note(Kind::Ended(self.direction)));
        }
        self.told_end(exchange, at, to);
    }

    /// Says whether it is a response that came before anything of its request's body. With its end the exchange is
    /// over, and nobody would hear what was asked.
    fn is_early(&self, exchange: &ExchangeRecorder) -> bool {
        self.direction == Direction::ServerToClient && exchange.request.get() == Came::Nothing
    }

    fn told_end(&mut self, exchange: &ExchangeRecorder, at: Instant, to: &mut Handing<'_, Note>) {
        self.ended = true;
        match self.direction {
            Direction::ServerToClient => exchange.over.set(true),
            Direction::ClientToServer => {
                exchange.request.set(Came::All);
                if exchange.ending.take() {
                    to.tell(at, exchange.note(Kind::Ended(Direction::ServerToClient)));
                }
            }
        }
    }

    fn offer(
        &mut self,
        exchange: &ExchangeRecorder,
        bytes: &[u8],
        at: Instant,
        to: &mut Handing<'_, Note>,
    ) {
        if self.lost || bytes.is_empty() {
            return;
        }
        let note = exchange.note(Kind::Bytes(self.direction));
        if !to.offer(Event { at, note, bytes }) {
            self.give_up(exchange, at, to);
        }
    }

    /// Nothing more of this body is told.
    fn give_up(&mut self, exchange: &ExchangeRecorder, at: Instant, to: &mut Handing<'_, Note>) {
        if !std::mem::replace(&mut self.lost, true) {
            to.tell(at, exchange.note(Kind::Lost(self.direction)));
        }
    }

    fn hand_over(
        &mut self,
        exchange: &ExchangeRecorder,
        read: &[u8],
        at: Instant,
        to: &mut Handing<'_, Note>,
    ) {
        if self.form == Form::PackedStream || self.cutter.whole(read).is_some() {
            self.offer(exchange, read, at, to);
        } else if self.form == Form::Packed {
            self.give_up(exchange, at, to);
        } else {
            self.with_cutter(exchange, at, to, |cutter, each| cutter.cut(read, each));
        }
    }

    /// Hands over the pieces that the cutter makes.
    fn with_cutter(
        &mut self,
        exchange: &ExchangeRecorder,
        at: Instant,
        to: &mut Handing<'_, Note>,
        cut: impl FnOnce(&mut Cutter, &mut dyn FnMut(Piece<'_>)),
    ) {
        let mut cutter = std::mem::replace(&mut self.cutter, Cutter::new(Ends::Never, 0));
        cut(&mut cutter, &mut |piece| match piece {
            Piece::Bytes(bytes) => self.offer(exchange, bytes, at, to),
            Piece::Cut { skipped, tail, end } => {
                if skipped > 0 && !self.lost {
                    to.tell(at, exchange.note(Kind::Skip(self.direction, skipped)));
                }
                self.offer(exchange, tail, at, to);
                self.offer(exchange, end, at, to);
            }
        });
        self.cutter = cutter;
    }
}

#[cfg(test)]
mod tests;
