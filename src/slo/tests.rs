//! The engine as a whole: values worked out by hand, from events to alerts.

use super::alert::{Change, Reason, State, Windows};
use super::budget::{Counts, Fraction};
use super::engine::{Alert, Engine, Entry, Event, Key, Limits, MAX_NAME, Row};
use super::judge::{Judge, Measure, Outcome, Outcomes};
use super::matching::{Each, Pattern, Selector};
use super::objective::{Objective, Standing};
use super::rules::{Severity, preset};

const DAY: u64 = 86_400;
/// A time on the edge of every bucket.
const START: u64 = 20_000 * DAY;
const LIMITS: Limits = Limits { series: 1_000, per_server: 200 };

fn fraction(text: &str) -> Fraction {
    Fraction::parse(text).unwrap()
}

fn entry(name: &str, measure: Measure, budget: &str, each: Each) -> Entry {
    let judge = Judge { measure, exclude: Outcomes::default() };
    let rules = preset(30 * DAY).unwrap();
    let objective = Objective::new(name, judge, fraction(budget), 30 * DAY, rules);
    Entry { objective, selector: Selector::default(), each }
}

fn failures(budget: &str) -> Engine {
    let entry = entry("errors", Measure::Failures(Outcomes::FAILURES), budget, Each::default());
    Engine::new(vec![entry], LIMITS, START)
}

fn call(end: u64, outcome: Outcome) -> Event<'static> {
    Event { server: "fs", tool: "read_file", listed: true, outcome, end, took: 1_000_000 }
}

/// Calls in equal distances from a time on: of each `of`, the last `bad` fail.
fn calls(
    engine: &mut Engine,
    from: u64,
    every: u64,
    n: u64,
    [bad, of]: [u64; 2],
) -> Vec<(u64, Alert)> {
    let mut out = Vec::new();
    for at in 0..n {
        let now = from + at * every;
        let outcome = if at % of >= of - bad { Outcome::ToolError } else { Outcome::Ok };
        engine.count(&call(now, outcome), now);
        if now.is_multiple_of(30) {
            out.extend(engine.evaluate(now).into_iter().map(|alert| (now, alert)));
        }
    }
    out
}

fn told(engine: &Engine, alerts: &[(u64, Alert)]) -> Vec<(u64, String)> {
    let tell = |(at, alert): &(u64, Alert)| {
        let rule = &engine.entries()[alert.objective].objective.rules[alert.transition.rule].id;
        let hidden = if alert.transition.suppressed { " (suppressed)" } else { "" };
        (at - START, format!("{rule} {:?}{hidden}", alert.transition.change))
    };
    alerts.iter().filter(|(_, alert)| !alert.transition.again).map(tell).collect()
}

fn whole(engine: &Engine) -> Counts {
    let row = &engine.rows()[0];
    row.series.whole(&engine.entries()[row.objective].objective)
}

#[test]
fn eight_percent_of_errors_against_one_percent_is_eight_budgets_and_no_page_of_fourteen() {
    let mut engine = failures("1%");
    let alerts = calls(&mut engine, START, 10, 360, [8, 100]);
    let objective = &engine.entries()[0].objective;
    assert_eq!(whole(&engine), Counts { total: 360, bad: 24 });
    assert_eq!(whole(&engine).burn(objective.budget), Some(24e9 / 3.6e9));
    // Never more than 8 %: too little for the factor 14.4, enough for 6 once there are 6 of 98.
    let told = told(&engine, &alerts);
    assert!(told.contains(&(990, "page_slow Firing".to_owned())), "{told:?}");
    assert!(told.iter().all(|(_, what)| !what.starts_with("page_fast")), "{told:?}");
    assert!(objective.budget_left(Counts { total: 100, bad: 8 }) + 7.0 < 1e-9);
    assert_eq!(objective.failures_left(Counts { total: 100, bad: 8 }), 0);
}

#[test]
fn exactly_on_target_nothing_ever_fires_and_nothing_is_left() {
    let mut engine = failures("10%");
    let alerts = calls(&mut engine, START + DAY, 30, 8_000, [1, 10]);
    assert_eq!(told(&engine, &alerts), []);
    let counts = whole(&engine);
    assert_eq!(counts, Counts { total: 8_000, bad: 800 });
    let objective = &engine.entries()[0].objective;
    assert_eq!(objective.budget_left(counts), 0.0);
    assert_eq!(objective.failures_left(counts), 0);
}

#[test]
fn no_calls_are_no_data_and_one_failure_alone_is_no_alert() {
    let mut engine = failures("1%");
    assert_eq!(engine.evaluate(START + DAY), []);
    assert_eq!(whole(&engine).burn(fraction("1%")), None);
    assert_eq!(engine.entries()[0].objective.budget_left(whole(&engine)), 1.0);
    let now = START + DAY;
    engine.count(&call(now, Outcome::ServerGone), now);
    assert_eq!(engine.evaluate(now), []);
    assert_eq!(whole(&engine), Counts { total: 1, bad: 1 });
    let standing =
        |engine: &Engine| engine.rows()[0].series.standing(&engine.entries()[0].objective);
    assert_eq!(standing(&engine), Standing::TooLittle, "which is not fine");
    for _ in 0..9 {
        engine.count(&call(now, Outcome::Ok), now);
    }
    assert_eq!(standing(&engine), Standing::Fine);
    engine.evaluate(now + 40 * DAY);
    assert_eq!(standing(&engine), Standing::NoData);
}

#[test]
fn a_fast_burn_pages_at_once_and_resolves_when_it_is_over() {
    let mut engine = failures("1%");
    // An hour of calls each 10 s, all good; then all bad.
    assert_eq!(calls(&mut engine, START, 10, 360, [0, 1]), []);
    let outage = START + 3_600;
    let alerts = calls(&mut engine, outage, 10, 61, [1, 1]);
    // Over 1 %: 4 of 364. Over 3 %: 12 of 372, so 110 s in, and looked at 10 s later. Over 6 %: 23 of 383, after 220 s.
    // Over 14.4 % of the 361 calls in an hour and its present bucket: 52, after 510 s.
    assert_eq!(
        told(&engine, &alerts),
        [
            (3_600 + 30, "ticket_slow Firing".to_owned()),
            (3_600 + 120, "ticket_fast Firing".to_owned()),
            (3_600 + 240, "page_slow Firing".to_owned()),
            (3_600 + 510, "page_fast Firing".to_owned()),
        ]
    );
    let fixed = outage + 610;
    let alerts = calls(&mut engine, fixed, 10, 360, [0, 1]);
    let told = told(&engine, &alerts);
    // Five minutes and their present bucket have 31 calls. Four bad ones are too few: 270 s after the last. Then it is
    // kept for five minutes.
    assert_eq!(told[0], (4_470 + 300, "page_fast Resolved(Recovered)".to_owned()), "{told:?}");
}

#[test]
fn a_slow_burn_is_seen_by_long_windows_only() {
    let mut engine = failures("1%");
    // 2 % for three days: a factor of 2, above 1 and below 3.
    let alerts = calls(&mut engine, START, 30, 3 * 2_880, [1, 50]);
    let told = told(&engine, &alerts);
    assert!(told.iter().all(|(_, what)| what.starts_with("ticket_slow")), "{told:?}");
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_ticket_behind_a_page_is_recorded_and_sent_when_the_page_is_over() {
    let mut engine = failures("1%");
    // Everything fails from the beginning, and nobody looks before the guards of all are through.
    for at in 0..12 {
        engine.count(&call(START + at * 10, Outcome::ToolError), START + at * 10);
    }
    let alerts: Vec<_> =
        engine.evaluate(START + 120).into_iter().map(|alert| (START + 120, alert)).collect();
    assert_eq!(
        told(&engine, &alerts),
        [
            (120, "page_fast Firing".to_owned()),
            (120, "page_slow Firing".to_owned()),
            (120, "ticket_fast Firing (suppressed)".to_owned()),
            (120, "ticket_slow Firing (suppressed)".to_owned()),
        ]
    );
    let Row { series, .. } = &engine.rows()[0];
    let states: Vec<bool> =
        series.states(&engine.entries()[0].objective).map(|(_, kept)| kept).collect();
    assert_eq!(states, [false, false, true, true]);
    let alerts = calls(&mut engine, START + 600, 10, 3_000, [0, 1]);
    let told = told(&engine, &alerts);
    let place = |what: &str| told.iter().position(|(_, told)| told == what);
    let over = place("page_slow Resolved(Recovered)").unwrap();
    assert_eq!(told[over + 1].1, "ticket_fast Firing", "{told:?}");
    assert_eq!(told[over].0, told[over + 1].0);
}

#[test]
fn a_ticket_that_was_told_before_its_page_ends_for_all_to_hear() {
    let mut engine = failures("1%");
    let alerts = calls(&mut engine, START, 10, 60, [1, 1]);
    assert_eq!(
        told(&engine, &alerts),
        [
            (60, "ticket_fast Firing".to_owned()),
            (60, "ticket_slow Firing".to_owned()),
            (90, "page_fast Firing".to_owned()),
            (90, "page_slow Firing".to_owned()),
        ]
    );
    // So many good calls that all of them end at once.
    for n in 0..100_000 {
        engine.count(&call(START + 600 + n / 100, Outcome::Ok), START + 600 + n / 100);
    }
    engine.evaluate(START + 1_620);
    let alerts = engine.evaluate(START + 1_620 + 900);
    assert_eq!(alerts.len(), 4);
    assert!(alerts.iter().all(|alert| !alert.transition.suppressed), "{alerts:?}");
}

#[test]
fn an_alert_that_goes_on_is_told_again_each_four_hours() {
    let mut engine = failures("1%");
    let alerts = calls(&mut engine, START, 30, 2 * 4 * 120 + 20, [1, 1]);
    let again: Vec<u64> = alerts
        .iter()
        .filter(|(_, alert)| alert.transition.again && alert.transition.rule == 0)
        .map(|(at, _)| at - START)
        .collect();
    assert_eq!(again, [270 + 4 * 3_600, 270 + 8 * 3_600]);
}

#[test]
fn other_objectives_go_on_with_the_series_of_which_the_same_calls_count() {
    let named = |name: &str, measure, budget| entry(name, measure, budget, Each::default());
    let failures = Measure::Failures(Outcomes::FAILURES);
    let both = vec![named("errors", failures, "1%"), named("slow", Measure::Latency(1), "5%")];
    let mut engine = Engine::new(both, LIMITS, START);
    let alerts = calls(&mut engine, START, 10, 60, [1, 1]);
    assert!(alerts.iter().any(|(_, alert)| alert.objective == 1));
    // Another name and target of the same calls; what is slow is another matter now.
    let new = vec![named("slow", Measure::Latency(2), "5%"), named("failures", failures, "50%")];
    let ended = engine.replace(new, LIMITS);
    let names: Vec<&str> = ended.iter().map(|(of, ..)| of.name.as_str()).collect();
    assert_eq!(names, ["slow"; 4]);
    assert!(ended.iter().all(|(.., t)| t.change == Change::Resolved(Reason::Config)));
    let totals: Vec<u64> = engine.rows().iter().map(|row| row.series.counts.total).collect();
    assert_eq!(totals, [0, 60]);
    // 100 % is over 90 %, as high as any threshold: it goes on without a word.
    assert_eq!(engine.evaluate(START + 600), []);
    let paging = engine.rows()[1].series.states(&engine.entries()[1].objective).next().unwrap();
    assert!(paging.0.is_firing());
}

#[test]
fn silence_holds_an_alert_until_its_long_window_is_empty() {
    let mut engine = failures("1%");
    calls(&mut engine, START, 10, 60, [1, 1]);
    let mut told_at = Vec::new();
    for now in (START + 600..START + 2 * DAY).step_by(30) {
        let alerts: Vec<_> = engine.evaluate(now).into_iter().map(|alert| (now, alert)).collect();
        told_at.extend(told(&engine, &alerts));
    }
    let page = told_at.iter().find(|(_, what)| what.starts_with("page_fast")).unwrap();
    // The last failure is at 590: the bucket is out of the hour at 4,200, and five minutes are kept.
    assert_eq!(*page, (4_500, "page_fast Resolved(NoData)".to_owned()));
}

#[test]
fn a_latency_objective_counts_slow_calls() {
    let slow = entry("slow", Measure::Latency(800_000_000), "5%", Each::default());
    let mut engine = Engine::new(vec![slow], LIMITS, START);
    for (n, took) in [799, 800, 801, 5_000].into_iter().enumerate() {
        let event = Event { took: took * 1_000_000, ..call(START, Outcome::Ok) };
        engine.count(&event, START + n as u64);
    }
    let fast_failure = Event { took: 1, ..call(START, Outcome::ToolError) };
    engine.count(&fast_failure, START);
    assert_eq!(whole(&engine), Counts { total: 4, bad: 2 });
}

#[test]
fn series_of_their_own_are_bounded_and_what_has_none_still_alerts() {
    let each = Each { server: true, tool: true };
    let limits = Limits { series: 5, per_server: 3 };
    let mut each = entry("each", Measure::Failures(Outcomes::FAILURES), "1%", each);
    each.selector.tools = vec![Pattern::new("*").unwrap(), Pattern::new("named").unwrap()];
    let mut engine = Engine::new(vec![each], limits, START);
    assert!(engine.rows().is_empty());
    let long = "x".repeat(MAX_NAME + 1);
    let tools: Vec<String> = (0..50).map(|n| format!("tool{n}")).chain([long]).collect();
    for tool in &tools {
        engine.count(&Event { tool, ..call(START, Outcome::ToolError) }, START);
    }
    let invented = Event { tool: "invented", listed: false, ..call(START, Outcome::Ok) };
    engine.count(&Event { server: "web", ..invented }, START);
    engine.count(&Event { server: "web", tool: "named", ..invented }, START);
    let names: Vec<_> = engine.rows().iter().map(|row| row.key.clone()).collect();
    let key = |server: &str, tool: &str| Key {
        server: Some(server.to_owned()),
        tool: Some(tool.to_owned()),
        others: false,
    };
    let others = Key { others: true, ..Key::default() };
    assert_eq!(
        names,
        [
            key("fs", "tool0"),
            key("fs", "tool1"),
            key("fs", "tool2"),
            others.clone(),
            key("web", "named")
        ]
    );
    let alerts = engine.evaluate(START);
    assert!(!alerts.is_empty() && alerts.iter().all(|alert| alert.key == others), "{alerts:?}");
    // Nothing of it is kept once the budget's window is empty.
    let gone = engine.evaluate(START + 40 * DAY);
    assert!(
        gone.iter().all(|a| a.transition.change == Change::Resolved(Reason::NoData)),
        "{gone:?}"
    );
    engine.evaluate(START + 41 * DAY);
    assert!(engine.rows().is_empty());
}

#[test]
fn failures_left_are_as_many_as_it_takes() {
    let engine = failures("1%");
    let objective = &engine.entries()[0].objective;
    for (bad, total) in
        [(0_u64, 0_u64), (0, 100), (5, 10_000), (99, 10_000), (100, 10_000), (7, 123_456)]
    {
        let left = objective.failures_left(Counts { total, bad });
        let over = |more: u64| (bad + more) * 100 > total + more;
        assert!(!over(left) || bad * 100 > total, "{bad} of {total}: {left}");
        assert!(over(left + 1), "{bad} of {total}: {left}");
    }
}

/// Gives what the windows of a rule say to somebody who keeps every event: those of its present bucket and of as many
/// whole ones as fit into the window.
fn naive(events: &[(u64, bool)], now: u64, short: u64, window: u64) -> Counts {
    let bucket = (short / 30).max(1);
    let from = now / bucket * bucket - window / bucket * bucket;
    let mut counts = Counts::default();
    for (_, bad) in events.iter().filter(|(at, _)| *at >= from) {
        counts.total += 1;
        counts.bad += u64::from(*bad);
    }
    counts
}

#[test]
fn alerts_change_when_they_would_if_every_event_was_kept() {
    let mut changes = 0;
    for seed in 1..9_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |most: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % most
        };
        let mut engine = failures("1%");
        let of = engine.entries()[0].objective.clone();
        let mut states = vec![State::default(); of.rules.len()];
        let (mut events, mut now, mut failing) = (Vec::new(), START, 0);
        for step in 0..3_000 {
            // Outages come and go; some calls are told late, and at times nobody calls.
            now += if below(200) == 0 { below(20_000) } else { below(40) };
            failing = if below(150) == 0 { below(40) } else { failing };
            let end = now - if below(10) == 0 { below(5_000) } else { 0 };
            let bad = below(100) < failing;
            let outcome = if bad { Outcome::Timeout } else { Outcome::Ok };
            engine.count(&call(end, outcome), now);
            events.push((end, bad));
            if step % 3 > 0 {
                continue;
            }
            let told: Vec<(usize, Change)> = engine
                .evaluate(now)
                .into_iter()
                .filter(|alert| !alert.transition.again)
                .map(|alert| (alert.transition.rule, alert.transition.change))
                .collect();
            let expected = of.rules.iter().enumerate().filter_map(|(at, rule)| {
                let [long, short] =
                    [rule.long, rule.short].map(|window| naive(&events, now, rule.short, window));
                let windows = Windows { long, short };
                Some((at, states[at].step(rule, of.threshold(at), windows, now)?))
            });
            let expected: Vec<_> = expected.collect();
            // Beside changes, tickets are told that a page had kept back.
            let kept_back = |(rule, change): &(usize, Change)| {
                *change == Change::Firing && of.rules[*rule].severity == Severity::Ticket
            };
            let news: Vec<_> = told
                .iter()
                .filter(|told| expected.contains(told) || !kept_back(told))
                .copied()
                .collect();
            assert_eq!(news, expected, "seed {seed} at {now}");
            changes += expected.len();
        }
    }
    assert!(changes > 100, "{changes} changes are not much of a test");
}
