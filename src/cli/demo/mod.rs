//! `mcpcol demo`: the main job in a few seconds. A real child MCP server behind `mcpcol stdio`, a
//! client that drives it (a failing and a slow tool among its calls), then the live lines, one span as it leaves,
//! what `stats` and `show` make of the record, and where the user's own spans will be.
//!
//! It runs the same binary as a user would, in processes of their own; nothing is simulated. No line is longer
//! than 80 columns, but for paths.

mod client;
mod live;
mod sample;
mod telemetry;
mod server;

use std::fs;
use std::io::{self, BufReader, IsTerminal, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use serde_json::json;

use self::client::Client;
use super::{show, state, stats};

/// Arguments of `mcpcol demo`.
#[derive(clap::Args, Debug)]
pub(super) struct Demo {
    /// Rounds of calls, 4 to 100; the slow, the failing and the unknown tool come in the first four
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(4..=100))]
    rounds: u16,
    /// Do not ask the server for its own spans: the same calls, seen from outside alone
    #[arg(long)]
    no_passback: bool,
    /// Keep the OTLP JSON lines here instead of deleting them
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

/// Counts the columns that every terminal has.
const WIDTH: usize = 80;

impl Demo {
    /// Runs the demo.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(keep) = &self.keep {
            fs::File::create(keep).with_context(|| format!("cannot write {}", keep.display()))?;
        }
        let scratch = Scratch::new()?;
        let file = scratch.0.join("spans.jsonl");
        let mut page = Page::stdout();
        page.heading("An agent calls a real MCP server through the tap:")?;
        page.text("  mcpcol stdio --name files -- mcpcol demo-server\n\n")?;
        let mut tap = start(&scratch.0, &file, !self.no_passback)?;
        let calls = drive(&mut tap, self.rounds)?;
        let status = tap.wait().context("cannot wait for the tap")?;
        if !status.success() {
            bail!("the tap ended with {status}");
        }
        let lines = fs::read_to_string(&file).context("the tap wrote no spans")?;
        page.spans(&lines, calls)?;
        page.record(&file, !self.no_passback)?;
        if let Some(keep) = &self.keep {
            fs::copy(&file, keep).with_context(|| format!("cannot write {}", keep.display()))?;
            page.text(&format!("All spans of the demo: {}\n", keep.display()))?;
        }
        page.your_own(state::expected().as_deref())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints the demo, in colours on a terminal.
struct Page {
    out: StdoutLock<'static>,
    colours: bool,
}

impl Page {
    fn stdout() -> Self {
        let out = io::stdout().lock();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Page { colours: wanted && out.is_terminal(), out }
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    fn heading(&mut self, text: &str) -> io::Result<()> {
        match self.colours {
            true => writeln!(self.out, "\x1b[1m{text}\x1b[0m\n"),
            false => writeln!(self.out, "{text}\n"),
        }
    }

    /// Shows what the tap wrote.
    fn spans(&mut self, lines: &str, calls: usize) -> anyhow::Result<()> {
        let (requests, live) = live::first_of_each(lines, self.colours, WIDTH - 2)?;
        let counts = format!("{calls} tool calls, {requests} requests");
        self.heading(&format!("{counts}. The lines of a terminal, the first of each:"))?;
        for line in live.lines() {
            writeln!(self.out, "  {line}")?;
        }
        self.heading("\nOne span as it leaves; of the arguments there is a keyed digest:")?;
        writeln!(self.out, "{}", sample::of(lines, "tools/call write_file", self.colours)?)?;
        Ok(())
    }

    /// Shows what the commands make of the record that read one.
    fn record(&mut self, file: &Path, asked: bool) -> anyhow::Result<()> {
        self.heading("What they come to (mcpcol stats):")?;
        writeln!(self.out, "{}", stats::of_file(file.to_owned(), self.colours)?)?;
        let (from, heading) = match asked {
            true => ("inside", "the server handed its spans back (SEP-2448)"),
            false => ("outside", "a black box, unless the server is asked for its spans"),
        };
        self.heading(&format!("One tool from {from}, {heading}:"))?;
        self.text("  mcpcol show SESSION --tool build_report\n\n")?;
        let session = show::of_file(file.to_owned(), "build_report", self.colours)?;
        writeln!(self.out, "{session}")?;
        Ok(())
    }

    /// Tells how a user goes on, and where spans will be: in the state directory `state`.
    fn your_own(&mut self, state: Option<&Path>) -> io::Result<()> {
        self.heading("Put it in front of your own server:")?;
        self.text("  mcpcol stdio -- CMD ARG...\n\n")?;
        let Some(state) = state else {
            return self.text("There is no directory for its spans here: say --record FILE.\n");
        };
        self.text("Its spans will be OTLP JSON lines, a file each time it runs, in\n\n")?;
        writeln!(self.out, "  {}\n", state.display())?;
        self.text("mcpcol stats, sessions and show SESSION read them. What it logs and does\n")?;
        self.text("wrong on the wire will be beside them: mcpcol logs -f\n")
    }
}

/// Serves the demo's tools on stdin and stdout.
pub(super) fn serve() -> anyhow::Result<ExitCode> {
    server::serve(io::stdin().lock(), io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// The tap, as an agent's host would start it; it asks for `passback` or leaves the server alone.
fn start(dir: &Path, spans: &Path, passback: bool) -> anyhow::Result<Child> {
    let config = dir.join("demo.yaml");
    let tap = match passback {
        true => json!({"propagate": "inject", "passback": {"request": true, "detailed": true}}),
        false => json!({}),
    };
    let text = json!({
        "receivers": {"mcp_stdio": tap},
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
        .args(["stdio", "--name", "files", "--record", "off", "--config"])
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
