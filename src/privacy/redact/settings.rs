//! Describes a redactor's settings: which rules there are, what stays, what stands in for what is masked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stand_in::StandIn;

/// Says how texts are redacted.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The detectors that come with mcpcol.
    pub presets: Vec<Preset>,
    /// The user's own.
    pub rules: Vec<OwnRule>,
    /// Patterns of names whose values are masked whole.
    pub blocked_key_patterns: Vec<String>,
    /// Patterns of what is masked in values.
    pub blocked_values: Vec<String>,
    /// Patterns of what is not, though a rule matches it.
    pub allowed_values: Vec<String>,
    /// Names whose values are not looked at.
    pub ignored_keys: Vec<String>,
    /// Patterns of such names.
    pub ignored_key_patterns: Vec<String>,
    /// Replaces what is masked.
    pub stand_in: StandIn,
    /// The longest text that is looked at, in bytes.
    pub max_value_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            presets: vec![Preset::Credentials, Preset::Pii],
            rules: Vec::new(),
            blocked_key_patterns: Vec::new(),
            blocked_values: Vec::new(),
            allowed_values: Vec::new(),
            ignored_keys: Vec::new(),
            ignored_key_patterns: Vec::new(),
            stand_in: StandIn::default(),
            max_value_bytes: 1 << 20,
        }
    }
}

/// Names a group of detectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Finds keys, tokens, passwords, and what stands under names that speak of them.
    Credentials,
    /// Finds addresses of mail, numbers of cards and of bank accounts.
    Pii,
    /// Finds names of users in paths of home directories.
    PathUser,
    /// Finds social security numbers of the USA, beside a word that says so.
    Ssn,
    /// Finds phone numbers in international form.
    Phone,
    /// Finds addresses of IPv4 and IPv6, loopback and unspecified ones apart.
    Ip,
    /// Finds hardware addresses.
    Mac,
    /// Finds long words of random characters.
    Entropy,
}

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 8] = [
        Preset::Credentials,
        Preset::Pii,
        Preset::PathUser,
        Preset::Ssn,
        Preset::Phone,
        Preset::Ip,
        Preset::Mac,
        Preset::Entropy,
    ];
}

/// Holds a rule of the user's own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnRule {
    /// Names it in masks and counters: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// Matches what is to be masked (syntax of the `regex` crate).
    pub pattern: String,
    /// Replaces it, where that is not done as for all.
    #[serde(default)]
    pub mask: Option<String>,
}

/// Says what is wrong with settings, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The field as in YAML: `blocked_values.2`.
    pub field: String,
    /// Says what is wrong and what to do.
    pub message: String,
}
