//! The page on spans names exactly the attributes and events that mcpcol writes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::pages::{self, code, quoted, tables};

/// The names that `src/telemetry/names.rs` declares, but for the scope.
fn declared() -> BTreeSet<String> {
    let source = pages::read("src/telemetry/names.rs");
    let constants =
        source.lines().filter(|line| line.starts_with("pub const ") && line.contains("&str"));
    let names = constants.filter(|line| !line.contains(" SCOPE:"));
    names.map(|line| line.split('"').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn spans_md_names_exactly_what_is_written() {
    let page = pages::read("docs/reference/spans.md");
    let mut told = BTreeSet::new();
    for table in tables(&page).iter().filter(|table| table.header[0] == "attribute") {
        assert_eq!(table.header, ["attribute", "when it is there", "stability"]);
        for row in &table.rows {
            for name in quoted(&row[0]) {
                assert!(told.insert(name.to_owned()), "`{name}` is there twice");
            }
            assert!(["stable", "development", "mcpcol"].contains(&&*row[2]), "{row:?}");
            let own = quoted(&row[0]).iter().all(|name| name.starts_with("mcpcol."));
            assert_eq!(own, row[2] == "mcpcol", "{row:?}");
        }
    }
    let declared = declared();
    let missing: Vec<_> = declared.difference(&told).collect();
    let unknown: Vec<_> = told.difference(&declared).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, unknown {unknown:?}");
}

#[test]
fn the_span_that_is_shown_has_known_attributes() {
    let page = pages::read("docs/reference/spans.md");
    let span: Value = serde_json::from_str(code(&page, "json")[0]).unwrap();
    let declared = declared();
    let attributes = span["attributes"].as_array().unwrap();
    assert!(attributes.len() > 10);
    for attribute in attributes {
        let name = attribute["key"].as_str().unwrap();
        let known = declared.iter().any(|known| {
            name == known || known.ends_with(".digest") && name.starts_with(&format!("{known}."))
        });
        assert!(known, "{name}");
    }
}
