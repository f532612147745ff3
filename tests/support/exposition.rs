//! A strict reader of Prometheus' text format 0.0.4, which also asks for what `promtool check metrics` does.

use std::collections::{BTreeMap, BTreeSet};

/// A page of metrics: values by series, such as `a_total{exporter="x"}`, with labels in the order of their names.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) series: BTreeMap<String, f64>,
}

impl Page {
    /// Reads a page, and panics at whatever is not as it should be.
    pub(crate) fn read(text: &str) -> Page {
        assert!(text.is_empty() || text.ends_with('\n'), "the last line ends");
        let (mut page, mut done) = (Page::default(), BTreeSet::new());
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let (name, help) = after(line, "# HELP ").split_once(' ').unwrap();
            assert!(!help.is_empty() && done.insert(name.to_owned()), "{line}");
            let (same, kind) = after(lines.next().unwrap(), "# TYPE ").split_once(' ').unwrap();
            assert_eq!(same, name);
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            let before = page.series.len();
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (own, labels) = parts(series);
                let suffixes =
                    if kind == "histogram" { &["_bucket", "_sum", "_count"][..] } else { &[""] };
                let suffix = own.strip_prefix(name).unwrap_or_else(|| panic!("{line}: of {name}"));
                assert!(suffixes.contains(&suffix), "{line}: of {name}");
                let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
                let series =
                    if labels.is_empty() { own } else { format!("{own}{{{}}}", labels.join(",")) };
                assert!(page.series.insert(series, value).is_none(), "{line} is there twice");
            }
            assert!(page.series.len() > before, "{name} has no series");
        }
        page
    }

    /// The sum of all series of that name which have all of these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let is_it = |series: &str| {
            let (own, rest) = series.split_once('{').unwrap_or((series, ""));
            own == name && labels.iter().all(|label| rest.contains(label))
        };
        self.series.iter().filter(|(series, _)| is_it(series)).map(|(_, value)| value).sum()
    }

    /// Whether any series says that.
    pub(crate) fn has(&self, what: &str) -> bool {
        self.series.keys().any(|series| series.contains(what))
    }
}

fn after<'a>(line: &'a str, start: &str) -> &'a str {
    line.strip_prefix(start).unwrap_or_else(|| panic!("{line:?} does not begin with {start:?}"))
}

/// Name and labels of a series; labels sorted.
fn parts(series: &str) -> (String, Vec<String>) {
    let Some((name, rest)) = series.split_once('{') else { return (plain(series), Vec::new()) };
    let mut rest = rest.strip_suffix('}').unwrap_or_else(|| panic!("{series}"));
    let mut labels = Vec::new();
    while !rest.is_empty() {
        let (label, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("{series}"));
        let mut escaped = false;
        let end = value.find(|c| {
            let ends = c == '"' && !escaped;
            assert!(!escaped || ['\\', '"', 'n'].contains(&c), "{series}");
            escaped = c == '\\' && !escaped;
            ends
        });
        let end = end.unwrap_or_else(|| panic!("{series}"));
        labels.push(format!("{}=\"{}\"", plain(label), &value[..end]));
        rest = &value[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    let all = labels.len();
    labels.sort();
    labels.dedup_by_key(|label| label.split('=').next().unwrap().to_owned());
    assert_eq!(labels.len(), all, "{series} has a label twice");
    (plain(name), labels)
}

/// A name in the alphabet of names.
fn plain(name: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fine = !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(word);
    assert!(fine && !name.is_empty(), "{name:?} is no name");
    name.to_owned()
}
