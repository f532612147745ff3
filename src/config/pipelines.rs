//! The pipelines: every id they name must be defined, must fit the signal, and what flows must not
//! flow in a circle.

use schemars::JsonSchema;
use serde::Deserialize;

use super::components::Component;
use crate::pipeline::{
    ExporterConfig, ExtensionConfig, Id, Pipeline, ProcessorConfig, ReceiverConfig, Section,
};
use crate::settings::{Mark, Node, Problems, did_you_mean, is_null, quoted_list};
use crate::telemetry::Signal;

/// Receivers by this name put MCP on the process's stdin and stdout.
const MCP_STDIO: &str = "mcp_stdio";

/// Everything that pipelines and `service.extensions` can name.
pub(super) struct Defined {
    pub(super) receivers: Vec<Component<dyn ReceiverConfig>>,
    pub(super) processors: Vec<Component<dyn ProcessorConfig>>,
    pub(super) exporters: Vec<Component<dyn ExporterConfig>>,
    pub(super) extensions: Vec<Component<dyn ExtensionConfig>>,
    /// Ids that were reported where they are defined.
    pub(super) foreign: Vec<Id>,
    /// All pipelines could be read, so what none of them names is unused.
    pub(super) readable: bool,
}

/// A pipeline's shape, for serde's sake.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read for its complaints; the ids are taken with their marks")]
pub(super) struct Written {
    /// Lists what feeds it; a processor that makes another signal counts as a receiver of that.
    #[serde(default)]
    receivers: Vec<String>,
    /// Lists processors, in the order in which they run.
    #[serde(default)]
    processors: Vec<String>,
    /// Lists where it goes.
    #[serde(default)]
    exporters: Vec<String>,
}

/// An id that a pipeline names.
struct Named {
    id: Id,
    mark: Mark,
    path: String,
}

/// Reads `service.pipelines`, marking what they use.
pub(super) fn read(root: &Node, defined: &mut Defined, problems: &mut Problems) -> Vec<Pipeline> {
    let Some(node) = root.get("service").and_then(|service| service.get("pipelines")) else {
        let message = "is missing, so nothing would run; write `service: { pipelines: { traces: { \
                       receivers: [..], exporters: [..] } } }`";
        problems.unplaced("service::pipelines", message);
        return Vec::new();
    };
    if node.entries().is_empty() {
        problems.error(&node.mark, "service::pipelines", "has no pipelines, so nothing would run");
    }
    let mut pipelines: Vec<(Pipeline, Mark)> = Vec::new();
    for (key, node) in node.entries() {
        let path = format!("service::pipelines::{}", key.name);
        match signal_of(&key.name) {
            Ok((id, _)) if pipelines.iter().any(|(other, _)| other.id == id) => {
                problems.error(
                    &key.mark,
                    format!("service::pipelines::{id}"),
                    "is defined already",
                );
            }
            Ok((id, signal)) => {
                let mut reading = Reading { path, signal, defined: &mut *defined, problems };
                match reading.pipeline(id, node) {
                    Some(pipeline) => pipelines.push((pipeline, key.mark.clone())),
                    None => defined.readable = false,
                }
            }
            Err(why) => problems.error(&key.mark, path, why),
        }
    }
    check_emitters(&pipelines, problems);
    pipelines.into_iter().map(|(pipeline, _)| pipeline).collect()
}

fn signal_of(key: &str) -> Result<(Id, Signal), String> {
    let id = Id::parse(key)?;
    let signals = Signal::ALL.map(Signal::name);
    match Signal::ALL.into_iter().find(|signal| signal.name() == id.kind) {
        Some(signal) => Ok((id, signal)),
        None => {
            let meant = did_you_mean(&id.kind, signals);
            Err(format!("`{}` is not a signal;{meant} known: {}", id.kind, quoted_list(signals)))
        }
    }
}

struct Reading<'a> {
    path: String,
    signal: Signal,
    defined: &'a mut Defined,
    problems: &'a mut Problems,
}

impl Reading<'_> {
    fn pipeline(&mut self, id: Id, node: &Node) -> Option<Pipeline> {
        let written: Option<Written> = node.read(&self.path, self.problems);
        for list in ["receivers", "exporters"] {
            let items = node.get(list).map_or(0, |list| list.items().len());
            if written.is_some() && items == 0 {
                let noun = list.trim_end_matches('s');
                let path = format!("{}::{list}", self.path);
                let mark = &node.nearest(list).mark;
                self.problems.error(mark, path, format!("a pipeline needs at least one {noun}"));
            }
        }
        self.refuse_unknown_processors(node);
        let (receivers, emitters) = self.sources(node);
        let processors = self.named(node, "processors");
        let processors = processors.into_iter().filter_map(|named| self.processor(named)).collect();
        let exporters = self.named(node, "exporters");
        let exporters = exporters.into_iter().filter_map(|named| self.exporter(named)).collect();
        written?;
        Some(Pipeline { id, signal: self.signal, receivers, emitters, processors, exporters })
    }

    /// Reports processors that a variable without a value names: one of them may take secrets out. A bare
    /// `processors:` is an empty list, as everywhere.
    fn refuse_unknown_processors(&mut self, node: &Node) {
        let Some(list) = node.get("processors") else { return };
        if list.text().is_some_and(is_null) && list.items().is_empty() {
            let path = format!("{}::processors", self.path);
            self.problems.error(&list.mark, path, "is empty; write `[]` for none");
        }
    }

    /// The ids of one list.
    fn named(&mut self, node: &Node, list: &str) -> Vec<Named> {
        let mut all: Vec<Named> = Vec::new();
        for item in node.get(list).map(Node::items).unwrap_or_default() {
            let Some(text) = item.text() else { continue };
            let path = format!("{}::{list}", self.path);
            match Id::parse(text) {
                Ok(id) if all.iter().any(|other| other.id == id) => {
                    self.problems.error(&item.mark, path, format!("`{id}` is listed twice"));
                }
                Ok(id) => all.push(Named { id, mark: item.mark.clone(), path }),
                Err(why) => self.problems.error(&item.mark, path, why),
            }
        }
        all
    }

    /// Receivers, and processors that are named as receivers because of what they make.
    fn sources(&mut self, node: &Node) -> (Vec<Id>, Vec<Id>) {
        let (mut receivers, mut emitters) = (Vec::new(), Vec::new());
        for named in self.named(node, "receivers") {
            let is_receiver = self.defined.receivers.iter().any(|c| c.id == named.id);
            let processor = self.defined.processors.iter_mut().find(|c| c.id == named.id);
            match processor {
                Some(processor) if !is_receiver => {
                    processor.used = true;
                    let emits = processor.config().map(|config| config.emits());
                    if emits.is_none_or(|emits| emits.contains(&self.signal)) {
                        emitters.push(named.id);
                    } else {
                        let signal = self.signal.name();
                        let message =
                            format!("the processor `{}` makes no {signal} of its own", named.id);
                        self.problems.error(&named.mark, named.path, message);
                    }
                }
                _ => receivers.extend(self.receiver(named)),
            }
        }
        (receivers, emitters)
    }

    fn receiver(&mut self, named: Named) -> Option<Id> {
        let Defined { receivers, foreign, .. } = &mut *self.defined;
        resolve(receivers, foreign, named, self.signal, "makes", self.problems)
    }

    fn processor(&mut self, named: Named) -> Option<Id> {
        let Defined { processors, foreign, .. } = &mut *self.defined;
        resolve(processors, foreign, named, self.signal, "works on", self.problems)
    }

    fn exporter(&mut self, named: Named) -> Option<Id> {
        let Defined { exporters, foreign, .. } = &mut *self.defined;
        resolve(exporters, foreign, named, self.signal, "takes", self.problems)
    }
}

/// Finds what a pipeline names and marks it as used.
fn resolve<S: Section + ?Sized>(
    components: &mut [Component<S>],
    foreign: &[Id],
    named: Named,
    signal: Signal,
    verb: &str,
    problems: &mut Problems,
) -> Option<Id> {
    let Named { id, mark, path } = named;
    let Some(at) = components.iter().position(|component| component.id == id) else {
        if !foreign.contains(&id) {
            problems.error(&mark, path, undefined(&id, components));
        }
        return None;
    };
    let component = &mut components[at];
    component.used = true;
    let signals = component.kind?.signals;
    if !signals.contains(&signal) {
        let fits = signals.iter().map(|s| s.name()).collect::<Vec<_>>().join(" and ");
        let message = format!("`{id}` {verb} {fits}, not {}", signal.name());
        problems.error(&mark, path, message);
    }
    Some(id)
}

fn undefined<S: Section + ?Sized>(id: &Id, components: &[Component<S>]) -> String {
    let defined: Vec<String> = components.iter().map(|c| c.id.to_string()).collect();
    let names = || defined.iter().map(String::as_str);
    let meant = did_you_mean(&id.to_string(), names());
    match defined.is_empty() {
        true => format!("`{id}` is not defined under `{}`", S::NAME),
        false => format!(
            "`{id}` is not defined under `{}`;{meant} defined: {}",
            S::NAME,
            quoted_list(names())
        ),
    }
}

/// A processor that feeds a pipeline must run in another one, and what it makes must not come back to
/// it.
fn check_emitters(pipelines: &[(Pipeline, Mark)], problems: &mut Problems) {
    for (pipeline, mark) in pipelines {
        let path = format!("service::pipelines::{}", pipeline.id);
        for emitter in &pipeline.emitters {
            if !pipelines.iter().any(|(other, _)| other.processors.contains(emitter)) {
                let message =
                    format!("the processor `{emitter}` stands in no pipeline, so it makes nothing");
                problems.error(mark, format!("{path}::receivers"), message);
            }
        }
    }
    for start in 0..pipelines.len() {
        if let Some(way) = circle(pipelines, start) {
            let (pipeline, mark) = &pipelines[start];
            let path = format!("service::pipelines::{}", pipeline.id);
            problems.error(mark, path, format!("feeds itself: {way}"));
        }
    }
}

/// The way from a pipeline back to itself through processors that feed others, if it is the first of
/// those on the way: a circle is reported once.
fn circle(pipelines: &[(Pipeline, Mark)], start: usize) -> Option<String> {
    let mut ways = vec![(start, format!("`{}`", pipelines[start].0.id))];
    let mut seen = vec![false; pipelines.len()];
    while let Some((at, way)) = ways.pop() {
        // Circles through an earlier pipeline are that one's.
        for (next, (pipeline, _)) in pipelines.iter().enumerate().skip(start) {
            let feeds = |processor: &&Id| pipeline.emitters.contains(processor);
            let Some(emitter) = pipelines[at].0.processors.iter().find(feeds) else { continue };
            let way = format!("{way} -> {emitter} -> `{}`", pipeline.id);
            if next == start {
                return Some(way);
            }
            if !std::mem::replace(&mut seen[next], true) {
                ways.push((next, way));
            }
        }
    }
    None
}

/// Gives what only the whole plan shows: exporters on a stdout that MCP needs, and more than one receiver that wants
/// it.
pub(super) fn check_stdout(defined: &Defined, stdout_is_mcp: bool, problems: &mut Problems) {
    let taps: Vec<_> = defined
        .receivers
        .iter()
        .filter(|c| c.used && c.kind.is_some_and(|kind| kind.name == MCP_STDIO))
        .collect();
    for tap in taps.iter().skip(1) {
        let message = "a process has one stdin and stdout, so one `mcp_stdio`; wrap every server by \
                       `mcpcol stdio` in its own entry of the agent's mcp.json";
        problems.error(&tap.mark, format!("receivers::{}", tap.id), message);
    }
    if taps.is_empty() && !stdout_is_mcp {
        return;
    }
    for exporter in defined.exporters.iter().filter(|c| c.used) {
        if exporter.config().is_some_and(|config| config.stdout()) {
            let message = "stdout carries MCP in this process; use `file`, or `debug`, which writes on \
                           stderr";
            problems.error(&exporter.mark, format!("exporters::{}", exporter.id), message);
        }
    }
}
