//! Our own log lines: always on stderr, coloured only on a terminal, and never in anybody's way.
//!
//! A host need not read its servers' stderr. Lines go through a bounded box to a thread of their own:
//! whoever logs never waits, and what does not fit is counted and said once there is room.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::pipeline::INCIDENTS;
use crate::pipeline::plan::{LogEncoding, LogLevel, LogSettings};
use crate::privacy::redact::{Found, KnownValues, Redactor, Scan, Settings, Under};
use crate::settings::{Secret, harmless_json, without_hidden};

/// Lines that wait for a slow reader.
const LINES: usize = 1024;
/// Says how long the last lines may take at the process's end.
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

/// Starts logging. What is a secret of the configuration, or looks like one, is masked in every line.
pub(super) fn start(settings: &LogSettings, reader: Reader, secrets: &[Secret]) {
    let (letters, post) = sync_channel(LINES);
    if LETTERS.set(letters).is_err() {
        return;
    }
    let known = KnownValues::new(secrets.iter().map(Secret::expose));
    // Without the thread nothing is read, and every line counts as lost.
    let encoding = settings.encoding;
    let deliver = move || deliver(&post, Arc::new(known), encoding);
    thread::Builder::new().name("log".into()).spawn(deliver).ok();
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

fn deliver(post: &Receiver<Letter>, known: Arc<KnownValues>, encoding: LogEncoding) {
    let mut stderr = io::stderr();
    // The usual rules are always good, so a line without them is none.
    let redactor = Redactor::new(&Settings::default()).ok();
    let mut scan = redactor.as_ref().map(Redactor::scan);
    scan.iter_mut().for_each(|scan| scan.know([&known]));
    for letter in post {
        match letter {
            Letter::Line(line) => scan
                .as_mut()
                .map(|scan| redacted(scan, &line, encoding))
                .and_then(|line| stderr.write_all(&line).ok()),
            Letter::Flush(done) => done.try_send(()).ok(),
        };
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            writeln!(stderr, "mcpcol: {lost} log lines were not written").ok();
        }
    }
}

/// Masks what is secret in a line, which keeps its end, and escapes what a terminal would not show.
fn redacted<'l>(scan: &mut Scan<'_>, line: &'l [u8], encoding: LogEncoding) -> Cow<'l, [u8]> {
    let text = line.trim_ascii_end();
    let masked = match scan.bytes(text, Under::Open) {
        Found::Nothing => Cow::Borrowed(line),
        Found::Masked | Found::Unscanned(_) => {
            Cow::Owned([scan.output().as_bytes(), &line[text.len()..]].concat())
        }
    };
    // Controls were escaped where the line was put together; those of its colours are ours.
    let shown = match encoding {
        LogEncoding::Json => harmless_json,
        LogEncoding::Console => without_hidden,
    };
    match std::str::from_utf8(&masked).map(shown) {
        Ok(Cow::Owned(shown)) => Cow::Owned(shown.into_bytes()),
        Ok(Cow::Borrowed(_)) | Err(_) => masked,
    }
}

/// Says where the subscriber writes: one call a line.
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
    fn secrets_are_masked_in_lines_of_both_encodings() {
        let redactor = Redactor::new(&Settings::default()).unwrap();
        let secret = ["kettle-", "window-17"].concat();
        let mut scan = redactor.scan();
        scan.know([&Arc::new(KnownValues::new([&secret]))]);
        let mut line = |text: String| {
            let json = text.starts_with('{');
            let encoding = if json { LogEncoding::Json } else { LogEncoding::Console };
            String::from_utf8(redacted(&mut scan, text.as_bytes(), encoding).into()).unwrap()
        };
        assert_eq!(line("INFO a line\n".into()), "INFO a line\n");
        assert_eq!(line(format!("WARN to {secret}: no\n")), "WARN to [REDACTED:known_value]: no\n");
        assert_eq!(line("WARN a\u{202e}b\n".into()), "WARN a\\u{202e}b\n");
        assert_eq!(line("{\"a\":\"\u{202e}b\"}\n".into()), "{\"a\":\"\\u202eb\"}\n");
        let json = format!("{{\"level\":\"INFO\",\"error\":\"password={}\"}}\n", "hunter2x");
        assert_eq!(
            line(json),
            "{\"level\":\"INFO\",\"error\":\"password=[REDACTED:assignment]\"}\n"
        );
    }

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
