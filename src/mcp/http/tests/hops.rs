//! Edited requests and handed back spans over HTTP: which request of which exchange they belong to.

use super::*;
use crate::mcp::{Edited, Hop};

const HOP: Hop = Hop {
    trace: [
        0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31,
        0x9c,
    ],
    server: [0x51; 8],
    client: [0xc1; 8],
};
const EDITED: Edited = Edited { hop: Some(HOP), asked: true };

fn traced(id: u32) -> String {
    modern(id, "").replace(r#""_meta":{"#, &format!(r#""_meta":{{"traceparent":"{PARENT}","#))
}

/// An answer with one span below `parent`.
fn handing_back(id: u32, parent: &str) -> String {
    format!(
        r#"{{"id":{id},"result":{{"_meta":{{"otel":{{"traces":{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"1111111111111111","parentSpanId":"{parent}","name":"n"}}]}}]}}]}}}}}}}}}}"#
    )
}

impl Tap {
    /// A request whose body was edited.
    fn send_edited(&mut self, head: &RequestHead<'_>, body: &str) -> Exchange {
        let x = self.begin(head);
        self.http.edited(x, EDITED);
        for piece in body.as_bytes().chunks(7) {
            self.http.bytes(x, C, piece, self.now);
        }
        self.http.ended(x, C, self.now);
        self.step();
        x
    }
}

#[test]
fn the_one_request_of_an_edited_exchange_has_two_spans_and_the_servers_below() {
    let mut tap = Tap::new();
    let x = tap.send_edited(&POST, &traced(1));
    let plain = tap.post(&modern(1, ""));
    tap.reply(x, 200, &handing_back(1, "c1c1c1c1c1c1c1c1")).reply(plain, 200, &ok(1));
    let spans = tap.spans();
    assert_eq!(spans.len(), 4);
    let [server, client, own, theirs] = [0, 1, 2, 3].map(|i| &spans[i].span);
    assert_eq!((&server.span_id[..], &client.span_id[..]), (&HOP.server[..], &HOP.client[..]));
    assert_eq!(
        (&client.parent_span_id, &theirs.parent_span_id),
        (&server.span_id, &client.span_id)
    );
    assert!(own.parent_span_id.is_empty());
    // The server is called by the CLIENT span alone.
    assert_eq!((spans[0].get(names::SERVER_ADDRESS), spans[0].get(names::SERVER_PORT)), ("", ""));
    assert_eq!(spans[1].get(names::SERVER_ADDRESS), "one.example");
}

#[test]
fn the_context_of_the_http_request_belongs_to_the_server_span() {
    let head = RequestHead { traceparent: Some(OTHER.as_bytes()), ..POST };
    let mut tap = Tap::new();
    let x = tap.send_edited(&head, &traced(1));
    let spans = tap.reply(x, 200, &ok(1)).spans();
    assert_eq!(spans[0].span.links[0].span_id, [0x22; 8]);
    assert!(spans[1].span.links.is_empty());
}

#[test]
fn a_batch_was_not_edited_whatever_was_said() {
    let mut tap = Tap::new();
    let x = tap.send_edited(&POST, &format!("[{},{}]", call(1), call(2)));
    tap.reply(x, 200, &format!("[{},{}]", ok(1), ok(2)));
    assert_eq!(tap.spans().len(), 2);
    // Nor was an exchange that nobody knows.
    tap.http.edited(999, EDITED);
}

#[test]
fn a_request_that_http_refuses_is_an_error_of_the_caller_for_the_client_span_only() {
    let mut tap = Tap::new();
    let x = tap.send_edited(&POST, &traced(1));
    let spans = tap.reply(x, 404, "not here").spans();
    assert_eq!((spans[0].error(), spans[1].error()), ("", "404"));
    let x = tap.send_edited(&POST, &traced(1));
    let spans = tap.broken(x, Party::Client).spans();
    assert_eq!((spans[0].outcome(), spans[1].outcome()), ("cancelled", "cancelled"));
}

#[test]
fn spans_in_an_event_that_is_replayed_are_put_out_once() {
    let mut tap = Tap::new();
    let asking =
        traced(1).replace(r#""_meta":{"#, r#""_meta":{"otel":{"traces":{"request":true}},"#);
    let answer = handing_back(1, "00f067aa0ba902b7");
    for spans in [2, 1] {
        let x = tap.post(&asking);
        tap.stream(x).event(x, &answer).end(x);
        assert_eq!(tap.spans().len(), spans);
    }
    assert_eq!(tap.counts().passback.refused.duplicate, 1);
}
