//! Where a route leads: its server, and what requests to it are written with.

use std::path::Path;
use std::sync::Arc;

use hyper::header::{HeaderName, HeaderValue};

use super::config::Route;
use crate::http::authority::Origin;
use crate::http::forward::{Reach, Server};

/// Knows one route's server and how its requests are written.
pub(super) struct Destination {
    pub(super) server: Arc<Server>,
    /// Scheme, host and port, by which it may name places of its own.
    pub(super) origin: Option<Origin>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) preserve_host: bool,
    pub(super) forwarded_headers: bool,
}

impl Destination {
    /// The destination of a route whose settings have been checked; files are relative to `base`. Heads of its
    /// responses have at most `max_headers` fields.
    pub(super) fn new(route: &Route, base: &Path, max_headers: usize) -> anyhow::Result<Self> {
        let server = Server::new(Reach {
            uri: route.uri().map_err(anyhow::Error::msg)?,
            tls: &route.tls,
            base,
            protocol: route.protocol,
            max_headers,
            connect_timeout: route.connect_timeout.into(),
            idle_timeout: route.idle_timeout.into(),
        })?;
        let headers = route.headers.0.iter().map(|(name, value)| {
            let mut value = HeaderValue::from_str(value.expose())?;
            value.set_sensitive(true);
            anyhow::Ok((name.parse()?, value))
        });
        Ok(Destination {
            origin: Origin::parse(&format!("{}://{}", server.scheme, server.authority)),
            server: Arc::new(server),
            headers: headers.collect::<Result<_, _>>()?,
            preserve_host: route.preserve_host,
            forwarded_headers: route.forwarded_headers,
        })
    }
}
