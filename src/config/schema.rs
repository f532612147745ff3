//! The JSON Schema (2020-12) of a configuration: what serde reads, as `schemars` tells it, in the shape that is written.
//!
//! Three things are written that serde does not see: a reference such as `${env:NAME}` in the place of any value, an
//! empty value that stands for the default, and a number or a boolean where a text is wanted.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::Registries;
use super::pipelines::Written;
use super::service::Service;
use crate::pipeline::{Kind, Section};
use crate::settings::NOT_EMPTY;
use crate::telemetry::Signal;

/// Says where the schema of a reference stands.
const REFERENCE: &str = "#/$defs/reference";
/// Says where that of a reference stands which may be left empty.
const NOTHING: &str = "#/$defs/reference_or_nothing";
/// Matches what has a reference in it.
const REFERENCES: &str = "\\$\\{";

/// Makes the schema of a whole configuration with these components.
pub fn schema(registries: &Registries) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let generator = &mut SchemaGenerator::new(settings);
    let receivers = "Defines where telemetry comes from, by id: `type` or `type/name`.";
    let processors = "Defines what changes telemetry on its way, by id.";
    let exporters = "Defines where telemetry goes, by id.";
    let connectors = "Defines connectors; this build has none.";
    let extensions = "Defines what serves the process beside its pipelines, by id.";
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of mcpcol",
        "type": "object",
        "properties": {
            "receivers": section(registries.receivers, receivers, generator),
            "processors": section(registries.processors, processors, generator),
            "exporters": section(registries.exporters, exporters, generator),
            "connectors": written(mapping_of_ids(connectors, Map::new())),
            "extensions": section(registries.extensions, extensions, generator),
            "service": service(generator),
        },
        // The Collector's paths, such as `exporters::debug::verbosity`.
        "patternProperties": { "::": true },
        "additionalProperties": false,
        "$defs": references(),
    })
}

/// Gives the schema of a reference (`${...}`), which may stand for any value.
fn references() -> Value {
    let about = "Holds a reference such as `${env:NAME}`, which is replaced when the file is read";
    json!({
        "reference": {
            "description": format!("{about}."),
            "type": "string",
            "pattern": REFERENCES,
        },
        "reference_or_nothing": {
            "description": format!("{about}, or nothing, which stands for the default."),
            "type": ["string", "null"],
            "pattern": REFERENCES,
        },
    })
}

fn section<S: Section + ?Sized>(
    kinds: &[Kind<S>],
    about: &str,
    generator: &mut SchemaGenerator,
) -> Value {
    let mut by_id = Map::new();
    for kind in kinds {
        let mut settings = (kind.schema)(generator);
        settings.insert("description".to_owned(), described(kind.about).into());
        let names: Vec<&str> = [kind.name].iter().chain(kind.aliases).copied().collect();
        by_id.insert(format!("^({})(/\\S+)?$", names.join("|")), settings.into());
    }
    written(mapping_of_ids(about, by_id))
}

/// `service`, with a pipeline's receivers and exporters not empty: where sources are merged, others may have them.
fn service(generator: &mut SchemaGenerator) -> Value {
    let mut pipeline: Value = Written::json_schema(generator).into();
    for needed in ["receivers", "exporters"] {
        pipeline["properties"][needed]["default"] = Value::Null;
        pipeline["properties"][needed]["minItems"] = 1.into();
    }
    let signals = Signal::ALL.map(Signal::name).join("|");
    let by_id = Map::from_iter([(format!("^({signals})(/\\S+)?$"), pipeline)]);
    let about =
        "Ties components together, by signal: `traces`, `metrics` or `logs`, or `traces/name`.";
    let mut service: Value = Service::json_schema(generator).into();
    service["properties"]["pipelines"] = mapping_of_ids(about, by_id);
    service["description"] = "Says what runs, and how the process behaves.".into();
    written(service)
}

fn mapping_of_ids(about: &str, by_id: Map<String, Value>) -> Value {
    json!({
        "description": about,
        "type": "object",
        "patternProperties": by_id,
        "additionalProperties": false,
    })
}

/// The line of `components` as a sentence.
fn described(about: &str) -> String {
    let mut letters = about.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// Makes of what serde reads what may be written.
fn written(schema: Value) -> Value {
    let Value::Object(mut told) = schema else { return schema };
    let about = ["description", "default", "deprecated"];
    let about = about.into_iter().filter_map(|key| told.remove_entry(key));
    let mut setting: Map<String, Value> = about.collect();
    if let Some(text) = setting.get_mut("description") {
        let words = text.as_str().unwrap_or_default().split_whitespace();
        *text = words.collect::<Vec<_>>().join(" ").into();
    }
    if let Some(default) = setting.remove("default") {
        hand_down(&mut told, &default);
        let says_nothing = default.is_null() || default == "" || holds(&default);
        if !says_nothing {
            setting.insert("default".to_owned(), default);
        }
    }
    if !told.is_empty() {
        add_forms(told, &mut setting);
    }
    setting.into()
}

/// Says whether a default is a mapping with settings in it, which have their own.
fn holds(default: &Value) -> bool {
    default.as_object().is_some_and(|settings| !settings.is_empty())
}

/// Adds all that may stand in the place of a setting.
fn add_forms(mut told: Map<String, Value>, setting: &mut Map<String, Value>) {
    let needed = told.remove(NOT_EMPTY).is_some();
    let mut forms = Vec::new();
    gather_forms(told, &mut forms);
    let text = forms.iter_mut().find_map(types_with_text);
    match text {
        // Any text may be a reference.
        Some(types) if needed => types.retain(|name| name != "null"),
        Some(types) => types.push("null".into()),
        None => forms.push(json!({ "$ref": if needed { REFERENCE } else { NOTHING } })),
    }
    match forms.as_mut_slice() {
        [Value::Object(form)] => setting.append(form),
        _ => drop(setting.insert("anyOf".to_owned(), forms.into())),
    }
}

/// Gives the defaults of a mapping to its own settings: they may be others than those of its type.
fn hand_down(told: &mut Map<String, Value>, default: &Value) {
    let (Some(Value::Object(settings)), Some(defaults)) =
        (told.get_mut("properties"), default.as_object())
    else {
        return;
    };
    for (name, default) in defaults {
        if let Some(Value::Object(setting)) = settings.get_mut(name) {
            setting.insert("default".to_owned(), default.clone());
        }
    }
}

/// Lists the forms that a value may have, without null.
fn gather_forms(mut told: Map<String, Value>, forms: &mut Vec<Value>) {
    let several = told.remove("anyOf").or_else(|| told.remove("oneOf"));
    if let Some(Value::Array(several)) = several {
        for form in several {
            let Value::Object(form) = form else { continue };
            gather_forms(form, forms);
        }
        return;
    }
    let types = match told.remove("type") {
        Some(Value::Array(types)) => types,
        one => one.into_iter().collect(),
    };
    let constrained = ["const", "enum", "pattern"].iter().any(|key| told.contains_key(*key));
    match types.iter().find(|name| *name != "null") {
        Some(name) if name == "string" && !constrained => {
            told.insert("type".to_owned(), json!(["string", "number", "boolean"]));
        }
        Some(name) => drop(told.insert("type".to_owned(), name.clone())),
        None if !types.is_empty() => return,
        None => {}
    }
    if let Some(Value::Array(words)) = told.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    // How wide numbers are in memory means nothing to editors; the title is the name of a type.
    told.remove("format");
    told.remove("title");
    go_below(&mut told);
    forms.push(told.into());
}

fn go_below(told: &mut Map<String, Value>) {
    for key in ["properties", "patternProperties"] {
        if let Some(Value::Object(settings)) = told.get_mut(key) {
            settings.iter_mut().for_each(|(_, setting)| *setting = written(setting.take()));
        }
    }
    if let Some(setting) = told.get_mut("additionalProperties") {
        *setting = written(setting.take());
    }
    if let Some(item) = told.get_mut("items") {
        // What is empty in a list is no default of anything.
        if let Value::Object(item) = item {
            item.insert(NOT_EMPTY.to_owned(), true.into());
        }
        *item = written(item.take());
    }
}

/// The types of a form that takes any text.
fn types_with_text(form: &mut Value) -> Option<&mut Vec<Value>> {
    let types = form.get_mut("type")?.as_array_mut()?;
    types.iter().any(|name| name == "string").then_some(types)
}
