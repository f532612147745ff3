//! A body on its way through: every frame is handed over and then passed on, unchanged and at once. What
//! the user asked to be changed is `held` for that.

mod buffered;

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::Version;

use self::buffered::Buffered;
pub(super) use self::buffered::Gathered;
use super::endpoint_watcher::EndpointWatcher;
use super::recorder::BodyRecorder;
use crate::http::forward::Lease;
use crate::http::serve::connections::RequestGuard;
use crate::http::serve::slots::Admitted;
use crate::http::serve::wakeups::WakeMark;
use crate::http::trailers::Sieve;
use crate::http::unread::CountedBody;
use crate::mcp::Party;
use crate::receivers::tap::OverflowTail;

/// Carries a body through the proxy: the client's, the upstream's, or one of our own.
#[derive(Debug)]
pub(super) enum ProxyBody {
    /// Somebody else's.
    Forwarded(Box<Forwarded>),
    /// Ours.
    Own(Option<Bytes>),
}

/// Holds what lasts as long as a response does.
#[derive(Debug)]
pub(super) struct ExchangeGuard {
    #[expect(dead_code, reason = "held until the response is over")]
    pub(super) admitted: Admitted,
    pub(super) upload: Rc<Upload>,
    /// It is the only one that its client's connection carries.
    pub(super) alone: bool,
}

/// Says how a message tells that it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// Its head says that there is no body.
    Bodiless,
    /// By its last chunk, its length or the end of its connection, to which hyper sees.
    Coded,
    /// By the flag of a frame (RFC 9113 section 8.1). hyper takes a reset without an error for an end, too,
    /// which it is only behind that.
    Flagged,
}

impl Whole {
    /// Tells by the version of the message's head.
    pub(super) fn of(version: Version) -> Self {
        if version == Version::HTTP_2 { Whole::Flagged } else { Whole::Coded }
    }
}

/// Says why nothing more comes of a body.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Its peer's fault, or its connection's.
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// Its stream was reset without an error before its end.
    #[error("the stream was reset before its end")]
    Reset,
}

/// Forwards somebody else's body frame by frame.
#[derive(Debug)]
pub(super) struct Forwarded {
    from: CountedBody,
    whole: Whole,
    recorder: BodyRecorder,
    /// The upstream connection that it comes by, given back when it has come whole.
    lease: Option<Lease<ProxyBody>>,
    /// Nothing more comes of it, whichever its end.
    over: bool,
    /// Holds what lasts as long as it.
    kept: Option<ExchangeGuard>,
    /// Says how it broke off; told once what came before has been written on.
    failed: Option<Failure>,
    /// Knows of a request what is told on its way up.
    upload: Option<Rc<Upload>>,
    /// Looks for a path that a stream names to its client.
    lookout: Option<EndpointWatcher>,
    /// Holds what may not stand behind it.
    sieve: Sieve,
    /// Holds what is held of it; nothing for what passes as it comes.
    held: Option<Box<Buffered>>,
}

/// Holds the state of a request's body that is needed to answer the request.
#[derive(Debug)]
pub(super) struct Upload {
    /// The request counts as being answered while its body or its response is under way.
    asked: RequestGuard,
    /// It has been read to its end.
    pub(super) over: Cell<bool>,
    /// Says how it broke off, if it did: whoever tells of the response tells of that.
    pub(super) broken: Cell<Option<Broken>>,
    /// Holds what is remembered for an answer of our own; nothing for what needs none.
    pub(super) prefix: RefCell<Option<RequestPrefix>>,
}

/// Says how a request's body broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// It cannot be told where it goes on: whoever sent it is there.
    Unreadable,
    /// Its client closed or reset.
    Gone,
}

/// Remembers the beginning and the end of a request's body until its response comes: enough to find its id.
#[derive(Debug, Default)]
pub(super) struct RequestPrefix {
    pub(super) head: Vec<u8>,
    pub(super) beyond: OverflowTail,
}

impl Upload {
    /// Of a request of which something has to be remembered, or not.
    pub(super) fn of(asked: RequestGuard, prefix: Option<RequestPrefix>) -> Rc<Self> {
        asked.admit();
        let (over, broken) = (Cell::new(false), Cell::new(None));
        Rc::new(Upload { asked, over, broken, prefix: RefCell::new(prefix) })
    }
}

impl ProxyBody {
    /// The body of a request.
    pub(super) fn request(
        from: CountedBody,
        whole: Whole,
        recorder: BodyRecorder,
        upload: Rc<Upload>,
    ) -> Self {
        ProxyBody::forwarded(Forwarded::new(from, whole, recorder, Some(upload)))
    }

    /// The body of a response, which came by a leased connection.
    pub(super) fn response(
        from: CountedBody,
        whole: Whole,
        recorder: BodyRecorder,
        lease: Lease<ProxyBody>,
        lookout: Option<EndpointWatcher>,
    ) -> Self {
        let mut forwarded = Forwarded::new(from, whole, recorder, None);
        (forwarded.lease, forwarded.lookout) = (Some(lease), lookout);
        ProxyBody::forwarded(forwarded)
    }

    fn forwarded(mut forwarded: Forwarded) -> Self {
        if forwarded.from.is_end_stream() {
            forwarded.finish();
        } else if forwarded.whole == Whole::Bodiless || forwarded.is_all() {
            forwarded.told();
        }
        ProxyBody::Forwarded(Box::new(forwarded))
    }

    /// Says whether fields may come behind it.
    pub(super) fn may_have_trailers(&self) -> bool {
        let ProxyBody::Forwarded(body) = self else { return false };
        !body.over && (body.whole == Whole::Flagged || body.from.size_hint().exact().is_none())
    }

    /// Has those that come pass through `sieve`.
    pub(super) fn sift(&mut self, sieve: Sieve) {
        if let ProxyBody::Forwarded(body) = self {
            body.sieve = sieve;
        }
    }

    /// Keeps that until the body is gone; of our own bodies nobody waits for the end.
    pub(super) fn keep(&mut self, kept: ExchangeGuard) {
        if let ProxyBody::Forwarded(forwarded) = self {
            kept.upload.asked.answer();
            forwarded.kept = Some(kept);
        }
    }

    /// A body of our own.
    pub(super) fn own(text: impl Into<Bytes>) -> Self {
        ProxyBody::Own(Some(text.into()).filter(|text: &Bytes| !text.is_empty()))
    }
}

impl Broken {
    /// Tells what happened by the error of who reads it.
    fn by(failure: &Failure) -> Self {
        let cause = std::error::Error::source(failure).and_then(|e| e.downcast_ref::<io::Error>());
        match cause.map(io::Error::kind) {
            // As hyper calls what is wrong with chunks.
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Broken::Unreadable,
            _ => Broken::Gone,
        }
    }
}

impl RequestPrefix {
    /// Bytes that are remembered as they came; the rest by its end only.
    const HEAD: usize = 4096;

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(Self::HEAD - self.head.len()));
        self.head.extend_from_slice(head);
        if !rest.is_empty() {
            self.beyond.add(rest);
        }
    }
}

impl Forwarded {
    fn new(
        from: CountedBody,
        whole: Whole,
        recorder: BodyRecorder,
        upload: Option<Rc<Upload>>,
    ) -> Self {
        Forwarded {
            from,
            whole,
            recorder,
            lease: None,
            over: false,
            kept: None,
            failed: None,
            upload,
            lookout: None,
            sieve: Sieve::default(),
            held: None,
        }
    }

    /// Says whether all has come that its length in the head promises. What of HTTP/2 comes behind that, an empty frame
    /// or trailers, is not read by a peer of HTTP/1.1 whose message is whole by then.
    fn is_all(&self) -> bool {
        self.from.size_hint().exact() == Some(0)
    }

    /// Says whether it ended in the middle.
    fn is_reset(&self) -> bool {
        self.whole == Whole::Flagged && !self.from.is_end_stream() && !self.is_all()
    }

    /// All of what it says has come.
    fn told(&mut self) {
        self.recorder.end();
        if let Some(upload) = &self.upload {
            upload.over.set(true);
        }
    }

    fn finish(&mut self) {
        self.over = true;
        self.told();
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    /// Says who broke a response off: an upstream may do so because the request did not come whole.
    fn broken_by(&self) -> Party {
        let broken = self.kept.as_ref().and_then(|kept| kept.upload.broken.get());
        if broken.is_some() { Party::Client } else { Party::Server }
    }

    /// Tells its connection whether its client is to act now: a body was asked for more.
    fn tell<T>(&self, polled: &Poll<Option<T>>) {
        match (&self.upload, &self.kept) {
            (Some(upload), _) => upload.asked.uploaded(polled.is_ready()),
            (None, Some(kept)) => {
                kept.upload.asked.downloaded(polled.is_ready() || self.failed.is_some());
            }
            (None, None) => {}
        }
    }

    /// Says whether the client has still to read what came before.
    fn client_lags(&self) -> bool {
        let kept = self.kept.as_ref().filter(|kept| kept.alone);
        kept.is_some_and(|kept| kept.upload.asked.is_unwritten())
    }

    /// The next frame, as it was read.
    fn pass(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if self.failed.is_some() && self.client_lags() {
            // Its connection looks here again once what came before has been written.
            return Poll::Pending;
        }
        if let Some(failure) = self.failed.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        // What comes by a connection that we drive comes while we do: nobody has to wake us for it.
        let driven = self.lease.as_mut().is_some_and(|lease| lease.drive(cx));
        let mark = WakeMark::set();
        let polled = if driven {
            Pin::new(&mut self.from).poll_frame(&mut Context::from_waker(Waker::noop()))
        } else {
            Pin::new(&mut self.from).poll_frame(cx)
        };
        match ready!(polled) {
            Some(Ok(mut frame)) => {
                let gone = frame.trailers_mut().is_some_and(|fields| self.sieve.sift(fields));
                self.came(&frame, mark);
                Poll::Ready((!gone).then(|| Ok(self.from.hold(frame))))
            }
            Some(Err(error)) => self.break_off(error.into(), cx),
            None if self.is_reset() => self.break_off(Failure::Reset, cx),
            None => {
                self.finish();
                Poll::Ready(None)
            }
        }
    }

    /// Hands a frame over that is to be passed on.
    fn came(&mut self, frame: &Frame<Bytes>, mark: WakeMark) {
        let last = self.from.is_end_stream();
        if last {
            // It asked for more, of which there is none.
            mark.take_back();
        }
        let all = last || self.is_all();
        if let Some(data) = frame.data_ref() {
            self.recorder.bytes(data, all);
            if let Some(lookout) = &mut self.lookout {
                lookout.look(data);
            }
            if let Some(upload) = &self.upload
                && let Some(prefix) = upload.prefix.borrow_mut().as_mut()
            {
                prefix.add(data);
            }
        }
        // Behind trailers nothing comes, and nobody asks for it.
        if last || frame.is_trailers() {
            self.finish();
        } else if all {
            self.told();
        }
    }

    /// It ends here, and not as it should.
    fn break_off<T>(&mut self, failure: Failure, cx: &Context<'_>) -> Poll<T> {
        self.over = true;
        self.lease = None;
        match &self.upload {
            Some(upload) => upload.broken.set(Some(Broken::by(&failure))),
            None => self.recorder.broken(self.broken_by()),
        }
        // hyper gives up what it has not written yet as soon as it hears of an error.
        self.failed = Some(failure);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        // A response that nobody takes any more. Of a request the response tells, or its absence.
        if !self.over && self.upload.is_none() {
            self.recorder.broken(Party::Client);
        }
    }
}

impl Body for ProxyBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match self.get_mut() {
            ProxyBody::Forwarded(forwarded) => {
                let polled = match forwarded.held {
                    Some(_) => forwarded.pass_held(cx),
                    None => forwarded.pass(cx),
                };
                forwarded.tell(&polled);
                polled
            }
            ProxyBody::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ProxyBody::Forwarded(forwarded) => {
                forwarded.from.is_end_stream()
                    && forwarded.held.as_ref().is_none_or(|h| h.is_done())
            }
            ProxyBody::Own(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ProxyBody::Forwarded(forwarded) => {
                let hint = forwarded.from.size_hint();
                forwarded.held.as_ref().map_or(hint, |held| held.size_hint(&hint))
            }
            ProxyBody::Own(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |t| t.len() as u64))
            }
        }
    }
}
