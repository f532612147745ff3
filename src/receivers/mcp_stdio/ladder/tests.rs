//! The ladder by plain calls: times in milliseconds since it was made.

use super::*;

const TERM: Action = Action::Send(Signal::Terminate);
const KILL: Action = Action::Send(Signal::Kill);

struct Climb {
    ladder: Ladder,
    start: Instant,
}

impl Climb {
    fn with(limits: Limits) -> Climb {
        Climb { ladder: Ladder::new(limits), start: Instant::now() }
    }

    fn transparent() -> Climb {
        Climb::with(Limits::default())
    }

    /// With settings in milliseconds; 0 is off.
    fn limited(eof_grace: u64, kill_after: u64) -> Climb {
        let limit = |ms| (ms > 0).then(|| Duration::from_millis(ms));
        Climb::with(Limits { eof_grace: limit(eof_grace), kill_after: limit(kill_after) })
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn step(&mut self, ms: u64, event: Event) -> Option<Action> {
        self.ladder.step(event, self.at(ms))
    }

    fn signal(&mut self, ms: u64, signal: Signal) {
        assert_eq!(self.step(ms, Event::Asked(signal)), Some(Action::Send(signal)));
    }

    /// As `run` stops: half of a second, three quarters of it, and a bit.
    fn stop(&mut self) -> Option<Action> {
        let [close, kill, leave] = [500, 750, 800].map(|ms| self.at(ms));
        self.step(0, Event::Stop(Times { close, kill, leave }))
    }

    /// Lets time pass as long as something is due: what was done when, in order.
    fn rest(&mut self) -> Vec<(u128, Action)> {
        let mut done = Vec::new();
        while let Some(at) = self.ladder.wake().filter(|_| !self.ladder.over()) {
            let ms = (at - self.start).as_millis();
            done.extend(self.ladder.step(Event::Time, at).map(|action| (ms, action)));
        }
        done
    }

    /// Says when it is over if nothing more happens.
    fn over_at(&mut self) -> Option<u128> {
        let mut last = 0;
        while !self.ladder.over() {
            let at = self.ladder.wake()?;
            last = (at - self.start).as_millis();
            self.ladder.step(Event::Time, at);
        }
        Some(last)
    }
}

// Nothing of our own.

#[test]
fn neither_eof_nor_signals_nor_time_end_a_child_that_nobody_limits() {
    let mut climb = Climb::transparent();
    assert_eq!(climb.step(0, Event::ClientEof), None);
    for signal in [Signal::Interrupt, Signal::Terminate, Signal::Terminate] {
        climb.signal(10, signal);
    }
    assert_eq!(climb.step(3_600_000, Event::Time), None);
    assert_eq!((climb.ladder.wake(), climb.ladder.over()), (None, false));
}

#[test]
fn a_signal_closes_no_input() {
    let mut climb = Climb::limited(0, 1000);
    climb.signal(0, Signal::Terminate);
    climb.step(500, Event::ChildExited);
    assert!(!climb.rest().iter().any(|(_, action)| *action == Action::CloseInput));
}

#[test]
fn it_is_over_once_the_child_and_its_output_are_gone_in_either_order() {
    for order in
        [[Event::ChildExited, Event::OutputEnded], [Event::OutputEnded, Event::ChildExited]]
    {
        let mut climb = Climb::transparent();
        climb.step(0, order[0]);
        assert!(!climb.ladder.over());
        climb.step(0, order[1]);
        assert!(climb.ladder.over());
    }
}

// The settings.

#[test]
fn sigterm_comes_the_grace_after_eof_if_there_is_one() {
    let mut climb = Climb::limited(300, 0);
    climb.step(1000, Event::ClientEof);
    assert_eq!(climb.rest(), [(1300, TERM)]);
    assert!(!climb.ladder.over(), "no SIGKILL without `kill_after`");
}

#[test]
fn sigkill_counts_from_any_sigterm_and_from_nothing_else() {
    let mut climb = Climb::limited(300, 200);
    climb.step(0, Event::ClientEof);
    assert_eq!(climb.rest(), [(300, TERM), (500, KILL)], "from our own");
    let mut climb = Climb::limited(0, 200);
    climb.signal(50, Signal::Interrupt);
    assert_eq!(climb.rest(), []);
    climb.signal(100, Signal::Terminate);
    climb.signal(250, Signal::Terminate);
    assert_eq!(climb.rest(), [(300, KILL)], "from the first that was passed on");
}

// Launchers: the pipes decide.

#[test]
fn a_launcher_that_ends_is_no_end_while_the_pipes_are_held() {
    let mut climb = Climb::transparent();
    climb.step(0, Event::ChildExited);
    assert!(!climb.ladder.listens());
    climb.step(250, Event::OutputIdle);
    assert_eq!((climb.ladder.over(), climb.ladder.wake()), (false, None));
    climb.step(9_999_999, Event::OutputEnded);
    assert!(climb.ladder.over());
}

#[test]
fn without_launcher_and_client_the_rest_has_ten_seconds_in_all() {
    for (first, second) in [
        (Event::ChildExited, Event::ClientEof),
        (Event::ClientEof, Event::ChildExited),
        (Event::ChildExited, Event::InputBroken),
    ] {
        let mut climb = Climb::transparent();
        climb.step(0, first);
        assert_eq!(climb.ladder.wake(), None);
        climb.step(5000, second);
        climb.step(6000, Event::OutputIdle);
        assert!(!climb.ladder.over(), "silence is no end: an answer may take long");
        assert_eq!(climb.over_at(), Some(15_000));
    }
}

#[test]
fn without_launcher_and_told_to_go_silence_is_the_end() {
    let signal = Event::Asked(Signal::Terminate);
    for order in [[Event::ChildExited, signal], [signal, Event::ChildExited]] {
        let mut climb = Climb::transparent();
        climb.step(0, order[0]);
        assert!(!climb.ladder.listens());
        climb.step(0, order[1]);
        assert!(climb.ladder.listens());
        assert_eq!(climb.ladder.wake(), None, "what still comes is waited for");
        climb.step(250, Event::OutputIdle);
        assert!(climb.ladder.over());
    }
}

// A process that stops.

#[test]
fn a_stop_asks_closes_the_input_at_half_time_and_kills_before_the_exporters_part() {
    let mut climb = Climb::transparent();
    assert_eq!(climb.stop(), Some(TERM));
    assert_eq!(climb.rest(), [(500, Action::CloseInput), (750, KILL)]);
    assert!(climb.ladder.over(), "whatever holds on after that is left");
}

#[test]
fn a_stop_after_a_signal_does_not_ask_again() {
    let mut climb = Climb::transparent();
    climb.signal(0, Signal::Interrupt);
    assert_eq!(climb.stop(), None);
    assert_eq!(climb.stop(), None);
    assert_eq!(climb.rest(), [(500, Action::CloseInput), (750, KILL)]);
}

#[test]
fn a_stop_asks_a_child_that_outlived_a_hang_up_or_a_dump() {
    for signal in [Signal::HangUp, Signal::Quit] {
        let mut climb = Climb::transparent();
        climb.signal(0, signal);
        assert_eq!(climb.stop(), Some(TERM), "{signal:?} was no word to stop");
    }
}

#[test]
fn the_input_is_not_closed_again_where_the_client_has_closed_it() {
    let mut climb = Climb::transparent();
    climb.stop();
    climb.step(100, Event::ClientEof);
    assert_eq!(climb.rest(), [(750, KILL)]);
}

#[test]
fn the_settings_hold_within_a_stop_too_and_the_sooner_wins() {
    let mut climb = Climb::limited(0, 100);
    climb.stop();
    assert_eq!(climb.rest(), [(100, KILL), (500, Action::CloseInput)]);
}

#[test]
fn a_child_that_goes_when_asked_is_not_killed() {
    let mut climb = Climb::transparent();
    climb.stop();
    climb.step(10, Event::ChildExited);
    climb.step(10, Event::OutputEnded);
    assert!(climb.ladder.over());
}

#[test]
fn a_signal_that_asks_nobody_to_go_is_passed_on_and_begins_nothing() {
    let mut climb = Climb::limited(0, 100);
    for signal in [Signal::User1, Signal::User2, Signal::WindowChange] {
        climb.signal(0, signal);
        assert_eq!(climb.step(0, Event::Reached(signal)), None);
    }
    assert_eq!(climb.ladder.wake(), None);
    climb.step(0, Event::ChildExited);
    assert!(!climb.ladder.listens(), "nobody has asked it to go");
}

#[test]
fn what_reached_the_child_by_itself_is_not_sent_again_and_counts_as_asked() {
    let mut climb = Climb::limited(0, 100);
    assert_eq!(climb.step(0, Event::Reached(Signal::Interrupt)), None);
    assert_eq!(climb.stop(), None);
    let mut climb = Climb::limited(0, 100);
    assert_eq!(climb.step(0, Event::Reached(Signal::Terminate)), None);
    assert_eq!(climb.rest(), [(100, KILL)]);
}
