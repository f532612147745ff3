//! `${env:X}`, `${env:X:-default}`, `${X}`, `${file:p}`, `${yaml:..}`, nested; `$$` for a dollar sign.
//!
//! A reference that is the whole value is read as YAML and may become anything, but keeps its text
//! where a text is wanted. One line end is cut off what a variable or a file holds. What comes out of a
//! variable is never expanded again, or whoever sets it could read files; of a file, which belongs to the
//! configuration, the mappings and lists that a whole-value reference brings are. After merging, so that a
//! reference which a later source replaced is not looked up.

use std::ffi::OsString;
use std::path::Path;

use super::Options;
use super::sources::{Gathered, read_text};
use crate::settings::{
    Budget, MAX_DEPTH, Mark, Node, Origin, Problems, Value, is_null, quoted_list, sounds_secret,
};

/// The most references in one configuration.
const MAX_REFERENCES: usize = 1000;

/// Says how far references may lead to references.
const MAX_LEVEL: usize = 16;

/// Holds what is known after expansion.
#[derive(Default)]
pub(super) struct Expanded {
    /// Values that became an empty text because what they refer to is not there, which is allowed.
    pub(super) absent: Vec<Mark>,
    /// Values that were reported already: what follows from their being null is not worth a word.
    pub(super) failed: Vec<Mark>,
}

pub(super) fn expand(
    root: &mut Node,
    gathered: &mut Gathered,
    options: &Options<'_>,
    problems: &mut Problems,
) -> Expanded {
    let mut expander = Expander {
        env: options.env,
        lenient: options.lenient_env,
        base: &gathered.base,
        budget: &mut gathered.budget,
        left: MAX_REFERENCES,
        problems,
        expanded: Expanded::default(),
    };
    expander.node(root, "", At { depth: 0, level: 0 });
    expander.expanded
}

struct Expander<'a> {
    env: &'a dyn Fn(&str) -> Option<OsString>,
    lenient: bool,
    base: &'a Path,
    budget: &'a mut Budget,
    left: usize,
    problems: &'a mut Problems,
    expanded: Expanded,
}

#[derive(Clone, Copy)]
struct At {
    depth: usize,
    level: usize,
}

/// Holds what a reference stands for.
struct Found {
    text: String,
    /// Says whether it is a part of the configuration that was not looked at yet: the text of a file.
    unread: bool,
}

/// Says why a reference stands for nothing.
enum Failed {
    /// It is written wrongly.
    Wrong(String),
    /// What it names is not there.
    Absent(String),
    /// The variable of that name is not set.
    Unset(String),
    /// A limit was reported already.
    Silent,
}

impl From<&str> for Failed {
    fn from(message: &str) -> Self {
        Failed::Wrong(message.into())
    }
}

impl Expander<'_> {
    fn node(&mut self, node: &mut Node, path: &str, at: At) {
        if at.depth > MAX_DEPTH {
            self.problems.error(&node.mark, path, "nested too deeply");
            node.value = Value::Null;
            return;
        }
        let inner = At { depth: at.depth + 1, ..at };
        match &mut node.value {
            Value::Map(entries) => {
                for (key, node) in entries {
                    let path = match path {
                        "" => key.name.clone(),
                        _ => format!("{path}::{}", key.name),
                    };
                    self.node(node, &path, inner);
                }
            }
            Value::List(items) => {
                for (index, node) in items.iter_mut().enumerate() {
                    self.node(node, &format!("{path}::{index}"), inner);
                }
            }
            Value::Scalar { text, .. } if text.contains('$') => self.scalar(node, path, at),
            _ => {}
        }
    }

    fn scalar(&mut self, node: &mut Node, path: &str, at: At) {
        let Value::Scalar { text, quoted } = &node.value else { return };
        let whole = text.strip_prefix("${").filter(|rest| closing(rest) == Some(rest.len() - 1));
        let read = match whole {
            Some(rest) => self.reference(&rest[..rest.len() - 1], at.level).map(|found| {
                let unread = found.unread;
                (self.read(found.text, &node.mark), unread)
            }),
            None => {
                let value = |text| Value::Scalar { text, quoted: *quoted };
                let text = self.text(text, at.level);
                text.map(|text| (Node::new(node.mark.clone(), value(text)), false))
            }
        };
        match read {
            Ok((read, unread)) => {
                *node = read;
                if unread && matches!(node.value, Value::Map(_) | Value::List(_)) {
                    self.node(node, path, At { level: at.level + 1, ..at });
                }
            }
            Err(failed) => self.fail(node, path, failed),
        }
    }

    fn fail(&mut self, node: &mut Node, path: &str, failed: Failed) {
        match failed {
            Failed::Wrong(message) => self.problems.error(&node.mark, path, message),
            Failed::Absent(message) => self.problems.unready(&node.mark, path, message),
            Failed::Unset(name) => self.problems.unready(&node.mark, path, unset(&name, path)),
            Failed::Silent => {}
        }
        if self.lenient {
            // Not null: who reads it must be able to tell an unset secret from none at all.
            node.value = Value::Scalar { text: String::new(), quoted: false };
            self.expanded.absent.push(node.mark.clone());
        } else {
            node.value = Value::Null;
            self.expanded.failed.push(node.mark.clone());
        }
    }

    /// Reads a text as YAML, if it is that, and keeps it beside what it was read as.
    fn read(&mut self, text: String, mark: &Mark) -> Node {
        let value = match text.as_str() {
            "" => None,
            text if is_null(text) => Some(Value::Null),
            text => {
                let mut scratch = Problems::default();
                let origin = Origin::At(mark.clone());
                let node = Node::parse_within(text, &origin, self.budget, &mut scratch);
                let value = node.filter(|_| scratch.0.is_empty()).map(|node| node.value);
                value.filter(|value| matches!(value, Value::Map(_) | Value::List(_)))
            }
        };
        match value {
            Some(value) => {
                Node { mark: mark.clone(), value, original: Some(text.into_boxed_str()) }
            }
            None => Node::new(mark.clone(), Value::Scalar { text, quoted: false }),
        }
    }

    /// A text with references in it.
    fn text(&mut self, text: &str, level: usize) -> Result<String, Failed> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let end = closing(after)
                    .ok_or("`${` is not closed; write `$${` for the characters themselves")?;
                out.push_str(&self.reference(&after[..end], level)?.text);
                rest = &after[end + 1..];
            } else {
                out.push('$');
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Gives what stands between `${` and `}`.
    fn reference(&mut self, inner: &str, level: usize) -> Result<Found, Failed> {
        if self.left == 0 {
            return Err(Failed::Silent);
        }
        self.left -= 1;
        if self.left == 0 || level > MAX_LEVEL {
            self.left = 0;
            return Err("too many references, or references that lead to each other".into());
        }
        let found = if let Some(text) = inner.strip_prefix("yaml:") {
            Found { text: self.text(text, level + 1)?, unread: false }
        } else if let Some(path) = inner.strip_prefix("file:") {
            let path = self.text(path, level + 1)?;
            Found { text: self.file(&path)?, unread: true }
        } else {
            self.variable(inner, level)?
        };
        if !self.budget.take(0, found.text.len()) {
            return Err("the configuration is too big".into());
        }
        Ok(found)
    }

    fn file(&self, path: &str) -> Result<String, Failed> {
        let text = read_text(&self.base.join(path))
            .map_err(|why| Failed::Absent(format!("file `{path}` {why}")))?;
        Ok(without_line_end(text))
    }

    /// `env:X`, `X`, each with or without `:-default`.
    fn variable(&mut self, inner: &str, level: usize) -> Result<Found, Failed> {
        let inner = inner.strip_prefix("env:").unwrap_or(inner);
        let (name, default) = match default_at(inner) {
            Some(at) => (&inner[..at], Some(&inner[at + 2..])),
            None => (inner, None),
        };
        let name = self.text(name, level + 1)?;
        if let Some((scheme, _)) = name.split_once(':') {
            let known = quoted_list(["env", "file", "yaml"]);
            return Err(Failed::Wrong(format!("`{scheme}:` is not known here; known: {known}")));
        }
        if !is_variable_name(&name) {
            return Err(Failed::Wrong(format!(
                "`${{{name}}}` is not a reference; write `$${{{name}}}` for the characters themselves"
            )));
        }
        let value = match (self.env)(&name).map(OsString::into_string) {
            None => None,
            Some(Ok(text)) => Some(without_line_end(text)),
            Some(Err(_)) => {
                return Err(Failed::Absent(format!("the value of `{name}` is not UTF-8")));
            }
        };
        // A host's mcp.json often says `"X": ""` for a variable that is not there.
        let counts = |text: &String| !(self.lenient && text.is_empty());
        match (value.filter(counts), default) {
            (Some(text), _) => Ok(Found { text, unread: false }),
            (None, Some(default)) => {
                Ok(Found { text: self.text(default, level + 1)?, unread: false })
            }
            (None, None) => Err(Failed::Unset(name)),
        }
    }
}

/// Says that a variable is missing at that path, and what to do. A secret that stands in the file is none any more, and
/// one that is empty may switch something off.
fn unset(name: &str, path: &str) -> String {
    let secret = path.split("::").chain([name]).any(sounds_secret);
    let or = match secret {
        true => "have it read from a file by `${file:PATH}`".to_owned(),
        false => format!("write `${{env:{name}:-default}}`"),
    };
    // Where a secret is wanted, what stands in the braces may be one.
    let usual = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    match secret && !usual {
        true => format!("the environment variable that is named here is not set; set it or {or}"),
        false => format!("environment variable `{name}` is not set; set it or {or}"),
    }
}

/// Says where the brace that was opened before `text` is closed.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

/// Says where `:-` stands, outside of inner references.
fn default_at(text: &str) -> Option<usize> {
    let mut open = 0;
    let bytes = text.as_bytes();
    (0..bytes.len()).find(|&at| {
        match bytes[at] {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        open == 0 && bytes[at..].starts_with(b":-")
    })
}

/// Cuts one line end off: editors and `echo` put it behind a text that has none.
fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
