//! Registry rows: what a room's slice holds about each component, and how settings become one.
//!
//! A component implements one of the three `...Config` traits on its settings; `Kind::of::<Config>()`
//! is its row. The rest (reading YAML, naming the known kinds, `components`) comes from the house.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;

use super::{Exporter, Id, Next, Outlet, Processor, Receiver, Vitals};
use crate::settings::{Delivery, Node, Place, Problems, Report};
use crate::telemetry::{Clock, Signal};

/// What a component may use while it is built. Building touches nothing outside the process.
#[derive(Debug)]
pub struct Build<'a> {
    /// The component's own id.
    pub id: &'a Id,
    /// The books.
    pub vitals: &'a Vitals,
    /// The process's clock.
    pub clock: Clock,
    /// Relative paths in settings start here: the directory of the config file.
    pub base: &'a Path,
    /// Where a processor puts telemetry of other signals: the pipelines that name it as a receiver.
    pub emit: Outlet,
    /// Where a processor sends what it kept of earlier batches.
    pub next: Next,
    /// The processors behind a receiver, in the order in which batches come to them.
    pub behind: &'a [Id],
    /// State that is single per id.
    pub shared: &'a Shared,
}

impl<'a> Build<'a> {
    /// Makes what a component that stands alone is built with: its ways out lead nowhere.
    pub fn alone(
        id: &'a Id,
        vitals: &'a Vitals,
        clock: Clock,
        base: &'a Path,
        shared: &'a Shared,
    ) -> Self {
        let (emit, next) = (Outlet::default(), Next::nowhere());
        Build { id, vitals, clock, base, emit, next, behind: &[], shared }
    }

    /// The one value of type `T` for this component's id, made the first time: an engine that several
    /// instances of one processor share and that survives a reload.
    pub fn shared<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.shared.of(Some(self.id), make)
    }

    /// The one value of type `T` for the whole process, whichever component asks: what all of them must
    /// know together.
    pub fn process<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.shared.of(None, make)
    }

    /// Makes a value known to the receivers in front of this component, in place of the one that it made
    /// known before, or takes that one back.
    pub fn publish<T: Any + Send + Sync>(&self, value: Option<T>) {
        self.shared.put(self.id, value);
    }

    /// The value of type `T` that a processor behind this receiver published: of several the first.
    pub fn published<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.behind.iter().find_map(|id| self.shared.get(id))
    }
}

/// State that is single per component id, or for the process.
#[derive(Debug, Default)]
pub struct Shared(Mutex<SharedMap>);

type SharedMap = HashMap<(Option<Id>, TypeId), Arc<dyn Any + Send + Sync>>;

impl Shared {
    pub(super) fn of<T: Any + Send + Sync>(
        &self,
        id: Option<&Id>,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = map
            .entry((id.cloned(), TypeId::of::<T>()))
            .or_insert_with(|| Arc::new(make()) as Arc<dyn Any + Send + Sync>);
        Arc::clone(slot).downcast().unwrap_or_else(|_| unreachable!("keyed by its type"))
    }

    fn put<T: Any + Send + Sync>(&self, id: &Id, value: Option<T>) {
        let key = (Some(id.clone()), TypeId::of::<T>());
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => drop(map.insert(key, Arc::new(value))),
            None => drop(map.remove(&key)),
        }
    }

    fn get<T: Any + Send + Sync>(&self, id: &Id) -> Option<Arc<T>> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(map.get(&(Some(id.clone()), TypeId::of::<T>()))?).downcast().ok()
    }
}

/// Settings of a receiver.
pub trait ReceiverConfig: DeserializeOwned + Send + Sync + 'static {
    /// The key in YAML, which is also the file's name.
    const NAME: &'static str;
    /// Other spellings that load.
    const ALIASES: &'static [&'static str];
    /// One line for `components`.
    const ABOUT: &'static str;
    /// The signals it produces.
    const SIGNALS: &'static [Signal];
    /// Adds everything that is wrong with the meaning of these settings. May read files, opens nothing.
    fn check(&self, report: &mut Report<'_>);
    /// Where it takes telemetry from other processes: `host:port`. An exporter that sends there would feed
    /// itself.
    fn listens(&self) -> Vec<&str> {
        Vec::new()
    }
    /// Names the settings by which it takes addresses of this machine, dotted, each with its `host:port`: no other
    /// receiver can have them.
    fn binds(&self) -> Vec<(&'static str, &str)> {
        Vec::new()
    }
    /// Names a setting that `run` needs, that is not written and that another command may give, and says what to do.
    fn lacks(&self) -> Option<(&'static str, &'static str)> {
        None
    }
    /// Names the setting by which content is handed to the redaction behind it, if any is: without that it would be
    /// kept for nobody.
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

/// Settings of a processor.
pub trait ProcessorConfig: DeserializeOwned + Send + Sync + 'static {
    /// The key in YAML, which is also the file's name.
    const NAME: &'static str;
    /// Other spellings that load.
    const ALIASES: &'static [&'static str];
    /// One line for `components`.
    const ABOUT: &'static str;
    /// The signals of the pipelines it may stand in.
    const SIGNALS: &'static [Signal];
    /// The signals it makes besides: pipelines of these may name it as a receiver.
    const EMITS: &'static [Signal];
    /// Whether it takes secrets out of all that passes: a pipeline without such a processor is warned about.
    const REDACTS: bool = false;
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
    /// Adds everything that is wrong with the meaning of these settings. May read files, opens nothing.
    fn check(&self, report: &mut Report<'_>);
    /// Makes one instance: one for each pipeline.
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Processor>>;
}

/// Settings of an exporter.
pub trait ExporterConfig: DeserializeOwned + Send + Sync + 'static {
    /// The key in YAML, which is also the file's name.
    const NAME: &'static str;
    /// Other spellings that load.
    const ALIASES: &'static [&'static str];
    /// One line for `components`.
    const ABOUT: &'static str;
    /// The signals it takes.
    const SIGNALS: &'static [Signal];
    /// Whether it writes data on the process's stdout, which a stdio tap needs for MCP.
    const STDOUT: bool;
    /// Adds everything that is wrong with the meaning of these settings. May read files, opens nothing.
    fn check(&self, report: &mut Report<'_>);
    /// Queue, retry and timeout around it.
    fn delivery(&self) -> Delivery;
    /// The settings that say where it sends, with the host and port that they mean.
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
    /// Names the file that it writes, if it writes one: no other exporter should.
    fn writes(&self) -> Option<FileUse<'_>> {
        None
    }
    /// Makes the exporter: one for the process.
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>>;
}

/// A file that an exporter writes.
#[derive(Clone, Copy, Debug)]
pub struct FileUse<'a> {
    /// The setting that names it, dotted.
    pub field: &'static str,
    /// The file as written there.
    pub path: &'a Path,
    /// How many older ones stand beside it, as `path.1` and so on.
    pub backups: u32,
}

/// A receiver that was read and checked, not yet built.
pub trait PlannedReceiver: Send + Sync {
    /// See [`ReceiverConfig::listens`].
    fn listens(&self) -> Vec<&str> {
        Vec::new()
    }
    /// See [`ReceiverConfig::binds`].
    fn binds(&self) -> Vec<(&'static str, &str)> {
        Vec::new()
    }
    /// See [`ReceiverConfig::lacks`].
    fn lacks(&self) -> Option<(&'static str, &'static str)> {
        None
    }
    /// See [`ReceiverConfig::captures`].
    fn captures(&self) -> Option<&'static str> {
        None
    }
    /// See [`ReceiverConfig::shows`].
    fn shows(&self) -> Option<(&'static str, &'static str)> {
        None
    }
    /// See [`ReceiverConfig::build`].
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>>;
}

/// A processor that was read and checked, not yet built.
pub trait PlannedProcessor: Send + Sync {
    /// See [`ProcessorConfig::needs`].
    fn needs(&self) -> Vec<&str> {
        Vec::new()
    }
    /// See [`ProcessorConfig::removes`].
    fn removes(&self, _attribute: &str) -> bool {
        false
    }
    /// See [`ProcessorConfig::masks`].
    fn masks(&self, _attribute: &str) -> bool {
        false
    }
    /// See [`ProcessorConfig::build`].
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Processor>>;
}

/// An exporter that was read and checked, not yet built.
pub trait PlannedExporter: Send + Sync {
    /// See [`ExporterConfig::delivery`].
    fn delivery(&self) -> Delivery;
    /// See [`ExporterConfig::targets`].
    fn targets(&self) -> Vec<(&'static str, String, u16)> {
        Vec::new()
    }
    /// See [`ExporterConfig::places`].
    fn places(&self, _signals: &[Signal]) -> Vec<String> {
        Vec::new()
    }
    /// See [`ExporterConfig::writes`].
    fn writes(&self) -> Option<FileUse<'_>> {
        None
    }
    /// See [`ExporterConfig::build`].
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>>;
}

impl<C: ReceiverConfig> PlannedReceiver for C {
    fn listens(&self) -> Vec<&str> {
        ReceiverConfig::listens(self)
    }

    fn binds(&self) -> Vec<(&'static str, &str)> {
        ReceiverConfig::binds(self)
    }

    fn lacks(&self) -> Option<(&'static str, &'static str)> {
        ReceiverConfig::lacks(self)
    }

    fn captures(&self) -> Option<&'static str> {
        ReceiverConfig::captures(self)
    }

    fn shows(&self) -> Option<(&'static str, &'static str)> {
        ReceiverConfig::shows(self)
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Receiver>> {
        ReceiverConfig::build(self, cx)
    }
}

impl<C: ProcessorConfig> PlannedProcessor for C {
    fn needs(&self) -> Vec<&str> {
        ProcessorConfig::needs(self)
    }

    fn removes(&self, attribute: &str) -> bool {
        ProcessorConfig::removes(self, attribute)
    }

    fn masks(&self, attribute: &str) -> bool {
        ProcessorConfig::masks(self, attribute)
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Processor>> {
        ProcessorConfig::build(self, cx)
    }
}

impl<C: ExporterConfig> PlannedExporter for C {
    fn delivery(&self) -> Delivery {
        ExporterConfig::delivery(self)
    }

    fn targets(&self) -> Vec<(&'static str, String, u16)> {
        ExporterConfig::targets(self)
    }

    fn places(&self, signals: &[Signal]) -> Vec<String> {
        ExporterConfig::places(self, signals)
    }

    fn writes(&self) -> Option<FileUse<'_>> {
        ExporterConfig::writes(self)
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Exporter>> {
        ExporterConfig::build(self, cx)
    }
}

/// The row of a receiver.
#[derive(Clone, Copy)]
pub struct ReceiverKind {
    /// [`ReceiverConfig::NAME`]
    pub name: &'static str,
    /// [`ReceiverConfig::ALIASES`]
    pub aliases: &'static [&'static str],
    /// [`ReceiverConfig::ABOUT`]
    pub about: &'static str,
    /// [`ReceiverConfig::SIGNALS`]
    pub signals: &'static [Signal],
    /// Reads and checks settings; `None` if they could not be read.
    pub parse: fn(&Node, Place<'_>, &mut Problems) -> Option<Arc<dyn PlannedReceiver>>,
}

/// The row of a processor.
#[derive(Clone, Copy)]
pub struct ProcessorKind {
    /// [`ProcessorConfig::NAME`]
    pub name: &'static str,
    /// [`ProcessorConfig::ALIASES`]
    pub aliases: &'static [&'static str],
    /// [`ProcessorConfig::ABOUT`]
    pub about: &'static str,
    /// [`ProcessorConfig::SIGNALS`]
    pub signals: &'static [Signal],
    /// [`ProcessorConfig::EMITS`]
    pub emits: &'static [Signal],
    /// [`ProcessorConfig::REDACTS`]
    pub redacts: bool,
    /// Reads and checks settings; `None` if they could not be read.
    pub parse: fn(&Node, Place<'_>, &mut Problems) -> Option<Arc<dyn PlannedProcessor>>,
}

/// The row of an exporter.
#[derive(Clone, Copy)]
pub struct ExporterKind {
    /// [`ExporterConfig::NAME`]
    pub name: &'static str,
    /// [`ExporterConfig::ALIASES`]
    pub aliases: &'static [&'static str],
    /// [`ExporterConfig::ABOUT`]
    pub about: &'static str,
    /// [`ExporterConfig::SIGNALS`]
    pub signals: &'static [Signal],
    /// [`ExporterConfig::STDOUT`]
    pub stdout: bool,
    /// Reads and checks settings; `None` if they could not be read.
    pub parse: fn(&Node, Place<'_>, &mut Problems) -> Option<Arc<dyn PlannedExporter>>,
}

impl ReceiverKind {
    /// The row of the receiver with settings `C`.
    pub const fn of<C: ReceiverConfig>() -> Self {
        fn parse<C: ReceiverConfig>(
            node: &Node,
            place: Place<'_>,
            problems: &mut Problems,
        ) -> Option<Arc<dyn PlannedReceiver>> {
            let config: C = node.read_and_check(place.path, problems, |config: &C, problems| {
                config.check(&mut Report::new(node, place, problems));
            })?;
            Some(Arc::new(config))
        }
        ReceiverKind {
            name: C::NAME,
            aliases: C::ALIASES,
            about: C::ABOUT,
            signals: C::SIGNALS,
            parse: parse::<C>,
        }
    }
}

impl ProcessorKind {
    /// The row of the processor with settings `C`.
    pub const fn of<C: ProcessorConfig>() -> Self {
        fn parse<C: ProcessorConfig>(
            node: &Node,
            place: Place<'_>,
            problems: &mut Problems,
        ) -> Option<Arc<dyn PlannedProcessor>> {
            let config: C = node.read_and_check(place.path, problems, |config: &C, problems| {
                config.check(&mut Report::new(node, place, problems));
            })?;
            Some(Arc::new(config))
        }
        ProcessorKind {
            name: C::NAME,
            aliases: C::ALIASES,
            about: C::ABOUT,
            signals: C::SIGNALS,
            emits: C::EMITS,
            redacts: C::REDACTS,
            parse: parse::<C>,
        }
    }
}

impl ExporterKind {
    /// The row of the exporter with settings `C`.
    pub const fn of<C: ExporterConfig>() -> Self {
        fn parse<C: ExporterConfig>(
            node: &Node,
            place: Place<'_>,
            problems: &mut Problems,
        ) -> Option<Arc<dyn PlannedExporter>> {
            let config: C = node.read_and_check(place.path, problems, |config: &C, problems| {
                config.check(&mut Report::new(node, place, problems));
            })?;
            Some(Arc::new(config))
        }
        ExporterKind {
            name: C::NAME,
            aliases: C::ALIASES,
            about: C::ABOUT,
            signals: C::SIGNALS,
            stdout: C::STDOUT,
            parse: parse::<C>,
        }
    }
}
