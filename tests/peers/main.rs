//! The real binary among real clients, servers and backends that were not written here. Each module says what
//! it needs of what `scripts/peers` installs; without that they are ignored, and CI runs them with `--ignored`.

#![allow(clippy::unwrap_used)]

mod common;
mod http;
mod metrics;
mod otlp;
mod reading;
mod redaction;
mod slo;
mod stdio;
mod zipkin;
