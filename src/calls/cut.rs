//! Bounds the names that are kept of calls.

use std::borrow::Cow;

/// Gives a text of at most `max` bytes, which ends with `…` if it was longer.
pub(super) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return text.into();
    }
    let end = text.floor_char_boundary(max - '…'.len_utf8());
    format!("{}…", &text[..end]).into()
}
