//! Rules made ready: compiled once, shared by all who scan.
//!
//! Compiling reports all that is wrong at once. Patterns of users are bounded in number and size; what a linear
//! engine cannot do (look-around, back-references) is refused with the place.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::MAX_RULE_NAME;
use super::found::UNSCANNED;
use super::look::Look;
use super::names::is_secret_name;
use super::rules::{Detector, Find, Match, detectors};
use super::settings::{Invalid, OwnRule, Settings};
use super::stand_in::StandIn;

/// The most patterns of users.
const MAX_PATTERNS: usize = 256;
/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 4096;
/// Bounds a compiled pattern, and the automaton that searching builds of it while it goes, in bytes each.
const SIZE_LIMIT: usize = 10 << 20;
const DFA_SIZE_LIMIT: usize = 4 << 20;

/// Names a rule of a [`Redactor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(u16);

/// Says what a name tells of the value under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under {
    /// Nothing: the value is looked at.
    Open,
    /// The value is not looked at.
    Ignored,
    /// The value is masked whole, by that rule.
    Masked(RuleId),
}

/// Holds rules made ready to scan with. It never changes; whoever scans has a [`Scan`](super::Scan).
#[derive(Debug)]
pub struct Redactor {
    names: Vec<String>,
    pub(super) finders: Vec<Finder>,
    pub(super) look: Look,
    /// Finders from here on are users' own, by `own`.
    pub(super) first_own: usize,
    pub(super) own: Option<RegexSet>,
    pub(super) allowed: Vec<Regex>,
    any_allowed: Option<RegexSet>,
    ignored_keys: HashSet<String>,
    ignored: Option<RegexSet>,
    blocked_keys: Option<RegexSet>,
    key_name: Option<RuleId>,
    /// Tells names apart that may not be shown.
    names_key: RandomState,
    pub(super) stand_in: StandIn,
    pub(super) max_value_bytes: usize,
}

/// One way to find something, with what it is called.
#[derive(Debug)]
pub(super) struct Finder {
    pub(super) rule: RuleId,
    pub(super) how: How,
    /// Replaces a match, where that is not done as for all.
    pub(super) mask: Option<String>,
}

/// Says how a finder finds.
pub(super) enum How {
    /// By looking around hooks and at numbers.
    Detector(&'static Detector),
    /// By a pattern and a guard. A group `v` is what is masked.
    Guarded { pattern: Regex, grouped: bool, guard: fn(&Match<'_>) -> bool },
    /// By a pattern of the user's.
    Own(Regex),
}

impl fmt::Debug for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::Detector(detector) => detector.name,
            How::Guarded { pattern, .. } | How::Own(pattern) => pattern.as_str(),
        })
    }
}

impl RuleId {
    /// The rules that are there whatever the settings say: the first three.
    pub(super) const KEY_NAME: RuleId = RuleId(0);
    pub(super) const BLOCKED_KEY: RuleId = RuleId(1);
    pub(super) const KNOWN_VALUE: RuleId = RuleId(2);
    const BLOCKED_VALUE: RuleId = RuleId(3);
    const FIXED: [&str; 4] = ["key_name", "blocked_key", "known_value", "blocked_value"];

    /// Gives its place among the rules of its redactor.
    pub fn index(self) -> u16 {
        self.0
    }

    /// Makes the id of the rule at a place.
    pub fn of(index: u16) -> Self {
        RuleId(index)
    }
}

impl Redactor {
    /// Makes rules ready, or says all that is wrong with them.
    pub fn new(settings: &Settings) -> Result<Self, Vec<Invalid>> {
        let mut compiling = Compiling::default();
        let known: Vec<&'static Detector> =
            detectors().filter(|d| settings.presets.contains(&d.preset)).collect();
        known.iter().for_each(|detector| compiling.detector(detector));
        let first_own = compiling.finders.len();
        compiling.own(&settings.rules);
        compiling.values(&settings.blocked_values);
        let own = compiling.finders[first_own..].iter().filter_map(|finder| match &finder.how {
            How::Own(pattern) => Some(pattern.as_str()),
            _ => None,
        });
        let own = set(own.collect());
        let allowed = compiling.all("allowed_values", &settings.allowed_values);
        let ignored = compiling.all("ignored_key_patterns", &settings.ignored_key_patterns);
        let blocked = compiling.all("blocked_key_patterns", &settings.blocked_key_patterns);
        compiling.count(settings);
        let Compiling { names, finders, mut invalid, .. } = compiling;
        let credentials = settings.presets.contains(&super::Preset::Credentials);
        if finders.is_empty() && blocked.is_empty() && !credentials && invalid.is_empty() {
            invalid.push(Invalid {
                field: "presets".into(),
                message: "leaves no rule at all: nothing would be masked; name presets, rules, \
                          blocked_values or blocked_key_patterns"
                    .into(),
            });
        }
        if !invalid.is_empty() {
            return Err(invalid);
        }
        let patterns = |list: &[Regex]| set(list.iter().map(Regex::as_str).collect());
        Ok(Redactor {
            names,
            finders,
            look: Look::new(&known),
            first_own,
            own,
            any_allowed: patterns(&allowed),
            allowed,
            ignored_keys: settings.ignored_keys.iter().cloned().collect(),
            ignored: patterns(&ignored),
            blocked_keys: patterns(&blocked),
            key_name: credentials.then_some(RuleId::KEY_NAME),
            names_key: RandomState::new(),
            stand_in: settings.stand_in.clone(),
            max_value_bytes: settings.max_value_bytes,
        })
    }

    /// Names the rules, in the order of their ids.
    #[cfg(test)]
    pub(super) fn rules(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Gives what stands in the place of a name in which something was found: the same for the same name, and
    /// another for any other, so that neither members nor series merge. It tells nothing of the name, and changes
    /// with the process.
    pub(super) fn stand_in_for_name(&self, name: &str) -> String {
        format!("[REDACTED]#{:08x}", self.names_key.hash_one(name) as u32)
    }

    /// Names a rule.
    pub fn rule_name(&self, rule: RuleId) -> &str {
        self.names.get(usize::from(rule.0)).map_or("unknown", String::as_str)
    }

    /// Says what a name tells of the value under it. Ignored names come first, as in the Collector.
    pub fn judge_name(&self, name: &str) -> Under {
        let matches = |set: &Option<RegexSet>| set.as_ref().is_some_and(|set| set.is_match(name));
        if self.ignored_keys.contains(name) || matches(&self.ignored) {
            Under::Ignored
        } else if matches(&self.blocked_keys) {
            Under::Masked(RuleId::BLOCKED_KEY)
        } else {
            let secret = self.key_name.filter(|_| is_secret_name(name));
            secret.map_or(Under::Open, Under::Masked)
        }
    }

    /// Says whether nothing in JSON can match if nothing does in its text as it stands, escapes apart: no rule
    /// looks at where a string begins or ends, and no pattern at names.
    pub(super) fn reads_through(&self) -> bool {
        self.own.is_none() && self.blocked_keys.is_none() && self.look.patterns_always() == 0
    }

    /// Tells whether something in a text is allowed by name.
    pub(super) fn allows(&self, text: &str) -> bool {
        self.any_allowed.as_ref().is_some_and(|any| any.is_match(text))
    }

    /// Tells whether `text` was put here in the place of something.
    pub(super) fn is_made_here(&self, text: &str) -> bool {
        self.made_here(text) == Some(text.len())
    }

    /// Finds the end of what a text begins with, if that was put here in the place of something.
    pub(super) fn made_here(&self, text: &str) -> Option<usize> {
        self.mask_end(text).or_else(|| self.stand_in.own_hash(text))
    }

    /// Finds the end of the usual mask that a text begins with.
    fn mask_end(&self, text: &str) -> Option<usize> {
        let rest = text.strip_prefix(super::MASK_BEGIN)?;
        let name =
            rest.get(..rest.len().min(MAX_RULE_NAME + 1)).unwrap_or(rest).split(']').next()?;
        let unscanned = || {
            text.starts_with(UNSCANNED)
                && name.len() + super::MASK_BEGIN.len() + 1 == UNSCANNED.len()
        };
        let known = unscanned() || self.names.iter().any(|rule| rule == name);
        let end = super::MASK_BEGIN.len() + name.len() + 1;
        (known && text.as_bytes().get(end - 1) == Some(&b']')).then_some(end)
    }
}

/// Gathers what is compiled, and what could not be.
#[derive(Debug)]
struct Compiling {
    names: Vec<String>,
    finders: Vec<Finder>,
    invalid: Vec<Invalid>,
}

impl Default for Compiling {
    fn default() -> Self {
        let names = RuleId::FIXED.map(str::to_owned).into();
        Compiling { names, finders: Vec::new(), invalid: Vec::new() }
    }
}

impl Compiling {
    fn rule(&mut self, name: &str) -> RuleId {
        let at = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        RuleId(at as u16)
    }

    fn detector(&mut self, detector: &'static Detector) {
        let rule = self.rule(detector.name);
        let how = match detector.find {
            Find::Pattern(pattern, guard) => {
                let pattern = compile(pattern).expect("the table's patterns compile");
                let grouped = pattern.capture_names().flatten().next().is_some();
                How::Guarded { pattern, grouped, guard }
            }
            _ => How::Detector(detector),
        };
        self.finders.push(Finder { rule, how, mask: None });
    }

    fn own(&mut self, rules: &[OwnRule]) {
        // By name, so that the order in which they are written decides nothing.
        let mut rules: Vec<(usize, &OwnRule)> = rules.iter().enumerate().collect();
        rules.sort_by_key(|(_, rule)| &rule.name);
        for (i, OwnRule { name, pattern, mask }) in rules {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            if name.is_empty() || name.len() > MAX_RULE_NAME || !name.bytes().all(fits) {
                let message = format!(
                    "a rule's name has 1 to {MAX_RULE_NAME} letters, digits, `.`, `_` or `-`"
                );
                self.invalid(format!("rules.{i}.name"), message);
            } else if self.names.contains(name) {
                self.invalid(format!("rules.{i}.name"), format!("another rule is called `{name}`"));
            }
            let Some(pattern) = self.pattern(format!("rules.{i}.pattern"), pattern) else {
                continue;
            };
            let rule = self.rule(name);
            let mask = mask.clone();
            self.finders.push(Finder { rule, how: How::Own(pattern), mask });
        }
    }

    fn values(&mut self, patterns: &[String]) {
        let patterns = self.all("blocked_values", patterns);
        self.finders.extend(patterns.into_iter().map(|pattern| Finder {
            rule: RuleId::BLOCKED_VALUE,
            how: How::Own(pattern),
            mask: None,
        }));
    }

    fn all(&mut self, field: &str, patterns: &[String]) -> Vec<Regex> {
        let numbered = patterns.iter().enumerate();
        numbered.filter_map(|(i, p)| self.pattern(format!("{field}.{i}"), p)).collect()
    }

    fn pattern(&mut self, field: String, pattern: &str) -> Option<Regex> {
        if pattern.is_empty() {
            self.invalid(field, "is empty, so it would match everywhere".into());
            return None;
        }
        if pattern.len() > MAX_PATTERN {
            self.invalid(
                field,
                format!("has {} bytes; at most {MAX_PATTERN} are taken", pattern.len()),
            );
            return None;
        }
        match compile(pattern) {
            Ok(regex) => Some(regex),
            Err(why) => {
                self.invalid(field, why);
                None
            }
        }
    }

    fn count(&mut self, settings: &Settings) {
        let Settings { rules, blocked_values, allowed_values, .. } = settings;
        let keys = settings.blocked_key_patterns.len() + settings.ignored_key_patterns.len();
        let count = rules.len() + blocked_values.len() + allowed_values.len() + keys;
        if count > MAX_PATTERNS {
            let message =
                format!("all patterns together are {count}; at most {MAX_PATTERNS} are taken");
            self.invalid("rules".into(), message);
        }
    }

    fn invalid(&mut self, field: String, message: String) {
        self.invalid.push(Invalid { field, message });
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let built =
        RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).dfa_size_limit(DFA_SIZE_LIMIT).build();
    built.map_err(|why| match why {
        regex::Error::CompiledTooBig(limit) => {
            format!(
                "`{pattern}` takes more than {limit} bytes when compiled; use smaller repetitions"
            )
        }
        // The last line says what is wrong; those before it draw the place.
        why => {
            let text = why.to_string();
            let said = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let at = text.lines().find_map(|line| line.find('^'));
            // Each line of the drawing is indented by four columns.
            let at =
                at.map_or(String::new(), |at| format!(", at character {}", at.saturating_sub(3)));
            format!(
                "`{pattern}` is no pattern: {said}{at} (syntax of Rust's regex crate, as RE2's)"
            )
        }
    })
}

/// Makes a set of patterns that compiled, to look at all of them at once.
fn set(patterns: Vec<&str>) -> Option<RegexSet> {
    let limit = SIZE_LIMIT.saturating_mul(patterns.len());
    let built =
        || RegexSetBuilder::new(&patterns).size_limit(limit).dfa_size_limit(DFA_SIZE_LIMIT).build();
    (!patterns.is_empty()).then(|| built().expect("each of them compiled within the limit"))
}
