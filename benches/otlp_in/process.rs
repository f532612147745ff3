//! The servers of the bench, each a process: how they are started, found and ended, and their CPU time.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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
        Server::running(processors, "nop: {}")
    }

    /// The real thing before a sink.
    pub(crate) fn through(
        sink: &str,
        joined: bool,
    ) -> anyhow::Result<Option<(&'static str, Server)>> {
        Ok(Some(("mcpcol", Server::running("[]", &otlp_grpc(sink, joined))?)))
    }

    /// The real thing with redaction before a sink.
    pub(crate) fn redacting(
        sink: &str,
        joined: bool,
    ) -> anyhow::Result<Option<(&'static str, Server)>> {
        let server = Server::running("[redaction]", &otlp_grpc(sink, joined))?;
        Ok(Some(("mcpcol with redaction", server)))
    }

    /// rotel before a sink.
    pub(crate) fn rotel(
        sink: &str,
        joined: bool,
    ) -> anyhow::Result<Option<(&'static str, Server)>> {
        let to = format!("http://{sink}");
        let mut arguments = vec!["--exporter", "otlp", "--otlp-exporter-protocol", "grpc"];
        arguments.extend(["--otlp-exporter-compression", "none", "--otlp-exporter-endpoint", &to]);
        if !joined {
            arguments.push("--disable-batching");
        }
        Ok(Server::rotel_with(&arguments)?.map(|server| ("rotel", server)))
    }

    /// rotel with these arguments.
    pub(crate) fn rotel_with(arguments: &[&str]) -> anyhow::Result<Option<Server>> {
        let Some(agent) = rotel_agent() else { return Ok(None) };
        let (grpc, http) = (free_address()?, free_address()?);
        let mut command = Command::new(agent);
        command.args(["start", "--otlp-grpc-endpoint", &grpc, "--otlp-http-endpoint", &http]);
        command.args(arguments);
        Ok(Some(Server::other(command, grpc, None)?))
    }

    /// The OpenTelemetry Collector before a sink.
    pub(crate) fn otelcol(
        sink: &str,
        joined: bool,
    ) -> anyhow::Result<Option<(&'static str, Server)>> {
        let Some(collector) = installed("otelcol") else { return Ok(None) };
        let grpc = free_address()?;
        let mut config = tempfile::Builder::new().suffix(".yaml").tempfile()?;
        write!(
            config,
            "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '{grpc}' }} }} }} }}\n\
             exporters: {{ otlp_grpc: {{ endpoint: '{sink}', compression: none, tls: {{ insecure: true }}, \
             sending_queue: {{ queue_size: 256, block_on_overflow: true, {} }} }} }}\n\
             service:\n  telemetry: {{ metrics: {{ level: none }}, logs: {{ level: error }} }}\n  \
             pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp_grpc] }} }}\n",
            batch(joined)
        )?;
        let mut command = Command::new(collector);
        command.arg("--config").arg(config.path());
        Ok(Some(("otelcol", Server::other(command, grpc, Some(config))?)))
    }

    /// Somebody else's, which listens at `grpc` once it is ready.
    fn other(
        mut command: Command,
        grpc: String,
        config: Option<tempfile::NamedTempFile>,
    ) -> anyhow::Result<Server> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let server = Server { child, grpc, http: String::new(), floor: false, _config: config };
        let limit = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(&server.grpc).is_err() {
            anyhow::ensure!(Instant::now() < limit, "{command:?} does not listen");
            thread::yield_now();
        }
        Ok(server)
    }

    fn running(processors: &str, exporter: &str) -> anyhow::Result<Server> {
        let mut config = tempfile::Builder::new().suffix(".yaml").tempfile()?;
        let name = exporter.split(':').next().unwrap_or_default();
        write!(
            config,
            "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0' }}, \
             http: {{ endpoint: '127.0.0.1:0' }} }} }} }}\n\
             processors: {{ digest: {{ mode: ephemeral }}, digest/changing: {{ mode: ephemeral, \
             attributes: [http.route] }}, redaction: {{}} }}\nexporters: {{ {exporter} }}\n\
             service:\n  telemetry: {{ metrics: {{ level: none }} }}\n  pipelines: {{ traces: \
             {{ receivers: [otlp], processors: {processors}, exporters: [{name}] }} }}\n"
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

/// The most memory that a process had resident, in MiB.
pub(crate) fn peak(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// The exporter of the real thing before a sink.
fn otlp_grpc(sink: &str, joined: bool) -> String {
    format!(
        "otlp_grpc: {{ endpoint: '{sink}', compression: none, tls: {{ insecure: true }}, \
         sending_queue: {{ queue_size: 256, block_on_overflow: true, {} }} }}",
        batch(joined)
    )
}

/// What of `sending_queue` joins batches: 8,192 spans, as the Collector has it.
fn batch(joined: bool) -> &'static str {
    if joined { "batch: { min_size: 8192, flush_timeout: 200ms, sizer: items }" } else { "" }
}

/// A program of `scripts/peers`, if it is there.
fn installed(path: &str) -> Option<PathBuf> {
    let peers = std::env::var_os("MCPCOL_PEERS").map(PathBuf::from);
    let peers = peers.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers"));
    Some(peers.join(path)).filter(|path| path.exists())
}

/// rotel's program, in whichever version of Python it was installed for.
fn rotel_agent() -> Option<PathBuf> {
    let versions = fs::read_dir(installed("python-otel/lib")?).ok()?.flatten();
    let agent = |version: fs::DirEntry| version.path().join("site-packages/rotel/rotel-agent");
    versions.map(agent).find(|agent| agent.exists())
}

fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
