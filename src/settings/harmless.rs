//! Makes text of others harmless to whoever reads it on a terminal.

use std::borrow::Cow;
use std::fmt::Write;

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
    escaped(text, steers, |out, c| out.extend(c.escape_default()))
}

/// Writes those that are no controls as escapes: for lines whose colours are our own, and whose controls were escaped
/// by whoever put them together.
pub fn without_hidden(text: &str) -> Cow<'_, str> {
    escaped(text, hides, |out, c| out.extend(c.escape_default()))
}

/// Writes those that stand in the strings of a JSON document as it has them: `\u202e`. Controls that it cannot have
/// stand between its lines.
pub fn harmless_json(document: &str) -> Cow<'_, str> {
    let steers = |c: char| c > '~' && steers(c);
    escaped(document, steers, |out, c| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}").ok();
        }
    })
}

fn escaped(text: &str, which: fn(char) -> bool, escape: fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(which) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if which(c) { escape(&mut out, c) } else { out.push(c) }
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
        let strings = ["a\u{202e}b", "\u{7f}\u{9b}31m", "\u{e0041}", "é 漢\n\u{1b}"];
        let line = format!("{}\n", serde_json::json!(strings));
        let shown = harmless_json(&line);
        let expected = r#"["a\u202eb","\u007f\u009b31m","\udb40\udc41","é 漢\n\u001b"]"#;
        assert_eq!(shown.trim_end(), expected);
        assert_eq!(serde_json::from_str::<[String; 4]>(&shown).unwrap(), strings);
        assert!(matches!(harmless("plain"), Cow::Borrowed("plain")));
    }
}
