//! Compares what the commands say of taps of real servers that official clients drive, beside what those servers were asked. Needs
//! what `scripts/peers stdio` installs, therefore ignored in plain `cargo test`; CI runs these with `--ignored`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::common::{Driver, bin, signal};

/// How often each method, and of `tools/call` each tool, was asked for.
type Asked = BTreeMap<(String, String), u64>;

fn mcpcol(state: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcpcol"));
    command.args(args).env("XDG_STATE_HOME", state).env("HOME", state).output().unwrap()
}

fn json(state: &Path, args: &[&str]) -> Value {
    let output = mcpcol(state, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Drives a server through a tap of that name. What comes to the server is written to a file before it.
fn drive(driver: Driver, script: &str, state: &Path) {
    let record = |variable: &str| format!("{variable}={}", state.display());
    let asked = state.join(format!("{script}.asked"));
    let server = bin(&format!("mcp-server-{script}"));
    let more = match script {
        "everything" => "stdio",
        "filesystem" => "{dir}",
        _ => "",
    };
    let line = format!("tee '{}' | exec '{}' {more}", asked.display(), server.display());
    let tap = [env!("CARGO_BIN_EXE_mcpcol"), "stdio", "--name", script, "--", "sh", "-c", &line];
    let env = ["env".to_owned(), record("XDG_STATE_HOME"), record("HOME")];
    let to: Vec<String> =
        ["--".to_owned()].into_iter().chain(env).chain(tap.map(str::to_owned)).collect();
    driver.drive(script, &to);
}

/// Reads what a server was asked, apart from mcpcol.
fn asked(state: &Path, script: &str) -> Asked {
    let mut asked = Asked::new();
    for line in fs::read_to_string(state.join(format!("{script}.asked"))).unwrap().lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        let Some(method) = message["method"].as_str().filter(|_| !message["id"].is_null()) else {
            continue;
        };
        let tool = match method {
            "tools/call" => message["params"]["name"].as_str().unwrap(),
            _ => "",
        };
        *asked.entry((method.to_owned(), tool.to_owned())).or_default() += 1;
    }
    asked
}

#[test]
#[ignore = "needs the peers of scripts/peers"]
fn commands_tell_what_the_servers_behind_three_taps_were_asked() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path();
    let mut tail = Command::new(env!("CARGO_BIN_EXE_mcpcol"))
        .args(["tail", "--format", "json"])
        .envs([("XDG_STATE_HOME", state), ("HOME", state)])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| drive(Driver::TypeScript, "everything", state));
        scope.spawn(|| drive(Driver::PythonLegacy, "filesystem", state));
        scope.spawn(|| drive(Driver::PythonAuto, "memory", state));
    });
    signal(tail.id(), "TERM");
    let mut shown = String::new();
    tail.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert_eq!(tail.wait().unwrap().code(), Some(0));
    let stats = json(state, &["stats", "--by", "tool", "--format", "json"]);
    let sessions = json(state, &["sessions", "--format", "json"]);
    for server in ["everything", "filesystem", "memory"] {
        let expected = asked(state, server);
        assert!(expected.len() > 5, "{server}: {expected:?}");
        let rows = stats["rows"].as_array().unwrap().iter().filter(|row| row["server"] == server);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let told: Asked = rows
            .map(|row| {
                let tool = text(&row["tool"]);
                let method =
                    if tool.is_empty() { text(&row["method"]) } else { "tools/call".to_owned() };
                ((method, tool), row["count"].as_u64().unwrap())
            })
            .collect();
        for (what, times) in &expected {
            assert_eq!(told.get(what), Some(times), "{server}: {what:?} of {told:?}");
        }
        // What is told besides is what the server asked its client.
        let besides: u64 =
            told.iter().filter(|(what, _)| !expected.contains_key(*what)).map(|(_, n)| n).sum();
        let all: u64 = expected.values().sum::<u64>() + besides;
        let of_it = |row: &&Value| row["server"] == server;
        let session = sessions["rows"].as_array().unwrap().iter().find(of_it).unwrap();
        assert_eq!(session["count"].as_u64(), Some(all), "{session}");
        let id = session["session"].as_str().unwrap();
        let page = mcpcol(state, &["show", id, "--format", "json"]);
        let page = String::from_utf8(page.stdout).unwrap();
        for (_, tool) in expected.keys().filter(|(method, _)| method == "tools/call") {
            assert!(page.contains(tool.as_str()), "{tool} is not in\n{page}");
        }
        // It begins with what comes once it has found the tap.
        let lines = shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let live = lines.filter(|call| call["server"] == server).count() as u64;
        assert!(0 < live && live <= all, "{server}: {live} of {all}");
    }
    assert_eq!(sessions["rows"].as_array().unwrap().len(), 3);
    assert!(mcpcol(state, &["logs"]).status.success());
    let pending = mcpcol(state, &["tail", "--pending"]);
    assert!(pending.stdout.is_empty() && pending.status.success());
}
