//! Credentials of a request go with what is told of its exchange, and with nothing else.

use super::*;
use crate::telemetry::Reads;

const CREDENTIALS: [Option<&[u8]>; 4] = [Some(b"Bearer kettle-window"), None, None, None];

fn request(id: u32) -> String {
    let meta =
        format!(r#""_meta":{{"traceparent":"{PARENT}","otel":{{"traces":{{"request":true}}}}}}"#);
    format!(r#"{{"id":{id},"method":"tools/call","params":{{"name":"t",{meta}}}}}"#)
}

fn answer(tap: &Tap, id: u32) -> String {
    let (trace, parent) = (&PARENT[3..35], &PARENT[36..52]);
    let times = format!(r#""startTimeUnixNano":"{}","endTimeUnixNano":"{}""#, tap.now, tap.now);
    let span = format!(
        r#"{{"traceId":"{trace}","spanId":"111111111111111{id}","parentSpanId":"{parent}","name":"n",{times}}}"#
    );
    let spans = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
    format!(r#"{{"id":{id},"result":{{"_meta":{{"otel":{{"traces":{spans}}}}}}}}}"#)
}

#[test]
fn they_go_with_its_spans_and_those_that_its_server_hands_back() {
    let mut tap = Tap::new();
    let with = RequestHead { credentials: CREDENTIALS, ..POST };
    for (id, head) in [(1, &with), (2, &POST)] {
        let x = tap.send(head, &request(id));
        let answer = answer(&tap, id);
        tap.reply(x, 200, &answer);
    }
    let spans = tap.spans();
    let told = |done: &&Done| done.seen.secrets.0.is_some();
    assert_eq!((spans.len(), spans.iter().filter(told).count()), (4, 2));
    let ids: Vec<&str> = spans.iter().filter(told).map(|d| d.get(names::REQUEST_ID)).collect();
    assert!(ids.iter().all(|id| *id == "1" || id.is_empty()), "{ids:?}");
}

#[test]
fn they_are_kept_only_where_somebody_searches_for_them() {
    let mut tap = Tap::new();
    tap.http.keep(Reads { secrets: false, ..Reads::ALL });
    let x = tap.send(&RequestHead { credentials: CREDENTIALS, ..POST }, &call(1));
    assert!(tap.reply(x, 200, &ok(1)).only().seen.secrets.0.is_none());
}
