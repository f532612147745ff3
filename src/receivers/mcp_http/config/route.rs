//! One of `routes`: an upstream, the path that leads to it, and how it is spoken to.

use hyper::Uri;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Config, host_port};
use crate::http::sockets::is_loopback;
use crate::receivers::tap::usable_name;
use crate::settings::{ClientTls, Duration, Headers, Protocol, Report, bare_ipv6};

/// One of `routes`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// Names the path at and below which requests are its own; the prefix is swapped for the upstream's path.
    /// Without a path the upstream's whole origin is proxied and paths stay as they are.
    pub path: Option<String>,
    /// Names the server: `http://` or `https://`, with its path.
    pub upstream: String,
    /// Names the server on its spans; unless written by the path, else by the upstream's host.
    pub name: Option<String>,
    /// Sets headers on every request to the upstream, such as its credentials.
    pub headers: Headers,
    /// Sets up TLS towards the upstream.
    pub tls: ClientTls,
    /// Says which HTTP the upstream is spoken to in.
    pub protocol: Protocol,
    /// Keeps `Host` as the client wrote it.
    pub preserve_host: bool,
    /// Writes `X-Forwarded-For`, `-Host` and `-Proto` for the upstream, over what clients say of it that are none
    /// of `trusted_proxies`.
    pub forwarded_headers: bool,
    /// Bounds how long connecting may take, the TLS handshake included.
    pub connect_timeout: Duration,
    /// Bounds how long an upstream connection waits for its next request; it has to be less than servers allow, or
    /// requests would be written into connections that are being closed. What a server says by `Keep-Alive` can
    /// make it shorter, by a second less than it says.
    pub idle_timeout: Duration,
    /// Lets credentials in `headers` cross a network unencrypted.
    pub allow_cleartext: bool,
}

impl Default for Route {
    fn default() -> Self {
        Route {
            path: None,
            upstream: String::new(),
            name: None,
            headers: Headers::default(),
            tls: ClientTls::default(),
            protocol: Protocol::default(),
            preserve_host: false,
            forwarded_headers: false,
            connect_timeout: Duration::secs(10),
            idle_timeout: Duration::secs(4),
            allow_cleartext: false,
        }
    }
}

impl Route {
    /// The path without its last slash; empty for the whole origin.
    pub(in crate::receivers::mcp_http) fn prefix(&self) -> &str {
        self.path.as_deref().unwrap_or_default().trim_end_matches('/')
    }

    /// The upstream, if it is written right.
    pub fn uri(&self) -> Result<Uri, String> {
        if self.upstream.is_empty() {
            return Err("is required: the server's URL, such as `http://localhost:3001/mcp`".into());
        }
        let lower = self.upstream.to_ascii_lowercase();
        if !["http://", "https://"].iter().any(|scheme| lower.starts_with(scheme)) {
            return Err("needs its scheme: write `http://...` or `https://...`".into());
        }
        if let Some(why) = bare_ipv6(&self.upstream, "http://[::1]:3001/mcp") {
            return Err(why);
        }
        let uri: Uri = match self.upstream.parse() {
            Ok(uri) => uri,
            // Not quoted: it may hold a password.
            Err(e) => return Err(format!("is not a URL: {e}")),
        };
        let authority = uri.authority().map(|a| a.as_str()).unwrap_or_default();
        if authority.contains('@') {
            return Err("must not hold a user or password; set `headers`".into());
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err("has no host".into());
        }
        if uri.query().is_some() || self.upstream.contains('#') {
            return Err("must end with the path; a query stays with its request".into());
        }
        Ok(uri)
    }

    /// Returns the name of its server on spans.
    pub fn server_name(&self) -> String {
        let path = self.prefix().trim_start_matches('/');
        match (&self.name, path, self.uri()) {
            (Some(name), _, _) => name.clone(),
            (None, "", Ok(uri)) => uri.authority().map(|a| a.to_string()).unwrap_or_default(),
            (None, path, _) => path.to_owned(),
        }
    }

    pub(super) fn check(&self, config: &Config, report: &mut Report<'_>) {
        if let Some(path) = &self.path
            && (!path.starts_with('/') || path.contains(['?', '#', '%', ' ']))
        {
            report.error("path", format!("`{path}` is not a path such as `/github`"));
        }
        if self.name.as_deref().is_some_and(|name| !usable_name(name)) {
            report.error("name", "must have 1 to 128 characters and must not be a URL");
        }
        let uri = match self.uri() {
            Ok(uri) => uri,
            Err(why) => return report.error("upstream", why),
        };
        let encrypted = uri.scheme_str() == Some("https");
        let local = is_loopback(uri.host().unwrap_or_default());
        self.headers.check(report);
        if !(encrypted || local || self.allow_cleartext) {
            self.headers.check_cleartext(report);
        }
        if encrypted {
            self.tls.check(report);
        } else if self.tls.wants_tls() {
            report.error("tls", "an `http://` upstream has no TLS; write `https://`");
        }
        if self.points_at(config, &uri) {
            report.error("upstream", "is this receiver itself: requests would go round");
        }
    }

    fn points_at(&self, config: &Config, uri: &Uri) -> bool {
        let Some((host, port)) = host_port(&config.endpoint) else { return false };
        let same = uri
            .host()
            .map(|h| h.trim_matches(['[', ']']))
            .is_some_and(|h| h.eq_ignore_ascii_case(host) || (is_loopback(h) && is_loopback(host)));
        same && port != 0 && uri.port_u16() == Some(port)
    }
}
