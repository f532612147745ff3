//! YAML into [`Node`]s: the parser's events, with the position, quoting and text of every scalar.
//!
//! Strict where YAML is a trap (a key twice, two documents, own tags), bounded where it is a bomb
//! (depth, nodes and text, aliases counted at every use). Stands on granit-parser, the parser below
//! serde-saphyr: through serde, a scalar's own text and its quotes are lost.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::{Key, Mark, Node, Problems, Value, sounds_secret};

/// The deepest nesting; everything that walks nodes by recursion relies on it.
pub const MAX_DEPTH: usize = 64;

/// Says how much one configuration may hold, all its files, aliases and references together.
#[derive(Debug)]
pub struct Budget {
    nodes: usize,
    bytes: usize,
}

impl Default for Budget {
    /// Far above any configuration that people write, far below what would hurt.
    fn default() -> Self {
        Budget { nodes: 30_000, bytes: 8 << 20 }
    }
}

impl Budget {
    /// Takes from the budget; `false` if it is used up.
    #[must_use]
    pub fn take(&mut self, nodes: usize, bytes: usize) -> bool {
        match (self.nodes.checked_sub(nodes), self.bytes.checked_sub(bytes)) {
            (Some(nodes), Some(bytes)) => {
                *self = Budget { nodes, bytes };
                true
            }
            _ => false,
        }
    }
}

/// Says where a text stands that is read as YAML.
#[derive(Clone, Debug)]
pub enum Origin {
    /// It starts here: in a file of its own, or somewhere in a line.
    From(Mark),
    /// All of it stands here: what a reference stands for.
    At(Mark),
}

impl Origin {
    /// A file of its own.
    pub fn file(name: &str) -> Self {
        Origin::From(Mark { file: Arc::from(name), line: 1, column: 1 })
    }

    fn mark(&self, marker: &granit_parser::Marker) -> Mark {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        match self {
            Origin::At(mark) => mark.clone(),
            Origin::From(start) => {
                let (line, column) = (number(marker.line()), number(marker.col()));
                let shift = if line == 1 { start.column } else { 1 };
                let file = Arc::clone(&start.file);
                Mark { file, line: start.line + line - 1, column: shift + column }
            }
        }
    }
}

impl Node {
    /// Reads one YAML document; an empty one is [`Value::Null`]. `None` if it is not YAML.
    pub fn parse(text: &str, origin: &Origin, problems: &mut Problems) -> Option<Node> {
        Node::parse_within(text, origin, &mut Budget::default(), problems)
    }

    /// The same, within what is left of a budget.
    pub fn parse_within(
        text: &str,
        origin: &Origin,
        budget: &mut Budget,
        problems: &mut Problems,
    ) -> Option<Node> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.flow_nesting_limit = MAX_DEPTH;
        options.block_nesting_limit = MAX_DEPTH;
        let parser = Parser::new_from_str_with_options(text, options);
        let anchors = HashMap::new();
        let mut reading = Reading { text, parser, origin, budget, problems, anchors };
        reading.document().ok()
    }
}

/// A problem was reported that ends the reading.
struct Stop;

/// An anchored node with what a copy of it costs.
struct Anchor {
    node: Node,
    nodes: usize,
    bytes: usize,
    depth: usize,
}

struct Reading<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    origin: &'a Origin,
    budget: &'a mut Budget,
    problems: &'a mut Problems,
    anchors: HashMap<usize, Anchor>,
}

/// Says where in the tree the reading is: what messages and limits need.
struct At<'p> {
    path: &'p str,
    depth: usize,
    /// Holds what an empty value is marked with: its key.
    key: Option<&'p Mark>,
}

impl<'a> Reading<'a> {
    fn document(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_none() => {}
                Event::DocumentStart(..) => self.nothing_more(&span)?,
                Event::StreamEnd => break,
                event => {
                    let at = At { path: "", depth: 0, key: None };
                    root = Some(self.node(event, &span, &at)?);
                }
            }
        }
        let start = granit_parser::Marker::new(0, 1, 0);
        Ok(root.unwrap_or_else(|| Node::new(self.origin.mark(&start), Value::Null)))
    }

    /// Passes over a document that `start` begins and that holds nothing: a last line `---`. The Collector
    /// ignores any further document; here one that says something is an error.
    fn nothing_more(&mut self, start: &Span) -> Result<(), Stop> {
        let (event, span) = self.next()?;
        let written = span.start.index() != span.end.index() || event.tag().is_some();
        match event {
            Event::Scalar(..) if !written && event.anchor_id().is_none() => Ok(()),
            _ => Err(self.stop(start, "", "a second document: write one a file")),
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let mark = self.origin.mark(error.marker());
                let message = explain(&error, self.text);
                self.problems.error(&mark, "", message);
                Err(Stop)
            }
            None => Err(Stop),
        }
    }

    fn stop(&mut self, span: &Span, path: &str, message: &str) -> Stop {
        self.problems.error(&self.origin.mark(&span.start), path, message);
        Stop
    }

    fn node(&mut self, event: Event<'a>, span: &Span, at: &At<'_>) -> Result<Node, Stop> {
        let bytes = event.scalar().map_or(0, |(text, _)| text.len());
        if !self.budget.take(1, bytes) {
            return Err(self.stop(span, at.path, "the configuration is too big"));
        }
        if at.depth > MAX_DEPTH {
            return Err(self.stop(span, at.path, "nested too deeply"));
        }
        self.check_tag(&event, span, at)?;
        let anchor = event.anchor_id();
        let mark = self.origin.mark(&span.start);
        let node = match event {
            Event::Scalar(..) => self.scalar(&event, span, at),
            Event::SequenceStart(..) => Node::new(mark, Value::List(self.list(at)?)),
            Event::MappingStart(..) => Node::new(mark, Value::Map(self.map(at)?)),
            Event::Alias(id) => self.alias(id, span, at)?,
            _ => return Err(self.stop(span, at.path, "expected a value")),
        };
        if let Some(id) = anchor {
            let (nodes, bytes, depth) = size(&node);
            if !self.budget.take(nodes, bytes) {
                return Err(self.stop(span, at.path, "the configuration is too big"));
            }
            self.anchors.insert(id, Anchor { node: node.clone(), nodes, bytes, depth });
        }
        Ok(node)
    }

    fn scalar(&self, event: &Event<'_>, span: &Span, at: &At<'_>) -> Node {
        let (text, style) = event.scalar().unwrap_or(("", ScalarStyle::Plain));
        let written = span.start.index() != span.end.index();
        let mark = match at.key {
            Some(key) if !written => key.clone(),
            _ => self.origin.mark(&span.start),
        };
        let tagged = event.tag().is_some_and(|tag| tag.core_suffix() != Some("null"));
        let quoted = style != ScalarStyle::Plain
            || event.tag().is_some_and(|tag| matches!(tag.core_suffix(), Some("str")));
        if !quoted && !tagged && is_null(text) {
            return Node::new(mark, Value::Null);
        }
        Node::new(mark, Value::Scalar { text: text.to_owned(), quoted })
    }

    fn list(&mut self, at: &At<'_>) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(items);
            }
            let path = format!("{}::{}", at.path, items.len());
            items.push(self.node(
                event,
                &span,
                &At { path: &path, depth: at.depth + 1, key: None },
            )?);
        }
    }

    fn map(&mut self, at: &At<'_>) -> Result<Vec<(Key, Node)>, Stop> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashMap<String, Mark> = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let (name, style) = match &event {
                Event::MappingEnd => break,
                Event::Scalar(name, style, ..) => (name.to_string(), *style),
                _ => return Err(self.stop(&span, at.path, "a key must be a plain text")),
            };
            if span.start.index() == span.end.index() {
                return Err(self.stop(&span, at.path, "a key is missing before the `:`"));
            }
            let mark = self.origin.mark(&span.start);
            let path = below(at.path, &name);
            let (event, span) = self.next()?;
            let inner = At { path: &path, depth: at.depth + 1, key: Some(&mark) };
            let node = self.node(event, &span, &inner)?;
            if name == "<<" && style == ScalarStyle::Plain {
                merged.push(node);
            } else if let Some(first) = seen.get(&name) {
                let (line, column) = (first.line, first.column);
                let message = format!("`{name}` is set already, at line {line}, column {column}");
                self.problems.error(&mark, path, message);
            } else {
                seen.insert(name.clone(), mark.clone());
                entries.push((Key { mark, name }, node));
            }
        }
        for node in merged {
            self.merge(&mut entries, node, at)?;
        }
        Ok(entries)
    }

    /// `<<: *anchor`: keys that the mapping does not have itself.
    fn merge(
        &mut self,
        entries: &mut Vec<(Key, Node)>,
        from: Node,
        at: &At<'_>,
    ) -> Result<(), Stop> {
        let maps = match from.value {
            Value::List(items) => items,
            _ => vec![from],
        };
        for map in maps {
            let Value::Map(more) = map.value else {
                self.problems.error(&map.mark, at.path, "`<<` takes a mapping or a list of them");
                return Err(Stop);
            };
            for (key, node) in more {
                if !entries.iter().any(|(own, _)| own.name == key.name) {
                    entries.push((key, node));
                }
            }
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, span: &Span, at: &At<'_>) -> Result<Node, Stop> {
        let Some(anchor) = self.anchors.get(&id) else {
            return Err(self.stop(span, at.path, "this alias is inside what it stands for"));
        };
        if at.depth + anchor.depth > MAX_DEPTH {
            return Err(self.stop(span, at.path, "nested too deeply"));
        }
        if !self.budget.take(anchor.nodes, anchor.bytes) {
            return Err(self.stop(span, at.path, "the configuration is too big: too many aliases"));
        }
        Ok(anchor.node.clone())
    }

    fn check_tag(&mut self, event: &Event<'_>, span: &Span, at: &At<'_>) -> Result<(), Stop> {
        match event.tag() {
            Some(tag) if !tag.is_yaml_core_schema() && tag.original() != "!" => {
                // A secret that begins with `!` is read as one.
                let message = match at.path.split("::").any(sounds_secret) {
                    true => {
                        "a tag means nothing here; put a text that begins with `!` in quotes".into()
                    }
                    false => format!("the tag `{}` means nothing here", tag.original()),
                };
                Err(self.stop(span, at.path, &message))
            }
            _ => Ok(()),
        }
    }
}

/// Says whether a plain scalar is YAML's null.
pub fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}::{key}") }
}

/// Nodes, bytes of text and depth of a tree.
fn size(node: &Node) -> (usize, usize, usize) {
    let own = (1, node.text().map_or(0, str::len), 0);
    let children = node.items().iter().chain(node.entries().iter().map(|(_, node)| node));
    let mut total = children
        .map(size)
        .fold(own, |(nodes, bytes, depth), (n, b, d)| (nodes + n, bytes + b, depth.max(d + 1)));
    total.1 += node.entries().iter().map(|(key, _)| key.name.len()).sum::<usize>();
    total
}

/// The parser's complaint in the words of somebody who edits a file.
fn explain(error: &ScanError, text: &str) -> String {
    let marker = error.marker();
    let line = text.lines().nth(marker.line().saturating_sub(1)).unwrap_or_default();
    match error.kind() {
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => "a tab is used for indentation; YAML takes spaces".into(),
        ErrorKind::RecursionLimitExceeded => "nested too deeply".into(),
        ErrorKind::UnknownAnchor => "this alias has no anchor above it".into(),
        ErrorKind::SimpleKeyExpected => "a `:` is missing after this key".into(),
        ErrorKind::MappingValueNotAllowed => {
            "this `:` cannot stand here: put quotes around a text that holds `: `, and look at the `:` \
             and the indentation of the line above"
                .into()
        }
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => {
            match line.contains("${") {
                true => "inside `{ }` and `[ ]` a reference needs quotes: \"${env:NAME}\"".into(),
                false => "expected a `,` or the end of the `{ }` or `[ ]` that is open".into(),
            }
        }
        ErrorKind::UnexpectedCharacter { character } => {
            format!("a text that begins with `{character}` needs quotes")
        }
        ErrorKind::InvalidQuotedScalarIndent | ErrorKind::UnclosedQuotedScalar => {
            "a quote is opened and not closed".into()
        }
        ErrorKind::InvalidColonPlacement | ErrorKind::UnclosedFlowCollection { .. } => {
            "a bracket is opened and not closed".into()
        }
        other => format!("not YAML: {other}"),
    }
}
