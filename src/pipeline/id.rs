//! Component ids: `type` or `type/name`.

use std::fmt;

/// A component's id, as the Collector spells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// The registered name of the component's kind.
    pub kind: String,
    /// Holds what comes after the slash, if anything.
    pub name: Option<String>,
}

impl Id {
    /// The longest name after the slash, in characters.
    pub const MAX_NAME: usize = 1024;

    /// Reads `type` or `type/name`: a type starts with a letter and has letters, digits and
    /// underscores, at most 63; a name has no white space and no control characters.
    pub fn parse(text: &str) -> Result<Id, String> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind.trim(), Some(name.trim())),
            None => (text.trim(), None),
        };
        let letters = kind.starts_with(|c: char| c.is_ascii_alphabetic())
            && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !letters || kind.len() > 63 {
            return Err(format!("`{text}` is not a component id; write `type` or `type/name`"));
        }
        if let Some(name) = name {
            let bad = |c: char| c.is_whitespace() || c.is_control();
            if name.is_empty() || name.chars().count() > Id::MAX_NAME || name.contains(bad) {
                return Err(format!("`{text}` has an unusable name after the slash"));
            }
        }
        Ok(Id { kind: kind.into(), name: name.map(Into::into) })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}/{name}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}
