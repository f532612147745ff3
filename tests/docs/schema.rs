//! A validator for the part of JSON Schema (2020-12) that `mcpcol schema` uses; whatever else stands in a schema is an
//! error. `tests/peers/schema.py` has a complete one.

use std::process::Command;

use mcpcol::config::{Registries, schema};
use regex::Regex;
use serde_json::{Value, json};

/// The schema of this build.
pub(crate) fn whole() -> Value {
    schema(&Registries::builtin())
}

/// Lists what is wrong with `value`, by its path.
pub(crate) fn problems(value: &Value) -> Vec<String> {
    let root = whole();
    let mut problems = Vec::new();
    Judge { root: &root }.judge(&root, value, "", &mut problems);
    problems
}

struct Judge<'a> {
    root: &'a Value,
}

impl Judge<'_> {
    fn judge(&self, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
        let rules = match schema {
            Value::Bool(true) => return,
            Value::Bool(false) => return problems.push(format!("{at}: is not known")),
            Value::Object(rules) => rules,
            other => panic!("{other} is no schema"),
        };
        for (keyword, rule) in rules {
            let fine = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "default" | "deprecated" => true,
                "type" => types(rule).any(|name| is(value, name)),
                "const" => value == rule,
                "enum" => rule.as_array().unwrap().contains(value),
                "pattern" => {
                    value.as_str().is_none_or(|text| matches(rule.as_str().unwrap(), text))
                }
                "minimum" => value.as_f64().is_none_or(|n| n >= rule.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|n| n <= rule.as_f64().unwrap()),
                "required" => value.as_object().is_none_or(|map| {
                    rule.as_array()
                        .unwrap()
                        .iter()
                        .all(|key| map.contains_key(key.as_str().unwrap()))
                }),
                "$ref" => {
                    let target = rule.as_str().unwrap().trim_start_matches('#');
                    self.judge(self.root.pointer(target).unwrap(), value, at, problems);
                    true
                }
                "anyOf" => {
                    self.any_of(rule.as_array().unwrap(), value, at, problems);
                    true
                }
                "items" => {
                    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.judge(rule, item, &format!("{at}.{i}"), problems);
                    }
                    true
                }
                "minItems" => value
                    .as_array()
                    .is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
                "properties" | "patternProperties" => true,
                "additionalProperties" => {
                    self.entries(schema, rule, value, at, problems);
                    true
                }
                unknown => panic!("the judge does not know `{unknown}`"),
            };
            if !fine {
                problems.push(format!("{at}: {value} is not as {keyword} {rule} says"));
            }
        }
    }

    /// None of several fits: what is wrong with the one that fits best is told.
    fn any_of(&self, forms: &[Value], value: &Value, at: &str, problems: &mut Vec<String>) {
        let tried = forms.iter().map(|form| {
            let mut problems = Vec::new();
            self.judge(form, value, at, &mut problems);
            problems
        });
        let depth = |problem: &String| problem.split(": ").next().unwrap_or_default().len();
        let deepest = |problems: &Vec<String>| problems.iter().map(depth).max();
        let tried: Vec<_> = tried.collect();
        if tried.iter().all(|problems| !problems.is_empty()) {
            problems.extend(tried.into_iter().max_by_key(deepest).unwrap());
        }
    }

    fn entries(
        &self,
        of: &Value,
        others: &Value,
        value: &Value,
        at: &str,
        problems: &mut Vec<String>,
    ) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let named = of.get("properties").and_then(|known| known.get(key));
            let patterns =
                of.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
            let by_pattern = patterns.filter(|(pattern, _)| matches(pattern, key)).map(|(_, s)| s);
            let mut fitting: Vec<&Value> = named.into_iter().chain(by_pattern).collect();
            if fitting.is_empty() {
                fitting.push(others);
            }
            let below = format!("{at}.{key}");
            for schema in fitting {
                self.judge(schema, value, &below, problems);
            }
        }
    }
}

fn types(rule: &Value) -> impl Iterator<Item = &str> {
    let several = rule.as_array().into_iter().flatten();
    several.chain(Some(rule)).filter_map(Value::as_str)
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("`{other}` is no type"),
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).unwrap().is_match(text)
}

fn exporters(settings: Value) -> Vec<String> {
    problems(&json!({ "exporters": settings }))
}

#[test]
fn what_the_command_prints_is_the_schema() {
    let output = Command::new(env!("CARGO_BIN_EXE_mcpcol")).arg("schema").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, whole());
}

#[test]
fn ids_have_both_spellings_and_names() {
    for id in ["otlp_grpc", "otlp", "otlp/a", "otlp_grpc/b", "otlphttp", "otlp_http/c"] {
        assert!(exporters(json!({ id: { "endpoint": "localhost:4317" } })).is_empty(), "{id}");
    }
    for id in ["otlp_", "otlp/", "otlp/a b", "kafka"] {
        assert_eq!(exporters(json!({ id: {} })), [format!(".exporters.{id}: is not known")]);
    }
    assert_eq!(problems(&json!({ "receiver": {} })), [".receiver: is not known"]);
    assert!(problems(&json!({ "exporters::debug::verbosity": "normal" })).is_empty());
}

#[test]
fn what_the_reader_takes_the_schema_takes() {
    for fine in [
        json!({ "file": { "path": "a", "timeout": "1m30s", "mode": 600 } }),
        json!({ "file": { "path": 7, "timeout": 0, "rotation": null } }),
        json!({ "file": { "append": "${env:APPEND}", "timeout": "${env:T:-5s}" } }),
        json!({ "file": "${file:file.yaml}", "debug": null }),
        json!({ "otlp": { "headers": { "a": "b" }, "compression": "" } }),
        json!({ "otlp": { "headers": [{ "name": "a", "value": "b" }], "read_buffer_size": 5 } }),
        json!({ "otlp": { "sending_queue": { "batch": null, "on_full": "drop" } } }),
    ] {
        assert_eq!(exporters(fine.clone()), [""; 0], "{fine}");
    }
}

#[test]
fn what_the_reader_refuses_the_schema_refuses() {
    for wrong in [
        json!({ "file": { "pth": "a" } }),
        json!({ "file": { "timeout": "5" } }),
        json!({ "file": { "timeout": "5d" } }),
        json!({ "file": { "append": "yes" } }),
        json!({ "file": { "compression": "gzip" } }),
        json!({ "debug": { "verbosity": "loud" } }),
        json!({ "debug": { "output_paths": "stderr" } }),
        json!({ "debug": { "output_paths": [null] } }),
        json!({ "otlp": { "compression": "snappy" } }),
        json!({ "otlp": { "tls": { "ca_file": null } } }),
        json!({ "otlp": { "headers": { "a": null } } }),
        json!({ "otlp": { "sending_queue": { "queue_size": -1 } } }),
        json!({ "nop": [] }),
    ] {
        assert_eq!(exporters(wrong.clone()).len(), 1, "{wrong}");
    }
}
