//! Writes objectives as recording and alerting rules of Prometheus, for fleets whose processes each see a part.
//!
//! What Prometheus cannot express is left out and told in the file: an alert that goes on while nobody calls, guards that
//! hold only for the beginning of an alert, and tickets that a page keeps back.

use std::collections::BTreeSet;

use super::engine::Entry;
use super::rules::{Rule, Severity};
use super::words::exact;

/// The labels by which series are added up over processes: what an objective does not tell apart is absent.
const BY: &str = "slo, server, tool, otel_metric_overflow";

/// Writes the rules of these objectives as YAML, for `rule_files`.
pub fn rules(entries: &[Entry], interval: u64) -> String {
    let mut out = HEAD.to_owned();
    // One group: its rules are looked at one after the other, so that alerts see the ratios of their own time.
    out += &format!("groups:\n  - name: mcpcol-slo\n    interval: {interval}s\n    rules:\n");
    records(entries, &mut out);
    for entry in entries {
        for at in 0..entry.objective.rules.len() {
            alert(entry, at, &mut out);
        }
    }
    out
}

const HEAD: &str = "\
# Made by `mcpcol slo rules`: do not edit, make it again.
# Metrics are those that the processor `slo` shows on mcpcol's own port, or sends by OTLP.
# Other than mcpcol itself Prometheus ends an alert when nobody calls any more, asks for the least numbers of calls as
# long as an alert fires, sees counts between scrapes only as it estimates them, and sends tickets beside a page. Against
# the last, in Alertmanager:
#   inhibit_rules:
#     - { source_matchers: ['severity=\"page\"'], target_matchers: ['severity=\"ticket\"'], equal: [slo, server, tool] }
";

fn records(entries: &[Entry], out: &mut String) {
    let rules = || entries.iter().flat_map(|entry| &entry.objective.rules);
    let ruled: BTreeSet<u64> = rules().flat_map(|rule| [rule.short, rule.long]).collect();
    let guarded: BTreeSet<u64> = rules().map(|rule| rule.long).collect();
    let whole = entries.iter().map(|entry| entry.objective.window);
    let all: BTreeSet<u64> = ruled.into_iter().chain(whole).collect();
    let sum =
        |metric: &str, window: &str| format!("sum by ({BY}) (increase({metric}_total[{window}]))");
    for window in all {
        let name = exact(window);
        let [bad, events] =
            ["mcpcol_slo_bad", "mcpcol_slo_events"].map(|metric| sum(metric, &name));
        record(out, &format!("mcpcol:slo_ratio:{name}"), &format!("{bad} / ({events} > 0)"));
        if guarded.contains(&window) {
            record(out, &format!("mcpcol:slo_bad:{name}"), &bad);
            record(out, &format!("mcpcol:slo_events:{name}"), &events);
        }
    }
}

fn record(out: &mut String, name: &str, expr: &str) {
    *out += &format!("      - record: {name}\n        expr: {}\n", quoted(expr));
}

fn alert(entry: &Entry, at: usize, out: &mut String) {
    let of = &entry.objective;
    let rule: &Rule = &of.rules[at];
    let (long, short) = (exact(rule.long), exact(rule.short));
    let threshold = of.threshold(at).as_f64();
    let one = format!("{{slo={}}}", quoted(&of.name));
    let mut expr = format!(
        "mcpcol:slo_ratio:{long}{one} > {threshold} and mcpcol:slo_ratio:{short}{one} > {threshold}"
    );
    for (metric, least) in [("events", rule.min_events), ("bad", rule.min_bad)] {
        if least > 0 {
            expr += &format!(" and mcpcol:slo_{metric}:{long}{one} >= {least}");
        }
    }
    let name = match rule.severity {
        Severity::Page => "McpSloPage",
        Severity::Ticket => "McpSloTicket",
    };
    let factor = (of.threshold(at).factor(of.budget) * 1000.0).round() / 1000.0;
    let summary = format!(
        "{{{{ $labels.slo }}}} burns its budget more than {factor} times as fast as allowed ({long} and {short})"
    );
    let budget = format!("{} of all calls in {}", of.budget, exact(of.window));
    *out += &format!("      - alert: {name}\n        expr: {}\n", quoted(&expr));
    if rule.hold > 0 {
        *out += &format!("        for: {}s\n", rule.hold);
    }
    if rule.keep_firing > 0 {
        *out += &format!("        keep_firing_for: {}s\n", rule.keep_firing);
    }
    *out += &format!(
        "        labels: {{severity: {}, slo: {}, rule: {}}}\n",
        rule.severity.name(),
        quoted(&literal(&of.name)),
        quoted(&rule.id)
    );
    *out += &format!(
        "        annotations:\n          summary: {}\n          budget: {}\n",
        quoted(&summary),
        quoted(&budget)
    );
}

/// Writes a text in double quotes, as YAML and PromQL read it. It has no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Writes a text of which Prometheus makes itself where it takes a template.
fn literal(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slo::budget::Fraction;
    use crate::slo::judge::{Judge, Measure, Outcomes};
    use crate::slo::matching::{Each, Selector};
    use crate::slo::objective::Objective;
    use crate::slo::rules::preset;

    fn entry(name: &str, budget: &str) -> Entry {
        let judge =
            Judge { measure: Measure::Failures(Outcomes::FAILURES), exclude: Outcomes::default() };
        let window = 30 * 86_400;
        let budget = Fraction::parse(budget).unwrap();
        let objective = Objective::new(name, judge, budget, window, preset(window).unwrap());
        Entry { objective, selector: Selector::default(), each: Each::default() }
    }

    #[test]
    fn windows_thresholds_and_guards_are_those_of_the_engine() {
        let text = rules(&[entry("errors", "1%")], 30);
        for line in [
            "      - record: mcpcol:slo_ratio:5m\n        expr: \"sum by (slo, server, tool, otel_metric_overflow) \
             (increase(mcpcol_slo_bad_total[5m])) / (sum by (slo, server, tool, otel_metric_overflow) \
             (increase(mcpcol_slo_events_total[5m])) > 0)\"\n",
            "      - alert: McpSloPage\n        expr: \"mcpcol:slo_ratio:1h{slo=\\\"errors\\\"} > 0.144 and \
             mcpcol:slo_ratio:5m{slo=\\\"errors\\\"} > 0.144 and mcpcol:slo_events:1h{slo=\\\"errors\\\"} >= 10 and \
             mcpcol:slo_bad:1h{slo=\\\"errors\\\"} >= 3\"\n        keep_firing_for: 300s\n",
            "        labels: {severity: page, slo: \"errors\", rule: \"page_fast\"}\n",
            "> 0.06 and mcpcol:slo_ratio:30m",
            "> 0.03 and mcpcol:slo_ratio:2h",
            "> 0.01 and mcpcol:slo_ratio:6h",
            "record: mcpcol:slo_ratio:30d\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let records = text.matches("- record: mcpcol:slo_ratio:").count();
        assert_eq!(records, "5m 30m 1h 2h 6h 1d 3d 30d".split(' ').count());
        assert_eq!(text.matches("- alert:").count(), 4);
    }

    #[test]
    fn thresholds_are_clamped_and_names_are_quoted() {
        let text = rules(&[entry("a \"b\\c\" {{x}}", "50%")], 30);
        assert!(text.contains("} > 0.9 and"), "{text}");
        assert!(text.contains(r#"{slo=\"a \\\"b\\\\c\\\" {{x}}\"}"#), "{text}");
    }
}
