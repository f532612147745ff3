//! What an edit changes, and that it changes nothing else.

mod laws;
mod replies;
mod requests;

use std::hash::RandomState;

use super::*;
use crate::mcp::{Hop, Id, TraceContext};

const HOP: Hop = Hop { trace: [0xab; 16], server: [1; 8], client: [0xcd; 8] };
/// Names what the hop writes when a trace begins with it.
const NEW: &str = "00-abababababababababababababababab-cdcdcdcdcdcdcdcd-01";
const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
/// The same trace with the hop's span as the parent.
const NEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-cdcdcdcdcdcdcdcd-01";
const ASK: &str = r#""otel":{"traces":{"request":true,"detailed":false}}"#;

/// Holds what is to be done with a request, as a tap would decide it.
#[derive(Clone, Debug, Default)]
struct PassbackRequester {
    inject: bool,
    ask: bool,
    /// The context of the HTTP request.
    carrier: Option<TraceContext>,
}

const INJECT: PassbackRequester = PassbackRequester { inject: true, ask: false, carrier: None };
const BOTH: PassbackRequester = PassbackRequester { inject: true, ask: true, carrier: None };
const ONLY_ASK: PassbackRequester = PassbackRequester { inject: false, ask: true, carrier: None };

/// The edit that a tap would make, or why it makes none; `None` where there is nothing to be done.
fn edit(text: &[u8], wish: &PassbackRequester) -> Result<Option<Edit>, Unedited> {
    let Some(request) = Request::read(text)? else { return Ok(None) };
    if !request.method.carries_context() {
        return Ok(None);
    }
    let target = request.target()?;
    let context = if wish.inject { Some(target.context()?) } else { None };
    let incoming = context.map(|own| TraceContext::of_request(own, wish.carrier.as_ref(), None));
    let hop = incoming.as_ref().map(|incoming| {
        let trace = incoming.as_ref().map_or(HOP.trace, |from| from.parent.trace);
        (Hop { trace, ..HOP }, incoming.as_ref())
    });
    let asking = if wish.ask { Some(target.asking()?) } else { None };
    let opening = match &asking {
        Some(Asking::Nobody(opening)) => Some((opening, Ask::default())),
        _ => None,
    };
    let edit = target.edit(hop.as_ref().map(|(hop, incoming)| (hop, *incoming)), opening);
    Ok(Some(edit).filter(|edit| !edit.is_empty()))
}

fn edited(text: &str, wish: &PassbackRequester) -> Result<String, Unedited> {
    let mut out = Vec::new();
    edit(text.as_bytes(), wish)?.unwrap_or_default().apply(text.as_bytes(), &mut out);
    Ok(String::from_utf8(out).unwrap())
}

fn stripped(text: &str) -> Result<String, Unedited> {
    let mut out = Vec::new();
    let edit = Reply::read(text.as_bytes())?.unwrap().strip()?;
    edit.apply(text.as_bytes(), &mut out);
    Ok(String::from_utf8(out).unwrap())
}

fn id(text: &str) -> Option<Id> {
    let keys = RandomState::new();
    Request::read(text.as_bytes()).unwrap().and_then(|request| request.id(&keys))
}
