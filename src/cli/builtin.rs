//! The configuration of a tap without `--config`: written as YAML and read like any other, so
//! that it can be shown and nothing in it is a special case.
//!
//! Spans get a keyed digest, they and log records lose what is secret, and go to the local record, to OTLP too if the
//! environment names an endpoint; where stderr is a terminal, a readable line a call goes there.

use std::io::IsTerminal;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::flags::{Flags, Names};
use super::otlp_env::{ENDPOINT, OtlpEnv};
use super::record::{self, QUEUE, Record, escaped, file_exporter, logs_beside};
use super::state::{self, SOCKET, State, unique_name};
use super::variables::Variables;
use super::{config_args, say};
use crate::config::{self, Options, Sources};
use crate::pipeline::{ComponentConfig, Plan};
use crate::receivers::mcp_stdio;
use crate::settings::{Problem, Problems, Severity};

/// Says where the environment may name a digest key: itself, and its file.
const KEYS: [&str; 2] = ["MCPCOL_DIGEST_KEY", "MCPCOL_DIGEST_KEY_FILE"];

/// The exporters that write the local record: its spans, and its log records.
const FILES: [&str; 2] = ["file", "file/logs"];
/// The ends of their names.
const FILE_ENDS: [&str; 2] = ["jsonl", "logs.jsonl"];
/// Says where what `--record` says stands.
const RECORD: [&str; 2] = ["exporters::file", "exporters::file/logs"];

/// Says how much of what is around us is used.
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
    /// Holds what its server is called.
    pub(super) name: &'a str,
    /// The receiver's kind.
    pub(super) kind: &'static str,
    /// Its settings.
    pub(super) settings: Value,
    /// Says where its local record is kept.
    pub(super) record: Record,
    /// The flags that these settings are.
    pub(super) flags: Names,
}

impl Tap<'_> {
    /// Captures what is said here; unless it is said otherwise, why calls fail and what servers log.
    pub(super) fn capturing(mut self, said: serde_json::Map<String, Value>) -> Self {
        let all =
            ["errors", "log_messages", "stderr"].map(|what| (what.to_owned(), "redacted".into()));
        let mut capture: serde_json::Map<String, Value> = all.into_iter().chain(said).collect();
        if self.kind != <mcp_stdio::Config as ComponentConfig>::NAME {
            // Said for all taps of a machine, maybe; only one that starts its server has a stderr of it.
            capture.remove("stderr");
        }
        self.settings["capture"] = capture.into();
        self
    }
}

/// The built-in configuration with what `--set` says on top.
pub(super) struct Loaded {
    /// Says where it comes from.
    pub(super) sources: Sources,
    /// The plan of it, unless something forbids starting.
    pub(super) plan: Option<Plan>,
    /// The state directory, to be cleaned.
    pub(super) state: Option<PathBuf>,
    /// Says where others of the user's processes may ask what goes on; nowhere if nothing is recorded.
    pub(super) socket: Option<PathBuf>,
    /// The flags that stand in it.
    pub(super) flags: Flags,
}

/// Loads the configuration of `tap`. What is around us is the agent's, not ours to insist on: settings of
/// the environment that cannot be used are said, and left out. What flags say is the user's, and so is `set`: that is
/// said as theirs.
pub(super) fn load(
    tap: &Tap<'_>,
    set: &[String],
    options: &Options<'_>,
) -> std::io::Result<Loaded> {
    let terminal = std::io::stderr().is_terminal();
    let place = Place::find();
    let state = place.state.as_ref().map(|state| state.dir.clone());
    let stem = unique_name(tap.name);
    let socket = state.as_deref().filter(|_| tap.record != Record::Off);
    let socket = socket.map(|dir| dir.join(format!("{stem}.{SOCKET}")));
    let mut notes = Vec::new();
    let mut last = Sources::default();
    let flags = match tap.record {
        Record::At(_) => Flags::built_in(tap.kind, tap.flags).and(&RECORD, record::FLAG),
        Record::InState | Record::Off => Flags::built_in(tap.kind, tap.flags),
    };
    for trust in [Trust::All, Trust::Key, Trust::Nothing] {
        let (yaml, more) = config(tap, terminal, trust, &place, &stem);
        last = Sources { config: vec![format!("yaml:{yaml}")], set: set.to_vec() };
        let (plan, mut problems) = config::load(&last, options);
        let of_flags = flags.take(&mut problems);
        if of_flags.fatal {
            of_flags.say();
            break;
        }
        let (around, of_user) = problems.0.into_iter().partition::<Vec<_>, _>(is_ours);
        let fatal = |problem: &&Problem| problem.severity > Severity::Warning;
        if plan.is_none() && !of_user.iter().any(|p| fatal(&p)) && trust != Trust::Nothing {
            notes.extend(around.iter().filter(fatal).map(|p| told(p, &place.env)));
            continue;
        }
        notes.extend(more);
        // A key that cannot be used is found at each attempt.
        notes.dedup();
        notes.extend(around.iter().map(|p| format!("{}: {}", p.path, p.message)));
        notes.iter().for_each(|note| say(&format!("mcpcol: {note}")));
        of_flags.say();
        config_args::say(&Problems(of_user))?;
        return Ok(Loaded { sources: last, plan, state, socket, flags });
    }
    Ok(Loaded { sources: last, plan: None, state, socket, flags })
}

/// Says whether it is about what nobody wrote.
fn is_ours(problem: &Problem) -> bool {
    problem.mark.as_ref().is_some_and(|mark| mark.file.starts_with("yaml:"))
}

/// Tells of a setting of the built-in configuration that cannot be used: by the variable that it comes from, and without
/// the advice for those who write YAML.
fn told(problem: &Problem, env: &Variables) -> String {
    let message = problem.message.split("; ").next().unwrap_or_default();
    if problem.path.contains("digest") {
        return format!(
            "the digest key of MCPCOL_DIGEST_KEY, MCPCOL_DIGEST_KEY_FILE or the state directory is not used: {message}"
        );
    }
    let ours = env.get(ENDPOINT).is_some();
    let family = if ours { "MCPCOL_OTLP" } else { "OTEL_EXPORTER_OTLP" };
    let of = [("headers", "HEADERS"), ("ca_file", "CERTIFICATE"), ("key_file", "CLIENT_KEY")];
    let of = of.into_iter().chain([
        ("cert_file", "CLIENT_CERTIFICATE"),
        ("compression", "COMPRESSION"),
        ("timeout", "TIMEOUT"),
    ]);
    let named = of.into_iter().find(|(field, _)| problem.path.contains(field));
    let variable = named.map_or("ENDPOINT", |(_, variable)| variable);
    format!("{family}_{variable}: {message}: the OTLP variables are not used")
}

/// The environment, and the state directory, if there is one, and what is wrong with it.
struct Place {
    env: Variables,
    /// The environment names no digest key.
    keyed: bool,
    state: Option<State>,
    notes: Vec<String>,
}

impl Place {
    fn find() -> Place {
        let env = Variables::default();
        let keyed = KEYS.iter().all(|name| env.get(name).is_none());
        let mut notes = Vec::new();
        Place { env, keyed, state: state::open(keyed, &mut notes), notes }
    }

    /// Holds the endpoint, protocol and headers for OTLP that the environment names.
    fn otlp(&self) -> OtlpEnv {
        let from_env = OtlpEnv::from(|name| self.env.get(name));
        // It is not known where our telemetry should go; not to where the agent sends its own.
        if self.env.is_unreadable(ENDPOINT) { OtlpEnv::default() } else { from_env }
    }
}

/// The configuration for a tap, and what the user should be told about it.
fn config(
    tap: &Tap<'_>,
    terminal: bool,
    trust: Trust,
    place: &Place,
    stem: &str,
) -> (String, Vec<String>) {
    let mut notes = Vec::new();
    let digest = digest(place, trust);
    let mut exporters = serde_json::Map::new();
    let from_env = if trust == Trust::All { place.otlp() } else { OtlpEnv::default() };
    let otlp = from_env.exporter(&mut notes);
    notes.extend(place.env.notes());
    if tap.record == Record::InState || place.keyed {
        // Only who needs the directory is told what is wrong with it.
        notes.extend(place.notes.iter().cloned());
    }
    let record = match (&tap.record, &place.state) {
        (Record::InState, Some(state)) => {
            Some(FILE_ENDS.map(|end| state.dir.join(format!("{stem}.{end}"))))
        }
        (Record::At(spans), _) => Some([spans.clone(), logs_beside(spans)]),
        (Record::InState, None) | (Record::Off, _) => None,
    };
    let (mut spans, mut logs) = (Vec::new(), Vec::new());
    if let Some(record) = record {
        let [of_spans, of_logs] = &record;
        exporters.insert(FILES[0].into(), file_exporter(of_spans));
        exporters.insert(FILES[1].into(), file_exporter(of_logs));
        spans.push(FILES[0]);
        logs.push(FILES[1]);
    }
    if let Some((kind, mut otlp)) = otlp {
        otlp["sending_queue"] = json!({
            "sizer": "bytes", "queue_size": QUEUE, "max_bytes": QUEUE, "batch": {"min_size": 512, "sizer": "items"},
        });
        exporters.insert(kind.into(), otlp);
        spans.push(kind);
        logs.extend(from_env.takes_logs().then_some(kind));
    }
    if terminal {
        exporters.insert("debug".into(), json!({"verbosity": "normal"}));
        spans.push("debug");
    }
    for to in [&mut spans, &mut logs].into_iter().filter(|to| to.is_empty()) {
        exporters.insert("nop".into(), json!({}));
        to.push("nop");
    }
    let config = json!({
        "receivers": {tap.kind: receiver(tap)},
        "processors": {"digest": digest, "redaction": {}},
        "exporters": exporters,
        "service": {"pipelines": {
            "traces": {
                "receivers": [tap.kind], "processors": ["digest", "redaction"], "exporters": spans,
            },
            "logs": {"receivers": [tap.kind], "processors": ["redaction"], "exporters": logs},
        }},
    });
    (escaped(&config), notes)
}

/// The settings of the tap. Few clients send a context: what belongs to one session is seen together all the
/// same.
fn receiver(tap: &Tap<'_>) -> Value {
    let mut settings = tap.settings.clone();
    settings["trace"] = "session".into();
    settings
}

/// The environment's key, else the state directory's, else one that lives as long as the process.
fn digest(place: &Place, trust: Trust) -> Value {
    let from_env = ["key", "key_file"].into_iter().zip(KEYS.map(|name| place.env.get(name)));
    let key = from_env.filter_map(|(field, value)| Some(json!({field: value?}))).next();
    let state = place.state.as_ref();
    let kept = || state.and_then(|state| state.key.as_ref()).map(|path| json!({"key_file": path}));
    let trusted = if trust == Trust::Nothing { None } else { key.or_else(kept) };
    trusted.unwrap_or_else(|| json!({"mode": "ephemeral"}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_one_trace_beside_what_the_command_line_says() {
        for settings in [json!({}), json!({ "endpoint": "localhost:1", "routes": [] })] {
            let tap = Tap {
                name: "n",
                kind: "k",
                settings: settings.clone(),
                record: Record::Off,
                flags: &[],
            };
            let mut with = receiver(&tap);
            assert_eq!(with["trace"].take(), "session");
            with.as_object_mut().unwrap().remove("trace");
            assert_eq!(with, settings);
        }
    }
}
