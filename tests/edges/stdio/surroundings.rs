//! The real binary as a stdio tap where something around it is missing: a home, a backend, a disk. The
//! server runs, nothing of ours is in other people's places, and stderr has one line about it.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions, TryLockError};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::origin::Nobody;
use crate::process::{MCPCOL, eventually, mcpcol, piped, text};
use crate::spans::record_in;

/// Calls of a session: several batches of the tap.
const CALLS: usize = 300;

/// A folder with a home and a temporary directory, and a server in it.
struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Place {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        fs::create_dir(root.path().join("tmp")).unwrap();
        fs::set_permissions(root.path().join("tmp"), Permissions::from_mode(0o1777)).unwrap();
        // Answers each line, has a line of its own for stderr, and ends with its input.
        let server = "echo mine >&2; while read -r line; do id=${line##*:}; \
                      echo \"{\\\"jsonrpc\\\":\\\"2.0\\\",\\\"id\\\":${id%\\}},\\\"result\\\":{}}\"; done; exit 7";
        fs::write(root.path().join("weather.sh"), server).unwrap();
        Place { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A tap of the server, with what `config` says or without a configuration.
    fn tap(&self, config: Option<&str>) -> Command {
        let mut command = mcpcol(&self.path("home"));
        command.arg("stdio").env("TMPDIR", self.path("tmp"));
        if let Some(config) = config {
            fs::write(self.path("config.yaml"), config).unwrap();
            command.arg("--config").arg(self.path("config.yaml"));
        }
        command.args(["--", "sh"]).arg(self.path("weather.sh"));
        command
    }
}

fn call(tap: &mut Child, from: &mut BufReader<ChildStdout>, id: usize) {
    let line = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":{id}}}\n");
    tap.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    let mut answer = String::new();
    from.read_line(&mut answer).unwrap();
    assert!(answer.contains("result"), "{answer}");
}

/// Runs a session of so many calls; what stands on stderr beside the server's own line.
fn session(mut tap: Command, calls: usize) -> Vec<String> {
    let mut tap = tap.spawn().unwrap();
    let mut from = BufReader::new(tap.stdout.take().unwrap());
    (0..calls).for_each(|id| call(&mut tap, &mut from, id));
    drop(tap.stdin.take());
    let output = tap.wait_with_output().unwrap();
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{talk}");
    let (mine, ours): (Vec<_>, Vec<_>) = talk.lines().partition(|line| *line == "mine");
    assert_eq!(mine.len(), 1, "{talk}");
    ours.into_iter().map(str::to_owned).collect()
}

fn exporting(exporter: &str) -> String {
    let id = exporter.split(':').next().unwrap();
    format!(
        "receivers: {{ mcp_stdio: {{}} }}\nexporters:\n  {exporter}\n\
         service:\n  pipelines:\n    traces: {{ receivers: [mcp_stdio], exporters: [{id}] }}\n"
    )
}

#[test]
fn a_backend_that_is_away_is_one_line_a_session_with_every_span_counted() {
    let nobody = Nobody::new();
    let port = nobody.port;
    // Many small batches are held at the end.
    let queue = "sending_queue: { batch: { min_size: 0, max_size: 5, sizer: items } }";
    let full = "sending_queue: { queue_size: 1, num_consumers: 1 }";
    let rotated = "rotation: { max_megabytes: 1, max_backups: 1 }";
    for (exporter, words) in [
        (
            format!(
                "otlp_grpc: {{ endpoint: \"127.0.0.1:{port}\", tls: {{ insecure: true }}, {queue} }}"
            ),
            "onnect",
        ),
        (
            format!(
                "otlp_grpc: {{ endpoint: \"127.0.0.1:{port}\", tls: {{ insecure: true }}, {full} }}"
            ),
            "onnect",
        ),
        (format!("otlp_http: {{ endpoint: \"http://127.0.0.1:{port}\", {queue} }}"), "onnect"),
        (
            format!("zipkin: {{ endpoint: \"http://127.0.0.1:{port}/api/v2/spans\", {queue} }}"),
            "onnect",
        ),
        (
            format!(
                "file: {{ path: /proc/no/such/spans.jsonl, create_directory: true, {rotated} }}"
            ),
            "/proc/no/such",
        ),
    ] {
        let place = Place::new();
        let talk = session(place.tap(Some(&exporting(&exporter))), CALLS);
        assert_eq!(talk.len(), 1, "{exporter}:\n{}", talk.join("\n"));
        let counted = format!("received={CALLS} sent=0 dropped={CALLS} (");
        assert!(talk[0].contains(&counted) && talk[0].contains(words), "{exporter}: {}", talk[0]);
        assert!(talk[0].contains(" WARN ") && talk[0].contains("held=0"), "{}", talk[0]);
    }
}

#[test]
fn a_state_directory_that_cannot_be_written_is_said_once_and_the_next_one_is_used() {
    let place = Place::new();
    let mut tap = place.tap(None);
    tap.env("XDG_STATE_HOME", "/proc/no/such");
    let talk = session(tap, 3);
    assert_eq!(talk.len(), 1, "{talk:?}");
    assert!(talk[0].contains("/proc/no/such/mcpcol: "), "{}", talk[0]);
    let dir = place.path("home/.local/state/mcpcol");
    assert!(talk[0].ends_with(&format!("using {} instead", dir.display())), "{}", talk[0]);
    assert!(record_in(&dir).is_some());
}

#[test]
fn what_is_not_utf_8_around_a_tap_is_said_once_and_the_server_runs() {
    let ours = "http://127.0.0.1:1";
    for (variable, beside, said) in [
        ("XDG_STATE_HOME", None, "its path is not UTF-8; using "),
        ("XDG_CONFIG_HOME", None, ""),
        ("MCPCOL_NAME", None, "mcpcol: MCPCOL_NAME is not used: it is not UTF-8"),
        ("MCPCOL_CAPTURE", None, "mcpcol: MCPCOL_CAPTURE is not used: it is not UTF-8"),
        ("MCPCOL_DIGEST_KEY", None, "mcpcol: MCPCOL_DIGEST_KEY is not used: it is not UTF-8"),
        (
            "MCPCOL_OTLP_ENDPOINT",
            Some(("OTEL_EXPORTER_OTLP_ENDPOINT", ours)),
            "mcpcol: MCPCOL_OTLP_ENDPOINT is not used: it is not UTF-8",
        ),
        ("OTEL_RESOURCE_ATTRIBUTES", None, "OTEL_RESOURCE_ATTRIBUTES is not used: "),
    ] {
        let place = Place::new();
        let mut tap = place.tap(None);
        tap.envs(beside).env(variable, OsStr::from_bytes(b"/\xff\xfe"));
        let talk = session(tap, 3);
        let count = usize::from(!said.is_empty());
        assert_eq!(talk.len(), count, "{variable}: {talk:?}");
        assert!(talk.iter().all(|line| line.contains(said)), "{variable}: {talk:?}");
        assert!(record_in(&place.path("home/.local/state/mcpcol")).is_some(), "{variable}");
    }
}

/// The `.jsonl` files below a directory, by name: how many lines each has.
fn lines_in(dir: &Path) -> Vec<(String, usize)> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap().lines().count())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn the_local_record_is_kept_beside_a_backend_that_is_away() {
    let place = Place::new();
    let (mut tap, nobody) = (place.tap(None), Nobody::new());
    tap.env("MCPCOL_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", nobody.port));
    let talk = session(tap, 3);
    assert!(talk.iter().all(|line| line.contains("otlp_http")), "{talk:?}");
    let files = lines_in(&place.path("home/.local/state/mcpcol"));
    let [spans, logs] = &files[..] else { panic!("{files:?}") };
    assert!(spans.0.ends_with(".jsonl") && logs.0.ends_with(".logs.jsonl"), "{files:?}");
    assert!(spans.1 > 0 && logs.1 > 0, "{files:?}");
}

#[test]
fn the_local_record_is_where_the_command_line_says_with_a_configuration_too() {
    for config in [None, Some(exporting("nop: {}"))] {
        for record in ["$x-1.jsonl", "off"] {
            let place = Place::new();
            let tap = place.tap(config.as_deref());
            let mut with = Command::new(tap.get_program());
            with.args(["stdio", "--record", record]).args(tap.get_args().skip(1)).env_clear();
            with.envs(tap.get_envs().filter_map(|(name, value)| Some((name, value?))));
            with.current_dir(place.path("home"));
            piped(&mut with);
            assert_eq!(session(with, 3), [""; 0]);
            let files = lines_in(&place.path("home"));
            let names: Vec<&str> = files.iter().map(|(name, _)| &**name).collect();
            match record {
                "off" => assert_eq!(names, [""; 0]),
                _ => assert!(names.contains(&record) && files[names.len() - 1].1 > 0, "{files:?}"),
            }
            assert_eq!(lines_in(&place.path("home/.local/state/mcpcol")), []);
        }
    }
}

/// As a user of whom the password database knows nothing.
#[test]
fn without_a_home_spans_go_to_a_directory_that_is_closed_to_others() {
    const NOBODY: u32 = 54_321;
    let place = Place::new();
    let mut tap = place.tap(None);
    tap.env_remove("HOME").uid(NOBODY).gid(NOBODY);
    let Ok(mut probe) =
        Command::new(MCPCOL).arg("--version").stdout(Stdio::null()).uid(NOBODY).spawn()
    else {
        return; // Only root can be somebody else, and only if they may come here.
    };
    probe.wait().unwrap();
    assert_eq!(session(tap, 3), [""; 0]);
    let dir = place.path("tmp").join(format!("mcpcol-{NOBODY}"));
    let found = fs::symlink_metadata(&dir).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o777), (NOBODY, 0o700));
    let file = record_in(&dir).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);

    // Somebody else was there before: nothing of ours goes through their link.
    let place = Place::new();
    std::os::unix::fs::symlink(
        place.path("home"),
        place.path("tmp").join(format!("mcpcol-{NOBODY}")),
    )
    .unwrap();
    let mut tap = place.tap(None);
    tap.env_remove("HOME").uid(NOBODY).gid(NOBODY);
    let talk = session(tap, 3);
    assert_eq!(talk.len(), 1, "{talk:?}");
    assert!(talk[0].contains("there is no place for spans and keys"), "{}", talk[0]);
    assert_eq!(fs::read_dir(place.path("home")).unwrap().count(), 0);
}

#[test]
fn a_running_taps_file_has_a_name_of_its_own_and_is_locked() {
    let place = Place::new();
    let mut tap = place.tap(None).spawn().unwrap();
    let mut from = BufReader::new(tap.stdout.take().unwrap());
    call(&mut tap, &mut from, 1);
    let dir = place.path("home/.local/state/mcpcol");
    let has_spans = |file: &PathBuf| fs::metadata(file).unwrap().len() > 0;
    eventually("it has spans", || record_in(&dir).is_some_and(|file| has_spans(&file)));
    let file = record_in(&dir).unwrap();
    let opened = File::open(&file).unwrap();
    assert!(matches!(opened.try_lock(), Err(TryLockError::WouldBlock)));
    let pid = tap.id();
    drop(tap.stdin.take());
    tap.wait_with_output().unwrap();
    assert!(opened.try_lock().is_ok(), "its end unlocks it");
    let name = file.file_stem().unwrap().to_str().unwrap();
    let unique = name.strip_prefix(&format!("weather-{pid}-")).unwrap();
    assert!(unique.len() == 8 && unique.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
}

/// A receiver that listens raises the limit of descriptors for itself; programs that use `select` fail with more.
#[test]
fn a_server_has_the_limit_of_descriptors_that_the_tap_began_with() {
    let place = Place::new();
    let config = "receivers:\n  \
        otlp: { protocols: { http: { endpoint: '127.0.0.1:0' } } }\n  \
        mcp_http: { endpoint: '127.0.0.1:0', routes: [{ upstream: 'http://127.0.0.1:9' }] }\n  \
        mcp_stdio: { command: sh, args: [-c, \"ulimit -Sn; grep 'open files' /proc/$$PPID/limits\"] }\n\
        exporters: { file: { path: spans.jsonl } }\n\
        service: { pipelines: { traces: { receivers: [otlp, mcp_http, mcp_stdio], exporters: [file] } } }\n";
    fs::write(place.path("config.yaml"), config).unwrap();
    let output = Command::new("sh")
        .args(["-c", "ulimit -Sn 200; exec \"$@\"", "-", MCPCOL, "run", "--config"])
        .arg(place.path("config.yaml"))
        .current_dir(place.root.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (talk, said) = (text(&output.stderr), text(&output.stdout));
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("200"), "{talk}");
    if let Some(ours) = lines.next() {
        let ours: Vec<_> = ours.split_whitespace().collect();
        assert_eq!(ours[3], ours[4], "ours is as high as it may be");
    }
}
