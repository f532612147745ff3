//! The detectors that come with mcpcol: a table of shapes, each with what must stand in a text for it to be worth a
//! look, and with what tells it from its look-alikes.
//!
//! Most are found from a hook, a part that all of them have and few other texts: what stands around it is looked at
//! byte by byte, and never twice, so that a text that is full of hooks costs little more than others. Prefixed shapes
//! need no trailing mark: in errors tokens are glued to what follows. No rule looks into base64.

mod text;
mod looks;
mod named;
mod tokens;
mod urls;
mod assigned;
mod personal;
mod demanded;

use std::ops::Range;

pub(super) use text::Text;
#[cfg(test)]
pub(super) use text::WORK;

use super::settings::Preset;
use text::Class;

/// Describes one detector.
pub(super) struct Detector {
    /// Names it in masks and counters.
    pub(super) name: &'static str,
    pub(super) preset: Preset,
    /// One of these, in any case, is part of all that it finds; none where digits or nothing tell.
    pub(super) hooks: &'static [&'static str],
    pub(super) find: Find,
}

/// Says how a detector finds what it is for.
#[derive(Clone, Copy)]
pub(super) enum Find {
    /// The hook, as it is written, and behind it at least so many bytes of a class.
    Run { class: Class, least: usize, where_: Where },
    /// Looks around a hook and gives what is to be masked.
    Around(fn(&Text<'_>, Range<usize>) -> Option<Range<usize>>),
    /// Looks through a text that has that many digits in a row, single spaces and dashes apart, or the beginning
    /// of an account number.
    Numbers(fn(&Text<'_>, &mut dyn FnMut(Range<usize>))),
    /// A pattern and a guard, for what is searched for only on demand. A group `v` is what is masked.
    Pattern(&'static str, fn(&Match<'_>) -> bool),
}

/// Says where a token may begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    /// Anywhere: chance does not write such a beginning.
    Anywhere,
    /// Not behind a letter or digit.
    Apart,
}

/// Holds a match of a pattern for its guard.
#[derive(Clone, Debug)]
pub(super) struct Match<'t> {
    pub(super) text: &'t str,
    /// All of it.
    pub(super) whole: Range<usize>,
    /// Bounds the part that is masked.
    pub(super) value: Range<usize>,
}

impl Match<'_> {
    fn value(&self) -> &str {
        &self.text[self.value.clone()]
    }

    /// Tells whether no letter or digit stands right before it.
    fn begins(&self) -> bool {
        let before = self.text.as_bytes()[..self.whole.start].last();
        !before.is_some_and(u8::is_ascii_alphanumeric)
    }

    fn ends(&self) -> bool {
        let behind = self.text.as_bytes().get(self.whole.end);
        !behind.is_some_and(u8::is_ascii_alphanumeric)
    }
}

impl Detector {
    /// Finds what is to be masked around one of its hooks.
    pub(super) fn around(&self, text: &Text<'_>, hook: Range<usize>) -> Option<Range<usize>> {
        match self.find {
            Find::Run { class, least, where_ } => {
                let written =
                    self.hooks.iter().any(|known| text.get(hook.clone()) == known.as_bytes());
                if !written || where_ == Where::Apart && !text.begins(hook.start) {
                    return None;
                }
                let end = text.run(class, hook.end);
                (end - hook.end >= least).then_some(hook.start..end)
            }
            Find::Around(find) => find(text, hook),
            Find::Numbers(_) | Find::Pattern(..) => None,
        }
    }
}

/// Lists all of them, in the order in which they name a match that several have.
pub(super) fn detectors() -> impl Iterator<Item = &'static Detector> {
    tokens::DETECTORS
        .iter()
        .chain(urls::DETECTORS)
        .chain(assigned::DETECTORS)
        .chain(personal::DETECTORS)
        .chain(demanded::DETECTORS)
}
