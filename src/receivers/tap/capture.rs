//! The setting `capture` of the taps: which content of calls is handed to the redaction behind them.
//!
//! Everything is off unless written. Levels: `keys` for the shape without values, `redacted` for the values as
//! redaction leaves them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::mcp::{CaptureRule, CaptureRules};
use crate::settings::{Given, IS_EMPTY, Report};
use crate::telemetry::{Capture, CaptureLevel};

/// The most bytes that may be captured of one value.
const MAX_BYTES: usize = 1 << 20;
/// The most headers.
const MAX_HEADERS: usize = 32;
/// The most overrides.
const MAX_OVERRIDES: usize = 256;

/// `capture`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureSettings {
    /// Captures arguments of tool calls as `gen_ai.tool.call.arguments`, or their shape.
    arguments: CaptureLevel,
    /// Captures results of tool calls as `gen_ai.tool.call.result`, or their shape.
    results: CaptureLevel,
    /// Captures why a call failed, as the message of its status: `off` or `redacted`.
    errors: CaptureLevel,
    /// Captures headers of requests and responses, by name: `http.request.header.<name>` and
    /// `http.response.header.<name>`.
    headers: Vec<String>,
    /// Makes log records of what the server writes to its stderr: `off` or `redacted`; for stdio servers.
    stderr: CaptureLevel,
    /// Makes log records of what the server logs by notifications: `off` or `redacted`.
    log_messages: CaptureLevel,
    /// Bounds a value that is captured, in bytes, after redaction: 4096 unless written.
    max_bytes: Option<usize>,
    /// Says what is captured of the calls of some tools.
    overrides: Given<Vec<Override>>,
}

/// One of `overrides`: what it does not say is as it is for all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Override {
    /// Names the server, with `*` for anything.
    server: Given<String>,
    /// Names the tool, with `*` for anything.
    tool: Given<String>,
    /// Captures their arguments, or their shape.
    arguments: Given<CaptureLevel>,
    /// Captures their results, or their shape.
    results: Given<CaptureLevel>,
    /// Captures why they failed: `off` or `redacted`.
    errors: Given<CaptureLevel>,
    /// Bounds a value that is captured of them, in bytes.
    max_bytes: Option<usize>,
}

impl Override {
    /// Says whether one of its names is there and empty.
    fn lacks_a_name(&self) -> bool {
        [&self.server, &self.tool]
            .into_iter()
            .any(|name| name.is_empty() || name.get().is_some_and(String::is_empty))
    }
}

impl CaptureSettings {
    /// Reports what is wrong with it.
    pub(in crate::receivers) fn check(&self, report: &mut Report<'_>) {
        let size = |report: &mut Report<'_>, at: &str, bytes: Option<usize>| {
            if bytes.is_some_and(|bytes| !(1..=MAX_BYTES).contains(&bytes)) {
                report.error(at, format!("must be 1 to {MAX_BYTES}"));
            }
        };
        let errors = |report: &mut Report<'_>, at: &str, level: Option<CaptureLevel>| {
            if level == Some(CaptureLevel::Keys) {
                report.error(at, "is `off` or `redacted`: a text has no keys");
            }
        };
        size(report, "capture.max_bytes", self.max_bytes);
        errors(report, "capture.errors", Some(self.errors));
        if self.headers.len() > MAX_HEADERS {
            report.error("capture.headers", format!("has more than {MAX_HEADERS}"));
        }
        for (i, name) in self.headers.iter().enumerate() {
            if self.headers[..i].iter().any(|other| other.eq_ignore_ascii_case(name)) {
                report.error(&format!("capture.headers.{i}"), "is there already");
            }
        }
        errors(report, "capture.stderr", Some(self.stderr));
        errors(report, "capture.log_messages", Some(self.log_messages));
        if self.overrides.is_empty() {
            report.error("capture.overrides", IS_EMPTY);
        }
        if self.overrides().len() > MAX_OVERRIDES {
            report.error("capture.overrides", format!("has more than {MAX_OVERRIDES}"));
        }
        for (i, rule) in self.overrides().iter().enumerate() {
            let at = format!("capture.overrides.{i}");
            size(report, &format!("{at}.max_bytes"), rule.max_bytes);
            errors(report, &format!("{at}.errors"), rule.errors.get().copied());
            for (field, level) in
                [("arguments", rule.arguments), ("results", rule.results), ("errors", rule.errors)]
            {
                if level.is_empty() {
                    report.error(&format!("{at}.{field}"), IS_EMPTY);
                }
            }
            if !rule.server.is_written() && !rule.tool.is_written() {
                report.error(
                    &at,
                    "names neither `server` nor `tool`; write it beside `overrides` instead",
                );
            } else if rule.lacks_a_name() {
                report.error(&at, "has an empty name; `*` stands for any");
            }
        }
    }

    fn overrides(&self) -> &[Override] {
        self.overrides.get().map_or(&[], Vec::as_slice)
    }

    /// Lists the headers that are captured, as they are written.
    pub(in crate::receivers) fn headers(&self) -> &[String] {
        &self.headers
    }

    /// Reports headers where the transport has none.
    pub(in crate::receivers) fn check_no_headers(&self, report: &mut Report<'_>) {
        if !self.headers.is_empty() {
            report.error("capture.headers", "means nothing here: pipes have no headers");
        }
    }

    /// Says whether anything is captured at all.
    pub(in crate::receivers) fn captures(&self) -> bool {
        if self.stderr() || self.log_messages() {
            return true;
        }
        let rules = self.rules();
        let mut all =
            std::iter::once(rules.usual).chain(rules.rules.iter().map(|rule| rule.capture));
        let off = |level: &CaptureLevel| *level == CaptureLevel::Off;
        !self.headers.is_empty()
            || all.any(|plan| ![plan.arguments, plan.results, plan.errors].iter().all(off))
    }

    /// Says whether lines of stderr become log records.
    pub(in crate::receivers) fn stderr(&self) -> bool {
        self.stderr != CaptureLevel::Off
    }

    /// Says whether log notifications do.
    pub(in crate::receivers) fn log_messages(&self) -> bool {
        self.log_messages != CaptureLevel::Off
    }

    /// Returns what it means to the state machine.
    pub(in crate::receivers) fn rules(&self) -> CaptureRules {
        let max_bytes = self.max_bytes.unwrap_or(Capture::default().max_bytes);
        let usual = Capture {
            arguments: self.arguments,
            results: self.results,
            errors: self.errors,
            max_bytes,
        };
        // A tap may get this far without a variable that is named there. Whose calls were to be spared is not known then.
        if self.overrides.is_empty() || self.overrides().iter().any(Override::lacks_a_name) {
            let usual = Capture { max_bytes, ..Capture::default() };
            return CaptureRules { usual, rules: Vec::new() };
        }
        let level = |given: Given<CaptureLevel>, usual| match given {
            Given::LeftOut => usual,
            Given::Empty => CaptureLevel::Off,
            Given::Is(level) => level,
        };
        let rules = self.overrides().iter().map(|rule| CaptureRule {
            server: rule.server.get().cloned(),
            tool: rule.tool.get().cloned(),
            capture: Capture {
                arguments: level(rule.arguments, usual.arguments),
                results: level(rule.results, usual.results),
                errors: level(rule.errors, usual.errors),
                max_bytes: rule.max_bytes.unwrap_or(usual.max_bytes),
            },
        });
        CaptureRules { usual, rules: rules.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::testing;

    #[test]
    fn overrides_say_what_differs() {
        let yaml = "{ arguments: keys, errors: redacted, overrides: [{ tool: 'get_*', arguments: off, max_bytes: 9 }] }";
        let capture: CaptureSettings = testing::read(yaml).unwrap();
        let rules = capture.rules();
        assert_eq!(rules.usual.arguments, CaptureLevel::Keys);
        let rule = &rules.rules[0].capture;
        assert_eq!(
            (rule.arguments, rule.errors, rule.max_bytes),
            (CaptureLevel::Off, CaptureLevel::Redacted, 9)
        );
        assert!(capture.captures() && !CaptureSettings::default().captures());
        for yaml in ["{ stderr: redacted }", "{ log_messages: redacted }"] {
            assert!(testing::read::<CaptureSettings>(yaml).unwrap().captures(), "{yaml}");
        }
    }

    #[test]
    fn an_empty_override_spares_more_and_never_less() {
        for (overrides, path) in [
            ("", "overrides"),
            ("[{ tool: x, arguments: }]", "overrides::0::arguments"),
            ("[{ tool: , arguments: off }]", "overrides::0"),
            ("[{ server: '', tool: x, arguments: off }]", "overrides::0"),
        ] {
            let yaml = format!("{{ arguments: redacted, overrides: {overrides} }}");
            let capture: CaptureSettings = testing::read(&yaml).unwrap();
            let problems =
                testing::check(&format!("capture: {yaml}"), "tap", |report| capture.check(report));
            let paths: Vec<&str> = problems.0.iter().map(|p| &*p.path).collect();
            assert_eq!(paths, [format!("tap::capture::{path}")], "{yaml}");
            let rules = capture.rules();
            let first = rules.rules.first().map_or(rules.usual, |rule| rule.capture);
            assert_eq!(first.arguments, CaptureLevel::Off, "{yaml}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        let yaml = "{ errors: keys, stderr: keys, log_messages: keys, max_bytes: 0, overrides: [{ errors: keys }, { tool: '' }, { tool: x, max_bytes: 99999999 }] }";
        let capture: CaptureSettings = testing::read(yaml).unwrap();
        let problems =
            testing::check(&format!("capture: {yaml}"), "tap", |report| capture.check(report));
        let paths: Vec<&str> = problems.0.iter().map(|p| &*p.path).collect();
        for path in [
            "max_bytes",
            "errors",
            "stderr",
            "log_messages",
            "overrides::0::errors",
            "overrides::0",
            "overrides::1",
            "overrides::2::max_bytes",
        ] {
            assert!(paths.contains(&&*format!("tap::capture::{path}")), "{path}: {paths:?}");
        }
        assert!(testing::read::<CaptureSettings>("{ arguments: all }").is_err());
        let names: Vec<String> = (0..33).map(|i| format!("x-{i}")).collect();
        for (headers, path) in
            [(format!("{names:?}"), "headers"), ("[x-a, X-A]".to_owned(), "headers::1")]
        {
            let yaml = format!("{{ headers: {headers} }}");
            let capture: CaptureSettings = testing::read(&yaml).unwrap();
            let problems =
                testing::check(&format!("capture: {yaml}"), "tap", |report| capture.check(report));
            let paths: Vec<&str> = problems.0.iter().map(|p| &*p.path).collect();
            assert_eq!(paths, [format!("tap::capture::{path}")]);
            assert!(capture.captures());
        }
    }
}
