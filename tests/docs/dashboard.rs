//! The dashboard asks for metrics that there are, by labels that the pages name.

use std::collections::{BTreeMap, BTreeSet};

use mcpcol::metrics::Kind;
use mcpcol::metrics::names::ALL;
use regex::Regex;
use serde_json::Value;

use super::pages::{self, quoted, tables};

const DASHBOARD: &str = "dashboards/mcpcol.json";

/// A query, with what its legend shows.
struct Query {
    text: String,
    legend: BTreeSet<String>,
}

/// The queries of all panels, and those behind the variables.
fn queries() -> Vec<Query> {
    let board: Value = serde_json::from_str(&pages::read(DASHBOARD)).unwrap();
    let shown = Regex::new(r"\{\{(\w+)\}\}").unwrap();
    let of_panel = |target: &Value| Query {
        text: target["expr"].as_str().unwrap().to_owned(),
        legend: words(&shown, target["legendFormat"].as_str().unwrap()),
    };
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let mut all: Vec<Query> = targets.map(|target| of_panel(&target)).collect();
    assert!(all.len() > 15, "{}", all.len());
    let variables = board["templating"]["list"].as_array().unwrap().iter();
    let values = Regex::new(r"^label_values\((\w+), (\w+)\)$").unwrap();
    for variable in variables.filter(|variable| variable["type"] == "query") {
        let parts = values.captures(variable["query"].as_str().unwrap()).unwrap();
        all.push(Query { text: parts[1].to_owned(), legend: [parts[2].to_owned()].into() });
    }
    all
}

fn words(of: &Regex, text: &str) -> BTreeSet<String> {
    of.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The metrics that a query reads, and the labels that it selects or groups by.
fn parts(query: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let groups = Regex::new(r"\b(?:by|without) \(([^)]*)\)").unwrap();
    let selectors = Regex::new(r"\{([^}]*)\}").unwrap();
    let word = Regex::new(r"([a-z_]\w*)").unwrap();
    let label = Regex::new(r"(\w+) *(?:=~|!~|!=|=)").unwrap();
    let mut labels = BTreeSet::new();
    for group in groups.captures_iter(query) {
        labels.extend(words(&word, &group[1]));
    }
    let rest = groups.replace_all(query, "");
    for selector in selectors.captures_iter(&rest) {
        labels.extend(words(&label, &selector[1]));
    }
    let rest = selectors.replace_all(&rest, "");
    let ours = ["otelcol_", "mcpcol_", "mcp_", "gen_ai_"];
    let metrics = words(&word, &rest);
    let metrics =
        metrics.into_iter().filter(|word| ours.iter().any(|begin| word.starts_with(begin)));
    (metrics.collect(), labels)
}

/// What the pages say of each metric's labels, as Prometheus has them.
fn labels() -> BTreeMap<String, BTreeSet<String>> {
    let usable = |label: &str| label.split('=').next().unwrap().replace('.', "_");
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for page in pages::all() {
        let text = pages::read(page.to_str().unwrap());
        // A list that several rows name.
        let list = |of: &str| {
            let (_, rest) = text.split_once(&format!("Labels of {of}: ")).unwrap();
            quoted(rest.split(". ").next().unwrap()).into_iter().map(usable).collect::<Vec<_>>()
        };
        for table in tables(&text) {
            let Some(column) = table.column("labels") else { continue };
            for row in table.rows.iter().filter(|_| table.header[0] == "metric") {
                let mut told: BTreeSet<String> =
                    quoted(&row[column]).into_iter().map(usable).collect();
                for of in ["a call", "a session"] {
                    if row[column].contains(&format!("those of {of}")) {
                        told.extend(list(of));
                    }
                }
                for name in quoted(&row[0]) {
                    let kinds = ["spans", "metric_points", "log_records"];
                    let stem = name.strip_suffix('*');
                    let names = stem.map_or(vec![name.to_owned()], |stem| {
                        kinds.iter().map(|of| format!("{stem}{of}")).collect()
                    });
                    for name in names {
                        all.entry(name).or_default().extend(told.clone());
                    }
                }
            }
        }
    }
    all
}

/// Finds the metric that is exported under a name.
fn declared(name: &str) -> Option<&'static str> {
    let exported = |kind: Kind, of: &str| match kind {
        Kind::Counter => vec![format!("{of}_total")],
        Kind::Gauge => vec![of.to_owned()],
        Kind::Histogram(_) => {
            ["bucket", "sum", "count"].map(|part| format!("{of}_{part}")).to_vec()
        }
    };
    let found = ALL.iter().find(|info| exported(info.kind, info.name).iter().any(|n| n == name));
    found.map(|info| info.name)
}

#[test]
fn the_dashboard_asks_for_what_is_exported() {
    let (known, mut wrong) = (labels(), Vec::new());
    for Query { text, legend } in queries() {
        let (metrics, mut asked) = parts(&text);
        assert!(!metrics.is_empty(), "{text}");
        asked.extend(legend);
        let mut there = BTreeSet::from(["job".to_owned(), "instance".to_owned()]);
        for metric in metrics {
            let Some(name) = declared(&metric) else {
                wrong.push(format!("{metric} is not exported: {text}"));
                continue;
            };
            there.extend(known.get(name).cloned().unwrap_or_default());
            if metric.ends_with("_bucket") {
                there.insert("le".to_owned());
            }
        }
        let unknown: Vec<_> = asked.difference(&there).collect();
        if !unknown.is_empty() {
            wrong.push(format!("{unknown:?} are no labels of it: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_query_reads_is_found() {
    let (metrics, labels) = parts(
        r#"sum by (le, a_b) (rate(mcp_x_bucket{server=~"$s", c!=""}[5m])) / max(otelcol_y{d="mcp_z"})"#,
    );
    assert_eq!(metrics, ["mcp_x_bucket", "otelcol_y"].map(str::to_owned).into());
    assert_eq!(labels, ["a_b", "c", "d", "le", "server"].map(str::to_owned).into());
    assert_eq!(declared("mcpcol_dropped_items_total"), Some("mcpcol_dropped_items"));
    assert_eq!(declared("mcpcol_dropped_items"), None);
}
