//! The processes of the bench: how they are started, found and ended, and what /proc says of them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// A proxy may take this long to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A command line, without where to listen and what to call.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    words: Vec<String>,
    /// Kept as long as the command may be started.
    _config: Option<tempfile::NamedTempFile>,
}

/// nginx, the tap, the bare proxy, and the stuck tap if there is one.
pub(crate) fn commands() -> anyhow::Result<Vec<Named>> {
    let nginx = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/nginx.py");
    let nginx = vec!["python3".into(), nginx.to_string_lossy().into_owned()];
    let bare = vec![std::env::current_exe()?.to_string_lossy().into_owned(), "bare".into()];
    let mut commands = vec![
        Named { name: "nginx", words: nginx, _config: None },
        tap()?,
        Named { name: "hyper alone", words: bare, _config: None },
    ];
    if let Ok(given) = std::env::var("TAP_STUCK") {
        commands.push(Named { name: "stuck tap", words: split(&given), _config: None });
    }
    Ok(commands)
}

fn split(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

/// The given tap, or this build's with spans that go nowhere.
fn tap() -> anyhow::Result<Named> {
    if let Ok(given) = std::env::var("TAP") {
        return Ok(Named { name: "tap", words: split(&given), _config: None });
    }
    let mut config = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    config.write_all(
        b"receivers: { mcp_http: {} }\nprocessors: { digest: { mode: ephemeral } }\n\
          exporters: { file: { path: /dev/null, sending_queue: { sizer: bytes, queue_size: 67108864 } } }\n\
          service:\n  telemetry: { logs: { level: info } }\n  \
          pipelines: { traces: { receivers: [mcp_http], processors: [digest], exporters: [file] } }\n",
    )?;
    let mut words: Vec<String> =
        [env!("CARGO_BIN_EXE_mcpcol"), "http", "--config"].map(str::to_owned).into();
    words.push(config.path().to_string_lossy().into_owned());
    Ok(Named { name: "tap", words, _config: Some(config) })
}

/// This program as a server, ended when dropped.
pub(crate) struct Origin {
    pub(crate) address: String,
    child: Child,
}

impl Origin {
    pub(crate) fn start() -> anyhow::Result<Origin> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("origin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let stdout = child.stdout.take().context("stdout is a pipe")?;
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Origin { address: address.trim().to_owned(), child })
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

/// A proxy before a server of its own, ended when dropped.
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    pub(crate) pid: u32,
    pub(crate) address: String,
    child: Child,
    /// Gives the last line that the proxy said.
    talk: Option<JoinHandle<Option<String>>>,
    _scratch: tempfile::TempDir,
}

impl Proxy {
    pub(crate) fn start(command: &Named, origin: &Origin) -> anyhow::Result<Proxy> {
        let scratch = tempfile::tempdir()?;
        let upstream = format!("http://{}/mcp", origin.address);
        let mut child = Command::new(&command.words[0])
            .args(&command.words[1..])
            .args(["--listen", "127.0.0.1:0", "--upstream", &upstream])
            .env("TMPDIR", scratch.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| command.words.join(" "))?;
        let mut talk = BufReader::new(child.stderr.take().context("stderr is a pipe")?);
        let address = listening(&mut talk);
        let talk = Some(thread::spawn(|| talk.lines().map_while(Result::ok).last()));
        let pid = child.id();
        let mut proxy = Proxy {
            name: command.name,
            pid,
            address: String::new(),
            child,
            talk,
            _scratch: scratch,
        };
        proxy.address =
            address.map_err(|said| anyhow!("the {} does not listen:\n{said}", command.name))?;
        Ok(proxy)
    }

    /// Ends it and gives the last thing it said.
    pub(crate) fn end(mut self) -> anyhow::Result<Option<String>> {
        self.stop();
        Ok(self.talk.take().and_then(|talk| talk.join().ok()).flatten())
    }

    fn stop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.pid.cast_signed())
            && matches!(self.child.try_wait(), Ok(None))
        {
            kill_process(pid, Signal::TERM).ok();
        }
        let limit = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > limit {
                self.child.kill().ok();
            }
            thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where the proxy says that it listens, or all that it said instead.
fn listening(talk: &mut BufReader<ChildStderr>) -> Result<String, String> {
    const MARK: &str = "listening on http://";
    let mut said = String::new();
    for line in talk.lines().map_while(Result::ok) {
        if let Some(at) = line.find(MARK) {
            let rest = &line[at + MARK.len()..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !".:[]".contains(c));
            return Ok(rest[..end.unwrap_or(rest.len())].to_owned());
        }
        said.push_str(&line);
        said.push('\n');
    }
    Err(said)
}

/// A held stream takes a file in the client, the server and twice in the proxy.
pub(crate) fn allow_many_files() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let more = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, more).context("the limit of open files")
}

/// A process and its children.
fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // After the name, which may hold anything: state and parent.
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        if parent.and_then(|parent| parent.parse().ok()) == Some(pid) {
            family.extend(entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
        }
    }
    family
}

/// Resident memory in KiB.
pub(crate) fn resident(pid: u32) -> u64 {
    let of_one = |pid: u32| -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    };
    family(pid).into_iter().filter_map(of_one).sum()
}

/// CPU time in microseconds, by what the threads are for.
#[derive(Default)]
pub(crate) struct Cpu {
    pub(crate) forwarding: f64,
    pub(crate) observer: f64,
    pub(crate) export: f64,
}

impl Cpu {
    pub(crate) fn of(pid: u32) -> Cpu {
        let mut cpu = Cpu::default();
        for pid in family(pid) {
            for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
                let part = match name.trim() {
                    "observer" => &mut cpu.observer,
                    name if name.starts_with("telemetry") => &mut cpu.export,
                    _ => &mut cpu.forwarding,
                };
                *part += spent(&task.path());
            }
        }
        cpu
    }

    pub(crate) fn since(&self, before: &Cpu) -> Cpu {
        Cpu {
            forwarding: self.forwarding - before.forwarding,
            observer: self.observer - before.observer,
            export: self.export - before.export,
        }
    }
}

/// The scheduler's own count, finer than the ticks of `stat`, where the kernel keeps it.
fn spent(task: &Path) -> f64 {
    let exact = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    if let Some(nanos) = exact.split_whitespace().next().and_then(|first| first.parse::<f64>().ok())
    {
        return nanos / 1e3;
    }
    let stat = fs::read_to_string(task.join("stat")).unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let ticks =
        rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() * 1e4 // a hundred ticks a second, on any machine that this runs on
}
