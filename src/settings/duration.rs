//! Durations as the Collector writes them: Go syntax, a unit required.

use std::borrow::Cow;
use std::fmt;
use std::time;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration such as `300ms`, `1.5s` or `1h30m`. `0` needs no unit; any other bare number is refused,
/// because the Collector would take it as nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub time::Duration);

impl Duration {
    /// From whole seconds.
    pub const fn secs(n: u64) -> Self {
        Duration(time::Duration::from_secs(n))
    }

    /// From milliseconds.
    pub const fn millis(n: u64) -> Self {
        Duration(time::Duration::from_millis(n))
    }

    /// Reads Go's syntax: units `ns us µs ms s m h`, no sign, no `d`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "0" {
            return Ok(Duration::default());
        }
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(format!("duration `{text}` has no unit; write `{text}s` or `{text}ms`"));
        }
        let refuse = || {
            format!("`{text}` is not a duration; write it like `300ms`, `1.5s`, `2m` or `1h30m`")
        };
        let mut rest = text;
        let mut total = 0f64;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refuse)?;
            let number: f64 = rest[..digits].parse().map_err(|_| refuse())?;
            rest = &rest[digits..];
            let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            total += number * nanos_of(&rest[..unit]).ok_or_else(refuse)?;
            rest = &rest[unit..];
        }
        if text.is_empty() || !total.is_finite() || total > u64::MAX as f64 {
            return Err(refuse());
        }
        Ok(Duration(time::Duration::from_nanos(total.round() as u64)))
    }
}

fn nanos_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    })
}

impl From<Duration> for time::Duration {
    fn from(d: Duration) -> Self {
        d.0
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Duration::parse(&text).map_err(de::Error::custom)
    }
}

/// Writes what [`Duration::parse`] reads, in one unit.
impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let nanos = self.0.as_nanos();
        // From how much on a unit is used: `60s` and `60m` are said, not `1m` and `1h`.
        let units = [
            (7_200_000_000_000, 3_600_000_000_000, "h"),
            (120_000_000_000, 60_000_000_000, "m"),
            (0, 1_000_000_000, "s"),
            (0, 1_000_000, "ms"),
            (0, 1, "ns"),
        ];
        let fits =
            |(least, unit, _): &(u128, u128, &str)| nanos >= *least && nanos.is_multiple_of(*unit);
        let (_, unit, name) = units.into_iter().find(fits).unwrap_or((0, 1, "ns"));
        s.collect_str(&format_args!("{}{name}", nanos / unit))
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = "([0-9]+(\\.[0-9]*)?|\\.[0-9]+)";
        json_schema!({
            "anyOf": [
                { "type": "string", "pattern": format!("^(0|({number}(ns|us|\u{b5}s|\u{3bc}s|ms|s|m|h))+)$") },
                { "const": 0 },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_syntax_is_read() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("300ms", 300_000_000),
            ("1.5s", 1_500_000_000),
            ("1h30m", 5_400_000_000_000),
            ("7us", 7_000),
        ] {
            assert_eq!(Duration::parse(text).unwrap().0.as_nanos(), nanos, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_as_people_say_it_and_is_read_again() {
        for text in [
            "0s", "1s", "60s", "90s", "30m", "10m", "60m", "2h", "1ms", "200ms", "1500ms", "7000ns",
        ] {
            let duration = Duration::parse(text).unwrap();
            assert_eq!(serde_json::to_value(duration).unwrap(), text);
        }
    }

    #[test]
    fn a_missing_unit_is_refused_with_a_proposal() {
        assert!(Duration::parse("300").unwrap_err().contains("`300s` or `300ms`"));
        for text in ["", "s", "1d", "-1s", "1.2.3s", "1s2", "1e9s", "99999999999h"] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
    }
}
