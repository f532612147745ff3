//! `mcpcol http --upstream URL`: one HTTP MCP server behind a tap.
//!
//! What it runs is a configuration like any other, with what the command line says on top; from there on
//! it is `mcpcol run` with one receiver.

use std::process::ExitCode;

use super::builtin;
use super::capture::{self, CaptureArgs};
use super::config_args::{ConfigArgs, load, only_tap};
use super::record::RecordArgs;
use super::run::until_told;
use super::state;
use crate::config::{self, Options, Sources};
use crate::pipeline::{Plan, ReceiverConfig};
use crate::receivers::mcp_http::{Config, Route};

/// Arguments of `mcpcol http`.
#[derive(clap::Args, Debug)]
pub(super) struct Http {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where clients connect to; port 0 lets the system choose [default: localhost:8931]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The server: its URL as clients would use it. Its whole origin is proxied, paths stay
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// What the server is called on its spans; default: its host
    #[arg(long, env = "MCPCOL_NAME")]
    name: Option<String>,
    #[command(flatten)]
    capture: CaptureArgs,
    #[command(flatten)]
    record: RecordArgs,
}

impl Http {
    /// Runs until told to stop.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let given = Sources::from(self.config.clone());
        let (sources, plan) = if given.config.is_empty() {
            if self.upstream.is_none() {
                anyhow::bail!("which server? Write `mcpcol http --upstream URL`");
            }
            // Said here, and not of a configuration that nobody wrote.
            if let Err(why) = self.route().uri() {
                anyhow::bail!("--upstream {why}");
            }
            let loaded = self.built_in()?;
            loaded.state.iter().for_each(|dir| state::clean(dir));
            (loaded.sources, loaded.plan)
        } else {
            self.configured(given)?
        };
        let Some(plan) = plan else { return Ok(ExitCode::FAILURE) };
        until_told(&sources, plan, |plan| {
            let others = only_tap::<Config>(plan, "http")?;
            if !others.is_empty() {
                tracing::info!("not opened by an HTTP tap: {}", others.join(", "));
            }
            Ok(())
        })
    }

    fn route(&self) -> Route {
        let upstream = self.upstream.clone().unwrap_or_default();
        Route { upstream, name: self.name(), ..Route::default() }
    }

    fn built_in(&self) -> anyhow::Result<builtin::Loaded> {
        let route = self.route();
        let mut settings = serde_json::json!({ "routes": self.routes() });
        if let Some(listen) = &self.listen {
            settings["endpoint"] = listen.as_str().into();
        }
        let kind = <Config as ReceiverConfig>::NAME;
        let tap = builtin::Tap {
            name: &route.server_name(),
            kind,
            settings,
            record: self.record.record(),
        };
        let tap = tap.capturing(self.capture.settings());
        Ok(builtin::load(&tap, &self.config.set, &Options::default())?)
    }

    /// The configuration's one receiver, with what the command line says in place of its own.
    fn configured(&self, mut sources: Sources) -> anyhow::Result<(Sources, Option<Plan>)> {
        // Its problems are said once, when everything stands in it.
        let Some(mut plan) = config::load(&sources, &Options::default()).0 else {
            let plan = load(&sources, &Options::default())?;
            return Ok((sources, plan));
        };
        only_tap::<Config>(&mut plan, "http")?;
        let at = format!("receivers::{}", plan.receivers[0].id);
        if let Some(listen) = &self.listen {
            sources.set.push(format!("{at}::endpoint={}", serde_json::json!(listen)));
        }
        if self.upstream.is_some() {
            sources.set.push(format!("{at}::routes={}", self.routes()));
        }
        let id = plan.receivers[0].id.to_string();
        sources.set.extend(capture::overrides(&self.capture.settings(), &id));
        sources.set.extend(self.record.overrides(&id));
        let plan = load(&sources, &Options::default())?;
        Ok((sources, plan))
    }

    fn routes(&self) -> serde_json::Value {
        let mut route = serde_json::json!({ "upstream": self.upstream });
        if let Some(name) = self.name() {
            route["name"] = name.into();
        }
        serde_json::json!([route])
    }

    fn name(&self) -> Option<String> {
        self.name.clone().filter(|name| !name.is_empty())
    }
}
