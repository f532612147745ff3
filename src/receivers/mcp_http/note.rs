//! Defines what the forwarding threads tell the observer: the records of this tap's queue.

use crate::mcp::{Direction, Party};
use crate::receivers::tap;

/// The queue of an HTTP tap.
pub(super) type Queue = tap::Queue<Note>;
/// One record with its bytes.
pub(super) type Event<'a> = tap::Event<'a, Note>;

/// Says to which exchange something happened, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// Says which request and response; 0 for none.
    pub(super) exchange: u64,
    /// Names what happened.
    pub(super) kind: Kind,
}

/// Names what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request came; the bytes are its head (`heads`).
    Request {
        /// It may hold JSON-RPC.
        post: bool,
    },
    /// Its response came; the bytes are its head.
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
    Broken(Party),
    /// There was no room for whole exchanges.
    Gap(Skipped),
}

/// Counts what was not handed over.
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
