//! Interim answers (1xx), of which a server may send any number before the one that counts (RFC 9110 section 15.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hyper::Request;
use hyper::ext::on_informational;
use tokio::sync::Notify;

/// Says how many are read past. Who sends some sends a few: one for each hint, or one in some seconds while it works.
const MOST: u32 = 100;

/// Counts the interim answers of one request over HTTP/1.1. Those of HTTP/2 are not shown to anybody; the bytes of both
/// are counted.
#[derive(Default)]
pub(super) struct Interim {
    seen: AtomicU32,
    too_many: Notify,
}

impl Interim {
    pub(super) fn of<B>(request: &mut Request<B>) -> Arc<Interim> {
        let interim = Arc::new(Interim::default());
        let counted = Arc::clone(&interim);
        on_informational(request, move |_| {
            if counted.seen.fetch_add(1, Ordering::Relaxed) == MOST {
                counted.too_many.notify_one();
            }
        });
        interim
    }

    /// Waits until there are too many, and says so.
    pub(super) async fn too_many(&self) -> String {
        self.too_many.notified().await;
        format!("more than {MOST} interim answers (1xx) came in place of an answer")
    }
}
