//! What is decided, remembered and bounded; what becomes of bytes is tested where they pass.

use super::*;
use crate::receivers::mcp_stdio::Config;
use crate::settings::testing;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
const HERE: Scope = Scope::Session(0);
const AROUND: Around<'static> = Around { exchange: HERE, session: HERE, peer: HERE, carrier: None };

fn editing(yaml: &str) -> Option<Arc<Editing>> {
    let config: Config = testing::read(yaml).unwrap();
    Editing::new(&config.observing())
}

fn count(editing: &Editing, what: Became, why: &'static str) -> u64 {
    editing.state().counts.get(&(what, why)).copied().unwrap_or_default()
}

#[test]
fn nothing_is_changed_unless_it_is_named() {
    assert!(editing("{}").is_none());
    assert!(editing("{ propagate: off, passback: { ingest: requested, strip: true } }").is_none());
    assert!(!editing("{ propagate: inject }").unwrap().wants_answers());
    assert!(editing("{ passback: { request: true } }").unwrap().wants_answers());
}

#[test]
fn a_context_is_the_requests_else_that_around_it_else_that_of_the_environment_else_new() {
    let context =
        |first: &str| TraceContext::parse(PARENT.replace("0af7", first).as_bytes(), None).unwrap();
    let mut editing = Arc::into_inner(editing("{ propagate: inject }").unwrap()).unwrap();
    editing.ambient = Some(context("aaaa"));
    let carrier = context("bbbb");
    let own = r#"{"id":1,"method":"tools/call","params":{"_meta":{"traceparent":"PARENT"}}}"#;
    let own = own.replace("PARENT", &PARENT.replace("0af7", "cccc"));
    let none = r#"{"id":1,"method":"tools/call"}"#;
    let mut trace = |text: &str, carrier, forget| {
        if forget {
            editing.ambient = None;
        }
        let change = editing.request(text.as_bytes(), &Around { carrier, ..AROUND });
        change.edit.unwrap().1.hop.unwrap().trace[..2].to_vec()
    };
    assert_eq!(trace(&own, Some(&carrier), false), [0xcc, 0xcc]);
    assert_eq!(trace(none, Some(&carrier), false), [0xbb, 0xbb]);
    assert_eq!(trace(none, None, false), [0xaa, 0xaa]);
    let new: Vec<_> = (0..20).map(|_| trace(none, None, true)).collect();
    assert!(new.iter().any(|trace| *trace != new[0]));
}

#[test]
fn a_trace_of_our_own_carries_on_nothing_of_the_callers() {
    let text = r#"{"id":1,"method":"tools/call","params":{"_meta":{"traceparent":"PARENT","tracestate":"a=b"}}}"#;
    let text = text.replace("PARENT", &PARENT.replace("-01", "-00"));
    let carrier = TraceContext::parse(PARENT.as_bytes(), Some("c=d"));
    for parent in ["link", "own"] {
        let editing = editing(&format!("{{ propagate: inject, parent: {parent} }}")).unwrap();
        for text in [text.as_str(), r#"{"id":1,"method":"tools/call"}"#] {
            let around = Around { carrier: carrier.as_ref(), ..AROUND };
            let (edit, edited) = editing.request(text.as_bytes(), &around).edit.unwrap();
            let hop = edited.hop.unwrap();
            assert_ne!(hop.trace[..2], [0x0a, 0xf7]);
            let mut sent = Vec::new();
            edit.apply(text.as_bytes(), &mut sent);
            let sent = String::from_utf8(sent).unwrap();
            let hex = |id: &[u8]| id.iter().map(|b| format!("{b:02x}")).collect::<String>();
            let ours = format!("00-{}-{}-01", hex(&hop.trace), hex(&hop.client));
            assert!(sent.contains(&ours) && !sent.contains("tracestate"), "{sent}");
        }
    }
}

#[test]
fn a_panic_ends_editing_and_is_counted_once() {
    let editing = editing("{ propagate: inject, passback: { request: true } }").unwrap();
    let call = br#"{"id":1,"method":"tools/call"}"#;
    assert!(editing.request(call, &AROUND).edit.is_some());
    editing.guarded(Became::Unedited, || -> () { panic!("asked for") });
    assert!(editing.request(call, &AROUND).edit.is_none());
    assert!(editing.answer(br#"{"id":1,"result":{}}"#, &AROUND).is_none());
    assert_eq!(count(&editing, Became::Unedited, why::PANIC), 1);
}

#[test]
fn what_is_not_json_to_the_letter_passes_and_is_counted() {
    let editing = editing("{ propagate: inject, passback: { request: true } }").unwrap();
    editing.state().asked.set_capable(HERE, true);
    let call =
        |flaw: &[u8]| [br#"{"id":1,"method":"tools/call","params":{"a":"#, flaw, b"}}"].concat();
    for (n, flaw) in [&b"NaN"[..], b"\"\xff\"", b"[1 2]", b"1}} x{{"].iter().enumerate() {
        let change = editing.request(&call(flaw), &AROUND);
        assert!(change.edit.is_none() && change.awaited.is_none());
        assert_eq!(count(&editing, Became::Unedited, "invalid"), n as u64 + 1);
    }
    assert!(editing.request(&call(b"1"), &AROUND).awaited.is_some());
    let answer = br#"{"id":1,"result":{"a":NaN,"_meta":{"otel":{"traces":{}}}}}"#;
    assert!(editing.answer(answer, &AROUND).is_none());
    assert_eq!(count(&editing, Became::Unstripped, "invalid"), 1);
    assert_eq!(
        (count(&editing, Became::Edited, ""), count(&editing, Became::Stripped, "")),
        (1, 0)
    );
}

#[test]
fn what_is_held_is_bounded_and_given_back() {
    let editing = editing("{ propagate: inject }").unwrap();
    let mut rooms: Vec<_> = (0..64).map(|_| Room::new(&editing)).collect();
    assert!(rooms.iter_mut().all(|room| room.take(HOLD)));
    let mut more = Room::new(&editing);
    assert!(!more.take(1));
    assert!(rooms[0].take(HOLD - 1) && more.take(1));
    drop((rooms, more));
    assert_eq!(editing.held.load(Ordering::Relaxed), 0);
}

#[test]
fn an_id_in_a_session_means_its_latest_use_of_either_era() {
    let editing = editing("{ passback: { request: true } }").unwrap();
    let around = Around { exchange: editing.exchange(), ..AROUND };
    editing.state().asked.set_capable(HERE, true);
    let legacy = br#"{"id":1,"method":"tools/call"}"#;
    let own = br#"{"id":1,"method":"tools/call","params":{"_meta":{
        "otel":{"traces":{"request":true}},"io.modelcontextprotocol/protocolVersion":"x"}}}"#;
    let answer = br#"{"id":1,"result":{"_meta":{"otel":{"traces":{}}}}}"#;
    assert!(editing.request(legacy, &around).awaited.is_some());
    assert!(editing.answer(answer, &around).is_some());
    editing.request(legacy, &around);
    assert!(editing.request(own, &around).edit.is_none());
    assert!(editing.answer(answer, &around).is_none());
}

#[test]
fn an_answer_is_ours_by_the_text_of_its_id_unless_the_client_writes_such_texts() {
    let editing = editing("{ passback: { request: true } }").unwrap();
    let around = Around { exchange: editing.exchange(), ..AROUND };
    editing.state().asked.set_capable(HERE, true);
    let answer = br#"{"id":"1","result":{"_meta":{"otel":{"traces":{}}}}}"#;
    let ours = br#"{"id":1,"method":"tools/call"}"#;
    editing.request(ours, &around);
    assert!(editing.answer(answer, &around).is_some());
    editing.request(ours, &around);
    let own = br#"{"id":"1","method":"tools/call","params":{"_meta":{"otel":{"traces":{"request":true}}}}}"#;
    editing.request(own, &around);
    assert!(editing.answer(answer, &around).is_none(), "what the client asked for is the client's");
}

#[test]
fn without_stripping_answers_keep_what_was_asked_for() {
    let editing = editing("{ passback: { request: true, strip: false } }").unwrap();
    let call = br#"{"id":1,"method":"tools/call","params":{"_meta":{
        "io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    assert!(editing.request(call, &AROUND).edit.unwrap().1.asked);
    let answer = br#"{"id":1,"result":{"_meta":{"otel":{"traces":{}}}}}"#;
    assert!(editing.answer(answer, &AROUND).is_none());
}
