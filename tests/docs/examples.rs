//! Every complete configuration in the documentation and in `pipelines/` fits the schema and passes `validate`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use mcpcol::config::{Options, Sources, load};
use mcpcol::settings::{Node, Origin, Problems, Value as Written, is_null};
use serde_json::Value;

use super::{pages, schema};

/// A configuration with its place.
fn configurations() -> Vec<(String, String)> {
    let mut all = Vec::new();
    let folder = pages::root().join("pipelines");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.strip_prefix(pages::root()).unwrap().display().to_string();
        all.push((name, fs::read_to_string(&file).unwrap()));
    }
    for page in pages::all() {
        let text = pages::read(page.to_str().unwrap());
        for example in pages::code(&text, "yaml") {
            all.push((page.display().to_string(), example.to_owned()));
        }
    }
    all
}

fn is_complete(text: &str) -> bool {
    ["receivers:", "exporters:", "service:"]
        .iter()
        .all(|section| text.lines().any(|line| line.starts_with(section)))
}

/// YAML as editors read it: references are texts.
fn read(text: &str) -> Value {
    let mut problems = Problems::default();
    let node = Node::parse(text, &Origin::file("example"), &mut problems);
    assert!(problems.0.is_empty(), "{problems:?}");
    json(&node.unwrap())
}

fn json(node: &Node) -> Value {
    match &node.value {
        Written::Null => Value::Null,
        Written::Scalar { text, quoted: true } => text.as_str().into(),
        Written::Scalar { text, .. } if is_null(text) => Value::Null,
        Written::Scalar { text, .. } => match text.parse::<bool>() {
            Ok(value) => value.into(),
            Err(_) if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                let number = text.parse::<serde_json::Number>();
                number.map_or_else(|_| text.as_str().into(), Value::Number)
            }
            Err(_) => text.as_str().into(),
        },
        Written::List(items) => items.iter().map(json).collect(),
        Written::Map(entries) => {
            entries.iter().map(|(key, node)| (key.name.clone(), json(node))).collect()
        }
    }
}

#[test]
fn examples_fit_the_schema() {
    let all = configurations();
    for (place, text) in &all {
        let problems = schema::problems(&read(text));
        assert!(problems.is_empty(), "{place}: {problems:#?}\n{text}");
    }
    let complete = all.iter().filter(|(_, text)| is_complete(text)).count();
    assert!(complete >= 20, "only {complete} complete examples were found");
}

#[test]
fn complete_examples_pass_validation() {
    let env = |_: &str| None;
    for (place, text) in configurations().iter().filter(|(_, text)| is_complete(text)) {
        let sources = Sources { config: vec![format!("yaml:{text}")], ..Sources::default() };
        let options = Options { env: &env, advice: true, ..Options::default() };
        let (plan, problems) = load(&sources, &options);
        assert!(plan.is_some(), "{place}: {problems:#?}\n{text}");
    }
}

/// The judge of `schema` is small and ours; this one is neither.
#[test]
#[ignore = "needs the peers of scripts/peers"]
fn examples_fit_the_schema_for_another_validator() {
    let peers = std::env::var_os("MCPCOL_PEERS")
        .map_or_else(|| pages::root().join(".peers"), PathBuf::from);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schema.json");
    fs::write(&file, schema::whole().to_string()).unwrap();
    let mut child = Command::new(peers.join("python/bin/python"))
        .arg(pages::root().join("tests/peers/schema.py"))
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines: String =
        configurations().iter().map(|(_, text)| format!("{}\n", read(text))).collect();
    lines += "{\"exporters\":{\"file\":{\"pth\":1}}}\n";
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut verdicts: Vec<&str> = text.lines().collect();
    assert_ne!(verdicts.pop(), Some("ok"), "an unknown key is refused");
    assert_eq!(verdicts.len(), configurations().len());
    assert!(verdicts.iter().all(|verdict| *verdict == "ok"), "{verdicts:#?}");
}
