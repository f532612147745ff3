//! The tables of settings name exactly what the schema has, with its defaults.

use std::collections::{BTreeMap, BTreeSet};

use mcpcol::config::Registries;
use mcpcol::pipeline::{Kind, Section};
use mcpcol::settings::Duration;
use serde_json::Value;

use super::pages::{self, Table, quoted, tables};
use super::schema;

/// The mapping that a setting may be, if it may be one.
fn mapping(setting: &Value) -> Option<&Value> {
    let known = |form: &&Value| {
        form.get("properties").is_some()
            || form.get("patternProperties").is_some()
            || form.get("items").is_some()
            || form.get("additionalProperties").is_some_and(Value::is_object)
    };
    forms(setting).find(known)
}

fn forms(setting: &Value) -> impl Iterator<Item = &Value> {
    let several = setting.get("anyOf").and_then(Value::as_array);
    several.into_iter().flatten().chain(Some(setting))
}

/// Lists the settings below one, by path: `rotation.max_backups`, `routes.path`, `tools.<name>.fields`.
fn gather<'a>(setting: &'a Value, at: &str, all: &mut BTreeMap<String, &'a Value>) {
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    for form in forms(setting) {
        for (name, setting) in
            form.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            all.insert(below(name), setting);
            gather(setting, &below(name), all);
        }
        if let Some(item) = form.get("items") {
            gather(item, at, all);
        }
        let by_name = form.get("additionalProperties").map(|setting| ("<name>", setting));
        let by_id = form.get("patternProperties").and_then(Value::as_object);
        let by_id = by_id.into_iter().flatten().map(|(_, setting)| ("<id>", setting));
        for (name, setting) in by_name.into_iter().chain(by_id) {
            gather(setting, &below(name), all);
        }
    }
}

/// What a page says of a setting.
#[derive(Clone, Debug)]
struct Row {
    path: String,
    default: String,
    /// Words in backticks beside the name: settings within it may be among them.
    words: BTreeSet<String>,
    /// Pages that the row leads to.
    links: Vec<String>,
}

/// The rows of tables of settings.
fn rows<'t>(tables: impl IntoIterator<Item = &'t Table>) -> Vec<Row> {
    let mut all = Vec::new();
    for table in tables {
        if table.header[0] != "setting" {
            continue;
        }
        let within = table.intro.starts_with("Of ").then(|| quoted(&table.intro)[0]);
        let default = table.column("default").unwrap();
        for cells in &table.rows {
            let others = cells[1..].join(" ");
            let words = quoted(&others).into_iter().flat_map(|text| {
                text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map(str::to_owned)
            });
            let words: BTreeSet<String> = words.collect();
            let links = others.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            let links: Vec<String> = links.map(str::to_owned).collect();
            for name in quoted(&cells[0]) {
                let path =
                    within.map_or(name.to_owned(), |within| match within.starts_with("mcp_") {
                        true => name.to_owned(),
                        false => format!("{within}.{name}"),
                    });
                let (words, links) = (words.clone(), links.clone());
                all.push(Row { path, default: cells[default].clone(), words, links });
            }
        }
    }
    all
}

/// The rows of a shared page about the setting at `path`, which leads there.
fn shared(link: &str, path: &str) -> Vec<Row> {
    let (page, anchor) = link.split_once('#').unwrap_or((link, ""));
    let below = match page {
        "tls.md" | "capture.md" => true,
        "delivery.md" | "passback.md" => false,
        _ => return Vec::new(),
    };
    let text = pages::read(&format!("docs/reference/{page}"));
    let tables = tables(&text);
    let meant =
        tables.iter().filter(|table| !below || anchor.is_empty() || table.section == anchor);
    let within = format!("{path}.");
    let mut rows = rows(meant);
    for row in &mut rows {
        if below {
            row.path.insert_str(0, &within);
        }
    }
    rows.retain(|row| row.path.starts_with(&within));
    rows
}

/// What stands in a cell for a default: nothing, unless it begins with a value.
fn stated(cell: &str, component: &str) -> Option<String> {
    let own = format!("(`{component}`: `");
    let text = match cell.split_once(&own) {
        Some((_, own)) => own.split('`').next()?,
        None => cell.strip_prefix('`')?.split('`').next()?,
    };
    Some(text.to_owned())
}

fn shown(default: &Value) -> String {
    match default {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn equal(stated: &str, default: &str) -> bool {
    stated == default
        || Duration::parse(stated).is_ok_and(|one| Duration::parse(default) == Ok(one))
}

/// Lists where a page and a schema differ.
fn differences(component: &str, page: &str, setting: &Value) -> Vec<String> {
    let mut known = BTreeMap::new();
    gather(setting, "", &mut known);
    let text = pages::read(page);
    let mut all = rows(&tables(&text));
    let more: Vec<Row> = all
        .iter()
        .flat_map(|row| row.links.iter().flat_map(|link| shared(link, &row.path)))
        .collect();
    all.extend(more);
    let mut wrong = Vec::new();
    for row in &all {
        match known.get(&row.path) {
            None => {
                wrong.push(format!("{component}: `{}` is on {page} and does not exist", row.path))
            }
            Some(setting) => {
                let default = setting.get("default").map(shown);
                let stated = stated(&row.default, component);
                let fine = match (&default, &stated) {
                    (Some(default), Some(stated)) => equal(stated, default),
                    (None, Some(stated)) => mapping(setting).is_some() && stated == "{}",
                    (Some(_), None) => false,
                    (None, None) => true,
                };
                if !fine {
                    let path = &row.path;
                    wrong.push(format!(
                        "{component}: default of `{path}`: {stated:?} is told, {default:?} is so"
                    ));
                }
            }
        }
    }
    let prose: Vec<&str> = pages::prose(&text).collect();
    for (path, setting) in &known {
        let told = if setting.get("deprecated").is_some() {
            let named = |word: &&str| path == *word || path.ends_with(&format!(".{word}"));
            prose.iter().any(|line| quoted(line).iter().any(named))
        } else {
            all.iter().any(|row| covers(row, path, &known))
        };
        if !told {
            wrong.push(format!("{component}: {page} does not name `{path}`"));
        }
    }
    wrong
}

/// Whether a row tells of a setting: of itself, of one within it that it names, or of one that the setting holds.
fn covers(row: &Row, path: &str, known: &BTreeMap<String, &Value>) -> bool {
    let within = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned)
    };
    if row.path == path {
        return true;
    }
    if let Some(rest) = within(&row.path, path) {
        return rest.split('.').all(|name| row.words.contains(name));
    }
    mapping(known[path]).is_some() && within(path, &row.path).is_some()
}

fn of_section<S: Section + ?Sized>(kinds: &[Kind<S>], wrong: &mut Vec<String>, count: &mut usize) {
    let whole = schema::whole();
    let section = mapping(&whole["properties"][S::NAME]).unwrap();
    for kind in kinds {
        let patterns = section["patternProperties"].as_object().unwrap();
        let is_it = |pattern: &str| pattern.starts_with(&format!("^({}", kind.name));
        let (_, setting) =
            patterns.iter().find(|(pattern, _)| is_it(pattern) && !pattern.is_empty()).unwrap();
        let page = format!("docs/reference/{}.md", kind.name);
        wrong.extend(differences(kind.name, &page, setting));
        *count += 1;
    }
}

#[test]
fn pages_name_exactly_the_settings_of_their_component() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    let Registries { receivers, processors, exporters, extensions } = Registries::builtin();
    of_section(receivers, &mut wrong, &mut count);
    of_section(processors, &mut wrong, &mut count);
    of_section(exporters, &mut wrong, &mut count);
    of_section(extensions, &mut wrong, &mut count);
    let whole = schema::whole();
    wrong.extend(differences(
        "service",
        "docs/reference/service.md",
        &whole["properties"]["service"],
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 12);
}

#[test]
fn descriptions_are_sentences_that_begin_with_a_verb() {
    let whole = schema::whole();
    let mut all = BTreeMap::new();
    gather(&whole, "", &mut all);
    assert!(all.len() > 100);
    let mut wrong = Vec::new();
    for (path, setting) in all {
        let text = setting.get("description").and_then(Value::as_str).unwrap_or_default();
        let verb = text.split_whitespace().next().is_some_and(|word| word.ends_with('s'));
        if !verb || !text.ends_with('.') || !text.starts_with(char::is_uppercase) {
            wrong.push(format!("{path}: {text:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
