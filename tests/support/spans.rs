//! Spans in files of OTLP JSON lines.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The spans in a file, in its order; none where there is no file yet. A last line that is not whole is left out.
pub(crate) fn spans_in(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .flat_map(|request| list(&request["resourceSpans"]))
        .flat_map(|resource| list(&resource["scopeSpans"]))
        .flat_map(|scope| list(&scope["spans"]))
        .collect()
}

/// An attribute of a span, as text.
pub(crate) fn attribute(span: &Value, key: &str) -> Option<String> {
    let all = span["attributes"].as_array().unwrap();
    let value = &all.iter().find(|a| a["key"] == key)?["value"];
    let value = value.as_object().unwrap().values().next().unwrap();
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// A file of spans in a directory, where there is one; those of logs are not.
pub(crate) fn record_in(dir: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(dir).ok()?.map(|entry| entry.unwrap().path());
    entries.find(|path| {
        let name = path.to_str().unwrap();
        name.ends_with(".jsonl") && !name.ends_with(".logs.jsonl")
    })
}
