//! Pages name exactly the metrics that there are, each with its kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use mcpcol::metrics::Kind;
use mcpcol::metrics::names::ALL;

use super::pages::{self, quoted, tables};

const PAGE: &str = "docs/reference/metrics.md";
const BEGIN: &str =
    "<!-- All metrics: written by `UPDATE_EXPECTED=1 cargo test --test docs`. -->\n";
const END: &str = "<!-- End of all metrics. -->\n";

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    }
}

/// Names in a cell; `*` stands for the three kinds of item.
fn names(cell: &str) -> Vec<String> {
    let each = |name: &str| match name.strip_suffix('*') {
        Some(stem) => {
            ["spans", "metric_points", "log_records"].map(|of| format!("{stem}{of}")).to_vec()
        }
        None => vec![name.to_owned()],
    };
    quoted(cell).into_iter().flat_map(each).collect()
}

#[test]
fn the_list_of_all_metrics_is_theirs() {
    let mut list =
        "| metric | kind | unit | what it counts |\n| --- | --- | --- | --- |\n".to_owned();
    for info in ALL {
        list += &format!(
            "| `{}` | {} | `{}` | {} |\n",
            info.name,
            kind(info.kind),
            info.unit,
            info.help
        );
    }
    let text = pages::read(PAGE);
    let (before, rest) = text.split_once(BEGIN).expect("where the list begins");
    let (found, after) = rest.split_once(END).expect("where the list ends");
    let list = format!("\n{list}\n");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        let text = format!("{before}{BEGIN}{list}{END}{after}");
        fs::write(pages::root().join(PAGE), text).unwrap();
        return;
    }
    assert_eq!(found, list, "{PAGE}: run with UPDATE_EXPECTED=1");
}

#[test]
fn every_metric_is_on_the_page_of_what_counts_it() {
    let known: BTreeMap<&str, &str> = ALL.iter().map(|info| (info.name, kind(info.kind))).collect();
    let (mut told, mut wrong) = (BTreeSet::new(), Vec::new());
    for page in pages::all() {
        let text = pages::read(page.to_str().unwrap());
        for table in tables(&text)
            .iter()
            .filter(|table| table.header[0] == "metric" && table.column("kind").is_none())
        {
            for row in &table.rows {
                let said = ["gauge", "histogram"]
                    .into_iter()
                    .find(|kind| row[0].contains(&format!("({kind}")));
                for name in names(&row[0]) {
                    match known.get(&*name) {
                        Some(kind) if *kind == said.unwrap_or("counter") => {}
                        Some(kind) => {
                            wrong.push(format!("{}: `{name}` is a {kind}", page.display()))
                        }
                        None => wrong.push(format!("{}: `{name}` does not exist", page.display())),
                    }
                    told.insert(name);
                }
            }
        }
    }
    wrong.extend(
        known
            .keys()
            .filter(|name| !told.contains(**name))
            .map(|name| format!("`{name}` is on no page")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_metric_that_is_declared_is_counted_somewhere() {
    let declared = pages::read("src/metrics/names.rs");
    let declared = declared.lines().filter_map(|line| line.trim().split_once(" = \""));
    let of_a_kind = |before: &&str| {
        let kinds = ["counter ", "gauge ", "ratio ", "histogram "];
        kinds.iter().any(|kind| before.starts_with(kind))
    };
    let declared = declared.map(|(before, _)| before).filter(of_a_kind);
    let statics: Vec<&str> = declared.filter_map(|before| before.split(' ').nth(1)).collect();
    assert_eq!(statics.len(), ALL.len());
    let mut sources = Vec::new();
    gather(&pages::root().join("src"), &mut sources);
    let used = |name: &&&str| sources.iter().any(|text| text.contains(&format!("names::{name}")));
    let unused: Vec<_> = statics.iter().filter(|name| !used(name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

fn gather(folder: &std::path::Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, texts);
        } else if !path.ends_with("metrics/names.rs") {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
}
