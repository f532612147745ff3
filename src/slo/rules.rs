//! When a burning budget is worth an alert: rules over two windows each, as in chapter 5 of Google's SRE workbook.

use super::budget::{Fraction, Threshold};
use super::rings::Pair;

/// Says how urgent an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Wakes somebody.
    Page,
    /// Is worth a look on the next working day.
    Ticket,
}

/// Says how fast a budget has to burn for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Speed {
    /// So much of the budget of the whole window is gone within the rule's long window.
    Spent(Fraction),
    /// So many times as fast as allowed.
    Factor(Fraction),
}

/// A rule of one objective. All times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Its name among the rules of the objective.
    pub id: String,
    /// Says how urgent its alert is.
    pub severity: Severity,
    /// Says how fast the budget has to burn.
    pub speed: Speed,
    /// The window in which it does.
    pub long: u64,
    /// The window in which it still does; at most the long one.
    pub short: u64,
    /// Says how long it has to hold before it fires.
    pub hold: u64,
    /// Says how long it goes on firing when it does not hold any more.
    pub keep_firing: u64,
    /// Events that the long window needs before it may begin to fire.
    pub min_events: u64,
    /// Bad ones among those.
    pub min_bad: u64,
    /// An empty short window does not end an alert that fires: agents stop calling a tool that is broken.
    pub hold_on_no_data: bool,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The longest time that a rule goes on firing unless told otherwise.
const LONGEST_KEEP: u64 = 15 * MINUTE;

impl Severity {
    /// Gives its name.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Page => "page",
            Severity::Ticket => "ticket",
        }
    }
}

impl Rule {
    /// Makes a rule with what is usual for its severity, and a short window of a twelfth of the long one.
    pub fn new(id: &str, severity: Severity, speed: Speed, long: u64, short: Option<u64>) -> Self {
        let short = short.unwrap_or((long / 12).max(1));
        let (min_events, min_bad) = match severity {
            Severity::Page => (10, 3),
            Severity::Ticket => (5, 2),
        };
        Rule {
            id: id.to_owned(),
            severity,
            speed,
            long,
            short,
            hold: 0,
            keep_firing: short.min(LONGEST_KEEP),
            min_events,
            min_bad,
            hold_on_no_data: true,
        }
    }

    /// Gives the part of bad events above which it holds, for that budget over a window of that many seconds.
    pub fn threshold(&self, budget: Fraction, window: u64) -> Threshold {
        match self.speed {
            Speed::Spent(spent) => Threshold::spending(spent, window, self.long, budget),
            Speed::Factor(factor) => Threshold::burning(factor, budget),
        }
    }

    /// Gives its windows.
    pub fn windows(&self) -> Pair {
        Pair { long: self.long, short: self.short }
    }
}

/// Gives the rules that are usual for a window of 30, 28 or 7 days; for any other they have to be written.
pub fn preset(window: u64) -> Option<Vec<Rule>> {
    // Percent of the budget: the workbook's, and sloth's for a week.
    let spent = match window / DAY {
        30 | 28 => [2, 5, 10, 10],
        7 => [8, 125, 20, 42],
        _ => return None,
    };
    if !window.is_multiple_of(DAY) {
        return None;
    }
    let percent = |n: u64| match n {
        125 => Fraction::nano(125_000_000),
        n => Fraction::nano(n * 10_000_000),
    };
    let rows = [
        ("page_fast", Severity::Page, HOUR, 5 * MINUTE),
        ("page_slow", Severity::Page, 6 * HOUR, 30 * MINUTE),
        ("ticket_fast", Severity::Ticket, DAY, 2 * HOUR),
        ("ticket_slow", Severity::Ticket, 3 * DAY, 6 * HOUR),
    ];
    let rule = |((id, severity, long, short), spent)| {
        Rule::new(id, severity, Speed::Spent(percent(spent)), long, Some(short))
    };
    Some(rows.into_iter().zip(spent).map(rule).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(days: u64) -> Vec<String> {
        // Of a budget small enough that nothing is clamped.
        let budget = Fraction::nano(1_000_000);
        let rules = preset(days * DAY).unwrap();
        let factor = |rule: &Rule| rule.threshold(budget, days * DAY).as_f64() / budget.as_f64();
        rules.iter().map(|rule| format!("{:.3}", factor(rule))).collect()
    }

    #[test]
    fn factors_are_what_spends_the_budget_in_the_long_window() {
        assert_eq!(factors(30), ["14.400", "6.000", "3.000", "1.000"]);
        assert_eq!(factors(28), ["13.440", "5.600", "2.800", "0.933"]);
        assert_eq!(factors(7), ["13.440", "3.500", "1.400", "0.980"]);
        assert_eq!(preset(14 * DAY), None);
        assert_eq!(preset(30 * DAY + 1), None);
    }

    #[test]
    fn a_rule_keeps_firing_as_long_as_its_short_window_and_no_longer_than_a_quarter_of_an_hour() {
        let kept: Vec<_> = preset(30 * DAY).unwrap().iter().map(|rule| rule.keep_firing).collect();
        assert_eq!(kept, [5 * MINUTE, 15 * MINUTE, 15 * MINUTE, 15 * MINUTE]);
        let own = Rule::new("own", Severity::Page, Speed::Factor(Fraction::nano(1)), 60, None);
        assert_eq!(own.short, 5);
        assert_eq!(Rule::new("own", Severity::Page, own.speed, 3, None).short, 1);
    }
}
