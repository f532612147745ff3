//! `mcpcol demo`: the main job in a few seconds. A real child MCP server behind `mcpcol stdio`, a
//! client that drives it (a failing and a slow tool among its calls), then the spans, a table, and one
//! call as a tree with the spans that the server handed back for it.
//!
//! It runs the same binary as a user would, in processes of their own; nothing is simulated.

mod client;
mod report;
mod telemetry;
mod server;
mod tree;

use std::fs;
use std::io::{self, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use serde_json::json;

use self::client::Client;

/// Arguments of `mcpcol demo`.
#[derive(clap::Args, Debug)]
pub(super) struct Demo {
    /// Rounds of calls, 4 to 100; the slow, the failing and the unknown tool come in the first four
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(4..=100))]
    rounds: u16,
    /// Keep the OTLP JSON lines here instead of deleting them
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

/// Spans shown one by one.
const SHOWN: usize = 12;

impl Demo {
    /// Runs the demo.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let scratch = Scratch::new()?;
        let file = scratch.0.join("spans.jsonl");
        let mut out = io::stdout().lock();
        writeln!(out, "An agent calls a real MCP server through the tap:\n")?;
        writeln!(out, "  mcpcol stdio --name demo-files -- mcpcol demo-server\n")?;
        let mut tap = start(&scratch.0, &file)?;
        let calls = drive(&mut tap, self.rounds)?;
        let status = tap.wait().context("cannot wait for the tap")?;
        if !status.success() {
            bail!("the tap ended with {status}");
        }
        let lines = fs::read_to_string(&file).context("the tap wrote no spans")?;
        let spans = report::read(&lines)?;
        let read = report::calls(&spans);
        let shown = read.len().min(SHOWN);
        writeln!(out, "{calls} tool calls, {} requests. The first {shown}:\n", read.len())?;
        writeln!(out, "{}", report::table(&read, SHOWN))?;
        writeln!(out, "Per tool:\n")?;
        writeln!(out, "{}", report::per_tool(&read))?;
        writeln!(
            out,
            "One call from inside: the tap asked the server for its spans (SEP-2448), the"
        )?;
        writeln!(out, "agent's answer is without them:\n")?;
        writeln!(out, "{}", tree::of(&spans, "tools/call build_report"))?;
        if let Some(keep) = &self.keep {
            fs::copy(&file, keep).with_context(|| format!("cannot write {}", keep.display()))?;
            writeln!(out, "OTLP JSON lines: {}", keep.display())?;
        }
        writeln!(out, "Put it in front of your own server: mcpcol stdio -- CMD ARG...")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Serves the demo's tools on stdin and stdout.
pub(super) fn serve() -> anyhow::Result<ExitCode> {
    server::serve(io::stdin().lock(), io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// The tap, as an agent's host would start it.
fn start(dir: &Path, spans: &Path) -> anyhow::Result<Child> {
    let config = dir.join("demo.yaml");
    let text = json!({
        "receivers": {"mcp_stdio": {
            "propagate": "inject", "passback": {"request": true, "detailed": true},
        }},
        "processors": {"digest": {"mode": "ephemeral"}},
        "exporters": {"file": {"path": spans}},
        "service": {"pipelines": {"traces": {
            "receivers": ["mcp_stdio"], "processors": ["digest"], "exporters": ["file"],
        }}},
    });
    // JSON is YAML, and needs no quoting by hand.
    fs::write(&config, text.to_string()).context("cannot write the demo's config")?;
    let mcpcol = std::env::current_exe().context("cannot find this program")?;
    Command::new(&mcpcol)
        .args(["stdio", "--name", "demo-files", "--config"])
        .arg(&config)
        .arg("--")
        .arg(&mcpcol)
        .arg("demo-server")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the tap")
}

/// Makes the calls; how many. Ends by closing the server's stdin, as a host does.
fn drive(tap: &mut Child, rounds: u16) -> anyhow::Result<usize> {
    let to = tap.stdin.take().context("the tap has no stdin")?;
    let from = BufReader::new(tap.stdout.take().context("the tap has no stdout")?);
    let trace_id: [u8; 16] = rand::random();
    let hex = trace_id.iter().map(|b| format!("{b:02x}")).collect();
    let mut client = Client::new(to, from, hex);
    client.initialize()?;
    let mut calls = 0;
    for round in 0..rounds {
        progress(round, rounds);
        let mut script = vec![
            ("search_files", json!({"query": format!("fn main {round}"), "limit": 20})),
            ("read_file", json!({"path": "src/main.rs"})),
        ];
        if round % 4 == 1 {
            script.push(("write_file", json!({"path": "src/main.rs", "text": "..."})));
        }
        if round % 4 == 2 {
            script.push(("build_report", json!({"title": "weekly"})));
        }
        if round == 3 {
            script.push(("no_such_tool", json!({})));
        }
        for (tool, arguments) in script {
            client.call(tool, arguments)?;
            calls += 1;
        }
    }
    progress(rounds, rounds);
    Ok(calls)
}

/// A line that replaces itself, on a terminal only.
fn progress(done: u16, all: u16) {
    let mut err = io::stderr();
    if err.is_terminal() {
        let end = if done == all { "\r\x1b[K" } else { "" };
        drop(write!(err, "\r  round {done} of {all}{end}"));
        drop(err.flush());
    }
}

/// A directory of our own that goes away with the demo.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let name = format!("mcpcol-demo-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Scratch(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
