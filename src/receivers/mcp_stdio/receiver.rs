//! The receiver: brings a tap and its observer together and waits for the end of both.

use std::convert::Infallible;
use std::ffi::OsString;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::child::{self, CannotStart, Plan};
use super::counters::Counters;
use super::own_stdio::{self, OwnStdio};
use super::queue::Note;
use super::stderr::{self, LineQueue};
use super::tap::{Client, Limits, Remote, Tap, start as start_tap};
use super::watch::StdioObserver;
use super::{Config, ProcessGroup, ServerName};
use crate::pipeline::{BoxFuture, Build, Ended, Outlet, Receiver, ReceiverConfig, Stop};
use crate::receivers::tap::{
    self, CallBoards, EditCounters, Editing, Observer, PATIENCE, Running as Observed, patience,
};
use crate::telemetry::Clock;

/// Starts `command` as `config` says and puts a tap between it and our stdin and stdout, at once:
/// traffic flows before there is a pipeline, and whether or not there ever is one. Relative paths are
/// taken from `base`. Call it once in a process; nothing else may use stdin and stdout afterwards.
pub fn start(config: &Config, command: &[OsString], base: &Path) -> Result<Tap, CannotStart> {
    let lines = config.capture.stderr().then(stderr::queue);
    start_with(config, config.limits(), lines, command, base)
}

fn start_with(
    config: &Config,
    limits: Limits,
    lines: Option<Arc<LineQueue>>,
    command: &[OsString],
    base: &Path,
) -> Result<Tap, CannotStart> {
    let env: Vec<_> = config.env.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let cwd = config.cwd_from(base);
    let own_group = config.process_group == ProcessGroup::Own;
    let stderr = lines.is_some();
    let plan = Plan { command, env: &env, cwd: cwd.as_deref(), own_group, stderr };
    let ours = |error| CannotStart::ours(&plan, &error);
    let stdio = OwnStdio::claim().map_err(ours)?;
    let stderr = lines.map(|lines| Ok((own_stdio::stderr()?, lines))).transpose().map_err(ours)?;
    let child = child::spawn(&plan)?;
    let editing = Editing::new(&config.observing());
    // Once there is a child: a command that cannot be started leaves them as they are.
    let client = Client { ends: stdio.take().map_err(ours)?, stderr };
    let tap = start_tap(child, client, limits, editing).map_err(ours)?;
    own_stdio::taken_by(&tap);
    LAUNCHED.set((config.clone(), cwd)).ok();
    Ok(tap)
}

/// The settings that the server of this process was started with, and where.
static LAUNCHED: OnceLock<(Config, Option<PathBuf>)> = OnceLock::new();

/// Says why these settings cannot be put in place of those that the server of this process was started with, if it was.
/// Values are not quoted: a secret may be among them.
fn cannot_replace(config: &Config, base: &Path) -> Option<String> {
    let (first, cwd) = LAUNCHED.get()?;
    let differs = [
        ("`command`", first.command != config.command),
        ("`args`", first.args != config.args),
        ("`env`", first.env != config.env),
        ("`cwd`", *cwd != config.cwd_from(base)),
    ];
    let changed = differs.into_iter().filter(|(_, differs)| *differs);
    let changed: Vec<&str> = changed.map(|(name, _)| name).collect();
    let what = match changed.is_empty() {
        false => format!("{} changed", changed.join(", ")),
        true if first == config => "the server runs under another id".to_owned(),
        true => "settings of a server that runs changed".to_owned(),
    };
    Some(format!("{what}, and a reload never restarts a server: undo that, or restart mcpcol"))
}

/// The receiver of a tap that runs already, to stand in the plan where `config` stood. Can be built
/// once.
pub fn running(tap: Tap, config: Config, server: ServerName) -> Arc<dyn ReceiverConfig> {
    Arc::new(Running { tap: Mutex::new(Some(tap)), config, server })
}

/// The receiver of a tap that runs already, with a state machine of the caller's, which may take
/// `patience` after the child's end.
pub fn watched_by(
    watch: Box<dyn tap::Watch<Note>>,
    patience: Duration,
    tap: Tap,
    cx: &Build<'_>,
) -> Box<dyn Receiver> {
    let observing = Observing { patience, ..Observing::new(cx, watch) };
    Box::new(McpStdio { tap: Some(tap), launch: None, observing })
}

/// The receiver that starts its tap when it is opened.
pub(super) fn later(
    config: Config,
    lines: Option<Arc<LineQueue>>,
    cx: &Build<'_>,
    watch: Box<dyn tap::Watch<Note>>,
) -> Box<dyn Receiver> {
    let launch = Launch { config, lines, base: cx.base.to_owned() };
    Box::new(McpStdio { tap: None, launch: Some(launch), observing: Observing::new(cx, watch) })
}

struct Running {
    tap: Mutex<Option<Tap>>,
    config: Config,
    server: ServerName,
}

struct McpStdio {
    tap: Option<Tap>,
    /// Says how to start the tap, unless it runs already.
    launch: Option<Launch>,
    observing: Observing,
}

struct Launch {
    config: Config,
    /// Says where its stderr goes, if it is captured.
    lines: Option<Arc<LineQueue>>,
    base: PathBuf,
}

struct Observing {
    watch: Box<dyn tap::Watch<Note>>,
    clock: Clock,
    counters: Counters,
    edits: EditCounters,
    calls: CallBoards,
    patience: Duration,
}

impl Observing {
    fn new(cx: &Build<'_>, watch: Box<dyn tap::Watch<Note>>) -> Self {
        let (counters, edits) = (Counters::new(cx), EditCounters::new(cx));
        let (clock, calls) = (cx.clock.clone(), CallBoards::new(cx));
        Observing { watch, clock, counters, edits, calls, patience: PATIENCE }
    }
}

impl ReceiverConfig for Running {
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>> {
        let tap = self.tap.lock().unwrap_or_else(PoisonError::into_inner).take();
        let tap = tap.ok_or_else(|| anyhow::anyhow!("{}: its tap is taken already", cx.id))?;
        let lines = tap.lines.clone();
        let watch = Box::new(StdioObserver::new(&self.config, &self.server, lines, cx));
        Ok(watched_by(watch, PATIENCE, tap, cx))
    }
}

impl Receiver for McpStdio {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            let Some(Launch { config, lines, base }) = self.launch.take() else { return Ok(()) };
            let command = config.command_line();
            if command.is_empty() {
                anyhow::bail!("mcp_stdio needs `command`; or start it as `mcpcol stdio -- CMD`");
            }
            if let Some(why) = cannot_replace(&config, &base) {
                anyhow::bail!(why);
            }
            let limits = Limits { closable: true, ..config.limits() };
            self.tap = Some(start_with(&config, limits, lines, &command, &base)?);
            Ok(())
        })
    }

    fn run(self: Box<Self>, out: Outlet, stop: Stop) -> BoxFuture<'static, anyhow::Result<Ended>> {
        Box::pin(async move {
            let Some(tap) = self.tap else { anyhow::bail!("mcp_stdio was not opened") };
            let usual = self.observing.patience;
            let observed = self.observing.begin(&tap, out)?;
            let mut remote = tap.remote();
            let exit = tokio::select! {
                exit = remote.ended() => exit,
                never = stop_with(stop.clone(), tap.remote()) => match never {},
            };
            observed.end(patience(usual, stop)).await;
            Ok(Ended { exit: Some(exit) })
        })
    }
}

/// Stops the tap when the receiver is to stop, and again should the process end sooner than that asks.
async fn stop_with(mut stop: Stop, remote: Remote) -> Infallible {
    remote.stop(stop.given().await);
    remote.stop(stop.ends().await);
    pending().await
}

impl Observing {
    /// Starts the observer's thread.
    fn begin(self, tap: &Tap, out: Outlet) -> std::io::Result<Observed<Note, Counters>> {
        let Observing { watch, clock, counters, edits, calls, .. } = self;
        let queue = Arc::clone(&tap.queue);
        let edits = edits.follow(tap.editing.clone());
        let hurry = Arc::default();
        Observer { queue, watch, out, clock, counters, edits, calls, hurry }.start()
    }
}
