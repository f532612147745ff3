//! `mcpcol run`: the pipelines of a configuration until SIGTERM. SIGHUP reloads, and with `--watch` a change of its
//! files; a configuration that cannot be put in place leaves the old one running. `mcpcol http` is run the same way.

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::config_args::{ConfigArgs, Loading};
use super::discovery::Origin;
use super::logging::{self, Reader};
use super::reloads::Reloads;
use super::runtime::{close_the_books, exit_code, runtime};
use super::say;
use super::signals::{Asked, Asks, Role, Signals};
use super::watch::{Changes, Watch};
use crate::config::{Options, Sources};
use crate::metrics::Metrics;
use crate::pipeline::{Context, Outcome, Plan, Service};
use crate::telemetry::Clock;

/// Arguments of `mcpcol run`.
#[derive(clap::Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

/// Says whether the configuration is watched.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct WatchArgs {
    /// Reload when a file of the configuration changes, as at SIGHUP
    #[arg(long)]
    watch: bool,
}

impl WatchArgs {
    /// Looks at the files that are watched, if any are, before they are loaded.
    pub(super) fn begin(self, sources: &Sources) -> Option<Watch> {
        let watch = self.watch.then(|| Watch::begin(sources))?;
        if watch.is_empty() {
            say("mcpcol: --watch: there is no file to watch");
            return None;
        }
        Some(watch)
    }
}

/// Threads of the telemetry side.
const THREADS: usize = 2;
/// `service.shutdown_timeout` where none is written: Kubernetes kills after 30 s.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(25);

impl Run {
    /// Runs until told to stop.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let chosen = self.config.choose();
        let watch = self.watch.begin(&chosen.sources);
        let options = Options { serves_metrics: true, ..Options::default() };
        let loading = Loading { sources: &chosen.sources, options: &options, flags: None };
        let plan = loading.load()?;
        if chosen.origin == Origin::Nowhere {
            say(&format!("mcpcol: {}", chosen.told()));
        }
        let Some(plan) = plan else { return Ok(ExitCode::FAILURE) };
        until_told(loading, plan, watch, |_| {
            if chosen.origin == Origin::Found {
                tracing::info!("{}", chosen.told());
            }
            Ok(())
        })
    }
}

/// Runs a plan until SIGTERM or SIGINT. SIGHUP loads it anew, and so does a change of what is watched; `fit` is what the
/// command does to every plan before it is run.
pub(super) fn until_told(
    loading: Loading<'_>,
    mut plan: Plan,
    watch: Option<Watch>,
    fit: impl Fn(&mut Plan) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    logging::start(&plan.telemetry.logs, Reader::Operator, &plan.secrets);
    fit(&mut plan)?;
    let runtime = runtime(THREADS)?;
    let outcome = runtime.block_on(serve(loading, plan, watch, &fit))?;
    close_the_books(&outcome);
    // A write that the outside world blocks must not keep the process.
    runtime.shutdown_background();
    Ok(exit_code(&outcome))
}

async fn serve(
    loading: Loading<'_>,
    mut plan: Plan,
    watch: Option<Watch>,
    fit: &impl Fn(&mut Plan) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let signals = Signals::listen(Role::Service)?;
    let metrics = Metrics::default();
    let mut service = Service::new(Context {
        metrics: metrics.clone(),
        clock: Clock::start(),
        runtime: Handle::current(),
        lenient: false,
    });
    let mut changes = watch.map_or_else(|| Ok(Changes::none()), Watch::start)?;
    let reloads = Reloads::new(&metrics);
    service.apply(&plan).await?;
    reloads.in_place();
    let mut asks = signals.answer()?;
    tracing::info!(pipelines = plan.pipelines.len(), "everything is ready");
    let mut outcome = Outcome::default();
    let told = loop {
        let reload = tokio::select! {
            asked = asks.next() => asked == Asked::Reload,
            () = changes.next() => true,
            () = service.ended(&mut outcome) => break asks.stopping(),
        };
        let reloading = Reloading { loading, service: &mut service, plan: &mut plan, fit };
        if !reload || reloading.until_stopped(&mut asks, &reloads).await == Asked::Stop {
            break true;
        }
    };
    tracing::info!("stopping");
    let limit = plan.shutdown_timeout.map_or(SHUTDOWN_TIMEOUT, Into::into);
    service.drain(Instant::now() + limit, &mut outcome).await;
    if told {
        // An orderly stop is a success, however the child took its signal.
        outcome.exit = None;
    }
    Ok(outcome)
}

/// Puts the configuration in place anew.
struct Reloading<'a, F> {
    loading: Loading<'a>,
    service: &'a mut Service,
    plan: &'a mut Plan,
    fit: &'a F,
}

impl<F: Fn(&mut Plan) -> anyhow::Result<()>> Reloading<'_, F> {
    /// Reloads, and once more if that is asked for meanwhile. A stop that is asked for is not kept waiting: a reload that
    /// is still opening what is new has changed nothing yet, and is let go.
    async fn until_stopped(mut self, asks: &mut Asks, reloads: &Reloads) -> Asked {
        loop {
            let mut again = false;
            {
                let mut reload = pin!(self.reload());
                let succeeded = loop {
                    tokio::select! {
                        biased;
                        asked = asks.next() => match asked {
                            Asked::Stop => return Asked::Stop,
                            Asked::Reload => again = true,
                        },
                        succeeded = reload.as_mut() => break succeeded,
                    }
                };
                reloads.ended(succeeded);
            }
            if !again {
                return Asked::Reload;
            }
        }
    }

    /// Says whether the new configuration is in place.
    async fn reload(&mut self) -> bool {
        let mut new = match self.loading.load() {
            Ok(Some(new)) => new,
            _ => {
                tracing::error!("the new configuration is not valid: the old one goes on");
                return false;
            }
        };
        let applied = match (self.fit)(&mut new) {
            Ok(()) => self.service.apply(&new).await,
            Err(error) => Err(error),
        };
        match applied {
            Ok(()) => {
                tracing::info!(pipelines = new.pipelines.len(), "reloaded");
                *self.plan = new;
                true
            }
            Err(error) => {
                tracing::error!("cannot reload, the old configuration goes on: {error:#}");
                false
            }
        }
    }
}
