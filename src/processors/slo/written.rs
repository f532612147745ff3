//! The words of objectives in YAML, as written: what they mean is the settings' business.
//!
//! Numbers stay the text that was written: a target that went through binary floating point is another target.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::settings::Duration;
use crate::slo::rules;

/// Holds what holds for all objectives.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Defaults {
    /// Sets the time that a budget is for.
    pub(super) window: Span,
    /// Sets how long a rule holds before its alert fires.
    #[serde(rename = "for")]
    pub(super) hold: Duration,
    /// Sets how many calls the long window needs before an alert may begin to fire: unless written 10 for pages and 5
    /// for tickets.
    min_events: Option<u64>,
    /// Sets how many of those must be bad: unless written 3 for pages and 2 for tickets.
    min_bad: Option<u64>,
    /// Sets how long an alert goes on when its rule does not hold any more: unless written the short window, at most
    /// 15m.
    keep_firing_for: Option<Duration>,
    /// Lets an alert go on firing while nobody calls.
    hold_on_no_data: bool,
    /// Bounds the series of all objectives with `each`; what comes after shares one for each objective.
    pub(super) max_series: usize,
    /// Bounds the series of one server.
    pub(super) max_per_server: usize,
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults {
            window: Span(30 * 86_400),
            hold: Duration::default(),
            min_events: None,
            min_bad: None,
            keep_firing_for: None,
            hold_on_no_data: true,
            max_series: 1000,
            max_per_server: 200,
        }
    }
}

impl Defaults {
    /// Sets what a rule does not say itself.
    pub(super) fn apply(&self, rule: &mut rules::Rule) {
        rule.hold = self.hold.0.as_secs();
        rule.keep_firing = self.keep_firing_for.map_or(rule.keep_firing, |keep| keep.0.as_secs());
        rule.min_events = self.min_events.unwrap_or(rule.min_events);
        rule.min_bad = self.min_bad.unwrap_or(rule.min_bad);
        rule.hold_on_no_data = self.hold_on_no_data;
    }
}

/// One objective.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields, transform = with_percentiles)]
pub(super) struct Slo {
    /// Names it in metrics and alerts; unless written it is made of server, tool and metric.
    #[schemars(default)]
    pub(super) name: Option<String>,
    /// Names the servers whose calls count, by `mcpcol.server.name`: names or patterns with `*` and `?`; all unless written.
    #[schemars(default)]
    pub(super) server: Names,
    /// Names the tools whose calls count, likewise.
    #[schemars(default)]
    pub(super) tool: Names,
    /// Says what is promised.
    pub(super) metric: Metric,
    /// Sets the part of calls that fail (`error_rate`) or that do not (`availability`): `0.01` or `1%`.
    #[schemars(default)]
    pub(super) target: Option<String>,
    /// Holds each `target_pNN` with its key.
    #[schemars(skip)]
    pub(super) percentiles: Vec<(String, Duration)>,
    /// Sets the part of calls that take no longer than `threshold`.
    #[schemars(default)]
    pub(super) objective: Option<String>,
    /// Sets how long a good call may take.
    #[schemars(default)]
    pub(super) threshold: Option<Duration>,
    /// Lists the outcomes that take from the budget; unless written those that are the server's fault.
    #[schemars(default)]
    pub(super) bad: Option<Vec<String>>,
    /// Lists outcomes that do not count.
    #[schemars(default)]
    pub(super) exclude: Vec<String>,
    /// Sets the time that the budget is for.
    #[schemars(default)]
    pub(super) window: Option<Span>,
    /// Lists when to alert; unless written the usual rules for 30, 28 or 7 days.
    #[schemars(default)]
    pub(super) alerts: Option<Vec<Rule>>,
    /// Says what has a budget of its own; unless written all calls share one.
    #[schemars(default)]
    pub(super) each: EachOf,
}

/// Names what an objective promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Metric {
    /// Promises that so many calls do not fail.
    #[default]
    Availability,
    /// Promises that no more calls fail.
    ErrorRate,
    /// Promises that so many calls are fast enough.
    Latency,
}

impl Metric {
    /// Gives its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Metric::Availability => "availability",
            Metric::ErrorRate => "error_rate",
            Metric::Latency => "latency",
        }
    }
}

/// A rule for an alert.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// Names it among the rules of its objective.
    pub(super) name: String,
    /// Says how urgent it is.
    pub(super) severity: Severity,
    /// Sets how many times as fast as allowed the budget burns.
    #[serde(default)]
    pub(super) factor: Option<String>,
    /// Sets which part of the budget is gone within `long`, in place of `factor`.
    #[serde(default)]
    pub(super) spent: Option<String>,
    /// Sets the window in which it burns so fast.
    pub(super) long: Span,
    /// Sets the window in which it still does; a twelfth of `long` unless written.
    #[serde(default)]
    pub(super) short: Option<Span>,
    /// Sets how long that holds before it fires.
    #[serde(default, rename = "for")]
    pub(super) hold: Option<Duration>,
    /// Sets how long it goes on firing when that does not hold any more.
    #[serde(default)]
    pub(super) keep_firing_for: Option<Duration>,
    /// Sets how many calls `long` needs before it may begin to fire.
    #[serde(default)]
    pub(super) min_events: Option<u64>,
    /// Sets how many of those must be bad.
    #[serde(default)]
    pub(super) min_bad: Option<u64>,
    /// Lets it go on firing while nobody calls.
    #[serde(default)]
    pub(super) hold_on_no_data: Option<bool>,
}

/// Says how urgent an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Wakes somebody.
    Page,
    /// Waits for the next working day.
    Ticket,
}

/// Holds what has a budget of its own: `server`, `tool`, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EachOf {
    pub(super) server: bool,
    pub(super) tool: bool,
}

/// One name or pattern, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names(pub(super) Vec<String>);

/// A time in whole seconds, written as a duration or in days: `5m`, `1h30m`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) u64);

const DAY: u64 = 86_400;

impl Span {
    fn parse(text: &str) -> Result<Self, String> {
        let refuse = || {
            format!("`{text}` is not a time of whole seconds; write it like `5m`, `1h30m` or `30d`")
        };
        let (days, rest) = match text.split_once('d') {
            Some((days, rest)) => (days.parse::<u32>().map_err(|_| refuse())?.into(), rest),
            None => (0, text),
        };
        let rest = match rest {
            "" if text.contains('d') => Duration::default(),
            rest => Duration::parse(rest)?,
        };
        if rest.0.subsec_nanos() != 0 {
            return Err(refuse());
        }
        (days * DAY).checked_add(rest.0.as_secs()).map(Span).ok_or_else(refuse)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Span::parse(&String::deserialize(d)?).map_err(de::Error::custom)
    }
}

/// Written as it is read: in days where it is whole days.
impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            n if n > 0 && n.is_multiple_of(DAY) => s.collect_str(&format_args!("{}d", n / DAY)),
            n => Duration::secs(n).serialize(s),
        }
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern =
            "^(0|([0-9]+d)?(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|\u{b5}s|\u{3bc}s|ms|s|m|h))*)$";
        json_schema!({ "anyOf": [{ "type": "string", "pattern": pattern }, { "const": 0 }] })
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a list of names")
            }

            fn visit_str<E: de::Error>(self, one: &str) -> Result<Names, E> {
                Ok(Names(vec![one.to_owned()]))
            }

            fn visit_bool<E: de::Error>(self, one: bool) -> Result<Names, E> {
                self.visit_str(&one.to_string())
            }

            fn visit_u64<E: de::Error>(self, one: u64) -> Result<Names, E> {
                self.visit_str(&one.to_string())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Names, A::Error> {
                let mut all = Vec::new();
                while let Some(name) = seq.next_element::<String>()? {
                    all.push(name);
                }
                Ok(Names(all))
            }
        }
        d.deserialize_any(OneOrMore)
    }
}

impl Serialize for Names {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl JsonSchema for Names {
    fn schema_name() -> Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let list = json_schema!({ "type": "array", "items": { "type": "string" } });
        json_schema!({ "anyOf": [{ "type": "string" }, list] })
    }
}

impl<'de> Deserialize<'de> for EachOf {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut each = EachOf::default();
        for word in Names::deserialize(d)?.0 {
            match word.as_str() {
                "server" => each.server = true,
                "tool" => each.tool = true,
                other => return Err(de::Error::unknown_variant(other, &["server", "tool"])),
            }
        }
        Ok(each)
    }
}

impl Serialize for EachOf {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let words = [(self.server, "server"), (self.tool, "tool")];
        s.collect_seq(words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word))
    }
}

impl JsonSchema for EachOf {
    fn schema_name() -> Cow<'static, str> {
        "EachOf".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let word = json_schema!({ "enum": ["server", "tool"] });
        json_schema!({ "anyOf": [word, { "type": "array", "items": word }] })
    }
}

/// Names what the keys of percentiles begin with.
pub(super) const PERCENTILE: &str = "target_p";

/// The keys of an objective.
const KEYS: &[&str] = &[
    "name",
    "server",
    "tool",
    "metric",
    "target",
    "target_p95",
    "objective",
    "threshold",
    "bad",
    "exclude",
    "window",
    "alerts",
    "each",
];

/// A key of an objective; any percentile is one.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let key = String::deserialize(d)?;
        let percentile = key
            .strip_prefix(PERCENTILE)
            .is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()));
        if percentile || KEYS.contains(&key.as_str()) {
            Ok(Key(key))
        } else {
            Err(de::Error::unknown_field(&key, KEYS))
        }
    }
}

impl<'de> Deserialize<'de> for Slo {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Slo;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an objective, such as `{ tool: search_web, metric: latency, target_p95: 800ms }`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Slo, A::Error> {
                let (mut slo, mut metric) = (Slo::default(), None);
                while let Some(Key(key)) = map.next_key()? {
                    match key.as_str() {
                        "name" => slo.name = map.next_value()?,
                        "server" => slo.server = map.next_value()?,
                        "tool" => slo.tool = map.next_value()?,
                        "metric" => metric = Some(map.next_value()?),
                        "target" => slo.target = map.next_value()?,
                        "objective" => slo.objective = map.next_value()?,
                        "threshold" => slo.threshold = map.next_value()?,
                        "bad" => slo.bad = map.next_value()?,
                        "exclude" => slo.exclude = map.next_value()?,
                        "window" => slo.window = map.next_value()?,
                        "alerts" => slo.alerts = map.next_value()?,
                        "each" => slo.each = map.next_value()?,
                        _ => slo.percentiles.push((key, map.next_value()?)),
                    }
                }
                slo.metric = metric.ok_or_else(|| de::Error::missing_field("metric"))?;
                Ok(slo)
            }
        }
        d.deserialize_map(Keys)
    }
}

/// Adds the keys of percentiles to the schema.
fn with_percentiles(schema: &mut Schema) {
    let of = Duration::json_schema(&mut SchemaGenerator::default());
    let about = "Sets how long the fastest calls of that percentage may take: `target_p95: 800ms`.";
    let mut of: serde_json::Value = of.into();
    of["description"] = about.into();
    schema.insert("patternProperties".to_owned(), serde_json::json!({ "^target_p[0-9]": of }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::testing;

    #[test]
    fn spans_are_whole_seconds_with_days() {
        for (text, seconds) in [
            ("30d", 2_592_000),
            ("5m", 300),
            ("1d12h", 129_600),
            ("1h30m", 5_400),
            ("0", 0),
            ("0d", 0),
        ] {
            assert_eq!(Span::parse(text).unwrap(), Span(seconds), "{text}");
        }
        for text in ["30", "d", "-1d", "1.5d", "500ms", "1x", "", "99999999999d"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn decimal_text_stays_as_it_is_written() {
        let slo: Slo =
            testing::read("{metric: error_rate, target: 0.010, tool: [a, '1'], each: tool}")
                .unwrap();
        assert_eq!(slo.target.as_deref(), Some("0.010"));
        assert_eq!(slo.tool, Names(vec!["a".into(), "1".into()]));
        assert_eq!(slo.each, EachOf { server: false, tool: true });
        let slo: Slo = testing::read("{metric: latency, target_p99.9: 800ms, tool: 7}").unwrap();
        assert_eq!(slo.percentiles, [("target_p99.9".to_owned(), Duration::millis(800))]);
        assert_eq!(slo.tool, Names(vec!["7".into()]));
    }

    #[test]
    fn unknown_words_are_faults_with_a_place() {
        for (yaml, message) in [
            ("{metric: latency, treshold: 1s}", "unknown key; did you mean `threshold`?"),
            ("{metric: latency, target_px: 1s}", "unknown key"),
            ("{target: 0.1}", "`metric` is missing"),
            ("{metric: speed}", "found `speed`; accepted: `availability`"),
            ("{metric: latency, target_p95: 800}", "has no unit"),
            ("{metric: latency, each: [client]}", "found `client`"),
            ("{metric: latency, window: 1.5d}", "is not a time of whole seconds"),
        ] {
            let problems = testing::read::<Slo>(yaml).unwrap_err();
            let all: Vec<&str> = problems.0.iter().map(|p| p.message.as_str()).collect();
            assert!(all.iter().any(|m| m.contains(message)), "{yaml}: {all:?}");
        }
    }
}
