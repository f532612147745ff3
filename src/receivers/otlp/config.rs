//! `otlp` as users write it: the Collector's names (configgrpc and confighttp, server side).

use hyper::header::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::cors::Cors;
use super::passback;
use crate::http::sockets::{host_port, is_loopback, no_address};
use crate::settings::{Duration, Headers, NoEffect, Report, Secret, ServerTls, Unsupported};
use crate::telemetry::Signal;

/// Names what OTLP recommends that a server takes in one request, after decompression ("Message size limits").
const MAX_REQUEST_MIB: usize = 64;

/// Settings.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Names the protocols that are spoken; one that is absent is off.
    pub protocols: Protocols,
    /// Bounds what all requests together may hold while they are read and wait for their answer, in bytes; more are
    /// told to come again.
    pub max_in_flight_bytes: usize,
    /// Bounds the connections at once, of each protocol; to more an idle one gives way, or they are turned away,
    /// over HTTP with 503. It is less where the process may not open as many files.
    pub max_connections: usize,
    /// Bounds how long requests may wait for their answer at the end, before they are told to come again.
    pub drain_timeout: Duration,
}

/// `protocols`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Protocols {
    /// Takes OTLP over gRPC; a key without a value stands for the defaults.
    #[serde(deserialize_with = "present")]
    pub grpc: Option<Grpc>,
    /// Takes OTLP over HTTP; a key without a value stands for the defaults.
    #[serde(deserialize_with = "present")]
    pub http: Option<Http>,
}

/// A key without a value is a protocol with its defaults.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}

/// `protocols.grpc`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Grpc {
    /// Says where it listens: `host:port`.
    pub endpoint: String,
    /// Names the transport; `tcp` is the only one.
    pub transport: String,
    /// Sets up TLS for clients; with `client_ca_file` they have to show a certificate.
    pub tls: Option<ServerTls>,
    /// Says what clients have to show.
    pub auth: Option<Auth>,
    /// Bounds one request after decompression, in MiB: 1 to 4095.
    pub max_recv_msg_size_mib: usize,
    /// Bounds the requests at once on one connection.
    pub max_concurrent_streams: u32,
    /// Sets signs of life, and when connections end.
    pub keepalive: Keepalive,
    /// Passes metadata of requests on in the Collector; `true` is not supported here.
    include_metadata: bool,
    #[schemars(skip)]
    middlewares: Unsupported,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    read_buffer_size: Unsupported,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    write_buffer_size: Unsupported,
}

/// `protocols.http`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Says where it listens: `host:port`.
    pub endpoint: String,
    /// Names the transport; `tcp` is the only one.
    pub transport: String,
    /// Sets up TLS for clients; with `client_ca_file` they have to show a certificate.
    pub tls: Option<ServerTls>,
    /// Says what clients have to show.
    pub auth: Option<Auth>,
    /// Says which pages in browsers may send; none unless written.
    pub cors: Option<Cors>,
    /// Bounds one request after decompression, in bytes.
    pub max_request_body_size: usize,
    /// Names the path that traces are posted to.
    pub traces_url_path: String,
    /// Names the path that metrics are posted to.
    pub metrics_url_path: String,
    /// Names the path that logs are posted to.
    pub logs_url_path: String,
    /// Names the path that clients post spans to which MCP servers handed back to them.
    pub passback_url_path: String,
    /// Bounds how long a request's head may take.
    pub read_header_timeout: Duration,
    /// Bounds how long a connection may be without a request.
    pub idle_timeout: Duration,
    /// Adds headers to every response.
    pub response_headers: Headers,
    /// Passes metadata of requests on in the Collector; `true` is not supported here.
    include_metadata: bool,
    #[schemars(skip)]
    middlewares: Unsupported,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    compression_algorithms: Unsupported,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    keep_alives_enabled: Unsupported,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    read_timeout: Unsupported,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    write_timeout: Unsupported,
}

/// `auth`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Sets the token that clients send as `Authorization: Bearer`.
    pub bearer_token: Secret,
    #[schemars(skip)]
    authenticator: Unsupported,
    #[schemars(skip)]
    request_params: Unsupported,
}

/// `keepalive` of `grpc`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keepalive {
    /// Sets what the server does.
    pub server_parameters: ServerParameters,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    enforcement_policy: Unsupported,
}

/// `keepalive.server_parameters`; zero is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerParameters {
    /// Asks for a sign of life after this long without any.
    pub time: Duration,
    /// Closes the connection when none comes for this long.
    pub timeout: Duration,
    /// Closes a connection that has had no request for this long; with 0 when another one needs its place.
    pub max_connection_idle: Duration,
    /// Closes any connection after this long, give or take a tenth, so that clients spread anew; 0 for never.
    pub max_connection_age: Duration,
    /// Bounds how long its requests may take from then on; 0 for no limit.
    pub max_connection_age_grace: Duration,
}

/// Says what is posted to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Export requests of one signal.
    Export(Signal),
    /// Spans that a server handed back to the client.
    Passback,
}

impl Place {
    /// The word that its setting begins with.
    pub(super) fn name(self) -> &'static str {
        match self {
            Place::Export(signal) => signal.name(),
            Place::Passback => "passback",
        }
    }

    /// The signal that its spans, points or records are counted under.
    pub(super) fn signal(self) -> Signal {
        match self {
            Place::Export(signal) => signal,
            Place::Passback => Signal::Traces,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            protocols: Protocols::default(),
            max_in_flight_bytes: 256 << 20,
            max_connections: 1024,
            drain_timeout: Duration::secs(10),
        }
    }
}

impl Default for Grpc {
    fn default() -> Self {
        Grpc {
            endpoint: "localhost:4317".to_owned(),
            transport: "tcp".to_owned(),
            tls: None,
            auth: None,
            max_recv_msg_size_mib: MAX_REQUEST_MIB,
            max_concurrent_streams: 250,
            keepalive: Keepalive::default(),
            include_metadata: false,
            middlewares: None,
            read_buffer_size: None,
            write_buffer_size: None,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Http {
            endpoint: "localhost:4318".to_owned(),
            transport: "tcp".to_owned(),
            tls: None,
            auth: None,
            cors: None,
            max_request_body_size: MAX_REQUEST_MIB << 20,
            traces_url_path: "/v1/traces".to_owned(),
            metrics_url_path: "/v1/metrics".to_owned(),
            logs_url_path: "/v1/logs".to_owned(),
            passback_url_path: passback::PATH.to_owned(),
            read_header_timeout: Duration::secs(60),
            idle_timeout: Duration::secs(60),
            response_headers: Headers::default(),
            include_metadata: false,
            middlewares: None,
            compression_algorithms: None,
            keep_alives_enabled: None,
            read_timeout: None,
            write_timeout: None,
        }
    }
}

impl Default for ServerParameters {
    fn default() -> Self {
        ServerParameters {
            time: Duration::secs(60),
            timeout: Duration::secs(20),
            max_connection_idle: Duration::default(),
            max_connection_age: Duration::default(),
            max_connection_age_grace: Duration::default(),
        }
    }
}

impl Config {
    /// Reports every setting that cannot be meant.
    pub(super) fn check_all(&self, report: &mut Report<'_>) {
        let Protocols { grpc, http } = &self.protocols;
        if grpc.is_none() && http.is_none() {
            report.error("protocols", "has none; write `protocols: { grpc: {}, http: {} }`");
        }
        if let Some(grpc) = grpc {
            grpc.check(&mut report.below("protocols.grpc"));
        }
        if let Some(http) = http {
            http.check(&mut report.below("protocols.http"));
        }
        if self.max_connections == 0 {
            report.error("max_connections", "must be at least 1");
        }
        let largest = self.largest_request();
        if self.max_in_flight_bytes < largest {
            let message = format!("is less than the largest request that is taken, {largest}");
            report.error("max_in_flight_bytes", message);
        }
    }

    /// Lists the settings that say where it listens, with the addresses as written.
    pub(super) fn endpoints(&self) -> Vec<(&'static str, &str)> {
        let Protocols { grpc, http } = &self.protocols;
        let grpc = grpc.as_ref().map(|grpc| ("protocols.grpc.endpoint", grpc.endpoint.as_str()));
        let http = http.as_ref().map(|http| ("protocols.http.endpoint", http.endpoint.as_str()));
        grpc.into_iter().chain(http).collect()
    }

    fn largest_request(&self) -> usize {
        let grpc = self.protocols.grpc.as_ref().map_or(0, Grpc::max_request);
        grpc.max(self.protocols.http.as_ref().map_or(0, |http| http.max_request_body_size))
    }
}

impl Grpc {
    /// The largest request, in bytes.
    pub(super) fn max_request(&self) -> usize {
        self.max_recv_msg_size_mib.saturating_mul(1 << 20)
    }

    fn check(&self, report: &mut Report<'_>) {
        let door = Written { endpoint: &self.endpoint, transport: &self.transport, port: 4317 };
        door.check(self.tls.as_ref(), self.auth.as_ref(), self.include_metadata, report);
        if self.middlewares.is_some() {
            report.error("middlewares", "is not supported");
        }
        if !(1..=4095).contains(&self.max_recv_msg_size_mib) {
            report.error("max_recv_msg_size_mib", "must be from 1 to 4095");
        }
        if self.max_concurrent_streams == 0 {
            report.error("max_concurrent_streams", "must be at least 1");
        }
        let without_effect = [
            ("keepalive.enforcement_policy", self.keepalive.enforcement_policy),
            ("read_buffer_size", self.read_buffer_size),
            ("write_buffer_size", self.write_buffer_size),
        ];
        for (field, _) in without_effect.iter().filter(|(_, written)| written.is_some()) {
            report.warn(field, "has no effect");
        }
    }
}

impl Http {
    /// The paths, and what is posted there.
    pub(super) fn paths(&self) -> [(&str, Place); 4] {
        [
            (&self.traces_url_path, Place::Export(Signal::Traces)),
            (&self.metrics_url_path, Place::Export(Signal::Metrics)),
            (&self.logs_url_path, Place::Export(Signal::Logs)),
            (&self.passback_url_path, Place::Passback),
        ]
    }

    fn check(&self, report: &mut Report<'_>) {
        let door = Written { endpoint: &self.endpoint, transport: &self.transport, port: 4318 };
        door.check(self.tls.as_ref(), self.auth.as_ref(), self.include_metadata, report);
        self.response_headers.check_unique("response_headers", report);
        for (name, value) in &self.response_headers.0 {
            let field = format!("response_headers.{name}");
            if HeaderName::try_from(name).is_err() {
                report.error(&field, "cannot be sent as a header");
            } else if let Some(why) = value.unsendable() {
                report.error(&field, why);
            }
        }
        if let Some(cors) = &self.cors {
            cors.check(&mut report.below("cors"));
        }
        if self.middlewares.is_some() {
            report.error("middlewares", "is not supported");
        }
        if self.max_request_body_size == 0 {
            report.error("max_request_body_size", "must be at least 1");
        }
        for (at, (path, place)) in self.paths().into_iter().enumerate() {
            let field = format!("{}_url_path", place.name());
            if !path.starts_with('/') || path.contains(['?', '#', ' ']) {
                report.error(&field, "is a path, such as `/v1/traces`");
            } else if self.paths()[..at].iter().any(|(other, _)| *other == path) {
                report.error(&field, format!("`{path}` is taken already"));
            }
        }
        for (field, value) in
            [("read_header_timeout", self.read_header_timeout), ("idle_timeout", self.idle_timeout)]
        {
            if value.0.is_zero() {
                report.error(field, "must be more than 0: slow clients would pile up");
            }
        }
        let without_effect = [
            (
                "compression_algorithms",
                self.compression_algorithms,
                "gzip, zstd, zlib and deflate are taken",
            ),
            (
                "keep_alives_enabled",
                self.keep_alives_enabled,
                "connections are kept for `idle_timeout`",
            ),
            ("read_timeout", self.read_timeout, "a request that stands still for 30s is given up"),
            ("write_timeout", self.write_timeout, "responses are short"),
        ];
        for (field, _, instead) in without_effect.iter().filter(|(_, written, _)| written.is_some())
        {
            report.warn(field, format!("has no effect: {instead}"));
        }
    }
}

/// Holds what both protocols have in common, as written.
struct Written<'a> {
    endpoint: &'a str,
    transport: &'a str,
    /// The port that everybody expects.
    port: u16,
}

impl Written<'_> {
    fn check(
        &self,
        tls: Option<&ServerTls>,
        auth: Option<&Auth>,
        include_metadata: bool,
        report: &mut Report<'_>,
    ) {
        if self.transport != "tcp" {
            let message = format!("`{}` is not supported; leave it out for `tcp`", self.transport);
            report.error("transport", message);
        }
        if let Some(tls) = tls {
            tls.check(report);
        }
        if let Some(auth) = auth {
            auth.check(report);
        }
        if include_metadata {
            report.error("include_metadata", "is not supported: headers end here");
        }
        let local = match host_port(self.endpoint) {
            None => return report.error("endpoint", no_address(self.endpoint, self.port)),
            Some(("", port)) => {
                let message = format!("has no host; write `localhost:{port}` or `0.0.0.0:{port}`");
                return report.error("endpoint", message);
            }
            Some((host, _)) => is_loopback(host),
        };
        if !local && tls.is_none() && auth.is_none() {
            report.warn("endpoint", "is reachable from elsewhere without `tls` and without `auth`");
        } else if !local && tls.is_none() {
            report.warn("auth", "tokens come in unencrypted; add `tls`");
        }
    }
}

impl Auth {
    fn check(&self, report: &mut Report<'_>) {
        for (field, written) in [
            ("auth.authenticator", self.authenticator),
            ("auth.request_params", self.request_params),
        ] {
            if written.is_some() {
                report.error(
                    field,
                    "is not supported: there are no authenticator extensions; write `bearer_token`",
                );
                return;
            }
        }
        if self.bearer_token.expose().is_empty() {
            report.unready("auth.bearer_token", "is empty; without `auth` anybody may send");
        }
        if let Some(why) = self.bearer_token.unsendable() {
            report.error("auth.bearer_token", why);
        }
    }
}

#[cfg(test)]
mod tests;
