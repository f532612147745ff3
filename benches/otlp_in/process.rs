//! The servers of the bench, each a process: how they are started, found and ended, and their CPU time.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

/// A running server.
pub(crate) struct Server {
    child: Child,
    grpc: String,
    http: String,
    floor: bool,
    _config: Option<tempfile::NamedTempFile>,
}

impl Server {
    /// This program as the bare sink.
    pub(crate) fn sink() -> anyhow::Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("sink").stderr(Stdio::piped()).spawn()?;
        let mut talk = BufReader::new(child.stderr.take().context("stderr is a pipe")?);
        let grpc = listening(&mut talk, "gRPC")?;
        Ok(Server { child, grpc, http: String::new(), floor: true, _config: None })
    }

    /// The real thing, with these processors.
    pub(crate) fn mcpcol(processors: &str) -> anyhow::Result<Server> {
        let mut config = tempfile::Builder::new().suffix(".yaml").tempfile()?;
        write!(
            config,
            "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0' }}, \
             http: {{ endpoint: '127.0.0.1:0' }} }} }} }}\n\
             processors: {{ digest: {{ mode: ephemeral }} }}\nexporters: {{ nop: {{}} }}\n\
             service: {{ pipelines: {{ traces: {{ receivers: [otlp], processors: {processors}, \
             exporters: [nop] }} }} }}\n"
        )?;
        let given = std::env::var("MCPCOL");
        let binary = given.unwrap_or_else(|_| env!("CARGO_BIN_EXE_mcpcol").to_owned());
        let mut child = Command::new(&binary)
            .args(["run", "--config"])
            .arg(config.path())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| binary.clone())?;
        let mut talk = BufReader::new(child.stderr.take().context("stderr is a pipe")?);
        let grpc = listening(&mut talk, "gRPC")?;
        let http = listening(&mut talk, "HTTP")?;
        thread::spawn(|| talk.lines().map_while(Result::ok).for_each(drop));
        Ok(Server { child, grpc, http, floor: false, _config: Some(config) })
    }

    pub(crate) fn address(&self, http: bool) -> String {
        if http { self.http.clone() } else { self.grpc.clone() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_floor(&self) -> bool {
        self.floor
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            kill_process(pid, Signal::TERM).ok();
        }
        self.child.wait().ok();
    }
}

/// Where a server says that it listens for OTLP over `protocol`.
fn listening(talk: &mut BufReader<ChildStderr>, protocol: &str) -> anyhow::Result<String> {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if talk.read_line(&mut line)? == 0 {
            anyhow::bail!("the server does not listen:\n{said}");
        }
        if line.trim_end().ends_with(protocol)
            && let Some((_, rest)) = line.split_once("http://")
        {
            return Ok(rest.split(' ').next().unwrap_or_default().to_owned());
        }
        said += &line;
    }
}

/// CPU time of a process so far, in seconds, from the scheduler's own count where the kernel keeps it.
pub(crate) fn spent(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_one = |task: fs::DirEntry| -> Option<f64> {
        let exact = fs::read_to_string(task.path().join("schedstat")).ok()?;
        Some(exact.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
    };
    let exact: f64 = tasks.filter_map(of_one).sum();
    if exact > 0.0 {
        return exact;
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let ticks = rest.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
