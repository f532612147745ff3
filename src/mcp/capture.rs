//! Decides how much of a call's content is captured for the redaction behind a tap: by tool, as the settings say.
//!
//! It decides and keeps nothing. What is captured stands beside the spans, never on them.

use crate::telemetry::{Capture, CaptureLevel};

/// Says what is captured of which calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureRules {
    /// Of all calls that no rule names.
    pub usual: Capture,
    /// Of others; the last that fits counts.
    pub rules: Vec<CaptureRule>,
}

/// Says what is captured of the calls of some tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureRule {
    /// The server as the user named it, with `*` for anything; any if it is absent.
    pub server: Option<String>,
    /// The tool, likewise.
    pub tool: Option<String>,
    /// Says how much is captured of them.
    pub capture: Capture,
}

impl CaptureRules {
    /// Says what is captured of a call of `tool`; of what is no call of a tool, errors alone.
    pub(super) fn of(&self, server: &str, tool: Option<&str>) -> Capture {
        let fits = |pattern: &Option<String>, name: Option<&str>| match (pattern, name) {
            (None, _) => true,
            (Some(pattern), Some(name)) => fits(pattern, name),
            (Some(_), None) => false,
        };
        let rule =
            self.rules.iter().rfind(|r| fits(&r.server, Some(server)) && fits(&r.tool, tool));
        let capture = rule.map_or(self.usual, |rule| rule.capture);
        match tool {
            Some(_) => capture,
            None => Capture { arguments: CaptureLevel::Off, results: CaptureLevel::Off, ..capture },
        }
    }
}

/// Says whether a name fits a pattern, in which `*` stands for any characters.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name) in [
            ("*", ""),
            ("a*", "a"),
            ("a*c", "abbc"),
            ("*b*", "abc"),
            ("get_*_x", "get_a_b_x"),
            ("a", "a"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("", "a"), ("a", "ab"), ("a*c", "ab"), ("*b", "bc"), ("ab*ba", "aba")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn the_last_rule_that_fits_counts_and_calls_of_no_tool_have_errors_alone() {
        let all = Capture {
            arguments: CaptureLevel::Redacted,
            errors: CaptureLevel::Redacted,
            ..Capture::default()
        };
        let rule = |server: Option<&str>, tool: Option<&str>, capture| CaptureRule {
            server: server.map(Into::into),
            tool: tool.map(Into::into),
            capture,
        };
        let rules = CaptureRules {
            usual: all,
            rules: vec![
                rule(None, Some("get_*"), Capture::default()),
                rule(Some("git*"), Some("get_x"), all),
            ],
        };
        assert_eq!(rules.of("files", Some("put")), all);
        assert_eq!(rules.of("files", Some("get_x")), Capture::default());
        assert_eq!(rules.of("github", Some("get_x")), all);
        assert_eq!(rules.of("github", None), Capture { arguments: CaptureLevel::Off, ..all });
    }
}
