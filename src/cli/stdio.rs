//! `mcpcol stdio -- CMD`: one stdio MCP server behind a tap, as it stands in an agent's mcp.json.
//!
//! The child is spawned as soon as the configuration has been read, before anything of the telemetry
//! side exists; from then on nothing of that side can end it. The exit code is the child's, and a signal
//! that ended the child ends us.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::builtin;
use super::capture::{self, CaptureArgs};
use super::config_args::{ConfigArgs, Loading, only_tap};
use super::flags::{Flags, Names};
use super::live;
use super::logging::{self, Reader};
use super::record::RecordArgs;
use super::runtime::{close_the_books, exit_code, runtime};
use super::signals::{Asks, Role, Signals};
use super::variables::{NAME, variable};
use super::{say, state};
use crate::config::{self, Opens, Options, Sources};
use crate::metrics::Metrics;
use crate::pipeline::{ComponentConfig, Context, Outcome, Plan, Service, lower_priority_further};
use crate::receivers::mcp_stdio::{self, Config, Remote};
use crate::settings::Problems;
use crate::telemetry::Clock;

/// Arguments of `mcpcol stdio`.
#[derive(clap::Args, Debug)]
pub(super) struct Stdio {
    #[command(flatten)]
    config: ConfigArgs,
    /// Name the server on its spans; default: as its command line tells [env: MCPCOL_NAME=]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    capture: CaptureArgs,
    #[command(flatten)]
    record: RecordArgs,
    /// The server's command line, with or without `--` before it: all from here on is its own
    #[arg(trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Holds what is run.
#[derive(Default)]
struct Setup {
    plan: Option<Plan>,
    /// The state directory, to be cleaned.
    state: Option<PathBuf>,
    socket: Option<PathBuf>,
}

/// The flags by the settings that they are.
const FLAGS: Names = &[("capture", "--capture (MCPCOL_CAPTURE)")];
/// Threads of the telemetry side, beside the observer's own.
const THREADS: usize = 1;
/// Telemetry adds no more than this to the child's end, unless the configuration says otherwise.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

impl Stdio {
    /// Runs until the child is gone.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let name = self.name();
        let Setup { plan, state, socket } = self.setup(name.as_deref())?;
        let Some(mut plan) = plan else { return Ok(ExitCode::FAILURE) };
        logging::start(&plan.telemetry.logs, Reader::Host, &plan.secrets);
        let mut others = only_tap::<Config>(&mut plan, "stdio")?;
        // Taps are many on one machine, and an address is one.
        let ports = plan.extensions.extract_if(.., |part| !part.config.binds().is_empty());
        others.extend(ports.map(|part| part.id.to_string()));
        if !others.is_empty() {
            tracing::info!("not opened by a stdio tap: {}", others.join(", "));
        }
        let kind = <Config as ComponentConfig>::NAME;
        let config = plan.receivers[0].settings.read(kind, &mut Problems::default());
        let Some(mut config): Option<Config> = config else {
            bail!("the settings of {kind} cannot be read");
        };
        config.name = name.or(config.name);
        let command =
            if self.command.is_empty() { config.command_line() } else { self.command.clone() };
        if command.is_empty() {
            bail!("no server to start: write `mcpcol stdio -- CMD ARG...`");
        }
        lower_priority_further();
        // Before the child: a signal that comes early must reach it, not just end us.
        let runtime = runtime(THREADS)?;
        let signals = Signals::listen(Role::Wrapper)?;
        let tap = match mcp_stdio::start(&config, &command, &plan.base) {
            Ok(tap) => tap,
            Err(error) => {
                say(&format!("mcpcol: {error}"));
                return Ok(ExitCode::from(u8::try_from(error.exit_code).unwrap_or(u8::MAX)));
            }
        };
        let asks = signals.answer().unwrap_or_else(|error| {
            tracing::error!("signals do not reach the server: {error:#}");
            Asks::none()
        });
        let remote = tap.remote();
        let server = config.server_name(&command, &plan.base);
        let socket = socket.or_else(|| live::socket(self.record.record(), &server.text));
        socket.iter().for_each(|socket| live::serve_at(&mut plan, socket));
        plan.receivers[0].config = mcp_stdio::running(tap, config, server);
        let outcome = runtime.block_on(serve(plan, remote, asks, state));
        close_the_books(&outcome);
        // A write that the outside world blocks must not keep the process.
        runtime.shutdown_background();
        Ok(exit_code(&outcome))
    }

    /// The plan of the configuration, or of the built-in one.
    fn setup(&self, name: Option<&str>) -> anyhow::Result<Setup> {
        let kind = <Config as ComponentConfig>::NAME;
        let options = Options {
            stdout_is_mcp: true,
            lenient_env: true,
            opens: Opens::Kind(kind),
            ..Options::default()
        };
        let sources = self.config.choose().for_tap(kind);
        let captured = self.capture.settings();
        if !sources.config.is_empty() {
            let plan = self.configured(sources, &captured, &options)?;
            return Ok(Setup { plan, ..Setup::default() });
        }
        let config = Config { name: name.map(str::to_owned), ..Config::default() };
        let name = config.server_name(&self.command, Path::new("")).text;
        let settings = serde_json::json!({});
        let record = self.record.record();
        let tap = builtin::Tap { name: &name, kind, settings, record, flags: FLAGS };
        let tap = tap.capturing(captured);
        let loaded = builtin::load(&tap, &self.config.set, &options)?;
        let builtin::Loaded { plan, state, socket, .. } = loaded;
        Ok(Setup { plan, state, socket })
    }

    /// Loads a configuration with what is captured and recorded on top of it.
    fn configured(
        &self,
        mut sources: Sources,
        captured: &serde_json::Map<String, serde_json::Value>,
        options: &Options<'_>,
    ) -> anyhow::Result<Option<Plan>> {
        let mut flags = None;
        let more = !captured.is_empty() || self.record.is_said();
        // Its problems are said once, when everything stands in it.
        if more && let Some(mut plan) = config::load(&sources, options).0 {
            only_tap::<Config>(&mut plan, "stdio")?;
            let id = plan.receivers[0].id.to_string();
            flags = Some(Flags::behind(&sources.set, &id, FLAGS));
            sources.set.extend(capture::overrides(captured, &id));
            sources.set.extend(self.record.overrides(&plan));
        }
        Ok(Loading { sources: &sources, options, flags: flags.as_ref() }.load()?)
    }

    /// The name that was given, if it is one; else that is said, at each call.
    fn name(&self) -> Option<String> {
        let name = self.name.clone().or_else(|| variable(NAME)).filter(|name| !name.is_empty())?;
        if !mcp_stdio::usable_name(&name) {
            say(
                "mcpcol: --name (MCPCOL_NAME): is not used: it must have 1 to 128 characters and not be a URL",
            );
            return None;
        }
        Some(name)
    }
}

/// Runs the telemetry side until the child is gone.
async fn serve(plan: Plan, mut remote: Remote, mut asks: Asks, state: Option<PathBuf>) -> Outcome {
    if let Some(dir) = state {
        tokio::task::spawn_blocking(move || state::clean(&dir));
    }
    let cx = Context {
        metrics: Metrics::default(),
        clock: Clock::start(),
        runtime: Handle::current(),
        lenient: true,
    };
    let mut service = Service::new(cx);
    let mut outcome = Outcome::default();
    if let Err(error) = service.apply(&plan).await {
        tracing::error!("no telemetry from this tap: {error:#}");
    }
    let exit = loop {
        tokio::select! {
            // The child has the signal. Who asks may go on to SIGKILL before the child has ended.
            _ = asks.next() => service.flush(),
            exit = remote.ended() => break exit,
        }
    };
    let limit = plan.shutdown_timeout.map_or(SHUTDOWN_TIMEOUT, Into::into);
    service.drain(Instant::now() + limit, &mut outcome).await;
    outcome.exit = Some(exit);
    outcome
}
