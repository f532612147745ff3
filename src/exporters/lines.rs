//! Lines written by a thread of their own: what `stdout`, `file` and `debug` share.
//!
//! A pipe whose reader has stopped, a terminal on hold, a file on a dead network share: each can block a
//! write for ever. On a thread of the runtime that would take other exporters down; on the runtime's
//! blocking pool every attempt that timed out would leave one more stuck thread behind, and the runtime
//! would wait for them at its end. So one thread, one batch at a time, and nobody waits for its end.

use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::sizes::json_size;
use crate::pipeline::lower_priority;
use crate::pipeline::{BoxFuture, ExportError, Exported, Exporter};
use crate::telemetry::Telemetry;

/// Takes the lines. Called from one thread only.
pub(super) trait Sink: Send + 'static {
    /// Writes `lines`, which end in a newline, and leaves none of them in a buffer of ours.
    fn write(&mut self, lines: &[u8]) -> Result<(), ExportError>;
}

/// A sink behind its thread. The thread ends with the last handle, unless a write holds it.
pub(super) struct Lines(mpsc::Sender<Job>);

struct Job {
    lines: Vec<u8>,
    done: oneshot::Sender<Result<(), ExportError>>,
}

impl Lines {
    /// Starts the thread; nothing is opened or written before the first batch.
    pub(super) fn start(sink: impl Sink) -> std::io::Result<Self> {
        // One job is being written, one stands ready; more would only be memory.
        let (tx, rx) = mpsc::channel(1);
        thread::Builder::new().name("lines".into()).spawn(move || {
            lower_priority();
            write_all(sink, rx);
        })?;
        Ok(Lines(tx))
    }

    /// Has `lines` written. A caller that gives up before their turn takes them back; one that gives up
    /// while they are being written cannot, and may see them twice after a retry.
    pub(super) async fn write(&self, lines: Vec<u8>) -> Result<(), ExportError> {
        let gone = |_| ExportError::Reject { why: "the writing thread has ended".to_owned() };
        let (done, result) = oneshot::channel();
        self.0.send(Job { lines, done }).await.map_err(|_| ()).map_err(gone)?;
        result.await.map_err(|_| ()).map_err(gone)?
    }
}

fn write_all(mut sink: impl Sink, mut jobs: mpsc::Receiver<Job>) {
    while let Some(Job { lines, done }) = jobs.blocking_recv() {
        if done.is_closed() {
            continue;
        }
        let result = sink.write(&lines);
        // Who gave up in the meantime does not want to know.
        drop(done.send(result));
    }
}

/// An exporter that writes each batch as one line of OTLP/JSON.
pub(super) struct JsonLines(pub(super) Lines);

impl Exporter for JsonLines {
    fn takes(&self, telemetry: &Telemetry) -> usize {
        json_size(telemetry)
    }

    fn export<'a>(
        &'a self,
        telemetry: &'a Telemetry,
    ) -> BoxFuture<'a, Result<Exported, ExportError>> {
        Box::pin(async move {
            self.0.write(json_line(telemetry)).await?;
            Ok(Exported::default())
        })
    }
}

/// Names what room is made for an item, and for a line at most, in bytes: a tap's span has a little less.
const USUAL: usize = 2560;
const MOST: usize = 8 << 20;

/// A batch as one line (OpenTelemetry Protocol File Exporter, "JSON Lines file").
fn json_line(telemetry: &Telemetry) -> Vec<u8> {
    let mut line = Vec::with_capacity(telemetry.items().saturating_mul(USUAL).min(MOST));
    telemetry.write_json(&mut line);
    line.push(b'\n');
    line
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;
    use crate::otlp::Messages;

    /// One span of that name.
    pub(in crate::exporters) fn span_named(name: &str) -> Telemetry {
        let span = Span { name: name.into(), ..Span::default() };
        let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
        let all = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        Telemetry::from(Messages::Traces(vec![all]))
    }

    /// Writes into memory, each time only after being allowed to.
    struct Held {
        entered: SyncSender<()>,
        allowed: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Sink for Held {
        fn write(&mut self, lines: &[u8]) -> Result<(), ExportError> {
            self.entered.send(()).unwrap();
            self.allowed.recv_timeout(Duration::from_secs(20)).unwrap();
            self.written.lock().unwrap().extend_from_slice(lines);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_blocked_write_holds_its_own_thread_only_and_what_was_given_up_is_not_written() {
        let (entered_tx, entered) = sync_channel(8);
        let (allow, allowed) = sync_channel(8);
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let sink = Held { entered: entered_tx, allowed, written: Arc::clone(&written) };
        let lines = Lines::start(sink).unwrap();

        let first = lines.write(b"first\n".to_vec());
        tokio::pin!(first);
        assert!(futures_poll(&mut first).await.is_none());
        entered.recv().unwrap();
        {
            // Queued behind the blocked one, then given up.
            let second = lines.write(b"second\n".to_vec());
            tokio::pin!(second);
            assert!(futures_poll(&mut second).await.is_none());
        }
        allow.send(()).unwrap();
        first.await.unwrap();
        allow.send(()).unwrap();
        lines.write(b"third\n".to_vec()).await.unwrap();
        assert_eq!(*written.lock().unwrap(), b"first\nthird\n");
    }

    /// Polls once.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }

    struct Panics;

    impl Sink for Panics {
        fn write(&mut self, _: &[u8]) -> Result<(), ExportError> {
            panic!("a bug in a sink");
        }
    }

    #[tokio::test]
    async fn a_thread_that_died_is_told() {
        let lines = Lines::start(Panics).unwrap();
        for _ in 0..2 {
            let error = lines.write(b"x\n".to_vec()).await.unwrap_err();
            assert_eq!(error.to_string(), "the writing thread has ended");
        }
    }

    #[test]
    fn a_batch_is_one_line() {
        let line = String::from_utf8(json_line(&span_named("a\nb"))).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with("}\n") && line.contains(r#""name":"a\nb""#), "{line}");
    }
}
