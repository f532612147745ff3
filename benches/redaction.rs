//! Measures what redaction costs beside copying the text, which everything that leaves costs anyway. The numbers that
//! would worry us: over 8 ns a byte or 60 ns for the short texts that most attributes are, hostile texts that
//! cost over three times as much a byte as clean ones, known secrets that add over 1 ns a byte.
//!
//! `cargo bench --bench redaction` prints nanoseconds for each text, then the ratios.

#![allow(clippy::print_stdout)] // the ratios are its output

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use mcpcol::privacy::redact::{KnownValues, Redactor, Scan, Settings, Under};

/// Lists short texts, as most attributes hold.
const SHORT: [&str; 8] = [
    "tools/call",
    "search_web",
    "2025-11-25",
    "stdio",
    "execute_tool",
    "0123456789abcdef0123456789abcdef",
    "quarterly revenue by region in 2026",
    "5de7e271-0a1e-e32f-4788-dae9fd06328f",
];

const PROSE: &str = "The report of 2026-09-30 lists 1,204 orders from 17 regions; revenue rose by 3.2 % while \
                     returns fell. See reports/q3.csv for the rows, and ask the finance team about the rest. ";

fn prose(length: usize) -> String {
    let mut text = PROSE.repeat(length / PROSE.len() + 1);
    text.truncate(length);
    text
}

/// Rows of a table, as tools return them.
fn rows(length: usize) -> String {
    let mut all = String::from("[");
    for n in 0.. {
        let row = format!(
            r#"{{"name":"row {n}","id":{n},"price":{}.25,"active":true,"note":"see \"rows\" above"}}"#,
            n % 997
        );
        if all.len() + row.len() > length {
            break;
        }
        all.push_str(if n == 0 { "" } else { "," });
        all.push_str(&row);
    }
    all.push(']');
    all
}

/// Texts that go on as they begin, and cost careless rules the most.
fn hostile() -> Vec<(&'static str, String)> {
    let long = |unit: &str| unit.repeat((64 << 10) / unit.len());
    let hooks = [
        "eyJ", "AKIA", "ghp_", "sk-", "xoxb-", "@", "://", "bearer ", "token", "key=", "?a=", "17",
        "SG.",
    ];
    vec![
        ("a", long("a")),
        ("a@a@", long("a@a@")),
        ("0-0-", long("0-0-")),
        ("eyJeyJ", long("eyJ")),
        ("eyJa.", long("eyJaaaaaaaaa.")),
        ("token=", format!("token={}", long("x"))),
        ("token=token=", long("token=")),
        ("bearer bearer", long("bearer ")),
        ("://", long("://a:a")),
        ("begin", long(&["-----BEGIN PRI", "VATE KEY"].concat())),
        ("digits", long("4")),
        ("IBAN", long("DE00 ")),
        ("hooks", long(&hooks.concat())),
        ("[[", long("[\"a\",")),
    ]
}

fn usual() -> Redactor {
    Redactor::new(&Settings::default()).expect("the usual settings are good")
}

/// Two hundred secrets that nobody has.
fn known() -> Arc<KnownValues> {
    Arc::new(KnownValues::new((0..200_u32).map(|n| {
        let mixed = u64::from(n).wrapping_add(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{mixed:016x}-{:x}", mixed.rotate_left(17))
    })))
}

fn look(scan: &mut Scan<'_>, text: &str) {
    black_box(scan.text(black_box(text), Under::Open));
}

/// Gives the median of many runs, in nanoseconds a call.
fn median(bytes: usize, mut run: impl FnMut()) -> f64 {
    const ROUNDS: usize = 31;
    let calls = ((1 << 17) / bytes.max(1)).max(1);
    let mut taken: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..calls).for_each(|_| run());
            start.elapsed().as_nanos() as f64 / calls as f64
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    taken[ROUNDS / 2]
}

fn clean() -> Vec<(String, String)> {
    let mut texts: Vec<(String, String)> =
        SHORT.iter().map(|text| ((*text).to_owned(), (*text).to_owned())).collect();
    for length in [150, 4 << 10, 64 << 10] {
        texts.push((format!("{length} B of prose"), prose(length)));
        texts.push((format!("{length} B of rows"), rows(length)));
    }
    texts
}

fn main() {
    let redactor = usual();
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(300))
        .sample_size(20)
        .configure_from_args();
    let mut group = criterion.benchmark_group("redaction");
    for (name, text) in
        clean().iter().filter(|(name, _)| name.contains("prose") || name == SHORT[0])
    {
        let mut scan = redactor.scan();
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| look(&mut scan, text)));
    }
    group.finish();
    criterion.final_summary();
    ratios(&redactor);
}

fn ratios(redactor: &Redactor) {
    println!("Redactor::new: {:.1} ms", median(1 << 17, || drop(black_box(usual()))) / 1e6);
    let (mut scan, mut knowing) = (redactor.scan(), redactor.scan());
    knowing.know([&known()]);
    let mut floor_of_prose = 0.0;
    for (name, text) in clean() {
        let bytes = text.len() as f64;
        let copied = median(text.len(), || drop(black_box(black_box(&text).clone())));
        let ns = median(text.len(), || look(&mut scan, &text));
        let with = median(text.len(), || look(&mut knowing, &text));
        println!(
            "{name}: {ns:.0} ns, {:.2} ns a byte, {:.1} x copying; known values add {:.2} ns a byte",
            ns / bytes,
            ns / copied,
            (with - ns) / bytes
        );
        if name.ends_with("65536 B of prose") {
            floor_of_prose = ns / bytes;
        }
    }
    let words = "completed";
    println!("judging a name: {:.0} ns", median(20, || _ = black_box(redactor.judge_name(words))));
    for (name, text) in hostile() {
        let ns = median(text.len(), || look(&mut scan, &text)) / text.len() as f64;
        println!("hostile {name}: {ns:.2} ns a byte, {:.1} x clean prose", ns / floor_of_prose);
    }
}
