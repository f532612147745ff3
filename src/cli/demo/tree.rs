//! One call as a tree: the tap's own spans, and below them what the server handed back.

use super::report::{Span, millis};
use crate::cli::table::Table;

/// The tree of the first call of that name, one line a span.
pub(super) fn of(spans: &[Span], name: &str, colours: bool) -> Table {
    let mut table = Table::new(&["span", ">took", "who says so"]);
    if let Some(root) = spans.iter().find(|span| span.hop && span.name == name) {
        branch(&mut table, spans, root, "", "");
    }
    table.painted(colours, |column, _| (column == 2).then_some(2))
}

/// A span and all below it. `before` stands before its name, `below` before those of its children.
fn branch(table: &mut Table, spans: &[Span], span: &Span, before: &str, below: &str) {
    let whose = match (span.handed_back, span.hop) {
        (true, _) => format!("{}, which handed it back", span.service),
        (false, true) => format!("{}, towards the agent", span.service),
        (false, false) => format!("{}, towards the server", span.service),
    };
    table.row([format!("{before}{}", span.name), millis(span.took), whose]);
    let is_below = |other: &&Span| other.trace_id == span.trace_id && other.parent == span.id;
    let mut children = spans.iter().filter(is_below).peekable();
    while let Some(child) = children.next() {
        let (branches, goes_on) = match children.peek() {
            Some(_) => ("├ ", "│ "),
            None => ("└ ", "  "),
        };
        let (before, below) = (format!("{below}{branches}"), format!("{below}{goes_on}"));
        branch(table, spans, child, &before, &below);
    }
}
