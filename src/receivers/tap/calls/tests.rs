//! Tests what is published and when, by plain calls, and the gauges in paused time.

use std::sync::Arc;

use super::*;
use crate::mcp::{Direction, Identity, Session, Settings};
use crate::metrics::{Metrics, Reading};
use crate::pipeline::{Accounts, Id, Shared};
use crate::receivers::tap::Event;
use crate::telemetry::{Content, Needs, Offset, Telemetry};

/// A tap of one server, whose observer is the test.
struct Tap {
    session: Session,
    calls: CallBoards,
}

/// A process with taps in it.
struct Process {
    accounts: Accounts,
    clock: Clock,
    shared: Shared,
}

impl Process {
    fn new() -> Process {
        let accounts = Accounts::new(Metrics::default());
        Process { accounts, clock: Clock::start(), shared: Shared::default() }
    }

    fn tap(&self, server: &str) -> Tap {
        let id = Id::parse("mcp_stdio/x").unwrap();
        let cx = Build::alone(&id, &self.accounts, self.clock.clone(), "".as_ref(), &self.shared);
        let identity = Identity {
            server: server.to_owned(),
            session: "s-1".to_owned(),
            ..Identity::default()
        };
        let session = Session::new(Arc::new(Settings::default()), identity, [1; 32]);
        Tap { session, calls: CallBoards::new(&cx) }
    }

    fn boards(&self) -> Arc<Boards> {
        let id = Id::parse("reader").unwrap();
        Build::alone(&id, &self.accounts, self.clock.clone(), "".as_ref(), &self.shared).boards()
    }

    fn rows(&self) -> Vec<CallInFlight> {
        let all = self.boards().read::<CallInFlight>();
        all.iter().flat_map(|(_, table)| table.rows.clone()).collect()
    }

    /// Number and age of the calls of each server.
    fn gauges(&self) -> Vec<(String, [i64; 2])> {
        let all = self.accounts.metrics().read();
        let of = |metric: &crate::metrics::Metric<crate::metrics::Gauge>| {
            let name = metric.info().name;
            let family = all.iter().find(|family| family.info.name == name);
            family.map(|family| family.series.clone()).unwrap_or_default()
        };
        let level = |reading: &Reading| match reading {
            Reading::Gauge(level) => *level,
            other => panic!("{other:?}"),
        };
        let (counts, ages) = (of(&names::CALLS_IN_FLIGHT), of(&names::CALLS_OLDEST_SECONDS));
        let pairs = counts.iter().zip(&ages);
        pairs
            .map(|((labels, count), (same, age))| {
                assert_eq!((labels, &*labels[0].1), (same, "mcp_stdio/x"));
                (labels[1].1.clone(), [level(count), level(age)])
            })
            .collect()
    }
}

impl Watch<()> for Session {
    fn look(&mut self, _: &Event<'_, ()>, _: Nanos) {}
    fn anchor(&mut self, _: Offset) {}
    fn tick(&mut self, _: Nanos) {}
    fn end(&mut self, _: Nanos) {}
    fn keep(&mut self, _: Needs) {}
    fn want_logs(&mut self, _: bool) {}

    fn servers(&self) -> Vec<&str> {
        vec![self.server()]
    }

    fn in_flight<'a>(&'a self, show: &mut dyn FnMut(InFlight<'a>)) {
        Session::in_flight(self).for_each(show);
    }

    fn ready(&self) -> usize {
        0
    }

    fn take(&mut self) -> Vec<(Telemetry, Content)> {
        Vec::new()
    }
}

impl Tap {
    fn says(&mut self, direction: Direction, message: &str, now: Nanos) -> &mut Self {
        self.session.message(direction, message.as_bytes(), now);
        self.calls.changed();
        self
    }

    fn asks(&mut self, id: u32, method: &str, now: Nanos) -> &mut Self {
        let message =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"name":"t"}}}}"#);
        self.says(Direction::ClientToServer, &message, now)
    }

    fn answers(&mut self, id: u32, now: Nanos) -> &mut Self {
        let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
        self.says(Direction::ServerToClient, &message, now)
    }

    /// Says how long the observer may rest; `None` for as long as it likes.
    fn publish(&mut self, now: Nanos) -> Option<Nanos> {
        let rest = self.calls.publish::<()>(&self.session, now);
        (rest < Duration::MAX).then(|| Nanos::try_from(rest.as_nanos()).unwrap())
    }
}

#[test]
fn what_waits_is_a_row_and_who_has_waited_longest_comes_first() {
    let process = Process::new();
    let mut tap = process.tap("files");
    assert_eq!(tap.publish(SECOND), None);
    assert!(process.rows().is_empty());
    tap.asks(2, "ping", 3 * SECOND).asks(1, "tools/call", 2 * SECOND).asks(2, "ping", 4 * SECOND);
    let ask = r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#;
    tap.says(Direction::ServerToClient, ask, 5 * SECOND);
    assert_eq!(tap.publish(6 * SECOND), None);
    let rows = process.rows();
    let told: Vec<_> =
        rows.iter().map(|row| (&*row.method, row.tool.as_deref(), row.since)).collect();
    let expected = [
        ("tools/call", Some("t"), 2),
        ("ping", None, 3),
        ("ping", None, 4),
        ("roots/list", None, 5),
    ];
    assert_eq!(told, expected.map(|(method, tool, at)| (method, tool, at * SECOND)));
    assert!(rows.iter().all(|row| row.server == "files" && row.session == "s-1" && !row.doubtful));
    assert_eq!((rows[0].began, rows[3].direction), (rows[0].since, Direction::ServerToClient));
    tap.session.gap(Direction::ServerToClient, 10, 1, 6 * SECOND);
    tap.calls.changed();
    tap.publish(7 * SECOND);
    assert!(process.rows().iter().all(|row| row.doubtful));
    assert_eq!(process.gauges(), [("files".to_owned(), [0, 0])], "they may have been answered");
}

#[test]
fn it_is_published_at_once_and_then_four_times_a_second_at_most() {
    const MS: Nanos = 1_000_000;
    let process = Process::new();
    let mut tap = process.tap("files");
    tap.publish(0);
    assert_eq!(tap.asks(1, "ping", 300 * MS).publish(300 * MS), None);
    assert_eq!(process.rows().len(), 1);
    // Too early: the observer comes again when it is time, though nothing else wakes it.
    assert_eq!(tap.asks(2, "ping", 310 * MS).publish(310 * MS), Some(240 * MS));
    assert_eq!(tap.answers(1, 320 * MS).publish(320 * MS), Some(230 * MS));
    assert_eq!((process.rows().len(), tap.publish(550 * MS)), (1, None));
    assert_eq!(process.rows()[0].since, 310 * MS);
    // Nothing new, and nothing early: but what waits may be given up without a sound.
    assert_eq!(tap.publish(560 * MS), None);
    tap.session.end(570 * MS);
    assert_eq!((tap.publish(570 * MS), process.rows().len()), (None, 1));
    assert_eq!((tap.publish(1560 * MS), process.rows().len()), (None, 0));
}

#[test]
fn of_too_many_those_that_have_waited_longest_have_rows_and_all_are_counted() {
    let process = Process::new();
    let mut tap = process.tap("files");
    for id in 0..1200 {
        // In no order: the oldest are asked in between.
        let at = Nanos::from((id * 7) % 1200) + 1;
        tap.asks(id, "ping", at);
    }
    tap.publish(SECOND);
    let boards = process.boards().read::<CallInFlight>();
    let table = &boards[0].1;
    assert_eq!((table.rows.len(), table.left_out), (1000, 200));
    let since: Vec<Nanos> = table.rows.iter().map(|row| row.since).collect();
    assert_eq!(since, (1..=1000).collect::<Vec<Nanos>>());
    assert_eq!(process.gauges()[0].1[0], 1200);
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_oldest_call_grows_while_nobody_publishes() {
    let process = Process::new();
    let begun = process.clock.steady();
    let gauges = |calls, age| vec![("files".to_owned(), [calls, age])];
    let mut tap = process.tap("files");
    tap.publish(begun);
    assert_eq!(process.gauges(), gauges(0, 0), "a server that is idle is told of, too");
    // Who subscribes waits for good.
    tap.asks(1, "subscriptions/listen", begun).asks(2, "tools/call", begun + SECOND);
    tap.publish(begun + SECOND);
    tokio::time::advance(Duration::from_secs(90)).await;
    assert_eq!(process.gauges(), gauges(2, 89));
    // A reload has put another one in its place, which is not done with its calls.
    let mut new = process.tap("files");
    new.asks(1, "ping", process.clock.steady()).publish(process.clock.steady());
    assert_eq!(process.gauges(), gauges(3, 89));
    drop(tap);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(process.gauges(), gauges(1, 5));
    drop(new);
    assert_eq!(process.gauges(), []);
}
