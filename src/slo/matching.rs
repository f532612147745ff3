//! Decides which calls an objective is about, by names and patterns of tools and servers. Pure.

/// A pattern of names: `*` is any text, `?` any one character, everything else itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(String);

/// The longest pattern, in bytes: each name of a peer is compared with it.
pub const MAX_PATTERN: usize = 256;

impl Pattern {
    /// Makes a pattern of at most [`MAX_PATTERN`] bytes; none of a longer or an empty one.
    pub fn new(text: &str) -> Option<Self> {
        (1..=MAX_PATTERN).contains(&text.len()).then(|| Pattern(text.to_owned()))
    }

    /// Gives the text that it was made of.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Says whether it stands for one name only.
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Says whether the name fits, in at most pattern times name steps.
    pub fn fits(&self, name: &str) -> bool {
        let (pattern, name): (Vec<char>, Vec<char>) =
            (self.0.chars().collect(), name.chars().collect());
        let (mut p, mut n) = (0, 0);
        // Where the last `*` stands, and what it has taken so far.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(c) if *c == '?' || *c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    let Some((at, taken)) = star else { return false };
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
            }
        }
        pattern[p..].iter().all(|c| *c == '*')
    }
}

/// Says which calls an objective is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    /// Any of these servers; all if empty.
    pub servers: Vec<Pattern>,
    /// Any of these tools; all calls of tools if empty.
    pub tools: Vec<Pattern>,
}

impl Selector {
    /// Says whether calls of that tool of that server are among them.
    pub fn selects(&self, server: &str, tool: &str) -> bool {
        let any = |of: &[Pattern], name| of.is_empty() || of.iter().any(|p| p.fits(name));
        any(&self.servers, server) && any(&self.tools, tool)
    }

    /// Says whether the tool is named, and not only among those that a pattern stands for.
    pub fn names(&self, tool: &str) -> bool {
        self.tools.iter().any(|pattern| pattern.is_exact() && pattern.text() == tool)
    }
}

/// Holds what an objective has a budget of its own for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Each {
    /// Each server.
    pub server: bool,
    /// Each tool.
    pub tool: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, fits, not) in [
            ("read_file", vec!["read_file"], vec!["read_files", "Read_file", ""]),
            ("write_*", vec!["write_", "write_file", "write_*"], vec!["write", "rewrite_x"]),
            ("*", vec!["", "a", "ä*"], vec![]),
            ("a?c", vec!["abc", "aäc"], vec!["ac", "abbc"]),
            ("*ab*ab", vec!["abab", "xababab"], vec!["ab", "abba"]),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            fits.iter().for_each(|name| assert!(pattern.fits(name), "{pattern:?} {name}"));
            not.iter().for_each(|name| assert!(!pattern.fits(name), "{pattern:?} {name}"));
        }
        assert_eq!(Pattern::new(""), None);
        assert_eq!(Pattern::new(&"a".repeat(MAX_PATTERN + 1)), None);
    }

    #[test]
    fn hostile_names_take_no_longer_than_pattern_times_name() {
        let pattern = Pattern::new(&"*a".repeat(100)).unwrap();
        assert!(!pattern.fits(&"a".repeat(99)));
        assert!(!pattern.fits(&("a".repeat(10_000) + "b")));
    }

    #[test]
    fn an_objective_without_names_is_about_all_tools() {
        assert!(Selector::default().selects("fs", "anything"));
        let pattern = |text| Pattern::new(text).unwrap();
        let some =
            Selector { servers: vec![pattern("fs*")], tools: vec![pattern("a"), pattern("b*")] };
        assert!(some.selects("fs2", "b7"));
        assert!(!some.selects("web", "a") && !some.selects("fs", "c"));
        assert!(some.names("a") && !some.names("b*") && !some.names("b7"));
    }
}
