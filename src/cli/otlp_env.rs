//! The OTLP exporter that the environment asks for: `MCPCOL_OTLP_*`, else the variables with which
//! OpenTelemetry's SDKs are set (OTLP Exporter Configuration).

use serde_json::{Map, Value, json};

/// What the environment says about exporting spans by OTLP.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OtlpEnv {
    endpoint: Option<String>,
    /// The endpoint is that of spans, to be used as it is.
    of_traces: bool,
    protocol: Option<String>,
    headers: Option<String>,
    certificate: Option<String>,
    client_key: Option<String>,
    client_certificate: Option<String>,
    compression: Option<String>,
    /// Milliseconds.
    timeout: Option<String>,
    insecure: Option<String>,
}

const OURS: &str = "MCPCOL_OTLP";
const OF_TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES";
const OF_ALL: &str = "OTEL_EXPORTER_OTLP";

impl OtlpEnv {
    /// `MCPCOL_OTLP_*` win over `OTEL_EXPORTER_OTLP_*`, with which agents export their own telemetry,
    /// and win whole: another backend's headers must not go to ours.
    pub(super) fn from(env: impl Fn(&str) -> Option<String>) -> OtlpEnv {
        let all = |prefixes: &[&str]| {
            let first = |name: &str| prefixes.iter().find_map(|p| env(&format!("{p}_{name}")));
            OtlpEnv {
                endpoint: first("ENDPOINT"),
                of_traces: env(&format!("{}_ENDPOINT", prefixes[0])).is_some()
                    && prefixes[0] == OF_TRACES,
                protocol: first("PROTOCOL"),
                headers: first("HEADERS"),
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
        let endpoint = self.endpoint.as_deref()?;
        let (kind, mut settings) = match self.protocol(endpoint) {
            "grpc" => ("otlp_grpc", json!({"endpoint": endpoint})),
            protocol @ ("http/protobuf" | "http/json") => {
                let field = if self.of_traces { "traces_endpoint" } else { "endpoint" };
                let encoding = if protocol == "http/json" { "json" } else { "proto" };
                ("otlp_http", json!({field: endpoint, "encoding": encoding}))
            }
            other => {
                let known = "grpc, http/protobuf and http/json";
                notes.push(format!(
                    "OTLP has no protocol `{other}`, only {known}; spans go to a file"
                ));
                return None;
            }
        };
        settings["headers"] = Value::Object(self.headers());
        settings["tls"] = self.tls(endpoint);
        if let Some(compression) = &self.compression {
            settings["compression"] = json!(compression);
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

    fn headers(&self) -> Map<String, Value> {
        self.headers
            .iter()
            .flat_map(|headers| headers.split(','))
            .filter_map(|pair| pair.split_once('='))
            .map(|(k, v)| (k.trim().to_owned(), Value::from(percent_decoded(v.trim()))))
            .collect()
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
}
