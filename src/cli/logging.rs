//! Our own log lines: always on stderr, coloured only on a terminal, and never in anybody's way.
//!
//! A host need not read its servers' stderr. Lines go through a bounded box to a thread of their own:
//! whoever logs never waits, and what does not fit is counted and said once there is room.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::pipeline::INCIDENTS;
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

/// Whose stderr the lines go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Of whoever runs a service: single events are told as they happen.
    Operator,
    /// An agent's host, for which each line is a failure of the server: only problems, and of those that
    /// the account at the end sums up nothing but that.
    Host,
}

/// Starts logging.
pub(super) fn start(settings: &LogSettings, reader: Reader) {
    let (letters, post) = sync_channel(LINES);
    if LETTERS.set(letters).is_err() {
        return;
    }
    // Without the thread nothing is read, and every line counts as lost.
    thread::Builder::new().name("log".into()).spawn(move || deliver(&post)).ok();
    let filter = EnvFilter::new(filter(settings.level, reader));
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

/// Returns the filter of log events. Of libraries only warnings and errors pass; their debug output is not for
/// users of mcpcol.
fn filter(level: Option<LogLevel>, reader: Reader) -> String {
    let level = level.unwrap_or(match reader {
        Reader::Operator => LogLevel::Info,
        Reader::Host => LogLevel::Warn,
    });
    let ours = match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let chatty = matches!(level, LogLevel::Debug | LogLevel::Info);
    match reader {
        Reader::Host if !chatty => format!("off,mcpcol={ours},{INCIDENTS}=off"),
        _ => format!("warn,mcpcol={ours},h2=error,hyper=error"),
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

/// Places of bugs that are told apart; one beyond is not said.
const MAX_BUGS: usize = 32;

/// A bug says where it is, once, and nothing else: a panic's own words can quote what was observed, and
/// what panics for one batch does so for the next.
pub(super) fn hide_panic_messages() {
    let said = Mutex::new(Vec::new());
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() == MAX_BUGS || said.contains(&place) {
            return;
        }
        said.push(place.clone());
        drop(said);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_hears_neither_libraries_nor_single_events_unless_it_was_asked_for() {
        assert_eq!(filter(None, Reader::Host), "off,mcpcol=warn,mcpcol::incidents=off");
        let asked = filter(Some(LogLevel::Info), Reader::Host);
        assert_eq!(asked, "warn,mcpcol=info,h2=error,hyper=error");
        assert_eq!(asked, filter(None, Reader::Operator));
        let warn = filter(Some(LogLevel::Warn), Reader::Operator);
        assert_eq!(warn, "warn,mcpcol=warn,h2=error,hyper=error");
    }
}
