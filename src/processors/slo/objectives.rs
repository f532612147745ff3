//! Makes objectives of what is written of them, and says all that is wrong with it.

use std::collections::BTreeSet;

use super::written::{self, Defaults, Metric, PERCENTILE, Slo, Span};
use crate::processors::complaints::Complaints;
use crate::settings::did_you_mean;
use crate::slo::budget::{BadFraction, Fraction};
use crate::slo::engine::{Entry, MAX_NAME};
use crate::slo::judge::{Judge, Measure, OUTCOMES, Outcome, Outcomes};
use crate::slo::matching::{Each, MAX_PATTERN, Pattern, Selector};
use crate::slo::objective::Objective;
use crate::slo::rules::{Rule, Severity, Speed, preset};
use crate::slo::words::span;

/// The most objectives of one processor: each call is compared with all of them the first time.
const MAX_SLOS: usize = 1000;
/// The most rules of one objective.
const MAX_RULES: usize = 16;
/// The longest window of a budget, in seconds: a year and a day.
const MAX_WINDOW: u64 = 366 * 86_400;
/// Says how many times as long as its short window a rule's long one may be: what a series takes grows with it.
const MAX_SPREAD: u64 = 60;
/// The most names and patterns of one objective.
const MAX_NAMES: usize = 100;

/// Reads all of them.
pub(super) fn read(slos: &[Slo], defaults: &Defaults, complaints: &mut Complaints) -> Vec<Entry> {
    if slos.is_empty() {
        complaints.error(
            "slos",
            "needs an objective, such as `{ tool: read_file, metric: error_rate, target: 1% }`",
        );
    }
    if slos.len() > MAX_SLOS {
        complaints.error("slos", format!("has more than {MAX_SLOS} objectives"));
    }
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for (i, slo) in slos.iter().take(MAX_SLOS).enumerate() {
        let mut reading = Reading { at: format!("slos.{i}"), slo, defaults, complaints };
        let name = reading.name();
        if !names.insert(name.clone()) {
            reading.error(
                ".name",
                format!("two objectives are called `{name}`; write another `name` here"),
            );
        }
        all.extend(reading.entry(&name));
    }
    all
}

/// One objective while it is read.
struct Reading<'a> {
    at: String,
    slo: &'a Slo,
    defaults: &'a Defaults,
    complaints: &'a mut Complaints,
}

impl Reading<'_> {
    fn error(&mut self, field: &str, message: impl ToString) {
        self.complaints.error(format!("{}{field}", self.at), message);
    }

    fn warn(&mut self, field: &str, message: impl ToString) {
        self.complaints.warn(format!("{}{field}", self.at), message);
    }

    fn entry(&mut self, name: &str) -> Option<Entry> {
        let selector = Selector {
            servers: self.patterns(".server", &self.slo.server.0),
            tools: self.patterns(".tool", &self.slo.tool.0),
        };
        let each = Each { server: self.slo.each.server, tool: self.slo.each.tool };
        let exclude = self.outcomes(".exclude", &self.slo.exclude);
        let measure = self.measure(exclude);
        let budget = self.budget();
        let window = self.window();
        let rules = self.rules(window);
        let (measure, budget) = (measure?, budget?);
        let judge = Judge { measure, exclude };
        let objective = Objective::new(name, judge, budget, window, rules?);
        self.warn_of_clamped(&objective);
        Some(Entry { objective, selector, each })
    }

    /// Gives the name as written, or one made of what it is about.
    fn name(&mut self) -> String {
        let name = match &self.slo.name {
            Some(name) => name.trim().to_owned(),
            None => {
                let server = self.slo.server.0.join(",");
                let tool = self.slo.tool.0.join(",");
                let about = match (server.as_str(), tool.as_str()) {
                    ("", "") => "all".to_owned(),
                    ("", tool) => tool.to_owned(),
                    (server, "") => format!("{server}/*"),
                    (server, tool) => format!("{server}/{tool}"),
                };
                format!("{about} {}", self.slo.metric.name())
            }
        };
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            let found = if self.slo.name.is_some() {
                "is"
            } else {
                "is not written, and what it would be is"
            };
            self.error(
                ".name",
                format!("{found} empty, longer than {MAX_NAME} bytes or has control characters"),
            );
        }
        name
    }

    fn patterns(&mut self, field: &str, names: &[String]) -> Vec<Pattern> {
        if names.len() > MAX_NAMES {
            self.error(
                field,
                format!("has more than {MAX_NAMES} names; use a pattern, such as `read_*`"),
            );
        }
        let mut all = Vec::new();
        for name in names {
            match Pattern::new(name) {
                Some(pattern) => all.push(pattern),
                None => {
                    self.error(field, format!("a name or pattern has 1 to {MAX_PATTERN} bytes"))
                }
            }
        }
        all
    }

    fn outcomes(&mut self, field: &str, words: &[String]) -> Outcomes {
        let mut all = Vec::new();
        for word in words {
            match Outcome::parse(word) {
                Some(outcome) => all.push(outcome),
                None => {
                    let names = || OUTCOMES.iter().map(|(_, name)| *name);
                    let meant = did_you_mean(word, names());
                    let known = names().collect::<Vec<_>>().join(", ");
                    self.error(field, format!("`{word}` is not an outcome;{meant} known: {known}"));
                }
            }
        }
        Outcomes::of(&all)
    }

    fn measure(&mut self, exclude: Outcomes) -> Option<Measure> {
        if self.slo.metric == Metric::Latency {
            if self.slo.bad.is_some() {
                let why = "belongs to `error_rate` and `availability`: what is slow is bad however it ended; use `exclude`";
                self.error(".bad", why);
            }
            let threshold =
                self.slo.percentiles.first().map(|(_, most)| *most).or(self.slo.threshold)?;
            let nanos = u64::try_from(threshold.0.as_nanos()).ok().filter(|nanos| *nanos > 0);
            if nanos.is_none() {
                let field = if self.slo.threshold.is_some() { ".threshold" } else { "" };
                self.error(
                    field,
                    "a call takes longer than no time at all; write a time such as `800ms`",
                );
            }
            return nanos.map(Measure::Latency);
        }
        let Some(words) = &self.slo.bad else { return Some(Measure::Failures(Outcomes::FAILURES)) };
        let bad = self.outcomes(".bad", words);
        if words.is_empty() {
            self.error(
                ".bad",
                "is an empty list, so no call would ever be bad; leave it out or name outcomes",
            );
        }
        for (outcome, name) in OUTCOMES.iter().filter(|(outcome, _)| bad.has(*outcome)) {
            if exclude.has(*outcome) {
                self.error(".exclude", format!("`{name}` is in `bad`, too; keep one of them"));
            }
            if matches!(outcome, Outcome::Ok | Outcome::InputRequired) {
                self.error(".bad", format!("`{name}` is no failure"));
            }
        }
        Some(Measure::Failures(bad))
    }

    fn budget(&mut self) -> Option<Fraction> {
        match self.slo.metric {
            Metric::Latency => self.budget_of_time(),
            Metric::ErrorRate | Metric::Availability => self.budget_of_failures(),
        }
    }

    fn budget_of_failures(&mut self) -> Option<Fraction> {
        let of_latency = [
            (".objective", self.slo.objective.is_some()),
            (".threshold", self.slo.threshold.is_some()),
            ("", !self.slo.percentiles.is_empty()),
        ];
        for (field, _) in of_latency.into_iter().filter(|(_, written)| *written) {
            self.error(field, "`target_pNN`, `objective` and `threshold` belong to `metric: latency`; write `target` here");
        }
        let rate = self.slo.metric == Metric::ErrorRate;
        let Some(text) = &self.slo.target else {
            let such = if rate { "0.01" } else { "99%" };
            self.error("", format!("`target` is missing; write it like `target: {such}`"));
            return None;
        };
        let target = self.fraction(".target", text)?;
        let budget = if rate { Some(target) } else { target.rest() };
        let Some(budget) = budget.filter(|budget| budget.is_proper()) else {
            let why = match (rate, target.nanos()) {
                (true, 0) => {
                    "no call may ever fail, so there is no budget to burn; write a small part, such as `0.1%`"
                }
                (false, 0) => "every call may fail; write the part that must not, such as `99%`",
                (true, _) => "every call may fail; write the part that may, such as `1%`",
                (false, _) => {
                    "no call may ever fail, so there is no budget to burn; write a little less, such as `99.9%`"
                }
            };
            self.error(".target", format!("`{text}`: {why}"));
            return None;
        };
        if target > HALF && rate {
            self.warn(
                ".target",
                format!(
                    "allows `{text}` of all calls to fail; did you mean `metric: availability`?"
                ),
            );
        } else if target < HALF && !rate {
            self.warn(
                ".target",
                format!(
                    "lets most calls fail (`{text}` must not); did you mean `metric: error_rate`?"
                ),
            );
        }
        Some(budget)
    }

    fn budget_of_time(&mut self) -> Option<Fraction> {
        if self.slo.target.is_some() {
            self.error(".target", "says no time; write `target_p95: 800ms`, or `objective: 95%` and `threshold: 800ms`");
            return None;
        }
        let by_objective = self.slo.objective.is_some() || self.slo.threshold.is_some();
        match (&self.slo.percentiles[..], by_objective) {
            ([], false) => {
                let why = "a target is missing; write `target_p95: 800ms`, or `objective: 95%` and `threshold: 800ms`";
                self.error("", why);
                None
            }
            ([], true) => {
                let (Some(objective), Some(_)) = (&self.slo.objective, self.slo.threshold) else {
                    self.error(
                        "",
                        "`objective` and `threshold` go together; one of them is missing",
                    );
                    return None;
                };
                let part = self.fraction(".objective", objective)?;
                self.budget_above(".objective", objective, part)
            }
            ([(key, _)], false) => {
                let percent = key.strip_prefix(PERCENTILE).unwrap_or_default();
                let part = self.fraction("", &format!("{percent}%"))?;
                self.budget_above("", key, part)
            }
            (_, _) => {
                self.error("", "has two kinds of target; keep one `target_pNN`, or `objective` with `threshold`");
                None
            }
        }
    }

    /// Gives what may be slower where that part must not be.
    fn budget_above(&mut self, field: &str, text: &str, part: Fraction) -> Option<Fraction> {
        let budget = part.rest().filter(|budget| budget.is_proper());
        if budget.is_none() {
            let why = "the part of calls that are fast enough is more than 0 and less than all: `95%`, `target_p99.9`";
            self.error(field, format!("`{text}`: {why}"));
        }
        budget
    }

    fn fraction(&mut self, field: &str, text: &str) -> Option<Fraction> {
        let why = match Fraction::parse(text) {
            Ok(part) if part.nanos() <= ONE.nanos() => return Some(part),
            Ok(_) | Err(BadFraction::TooLarge) => {
                let number = text.trim().trim_end_matches('%');
                format!(
                    "is more than all; write `{number}%` if it is in percent, which is at most `100%`"
                )
            }
            Err(BadFraction::NotANumber) => {
                "is not a part of all calls; write it like `0.01` or `1%`".to_owned()
            }
            Err(BadFraction::TooFine) => "has more than nine digits behind the point".to_owned(),
        };
        self.error(field, format!("`{text}` {why}"));
        None
    }

    fn window(&mut self) -> u64 {
        let Span(window) = self.slo.window.unwrap_or(self.defaults.window);
        if !(60..=MAX_WINDOW).contains(&window) {
            self.error(".window", "is from 1m to 366d");
        }
        window.clamp(60, MAX_WINDOW)
    }

    fn rules(&mut self, window: u64) -> Option<Vec<Rule>> {
        let Some(written) = &self.slo.alerts else {
            let usual = preset(window);
            if usual.is_none() {
                let why = format!(
                    "there are usual alerts for 30d, 28d and 7d; for a window of {} write `alerts`",
                    span(window)
                );
                self.error(".window", why);
            }
            let mut rules = usual?;
            for rule in &mut rules {
                self.defaults.apply(rule);
            }
            return Some(rules);
        };
        if written.len() > MAX_RULES {
            self.error(".alerts", format!("has more than {MAX_RULES} rules"));
        }
        let mut names = BTreeSet::new();
        let mut all = Vec::new();
        for (i, rule) in written.iter().take(MAX_RULES).enumerate() {
            let field = format!(".alerts.{i}");
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if rule.name.is_empty() || rule.name.len() > MAX_NAME || !rule.name.chars().all(word) {
                self.error(&format!("{field}.name"), "is made of letters, digits, `_` and `-`");
            }
            if !names.insert(&rule.name) {
                self.error(
                    &format!("{field}.name"),
                    format!("two alerts are called `{}`", rule.name),
                );
            }
            all.push(self.rule(&field, rule, window));
        }
        all.into_iter().collect()
    }

    fn rule(&mut self, field: &str, written: &written::Rule, window: u64) -> Option<Rule> {
        let severity = match written.severity {
            written::Severity::Page => Severity::Page,
            written::Severity::Ticket => Severity::Ticket,
        };
        let speed = match (&written.factor, &written.spent) {
            (Some(factor), None) => Speed::Factor(self.speed(&format!("{field}.factor"), factor)?),
            (None, Some(spent)) => Speed::Spent(self.fraction(&format!("{field}.spent"), spent)?),
            _ => {
                self.error(field, "needs one of `factor: 14.4` and `spent: 2%`");
                return None;
            }
        };
        let Span(long) = written.long;
        if long == 0 || long > window {
            self.error(
                &format!("{field}.long"),
                format!("is more than 0 and at most the window, {}", span(window)),
            );
            return None;
        }
        let mut rule =
            Rule::new(&written.name, severity, speed, long, written.short.map(|Span(short)| short));
        if rule.short == 0 || rule.short > long || long / rule.short > MAX_SPREAD {
            let why = format!("is at most `long` and at least a {MAX_SPREAD}th of it");
            self.error(&format!("{field}.short"), why);
            return None;
        }
        self.defaults.apply(&mut rule);
        if let Some(hold) = written.hold {
            rule.hold = hold.0.as_secs();
        }
        if let Some(keep) = written.keep_firing_for {
            rule.keep_firing = keep.0.as_secs();
        }
        rule.min_events = written.min_events.unwrap_or(rule.min_events);
        rule.min_bad = written.min_bad.unwrap_or(rule.min_bad);
        rule.hold_on_no_data = written.hold_on_no_data.unwrap_or(rule.hold_on_no_data);
        Some(rule)
    }

    fn speed(&mut self, field: &str, text: &str) -> Option<Fraction> {
        match Fraction::parse(text) {
            Ok(factor) if factor.nanos() > 0 => Some(factor),
            _ => {
                self.error(
                    field,
                    format!("`{text}` is not a factor; write a number above 0, such as `14.4`"),
                );
                None
            }
        }
    }

    /// Says which alerts would never fire if their thresholds stayed what they are.
    fn warn_of_clamped(&mut self, objective: &Objective) {
        let clamped = |at: &usize| objective.threshold(*at).is_highest();
        let which: Vec<usize> = (0..objective.rules.len()).filter(clamped).collect();
        if which.is_empty() {
            return;
        }
        let names: Vec<&str> = which.iter().map(|at| objective.rules[*at].id.as_str()).collect();
        let factor = 0.9 / objective.budget.as_f64();
        let message = format!(
            "{} would need more than 90 % of all calls to be bad, and fires at 90 %: {factor:.1} times the budget's pace",
            names.join(", ")
        );
        self.warn("", message);
    }
}

const ONE: Fraction = Fraction::nano(1_000_000_000);
const HALF: Fraction = Fraction::nano(500_000_000);
