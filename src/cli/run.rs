//! `mcpcol run`: the pipelines of a configuration until SIGTERM. SIGHUP reloads; a configuration that
//! cannot be put in place leaves the old one running. `mcpcol http` is run the same way.

use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::config_args::{ConfigArgs, Loading};
use super::discovery::Origin;
use super::logging::{self, Reader};
use super::runtime::{close_the_books, exit_code, runtime};
use super::say;
use super::signals::{Asked, Role, Signals};
use crate::config::Options;
use crate::metrics::Metrics;
use crate::pipeline::{Context, Outcome, Plan, Service};
use crate::telemetry::Clock;

/// Arguments of `mcpcol run`.
#[derive(clap::Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Threads of the telemetry side.
const THREADS: usize = 2;
/// `service.shutdown_timeout` where none is written: Kubernetes kills after 30 s.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(25);

impl Run {
    /// Runs until told to stop.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let chosen = self.config.choose();
        let options = Options::default();
        let loading = Loading { sources: &chosen.sources, options: &options, flags: None };
        let plan = loading.load()?;
        if chosen.origin == Origin::Nowhere {
            say(&format!("mcpcol: {}", chosen.told()));
        }
        let Some(plan) = plan else { return Ok(ExitCode::FAILURE) };
        until_told(loading, plan, |_| {
            if chosen.origin == Origin::Found {
                tracing::info!("{}", chosen.told());
            }
            Ok(())
        })
    }
}

/// Runs a plan until SIGTERM or SIGINT. SIGHUP loads it anew; `fit` is what the command does to every plan before it is
/// run.
pub(super) fn until_told(
    loading: Loading<'_>,
    mut plan: Plan,
    fit: impl Fn(&mut Plan) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    logging::start(&plan.telemetry.logs, Reader::Operator, &plan.secrets);
    fit(&mut plan)?;
    let runtime = runtime(THREADS)?;
    let outcome = runtime.block_on(serve(loading, plan, &fit))?;
    close_the_books(&outcome);
    // A write that the outside world blocks must not keep the process.
    runtime.shutdown_background();
    Ok(exit_code(&outcome))
}

async fn serve(
    loading: Loading<'_>,
    mut plan: Plan,
    fit: &impl Fn(&mut Plan) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let signals = Signals::listen(Role::Service)?;
    let mut service = Service::new(Context {
        metrics: Metrics::default(),
        clock: Clock::start(),
        runtime: Handle::current(),
        lenient: false,
    });
    service.apply(&plan).await?;
    let mut asks = signals.answer()?;
    tracing::info!(pipelines = plan.pipelines.len(), "everything is ready");
    let mut outcome = Outcome::default();
    let told = loop {
        tokio::select! {
            asked = asks.next() => match asked {
                Asked::Reload => reload(loading, &mut service, &mut plan, fit).await,
                Asked::Stop => break true,
            },
            () = service.ended(&mut outcome) => break asks.stopping(),
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

async fn reload(
    loading: Loading<'_>,
    service: &mut Service,
    plan: &mut Plan,
    fit: &impl Fn(&mut Plan) -> anyhow::Result<()>,
) {
    let mut new = match loading.load() {
        Ok(Some(new)) => new,
        _ => return tracing::error!("the new configuration is not valid: the old one goes on"),
    };
    let applied = match fit(&mut new) {
        Ok(()) => service.apply(&new).await,
        Err(error) => Err(error),
    };
    match applied {
        Ok(()) => {
            *plan = new;
            tracing::info!(pipelines = plan.pipelines.len(), "reloaded");
        }
        Err(error) => tracing::error!("cannot reload, the old configuration goes on: {error:#}"),
    }
}
