//! Our own log lines: always on stderr, coloured only on a terminal, and never in anybody's way.
//!
//! A host need not read its servers' stderr. Lines go through a bounded box to a thread of their own:
//! whoever logs never waits, and what does not fit is counted and said once there is room.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::pipeline::plan::{LogEncoding, LogLevel, LogSettings};

/// Lines that wait for a slow reader.
const LINES: usize = 1024;
/// How long the last lines may take at the process's end.
const PATIENCE: Duration = Duration::from_millis(100);

static LETTERS: OnceLock<SyncSender<Letter>> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);

enum Letter {
    Line(Vec<u8>),
    /// Answered once everything before it has been written.
    Flush(SyncSender<()>),
}

/// Starts logging. `default` is the level of this subcommand where the config names none.
pub(super) fn start(settings: &LogSettings, default: LogLevel) {
    let (letters, post) = sync_channel(LINES);
    if LETTERS.set(letters).is_err() {
        return;
    }
    // Without the thread nothing is read, and every line counts as lost.
    thread::Builder::new().name("log".into()).spawn(move || deliver(&post)).ok();
    let level = match settings.level.unwrap_or(default) {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    // Libraries speak up only about what is wrong; their debug output is not for users of mcpcol.
    let filter = EnvFilter::new(format!("warn,mcpcol={level},h2=error,hyper=error"));
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Post)
        .with_ansi(colours)
        .with_target(false);
    match settings.encoding {
        LogEncoding::Json => builder.json().init(),
        LogEncoding::Console => builder.init(),
    }
}

/// Gives the last lines their time; called once at the end.
pub(super) fn flush() {
    let Some(letters) = LETTERS.get() else { return };
    let (done, written) = sync_channel(1);
    if letters.try_send(Letter::Flush(done)).is_ok() {
        written.recv_timeout(PATIENCE).ok();
    }
}

/// A bug says where it is and nothing else: a panic's own words can quote what was observed.
pub(super) fn hide_panic_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        if LETTERS.get().is_some() {
            tracing::error!("a bug in mcpcol at {place}");
        } else {
            super::say(&format!("mcpcol: a bug at {place}"));
        }
    }));
}

fn deliver(post: &Receiver<Letter>) {
    let mut stderr = io::stderr();
    for letter in post {
        match letter {
            Letter::Line(line) => stderr.write_all(&line).ok(),
            Letter::Flush(done) => done.try_send(()).ok(),
        };
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            writeln!(stderr, "mcpcol: {lost} log lines were not written").ok();
        }
    }
}

/// Where the subscriber writes: one call a line.
struct Post;

impl Write for Post {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let sent = LETTERS.get().map(|letters| letters.try_send(Letter::Line(line.to_vec())));
        if !matches!(sent, Some(Ok(()))) {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
