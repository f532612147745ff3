//! Says what a look at a text found, and why one could not be had.

/// Stands in the place of a text that could not be looked at.
pub const UNSCANNED: &str = "[REDACTED:unscanned]";
/// Says what was found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: it may stay.
    Nothing,
    /// Something: the [output](super::Scan::output) is to stand in its place.
    Masked,
    /// It could not be looked at, and the output is to stand in its place.
    Unscanned(Why),
}

/// Says why a text could not be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It is too long.
    Size,
    /// It is nested too deeply.
    Depth,
    /// Too much of it matches.
    Matches,
    /// It is no text.
    Unreadable,
    /// A rule failed.
    Panic,
}

impl Why {
    /// All of them.
    pub const ALL: [Why; 5] = [Why::Size, Why::Depth, Why::Matches, Why::Unreadable, Why::Panic];

    /// Gives the word that counters have for it.
    pub fn name(self) -> &'static str {
        match self {
            Why::Size => "size",
            Why::Depth => "depth",
            Why::Matches => "matches",
            Why::Unreadable => "unreadable",
            Why::Panic => "panic",
        }
    }
}
