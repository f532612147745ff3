//! Places that upstreams named to their own clients and that no route leads to.
//!
//! A server of HTTP+SSE (2024-11-05) tells in its stream where messages go, as a path of its own or one
//! that is relative to its stream's. Behind a route that swaps paths its client comes to another path than
//! was meant, and asks the tap for it; so both are remembered as long as the stream lasts, and the stream
//! passes unchanged. Only targets that tell of a session count (`endpoint_watcher.rs`), and only for `POST`. Routes
//! with a path come first; one that proxies a whole origin does where it may be its own server that is
//! meant: so no upstream gets requests that were for another one, or for none of them. Servers choose the
//! names, so no name is anybody's by coming first: what two of them name leads nowhere, also when one's
//! stream is over. Nothing here is pushed out by another route.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::http::uri::PathAndQuery;
use hyper::{Method, Uri};

use super::routes::{Found, Routes};
use crate::mcp::{MAX_ENDPOINT, comparable};
use crate::metrics::RateLimitedLog;

/// Limits what is kept of streams that are over, by route: targets, each as a hash of 8 bytes. Clients post to
/// what they were told until they reach their server again.
const MAX_ENDED: usize = 4096;

/// Keeps what all workers of one receiver remember, also those of the receiver that takes over at a reload: a
/// stream stays with the old one, and what its client posts comes to the new one.
#[derive(Debug, Default)]
pub(super) struct SessionEndpoints {
    table: Mutex<Table>,
    /// There ever was one: without, nobody takes the lock.
    any: AtomicBool,
    /// Two servers name one place.
    pub(super) ambiguous: RateLimitedLog,
    /// A stream that may name a place cannot be read.
    pub(super) unread: RateLimitedLog,
}

/// A place that a stream named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detour {
    /// The target that clients ask the tap for, as [`comparable`] has it.
    pub(super) asked: Arc<[u8]>,
    /// The target that its upstream is asked for then.
    pub(super) meant: PathAndQuery,
    /// The place of the stream's route.
    pub(super) place: Arc<str>,
}

/// Tells who serves a target that no route has to itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// No stream names it.
    Nowhere,
    /// The streams of one server.
    By(Found),
    /// Streams of several name it or did, those of the routes at these places: nobody can tell whose it is,
    /// and what was meant for one must not reach another.
    Ambiguous(Vec<Arc<str>>),
}

/// Has an entry for each target that a stream which is open names, and so as many as there are streams, at most
/// `max_requests`.
#[derive(Debug, Default)]
struct Table {
    named: HashMap<Arc<[u8]>, Vec<Claim>>,
    routes: HashMap<Arc<str>, OfRoute>,
    hasher: RandomState,
}

/// Says of one target that streams of a route name it.
#[derive(Debug)]
struct Claim {
    place: Arc<str>,
    meant: PathAndQuery,
    /// Counts the streams that do and are open.
    streams: usize,
}

/// Keeps what is one route's alone, by its place.
#[derive(Debug, Default)]
struct OfRoute {
    ended: Ended,
    /// Counts what watchers of its streams take to unpack at the moment, in bytes.
    unpacking: usize,
}

/// Keeps hashes of the targets that streams named which are over, the last [`MAX_ENDED`] of them.
#[derive(Debug, Default)]
struct Ended {
    order: VecDeque<u64>,
    /// Counts how often each stands in `order`.
    times: HashMap<u64, u32>,
}

impl SessionEndpoints {
    /// Finds where a target is served that no route has to itself.
    pub(super) fn find(&self, routes: &Routes, method: &Method, asked: &Uri) -> Named {
        if !self.any.load(Ordering::Relaxed) || method != Method::POST {
            return Named::Nowhere;
        }
        let target = asked.path_and_query().filter(|t| t.as_str().len() <= MAX_ENDPOINT);
        let Some(target) = target else { return Named::Nowhere };
        let target = comparable(target.as_str().as_bytes());
        let table = self.table();
        let Some(claims) = table.named.get(target.as_slice()) else { return Named::Nowhere };
        let before = table.ended_elsewhere(routes, &target, claims);
        match claims.as_slice() {
            [only] if before.is_empty() => match routes.at_place(&only.place) {
                Some(route) => Named::By(Found { route, target: only.meant.clone(), aside: false }),
                None => Named::Nowhere,
            },
            all => {
                let places = all.iter().map(|claim| Arc::clone(&claim.place));
                Named::Ambiguous(places.chain(before).collect())
            }
        }
    }

    /// Remembers what one stream named; several may name the same.
    pub(super) fn add(&self, detour: &Detour) {
        let mut table = self.table();
        let claims = table.named.entry(Arc::clone(&detour.asked)).or_default();
        match claims.iter_mut().find(|claim| claim.is_of(detour)) {
            Some(claim) => claim.streams += 1,
            None => {
                let (place, meant) = (Arc::clone(&detour.place), detour.meant.clone());
                claims.push(Claim { place, meant, streams: 1 });
            }
        }
        self.any.store(true, Ordering::Relaxed);
    }

    /// Forgets what one stream named which is over, and not what another did; that it was named is remembered.
    pub(super) fn forget(&self, detour: &Detour) {
        let mut table = self.table();
        let hash = table.hasher.hash_one(&*detour.asked);
        table.of_route(&detour.place).ended.push(hash);
        let Entry::Occupied(mut entry) = table.named.entry(Arc::clone(&detour.asked)) else {
            return;
        };
        let claims = entry.get_mut();
        if let Some(claim) = claims.iter_mut().find(|claim| claim.is_of(detour)) {
            claim.streams -= 1;
        }
        claims.retain(|claim| claim.streams > 0);
        if claims.is_empty() {
            entry.remove();
        }
    }

    /// Forgets what was kept of routes that a reload took out.
    pub(super) fn keep(&self, routes: &Routes) {
        let kept = |place: &str, of: &OfRoute| of.unpacking > 0 || routes.at_place(place).is_some();
        self.table().routes.retain(|place, of| kept(place, of));
    }

    /// Takes `bytes` of the `most` that unpacking may take at once for streams of the route at `place`; says
    /// whether there was room.
    pub(super) fn take_room(&self, place: &Arc<str>, bytes: usize, most: usize) -> bool {
        let mut table = self.table();
        let taken = &mut table.of_route(place).unpacking;
        let room = *taken + bytes <= most;
        if room {
            *taken += bytes;
        }
        room
    }

    /// Gives back what [`take_room`](Self::take_room) took.
    pub(super) fn give_room_back(&self, place: &Arc<str>, bytes: usize) {
        self.table().of_route(place).unpacking -= bytes;
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn of_route(&mut self, place: &Arc<str>) -> &mut OfRoute {
        self.routes.entry(Arc::clone(place)).or_default()
    }

    /// Returns the places of `routes` whose streams named a target, are over, and are none of the `claims` to it.
    fn ended_elsewhere(&self, routes: &Routes, target: &[u8], claims: &[Claim]) -> Vec<Arc<str>> {
        let hash = self.hasher.hash_one(target);
        let there = self.routes.iter().filter(|(_, of)| of.ended.times.contains_key(&hash));
        let places = there.map(|(place, _)| place);
        let other = |place: &&Arc<str>| {
            claims.iter().all(|claim| claim.place != **place) && routes.at_place(place).is_some()
        };
        places.filter(other).cloned().collect()
    }
}

impl Claim {
    fn is_of(&self, detour: &Detour) -> bool {
        self.place == detour.place && self.meant == detour.meant
    }
}

impl Ended {
    fn push(&mut self, hash: u64) {
        self.order.push_back(hash);
        *self.times.entry(hash).or_default() += 1;
        if self.order.len() > MAX_ENDED
            && let Some(oldest) = self.order.pop_front()
            && let Entry::Occupied(mut times) = self.times.entry(oldest)
        {
            *times.get_mut() -= 1;
            if *times.get() == 0 {
                times.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::mcp_http::config::Route;

    fn route(path: &str) -> Route {
        let upstream = "http://h:1/sse".to_owned();
        Route { path: Some(path.to_owned()), upstream, ..Route::default() }
    }

    fn routes() -> Routes {
        Routes::new(&[route("/evil"), route("/good")])
    }

    fn detour(routes: &Routes, route: usize, session: usize) -> Detour {
        let target = format!("/messages?sessionId={session}");
        let place = Arc::clone(routes.place(route).unwrap());
        Detour { asked: target.as_bytes().into(), meant: target.parse().unwrap(), place }
    }

    fn find(detours: &SessionEndpoints, routes: &Routes, session: usize) -> Named {
        let asked = format!("/messages?sessionId={session}");
        detours.find(routes, &Method::POST, &asked.parse().unwrap())
    }

    fn leads_to(named: &Named) -> Option<usize> {
        if let Named::By(found) = named { Some(found.route) } else { None }
    }

    #[test]
    fn a_place_stays_nobodys_once_two_servers_named_it() {
        for [first, second] in [[0, 1], [1, 0]] {
            let (detours, routes) = (SessionEndpoints::default(), routes());
            let [one, two] = [first, second].map(|route| detour(&routes, route, 1));
            detours.add(&one);
            assert_eq!(leads_to(&find(&detours, &routes, 1)), Some(first));
            detours.add(&two);
            detours.forget(&one);
            let Named::Ambiguous(mut places) = find(&detours, &routes, 1) else { panic!() };
            places.sort();
            assert_eq!(
                places,
                [Arc::clone(&detour(&routes, 0, 1).place), detour(&routes, 1, 1).place]
            );
            detours.forget(&two);
            assert_eq!(find(&detours, &routes, 1), Named::Nowhere);
            detours.add(&two);
            assert!(matches!(find(&detours, &routes, 1), Named::Ambiguous(_)), "comes again");
        }
    }

    /// Its client goes on posting while it tries to reach its server again.
    #[test]
    fn a_place_of_a_stream_that_is_over_is_not_anothers() {
        let (detours, routes) = (SessionEndpoints::default(), routes());
        let good = detour(&routes, 1, 1);
        detours.add(&good);
        detours.forget(&good);
        detours.add(&detour(&routes, 0, 1));
        assert!(matches!(find(&detours, &routes, 1), Named::Ambiguous(_)));
        detours.add(&detour(&routes, 1, 2));
        assert_eq!(leads_to(&find(&detours, &routes, 2)), Some(1), "the others are served");
    }

    #[test]
    fn no_stream_pushes_out_what_another_named() {
        let (detours, routes) = (SessionEndpoints::default(), routes());
        let evils = || (1..=3 * MAX_ENDED).map(|session| detour(&routes, 0, session));
        detours.add(&detour(&routes, 1, 0));
        let over = detour(&routes, 1, 1);
        detours.add(&over);
        detours.forget(&over);
        evils().for_each(|one| detours.add(&one));
        assert_eq!(leads_to(&find(&detours, &routes, 0)), Some(1));
        assert!(matches!(find(&detours, &routes, 1), Named::Ambiguous(_)));
        assert_eq!(leads_to(&find(&detours, &routes, 2)), Some(0));
        evils().for_each(|one| detours.forget(&one));
        assert_eq!(leads_to(&find(&detours, &routes, 0)), Some(1));
        detours.add(&detour(&routes, 0, 1));
        assert!(matches!(find(&detours, &routes, 1), Named::Ambiguous(_)));
    }

    /// A server that counts its sessions may have moved.
    #[test]
    fn what_a_route_named_that_a_reload_took_out_is_nobodys_concern() {
        let (detours, routes) = (SessionEndpoints::default(), routes());
        let (evil, good) = (detour(&routes, 0, 1), detour(&routes, 1, 1));
        detours.add(&evil);
        detours.forget(&evil);
        detours.add(&good);
        assert!(matches!(find(&detours, &routes, 1), Named::Ambiguous(_)));
        let left = Routes::new(&[route("/good")]);
        assert_eq!(leads_to(&find(&detours, &left, 1)), Some(0));
        detours.keep(&left);
        assert_eq!(detours.table().routes.len(), 0);
        detours.add(&evil);
        assert!(matches!(find(&detours, &left, 1), Named::Ambiguous(_)), "it goes on");
    }

    #[test]
    fn what_is_kept_of_streams_that_are_over_is_bounded() {
        let (detours, routes) = (SessionEndpoints::default(), routes());
        for session in (0..2 * MAX_ENDED).chain([0, 0]) {
            let one = detour(&routes, 0, session);
            detours.add(&one);
            detours.forget(&one);
        }
        let table = detours.table();
        assert!(table.named.is_empty());
        let ended = &table.routes[&detour(&routes, 0, 0).place].ended;
        assert_eq!((ended.order.len(), ended.times.len()), (MAX_ENDED, MAX_ENDED - 1));
    }

    #[test]
    fn a_route_takes_no_room_from_another() {
        let (detours, routes) = (SessionEndpoints::default(), routes());
        let [evil, good] = [0, 1].map(|route| Arc::clone(routes.place(route).unwrap()));
        assert!(detours.take_room(&evil, 8, 10));
        assert!(!detours.take_room(&evil, 8, 10));
        assert!(detours.take_room(&good, 8, 10));
        detours.give_room_back(&evil, 8);
        assert!(detours.take_room(&evil, 8, 10));
    }
}
