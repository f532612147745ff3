//! Looks out for the place that one event stream of HTTP+SSE (2024-11-05) names, as it passes.
//!
//! A stream that is packed is unpacked on the side as far as its first event, within bounds; it passes as it
//! came and waits for nothing. What is found is a detour only if nobody else can be meant by it.

use std::fmt;
use std::sync::Arc;

use hyper::http::uri::PathAndQuery;

use super::decode::{Coding, Decoder};
use super::routes::{Owner, Routes, WELL_KNOWN};
use super::session_endpoints::{Detour, SessionEndpoints};
use crate::mcp::{EndpointFinder, Looked, comparable};

/// Packed bytes that are looked at: the first event is short.
const MAX_PACKED: usize = 4096;
/// Limits what unpacking may take at once, over all streams of a receiver, in bytes. Each route has an equal part
/// of it to itself, so that no server's streams keep another's from being looked at, and at least
/// [`MIN_UNPACKING`].
const MAX_UNPACKING: usize = 64 << 20;
/// Holds one stream of the codings that want most, in bytes.
const MIN_UNPACKING: usize = 8 << 20;

/// Watches the beginning of one stream for it, and forgets it with the stream.
#[derive(Debug)]
pub(super) struct EndpointWatcher {
    /// Nothing once there is nothing more to look for.
    search: Option<Search>,
    /// This stream named it.
    named: Option<Detour>,
    route: usize,
    detours: Arc<SessionEndpoints>,
    routes: Arc<Routes>,
}

#[derive(Debug)]
struct Search {
    finder: EndpointFinder,
    /// For a stream that is packed.
    unpacking: Option<Unpacking>,
}

/// A stream's beginning being unpacked.
struct Unpacking {
    decoder: Decoder,
    /// Packed bytes that are still looked at.
    left: usize,
    /// Its part of what may be taken, in bytes.
    cost: usize,
    /// The place of the stream's route.
    place: Arc<str>,
    detours: Arc<SessionEndpoints>,
}

impl EndpointWatcher {
    /// Looks out on a stream of that route with `finder`. `None` where it cannot be read: its coding is none
    /// that we know, or too many of that route are being unpacked.
    pub(super) fn new(
        finder: EndpointFinder,
        coding: Coding,
        route: usize,
        detours: &Arc<SessionEndpoints>,
        routes: &Arc<Routes>,
    ) -> Option<Self> {
        let unpacking = match coding {
            Coding::Identity => None,
            coding => Some(Unpacking::of(coding, route, detours, routes)?),
        };
        let search = Some(Search { finder, unpacking });
        let (detours, routes) = (Arc::clone(detours), Arc::clone(routes));
        Some(EndpointWatcher { search, named: None, route, detours, routes })
    }

    /// Looks at bytes of the stream.
    pub(super) fn look(&mut self, bytes: &[u8]) {
        let Some(search) = &mut self.search else { return };
        let (asked, meant) = match search.push(bytes) {
            Looked::More => return,
            Looked::Nothing => (None, None),
            Looked::Found { asked, meant } => {
                (PathAndQuery::try_from(asked).ok(), PathAndQuery::try_from(meant).ok())
            }
        };
        self.search = None;
        let (Some(asked), Some(meant)) = (asked, meant) else { return };
        if let Some(place) = self.routes.place(self.route).filter(|_| self.is_ours(&asked)) {
            let asked = comparable(asked.as_str().as_bytes()).into();
            let detour = Detour { asked, meant, place: Arc::clone(place) };
            self.detours.add(&detour);
            self.named = Some(detour);
        }
    }

    /// Says whether whoever asks for that means this stream's server.
    fn is_ours(&self, asked: &PathAndQuery) -> bool {
        // However it is spelled.
        let folded = comparable(asked.as_str().as_bytes());
        if folded.starts_with(WELL_KNOWN.as_bytes()) {
            return false;
        }
        match self.routes.owner(asked.path()) {
            Owner::Nobody => asked.query().is_some() || parts(asked).any(is_session),
            Owner::Origin(route) => route == self.route,
            Owner::Route => false,
        }
    }
}

impl Drop for EndpointWatcher {
    fn drop(&mut self) {
        if let Some(named) = &self.named {
            self.detours.forget(named);
        }
    }
}

impl Search {
    fn push(&mut self, bytes: &[u8]) -> Looked {
        let Search { finder, unpacking } = self;
        let Some(unpacking) = unpacking else { return finder.push(bytes) };
        let packed = &bytes[..bytes.len().min(unpacking.left)];
        unpacking.left -= packed.len();
        let mut looked = Looked::More;
        let read = unpacking.decoder.push(packed, |piece| {
            if looked == Looked::More {
                looked = finder.push(piece);
            }
        });
        let on = read.is_ok() && unpacking.left > 0;
        if looked == Looked::More && !on { Looked::Nothing } else { looked }
    }
}

impl Unpacking {
    fn of(
        coding: Coding,
        route: usize,
        detours: &Arc<SessionEndpoints>,
        routes: &Routes,
    ) -> Option<Self> {
        let (cost, place) = (Decoder::cost(coding), Arc::clone(routes.place(route)?));
        let most = (MAX_UNPACKING / routes.count().max(1)).max(MIN_UNPACKING);
        if !detours.take_room(&place, cost, most) {
            return None;
        }
        let Some(decoder) = Decoder::of(coding) else {
            detours.give_room_back(&place, cost);
            return None;
        };
        let detours = Arc::clone(detours);
        Some(Unpacking { decoder, left: MAX_PACKED, cost, place, detours })
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        self.detours.give_room_back(&self.place, self.cost);
    }
}

impl fmt::Debug for Unpacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacking").field("left", &self.left).finish_non_exhaustive()
    }
}

/// The words of a target: segments, and names and values of its query.
fn parts(target: &PathAndQuery) -> impl Iterator<Item = &str> {
    target.as_str().split(['/', '?', '&', '=', ';'])
}

/// Says whether a word looks like the id of a session. Names of places, `token` or `oauth2`, do not: in a path without
/// a query, one server could have what another's clients send there.
fn is_session(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let mixed = word.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    !word.contains('%') && (word.len() >= 16 && mixed || word.len() >= 6 && digits >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::resolve_reference;
    use crate::receivers::mcp_http::config::Route;
    use crate::receivers::mcp_http::session_endpoints::Named;
    use hyper::{Method, Uri};
    use std::io::Write as _;

    const OLD: usize = 0;
    const OTHER: usize = 1;
    const ORIGIN: usize = 2;
    const UUID: &str = "3f2c9a8e-0c51-4b6f-9d2e-7a1b2c3d4e5f";

    type Places = (Arc<SessionEndpoints>, Arc<Routes>);

    fn places(origin: bool) -> Places {
        let route = |path: Option<&str>| Route {
            path: path.map(str::to_owned),
            upstream: "http://h:1/a/sse".to_owned(),
            ..Route::default()
        };
        let mut routes = vec![route(Some("/old")), route(Some("/other"))];
        routes.extend(origin.then(|| route(None)));
        (Arc::default(), Arc::new(Routes::new(&routes)))
    }

    fn event(endpoint: &str) -> Vec<u8> {
        format!("event: endpoint\ndata: {endpoint}\n\n").into_bytes()
    }

    fn lookout(
        route: usize,
        coding: Coding,
        (detours, routes): &Places,
    ) -> Option<EndpointWatcher> {
        let finder = match route {
            ORIGIN => EndpointFinder::new(b"/sse", b"/sse"),
            _ => EndpointFinder::new(b"/old", b"/a/sse"),
        };
        EndpointWatcher::new(finder, coding, route, detours, routes)
    }

    fn told(places: &Places, endpoint: &str) -> EndpointWatcher {
        told_by(OLD, places, endpoint)
    }

    fn told_by(route: usize, places: &Places, endpoint: &str) -> EndpointWatcher {
        let mut lookout = lookout(route, Coding::Identity, places).unwrap();
        event(endpoint).chunks(3).for_each(|chunk| lookout.look(chunk));
        lookout.look(b"event: endpoint\ndata: /second?s=1\n\n");
        lookout
    }

    fn found(places: &Places, asked: &str) -> Option<(usize, String)> {
        match named(places, asked) {
            Named::By(found) => Some((found.route, found.target.to_string())),
            Named::Nowhere | Named::Ambiguous(_) => None,
        }
    }

    fn named((detours, routes): &Places, asked: &str) -> Named {
        detours.find(routes, &Method::POST, &asked.parse::<Uri>().unwrap())
    }

    fn leads(places: &Places, asked: &str) -> bool {
        found(places, asked).is_some()
    }

    #[test]
    fn a_relative_place_leads_to_where_it_is_meant() {
        for (endpoint, asked, meant) in [
            ("messages?s=1", "/messages?s=1", "/a/messages?s=1"),
            ("./m/../n?s=1", "/n?s=1", "/a/n?s=1"),
            ("../m?s=1", "/m?s=1", "/m?s=1"),
            ("/m?s=1", "/m?s=1", "/m?s=1"),
            ("messages/abc123", "/messages/abc123", "/a/messages/abc123"),
            (&format!("{UUID}/in"), &format!("/{UUID}/in"), &format!("/a/{UUID}/in")),
            ("m/kXqLpWvTzRbNdGhYsCjFm", "/m/kXqLpWvTzRbNdGhYsCjFm", "/a/m/kXqLpWvTzRbNdGhYsCjFm"),
        ] {
            let places = places(false);
            let stream = told(&places, endpoint);
            assert_eq!(found(&places, asked), Some((OLD, meant.to_owned())), "{endpoint}");
            drop(stream);
            assert!(!leads(&places, asked));
        }
    }

    /// Node and Python send different things of one reference.
    #[test]
    fn a_place_is_found_whichever_client_asks_for_it() {
        for (endpoint, node, python, meant) in [
            ("my m?s=a b", "/my%20m?s=a%20b", "/my%20m?s=a%20b", "/a/my%20m?s=a%20b"),
            ("m\u{e9}?s=\"'", "/m%C3%A9?s=%22%27", "/m%c3%a9?s=%22'", "/a/m%C3%A9?s=%22%27"),
            ("%2e/m?s=1", "/m?s=1", "/%2e/m?s=1", "/a/m?s=1"),
            ("x/%2E%2e/m?s=1", "/m?s=1", "/x/%2E%2e/m?s=1", "/a/m?s=1"),
            ("x//m?s=1", "/x//m?s=1", "/x/m?s=1", "/a/x//m?s=1"),
        ] {
            let places = places(false);
            let _stream = told(&places, endpoint);
            for asked in [node, python] {
                let found = found(&places, asked);
                assert_eq!(found, Some((OLD, meant.to_owned())), "{endpoint} {asked}");
            }
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
        let asked = "/messages?s=1".parse().unwrap();
        assert_eq!(places.0.find(&places.1, &Method::GET, &asked), Named::Nowhere);
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
            assert!(matches!(named(&places, "/m?s=1"), Named::Ambiguous(_)));
            drop(first);
            assert!(matches!(named(&places, "/m?s=1"), Named::Ambiguous(_)));
            drop(second);
            assert_eq!(named(&places, "/m?s=1"), Named::Nowhere);
        }
    }

    #[test]
    fn a_receiver_that_takes_over_knows_where_a_stream_of_the_old_one_sends_its_client() {
        let old = places(false);
        let stream = told(&old, "messages?s=1");
        let route = |path: &str, upstream: &str| Route {
            path: Some(path.to_owned()),
            upstream: upstream.to_owned(),
            ..Route::default()
        };
        let kept = route("/old", "http://h:1/a/sse");
        for (routes, leads) in [
            (vec![route("/new", "http://i/"), kept], Some((1, "/a/messages?s=1".to_owned()))),
            (vec![route("/old", "http://elsewhere/a/sse")], None),
        ] {
            let new = (Arc::clone(&old.0), Arc::new(Routes::new(&routes)));
            assert_eq!(found(&new, "/messages?s=1"), leads);
        }
        drop(stream);
    }

    #[test]
    fn a_whole_origins_places_lead_nowhere_else_however_hard_they_are_to_guess() {
        let places = places(true);
        for endpoint in [format!("messages?s={UUID}"), format!("tenants/{UUID}/mcp")] {
            let asked = format!("/{endpoint}");
            let stream = told(&places, &endpoint);
            assert!(!leads(&places, &asked));
            let own = told_by(ORIGIN, &places, &asked);
            assert_eq!(found(&places, &asked), Some((ORIGIN, asked.clone())));
            drop((stream, own));
        }
    }

    #[test]
    fn nobody_takes_what_is_anothers() {
        for (origin, endpoint) in [
            (true, "/mcp"),
            (true, "/mcp?s=1"),
            (true, "/mcp?profile=abc123"),
            (true, "/messages/abc123"),
            (true, "/oauth/DeviceAuthorization"),
            (false, "/%2ewell-known/abc123"),
            (false, "/old/x?s=1"),
            (false, "old/x?s=1"),
            (false, "other?s=1"),
            (false, "x/../other/y?s=1"),
            (false, "/other/%2e%2e/other/y?s=1"),
            (false, "x/%2e%2e/other\\y?s=1"),
            (false, "m"),
            (false, "/token"),
            (false, "/oauth2/token"),
            (false, "/oauth/device_authorization"),
            (false, "/my%2020%20token"),
            (false, "/.well-known/oauth-authorization-server"),
            (false, "/.well-known/oauth-authorization-server?s=1"),
            (false, "/.well-known/abc123"),
        ] {
            let places = places(origin);
            let _stream = told(&places, endpoint);
            let asked = resolve_reference(b"/old", endpoint.as_bytes());
            assert!(!leads(&places, std::str::from_utf8(&asked).unwrap()), "{endpoint}");
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.flush().unwrap();
        std::mem::take(encoder.get_mut())
    }

    #[test]
    fn a_stream_that_is_packed_names_its_place_as_soon_as_the_event_has_passed() {
        let places = places(false);
        let mut stream = lookout(OLD, Coding::Gzip, &places).unwrap();
        for chunk in gzip(&event("messages?s=1")).chunks(5) {
            stream.look(chunk);
        }
        assert_eq!(found(&places, "/messages?s=1"), Some((OLD, "/a/messages?s=1".to_owned())));
        assert_eq!(zstd_streams(OLD, &places), MAX_EACH, "it is unpacked no further");
    }

    /// Streams in zstd of one of two routes that can be unpacked at once.
    const MAX_EACH: usize = 4;

    /// Counts how many streams of a route in zstd can be looked at, at once.
    fn zstd_streams(route: usize, places: &Places) -> usize {
        let all: Vec<_> = (0..9).map_while(|_| lookout(route, Coding::Zstd, places)).collect();
        all.len()
    }

    #[test]
    fn streams_that_are_unpacked_take_no_more_than_there_is_for_their_route() {
        let places = places(false);
        let all: Vec<_> = (0..9).map_while(|_| lookout(OLD, Coding::Zstd, &places)).collect();
        assert_eq!(all.len(), MAX_EACH);
        assert_eq!(zstd_streams(OTHER, &places), MAX_EACH, "the other route has its own");
        drop(all);
        let mut junk = lookout(OLD, Coding::Gzip, &places).unwrap();
        junk.look(&[b'x'; 2 * MAX_PACKED]);
        let mut bomb = lookout(OLD, Coding::Gzip, &places).unwrap();
        bomb.look(&gzip(&vec![b':'; 32 << 20]));
        let mut silent = lookout(OLD, Coding::Gzip, &places).unwrap();
        silent.look(&gzip(b": hello\n\n").repeat(1 + MAX_PACKED / 20));
        assert_eq!(zstd_streams(OLD, &places), MAX_EACH);
        assert!(lookout(OLD, Coding::Unknown, &places).is_none());
    }
}
