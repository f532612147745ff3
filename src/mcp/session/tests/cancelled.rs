//! Who cancelled a call: whoever asked, nobody but the connection's end, or our own stop.

use super::*;
use crate::mcp::testing::cancelled;

impl Tap {
    fn cancelled(&mut self) -> Vec<(String, String)> {
        cancelled(&self.spans())
    }
}

#[test]
fn who_takes_a_request_back_cancels_it_whichever_side_asked() {
    let mut tap = Tap::new();
    tap.call(1).cancel(1).s(r#"{"id":7,"method":"sampling/createMessage"}"#);
    tap.s(r#"{"method":"notifications/cancelled","params":{"requestId":7}}"#).call(2).ok(2);
    assert_eq!(tap.cancelled(), pairs(&[("1", "client"), ("7", "client"), ("2", "")]));
}

#[test]
fn a_call_that_timed_out_was_cancelled_by_nobody() {
    let mut tap = Tap::new();
    let late =
        r#"{"method":"notifications/cancelled","params":{"requestId":1,"reason":"timeout"}}"#;
    tap.call(1).c(late);
    let done = tap.only();
    assert_eq!((done.outcome(), done.get(names::CANCELLED_BY)), ("timeout", ""));
}

/// Says who is said to have cancelled a call, a subscription and a request of the server's that were open when that
/// happened and the server ended.
fn at_the_end(what: impl FnOnce(&mut Tap)) -> Vec<(String, String)> {
    let mut tap = Tap::new();
    tap.call(1).c(r#"{"id":2,"method":"subscriptions/listen"}"#);
    tap.s(r#"{"id":7,"method":"sampling/createMessage"}"#);
    what(&mut tap);
    tap.end().cancelled()
}

#[test]
fn a_client_that_is_gone_is_a_disconnect() {
    let all = pairs(&[("1", "disconnect"), ("2", "disconnect"), ("7", "disconnect")]);
    let gone = at_the_end(|tap| {
        tap.session.eof(C, tap.now);
        // Whatever ends the server then: the client did not wait for it.
        tap.session.stopped();
    });
    assert_eq!(gone, all);
    assert_eq!(at_the_end(|tap| tap.session.left(C)), all);
}

#[test]
fn a_server_that_is_gone_cancels_what_it_is_not_to_blame_for() {
    let gone = at_the_end(|tap| tap.session.eof(S, tap.now));
    assert_eq!(gone, pairs(&[("1", ""), ("2", "disconnect"), ("7", "disconnect")]));
}

#[test]
fn what_our_own_stop_cuts_off_is_cancelled_by_the_tap() {
    let all = pairs(&[("1", "tap"), ("2", "tap"), ("7", "tap")]);
    let stopped = at_the_end(|tap| {
        tap.session.stopped();
        tap.session.eof(S, tap.now);
        tap.session.eof(C, tap.now);
    });
    assert_eq!(stopped, all);
}

#[test]
fn both_spans_of_a_hop_say_it() {
    let mut tap = Tap::new();
    let hop = crate::mcp::Hop { trace: [7; 16], server: [1; 8], client: [2; 8] };
    tap.session.edited(C, Edited { hop: Some(hop), asked: false });
    tap.call(1).cancel(1);
    assert_eq!(tap.cancelled(), pairs(&[("1", "client"), ("1", "client")]));
}

#[test]
fn a_cancelled_task_was_cancelled_on_purpose() {
    let mut tap = Tap::new();
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    tap.c(&format!(r#"{{"id":1,"method":"tasks/get","params":{{"taskId":"k",{meta}}}}}"#));
    tap.s(r#"{"id":1,"result":{"resultType":"complete","taskId":"k","status":"cancelled"}}"#);
    assert_eq!(tap.cancelled(), pairs(&[("1", "client")]));
}
