//! Telemetry for people, on stderr.
//!
//! ```yaml
//! exporters:
//!   debug:
//!     verbosity: normal     # basic: a count a batch; normal: a line an item; detailed: everything
//! ```
//!
//! A call is one line, also where the tap is a hop and the call has two spans:
//!
//! ```text
//! 18:42:02.120+01  files  tools/call read_file     12.3ms  ok                   claude-code     120B > 4.1kB
//! 18:42:02.155+01  files  tools/call no_such_tool  1.10ms  client_error -32602  claude-code     124B > 84B
//! ```
//!
//! Times are local, with their zone; servers come before calls, clients after them. Where a terminal is too narrow,
//! the sizes give way first, then the client. A span that a server handed back is so called.
//! Colours where stderr is a terminal and `NO_COLOR` is unset. Names and values come from peers, so
//! control characters are escaped and lines have a longest length: a hostile tool name must not drive
//! the terminal. The text is not for programs and may change; those read `stdout` or `file`.

mod page;
mod zone;
mod spans;
mod normal;
mod detailed;
#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, IsTerminal, Write};

use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::page::Page;
pub(crate) use self::page::Timestamp;
use self::spans::Columns;
use self::zone::Zone;
use super::lines::{Lines, Sink};
use super::sizes::decoded_size;
use crate::otlp::Messages;
use crate::pipeline::{
    BoxFuture, Build, ComponentConfig, ExportError, Exported, Exporter, ExporterConfig,
};
use crate::settings::{
    Delivery, Duration, NoEffect, QueueSettings, Report, RetrySettings, Unsupported,
};
use crate::telemetry::{Signal, Telemetry};

/// Settings: the Collector's names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Sets how much is written.
    verbosity: Verbosity,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    sampling_initial: Unsupported,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    sampling_thereafter: Unsupported,
    /// Has no effect here; the Collector knows it.
    #[schemars(with = "NoEffect")]
    use_internal_logger: Unsupported,
    /// Lists where it goes; `stderr` is the only place.
    output_paths: Vec<String>,
    /// Bounds how long one attempt to send may take; 0 for no limit.
    timeout: Duration,
    /// Sets the queue in front of the exporter, and how batches are joined in it.
    sending_queue: QueueSettings,
    /// Says how often and how long a failed attempt is repeated.
    retry_on_failure: RetrySettings,
}

/// Says how much is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Verbosity {
    /// Writes a count a batch.
    #[default]
    Basic,
    /// Writes a line an item.
    Normal,
    /// Writes everything.
    Detailed,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            verbosity: Verbosity::Basic,
            sampling_initial: None,
            sampling_thereafter: None,
            use_internal_logger: None,
            output_paths: Vec::new(),
            timeout: Duration::secs(5),
            // As in the Collector: what is looked at should appear when it happens.
            sending_queue: QueueSettings { enabled: false, ..QueueSettings::default() },
            retry_on_failure: RetrySettings::default(),
        }
    }
}

impl ComponentConfig for Config {
    const NAME: &'static str = "debug";
    const ABOUT: &'static str = "readable text on stderr";
    const SIGNALS: &'static [Signal] = &Signal::ALL;

    fn check(&self, report: &mut Report<'_>) {
        self.delivery().check(report);
        if self.output_paths.iter().any(|path| path != "stderr") {
            report.error("output_paths", "debug writes to stderr; use `stdout` or `file`");
        }
        let without_effect = [
            ("sampling_initial", self.sampling_initial),
            ("sampling_thereafter", self.sampling_thereafter),
            ("use_internal_logger", self.use_internal_logger),
        ];
        for (field, _) in without_effect.iter().filter(|(_, written)| written.is_some()) {
            report.warn(field, "has no effect: every batch is written to stderr");
        }
    }
}

impl ExporterConfig for Config {
    fn delivery(&self) -> Delivery {
        Delivery {
            timeout: self.timeout,
            queue: self.sending_queue.clone(),
            retry: self.retry_on_failure.clone(),
        }
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Ok(Box::new(Debug {
            id: cx.id.to_string(),
            verbosity: self.verbosity,
            view: View {
                colours: io::stderr().is_terminal() && !no_color,
                zone: Zone::of_the_system(),
                columns: Columns::default(),
            },
            lines: Lines::start(Stderr)?,
        }))
    }
}

struct Debug {
    id: String,
    verbosity: Verbosity,
    view: View,
    lines: Lines,
}

/// Says how lines are shown, but for the width of the terminal, which changes.
struct View {
    colours: bool,
    zone: Zone,
    columns: Columns,
}

impl Exporter for Debug {
    fn takes(&self, telemetry: &Telemetry) -> usize {
        decoded_size(telemetry)
    }

    fn export<'a>(
        &'a self,
        telemetry: &'a Telemetry,
    ) -> BoxFuture<'a, Result<Exported, ExportError>> {
        Box::pin(async move {
            let text = render(&self.id, telemetry, self.verbosity, (&self.view, terminal_width()));
            self.lines.write(text.into_bytes()).await?;
            Ok(Exported::default())
        })
    }
}

/// Shows spans as `verbosity: normal` does on a terminal of `width` columns, a line a call.
pub(crate) fn live_lines(spans: &[ResourceSpans], colours: bool, width: usize) -> String {
    LiveLines::new(colours, Some(width)).lines(spans)
}

/// Shows spans so as they come; the columns of all of them align.
pub(crate) struct LiveLines {
    zone: Zone,
    columns: Columns,
    colours: bool,
    width: Option<usize>,
}

impl LiveLines {
    /// Begins with columns as wide as is usual; without a `width` there is room for all.
    pub(crate) fn new(colours: bool, width: Option<usize>) -> Self {
        let (zone, columns) = (Zone::of_the_system(), Columns::default());
        LiveLines { zone, columns, colours, width }
    }

    /// Shows these spans, a line each.
    pub(crate) fn lines(&self, spans: &[ResourceSpans]) -> String {
        let mut page = Page::new(self.colours);
        spans::batch(&mut page, spans, (&self.zone, &self.columns, self.width));
        page.into_text()
    }
}

/// Asks stderr for its width in columns, if it is a terminal that knows.
fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// A batch as text that ends in a newline.
fn render(
    id: &str,
    telemetry: &Telemetry,
    verbosity: Verbosity,
    (view, width): (&View, Option<usize>),
) -> String {
    let mut page = Page::new(view.colours);
    let messages = telemetry.messages();
    if verbosity != Verbosity::Normal {
        summary(&mut page, id, telemetry, &messages);
    }
    match verbosity {
        Verbosity::Basic => {}
        Verbosity::Normal => match &messages {
            Messages::Traces(all) => {
                spans::batch(&mut page, all, (&view.zone, &view.columns, width));
            }
            Messages::Metrics(all) => normal::metrics(&mut page, &view.zone, all),
            Messages::Logs(all) => normal::logs(&mut page, &view.zone, all),
        },
        Verbosity::Detailed => detailed::batch(&mut page, &messages),
    }
    page.into_text()
}

/// The Collector's count line.
fn summary(page: &mut Page, id: &str, telemetry: &Telemetry, messages: &Messages) {
    let resources = match messages {
        Messages::Traces(all) => all.len(),
        Messages::Metrics(all) => all.len(),
        Messages::Logs(all) => all.len(),
    };
    let signal = telemetry.signal();
    let items = signal.items().replace('_', " ");
    page.line(format_args!(
        "{id}  {}  resources: {resources}, {items}: {}",
        signal.name(),
        telemetry.items()
    ));
}

struct Stderr;

impl Sink for Stderr {
    fn write(&mut self, lines: &[u8]) -> Result<(), ExportError> {
        io::stderr().lock().write_all(lines).map_err(|e| match e.kind() {
            ErrorKind::BrokenPipe => {
                ExportError::Reject { why: "stderr: its reader has closed it".to_owned() }
            }
            _ => ExportError::Retry { after: None, why: format!("stderr: {e}") },
        })
    }
}
