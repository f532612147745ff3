//! `mcp_stdio` as users write it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ServerName, ladder, name, tap};
use crate::mcp::{Notifications, Parent, Perspective, Traces, Unsampled};
use crate::receivers::tap::{
    CaptureSettings, Observing, Passback, Propagate, SERVICE_NAME, usable_name,
};
use crate::settings::{Duration, Report};

/// Settings.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Names the server's program; `mcpcol stdio -- CMD` gives it on the command line instead.
    pub command: Option<String>,
    /// Lists its arguments.
    pub args: Vec<String>,
    /// Sets variables of the server on top of the inherited environment.
    pub env: BTreeMap<String, String>,
    /// Says where the server starts; relative to the configuration file's folder.
    pub cwd: Option<PathBuf>,
    /// Names the server; unless written as its command line tells.
    pub name: Option<String>,
    /// Says whose process group the server is in.
    pub process_group: ProcessGroup,
    /// Sends SIGTERM to a server that stays this long after the client's end of file; 0 for never.
    pub eof_grace: Duration,
    /// Sends SIGKILL to a server that stays this long after any SIGTERM, passed on too; 0 for never.
    pub kill_after: Duration,
    /// Bounds what is observed of one message, in bytes; forwarding has no limit.
    pub max_message_bytes: usize,
    /// Bounds what waits for the observer, in bytes; what finds no room passes unobserved and is counted.
    pub queue_size: usize,
    /// Bounds how long a request waits for its answer, or for progress, before it counts as timed out.
    pub request_timeout: Duration,
    /// Says in a log record that a request waits, once it has waited so long for its answer; 0 for never.
    pub pending_after: Duration,
    /// Sets the kind of the spans.
    pub span_kind: Perspective,
    /// Says what notifications become.
    pub notifications: Notifications,
    /// Says how a caller's trace context is used: as the parent, as a link, or not at all.
    pub parent: Parent,
    /// Says what becomes of a span whose caller did not sample; it matters with `parent: meta` only.
    pub unsampled: Unsampled,
    /// Makes errors of cancelled calls.
    pub cancelled_is_error: bool,
    /// Sets `service.name` of the spans: `client` or `server` for their own names, or any text.
    pub service_name: String,
    /// Says what one trace holds.
    pub trace: Traces,
    /// Says whether the tap's own spans become the parents of what the server does.
    pub propagate: Propagate,
    /// Sets what becomes of spans that servers hand back.
    pub passback: Passback,
    /// Names the content of calls that is handed to the redaction behind the tap; none unless written.
    pub capture: CaptureSettings,
}

/// `process_group`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProcessGroup {
    /// Shares ours, so that a host that kills the group kills the server too.
    #[default]
    Same,
    /// Gets its own; signals go to the whole of it.
    Own,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            command: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            name: None,
            process_group: ProcessGroup::default(),
            eof_grace: Duration::default(),
            kill_after: Duration::default(),
            max_message_bytes: 1024 * 1024,
            queue_size: 4 * 1024 * 1024,
            request_timeout: Duration::secs(30 * 60),
            pending_after: Duration::secs(60),
            span_kind: Perspective::default(),
            notifications: Notifications::default(),
            parent: Parent::default(),
            unsampled: Unsampled::default(),
            cancelled_is_error: false,
            service_name: SERVICE_NAME.into(),
            trace: Traces::default(),
            propagate: Propagate::default(),
            passback: Passback::default(),
            capture: CaptureSettings::default(),
        }
    }
}

impl Config {
    /// Reports every setting that cannot be meant.
    pub(super) fn check_all(&self, report: &mut Report<'_>) {
        if self.command.as_deref() == Some("") {
            report.error("command", "must not be empty");
        }
        self.check_command(report);
        if self.command.is_none() && !self.args.is_empty() {
            report.error("args", "needs `command`");
        }
        if self.name.as_deref().is_some_and(|name| !usable_name(name)) {
            report.error("name", "must have 1 to 128 characters and must not be a URL");
        }
        for name in self.env.keys().filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
            report.error("env", format!("`{name}` is not a name of a variable"));
        }
        self.check_no_nul(report);
        self.observing().check(report);
        self.capture.check_no_headers(report);
    }

    /// Reports what no process can be given. A tap with a command of its own may not need it.
    fn check_no_nul(&self, report: &mut Report<'_>) {
        let has = |text: &String| text.contains('\0');
        let fields = [
            ("command", self.command.iter().any(has)),
            ("args", self.args.iter().any(has)),
            ("env", self.env.values().any(has)),
        ];
        for (field, _) in fields.iter().filter(|(_, has)| *has) {
            report.unready(field, "has a NUL character, which no process can be given");
        }
    }

    /// Reports a program and a directory that are not there. A tap with a command of its own does not need them.
    fn check_command(&self, report: &mut Report<'_>) {
        let cwd = self.cwd_from(report.base());
        if cwd.as_ref().is_some_and(|cwd| !cwd.is_dir()) {
            report.unready("cwd", "is not a directory");
        }
        let words = self.command.as_deref().filter(|c| c.contains(char::is_whitespace));
        if words.is_some_and(|command| !self.is_there(command, cwd.as_deref())) {
            // Not quoted: among the arguments may be a secret.
            report.unready(
                "command",
                "is one program's name, and none with blanks in it is there: its arguments go under `args`, such as \
                 `{ command: npx, args: [-y, some-server] }`",
            );
        }
    }

    /// Says whether there is such a file, where the child would look for it.
    fn is_there(&self, command: &str, cwd: Option<&Path>) -> bool {
        if command.contains('/') {
            return cwd.unwrap_or(Path::new("")).join(command).exists();
        }
        let path = self.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"));
        path.iter().flat_map(std::env::split_paths).any(|dir| dir.join(command).exists())
    }

    /// The command as the YAML has it; empty without `command`.
    pub fn command_line(&self) -> Vec<OsString> {
        self.command.iter().chain(&self.args).map(OsString::from).collect()
    }

    /// Returns the name of the server that `command` starts. Relative paths are taken from `base`.
    pub fn server_name(&self, command: &[OsString], base: &Path) -> ServerName {
        let cwd = || self.cwd_from(base).or_else(|| std::env::current_dir().ok());
        let told = || name::server_name(command, cwd().as_deref());
        self.name.as_ref().map_or_else(told, ServerName::given)
    }

    /// Says where the child starts, with relative paths taken from `base`.
    pub(super) fn cwd_from(&self, base: &Path) -> Option<PathBuf> {
        self.cwd.as_ref().map(|cwd| base.join(cwd))
    }

    pub(in crate::receivers) fn observing(&self) -> Observing<'_> {
        Observing {
            max_message_bytes: self.max_message_bytes,
            queue_size: self.queue_size,
            request_timeout: self.request_timeout.0,
            pending_after: self.pending_after.0,
            span_kind: self.span_kind,
            notifications: self.notifications,
            parent: self.parent,
            unsampled: self.unsampled,
            cancelled_is_error: self.cancelled_is_error,
            service_name: &self.service_name,
            trace: self.trace,
            propagate: self.propagate,
            passback: &self.passback,
            capture: &self.capture,
        }
    }

    pub(super) fn limits(&self) -> tap::Limits {
        let unless_zero = |limit: Duration| (!limit.0.is_zero()).then_some(limit.0);
        tap::Limits {
            max_line: self.max_message_bytes,
            queue: self.queue_size,
            ladder: ladder::Limits {
                eof_grace: unless_zero(self.eof_grace),
                kill_after: unless_zero(self.kill_after),
            },
            closable: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::testing;

    fn problems(yaml: &str) -> Vec<String> {
        let config: Config = testing::read(yaml).unwrap();
        let problems = testing::check(yaml, "r", |report| config.check_all(report));
        problems.0.into_iter().map(|p| format!("{} {}", p.path, p.message)).collect()
    }

    #[test]
    fn the_sample_is_read() {
        let yaml = r#"{ command: npx, args: [-y, "@modelcontextprotocol/server-filesystem", .] }"#;
        let config: Config = testing::read(yaml).unwrap();
        assert_eq!(config.command_line().len(), 4);
        let server = config.server_name(&config.command_line(), Path::new("/"));
        assert_eq!(server, ServerName::given("@modelcontextprotocol/server-filesystem"));
        assert!(problems(yaml).is_empty());
    }

    #[test]
    fn every_key_is_read() {
        let yaml = "{ name: files, env: { A: b }, cwd: src, process_group: own, eof_grace: 2s, \
                    kill_after: 1s, max_message_bytes: 65536, queue_size: 1048576, request_timeout: 90s, pending_after: 5s, \
                    span_kind: server, \
                    notifications: span, parent: meta, unsampled: keep, cancelled_is_error: true, \
                    service_name: client, trace: session, propagate: off, passback: { ingest: off }, \
                    command: c }";
        assert!(problems(yaml).is_empty());
        let config: Config = testing::read(yaml).unwrap();
        let server = config.server_name(&config.command_line(), Path::new("/"));
        assert_eq!(server, ServerName::given("files"));
        assert_eq!(config.observing().settings().request_timeout.as_secs(), 90);
        assert_eq!(config.cwd_from(Path::new("/base")), Some("/base/src".into()));
    }

    #[test]
    fn an_empty_receiver_is_fine_and_takes_its_command_from_elsewhere() {
        assert!(problems("{}").is_empty());
    }

    #[test]
    fn arguments_in_the_command_are_told_unless_it_is_a_file() {
        for command in ["npx -y hush", "/opt/no such/hush", "no such\thush"] {
            let found = problems(&format!("{{ command: \"{}\" }}", command.escape_default()));
            assert_eq!(found.len(), 1, "{command}");
            assert!(
                found[0].starts_with("r::command ") && found[0].contains("`args`"),
                "{found:?}"
            );
            assert!(!found[0].contains("hush"), "it may hold a secret: {found:?}");
        }
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("my server");
        std::fs::write(&program, "").unwrap();
        let path = dir.path().display();
        for yaml in [
            format!("{{ command: \"{}\" }}", program.display()),
            format!("{{ command: \"./my server\", cwd: \"{path}\" }}"),
            format!("{{ command: my server, env: {{ PATH: \"{path}\" }} }}"),
        ] {
            assert_eq!(problems(&yaml), [""; 0], "{yaml}");
        }
        assert_eq!(problems("{ command: c, cwd: no/where }"), ["r::cwd is not a directory"]);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(testing::read::<Config>("{ comand: x }").is_err());
        assert!(testing::read::<Config>("{ parent: theirs }").is_err());
    }

    #[test]
    fn what_no_process_can_be_given_is_said() {
        let yaml = r#"{ command: "/bin/a\0", args: ["\0"], env: { A: "\0" } }"#;
        let said = |field| format!("r::{field} has a NUL character, which no process can be given");
        assert_eq!(problems(yaml), ["command", "args", "env"].map(said));
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        let yaml = "{ args: [a], name: \"https://h/p\", env: { A=B: c }, service_name: \"\", \
                    queue_size: 1, request_timeout: 0s, max_message_bytes: 1, passback: { max_spans: 0 }, \
                    propagate: inject, trace: session, parent: own, unsampled: keep, \
                    capture: { headers: [x-request-id] } }";
        let found = problems(yaml);
        for path in [
            "args",
            "name",
            "env",
            "service_name",
            "queue_size",
            "max_message_bytes",
            "request_timeout",
            "passback::max_spans",
            "trace",
            "unsampled",
            "capture::headers",
        ] {
            assert!(
                found.iter().any(|p| p.starts_with(&format!("r::{path} "))),
                "{path}: {found:?}"
            );
        }
    }

    #[test]
    fn nothing_of_our_own_ends_a_child_unless_it_is_written() {
        let limits = |yaml: &str| testing::read::<Config>(yaml).unwrap().limits().ladder;
        for yaml in ["{}", "{ eof_grace: 0s, kill_after: 0s }"] {
            let limits = limits(yaml);
            assert_eq!((limits.eof_grace, limits.kill_after), (None, None), "{yaml}");
        }
        let limits = limits("{ eof_grace: 2s, kill_after: 1s }");
        let seconds = [limits.eof_grace, limits.kill_after].map(|limit| limit.unwrap().as_secs());
        assert_eq!(seconds, [2, 1]);
    }
}
