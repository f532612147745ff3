//! Words that many components share in YAML: where they stand, durations, queues, TLS, secrets.
//!
//! Types here are what users write, checked; they open nothing. All they build is what rustls is
//! configured with, because every client and every server needs the same.

mod brackets;
mod chains;
mod credentials;
mod duration;
mod given;
mod harmless;
mod file;
mod key_file;
mod names;
mod secret;
mod written;
mod problems;
mod client;
mod delivery;
mod read;
mod tls;
mod http_client;
mod protocol;
mod server_tls;
mod system_roots;
mod tls_config;
mod yaml;
#[cfg(test)]
pub(crate) mod testing;

pub use brackets::{bare_ipv6, is_ipv6};
#[cfg(test)]
pub(crate) use client::RESERVED;
pub use client::{Compression, Endpoint, HeaderFault, Headers, Keepalive, NoEffect, Unsupported};
pub use credentials::{REDACTED, without_credentials};
pub use delivery::{BatchSettings, Delivery, OnFull, QueueSettings, RetrySettings, Sizer};
pub use duration::Duration;
pub use file::read_file;
pub(crate) use given::NOT_EMPTY;
pub use given::{Given, IS_EMPTY};
pub use harmless::{harmless, harmless_json, steers, without_hidden};
pub use http_client::{
    CompressionParams, HttpClient, is_local_url, parse_url, shown_url, signal_path, url_target,
};
pub use key_file::read_key_file;
pub use names::{did_you_mean, nearest_name, quoted_list, sounds_secret};
pub use problems::{Place, Problem, Problems, Report, Severity};
pub use protocol::Protocol;
pub use secret::Secret;
pub use server_tls::ServerTls;
pub use system_roots::system_roots;
pub use tls::{ClientTls, TlsError, TlsMaterial};
pub use tls_config::Anybody;
pub use written::{Key, Mark, Node, Value};
pub use yaml::{Budget, MAX_DEPTH, Origin, is_null};
