//! What OTLP coming in costs: spans for each second of CPU, over loopback, against the least that a server
//! can do.
//!
//! The floor is a bare tonic server that takes messages as bytes and forgets them, a process of its own
//! (this program again). Ours is the real binary with `nop` behind it: undecoded, by every way in; with a
//! processor that looks for content and finds none; with one that finds an attribute to replace in
//! every span; and with redaction, which looks at every text. A batch is 100 spans of about 490 B. It would
//! worry us below 500,000 spans a CPU second undecoded, or below 80 % of the floor. Then from OTLP in to
//! OTLP out, beside the collectors that `scripts/peers otlp` installs, where it did. CPU time is the process's own from /proc, so
//! a busy machine changes little. `MCPCOL` names another binary to measure; a number as argument divides
//! the batches, for a quick look.

mod load;
mod process;
mod sink;
mod through;

use std::fmt::Write as _;
use std::io::Write as _;

use load::{Load, Way};
use process::{Server, peak, spent};

/// Each figure is the middle of so many rounds.
const ROUNDS: usize = 5;

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).is_some_and(|role| role == "sink") {
        return sink::run();
    }
    let share = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(1);
    let mut report = String::new();
    coming_in(&mut report, share)?;
    through::run(&mut report, 4000 / share)?;
    Ok(std::io::stdout().write_all(report.as_bytes())?)
}

/// Adds a line for each way in.
fn coming_in(report: &mut String, share: usize) -> anyhow::Result<()> {
    let floor = Server::sink()?;
    let plain = Server::mcpcol("[]")?;
    let looking = Server::mcpcol("[digest]")?;
    let changing = Server::mcpcol("[digest/changing]")?;
    let redacting = Server::mcpcol("[redaction]")?;
    let rotel = Server::rotel_with(&["--exporter", "blackhole"])?;
    let mut floors = Vec::new();
    let ways = [
        ("tonic sink, gRPC", &floor, Way::Grpc, 4000),
        ("tonic sink, gRPC gzip", &floor, Way::GrpcGzip, 1000),
        ("undecoded, gRPC", &plain, Way::Grpc, 4000),
        ("undecoded, gRPC gzip", &plain, Way::GrpcGzip, 1000),
        ("undecoded, HTTP", &plain, Way::Http, 4000),
        ("undecoded, HTTP gzip", &plain, Way::HttpGzip, 1000),
        ("JSON, HTTP", &plain, Way::Json, 1000),
        ("looked at, gRPC", &looking, Way::Grpc, 4000),
        ("changed, gRPC", &changing, Way::Grpc, 2000),
        ("redacted, gRPC", &redacting, Way::Grpc, 2000),
    ];
    let others = rotel.iter().map(|rotel| ("rotel, blackhole, gRPC", rotel, Way::Grpc, 1000));
    for (name, server, way, batches) in ways.into_iter().chain(others) {
        let batches = batches / share;
        let address = server.address(way.is_http());
        let mut load = Load::new(&address, way)?;
        load.send(batches / 10)?;
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let before = spent(server.pid());
            load.send(batches)?;
            let cpu = spent(server.pid()) - before;
            rates.push((batches * load::SPANS) as f64 / cpu);
        }
        rates.sort_by(f64::total_cmp);
        let rate = rates[ROUNDS / 2];
        write!(report, "{name}: {:.0} thousand spans a CPU second", rate / 1e3)?;
        if server.is_floor() {
            floors.push((way, rate));
        } else if let Some((_, floor)) = floors.iter().find(|(of, _)| *of == way) {
            write!(report, ", {:.0} % of the floor", 100.0 * rate / floor)?;
        }
        report.push('\n');
    }
    writeln!(report, "undecoded, at most {:.0} MiB", peak(plain.pid()))?;
    writeln!(report, "changed, at most {:.0} MiB", peak(changing.pid()))?;
    Ok(())
}
