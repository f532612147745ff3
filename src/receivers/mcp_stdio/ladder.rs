//! The end ladder: who is told to go, and when, once an end has begun.
//!
//! A pure state machine: events and the time in, signals and the verdict "over" out. Hosts climb a
//! ladder of their own (close stdin, about 2 s, SIGTERM, about 2 s, SIGKILL), so every step here is
//! shorter than theirs. No process, no descriptor and no clock is touched here.

use std::time::{Duration, Instant};

/// From the first signal to SIGKILL.
pub(super) const KILL_AFTER: Duration = Duration::from_millis(1500);
/// From SIGKILL to going without the child: one that hangs in the kernel cannot be waited for.
const LEAVE_AFTER: Duration = Duration::from_millis(200);
/// From the first signal to our own end: hosts that send SIGTERM send SIGKILL about 2 s later.
pub(super) const GONE_AFTER: Duration = Duration::from_millis(1900);
/// The child is gone, somebody it started holds its stdout, and nothing has come for this long.
pub(super) const IDLE: Duration = Duration::from_millis(250);
/// The same, but something keeps coming: the child's end is the end.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Signals that the ladder sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, when that is what reached us.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The client closed the child's stdin.
    ClientEof,
    /// Somebody asked us to go, with this signal.
    Asked(Signal),
    /// The process stops; whoever caused it may have asked already.
    Stop,
    /// The child is gone.
    ChildExited,
    /// All holders of the child's stdout are gone, or the client is.
    OutputEnded,
    /// After the child's end: its stdout is open and silent.
    OutputIdle,
    /// Time has passed.
    Time,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ladder {
    /// From the client's EOF to SIGTERM; `None`: the child has all the time it wants.
    eof_grace: Option<Duration>,
    terminate_at: Option<Instant>,
    kill_at: Option<Instant>,
    leave_at: Option<Instant>,
    exited: bool,
    output_ended: bool,
    over: bool,
}

impl Ladder {
    /// A ladder that nobody has stepped on.
    pub(super) fn new(eof_grace: Option<Duration>) -> Self {
        Ladder {
            eof_grace,
            terminate_at: None,
            kill_at: None,
            leave_at: None,
            exited: false,
            output_ended: false,
            over: false,
        }
    }

    /// Takes in what happened and says which signal the child gets now, if any.
    pub(super) fn step(&mut self, event: Event, now: Instant) -> Option<Signal> {
        match event {
            Event::ClientEof => {
                if !self.exited && self.kill_at.is_none() && self.leave_at.is_none() {
                    self.terminate_at = self.eof_grace.map(|grace| now + grace);
                }
                None
            }
            Event::Asked(signal) => self.asked(signal, now),
            Event::Stop if self.kill_at.is_some() => None,
            Event::Stop => self.asked(Signal::Terminate, now),
            Event::ChildExited => {
                self.exited = true;
                (self.terminate_at, self.kill_at) = (None, None);
                self.leave_by(now + DRAIN_LIMIT);
                self.over |= self.output_ended;
                None
            }
            Event::OutputEnded => {
                self.output_ended = true;
                self.over |= self.exited;
                None
            }
            Event::OutputIdle => {
                self.over |= self.exited;
                None
            }
            Event::Time => self.due(now),
        }
    }

    /// When [`Event::Time`] is due.
    pub(super) fn wake(&self) -> Option<Instant> {
        [self.terminate_at, self.kill_at, self.leave_at].into_iter().flatten().min()
    }

    /// The child is gone and what it left in its stdout is still being relayed.
    pub(super) fn draining(&self) -> bool {
        self.exited && !self.over
    }

    /// Nothing is left to wait for.
    pub(super) fn over(&self) -> bool {
        self.over
    }

    fn asked(&mut self, signal: Signal, now: Instant) -> Option<Signal> {
        if self.exited {
            self.leave_by(now + IDLE);
            return None;
        }
        self.terminate_at = None;
        self.kill_by(now + KILL_AFTER);
        Some(signal)
    }

    fn due(&mut self, now: Instant) -> Option<Signal> {
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if past(self.leave_at) {
            self.over = true;
            return None;
        }
        if past(self.kill_at) {
            self.kill_at = None;
            return Some(Signal::Kill);
        }
        if past(self.terminate_at) {
            self.terminate_at = None;
            self.kill_by(now + KILL_AFTER);
            return Some(Signal::Terminate);
        }
        None
    }

    /// A later step never puts an earlier deadline off.
    fn kill_by(&mut self, at: Instant) {
        if self.leave_at.is_none() {
            self.kill_at = Some(at);
        }
        self.leave_by(at + LEAVE_AFTER);
    }

    fn leave_by(&mut self, at: Instant) {
        self.leave_at = Some(self.leave_at.map_or(at, |before| before.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder() -> (Ladder, Instant) {
        (Ladder::new(Some(Duration::from_secs(10))), Instant::now())
    }

    /// Lets time pass until the ladder is over; the signals with the milliseconds at which they went.
    fn climb(ladder: &mut Ladder, start: Instant) -> (Vec<(u128, Signal)>, u128) {
        let mut sent = Vec::new();
        loop {
            let at = ladder.wake().expect("something is due until it is over");
            let ms = (at - start).as_millis();
            sent.extend(ladder.step(Event::Time, at).map(|signal| (ms, signal)));
            if ladder.over() {
                return (sent, ms);
            }
        }
    }

    #[test]
    fn an_untouched_ladder_waits_for_nothing() {
        let (mut ladder, now) = ladder();
        assert_eq!(ladder.step(Event::Time, now + Duration::from_secs(3600)), None);
        assert_eq!((ladder.wake(), ladder.over()), (None, false));
    }

    #[test]
    fn a_child_that_ignores_everything_after_eof_is_left_after_11_7_seconds() {
        let (mut ladder, now) = ladder();
        assert_eq!(ladder.step(Event::ClientEof, now), None);
        let (sent, over) = climb(&mut ladder, now);
        assert_eq!(sent, [(10_000, Signal::Terminate), (11_500, Signal::Kill)]);
        assert_eq!(over, 11_700);
    }

    #[test]
    fn no_grace_means_no_limit() {
        let (mut ladder, now) = (Ladder::new(None), Instant::now());
        ladder.step(Event::ClientEof, now);
        assert_eq!(ladder.wake(), None);
    }

    #[test]
    fn a_signal_is_forwarded_at_once_and_the_child_killed_after_1_5_seconds() {
        for signal in [Signal::Terminate, Signal::Interrupt] {
            let (mut ladder, now) = ladder();
            assert_eq!(ladder.step(Event::Asked(signal), now), Some(signal));
            let (sent, over) = climb(&mut ladder, now);
            assert_eq!((sent, over), (vec![(1500, Signal::Kill)], 1700));
        }
    }

    #[test]
    fn a_signal_shortens_the_grace_after_eof() {
        let (mut ladder, now) = ladder();
        ladder.step(Event::ClientEof, now);
        let later = now + Duration::from_secs(2);
        assert_eq!(ladder.step(Event::Asked(Signal::Terminate), later), Some(Signal::Terminate));
        assert_eq!(climb(&mut ladder, now).0, [(3500, Signal::Kill)]);
    }

    #[test]
    fn a_second_signal_is_forwarded_too_and_puts_nothing_off() {
        let (mut ladder, now) = ladder();
        ladder.step(Event::Asked(Signal::Interrupt), now);
        let later = now + Duration::from_secs(1);
        assert_eq!(ladder.step(Event::Asked(Signal::Interrupt), later), Some(Signal::Interrupt));
        assert_eq!(climb(&mut ladder, now).0, [(1500, Signal::Kill)]);
    }

    #[test]
    fn a_stop_is_a_sigterm_unless_a_signal_went_before_it() {
        let (mut ladder, now) = ladder();
        assert_eq!(ladder.step(Event::Stop, now), Some(Signal::Terminate));
        let (mut ladder, now) = self::ladder();
        ladder.step(Event::Asked(Signal::Interrupt), now);
        assert_eq!(ladder.step(Event::Stop, now), None);
    }

    #[test]
    fn eof_after_a_signal_starts_no_second_ladder() {
        let (mut ladder, now) = ladder();
        ladder.step(Event::Asked(Signal::Terminate), now);
        ladder.step(Event::ClientEof, now);
        assert_eq!(climb(&mut ladder, now).0, [(1500, Signal::Kill)]);
    }

    #[test]
    fn it_is_over_once_the_child_and_its_output_are_gone_in_either_order() {
        for order in
            [[Event::ChildExited, Event::OutputEnded], [Event::OutputEnded, Event::ChildExited]]
        {
            let (mut ladder, now) = ladder();
            ladder.step(order[0], now);
            assert!(!ladder.over());
            ladder.step(order[1], now);
            assert!(ladder.over());
        }
    }

    #[test]
    fn a_dead_child_gets_no_signal() {
        let (mut ladder, now) = ladder();
        ladder.step(Event::ClientEof, now);
        ladder.step(Event::ChildExited, now);
        assert_eq!(ladder.step(Event::Asked(Signal::Terminate), now), None);
        assert_eq!(climb(&mut ladder, now), (vec![], 250));
    }

    #[test]
    fn an_orphan_that_holds_the_output_is_waited_for_until_it_is_silent_or_ten_seconds() {
        let (mut ladder, now) = ladder();
        ladder.step(Event::OutputIdle, now);
        assert!(!ladder.over());
        ladder.step(Event::ChildExited, now);
        assert!(ladder.draining());
        let (mut chatty, started) = (ladder, now);
        assert_eq!(climb(&mut chatty, started), (vec![], 10_000));

        let (mut silent, now) = self::ladder();
        silent.step(Event::ChildExited, now);
        silent.step(Event::OutputIdle, now + IDLE);
        assert!(silent.over());
    }
}
