//! A running tap: the child, the relays on their threads, and the ladder that ends it all.
//!
//! It needs no pipeline and no runtime: it starts as soon as the configuration is read, the queue holds
//! what goes by until an observer comes, and if none ever comes the traffic does not notice.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Direction;
use super::child::{Child, Closer, Ends, Pipe, Started};
use super::edits::Edits;
use super::intake::End;
use super::intake::Intake;
use super::ladder::{self, Action, Event, Ladder, Signal, Times};
use super::queue::{Kind, Note, Queue};
use super::relay::{Progress, relay};
use super::stderr::{LineQueue, Relay};
use crate::pipeline::{Deadline, Exit};
use crate::receivers::tap::Editing;

/// Events that wait for the ladder; there are a few in a life, and signals.
const EVENTS: usize = 16;
/// Says how often the output of a dead child is looked at.
const LOOK: Duration = Duration::from_millis(25);
/// Says how long a relay whose reader takes nothing counts as one that is still at work. Who stops a container kills it
/// after 10 s, and by then what was seen has to be told.
const STUCK: Duration = Duration::from_secs(5);

/// Says how a tap behaves, all but the command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Lines are observed up to this many bytes.
    pub(super) max_line: usize,
    /// Bytes that wait for the observer.
    pub(super) queue: usize,
    /// Limits what is left to the child of its end.
    pub(super) ladder: ladder::Limits,
    /// Says whether a stop may end the child's input; it costs each read from the client a call more.
    pub(super) closable: bool,
}

/// A child with its traffic running through us.
#[derive(Debug)]
pub struct Tap {
    pub(super) queue: Arc<Queue>,
    /// Holds what the child wrote to its stderr, if that is captured.
    pub(super) lines: Option<Arc<LineQueue>>,
    /// Holds what is changed on the way, if anything is.
    pub(super) editing: Option<Arc<Editing>>,
    remote: Remote,
}

/// Reaches a running tap from elsewhere. Clones reach the same.
#[derive(Clone, Debug)]
pub struct Remote {
    events: SyncSender<Event>,
    /// The child is in a group of its own, which what is sent to ours does not reach.
    own_group: bool,
    /// Says whether somebody has asked us to go.
    asked: Arc<AtomicBool>,
    queue: Arc<Queue>,
    exit: watch::Receiver<Option<Exit>>,
}

/// The client's side of a tap.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) ends: Ends,
    /// Says where the server's stderr goes, and the copies of it, if it is captured.
    pub(super) stderr: Option<(Pipe, Arc<LineQueue>)>,
}

/// Puts a tap between a child that has been started and its client. Whoever calls this owns the child by the
/// [`Tap`]; any number may run in one process.
pub(super) fn start(
    Started { child, ends: server, stderr }: Started,
    client: Client,
    limits: Limits,
    editing: Option<Arc<Editing>>,
) -> io::Result<Tap> {
    let Client { ends: client, stderr: to } = client;
    let lines = to.as_ref().map(|(_, lines)| Arc::clone(lines));
    let stderr = stderr.zip(to).map(|(from, (to, lines))| Relay::start(from, to, lines));
    let stderr = stderr.transpose()?;
    let queue = Arc::new(Queue::new(limits.queue));
    let (events, happened) = sync_channel(EVENTS);
    let (ended, exit) = watch::channel(None);
    let progress = Arc::new(Progress::default());

    let intake = |direction| Intake::new(Arc::clone(&queue), direction, limits.max_line);
    let (to_server, to_client) =
        (intake(Direction::ClientToServer), intake(Direction::ServerToClient));
    let edits = |direction| editing.as_ref().and_then(|editing| Edits::new(editing, direction));
    let (asked, answered) = (edits(Direction::ClientToServer), edits(Direction::ServerToClient));
    let (input, closer) = client.from.closable(limits.closable)?;
    tell("to-server", events.clone(), move || {
        match relay(input, server.to, to_server, asked, &Progress::default()) {
            End::Source => Event::ClientEof,
            End::Sink => Event::InputBroken,
        }
    })?;
    let moved = Arc::clone(&progress);
    tell("to-client", events.clone(), move || {
        relay(server.from, client.to, to_client, answered, &moved);
        Event::OutputEnded
    })?;
    let exited = child.exited();
    tell("child", events.clone(), move || {
        exited();
        Event::ChildExited
    })?;
    let own_group = child.has_own_group();
    let (ladder, closing) = (Ladder::new(limits.ladder), Arc::clone(&queue));
    named("ladder").spawn(move || {
        climb(ladder, &child, closer, &happened, &progress);
        stderr.iter().for_each(Relay::end);
        closing.close();
        ended.send_replace(Some(child.reap()));
    })?;
    let (asked, held) = (Arc::default(), Arc::clone(&queue));
    let remote = Remote { events, own_group, asked, queue: held, exit };
    Ok(Tap { queue, lines, editing, remote })
}

/// Starts a thread that tells the ladder how it ended.
fn tell(
    name: &str,
    events: SyncSender<Event>,
    run: impl FnOnce() -> Event + Send + 'static,
) -> io::Result<()> {
    named(name).spawn(move || events.send(run()).ok()).map(drop)
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

/// Works the ladder until it is over.
fn climb(
    mut ladder: Ladder,
    child: &Child,
    closer: Option<Closer>,
    events: &Receiver<Event>,
    progress: &Progress,
) {
    let (mut closer, mut quiet) = (closer, None);
    while !ladder.over() {
        let event = next(&ladder, events, &mut quiet, progress);
        match ladder.step(event, Instant::now()) {
            Some(Action::Send(signal)) => {
                child.signal(signal);
                if signal == Signal::Kill && !ladder.exited() {
                    tracing::warn!("the server did not end in the time that it had: SIGKILL");
                }
            }
            Some(Action::CloseInput) => drop(closer.take()),
            None => {}
        }
    }
}

fn next(
    ladder: &Ladder,
    events: &Receiver<Event>,
    quiet: &mut Option<Quiet>,
    progress: &Progress,
) -> Event {
    let mut due = ladder.wake().map(|at| at.saturating_duration_since(Instant::now()));
    if ladder.listens() {
        if quiet.get_or_insert_with(|| Quiet::since(progress)).for_long(progress) {
            return Event::OutputIdle;
        }
        due = Some(due.map_or(LOOK, |due| due.min(LOOK)));
    }
    let event = match due {
        Some(wait) => events.recv_timeout(wait),
        None => events.recv().map_err(RecvTimeoutError::from),
    };
    // The senders live as long as the threads of this tap; without them only time is left.
    event.unwrap_or(Event::Time)
}

/// Says how long a relay has been waiting for something to read.
struct Quiet {
    steps: u64,
    since: Instant,
}

impl Quiet {
    fn since(progress: &Progress) -> Self {
        Quiet { steps: progress.steps(), since: Instant::now() }
    }

    /// A relay that holds bytes is not quiet: its reader is slow, or stuck.
    fn for_long(&mut self, progress: &Progress) -> bool {
        let steps = progress.steps();
        if steps != self.steps {
            *self = Quiet { steps, since: Instant::now() };
        }
        self.since.elapsed() >= if Progress::holds(steps) { STUCK } else { ladder::IDLE }
    }
}

impl Times {
    fn of(deadline: Deadline) -> Self {
        let (cut, returned) = (deadline.cut(), deadline.returned());
        let leave = cut + (returned - cut) / 2;
        Times { close: deadline.half().into_std(), kill: cut.into_std(), leave: leave.into_std() }
    }
}

impl Tap {
    /// A remote control.
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }
}

impl Remote {
    /// Sends a signal that reached us on to the child, and nothing else. One that tells it to stop also has
    /// the observer hold back nothing that is ready.
    pub fn forward(&self, signal: Signal) {
        if signal.stops() {
            self.begin();
        }
        self.tell(Event::Asked(signal));
    }

    /// Takes note of a signal that reached our whole process group: a child in it has it already, one in a group
    /// of its own is sent it.
    pub fn reached(&self, signal: Signal) {
        if self.own_group {
            return self.forward(signal);
        }
        if signal.stops() {
            self.begin();
        }
        self.tell(Event::Reached(signal));
    }

    /// The process stops: SIGTERM, unless the child was asked to go already, and what is due later. Of
    /// several deadlines the soonest holds.
    pub(super) fn stop(&self, deadline: Deadline) {
        self.begin();
        self.tell(Event::Stop(Times::of(deadline)));
    }

    /// The server's end that follows is no failure of its own, so it is said before the server is told. Calls
    /// that are answered all the same are answered.
    fn begin(&self) {
        if !self.asked.swap(true, Ordering::Relaxed) {
            let mut handing = self.queue.lock();
            let note = Note { direction: Direction::ClientToServer, kind: Kind::Stopped };
            handing.tell(Instant::now(), note);
        }
        self.queue.flush();
    }

    /// Never waits: refused only when the ladder is over or already has a queue of signals to work off.
    fn tell(&self, event: Event) {
        self.events.try_send(event).ok();
    }

    /// Says whether the child is gone and what it had written has been relayed.
    pub(super) fn has_ended(&self) -> bool {
        self.exit.borrow().is_some()
    }

    /// Returns once the child is gone and what it had written has been relayed: the end that is now ours.
    pub async fn ended(&mut self) -> Exit {
        match self.exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit::Code(1)),
            // The ladder's thread is gone without an answer.
            Err(_) => Exit::Code(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read as _, Write as _, pipe};
    use std::os::fd::OwnedFd;

    use super::super::child::{self, Plan};
    use super::super::queue::Held;
    use super::*;

    /// A tap in front of `cat`, and its client's side.
    fn tapped_cat() -> (Tap, PipeWriter, PipeReader) {
        let command = ["cat".into()];
        let child = child::spawn(&Plan {
            command: &command,
            env: &[],
            cwd: None,
            own_group: false,
            stderr: false,
        });
        let ((from, asks), (answers, to)) = (pipe().unwrap(), pipe().unwrap());
        let [from, to] = [OwnedFd::from(from), OwnedFd::from(to)].map(Pipe::from);
        let ladder = ladder::Limits::default();
        let limits = Limits { max_line: 1000, queue: 1 << 20, ladder, closable: false };
        let tap =
            start(child.unwrap(), Client { ends: Ends { from, to }, stderr: None }, limits, None)
                .unwrap();
        (tap, asks, answers)
    }

    #[tokio::test]
    async fn a_process_may_own_several_children_each_with_pipes_of_its_own() {
        let [one, other] = [(); 2].map(|()| tapped_cat());
        for (mine, (tap, mut asks, mut answers)) in [("one\n", one), ("other\n", other)] {
            asks.write_all(mine.as_bytes()).unwrap();
            drop(asks);
            let mut read = String::new();
            answers.read_to_string(&mut read).unwrap();
            assert_eq!(read, mine);
            let exit = tokio::time::timeout(Duration::from_secs(30), tap.remote().ended()).await;
            assert_eq!(exit.unwrap(), Exit::Code(0));
        }
    }

    #[test]
    fn that_we_were_told_to_stop_is_queued_once_before_the_server_hears_of_it() {
        let queue = Arc::new(Queue::new(1 << 20));
        let (events, happened) = sync_channel(EVENTS);
        let (_, exit) = watch::channel(None);
        let asked = Arc::default();
        let (queued, own_group) = (Arc::clone(&queue), false);
        let remote = Remote { events, own_group, asked, queue: queued, exit };
        let told = || {
            let mut held = Held::default();
            queue.drain(&mut held);
            held.events().map(|event| (event.note.direction, event.note.kind)).collect::<Vec<_>>()
        };
        for signal in [Signal::HangUp, Signal::Quit, Signal::User1] {
            remote.forward(signal);
        }
        assert_eq!(told(), [], "a server may take these for something else");
        assert!(!queue.flushing());
        assert_eq!(happened.try_iter().count(), 3);
        remote.forward(Signal::Terminate);
        assert_eq!(told(), [(Direction::ClientToServer, Kind::Stopped)]);
        remote.forward(Signal::Terminate);
        remote.reached(Signal::Interrupt);
        Remote { own_group: true, ..remote.clone() }.reached(Signal::Interrupt);
        let deadline = Deadline::within(Duration::from_secs(4));
        remote.stop(deadline);
        assert_eq!(told(), []);
        assert!(queue.flushing());
        let heard: Vec<_> = happened.try_iter().collect();
        let asked = Event::Asked(Signal::Terminate);
        let times = Times::of(deadline);
        let interrupts = [Event::Reached(Signal::Interrupt), Event::Asked(Signal::Interrupt)];
        let stop = Event::Stop(times);
        assert_eq!(heard, [asked, asked, interrupts[0], interrupts[1], stop]);
        let [close, kill] = [times.close, times.kill].map(|at| at - deadline.half().into_std());
        assert_eq!([close, kill], [Duration::ZERO, Duration::from_secs(1)]);
    }
}
