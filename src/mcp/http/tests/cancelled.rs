//! Who cancelled a call over HTTP, where a closed connection says different things in either era.

use super::*;
use crate::mcp::testing::cancelled;

impl Tap {
    fn cancelled(&mut self) -> Vec<(String, String)> {
        cancelled(&self.spans())
    }
}

#[test]
fn a_modern_client_cancels_by_closing_the_stream_of_its_request() {
    let mut tap = Tap::new();
    let listen = modern(1, "").replace("tools/call", "subscriptions/listen");
    for body in [modern(1, ""), listen] {
        let x = tap.post(&body);
        tap.stream(x).broken(x, Party::Client);
        assert_eq!(tap.cancelled(), pairs(&[("1", "client")]));
        // Before any answer, too.
        let x = tap.post(&body);
        tap.broken(x, Party::Client);
        assert_eq!(tap.cancelled(), pairs(&[("1", "client")]));
    }
}

#[test]
fn a_legacy_client_cancels_by_saying_so_and_a_closed_connection_is_none() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    tap.stream(x);
    let y = tap.say(&cancel(1));
    tap.reply(y, 202, "");
    assert_eq!(tap.cancelled(), pairs(&[("1", "client")]));
    // Without a session nothing else can bring the answer.
    let x = tap.post(&call(2));
    tap.stream(x).event(x, r#"{"id":7,"method":"ping"}"#).broken(x, Party::Client);
    assert_eq!(tap.cancelled(), pairs(&[("2", "disconnect"), ("7", "disconnect")]));
    let x = tap.post(r#"{"id":0,"method":"initialize"}"#);
    tap.broken(x, Party::Client);
    assert_eq!(tap.cancelled(), pairs(&[("0", "disconnect")]));
}

#[test]
fn a_subscription_whose_server_breaks_off_was_disconnected() {
    let mut tap = Tap::new();
    let x = tap.post(&modern(1, "").replace("tools/call", "subscriptions/listen"));
    tap.stream(x).broken(x, Party::Server);
    assert_eq!(tap.cancelled(), pairs(&[("1", "disconnect")]));
}

#[test]
fn who_deletes_its_session_cancels_what_is_open_in_it() {
    for status in [200, 404] {
        let mut tap = Tap::new();
        let x = tap.session().say(&call(1));
        tap.stream(x).event_with_id(x, "a", "").broken(x, Party::Client);
        let y = tap.begin(&RequestHead { verb: Verb::Delete, ..IN_SESSION });
        tap.reply(y, status, "");
        assert_eq!(tap.cancelled(), pairs(&[("1", "client")]), "{status}");
    }
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    tap.stream(x).begin(&RequestHead { verb: Verb::Delete, ..IN_SESSION });
    tap.end(x);
    assert_eq!(tap.cancelled(), pairs(&[("1", "client")]));
}

#[test]
fn what_the_tap_cuts_off_is_cancelled_by_the_tap() {
    for (head, body) in [(POST, modern(1, "")), (POST, call(1)), (IN_SESSION, call(1))] {
        for by in [Some(Party::Tap), None] {
            let mut tap = Tap::new();
            let x = tap.send(&head, &body);
            tap.stream(x).event(x, r#"{"id":7,"method":"ping"}"#);
            if let Some(by) = by {
                tap.broken(x, by);
            }
            tap.http.finish(tap.now);
            assert_eq!(tap.cancelled(), pairs(&[("1", "tap"), ("7", "tap")]));
        }
    }
}
