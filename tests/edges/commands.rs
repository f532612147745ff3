//! The real binary's commands around a configuration: what `validate` finds and how it says it, whose complaint a
//! flag's is, and which configuration is used where none is named.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::mcpcol;
use crate::terminal::Terminal;

/// A home of its own, which is the working directory, too.
struct Home(TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and the directories that it needs.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = mcpcol(self.0.path());
        command.args(args).env("XDG_CONFIG_HOME", self.path("config"));
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    /// Validates text; what is wrong with it, `path: message` each.
    fn problems(&self, yaml: &str) -> (Option<i32>, Vec<String>) {
        let ran = self.run(&["validate", "--format", "json", &format!("yaml:{yaml}")]);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let problems = report["problems"].as_array().unwrap();
        let text = |problem: &Value, key: &str| problem[key].as_str().unwrap_or("").to_owned();
        let said = |problem| {
            let parts = ["path", "message", "hint"].map(|key| text(problem, key));
            format!("{}: {}; {}", parts[0], parts[1], parts[2])
        };
        (ran.code, problems.iter().map(said).collect())
    }
}

/// How a process ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Ran { code: output.status.code(), stdout, stderr }
    }
}

/// A configuration with these receivers and exporters, which are all used.
fn config(receivers: &str, exporters: &str) -> String {
    let ids = |section: &str| {
        let lines = section.lines().map(|line| line.split_once(": ").unwrap().0);
        lines.collect::<Vec<_>>().join(", ")
    };
    let indent = |text: &str| text.lines().map(|l| format!("  {l}\n")).collect::<String>();
    format!(
        "receivers:\n{}processors: {{ redaction: {{}} }}\nexporters:\n{}service:\n  pipelines:\n    traces: {{ \
         receivers: [{}], processors: [redaction], exporters: [{}] }}\n",
        indent(receivers),
        indent(exporters),
        ids(receivers),
        ids(exporters)
    )
}

const HTTP: &str = "routes: [{ upstream: \"http://localhost:3001/mcp\" }]";

#[test]
fn two_receivers_cannot_have_one_port() {
    let home = Home::new();
    for (receivers, at) in [
        (
            "otlp: { protocols: { grpc: {} } }\notlp/two: { protocols: { grpc: {} } }".to_owned(),
            "receivers::otlp/two::protocols::grpc::endpoint: ",
        ),
        (
            format!(
                "otlp: {{ protocols: {{ http: {{ endpoint: 0.0.0.0:8931 }} }} }}\nmcp_http: {{ endpoint: \
                 localhost:8931, {HTTP} }}"
            ),
            "receivers::mcp_http::endpoint: ",
        ),
        (
            "otlp: { protocols: { grpc: { endpoint: \"127.0.0.1:4317\" }, http: { endpoint: localhost:4317 } } }"
                .to_owned(),
            "receivers::otlp::protocols::http::endpoint: ",
        ),
    ] {
        let (code, found) = home.problems(&config(&receivers, "nop: {}"));
        let clash: Vec<_> = found.iter().filter(|said| said.contains("listens there")).collect();
        assert_eq!((code, clash.len()), (Some(1), 1), "{receivers}\n{found:?}");
        assert!(clash[0].starts_with(at), "{clash:?}");
    }
    let free = format!(
        "otlp: {{ protocols: {{ grpc: {{ endpoint: \"localhost:0\" }}, http: {{ endpoint: \"localhost:0\" }} }} }}\n\
         mcp_http: {{ {HTTP} }}"
    );
    assert_eq!(home.problems(&config(&free, "nop: {}")), (Some(0), vec![]));
}

#[test]
fn two_exporters_cannot_have_one_file() {
    let home = Home::new();
    let otlp = "otlp: { protocols: { grpc: {} } }";
    fs::create_dir(home.path("in")).unwrap();
    std::os::unix::fs::symlink(home.path("in"), home.path("link")).unwrap();
    home.write("in/there", "");
    fs::hard_link(home.path("in/there"), home.path("twin")).unwrap();
    for (one, other) in [
        ("in/a", "in/a"),
        ("in/a", "./in/../in/a"),
        ("in/a", "link/a"),
        ("in/there", "link/there"),
        ("in/there", "twin"),
        ("a", "a.2"),
        ("a.2", "a"),
    ] {
        let exporters = format!(
            "file: {{ path: \"{one}\", rotation: {{ max_backups: 2 }} }}\nfile/two: {{ path: \"{other}\", rotation: \
             {{ max_backups: 2 }} }}"
        );
        let (code, found) = home.problems(&config(otlp, &exporters));
        assert_eq!((code, found.len()), (Some(1), 1), "{one} {other}: {found:?}");
        assert!(found[0].starts_with("exporters::file/two::path: `exporters::file` writes"));
    }
    for (one, other) in [("in/a", "in/b"), ("a", "a.3"), ("/dev/null", "/dev/null")] {
        let exporters = format!(
            "file: {{ path: \"{one}\", rotation: {{ max_backups: 2 }} }}\nfile/two: {{ path: \"{other}\" }}"
        );
        assert_eq!(home.problems(&config(otlp, &exporters)), (Some(0), vec![]), "{one} {other}");
    }
}

#[test]
fn what_run_would_refuse_is_found() {
    let home = Home::new();
    home.write("plain", "");
    fs::create_dir(home.path("dir")).unwrap();
    let otlp = "otlp: { protocols: { grpc: {} } }";
    let tls = |path: &str, ca: &str| {
        format!("{path}: {{ tls: {{ cert_file: no/cert, key_file: no/key, {ca}: no/ca }} }}")
    };
    for (receivers, exporters, paths) in [
        ("mcp_http: {}", "nop: {}", &["receivers::mcp_http::routes"][..]),
        (
            "mcp_stdio: { command: npx -y some-server }",
            "nop: {}",
            &["receivers::mcp_stdio::command"],
        ),
        ("mcp_stdio: { command: cat, cwd: no/where }", "nop: {}", &["receivers::mcp_stdio::cwd"]),
        (otlp, "file: { path: dir }", &["exporters::file::path"]),
        (otlp, "file: { path: new/, create_directory: true }", &["exporters::file::path"]),
        (otlp, "file: { path: plain/a, create_directory: true }", &["exporters::file::path"]),
        (
            otlp,
            "otlp_grpc: { endpoint: \"https://h:1\", tls: { cert_file: no/cert, key_file: no/key, ca_file: no/ca } }",
            &[
                "exporters::otlp_grpc::tls::ca_file",
                "exporters::otlp_grpc::tls::cert_file",
                "exporters::otlp_grpc::tls::key_file",
            ],
        ),
        (
            &format!("otlp: {{ protocols: {{ {} }} }}", tls("grpc", "client_ca_file")),
            "nop: {}",
            &[
                "receivers::otlp::protocols::grpc::tls::cert_file",
                "receivers::otlp::protocols::grpc::tls::client_ca_file",
                "receivers::otlp::protocols::grpc::tls::key_file",
            ],
        ),
    ] {
        let (code, mut found) = home.problems(&config(receivers, exporters));
        found.sort();
        let at: Vec<_> = found.iter().map(|said| said.split(": ").next().unwrap()).collect();
        assert_eq!((code, at.as_slice()), (Some(1), paths), "{found:?}");
    }
}

#[test]
fn a_file_is_validated_by_either_spelling_and_in_either_form() {
    let home = Home::new();
    let good = config("otlp: { protocols: { grpc: {} } }", "nop: {}");
    let good = home.write("good.yaml", &good);
    for args in [
        &["validate", &good][..],
        &["validate", "--config", &good],
        &["validate", "--strict", &good],
    ] {
        let ran = home.run(args);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    }
    assert_eq!(home.run(&["validate", &good, "--config", &good]).code, Some(2));

    // Each file by itself: together these would have one receiver.
    let other = home.write("other.yaml", &config("otlp: { protocols: { http: {} } }", "nop: {}"));
    let bad = home.write("bad.yaml", "receivers: {}\n");
    assert_eq!(home.run(&["validate", &good, &other]).code, Some(0));
    assert_eq!(home.run(&["validate", &good, &bad]).code, Some(1));

    let text = config("otlp: { protocols: { grpc: {} } }", "nop: {}")
        .replace("nop: {}", "nop: {}\n  debug: {}");
    let warned = home.write("warned.yaml", &text);
    assert_eq!(home.run(&["validate", &warned]).code, Some(0));
    assert_eq!(home.run(&["validate", "--strict", &warned]).code, Some(1));
    for (strict, code) in [(&[][..], 0), (&["--strict"], 1)] {
        let ran = home.run(&[&["validate", &warned, "--format", "json"], strict].concat());
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""));
        let expected = serde_json::json!({
            "version": 1,
            "valid": code == 0,
            "problems": [{
                "file": warned, "line": 6, "col": 3, "path": "exporters::debug", "severity": "warning",
                "message": "is defined but no pipeline uses it", "hint": null,
            }],
        });
        assert_eq!(report, expected);
    }
    let ran = home.run(&["validate", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &report["problems"][0]["line"]), (Some(1), &Value::Null));
}

#[test]
fn a_terminal_is_told_that_all_is_well() {
    let home = Home::new();
    let good = home.write("good.yaml", &config("otlp: { protocols: { grpc: {} } }", "nop: {}"));
    let mut terminal = Terminal::new();
    let stderr = terminal.open.try_clone().unwrap();
    assert!(home.command(&["validate", &good]).stderr(stderr).status().unwrap().success());
    let mut said = [0; 1024];
    let read = terminal.keys.read(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said[..read]).into_owned();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("valid") && said.contains("good.yaml"), "{said}");
}

#[test]
fn what_a_flag_says_wrong_is_told_of_the_flag_and_once() {
    let home = Home::new();
    let http = home.write("http.yaml", &config(&format!("mcp_http: {{ {HTTP} }}"), "nop: {}"));
    let bare = "receivers: { mcp_stdio: {} }\nexporters: { nop: {} }\nservice: { pipelines: { traces: { receivers: \
                [mcp_stdio], exporters: [nop] } } }\n";
    let bare = home.write("bare.yaml", bare);
    fs::create_dir(home.path("dir")).unwrap();
    let upstream = ["--upstream", "http://localhost:1/mcp"];
    for (flags, said) in [
        (&["--listen", "8941"][..], "--listen: is host and port, such as `localhost:8931`"),
        (
            &["--listen", "0.0.0.0:0"],
            "--listen: is reachable from elsewhere: say in `--allowed-host`",
        ),
        (&["--allowed-host", "a b"], "--allowed-host: `a b` is not a host"),
        (&["--name", "https://h/x"], "--name (MCPCOL_NAME): must have"),
        (&["--record", "dir"], "--record: is a directory"),
        (&["--upstream", "localhost:3001"], "--upstream: needs its scheme"),
    ] {
        for config in [&[][..], &["--config", &http]] {
            let upstream = if flags[0] == "--upstream" { &[][..] } else { &upstream };
            let args = [&["http"][..], config, upstream, flags].concat();
            let mut command = home.command(&args);
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:1");
            let ran = Ran::from(command.output().unwrap());
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{args:?}");
            assert!(ran.stderr.starts_with(&format!("mcpcol: {said}")), "{args:?}\n{}", ran.stderr);
            assert_eq!(ran.stderr.lines().count(), 1, "{args:?}\n{}", ran.stderr);
        }
    }
    let ran = home.run(&["stdio", "--config", &bare, "--capture", "arguments=redacted", "cat"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.starts_with("mcpcol: --capture (MCPCOL_CAPTURE): captures content"),
        "{ran:?}"
    );
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    let ran = home.run(&["stdio", "--name", "https://h/x", "true"]);
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(0), 1), "{ran:?}");
    assert!(ran.stderr.starts_with("mcpcol: --name (MCPCOL_NAME): is not used"), "{ran:?}");
    let ran =
        home.run(&["http", "--config", &home.write("e.yaml", &config("mcp_http: {}", "nop: {}"))]);
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(1), 1));
    assert!(ran.stderr.contains("--upstream URL"), "{ran:?}");
}

#[test]
fn what_the_environment_says_wrong_does_not_hide_behind_what_is_set() {
    let home = Home::new();
    let mut command = home.command(&["stdio", "--set", "exporters::nop::x=1", "--", "cat"]);
    command.env("MCPCOL_OTLP_ENDPOINT", "nonsense://x");
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("--set:1:"), "{}", ran.stderr);
    command = home.command(&["stdio", "--set", "service::shutdown_timeout=1s", "--", "cat"]);
    command.env("MCPCOL_OTLP_ENDPOINT", "nonsense://x");
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        !ran.stderr.contains("yaml:") && ran.stderr.contains("MCPCOL_OTLP_ENDPOINT: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_servers_command_line_needs_no_dashes_before_it() {
    let home = Home::new();
    let words = ["sh", "-c", "printf '%s|' \"$0\" \"$@\"", "--name", "x", "--", "-y", "--config"];
    for before in [
        &["stdio"][..],
        &["stdio", "--"],
        &["stdio", "--name", "n"],
        &["stdio", "--name", "n", "--"],
    ] {
        let ran = home.run(&[before, &words].concat());
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), "--name|x|--|-y|--config|"),
            "{before:?} {ran:?}"
        );
    }
    let ran = home.run(&["stdio", "--confg", "x", "cat"]);
    assert_eq!(ran.code, Some(2), "what is no flag is not taken for a server: {ran:?}");
    let ran = home.run(&["stdio", "cat -n"]);
    assert_eq!(ran.code, Some(127));
    assert!(ran.stderr.contains("words of their own"), "{ran:?}");
}

/// A configuration for stdio taps whose spans go to this file.
fn tapping(file: &Path) -> String {
    config("mcp_stdio: {}", &format!("file: {{ path: \"{}\" }}", file.display()))
}

const CALL: &str =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}\n";
const SERVER: &str = "read -r line; echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}'";

/// Runs one call through `mcpcol stdio` with this environment.
fn tap(home: &Home, env: &[(&str, &str)]) -> Ran {
    let mut command = home.command(&["stdio", "sh", "-c", SERVER]);
    command.envs(env.iter().copied()).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), CALL.as_bytes()).unwrap();
    Ran::from(child.wait_with_output().unwrap())
}

#[test]
fn a_tap_takes_the_configuration_that_is_found_where_it_is_meant_for_taps() {
    let home = Home::new();
    let spans =
        |name: &str| fs::read_to_string(home.path(name)).unwrap_or_default().lines().count();
    // Never the working directory's.
    home.write("config.yaml", "nonsense");
    home.write("mcpcol/config.yaml", "nonsense");
    let ran = tap(&home, &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));

    home.write("config/mcpcol/config.yaml", &tapping(&home.path("found")));
    let ran = tap(&home, &[]);
    assert_eq!((ran.code, ran.stderr.as_str(), spans("found")), (Some(0), "", 1));

    let named = home.write("named.yaml", &tapping(&home.path("named")));
    let ran = tap(&home, &[("MCPCOL_CONFIG", &named)]);
    assert_eq!((ran.code, spans("found"), spans("named")), (Some(0), 1, 1));
    tap(&home, &[("MCPCOL_CONFIG", "")]);
    assert_eq!((spans("found"), spans("named")), (2, 1), "an empty one is none");

    // A gateway's, with a secret that taps do not have.
    let gateway =
        config("otlp: { protocols: { grpc: {} } }", "otlp_grpc: { endpoint: \"${env:NOPE}\" }");
    let file = home.write("config/mcpcol/config.yaml", &gateway);
    let ran = tap(&home, &[]);
    let said =
        format!("mcpcol: {file} is not used: it has no mcp_stdio receiver in its pipelines\n");
    assert_eq!((ran.code, ran.stderr, ran.stdout.lines().count()), (Some(0), said, 1));
    let ran = tap(&home, &[("MCPCOL_CONFIG", &file)]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "a named one is not passed over");
    let ran = home.run(&["http", "--upstream", "http://localhost:1/mcp", "--listen", "8941"]);
    let said =
        format!("mcpcol: {file} is not used: it has no mcp_http receiver in its pipelines\n");
    assert!(ran.stderr.starts_with(&said) && ran.stderr.lines().count() == 2, "{ran:?}");
}

#[test]
fn print_config_says_where_it_is_from() {
    let home = Home::new();
    let ran = home.run(&["print-config"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("config/mcpcol/config.yaml"), "{ran:?}");
    assert!(ran.stderr.contains("built in"), "{ran:?}");

    let file = home.write("config/mcpcol/config.yaml", "exporters: { nop: {} }");
    for (args, env, said) in [
        (&[][..], "", format!("# configuration from {file}, found there\n")),
        (&[], "yaml:a: b", "# configuration from yaml:, named by MCPCOL_CONFIG\n".to_owned()),
        (
            &["--config", &file, "--set", "a=b"],
            "yaml:a: b",
            format!("# configuration from {file}, named on the command line, with --set on top\n"),
        ),
    ] {
        let mut command = home.command(&[&["print-config"], args].concat());
        let ran = Ran::from(command.env("MCPCOL_CONFIG", env).output().unwrap());
        assert!(ran.code == Some(0) && ran.stdout.starts_with(&said), "{said} {ran:?}");
        assert_eq!(ran.stderr, "");
    }
    let ran = home.run(&["print-config", "--format", "json"]);
    serde_json::from_str::<Value>(&ran.stdout).unwrap();
    assert!(ran.stderr.contains("found there"), "{ran:?}");
    assert_eq!(home.run(&["validate"]).code, Some(1), "it was found, and runs nothing");
}

#[test]
fn spans_say_where_they_were_made() {
    let home = Home::new();
    home.write("config/mcpcol/config.yaml", &tapping(&home.path("spans")));
    let resource = |env: &[(&str, &str)]| -> Vec<(String, String)> {
        fs::remove_file(home.path("spans")).ok();
        assert_eq!(tap(&home, env).code, Some(0));
        let line: Value =
            serde_json::from_str(&fs::read_to_string(home.path("spans")).unwrap()).unwrap();
        let attributes = line["resourceSpans"][0]["resource"]["attributes"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        attributes.iter().map(|a| (text(&a["key"]), text(&a["value"]["stringValue"]))).collect()
    };
    let of = |all: &[(String, String)], key: &str| {
        let found: Vec<_> = all.iter().filter(|(known, _)| known == key).collect();
        assert!(found.len() < 2, "{key} stands twice");
        found.first().map(|(_, value)| value.clone())
    };
    let plain = resource(&[]);
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    assert_eq!(of(&plain, "host.name"), Some(host));
    assert_eq!(of(&plain, "service.name").as_deref(), Some("mcpcol"));
    let instance = of(&plain, "service.instance.id").unwrap();
    assert_eq!(instance.len(), 36, "redaction leaves it: {instance}");
    assert_ne!(
        of(&resource(&[]), "service.instance.id").unwrap(),
        instance,
        "each process has its own"
    );

    let said = "deployment.environment.name=a%2Cb, host.name=named,service.name=among";
    let with = resource(&[("OTEL_RESOURCE_ATTRIBUTES", said)]);
    assert_eq!(of(&with, "deployment.environment.name").as_deref(), Some("a,b"));
    assert_eq!(of(&with, "host.name").as_deref(), Some("named"));
    let with = resource(&[("OTEL_RESOURCE_ATTRIBUTES", said), ("OTEL_SERVICE_NAME", "agent")]);
    assert_eq!(of(&with, "service.name").as_deref(), Some("mcpcol"));

    let ran = tap(&home, &[("OTEL_RESOURCE_ATTRIBUTES", "a=1,b")]);
    assert!(ran.stderr.contains("OTEL_RESOURCE_ATTRIBUTES is not used: an entry"), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
}
