//! Places that upstreams named to their own clients and that no route leads to.
//!
//! A server of HTTP+SSE (2024-11-05) tells in its stream where messages go, as a path of its own or one
//! that is relative to its stream's. Behind a route that swaps paths its client comes to another path than
//! was meant, and asks the tap for it; so both are remembered as long as the stream lasts, and the stream
//! passes unchanged. Only targets that tell of a session count (`lookout.rs`), and only for `POST`. Routes
//! with a path come first; one that proxies a whole origin does where it may be its own server that is
//! meant: so no upstream gets requests that were for another one, or for none of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::http::uri::PathAndQuery;
use hyper::{Method, Uri};

use super::routes::{Found, Routes};
use crate::mcp::{MAX_ENDPOINT, comparable};
use crate::pipeline::Complaint;

/// Places that are remembered; the oldest is forgotten first. One a session of the old transport.
const MAX_DETOURS: usize = 1024;

/// Keeps what all workers of one receiver remember, also those of the receiver that takes over at a reload: a
/// stream stays with the old one, and what its client posts comes to the new one.
#[derive(Debug, Default)]
pub(super) struct Detours {
    known: Mutex<VecDeque<Detour>>,
    /// There ever was one: without, nobody takes the lock.
    any: AtomicBool,
    /// Counts what lookouts take to unpack at the moment, in bytes.
    pub(super) unpacking: AtomicUsize,
    /// Two servers name one place.
    ambiguous: Complaint,
}

/// A place that a stream named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detour {
    /// The target that clients ask the tap for, as [`comparable`] has it.
    pub(super) asked: Vec<u8>,
    /// The target that its upstream is asked for then.
    pub(super) meant: PathAndQuery,
    /// The place of the stream's route.
    pub(super) place: Arc<str>,
}

impl Detours {
    /// Where a target that no route has to itself is served. Nowhere, if streams of several servers name it:
    /// nobody can tell whose it is, and what was meant for one must not reach another.
    pub(super) fn find(&self, routes: &Routes, method: &Method, asked: &Uri) -> Option<Found> {
        if !self.any.load(Ordering::Relaxed) || method != Method::POST {
            return None;
        }
        let target = asked.path_and_query().filter(|t| t.as_str().len() <= MAX_ENDPOINT)?;
        let target = comparable(target.as_str().as_bytes());
        let mut known = self.known();
        let at = known.iter().position(|known| known.asked == target)?;
        if known.iter().any(|other| other.asked == target && *other != known[at]) {
            if let Some(unsaid) = self.ambiguous.due() {
                tracing::warn!(
                    unsaid,
                    "two servers name the same place for messages (HTTP+SSE): their sessions are \
                     not told apart; give each server a tap of its own"
                );
            }
            return None;
        }
        // What is used is remembered longest.
        let detour = known.remove(at)?;
        let (route, target) = (routes.at_place(&detour.place), detour.meant.clone());
        known.push_back(detour);
        Some(Found { route: route?, target, aside: false })
    }

    /// Remembers what one stream named; several may name the same.
    pub(super) fn add(&self, detour: Detour) {
        let mut known = self.known();
        known.push_back(detour);
        self.any.store(true, Ordering::Relaxed);
        if known.len() > MAX_DETOURS {
            known.pop_front();
        }
    }

    /// Forgets what one stream named, and not what another did.
    pub(super) fn forget(&self, detour: &Detour) {
        let mut known = self.known();
        if let Some(at) = known.iter().position(|known| known == detour) {
            known.remove(at);
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, VecDeque<Detour>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
