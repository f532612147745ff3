//! A running tap: the child, the relays on their threads, and the ladder that ends it all.
//!
//! It needs no pipeline and no runtime: it starts as soon as the configuration is read, the queue holds
//! what goes by until an observer comes, and if none ever comes the traffic does not notice.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Direction;
use super::child::{self, CannotStart, Child, Pipe, Plan};
use super::edits::Edits;
use super::intake::Intake;
use super::ladder::{self, Event, Ladder, Signal};
use super::queue::{Kind, Note, Queue};
use super::relay::{End, Progress, relay};
use crate::receivers::tap::Editing;

/// Events that wait for the ladder; there are four in a life, and signals.
const EVENTS: usize = 16;
/// How often the output of a dead child is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// How a tap behaves, all but the command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Lines are observed up to this many bytes.
    pub(super) max_line: usize,
    /// Bytes that wait for the observer.
    pub(super) queue: usize,
    /// From the client's end of file to SIGTERM; `None` for no limit.
    pub(super) eof_grace: Option<Duration>,
}

/// A child with its traffic running through us.
#[derive(Debug)]
pub struct Tap {
    pub(super) queue: Arc<Queue>,
    /// What is changed on the way, if anything is.
    pub(super) editing: Option<Arc<Editing>>,
    remote: Remote,
}

/// Reaches a running tap from elsewhere. Clones reach the same.
#[derive(Clone, Debug)]
pub struct Remote {
    events: SyncSender<Event>,
    /// When we were first asked to go.
    asked: Arc<OnceLock<Instant>>,
    queue: Arc<Queue>,
    exit_code: watch::Receiver<Option<i32>>,
}

/// The two descriptors on the client's side.
struct Client {
    input: Pipe,
    output: Pipe,
}

/// Whether a tap of this process has taken its stdin and stdout: there is one pair.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Spawns the child and puts the tap between it and our own stdin and stdout, which are taken over:
/// nothing else in the process can read or print there any more.
pub(super) fn start(
    plan: &Plan<'_>,
    limits: Limits,
    editing: Option<Arc<Editing>>,
) -> Result<Tap, CannotStart> {
    if TAKEN.swap(true, Ordering::Relaxed) {
        let error = io::Error::other("another server has this process's stdin and stdout");
        return Err(CannotStart::ours(plan, &error));
    }
    let (child, stdin, stdout) = child::spawn(plan)?;
    let running = child::take_stdio().and_then(|(input, output)| {
        run(child, (stdin, stdout), Client { input, output }, limits, editing)
    });
    running.map_err(|error| CannotStart::ours(plan, &error))
}

fn run(
    child: Child,
    server: (Pipe, Pipe),
    client: Client,
    limits: Limits,
    editing: Option<Arc<Editing>>,
) -> io::Result<Tap> {
    let queue = Arc::new(Queue::new(limits.queue));
    let (events, happened) = sync_channel(EVENTS);
    let (ended, exit_code) = watch::channel(None);
    let progress = Arc::new(Progress::default());

    let intake = |direction| Intake::new(Arc::clone(&queue), direction, limits.max_line);
    let (to_server, to_client) =
        (intake(Direction::ClientToServer), intake(Direction::ServerToClient));
    let edits = |direction| editing.as_ref().and_then(|editing| Edits::new(editing, direction));
    let (asked, answered) = (edits(Direction::ClientToServer), edits(Direction::ServerToClient));
    let (stdin, stdout) = server;
    let done = events.clone();
    named("to-server").spawn(move || {
        // A child that closes its stdin is no end: it may still talk.
        let progress = Progress::default();
        if relay(client.input, stdin, to_server, asked, &progress) == End::Source {
            tell(&done, Event::ClientEof);
        }
    })?;
    let (done, moved) = (events.clone(), Arc::clone(&progress));
    named("to-client").spawn(move || {
        relay(stdout, client.output, to_client, answered, &moved);
        tell(&done, Event::OutputEnded);
    })?;
    let (done, exited) = (events.clone(), child.exited());
    named("child").spawn(move || {
        exited();
        tell(&done, Event::ChildExited);
    })?;
    let (ladder, closing) = (Ladder::new(limits.eof_grace), Arc::clone(&queue));
    named("ladder").spawn(move || {
        climb(ladder, &child, &happened, &progress);
        closing.close();
        ended.send_replace(Some(child.reap()));
    })?;
    let remote = Remote { events, asked: Arc::default(), queue: Arc::clone(&queue), exit_code };
    Ok(Tap { queue, editing, remote })
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

fn tell(events: &SyncSender<Event>, event: Event) {
    // Refused only when the ladder is over or already has a queue of signals to work off.
    events.try_send(event).ok();
}

/// Works the ladder until it is over.
fn climb(mut ladder: Ladder, child: &Child, events: &Receiver<Event>, progress: &Progress) {
    let mut quiet = Quiet::since(progress);
    while !ladder.over() {
        let event = next(&ladder, events, &mut quiet, progress);
        if let Some(signal) = ladder.step(event, Instant::now()) {
            child.signal(signal);
        }
    }
}

fn next(
    ladder: &Ladder,
    events: &Receiver<Event>,
    quiet: &mut Quiet,
    progress: &Progress,
) -> Event {
    if ladder.draining() && quiet.for_long(progress) {
        return Event::OutputIdle;
    }
    let due = ladder.wake().map(|at| at.saturating_duration_since(Instant::now()));
    let due = if ladder.draining() { Some(due.map_or(LOOK, |d| d.min(LOOK))) } else { due };
    let event = match due {
        Some(wait) => events.recv_timeout(wait),
        None => events.recv().map_err(RecvTimeoutError::from),
    };
    if event == Ok(Event::ChildExited) {
        *quiet = Quiet::since(progress);
    }
    // The senders live as long as the threads of this tap; without them only time is left.
    event.unwrap_or(Event::Time)
}

/// How long a relay has been waiting for something to read.
struct Quiet {
    steps: u64,
    since: Instant,
}

impl Quiet {
    fn since(progress: &Progress) -> Self {
        Quiet { steps: progress.steps(), since: Instant::now() }
    }

    /// A relay that holds bytes is not quiet: its reader is slow.
    fn for_long(&mut self, progress: &Progress) -> bool {
        let steps = progress.steps();
        if steps != self.steps || Progress::holds(steps) {
            *self = Quiet { steps, since: Instant::now() };
        }
        self.since.elapsed() >= ladder::IDLE
    }
}

impl Tap {
    /// A remote control.
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }
}

impl Remote {
    /// Sends a signal that reached us on to the child and begins the end: SIGKILL follows 1.5 s later.
    pub fn forward(&self, signal: Signal) {
        self.begin();
        tell(&self.events, Event::Asked(signal));
    }

    /// The same with SIGTERM, unless that has begun already.
    pub(super) fn stop(&self) {
        self.begin();
        tell(&self.events, Event::Stop);
    }

    /// Who asks us to go is the client's side: the server's end that follows is no failure of its own,
    /// so it is said before the server is told.
    fn begin(&self) {
        self.asked.get_or_init(|| {
            let now = Instant::now();
            let mut handing = self.queue.lock();
            handing.tell(now, Note { direction: Direction::ClientToServer, kind: Kind::Left });
            if handing.done() {
                self.queue.wake();
            }
            now
        });
    }

    /// After a signal: when the process has to be gone, telemetry or not, because its host climbs a
    /// ladder of its own and SIGKILL is the next step.
    pub fn leave_by(&self) -> Option<Instant> {
        self.asked.get().map(|&at| at + ladder::GONE_AFTER)
    }

    /// Returns once the child is gone and what it had written has been relayed: the exit code that is
    /// now ours.
    pub async fn ended(&mut self) -> i32 {
        match self.exit_code.wait_for(Option::is_some).await {
            Ok(code) => code.unwrap_or_default(),
            // The ladder's thread is gone without an answer.
            Err(_) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::queue::Held;
    use super::*;

    #[test]
    fn who_asks_us_to_go_is_the_client_and_that_is_queued_once_before_the_server_hears_of_it() {
        let queue = Arc::new(Queue::new(1 << 20));
        let (events, happened) = sync_channel(EVENTS);
        let (_, exit_code) = watch::channel(None);
        let asked = Arc::default();
        let remote = Remote { events, asked, queue: Arc::clone(&queue), exit_code };
        let told = || {
            let mut held = Held::default();
            queue.drain(&mut held);
            held.events().map(|event| (event.note.direction, event.note.kind)).collect::<Vec<_>>()
        };
        remote.forward(Signal::Terminate);
        assert_eq!(told(), [(Direction::ClientToServer, Kind::Left)]);
        remote.forward(Signal::Terminate);
        remote.stop();
        assert_eq!(told(), []);
        let heard: Vec<_> = happened.try_iter().collect();
        let asked = Event::Asked(Signal::Terminate);
        assert_eq!(heard, [asked, asked, Event::Stop]);
        assert!(remote.leave_by().is_some());
    }
}
