//! A body that is held on its way, as far as it takes to change it. Only bodies that were named for it
//! come here; all others pass frame by frame.

use std::collections::VecDeque;
use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::*;
use crate::http::forward as upstream;
use crate::receivers::mcp_http::events::{Edit, Events};
use crate::receivers::tap::{HOLD, Room, why};

/// Holds the frames of a body that wait to be passed on, and what edits those that come.
#[derive(Default)]
pub(super) struct Buffered {
    ahead: VecDeque<Frame<Bytes>>,
    /// Counts what was read on before there was a connection, in bytes, frames included.
    read_on: usize,
    /// Its head names no length: it must not get one.
    unmeasured: bool,
    events: Option<(Events, Box<dyn Edit>)>,
    /// Holds what it takes.
    room: Option<Room>,
    /// It broke off: what is ahead has to be written before that is told.
    pause: bool,
}

impl std::fmt::Debug for Buffered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

/// Says what came of holding a body.
pub(in crate::receivers::mcp_http) enum Gathered {
    /// All of it.
    Whole(Bytes),
    /// It is longer than what is held, or there is no room for it: why, and what came so far.
    Parted(Bytes, &'static str),
    /// It broke off; before that this came.
    Broken(Bytes),
}

/// Limits what is read of a request before there is a connection to send it by, in bytes: as much as a client
/// of HTTP/2 may send ahead.
const AHEAD: usize = 64 << 10;
/// Charges a frame beside its bytes, in bytes: a client may send bodies of one byte a frame.
const FRAME: usize = 128;

impl upstream::Upload for ProxyBody {
    fn read_on(&mut self, cx: &mut Context<'_>) -> Result<(), ()> {
        match self {
            ProxyBody::Forwarded(body) => body.read_on(cx),
            ProxyBody::Own(_) => Ok(()),
        }
    }
}

impl Forwarded {
    /// Reads up to [`AHEAD`] bytes; an error if it broke off.
    fn read_on(&mut self, cx: &mut Context<'_>) -> Result<(), ()> {
        while !self.over && self.held.as_deref().map_or(0, |held| held.read_on) < AHEAD {
            match self.pass(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let held = self.held.get_or_insert_default();
                    held.read_on += FRAME + frame.data_ref().map_or(0, Bytes::len);
                    held.ahead.push_back(frame);
                }
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        if self.failed.is_some() { Err(()) } else { Ok(()) }
    }

    /// Reads on until it is whole or longer than what may be held. Trailers wait; the rest is handed
    /// out, and has to be [`put`](Self::put) back.
    pub(in crate::receivers::mcp_http) async fn gather(
        &mut self,
        unmeasured: bool,
        room: Room,
    ) -> Gathered {
        let held = Buffered { unmeasured, room: Some(room), ..Buffered::default() };
        self.held = Some(Box::new(held));
        let (mut data, mut more) = (Bytes::new(), BytesMut::new());
        while !self.over {
            let next = poll_fn(|cx| {
                let polled = self.pass(cx);
                self.tell(&polled);
                polled
            });
            match next.await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if data.is_empty() => data = bytes,
                    Ok(bytes) => {
                        if more.is_empty() {
                            more.extend_from_slice(&data);
                        }
                        more.extend_from_slice(&bytes);
                    }
                    Err(trailers) => self.ahead().push_back(trailers),
                },
                Some(Err(error)) => return self.broken_off(error, whole(data, more)),
                None => break,
            }
            let length = data.len().max(more.len());
            if length > HOLD {
                return Gathered::Parted(whole(data, more), why::TOO_LONG);
            }
            let room = self.held.as_mut().and_then(|held| held.room.as_mut());
            if room.is_some_and(|room| !room.take(length)) {
                return Gathered::Parted(whole(data, more), why::NO_ROOM);
            }
        }
        // Where it ends with an error, `pass` has yet to tell.
        match self.failed.take() {
            Some(error) => self.broken_off(error, whole(data, more)),
            None => Gathered::Whole(whole(data, more)),
        }
    }

    fn broken_off(&mut self, error: Failure, data: Bytes) -> Gathered {
        self.failed = Some(error);
        if let Some(held) = &mut self.held {
            held.pause = true;
        }
        Gathered::Broken(data)
    }

    /// Puts back what goes on first.
    pub(in crate::receivers::mcp_http) fn put(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.ahead().push_front(Frame::data(data));
        }
    }

    /// From here on it is a stream whose events may change.
    pub(in crate::receivers::mcp_http) fn edit_events(&mut self, edit: Box<dyn Edit>, room: Room) {
        let events = Some((Events::default(), edit));
        let held = Buffered { unmeasured: true, events, room: Some(room), ..Buffered::default() };
        self.held = Some(Box::new(held));
    }

    /// Replaces its recorder, for a time in which nothing is to be told.
    pub(in crate::receivers::mcp_http) fn swap_recorder(
        &mut self,
        recorder: BodyRecorder,
    ) -> BodyRecorder {
        std::mem::replace(&mut self.recorder, recorder)
    }

    /// Its way into the queue.
    pub(in crate::receivers::mcp_http) fn recorder(&mut self) -> &mut BodyRecorder {
        &mut self.recorder
    }

    /// Says whether it has come to its end.
    pub(in crate::receivers::mcp_http) fn is_over(&self) -> bool {
        self.over
    }

    fn ahead(&mut self) -> &mut VecDeque<Frame<Bytes>> {
        &mut self.held.get_or_insert_default().ahead
    }

    /// The next frame of a body that is held.
    pub(super) fn pass_held(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        loop {
            let Some(held) = &mut self.held else { return self.pass(cx) };
            if let Some(frame) = held.ahead.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            if std::mem::take(&mut held.pause) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.over && self.failed.is_none() && held.events.is_none() {
                return Poll::Ready(None);
            }
            if self.over && self.failed.is_none() {
                self.end_events();
                continue;
            }
            match ready!(self.pass(cx)) {
                Some(Ok(frame)) => self.through_events(frame),
                Some(Err(error)) => {
                    if !self.end_events() {
                        return Poll::Ready(Some(Err(error)));
                    }
                    self.broken_off(error, Bytes::new());
                }
                None => {}
            }
        }
    }

    fn through_events(&mut self, frame: Frame<Bytes>) {
        let Some(held) = &mut self.held else { return };
        match frame.into_data() {
            Ok(data) => match &mut held.events {
                Some((events, edit)) => {
                    let mut out = Vec::new();
                    let room = held.room.as_mut();
                    let fits = room.is_none_or(|room| room.take(events.held() + data.len()));
                    let limit = if fits { HOLD } else { 0 };
                    events.push(&data, limit, &mut out, &mut **edit);
                    if let Some(room) = &mut held.room {
                        room.take(events.held());
                    }
                    if !out.is_empty() {
                        held.ahead.push_back(Frame::data(out.into()));
                    }
                }
                None => held.ahead.push_back(Frame::data(data)),
            },
            Err(trailers) => {
                self.end_events();
                self.ahead().push_back(trailers);
            }
        }
    }

    /// No more events come; true if something was still held.
    fn end_events(&mut self) -> bool {
        let Some(held) = &mut self.held else { return false };
        let Some((mut events, mut edit)) = held.events.take() else { return false };
        let mut out = Vec::new();
        events.end(&mut out, &mut *edit);
        let any = !out.is_empty();
        if any {
            held.ahead.push_back(Frame::data(out.into()));
        }
        any
    }
}

impl Buffered {
    /// Says whether nothing waits.
    pub(super) fn is_done(&self) -> bool {
        self.ahead.is_empty() && self.events.is_none() && !self.pause
    }

    fn lengths(&self) -> impl Iterator<Item = u64> {
        self.ahead.iter().filter_map(|frame| frame.data_ref()).map(|data| data.len() as u64)
    }

    /// Bounds the length of all, if `rest` is of what has not come yet.
    pub(super) fn size_hint(&self, rest: &SizeHint) -> SizeHint {
        let ahead: u64 = self.lengths().sum();
        match rest.exact() {
            Some(rest) if !self.unmeasured => SizeHint::with_exact(ahead + rest),
            _ => SizeHint::new(),
        }
    }
}

fn whole(first: Bytes, all: BytesMut) -> Bytes {
    if all.is_empty() { first } else { all.freeze() }
}
