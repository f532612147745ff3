//! Edits of any bytes: in order, of valid JSON into valid JSON, and made once only.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpcol::mcp::Hop;
use mcpcol::mcp::edit::{Ask, Asking, Edit, Reply, Request};

const HOP: Hop = Hop { trace: [0xab; 16], server: [1; 8], client: [0xcd; 8] };

fn request(text: &[u8]) -> Option<Edit> {
    let request = Request::read(text).ok()??;
    let target = request.target().ok()?;
    let own = target.context().ok()?;
    let hop = Hop { trace: own.as_ref().map_or(HOP.trace, |own| own.parent.trace), ..HOP };
    let opening = match target.asking() {
        Ok(Asking::Nobody(opening)) => Some(opening),
        _ => None,
    };
    let ask = opening.as_ref().map(|opening| (opening, Ask { detailed: true }));
    Some(target.edit(Some((&hop, own.as_ref())), ask))
}

fn reply(text: &[u8]) -> Option<Edit> {
    let reply = Reply::read(text).ok()??;
    reply.offers_spans();
    reply.strip().ok()
}

fn check(text: &[u8], edit: impl Fn(&[u8]) -> Option<Edit>) {
    let Some(first) = edit(text) else { return };
    let mut from = 0;
    for splice in first.splices() {
        assert!(from <= splice.at.start && splice.at.start <= splice.at.end);
        from = splice.at.end;
    }
    let mut after = Vec::new();
    first.apply(text, &mut after);
    let valid = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).is_ok();
    assert!(!valid(text) || valid(&after));
    let mut again = Vec::new();
    edit(&after).expect("what was edited can be").apply(&after, &mut again);
    assert_eq!(after, again);
}

fuzz_target!(|text: &[u8]| {
    check(text, request);
    check(text, reply);
});
