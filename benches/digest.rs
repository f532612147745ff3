//! What a digest costs beside the hash that it cannot do without. The number that would worry us: over
//! a microsecond for the arguments of an ordinary call, a fifth of what the observer has for all of
//! it. The ratios depend on the processor: where it hashes by itself (SHA-NI) the bare hash is ten
//! times cheaper than in software, and the canonical form is what is left.
//!
//! `cargo bench --bench digest` prints nanoseconds for each step, then the ratios.

#![allow(clippy::print_stdout)] // the ratios are its output

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use mcpcol::privacy::canonical::Canonicalizer;
use mcpcol::privacy::digest::{Digester, Key};
use sha2::{Digest as _, Sha256};

/// Ordinary arguments, about 150 bytes, their members in no order.
const SMALL: &str = r#"{"query":"quarterly revenue by region","path":"/data/reports/2026/q3.csv","limit":25,"offset":0,"include_archived":false,"tags":["finance","emea"]}"#;

/// A file that is written: 64 KiB of lines in one string.
fn file() -> String {
    let line = r"    let total = items.iter().map(|item| item.price * item.count).sum::<f64>();\n";
    let content = line.repeat((64 << 10) / line.len());
    format!(r#"{{"path":"src/main.rs","content":"{content}"}}"#)
}

/// Rows of a table: 64 KiB of small objects with numbers, unsorted.
fn rows() -> String {
    let row =
        |n: usize| format!(r#"{{"name":"row {n}","id":{n},"price":{}.25,"active":true}}"#, n % 997);
    let mut all: Vec<String> = Vec::new();
    while all.iter().map(|row| row.len() + 1).sum::<usize>() < 64 << 10 {
        all.push(row(all.len()));
    }
    format!(r#"{{"rows":[{}]}}"#, all.join(","))
}

/// One step on one text, as often as it is called.
type Step<'a> = (&'a str, Box<dyn FnMut() + 'a>);

fn steps(text: &str) -> Vec<Step<'_>> {
    let key = Key::from_bytes(&[7; 32], Some("bench")).expect("32 bytes are a key");
    let digest = |digester: Digester| {
        let (mut canonicalizer, mut out) = (Canonicalizer::default(), Vec::new());
        move || {
            out.clear();
            canonicalizer.write(text.as_bytes(), &mut out).expect("the sample is JSON");
            black_box(digester.digest(&out));
        }
    };
    let (mut canonicalizer, mut out) = (Canonicalizer::default(), Vec::new());
    vec![
        ("bare sha256", Box::new(move || _ = black_box(Sha256::digest(text)))),
        (
            "canonical form",
            Box::new(move || {
                out.clear();
                black_box(canonicalizer.write(text.as_bytes(), &mut out)).expect("JSON");
            }),
        ),
        ("canonical + sha256", Box::new(digest(Digester::default()))),
        ("canonical + hmac-sha256", Box::new(digest(Digester::new(vec![key])))),
    ]
}

fn main() {
    let (file, rows) = (file(), rows());
    let samples = [("150 B", SMALL), ("64 KiB of lines", &file), ("64 KiB of rows", &rows)];
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500))
        .configure_from_args();
    for (name, text) in samples {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64));
        for (step, mut run) in steps(text) {
            group.bench_function(step, |b| b.iter(&mut run));
        }
        group.finish();
    }
    criterion.final_summary();
    for (name, text) in samples {
        ratios(name, text);
    }
}

/// Runs the steps by turns, so that a busy machine troubles all of them, and prints medians beside
/// the bare hash.
fn ratios(name: &str, text: &str) {
    const ROUNDS: usize = 101;
    let calls = (1 << 20) / text.len();
    let mut steps = steps(text);
    let mut taken = vec![Vec::new(); steps.len()];
    for _ in 0..ROUNDS {
        for ((_, run), taken) in steps.iter_mut().zip(&mut taken) {
            let start = Instant::now();
            (0..calls).for_each(|_| run());
            taken.push(start.elapsed().as_nanos() as f64 / calls as f64);
        }
    }
    let medians = taken.into_iter().map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[ROUNDS / 2]
    });
    let medians: Vec<f64> = medians.collect();
    for ((step, _), median) in steps.iter().zip(&medians) {
        println!("{name}: {step}: {median:.0} ns, {:.2} x the bare hash", median / medians[0]);
    }
}
