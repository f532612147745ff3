//! What the engine and the config room ask of a component's settings, by section. Each trait is implemented
//! by a component's settings, beside [`ComponentConfig`](super::ComponentConfig), and is object-safe: behind
//! it nobody knows which component it is.

use std::path::Path;

use super::{Build, Exporter, Extension, Processor, Receiver};
use crate::settings::Delivery;
use crate::telemetry::Signal;

/// Settings of a receiver that were read and checked.
pub trait ReceiverConfig: Send + Sync {
    /// Says where it takes telemetry from other processes: `host:port`. An exporter that sends there would
    /// feed itself.
    fn listens(&self) -> Vec<&str> {
        Vec::new()
    }
    /// Names the settings by which it takes addresses of this machine, dotted, each with its `host:port`: no
    /// other receiver can have them.
    fn binds(&self) -> Vec<(&'static str, &str)> {
        Vec::new()
    }
    /// Names a setting that `run` needs, that is not written and that another command may give, and says
    /// what to do.
    fn lacks(&self) -> Option<(&'static str, &'static str)> {
        None
    }
    /// Names the setting by which content is handed to the redaction behind it, if any is: without that it
    /// would be kept for nobody.
    fn captures(&self) -> Option<&'static str> {
        None
    }
    /// Names a setting by which it shows what redaction takes for a secret, and the attribute.
    fn shows(&self) -> Option<(&'static str, &'static str)> {
        None
    }
    /// Makes the receiver.
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>>;
}

/// Settings of a processor that were read and checked.
pub trait ProcessorConfig: Send + Sync {
    /// Names the signals that it makes besides those that pass it: pipelines of these may name it as a
    /// receiver.
    fn emits(&self) -> &'static [Signal] {
        &[]
    }
    /// Says whether it takes secrets out of all that passes: a pipeline without such a processor is warned
    /// about.
    fn redacts(&self) -> bool {
        false
    }
    /// Names attributes that it reads, so that it is said where a processor before it removes them.
    fn needs(&self) -> Vec<&str> {
        Vec::new()
    }
    /// Says whether it removes attributes of that name.
    fn removes(&self, _attribute: &str) -> bool {
        false
    }
    /// Says whether it masks all that stands under that name.
    fn masks(&self, _attribute: &str) -> bool {
        false
    }
    /// Says whether it counts what passes in one state for all of its instances: what comes to two of them would count
    /// twice.
    fn counts(&self) -> bool {
        false
    }
    /// Makes one instance: one for each pipeline.
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Processor>>;
}

/// Settings of an exporter that were read and checked.
pub trait ExporterConfig: Send + Sync {
    /// Says whether it writes data on the process's stdout, which a stdio tap needs for MCP.
    fn stdout(&self) -> bool {
        false
    }
    /// Gives queue, retry and timeout around it.
    fn delivery(&self) -> Delivery;
    /// Names the settings that say where it sends, with the host and port that they mean.
    fn targets(&self) -> Vec<(&'static str, String, u16)> {
        Vec::new()
    }
    /// Says where telemetry of these signals goes, as the log has it: without anything secret.
    fn places(&self, _signals: &[Signal]) -> Vec<String> {
        let place = |(_, host, port): (_, String, u16)| match host.as_str() {
            v6 if v6.contains(':') && !v6.starts_with('[') => format!("[{v6}]:{port}"),
            host => format!("{host}:{port}"),
        };
        self.targets().into_iter().map(place).collect()
    }
    /// Says whether it takes spans of our taps whose callers did not sample: a record does, a backend that samples
    /// does not.
    fn keeps_unsampled(&self) -> bool {
        false
    }
    /// Names the file that it writes, if it writes one: no other exporter should.
    fn writes(&self) -> Option<FileUse<'_>> {
        None
    }
    /// Makes the exporter: one for the process.
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>>;
}

/// Settings of an extension that were read and checked.
pub trait ExtensionConfig: Send + Sync {
    /// Names the settings by which it takes addresses of this machine, dotted, each with its `host:port`.
    /// Several taps share one configuration and one machine: those of `stdio` leave out an extension that
    /// has an address.
    fn binds(&self) -> Vec<(&'static str, &str)> {
        Vec::new()
    }
    /// Makes the extension: one for the process.
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Extension>>;
}

/// A file that an exporter writes.
#[derive(Clone, Copy, Debug)]
pub struct FileUse<'a> {
    /// The setting that names it, dotted.
    pub field: &'static str,
    /// The file as written there.
    pub path: &'a Path,
    /// Says how many older ones stand beside it, as `path.1` and so on.
    pub backups: u32,
}
