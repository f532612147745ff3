//! Reading settings: a serde deserializer over [`Node`] that reports everything that is wrong with a
//! section, not the first thing.
//!
//! serde stops at the first error, so a section is read again and again: the node that caused the
//! error is noted and left out of the next pass, until the rest can be read. What then seems to be
//! missing only because it was left out is not reported a second time.
//!
//! An empty value stands for the default. What that is, is found out by trying: a type that can be made
//! from nothing (a struct) is; else an `Option` is `None`; else the key counts as not written.

mod fault;
mod access;
mod node;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr;

use serde::de::DeserializeOwned;

use self::fault::{Cause, Spot};
use self::node::Reader;
use super::{Node, Problems};

/// The most passes over one section: what is wrong beyond that is not listed.
const MAX_PASSES: usize = 200;

impl Node {
    /// Reads this value as `T`, adding everything that is wrong with it; `None` if it cannot be read,
    /// or only without something that was written.
    ///
    /// In messages, values are quoted unless their key [sounds secret](super::sounds_secret) or their
    /// type is a newtype called `Secret`; such a newtype is never made from an empty value.
    pub fn read<T: DeserializeOwned>(&self, path: &str, problems: &mut Problems) -> Option<T> {
        let (value, unread) = self.read_what_can_be(path, problems)?;
        unread.is_empty().then_some(value)
    }

    /// Reads this value as `T` and then lets `check` say what is wrong with its meaning, also where a
    /// part could not be read: about that part the check is not heard. `None` if anything was wrong
    /// with the reading.
    pub fn read_and_check<T: DeserializeOwned>(
        &self,
        path: &str,
        problems: &mut Problems,
        check: impl FnOnce(&T, &mut Problems),
    ) -> Option<T> {
        let (value, unread) = self.read_what_can_be(path, problems)?;
        let before = problems.0.len();
        check(&value, problems);
        let at_or_below = |path: &str, of: &String| {
            path.strip_prefix(of.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let mut at = 0;
        problems.0.retain(|problem| {
            at += 1;
            at <= before || !unread.iter().any(|of| at_or_below(&problem.path, of))
        });
        unread.is_empty().then_some(value)
    }

    /// The value, with defaults in place of what could not be read, and the paths of that.
    fn read_what_can_be<T: DeserializeOwned>(
        &self,
        path: &str,
        problems: &mut Problems,
    ) -> Option<(T, Vec<String>)> {
        let mut unread = Vec::new();
        let left_out = LeftOut::default();
        for _ in 0..MAX_PASSES {
            let fault = match T::deserialize(Reader::root(self, &left_out)) {
                Ok(value) => return Some((value, unread)),
                Err(fault) => fault.at(self),
            };
            let (cause, message, spot) = fault.into_parts(self);
            if cause == Cause::Empty && left_out.try_none(spot.node) {
                continue;
            }
            let here = spot.path_below(path);
            if let Some((key, node)) = left_out.empty_entry(&cause, &spot) {
                let empty = format!("{here}::{key}");
                problems.error(&node.mark, empty.clone(), "is empty and has no default");
                unread.push(empty);
            } else if let Some(problem) = left_out.judge(&cause, &message, &spot) {
                problems.error(&spot.mark, here.clone(), problem);
                match &cause {
                    Cause::UnknownKey { meant: None } => {}
                    Cause::UnknownKey { meant: Some(name) } => {
                        let map = here.rsplit_once("::").map_or("", |(map, _)| map);
                        unread.push(format!("{map}::{name}"));
                    }
                    _ => unread.push(here),
                }
            }
            if ptr::eq(spot.node, self) {
                return None;
            }
            left_out.add(cause, spot);
        }
        problems.error(&self.mark, path, "has more problems than are listed");
        None
    }
}

/// The nodes that a pass treats differently, and what is missing because of that. Grows between passes,
/// while the last fault still borrows it.
#[derive(Default)]
struct LeftOut {
    nodes: RefCell<HashMap<*const Node, Why>>,
    excused: RefCell<Vec<(*const Node, String)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Not left out yet: an `Option` is `None` there.
    None,
    Empty,
    Wrong,
}

impl LeftOut {
    fn why(&self, node: &Node) -> Option<Why> {
        self.nodes.borrow().get(&ptr::from_ref(node)).copied()
    }

    fn skips(&self, node: &Node) -> bool {
        matches!(self.why(node), Some(Why::Empty | Why::Wrong))
    }

    fn is_none(&self, node: &Node) -> bool {
        self.why(node) == Some(Why::None)
    }

    /// Makes an empty node `None` in the next pass; `false` if that was tried already.
    fn try_none(&self, node: &Node) -> bool {
        self.nodes.borrow_mut().insert(ptr::from_ref(node), Why::None).is_none()
    }

    /// The entry that a fault calls missing, if it is written and empty.
    fn empty_entry<'a>(&self, cause: &Cause, spot: &Spot<'a>) -> Option<(&'a str, &'a Node)> {
        let Cause::Missing { name } = cause else { return None };
        let (key, node) = spot.node.entries().iter().find(|(key, _)| key.name == *name)?;
        (self.why(node) == Some(Why::Empty)).then_some((key.name.as_str(), node))
    }

    /// Gives what to say about a fault; nothing if it only follows from an earlier one.
    fn judge(&self, cause: &Cause, message: &str, spot: &Spot<'_>) -> Option<String> {
        match cause {
            Cause::Follows => None,
            Cause::Empty if spot.parent.is_some() => None,
            Cause::Empty => Some(format!("is empty; accepted: {message}")),
            Cause::Missing { name } => {
                let here = ptr::from_ref(spot.node);
                if self.excused.borrow().iter().any(|(map, key)| *map == here && key == name) {
                    return None;
                }
                Some(message.to_owned())
            }
            _ => Some(message.to_owned()),
        }
    }

    fn add(&self, cause: Cause, spot: Spot<'_>) {
        let empty = matches!(cause, Cause::Empty);
        let why = if empty { Why::Empty } else { Why::Wrong };
        self.nodes.borrow_mut().insert(ptr::from_ref(spot.node), why);
        let Some((map, key)) = spot.parent else { return };
        if !empty {
            self.excused.borrow_mut().push((map, key));
        }
        if let Cause::UnknownKey { meant: Some(name) } = cause {
            self.excused.borrow_mut().push((map, name));
        }
    }
}
