//! What the forwarding threads tell the observer: the records of this tap's queue, and the form in which
//! the heads of requests and responses stand in their bytes.

use crate::mcp::Direction;
use crate::receivers::tap;

/// The queue of an HTTP tap.
pub(super) type Queue = tap::Queue<Note>;
/// One record with its bytes.
pub(super) type Event<'a> = tap::Event<'a, Note>;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// Which request and response; 0 for none.
    pub(super) exchange: u64,
    /// What happened.
    pub(super) kind: Kind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request came; the bytes are its [`Request`].
    Request {
        /// It may hold JSON-RPC.
        post: bool,
    },
    /// Its response came; the bytes are its [`Response`].
    Response,
    /// The message that comes next in the request's body was edited; the bytes say how.
    Edited,
    /// Bytes of a body.
    Bytes(Direction),
    /// The last of them: the body is complete.
    Last(Direction),
    /// That many bytes of a body are left out here.
    Skip(Direction, u64),
    /// A body is complete.
    Ended(Direction),
    /// There was no room: nothing more of that body will be told.
    Lost(Direction),
    /// The exchange is over before its end.
    Broken(By),
    /// There was no room for whole exchanges.
    Gap(Skipped),
}

/// On whose account an exchange broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The client went away.
    Client,
    /// The upstream did, or was not there.
    Server,
    /// We stop, and it took longer than what that has time for.
    Tap,
}

/// What was not handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Skipped {
    /// Requests that may have held JSON-RPC.
    pub(super) posts: u64,
    /// Bytes of bodies.
    pub(super) bytes: u64,
}

impl tap::Note for Note {
    type Skipped = Skipped;

    fn skip(&self, bytes: &[u8], skipped: &mut Skipped) {
        match self.kind {
            Kind::Request { post } => skipped.posts += u64::from(post),
            Kind::Bytes(_) | Kind::Last(_) => skipped.bytes += bytes.len() as u64,
            _ => {}
        }
    }

    fn gaps(skipped: Skipped) -> impl Iterator<Item = Self> {
        let any = skipped != Skipped::default();
        any.then_some(Note { exchange: 0, kind: Kind::Gap(skipped) }).into_iter()
    }

    fn gap_before(&self, _: &mut Skipped) -> Option<Self> {
        None
    }

    fn passed_over(&self, _: &[u8]) -> impl Iterator<Item = Self> {
        let told = match self.kind {
            Kind::Request { post } => {
                let posts = u64::from(post);
                [Some(Kind::Gap(Skipped { posts, bytes: 0 })), None]
            }
            Kind::Bytes(way) => [Some(Kind::Lost(way)), None],
            Kind::Last(way) => [Some(Kind::Lost(way)), Some(Kind::Ended(way))],
            // Of a body that nobody will see.
            Kind::Edited => [None, None],
            kind => [Some(kind), None],
        };
        let exchange = self.exchange;
        told.into_iter().flatten().map(move |kind| Note { exchange, kind })
    }

    /// Never: the stamp of each is that of what it completes.
    fn join(&mut self, _: usize, _: &Self) -> bool {
        false
    }
}

/// The longest value of a header that is handed over, in bytes: session ids and trace contexts are far
/// shorter.
const MAX_VALUE: usize = 1024;
/// The longest target, in bytes.
const MAX_TARGET: usize = 4096;
/// In place of a length: there is no value.
const NONE: u16 = u16::MAX;

/// The verbs that MCP uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Post,
    Get,
    Delete,
}

/// How a body is encoded for its way (RFC 9110 section 8.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Coding {
    #[default]
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    /// Not one that we can read.
    Unknown,
}

/// The head of a request, as far as it is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) route: u16,
    pub(super) verb: Verb,
    /// 10, 11 or 20.
    pub(super) version: u8,
    pub(super) coding: Coding,
    /// `Last-Event-ID` is there.
    pub(super) resumes: bool,
    pub(super) target: &'a [u8],
    pub(super) session: Option<&'a [u8]>,
    pub(super) protocol: Option<&'a [u8]>,
    pub(super) traceparent: Option<&'a [u8]>,
    pub(super) tracestate: Option<&'a [u8]>,
}

/// The head of a response, as far as it is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response<'a> {
    pub(super) status: u16,
    /// `text/event-stream`.
    pub(super) events: bool,
    pub(super) coding: Coding,
    pub(super) session: Option<&'a [u8]>,
}

impl Request<'_> {
    /// The form in the queue.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        out.extend_from_slice(&self.route.to_le_bytes());
        out.extend([self.verb as u8, self.version, self.coding as u8, u8::from(self.resumes)]);
        put(&mut out, Some(self.target), MAX_TARGET);
        for value in [self.session, self.protocol, self.traceparent, self.tracestate] {
            put(&mut out, value, MAX_VALUE);
        }
        out
    }
}

impl<'a> Request<'a> {
    /// Reads that form; `None` for anything else, which would be a bug.
    pub(super) fn decode(mut bytes: &'a [u8]) -> Option<Self> {
        let from = &mut bytes;
        let route = u16::from_le_bytes([byte(from)?, byte(from)?]);
        let verb = match byte(from)? {
            0 => Verb::Post,
            1 => Verb::Get,
            _ => Verb::Delete,
        };
        let (version, coding, resumes) = (byte(from)?, coding(byte(from)?), byte(from)? == 1);
        let target = take(from)?.unwrap_or_default();
        let (session, protocol) = (take(from)?, take(from)?);
        let (traceparent, tracestate) = (take(from)?, take(from)?);
        Some(Request {
            route,
            verb,
            version,
            coding,
            resumes,
            target,
            session,
            protocol,
            traceparent,
            tracestate,
        })
    }
}

impl Response<'_> {
    /// The form in the queue.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(&self.status.to_le_bytes());
        out.extend([u8::from(self.events), self.coding as u8]);
        put(&mut out, self.session, MAX_VALUE);
        out
    }
}

impl<'a> Response<'a> {
    /// Reads that form; `None` for anything else, which would be a bug.
    pub(super) fn decode(mut bytes: &'a [u8]) -> Option<Self> {
        let from = &mut bytes;
        let status = u16::from_le_bytes([byte(from)?, byte(from)?]);
        let (events, coding) = (byte(from)? == 1, coding(byte(from)?));
        Some(Response { status, events, coding, session: take(from)? })
    }
}

fn put(out: &mut Vec<u8>, value: Option<&[u8]>, max: usize) {
    let Some(value) = value else { return out.extend_from_slice(&NONE.to_le_bytes()) };
    let value = &value[..value.len().min(max)];
    // Both limits are far below `NONE`.
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(value);
}

fn byte(from: &mut &[u8]) -> Option<u8> {
    let (first, rest) = from.split_first()?;
    *from = rest;
    Some(*first)
}

/// A value that may be absent; `None` where the bytes end before it does.
#[expect(clippy::option_option, reason = "absent in the head is not missing in the bytes")]
fn take<'a>(from: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = u16::from_le_bytes([byte(from)?, byte(from)?]);
    if length == NONE {
        return Some(None);
    }
    let (value, rest) = from.split_at_checked(length.into())?;
    *from = rest;
    Some(Some(value))
}

fn coding(byte: u8) -> Coding {
    match byte {
        0 => Coding::Identity,
        1 => Coding::Gzip,
        2 => Coding::Deflate,
        3 => Coding::Brotli,
        4 => Coding::Zstd,
        _ => Coding::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_head_comes_out_as_it_went_in() {
        let request = Request {
            route: 300,
            verb: Verb::Delete,
            version: 20,
            coding: Coding::Zstd,
            resumes: true,
            target: b"/mcp?x=1",
            session: Some(b"id"),
            protocol: None,
            traceparent: Some(b""),
            tracestate: None,
        };
        assert_eq!(Request::decode(&request.encode()), Some(request));
        let response =
            Response { status: 404, events: true, coding: Coding::Gzip, session: Some(b"s") };
        assert_eq!(Response::decode(&response.encode()), Some(response));
    }

    #[test]
    fn long_values_are_cut() {
        let long = [b'x'; 100_000];
        let response =
            Response { status: 200, events: false, coding: Coding::Unknown, session: Some(&long) };
        let encoded = response.encode();
        assert_eq!(Response::decode(&encoded).unwrap().session.unwrap().len(), MAX_VALUE);
    }

    proptest! {
        #[test]
        fn other_bytes_are_no_head_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = (Request::decode(&bytes), Response::decode(&bytes));
        }
    }
}
