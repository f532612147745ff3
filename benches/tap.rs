//! What would worry us: a tap that costs more than a plain byte relay.
//!
//! One interleaved run of the same traffic straight to a server, through two `cat`s and through the
//! tap as a process of its own; medians, under a minute, printed as ratios. By default the tap is the
//! bare one of `examples/`; `TAP="path/to/mcpcol stdio"` measures that command instead (its books are
//! then what it says itself on stderr).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[allow(dead_code)]
#[path = "../examples/bare_tap.rs"]
mod bare_tap;
#[allow(dead_code)]
#[path = "../examples/peer.rs"]
mod peer;

/// Sequential: the processes are started anew this many times, because on which cores a scheduler
/// happens to put them makes more difference than anything else, for this many rounds of calls each.
const STARTS: usize = 9;
const ROUNDS: usize = 8;
const CALLS: usize = 200;
/// Pipelined: requests in flight at most what the pipes hold.
const BURSTS: usize = 5;
const BURST: usize = 100_000;
/// Large messages.
const LARGE: usize = 1 << 20;
const LARGES: usize = 150;
/// The offered rate: so many calls in each of so many milliseconds.
const OFFERED: u64 = 60;
const OFFERED_MS: u64 = 3000;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(|role| role.to_str()) {
        Some("peer") => Ok(peer::run(args.map(|arg| arg.to_string_lossy().into_owned()))?),
        Some("bare_tap") => bare_tap::run(args),
        _ => {
            let mut report = String::new();
            sequential(&mut report)?;
            pipelined(&mut report)?;
            offered(&mut report)?;
            large(&mut report)?;

            Ok(io::stdout().write_all(report.as_bytes())?)
        }
    }
}

/// The ways from the client to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Direct,
    Cats,
    /// The tap, with what its observer does.
    Tap(&'static str),
}

const COUNT: Way = Way::Tap("count");
const MCP: Way = Way::Tap("mcp");

impl Way {
    fn name(self) -> String {
        match self {
            Way::Direct => "direct".into(),
            Way::Cats => "two cats".into(),
            Way::Tap(_) if given_tap() => "tap".into(),
            COUNT => "tap, observer counts".into(),
            MCP => "tap, observer makes spans".into(),
            Way::Tap("stuck") => "tap, observer stuck".into(),
            Way::Tap(us) => format!("tap, observer takes {us} us a call"),
        }
    }
}

struct Link {
    way: Way,
    to: Option<File>,
    from: BufReader<File>,
    processes: Vec<Child>,
    stats: tempfile::NamedTempFile,
}

fn file(end: impl Into<OwnedFd>) -> File {
    File::from(end.into())
}

fn spawn(command: &mut Command, stdin: Stdio) -> anyhow::Result<Child> {
    Ok(command.stdin(stdin).stdout(Stdio::piped()).spawn()?)
}

fn link(way: Way) -> anyhow::Result<Link> {
    let stats = tempfile::NamedTempFile::new()?;
    let myself = std::env::current_exe()?;
    let mut server = Command::new(&myself);
    server.args(["peer", "echo"]);
    let mut processes = Vec::new();
    match way {
        Way::Direct => processes.push(spawn(&mut server, Stdio::piped())?),
        Way::Cats => {
            let mut first = spawn(&mut Command::new("cat"), Stdio::piped())?;
            let mut server =
                spawn(&mut server, first.stdout.take().map_or(Stdio::null(), Stdio::from))?;
            let back = server.stdout.take().map_or(Stdio::null(), Stdio::from);
            processes.extend([first, server, spawn(&mut Command::new("cat"), back)?]);
        }
        Way::Tap(watch) => {
            let given = std::env::var("TAP").unwrap_or_default();
            let mut words = given.split_whitespace();
            let mut tap = match words.next() {
                Some(program) => Command::new(program),
                None => Command::new(&myself),
            };
            if given.is_empty() {
                let stats = format!("stats={}", stats.path().display());
                tap.args(["bare_tap", "--set", &stats, "--set", &format!("watch={watch}")]);
            }
            tap.args(words).arg("--").arg(&myself).args(["peer", "echo"]);
            processes.push(spawn(&mut tap, Stdio::piped())?);
        }
    }
    let ends = processes.first_mut().and_then(|p| p.stdin.take());
    let back = processes.last_mut().and_then(|p| p.stdout.take());
    let (to, from) = ends.zip(back).ok_or_else(|| anyhow::anyhow!("the ends are pipes"))?;
    let from = BufReader::with_capacity(1 << 17, file(from));
    Ok(Link { way, to: Some(file(to)), from, processes, stats })
}

impl Link {
    /// The median of some calls, one after the other, in microseconds.
    fn p50(&mut self) -> anyhow::Result<f64> {
        let (asked, mut answer) = (request(7, 200), Vec::new());
        let to = self.to.as_mut().ok_or_else(|| anyhow::anyhow!("closed"))?;
        let mut took = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let started = Instant::now();
            to.write_all(&asked)?;
            answer.clear();
            self.from.read_until(b'\n', &mut answer)?;
            took.push(started.elapsed().as_nanos() as f64 / 1e3);
        }
        Ok(median(took))
    }

    /// Writes each request by itself and reads the answers beside it; how long the last one took.
    fn burst(
        &mut self,
        count: usize,
        mut pace: impl FnMut(usize) + Send,
    ) -> anyhow::Result<Duration> {
        let (to, from) = (self.to.as_mut(), &mut self.from);
        let to = to.ok_or_else(|| anyhow::anyhow!("closed"))?;
        let started = Instant::now();
        thread::scope(|scope| -> anyhow::Result<()> {
            let writer = scope.spawn(move || -> io::Result<()> {
                for id in 0..count {
                    pace(id);
                    to.write_all(&request(id, 200))?;
                }
                Ok(())
            });
            let mut answers = 0;
            let mut buffer = vec![0; 1 << 17];
            while answers < count {
                let read = from.read(&mut buffer)?;
                anyhow::ensure!(read > 0, "the server is gone");
                answers += memchr::memchr_iter(b'\n', &buffer[..read]).count();
            }
            writer.join().map_err(|_| anyhow::anyhow!("the writer failed"))??;
            Ok(())
        })?;
        Ok(started.elapsed())
    }

    /// Closes and tells what the bare tap saw: answers seen and answers that went by, or nothing.
    fn close(mut self) -> anyhow::Result<Option<(u64, u64)>> {
        self.to = None;
        for process in &mut self.processes {
            process.wait()?;
        }
        let text = std::fs::read_to_string(self.stats.path())?;
        let stat = |name: &str| -> Option<u64> {
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        let seen = match self.way {
            MCP => stat("mcpcol_mcp_messages/answer "),
            _ => stat("seen_lines/to_client "),
        };
        Ok(seen.zip(stat("mcpcol_tap_lines/to_client ")))
    }
}

fn request(id: usize, size: usize) -> Vec<u8> {
    let mut line = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"echo\",\
         \"arguments\":{{\"message\":\""
    )
    .into_bytes();
    line.resize(size.max(line.len() + 5) - 5, b'x');
    line.extend_from_slice(b"\"}}}\n");
    line
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn sequential(report: &mut String) -> anyhow::Result<()> {
    let mut p50s = [const { Vec::new() }; 3];
    for _ in 0..STARTS {
        let ways = [Way::Direct, Way::Cats, MCP];
        let mut links = ways.into_iter().map(link).collect::<anyhow::Result<Vec<_>>>()?;
        for _ in 0..ROUNDS {
            for (link, p50s) in links.iter_mut().zip(&mut p50s) {
                p50s.push(link.p50()?);
            }
        }
        links.into_iter().try_for_each(|link| link.close().map(drop))?;
    }
    let [direct, cats, tap] = p50s.each_ref().map(|p50s| median(p50s.clone()));
    writeln!(report, "sequential 200 B, p50 in us, the middle of {} rounds:", STARTS * ROUNDS)?;
    for (name, p50s) in ["direct", "two cats", "tap"].iter().zip(&mut p50s) {
        p50s.sort_by(f64::total_cmp);
        let [low, mid, high] = [1, 2, 3].map(|quarter| p50s[p50s.len() * quarter / 4]);
        writeln!(report, "  {name}: {mid:.1} (quartiles {low:.1}, {high:.1})")?;
    }
    let ratio = (tap - direct) / (cats - direct);
    writeln!(report, "  added: cats {:.1}, tap {:.1}: {ratio:.2}x", cats - direct, tap - direct)?;
    Ok(())
}

/// Whether another command than the bare tap is measured: then there is one kind of observer, its own.
fn given_tap() -> bool {
    std::env::var_os("TAP").is_some()
}

fn pipelined(report: &mut String) -> anyhow::Result<()> {
    let bare = [Way::Direct, Way::Cats, COUNT, MCP, Way::Tap("20"), Way::Tap("stuck")];
    let ways = if given_tap() { &bare[..3] } else { &bare[..] };
    let mut links = ways.iter().copied().map(link).collect::<anyhow::Result<Vec<_>>>()?;
    let mut rates = vec![Vec::new(); links.len()];
    for _ in 0..BURSTS {
        for (link, rates) in links.iter_mut().zip(&mut rates) {
            rates.push(BURST as f64 / link.burst(BURST, |_| ())?.as_secs_f64() / 1e3);
        }
    }
    writeln!(report, "pipelined 200 B, thousand requests a second:")?;
    for (link, rates) in links.into_iter().zip(rates) {
        let name = link.way.name();
        let seen = match link.close()? {
            Some((seen, all)) => format!(", seen {:.0} %", 100.0 * seen as f64 / all as f64),
            None => String::new(),
        };
        writeln!(report, "  {name}: {:.0}{seen}", median(rates))?;
    }
    Ok(())
}

fn large(report: &mut String) -> anyhow::Result<()> {
    let ways = [Way::Direct, Way::Cats, MCP];
    let mut links = ways.into_iter().map(link).collect::<anyhow::Result<Vec<_>>>()?;
    let mut took = [0.0; 3];
    let (asked, mut answer) = (request(7, LARGE), Vec::new());
    for _ in 0..LARGES {
        for (link, took) in links.iter_mut().zip(&mut took) {
            let started = Instant::now();
            thread::scope(|scope| -> anyhow::Result<()> {
                let (to, from) = (&mut link.to, &mut link.from);
                let writer = scope.spawn(|| to.as_mut().map_or(Ok(()), |to| to.write_all(&asked)));
                answer.clear();
                from.read_until(b'\n', &mut answer)?;
                writer.join().map_err(|_| anyhow::anyhow!("the writer failed"))??;
                Ok(())
            })?;
            *took += started.elapsed().as_secs_f64();
        }
    }
    let [direct, cats, tap] = took.map(|took| (2 * LARGE * LARGES) as f64 / took / 1e6);
    let ratio = 100.0 * tap / cats;
    let closed = links.into_iter().map(Link::close).collect::<anyhow::Result<Vec<_>>>()?;
    let seen = closed[2].map(|(seen, all)| format!(", {seen} of {all} seen")).unwrap_or_default();
    writeln!(
        report,
        "1 MiB each way, MB/s: direct {direct:.0}, two cats {cats:.0}, tap {tap:.0}{seen}"
    )?;
    writeln!(report, "  tap: {ratio:.0} % of the cats")?;
    Ok(())
}

fn offered(report: &mut String) -> anyhow::Result<()> {
    let ways = if given_tap() { &[MCP][..] } else { &[COUNT, MCP][..] };
    for &way in ways {
        let mut link = link(way)?;
        let started = Instant::now();
        let took = link.burst((OFFERED * OFFERED_MS) as usize, |id| {
            let due = Duration::from_millis(id as u64 / OFFERED);
            if let Some(early) = due.checked_sub(started.elapsed()) {
                thread::park_timeout(early);
            }
        })?;
        let rate = (OFFERED * OFFERED_MS) as f64 / took.as_secs_f64() / 1e3;
        let missed = match link.close()? {
            Some((seen, all)) => format!("{} of {all} not seen", all - seen),
            None => "see its own books".into(),
        };
        let name = way.name();
        writeln!(report, "offered {OFFERED} k calls/s, {name}: {rate:.1} k/s, {missed}")?;
    }
    Ok(())
}
