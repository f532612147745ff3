//! OTLP JSON lines on standard output, for pipes: `mcpcol run ... | jq`.
//!
//! ```yaml
//! exporters:
//!   stdout:
//!     timeout: 5s
//! ```
//!
//! A line is one batch: a complete `TracesData`, `MetricsData` or `LogsData`. Once the reader has
//! closed the pipe, everything is rejected and counted as such. For people there is `debug`; where stdout
//! carries MCP there is `file`.

use std::io::{self, ErrorKind, Write};

use schemars::JsonSchema;
use serde::Deserialize;

use super::lines::{JsonLines, Lines, Sink};
use crate::pipeline::{Build, ComponentConfig, ExportError, Exporter, ExporterConfig};
use crate::settings::{Delivery, Duration, QueueSettings, Report, RetrySettings};
use crate::telemetry::Signal;

/// Settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bounds how long one attempt to send may take; 0 for no limit.
    timeout: Duration,
    /// Sets the queue in front of the exporter, and how batches are joined in it.
    sending_queue: QueueSettings,
    /// Says how often and how long a failed attempt is repeated.
    retry_on_failure: RetrySettings,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            timeout: Duration::secs(5),
            sending_queue: QueueSettings::default(),
            retry_on_failure: RetrySettings::default(),
        }
    }
}

impl ComponentConfig for Config {
    const NAME: &'static str = "stdout";
    const ABOUT: &'static str = "OTLP JSON lines on standard output";
    const SIGNALS: &'static [Signal] = &Signal::ALL;

    fn check(&self, report: &mut Report<'_>) {
        self.delivery().check(report);
    }
}

impl ExporterConfig for Config {
    fn stdout(&self) -> bool {
        true
    }

    fn delivery(&self) -> Delivery {
        Delivery {
            timeout: self.timeout,
            queue: self.sending_queue.clone(),
            retry: self.retry_on_failure.clone(),
        }
    }

    fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        Ok(Box::new(JsonLines(Lines::start(Stdout::new(io::stdout()))?)))
    }
}

/// Writes to standard output, or what stands for it in a test.
struct Stdout<W> {
    out: W,
    /// A line may stand there half written, on a disk that was full: what is redirected cannot be cut by us.
    torn: bool,
}

impl<W: Write> Stdout<W> {
    fn new(out: W) -> Self {
        Stdout { out, torn: false }
    }

    fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        if std::mem::replace(&mut self.torn, true) {
            self.out.write_all(b"\n")?;
        }
        self.out.write_all(lines)?;
        self.out.flush()?;
        self.torn = false;
        Ok(())
    }
}

impl<W: Write + Send + 'static> Sink for Stdout<W> {
    fn write(&mut self, lines: &[u8]) -> Result<(), ExportError> {
        self.put(lines).map_err(|e| match e.kind() {
            ErrorKind::BrokenPipe => {
                ExportError::Reject { why: "stdout: its reader has closed it".to_owned() }
            }
            _ => ExportError::Retry { after: None, why: format!("stdout: {e}") },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::tests::span_named;
    use super::*;

    #[tokio::test]
    async fn a_pipe_without_a_reader_rejects() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let exporter = JsonLines(Lines::start(Stdout::new(writer)).unwrap());
        for _ in 0..2 {
            let error = exporter.export(&span_named("a")).await.unwrap_err();
            assert_eq!(
                error,
                ExportError::Reject { why: "stdout: its reader has closed it".to_owned() }
            );
        }
    }

    /// Has room for so many bytes, until it is given more.
    struct Disk {
        written: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room);
            if fits == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= fits;
            self.written.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_did_not_fit_does_not_spoil_the_next() {
        let mut stdout = Stdout::new(Disk { written: Vec::new(), room: 6 });
        stdout.write(b"one\n").unwrap();
        for _ in 0..2 {
            let error = stdout.write(b"two\n").unwrap_err();
            assert!(matches!(error, ExportError::Retry { .. }), "{error:?}");
        }
        stdout.out.room = 100;
        stdout.write(b"two\n").unwrap();
        stdout.write(b"three\n").unwrap();
        assert_eq!(stdout.out.written, b"one\ntw\ntwo\nthree\n");
    }

    #[tokio::test]
    async fn every_batch_is_a_line_that_is_there_at_once() {
        use io::BufRead;
        let (reader, writer) = io::pipe().unwrap();
        let mut reader = io::BufReader::new(reader);
        let exporter = JsonLines(Lines::start(Stdout::new(io::BufWriter::new(writer))).unwrap());
        for name in ["a", "b"] {
            exporter.export(&span_named(name)).await.unwrap();
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert!(line.contains(&format!(r#""name":"{name}""#)) && line.ends_with("}\n"));
        }
    }

    #[test]
    fn nothing_needs_to_be_set() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config.timeout, Duration::secs(5));
        assert!(serde_json::from_str::<Config>(r#"{"path":"x"}"#).is_err());
    }
}
