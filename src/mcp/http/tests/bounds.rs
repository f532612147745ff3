//! What peers may do without making the tap grow.

use super::*;
use crate::mcp::TAIL;
use crate::mcp::http::sessions::MAX_SESSIONS;

fn in_session(session: &str) -> RequestHead<'_> {
    RequestHead { session: Some(session.as_bytes()), ..POST }
}

#[test]
fn a_hundred_thousand_calls_at_once_find_their_answers() {
    const N: u32 = 100_000;
    // Of one session among many: half of what a tap tracks.
    let max_in_flight = 2 * N as usize;
    let mut tap = Tap::with(Settings { max_in_flight, ..Settings::default() });
    tap.session();
    for id in 0..N {
        let x = tap.say(&call(id));
        tap.broken(x, Party::Client);
    }
    assert_eq!(tap.counts().in_flight, u64::from(N));
    let x = tap.listen();
    for id in (0..N).rev() {
        tap.http.bytes(x, S, format!("data: {}\n\n", versioned(&ok(id))).as_bytes(), tap.now);
        if tap.http.ready() == 1000 {
            tap.http.take();
        }
    }
    assert_eq!(tap.counts().spans, u64::from(N) + 1);
    assert_eq!((tap.counts().in_flight, tap.counts().orphans), (0, 0));
}

#[test]
fn the_limit_of_calls_in_flight_holds_for_all_sessions_together() {
    let mut tap = Tap::with(Settings { max_in_flight: 10, ..Settings::default() });
    for i in 0..20 {
        tap.send(&in_session(&i.to_string()), &call(1));
    }
    tap.post(&modern(1, ""));
    let counts = tap.counts();
    assert_eq!((counts.in_flight, counts.dropped.overflow), (10, 11));
}

#[test]
fn a_flood_leaves_room_for_the_calls_of_others() {
    let flood: Vec<_> = (0..1000).map(call).collect();
    let flood = format!("[{}]", flood.join(","));
    // In a session, in no session, in several posts of each.
    for floods in [vec![in_session("flood")], vec![POST], vec![in_session("flood"), POST, POST]] {
        let mut tap = Tap::with(Settings { max_in_flight: 100, ..Settings::default() });
        for head in &floods {
            tap.send(head, &flood);
            tap.send(head, &flood);
        }
        let before = tap.counts();
        assert!(before.in_flight >= 50, "a flood is observed as far as there is room: {before:?}");
        for i in 0..5 {
            let x = tap.send(&in_session(&i.to_string()), &call(1));
            tap.reply(x, 200, &ok(1));
            let x = tap.post(&modern(1, ""));
            tap.reply(x, 200, &ok(1));
        }
        let counts = tap.counts();
        assert_eq!(counts.dropped.overflow, before.dropped.overflow, "{} posts", floods.len());
        assert_eq!(counts.spans, before.spans + 10);
    }
}

#[test]
fn the_limit_of_content_holds_for_all_sessions_together() {
    let mut tap = Tap::with(Settings { max_content_bytes: 50, ..Settings::default() });
    let body = call(1).replace(r#""t""#, r#""t","arguments":{"a":"0123456789"}"#);
    for i in 0..5 {
        tap.send(&in_session(&i.to_string()), &body);
    }
    assert_eq!(tap.counts().content_dropped, 3);
}

#[test]
fn a_flood_of_sessions_takes_the_room_of_idle_ones_first() {
    let mut tap = Tap::new();
    tap.send(&in_session("busy"), &call(1));
    for i in 0..2 * MAX_SESSIONS {
        let x = tap.send(&in_session(&i.to_string()), &call(1));
        tap.reply(x, 200, &ok(1));
    }
    let (sessions, counts) = (tap.http.connections.sessions.len(), tap.counts());
    assert_eq!((sessions, counts.in_flight, counts.dropped.overflow), (MAX_SESSIONS, 1, 0));
}

#[test]
fn where_all_sessions_are_busy_the_calls_of_the_oldest_are_dropped() {
    let mut tap = Tap::new();
    for i in 0..MAX_SESSIONS + 100 {
        let x = tap.send(&in_session(&i.to_string()), &call(1));
        tap.broken(x, Party::Client);
    }
    let (sessions, counts) = (tap.http.connections.sessions.len(), tap.counts());
    assert_eq!(sessions, MAX_SESSIONS);
    assert_eq!((counts.in_flight, counts.dropped.overflow), (MAX_SESSIONS as u64, 100));
}

#[test]
fn exchanges_beyond_the_limit_are_counted() {
    let mut tap = Tap::new();
    for _ in 0..MAX_EXCHANGES + 10 {
        tap.begin(&POST);
    }
    tap.begin(&GET);
    let counts = tap.counts();
    assert_eq!((counts.received, counts.dropped.overflow), (10, 10));
}

#[test]
fn an_endless_event_takes_no_more_than_a_long_one() {
    let mut tap = Tap::with(Settings { max_message_bytes: 1000, ..Settings::default() });
    let x = tap.post(&modern(1, ""));
    tap.stream(x).bytes(x, r#"data: {"id":1,"result":{"x":""#);
    for _ in 0..1000 {
        tap.http.bytes(x, S, &[b'y'; 10_000], tap.now);
        assert!(tap.http.buffered <= 1000 + 2 * TAIL);
    }
    tap.bytes(x, "\"}}\n\n");
    assert_eq!(tap.only().get(names::RESPONSE_SIZE), (10_000_000 + 42).to_string());
    assert_eq!(tap.http.buffered, 0);
}

#[test]
fn bodies_in_progress_share_one_limit() {
    let mut tap = Tap::new();
    let chunk = vec![b'x'; 1 << 20];
    let all: Vec<_> = (0..100).map(|_| tap.begin(&POST)).collect();
    for x in &all {
        tap.http.bytes(*x, C, br#"{"method":"tools/call","params":{"name":"t"},"x":""#, tap.now);
        tap.http.bytes(*x, C, &chunk, tap.now);
        tap.http.bytes(*x, C, &chunk, tap.now);
        assert!(tap.http.buffered <= MAX_BUFFERED + 2 * TAIL);
    }
    for x in all {
        tap.http.bytes(x, C, br#"","id":1}"#, tap.now);
        tap.http.ended(x, C, tap.now);
        tap.end(x);
    }
    assert_eq!((tap.http.buffered, tap.counts().in_flight), (0, 0));
}

#[test]
fn deep_json_is_read_at_both_ends() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let mut tap = Tap::new();
    let x = tap.post(&modern(1, &format!(r#","arguments":{deep}"#)));
    tap.stream(x).event(x, &format!(r#"{{"result":{{"x":{deep},"isError":true}},"id":1}}"#));
    assert_eq!(tap.only().outcome(), "tool_error");
}

/// Gives what a session that is idle takes, calls and handshake behind it.
#[test]
fn an_idle_session_is_small() {
    assert!(std::mem::size_of::<crate::mcp::http::sessions::Entry>() <= 1024);
    assert!(std::mem::size_of::<ExchangeState>() <= 512);
}

#[test]
fn a_tap_may_move_to_the_thread_of_its_observer() {
    fn may_move<T: Send>(_: &T) {}
    may_move(&Tap::new().http);
}
