//! What ends a request: its answer, or its cancellation.

use super::*;
use crate::json::Text;
use crate::mcp::call::word;
use crate::mcp::peek::first_text;
use crate::mcp::{Answer, CancelledBy, Finding, RawId};
use crate::telemetry::CaptureLevel;

impl Pairing<'_> {
    /// The answer to what waits under `key`; `None` if it does not tell what it answers.
    pub(in crate::mcp) fn answer(
        &mut self,
        message: &Message<'_>,
        key: Option<Key>,
        seen: Observed<'_>,
    ) {
        self.common.counts.answers += 1;
        let asked = seen.direction.reverse();
        let Some(key) = key else {
            self.common.counts.orphans += 1;
            if seen.known == Known::Whole {
                let detail = || "no id".to_owned();
                self.find(Finding::OrphanAnswer, seen.direction, None, seen.now, detail);
            }
            return;
        };
        if let Some(mut call) = self.take_answered(asked, &key, seen) {
            self.answered(&mut call, message, seen);
            call.secrets = call.secrets.with(seen.via.secrets.unwrap_or(&CallSecrets::default()));
            self.hand_back(&call, message, seen.now);
            let outcome = if is_nameless(message, seen.known) {
                let (detail, place) = (|| "no id".to_owned(), Some(call.in_trace()));
                self.find(Finding::UnreadableAnswer, seen.direction, place, seen.now, detail);
                Outcome::ProtocolError
            } else {
                outcome(&call, message, seen.via.status)
            };
            call.doubtful |= seen.known != Known::Whole && is_unsure(&call, message);
            self.learn(&mut call, message, outcome);
            let content = self.content(&call, message, outcome, seen.known);
            let answer = Some((message, seen.size));
            let (cut, status) = (seen.known == Known::Cut, seen.via.status);
            let headers = seen.via.headers.cloned();
            let ending = Ending { outcome, end: seen.now, answer, cut, status, headers };
            self.finish(call, &ending, content);
            return;
        }
        self.hand_back_to_nobody(message);
        let mut forget = |key: &Key| self.common.forget_late(self.state.number, asked, key);
        let expected = forget(&key).or_else(|| forget(&key.spelled()?));
        let finding = if expected.is_some_and(|until| seen.now <= until) {
            self.common.counts.late += 1;
            Finding::LateAnswer
        } else {
            self.common.counts.orphans += 1;
            Finding::OrphanAnswer
        };
        let kind = key.id.as_ref().map_or("out of sight", Id::kind);
        let detail = || format!("id: {kind}, {} bytes", seen.size);
        self.find(finding, seen.direction, None, seen.now, detail);
    }

    /// Takes out the call that an answer under `key` is to: the one under just that id, else the one under
    /// the integer that it spells.
    fn take_answered(
        &mut self,
        asked: Direction,
        key: &Key,
        seen: Observed<'_>,
    ) -> Option<Box<Call>> {
        let (flight, exchange) = (&mut self.state.flights[asked], seen.via.exchange);
        if let Some(call) = flight.take(key, exchange) {
            return Some(call);
        }
        let number = flight.number(key)?;
        let call = flight.take(&number, exchange)?;
        self.id_as_text("id", call.in_trace(), seen);
        Some(call)
    }

    /// A cancellation of what waits under `key`.
    pub(in crate::mcp) fn cancel(
        &mut self,
        message: &Message<'_>,
        key: Option<Key>,
        seen: Observed<'_>,
    ) {
        let (own, other) = (seen.direction, seen.direction.reverse());
        let exchange = seen.via.exchange;
        let listens = |call: &Call| call.listens();
        match key {
            Some(key) if self.state.flights[own].get(&key).is_some() => {
                let outcome = cancelled(message.params.reason);
                self.give_up(own, &key, exchange, &Ending::bare(outcome, seen.now));
            }
            // A modern server closes a subscription this way: nothing went wrong.
            Some(key) if self.state.flights[other].get(&key).is_some_and(listens) => {
                self.give_up(other, &key, exchange, &Ending::bare(Outcome::Ok, seen.now));
            }
            _ => self.common.counts.cancels_unknown += 1,
        }
    }

    fn content(
        &mut self,
        call: &Call,
        message: &Message<'_>,
        outcome: Outcome,
        known: Known,
    ) -> Seen {
        let (mut seen, needs, capture) = (Seen::default(), self.common.needs, call.capture);
        let errors = needs.errors || capture.errors != CaptureLevel::Off;
        if let Some(result) = &message.result {
            let read = needs.results || capture.results != CaptureLevel::Off;
            seen.result = self.common.keep(read, result.raw, known);
            if errors && outcome == Outcome::ToolError {
                seen.error_text = self.common.keep(errors, why_it_failed(call, result), known);
            }
        }
        if let Some(error) = call.failure(message) {
            seen.error_text = self.common.keep(errors, error.message, known);
        }
        seen
    }

    /// Gives what an answer tells about its call.
    fn answered(&mut self, call: &mut Call, message: &Message<'_>, seen: Observed<'_>) {
        call.alive = seen.now;
        let Some(result) = &message.result else { return };
        if call.task_id.is_none() && begins_task(call, result) {
            call.task_id = self.common.task_id(self.state.number, result.task_id);
        }
        if call.task_id.is_none() && call.method.starts_with("tasks/") {
            call.task_id = self.common.task_id(self.state.number, result.meta.related_task);
        }
    }

    /// Gives what an answer tells about the session.
    fn learn(&mut self, call: &mut Call, message: &Message<'_>, outcome: Outcome) {
        let Some(result) = &message.result else { return };
        let by_client = call.direction == Direction::ClientToServer;
        if by_client {
            self.introduce(call, result);
        }
        let server = &self.state.server;
        match &*call.method {
            "tools/list" if by_client => self.common.list(server, result.raw, "tools"),
            "prompts/list" if by_client => self.common.list(server, result.raw, "prompts"),
            _ => {}
        }
        let (own, number) = (call.place.own, self.state.number);
        match outcome {
            // A look at a task is not where it began.
            _ if call.method == "tasks/get" => {}
            Outcome::InputRequired => match &call.task_id {
                Some(task) => self.common.begin_task(task.key, own),
                None => {
                    let echoed = result.request_state;
                    let leg = self.common.leg(number, &call.method, &call.subject, echoed);
                    // Every retry links to the first leg, the retry of a retry too.
                    let first = call.earlier.filter(|(_, why)| *why == "retry");
                    self.common.remember_leg(leg, first.map_or(own, |(first, _)| first));
                }
            },
            Outcome::Ok => self.common.remember(server, &call.subject),
            _ => {}
        }
    }

    /// The server says who it is, and in the handshake which version is spoken.
    fn introduce(&mut self, call: &Call, result: &Answer<'_>) {
        let mut server = &result.meta.server;
        if call.method == "initialize" {
            server = &result.server;
            let protocol = word(&result.protocol_version);
            Arc::make_mut(&mut self.state.client).protocol = protocol;
        }
        if !self.state.info.matches(server)
            && let Some(named) = Named::read(server)
        {
            self.state.name_server(&named.name);
            self.state.info = named;
        }
    }
}

/// Says whether it is a result without an id. Where its exchange tells what it is to, it still is nothing that a client
/// takes: both official SDKs refuse it.
fn is_nameless(message: &Message<'_>, known: Known) -> bool {
    let named = matches!(message.id, RawId::Number(_) | RawId::Text(_));
    known == Known::Whole && message.error.is_none() && !named
}

/// Says how an answer ends its call. `status` is that of the HTTP response it came in.
fn outcome(call: &Call, message: &Message<'_>, status: Option<u16>) -> Outcome {
    if let Some(error) = call.failure(message) {
        let refused = call.probes() && probes::is_refusal(error.code, status);
        return if refused { Outcome::ClientError } else { Outcome::of_code(error.code) };
    }
    let Some(result) = &message.result else { return Outcome::Ok };
    let interim = result.result_type.is_some_and(|kind| kind.is("input_required"));
    if interim || begins_task(call, result) {
        Outcome::InputRequired
    } else if let Some(status) = call.task_status(result) {
        Outcome::of_task(status, result.task_is_error)
    } else if result.is_error == Some(true)
        && matches!(&*call.method, "tools/call" | "tasks/result")
    {
        Outcome::ToolError
    } else {
        Outcome::Ok
    }
}

/// Finds what a tool says of its failure: the first text of its result. That stands within what is told of a
/// task (2026-07-28).
fn why_it_failed<'a>(call: &Call, result: &Answer<'a>) -> Part<'a> {
    let Part::Whole(raw) = result.raw else { return result.raw };
    let within = call.task_status(result).map(|_| "result");
    first_text(raw, within).map_or(Part::Absent, Part::Whole)
}

/// Says whether what is out of sight of an answer may say that its call ended in another way.
fn is_unsure(call: &Call, message: &Message<'_>) -> bool {
    if let Some(error) = &message.error {
        return error.code.is_none();
    }
    let Some(result) = message.result.as_ref().filter(|result| result.hidden) else { return false };
    let modern = call.speaker.is_some();
    let goes_on = || match &*call.method {
        "tools/call" | "resources/read" | "prompts/get" => result.result_type.is_none(),
        "tasks/get" => true,
        _ => false,
    };
    let fails = matches!(&*call.method, "tools/call" | "tasks/result") && result.is_error.is_none();
    fails || modern && goes_on()
}

/// Says whether the answer is a task handle: flat in 2026-07-28, asked for and nested in 2025-11-25.
fn begins_task(call: &Call, result: &Answer<'_>) -> bool {
    result.result_type.is_some_and(|kind| kind.is("task"))
        || (call.task && result.task_id.is_some() && result.result_type.is_none())
}

/// Clients cancel what they waited too long for, and say so in words.
fn cancelled(reason: Option<Text<'_>>) -> Outcome {
    /// Says where the words are looked for: at the beginning, in bytes.
    const LOOK: usize = 256;
    let reason = reason.map(|r| r.lossy(LOOK).0.to_ascii_lowercase()).unwrap_or_default();
    let late = ["timeout", "timed out", "deadline"].iter().any(|word| reason.contains(word));
    if late { Outcome::Timeout } else { Outcome::Cancelled(CancelledBy::Client) }
}
