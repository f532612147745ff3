//! Serves the metrics of the process at `/metrics`, for Prometheus: what `service.telemetry.metrics` asks for. It runs
//! as an extension does, so that it answers until all is drained, and is none that `extensions` may name.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::admin::{Bound, Page, Pages, Port, is_taken};
use crate::metrics::exposition::{CONTENT_TYPE, Exposition};
use crate::metrics::{Metrics, RateLimitedLog, process};
use crate::pipeline::{BoxFuture, Build, Extension, ExtensionConfig, Stop};
use crate::telemetry::Nanos;

/// The path of the page.
const PATH: &str = "/metrics";
/// The longest page, in bytes: as long as some fifty thousand series.
const MAX_PAGE: usize = 8 << 20;
/// Names what pages may take together that are read slowly, in KiB.
const ROOM: usize = 32 << 10;

/// Says where they are served.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address, `host:port`.
    pub endpoint: String,
    /// Nobody asked for it: where the address is taken, the process goes on without.
    pub by_default: bool,
    /// Attributes of the process, as `target_info` shows them.
    pub resource: Vec<(String, String)>,
}

impl ExtensionConfig for Config {
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Extension>> {
        let pages = Told {
            metrics: cx.metrics().clone(),
            begun: Begun::of(cx),
            resource: self.resource.clone(),
            room: Arc::new(Semaphore::new(ROOM)),
            cut: RateLimitedLog::default(),
        };
        let (port, by_default) = (Port::new(&self.endpoint, None, cx), self.by_default);
        Ok(Box::new(OwnMetrics { port, by_default, pages, bound: None }))
    }
}

struct OwnMetrics {
    port: Port,
    by_default: bool,
    pages: Told,
    bound: Option<Bound>,
}

/// Says when the process began to count.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) since: Instant,
    /// Says when it began by the wall clock.
    pub(super) at: Nanos,
}

impl Begun {
    /// Of this process, whoever asks.
    pub(super) fn of(cx: &Build<'_>) -> Arc<Begun> {
        cx.process(|| Begun { since: Instant::now(), at: cx.clock.now() })
    }
}

/// The page, made anew for each who asks.
struct Told {
    metrics: Metrics,
    begun: Arc<Begun>,
    resource: Vec<(String, String)>,
    room: Arc<Semaphore>,
    cut: RateLimitedLog,
}

/// A page and its part of the room, until it is sent.
struct Held {
    text: String,
    #[expect(dead_code, reason = "held until the page is sent")]
    permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Extension for OwnMetrics {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            match self.port.bind().await {
                Ok(bound) => {
                    tracing::info!("serving metrics at {}{PATH}", bound.url()?);
                    self.bound = Some(bound);
                }
                Err(error) if self.by_default && is_taken(&error) => tracing::warn!(
                    "metrics are not served: {error:#}; choose another port by \
                     `service::telemetry::metrics::readers`, or say `level: none` there"
                ),
                Err(error) => return Err(error),
            }
            Ok(())
        })
    }

    fn run(self: Box<Self>, mut stop: Stop) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(async move {
            match self.bound {
                Some(bound) => bound.serve(self.pages, stop).await,
                None => {
                    stop.given().await;
                    Ok(())
                }
            }
        })
    }
}

impl Pages for Told {
    fn at(&self, path: &str) -> Page {
        if path != PATH {
            return Page::line(StatusCode::NOT_FOUND, "there is only /metrics");
        }
        let text = self.page();
        let parts = u32::try_from(text.len() / 1024 + 1).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.room).try_acquire_many_owned(parts) else {
            let why = "too many long pages are being read; come again";
            return Page::line(StatusCode::SERVICE_UNAVAILABLE, why);
        };
        let text = Bytes::from_owner(Held { text, permit });
        Page { status: StatusCode::OK, kind: CONTENT_TYPE, text }
    }
}

impl Told {
    fn page(&self) -> String {
        let mut page = Exposition::within(MAX_PAGE);
        let resource = self.resource.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        page.told("target_info", "What the process is", resource);
        for family in process(self.begun.since.elapsed()).iter().chain(&self.metrics.read()) {
            page.family(family);
        }
        let page = page.done();
        if page.left_out > 0 && self.cut.due().is_some() {
            let left_out = page.left_out;
            tracing::warn!(left_out, "the page of metrics has no room for all of them");
        }
        page.text
    }
}
