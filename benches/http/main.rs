//! What would worry us: a tap that costs more than nginx does as a plain reverse proxy.
//!
//! One interleaved run of the same traffic straight to a server, through nginx (one worker, kept-alive
//! connections, no buffering, no log), through the tap as a process of its own and, calls only, through a
//! bare proxy of hyper; medians, under 90 seconds, printed as ratios. The server is this program again, and
//! no measure of servers. `TAP` names another command to measure, to which `--listen` and `--upstream` are
//! added; `TAP_STUCK` one whose pipeline takes nothing, which must make no difference to calls. `soak CALLS`
//! as arguments only makes so many calls through nginx and the tap, for the rate that lasts and for memory.
//! Needs `scripts/peers http` for nginx.

mod bare;
mod client;
mod origin;
mod process;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use client::{Arrivals, Connection, Crowd};
use process::{Cpu, Origin, Proxy};

/// Sequential calls: the processes are started anew this many times, because on which cores a
/// scheduler happens to put them makes more difference than anything else.
const STARTS: usize = 15;
const ROUNDS: usize = 3;
const CALLS: usize = 300;
/// Concurrent calls: rounds short enough that a hiccup of the machine spoils one of them only.
const CONNECTIONS: usize = 16;
const BURSTS: usize = 4;
const BURST: usize = 5_000;
/// Streams: events of one stream, about a millisecond apart.
const STREAMS: usize = 3;
const EVENTS: usize = 1_000;
/// Large replies.
const LARGE_ROUNDS: usize = 7;
const LARGES: usize = 60;
/// Streams held open at once, and how many calls the memory is watched over.
const HELD: usize = 1_000;
const SOAKS: usize = 5;
const SOAK: usize = 20_000;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|role| role == "origin") {
        return origin::run();
    }
    if args.first().is_some_and(|role| role == "bare") {
        return bare::run(&args);
    }
    process::allow_many_files()?;
    let commands = process::commands()?;
    let mut report = String::new();
    if let Some(at) = args.iter().position(|arg| arg == "soak") {
        let calls = args.get(at + 1).context("soak CALLS")?.parse()?;
        soak(&commands[..2], calls, &mut report)?;
    } else {
        calls(&commands, &mut report)?;
        streams(&commands[..2], &mut report)?;
        large(&commands[..2], &mut report)?;
        memory(&commands[..2], &mut report)?;
    }
    Ok(io::stdout().write_all(report.as_bytes())?)
}

/// A way from the client to the server, and the process in between.
struct Way {
    proxy: Option<Proxy>,
    address: String,
    origin: Origin,
}

impl Way {
    fn name(&self) -> &'static str {
        self.proxy.as_ref().map_or("direct", |proxy| proxy.name)
    }
}

/// All ways, each with a server of its own: direct, nginx, tap, and the stuck tap if there is one.
fn ways(commands: &[process::Named]) -> anyhow::Result<Vec<Way>> {
    let direct = Origin::start()?;
    let mut ways = vec![Way { proxy: None, address: direct.address.clone(), origin: direct }];
    for command in commands {
        let origin = Origin::start()?;
        let proxy = Proxy::start(command, &origin)?;
        ways.push(Way { address: proxy.address.clone(), proxy: Some(proxy), origin });
    }
    Ok(ways)
}

fn names(commands: &[process::Named]) -> Vec<&'static str> {
    std::iter::once("direct").chain(commands.iter().map(|command| command.name)).collect()
}

/// One figure for each way, measured many times.
struct Figures(Vec<Vec<f64>>);

impl Figures {
    fn of(ways: usize) -> Figures {
        Figures(vec![Vec::new(); ways])
    }

    fn medians(&self) -> Vec<f64> {
        self.0.iter().map(|figures| quantile(figures, 0.5)).collect()
    }
}

fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// JSON calls, one after the other and on many connections; the CPU that the tap takes for one.
fn calls(commands: &[process::Named], report: &mut String) -> anyhow::Result<()> {
    let names = names(commands);
    let (mut p50s, mut rates) = (Figures::of(names.len()), Figures::of(names.len()));
    let mut spent = Vec::new();
    for _ in 0..STARTS {
        let ways = ways(commands)?;
        let mut alone = each(&ways, |way| Connection::to(&way.address))?;
        let mut crowds = each(&ways, |way| Crowd::to(&way.address, CONNECTIONS))?;
        crowds.iter_mut().try_for_each(|crowd| crowd.call(BURST / 4).map(drop))?;
        for _ in 0..ROUNDS {
            for (connection, p50s) in alone.iter_mut().zip(&mut p50s.0) {
                p50s.push(quantile(&connection.latencies(CALLS)?, 0.5));
            }
        }
        let tap = ways[2].proxy.as_ref().map(|tap| tap.pid);
        for _ in 0..BURSTS {
            for (at, (crowd, rates)) in crowds.iter_mut().zip(&mut rates.0).enumerate() {
                let before = tap.filter(|_| at == 2).map(Cpu::of);
                rates.push(BURST as f64 / crowd.call(BURST)?.as_secs_f64() / 1e3);
                spent.extend(before.zip(tap).map(|(before, tap)| Cpu::of(tap).since(&before)));
            }
        }
        books(ways, report)?;
    }

    let p50 = p50s.medians();
    writeln!(
        report,
        "sequential calls, JSON of 200 B, p50 in us, the middle of {}:",
        STARTS * ROUNDS
    )?;
    for (name, figures) in names.iter().zip(&p50s.0) {
        let [low, mid, high] = [0.25, 0.5, 0.75].map(|share| quantile(figures, share));
        writeln!(report, "  {name}: {mid:.1} (quartiles {low:.1}, {high:.1})")?;
    }
    for (name, figure) in names.iter().zip(&p50).skip(2) {
        let (nginx, tap) = (p50[1] - p50[0], figure - p50[0]);
        writeln!(report, "  added: nginx {nginx:.1}, {name} {tap:.1}: {:.2}x", tap / nginx)?;
    }

    writeln!(report, "{CONNECTIONS} connections, JSON of 200 B, thousand requests a second:")?;
    let rate = rates.medians();
    for (name, rate) in names.iter().zip(&rate) {
        writeln!(report, "  {name}: {rate:.1}")?;
    }
    for (name, figure) in names.iter().zip(&rate).skip(2) {
        writeln!(report, "  {name}: {:.0} % of nginx", 100.0 * figure / rate[1])?;
    }

    let a_call = |part: fn(&Cpu) -> f64| {
        let all: Vec<f64> = spent.iter().map(|cpu| part(cpu) / BURST as f64).collect();
        quantile(&all, 0.5)
    };
    writeln!(
        report,
        "CPU of the tap in that, us a call: forwarding {:.1}, observer and chain {:.1}, export {:.1}",
        a_call(|cpu| cpu.forwarding),
        a_call(|cpu| cpu.observer),
        a_call(|cpu| cpu.export)
    )?;
    Ok(())
}

fn each<T>(ways: &[Way], make: impl Fn(&Way) -> anyhow::Result<T>) -> anyhow::Result<Vec<T>> {
    ways.iter().map(make).collect()
}

/// Ends all processes; what a tap says of its books in the end belongs into the report, once.
fn books(ways: Vec<Way>, report: &mut String) -> anyhow::Result<()> {
    for Way { proxy, origin, .. } in ways {
        let Some(proxy) = proxy else { continue };
        let name = proxy.name;
        let said = proxy.end()?;
        drop(origin);
        if let Some(line) = said.filter(|line| line.contains("received="))
            && !report.contains(&format!("the {name} says"))
        {
            writeln!(report, "the {name} says: {line}")?;
        }
    }
    Ok(())
}

/// How much later an event arrives than it was sent.
fn streams(commands: &[process::Named], report: &mut String) -> anyhow::Result<()> {
    let names = names(commands);
    let mut late = vec![Arrivals::default(); names.len()];
    let ways = ways(commands)?;
    for _ in 0..STREAMS {
        for (way, late) in ways.iter().zip(&mut late) {
            Connection::to(&way.address)?.events(EVENTS, late)?;
        }
    }
    writeln!(
        report,
        "SSE, an event about every ms, us from the server's write to the client's read:"
    )?;
    let at = |share: f64| -> Vec<f64> { late.iter().map(|l| quantile(&l.0, share)).collect() };
    let (p50, p99) = (at(0.5), at(0.99));
    for (way, name) in names.iter().enumerate() {
        writeln!(report, "  {name}: p50 {:.0}, p99 {:.0}", p50[way], p99[way])?;
    }
    for (way, name) in names.iter().enumerate().skip(1) {
        let added = [p50[way] - p50[0], p99[way] - p99[0]];
        writeln!(report, "  added by {name}: p50 {:.0}, p99 {:.0}", added[0], added[1])?;
    }
    Ok(())
}

fn large(commands: &[process::Named], report: &mut String) -> anyhow::Result<()> {
    let names = names(commands);
    let ways = ways(commands)?;
    let mut connections = each(&ways, |way| Connection::to(&way.address))?;
    let mut speeds = Figures::of(names.len());
    for _ in 0..LARGE_ROUNDS {
        for (connection, speeds) in connections.iter_mut().zip(&mut speeds.0) {
            let took = connection.large(LARGES)?;
            speeds.push((LARGES * origin::LARGE) as f64 / took.as_secs_f64() / 1e6);
        }
    }
    let speed = speeds.medians();
    let all: Vec<_> = names.iter().zip(&speed).map(|(n, s)| format!("{n} {s:.0}")).collect();
    writeln!(report, "replies of 1 MB, MB/s: {}", all.join(", "))?;
    for (name, figure) in names.iter().zip(&speed).skip(2) {
        writeln!(report, "  {name}: {:.2}x nginx", figure / speed[1])?;
    }
    Ok(())
}

/// What a held stream costs, and whether memory stays where it is under load.
fn memory(commands: &[process::Named], report: &mut String) -> anyhow::Result<()> {
    for way in ways(commands)? {
        let (name, Some(pid)) = (way.name(), way.proxy.as_ref().map(|proxy| proxy.pid)) else {
            continue;
        };
        let mut crowd = Crowd::to(&way.address, CONNECTIONS)?;
        crowd.call(SOAK)?;
        let before = process::resident(pid);
        let held = (0..HELD).map(|_| client::hold(&way.address)).collect::<Result<Vec<_>, _>>()?;
        let open = process::resident(pid);
        drop(held);
        let a_stream = (open as f64 - before as f64) / HELD as f64;
        writeln!(
            report,
            "{HELD} open SSE streams through the {name}, KiB: {before} before, {open} with them: \
             {a_stream:.1} a stream"
        )?;
        if name != "nginx" {
            over_time(&mut crowd, pid, SOAKS * SOAK, report)?;
        }
    }
    Ok(())
}

/// Memory by itself, for as long as somebody wants to wait.
fn soak(commands: &[process::Named], calls: usize, report: &mut String) -> anyhow::Result<()> {
    for command in commands {
        let origin = Origin::start()?;
        let proxy = Proxy::start(command, &origin)?;
        let mut crowd = Crowd::to(&proxy.address, CONNECTIONS)?;
        let before = Cpu::of(proxy.pid);
        let took = over_time(&mut crowd, proxy.pid, calls, report)?;
        let cpu = Cpu::of(proxy.pid).since(&before);
        let made = (calls.div_ceil(SOAK) * SOAK) as f64;
        writeln!(
            report,
            "  {}: {:.1} thousand requests a second; CPU in us a call: forwarding {:.1}, observer and \
             chain {:.1}, export {:.1}",
            command.name,
            made / took.as_secs_f64() / 1e3,
            cpu.forwarding / made,
            cpu.observer / made,
            cpu.export / made
        )?;
        let way = Way { address: proxy.address.clone(), proxy: Some(proxy), origin };
        books(vec![way], report)?;
    }
    Ok(())
}

/// How long the calls took, of which it reports the memory.
fn over_time(
    crowd: &mut Crowd,
    pid: u32,
    calls: usize,
    report: &mut String,
) -> anyhow::Result<Duration> {
    let (mut sizes, mut took) = (Vec::new(), Duration::ZERO);
    for _ in 0..calls.div_ceil(SOAK) {
        took += crowd.call(SOAK)?;
        sizes.push(process::resident(pid).to_string());
    }
    writeln!(report, "resident KiB, every {SOAK} calls: {}", sizes.join(", "))?;
    Ok(took)
}
