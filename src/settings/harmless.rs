//! Makes text of others harmless to whoever reads it on a terminal.

use std::borrow::Cow;

/// Says whether a character can do more than be seen: controls, line separators, and what reorders or hides
/// text (Unicode TR 36, "Bidirectional Text Spoofing").
pub fn steers(c: char) -> bool {
    c.is_control() || hides(c)
}

/// Says whether a character that is no control can do more than be seen.
fn hides(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Writes characters that steer as escapes, as in Rust source: `\u{202e}`.
pub fn harmless(text: &str) -> Cow<'_, str> {
    escaped(text, steers)
}

/// Writes those that are no controls as escapes: for lines whose colours are our own, and whose controls were escaped
/// by whoever put them together.
pub fn without_hidden(text: &str) -> Cow<'_, str> {
    escaped(text, hides)
}

fn escaped(text: &str, which: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(which) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if which(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_escaped_and_all_else_stays() {
        let text = "a\u{1b}[31m\nb\u{202e}c é 漢";
        assert_eq!(harmless(text), "a\\u{1b}[31m\\nb\\u{202e}c é 漢");
        assert_eq!(without_hidden(text), "a\u{1b}[31m\nb\\u{202e}c é 漢");
        assert!(matches!(harmless("plain"), Cow::Borrowed("plain")));
    }
}
