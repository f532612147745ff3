//! Places that upstreams named to their own clients and that no route leads to.
//!
//! A server of HTTP+SSE (2024-11-05) tells in its stream where messages go, as a path of its own. Behind a
//! route that swaps paths its client would ask the tap for that path; so it is remembered, and the stream
//! passes unchanged. A route always comes first, so no upstream can take another's path.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::Uri;
use hyper::http::uri::PathAndQuery;

use super::routes::{Found, Routes};
use crate::mcp::{EndpointFinder, Looked};

/// Places that are remembered; the oldest is forgotten first. One a session of the old transport.
const MAX_DETOURS: usize = 1024;

/// What all workers of one receiver remember.
#[derive(Debug, Default)]
pub(super) struct Detours {
    known: Mutex<VecDeque<(PathAndQuery, usize)>>,
    /// There ever was one: without, nobody takes the lock.
    any: AtomicBool,
}

/// Watches the beginning of one stream for it.
#[derive(Debug)]
pub(super) struct Lookout {
    finder: EndpointFinder,
    route: usize,
    detours: Arc<Detours>,
    routes: Arc<Routes>,
}

impl Detours {
    /// Where a target that no route leads to is served.
    pub(super) fn find(&self, asked: &Uri) -> Option<Found> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let target = asked.path_and_query()?;
        let mut known = self.known();
        let at = known.iter().position(|(known, _)| known == target)?;
        // What is used is remembered longest.
        let (target, route) = known.remove(at)?;
        known.push_back((target.clone(), route));
        Some(Found { route, target, aside: false, by_origin: false })
    }

    fn add(&self, target: PathAndQuery, route: usize) {
        let mut known = self.known();
        if !known.iter().any(|(other, _)| *other == target) {
            known.push_back((target, route));
            self.any.store(true, Ordering::Relaxed);
            if known.len() > MAX_DETOURS {
                known.pop_front();
            }
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, VecDeque<(PathAndQuery, usize)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lookout {
    /// For a stream of that route, asked for at `target`.
    pub(super) fn new(
        target: &Uri,
        route: usize,
        detours: &Arc<Detours>,
        routes: &Arc<Routes>,
    ) -> Self {
        let target = target.path_and_query().map_or("/", PathAndQuery::as_str);
        Lookout {
            finder: EndpointFinder::new(target.as_bytes()),
            route,
            detours: Arc::clone(detours),
            routes: Arc::clone(routes),
        }
    }

    /// Bytes of the stream; `false` once there is nothing more to look for.
    pub(super) fn look(&mut self, bytes: &[u8]) -> bool {
        match self.finder.push(bytes) {
            Looked::More => true,
            Looked::Nothing => false,
            Looked::Found(target) => {
                let target: Result<Uri, _> = Uri::try_from(target);
                if let Ok(target) = target
                    && self.routes.find(&target).is_none_or(|found| found.by_origin)
                    && let Some(path) = target.into_parts().path_and_query
                {
                    self.detours.add(path, self.route);
                }
                false
            }
        }
    }
}
