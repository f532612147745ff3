//! What the user wrote, with the place where it stands.
//!
//! A [`Node`] is YAML after merging and expansion: it knows file, line and column of everything, so
//! that any later check can point at it. It has no types: who reads a scalar decides what it is.

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
    /// Says where it stands.
    pub mark: Mark,
    /// The key.
    pub name: String,
}

/// One value as written.
#[derive(Clone, Debug)]
pub struct Node {
    /// Says where it stands.
    pub mark: Mark,
    /// Holds what it is.
    pub value: Value,
    /// The text that a reference stood for, if it was the whole value and that text reads as something else than a
    /// text: a list, a mapping or null. It counts where a text is wanted, as in the Collector.
    pub original: Option<Box<str>>,
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
        if self.original != other.original {
            return false;
        }
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
    /// Makes a node of what stands there itself.
    pub fn new(mark: Mark, value: Value) -> Node {
        Node { mark, value, original: None }
    }

    /// A mapping without entries, for what was left out.
    pub fn empty(mark: Mark) -> Node {
        Node::new(mark, Value::Map(Vec::new()))
    }

    /// The entries, if this is a mapping; none otherwise.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items, if this is a sequence; none otherwise.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if this is a scalar or was one before a reference in it was read.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => self.original.as_deref(),
        }
    }

    /// The value under `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(k, _)| k.name == key).map(|(_, node)| node)
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
