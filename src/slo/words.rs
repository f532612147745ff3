//! An alert and a budget in plain words, for people who have just been woken up.

use super::alert::Change;
use super::engine::Key;
use super::judge::Measure;
use super::objective::{Objective, Transition};

/// Says what burns, how fast, and how much is left, in one line without control characters of others.
///
/// `left` is the part of the budget that is left and the number of bad calls until it is gone.
pub fn alert(of: &Objective, key: &Key, transition: &Transition, left: (f64, u64)) -> String {
    let rule = &of.rules[transition.rule];
    let what = subject(of, key);
    let grade = rule.severity.name();
    let counts = transition.windows.long;
    let window = span(rule.long);
    match transition.change {
        Change::Firing => {
            let burn = counts.burn(of.budget).unwrap_or_default();
            let verb = bad(of);
            format!(
                "{grade}: {what} burns its budget {} times as fast as allowed: {} of {} calls {verb} in the last {window}. {}",
                short(burn),
                counts.bad,
                counts.total,
                outlook(of, burn, left)
            )
        }
        Change::Pending => format!("{what} burns its budget: {} is pending", rule.id),
        Change::Inactive => format!("{what}: {} is no longer pending", rule.id),
        Change::Resolved(reason) => {
            use super::alert::Reason;
            match reason {
                Reason::Recovered => format!(
                    "resolved: {what} has recovered: {} of {} calls {} in the last {window}",
                    counts.bad,
                    counts.total,
                    bad(of)
                ),
                Reason::NoData => {
                    let empty = if counts.total == 0 { rule.long } else { rule.short };
                    let empty = span(empty);
                    format!("ended without recovery: no calls of {what} in the last {empty}")
                }
                Reason::Config => format!("ended: {what} is not watched any more"),
            }
        }
    }
}

/// Says when the budget is gone at that rate, and how many bad calls it bears.
fn outlook(of: &Objective, burn: f64, (left, failures): (f64, u64)) -> String {
    let window = span(of.window);
    if left <= 0.0 {
        return format!("The budget of {window} is spent {} times over.", short(1.0 - left));
    }
    let calls = match failures {
        0 => "the next one is one too many".to_owned(),
        1 => "1 more bad call".to_owned(),
        n => format!("{n} more bad calls"),
    };
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let gone = span((left * of.window as f64 / burn.max(f64::MIN_POSITIVE)) as u64);
    format!("At this rate the budget of {window} is gone in {gone}; {calls}.")
}

/// Names what the alert is about.
fn subject(of: &Objective, key: &Key) -> String {
    let mut out = of.name.clone();
    let parts = [("server", &key.server), ("tool", &key.tool)];
    for (word, name) in parts {
        if let Some(name) = name {
            let plain = |c: char| if c.is_control() { ' ' } else { c };
            out.push_str(&format!(", {word} {}", name.chars().map(plain).collect::<String>()));
        }
    }
    if key.others {
        out.push_str(", all others");
    }
    out
}

fn bad(of: &Objective) -> String {
    match of.judge.measure {
        Measure::Failures(_) => "failed".to_owned(),
        Measure::Latency(nanos) => {
            #[allow(clippy::cast_precision_loss)]
            let millis = nanos as f64 / 1e6;
            format!("took more than {}ms", short(millis))
        }
    }
}

/// Writes a number as people read it: up to two digits behind the point, and none where they say nothing.
fn short(number: f64) -> String {
    let digits = if number >= 100.0 {
        0
    } else if number >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{number:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Writes seconds in all units that they have, as Prometheus reads them: `1h30m`.
pub fn exact(seconds: u64) -> String {
    let mut rest = seconds;
    let mut out = String::new();
    for (unit, name) in UNITS {
        if rest >= unit {
            out += &format!("{}{name}", rest / unit);
            rest %= unit;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// Units of time, in seconds.
const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

/// Writes seconds in the two largest units that say something: `3d 18h`, `5m`.
pub fn span(seconds: u64) -> String {
    let mut rest = seconds;
    let mut out = Vec::new();
    for (unit, name) in UNITS {
        let n = rest / unit;
        rest %= unit;
        if n > 0 {
            out.push(format!("{n}{name}"));
        } else if !out.is_empty() {
            break;
        }
        if out.len() == 2 {
            break;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slo::alert::{Reason, Windows};
    use crate::slo::budget::{Counts, Fraction};
    use crate::slo::judge::{Judge, Outcomes};
    use crate::slo::rules::preset;

    const DAY: u64 = 86_400;

    fn objective(measure: Measure) -> Objective {
        let judge = Judge { measure, exclude: Outcomes::default() };
        let budget = Fraction::parse("1%").unwrap();
        Objective::new("read_file errors", judge, budget, 30 * DAY, preset(30 * DAY).unwrap())
    }

    fn told(of: &Objective, change: Change, [bad, total]: [u64; 2], left: (f64, u64)) -> String {
        let long = Counts { total, bad };
        let windows = Windows { long, short: long };
        let (again, suppressed) = (false, false);
        let transition = Transition { rule: 0, change, again, suppressed, windows, at: 0 };
        let key = Key { tool: Some("a\u{1b}b".to_owned()), ..Key::default() };
        alert(of, &key, &transition, left)
    }

    #[test]
    fn it_says_what_burns_how_fast_and_how_much_is_left() {
        let errors = objective(Measure::Failures(Outcomes::FAILURES));
        assert_eq!(
            told(&errors, Change::Firing, [160, 1_000], (0.1111, 43)),
            "page: read_file errors, tool a b burns its budget 16 times as fast as allowed: 160 of 1000 calls failed in the last 1h. At this rate the budget of 30d is gone in 4h 59m; 43 more bad calls."
        );
        assert_eq!(
            told(&errors, Change::Firing, [8, 100], (-7.0, 0)),
            "page: read_file errors, tool a b burns its budget 8 times as fast as allowed: 8 of 100 calls failed in the last 1h. The budget of 30d is spent 8 times over."
        );
        let slow = objective(Measure::Latency(800_000_000));
        assert_eq!(
            told(&slow, Change::Resolved(Reason::Recovered), [1, 100], (0.5, 1)),
            "resolved: read_file errors, tool a b has recovered: 1 of 100 calls took more than 800ms in the last 1h"
        );
        let gone = told(&slow, Change::Resolved(Reason::NoData), [0, 0], (1.0, 0));
        assert!(gone.starts_with("ended without recovery: no calls of"), "{gone}");
    }

    #[test]
    fn spans_are_two_units_at_most() {
        let all = [0, 59, 60, 3_600, 5 * 3_600 + 61, 90 * 60, 30 * DAY, 3 * DAY + 18 * 3_600 + 5];
        let told: Vec<String> = all.into_iter().map(span).collect();
        assert_eq!(told, ["0s", "59s", "1m", "1h", "5h 1m", "1h 30m", "30d", "3d 18h"]);
        let all = [0, 300, 5_400, 90_061, 30 * DAY].map(exact);
        assert_eq!(all, ["0s", "5m", "1h30m", "1d1h1m1s", "30d"]);
    }
}
