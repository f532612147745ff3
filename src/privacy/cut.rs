//! Cuts texts of others to a length, so that no part of a secret is left at their end: what is cut within is no longer
//! recognised, neither as a known value nor by its form.

use std::borrow::Cow;

/// Stands at the end of a text that was cut.
pub const MARK: char = '…';

/// Says how much is kept of a text that is one word too long, in characters: half of the shortest secret that is
/// searched for.
const LEAD: usize = 4;

/// Gives a text of at most `max` bytes: all of it, or its words before the one that is cut, and [`MARK`]. Of a text that
/// is one word too long its first four characters are kept. `more`: it goes on beyond what is here.
pub fn cut<'t>(text: impl Into<Cow<'t, str>>, max: usize, more: bool) -> Cow<'t, str> {
    let text = text.into();
    if text.len() <= max && !more {
        return text;
    }
    let room = max.saturating_sub(MARK.len_utf8());
    let words = whole_words(&text, room);
    let begin = text.trim_start();
    let lead = begin.char_indices().nth(LEAD).map_or(begin.len(), |(at, _)| at).min(room / 2);
    let kept =
        if words.trim().is_empty() { &begin[..begin.floor_char_boundary(lead)] } else { words };
    let mark = if max >= MARK.len_utf8() {
        MARK.encode_utf8(&mut [0; 4]).to_owned()
    } else {
        String::new()
    };
    Cow::Owned([kept, &mark].concat())
}

/// Gives the beginning of a text up to the last white space within `max` bytes: nothing where there is none. The last
/// word may be cut off, so it is left out.
pub fn whole_words(text: &str, max: usize) -> &str {
    let head = &text[..text.floor_char_boundary(max)];
    head.rfind(char::is_whitespace).map_or("", |at| &head[..at]).trim_end()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_ends_behind_a_whole_word_or_is_its_first_characters() {
        for (text, max, more, expected) in [
            ("a tool", 6, false, "a tool"),
            ("a tool", 6, true, "a…"),
            ("one two three", 12, false, "one two…"),
            ("one two\n three", 13, false, "one two…"),
            ("averylongword of text", 14, false, "aver…"),
            ("  averylongword", 14, false, "aver…"),
            ("ééééééééé", 12, false, "éé…"),
            ("", 8, true, "…"),
            ("abcdefgh", 3, false, "…"),
            ("abcdefgh", 2, false, ""),
        ] {
            assert_eq!(cut(text, max, more), expected, "{text}");
        }
    }

    #[test]
    fn no_more_than_the_beginning_of_a_secret_is_left_wherever_it_is_cut() {
        let secret = ["kettle-", "window-17"].concat();
        for before in (0..80).flat_map(|n| ["p".repeat(n), "p ".repeat(n)]) {
            let shown = cut(format!("{before}{secret}{secret} {secret}"), 64, true);
            let bare = shown.replace(&secret, "");
            assert!(!bare.contains(&secret[..LEAD + 1]), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn it_is_never_longer_than_it_may_be(text in "[a é漢]{0,40}", max in 0usize..50, more: bool) {
            let shown = cut(&text, max, more);
            prop_assert!(shown.len() <= max);
            prop_assert!(shown == text || shown.is_empty() || shown.ends_with(MARK));
        }
    }
}
