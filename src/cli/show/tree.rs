//! Puts what belongs to a session into the order in which it is read: in time, and each thing below what it is part of.

use std::collections::HashMap;

use super::session::{Ids, Role, Session};

/// Bounds how deep a line is indented.
const DEEPEST: usize = 32;

/// One line: what it is about, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) of: Of,
    /// Says how many lines stand above it on its branch.
    pub(super) depth: usize,
    /// The branches of the tree that stand before it.
    pub(super) branches: String,
}

/// Names what a line is about, by its place in the session.
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
        // A tap's own spans are below its hops and nothing else, whoever claims to be above them.
        let may_be = |parent: &&usize| match span.role {
            Role::HandedBack => true,
            Role::Call => session.spans[**parent].role == Role::Hop,
            Role::Hop => false,
        };
        let parent = of_session.get(&(span.ids.0.clone(), span.parent.clone())).filter(may_be);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::session::Span;
    use super::*;

    /// A span in the session `s`, or one that was handed back, that begins when its id says.
    fn span(role: Role, id: u16, parent: u16) -> Span {
        let session = if role == Role::HandedBack { "" } else { "s" };
        let bytes = |id: u16| id.to_be_bytes().to_vec();
        let ids = (vec![7], bytes(id));
        let (start, end) = (id.into(), u64::from(id) + 1);
        let session = session.to_owned();
        Span { role, ids, parent: bytes(parent), start, end, session, ..Span::default() }
    }

    fn session(spans: impl IntoIterator<Item = Span>) -> Session {
        let mut session = Session::default();
        session.spans.extend(spans);
        session
    }

    #[test]
    fn spans_stand_below_those_that_they_are_part_of() {
        use Role::{Call, HandedBack, Hop};
        let spans =
            [(Call, 2, 1), (Hop, 1, 9), (HandedBack, 4, 2), (HandedBack, 3, 2), (Call, 5, 9)];
        let session = session(spans.map(|(role, id, parent)| span(role, id, parent)));
        let told: Vec<_> = lines(&session, "s")
            .into_iter()
            .map(|line| match line.of {
                Of::Span(at) => format!("{}{}", line.branches, session.spans[at].start),
                _ => panic!("there are only spans"),
            })
            .collect();
        assert_eq!(told, ["1", "└ 2", "  ├ 3", "  └ 4", "5"]);
    }

    #[test]
    fn a_chain_is_shown_whole_and_indented_no_deeper_than_is_bearable() {
        let chain = (2..5000).map(|id| span(Role::HandedBack, id, id - 1));
        let lines = lines(&session([span(Role::Call, 1, 0)].into_iter().chain(chain)), "s");
        assert_eq!((lines.len(), lines[4998].depth), (4999, 4998));
        assert!(lines.iter().all(|line| line.branches.chars().count() <= 2 * DEEPEST + 2));
    }

    proptest! {
        #[test]
        fn nothing_stands_twice_whoever_claims_to_be_whose_parent(
            parents in prop::collection::vec((0u16..30, any::<bool>()), 0..30),
        ) {
            let spans = (0..).zip(parents).map(|(id, (parent, own))| {
                span(if own { Role::Call } else { Role::HandedBack }, id, parent)
            });
            let session = session(spans);
            let own = session.spans.iter().filter(|span| span.role == Role::Call).count();
            let mut seen: Vec<_> = lines(&session, "s").into_iter().map(|line| line.of).collect();
            let all = seen.len();
            seen.sort_by_key(|of| of.rank());
            seen.dedup();
            prop_assert!(seen.len() == all && (own..=session.spans.len()).contains(&all));
        }
    }
}
