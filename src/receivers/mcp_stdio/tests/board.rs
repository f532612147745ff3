//! Calls that hang, on the board: the observer publishes them though nothing else wakes it.

use super::super::watch::StdioObserver;
use super::super::{Config, ServerName};
use super::*;
use crate::mcp::CallInFlight;

#[test]
fn a_call_that_hangs_is_on_the_board_until_its_tap_is_gone() {
    let (accounts, shared) = (Accounts::default(), Shared::default());
    let id = Id::parse("mcp_stdio/x").unwrap();
    let cx = Build::alone(&id, &accounts, Clock::start(), "".as_ref(), &shared);
    let (queue, boards) = (Arc::new(Queue::new(ROOM)), cx.boards());
    let server = ServerName::given("desk");
    let observer = Observer {
        queue: Arc::clone(&queue),
        watch: Box::new(StdioObserver::new(&Config::default(), &server, None, &cx)),
        out: Outlet::default(),
        clock: cx.clock.clone(),
        counters: Counters::new(&cx),
        edits: EditCounters::new(&cx),
        calls: CallBoards::new(&cx),
        hurry: Arc::default(),
    };
    let thread = thread::spawn(move || observe(observer));
    let mut intake = Intake::new(Arc::clone(&queue), ClientToServer, 1000);
    let rows = || -> usize {
        boards.read::<CallInFlight>().iter().map(|(_, table)| table.rows.len()).sum()
    };
    // The second comes too early to be published at once.
    for n in 1..=2 {
        let ask = format!("{{\"jsonrpc\":\"2.0\",\"id\":{n},\"method\":\"ping\"}}\n");
        if intake.hand_over(ask.as_bytes(), Instant::now()) {
            intake.wake();
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        while rows() < n {
            assert!(Instant::now() < deadline, "call {n} is not on the board");
            thread::yield_now();
        }
    }
    assert_eq!(boards.read::<CallInFlight>()[0].1.rows[0].server, "desk");
    queue.close();
    thread.join().unwrap();
    assert!(boards.read::<CallInFlight>().is_empty());
}
