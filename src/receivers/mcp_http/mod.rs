//! `mcp_http`: a reverse proxy in front of one or many MCP servers that taps what passes.
//!
//! ```yaml
//! receivers:
//!   mcp_http:
//!     endpoint: localhost:8080
//!     routes: [{ path: /github, upstream: "https://mcp.example.com/mcp", name: github }]
//! ```
//!
//! Two worlds, joined by one bounded queue. Forwarding: threads with a runtime each, on which a request
//! stays from its client to its upstream and back (`worker`, `exchange`, `upstream`, `body`). Observing:
//! a thread at lower priority that drives the state machine of the `mcp` room and the pipeline behind it
//! (`watch`). What passes is copied before it is written on (`recorder`, `heads`) and never waits for anybody who
//! looks at it. Bodies are streamed and never changed, but for what the user
//! asked for by name (`edits`), and heads but for what is about one hop and a `Location` of the upstream's
//! own (`location`); nothing is cached, followed or sent twice.

mod events;
mod note;
mod decode;
mod headers;
mod guard;
mod config;
mod destination;
mod heads;
mod routes;
mod session_endpoints;
mod endpoint_watcher;
mod location;
mod recorder;
mod body;
mod answer;
mod edits;
mod exchange;
mod watch;
mod worker;
mod receiver;

pub use config::{Auth, Config, Route, SessionIds};

use crate::pipeline::{Build, ComponentConfig, Receiver, ReceiverConfig};
use crate::settings::Report;
use crate::telemetry::Signal;
use crate::telemetry::names::CLEAR_SESSION_ID;

impl ComponentConfig for Config {
    const NAME: &'static str = "mcp_http";
    const ABOUT: &'static str = "a reverse proxy that taps the traffic of MCP servers over HTTP";
    const SIGNALS: &'static [Signal] = &[Signal::Traces, Signal::Logs];

    fn check(&self, report: &mut Report<'_>) {
        self.check_all(report);
    }
}

impl ReceiverConfig for Config {
    fn binds(&self) -> Vec<(&'static str, &str)> {
        vec![("endpoint", &self.endpoint)]
    }

    fn lacks(&self) -> Option<(&'static str, &'static str)> {
        let message = "has none, so nothing would be served; write \
                       `routes: [{ upstream: \"http://localhost:3001/mcp\" }]`, or start it as \
                       `mcpcol http --upstream URL`";
        self.routes.is_empty().then_some(("routes", message))
    }

    fn shows(&self) -> Option<(&'static str, &'static str)> {
        (self.session_id == SessionIds::Clear).then_some(("session_id", CLEAR_SESSION_ID))
    }

    fn captures(&self) -> Option<&'static str> {
        self.capture.captures().then_some("capture")
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>> {
        Ok(Box::new(receiver::McpHttp::new(self.clone(), cx)?))
    }
}
