//! What a running component was made of: its settings, and the files that they name. Where neither has changed
//! at a reload the component stays.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use crate::settings::{Node, read_file};

/// The most that is read of a file, in bytes: no component reads more of one.
const MOST: u64 = 1 << 20;

/// Tells whether a component would be made of the same again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MadeOf {
    settings: Node,
    /// Holds what stands in each of its files, in the order of the settings, as hashes.
    files: Vec<u64>,
}

impl MadeOf {
    /// Reads every file that stands under a key ending in `_file`: certificates and keys. Relative ones are below
    /// `base`. One that cannot be read is told from any that can. Variables of a child (`env`) are no settings: what
    /// stands in files that they name must not restart it.
    pub(super) fn of(settings: &Node, base: &Path) -> Self {
        let mut files = Vec::new();
        gather(settings, base, &mut files);
        MadeOf { settings: settings.clone(), files }
    }
}

fn gather(node: &Node, base: &Path, files: &mut Vec<u64>) {
    for (key, below) in node.entries() {
        match below.text() {
            Some(path) if key.name.ends_with("_file") => files.push(content(&base.join(path))),
            _ if key.name == "env" => {}
            _ => gather(below, base, files),
        }
    }
    node.items().iter().for_each(|item| gather(item, base, files));
}

fn content(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    read_file(path, MOST).ok().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::settings::testing;

    #[test]
    fn a_file_that_was_renewed_makes_a_difference_wherever_it_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let yaml = "{ a: [{ tls: { cert_file: cert.pem } }], path: other, key_file: absent }";
        let made = || MadeOf::of(&testing::node(yaml), directory.path());
        fs::write(directory.path().join("cert.pem"), "old").unwrap();
        fs::write(directory.path().join("other"), "old").unwrap();
        let before = made();
        assert_eq!(before, made());
        fs::write(directory.path().join("other"), "new").unwrap();
        assert_eq!(before, made(), "a file that is no part of the settings");
        fs::write(directory.path().join("cert.pem"), "new").unwrap();
        let renewed = made();
        assert_ne!(before, renewed);
        fs::write(directory.path().join("absent"), "").unwrap();
        assert_ne!(renewed, made(), "one that was not there");
    }

    #[test]
    fn a_file_that_only_a_child_is_told_of_makes_none() {
        let directory = tempfile::tempdir().unwrap();
        let made =
            || MadeOf::of(&testing::node("{ env: { token_file: token } }"), directory.path());
        let before = made();
        fs::write(directory.path().join("token"), "new").unwrap();
        assert_eq!(before, made());
    }
}
