//! `POST /v1/passback`: a client forwards the spans that an MCP server handed back to it (SEP-2448), as
//! they came.
//!
//! What is in them is the `mcp` room's to judge. Here stand the words of the request, the claim on what
//! was taken, and what the sender hears. A client that converts them to OTLP itself posts to `/v1/traces`.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::HeaderName;

use super::answer::Success;
use super::refusal::{Reason, Refusal};
use super::single::{Differing, single};
use crate::mcp::{self, HandedBack, PassbackCounts, Posted, Received, Unsampled};
use crate::receivers::tap::usable_name;
use crate::telemetry::{Clock, Content, Telemetry};

/// Says where it is posted, unless written otherwise.
pub(super) const PATH: &str = "/v1/passback";

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Names what the client calls the server.
const SERVER: HeaderName = HeaderName::from_static("mcpcol-server-name");

/// Names what is kept of a `traceparent`, in bytes: it has 55, and more only in versions to come.
const LONGEST: usize = 256;

/// Holds what a request's head says about the spans in its body.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    traceparent: Option<Vec<u8>>,
    server: String,
}

impl Named {
    /// Reads a head.
    pub(super) fn of(headers: &HeaderMap) -> Result<Named, Refusal> {
        let one = |name: &HeaderName| {
            let why = |Differing| format!("there are two values of {name}, and they differ");
            single(headers, name)
                .map_err(|differing| Refusal::new(Reason::Malformed, why(differing)))
        };
        let server = one(&SERVER)?.map(|name| name.to_str().unwrap_or_default());
        if server.is_some_and(|name| !usable_name(name)) {
            let why = "mcpcol-server-name must have 1 to 128 characters and must not be a URL";
            return Err(Refusal::new(Reason::Malformed, why));
        }
        Ok(Named {
            traceparent: one(&TRACEPARENT)?.map(|value| {
                let value = value.as_bytes();
                value[..value.len().min(LONGEST)].to_vec()
            }),
            server: server.unwrap_or_default().to_owned(),
        })
    }
}

/// Holds what is known of spans that were handed back, here and in the taps.
#[derive(Clone)]
pub(super) struct Passback {
    pub(super) known: Arc<HandedBack>,
    pub(super) clock: Clock,
}

impl Passback {
    /// Takes the spans of a body: them, their content, the claim on them, and what was refused of them.
    pub(super) fn take(
        &self,
        body: &[u8],
        named: &Named,
    ) -> Result<(Telemetry, Content, Claim, PassbackCounts), Refusal> {
        let posted = Posted {
            body,
            traceparent: named.traceparent.as_deref(),
            server: &named.server,
            now: self.clock.now(),
            unsampled: Unsampled::Drop,
        };
        let taken = posted.take_in(&mcp::Passback::default(), &self.known);
        let Received { telemetry, content, counts } =
            taken.map_err(|why| Refusal::new(Reason::Malformed, why))?;
        let claim = Claim { known: Arc::clone(&self.known), spans: Some(telemetry.clone()) };
        Ok((telemetry, content, claim, counts))
    }
}

/// Spans that are taken for handed back as long as the pipelines may take them. If they do not, the spans
/// may come again.
pub(super) struct Claim {
    known: Arc<HandedBack>,
    spans: Option<Telemetry>,
}

impl Claim {
    /// The pipelines have them.
    pub(super) fn keep(mut self) {
        self.spans = None;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(spans) = &self.spans {
            self.known.forget(spans);
        }
    }
}

/// Gives what the sender hears of what was refused, by reason.
pub(super) fn heard(counts: &PassbackCounts) -> Success {
    let mut message = String::new();
    let whole = [("too_large", counts.too_large), ("malformed", counts.malformed)];
    let refused = counts.refused.reasons();
    let refused = refused.iter().map(|(reason, n)| (reason.trim_start_matches("passback_"), *n));
    for (reason, count) in whole.into_iter().chain(refused).filter(|(_, count)| *count > 0) {
        let comma = if message.is_empty() { "" } else { ", " };
        message.push_str(&format!("{comma}{reason}: {count}"));
    }
    let rejected = usize::try_from(counts.refused.total()).unwrap_or(usize::MAX);
    Success { rejected, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_said_by_reason() {
        let mut counts = PassbackCounts::default();
        assert_eq!(heard(&counts), Success::default());
        (counts.refused.bad_id, counts.refused.foreign_trace) = (2, 1);
        let heard = heard(&counts);
        assert_eq!((heard.rejected, &*heard.message), (3, "bad_id: 2, foreign_trace: 1"));
    }

    #[test]
    fn a_server_is_named_with_bounds() {
        let named = |name: &str| {
            let headers = [(SERVER, name.parse().unwrap())].into_iter().collect();
            Named::of(&headers).map(|named| named.server)
        };
        assert_eq!(named("github").unwrap(), "github");
        assert!(named("").is_err());
        assert!(named("https://user@host").is_err());
        assert!(named(&"x".repeat(129)).is_err());
        assert_eq!(Named::of(&HeaderMap::new()).unwrap().server, "");
        let long = [(TRACEPARENT, "x".repeat(60_000).parse().unwrap())].into_iter().collect();
        assert_eq!(Named::of(&long).unwrap().traceparent.map(|kept| kept.len()), Some(LONGEST));
        for name in [SERVER, TRACEPARENT] {
            let fields = ["a", "b"].map(|value| (name.clone(), value.parse().unwrap()));
            assert!(Named::of(&fields.into_iter().collect()).is_err(), "{name}");
        }
    }
}
