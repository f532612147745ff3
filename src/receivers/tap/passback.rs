//! Words that every tap takes about changing what it forwards, and about spans that servers hand back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mcp::{self, Ingest, Orphans};
use crate::settings::Report;

/// `propagate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Propagate {
    /// Passes bytes as they are.
    #[default]
    Off,
    /// Makes the tap a hop: its CLIENT span becomes the parent in `_meta.traceparent`.
    Inject,
}

/// `passback`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Passback {
    /// Says whose asking makes spans welcome that servers hand back.
    pub ingest: Ingest,
    /// Asks servers for their spans where the client did not ask.
    pub request: bool,
    /// Asks for the whole tree instead of its top.
    pub detailed: bool,
    /// Takes out of the answer what was asked for: yes unless written. It means nothing without `request`.
    pub strip: Option<bool>,
    /// Says what becomes of spans whose request had no context.
    pub orphans: Orphans,
    /// Brings known dialects of attribute names to the conventions.
    pub normalize: bool,
    /// Bounds the bytes of one answer that are looked into.
    pub max_bytes: usize,
    /// Bounds the spans of one answer.
    pub max_spans: usize,
    /// Bounds the attributes of a span, an event, a link or a resource.
    pub max_attributes: usize,
    /// Bounds the events of a span.
    pub max_events: usize,
    /// Bounds the links of a span.
    pub max_links: usize,
    /// Bounds the text of a value, in bytes; what is beyond is cut off.
    pub max_value_bytes: usize,
}

impl Default for Passback {
    fn default() -> Self {
        let limits = mcp::Passback::default();
        Passback {
            ingest: Ingest::default(),
            request: false,
            detailed: false,
            strip: None,
            orphans: Orphans::default(),
            normalize: limits.normalize,
            max_bytes: limits.max_bytes,
            max_spans: limits.max_spans,
            max_attributes: limits.max_attributes,
            max_events: limits.max_events,
            max_links: limits.max_links,
            max_value_bytes: limits.max_value_bytes,
        }
    }
}

impl Passback {
    /// Reports what is wrong with it; `report` is that of the receiver.
    pub(super) fn check(&self, report: &mut Report<'_>) {
        if self.request && self.ingest == Ingest::Off {
            let message = "`off` would ask servers for spans and then not take them";
            report.error("passback.ingest", message);
        }
        if !self.request {
            if self.detailed {
                report.warn("passback.detailed", "does nothing without `request: true`");
            }
            if self.strip.is_some() {
                report.warn("passback.strip", "does nothing without `request: true`");
            }
            if self.ingest == Ingest::Requested {
                let message = "`requested` takes no spans at all without `request: true`";
                report.warn("passback.ingest", message);
            }
        }
        for (field, value, least, most) in [
            ("max_bytes", self.max_bytes, 1024, 16 << 20),
            ("max_spans", self.max_spans, 1, 10_000),
            ("max_attributes", self.max_attributes, 1, 1024),
            ("max_events", self.max_events, 0, 1024),
            ("max_links", self.max_links, 0, 1024),
            ("max_value_bytes", self.max_value_bytes, 16, 64 << 10),
        ] {
            if !(least..=most).contains(&value) {
                let message = format!("must be between {least} and {most}");
                report.error(&format!("passback.{field}"), message);
            }
        }
    }

    /// Returns what it means to the state machine.
    pub(super) fn settings(&self) -> mcp::Passback {
        mcp::Passback {
            ingest: self.ingest,
            orphans: self.orphans,
            normalize: self.normalize,
            max_bytes: self.max_bytes,
            max_spans: self.max_spans,
            max_attributes: self.max_attributes,
            max_events: self.max_events,
            max_links: self.max_links,
            max_value_bytes: self.max_value_bytes,
            ..mcp::Passback::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::testing;

    fn problems(yaml: &str) -> Vec<String> {
        let passback: Passback = testing::read(yaml).unwrap();
        let outer = format!("{{ passback: {yaml} }}");
        let problems = testing::check(&outer, "r", |report| passback.check(report));
        let line = |p: crate::settings::Problem| format!("{:?} {}", p.severity, p.path);
        problems.0.into_iter().map(line).collect()
    }

    #[test]
    fn nothing_written_is_fine_and_means_what_the_state_machine_does_by_itself() {
        let passback: Passback = testing::read("{}").unwrap();
        assert!(problems("{}").is_empty());
        assert_eq!(passback.settings(), mcp::Passback::default());
    }

    #[test]
    fn every_key_is_read() {
        let yaml = "{ ingest: requested, request: true, detailed: true, strip: false, orphans: mark, \
                    normalize: false, max_bytes: 2000, max_spans: 2, max_attributes: 3, \
                    max_events: 4, max_links: 5, max_value_bytes: 60 }";
        let passback: Passback = testing::read(yaml).unwrap();
        assert!(problems(yaml).is_empty());
        assert_eq!(
            (passback.request, passback.detailed, passback.strip),
            (true, true, Some(false))
        );
        let settings = passback.settings();
        let limits = [settings.max_bytes, settings.max_spans, settings.max_attributes];
        assert_eq!(limits, [2000, 2, 3]);
        assert_eq!([settings.max_events, settings.max_links, settings.max_value_bytes], [4, 5, 60]);
        assert_eq!(settings.ingest, mcp::Ingest::Requested);
        assert_eq!(settings.orphans, mcp::Orphans::Mark);
        assert!(!settings.normalize);
        assert!(testing::read::<Passback>("{ ingests: off }").is_err());
    }

    #[test]
    fn what_contradicts_itself_is_said() {
        assert_eq!(problems("{ request: true, ingest: off }"), ["Error r::passback::ingest"]);
        assert_eq!(
            problems("{ strip: true, detailed: true, ingest: requested }"),
            [
                "Warning r::passback::detailed",
                "Warning r::passback::strip",
                "Warning r::passback::ingest"
            ]
        );
    }

    #[test]
    fn limits_have_limits() {
        let limits = [
            "max_bytes",
            "max_spans",
            "max_attributes",
            "max_events",
            "max_links",
            "max_value_bytes",
        ];
        for limit in limits {
            let expected = [format!("Error r::passback::{limit}")];
            assert_eq!(problems(&format!("{{ {limit}: 99999999 }}")), expected);
            if !matches!(limit, "max_events" | "max_links") {
                assert_eq!(problems(&format!("{{ {limit}: 0 }}")), expected);
            }
        }
    }
}
