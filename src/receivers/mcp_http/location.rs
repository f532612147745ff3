//! `Location` of responses, where an upstream names a place of its own that its client reaches through the
//! tap. Pure: what it says in, what it is to say out.
//!
//! A server that knows itself by the name that the tap calls it by would send clients past the tap, or to
//! where they cannot go. So what names the upstream's scheme, host and port and a path below its route's is
//! written as a path at the tap; whatever else it is stays as it is, and nothing is made of a `Host` that a
//! client wrote. `Content-Location`, `Refresh`, `Link` and challenges are no redirects that clients of MCP
//! follow, and stay.

use hyper::Uri;
use hyper::header::{Entry, HeaderMap, HeaderValue, LOCATION};
use hyper::http::uri::PathAndQuery;

use super::routes::Routes;
use crate::http::authority::Origin;
use crate::mcp::resolve_reference;

/// One route's side of it.
pub(super) struct Places<'a> {
    pub(super) routes: &'a Routes,
    pub(super) route: usize,
    /// Scheme, host and port of its upstream.
    pub(super) upstream: &'a Origin,
    /// Holds what the client asked for, where the route swaps paths.
    pub(super) asked: Option<&'a PathAndQuery>,
}

impl Places<'_> {
    /// Writes anew what names a place of the upstream's. Each of several is looked at for itself.
    pub(super) fn rewrite(&self, headers: &mut HeaderMap) {
        let Entry::Occupied(mut all) = headers.entry(LOCATION) else { return };
        for value in all.iter_mut() {
            let at = value.to_str().ok().and_then(|location| self.at_tap(location));
            if let Some(at) = at.and_then(|at| HeaderValue::from_str(&at).ok()) {
                *value = at;
            }
        }
    }

    /// The place that is named as a path at the tap; `None` if what is written leads there, or is to stay.
    fn at_tap(&self, location: &str) -> Option<String> {
        // What URL parsers drop or write anew, or take for a slash.
        if location.bytes().any(|b| !b.is_ascii_graphic() || b == b'\\') {
            return None;
        }
        let (reference, fragment) = location.split_at(location.find('#').unwrap_or(location.len()));
        let named = self.origin_named(reference)?;
        let served = match self.asked {
            // Where the upstream was asked for it, from which a path may be relative.
            Some(asked) if !named => self.routes.find(&Uri::from(asked.clone()))?.target,
            _ => PathAndQuery::from_static("/"),
        };
        let resolve = |base: &PathAndQuery| {
            let target = resolve_reference(base.as_str().as_bytes(), reference.as_bytes());
            String::from_utf8(target).ok()
        };
        let at = self.routes.back(self.route, &resolve(&served)?)?;
        // A path that leads there from where the client is.
        let there = !named && self.asked.is_none_or(|asked| resolve(asked).as_ref() == Some(&at));
        (!there).then(|| at + fragment)
    }

    /// Says whether a reference names the upstream itself, and not only a path of it; `None` if it names somebody else.
    fn origin_named(&self, reference: &str) -> Option<bool> {
        let before_path = &reference[..reference.find(['/', '?']).unwrap_or(reference.len())];
        let (scheme, rest) = match before_path.split_once(':') {
            Some((scheme, _)) => (scheme, &reference[scheme.len() + 1..]),
            None => (self.upstream.scheme(), reference),
        };
        let Some(rest) = rest.strip_prefix("//") else {
            return (!before_path.contains(':')).then_some(false);
        };
        let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
        let origin = Origin::parse(&format!("{scheme}://{authority}"))?;
        (origin == *self.upstream).then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::mcp_http::config::Route;

    fn at_tap(path: Option<&str>, upstream: &str, asked: &str, location: &str) -> Option<String> {
        let route = |path: Option<&str>, upstream: &str| Route {
            path: path.map(str::to_owned),
            upstream: upstream.to_owned(),
            ..Route::default()
        };
        let other = route(Some("/other"), "http://h/elsewhere");
        let routes = Routes::new(&[route(path, upstream), other]);
        let asked: PathAndQuery = asked.parse().unwrap();
        let end = upstream[8..].find('/').map_or(upstream.len(), |at| at + 8);
        let places = Places {
            routes: &routes,
            route: 0,
            upstream: &Origin::parse(&upstream[..end]).unwrap(),
            asked: routes.swaps(0).then_some(&asked),
        };
        places.at_tap(location)
    }

    #[test]
    fn a_place_of_the_upstreams_is_a_path_at_the_tap() {
        for (path, upstream, location, at) in [
            (None, "http://127.0.0.1:1/mcp", "http://127.0.0.1:1/mcp/", "/mcp/"),
            (None, "http://h:1/mcp", "HTTP://H:1/x?a=%2f&b#frag?/", "/x?a=%2f&b#frag?/"),
            (None, "http://h", "http://h:80", "/"),
            (None, "http://h:80", "http://h?a", "/?a"),
            (None, "https://h/mcp", "https://h:443/%6dcp/a;b=1", "/%6dcp/a;b=1"),
            (None, "http://[::1]:1/mcp", "http://[::1]:1/mcp/", "/mcp/"),
            (None, "http://h/mcp", "//h/mcp/", "/mcp/"),
            (None, "http://h/mcp", "http://h/.well-known/x", "/.well-known/x"),
            (None, "http://h/mcp", "http://h/a/../b/.", "/b/"),
            (Some("/desk"), "http://h/mcp", "http://h/mcp/", "/desk/"),
            (Some("/desk"), "http://h/mcp", "http://h/mcp?a#f", "/desk?a#f"),
            (Some("/desk"), "http://h/mcp/", "http://h/mcp/x", "/desk/x"),
            (Some("/desk"), "http://h", "http://h/x/", "/desk/x/"),
            (Some("/desk"), "http://h", "/", "/desk/"),
            (Some("/desk"), "http://h/mcp", "/mcp/", "/desk/"),
            (Some("/desk"), "http://h/a/mcp", "mcp/", "/desk/"),
            (Some("/desk"), "http://h/mcp", "./mcp/?a=b", "/desk/?a=b"),
            (Some("/desk"), "http://h/a/mcp", "http://h/x/../a/mcp/y", "/desk/y"),
        ] {
            let got = at_tap(path, upstream, path.unwrap_or("/mcp"), location);
            assert_eq!(got.as_deref(), Some(at), "{path:?} {upstream} {location}");
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for (path, upstream, location) in [
            // Another scheme, host or port, however like it.
            (None, "http://h:1/mcp", "https://h:1/mcp/"),
            (None, "http://h:1/mcp", "http://h/mcp/"),
            (None, "http://localhost:1/mcp", "http://127.0.0.1:1/mcp/"),
            (None, "http://h:1/mcp", "http://h:1.evil/mcp/"),
            (None, "http://h/mcp", "http://h@evil/mcp/"),
            (None, "http://h/mcp", "http://user:pass@h/mcp/"),
            (None, "http://h/mcp", "http://h:/mcp/"),
            (None, "http://h/mcp", "//evil/mcp/"),
            (None, "http://h/mcp", "mailto:h"),
            (None, "http://h/mcp", "http:mcp/"),
            (None, "http://h/mcp", ""),
            // What would be somebody else's at the tap.
            (None, "http://h/mcp", "http://h//evil/mcp/"),
            (None, "http://h/mcp", "http://h/other/x"),
            (None, "http://h/mcp", "http://h/x/%2e%2e/other/y?s=1"),
            (None, "http://h/mcp", "http://h/.%2E/other"),
            (None, "http://h/mcp", "http://h/mcp//../.%2E/%2e/other"),
            // What parsers do not agree about.
            (Some("/desk"), "http://h/mcp", "/\\evil/mcp/"),
            (Some("/desk"), "http://h/mcp", "http://h\\@evil/mcp/"),
            (Some("/desk"), "http://h/mcp", "/mcp/ x"),
            (Some("/desk"), "http://h/mcp", "/mcp/\u{e9}"),
            // Not below the route.
            (Some("/desk"), "http://h/mcp", "http://h/"),
            (Some("/desk"), "http://h/mcp", "http://h/mcpx"),
            (Some("/desk"), "http://h/mcp", "http://h/MCP/"),
            (Some("/desk"), "http://h/mcp", "http://h/m%63p/"),
            (Some("/desk"), "http://h/mcp", "http://h/mcp/../x"),
            (Some("/desk"), "http://h/mcp", "http://h/mcp/%2e%2E/x"),
            (Some("/desk"), "http://h/mcp", "http://h/mcp/..;/x"),
            (Some("/desk"), "http://h/mcp", "/login"),
            // Nothing that the tap is asked for leads there.
            (Some("/desk"), "http://h/mcp/", "http://h/mcp"),
            // It leads there as it is.
            (None, "http://h/mcp", "/mcp/"),
            (None, "http://h/mcp", "mcp/"),
            (None, "http://h/mcp", "?a"),
            (Some("/desk"), "http://h/mcp", "?a=b#f"),
            (Some("/desk"), "http://h/mcp", "#f"),
            (Some("/a/mcp"), "http://h/b/mcp", "mcp/"),
        ] {
            let got = at_tap(path, upstream, path.unwrap_or("/mcp"), location);
            assert_eq!(got, None, "{path:?} {upstream} {location}");
        }
    }

    #[test]
    fn a_relative_path_goes_on_from_where_it_was_asked() {
        for (asked, location, at) in [
            ("/desk/a/b?q", "c", None),
            ("/desk/a/b", "../../mcp/c", Some("/desk/c")),
            ("/desk/a", "../x", None),
            ("/desk/", "./x", None),
            ("/desk", "mcp/x", Some("/desk/x")),
        ] {
            let got = at_tap(Some("/desk"), "http://h/mcp", asked, location);
            assert_eq!(got.as_deref(), at, "{asked} {location}");
        }
    }
}
