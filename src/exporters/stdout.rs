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

use serde::Deserialize;

use super::lines::{JsonLines, Lines, Sink};
use crate::pipeline::{Build, ExportError, Exporter, ExporterConfig};
use crate::settings::{Delivery, Duration, QueueSettings, Report, RetrySettings};
use crate::telemetry::Signal;

/// Settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    timeout: Duration,
    sending_queue: QueueSettings,
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

impl ExporterConfig for Config {
    const NAME: &'static str = "stdout";
    const ALIASES: &'static [&'static str] = &[];
    const ABOUT: &'static str = "OTLP JSON lines on standard output";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const STDOUT: bool = true;

    fn check(&self, report: &mut Report<'_>) {
        self.delivery().check(report);
    }

    fn delivery(&self) -> Delivery {
        Delivery {
            timeout: self.timeout,
            queue: self.sending_queue.clone(),
            retry: self.retry_on_failure.clone(),
        }
    }

    fn build(&self, _: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        Ok(Box::new(JsonLines(Lines::start(Stdout(io::stdout()))?)))
    }
}

/// Standard output, or what stands for it in a test.
struct Stdout<W>(W);

impl<W: Write + Send + 'static> Sink for Stdout<W> {
    fn write(&mut self, lines: &[u8]) -> Result<(), ExportError> {
        self.0.write_all(lines).and_then(|()| self.0.flush()).map_err(|e| match e.kind() {
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
        let exporter = JsonLines(Lines::start(Stdout(writer)).unwrap());
        for _ in 0..2 {
            let error = exporter.export(&span_named("a")).await.unwrap_err();
            assert_eq!(
                error,
                ExportError::Reject { why: "stdout: its reader has closed it".to_owned() }
            );
        }
    }

    #[tokio::test]
    async fn every_batch_is_a_line_that_is_there_at_once() {
        use io::BufRead;
        let (reader, writer) = io::pipe().unwrap();
        let mut reader = io::BufReader::new(reader);
        let exporter = JsonLines(Lines::start(Stdout(io::BufWriter::new(writer))).unwrap());
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
