//! Tells which lines are part of a private key (RFC 7468): only the first of them says that the rest are secret.
//!
//! They are withheld and not joined: a line that only mentions a key must hold nothing up, and a key has no end that
//! could be relied on.

/// Bounds how many lines behind a key's beginning, its last line, or a loss may still bring more of it, among the lines of
/// others.
const WINDOW: u32 = 64;
/// A line among those of others has at least so many characters of a key: usual lines have 64, the last one fewer.
const LONG: usize = 40;
/// Behind a prefix such as a logger's name it has so many.
const PREFIXED: usize = 16;

/// Follows the lines of one stream.
#[derive(Debug, Default)]
pub(super) struct KeyLines {
    /// The line before was part of a key.
    inside: bool,
    /// Counts how many more lines are looked at.
    left: u32,
}

impl KeyLines {
    /// Says whether a line is to be withheld. The first line of a key is not: redaction finds what stands in it.
    pub(super) fn withhold(&mut self, line: &str) -> bool {
        let line = line.trim();
        if let Some(at) = begins(line) {
            (self.inside, self.left) = (ends_within(&line[at..]).is_none(), WINDOW);
            return false;
        }
        if self.left == 0 {
            return false;
        }
        if ends_within(line).is_some() {
            (self.inside, self.left) = (false, 0);
            return false;
        }
        self.left -= 1;
        if line.is_empty() || line.starts_with("Proc-Type:") || line.starts_with("DEK-Info:") {
            return false;
        }
        self.inside = if self.inside { is_body(line) } else { is_long_body(line) };
        if self.inside {
            self.left = WINDOW;
        }
        self.inside
    }

    /// Says that lines were lost: the beginning of a key may be among them.
    pub(super) fn lost(&mut self) {
        self.left = WINDOW;
    }
}

/// Finds where a line begins a private key: of PEM, or of SSH (RFC 4716).
fn begins(line: &str) -> Option<usize> {
    let at = line.rfind("--BEGIN ").or_else(|| line.rfind("-- BEGIN "))?;
    is_of_key(&line[at..]).then_some(at)
}

fn ends_within(line: &str) -> Option<usize> {
    let at = line.rfind("--END ").or_else(|| line.rfind("-- END "))?;
    is_of_key(&line[at..]).then_some(at)
}

fn is_of_key(mark: &str) -> bool {
    mark.contains("PRIVATE KEY")
}

/// Gives the word that the part of a key in a line would be, and whether others stand before it.
fn word(line: &str) -> (&str, bool) {
    let line = line.trim_matches(['"', '\'', ',', '|', '\\']);
    let word = line.rsplit([' ', '\t']).next().unwrap_or(line);
    (word, word.len() < line.len())
}

fn is_base64(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

/// Says whether a line right behind one of a key is part of it.
fn is_body(line: &str) -> bool {
    let (word, prefixed) = word(line);
    is_base64(word) && (!prefixed || word.len() >= PREFIXED)
}

/// Says whether a line among others looks like part of a key: long, and mixed as no word and no number is.
fn is_long_body(line: &str) -> bool {
    let (word, _) = word(line);
    let has = |class: fn(&u8) -> bool| word.as_bytes().iter().any(class);
    word.len() >= LONG
        && is_base64(word)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(what: &str) -> String {
        ["-----", what, " RSA PRIVATE", " KEY-----"].concat()
    }

    /// The lines of a text that are told.
    fn told<'a>(key: &mut KeyLines, text: &'a str) -> Vec<&'a str> {
        text.lines().filter(|line| !key.withhold(line)).collect()
    }

    #[test]
    fn the_body_of_a_key_is_withheld_whatever_stands_before_and_among_its_lines() {
        let (begin, end, body) = (mark("BEGIN"), mark("END"), "QUJDabcd".repeat(8));
        let (long, short) = (format!("{body}\n").repeat(300), "QUJDabcd\n".repeat(400));
        for prefix in ["", "app | ", "2026-01-01 INFO key: "] {
            for lines in [&long, &short] {
                let text = format!("{begin}\n{lines}QUI=\n{end}\nafter");
                let prefixed: String =
                    text.lines().map(|line| format!("{prefix}{line}\n")).collect();
                if prefix.is_empty() || lines == &long {
                    let told = told(&mut KeyLines::default(), &prefixed).join("\n");
                    assert!(!told.contains(&body[..16]), "{prefix}: {told}");
                    assert!(told.ends_with("after"));
                }
            }
        }
        let other = ["-----END ", "CERTIFICATE-----"].concat();
        let among = format!("{begin}\n{body}\nworker 7 is up\n{other}\n{body}\nQUI=\n{end}\nQUI=");
        let expected = [&*begin, "worker 7 is up", &other, &end, "QUI="];
        assert_eq!(told(&mut KeyLines::default(), &among), expected);
        let headed = format!("{begin}\nProc-Type: 4,ENCRYPTED\n\n{body}\n{end}");
        assert_eq!(told(&mut KeyLines::default(), &headed).len(), 4);
        let ssh = ["---- BEGIN SSH2 ENCRYPTED PRIVATE", " KEY ----"].concat();
        assert_eq!(told(&mut KeyLines::default(), &format!("{ssh}\n{body}\n{body}")), [&*ssh]);
    }

    #[test]
    fn a_line_that_mentions_a_key_hides_no_others() {
        let mention = format!("error: the file must begin with \"{}\"", mark("BEGIN"));
        let others = "ERROR request 7 failed\nlistening on http://127.0.0.1:8080/abcdefghijklmnop\n\
                      sha256 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
        let text = format!("{mention}\n{}", others.repeat(100));
        assert_eq!(told(&mut KeyLines::default(), &text).len(), 301);
        let public = ["-----BEGIN PUBLIC", " KEY-----\n", &"QUJDabcd".repeat(8)].concat();
        assert_eq!(told(&mut KeyLines::default(), &public).len(), 2);
    }

    #[test]
    fn the_rest_of_a_key_whose_beginning_was_lost_is_withheld() {
        let mut key = KeyLines::default();
        let body = "QUJDabcd".repeat(8);
        assert!(!key.withhold(&body));
        key.lost();
        let text = format!("INFO app: {body}\nINFO app: up\nINFO app: {body}\nQUI=\nINFO app: up");
        assert_eq!(told(&mut key, &text), ["INFO app: up", "INFO app: up"]);
        (0..WINDOW).for_each(|_| assert!(!key.withhold("up")));
        assert!(!key.withhold(&body));
    }
}
