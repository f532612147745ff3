//! Remembers short texts of a batch in which nothing was found: methods, versions, names of tools come in every span.

/// Says how many are remembered, each in a place of its own.
const PLACES: usize = 64;
/// The longest, in bytes.
const LONG: usize = 64;

/// Holds texts that need no second look. A later one takes the place of an earlier one.
pub(super) struct CleanTexts<'a>([&'a str; PLACES]);

impl Default for CleanTexts<'_> {
    fn default() -> Self {
        CleanTexts([""; PLACES])
    }
}

impl<'a> CleanTexts<'a> {
    /// Says whether a text was added.
    pub(super) fn has(&self, text: &str) -> bool {
        text.len() <= LONG && self.0[place(text)] == text
    }

    /// Adds a text, unless it is long.
    pub(super) fn add(&mut self, text: &'a str) {
        if text.len() <= LONG {
            self.0[place(text)] = text;
        }
    }
}

/// Chooses a place by length, first and last bytes, which costs next to nothing.
fn place(text: &str) -> usize {
    let bytes = text.as_bytes();
    let at = |i: usize| usize::from(bytes.get(i).copied().unwrap_or_default());
    let last = bytes.len().wrapping_sub(1);
    let mixed = bytes.len() ^ at(0) << 1 ^ at(last) << 3 ^ at(bytes.len() / 2) << 2;
    (mixed ^ mixed >> 6) % PLACES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_what_was_added_is_known(texts in proptest::collection::vec("[a-c]{0,3}", 1..200)) {
            let mut clean = CleanTexts::default();
            for (i, text) in texts.iter().enumerate() {
                let added = text.is_empty() || texts[..i].contains(text);
                prop_assert!(added || !clean.has(text));
                clean.add(text);
                prop_assert!(clean.has(text));
            }
        }
    }

    #[test]
    fn long_texts_are_not_remembered() {
        let (mut clean, long) = (CleanTexts::default(), "x".repeat(LONG + 1));
        clean.add(&long);
        assert!(!clean.has(&long));
    }
}
