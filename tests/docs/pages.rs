//! Reading pages: tables, code blocks, headings.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every page below `docs`, and those beside it.
pub(crate) fn all() -> Vec<PathBuf> {
    let top = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];
    let mut pages: Vec<PathBuf> =
        top.iter().map(PathBuf::from).filter(|page| root().join(page).exists()).collect();
    for folder in ["docs", "docs/reference", "docs/decisions"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name();
            let page = Path::new(folder).join(name);
            if page.extension().is_some_and(|e| e == "md") {
                pages.push(page);
            }
        }
    }
    pages.sort();
    pages
}

/// A table of a page.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The anchor of the heading that it stands under.
    pub(crate) section: String,
    /// The last line before it, if no heading stands between.
    pub(crate) intro: String,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// The place of a column.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|cell| cell == name)
    }
}

/// The tables of a page, in their order.
pub(crate) fn tables(text: &str) -> Vec<Table> {
    let (mut tables, mut section, mut before) = (Vec::new(), String::new(), "");
    let mut lines = prose(text).peekable();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix('#') {
            section = slug(heading.trim_start_matches('#').trim());
            before = "";
        } else if line.starts_with('|') {
            let mut table = Table {
                section: section.clone(),
                intro: before.to_owned(),
                header: cells(line),
                rows: Vec::new(),
            };
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                if !row.starts_with("| ---") {
                    table.rows.push(cells(row));
                }
            }
            tables.push(table);
        } else if !line.is_empty() {
            before = line;
        }
    }
    tables
}

/// The lines of a page that are not code.
pub(crate) fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The code blocks in a language.
pub(crate) fn code<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// The cells of a row: `|` within backticks parts none.
fn cells(row: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    for c in row.trim().trim_start_matches('|').chars() {
        quoted ^= c == '`';
        if c == '|' && !quoted {
            cells.push(std::mem::take(&mut cell).trim().to_owned());
        } else {
            cell.push(c);
        }
    }
    cells
}

/// What stands in backticks.
pub(crate) fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The anchor that GitHub gives a heading.
pub(crate) fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}
