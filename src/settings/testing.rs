//! For tests of components: settings from YAML, as a configuration would hand them over.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::{Node, Origin, Place, Problems, Report};

/// The YAML as a placed tree.
pub(crate) fn node(yaml: &str) -> Node {
    let mut problems = Problems::default();
    let node = Node::parse(yaml, &Origin::file("test.yaml"), &mut problems);
    node.unwrap_or_else(|| panic!("not YAML: {problems:?}"))
}

/// Settings of type `T`, or what is wrong with them.
pub(crate) fn read<T: DeserializeOwned>(yaml: &str) -> Result<T, Problems> {
    let mut problems = Problems::default();
    let config = node(yaml).read("test", &mut problems);
    config.filter(|_| !problems.fatal()).ok_or(problems)
}

/// Gives what a component's check says about what is written.
pub(crate) fn check(yaml: &str, path: &str, check: impl FnOnce(&mut Report<'_>)) -> Problems {
    let mut problems = Problems::default();
    let node = node(yaml);
    check(&mut Report::new(&node, Place { path, base: Path::new("") }, &mut problems));
    problems
}
