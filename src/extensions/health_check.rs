//! `health_check`: answers those who ask whether the process lives and whether it is ready, as the Collector's
//! extension of that name.
//!
//! ```yaml
//! extensions: { health_check: { endpoint: "0.0.0.0:13133" } }
//! service: { extensions: [health_check] }
//! ```
//!
//! What it says is what the service is about. It does not look at exporters: a backend that is away is no reason to
//! restart what keeps the telemetry for it.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::admin::{Bound, Page, Pages, Port};
use crate::http::sockets::{host_port, no_address};
use crate::pipeline::{
    BoxFuture, Build, ComponentConfig, Extension, ExtensionConfig, Lifecycle, Phase, Stop,
};
use crate::settings::{Report, ServerTls, Unsupported};
use crate::telemetry::{Clock, Nanos, Signal};

/// The port that everybody expects it on.
const PORT: u16 = 13133;
/// The path of liveness, whatever the other one is.
const LIVE: &str = "/live";

/// Settings.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Says where it listens: `host:port`.
    pub endpoint: String,
    /// Names the path of readiness; one that ends in a slash stands for all below it.
    pub path: String,
    /// Sets the bodies of answers at that path, in place of a line of JSON.
    pub response_body: ResponseBody,
    /// Sets up TLS for clients; with `client_ca_file` they have to show a certificate.
    pub tls: Option<ServerTls>,
    #[schemars(skip)]
    check_collector_pipeline: Unsupported,
}

/// `response_body`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseBody {
    /// Sets the body while pipelines run.
    pub healthy: Option<String>,
    /// Sets the body while they do not yet, or do no more.
    pub unhealthy: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            endpoint: format!("localhost:{PORT}"),
            path: "/".into(),
            response_body: ResponseBody::default(),
            tls: None,
            check_collector_pipeline: None,
        }
    }
}

impl ComponentConfig for Config {
    const NAME: &'static str = "health_check";
    const ABOUT: &'static str = "answers probes: 200 while pipelines run, else 503";
    const SIGNALS: &'static [Signal] = &[];

    fn check(&self, report: &mut Report<'_>) {
        if host_port(&self.endpoint).is_none() {
            report.error("endpoint", no_address(&self.endpoint, PORT));
        }
        if !self.path.starts_with('/') || self.path.contains(['?', '#', ' ']) {
            report.error("path", "must be a path, such as `/` or `/health/status`");
        }
        if self.path == LIVE {
            report.error("path", "is the path of liveness; choose another one");
        }
        if self.check_collector_pipeline.is_some() {
            let why = "is deprecated in the Collector, where it has never worked, and is not supported; remove it";
            report.error("check_collector_pipeline", why);
        }
        if let Some(tls) = &self.tls {
            tls.check(report);
        }
    }
}

impl ExtensionConfig for Config {
    fn binds(&self) -> Vec<(&'static str, &str)> {
        vec![("endpoint", &self.endpoint)]
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Extension>> {
        let port = Port::new(&self.endpoint, self.tls.clone(), cx);
        let (path, bodies) = (self.path.clone(), self.response_body.clone());
        let health =
            Health { path, bodies, lifecycle: cx.lifecycle.clone(), clock: cx.clock.clone() };
        Ok(Box::new(HealthCheck { port, health, bound: None }))
    }
}

struct HealthCheck {
    port: Port,
    health: Health,
    bound: Option<Bound>,
}

/// Holds what is told.
struct Health {
    path: String,
    bodies: ResponseBody,
    lifecycle: Lifecycle,
    clock: Clock,
}

impl Extension for HealthCheck {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            let bound = self.port.bind().await?;
            tracing::info!("answering probes at {}{}", bound.url()?, self.health.path);
            self.bound = Some(bound);
            Ok(())
        })
    }

    fn run(self: Box<Self>, stop: Stop) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(async move {
            let Some(bound) = self.bound else { anyhow::bail!("health_check was not opened") };
            bound.serve(self.health, stop).await
        })
    }
}

impl Pages for Health {
    fn at(&self, path: &str) -> Page {
        let phase = self.lifecycle.phase();
        let now = self.clock.now();
        if path == LIVE {
            return json(StatusCode::OK, r#"{"status":"Server alive"}"#.to_owned());
        }
        let below = self.path.ends_with('/') && path.starts_with(&self.path);
        if path != self.path && !below {
            let there = format!("there is only {} and {LIVE}", self.path);
            return Page::line(StatusCode::NOT_FOUND, &there);
        }
        let (status, body) = match phase {
            Phase::Running { .. } => (StatusCode::OK, &self.bodies.healthy),
            Phase::Starting | Phase::Draining => {
                (StatusCode::SERVICE_UNAVAILABLE, &self.bodies.unhealthy)
            }
        };
        match body {
            Some(body) => {
                let text = Bytes::from(body.clone());
                Page { status, kind: "text/plain; charset=utf-8", text }
            }
            None => json(status, said(phase, now)),
        }
    }
}

fn json(status: StatusCode, text: String) -> Page {
    Page { status, kind: "application/json", text: text.into() }
}

/// Writes the Collector's words, as Go does: what has not begun is said to have begun in the year 1.
fn said(phase: Phase, now: Nanos) -> String {
    let Phase::Running { since } = phase else {
        return r#"{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""}"#
            .to_owned();
    };
    let up_since = Timestamp::from_nanosecond(i128::from(since)).unwrap_or(Timestamp::UNIX_EPOCH);
    let uptime = go(Duration::from_nanos(now.saturating_sub(since)));
    format!(r#"{{"status":"Server available","upSince":"{up_since}","uptime":"{uptime}"}}"#)
}

/// Writes a duration as Go does, to the millisecond.
fn go(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let fraction = if millis > 0 { format!(".{millis:03}") } else { String::new() };
    let rest = format!("{}{}s", seconds % 60, fraction.trim_end_matches('0'));
    match (hours, minutes) {
        (0, 0) => rest,
        (0, _) => format!("{minutes}m{rest}"),
        _ => format!("{hours}h{minutes}m{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Accounts, Id, Shared};
    use crate::settings::testing;

    fn problems(yaml: &str) -> Vec<String> {
        let config: Config = testing::read(yaml).unwrap();
        let problems = testing::check(yaml, "h", |report| config.check(report));
        problems.0.into_iter().map(|p| format!("{} {}", p.path, p.message)).collect()
    }

    fn health(path: &str, bodies: ResponseBody) -> Health {
        let (path, lifecycle) = (path.to_owned(), Lifecycle::default());
        Health { path, bodies, lifecycle, clock: Clock::start() }
    }

    #[test]
    fn the_collectors_settings_are_read() {
        let yaml = "{ endpoint: '0.0.0.0:1', path: /ready, response_body: { healthy: ok, unhealthy: no } }";
        assert_eq!(problems(yaml), [""; 0]);
        assert_eq!(testing::read::<Config>("{}").unwrap(), Config::default());
        assert_eq!(problems("{}"), [""; 0]);
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        let yaml =
            "{ endpoint: here, path: ready, check_collector_pipeline: { enabled: true }, tls: {} }";
        let found = problems(yaml);
        for (at, words) in [
            ("h::endpoint ", "localhost:13133"),
            ("h::path ", "must be a path"),
            ("h::check_collector_pipeline ", "deprecated"),
            ("h::tls::cert_file ", "is required"),
        ] {
            let told = found.iter().any(|line| line.starts_with(at) && line.contains(words));
            assert!(told, "{at}: {found:?}");
        }
        assert_eq!(problems("{ path: /live }").len(), 1);
    }

    #[test]
    fn readiness_is_told_at_its_path_and_liveness_at_its_own() {
        let asked = |health: &Health, path| health.at(path).status.as_u16();
        let everywhere = health("/", ResponseBody::default());
        assert_eq!(
            ["/", "/health/status", "/live"].map(|p| asked(&everywhere, p)),
            [503, 503, 200]
        );
        let ready = health("/ready", ResponseBody::default());
        assert_eq!(
            ["/", "/ready", "/ready/x", "/live"].map(|p| asked(&ready, p)),
            [404, 503, 404, 200]
        );
    }

    #[test]
    fn bodies_are_the_users_where_there_are_any() {
        let body = ResponseBody { unhealthy: Some("not yet".into()), healthy: None };
        assert_eq!(health("/", body).at("/").text, "not yet");
        let told = health("/", ResponseBody::default()).at("/").text;
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["status"], "Server not available");
    }

    #[test]
    fn what_runs_says_since_when_as_the_collector_does() {
        let since = 1_700_000_000_250_000_000;
        let told = said(Phase::Running { since }, since + 3_723_500_000_000);
        let expected = r#"{"status":"Server available","upSince":"2023-11-14T22:13:20.25Z","uptime":"1h2m3.5s"}"#;
        assert_eq!(told, expected);
        let said = [0, 1_050, 59_999, 60_000, 3_600_000].map(|n| go(Duration::from_millis(n)));
        assert_eq!(said, ["0s", "1.05s", "59.999s", "1m0s", "1h0m0s"]);
    }

    #[test]
    fn a_probe_that_is_built_knows_what_the_service_is_about() {
        let (id, accounts, shared) =
            (Id::parse("health_check").unwrap(), Accounts::default(), Shared::default());
        let base = std::path::Path::new("");
        let cx = Build::alone(&id, &accounts, Clock::start(), base, &shared);
        assert!(Config::default().build(&cx).is_ok());
        assert_eq!(Config::default().binds(), [("endpoint", "localhost:13133")]);
    }
}
