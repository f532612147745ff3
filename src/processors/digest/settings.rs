//! The settings of `digest`: as written, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::{KeySettings, written};
use super::{ARGUMENTS, Digest, EPHEMERAL, Plan, RESULT, Rejections};
use crate::otlp::wire::edit::length_bit;
use crate::pipeline::{Build, ComponentConfig, Processor, ProcessorConfig};
use crate::privacy::canonical::MAX_BYTES;
use crate::privacy::digest::{Digester, Key, Mode};
use crate::privacy::{Paths, Pointer};
use crate::processors::complaints::{Complaint, Complaints};
use crate::settings::{Given, IS_EMPTY, Report, Severity};
use crate::telemetry::Signal;
use crate::telemetry::names::{
    INPUT_MESSAGES, METHOD, OUTPUT_MESSAGES, TOOL, TOOL_ARGUMENTS, TOOL_RESULT,
};

/// Fields of one tool: each is an attribute.
const MAX_FIELDS: usize = 8;
/// The highest `max_bytes`: beyond it one call could hold up the chain for half a second.
const MAX_MAX_BYTES: usize = 16 << 20;

/// Settings of the `digest` processor.
// No Debug: it holds keys.
#[expect(missing_debug_implementations)]
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Says how digests are made: unless written `hmac-sha256` if there is a key, else `sha256`.
    mode: Given<Mode>,
    /// Holds a key in hex or base64, 32 bytes or more; it belongs into the environment: `${env:NAME}`.
    #[serde(deserialize_with = "written")]
    #[schemars(with = "Given<String>")]
    key: Option<String>,
    /// Names a file that holds the key.
    #[serde(deserialize_with = "written")]
    #[schemars(with = "Given<PathBuf>")]
    key_file: Option<PathBuf>,
    /// Names the key in digests; unless written by 8 hex digits made from it.
    #[serde(deserialize_with = "written")]
    #[schemars(with = "Given<String>")]
    key_id: Option<String>,
    /// Lists several keys, of which the first signs.
    #[serde(deserialize_with = "written")]
    #[schemars(with = "Given<Vec<KeySettings>>")]
    keys: Option<Vec<KeySettings>>,
    /// Says which of several keys make digests: while consumers move to a new key, both can.
    emit: Emit,
    /// Lists JSON pointers into the arguments of every tool: values that are not hashed.
    exclude: Vec<String>,
    /// Says what is particular about the arguments of single tools, by name.
    tools: BTreeMap<String, ToolSettings>,
    /// Makes digests of results as well.
    result: bool,
    /// Bounds a text that gets a digest, in bytes: 1 to 16777216.
    max_bytes: usize,
    /// Lists attributes that carry content: their values are replaced by digests.
    attributes: Vec<String>,
}

/// Says which keys of a rotation make digests.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Emit {
    /// Makes digests with the first one.
    #[default]
    First,
    /// Makes digests with all: those of the others go into `mcpcol.arguments.digest.also`.
    All,
}

/// Holds what is particular about the arguments of one tool.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ToolSettings {
    /// Lists JSON pointers to values that are not hashed.
    exclude: Vec<String>,
    /// Lists JSON pointers to values that get digests of their own, `mcpcol.arguments.digest.field.<name>`.
    fields: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let attributes = [TOOL_ARGUMENTS, TOOL_RESULT, INPUT_MESSAGES, OUTPUT_MESSAGES];
        Config {
            mode: Given::LeftOut,
            key: None,
            key_file: None,
            key_id: None,
            keys: None,
            emit: Emit::default(),
            exclude: Vec::new(),
            tools: BTreeMap::new(),
            result: false,
            max_bytes: MAX_BYTES,
            attributes: attributes.map(Into::into).into(),
        }
    }
}

impl ComponentConfig for Config {
    const NAME: &'static str = "digest";
    const ABOUT: &'static str = "replaces arguments and other content by digests, plain or keyed";
    const SIGNALS: &'static [Signal] = &Signal::ALL;

    fn check(&self, report: &mut Report<'_>) {
        let (_, _, complaints) = self.prepare(report.base());
        complaints.tell(report);
    }
}

impl ProcessorConfig for Config {
    fn needs(&self) -> Vec<&str> {
        let replaced = self.attributes.iter().map(String::as_str);
        [METHOD, TOOL].into_iter().chain(replaced).collect()
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Processor>> {
        let (keys, plans, Complaints(complaints)) = self.prepare(cx.base);
        let errors = complaints.iter().filter(|c| c.severity > Severity::Warning);
        let of_the_key = |c: &&Complaint| {
            c.field.starts_with("key") || self.mode.is_empty() && c.field == "mode"
        };
        let (no_key, bad): (Vec<_>, Vec<_>) = errors.partition(of_the_key);
        if let Some(bad) = bad.first() {
            anyhow::bail!("{}: {}", bad.field, bad.message);
        }
        let digester = match self.mode {
            // Only a tap gets this far, whose server runs already: no digests, never unkeyed ones.
            _ if !no_key.is_empty() => None,
            Given::Is(Mode::Ephemeral) => Some(Digester::new(vec![EPHEMERAL.clone()])),
            _ => Some(Digester::new(keys)),
        };
        // Taps hash names with the key of the digest behind them, so that both can be compared.
        cx.publish(digester.as_ref().and_then(|digester| digester.key().cloned()));
        let (arguments, tools) = plans;
        let of_fields = tools.values().chain([&arguments]).flat_map(|plan| &plan.fields);
        let said = ARGUMENTS.all().into_iter().chain(RESULT.all());
        let said_lengths = lengths(said.chain(of_fields.map(String::as_str)));
        Ok(Box::new(Digest {
            also: self.emit == Emit::All && self.keys.as_ref().is_some_and(|keys| keys.len() > 1),
            digester,
            arguments,
            tools,
            result: self.result,
            max_bytes: self.max_bytes,
            replaced: self.attributes.clone(),
            lengths: lengths(self.attributes.iter().map(String::as_str)),
            said_lengths,
            answer: Plan::default(),
            rejected: Arc::new(Rejections::new(cx.metrics(), &cx.id.to_string())),
        }))
    }
}

/// The lengths of some names, a bit each.
fn lengths<'n>(names: impl Iterator<Item = &'n str>) -> u64 {
    names.fold(0, |lengths, name| lengths | length_bit(name.len()))
}

type Plans = (Plan, HashMap<String, Plan>);

impl Config {
    /// Reads keys and pointers, and gathers all that is wrong.
    fn prepare(&self, base: &Path) -> (Vec<Key>, Plans, Complaints) {
        let mut complaints = Complaints::default();
        let keys = self.read_keys(base, &mut complaints);
        let keyed = self.check_mode(&mut complaints);
        let plans = self.read_pointers(keyed, &mut complaints);
        if !(1..=MAX_MAX_BYTES).contains(&self.max_bytes) {
            complaints.error("max_bytes", format!("must be 1 to {MAX_MAX_BYTES}"));
        }
        for (i, name) in self.attributes.iter().enumerate().filter(|(_, name)| name.is_empty()) {
            complaints
                .error(format!("attributes.{i}"), format!("`{name}` is not an attribute name"));
        }
        (keys, plans, complaints)
    }

    /// The keys as written, with the path of each.
    fn written_keys(&self) -> Vec<(String, KeySettings)> {
        let one = KeySettings {
            key: self.key.clone(),
            key_file: self.key_file.clone(),
            key_id: self.key_id.clone(),
        };
        let single = (one.key.is_some() || one.key_file.is_some()).then(|| (String::new(), one));
        let listed = self.keys.iter().flatten().enumerate();
        let listed = listed.map(|(i, key)| (format!("keys.{i}"), key.clone()));
        single.into_iter().chain(listed).collect()
    }

    fn read_keys(&self, base: &Path, complaints: &mut Complaints) -> Vec<Key> {
        let mut keys = Vec::new();
        let mut ids = BTreeSet::new();
        for (at, settings) in self.written_keys() {
            let Some(key) = settings.read(&at, base, complaints) else { continue };
            if !ids.insert(key.id().to_owned()) {
                complaints.error(&at, format!("two keys are called `{}`", key.id()));
            }
            keys.push(key);
        }
        keys
    }

    /// Says whether digests are keyed, by what is written: a key that cannot be read has its own complaint.
    fn check_mode(&self, complaints: &mut Complaints) -> bool {
        let single = self.key.is_some() || self.key_file.is_some();
        let keyed = single || self.keys.is_some();
        if single && self.keys.is_some() {
            complaints
                .error("keys", "stands beside `key` or `key_file`; move that one into the list");
        }
        if self.keys.as_ref().is_some_and(Vec::is_empty) {
            complaints.error("keys", "is empty; write a key, or `mode: sha256`, without `keys`");
        }
        if self.key_id.is_some() && !single {
            complaints.error("key_id", "names a key, but neither `key` nor `key_file` is written");
        }
        match self.mode {
            Given::Empty => complaints.error("mode", IS_EMPTY),
            Given::Is(Mode::HmacSha256) if !keyed => {
                complaints.error("mode", "`hmac-sha256` needs `key`, `key_file` or `keys`");
            }
            Given::Is(mode @ (Mode::Sha256 | Mode::Ephemeral)) if keyed => {
                complaints
                    .error("mode", format!("`{mode}` does not use a key; leave one of them out"));
            }
            Given::LeftOut | Given::Is(Mode::Sha256) if !keyed => complaints.warn(
                "",
                "digests without a key are not anonymous: short arguments are found by trying; \
                 write `key_file` or `key`, or `mode: ephemeral`",
            ),
            _ => {}
        }
        keyed || self.mode == Given::Is(Mode::Ephemeral)
    }

    fn read_pointers(&self, keyed: bool, complaints: &mut Complaints) -> Plans {
        let everywhere = read_pointers("exclude", &self.exclude, complaints);
        let mut tools = HashMap::new();
        for (tool, settings) in &self.tools {
            let at = format!("tools.{tool}");
            let mut exclude = everywhere.clone();
            exclude.extend(read_pointers(&format!("{at}.exclude"), &settings.exclude, complaints));
            let fields = settings.read_fields(&format!("{at}.fields"), keyed, complaints);
            let names = fields.iter().map(field_attribute).collect();
            match Paths::new(exclude, fields) {
                Some(paths) => drop(tools.insert(tool.clone(), Plan { paths, fields: names })),
                None => complaints.error(at, too_many()),
            }
        }
        let paths = Paths::new(everywhere, Vec::new()).unwrap_or_else(|| {
            complaints.error("exclude", too_many());
            Paths::default()
        });
        (Plan { paths, fields: Vec::new() }, tools)
    }
}

fn too_many() -> String {
    format!("more than {} pointers for one tool", Paths::MAX)
}

fn read_pointers(at: &str, texts: &[String], complaints: &mut Complaints) -> Vec<Pointer> {
    let mut pointers = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        match Pointer::parse(text) {
            Ok(pointer) => pointers.push(pointer),
            Err(why) => complaints.error(format!("{at}.{i}"), format!("`{text}`: {why}")),
        }
    }
    pointers
}

fn field_attribute(field: &Pointer) -> String {
    format!("mcpcol.arguments.digest.field.{}", field.dotted())
}

impl ToolSettings {
    fn read_fields(&self, at: &str, keyed: bool, complaints: &mut Complaints) -> Vec<Pointer> {
        if !self.fields.is_empty() && !keyed {
            complaints.error(at, "digests of single fields are easily guessed, so they need a key");
        }
        if self.fields.len() > MAX_FIELDS {
            complaints.error(at, format!("at most {MAX_FIELDS} fields a tool"));
        }
        let fields = read_pointers(at, &self.fields, complaints);
        let mut names = BTreeSet::new();
        for field in &fields {
            if field.wild() {
                complaints.error(at, "`*` selects many values, and a field is one");
            }
            if field.dotted().is_empty() {
                complaints.error(at, "a field needs a name");
            }
            if !names.insert(field.dotted()) {
                complaints.error(at, format!("two fields are called `{}`", field.dotted()));
            }
        }
        fields
    }
}
