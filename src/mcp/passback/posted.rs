//! What a client posts to us of the spans that a server handed back to it: the work behind
//! `POST /v1/passback`.
//!
//! A body is one of three shapes: the object `traces`, a whole `_meta`, or a whole JSON-RPC response. Its
//! spans are held to the context that the client had sent in its request: the header `traceparent`, else
//! the member `traceparent` at the top of the body (in a `_meta` it stands there anyway). The client is
//! the one who asked, so it is believed when it says what it had sent; the spans are not.

use super::{Expected, HandedBack, PassbackCounts, Told, Window, take_in};
use crate::json::{Kind, MAX_DEPTH, Reader};
use crate::mcp::peek::{Message, Part, RawId, members, skip};
use crate::mcp::{Orphans, Passback, TraceContext, Unsampled, sep2448};
use crate::privacy::cut::cut;
use crate::telemetry::{Content, Nanos, Raw, Seen, Telemetry};

/// Holds what is posted, and what is known of it beside.
#[derive(Clone, Copy, Debug)]
pub struct Posted<'a> {
    /// The body, decompressed.
    pub body: &'a [u8],
    /// The header `traceparent`.
    pub traceparent: Option<&'a [u8]>,
    /// The server that handed the spans back, as the user names it, with bounds of the caller's; empty if
    /// nobody says.
    pub server: &'a str,
    /// Says when it came.
    pub now: Nanos,
    /// Holds what becomes of spans whose context was not sampled.
    pub unsampled: Unsampled,
}

/// Holds what came of it.
#[derive(Debug)]
pub struct Received {
    /// The spans that may be passed on; may be none.
    pub telemetry: Telemetry,
    /// Holds what they had of content.
    pub content: Content,
    /// Says how many came, and why some were refused.
    pub counts: PassbackCounts,
}

/// Holds what was found in a body.
#[derive(Default)]
struct Body<'a> {
    traces: Part<'a>,
    traceparent: Option<String>,
    id: String,
}

impl Posted<'_> {
    /// Takes it in. `rules.ingest` does not matter here: whoever posts wants it.
    ///
    /// # Errors
    /// A text for the client (HTTP 400) where the body has none of the three shapes, or nothing says which
    /// context its spans must belong to and orphans are not wanted.
    pub fn take_in(&self, rules: &Passback, known: &HandedBack) -> Result<Received, &'static str> {
        let body = Body::read(self.body).ok_or("the body is not one JSON object")?;
        let Part::Whole(traces) = body.traces else {
            return Err(
                "no spans: expected the object `traces` of SEP-2448 (with `resourceSpans`), \
                        a `_meta` or a JSON-RPC response that has it at `_meta.otel.traces`",
            );
        };
        let inside = body.traceparent.as_deref().map(str::as_bytes);
        let context = match self.traceparent.or(inside) {
            Some(text) => {
                Some(TraceContext::parse(text, None).ok_or("`traceparent` is malformed")?)
            }
            None if rules.orphans == Orphans::Mark => None,
            None => {
                return Err(
                    "no `traceparent`: send the one of the MCP request as a header, or as a \
                            member beside the spans",
                );
            }
        };
        let expected = Expected {
            told: context.as_ref().map(|c| Told { parent: c.parent, certain: true }),
            own: None,
            hop: None,
            flags: context.map_or(crate::mcp::trace::SAMPLED, |context| context.flags),
            unsampled: self.unsampled,
            window: Window::before(self.now),
            server: self.server,
            request_id: &body.id,
        };
        let mut counts = PassbackCounts::default();
        let accepted = take_in(traces, &expected, rules, known, &mut counts);
        let raw = |json: Option<Vec<u8>>| json.map_or(Raw::Absent, |json| Raw::Whole(json.into()));
        let content = accepted.content.into_iter().map(|(key, texts)| {
            let (arguments, result) = (raw(texts.arguments), raw(texts.result));
            (key, Seen { arguments, result, ..Seen::default() })
        });
        let content = content.collect();
        Ok(Received { telemetry: Telemetry::from(accepted.spans), content, counts })
    }
}

impl<'a> Body<'a> {
    /// Finds spans, context and request id in a body, whichever shape it has. `None` for what is no JSON
    /// object, or is nested too deeply.
    fn read(json: &'a [u8]) -> Option<Self> {
        let mut body = Body::default();
        let mut reader = Reader::new(json, MAX_DEPTH);
        if reader.peek().ok()?.0 != Kind::Object {
            return None;
        }
        let mut is_traces = false;
        members(&mut reader, |key, reader| match key {
            sep2448::TRACEPARENT if reader.peek()?.0 == Kind::String => {
                body.traceparent = Some(reader.text()?.lossy(64).0);
                Ok(())
            }
            sep2448::OTEL if reader.peek()?.0 == Kind::Object => members(reader, |key, reader| {
                let value = &json[reader.skip()?];
                if key == sep2448::TRACES {
                    body.traces = Part::Whole(value);
                }
                Ok(())
            }),
            key => {
                is_traces |= sep2448::RESOURCE_SPANS.contains(&key);
                skip(reader)
            }
        })
        .ok()?;
        reader.end().ok()?;
        if is_traces {
            body.traces = Part::Whole(json);
        } else if body.traces == Part::Absent {
            let (message, _) = Message::peek(json).ok()?;
            body.traces = message.traces();
            body.id = match &message.id {
                RawId::Number(digits) if digits.len() <= 64 => (*digits).to_owned(),
                RawId::Text(text) => {
                    let (id, more) = text.lossy(256);
                    cut(id, 256, more).into_owned()
                }
                _ => String::new(),
            };
        }
        Some(body)
    }
}
