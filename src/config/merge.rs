//! Trees of several sources become one: maps join, scalars and lists of a later source replace those of an
//! earlier one. Pure: reads no source.
//!
//! An empty key in a later source leaves an earlier mapping alone (the Collector would delete it); over
//! a scalar or a list it restores the default. A written `null` restores it over a mapping, too.

use crate::settings::{Key, MAX_DEPTH, Mark, Node, Problems, Value};

/// Puts a value under a key.
pub(super) fn within(mark: Mark, name: &str, node: Node) -> Node {
    let key = Key { mark: mark.clone(), name: name.to_owned() };
    Node::new(mark, Value::Map(vec![(key, node)]))
}

/// Makes mappings of keys such as `exporters::debug::wait`, which the Collector takes as paths in all its
/// sources. Only at the top: further down a key may be a name that somebody else gave, such as a tool's.
pub(super) fn unfold(root: Node, problems: &mut Problems) -> Node {
    let is_path = |(key, _): &(Key, Node)| key.name.contains("::");
    let Value::Map(entries) = root.value else { return root };
    if !entries.iter().any(is_path) {
        return Node::new(root.mark, Value::Map(entries));
    }
    let mut unfolded = Node::empty(root.mark);
    for (key, node) in entries {
        let steps: Vec<&str> = key.name.split("::").collect();
        if steps.iter().any(|name| name.trim().is_empty()) || steps.len() > MAX_DEPTH {
            problems.error(&key.mark, "", "write path::to::key: value");
            continue;
        }
        let nested =
            steps.iter().rev().fold(node, |node, name| within(key.mark.clone(), name.trim(), node));
        join(&mut unfolded, nested, "", problems);
    }
    unfolded
}

/// Adds `more` of the same source to `base`: what is there already is an error, as a key that stands twice is.
fn join(base: &mut Node, more: Node, path: &str, problems: &mut Problems) {
    match (&mut base.value, more.value) {
        (Value::Map(entries), Value::Map(more)) => {
            for (key, node) in more {
                let path = if path.is_empty() {
                    key.name.clone()
                } else {
                    format!("{path}::{}", key.name)
                };
                match entries.iter_mut().find(|(own, _)| own.name == key.name) {
                    Some((_, own)) => join(own, node, &path, problems),
                    None => entries.push((key, node)),
                }
            }
        }
        // `exporters:` and then `exporters::debug::wait: 1s`, in either order.
        (Value::Null, value @ Value::Map(_)) => *base = Node::new(more.mark, value),
        (Value::Map(_), Value::Null) => {}
        _ => {
            let (line, column) = (base.mark.line, base.mark.column);
            let message = format!("is set already, at line {line}, column {column}");
            problems.error(&more.mark, path, message);
        }
    }
}

/// Lays `over` on top of `base`.
pub(super) fn merge(base: &mut Node, over: Node) {
    match (&mut base.value, over.value) {
        (Value::Map(entries), Value::Map(more)) => {
            for (key, node) in more {
                match entries.iter_mut().find(|(own, _)| own.name == key.name) {
                    Some((_, Node { value: Value::Map(_), .. })) if is_bare(&key, &node) => {}
                    Some((_, own)) => merge(own, node),
                    None => entries.push((key, node)),
                }
            }
        }
        (_, value) => *base = Node::new(over.mark, value),
    }
}

/// Says whether nothing at all stands behind a key, not even `null`: such a node is marked with its key.
fn is_bare(key: &Key, node: &Node) -> bool {
    matches!(node.value, Value::Null) && node.mark == key.mark
}
