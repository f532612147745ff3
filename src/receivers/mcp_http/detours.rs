//! Places that upstreams named to their own clients and that no route leads to.
//!
//! A server of HTTP+SSE (2024-11-05) tells in its stream where messages go, as a path of its own or one
//! that is relative to its stream's. Behind a route that swaps paths its client comes to another path than
//! was meant, and asks the tap for it; so both are remembered as long as the stream lasts, and the stream
//! passes unchanged. Routes always come first, one that proxies a whole origin too, only a target with a
//! query counts, which is where such servers have their session, and only for `POST`: so no upstream gets
//! requests that were for another one, or for none of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::http::uri::PathAndQuery;
use hyper::{Method, Uri};

use super::routes::{Found, Routes, WELL_KNOWN};
use crate::mcp::{EndpointFinder, Looked};
use crate::pipeline::Complaint;

/// Places that are remembered; the oldest is forgotten first. One a session of the old transport.
const MAX_DETOURS: usize = 1024;

/// What all workers of one receiver remember.
#[derive(Debug, Default)]
pub(super) struct Detours {
    known: Mutex<VecDeque<Detour>>,
    /// There ever was one: without, nobody takes the lock.
    any: AtomicBool,
    /// Two servers name one place.
    ambiguous: Complaint,
}

/// A place that a stream named.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Detour {
    /// What clients ask the tap for.
    asked: PathAndQuery,
    /// What its upstream is asked for then.
    meant: PathAndQuery,
    route: usize,
}

/// Watches the beginning of one stream for it, and forgets it with the stream.
#[derive(Debug)]
pub(super) struct Lookout {
    /// Nothing once there is nothing more to look for.
    finder: Option<EndpointFinder>,
    /// What this stream named.
    named: Option<Detour>,
    route: usize,
    detours: Arc<Detours>,
    routes: Arc<Routes>,
}

impl Detours {
    /// Where a target that no route leads to is served. Nowhere, if streams of several servers name it: nobody
    /// can tell whose it is, and what was meant for one must not reach another.
    pub(super) fn find(&self, method: &Method, asked: &Uri) -> Option<Found> {
        if !self.any.load(Ordering::Relaxed) || method != Method::POST {
            return None;
        }
        let target = asked.path_and_query()?;
        let mut known = self.known();
        let at = known.iter().position(|known| known.asked == *target)?;
        if known.iter().any(|other| other.asked == *target && *other != known[at]) {
            if let Some(unsaid) = self.ambiguous.due() {
                tracing::warn!(
                    unsaid,
                    "two servers name the same place for messages (HTTP+SSE): it is \
                     not served; give each server a tap of its own"
                );
            }
            return None;
        }
        // What is used is remembered longest.
        let detour = known.remove(at)?;
        let found = Found { route: detour.route, target: detour.meant.clone(), aside: false };
        known.push_back(detour);
        Some(found)
    }

    /// Remembers what one stream named; several may name the same.
    fn add(&self, detour: Detour) {
        let mut known = self.known();
        known.push_back(detour);
        self.any.store(true, Ordering::Relaxed);
        if known.len() > MAX_DETOURS {
            known.pop_front();
        }
    }

    /// Forgets what one stream named, and not what another did.
    fn forget(&self, detour: &Detour) {
        let mut known = self.known();
        if let Some(at) = known.iter().position(|known| known == detour) {
            known.remove(at);
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, VecDeque<Detour>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lookout {
    /// For a stream of that route, which its client asked for at `asked` and its upstream was asked for at
    /// `served`.
    pub(super) fn new(
        asked: &PathAndQuery,
        served: &PathAndQuery,
        route: usize,
        detours: &Arc<Detours>,
        routes: &Arc<Routes>,
    ) -> Self {
        let (asked, served) = (asked.as_str().as_bytes(), served.as_str().as_bytes());
        Lookout {
            finder: Some(EndpointFinder::new(asked, served)),
            named: None,
            route,
            detours: Arc::clone(detours),
            routes: Arc::clone(routes),
        }
    }

    /// Bytes of the stream.
    pub(super) fn look(&mut self, bytes: &[u8]) {
        let Some(finder) = &mut self.finder else { return };
        let (asked, meant) = match finder.push(bytes) {
            Looked::More => return,
            Looked::Nothing => (None, None),
            Looked::Found { asked, meant } => {
                (PathAndQuery::try_from(asked).ok(), PathAndQuery::try_from(meant).ok())
            }
        };
        self.finder = None;
        let (Some(asked), Some(meant)) = (asked, meant) else { return };
        let about_us = asked.query().is_some() && !asked.path().starts_with(WELL_KNOWN);
        if about_us && !self.routes.own(asked.path()) {
            let detour = Detour { asked, meant, route: self.route };
            self.detours.add(detour.clone());
            self.named = Some(detour);
        }
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        if let Some(named) = &self.named {
            self.detours.forget(named);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::resolve_reference;
    use crate::receivers::mcp_http::config::Route;

    const OLD: usize = 0;
    const OTHER: usize = 1;

    fn places(origin: bool) -> (Arc<Detours>, Arc<Routes>) {
        let route = |path: Option<&str>| Route {
            path: path.map(str::to_owned),
            upstream: "http://h:1/a/sse".to_owned(),
            ..Route::default()
        };
        let mut routes = vec![route(Some("/old")), route(Some("/other"))];
        routes.extend(origin.then(|| route(None)));
        (Arc::default(), Arc::new(Routes::new(&routes)))
    }

    fn told(places: &(Arc<Detours>, Arc<Routes>), endpoint: &str) -> Lookout {
        told_by(OLD, places, endpoint)
    }

    fn told_by(
        route: usize,
        (detours, routes): &(Arc<Detours>, Arc<Routes>),
        endpoint: &str,
    ) -> Lookout {
        let (asked, served) = ("/old".parse().unwrap(), "/a/sse".parse().unwrap());
        let mut lookout = Lookout::new(&asked, &served, route, detours, routes);
        let event = format!("event: endpoint\ndata: {endpoint}\n\n");
        event.as_bytes().chunks(3).for_each(|chunk| lookout.look(chunk));
        lookout.look(b"event: endpoint\ndata: /second?s=1\n\n");
        lookout
    }

    fn leads(places: &(Arc<Detours>, Arc<Routes>), asked: &str) -> bool {
        places.0.find(&Method::POST, &asked.parse().unwrap()).is_some()
    }

    #[test]
    fn a_relative_place_leads_to_where_it_is_meant() {
        for (endpoint, asked, meant) in [
            ("messages?s=1", "/messages?s=1", "/a/messages?s=1"),
            ("./m/../n?s=1", "/n?s=1", "/a/n?s=1"),
            ("../m?s=1", "/m?s=1", "/m?s=1"),
            ("/m?s=1", "/m?s=1", "/m?s=1"),
        ] {
            let places = places(false);
            let stream = told(&places, endpoint);
            let found = places.0.find(&Method::POST, &asked.parse().unwrap()).unwrap();
            assert_eq!((found.route, found.target.as_str()), (OLD, meant), "{endpoint}");
            drop(stream);
            assert!(!leads(&places, asked));
        }
    }

    #[test]
    fn a_place_is_known_to_posts_as_long_as_its_stream_lasts() {
        let places = places(false);
        let stream = told(&places, "/messages?s=1");
        let same = told(&places, "/messages?s=1");
        assert!(leads(&places, "/messages?s=1"));
        for other in ["/messages?s=2", "/messages", "/second?s=1"] {
            assert!(!leads(&places, other), "{other}");
        }
        assert_eq!(places.0.find(&Method::GET, &"/messages?s=1".parse().unwrap()), None);
        drop(stream);
        assert!(leads(&places, "/messages?s=1"), "the other stream lasts");
        drop(same);
        assert!(!leads(&places, "/messages?s=1"));
    }

    #[test]
    fn a_place_that_two_servers_name_leads_to_neither() {
        for order in [[OLD, OTHER], [OTHER, OLD]] {
            let places = places(false);
            let [first, second] = order.map(|route| told_by(route, &places, "/m?s=1"));
            assert!(!leads(&places, "/m?s=1"));
            drop(first);
            let found = places.0.find(&Method::POST, &"/m?s=1".parse().unwrap()).unwrap();
            assert_eq!(found.route, order[1]);
            drop(second);
        }
    }

    #[test]
    fn nobody_takes_what_is_anothers() {
        for (origin, endpoint) in [
            (true, "/mcp"),
            (true, "/mcp?s=1"),
            (false, "/old/x?s=1"),
            (false, "old/x?s=1"),
            (false, "other?s=1"),
            (false, "x/../other/y?s=1"),
            (false, "/other/%2e%2e/y?s=1"),
            (false, "m"),
            (false, "/token"),
            (false, "/.well-known/oauth-authorization-server"),
            (false, "/.well-known/oauth-authorization-server?s=1"),
        ] {
            let places = places(origin);
            let _stream = told(&places, endpoint);
            let asked = resolve_reference(b"/old", endpoint.as_bytes());
            assert!(!leads(&places, std::str::from_utf8(&asked).unwrap()), "{endpoint}");
        }
    }
}
