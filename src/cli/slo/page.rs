//! Writes what `slo check` found, for people and for programs.

use serde::Serialize;

use super::verdict::Verdict;
use crate::cli::shown;
use crate::cli::table::Table;
use crate::exporters::debug::Timestamp;
use crate::processors::slo::Notice;
use crate::slo::engine::{Key, Row};
use crate::slo::objective::{Objective, Standing};
use crate::slo::words::{exact, span};
use crate::telemetry::Nanos;

/// Gives the table of all objectives and, below it, what each of them says in its windows.
pub(super) fn text(verdicts: &[Verdict<'_>], at: Nanos, colours: bool) -> String {
    let mut summary =
        Table::new(&["objective", "state", ">calls", ">bad", ">burn", ">budget left", ">known"]);
    let mut details = String::new();
    for verdict in verdicts {
        for row in verdict.engine.rows() {
            let of = &verdict.engine.entries()[row.objective].objective;
            let whole = row.series.whole(of);
            summary.row([
                subject(of, &row.key),
                standing(of, row),
                whole.total.to_string(),
                whole.bad.to_string(),
                burn(whole.burn(of.budget)),
                format!("{}%", number(100.0 * of.budget_left(whole))),
                known(row.series.coverage(of, verdict.engine.now())),
            ]);
            details += &detail(verdict, of, row, colours);
        }
    }
    let burning =
        |column: usize, cell: &str| (column == 1 && cell.starts_with("burning")).then_some(31);
    format!("at {}\n\n{}{details}", shown::time(at), summary.painted(colours, burning))
}

fn detail(verdict: &Verdict<'_>, of: &Objective, row: &Row, colours: bool) -> String {
    let metric = verdict.config.metric(row.objective);
    let calls = row.series.whole(of);
    let mut out = format!(
        "\n{}: {metric}, {}% of calls may be bad in {}{}\n",
        subject(of, &row.key),
        number(100.0 * of.budget.as_f64()),
        span(of.window),
        match of.failures_left(calls) {
            _ if calls.total == 0 => String::new(),
            0 => "; the budget is spent".to_owned(),
            1 => "; it bears 1 more bad call".to_owned(),
            n => format!("; it bears {n} more bad calls"),
        }
    );
    let mut windows = Table::new(&["window", ">calls", ">bad", ">ratio", ">burn", "fires above"]);
    for window in row.series.all_windows(of) {
        let rules: Vec<String> = of
            .rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| [rule.long, rule.short].contains(&window.length))
            .map(|(at, rule)| {
                let factor = of.threshold(at).factor(of.budget);
                format!("{} ({})", number(factor), rule.id)
            })
            .collect();
        windows.row([
            exact(window.length),
            window.counts.total.to_string(),
            window.counts.bad.to_string(),
            window.counts.ratio().map_or("-".to_owned(), |r| format!("{}%", number(100.0 * r))),
            burn(window.counts.burn(of.budget)),
            rules.join(", "),
        ]);
    }
    out += &windows.painted(colours, |_, _| None).to_string();
    for change in changes(verdict, of, &row.key) {
        let hidden = if change.transition.suppressed { ", kept back" } else { "" };
        let why = change.reason().map(|why| format!(" ({why})")).unwrap_or_default();
        out += &format!(
            "  {}  {} {}{why}{hidden}\n",
            shown::time(change.transition.at * 1_000_000_000),
            change.rule,
            change.state()
        );
    }
    out
}

fn changes<'v>(
    verdict: &'v Verdict<'_>,
    of: &'v Objective,
    key: &'v Key,
) -> impl Iterator<Item = &'v Notice> {
    verdict.changes.iter().filter(move |change| change.slo == of.name && change.key == *key)
}

fn subject(of: &Objective, key: &Key) -> String {
    let mut name = of.name.clone();
    for part in [&key.server, &key.tool].into_iter().flatten() {
        name += &format!(" {part}");
    }
    if key.others {
        name += " (all others)";
    }
    shown::name(&name)
}

fn standing(of: &Objective, row: &Row) -> String {
    match row.series.standing(of) {
        Standing::NoData => "no calls".to_owned(),
        Standing::TooLittle => "too little traffic".to_owned(),
        Standing::Fine => "ok".to_owned(),
        Standing::Burning => {
            let firing = of.rules.iter().zip(row.series.states(of));
            let names: Vec<&str> = firing
                .filter(|(_, (state, _))| state.is_firing())
                .map(|(rule, _)| rule.id.as_str())
                .collect();
            format!("burning: {}", names.join(", "))
        }
    }
}

/// Says what part of the window is known, and never that it is nothing.
fn known(part: f64) -> String {
    if part < 0.01 { "<1%".to_owned() } else { format!("{:.0}%", 100.0 * part) }
}

fn burn(burn: Option<f64>) -> String {
    burn.map_or("-".to_owned(), number)
}

/// Writes a number with two digits behind the point at most.
fn number(n: f64) -> String {
    let text = format!("{n:.2}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

/// Gives the same as JSON.
pub(super) fn json(verdicts: &[Verdict<'_>], at: Nanos) -> String {
    let mut slos = Vec::new();
    for verdict in verdicts {
        for row in verdict.engine.rows() {
            slos.push(JsonSlo::of(verdict, row));
        }
    }
    let page = Json { version: 1, at: Timestamp(at).to_string(), slos };
    serde_json::to_string(&page).unwrap_or_default() + "\n"
}

/// Holds what `--format json` prints. Fields are added, never changed, while `version` is the same.
#[derive(Serialize)]
struct Json<'a> {
    version: u8,
    at: String,
    slos: Vec<JsonSlo<'a>>,
}

#[derive(Serialize)]
struct JsonSlo<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    others: bool,
    metric: &'a str,
    budget: f64,
    state: &'static str,
    windows: Vec<JsonWindow>,
    budget_remaining: f64,
    failures_left: u64,
    coverage: f64,
    no_data: bool,
    rules: Vec<JsonRule<'a>>,
    alerts: Vec<JsonAlert<'a>>,
}

#[derive(Serialize)]
struct JsonWindow {
    window: String,
    total: u64,
    bad: u64,
    ratio: Option<f64>,
    burn: Option<f64>,
}

/// A rule, and the state of its alert at that time.
#[derive(Serialize)]
struct JsonRule<'a> {
    rule: &'a str,
    severity: &'static str,
    long: String,
    short: String,
    threshold: f64,
    burn: f64,
    state: &'static str,
    suppressed: bool,
}

/// A change of an alert.
#[derive(Serialize)]
struct JsonAlert<'a> {
    rule: &'a str,
    severity: &'static str,
    state: &'static str,
    at: String,
    suppressed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl<'a> JsonSlo<'a> {
    fn of(verdict: &'a Verdict<'_>, row: &'a Row) -> Self {
        let of = &verdict.engine.entries()[row.objective].objective;
        let Row { key, series, .. } = row;
        let whole = series.whole(of);
        let windows = series.all_windows(of).into_iter().map(|window| JsonWindow {
            window: exact(window.length),
            total: window.counts.total,
            bad: window.counts.bad,
            ratio: window.counts.ratio(),
            burn: window.counts.burn(of.budget),
        });
        let rules = of.rules.iter().zip(series.states(of)).enumerate();
        let rules = rules.map(|(at, (rule, (state, suppressed)))| JsonRule {
            rule: &rule.id,
            severity: rule.severity.name(),
            long: exact(rule.long),
            short: exact(rule.short),
            threshold: of.threshold(at).as_f64(),
            burn: of.threshold(at).factor(of.budget),
            state: state.name(),
            suppressed,
        });
        let alerts = changes(verdict, of, key).map(|change| JsonAlert {
            rule: &change.rule,
            severity: change.severity.name(),
            state: change.state(),
            at: Timestamp(change.transition.at * 1_000_000_000).to_string(),
            suppressed: change.transition.suppressed,
            reason: change.reason(),
        });
        JsonSlo {
            name: &of.name,
            server: key.server.as_deref(),
            tool: key.tool.as_deref(),
            others: key.others,
            metric: verdict.config.metric(row.objective),
            budget: of.budget.as_f64(),
            state: match series.standing(of) {
                Standing::NoData => "no_data",
                Standing::Burning => "burning",
                Standing::TooLittle => "too_little_traffic",
                Standing::Fine => "ok",
            },
            windows: windows.collect(),
            budget_remaining: of.budget_left(whole),
            failures_left: of.failures_left(whole),
            coverage: series.coverage(of, verdict.engine.now()),
            no_data: whole.total == 0,
            rules: rules.collect(),
            alerts: alerts.collect(),
        }
    }
}
