//! Ids that come back as texts, which clients of both official SDKs take.

use super::*;

fn answer(id: &str) -> String {
    format!(r#"{{"id":{id},"result":{{}}}}"#)
}

#[test]
fn the_text_of_an_integer_closes_the_call_under_it_and_is_counted() {
    let texts = [r#""7""#, r#"" 7""#, r#""7 ""#, r#""07""#, r#""\u0037""#];
    for (n, text) in texts.into_iter().enumerate() {
        let mut tap = Tap::new();
        tap.call(6).call(7).s(&answer(text));
        let done = tap.only();
        assert_eq!((done.outcome(), done.get(names::REQUEST_ID)), ("ok", "7"), "{text}");
        assert_eq!((tap.counts().text_ids, tap.counts().orphans), (1, 0), "{n}");
        assert_eq!(tap.ok(6).outcomes(), pairs(&[("6", "ok")]));
    }
}

#[test]
fn other_texts_and_the_other_way_round_close_nothing() {
    let mut tap = Tap::new();
    tap.call(7);
    for other in [r#""7.0""#, r#""7a""#, r#""""#, r#""8""#, "8", r#""- 7""#] {
        tap.s(&answer(other));
    }
    assert_eq!((tap.counts().in_flight, tap.counts().orphans), (1, 6));
    let mut tap = Tap::new();
    tap.c(r#"{"id":"7","method":"ping"}"#).ok(7);
    assert_eq!((tap.counts().in_flight, tap.counts().orphans), (1, 1));
    tap.s(&answer(r#"" 7""#));
    assert_eq!(tap.counts().in_flight, 1, "between texts there is no such likeness");
}

#[test]
fn between_a_number_and_its_text_only_the_id_itself_decides() {
    let mut tap = Tap::new();
    tap.call(7).c(r#"{"id":"7","method":"ping"}"#).s(&answer(r#"" 7""#));
    assert_eq!((tap.counts().in_flight, tap.counts().orphans), (2, 1));
    tap.s(&answer(r#""7""#));
    assert_eq!(tap.names(), ["ping"]);
    assert_eq!(tap.counts().text_ids, 0);
    tap.ok(7);
    assert_eq!(tap.names(), ["tools/call t"]);
}

#[test]
fn an_error_and_what_a_client_answers_are_matched_likewise() {
    let mut tap = Tap::new();
    tap.call(7).s(r#"{"id":"7","error":{"code":-32602,"message":"m"}}"#);
    assert_eq!(tap.only().outcome(), "client_error");
    tap.s(r#"{"id":3,"method":"roots/list"}"#).c(&answer(r#""3""#));
    assert_eq!(tap.names(), ["roots/list"]);
    assert_eq!(tap.counts().text_ids, 2);
}

#[test]
fn a_late_answer_is_one_whatever_its_id_looks_like() {
    let mut tap = Tap::new();
    tap.call(7).cancel(7).s(&answer(r#""7""#));
    assert_eq!((tap.counts().late, tap.counts().orphans), (1, 0));
}

#[test]
fn a_progress_token_is_matched_likewise() {
    let progress = |token: &str| {
        format!(
            r#"{{"method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
        )
    };
    let ask = |id: u32, token: &str| {
        format!(r#"{{"id":{id},"method":"ping","params":{{"_meta":{{"progressToken":{token}}}}}}}"#)
    };
    let mut tap = Tap::new();
    tap.c(&ask(1, "5")).s(&progress(r#""5""#)).s(&progress("5")).s(&progress(r#""6""#));
    assert_eq!(tap.ok(1).only().span.events.len(), 2);
    assert_eq!(tap.counts().text_ids, 1);
    tap.c(&ask(2, r#""5""#)).s(&progress("5")).ok(2);
    assert_eq!(tap.only().span.events.len(), 0, "never the other way round");
    tap.c(&ask(3, "5")).c(&ask(4, r#""5""#)).s(&progress(r#"" 5""#)).s(&progress(r#""5""#));
    let spans = tap.ok(3).ok(4).spans();
    assert_eq!((spans[0].span.events.len(), spans[1].span.events.len()), (0, 1));
}

#[test]
fn a_server_that_makes_texts_of_all_ids_fills_no_table() {
    let mut tap = Tap::new();
    for id in 0..12_000 {
        tap.call(id).s(&answer(&format!("\"{id}\"")));
        if tap.session.ready() == 1000 {
            assert!(tap.spans().iter().all(|done| done.outcome() == "ok"));
        }
    }
    let counts = tap.counts();
    assert_eq!((counts.spans, counts.text_ids), (12_000, 12_000));
    assert_eq!((counts.in_flight, counts.dropped.total(), counts.orphans), (0, 0, 0));
}
