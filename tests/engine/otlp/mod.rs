//! The `otlp` receiver on real sockets, with real pipelines behind it and fake exporters at their end.

mod browser;
mod contract;
mod ends;
mod grpc;
mod http;
mod limits;
mod loops;
mod passback;
mod rig;
mod telemetry;
mod tls;
mod truth;
