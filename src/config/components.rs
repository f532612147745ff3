//! The component sections: each id is read by the kind that its first half names.

use std::path::Path;
use std::sync::Arc;

use super::elsewhere::advice;
use crate::pipeline::{
    ExporterKind, Id, Planned, PlannedExporter, PlannedProcessor, PlannedReceiver, ProcessorKind,
    ReceiverKind,
};
use crate::settings::{Mark, Node, Place, Problems, Severity, Value, did_you_mean, quoted_list};
use crate::telemetry::Signal;

/// What the three kinds of registry row have in common.
pub trait Kind: Copy + 'static {
    /// What it makes of settings.
    type Planned: ?Sized;
    /// The section of the configuration.
    const SECTION: &'static str;
    /// One of them, in messages.
    const NOUN: &'static str;
    /// The registered name.
    fn name(&self) -> &'static str;
    /// Other spellings that load.
    fn aliases(&self) -> &'static [&'static str];
    /// The signals of the pipelines in which it may stand.
    fn signals(&self) -> &'static [Signal];
    /// One line about it.
    fn about(&self) -> &'static str;
    /// Reads and checks settings.
    fn parse(
        &self,
        node: &Node,
        place: Place<'_>,
        problems: &mut Problems,
    ) -> Option<Arc<Self::Planned>>;
}

macro_rules! kind {
    ($kind:ty, $planned:ty, $section:literal, $noun:literal) => {
        impl Kind for $kind {
            type Planned = $planned;
            const SECTION: &'static str = $section;
            const NOUN: &'static str = $noun;

            fn name(&self) -> &'static str {
                self.name
            }

            fn aliases(&self) -> &'static [&'static str] {
                self.aliases
            }

            fn signals(&self) -> &'static [Signal] {
                self.signals
            }

            fn about(&self) -> &'static str {
                self.about
            }

            fn parse(
                &self,
                node: &Node,
                place: Place<'_>,
                problems: &mut Problems,
            ) -> Option<Arc<Self::Planned>> {
                (self.parse)(node, place, problems)
            }
        }
    };
}

kind!(ReceiverKind, dyn PlannedReceiver, "receivers", "receiver");
kind!(ProcessorKind, dyn PlannedProcessor, "processors", "processor");
kind!(ExporterKind, dyn PlannedExporter, "exporters", "exporter");

/// A component as defined; whether it is used is found out by the pipelines.
pub(super) struct Component<K: Kind> {
    pub(super) id: Id,
    pub(super) mark: Mark,
    pub(super) used: bool,
    /// Nothing if the kind is unknown.
    pub(super) kind: Option<K>,
    settings: Node,
    /// Nothing if the settings could not be read.
    config: Option<Arc<K::Planned>>,
}

impl<K: Kind> Component<K> {
    /// Its settings, if they could be read.
    pub(super) fn config(&self) -> Option<&K::Planned> {
        self.config.as_deref()
    }

    /// Where a field of it stands, or the nearest thing that does.
    pub(super) fn mark_of(&self, field: &str) -> &Mark {
        &self.settings.nearest(field).mark
    }

    /// What the plan holds of it, if it is used.
    pub(super) fn planned(&self) -> Option<Planned<K::Planned>> {
        let (kind, config) = (self.kind?, self.config.as_ref()?);
        self.used.then(|| Planned {
            id: self.id.clone(),
            kind: kind.name(),
            settings: self.settings.clone(),
            config: Arc::clone(config),
        })
    }
}

/// What reading a section needs besides the section.
pub(super) struct Context<'a> {
    pub(super) base: &'a Path,
    /// Values that are empty because their environment is not there.
    pub(super) absent: &'a [Mark],
}

/// Reads a section. Unknown kinds and unreadable settings are reported; they stay in the result, so
/// that pipelines which name them are not reported as well.
pub(super) fn read_section<K: Kind>(
    root: &Node,
    rows: &[K],
    context: &Context<'_>,
    problems: &mut Problems,
) -> Vec<Component<K>> {
    let mut components: Vec<Component<K>> = Vec::new();
    for (id, mark, node) in ids(root, K::SECTION, problems) {
        let path = format!("{}::{id}", K::SECTION);
        if components.iter().any(|other| other.id == id) {
            problems.error(&mark, path, "is defined already");
            continue;
        }
        let kind = find(rows, &id.kind);
        let mut component =
            Component { id, mark, used: false, kind, settings: node.clone(), config: None };
        match kind {
            Some(kind) => {
                warn_of_old_spelling(&components, &component, kind, problems);
                component.config = read(&component, kind, context, problems);
            }
            None => {
                let known = rows.iter().map(Kind::name);
                let message = unknown(K::SECTION, K::NOUN, &component.id.kind, known);
                problems.error(&component.mark, path, message);
            }
        }
        components.push(component);
    }
    components
}

fn find<K: Kind>(rows: &[K], name: &str) -> Option<K> {
    rows.iter().find(|row| row.name() == name || row.aliases().contains(&name)).copied()
}

fn warn_of_old_spelling<K: Kind>(
    before: &[Component<K>],
    component: &Component<K>,
    kind: K,
    problems: &mut Problems,
) {
    let spelling = &component.id.kind;
    if *spelling != kind.name() && !before.iter().any(|other| other.id.kind == *spelling) {
        let path = format!("{}::{}", K::SECTION, component.id);
        let message = format!("`{spelling}` is the old spelling of `{}`", kind.name());
        problems.warn(&component.mark, path, message);
    }
}

fn read<K: Kind>(
    component: &Component<K>,
    kind: K,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Arc<K::Planned>> {
    let before = problems.0.len();
    let path = format!("{}::{}", K::SECTION, component.id);
    let place = Place { path: &path, base: context.base };
    let config = kind.parse(&component.settings, place, problems)?;
    for problem in &mut problems.0[before..] {
        let absent = problem.mark.as_ref().is_some_and(|mark| context.absent.contains(mark));
        if absent && problem.severity == Severity::Error {
            problem.severity = Severity::Unready;
        }
    }
    Some(config)
}

/// The ids of a section that none of the registries holds: each is reported.
pub(super) fn read_foreign(
    root: &Node,
    section: &'static str,
    noun: &str,
    problems: &mut Problems,
) -> Vec<Id> {
    let mut all = Vec::new();
    for (id, mark, _) in ids(root, section, problems) {
        let message = unknown(section, noun, &id.kind, std::iter::empty());
        problems.error(&mark, format!("{section}::{id}"), message);
        all.push(id);
    }
    all
}

/// The entries of a section with their ids read.
fn ids<'a>(root: &'a Node, section: &str, problems: &mut Problems) -> Vec<(Id, Mark, &'a Node)> {
    let Some(node) = root.get(section) else { return Vec::new() };
    if !matches!(node.value, Value::Map(_) | Value::Null) {
        problems.error(&node.mark, section, "must be a mapping of ids to settings");
    }
    let mut all = Vec::new();
    for (key, node) in node.entries() {
        match Id::parse(&key.name) {
            Ok(id) => all.push((id, key.mark.clone(), node)),
            Err(why) => problems.error(&key.mark, format!("{section}::{}", key.name), why),
        }
    }
    all
}

fn unknown(
    section: &str,
    noun: &str,
    kind: &str,
    known: impl Iterator<Item = &'static str>,
) -> String {
    let known: Vec<&str> = known.collect();
    if let Some(advice) = advice(section, kind) {
        return format!("this build has no `{kind}` {noun}; {advice}");
    }
    let meant = did_you_mean(kind, known.iter().copied());
    match known.is_empty() {
        true => format!("unknown {noun} `{kind}`; this build has no {section}"),
        false => format!("unknown {noun} `{kind}`;{meant} known: {}", quoted_list(known)),
    }
}
