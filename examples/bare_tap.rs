//! The stdio tap without config, pipeline and MCP: what its tests and bench drive as a process.
//!
//! `bare_tap [--set FIELD=VALUE]... -- CMD ARG...`, with the fields `stats` (a file for the counts at
//! the end), `queue`, `max_line`, `grace_ms`, `kill_ms`, `patience_ms`, `group=own` and `watch`: `count` (default), `stuck`
//! (blocks at the first byte), `panic` (at the first byte), microseconds of work a line, or `mcp`: the
//! state machine of the product.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mcpcol::metrics::Metrics;
use mcpcol::pipeline::{Accounts, Build, Exit, Id, Outlet, Shared, Stop};
use mcpcol::receivers::mcp_stdio::{
    self, Config, Direction, Event, Kind, Note, ProcessGroup, ServerName, Signal, Tap,
};
use mcpcol::receivers::mcp_stdio::{running, start, watched_by};
use mcpcol::telemetry::{Clock, Content, Nanos, Needs, Offset, Telemetry};
use memchr::memmem;
use tokio::signal::unix::{self, SignalKind, signal};

/// Directions as the tap's counters label them.
const LABELS: [&str; 2] = ["to_server", "to_client"];

fn main() -> anyhow::Result<()> {
    run(std::env::args_os().skip(1))
}

/// The bench calls this too: its children are itself.
pub(crate) fn run(mut args: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let mut settings = HashMap::new();
    while args.next().as_deref() == Some("--set".as_ref()) {
        let field = args.next().unwrap_or_default().into_string().unwrap_or_default();
        let (name, value) = field.split_once('=').unwrap_or_default();
        settings.insert(name.to_owned(), value.to_owned());
    }
    let command: Vec<OsString> = args.collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before there is a child: a signal that came too early for us would end us and not it.
    let signals = runtime.block_on(async {
        std::io::Result::Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    })?;
    let code = match start(&config(&settings)?, &command, Path::new(".")) {
        Ok(tap) => runtime.block_on(until_the_end(tap, signals, &settings))?,
        Err(error) => {
            std::io::stderr().write_all(format!("bare_tap: {error}\n").as_bytes())?;
            error.exit_code
        }
    };
    std::process::exit(code)
}

fn config(settings: &HashMap<String, String>) -> anyhow::Result<Config> {
    let mut config = Config::default();
    for (name, value) in settings {
        match name.as_str() {
            "queue" => config.queue_size = value.parse()?,
            "max_line" => config.max_message_bytes = value.parse()?,
            "grace_ms" => config.eof_grace.0 = Duration::from_millis(value.parse()?),
            "kill_ms" => config.kill_after.0 = Duration::from_millis(value.parse()?),
            "group" => config.process_group = ProcessGroup::Own,
            _ => {}
        }
    }
    config.env.insert("MCPCOL_GIVEN".into(), "given".into());
    Ok(config)
}

async fn until_the_end(
    tap: Tap,
    (mut term, mut int): (unix::Signal, unix::Signal),
    settings: &HashMap<String, String>,
) -> anyhow::Result<i32> {
    let (accounts, counts) = (Accounts::default(), Arc::default());
    let (id, shared) = (Id { kind: "mcp_stdio".into(), name: None }, Shared::default());
    let cx = Build::alone(&id, &accounts, Clock::start(), Path::new("."), &shared);
    let watch = settings.get("watch").map_or("count", String::as_str);
    let remote = tap.remote();
    let receiver = match watch {
        "mcp" => running(tap, config(settings)?, ServerName::given("peer")).build(&cx)?,
        _ => {
            let patience = settings.get("patience_ms").map_or(Ok(10_000), |ms| ms.parse())?;
            let watch = Box::new(Watch::new(watch, Arc::clone(&counts)));
            watched_by(watch, Duration::from_millis(patience), tap, &cx)
        }
    };
    let (_switch, stop) = Stop::switch();
    let mut running = receiver.run(Outlet::default(), stop);
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended?,
            _ = term.recv() => remote.forward(Signal::Terminate),
            _ = int.recv() => remote.forward(Signal::Interrupt),
        }
    };
    if let Some(file) = settings.get("stats") {
        std::fs::write(file, stats(accounts.metrics(), &counts))?;
    }
    Ok(ended.exit.map_or(0, Exit::code))
}

fn stats(metrics: &Metrics, counts: &Mutex<Counts>) -> String {
    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = format!("early {}\n", counts.early);
    for way in Direction::BOTH {
        let name = LABELS[way as usize];
        text += &format!("seen_bytes/{name} {}\n", counts.bytes[way as usize]);
        text += &format!("seen_lines/{name} {}\n", counts.lines[way as usize]);
        text += &format!("eof/{name} {}\n", u8::from(counts.eof[way as usize]));
    }
    for sample in metrics.samples() {
        let labels = sample.labels.iter().filter(|(label, _)| *label != "receiver");
        let labels: String = labels.map(|(_, value)| format!("/{value}")).collect();
        text += &format!("{}{labels} {}\n", sample.name, sample.value);
    }
    text
}

/// What was seen, of both directions.
#[derive(Default)]
struct Counts {
    bytes: [u64; 2],
    lines: [u64; 2],
    eof: [bool; 2],
    /// Answers seen before their requests.
    early: u64,
}

/// Looks at ids only, which is what the order of both directions can be told by.
struct Watch {
    counts: Arc<Mutex<Counts>>,
    how: String,
    work: Duration,
    partial: [Vec<u8>; 2],
    asked: u64,
}

impl Watch {
    fn new(how: &str, counts: Arc<Mutex<Counts>>) -> Self {
        let work = Duration::from_micros(how.parse().unwrap_or_default());
        Watch { counts, how: how.into(), work, partial: Default::default(), asked: 0 }
    }

    fn line(&mut self, way: Direction, line: &[u8]) -> u64 {
        let until = Instant::now() + self.work;
        while Instant::now() < until && way == Direction::ServerToClient {}
        let Some(at) = memmem::find(line, b"\"id\":") else { return 0 };
        let digits = line[at + 5..].iter().take_while(|b| b.is_ascii_digit());
        let id = digits.fold(0u64, |n, d| n.wrapping_mul(10).wrapping_add(u64::from(d - b'0')));
        match way {
            Direction::ClientToServer => self.asked = self.asked.max(id),
            Direction::ServerToClient => return u64::from(id > self.asked),
        }
        0
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&mut self, way: Direction, chunk: &[u8]) {
        match self.how.as_str() {
            "stuck" => loop {
                std::thread::park();
            },
            "panic" => panic!("asked for"),
            _ => {}
        }
        let mut partial = std::mem::take(&mut self.partial[way as usize]);
        let (mut lines, mut early) = (0, 0);
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end + 1);
            rest = after;
            partial.extend_from_slice(if partial.is_empty() { &[] } else { line });
            lines += 1;
            early += self.line(way, if partial.is_empty() { line } else { &partial });
            partial.clear();
        }
        partial.extend_from_slice(rest);
        self.partial[way as usize] = partial;
        let mut counts = self.counts();
        counts.bytes[way as usize] += chunk.len() as u64;
        counts.lines[way as usize] += lines;
        counts.early += early;
    }
}

impl mcp_stdio::Watch<Note> for Watch {
    fn want_logs(&mut self, _: bool) {}

    fn look(&mut self, event: &Event<'_>, _: Nanos) {
        let way = event.note.direction;
        match event.note.kind {
            Kind::Bytes { .. } => self.bytes(way, event.bytes),
            Kind::Cut { skipped, .. } => {
                self.counts().bytes[way as usize] += skipped + event.bytes.len() as u64;
            }
            Kind::Gap(_) => {
                self.partial[way as usize].clear();
                // Requests went by unseen: from here on nothing is early.
                self.asked = u64::MAX;
            }
            Kind::Eof => self.counts().eof[way as usize] = true,
            Kind::Edited | Kind::Left | Kind::Stopped => {}
        }
    }

    fn anchor(&mut self, _: Offset) {}

    fn tick(&mut self, _: Nanos) {}

    fn end(&mut self, _: Nanos) {}

    fn keep(&mut self, _: Needs) {}

    fn ready(&self) -> usize {
        0
    }

    fn take(&mut self) -> Vec<(Telemetry, Content)> {
        Vec::new()
    }
}
