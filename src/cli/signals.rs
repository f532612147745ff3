//! The signals that reach the process, who gets them, and how a signal ends it. Linux and macOS.
//!
//! A tapped child gets what reached us, as it came and once: what the kernel sends to the whole foreground group,
//! such as Ctrl-C at a terminal, a child in it has already. A thread of its own sees to it, so that nothing on the
//! telemetry side holds a signal back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Context;
#[cfg(target_os = "linux")]
use rustix::process::DumpableBehavior;
use rustix::process::{Resource, Rlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGXFSZ};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::emulate_default_handler;
use signal_hook::low_level::siginfo::Origin;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::receivers::mcp_stdio::{self, Signal};

/// Lists the signals that are listened to, with their numbers on this platform.
const HEARD: [(i32, Signal); 7] = [
    (SIGHUP, Signal::HangUp),
    (SIGINT, Signal::Interrupt),
    (SIGQUIT, Signal::Quit),
    (SIGUSR1, Signal::User1),
    (SIGUSR2, Signal::User2),
    (SIGTERM, Signal::Terminate),
    (SIGWINCH, Signal::WindowChange),
];
/// Requests that wait for whoever runs the pipelines; one more of the same would ask for nothing new.
const WAITING: usize = 16;

/// Says whether the process wraps one child or runs pipelines, which decides who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It stands for one child: every signal is the child's.
    Wrapper,
    /// It runs pipelines: SIGHUP reloads them, SIGTERM and SIGINT stop them.
    Service,
}

/// Names what a signal requests of the process itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To go.
    Stop,
    /// To load the configuration anew.
    Reload,
}

/// Signals that are heard and wait for an answer.
#[derive(Debug)]
pub(super) struct Signals {
    role: Role,
    caught: SignalsInfo<WithOrigin>,
    /// Ignored at the start and to be heard all the same.
    late: Vec<i32>,
}

/// Receives the requests that signals make of the process, in order.
#[derive(Debug)]
pub(super) struct Asks {
    asked: Receiver<Asked>,
    /// A signal that stops us was taken: set before a child has it.
    stopping: Arc<AtomicBool>,
}

impl Signals {
    /// Hears signals from now on; they wait until [`answer`](Self::answer). To be called before there is a child: a
    /// signal that comes early must reach it, not just end us.
    ///
    /// Signals that were ignored at the start (`nohup`, a shell's background jobs) stay ignored, here and in
    /// children, which inherit it.
    pub(super) fn listen(role: Role) -> anyhow::Result<Self> {
        let ignored = ignored_at_the_start();
        let is_ignored = |signal: &i32| ignored >> (signal - 1) & 1 == 1;
        let (mut late, heard): (Vec<_>, Vec<_>) =
            HEARD.iter().map(|(signal, _)| *signal).partition(is_ignored);
        // SIGTERM is how a process is told to go, and a reload harms nobody.
        late.retain(|&signal| signal == SIGTERM || signal == SIGHUP && role == Role::Service);
        if !is_ignored(&SIGXFSZ) {
            // A file that reached the limit of `ulimit -f` is an error of one exporter, and not our end. A handler,
            // which does nothing: children do not inherit it, as they would that it is ignored.
            signal_hook::flag::register(SIGXFSZ, Arc::<AtomicBool>::default())
                .context("cannot listen to signals")?;
        }
        let caught = SignalsInfo::<WithOrigin>::new(heard).context("cannot listen to signals")?;
        Ok(Signals { role, caught, late })
    }

    /// Answers signals, those first that wait. To be called once there is a child, if there is to be one: it has
    /// inherited by then what is ignored and heard here nevertheless.
    pub(super) fn answer(self) -> anyhow::Result<Asks> {
        let Signals { role, mut caught, late } = self;
        for signal in late {
            caught.handle().add_signal(signal).context("cannot listen to signals")?;
        }
        if role == Role::Service && is_first() && mcp_stdio::remote().is_some() {
            tracing::info!("what the server leaves behind is reaped by nobody here: use --init");
        }
        let (ask, asked) = channel(WAITING);
        let stopping = Arc::new(AtomicBool::new(false));
        let asks = Asks { asked, stopping: Arc::clone(&stopping) };
        let ask = Asking { ask, stopping };
        // What came while the child was being started may have reached our group before it was in there: rather
        // twice than never.
        let early: Vec<_> = caught.pending().collect();
        let answering = move || {
            early.iter().for_each(|origin| take(role, origin, false, &ask));
            for origin in caught.forever() {
                // A fault that one signal brings to light must not make the process deaf to the next, SIGTERM.
                let one = || take(role, &origin, reached_the_group(&origin), &ask);
                catch_unwind(AssertUnwindSafe(one)).ok();
            }
        };
        thread::Builder::new()
            .name("signals".into())
            .spawn(answering)
            .context("cannot start the thread that answers signals")?;
        Ok(asks)
    }
}

impl Asks {
    /// No requests at all.
    pub(super) fn none() -> Self {
        Asks { asked: channel(1).1, stopping: Arc::default() }
    }

    /// Says whether a signal that stops us was taken, though the request may not be here yet: what it did to a child
    /// is no end of the child's own.
    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// The next request.
    pub(super) async fn next(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            // The thread that answers is gone: nothing will ask any more.
            None => std::future::pending().await,
        }
    }
}

/// The other end of [`Asks`].
struct Asking {
    ask: Sender<Asked>,
    stopping: Arc<AtomicBool>,
}

/// Answers a signal, which with `in_group` a child in our group has as well.
fn take(role: Role, origin: &Origin, in_group: bool, asking: &Asking) {
    let Some(&(_, signal)) = HEARD.iter().find(|(number, _)| *number == origin.signal) else {
        return;
    };
    let service = role == Role::Service;
    if service && signal == Signal::HangUp {
        asking.ask.try_send(Asked::Reload).ok();
        return;
    }
    let stops = signal.stops();
    asking.stopping.fetch_or(stops, Ordering::Release);
    match mcp_stdio::remote() {
        Some(child) if in_group => child.reached(signal),
        Some(child) => child.forward(signal),
        None if service && !stops => usual_effect(origin.signal),
        None => {}
    }
    if stops {
        asking.ask.try_send(Asked::Stop).ok();
    }
}

/// Does what the signal would have done had nobody listened. The first process of a container is spared, as the
/// kernel spares it.
fn usual_effect(signal: i32) {
    if !is_first() {
        emulate_default_handler(signal).ok();
    }
}

/// Ends the process by the signal that ended its child, so that whoever waits for it sees what it would
/// have seen without us. Returns if there is no such signal, or if nothing would come of it: the first
/// process of a container is spared its own signals.
pub(super) fn end_by(number: i32) {
    if is_first() {
        return;
    }
    // The core that is worth a look is the child's.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).ok();
    #[cfg(target_os = "linux")] // where a limit does not hold back cores that go to a program
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
    emulate_default_handler(number).ok();
}

/// Says whether this is the first process of a container, to which orphans come.
fn is_first() -> bool {
    rustix::process::getpid().is_init()
}

/// Says whether the kernel sent it to everybody in our process group. A terminal that hangs up tells the leader of its
/// session alone, and the foreground group only when that is gone.
#[cfg(target_os = "linux")]
fn reached_the_group(origin: &Origin) -> bool {
    use signal_hook::low_level::siginfo::Cause;

    let leads = || {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // Both as that file counts, which may be another PID namespace's.
        let (pid, _) = stat.split_once(' ')?;
        Some(session(&stat)? == pid.parse::<u32>().ok()?)
    };
    let to_the_leader = origin.signal == SIGHUP && leads() == Some(true);
    origin.cause == Cause::Kernel && !to_the_leader
}

/// Reads the session's id from `/proc/self/stat` (proc_pid_stat(5), field 6). It is 0 where the leader is outside our
/// PID namespace, as for what `docker exec` and CI runners start: `getsid` of rustix takes that for impossible and
/// panics.
#[cfg(target_os = "linux")]
fn session(stat: &str) -> Option<u32> {
    // The name, in parentheses, may hold anything.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(3)?.parse().ok()
}

/// Says whether it may have been sent to everybody in our process group. Here signals do not say who sent them: what a
/// terminal can send to its foreground group counts as sent by it while we are that group.
#[cfg(not(target_os = "linux"))]
fn reached_the_group(origin: &Origin) -> bool {
    let foreground = || {
        let terminal = std::fs::File::open("/dev/tty").ok()?;
        rustix::termios::tcgetpgrp(terminal).ok()
    };
    [SIGHUP, SIGINT, SIGQUIT, SIGWINCH].contains(&origin.signal)
        && foreground() == Some(rustix::process::getpgrp())
}

/// The signals that this process ignores before it listens to any, a bit each. Where there is no `/proc` that
/// cannot be learned without unsafe code: none.
fn ignored_at_the_start() -> u64 {
    std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status))
}

fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_process_status() {
        let status =
            "Name:\tmcpcol\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\nSigCgt:\t04\n";
        let bits = ignored(status);
        assert_eq!(bits, 1 << (SIGHUP - 1) | 1 << (SIGINT - 1) | 1 << (13 - 1));
        assert_eq!([ignored(""), ignored("SigIgn:\tno")], [0, 0]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_session_is_read_from_the_process_stat() {
        assert_eq!(session("8 (mcpcol) S 1 8 7 0 -1 4194560"), Some(7));
        assert_eq!(
            session("8 (a) R 1 (b) S 1 1 0 0 -1 4194560"),
            Some(0),
            "its leader is elsewhere"
        );
        assert_eq!([session(""), session("8 (mcpcol) S 1 8")], [None, None]);
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(session(&own).is_some());
    }
}
