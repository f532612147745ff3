//! From OTLP in to OTLP out: ours beside other collectors, each before the same bare sink. gRPC without
//! compression on both sides, joined into larger batches and not.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{Load, SPANS, Way};
use crate::process::{Server, peak, spent};

/// Each figure is the middle of so many rounds.
const ROUNDS: usize = 5;
/// A process that has done nothing for this long has sent what it had.
const QUIET: Duration = Duration::from_millis(500);

/// Adds a line for each collector that is installed.
pub(crate) fn run(report: &mut String, batches: usize) -> anyhow::Result<()> {
    let sink = Server::sink()?;
    for joined in [false, true] {
        let mut ours = 0.0;
        for make in [Server::through, Server::redacting, Server::rotel, Server::otelcol] {
            let Some((name, server)) = make(&sink.address(false), joined)? else { continue };
            let mut load = Load::new(&server.address(false), Way::Grpc)?;
            load.send(batches / 10)?;
            settled(&server);
            let mut rates = Vec::new();
            for _ in 0..ROUNDS {
                let before = spent(server.pid());
                load.send(batches)?;
                settled(&server);
                rates.push((batches * SPANS) as f64 / (spent(server.pid()) - before));
            }
            rates.sort_by(f64::total_cmp);
            let rate = rates[ROUNDS / 2];
            let how = if joined { "joined" } else { "as they come" };
            write!(
                report,
                "in and out, {how}, {name}: {:.0} thousand spans a CPU second",
                rate / 1e3
            )?;
            write!(report, ", at most {:.0} MiB", peak(server.pid()))?;
            if ours == 0.0 {
                ours = rate;
            } else {
                write!(report, ", ours does {:.2} times that", ours / rate)?;
            }
            report.push('\n');
        }
    }
    Ok(())
}

/// Waits until a server has nothing to do any more.
#[expect(clippy::disallowed_methods, reason = "looks now and then, and must not take its time")]
fn settled(server: &Server) {
    let mut last = (spent(server.pid()), Instant::now());
    while last.1.elapsed() < QUIET {
        thread::sleep(Duration::from_millis(20));
        let now = spent(server.pid());
        // What an idle process does now and then is not work.
        if now - last.0 > 0.002 {
            last = (now, Instant::now());
        }
    }
}
