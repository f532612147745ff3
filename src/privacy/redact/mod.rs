//! Takes secrets and personal data out of texts: detectors, names that speak of secrets, exact values that are
//! known, and rules of users.
//!
//! One engine for all that leaves: the `redaction` processor, our own logs, the command `redact`. It knows neither
//! OTLP nor MCP. It fails closed: a text that cannot be looked at is withheld. A second pass changes nothing (plain
//! hashes apart, which nobody can tell from secrets). Base64 is not decoded: only [known values](KnownValues) are
//! found in it.

mod stand_in;
mod settings;
mod found;
mod names;
mod rules;
mod look;
mod needles;
mod known;
mod redactor;
mod json;
mod unescaped;
mod scan;

pub use found::{Found, UNSCANNED, Why};
pub use known::{KnownValues, parts_of_credential, password_of_url};
pub use names::is_secret_name;
pub use redactor::{Redactor, RuleId, Under};
pub use scan::Scan;
pub use settings::{Invalid, OwnRule, Preset, Settings};
pub use stand_in::{KeyedHash, MASK, PlainHash, StandIn};

/// The longest name of a rule, in bytes.
const MAX_RULE_NAME: usize = 64;
/// Begins the usual mask, of which the rule's name and `]` follow.
const MASK_BEGIN: &str = "[REDACTED:";
/// Begins a keyed hash, of which the key's id, `:` and hex digits follow.
const HASH_BEGIN: &str = "hmac:";

#[cfg(test)]
mod tests;
