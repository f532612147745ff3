//! OTLP JSON lines in a file.
//!
//! ```yaml
//! exporters:
//!   file:
//!     path: traces/spans.jsonl     # from the directory of the config file
//!     create_directory: true
//!     rotation: { max_megabytes: 100, max_backups: 3 }
//! ```
//!
//! A line is one batch, written with one call and not buffered. Lines of several signals mix when
//! pipelines of several signals share the exporter, as in the Collector; the OTLP file format has one
//! signal a file, so give each its own `file/name`. A line that a full disk has no room for leaves nothing behind; one
//! that a crash left half-written is closed off before the next one. A file that was moved or deleted is made anew.
//! A FIFO has what was sent to it only while somebody reads from it.

mod target;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use self::target::Target;
use super::lines::{JsonLines, Lines, Sink};
use crate::mcp::Unsampled;
use crate::pipeline::{Build, ComponentConfig, ExportError, Exporter, ExporterConfig, FileUse};
use crate::settings::{
    Delivery, Duration, NoEffect, QueueSettings, Report, RetrySettings, Unsupported,
};
use crate::telemetry::Signal;

/// Settings: the Collector's names, as far as they are supported.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Names the file; relative to the configuration file's folder.
    path: PathBuf,
    /// Names the format; `json` is the only one.
    format: String,
    /// Adds to what is in the file; `false` empties it at the start.
    append: bool,
    /// Makes its directory, closed to others.
    create_directory: bool,
    /// Sets permissions of a new file, in octal: `"0600"` unless written.
    mode: Option<String>,
    /// Renames the file at a size and begins a new one; never unless written.
    rotation: Option<Rotation>,
    #[schemars(skip)]
    compression: Unsupported,
    #[schemars(skip)]
    encoding: Unsupported,
    #[schemars(skip)]
    group_by: Unsupported,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    flush_interval: Unsupported,
    /// Says what becomes of spans of this process's taps whose callers did not sample.
    unsampled: Unsampled,
    /// Bounds how long one attempt to send may take; 0 for no limit.
    timeout: Duration,
    /// Sets the queue in front of the exporter, and how batches are joined in it.
    sending_queue: QueueSettings,
    /// Says how often and how long a failed attempt is repeated.
    retry_on_failure: RetrySettings,
}

/// `rotation`: at `max_megabytes` the file becomes `path.1`, what was that becomes `path.2`, and so on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Rotation {
    /// Bounds the file, in MiB: at this size it becomes `path.1`, what was that becomes `path.2`, and so on.
    max_megabytes: u64,
    /// Bounds how many older files are kept.
    max_backups: u32,
    #[schemars(skip)]
    max_days: Unsupported,
    #[schemars(skip)]
    localtime: Unsupported,
}

/// 16 TiB, the most that a file of ext4 has.
const MAX_MEGABYTES: u64 = 1 << 24;
/// Each of them is renamed at every rotation, while lines wait.
const MAX_BACKUPS: u64 = 10_000;

impl Default for Rotation {
    fn default() -> Self {
        Rotation { max_megabytes: 100, max_backups: 100, max_days: None, localtime: None }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            path: PathBuf::new(),
            format: "json".to_owned(),
            append: true,
            create_directory: false,
            mode: None,
            rotation: None,
            compression: None,
            encoding: None,
            group_by: None,
            flush_interval: None,
            unsampled: Unsampled::default(),
            timeout: Duration::secs(5),
            sending_queue: QueueSettings::default(),
            retry_on_failure: RetrySettings::default(),
        }
    }
}

/// Names what a new file gets: spans are nobody else's business.
const MODE: u32 = 0o600;

impl ComponentConfig for Config {
    const NAME: &'static str = "file";
    const ABOUT: &'static str = "OTLP JSON lines in a file";
    const SIGNALS: &'static [Signal] = &Signal::ALL;

    fn check(&self, report: &mut Report<'_>) {
        self.delivery().check(report);
        if self.path.as_os_str().is_empty() {
            report.error("path", "is required: the file to write");
        }
        if is_stdout(&self.path) {
            report.error("path", "is standard output; use the exporter `stdout`, or write a file");
        }
        if self.path.as_os_str().as_encoded_bytes().contains(&0) {
            report.error("path", "has a NUL character, which no path has");
        } else {
            self.check_place(report);
        }
        if self.format != "json" {
            report.error("format", format!("`{}` is not supported; use json", self.format));
        }
        if self.mode.is_some() && self.mode().is_none() {
            report.error("mode", "must be octal permissions such as \"0600\"");
        }
        let unsupported = [
            ("compression", self.compression),
            ("encoding", self.encoding),
            ("group_by", self.group_by),
            ("rotation.max_days", self.rotation.as_ref().and_then(|r| r.max_days)),
            ("rotation.localtime", self.rotation.as_ref().and_then(|r| r.localtime)),
        ];
        for (field, _) in unsupported.iter().filter(|(_, written)| written.is_some()) {
            report.error(field, "is not supported");
        }
        if self.flush_interval.is_some() {
            report.warn("flush_interval", "has no effect: every batch is written at once");
        }
        if let Some(rotation) = &self.rotation {
            let bounds = [
                ("rotation.max_megabytes", rotation.max_megabytes, MAX_MEGABYTES),
                ("rotation.max_backups", rotation.max_backups.into(), MAX_BACKUPS),
            ];
            for (field, _, most) in bounds.iter().filter(|(_, n, most)| !(1..=*most).contains(n)) {
                report.error(field, format!("must be between 1 and {most}"));
            }
        }
    }
}

impl ExporterConfig for Config {
    fn delivery(&self) -> Delivery {
        Delivery {
            timeout: self.timeout,
            queue: self.sending_queue.clone(),
            retry: self.retry_on_failure.clone(),
        }
    }

    fn keeps_unsampled(&self) -> bool {
        self.unsampled == Unsampled::Keep
    }

    fn writes(&self) -> Option<FileUse<'_>> {
        let backups = self.rotation.as_ref().map_or(0, |rotation| rotation.max_backups);
        Some(FileUse { field: "path", path: &self.path, backups })
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        tracing::info!("{}: to {}", cx.id, cx.base.join(&self.path).display());
        let sink = Appender {
            path: cx.base.join(&self.path),
            mode: self.mode().unwrap_or(MODE),
            create_directory: self.create_directory,
            truncate: !self.append,
            limit: self.rotation.as_ref().map(|r| (r.max_megabytes << 20, r.max_backups)),
            open: None,
        };
        Ok(Box::new(JsonLines(Lines::start(sink)?)))
    }
}

impl Config {
    /// Reports a path at which no file can be.
    fn check_place(&self, report: &mut Report<'_>) {
        let path = report.base().join(&self.path);
        let named = !self.path.as_os_str().is_empty();
        if named && (path.is_dir() || self.path.as_os_str().as_encoded_bytes().ends_with(b"/")) {
            let file = self.path.join("spans.jsonl");
            let message = format!("is a directory; name a file, such as `{}`", file.display());
            return report.unready("path", message);
        }
        let Some(directory) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) else {
            return;
        };
        let there = directory.ancestors().find(|dir| dir.exists());
        if let Some(file) = there.filter(|there| !there.is_dir()) {
            report.unready("path", format!("`{}` is not a directory", file.display()));
        } else if there != Some(directory) && !self.create_directory {
            let message = format!(
                "there is no directory `{}`; make it, or set `create_directory: true`",
                directory.display()
            );
            report.unready("path", message);
        }
    }

    fn mode(&self) -> Option<u32> {
        let mode = u32::from_str_radix(self.mode.as_deref()?, 8).ok()?;
        (mode <= 0o777).then_some(mode)
    }
}

/// The names under which a process finds its own stdout: a tap's belongs to MCP.
fn is_stdout(path: &Path) -> bool {
    ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

/// Appends lines to the file at `path`.
struct Appender {
    path: PathBuf,
    mode: u32,
    create_directory: bool,
    /// The first opening empties the file.
    truncate: bool,
    /// Bytes a file may have, and how many old ones are kept.
    limit: Option<(u64, u32)>,
    open: Option<Target>,
}

impl Sink for Appender {
    fn write(&mut self, lines: &[u8]) -> Result<(), ExportError> {
        self.append(lines).map_err(|e| ExportError::Retry {
            after: None,
            why: format!("{}: {e}", self.path.display()),
        })
    }
}

impl Appender {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut open = self.current()?;
        if let Some((bytes, backups)) = self.limit
            && open.would_exceed(bytes, lines)
        {
            drop(open);
            self.rotate(backups)?;
            open = self.current()?;
        }
        let written = open.write(lines);
        // After a failure nobody knows what a file ends with: opening looks.
        self.open = Some(open).filter(|open| written.is_ok() || open.is_stuck());
        written
    }

    /// Takes the file at the path out: the open one if the path still leads to it.
    fn current(&mut self) -> io::Result<Target> {
        if let Some(open) = self.open.take().filter(|open| open.is_at(&self.path)) {
            return Ok(open);
        }
        if self.create_directory
            && let Some(directory) = self.path.parent()
        {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let open = Target::open(&self.path, self.mode, self.truncate)?;
        self.truncate = false;
        Ok(open)
    }

    /// Moves every file one name on; the oldest is overwritten.
    fn rotate(&self, backups: u32) -> io::Result<()> {
        for n in (1..backups).rev() {
            match fs::rename(self.backup(n), self.backup(n + 1)) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        fs::rename(&self.path, self.backup(1))
    }

    fn backup(&self, n: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::super::lines::tests::span_named;
    use super::*;
    use crate::pipeline::{Accounts, Id, Shared};
    use crate::telemetry::Clock;

    fn built(config: serde_json::Value, base: &Path) -> Box<dyn Exporter> {
        let config: Config = serde_json::from_value(config).unwrap();
        let (id, accounts, shared) =
            (Id::parse("file").unwrap(), Accounts::default(), Shared::default());
        let cx = Build::alone(&id, &accounts, Clock::start(), base, &shared);
        config.build(&cx).unwrap()
    }

    async fn write(exporter: &dyn Exporter, name: &str) {
        exporter.export(&span_named(name)).await.unwrap();
    }

    /// The span names in a file, line by line; a line that is no JSON is given in brackets.
    fn names(path: impl AsRef<Path>) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.ends_with('\n'));
        let name = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
            Ok(v) => v["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"]
                .as_str()
                .unwrap()
                .to_owned(),
            Err(_) => format!("[{line}]"),
        };
        text.lines().map(name).collect()
    }

    #[tokio::test]
    async fn batches_are_appended_to_a_private_file_that_is_made_at_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/spans.jsonl");
        let config = serde_json::json!({ "path": "deep/er/spans.jsonl", "create_directory": true });
        let exporter = built(config.clone(), dir.path());
        assert!(!path.exists());
        write(&*exporter, "a").await;
        write(&*exporter, "b").await;
        write(&*built(config, dir.path()), "c").await;
        assert_eq!(names(&path), ["a", "b", "c"]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_line_torn_by_a_crash_is_closed_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spans.jsonl");
        fs::write(&path, "{\"resourceSp").unwrap();
        write(&*built(serde_json::json!({ "path": "spans.jsonl" }), dir.path()), "a").await;
        assert_eq!(names(&path), ["[{\"resourceSp]", "a"]);
    }

    #[tokio::test]
    async fn a_file_that_was_taken_away_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spans.jsonl");
        let exporter = built(serde_json::json!({ "path": "spans.jsonl" }), dir.path());
        write(&*exporter, "a").await;
        fs::rename(&path, dir.path().join("old")).unwrap();
        write(&*exporter, "b").await;
        fs::remove_file(&path).unwrap();
        write(&*exporter, "c").await;
        assert_eq!(names(&path), ["c"]);
        assert_eq!(names(dir.path().join("old")), ["a"]);
    }

    #[tokio::test]
    async fn without_append_the_file_is_emptied_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spans.jsonl");
        fs::write(&path, "old\n").unwrap();
        let config = serde_json::json!({ "path": "spans.jsonl", "append": false });
        let exporter = built(config, dir.path());
        write(&*exporter, "a").await;
        write(&*exporter, "b").await;
        assert_eq!(names(&path), ["a", "b"]);
    }

    #[test]
    fn a_full_file_moves_on_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = Appender {
            path: dir.path().join("spans.jsonl"),
            mode: MODE,
            create_directory: false,
            truncate: false,
            limit: Some((10, 2)),
            open: None,
        };
        for line in ["aaaa\n", "bbbb\n", "cccc\n", "dddddddddddddd\n", "e\n", "f\n"] {
            sink.write(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("spans.jsonl"), "e\nf\n");
        assert_eq!(read("spans.jsonl.1"), "dddddddddddddd\n");
        assert_eq!(read("spans.jsonl.2"), "cccc\n");
        assert!(!dir.path().join("spans.jsonl.3").exists());
    }

    #[tokio::test]
    async fn a_path_that_cannot_be_written_is_told_and_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let exporter = built(serde_json::json!({ "path": "missing/spans.jsonl" }), dir.path());
        match exporter.export(&span_named("a")).await.unwrap_err() {
            ExportError::Retry { after: None, why } => {
                assert!(why.contains("missing/spans.jsonl: No such file"), "{why}");
            }
            other => panic!("{other:?}"),
        }
        fs::create_dir(dir.path().join("missing")).unwrap();
        write(&*exporter, "a").await;
    }

    #[tokio::test]
    async fn a_fifo_has_what_was_sent_while_somebody_reads_and_no_half_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spans");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let settings = serde_json::json!({ "path": "spans", "append": false, "rotation": {} });
        let exporter = built(settings, dir.path());
        for _ in 0..2 {
            let error = exporter.export(&span_named("a")).await.unwrap_err();
            let why = format!("{}: nobody reads from this FIFO", path.display());
            assert_eq!(error, ExportError::Retry { after: None, why });
        }
        let reading = std::thread::spawn(move || fs::read_to_string(path).unwrap());
        // The attempts that delivery makes.
        while exporter.export(&span_named("a")).await.is_err() {}
        write(&*exporter, "b").await;
        drop(exporter);
        let seen = reading.join().unwrap();
        assert!(seen.lines().count() == 2 && seen.ends_with("}\n"), "{seen}");
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let problems = super::super::problems::<Config>;
        assert_eq!(problems(serde_json::json!({ "path": "a.jsonl" })), [""; 0]);
        assert_eq!(problems(serde_json::json!({})), ["file::path: is required: the file to write"]);
        let all = problems(serde_json::json!({
            "path": "/dev/stdout",
            "format": "proto",
            "compression": "zstd",
            "mode": "rw",
            "flush_interval": "1s",
            "rotation": { "max_days": 3, "max_backups": 0 },
        }));
        let fields: Vec<_> = all.iter().map(|p| p.split(": ").next().unwrap()).collect();
        assert_eq!(
            fields,
            [
                "file::path",
                "file::format",
                "file::mode",
                "file::compression",
                "file::rotation::max_days",
                "warning",
                "file::rotation::max_backups",
            ]
        );
    }

    #[test]
    fn what_no_file_and_no_rotation_can_have_is_refused() {
        let problems = super::super::problems::<Config>;
        let most = serde_json::json!({ "max_megabytes": 1 << 24, "max_backups": 10_000 });
        let rotating = |rotation| serde_json::json!({ "path": "a.jsonl", "rotation": rotation });
        assert_eq!(problems(rotating(most)), [""; 0]);
        for megabytes in [0, (1 << 24) + 1, 1 << 44, u64::MAX] {
            assert_eq!(
                problems(rotating(serde_json::json!({ "max_megabytes": megabytes }))),
                ["file::rotation::max_megabytes: must be between 1 and 16777216"]
            );
        }
        for backups in [0, 10_001, u32::MAX] {
            assert_eq!(
                problems(rotating(serde_json::json!({ "max_backups": backups }))),
                ["file::rotation::max_backups: must be between 1 and 10000"]
            );
        }
        assert_eq!(
            problems(serde_json::json!({ "path": "a\0.jsonl" })),
            ["file::path: has a NUL character, which no path has"]
        );
    }

    #[test]
    fn permissions_are_octal() {
        let of = |mode: &str| Config { mode: Some(mode.to_owned()), ..Config::default() }.mode();
        assert_eq!(of("0640"), Some(0o640));
        assert_eq!(of("600"), Some(0o600));
        assert_eq!(of("9"), None);
        assert_eq!(of("7777"), None);
    }
}
