//! `mcpcol http --upstream URL`: one HTTP MCP server behind a tap.
//!
//! What it runs is a configuration like any other, with what the command line says on top; from there on
//! it is `mcpcol run` with one receiver.

use std::process::ExitCode;

use super::builtin;
use super::capture::{self, CaptureArgs};
use super::config_args::{ConfigArgs, Loading, only_tap};
use super::flags::{Flags, Names};
use super::live;
use super::record::RecordArgs;
use super::run::{WatchArgs, until_told};
use super::state;
use super::variables::{NAME, variable};
use crate::config::{self, Opens, Options, Sources};
use crate::pipeline::{ComponentConfig, Plan};
use crate::receivers::mcp_http::{Config, Route};

/// Arguments of `mcpcol http`.
#[derive(clap::Args, Debug)]
pub(super) struct Http {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where clients connect to; port 0 lets the system choose [default: localhost:8931]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// A name by which clients may call the tap, `host` or `host:port`, `*.host` or `*`; repeat for more. Needed where
    /// it listens on another address than a loopback one
    #[arg(long, value_name = "HOST")]
    allowed_host: Vec<String>,
    /// The server: its URL as clients would use it. Its whole origin is proxied, paths stay
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Name the server on its spans; default: its host [env: MCPCOL_NAME=]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    capture: CaptureArgs,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

/// The flags by the settings that they are.
const FLAGS: Names = &[
    ("endpoint", "--listen"),
    ("allowed_hosts", "--allowed-host"),
    ("routes::0::name", "--name (MCPCOL_NAME)"),
    ("routes", "--upstream"),
    ("capture", "--capture (MCPCOL_CAPTURE)"),
];

impl Http {
    /// Runs until told to stop.
    pub(super) fn run(mut self) -> anyhow::Result<ExitCode> {
        self.name = self.name.or_else(|| variable(NAME));
        let kind = <Config as ComponentConfig>::NAME;
        let options = Options { opens: Opens::Kind(kind), ..Options::default() };
        let given = self.config.choose().for_tap(kind);
        let watch = self.watch.begin(&given);
        let (sources, flags, plan, socket) = if given.config.is_empty() {
            if self.upstream.is_none() {
                anyhow::bail!("which server? Write `mcpcol http --upstream URL`");
            }
            let loaded = self.built_in(&options)?;
            loaded.state.iter().for_each(|dir| state::clean(dir));
            (loaded.sources, loaded.flags, loaded.plan, loaded.socket)
        } else {
            let (sources, flags, plan) = self.configured(given, &options)?;
            let name = self.name().unwrap_or_else(|| "http".to_owned());
            (sources, flags, plan, live::socket(self.record.record(), &name))
        };
        let Some(plan) = plan else { return Ok(ExitCode::FAILURE) };
        let loading = Loading { sources: &sources, options: &options, flags: Some(&flags) };
        until_told(loading, plan, watch, |plan| {
            let others = only_tap::<Config>(plan, "http")?;
            if !others.is_empty() {
                tracing::info!("not opened by an HTTP tap: {}", others.join(", "));
            }
            socket.iter().for_each(|socket| live::serve_at(plan, socket));
            Ok(())
        })
    }

    fn route(&self) -> Route {
        let upstream = self.upstream.clone().unwrap_or_default();
        Route { upstream, name: self.name(), ..Route::default() }
    }

    fn built_in(&self, options: &Options<'_>) -> anyhow::Result<builtin::Loaded> {
        let route = self.route();
        let settings = serde_json::Value::Object(self.said());
        let kind = <Config as ComponentConfig>::NAME;
        let record = self.record.record();
        let name = route.server_name();
        let tap = builtin::Tap { name: &name, kind, settings, record, flags: FLAGS };
        let tap = tap.capturing(self.capture.settings());
        Ok(builtin::load(&tap, &self.config.set, options)?)
    }

    /// The configuration's one receiver, with what the command line says in place of its own.
    fn configured(
        &self,
        mut sources: Sources,
        options: &Options<'_>,
    ) -> anyhow::Result<(Sources, Flags, Option<Plan>)> {
        // Its problems are said once, when everything stands in it.
        let alone = config::load(&sources, options).0;
        let mut id = <Config as ComponentConfig>::NAME.to_owned();
        let set = sources.set.clone();
        if let Some(mut plan) = alone {
            only_tap::<Config>(&mut plan, "http")?;
            id = plan.receivers[0].id.to_string();
            for (setting, value) in self.said() {
                sources.set.push(format!("receivers::{id}::{setting}={value}"));
            }
            sources.set.extend(capture::overrides(&self.capture.settings(), &id));
            sources.set.extend(self.record.overrides(&plan));
        }
        let flags = Flags::behind(&set, &id, FLAGS);
        let plan = Loading { sources: &sources, options, flags: Some(&flags) }.load()?;
        if plan.iter().flat_map(|plan| &plan.receivers).any(|r| r.config.lacks().is_some()) {
            anyhow::bail!(
                "which server? Write `--upstream URL`, or `routes` into the configuration"
            );
        }
        Ok((sources, flags, plan))
    }

    /// The settings that flags are.
    fn said(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut settings = serde_json::Map::new();
        if let Some(listen) = &self.listen {
            settings.insert("endpoint".into(), listen.as_str().into());
        }
        if !self.allowed_host.is_empty() {
            settings.insert("allowed_hosts".into(), self.allowed_host.clone().into());
        }
        if self.upstream.is_some() {
            settings.insert("routes".into(), self.routes());
        }
        settings
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
