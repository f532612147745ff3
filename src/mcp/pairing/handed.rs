//! Spans that an answer hands back: whether they are welcome, and what is known of their call.

use super::*;
use crate::mcp::call::PassbackRequester;
use crate::mcp::passback::{self, Expected, Told, Window};
use crate::mcp::{Ingest, Parent, Settings};
use crate::otlp::Request;
use crate::otlp::wire::view::{Item, each_item};

impl Pairing<'_> {
    /// Takes in the spans that the answer to `call` hands back, if it does.
    pub(super) fn hand_back(&mut self, call: &Call, message: &Message<'_>, now: Nanos) {
        let traces = message.traces();
        if traces == Part::Absent || !self.is_welcome(call.wish) {
            return;
        }
        let common = &mut *self.common;
        let Part::Whole(json) = traces else {
            common.counts.passback.cut += 1;
            return;
        };
        let settings: &Settings = &common.settings;
        let id = call.id.as_ref().map(ToString::to_string).unwrap_or_default();
        let (told, flags) = told(call);
        // Of traces that are not the client's it has no say.
        let joins = settings.parent == Parent::Meta;
        let (from, to) = call.times(now);
        let expected = Expected {
            told,
            own: Some(call.place.own),
            hop: call.hop.as_ref().map(|hop| hop.span),
            flags,
            unsampled: if joins { settings.unsampled } else { Unsampled::Keep },
            window: Window::call(from, to),
            server: &self.state.server.name,
            request_id: &id,
        };
        let (known, counts) = (&common.handed_back, &mut common.counts.passback);
        let accepted = passback::take_in(json, &expected, &settings.passback, known, counts);
        common.spans += accepted.spans.spans();
        // What came with the call or its session is searched for in what its server tells of it, too.
        let secrets = self.state.secrets.all(now).with(&call.secrets);
        if !secrets.is_empty() {
            each_item(Request::Traces, accepted.spans.bytes(), &mut |span: &Item<'_>| {
                let (trace, id) = span.own.ids();
                if let (Ok(trace), Ok(id)) = (trace.try_into(), id.try_into()) {
                    let seen = Seen { secrets: secrets.clone(), ..Seen::default() };
                    common.handed_seen.push(((trace, id), seen));
                }
            });
        }
        common.handed.join(accepted.spans);
        for (span, texts) in accepted.content {
            let needs = common.needs;
            let mut raw = |read, json: Option<Vec<u8>>| match json {
                Some(json) => common.keep(read, Part::Whole(&json), Known::Whole),
                None => Raw::Absent,
            };
            let arguments = raw(needs.arguments, texts.arguments);
            let result = raw(needs.results, texts.result);
            let secrets = secrets.clone();
            let seen = Seen { arguments, result, secrets, ..Seen::default() };
            common.hold(&seen);
            common.handed_seen.push((span, seen));
        }
    }

    /// An answer to no request that is known hands spans back, perhaps.
    pub(super) fn hand_back_to_nobody(&mut self, message: &Message<'_>) {
        if message.traces() != Part::Absent {
            self.is_welcome(PassbackRequester::Nobodys);
        }
    }

    /// Says whether spans are welcome that were wished for so; counts those that are not.
    fn is_welcome(&mut self, wish: PassbackRequester) -> bool {
        let welcome = match (self.common.settings.passback.ingest, wish) {
            (Ingest::Off, _) => return false,
            (Ingest::Solicited, PassbackRequester::Clients | PassbackRequester::Ours)
            | (Ingest::Requested, PassbackRequester::Ours) => true,
            (Ingest::Solicited | Ingest::Requested, _) => false,
        };
        self.common.counts.passback.unsolicited += u64::from(!welcome);
        welcome
    }
}

/// The parent that the server was told, and its trace flags: ours where the tap is a hop, else the caller's,
/// whichever trace our own span is in.
fn told(call: &Call) -> (Option<Told>, u8) {
    let place = &call.place;
    if call.hop.is_some() {
        return (Some(Told { parent: place.own, certain: true }), place.flags);
    }
    let flags = place.beside.as_ref().map_or(place.flags, |context| context.flags);
    (place.caller().map(|parent| Told { parent, certain: place.told }), flags)
}
