//! `mcpcol tail`: calls as they end, of all taps of this machine, or of one process; or what waits now.
//!
//! It asks the processes themselves; of sources that are named it shows what is added. What ended before it began is in
//! the records. Who runs it slows no tap: what it cannot show in time it misses, and says how much.

mod watch;
mod page;
mod pending;
mod added;

use std::io::{self, ErrorKind, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::sync::mpsc;

use self::page::Page;
use self::watch::Heard;
use super::live::{self, Peer};
use super::records::selection::{Filter, Format};
use super::say;
use crate::calls::Call;
use crate::extensions::stats::v1::FinishedCall;

/// Exit code where a process or source that was named cannot be asked or read.
const UNREADABLE: u8 = 2;
/// Calls that wait to be shown.
const WAITING: usize = 256;

/// Arguments of `mcpcol tail`.
#[derive(clap::Args, Debug)]
pub(super) struct Tail {
    /// Show what is added to these files of OTLP JSON lines, directories of `.jsonl` files, or pipes, `-` for stdin;
    /// default: ask all taps of this machine
    #[arg(value_name = "SOURCE", conflicts_with_all = ["endpoint", "pending"])]
    sources: Vec<PathBuf>,
    /// Ask the process at this address alone: `host:port` or URL of the extension `stats`, or the path of a socket
    /// [env: MCPCOL_STATS_TOKEN= has the token to show]
    #[arg(long, value_name = "ADDR", value_parser = Peer::parse)]
    endpoint: Option<Peer>,
    #[command(flatten)]
    filter: Filter,
    /// Show the calls that wait for their answers now, those that have waited longest first, and end
    #[arg(long)]
    pending: bool,
    /// A readable line a call, or a JSON object
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

impl Tail {
    /// Shows calls until Ctrl-C, until nobody reads any more, or until the process that was named is gone. Exit code 2
    /// if that cannot be asked.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let always = Arc::new(AtomicBool::new(true));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 0, Arc::clone(&always))?;
        }
        if !self.sources.is_empty() {
            let mut page = Page::new(io::stdout().lock(), self.format, colours(), width());
            let all = added::follow(&self.sources, &self.filter, |call| page.print(call))?;
            return Ok(if all { ExitCode::SUCCESS } else { UNREADABLE.into() });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            if self.pending { self.show_pending().await } else { self.follow().await }
        })
    }

    async fn follow(&self) -> anyhow::Result<ExitCode> {
        let (hear, mut heard) = mpsc::channel(WAITING);
        let mut page = Page::new(io::stdout().lock(), self.format, colours(), width());
        match &self.endpoint {
            None => {
                if live::sockets().is_empty() && io::stderr().is_terminal() {
                    say(NO_TAP);
                }
                self.show(&mut heard, &mut page, watch::all(hear)).await?;
            }
            Some(peer) => {
                let mut client = match peer.connect().await {
                    Ok(client) => client,
                    Err(error) => return Ok(unreadable(&error)),
                };
                let stream = match client.watch(live::ask(Default::default())).await {
                    Ok(stream) => stream.into_inner(),
                    Err(status) => return Ok(unreadable(&peer.refused(&status))),
                };
                self.show(&mut heard, &mut page, watch::one(stream, hear)).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Shows what is heard until `watching` is over, or nobody reads it any more.
    async fn show(
        &self,
        heard: &mut mpsc::Receiver<Heard>,
        page: &mut Page<impl io::Write>,
        watching: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let mut watching = std::pin::pin!(watching);
        let mut over = false;
        loop {
            let next = tokio::select! {
                next = heard.recv() => next,
                () = watching.as_mut(), if !over => { over = true; continue }
                () = watch::nobody_reads() => return Err(ErrorKind::BrokenPipe.into()),
            };
            match next {
                None => return Ok(()),
                Some(Heard::Call(call)) if self.filter.takes(&as_call(&call)) => {
                    page.print(&call)?
                }
                Some(Heard::Call(_)) => {}
                Some(Heard::Lost(calls)) => {
                    say(&format!(
                        "mcpcol: {calls} calls are missing here: they came faster than they were shown"
                    ));
                }
            }
        }
    }

    async fn show_pending(&self) -> anyhow::Result<ExitCode> {
        let peers = match &self.endpoint {
            // A socket that nobody listens to is an error where it was named.
            Some(peer) => match peer.connect().await {
                Ok(_) => vec![peer.clone()],
                Err(error) => return Ok(unreadable(&error)),
            },
            None => live::sockets().into_iter().map(Peer::Socket).collect(),
        };
        let mut calls = match live::calls(peers).await {
            Ok(calls) => calls,
            Err(error) => return Ok(unreadable(&error)),
        };
        calls.waiting.retain(|call| self.filter.takes(&live::as_call(call)));
        pending::print(&calls, &mut io::stdout().lock(), self.format, colours())?;
        if calls.waiting.is_empty() && self.format == Format::Text {
            say(&match calls.answered {
                0 => NO_TAP.to_owned(),
                taps_there => format!("mcpcol: nothing waits at {}", taps(taps_there)),
            });
        }
        if calls.silent > 0 {
            say(&format!("mcpcol: no answer from {}", taps(calls.silent)));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Says what to do where no tap is found.
const NO_TAP: &str = "mcpcol: no tap runs; wrap a server with `mcpcol stdio --`, or name a `mcpcol run` with --endpoint";

fn taps(number: usize) -> String {
    if number == 1 { "1 tap".to_owned() } else { format!("{number} taps") }
}

/// Reads a call that was told as one that a span tells of, as far as a filter looks.
fn as_call(told: &FinishedCall) -> Call<'_> {
    Call {
        server: &told.server,
        method: &told.method,
        tool: &told.tool,
        session: &told.session,
        client: &told.client,
        outcome: &told.outcome,
        error: &told.error_type,
        start: told.start_unix_nano,
        end: told.start_unix_nano.saturating_add(told.duration_nanos),
        ..Call::default()
    }
}

fn unreadable(error: &anyhow::Error) -> ExitCode {
    say(&format!("mcpcol: {error:#}"));
    UNREADABLE.into()
}

fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Asks stdout for its width in columns, if it is a terminal that knows.
fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
