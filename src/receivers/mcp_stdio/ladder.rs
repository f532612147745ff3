//! The end ladder: what the child is told, and when the tap is over.
//!
//! A pure state machine: events and the time in, actions and the verdict "over" out. It adds no death
//! of its own: signals and the client's end of file are passed on, the pipes decide when it is over, and
//! nothing else is sent unless a setting asks for it ([`Limits`]) or the process itself has a deadline
//! ([`Event::Stop`]). No process, no descriptor and no clock is touched here.

use std::time::{Duration, Instant};

/// The child is gone, it was asked to go, somebody it started holds its stdout, and nothing has come for
/// this long.
pub(super) const IDLE: Duration = Duration::from_millis(250);
/// The child is gone, the client will send nothing more, and somebody holds its stdout: calls that are
/// still being answered have this long.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Signals that reach a child: SIGTERM and SIGKILL by the ladder's own doing, the others as they reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP.
    HangUp,
    /// SIGINT.
    Interrupt,
    /// SIGQUIT.
    Quit,
    /// SIGUSR1.
    User1,
    /// SIGUSR2.
    User2,
    /// SIGTERM.
    Terminate,
    /// SIGWINCH.
    WindowChange,
    /// SIGKILL.
    Kill,
}

impl Signal {
    /// Says whether it may be meant to end its receiver. SIGHUP and SIGQUIT are, unless the receiver takes them for
    /// something else, a reload or a dump; the other signals say something to it.
    pub fn terminates(self) -> bool {
        !matches!(self, Signal::User1 | Signal::User2 | Signal::WindowChange)
    }

    /// Says whether it tells its receiver to stop, and nothing else.
    pub fn stops(self) -> bool {
        matches!(self, Signal::Interrupt | Signal::Terminate | Signal::Kill)
    }
}

/// Limits what is left to the child of its end; `None` is off.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// From the client's end of file to SIGTERM.
    pub(super) eof_grace: Option<Duration>,
    /// From any SIGTERM, passed on too, to SIGKILL.
    pub(super) kill_after: Option<Duration>,
}

/// The times of a process that stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// The child's stdin is closed.
    pub(super) close: Instant,
    /// A child that is still there is killed.
    pub(super) kill: Instant,
    /// It is over, also for a child that hangs in the kernel and for somebody who holds its stdout.
    pub(super) leave: Instant,
}

/// Names what can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The client is at its end of file, and so is the child's stdin.
    ClientEof,
    /// Nobody reads the child's stdin any more.
    InputBroken,
    /// This signal reached us and is to reach the child.
    Asked(Signal),
    /// This one reached us and the child.
    Reached(Signal),
    /// The process stops.
    Stop(Times),
    /// The child is gone.
    ChildExited,
    /// All holders of the child's stdout are gone, or the client is.
    OutputEnded,
    /// While [`Ladder::listens`]: nothing has come for [`IDLE`].
    OutputIdle,
    /// Time has passed.
    Time,
}

/// Names what is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The child gets this signal.
    Send(Signal),
    /// The child's stdin is closed though the client has not closed it.
    CloseInput,
}

/// Holds how far a child's end has come.
#[derive(Debug)]
pub(super) struct Ladder {
    limits: Limits,
    terminate_at: Option<Instant>,
    close_at: Option<Instant>,
    kill_at: Option<Instant>,
    leave_at: Option<Instant>,
    /// The child got a signal that may be meant to end it.
    asked: bool,
    /// It was told to stop.
    told_to_stop: bool,
    input_ended: bool,
    exited: bool,
    output_ended: bool,
    over: bool,
}

impl Ladder {
    /// A ladder that nobody has stepped on.
    pub(super) fn new(limits: Limits) -> Self {
        Ladder {
            limits,
            terminate_at: None,
            close_at: None,
            kill_at: None,
            leave_at: None,
            asked: false,
            told_to_stop: false,
            input_ended: false,
            exited: false,
            output_ended: false,
            over: false,
        }
    }

    /// Takes in what happened and says what is to be done now, if anything.
    pub(super) fn step(&mut self, event: Event, now: Instant) -> Option<Action> {
        match event {
            Event::ClientEof => {
                self.close_at = None;
                self.terminate_at = self.limits.eof_grace.map(|grace| now + grace);
                self.end_of_input(now);
            }
            Event::InputBroken => self.end_of_input(now),
            Event::Asked(signal) => return Some(self.send(signal, now)),
            Event::Reached(signal) => {
                self.send(signal, now);
            }
            Event::Stop(times) => return self.stop(times, now),
            Event::ChildExited => {
                self.exited = true;
                self.over |= self.output_ended;
                self.bound(now);
            }
            Event::OutputEnded => {
                self.output_ended = true;
                self.over |= self.exited;
            }
            Event::OutputIdle => self.over |= self.listens(),
            Event::Time => return self.due(now),
        }
        None
    }

    /// Says when [`Event::Time`] is due.
    pub(super) fn wake(&self) -> Option<Instant> {
        let due = [self.terminate_at, self.close_at, self.kill_at, self.leave_at];
        due.into_iter().flatten().min()
    }

    /// The child is gone, as it was asked to: what somebody has left to say in its stdout is waited for,
    /// and silence is the end.
    pub(super) fn listens(&self) -> bool {
        self.exited && self.asked && !self.over
    }

    /// The child is gone.
    pub(super) fn exited(&self) -> bool {
        self.exited
    }

    /// Nothing is left to wait for.
    pub(super) fn over(&self) -> bool {
        self.over
    }

    fn send(&mut self, signal: Signal, now: Instant) -> Action {
        self.asked |= signal.terminates();
        self.told_to_stop |= signal.stops();
        if signal == Signal::Terminate
            && let Some(patience) = self.limits.kill_after
        {
            self.kill_by(now + patience);
        }
        Action::Send(signal)
    }

    /// A child that was told to stop before is not told again.
    fn stop(&mut self, times: Times, now: Instant) -> Option<Action> {
        if !self.input_ended {
            self.close_at = sooner(self.close_at, times.close);
        }
        self.kill_by(times.kill);
        self.leave_at = sooner(self.leave_at, times.leave);
        (!self.told_to_stop).then(|| self.send(Signal::Terminate, now))
    }

    fn end_of_input(&mut self, now: Instant) {
        self.input_ended = true;
        self.bound(now);
    }

    /// Without child and client nobody is left who could be waited for long.
    fn bound(&mut self, now: Instant) {
        if self.exited && self.input_ended {
            self.leave_at = sooner(self.leave_at, now + DRAIN_LIMIT);
        }
    }

    fn due(&mut self, now: Instant) -> Option<Action> {
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if past(self.close_at) {
            self.close_at = None;
            return Some(Action::CloseInput);
        }
        if past(self.terminate_at) {
            self.terminate_at = None;
            return Some(self.send(Signal::Terminate, now));
        }
        if past(self.kill_at) {
            self.kill_at = None;
            return Some(self.send(Signal::Kill, now));
        }
        self.over |= past(self.leave_at);
        None
    }

    /// A later step never puts an earlier deadline off.
    fn kill_by(&mut self, at: Instant) {
        self.kill_at = sooner(self.kill_at, at);
    }
}

fn sooner(before: Option<Instant>, at: Instant) -> Option<Instant> {
    Some(before.map_or(at, |before| before.min(at)))
}

#[cfg(test)]
mod tests;
