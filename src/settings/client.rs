//! What clients of OTLP backends share: where they connect, what they send along, how they compress.
//! The Collector's names (configgrpc, confighttp).

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, de};

use serde_json::{Value, json};

use super::secret::unsendable;
use super::{Duration, Report, Secret, bare_ipv6};

/// A field of the Collector's that is known: refused by name, or without effect.
pub type Unsupported = Option<IgnoredAny>;

/// Stands in a schema for an [`Unsupported`] field that is taken with a warning.
#[derive(Clone, Copy, Debug)]
pub enum NoEffect {}

impl JsonSchema for NoEffect {
    fn schema_name() -> Cow<'static, str> {
        "NoEffect".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "deprecated": true })
    }
}

/// `compression`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = admit_the_empty_text)]
pub enum Compression {
    /// Compresses with gzip.
    #[default]
    Gzip,
    /// Compresses with zstd.
    Zstd,
    /// Compresses nothing.
    #[serde(alias = "")]
    None,
    /// Is known to the Collector and refused by [`check`](Compression::check), as are those that follow.
    #[schemars(skip)]
    Snappy,
    /// See `Snappy`.
    #[schemars(skip)]
    Zlib,
    /// See `Snappy`.
    #[schemars(skip)]
    Deflate,
    /// See `Snappy`.
    #[schemars(skip)]
    Lz4,
}

/// Admits the other spelling of `none`.
fn admit_the_empty_text(schema: &mut Schema) {
    if let Some(words) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        words.push(json!({ "const": "", "description": "Compresses nothing." }));
    }
}

impl Compression {
    /// Adds an error for what cannot be done.
    pub fn check(self, report: &mut Report<'_>) {
        let name = match self {
            Compression::Gzip | Compression::Zstd | Compression::None => return,
            Compression::Snappy => "snappy",
            Compression::Zlib => "zlib",
            Compression::Deflate => "deflate",
            Compression::Lz4 => "lz4",
        };
        report.error("compression", format!("`{name}` is not supported; use gzip, zstd or none"));
    }
}

/// `keepalive` of a gRPC client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keepalive {
    /// Asks for a sign of life after this long without any.
    pub time: Duration,
    /// Closes the connection when none comes for this long.
    pub timeout: Duration,
    /// Asks even while nothing is being sent.
    pub permit_without_stream: bool,
}

impl Default for Keepalive {
    fn default() -> Self {
        Keepalive {
            time: Duration::secs(10),
            timeout: Duration::secs(10),
            permit_without_stream: false,
        }
    }
}

/// `headers`: a mapping, or the list of `name` and `value` that newer Collectors take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, Secret)>);

/// Headers that the transport writes itself, and those that are about one connection (RFC 9110 section 7.6.1).
pub(crate) const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Parts of header names whose values open doors.
const CREDENTIAL: &[&str] = &["auth", "token", "key", "secret", "passw", "cookie", "credential"];

/// The words for a credential that was not given.
const OPENS_NO_DOOR: &str = "is empty: it would open no door";

/// Says why a header cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// Its name is none.
    Name,
    /// The transport writes it itself.
    Reserved,
    /// Its value does not arrive as it is, or opens no door, for this reason.
    Value(&'static str),
}

impl HeaderFault {
    /// Finds what is wrong with a header, its name first.
    pub fn of(name: &str, value: &str) -> Option<HeaderFault> {
        HeaderFault::of_name(name).or(HeaderFault::of_value(name, value))
    }

    fn of_name(name: &str) -> Option<HeaderFault> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let lower = name.to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(token) || lower.ends_with("-bin") {
            return Some(HeaderFault::Name);
        }
        let reserved = RESERVED.contains(&lower.as_str()) || lower.starts_with("grpc-");
        reserved.then_some(HeaderFault::Reserved)
    }

    fn of_value(name: &str, value: &str) -> Option<HeaderFault> {
        let empty = value.is_empty() && is_credential(name);
        let why = if empty { Some(OPENS_NO_DOOR) } else { unsendable(value) };
        why.map(HeaderFault::Value)
    }
}

impl Headers {
    /// Adds an error for every header that cannot be sent.
    pub fn check(&self, report: &mut Report<'_>) {
        for (name, value) in &self.0 {
            let field = format!("headers.{name}");
            match HeaderFault::of_name(name) {
                Some(HeaderFault::Name) => {
                    report.error(&field, format!("`{name}` is not a header name"));
                }
                Some(_) => report.error(&field, "is written by the transport itself"),
                None => {}
            }
            if value.expose().is_empty() && is_credential(name) {
                report.unready(&field, OPENS_NO_DOOR);
            }
            if let Some(why) = value.unsendable() {
                report.error(&field, why);
            }
        }
        self.check_unique("headers", report);
    }

    /// Adds an error for every header that is there twice. Names know no case (RFC 9110 section 5.1), though the keys
    /// of a mapping do: both would be sent, and which of them counts is the other side's choice.
    pub fn check_unique(&self, field: &str, report: &mut Report<'_>) {
        for (at, (name, _)) in self.0.iter().enumerate() {
            let twin = self.0[..at].iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
            if let Some((other, _)) = twin {
                let message = format!("is `{other}` once more: header names know no case");
                report.error(&format!("{field}.{name}"), message);
            }
        }
    }

    /// Adds an error for every credential, for a connection that crosses a network in the clear.
    pub fn check_cleartext(&self, report: &mut Report<'_>) {
        for (name, _) in &self.0 {
            if is_credential(name) {
                report.error(
                    &format!("headers.{name}"),
                    "would be sent unencrypted to another host; use TLS, or set \
                     `allow_cleartext: true`",
                );
            }
        }
    }
}

/// Says whether the header of that name holds what opens doors.
fn is_credential(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    CREDENTIAL.iter().any(|part| lower.contains(part))
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(HeadersVisitor)
    }
}

impl JsonSchema for Headers {
    fn schema_name() -> Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "object", "additionalProperties": generator.subschema_for::<Secret>() },
                { "type": "array", "items": generator.subschema_for::<Header>() },
            ]
        })
    }
}

struct HeadersVisitor;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Header {
    /// Names the header.
    name: String,
    /// Holds its value.
    value: Secret,
}

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("header names with their values")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Headers, E> {
        Ok(Headers::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = map.next_entry()? {
            all.push(entry);
        }
        Ok(Headers(all))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Headers, A::Error> {
        let mut all = Vec::new();
        while let Some(Header { name, value }) = seq.next_element()? {
            all.push((name, value));
        }
        Ok(Headers(all))
    }
}

/// Says where a gRPC client connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A host and its port.
    Tcp {
        /// Holds what the scheme says about TLS; `None` without one, then `tls.insecure` decides.
        tls: Option<bool>,
        /// `host:port`, an IPv6 address in brackets.
        authority: String,
    },
    /// A socket in the file system. Never TLS.
    Unix(String),
}

impl Endpoint {
    /// Reads `host:port`, with `http://`, `https://` or `dns:///` before it, or `unix:path`. An `http://`
    /// means plaintext; in the Collector it does not, which surprises everybody.
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        if text.is_empty() {
            return Err("is required: where to send to, such as `localhost:4317`".to_owned());
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.contains('\0') {
                return Err("has a NUL character, which no path has".to_owned());
            }
            return Ok(Endpoint::Unix(path.to_owned()));
        }
        let (tls, rest) = if let Some(rest) = text.strip_prefix("http://") {
            (Some(false), rest)
        } else if let Some(rest) = text.strip_prefix("https://") {
            (Some(true), rest)
        } else {
            (None, text.strip_prefix("dns:///").unwrap_or(text))
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(why) = bare_ipv6(authority, "[::1]:4317") {
            return Err(why);
        }
        if authority.contains("://") {
            return Err(format!("`{text}` has an unknown scheme; use http://, https:// or none"));
        }
        if authority.contains(['/', '?', '#', '@']) || authority.contains(char::is_whitespace) {
            // Not quoted: what stands before an @ is a password.
            return Err("must be host and port only, without path, query or user".to_owned());
        }
        let (host, port) = split_port(authority)
            .ok_or_else(|| format!("`{text}` has no port; OTLP over gRPC has 4317"))?;
        if host.is_empty() {
            return Err(format!("`{text}` has no host; write `localhost:{port}`"));
        }
        if !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(format!("`{port}` is not a port"));
        }
        Ok(Endpoint::Tcp { tls, authority: authority.to_owned() })
    }

    /// Says whether TLS is spoken, given `tls.insecure`.
    pub fn is_tls(&self, insecure: bool) -> bool {
        match self {
            Endpoint::Tcp { tls, .. } => tls.unwrap_or(!insecure),
            Endpoint::Unix(_) => false,
        }
    }

    /// Host and port, an IPv6 address without brackets; nothing for a socket in the file system.
    pub fn host_port(&self) -> Option<(String, u16)> {
        let Endpoint::Tcp { authority, .. } = self else { return None };
        let (host, port) = split_port(authority)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some((host.to_owned(), port.parse().ok()?))
    }

    /// Says whether what is sent stays on this machine.
    pub fn is_local(&self) -> bool {
        let Endpoint::Tcp { authority, .. } = self else { return true };
        let host = split_port(authority).map_or(authority.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// Host and port; `None` if there is no port, as in a bare IPv6 address.
fn split_port(authority: &str) -> Option<(&str, &str)> {
    let (host, port) = authority.rsplit_once(':')?;
    let bare_v6 = host.contains(':') && !host.ends_with(']');
    (!bare_v6 && !port.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::testing;

    #[test]
    fn an_endpoint_tells_about_tls_by_its_scheme() {
        for (text, insecure, tls) in [
            ("collector:4317", false, true),
            ("collector:4317", true, false),
            ("http://collector:4317", false, false),
            ("https://collector:4317/", true, true),
            ("dns:///collector:4317", false, true),
            ("[::1]:4317", false, true),
            ("unix:/run/otel.sock", false, false),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().is_tls(insecure), tls, "{text}");
        }
    }

    #[test]
    fn an_endpoint_that_cannot_be_meant_is_refused_with_a_proposal() {
        for (text, part) in [
            ("", "is required"),
            ("collector", "has no port"),
            ("::1", "write it like `[::1]:4317`"),
            ("http://::1:4317", "without brackets"),
            ("[::1]", "has no port"),
            (":4317", "write `localhost:4317`"),
            ("collector:0", "is not a port"),
            ("collector:http", "is not a port"),
            ("ftp://collector:4317", "unknown scheme"),
            ("unix:/run/a\0b", "NUL"),
            ("https://collector:4317/v1/traces", "without path"),
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let error = Endpoint::parse("http://me:pass@collector:4317").unwrap_err();
        assert!(!error.contains("pass"), "{error}");
    }

    #[test]
    fn only_loopback_names_stay_on_this_machine() {
        for (text, local) in [
            ("localhost:4317", true),
            ("127.0.0.1:4317", true),
            ("http://[::1]:4317", true),
            ("unix:/run/otel.sock", true),
            ("10.0.0.1:4317", false),
            ("localhost.example.com:4317", false),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().is_local(), local, "{text}");
        }
    }

    #[test]
    fn values_that_do_not_arrive_as_they_are_are_refused() {
        for (yaml, path, part) in [
            ("{Authorization: ''}", "Authorization", "is empty"),
            ("{x-api-key: 'a '}", "x-api-key", "blank"),
            ("{x-tenant: \"a\\n\"}", "x-tenant", "line end"),
            ("{Authorization: 'Bearer '}", "Authorization", "blank"),
        ] {
            let headers: Headers = crate::settings::testing::read(yaml).unwrap();
            let said = crate::settings::testing::check("{}", "x", |report| headers.check(report));
            assert_eq!(said.0.len(), 1, "{yaml}: {said:?}");
            assert_eq!(said.0[0].path, format!("x::headers::{path}"));
            assert!(said.0[0].message.contains(part), "{said:?}");
        }
        let fine: Headers =
            crate::settings::testing::read("{x-note: '', Authorization: Bearer a}").unwrap();
        let said = crate::settings::testing::check("{}", "x", |report| fine.check(report));
        assert!(said.0.is_empty(), "{said:?}");
    }

    #[test]
    fn what_is_about_one_connection_cannot_be_configured() {
        for name in
            ["Transfer-Encoding", "connection", "upgrade", "keep-alive", "expect", "trailer"]
        {
            let headers: Headers = testing::read(&format!("{{ {name}: x }}")).unwrap();
            let said = testing::check("{}", "e", |report| headers.check(report));
            assert_eq!(said.0[0].message, "is written by the transport itself", "{name}");
        }
    }

    #[test]
    fn a_header_is_there_once_whatever_the_case_of_its_name() {
        for (yaml, twin) in [
            ("{x-a: '1', X-A: '2', x-b: '3'}", Some("e::headers::X-A")),
            ("[{name: x-a, value: '1'}, {name: x-a, value: '2'}]", Some("e::headers::x-a")),
            ("{x-a: '1', x_a: '2'}", None),
        ] {
            let headers: Headers = testing::read(yaml).unwrap();
            let yaml = format!("headers: {yaml}");
            let said = testing::check(&yaml, "e", |report| headers.check(report));
            assert_eq!(said.0.first().map(|problem| problem.path.as_str()), twin, "{yaml}");
            assert!(
                said.0.iter().all(|p| p.message == "is `x-a` once more: header names know no case")
            );
        }
    }

    #[test]
    fn headers_are_a_mapping_or_a_list_of_names_and_values() {
        let mapping: Headers = serde_json::from_str(r#"{"x-tenant":"a"}"#).unwrap();
        let list: Headers = serde_json::from_str(r#"[{"name":"x-tenant","value":"a"}]"#).unwrap();
        assert_eq!(mapping, list);
        assert!(!format!("{mapping:?}").contains("\"a\""));
    }
}
