//! Puts what belongs to a session into the order in which it is read: in time, and each thing below what it is part of.

use std::collections::HashMap;

use super::session::{Ids, Role, Session};

/// Bounds how deep a line is indented.
const DEEPEST: usize = 32;

/// One line: what it is about, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) of: Of,
    /// How many lines stand above it on its branch.
    pub(super) depth: usize,
    /// The branches of the tree that stand before it.
    pub(super) branches: String,
}

/// What a line is about, by its place in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A span.
    Span(usize),
    /// Progress that a span tells.
    Progress(usize, usize),
    /// A finding.
    Finding(usize),
}

/// Gives the lines of the session `id`, from the first on. What servers handed back in other sessions is none of it.
pub(super) fn lines(session: &Session, id: &str) -> Vec<Line> {
    let of_session: HashMap<&Ids, usize> = (0..)
        .zip(&session.spans)
        .filter(|(_, span)| span.role == Role::HandedBack || span.session == id)
        .map(|(at, span)| (&span.ids, at))
        .collect();
    let mut below: HashMap<usize, Vec<(u64, Of)>> = HashMap::new();
    let mut top = Vec::new();
    for at in of_session.values().copied() {
        let span = &session.spans[at];
        let parent = of_session.get(&(span.ids.0.clone(), span.parent.clone()));
        let line = (span.start, Of::Span(at));
        match parent {
            Some(parent) => below.entry(*parent).or_default().push(line),
            None if span.role == Role::HandedBack => {}
            None => top.push(line),
        }
        let told =
            span.progress.iter().zip(0..).map(|((time, ..), n)| (*time, Of::Progress(at, n)));
        below.entry(at).or_default().extend(told);
    }
    for (finding, at) in session.findings.iter().zip(0..) {
        let span = ids(&finding.trace, &finding.span).and_then(|ids| of_session.get(&ids));
        let line = (finding.time, Of::Finding(at));
        span.map_or(&mut top, |span| below.entry(*span).or_default()).push(line);
    }
    walk(top, below)
}

/// Goes through the branches from the top. A span has one parent, so none is met twice; those that are each other's
/// parents are below nothing, and are not met.
fn walk(top: Vec<(u64, Of)>, mut below: HashMap<usize, Vec<(u64, Of)>>) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Vec<(Line, String)> = Vec::new();
    let first = |of| (Line { of, depth: 0, branches: String::new() }, String::new());
    open.extend(in_order(top).into_iter().rev().map(first));
    while let Some((line, before)) = open.pop() {
        let inner = match line.of {
            Of::Span(at) => in_order(below.remove(&at).unwrap_or_default()),
            _ => Vec::new(),
        };
        let (depth, last) = (line.depth + 1, inner.len().saturating_sub(1));
        for (at, of) in inner.into_iter().enumerate().rev() {
            let (branch, goes_on) = if at == last { ("└ ", "  ") } else { ("├ ", "│ ") };
            let deeper = if depth < DEEPEST { goes_on } else { "" };
            let branches = format!("{before}{branch}");
            open.push((Line { of, depth, branches }, format!("{before}{deeper}")));
        }
        lines.push(line);
    }
    lines
}

fn in_order(mut lines: Vec<(u64, Of)>) -> Vec<Of> {
    lines.sort_by_key(|(time, of)| (*time, of.rank()));
    lines.into_iter().map(|(_, of)| of).collect()
}

impl Of {
    /// Orders what has the same time.
    fn rank(self) -> (usize, usize) {
        match self {
            Of::Span(at) => (0, at),
            Of::Progress(_, at) => (1, at),
            Of::Finding(at) => (2, at),
        }
    }
}

/// Reads ids as OTLP/JSON writes them.
fn ids(trace: &str, span: &str) -> Option<Ids> {
    Some((bytes(trace)?, bytes(span)?))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect::<Option<Vec<_>>>().filter(|bytes| !bytes.is_empty())
}
