//! Requests, and notifications that make spans: from a message to a [`Call`].

use std::hash::BuildHasher;

use super::intake::{Known, Observed};
use super::*;
use crate::json::Text;
use crate::mcp::call::{Place, Progress, method, word};
use crate::mcp::{Meta, Notifications, Params, TraceContext, Traces};

/// Progress events one span carries at most: enough to see the pace of a call.
const MAX_EVENTS: usize = 32;

impl Session {
    pub(super) fn request(&mut self, message: &Message<'_>, seen: Observed) {
        let Some(id) = Id::read(&message.id, &self.keys) else { return };
        self.counts.requests += 1;
        self.counts.received += 1;
        let direction = seen.direction;
        // What a gap left behind must not take the answer to this one.
        while let Some(stale) = self.flights[direction].take_doubtful(&id) {
            self.end_unanswered(stale, Outcome::Timeout, seen.now);
        }
        if self.flights[direction].len() >= self.settings.max_in_flight {
            self.counts.dropped.overflow += 1;
            return;
        }
        let call = self.call(message, Some(id.clone()), seen);
        if call.method == "initialize" && direction == Direction::ClientToServer {
            self.shake_hands(message);
        }
        self.ended[direction].remove(&id);
        let alone = self.flights[direction].insert(id, Box::new(call));
        self.counts.duplicate_ids += u64::from(!alone);
    }

    pub(super) fn notification(&mut self, message: &Message<'_>, seen: Observed) {
        self.counts.notifications += 1;
        let is = |name| message.method.is_some_and(|method| method.is(name));
        if is("notifications/cancelled") {
            self.cancel(message, seen);
        }
        let told = is("notifications/progress") && self.progress(message, seen);
        if self.settings.notifications == Notifications::Span && !told {
            self.counts.received += 1;
            let call = self.call(message, None, seen);
            let ending = Ending::bare(Outcome::Ok, seen.now);
            self.finish(Box::new(call), &ending, Seen::default());
        }
    }

    /// Progress of a request that came the other way; `true` if it is known.
    fn progress(&mut self, message: &Message<'_>, seen: Observed) -> bool {
        let Some(token) = Id::read(&message.params.progress_token, &self.keys) else {
            return false;
        };
        let Some(call) = self.flights[seen.direction.reverse()].by_token(&token) else {
            return false;
        };
        call.alive = seen.now;
        if call.events.len() < MAX_EVENTS {
            let (value, total) = (message.params.progress, message.params.total);
            call.events.push(Progress { at: seen.now, value, total });
        } else {
            call.events_dropped = call.events_dropped.saturating_add(1);
            self.counts.events_dropped += 1;
        }
        true
    }

    fn call(&mut self, message: &Message<'_>, id: Option<Id>, seen: Observed) -> Call {
        let params = &message.params;
        let method = message.method.as_ref().map(method).unwrap_or_default();
        let subject = Subject::read(&method, message);
        let place = self.place(&params.meta, seen.now);
        let task_id = method.starts_with("tasks/").then(|| word(&params.task_id));
        let task_id = task_id.filter(|id| !id.is_empty());
        let earlier = match &task_id {
            Some(task) => self.tasks.get(task).map(|to| (*to, "task")),
            None => self.first_leg(&method, &subject, params).map(|to| (to, "retry")),
        };
        let arguments = if id.is_some() && self.settings.keep_arguments {
            self.keep_arguments(params.arguments, seen.known)
        } else {
            Raw::Absent
        };
        self.number += 1;
        let call = Call {
            number: self.number,
            direction: seen.direction,
            id,
            subject,
            method,
            task_id,
            task: params.task,
            jsonrpc: message.jsonrpc.filter(|v| !v.is("2.0")).map(|v| word(&Some(v))),
            speaker: self.speaker(&params.meta, seen.direction),
            place,
            earlier,
            start: seen.now,
            alive: seen.now,
            size: seen.size,
            cut: seen.known == Known::Cut,
            arguments,
            token: Id::read(&params.meta.progress_token, &self.keys),
            events: Vec::new(),
            events_dropped: 0,
            doubtful: false,
            behind: Vec::new(),
        };
        self.held += call.held();
        call
    }

    /// The client that sent a modern request; `None` for a legacy one, and for what the server sends: it
    /// does not name the client. Kept from request to request, because they all say the same as a rule.
    fn speaker(&mut self, meta: &Meta<'_>, from: Direction) -> Option<Arc<Speaker>> {
        meta.protocol_version.filter(|_| from == Direction::ClientToServer)?;
        if !self.speaker.matches(meta) {
            self.speaker = Arc::new(Speaker::read(meta));
        }
        Some(self.speaker.clone())
    }

    /// The client introduces itself (legacy). The version is the server's to pick.
    fn shake_hands(&mut self, message: &Message<'_>) {
        if let Some(who) = Named::read(&message.params.client) {
            Arc::make_mut(&mut self.client).who = who;
        }
    }

    /// Parent, trace and flags: the request's own context, else ours, else a trace of its own.
    fn place(&mut self, meta: &Meta<'_>, now: Nanos) -> Place {
        let span = self.span_id();
        if let Some(context) = self.context(meta).or_else(|| self.identity.ambient.clone()) {
            let TraceContext { parent, flags, state } = context;
            let own = SpanRef { trace: parent.trace, span };
            return Place { own, parent: Some(parent.span), flags, state };
        }
        let own = SpanRef { trace: self.own_trace(now), span };
        let flags = crate::mcp::trace::SAMPLED;
        Place { own, parent: None, flags, state: String::new() }
    }

    fn context(&mut self, meta: &Meta<'_>) -> Option<TraceContext> {
        let traceparent = meta.traceparent?.decode().unwrap_or_default();
        let tracestate = meta.tracestate.and_then(|state| state.decode().ok());
        let context = TraceContext::parse(traceparent.as_bytes(), tracestate.as_deref());
        self.counts.bad_traceparents += u64::from(context.is_none());
        context
    }

    fn own_trace(&mut self, now: Nanos) -> [u8; 16] {
        if self.settings.trace == Traces::Request {
            return self.trace_id();
        }
        let idle = nanos(self.settings.session_idle);
        let trace = match self.trace {
            Some((trace, used)) if now.saturating_sub(used) <= idle => trace,
            _ => self.trace_id(),
        };
        self.trace = Some((trace, now));
        trace
    }

    /// The first leg of a call that wanted more input, if this is its retry.
    fn first_leg(&self, method: &str, subject: &Subject, params: &Params<'_>) -> Option<SpanRef> {
        let retry = params.input_responses || params.request_state.is_some();
        let leg = retry.then(|| self.leg(method, subject, params.request_state))?;
        self.legs.get(&leg).copied()
    }

    /// What a retry and its first leg have in common: the server's opaque state, which must not be
    /// kept, else what is called.
    pub(super) fn leg(&self, method: &str, subject: &Subject, state: Option<Text<'_>>) -> u64 {
        match state {
            Some(state) => match state.decode() {
                Ok(text) => self.keys.hash_one(text.as_bytes()),
                Err(_) => self.keys.hash_one(state.raw()),
            },
            None => self.keys.hash_one((method, subject)),
        }
    }
}
