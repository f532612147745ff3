//! The configuration of a tap without `--config`: written as YAML and read like any other, so
//! that it can be shown and nothing in it is a special case.
//!
//! Spans get a keyed digest and go to OTLP if the environment names an endpoint, else to a file in the
//! state directory; where stderr is a terminal, a readable line a call goes there.

use std::io::IsTerminal;
use std::path::Path;

use serde_json::{Value, json};

use super::{config_args, say, state};
use crate::config::{self, Options, Sources};
use crate::pipeline::Plan;
use crate::settings::Severity;

/// What the environment says about OTLP.
#[derive(Debug, Default, PartialEq, Eq)]
struct Otlp {
    endpoint: Option<String>,
    headers: Option<String>,
    protocol: Option<String>,
}

/// Files a tap writes before the oldest goes: 2 x 16 MiB.
const ROTATION: [u32; 2] = [16, 1];
/// Each queue's bound, in bytes of OTLP.
const QUEUE: u32 = 64 << 20;

/// How much of what is around us is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// The environment's endpoint and key, and the key in the state directory.
    All,
    /// The key, but no endpoint.
    Key,
    /// Neither: a file, and a key that lives as long as the process.
    Nothing,
}

/// The tap that the configuration is for.
#[derive(Clone, Debug)]
pub(super) struct Tap<'a> {
    /// What its server is called.
    pub(super) name: &'a str,
    /// The receiver's kind.
    pub(super) kind: &'static str,
    /// Its settings.
    pub(super) settings: Value,
}

/// The built-in configuration with what `--set` says on top: where it comes from, and the plan of it
/// unless that forbids starting. What is around us is the agent's, not ours to insist on: settings of
/// the environment that cannot be used are said, and left out.
pub(super) fn load(
    tap: &Tap<'_>,
    set: &[String],
    options: &Options<'_>,
) -> std::io::Result<(Sources, Option<Plan>)> {
    let terminal = std::io::stderr().is_terminal();
    let mut notes = Vec::new();
    let mut last = Sources::default();
    for trust in [Trust::All, Trust::Key, Trust::Nothing] {
        let (yaml, more) = config(tap, terminal, trust);
        last = Sources { config: vec![format!("yaml:{yaml}")], set: set.to_vec() };
        let (plan, problems) = config::load(&last, options);
        let settled = plan.is_some() || !set.is_empty() || trust == Trust::Nothing;
        if !settled {
            let errors = problems.0.iter().filter(|p| p.severity > Severity::Warning);
            notes.extend(errors.map(|p| format!("{} ({})", p.message, source_of(&p.path))));
            continue;
        }
        notes.extend(more);
        notes.iter().for_each(|note| say(&format!("mcpcol: {note}")));
        config_args::say(&problems)?;
        return Ok((last, plan));
    }
    Ok((last, None))
}

/// Where a setting of the built-in configuration comes from, for a user who never wrote it.
fn source_of(path: &str) -> &'static str {
    if path.contains("digest") || path.contains("session_key") {
        "the digest key of MCPCOL_DIGEST_KEY, MCPCOL_DIGEST_KEY_FILE or the state directory is not used"
    } else {
        "the OTLP settings of the environment are not used, spans go to a file"
    }
}

/// The configuration for a tap, and what the user should be told about it.
fn config(tap: &Tap<'_>, terminal: bool, trust: Trust) -> (String, Vec<String>) {
    let mut notes = Vec::new();
    let state = state::directory().map_err(|error| notes.push(format!("{error:#}"))).ok();
    let digest = match trust {
        Trust::Nothing => json!({"mode": "ephemeral"}),
        _ => digest(state.as_deref(), &mut notes),
    };
    let mut exporters = serde_json::Map::new();
    let from_env = if trust == Trust::All { Otlp::from(env) } else { Otlp::default() };
    match otlp_exporter(&from_env, &mut notes) {
        Some(otlp) => exporters.insert("otlp_grpc".into(), otlp),
        None => {
            let dir = state.clone().unwrap_or_else(std::env::temp_dir);
            exporters.insert("file".into(), file_exporter(&dir, tap.name))
        }
    };
    if terminal {
        exporters.insert("debug".into(), json!({"verbosity": "normal"}));
    }
    let names: Vec<_> = exporters.keys().cloned().collect();
    let mut settings = tap.settings.clone();
    if tap.kind == "mcp_http" {
        // Session ids are hashed with the key of the digests, so that they are comparable, too.
        for (from, to) in [("key", "session_key"), ("key_file", "session_key_file")] {
            if let Some(key) = digest.get(from) {
                settings[to] = key.clone();
            }
        }
    }
    let config = json!({
        "receivers": {tap.kind: settings},
        "processors": {"digest": digest},
        "exporters": exporters,
        "service": {"pipelines": {"traces": {
            "receivers": [tap.kind], "processors": ["digest"], "exporters": names,
        }}},
    });
    (escape(&config.to_string()), notes)
}

/// A `$` in a path or header is meant literally.
fn escape(text: &str) -> String {
    text.replace('$', "$$")
}

/// The environment's key, else the state directory's, else one that lives as long as the process.
fn digest(state: Option<&Path>, notes: &mut Vec<String>) -> Value {
    if let Some(key) = env("MCPCOL_DIGEST_KEY") {
        return json!({"key": key});
    }
    if let Some(file) = env("MCPCOL_DIGEST_KEY_FILE") {
        return json!({"key_file": file});
    }
    match state.map(state::digest_key) {
        Some(Ok(path)) => json!({"key_file": path}),
        Some(Err(error)) => {
            notes.push(format!("{error:#}; digests are keyed for this process only"));
            json!({"mode": "ephemeral"})
        }
        None => json!({"mode": "ephemeral"}),
    }
}

fn file_exporter(dir: &Path, name: &str) -> Value {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let stem: String = name.chars().map(safe).take(64).collect();
    let path = dir.join(format!("{stem}-{}.jsonl", std::process::id()));
    let [max_megabytes, max_backups] = ROTATION;
    json!({
        "path": path,
        "rotation": {"max_megabytes": max_megabytes, "max_backups": max_backups},
        "sending_queue": {"sizer": "bytes", "queue_size": QUEUE},
    })
}

/// The OTLP exporter that the environment asks for. Only gRPC is there yet; a protocol that is not is
/// said, and the spans go to the file.
fn otlp_exporter(otlp: &Otlp, notes: &mut Vec<String>) -> Option<Value> {
    let endpoint = otlp.endpoint.as_deref()?;
    let port = endpoint.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
    let grpc = match otlp.protocol.as_deref() {
        Some(protocol) => protocol == "grpc",
        None => port == "4317",
    };
    if !grpc {
        notes.push(format!(
            "OTLP over HTTP is not supported yet ({endpoint}): set MCPCOL_OTLP_PROTOCOL=grpc and a gRPC \
             endpoint; spans go to a file"
        ));
        return None;
    }
    let headers: serde_json::Map<_, _> = otlp
        .headers
        .iter()
        .flat_map(|headers| headers.split(','))
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| (k.trim().to_owned(), Value::from(percent_decoded(v.trim()))))
        .collect();
    let insecure = !endpoint.starts_with("https://");
    Some(json!({
        "endpoint": endpoint,
        "tls": {"insecure": insecure},
        "headers": headers,
        "sending_queue": {"sizer": "bytes", "queue_size": QUEUE, "batch": {"min_size": 512, "sizer": "items"}},
    }))
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

impl Otlp {
    /// `MCPCOL_OTLP_*` win over `OTEL_EXPORTER_OTLP_*`, with which agents export their own telemetry,
    /// and win whole: another backend's headers must not go to ours.
    fn from(env: impl Fn(&str) -> Option<String>) -> Otlp {
        let all = |prefixes: &[&str]| {
            let first = |name: &str| prefixes.iter().find_map(|p| env(&format!("{p}_{name}")));
            Otlp {
                endpoint: first("ENDPOINT"),
                headers: first("HEADERS"),
                protocol: first("PROTOCOL"),
            }
        };
        let ours = all(&["MCPCOL_OTLP"]);
        if ours.endpoint.is_some() {
            return ours;
        }
        all(&["OTEL_EXPORTER_OTLP_TRACES", "OTEL_EXPORTER_OTLP"])
    }
}

/// An environment variable; empty counts as unset, as everywhere in OpenTelemetry.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn otlp(endpoint: &str, protocol: Option<&str>) -> (Option<Value>, Vec<String>) {
        let mut notes = Vec::new();
        let endpoint = Some(endpoint.to_owned());
        let protocol = protocol.map(str::to_owned);
        let otlp = Otlp { endpoint, protocol, headers: Some("a=b%20c, d=e".into()) };
        (otlp_exporter(&otlp, &mut notes), notes)
    }

    #[test]
    fn port_4317_is_grpc_and_the_protocol_wins() {
        for (endpoint, protocol, grpc) in [
            ("http://localhost:4317", None, true),
            ("http://localhost:4318", None, false),
            ("http://localhost:4318", Some("grpc"), true),
            ("http://localhost:4317", Some("http/protobuf"), false),
        ] {
            let (exporter, notes) = otlp(endpoint, protocol);
            assert_eq!(exporter.is_some(), grpc, "{endpoint} {protocol:?}");
            assert_eq!(notes.is_empty(), grpc, "what is not done is said");
        }
    }

    #[test]
    fn our_variables_win_whole() {
        let env = |name: &str| {
            let value = match name {
                "MCPCOL_OTLP_ENDPOINT" => "http://ours:4317",
                "OTEL_EXPORTER_OTLP_ENDPOINT" => "http://theirs:4318",
                "OTEL_EXPORTER_OTLP_HEADERS" => "authorization=theirs",
                "OTEL_EXPORTER_OTLP_PROTOCOL" => "http/protobuf",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let endpoint = Some("http://ours:4317".to_owned());
        assert_eq!(Otlp::from(env), Otlp { endpoint, headers: None, protocol: None });
        let theirs = Otlp::from(|name| env(name).filter(|_| name.starts_with("OTEL")));
        assert_eq!(theirs.headers.as_deref(), Some("authorization=theirs"));
    }

    #[test]
    fn headers_are_percent_decoded() {
        let (exporter, _) = otlp("localhost:4317", None);
        assert_eq!(exporter.unwrap()["headers"], json!({"a": "b c", "d": "e"}));
    }
}
