//! What went wrong in one pass, and where: the deserializer's error type.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::settings::{Mark, Node, nearest_name, quoted_list};

/// The longest piece of a value that a message quotes, in characters.
const QUOTED: usize = 40;

/// An error of one pass. It starts without a place, because serde's own code makes it; the innermost
/// reader that sees it knows where it stands, those further out add their step to the path.
#[derive(Debug)]
pub(super) struct Fault<'a> {
    cause: Cause,
    message: String,
    spot: Option<Box<Spot<'a>>>,
}

/// Names what kind of error it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nothing stands there, and nothing cannot be read as what is wanted.
    Empty,
    /// A key without which the mapping cannot be read.
    Missing { name: String },
    /// A key that is not known, and the known one that it resembles.
    UnknownKey { meant: Option<String> },
    /// A key that says the same as an earlier one, in another spelling.
    Repeated,
    /// Only follows from a fault that was reported in an earlier pass.
    Follows,
    /// Anything else.
    Unfit,
}

/// Says where a fault stands.
#[derive(Debug)]
pub(super) struct Spot<'a> {
    pub(super) mark: Mark,
    /// Holds what a next pass has to leave out.
    pub(super) node: &'a Node,
    /// The mapping that holds the node, and under which key.
    pub(super) parent: Option<(*const Node, String)>,
    /// The way there from the section, innermost step first.
    steps: Vec<String>,
}

impl Spot<'_> {
    pub(super) fn path_below(&self, path: &str) -> String {
        let mut out = path.to_owned();
        for step in self.steps.iter().rev() {
            if !out.is_empty() {
                out.push_str("::");
            }
            out.push_str(step);
        }
        out
    }
}

/// Bounds secrets that are taken out of messages, in bytes: shorter ones are not.
const SHORTEST_SECRET: usize = 4;

impl<'a> Fault<'a> {
    pub(super) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Fault { cause, message: message.into(), spot: None }
    }

    pub(super) fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Says where it stands, unless that is known already.
    pub(super) fn at(self, node: &'a Node) -> Self {
        self.at_mark(&node.mark, node)
    }

    /// The same, for a fault that is not about the value but about its key.
    pub(super) fn at_mark(mut self, mark: &Mark, node: &'a Node) -> Self {
        if self.spot.is_none() {
            let mark = mark.clone();
            self.spot = Some(Box::new(Spot { mark, node, parent: None, steps: Vec::new() }));
        }
        self
    }

    /// Adds a step of the way: the fault is below `step` of `map`.
    pub(super) fn below(mut self, map: Option<&Node>, step: &str) -> Self {
        if let Some(spot) = &mut self.spot {
            if let (Some(map), true) = (map, spot.steps.is_empty()) {
                spot.parent = Some((std::ptr::from_ref(map), step.to_owned()));
            }
            spot.steps.push(step.to_owned());
        }
        self
    }

    /// Takes `text` out of the message.
    pub(super) fn without(mut self, text: &str) -> Self {
        // A text this short is in our own words too; it is no secret either.
        if text.len() >= SHORTEST_SECRET {
            self.message = self.message.replace(text, "[REDACTED]");
        }
        self
    }

    pub(super) fn into_parts(self, root: &'a Node) -> (Cause, String, Spot<'a>) {
        let here = Spot { mark: root.mark.clone(), node: root, parent: None, steps: Vec::new() };
        (self.cause, self.message, self.spot.map_or(here, |spot| *spot))
    }
}

/// A value as messages quote it: one line, not long.
pub(super) fn quote(text: &str) -> String {
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(QUOTED).map(one_line).collect();
    if text.chars().nth(QUOTED).is_some() {
        short.push_str("...");
    }
    format!("`{short}`")
}

fn choice(start: &str, meant: Option<&str>, accepted: &[&str]) -> String {
    let meant = meant.map(|name| format!(" did you mean `{name}`?")).unwrap_or_default();
    match accepted {
        [] => format!("{start}; nothing is accepted here"),
        _ => format!("{start};{meant} accepted: {}", quoted_list(accepted.iter().copied())),
    }
}

fn found(what: Unexpected<'_>) -> String {
    match what {
        Unexpected::Str(text) => quote(text),
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map | Unexpected::StructVariant | Unexpected::NewtypeVariant => {
            "a mapping".into()
        }
        other => other.to_string(),
    }
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault<'_> {}

impl de::Error for Fault<'_> {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Fault::new(Cause::Unfit, message.to_string())
    }

    fn invalid_type(what: Unexpected<'_>, accepted: &dyn Expected) -> Self {
        Fault::new(Cause::Unfit, format!("found {}; accepted: {accepted}", found(what)))
    }

    fn invalid_value(what: Unexpected<'_>, accepted: &dyn Expected) -> Self {
        Fault::invalid_type(what, accepted)
    }

    fn unknown_variant(name: &str, accepted: &'static [&'static str]) -> Self {
        let meant = nearest_name(name, accepted.iter().copied());
        Fault::new(Cause::Unfit, choice(&format!("found {}", quote(name)), meant, accepted))
    }

    fn unknown_field(name: &str, accepted: &'static [&'static str]) -> Self {
        let meant = nearest_name(name, accepted.iter().copied());
        let message = choice("unknown key", meant, accepted);
        Fault::new(Cause::UnknownKey { meant: meant.map(Into::into) }, message)
    }

    fn missing_field(name: &'static str) -> Self {
        Fault::new(Cause::Missing { name: name.into() }, format!("`{name}` is missing"))
    }

    fn duplicate_field(name: &'static str) -> Self {
        Fault::new(Cause::Repeated, format!("`{name}` is set already, in another spelling"))
    }
}
