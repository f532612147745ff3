//! The detectors that come with mcpcol: a table of shapes, each with what must stand in a text for it to be worth a
//! look, and with a guard that tells it from its look-alikes.
//!
//! Patterns are linear in the text (no look-around); what they cannot say is said by the guards. Prefixed shapes
//! need no trailing mark: in errors tokens are glued to what follows. No rule looks into base64.

mod assigned;
mod personal;
mod tokens;
mod urls;

use std::ops::Range;

use super::settings::Preset;

/// Describes one detector.
pub(super) struct Detector {
    /// Names it in masks and counters.
    pub(super) name: &'static str,
    pub(super) preset: Preset,
    /// One of these, in any case, is part of all that it matches; none where digits or nothing tell.
    pub(super) hooks: &'static [&'static str],
    /// So many digits are in all that it matches.
    pub(super) digits: usize,
    /// Its matches; the group `v`, where there is one, is what is masked.
    pub(super) pattern: &'static str,
    /// Tells matches from look-alikes.
    pub(super) guard: fn(&Match<'_>) -> bool,
}

/// Holds a match for its guard.
#[derive(Clone, Debug)]
pub(super) struct Match<'t> {
    pub(super) text: &'t str,
    /// All of it.
    pub(super) whole: Range<usize>,
    /// What is masked.
    pub(super) value: Range<usize>,
    /// The group `n`: a name before the value; empty where there is none.
    pub(super) name: &'t str,
}

impl Match<'_> {
    fn value(&self) -> &str {
        &self.text[self.value.clone()]
    }

    /// The byte before all of it.
    fn before(&self) -> Option<u8> {
        self.text.as_bytes()[..self.whole.start].last().copied()
    }

    /// The byte behind all of it.
    fn behind(&self) -> Option<u8> {
        self.text.as_bytes().get(self.whole.end).copied()
    }

    /// Tells whether no letter or digit stands right before it.
    fn begins(&self) -> bool {
        !self.before().is_some_and(|b| b.is_ascii_alphanumeric())
    }

    fn ends(&self) -> bool {
        !self.behind().is_some_and(|b| b.is_ascii_alphanumeric())
    }
}

/// Lists all of them, in the order in which they name a match that several have.
pub(super) fn detectors() -> impl Iterator<Item = &'static Detector> {
    tokens::DETECTORS
        .iter()
        .chain(urls::DETECTORS)
        .chain(assigned::DETECTORS)
        .chain(personal::DETECTORS)
}
