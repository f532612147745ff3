//! `otlp`: OTLP over gRPC and HTTP, the Collector's receiver by that name.
//!
//! ```yaml
//! receivers:
//!   otlp:
//!     protocols:
//!       grpc: # localhost:4317
//!       http: { endpoint: localhost:4318, cors: { allowed_origins: ["https://app.example.com"] } }
//! ```
//!
//! Two doors (`server`), one way in (`intake`): a request's bytes are unpacked, checked and offered to the
//! pipelines undecoded, and its answer is the pipelines' verdict, not a hope. What is not usable of a
//! request is removed, counted and said (`partial_success`); what has no room is refused with a hint to
//! come again. gRPC is spoken here, not by tonic's server: so both protocols share the limits on bytes,
//! and one too many is `RESOURCE_EXHAUSTED` as OTLP asks, after decompression too.

mod single;
mod budget;
mod memory;
mod refusal;
mod body;
mod answer;
mod counters;
mod cors;
mod passback;
mod config;
mod unpack;
mod intake;
mod grpc;
mod http;
#[cfg(test)]
mod clients;
mod receiver;

pub use config::{Auth, Config, Grpc, Http, Keepalive, Protocols, ServerParameters};
pub use cors::Cors;

use crate::pipeline::{Build, ComponentConfig, Receiver, ReceiverConfig};
use crate::settings::Report;
use crate::telemetry::Signal;

impl ComponentConfig for Config {
    const NAME: &'static str = "otlp";
    const ABOUT: &'static str = "OTLP over gRPC and HTTP";
    const SIGNALS: &'static [Signal] = &Signal::ALL;

    fn check(&self, report: &mut Report<'_>) {
        self.check_all(report);
    }
}

impl ReceiverConfig for Config {
    fn listens(&self) -> Vec<&str> {
        self.endpoints().into_iter().map(|(_, endpoint)| endpoint).collect()
    }

    fn binds(&self) -> Vec<(&'static str, &str)> {
        self.endpoints()
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>> {
        Ok(Box::new(receiver::Otlp::new(self.clone(), cx)))
    }
}
