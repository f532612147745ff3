//! `mcp_http` as users write it.

mod route;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use hyper::header::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::guard::Guard;
use super::headers::is_credential;
use crate::http::authority::{Authority, Origin};
use crate::http::forwarded::Network;
use crate::http::sockets::{host_port, is_loopback, no_address};
use crate::mcp::{Notifications, Parent, Perspective, Traces, Unsampled};
use crate::privacy::detect::{NameClass, classify_name};
use crate::privacy::digest::Key;
use crate::receivers::tap::{CaptureSettings, Observing, Passback, Propagate, SERVICE_NAME};
use crate::settings::{Duration, Given, IS_EMPTY, Report, Secret, ServerTls, bare_ipv6};

pub use route::Route;

/// Says where a tap listens unless told otherwise.
const ENDPOINT: &str = "localhost:8931";
/// The port of it.
const PORT: u16 = 8931;
/// The smallest head that is of use: a request line, a token, and what SDKs send.
const MIN_HEADER_BYTES: usize = 8 * 1024;
/// The most threads that forward.
const MAX_WORKERS: usize = 1024;

/// Settings.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Says where it listens: `host:port`.
    pub endpoint: String,
    /// Sets up TLS for clients; with `client_ca_file` they have to show a certificate.
    pub tls: Option<ServerTls>,
    /// Says what clients have to show.
    pub auth: Option<Auth>,
    /// Lists what `Host` may be; on a loopback address the loopback names unless written.
    pub allowed_hosts: Vec<String>,
    /// Lists what `Origin` may be besides the allowed hosts' own.
    pub allowed_origins: Vec<String>,
    /// Lists addresses and networks of proxies in front whose `X-Forwarded-*` and `Forwarded` are passed on to
    /// routes with `forwarded_headers`.
    pub trusted_proxies: Vec<String>,
    /// Says which upstream answers which path.
    #[schemars(extend("default" = []))]
    pub routes: Vec<Route>,
    /// Bounds how long a request's head may take, and how long a connection may be idle.
    pub read_header_timeout: Duration,
    /// Bounds how long all that a connection is for may wait for its client: to take what came for it, or to send
    /// the rest of a request. A stream on which the server is silent waits for the server.
    pub stall_timeout: Duration,
    /// Bounds a head, in bytes; at least 8192.
    pub max_header_bytes: usize,
    /// Bounds the fields in the head of a request or a response.
    pub max_headers: usize,
    /// Bounds the connections at once; more are turned away with 503. It is less where the process may not open as
    /// many files: two for each of them.
    pub max_connections: usize,
    /// Bounds the requests at once on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// Bounds the requests in flight on all connections; more are answered with 503.
    pub max_requests: usize,
    /// Sets the number of threads that forward; 0 for one a core.
    pub workers: usize,
    /// Bounds how long requests in flight may take at the end of the process.
    pub drain_timeout: Duration,
    /// Says how `Mcp-Session-Id` leaves.
    pub session_id: SessionIds,
    /// Keys the hashes of session and task ids, in hex or base64; unless written with the key of the digest behind
    /// the receiver, else with a random one of this process.
    pub session_key: Option<Secret>,
    /// Names a file that holds `session_key`.
    pub session_key_file: Given<PathBuf>,
    /// Bounds what is observed of one message, in bytes; forwarding has no limit.
    pub max_message_bytes: usize,
    /// Bounds what waits for the observer, in bytes; what finds no room passes unobserved and is counted.
    pub queue_size: usize,
    /// Bounds how long a request waits for its answer, or for progress, before it counts as timed out.
    pub request_timeout: Duration,
    /// Says in a log record that a request waits, once it has waited so long for its answer; 0 for never.
    pub pending_after: Duration,
    /// Sets the kind of the spans.
    pub span_kind: Perspective,
    /// Says what notifications become.
    pub notifications: Notifications,
    /// Says how a caller's trace context is used: as the parent, as a link, or not at all.
    pub parent: Parent,
    /// Says what becomes of a span whose caller did not sample; it matters with `parent: meta` only.
    pub unsampled: Unsampled,
    /// Makes errors of cancelled calls.
    pub cancelled_is_error: bool,
    /// Sets `service.name` of the spans: `client` or `server` for their own names, or any text.
    pub service_name: String,
    /// Says what one trace holds.
    pub trace: Traces,
    /// Says whether the tap's own spans become the parents of what the server does.
    pub propagate: Propagate,
    /// Sets what becomes of spans that servers hand back.
    pub passback: Passback,
    /// Names the content of calls that is handed to the redaction behind the tap; none unless written.
    pub capture: CaptureSettings,
}

/// `auth`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Sets the token that clients send as `Bearer`; it is not forwarded.
    pub bearer_token: Secret,
    /// Names the header that it comes in, unless `Authorization`; another one leaves that to the upstream.
    pub header: String,
}

/// `session_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionIds {
    /// Leaves as a keyed hash, `mcpcol.session.id`.
    #[default]
    Hash,
    /// Leaves as a keyed hash, and as it is in `mcp.session.id`: whoever sees the spans can then use the session.
    Clear,
    /// Stays here.
    Off,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            endpoint: ENDPOINT.into(),
            tls: None,
            auth: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            routes: Vec::new(),
            read_header_timeout: Duration::secs(60),
            stall_timeout: Duration::secs(10 * 60),
            max_header_bytes: 64 * 1024,
            max_headers: 100,
            max_connections: 1024,
            max_concurrent_streams: 250,
            max_requests: 1024,
            workers: 0,
            drain_timeout: Duration::secs(10),
            session_id: SessionIds::default(),
            session_key: None,
            session_key_file: Given::LeftOut,
            max_message_bytes: 1024 * 1024,
            queue_size: 4 * 1024 * 1024,
            request_timeout: Duration::secs(30 * 60),
            pending_after: Duration::secs(60),
            span_kind: Perspective::default(),
            notifications: Notifications::default(),
            parent: Parent::default(),
            unsampled: Unsampled::default(),
            cancelled_is_error: false,
            service_name: SERVICE_NAME.into(),
            trace: Traces::default(),
            propagate: Propagate::default(),
            passback: Passback::default(),
            capture: CaptureSettings::default(),
        }
    }
}

impl Config {
    /// Reports every setting that cannot be meant.
    pub(super) fn check_all(&self, report: &mut Report<'_>) {
        self.check_endpoint(report);
        if let Some(tls) = &self.tls {
            tls.check(report);
        }
        self.check_clients(report);
        self.check_trusted_proxies(report);
        self.check_limits(report);
        self.check_session_key(report);
        self.observing().check(report);
        self.check_shown_headers(report);
        if self.capture.stderr() {
            let message =
                "is for `mcp_stdio`: no server is started here, so there is no stderr of one";
            report.error("capture.stderr", message);
        }
        for (i, route) in self.routes.iter().enumerate() {
            route.check(self, &mut report.below(&format!("routes.{i}")));
            let twin = self.routes[..i].iter().find(|other| other.prefix() == route.prefix());
            if twin.is_some() {
                let what = match route.prefix() {
                    "" => "another route has no path either".to_owned(),
                    path => format!("another route has `{path}` already"),
                };
                report.error(&format!("routes.{i}.path"), what);
            }
        }
    }

    /// Says where it listens, in words that say whether it is loopback.
    pub(super) fn listens_locally(&self) -> bool {
        host_port(&self.endpoint).is_some_and(|(host, _)| is_loopback(host))
    }

    pub(super) fn observing(&self) -> Observing<'_> {
        Observing {
            max_message_bytes: self.max_message_bytes,
            queue_size: self.queue_size,
            request_timeout: self.request_timeout.0,
            pending_after: self.pending_after.0,
            span_kind: self.span_kind,
            notifications: self.notifications,
            parent: self.parent,
            unsampled: self.unsampled,
            cancelled_is_error: self.cancelled_is_error,
            service_name: &self.service_name,
            trace: self.trace,
            propagate: self.propagate,
            passback: &self.passback,
            capture: &self.capture,
        }
    }

    fn check_endpoint(&self, report: &mut Report<'_>) {
        match host_port(&self.endpoint) {
            None => report.error("endpoint", no_address(&self.endpoint, PORT)),
            Some(("", port)) => {
                let message = format!("has no host; write `localhost:{port}` or `0.0.0.0:{port}`");
                report.error("endpoint", message);
            }
            Some((host, _)) if !is_loopback(host) && self.allowed_hosts.is_empty() => {
                report.error(
                    "endpoint",
                    "is reachable from elsewhere: say in `allowed_hosts` which names clients use \
                     (a page could point another name here), or `*` for any",
                );
            }
            Some(_) => {}
        }
    }

    fn check_clients(&self, report: &mut Report<'_>) {
        for (i, host) in self.allowed_hosts.iter().enumerate() {
            if !is_host_pattern(host) {
                let message = bare_ipv6(host, "[::1]").unwrap_or_else(|| {
                    format!("`{host}` is not a host, `host:port`, `*.host` or `*`")
                });
                report.error(&format!("allowed_hosts.{i}"), message);
            }
        }
        self.check_local_names(report);
        for (i, origin) in self.allowed_origins.iter().enumerate() {
            let known = origin == "*" || origin == "null" || Origin::parse(origin).is_some();
            if !known {
                let message = bare_ipv6(origin, "http://[::1]:3000").unwrap_or_else(|| {
                    format!("`{origin}` is not an origin such as `https://app.example.com`")
                });
                report.error(&format!("allowed_origins.{i}"), message);
            }
        }
        let Some(auth) = &self.auth else { return };
        if auth.bearer_token.expose().is_empty() {
            report.unready("auth.bearer_token", "is empty; without `auth` anybody may connect");
        }
        if let Some(why) = auth.bearer_token.unsendable() {
            report.error("auth.bearer_token", why);
        }
        if auth.header_name().is_none() {
            report.error("auth.header", "is not the name of a header");
        }
        if self.tls.is_none() && !self.listens_locally() {
            report.warn("auth", "tokens come in unencrypted; add `tls`");
        }
    }

    /// Warns of a tap that only this machine reaches, and not by the names that it has here.
    fn check_local_names(&self, report: &mut Report<'_>) {
        let Some((host, port)) = host_port(&self.endpoint).filter(|(host, _)| is_loopback(host))
        else {
            return;
        };
        if self.allowed_hosts.is_empty() || !self.allowed_hosts.iter().all(|h| is_host_pattern(h)) {
            return;
        }
        let guard = Guard::new(&self.allowed_hosts, &[], None);
        let port = if port == 0 { None } else { Some(port) };
        if ["localhost", "127.0.0.1", "::1", host].iter().all(|host| !guard.allows(host, port)) {
            let message = format!(
                "shuts out `localhost` and the other names of this machine, which alone reaches `{}`; add `localhost`, \
                 unless all clients come through a proxy that keeps their `Host`",
                self.endpoint
            );
            report.warn("allowed_hosts", message);
        }
    }

    fn check_trusted_proxies(&self, report: &mut Report<'_>) {
        for (i, network) in self.trusted_proxies.iter().enumerate() {
            let at = format!("trusted_proxies.{i}");
            match Network::parse(network) {
                Err(why) => report.error(&at, why),
                Ok(network) if network.is_all() => {
                    report.warn(&at, "trusts everybody: any client may say where it is from");
                }
                Ok(_) => {}
            }
        }
        if !self.trusted_proxies.is_empty() && !self.routes.iter().any(|r| r.forwarded_headers) {
            let message = "has no effect: no route has `forwarded_headers: true`";
            report.warn("trusted_proxies", message);
        }
    }

    fn check_limits(&self, report: &mut Report<'_>) {
        if self.max_header_bytes < MIN_HEADER_BYTES {
            report.error("max_header_bytes", format!("must be at least {MIN_HEADER_BYTES}"));
        }
        for (field, value) in [
            ("max_headers", self.max_headers),
            ("max_connections", self.max_connections),
            ("max_concurrent_streams", self.max_concurrent_streams as usize),
            ("max_requests", self.max_requests),
        ] {
            if value == 0 {
                report.error(field, "must be at least 1");
            }
        }
        if self.workers > MAX_WORKERS {
            report.error("workers", format!("must be at most {MAX_WORKERS}; 0 is one a core"));
        }
        for (field, value) in [
            ("read_header_timeout", self.read_header_timeout),
            ("stall_timeout", self.stall_timeout),
        ] {
            if value.0.is_zero() {
                report.error(field, "must be more than 0: slow clients would pile up");
            }
        }
    }

    /// Lists the headers that spans are to show.
    pub(super) fn shown_headers(&self) -> Vec<HeaderName> {
        self.capture.headers().iter().filter_map(|name| name.parse().ok()).collect()
    }

    fn check_shown_headers(&self, report: &mut Report<'_>) {
        let ours = self.auth.as_ref().and_then(Auth::header_name);
        for (i, name) in self.capture.headers().iter().enumerate() {
            let at = format!("capture.headers.{i}");
            match name.parse::<HeaderName>() {
                Err(_) => report.error(&at, "is not the name of a header"),
                Ok(name) if ours.as_ref() == Some(&name) || is_secret_header(name.as_str()) => {
                    let message = format!(
                        "`{name}` holds a credential or a session's id, which never leaves"
                    );
                    report.error(&at, message);
                }
                Ok(_) => {}
            }
        }
    }

    fn check_session_key(&self, report: &mut Report<'_>) {
        if self.session_key.is_some() && self.session_key_file.is_written() {
            report.error("session_key_file", "stands beside `session_key`; keep one of them");
        } else if let Err(why) = self.session_key(report.base()) {
            let field = if self.session_key.is_some() { "session_key" } else { "session_key_file" };
            report.unready(field, format!("{why:#}"));
        }
    }

    /// The key that is written, if one is.
    pub(super) fn session_key(&self, base: &std::path::Path) -> anyhow::Result<Option<Key>> {
        let text = match (&self.session_key, &self.session_key_file) {
            (Some(key), _) => key.expose().to_owned(),
            (None, Given::Is(file)) if !file.as_os_str().is_empty() => {
                crate::settings::read_key_file(&base.join(file))?
            }
            (None, Given::Is(_) | Given::Empty) => anyhow::bail!(IS_EMPTY),
            (None, Given::LeftOut) => return Ok(None),
        };
        Ok(Some(Key::parse(&text, None)?))
    }
}

impl Auth {
    /// The header that the token comes in.
    pub(super) fn header_name(&self) -> Option<HeaderName> {
        if self.header.is_empty() {
            return Some(hyper::header::AUTHORIZATION);
        }
        self.header.parse().ok()
    }
}

fn is_host_pattern(text: &str) -> bool {
    text == "*" || Authority::parse(text.trim_start_matches("*.")).is_some()
}

/// Says whether a header holds what must not leave in the clear, by its name, which is in lower case.
fn is_secret_header(name: &str) -> bool {
    name == "mcp-session-id" || is_credential(name) || classify_name(name) == NameClass::Secret
}
