//! Reads what is said about the local record on the command line: `--record`. It is OTLP JSON lines of what a tap made,
//! kept whatever becomes of the rest.

use std::ffi::OsStr;
use std::path::{Path, PathBuf, absolute};

use serde_json::{Value, json};

use crate::pipeline::{ComponentConfig, Id, Plan};
use crate::processors::redaction;

/// Megabytes of a file, and how many of them there are beside it before the oldest goes: 2 x 16 MiB.
const ROTATION: [u32; 2] = [16, 1];
/// Each queue's bound, in bytes of OTLP.
pub(super) const QUEUE: u32 = 64 << 20;
/// Names its components in a configuration that the user wrote.
const NAME: &str = "local_record";

/// The flag, where complaints name it.
pub(super) const FLAG: &str = "--record";
/// Says where what it says stands in a configuration that the user wrote.
pub(super) const PLACES: [&str; 5] = [
    "processors::redaction/local_record",
    "exporters::file/local_record",
    "exporters::file/local_record_logs",
    "service::pipelines::traces/local_record",
    "service::pipelines::logs/local_record",
];

/// `--record`
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct RecordArgs {
    /// Where the local record of spans is kept, with log records in `.logs.jsonl` beside it, or `off` [default: the
    /// state directory, unless there is a configuration]
    #[arg(long, value_name = "FILE|off", value_parser = parse)]
    record: Option<Record>,
}

/// Says where the local record is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Record {
    /// In the state directory, in a file of the process's own.
    #[default]
    InState,
    /// In that file.
    At(PathBuf),
    /// Nowhere.
    Off,
}

impl RecordArgs {
    /// Gives what holds for a tap without a configuration.
    pub(super) fn record(&self) -> Record {
        self.record.clone().unwrap_or_default()
    }

    /// Says whether anything was said.
    pub(super) fn is_said(&self) -> bool {
        self.record.is_some()
    }

    /// Gives what keeps the record of the first receiver of a configuration, as `--set` has it: pipelines of its own, so
    /// that it has what others drop. Redacted as the pipelines of the receiver are; by the usual rules if none is.
    pub(super) fn overrides(&self, plan: &Plan) -> Vec<String> {
        let Some(Record::At(path)) = &self.record else { return Vec::new() };
        let receiver = &plan.receivers[0].id;
        let is_redaction = |id: &&Id| {
            let kind = <redaction::Config as ComponentConfig>::NAME;
            plan.processors.iter().any(|part| part.id == **id && part.kind == kind)
        };
        let fed = plan.pipelines.iter().filter(|pipeline| pipeline.receivers.contains(receiver));
        let mut own: Vec<String> = fed
            .flat_map(|pipeline| pipeline.processors.iter().filter(is_redaction))
            .map(ToString::to_string)
            .collect();
        own.sort();
        own.dedup();
        let (receiver, mut set) = (receiver.to_string(), Vec::new());
        if own.is_empty() {
            own.push(format!("redaction/{NAME}"));
            set.push(format!("processors::redaction/{NAME}={}", json!({})));
        }
        for (signal, path, id) in [
            ("traces", path.clone(), format!("file/{NAME}")),
            ("logs", logs_beside(path), format!("file/{NAME}_logs")),
        ] {
            let pipeline = json!({"receivers": [receiver], "processors": own, "exporters": [id]});
            set.push(format!("exporters::{id}={}", escaped(&file_exporter(&path))));
            set.push(format!("service::pipelines::{signal}/{NAME}={}", escaped(&pipeline)));
        }
        set
    }
}

fn parse(text: &str) -> Result<Record, String> {
    match text {
        "off" => Ok(Record::Off),
        path => {
            let path = absolute(path).map_err(|error| error.to_string())?;
            let named = path.to_str().is_some();
            named.then_some(Record::At(path)).ok_or("the path of its directory is not UTF-8".into())
        }
    }
}

/// Gives the file of log records beside one of spans: `x.logs.jsonl` beside `x.jsonl`.
pub(super) fn logs_beside(spans: &Path) -> PathBuf {
    let stem = match spans.extension() {
        Some(end) if end == OsStr::new("jsonl") => spans.with_extension(""),
        _ => spans.to_owned(),
    };
    let mut name = stem.into_os_string();
    name.push(".logs.jsonl");
    name.into()
}

/// Makes the settings of the exporter that writes such a file.
pub(super) fn file_exporter(path: &Path) -> Value {
    let [max_megabytes, max_backups] = ROTATION;
    json!({
        "path": path,
        "unsampled": "keep",
        "rotation": {"max_megabytes": max_megabytes, "max_backups": max_backups},
        "sending_queue": {"sizer": "bytes", "queue_size": QUEUE, "max_bytes": QUEUE},
    })
}

/// Writes settings as YAML in which a `$` is meant literally.
pub(super) fn escaped(settings: &Value) -> String {
    settings.to_string().replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, Sources, load};

    #[test]
    fn log_records_are_beside_the_spans() {
        for (spans, logs) in [
            ("a/x.jsonl", "a/x.logs.jsonl"),
            ("x", "x.logs.jsonl"),
            ("x.json", "x.json.logs.jsonl"),
            ("x.y.jsonl", "x.y.logs.jsonl"),
        ] {
            assert_eq!(logs_beside(Path::new(spans)), Path::new(logs));
        }
    }

    #[test]
    fn a_record_is_redacted_as_the_pipelines_are() {
        let args = RecordArgs { record: Some(Record::At("/x.jsonl".into())) };
        let overrides = |processors: &str| {
            let yaml = format!(
                "receivers: {{ mcp_stdio: {{ command: x }} }}\nprocessors: {{ redaction/own: {{}}, digest: {{ mode: ephemeral }} }}\n\
                 exporters: {{ nop: {{}} }}\nservice: {{ pipelines: {{ traces: {{ receivers: [mcp_stdio], \
                 processors: [{processors}], exporters: [nop] }} }} }}"
            );
            let sources = Sources { config: vec![format!("yaml:{yaml}")], set: Vec::new() };
            let (plan, problems) = load(&sources, &Options::default());
            args.overrides(&plan.unwrap_or_else(|| panic!("{problems:?}"))).join("\n")
        };
        let own = overrides("digest, redaction/own");
        assert!(own.contains(r#""processors":["redaction/own"]"#), "{own}");
        assert!(!own.contains("processors::"), "{own}");
        let usual = overrides("digest");
        assert!(usual.contains("processors::redaction/local_record={}"), "{usual}");
    }

    #[test]
    fn a_file_is_where_the_command_runs() {
        assert_eq!(parse("off"), Ok(Record::Off));
        let Ok(Record::At(path)) = parse("x.jsonl") else { panic!("a path") };
        assert!(path.is_absolute() && path.ends_with("x.jsonl"));
        assert!(parse("").is_err());
    }
}
