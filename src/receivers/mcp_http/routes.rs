//! Which upstream a request goes to, and under which path. Pure: a target in, a target out.
//!
//! The longest path wins, on whole segments. A route with a path swaps it for the upstream's; one
//! without proxies its upstream's origin and keeps paths. What clients look for beside the MCP
//! endpoint (`/.well-known/*`, RFC 8615) follows the route that it is about.

use std::sync::Arc;

use hyper::Uri;
use hyper::http::uri::PathAndQuery;

use super::config::Route;

/// Says where discovery documents stand.
pub(super) const WELL_KNOWN: &str = "/.well-known/";

/// The routes of one receiver.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    /// The longest path first.
    all: Vec<Known>,
    /// All routes lead to one origin.
    one_origin: bool,
}

#[derive(Clone, Debug)]
struct Known {
    index: usize,
    /// Tells it from any other, also after a reload: its path and its upstream.
    place: Arc<str>,
    /// Empty for a whole origin.
    prefix: String,
    /// The upstream's path as it is written.
    written: String,
    /// The upstream's path without its last slash; empty for the root.
    path: String,
}

/// Whose a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// No route's.
    Nobody,
    /// That of the route of that number, which proxies a whole origin.
    Origin(usize),
    /// That of a route with a path.
    Route,
}

/// Says where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Says which of the routes as configured.
    pub(super) route: usize,
    /// The upstream is asked for it.
    pub(super) target: PathAndQuery,
    /// It is a document beside the MCP endpoint, and not MCP.
    pub(super) aside: bool,
}

impl Routes {
    /// The routes that the settings, which have been checked, come to.
    pub(super) fn new(routes: &[Route]) -> Routes {
        let known = routes.iter().enumerate().filter_map(|(index, route)| {
            let written = route.uri().ok()?.path().to_owned();
            let path = written.trim_end_matches('/').to_owned();
            let prefix = route.prefix().to_owned();
            let place = format!("{prefix} {}", route.upstream).into();
            Some(Known { index, place, prefix, written, path })
        });
        let mut all: Vec<_> = known.collect();
        all.sort_by_key(|known| std::cmp::Reverse(known.prefix.len()));
        let origin = |route: &Route| {
            let uri = route.uri().ok();
            uri.map(|uri| (uri.scheme().cloned(), uri.authority().cloned()))
        };
        let one_origin = routes.windows(2).all(|two| origin(&two[0]) == origin(&two[1]));
        Routes { all, one_origin }
    }

    /// Counts the routes.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Says whether a route swaps paths, so that what its server says of its own is not what clients ask.
    pub(super) fn swaps(&self, route: usize) -> bool {
        self.all.iter().any(|known| known.index == route && !known.prefix.is_empty())
    }

    /// The place of a route, by which a receiver that takes over knows it.
    pub(super) fn place(&self, route: usize) -> Option<&Arc<str>> {
        self.all.iter().find(|known| known.index == route).map(|known| &known.place)
    }

    /// The route of that place.
    pub(super) fn at_place(&self, place: &str) -> Option<usize> {
        self.all.iter().find(|known| *known.place == *place).map(|known| known.index)
    }

    /// Says whether any route swaps paths.
    pub(super) fn any_swaps(&self) -> bool {
        self.all.iter().any(|known| !known.prefix.is_empty())
    }

    /// Says whose a path is, also where it is not served.
    pub(super) fn owner(&self, path: &str) -> Owner {
        match self.known(path) {
            None => Owner::Nobody,
            Some(known) if known.prefix.is_empty() => Owner::Origin(known.index),
            Some(_) => Owner::Route,
        }
    }

    /// Finds what leads to `target` of a route's upstream when the tap is asked for it: the way of
    /// [`find`](Self::find) back. `None` if nothing does.
    pub(super) fn back(&self, route: usize, target: &str) -> Option<String> {
        let known = self.all.iter().find(|known| known.index == route)?;
        let asked = match known.prefix.as_str() {
            "" => target.to_owned(),
            prefix => format!("{prefix}{}", target.strip_prefix(known.path.as_str())?),
        };
        // Clients take dots out of it in ways of their own, and might come to another route.
        if climbs(asked.split(['?', '#']).next().unwrap_or_default()) {
            return None;
        }
        // Two slashes would begin a host.
        let found = self.find(&asked.parse().ok()?).filter(|_| !asked.starts_with("//"))?;
        (found.route == route && found.target == *target).then_some(asked)
    }

    /// Says where a request for `asked` goes; `None` where nothing is routed.
    pub(super) fn find(&self, asked: &Uri) -> Option<Found> {
        let path = asked.path();
        if let Some(rest) = path.strip_prefix(WELL_KNOWN) {
            // One that climbs out of there is no document.
            return if climbs(path) { None } else { self.find_document(rest, asked) };
        }
        let known = self.known(path)?;
        let found = |target| Found { route: known.index, target, aside: false };
        if known.prefix.is_empty() {
            return asked.path_and_query().cloned().map(found);
        }
        if climbs(path) {
            return None;
        }
        let below = &path[known.prefix.len()..];
        // The upstream's own last slash decides where the route itself is asked for.
        let path = match below {
            "" => known.written.clone(),
            _ => format!("{}{below}", known.path),
        };
        target(&path, asked.query()).map(found)
    }

    /// The route that a path belongs to.
    fn known(&self, path: &str) -> Option<&Known> {
        self.all.iter().find(|known| {
            let rest = path.strip_prefix(&known.prefix);
            rest.is_some_and(|rest| {
                known.prefix.is_empty() || rest.is_empty() || rest.starts_with('/')
            })
        })
    }

    /// `/.well-known/NAME/PATH` is about `PATH` (RFC 9728 section 3.1, RFC 8414 section 3.1), without
    /// one about the origin.
    fn find_document(&self, rest: &str, asked: &Uri) -> Option<Found> {
        let (name, about) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let found = |route, target| Found { route, target, aside: true };
        let owner = self.known(about).filter(|known| !about.is_empty() && !known.prefix.is_empty());
        if let Some(known) = owner {
            let below = &about[known.prefix.len()..];
            let path = format!("{WELL_KNOWN}{name}{}{below}", known.path);
            return target(&path, asked.query()).map(|target| found(known.index, target));
        }
        let origin = self.all.iter().find(|known| known.prefix.is_empty());
        let origin = origin.or_else(|| self.all.first().filter(|_| self.one_origin))?;
        asked.path_and_query().cloned().map(|target| found(origin.index, target))
    }
}

fn target(path: &str, query: Option<&str>) -> Option<PathAndQuery> {
    let path = if path.is_empty() { "/" } else { path };
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    text.parse().ok()
}

/// Says whether a path has segments that lead up: an upstream would resolve them to outside of the route.
fn climbs(path: &str) -> bool {
    let mut plain = path.to_ascii_lowercase();
    for (written, meant) in [("%2e", "."), ("%2f", "/"), ("%5c", "/"), ("\\", "/")] {
        plain = plain.replace(written, meant);
    }
    // Some servers take `;x` for a parameter of the segment.
    let name = |segment: &str| segment.split(';').next().map(str::to_owned);
    plain.split('/').filter_map(name).any(|name| matches!(name.as_str(), "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(pairs: &[(Option<&str>, &str)]) -> Routes {
        let route = |(path, upstream): &(Option<&str>, &str)| Route {
            path: path.map(str::to_owned),
            upstream: (*upstream).to_owned(),
            ..Route::default()
        };
        Routes::new(&pairs.iter().map(route).collect::<Vec<_>>())
    }

    fn find(routes: &Routes, asked: &str) -> Option<(usize, String)> {
        let found = routes.find(&asked.parse().unwrap())?;
        Some((found.route, found.target.to_string()))
    }

    #[test]
    fn a_whole_origin_keeps_paths_and_queries() {
        let routes = routes(&[(None, "http://h:1/mcp")]);
        for path in
            ["/mcp", "/", "/sse?a=b", "/messages/?session_id=1", "/.well-known/x/mcp", "/a/../b"]
        {
            assert_eq!(find(&routes, path), Some((0, path.to_owned())), "{path}");
        }
    }

    #[test]
    fn a_path_is_swapped_on_whole_segments_and_the_longest_wins() {
        let routes = routes(&[
            (Some("/a"), "http://h/mcp"),
            (Some("/a/b/"), "http://i/"),
            (Some("/c"), "http://j"),
            (Some("/d"), "http://k/mcp/"),
        ]);
        for (asked, route, target) in [
            ("/a", 0, "/mcp"),
            ("/a/", 0, "/mcp/"),
            ("/a/x?q=1", 0, "/mcp/x?q=1"),
            ("/a/b", 1, "/"),
            ("/a/b/c", 1, "/c"),
            ("/a/bc", 0, "/mcp/bc"),
            ("/c?x", 2, "/?x"),
            ("/d", 3, "/mcp/"),
            ("/d?x", 3, "/mcp/?x"),
            ("/d/", 3, "/mcp/"),
            ("/d/y", 3, "/mcp/y"),
        ] {
            assert_eq!(find(&routes, asked), Some((route, target.to_owned())), "{asked}");
        }
        for asked in ["/", "/ab", "/b", "/a/../c/x", "/a/%2E%2e/x", "/a/..%2fx"] {
            assert_eq!(find(&routes, asked), None, "{asked}");
        }
    }

    #[test]
    fn a_document_follows_the_route_that_it_is_about() {
        let two = routes(&[(Some("/a"), "http://h/mcp"), (Some("/b"), "http://i/x")]);
        let about = "/.well-known/oauth-protected-resource";
        assert_eq!(find(&two, &format!("{about}/a")), Some((0, format!("{about}/mcp"))));
        assert_eq!(find(&two, &format!("{about}/b/y")), Some((1, format!("{about}/x/y"))));
        assert_eq!(find(&two, about), None, "about which of the two origins?");
        let one = routes(&[(Some("/a"), "http://h/mcp")]);
        assert_eq!(find(&one, about), Some((0, about.to_owned())));
        let mixed = routes(&[(Some("/a"), "http://h/mcp"), (None, "http://i/x")]);
        assert_eq!(find(&mixed, about), Some((1, about.to_owned())));
        assert_eq!(find(&mixed, &format!("{about}/a")), Some((0, format!("{about}/mcp"))));
        assert!(mixed.find(&about.parse().unwrap()).unwrap().aside);
        for asked in ["/.well-known/../admin", "/.well-known/%2e%2e/mcp", "/.well-known/x/a/..;/b"]
        {
            assert_eq!(find(&one, asked), None, "{asked}");
        }
    }
}
