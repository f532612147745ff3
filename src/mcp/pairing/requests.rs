//! Requests, and notifications that make spans: from a message to a [`Call`].

use super::*;
use crate::mcp::call::{PassbackRequester, Progress, SpanPosition, TaskId, method, word};
use crate::mcp::{Finding, Meta, Notifications, Params, Parent, Traces};
use crate::telemetry::{Capture, CaptureLevel};

/// Progress events one span carries at most: enough to see the pace of a call.
const MAX_EVENTS: usize = 32;

impl Pairing<'_> {
    /// A request that waits under `key` from now on; `false` if there is no room for it.
    pub(in crate::mcp) fn request(
        &mut self,
        message: &Message<'_>,
        key: Key,
        seen: Observed<'_>,
    ) -> bool {
        self.common.counts.requests += 1;
        self.common.counts.received += 1;
        let direction = seen.direction;
        // What a gap left behind must not take the answer to this one.
        while let Some(stale) = self.state.flights[direction].take_doubtful(&key) {
            self.end_unanswered(stale, &Ending::bare(Outcome::Timeout, seen.now));
        }
        let held = match key.scope {
            // The only sender there is.
            _ if seen.via.exchange == 0 => 0,
            0 => self.state.flights[direction].len(),
            _ => seen.via.brought,
        };
        if !self.common.has_room(direction, held) {
            self.state.missed = true;
            let spans = seen.via.edited.map_or(1, Edited::spans);
            self.common.counts.received += spans - 1;
            self.common.counts.dropped.overflow += spans;
            return false;
        }
        let call = self.call(message, key.id.clone(), seen);
        if direction == Direction::ClientToServer {
            let begins = call.method == "initialize";
            self.state.modern = !begins && call.speaker.is_some() && self.state.name.is_some();
            if begins {
                self.gives_up_probe(message, seen.now);
                self.shake_hands(message);
            }
        }
        self.common.forget_late(self.state.number, direction, &key);
        self.common.entered(&call);
        let place = call.in_trace();
        let kind = key.id.as_ref().map(Id::kind);
        let alone = self.state.flights[direction].insert(key, Box::new(call));
        if !alone {
            self.common.counts.duplicate_ids += 1;
            let detail = || format!("id: {}", kind.unwrap_or("out of sight"));
            self.find(Finding::DuplicateId, direction, Some(place), seen.now, detail);
        }
        true
    }

    /// A notification; ids in it are unique where `seen` says.
    pub(in crate::mcp) fn notification(&mut self, message: &Message<'_>, seen: Observed<'_>) {
        self.common.counts.notifications += 1;
        let is = |name| message.method.is_some_and(|method| method.is(name));
        if is("notifications/cancelled") {
            let id = Id::read(&message.params.request_id, &self.common.keys);
            self.cancel(message, id.map(|id| Key::new(seen.via.scope, id)), seen);
        }
        if is("notifications/message") {
            self.log_message(message, seen);
        }
        if is("notifications/initialized") || is("notifications/roots/list_changed") {
            self.state.roots_due = true;
        }
        let told = is("notifications/progress") && self.progress(message, seen);
        if self.common.settings.notifications == Notifications::Span && !told {
            self.common.counts.received += 1;
            let call = self.call(message, None, seen);
            self.put_out(Box::new(call), &Ending::bare(Outcome::Ok, seen.now), Seen::default());
        }
    }

    /// Progress of a request that came the other way; `true` if it is known.
    fn progress(&mut self, message: &Message<'_>, seen: Observed<'_>) -> bool {
        let Some(token) = Id::read(&message.params.progress_token, &self.common.keys) else {
            return false;
        };
        let token = Key::new(seen.via.scope, token);
        let flight = &mut self.state.flights[seen.direction.reverse()];
        let Some((call, as_text)) = flight.by_token(&token) else { return false };
        call.alive = seen.now;
        let place = call.in_trace();
        if call.events.len() < MAX_EVENTS {
            let (value, total) = (message.params.progress, message.params.total);
            call.events.push(Progress { at: seen.now, value, total });
        } else {
            call.events_dropped = call.events_dropped.saturating_add(1);
            self.common.counts.events_dropped += 1;
        }
        if as_text {
            self.id_as_text("progressToken", place, seen);
        }
        true
    }

    fn call(&mut self, message: &Message<'_>, id: Option<Id>, seen: Observed<'_>) -> Call {
        let params = &message.params;
        let method = message.method.as_ref().map(method).unwrap_or_default();
        let subject = Subject::read(&method, message);
        let place = self.place(&params.meta, seen);
        let carrier = self.carrier(&place, seen);
        let (place, hop) = match seen.via.edited.and_then(|edited| edited.hop) {
            Some(hop) => {
                self.common.handed_back.claim(&hop.trace, &hop.client);
                place.through(hop)
            }
            None => (place, None),
        };
        let named = params.task_id.filter(|_| method.starts_with("tasks/"));
        let task_id = self.common.task_id(self.state.number, named);
        let by_server = seen.direction == Direction::ServerToClient;
        let earlier = match &*method {
            "sampling/createMessage" | "elicitation/create" | "roots/list" if by_server => {
                self.cause(&method, params, seen).map(|call| (call, "cause"))
            }
            method => self.earlier(method, &subject, task_id.as_ref(), params),
        };
        let tool = if let Subject::Tool(tool) = &subject { Some(&**tool) } else { None };
        let capture = self.common.settings.capture.of(&self.state.server.name, tool);
        let arguments = match id.is_some() {
            true => self.keep_arguments(params.arguments, seen.known, capture),
            false => Raw::Absent,
        };
        Call {
            number: self.common.next_number(),
            exchange: seen.via.exchange,
            direction: seen.direction,
            id,
            subject,
            method,
            task_id,
            task: params.task,
            jsonrpc: message.jsonrpc.filter(|v| !v.is("2.0")).map(|v| word(&Some(v))),
            speaker: self.speaker(&params.meta, seen),
            protocol: seen.via.protocol,
            http_version: seen.via.http_version,
            carrier,
            place,
            hop,
            wish: PassbackRequester::read(&params.meta, seen.direction, seen.via.edited),
            earlier,
            start: seen.now,
            offset: self.common.offset,
            alive: seen.now,
            size: seen.size,
            cut: seen.known == Known::Cut,
            arguments,
            capture,
            secrets: seen.via.secrets.cloned().unwrap_or_default(),
            headers: self.common.keep_headers(seen.via.headers),
            token: Id::read(&params.meta.progress_token, &self.common.keys),
            events: Vec::new(),
            events_dropped: 0,
            doubtful: self.state.blind,
            said: false,
            adrift: false,
            owed: None,
            behind: Vec::new(),
        }
    }

    /// The arguments of a request. In one that was not read whole they may be out of sight.
    fn keep_arguments(&mut self, part: Part<'_>, known: Known, capture: Capture) -> Raw {
        let unsure = part == Part::Absent && known != Known::Whole;
        let read = self.common.needs.arguments || capture.arguments != CaptureLevel::Off;
        self.common.keep(read, if unsure { Part::Cut } else { part }, known)
    }

    /// The context of the exchange, where it is to be told and not the one that the request stands in.
    fn carrier(&self, place: &SpanPosition, seen: Observed<'_>) -> Option<Box<TraceContext>> {
        let context = seen.via.context?;
        let wanted = self.common.settings.parent != Parent::Own;
        let other = wanted && place.caller() != Some(context.parent);
        other.then(|| Box::new(context.clone()))
    }

    /// The client introduces itself (legacy). The version is the server's to pick.
    fn shake_hands(&mut self, message: &Message<'_>) {
        if let Some(who) = Named::read(&message.params.client) {
            Arc::make_mut(&mut self.state.client).who = who;
        }
    }

    /// Parent, trace and flags. The request stands in its own context, else in that of the exchange if it is
    /// alone in it, else in ours; that is the parent, unless the trace is to be one of ours.
    fn place(&mut self, meta: &Meta<'_>, seen: Observed<'_>) -> SpanPosition {
        let span = self.common.span_id();
        let own = self.context(meta);
        let told = own.is_some();
        let carrier = seen.via.context.filter(|_| seen.via.alone);
        let ambient = self.common.ambient.as_ref();
        match TraceContext::of_request(own, carrier, ambient) {
            Some(context) if self.common.settings.parent == Parent::Meta => {
                let TraceContext { parent, flags, state } = context;
                let own = SpanRef { trace: parent.trace, span };
                SpanPosition { own, parent: Some(parent.span), told, flags, state, beside: None }
            }
            context => {
                let own = SpanRef { trace: self.own_trace(seen.now), span };
                let (flags, state) = (crate::mcp::trace::SAMPLED, String::new());
                SpanPosition {
                    own,
                    parent: None,
                    told,
                    flags,
                    state,
                    beside: context.map(Box::new),
                }
            }
        }
    }

    fn context(&mut self, meta: &Meta<'_>) -> Option<TraceContext> {
        meta.traceparent?;
        let context = TraceContext::read(meta.traceparent, meta.tracestate);
        self.common.counts.bad_traceparents += u64::from(context.is_none());
        context
    }

    fn own_trace(&mut self, now: Nanos) -> [u8; 16] {
        if self.common.settings.trace == Traces::Request || self.state.shared {
            return self.common.trace_id();
        }
        let idle = nanos(self.common.settings.session_idle);
        let trace = match self.state.trace {
            Some((trace, used)) if now.saturating_sub(used) <= idle => trace,
            _ => self.common.trace_id(),
        };
        self.state.trace = Some((trace, now));
        trace
    }

    /// The call that this one goes on from: the one that began its task, or the first leg of a call that
    /// wanted more input, if this is its retry.
    fn earlier(
        &self,
        method: &str,
        subject: &Subject,
        task: Option<&TaskId>,
        params: &Params<'_>,
    ) -> Option<(SpanRef, &'static str)> {
        let number = self.state.number;
        if let Some(task) = task {
            return self.common.task(task.key).map(|to| (to, "task"));
        }
        if !params.input_responses && params.request_state.is_none() {
            return None;
        }
        let leg = self.common.leg(number, method, subject, params.request_state);
        self.common.first_leg(leg).map(|to| (to, "retry"))
    }
}
