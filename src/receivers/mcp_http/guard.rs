//! Who may talk to the tap: `Host`, `Origin`, a token. Pure: heads in, verdicts out.
//!
//! A page in a browser can point a name of its own at a loopback address (DNS rebinding) and would
//! then be the server's same origin; servers check `Host` for that, but behind a proxy that rewrites it
//! everybody passes, so the proxy has to. Nothing here knows routes or upstreams.

use hyper::StatusCode;
use hyper::header::{ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderName, ORIGIN};
use hyper::http::request::Parts;
use hyper::{Method, Version};

use super::headers::Present;
use crate::http::authority::{Authority, Origin, Written};
use crate::http::bearer::Bearer;
use crate::http::sockets::is_loopback;

/// Says why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// HTTP/1.1 asks for exactly one.
    NoHost,
    /// Not one of the allowed.
    Host,
    /// A page from elsewhere.
    Origin,
    /// No token, or a wrong one.
    Token,
    /// `CONNECT`.
    Method,
    /// Another protocol than HTTP is asked for.
    Upgrade,
}

/// The rules of one receiver. Not to be printed: it holds the token.
#[derive(Clone)]
pub(super) struct Guard {
    hosts: Hosts,
    origins: Vec<Origin>,
    any_origin: bool,
    null_origin: bool,
    token: Option<(HeaderName, Bearer)>,
}

#[derive(Clone, Debug)]
enum Hosts {
    Any,
    Loopback,
    These(Vec<Pattern>),
}

/// `host`, `host:port` or `*.host`.
#[derive(Clone, Debug)]
struct Pattern {
    /// Names below it, too.
    below: bool,
    authority: Authority,
}

impl Pattern {
    fn matches(&self, asked: Written<'_>) -> bool {
        let (host, ours) = (asked.host, self.authority.host.as_str());
        let name = if self.below {
            let at = host.len().checked_sub(ours.len());
            at.and_then(|at| host.split_at_checked(at))
                .is_some_and(|(rest, end)| rest.ends_with('.') && end.eq_ignore_ascii_case(ours))
        } else {
            host.eq_ignore_ascii_case(ours)
        };
        let port = match (self.authority.port, asked.port) {
            (None, _) => true,
            // Left out where it is the scheme's own; which that is, something before us may decide.
            (Some(port), None) => matches!(port, 80 | 443),
            (Some(port), Some(asked)) => port == asked,
        };
        name && port
    }
}

impl Hosts {
    fn allow(&self, asked: Written<'_>) -> bool {
        match self {
            Hosts::Any => true,
            Hosts::Loopback => is_loopback(asked.host),
            Hosts::These(patterns) => patterns.iter().any(|pattern| pattern.matches(asked)),
        }
    }
}

impl Guard {
    /// Makes rules of settings that have been checked: `allowed_hosts`, `allowed_origins`, and the header and
    /// value of the token, if clients have to show one.
    pub(super) fn new(
        allowed_hosts: &[String],
        allowed_origins: &[String],
        token: Option<(HeaderName, Bearer)>,
    ) -> Guard {
        let patterns = allowed_hosts.iter().filter_map(|host| {
            let below = host.strip_prefix("*.");
            let authority = Authority::parse(below.unwrap_or(host))?;
            Some(Pattern { below: below.is_some(), authority })
        });
        let hosts = if allowed_hosts.iter().any(|host| host == "*") {
            Hosts::Any
        } else if allowed_hosts.is_empty() {
            Hosts::Loopback
        } else {
            Hosts::These(patterns.collect())
        };
        let has = |word| allowed_origins.iter().any(|origin| origin == word);
        Guard {
            hosts,
            origins: allowed_origins.iter().filter_map(|o| Origin::parse(o)).collect(),
            any_origin: has("*"),
            null_origin: has("null"),
            token,
        }
    }

    /// The header that is for the tap alone and goes no further.
    pub(super) fn token_header(&self) -> Option<&HeaderName> {
        self.token.as_ref().map(|(name, _)| name)
    }

    /// Says whether clients may call us by that name; an IPv6 address without brackets.
    pub(super) fn allows(&self, host: &str, port: Option<u16>) -> bool {
        self.hosts.allow(Written { host, port })
    }

    /// Says whether a request may pass; `empty` if it has no body.
    pub(super) fn check(&self, head: &Parts, present: Present, empty: bool) -> Result<(), Denied> {
        if head.method == Method::CONNECT {
            return Err(Denied::Method);
        }
        self.check_host(head)?;
        if present.has(Present::ORIGIN) {
            self.check_origin(head)?;
        }
        self.check_token(head, empty)?;
        if present.has(Present::UPGRADE) && wants_upgrade(head) {
            return Err(Denied::Upgrade);
        }
        Ok(())
    }

    /// Every name by which the request calls us has to be one of ours: the target's, and `Host`.
    fn check_host(&self, head: &Parts) -> Result<(), Denied> {
        let mut named = false;
        if let Some(authority) = head.uri.authority() {
            self.check_name(authority.as_str())?;
            named = true;
        }
        let mut hosts = head.headers.get_all(HOST).iter();
        if let Some(host) = hosts.next() {
            self.check_name(host.to_str().map_err(|_| Denied::Host)?)?;
            named = true;
        }
        if hosts.next().is_some() || (!named && head.version == Version::HTTP_11) {
            return Err(Denied::NoHost);
        }
        // HTTP/1.0 and HTTP/2 without a name: no browser sends that.
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), Denied> {
        if matches!(self.hosts, Hosts::Any) {
            return Ok(());
        }
        let name = Written::parse(name).ok_or(Denied::Host)?;
        if self.hosts.allow(name) { Ok(()) } else { Err(Denied::Host) }
    }

    fn check_origin(&self, head: &Parts) -> Result<(), Denied> {
        if self.any_origin {
            return Ok(());
        }
        for origin in head.headers.get_all(ORIGIN) {
            let text = origin.to_str().map_err(|_| Denied::Origin)?;
            let allowed = match Origin::parse(text) {
                Some(origin) => self.origins.contains(&origin) || self.is_our_own(&origin, head),
                None => text == "null" && self.null_origin,
            };
            if !allowed {
                return Err(Denied::Origin);
            }
        }
        Ok(())
    }

    /// A page that one of the allowed hosts served. Where any host is allowed, only the one that the
    /// request itself was sent to.
    fn is_our_own(&self, origin: &Origin, head: &Parts) -> bool {
        if !matches!(self.hosts, Hosts::Any) {
            // Where no port is written, on any: the inspectors that people run beside it.
            return self.hosts.allow(origin.authority.written());
        }
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or(head.uri.authority().map(|authority| authority.as_str()));
        let ours = host.and_then(|host| Origin::parse(&format!("{}://{host}", origin.scheme())));
        ours.is_some_and(|ours| ours == *origin)
    }

    fn check_token(&self, head: &Parts, empty: bool) -> Result<(), Denied> {
        let Some((name, token)) = &self.token else { return Ok(()) };
        // A browser asks for leave before it shows anything (CORS preflight): the answer is the server's.
        let has = |name| head.headers.contains_key(name);
        let asks = empty && has(ACCESS_CONTROL_REQUEST_METHOD) && has(ORIGIN);
        if head.method == Method::OPTIONS && asks {
            return Ok(());
        }
        if token.shown_in(&head.headers, name) { Ok(()) } else { Err(Denied::Token) }
    }
}

/// Says whether the request asks for another protocol. `h2c` is asked for in passing by clients that go on in HTTP/1.1
/// if nobody answers, so it is ignored.
fn wants_upgrade(head: &Parts) -> bool {
    let asked = head.headers.get_all(hyper::header::UPGRADE).iter();
    let words = asked.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    words.map(str::trim).any(|word| !word.is_empty() && !word.eq_ignore_ascii_case("h2c"))
}

impl Denied {
    /// The status that says so.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Denied::NoHost => StatusCode::BAD_REQUEST,
            Denied::Host | Denied::Origin => StatusCode::FORBIDDEN,
            Denied::Token => StatusCode::UNAUTHORIZED,
            Denied::Method => StatusCode::METHOD_NOT_ALLOWED,
            Denied::Upgrade => StatusCode::NOT_IMPLEMENTED,
        }
    }

    /// Its word in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Denied::NoHost => "no_host",
            Denied::Host => "host",
            Denied::Origin => "origin",
            Denied::Token => "token",
            Denied::Method => "method",
            Denied::Upgrade => "upgrade",
        }
    }

    /// Returns the words that the client is told.
    pub(super) fn why(self) -> &'static str {
        match self {
            Denied::NoHost => "exactly one Host header is needed",
            Denied::Host => "this Host is not allowed here; see `allowed_hosts` of mcp_http",
            Denied::Origin => "this Origin is not allowed here; see `allowed_origins` of mcp_http",
            Denied::Token => "a valid bearer token is needed",
            Denied::Method => "CONNECT is not served",
            Denied::Upgrade => "connections cannot be upgraded here: MCP over HTTP needs none",
        }
    }
}
