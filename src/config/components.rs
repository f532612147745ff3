//! The component sections: each id is read by the kind that its first half names.

use std::path::Path;
use std::sync::Arc;

use super::elsewhere::advice;
use crate::pipeline::{Id, Kind, Planned, Section};
use crate::settings::{Mark, Node, Place, Problems, Severity, Value, did_you_mean, quoted_list};

/// A component as defined; whether it is used is found out by the pipelines.
pub(super) struct Component<S: Section + ?Sized> {
    pub(super) id: Id,
    pub(super) mark: Mark,
    pub(super) used: bool,
    /// Nothing if the kind is unknown.
    pub(super) kind: Option<&'static Kind<S>>,
    settings: Node,
    /// Nothing if the settings could not be read.
    config: Option<Arc<S>>,
}

impl<S: Section + ?Sized> Component<S> {
    /// Its settings, if they could be read.
    pub(super) fn config(&self) -> Option<&S> {
        self.config.as_deref()
    }

    /// Says where a field of it stands, or the nearest thing that does.
    pub(super) fn mark_of(&self, field: &str) -> &Mark {
        &self.settings.nearest(field).mark
    }

    /// Gives what the plan holds of it, if it is used.
    pub(super) fn planned(&self) -> Option<Planned<S>> {
        let (kind, config) = (self.kind?, self.config.as_ref()?);
        self.used.then(|| Planned {
            id: self.id.clone(),
            kind: kind.name,
            settings: self.settings.clone(),
            config: Arc::clone(config),
        })
    }
}

/// Holds what reading a section needs besides the section.
pub(super) struct Context<'a> {
    pub(super) base: &'a Path,
    /// Values that are empty because their environment is not there.
    pub(super) absent: &'a [Mark],
}

/// Reads a section. Unknown kinds and unreadable settings are reported; they stay in the result, so
/// that pipelines which name them are not reported as well.
pub(super) fn read_section<S: Section + ?Sized>(
    root: &Node,
    rows: &'static [Kind<S>],
    context: &Context<'_>,
    problems: &mut Problems,
) -> Vec<Component<S>> {
    let mut components: Vec<Component<S>> = Vec::new();
    for (id, mark, node) in ids(root, S::NAME, problems) {
        let path = format!("{}::{id}", S::NAME);
        if components.iter().any(|other| other.id == id) {
            problems.error(&mark, path, "is defined already");
            continue;
        }
        let kind = rows.iter().find(|row| row.answers_to(&id.kind));
        let mut component =
            Component { id, mark, used: false, kind, settings: node.clone(), config: None };
        match kind {
            Some(kind) => {
                warn_of_old_spelling(&components, &component, kind, problems);
                component.config = read(&component, kind, context, problems);
            }
            None => {
                let known = rows.iter().map(|row| row.name);
                let message = unknown(S::NAME, S::NOUN, &component.id.kind, known);
                problems.error(&component.mark, path, message);
            }
        }
        components.push(component);
    }
    components
}

fn warn_of_old_spelling<S: Section + ?Sized>(
    before: &[Component<S>],
    component: &Component<S>,
    kind: &Kind<S>,
    problems: &mut Problems,
) {
    let spelling = &component.id.kind;
    if *spelling != kind.name && !before.iter().any(|other| other.id.kind == *spelling) {
        let path = format!("{}::{}", S::NAME, component.id);
        let message = format!("`{spelling}` is the old spelling of `{}`", kind.name);
        problems.warn(&component.mark, path, message);
    }
}

fn read<S: Section + ?Sized>(
    component: &Component<S>,
    kind: &Kind<S>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Arc<S>> {
    let before = problems.0.len();
    let path = format!("{}::{}", S::NAME, component.id);
    let place = Place { path: &path, base: context.base };
    let config = (kind.parse)(&component.settings, place, problems)?;
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
