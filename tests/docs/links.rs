//! Links lead somewhere, and files that are named are there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::pages;

/// The anchors of a page: of its headings, with a number where one comes again.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = pages::prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let slug = pages::slug(line.trim_start_matches('#').trim());
            let times = seen.entry(slug.clone()).or_default();
            *times += 1;
            if *times == 1 { slug } else { format!("{slug}-{}", *times - 1) }
        })
        .collect()
}

/// A link without its `..`.
fn resolved(page: &Path, target: &str) -> PathBuf {
    let mut path = page.parent().unwrap().to_path_buf();
    for step in Path::new(target).components() {
        match step.as_os_str().to_str().unwrap() {
            ".." => assert!(path.pop(), "{}: {target} leads out of the package", page.display()),
            "." => {}
            name => path.push(name),
        }
    }
    path
}

#[test]
fn relative_links_and_anchors_resolve() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut broken = Vec::new();
    for page in pages::all() {
        let text = pages::read(page.to_str().unwrap());
        let prose = pages::prose(&text).collect::<Vec<_>>().join("\n");
        for found in link.captures_iter(&prose) {
            let target = &found[1];
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.clone() } else { resolved(&page, file) };
            let there = pages::root().join(&file).exists();
            let known =
                || anchors(&pages::read(file.to_str().unwrap())).iter().any(|a| a == anchor);
            if !there || (!anchor.is_empty() && !known()) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn files_that_are_named_are_there() {
    let file = Regex::new(r"^[\w./-]+(\.(rs|toml|yaml|py|md)|/)$").unwrap();
    let mut missing = Vec::new();
    for page in pages::all() {
        let name = page.to_str().unwrap().to_owned();
        if name != "ARCHITECTURE.md" && !name.starts_with("docs/decisions") {
            continue;
        }
        let text = pages::read(&name);
        for named in pages::quoted(&text).into_iter().filter(|named| file.is_match(named)) {
            let source = named.ends_with(".rs") || named.starts_with("src/");
            let places = [pages::root().join(named), pages::root().join("src").join(named)];
            if source && !places.iter().any(|place| place.exists()) {
                missing.push(format!("{name}: {named}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
