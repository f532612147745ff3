//! The settings of `redaction`: as written, and what is wrong with them.
//!
//! Those that the Collector's processor has are called and mean what they do there, but for three defaults: all
//! keys are allowed unless `allowed_keys` is written, values of all types are looked at, and presets are on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Redaction;
use super::counts::Counters;
use super::names::Names;
use super::sanitizers::Sanitizers;
use super::summary::Verbosity;
use crate::pipeline::{Build, ComponentConfig, Processor, ProcessorConfig, Secrets};
use crate::privacy::redact::{
    Invalid, KeyedHash, MASK, OwnRule, PlainHash, Preset, Redactor, Settings, StandIn, UNSCANNED,
    Under,
};
use crate::settings::{Given, IS_EMPTY, Report, Secret, Severity, read_key_file};
use crate::telemetry::Signal;

/// Settings of the `redaction` processor.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Lists the detectors that come with mcpcol and are on.
    presets: Vec<Preset>,
    /// Adds rules of one's own: a name, a pattern, and a mask if it is not the usual one.
    rules: Given<Vec<OwnRule>>,
    /// Keeps keys that are not in `allowed_keys`: yes unless that is written.
    allow_all_keys: Given<bool>,
    /// Lists the keys that stay, where not all do.
    allowed_keys: Given<Vec<String>>,
    /// Lists keys whose values nobody looks at.
    ignored_keys: Vec<String>,
    /// Lists patterns of keys whose values nobody looks at.
    ignored_key_patterns: Vec<String>,
    /// Lists patterns of keys whose values are masked whole.
    blocked_key_patterns: Given<Vec<String>>,
    /// Lists patterns of what is masked in values.
    blocked_values: Given<Vec<String>>,
    /// Lists patterns of what is not masked, though a rule matches it.
    allowed_values: Vec<String>,
    /// Looks at numbers, too.
    redact_all_types: bool,
    /// Puts a hash in the place of what is masked.
    hash_function: Option<HashFunction>,
    /// Keys the hashes: any text of at least 32 bytes, or 64 for SHA-512.
    hmac_key: Option<Secret>,
    /// Names a file that holds `hmac_key`.
    hmac_key_file: Given<PathBuf>,
    /// Replaces what is masked; `{rule}` is the rule's name.
    mask: String,
    /// Bounds a value that is looked at, in bytes; a longer one is withheld.
    max_value_bytes: usize,
    /// Says how much holders are told about themselves.
    summary: Verbosity,
    /// Takes ids out of URLs.
    url_sanitizer: UrlSanitizer,
    /// Takes queries out.
    db_sanitizer: DbSanitizer,
}

/// The hashes that the Collector's processor knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum HashFunction {
    /// Writes MD5 in hex, without a key.
    Md5,
    /// Writes SHA-1 in hex, without a key.
    Sha1,
    /// Writes SHA3-256 in hex, without a key.
    Sha3,
    /// Writes HMAC-SHA-256.
    HmacSha256,
    /// Writes HMAC-SHA-512.
    HmacSha512,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct UrlSanitizer {
    /// Switches it on.
    enabled: Given<bool>,
    /// Lists attributes that hold URLs.
    attributes: Given<Vec<String>>,
    /// Takes ids out of the names of client and server spans: yes unless written.
    sanitize_span_name: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct DbSanitizer {
    /// Takes queries of SQL databases out.
    sql: Queries,
    /// Takes queries of Redis out.
    redis: Queries,
    /// Takes queries of Valkey out.
    valkey: Queries,
    /// Takes queries of Memcached out.
    memcached: Queries,
    /// Takes queries of MongoDB out.
    mongo: Queries,
    /// Takes queries of OpenSearch out.
    opensearch: Queries,
    /// Takes queries of Elasticsearch out.
    es: Queries,
    /// Takes names of spans out that are queries: yes unless written.
    sanitize_span_name: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Queries {
    /// Switches it on.
    enabled: Given<bool>,
    /// Lists attributes that hold queries; unless written `db.statement` and `db.query.text`.
    attributes: Vec<String>,
}

/// The attributes that hold queries where none are named: old and new names of the conventions.
const QUERIES: [&str; 2] = ["db.statement", "db.query.text"];
/// The least and the most that `max_value_bytes` may be.
const VALUE_BYTES: [usize; 2] = [1024, 16 << 20];
/// The longest mask, in bytes: it stands in the place of every match.
const MAX_MASK: usize = 128;

impl Default for Config {
    fn default() -> Self {
        let usual = Settings::default();
        Config {
            presets: usual.presets,
            rules: Given::LeftOut,
            allow_all_keys: Given::LeftOut,
            allowed_keys: Given::LeftOut,
            ignored_keys: Vec::new(),
            ignored_key_patterns: Vec::new(),
            blocked_key_patterns: Given::LeftOut,
            blocked_values: Given::LeftOut,
            allowed_values: Vec::new(),
            redact_all_types: true,
            hash_function: None,
            hmac_key: None,
            hmac_key_file: Given::LeftOut,
            mask: MASK.into(),
            max_value_bytes: usual.max_value_bytes,
            summary: Verbosity::default(),
            url_sanitizer: UrlSanitizer::default(),
            db_sanitizer: DbSanitizer::default(),
        }
    }
}

impl ComponentConfig for Config {
    const NAME: &'static str = "redaction";
    const ALIASES: &'static [&'static str] = &["redact"];
    const ABOUT: &'static str = "masks secrets and personal data in every text of every signal";
    const SIGNALS: &'static [Signal] = &Signal::ALL;

    fn check(&self, report: &mut Report<'_>) {
        for Complaint { severity, invalid: Invalid { field, message } } in
            self.complaints(report.base())
        {
            match severity {
                Severity::Error => report.error(&field, message),
                Severity::Unready => report.unready(&field, message),
                Severity::Warning => report.warn(&field, message),
            }
        }
    }
}

impl ProcessorConfig for Config {
    fn redacts(&self) -> bool {
        true
    }

    fn removes(&self, attribute: &str) -> bool {
        let listed = || list(&self.allowed_keys).iter().any(|key| key == attribute);
        let ignored = || self.ignored_keys.iter().any(|key| key == attribute);
        !self.allows_all() && !listed() && !ignored()
    }

    fn masks(&self, attribute: &str) -> bool {
        let redactor = Redactor::new(&self.settings(StandIn::default()));
        redactor.is_ok_and(|redactor| matches!(redactor.judge_name(attribute), Under::Masked(_)))
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Processor>> {
        let complaints = self.complaints(cx.base);
        if let Some(bad) = complaints.into_iter().find(|c| c.severity == Severity::Error) {
            anyhow::bail!("{}: {}", bad.invalid.field, bad.invalid.message);
        }
        // Only a tap gets this far without its key, whose server runs already: nothing is hashed without one.
        let stand_in = self.stand_in(cx.base).unwrap_or_else(|_| StandIn::Mask(UNSCANNED.into()));
        let redactor = match Redactor::new(&self.settings(stand_in)) {
            Ok(redactor) => Arc::new(redactor),
            Err(bad) => anyhow::bail!("{bad:?}"),
        };
        let sanitizers = self.sanitizers();
        let allowed =
            (!self.allows_all()).then(|| list(&self.allowed_keys).iter().cloned().collect());
        let counters = Counters::new(cx.id.to_string(), Arc::clone(&redactor), cx.metrics());
        Ok(Box::new(Redaction {
            names: Names::new(allowed, &redactor, &sanitizers),
            redactor,
            sanitizers,
            numbers: self.redact_all_types,
            summary: self.summary,
            secrets: cx.process(Secrets::default),
            counters: Arc::new(counters),
        }))
    }
}

impl DbSanitizer {
    /// Lists the systems whose queries it knows, by their names in the settings.
    fn systems(&self) -> [(&'static str, &Queries); 7] {
        [
            ("sql", &self.sql),
            ("redis", &self.redis),
            ("valkey", &self.valkey),
            ("memcached", &self.memcached),
            ("mongo", &self.mongo),
            ("opensearch", &self.opensearch),
            ("es", &self.es),
        ]
    }
}

/// Lists what a setting holds: nothing unless it is written.
fn list<T>(given: &Given<Vec<T>>) -> &[T] {
    given.get().map_or(&[], Vec::as_slice)
}

/// Something wrong at a field, and how bad it is.
struct Complaint {
    severity: Severity,
    invalid: Invalid,
}

impl Config {
    /// Says whether keys stay that no list names.
    fn allows_all(&self) -> bool {
        self.allow_all_keys.get().copied().unwrap_or(!self.allowed_keys.is_written())
    }

    fn settings(&self, stand_in: StandIn) -> Settings {
        Settings {
            presets: self.presets.clone(),
            rules: list(&self.rules).to_vec(),
            blocked_key_patterns: list(&self.blocked_key_patterns).to_vec(),
            blocked_values: list(&self.blocked_values).to_vec(),
            allowed_values: self.allowed_values.clone(),
            ignored_keys: self.ignored_keys.clone(),
            ignored_key_patterns: self.ignored_key_patterns.clone(),
            stand_in,
            max_value_bytes: self.max_value_bytes,
        }
    }

    fn sanitizers(&self) -> Sanitizers {
        let UrlSanitizer { enabled: urls, attributes, sanitize_span_name } = &self.url_sanitizer;
        let db = &self.db_sanitizer;
        let mut queries: Vec<String> = Vec::new();
        for (_, of) in db.systems().into_iter().filter(|(_, of)| of.enabled == Given::Is(true)) {
            match of.attributes.as_slice() {
                [] => queries.extend(QUERIES.map(str::to_owned)),
                named => queries.extend_from_slice(named),
            }
        }
        let urls = *urls == Given::Is(true);
        Sanitizers {
            urls: if urls { list(attributes).to_vec() } else { Vec::new() },
            url_names: urls && sanitize_span_name.unwrap_or(true),
            url_bodies: urls,
            query_names: !queries.is_empty() && db.sanitize_span_name.unwrap_or(true),
            query_bodies: !queries.is_empty(),
            queries,
        }
    }

    /// Makes what stands in for what is masked; fails for a key that cannot be had or is too short.
    fn stand_in(&self, base: &Path) -> anyhow::Result<StandIn> {
        let keyed = |hash: fn(&[u8]) -> KeyedHash, shortest: usize| {
            let key = self.key(base)?;
            anyhow::ensure!(
                key.len() >= shortest,
                "the key has {} bytes; {shortest} or more are needed",
                key.len()
            );
            Ok(StandIn::Keyed(Box::new(hash(key.as_bytes()))))
        };
        let [of_sha256, of_sha512] = KeyedHash::SHORTEST;
        match self.hash_function {
            None => Ok(StandIn::Mask(self.mask.clone())),
            Some(HashFunction::Md5) => Ok(StandIn::Plain(PlainHash::Md5)),
            Some(HashFunction::Sha1) => Ok(StandIn::Plain(PlainHash::Sha1)),
            Some(HashFunction::Sha3) => Ok(StandIn::Plain(PlainHash::Sha3)),
            Some(HashFunction::HmacSha256) => keyed(KeyedHash::sha256, of_sha256),
            Some(HashFunction::HmacSha512) => keyed(KeyedHash::sha512, of_sha512),
        }
    }

    fn key(&self, base: &Path) -> anyhow::Result<String> {
        match (&self.hmac_key, &self.hmac_key_file) {
            (Some(key), Given::LeftOut) => Ok(key.expose().to_owned()),
            (None, Given::Is(file)) if !file.as_os_str().is_empty() => {
                let text = read_key_file(&base.join(file))?;
                Ok(text.strip_suffix('\n').map_or(&*text, |t| t.trim_end_matches('\r')).to_owned())
            }
            (Some(_), _) => anyhow::bail!("stands beside `hmac_key`; keep one of them"),
            (None, Given::Is(_) | Given::Empty) => anyhow::bail!(IS_EMPTY),
            (None, Given::LeftOut) => {
                anyhow::bail!("is missing: keyed hashes need `hmac_key` or `hmac_key_file`")
            }
        }
    }

    /// Lists the settings behind which nothing stands, though without them less would be taken out.
    fn empty(&self) -> Vec<String> {
        let urls = &self.url_sanitizer;
        let mut all = vec![
            ("rules".to_owned(), self.rules.is_empty()),
            ("allow_all_keys".to_owned(), self.allow_all_keys.is_empty()),
            ("allowed_keys".to_owned(), self.allowed_keys.is_empty()),
            ("blocked_key_patterns".to_owned(), self.blocked_key_patterns.is_empty()),
            ("blocked_values".to_owned(), self.blocked_values.is_empty()),
            ("url_sanitizer.enabled".to_owned(), urls.enabled.is_empty()),
            ("url_sanitizer.attributes".to_owned(), urls.attributes.is_empty()),
        ];
        let systems = self.db_sanitizer.systems().into_iter();
        all.extend(
            systems.map(|(system, of)| {
                (format!("db_sanitizer.{system}.enabled"), of.enabled.is_empty())
            }),
        );
        all.into_iter().filter(|(_, empty)| *empty).map(|(field, _)| field).collect()
    }

    /// Gathers all that is wrong.
    fn complaints(&self, base: &Path) -> Vec<Complaint> {
        let mut all = Vec::new();
        let mut say = |severity, field: &str, message: String| {
            all.push(Complaint { severity, invalid: Invalid { field: field.into(), message } });
        };
        for field in self.empty() {
            say(Severity::Error, &field, IS_EMPTY.into());
        }
        let field = if self.hmac_key_file.is_written() { "hmac_key_file" } else { "hmac_key" };
        let keyed =
            matches!(self.hash_function, Some(HashFunction::HmacSha256 | HashFunction::HmacSha512));
        if keyed {
            let unreadable = self.hmac_key.is_none() && self.hmac_key_file.is_written();
            let severity = if unreadable { Severity::Unready } else { Severity::Error };
            self.stand_in(base)
                .err()
                .into_iter()
                .for_each(|why| say(severity, field, format!("{why:#}")));
        } else if self.hmac_key.is_some() || self.hmac_key_file.is_written() {
            let message =
                "is not used: write `hash_function: hmac-sha256` or `hmac-sha512`, or leave it out";
            say(Severity::Error, field, message.into());
        }
        if self.hash_function.is_some() && !keyed {
            let message = "hashes without a key are no protection: short secrets, numbers of cards and \
                           addresses are found by trying; write `hmac-sha256` and a key";
            say(Severity::Warning, "hash_function", message.into());
        }
        if self.hash_function.is_some() && self.mask != MASK {
            say(
                Severity::Error,
                "mask",
                "is not used beside `hash_function`; keep one of them".into(),
            );
        }
        if self.mask.is_empty() || self.mask.len() > MAX_MASK {
            say(Severity::Error, "mask", format!("must have 1 to {MAX_MASK} bytes"));
        }
        let [least, most] = VALUE_BYTES;
        if !(least..=most).contains(&self.max_value_bytes) {
            say(Severity::Error, "max_value_bytes", format!("must be {least} to {most}"));
        }
        if self.allows_all() && !list(&self.allowed_keys).is_empty() {
            let message = "does nothing while `allow_all_keys` is true: all keys stay";
            say(Severity::Warning, "allowed_keys", message.into());
        }
        let urls = &self.url_sanitizer;
        if urls.enabled == Given::Is(true) && list(&urls.attributes).is_empty() {
            let message = "names no attribute: only names of spans and logs' bodies are sanitized";
            say(Severity::Warning, "url_sanitizer.attributes", message.into());
        }
        if !self.allows_all() && list(&self.allowed_keys).is_empty() {
            let message = "is false and `allowed_keys` names none: every attribute is removed";
            say(Severity::Warning, "allow_all_keys", message.into());
        }
        let invalid = Redactor::new(&self.settings(StandIn::default())).err().unwrap_or_default();
        all.extend(
            invalid.into_iter().map(|invalid| Complaint { severity: Severity::Error, invalid }),
        );
        all
    }
}
