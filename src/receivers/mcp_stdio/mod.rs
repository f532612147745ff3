//! `mcp_stdio`: the tap between a client and one stdio MCP server, which it starts.
//!
//! ```yaml
//! receivers:
//!   mcp_stdio/files: { command: npx, args: [-y, "@modelcontextprotocol/server-filesystem", .] }
//! ```
//!
//! Two worlds, joined by one bounded queue. Forwarding: a blocking thread a direction, which hands a
//! copy over and writes the bytes on (`relay`, `intake`). Observing: a thread at lower priority that
//! drives the state machine of the `mcp` room and the pipeline behind it (`watch`). The ends are the
//! `ladder`'s. Nothing on the observing side can delay, change or end the traffic.
//! Where the user asked for it by name, `edits` changes single lines on the forwarding side.

mod edits;
mod ladder;
mod child;
mod name;
mod queue;
mod intake;
mod counters;
mod relay;
mod stderr;
mod tap;
mod own_stdio;
mod config;
mod watch;
mod receiver;

#[cfg(test)]
mod tests;

pub use super::tap::{CaptureSettings, Passback, Propagate, Watch, usable_name};
pub use crate::mcp::Direction;
pub use child::CannotStart;
pub use config::{Config, ProcessGroup};
pub use ladder::Signal;
pub use name::ServerName;
pub use own_stdio::remote;
pub use queue::{Event, Kind, Note, Skipped};
pub use receiver::{running, start, watched_by};
pub use tap::{Remote, Tap};

use crate::pipeline::{Build, ComponentConfig, Receiver, ReceiverConfig};
use crate::settings::Report;
use crate::telemetry;

impl ComponentConfig for Config {
    const NAME: &'static str = "mcp_stdio";
    const ABOUT: &'static str = "starts one stdio MCP server and taps its traffic";
    const SIGNALS: &'static [telemetry::Signal] =
        &[telemetry::Signal::Traces, telemetry::Signal::Logs];

    fn check(&self, report: &mut Report<'_>) {
        self.check_all(report);
    }
}

impl ReceiverConfig for Config {
    fn captures(&self) -> Option<&'static str> {
        self.capture.captures().then_some("capture")
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>> {
        let server = self.server_name(&self.command_line(), cx.base);
        let lines = self.capture.stderr().then(stderr::queue);
        let watch = Box::new(watch::StdioObserver::new(self, &server, lines.clone(), cx));
        Ok(receiver::later(self.clone(), lines, cx, watch))
    }
}
