//! What would worry us: objectives that cost more than 150 ns a call, or evaluations of more than 5 ms.
//!
//! An engine with 100 objectives of which 3 match; 1,000 series of 4 rules; and what a series takes. All in one run,
//! medians, beside the cost of a look-up in a table of the same names, so that runs on other machines compare.

use std::collections::HashMap;
use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use mcpcol::slo::budget::Fraction;
use mcpcol::slo::engine::{Engine, Entry, Event, Limits};
use mcpcol::slo::judge::{Judge, Measure, Outcome, Outcomes};
use mcpcol::slo::matching::{Each, Pattern, Selector};
use mcpcol::slo::objective::Objective;
use mcpcol::slo::rules::preset;

const START: u64 = 1_700_000_000;
const WINDOW: u64 = 30 * 86_400;
const EVENTS: u64 = 1_000_000;
const TIMES: usize = 7;

fn main() -> anyhow::Result<()> {
    let others = (0..97).map(|n| entry(&format!("other{n}_*"), false));
    let matching = (0..3).map(|_| entry("read_*", false));
    let entries: Vec<Entry> = others.chain(matching).collect();
    let known: HashMap<&str, u64> = HashMap::from([("read_file", 1), ("filesystem", 2)]);
    let look_up = median(|| {
        let begun = Instant::now();
        for _ in 0..EVENTS {
            black_box(known.get(black_box("read_file")));
        }
        begun.elapsed().as_nanos() as f64 / EVENTS as f64
    });
    let event = median(|| {
        let mut engine = Engine::new(entries.clone(), LIMITS, START);
        let begun = Instant::now();
        for n in 0..EVENTS {
            count(&mut engine, "read_file", START + n / 10_000, n % 100 == 0);
        }
        begun.elapsed().as_nanos() as f64 / EVENTS as f64
    });
    let evaluate = median(|| {
        let mut engine = Engine::new(vec![entry("*", true)], LIMITS, START);
        for n in 0..1_000 {
            let tool = format!("tool{n}");
            (0..20).for_each(|at| count(&mut engine, &tool, START + at, at % 4 == 0));
        }
        engine.evaluate(START + 30);
        let begun = Instant::now();
        black_box(engine.evaluate(START + 60));
        begun.elapsed().as_secs_f64() * 1e3
    });
    let text = format!(
        "an event, 3 of 100 objectives   {event:8.1} ns ({:.1} look-ups)\n\
         evaluating 1,000 series x 4     {evaluate:8.2} ms\n",
        event / look_up
    );
    Ok(io::stdout().write_all(text.as_bytes())?)
}

const LIMITS: Limits = Limits { series: 1_000, per_server: 1_000 };

fn entry(tool: &str, each: bool) -> Entry {
    let judge =
        Judge { measure: Measure::Failures(Outcomes::FAILURES), exclude: Outcomes::default() };
    let budget = Fraction::nano(10_000_000);
    let rules = preset(WINDOW).unwrap_or_default();
    let objective = Objective::new(tool, judge, budget, WINDOW, rules);
    let tools = Pattern::new(tool).into_iter().collect();
    let selector = Selector { servers: Vec::new(), tools };
    Entry { objective, selector, each: Each { server: false, tool: each } }
}

fn count(engine: &mut Engine, tool: &str, now: u64, fails: bool) {
    let outcome = if fails { Outcome::ToolError } else { Outcome::Ok };
    let event =
        Event { server: "filesystem", tool, listed: true, outcome, end: now, took: 5_000_000 };
    engine.count(&event, now);
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..TIMES).map(|_| measure()).collect();
    all.sort_by(f64::total_cmp);
    all[TIMES / 2]
}
