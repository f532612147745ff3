//! What exporters that are HTTP clients are told about their connections: the Collector's names
//! (confighttp). Connects to nothing; that is `exporters/http`.

use std::net::IpAddr;

use hyper::Uri;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::privacy::detect::generalize_uri;
use crate::telemetry::Signal;

use super::{ClientTls, Compression, Duration, Headers, Report, Secret, Unsupported, bare_ipv6};

/// The words of confighttp's client, but for the endpoint, which each exporter has in its own way.
#[derive(Clone, Debug)]
pub struct HttpClient {
    /// Says how long a request may take, from its connection to the end of its answer; 0 for no limit. Who sends it
    /// holds it to that.
    pub timeout: Duration,
    /// A proxy for all requests; else `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the environment say.
    pub proxy_url: Option<Secret>,
    /// TLS, where an endpoint has `https://`.
    pub tls: ClientTls,
    /// Sent with every request.
    pub headers: Headers,
    /// Ours: credentials may leave this machine unencrypted.
    pub allow_cleartext: bool,
    /// Says how bodies are compressed.
    pub compression: Compression,
    /// Says how hard.
    pub compression_params: CompressionParams,
    /// The most connections that wait for work; 0 for no limit but the number of consumers.
    pub max_idle_conns: usize,
    /// The same; there is one host. The smaller one counts.
    pub max_idle_conns_per_host: usize,
    /// Says how long a connection waits for work; 0 for ever.
    pub idle_conn_timeout: Duration,
    /// A connection a request.
    pub disable_keep_alives: bool,
    /// HTTP/2 is offered to servers that speak TLS.
    pub force_attempt_http2: bool,
    /// A server is asked for a sign of life when an HTTP/2 connection has been silent for this long
    /// with a request on it. The Collector never asks unless told to; then a server that went away
    /// without a word is waited for as long as the kernel resends, a quarter of an hour.
    pub http2_read_idle_timeout: Duration,
    /// The connection is closed when none comes for this long.
    pub http2_ping_timeout: Duration,
    /// Written, and without effect.
    pub without_effect: Vec<&'static str>,
    /// Written, and refused: field and advice.
    pub refused: Vec<(&'static str, &'static str)>,
}

/// `compression_params`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionParams {
    /// Sets how hard: 1 to 9 for gzip, 1 to 22 for zstd; 0 and -1 for the usual one.
    pub level: i32,
}

impl Default for HttpClient {
    fn default() -> Self {
        HttpClient {
            timeout: Duration::default(),
            proxy_url: None,
            tls: ClientTls::default(),
            headers: Headers::default(),
            allow_cleartext: false,
            compression: Compression::None,
            compression_params: CompressionParams::default(),
            max_idle_conns: 100,
            max_idle_conns_per_host: 0,
            idle_conn_timeout: Duration::secs(90),
            disable_keep_alives: false,
            force_attempt_http2: true,
            http2_read_idle_timeout: Duration::secs(15),
            http2_ping_timeout: Duration::secs(15),
            without_effect: Vec::new(),
            refused: Vec::new(),
        }
    }
}

impl HttpClient {
    /// Notes fields of the Collector's that are known and do nothing here.
    #[must_use]
    pub fn without_effect(mut self, fields: &[(&'static str, Unsupported)]) -> Self {
        let written = fields.iter().filter(|(_, written)| written.is_some());
        self.without_effect.extend(written.map(|(field, _)| *field));
        self
    }

    /// Notes fields of the Collector's that are known and refused, each with what to do instead.
    #[must_use]
    pub fn refused(mut self, fields: &[(&'static str, Unsupported, &'static str)]) -> Self {
        let written = fields.iter().filter(|(_, written, _)| written.is_some());
        self.refused.extend(written.map(|(field, _, advice)| (*field, *advice)));
        self
    }

    /// Adds what is wrong with these settings for a client of `endpoints`, which are checked already.
    pub fn check(&self, endpoints: &[Uri], report: &mut Report<'_>) {
        self.compression.check(report);
        self.check_level(report);
        self.headers.check(report);
        for (field, advice) in &self.refused {
            report.error(field, *advice);
        }
        for field in &self.without_effect {
            report.warn(field, "has no effect: at most `sending_queue.num_consumers` connections");
        }
        self.check_proxy(report);
        let secure = |uri: &Uri| uri.scheme_str() == Some("https");
        if endpoints.iter().any(secure) {
            self.tls.check(report);
        } else if !endpoints.is_empty() && self.tls.wants_tls() {
            report.warn("tls", "certificates have no effect: the connection is not encrypted");
        }
        let exposed = endpoints.iter().any(|uri| !secure(uri) && !is_local_url(uri));
        if exposed && !self.allow_cleartext {
            self.headers.check_cleartext(report);
        }
    }

    fn check_level(&self, report: &mut Report<'_>) {
        let (highest, name) = match self.compression {
            Compression::Gzip => (9, "gzip"),
            Compression::Zstd => (22, "zstd"),
            _ => return,
        };
        if !(-1..=highest).contains(&self.compression_params.level) {
            report.error("compression_params.level", format!("must be 1 to {highest} for {name}"));
        }
    }

    fn check_proxy(&self, report: &mut Report<'_>) {
        let Some(url) = self.proxy_url.as_ref().map(Secret::expose).filter(|u| !u.is_empty())
        else {
            return;
        };
        if let Some(why) = bare_ipv6(url, "http://[::1]:3128") {
            return report.error("proxy_url", why);
        }
        // Nothing of it is quoted: it may hold a password.
        let uri: Uri = match url.parse() {
            Ok(uri) => uri,
            Err(_) => return report.error("proxy_url", "is not a URL"),
        };
        if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) {
            return report
                .error("proxy_url", "must be `http://host:port`: no other proxy is known");
        }
        let password = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if password && !is_local_url(&uri) && !self.allow_cleartext {
            report.error(
                "proxy_url",
                "has a password that would be sent unencrypted to another host; set \
                 `allow_cleartext: true` if that is meant",
            );
        }
    }
}

/// Reads the URL of an HTTP backend, or says what is wrong with it. It is never quoted: people put
/// passwords and keys into URLs.
pub fn parse_url(text: &str) -> Result<Uri, String> {
    let lower = text.to_ascii_lowercase();
    if !["http://", "https://"].iter().any(|scheme| lower.starts_with(scheme)) {
        return Err("needs its scheme: write `http://...` or `https://...`".to_owned());
    }
    if let Some(why) = bare_ipv6(text, "http://[::1]:4318") {
        return Err(why);
    }
    if text.contains('#') {
        return Err("must not have a fragment (`#`)".to_owned());
    }
    let uri: Uri = text.parse().map_err(|e| format!("is not a URL: {e}"))?;
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    if authority.contains('@') {
        return Err("must not hold a user or password; set `headers`".to_owned());
    }
    let host = uri.host().unwrap_or_default();
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    // Larger numbers than a port can be pass the parser.
    let port = authority.strip_prefix(host).filter(|port| !port.is_empty());
    if port.is_some() && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("has no usable port".to_owned());
    }
    Ok(uri)
}

/// The host and port that a URL means, for comparing it with where somebody listens.
pub fn url_target(text: &str) -> Option<(String, u16)> {
    let uri = parse_url(text).ok()?;
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Some((uri.host()?.to_owned(), uri.port_u16().unwrap_or(usual)))
}

/// Finds the signal whose path in OTLP over HTTP, such as `/v1/traces`, a URL ends in.
pub fn signal_path(url: &str) -> Option<Signal> {
    let url = url.trim_end_matches('/');
    Signal::ALL.into_iter().find(|signal| {
        let before = url.strip_suffix(signal.name());
        before.is_some_and(|before| before.ends_with("/v1/"))
    })
}

/// Writes a URL for the log: without its query, and with `*` for what may be a credential in its path.
pub fn shown_url(uri: &Uri) -> String {
    /// Shorter segments are ids at the most.
    const SHORT: usize = 12;
    let plain = |segment: &str| segment.len() < SHORT || generalize_uri(segment) == segment;
    let path = uri.path().split('/').map(|segment| if plain(segment) { segment } else { "*" });
    let path = path.collect::<Vec<_>>().join("/");
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    format!("{scheme}://{authority}{path}")
}

/// Says whether what is sent to this URL stays on this machine.
pub fn is_local_url(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_meant_is_refused_and_never_quoted() {
        for (text, part) in [
            ("collector:4318", "needs its scheme"),
            ("", "needs its scheme"),
            ("http://", "is not a URL"),
            ("http://me:pass@collector:4318", "must not hold a user"),
            ("http://:4318", "has no host"),
            ("http://collector:0/", "no usable port"),
            ("http://collector:99999/", "no usable port"),
            ("http://collector:/", "no usable port"),
            ("http://collector/#pass", "fragment"),
            ("http://pass word/", "is not a URL"),
            ("http://::1:4318", "write it like `http://[::1]:4318`"),
        ] {
            let error = parse_url(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("pass "), "{error}");
        }
    }

    #[test]
    fn a_url_in_the_log_has_its_path_and_no_secret() {
        let token = ["Zk9", "qT4vB7xW2n"].concat();
        for (url, shown) in [
            ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces"),
            ("https://otel.example.com", "https://otel.example.com/"),
            ("http://[::1]:9411/api/v2/spans?x=secret", "http://[::1]:9411/api/v2/spans"),
            ("https://h/tenants/4711/v1/traces/", "https://h/tenants/4711/v1/traces/"),
            (&format!("https://h/in/{token}/v1"), "https://h/in/*/v1"),
        ] {
            assert_eq!(shown_url(&parse_url(url).unwrap()), shown);
        }
    }

    #[test]
    fn the_path_of_a_signal_is_told_at_the_end_of_a_url() {
        for (url, signal) in [
            ("http://h/v1/traces", Some(Signal::Traces)),
            ("http://h/x/v1/logs//", Some(Signal::Logs)),
            ("http://h/v1/metrics", Some(Signal::Metrics)),
            ("http://h/v1/traces/x", None),
            ("http://h/v2/traces", None),
            ("http://h/av1/traces", None),
            ("http://h", None),
        ] {
            assert_eq!(signal_path(url), signal, "{url}");
        }
    }

    #[test]
    fn only_loopback_names_stay_on_this_machine() {
        for (text, local) in [
            ("http://localhost:4318", true),
            ("http://127.0.0.1", true),
            ("http://[::1]:4318/v1/traces", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(is_local_url(&parse_url(text).unwrap()), local, "{text}");
        }
    }
}
