//! The OTLP exporter that the environment asks for: `MCPCOL_OTLP_*`, else the variables with which
//! OpenTelemetry's SDKs are set (OTLP Exporter Configuration).

use serde_json::{Map, Value, json};

use crate::privacy::detect::has_credential;
use crate::settings::{HeaderFault, signal_path};

/// Holds what the environment says about exporting spans by OTLP.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OtlpEnv {
    endpoint: Option<Variable>,
    /// The endpoint is that of spans, to be used as it is.
    of_traces: bool,
    protocol: Option<String>,
    headers: Option<Variable>,
    certificate: Option<String>,
    client_key: Option<String>,
    client_certificate: Option<String>,
    compression: Option<String>,
    /// Milliseconds.
    timeout: Option<String>,
    insecure: Option<String>,
}

/// Holds what a variable says, and which one.
#[derive(Debug, PartialEq, Eq)]
struct Variable {
    name: String,
    text: String,
}

/// Names where our telemetry goes.
pub(super) const ENDPOINT: &str = "MCPCOL_OTLP_ENDPOINT";
const OURS: &str = "MCPCOL_OTLP";
const OF_TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES";
const OF_ALL: &str = "OTEL_EXPORTER_OTLP";

impl OtlpEnv {
    /// `MCPCOL_OTLP_*` win over `OTEL_EXPORTER_OTLP_*`, with which agents export their own telemetry,
    /// and win whole: another backend's headers must not go to ours.
    pub(super) fn from(env: impl Fn(&str) -> Option<String>) -> OtlpEnv {
        let all = |prefixes: &[&str]| {
            let named = |name: &str| {
                let names = prefixes.iter().map(|prefix| format!("{prefix}_{name}"));
                let mut set = names.filter_map(|name| Some(Variable { text: env(&name)?, name }));
                set.next()
            };
            let first = |name: &str| named(name).map(|variable| variable.text);
            OtlpEnv {
                endpoint: named("ENDPOINT"),
                of_traces: env(&format!("{}_ENDPOINT", prefixes[0])).is_some()
                    && prefixes[0] == OF_TRACES,
                protocol: first("PROTOCOL"),
                headers: named("HEADERS"),
                certificate: first("CERTIFICATE"),
                client_key: first("CLIENT_KEY"),
                client_certificate: first("CLIENT_CERTIFICATE"),
                compression: first("COMPRESSION"),
                timeout: first("TIMEOUT"),
                insecure: first("INSECURE"),
            }
        };
        let ours = all(&[OURS]);
        if ours.endpoint.is_some() { ours } else { all(&[OF_TRACES, OF_ALL]) }
    }

    /// The exporter: its kind and its settings but for the queue. What cannot be done is said in
    /// `notes`.
    pub(super) fn exporter(&self, notes: &mut Vec<String>) -> Option<(&'static str, Value)> {
        let Variable { name, text: endpoint } = self.endpoint.as_ref()?;
        let (kind, mut settings) = match self.protocol(endpoint) {
            "grpc" => ("otlp_grpc", json!({"endpoint": endpoint})),
            protocol @ ("http/protobuf" | "http/json") => {
                let encoding = if protocol == "http/json" { "json" } else { "proto" };
                let settings = if self.of_traces {
                    json!({"traces_endpoint": endpoint, "encoding": encoding})
                } else {
                    json!({"endpoint": base(name, endpoint, notes), "encoding": encoding})
                };
                ("otlp_http", settings)
            }
            other => {
                let known = "grpc, http/protobuf and http/json";
                notes.push(format!(
                    "OTLP has no protocol `{other}`, only {known}: the OTLP variables are not used"
                ));
                return None;
            }
        };
        settings["headers"] = Value::Object(self.headers(notes));
        settings["tls"] = self.tls(endpoint);
        match self.compression.as_deref() {
            None => {}
            Some(known @ ("gzip" | "zstd" | "none")) => settings["compression"] = json!(known),
            Some(_) => {
                notes.push("the OTLP compression is not used: it is gzip, zstd or none".into())
            }
        }
        match self.timeout.as_deref().map(str::parse::<u32>) {
            None => {}
            Some(Ok(millis)) => settings["timeout"] = json!(format!("{millis}ms")),
            Some(Err(_)) => {
                notes.push("the OTLP timeout is not used: it must be milliseconds".into())
            }
        }
        Some((kind, settings))
    }

    /// Says whether log records may go where spans go: not if that is a place for spans alone.
    pub(super) fn takes_logs(&self) -> bool {
        !self.of_traces
    }

    /// Unset, the port tells: a gRPC server's is 4317 by default, and HTTP with protobuf is what SDKs
    /// speak unless told otherwise.
    fn protocol(&self, endpoint: &str) -> &str {
        let port = endpoint.trim_end_matches('/').rsplit(':').next();
        let guess = if port == Some("4317") { "grpc" } else { "http/protobuf" };
        self.protocol.as_deref().unwrap_or(guess)
    }

    /// Reads `name=value,name=value`. What cannot be sent is said and left out: it must cost neither the others nor
    /// the endpoint. It is said by its number, because what stands there may be a part of a credential.
    fn headers(&self, notes: &mut Vec<String>) -> Map<String, Value> {
        let mut headers = Map::new();
        let Some(Variable { name: variable, text }) = &self.headers else { return headers };
        let entries = text.split(',').map(str::trim).zip(1..);
        for (entry, number) in entries.filter(|(entry, _)| !entry.is_empty()) {
            match header(entry, &headers) {
                Ok((name, value)) => drop(headers.insert(name, value.into())),
                Err(why) => {
                    notes.push(format!("entry {number} of {variable} is left out: {why}"));
                }
            }
        }
        headers
    }

    /// Certificates, where something is encrypted. Without a scheme, which only gRPC has, the variable
    /// decides; where that is not set either, only what stays on this machine is not encrypted.
    fn tls(&self, endpoint: &str) -> Value {
        if endpoint.starts_with("http://") {
            return json!({"insecure": true});
        }
        let insecure = match self.insecure.as_deref() {
            _ if endpoint.starts_with("https://") => false,
            Some(word) => word.eq_ignore_ascii_case("true"),
            None => ["localhost:", "127.", "[::1]:"].iter().any(|own| endpoint.starts_with(own)),
        };
        let mut tls = json!({"insecure": insecure});
        for (field, file) in [
            ("ca_file", &self.certificate),
            ("cert_file", &self.client_certificate),
            ("key_file", &self.client_key),
        ] {
            if let Some(file) = file.as_ref().filter(|_| !insecure) {
                tls[field] = json!(file);
            }
        }
        tls
    }
}

/// Takes the path of a signal off an endpoint that is for all of them: it is appended.
fn base<'a>(variable: &str, endpoint: &'a str, notes: &mut Vec<String>) -> &'a str {
    let Some(signal) = signal_path(endpoint) else { return endpoint };
    let path = format!("/v1/{}", signal.name());
    notes.push(format!(
        "{variable} should not end in `{path}`, which is appended; it is not used twice"
    ));
    endpoint.trim_end_matches('/').trim_end_matches(path.as_str())
}

/// Reads an entry, or says why it cannot be sent beside those that are `there`.
fn header(entry: &str, there: &Map<String, Value>) -> Result<(String, String), String> {
    let (name, value) = entry.split_once('=').ok_or("it has no `=`")?;
    let (name, value) = (name.trim(), percent_decoded(value.trim()));
    let shown = if has_credential(name) { "its header" } else { name };
    match HeaderFault::of(name, &value) {
        Some(HeaderFault::Name) => Err("it does not begin with the name of a header".to_owned()),
        Some(HeaderFault::Reserved) => Err(format!("{shown} is written by the transport itself")),
        Some(HeaderFault::Value(why)) => Err(format!("the value of {shown} {why}")),
        None if there.keys().any(|other| other.eq_ignore_ascii_case(name)) => {
            Err(format!("{shown} is there already, and header names know no case"))
        }
        None => Ok((name.to_owned(), value)),
    }
}

/// Header values in the environment are in the form of W3C baggage: percent-encoded.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) if *first == b'%' => {
                out.push(byte);
                rest = &tail[2..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exporter(variables: &[(&str, &str)]) -> (Option<(&'static str, Value)>, Vec<String>) {
        let env = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let mut notes = Vec::new();
        (OtlpEnv::from(env).exporter(&mut notes), notes)
    }

    fn settings(variables: &[(&str, &str)]) -> Value {
        let (exporter, notes) = exporter(variables);
        assert_eq!(notes, [""; 0]);
        exporter.unwrap().1
    }

    #[test]
    fn port_4317_is_grpc_and_the_protocol_wins() {
        for (endpoint, protocol, kind, encoding) in [
            ("http://localhost:4317", None, "otlp_grpc", json!(null)),
            ("http://localhost:4317/", None, "otlp_grpc", json!(null)),
            ("http://localhost:4318", None, "otlp_http", json!("proto")),
            ("https://otel.example.com", None, "otlp_http", json!("proto")),
            ("http://localhost:4318", Some("grpc"), "otlp_grpc", json!(null)),
            ("http://localhost:4317", Some("http/protobuf"), "otlp_http", json!("proto")),
            ("http://localhost:4318", Some("http/json"), "otlp_http", json!("json")),
        ] {
            let mut variables = vec![("MCPCOL_OTLP_ENDPOINT", endpoint)];
            variables.extend(protocol.map(|protocol| ("MCPCOL_OTLP_PROTOCOL", protocol)));
            let (exporter, notes) = exporter(&variables);
            let (made, settings) = exporter.unwrap();
            assert_eq!((made, &settings["encoding"]), (kind, &encoding), "{endpoint} {protocol:?}");
            assert_eq!(settings["endpoint"], endpoint);
            assert_eq!(notes, [""; 0]);
        }
    }

    #[test]
    fn a_protocol_that_nobody_speaks_is_said() {
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "udp")];
        let (exporter, notes) = exporter(&variables);
        assert_eq!((exporter, notes.len()), (None, 1));
        assert!(notes[0].starts_with("OTLP has no protocol `udp`, only grpc"), "{notes:?}");
    }

    #[test]
    fn our_variables_win_whole() {
        let variables = [
            ("MCPCOL_OTLP_ENDPOINT", "http://ours:4317"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://theirs:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=theirs"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ];
        let ours = json!({
            "endpoint": "http://ours:4317", "headers": {}, "tls": {"insecure": true},
        });
        assert_eq!(settings(&variables), ours);
        assert_eq!(settings(&variables[1..])["headers"], json!({"authorization": "theirs"}));
    }

    #[test]
    fn the_variables_of_spans_win_each_by_itself() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318/in"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ];
        let settings = settings(&variables);
        assert_eq!(settings["traces_endpoint"], "http://traces:4318/in");
        assert_eq!(settings["endpoint"], json!(null));
        assert_eq!(
            (&settings["compression"], &settings["timeout"]),
            (&json!("none"), &json!("2500ms"))
        );
    }

    #[test]
    fn a_timeout_that_is_none_is_said_and_not_used() {
        let (exporter, notes) = exporter(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ]);
        assert_eq!(exporter.unwrap().1["timeout"], json!(null));
        assert!(notes[0].contains("milliseconds"), "{notes:?}");
    }

    #[test]
    fn the_scheme_decides_about_tls_and_without_one_the_variable() {
        let files = [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "me.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "me.key"),
        ];
        let with = json!({
            "insecure": false, "ca_file": "ca.pem", "cert_file": "me.pem", "key_file": "me.key",
        });
        let without = json!({"insecure": true});
        for (endpoint, insecure, tls) in [
            ("https://otel:4317", None, &with),
            ("https://otel:4317", Some("true"), &with),
            ("http://otel:4317", Some("false"), &without),
            ("otel:4317", None, &with),
            ("otel:4317", Some("true"), &without),
            ("otel:4317", Some("True"), &without),
            ("localhost:4317", None, &without),
            ("localhost:4317", Some("false"), &with),
        ] {
            let mut variables = files.to_vec();
            variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
            variables.extend(insecure.map(|word| ("OTEL_EXPORTER_OTLP_INSECURE", word)));
            assert_eq!(settings(&variables)["tls"], *tls, "{endpoint} {insecure:?}");
        }
    }

    #[test]
    fn headers_are_percent_decoded() {
        let settings = settings(&[
            ("MCPCOL_OTLP_ENDPOINT", "http://localhost:4318"),
            ("MCPCOL_OTLP_HEADERS", "a=b%20c, d=e%3D"),
        ]);
        assert_eq!(settings["headers"], json!({"a": "b c", "d": "e="}));
    }

    #[test]
    fn a_bad_header_is_said_and_left_out_and_costs_nothing_else() {
        let value = ["open", "sesame"].concat();
        let long = ["ey", "Jhbgci0iJ9.abcdefgh0123456789"].concat();
        for (entry, why) in [
            (value.clone(), "it has no `=`"),
            (format!("Bearer {value}=="), "it does not begin with the name of a header"),
            (format!("={value}"), "it does not begin with the name of a header"),
            (format!("x-trace-bin={value}"), "it does not begin with the name of a header"),
            (format!("Content-Type={value}"), "Content-Type is written by the transport itself"),
            (
                format!("x-a={value}%0A"),
                "the value of x-a ends with a line end, which no header can carry",
            ),
            (format!("x-a={value}é"), "the value of x-a has characters that a header cannot carry"),
            (format!("{long}=%00"), "the value of its header has characters that a header"),
            (format!("X-GOOD={value}"), "X-GOOD is there already, and header names know no case"),
            (format!("x-good={value}"), "x-good is there already, and header names know no case"),
        ] {
            for name in ["MCPCOL_OTLP", "OTEL_EXPORTER_OTLP"] {
                let (endpoint, headers) = (format!("{name}_ENDPOINT"), format!("{name}_HEADERS"));
                let text = format!("x-good=1,{entry},,x-last=2");
                let variables = [(&*endpoint, "http://localhost:4318"), (&*headers, text.as_str())];
                let (exporter, notes) = exporter(&variables);
                let settings = exporter.unwrap().1;
                assert_eq!(settings["headers"], json!({"x-good": "1", "x-last": "2"}), "{entry}");
                let said = format!("entry 2 of {headers} is left out: {why}");
                assert!(notes.len() == 1 && notes[0].starts_with(&said), "{notes:?}");
                assert!(!notes[0].contains(&value) && !notes[0].contains(&long), "{notes:?}");
            }
        }
    }

    #[test]
    fn the_path_of_a_signal_is_not_appended_to_itself() {
        for (endpoint, base) in [
            ("http://localhost:4318/v1/traces", "http://localhost:4318"),
            ("http://localhost:4318/otlp/v1/logs/", "http://localhost:4318/otlp"),
        ] {
            let (exporter, notes) = exporter(&[("MCPCOL_OTLP_ENDPOINT", endpoint)]);
            assert_eq!(exporter.unwrap().1["endpoint"], base);
            assert!(
                notes.len() == 1 && notes[0].starts_with("MCPCOL_OTLP_ENDPOINT should not end in")
            );
        }
    }

    #[test]
    fn a_compression_that_nobody_knows_is_said_and_not_used() {
        let variables =
            [("MCPCOL_OTLP_ENDPOINT", "http://x:4318"), ("MCPCOL_OTLP_COMPRESSION", "snappy")];
        let (exporter, notes) = exporter(&variables);
        assert_eq!(exporter.unwrap().1["compression"], json!(null));
        assert!(notes[0].contains("compression is not used"), "{notes:?}");
    }
}
