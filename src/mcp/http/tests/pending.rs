//! Calls over HTTP that wait long are said once, and what waits is shown, wherever it is paired.

use super::*;
use crate::mcp::testing::Record;

/// Gives what is said from here on: server and session.
fn said(tap: &mut Tap) -> Vec<[String; 2]> {
    let told = |record: Record| {
        [names::SERVER_NAME, names::SESSION_ID].map(|key| record.get(key).to_owned())
    };
    let records = Record::all(tap.http.take_logs()).into_iter();
    let waits = |record: &Record| record.record.event_name == names::PENDING;
    let mut all: Vec<_> = records.filter(waits).map(told).collect();
    all.sort();
    all
}

fn shown(tap: &Tap) -> Vec<[String; 3]> {
    let rows = tap.http.in_flight().map(|call| call.row());
    let mut all: Vec<_> =
        rows.map(|row| [row.server, row.session, row.method.into_owned()]).collect();
    all.sort();
    all
}

#[test]
fn a_call_is_said_and_shown_with_its_server_and_session() {
    let mut tap = Tap::new();
    tap.http.want_logs(true);
    tap.session().wait(1);
    let in_session = tap.say(&call(1));
    let alone = tap.send(&RequestHead { server: 1, ..POST }, &modern(1, ""));
    let hands = tap.post(r#"{"id":0,"method":"initialize","params":{}}"#);
    let rows =
        [["one", "", "initialize"], ["one", "name of s", "tools/call"], ["two", "", "tools/call"]];
    assert_eq!(shown(&tap), rows);
    assert_eq!(tap.http.servers().collect::<Vec<_>>(), ["one", "two"]);
    tap.wait(50);
    assert_eq!(said(&mut tap), [[""; 2]; 0]);
    tap.wait(20);
    assert_eq!(said(&mut tap), [["one", ""], ["one", "name of s"], ["two", ""]]);
    tap.wait(20).wait(200);
    assert_eq!((said(&mut tap).len(), tap.counts().pending), (0, 3));
    tap.reply(in_session, 200, &ok(1)).reply(alone, 200, &ok(1)).broken(hands, Party::Client);
    assert_eq!((tap.spans().len(), shown(&tap).len()), (3, 0));
}

#[test]
fn what_comes_between_two_looks_is_said_in_time() {
    let mut tap = Tap::new();
    tap.http.want_logs(true);
    tap.wait(1);
    for (id, seconds) in [(1, 59), (2, 30), (3, 7)] {
        tap.post(&modern(id, ""));
        tap.wait(seconds);
    }
    assert_eq!(said(&mut tap).len(), 1);
    let mut said_after: Vec<usize> = Vec::new();
    for _ in 0..120 {
        tap.wait(1);
        said_after.push(said(&mut tap).len());
    }
    assert_eq!(said_after.iter().sum::<usize>(), 2);
    let when: Vec<usize> = (0..120).filter(|n| said_after[*n] > 0).collect();
    // The second came 37 s and some steps before, the third 7 s.
    assert!(
        when.len() == 2 && (15..25).contains(&when[0]) && (48..56).contains(&when[1]),
        "{when:?}"
    );
}
