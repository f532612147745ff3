//! What ends a request: its answer, or its cancellation.

use super::intake::{Known, Observed};
use super::*;
use crate::json::Text;
use crate::mcp::Answer;
use crate::mcp::call::{name, word};
use crate::mcp::peek::names_in;

impl Session {
    pub(super) fn answer(&mut self, message: &Message<'_>, seen: Observed) {
        self.counts.answers += 1;
        let asked = seen.direction.reverse();
        let Some(id) = Id::read(&message.id, &self.keys) else {
            self.counts.orphans += 1;
            if seen.known != Known::Whole {
                self.doubt();
            }
            return;
        };
        if let Some(mut call) = self.flights[asked].take(&id) {
            self.answered(&mut call, message, seen);
            let outcome = outcome(&call, message);
            self.learn(&mut call, message, outcome);
            let content = self.content(&call, message, seen.known);
            let answer = Some((message, seen.size));
            let cut = seen.known == Known::Cut;
            let ending = Ending { outcome, end: seen.now, answer, cut };
            self.finish(call, &ending, content);
        } else if self.ended[asked].remove(&id).is_some_and(|until| seen.now <= until) {
            self.counts.late += 1;
        } else {
            self.counts.orphans += 1;
        }
    }

    pub(super) fn cancel(&mut self, message: &Message<'_>, seen: Observed) {
        let id = Id::read(&message.params.request_id, &self.keys);
        let Some(id) = id else {
            self.counts.cancels_unknown += 1;
            return;
        };
        let (own, other) = (seen.direction, seen.direction.reverse());
        if let Some(call) = self.flights[own].take(&id) {
            self.expect_late(own, id, seen.now);
            self.end_unanswered(call, cancelled(message.params.reason), seen.now);
        } else if self.flights[other].get(&id).is_some_and(|c| c.method == "subscriptions/listen")
            && let Some(call) = self.flights[other].take(&id)
        {
            // A modern server closes a subscription this way: nothing went wrong.
            self.expect_late(other, id, seen.now);
            self.end_unanswered(call, Outcome::Ok, seen.now);
        } else {
            self.counts.cancels_unknown += 1;
        }
    }

    fn content(&mut self, call: &Call, message: &Message<'_>, known: Known) -> Seen {
        let mut seen = Seen::default();
        if let Some(result) = &message.result
            && self.settings.keep_results
        {
            seen.result = self.keep(result.raw, known);
        }
        if let Some(error) = call.failure(message) {
            seen.error_message = self.keep(error.message, known);
        }
        seen
    }

    /// What an answer tells about its call.
    fn answered(&mut self, call: &mut Call, message: &Message<'_>, seen: Observed) {
        call.alive = seen.now;
        let Some(result) = &message.result else { return };
        if call.task_id.is_none() && begins_task(call, result) {
            call.task_id = Some(word(&result.task_id)).filter(|id| !id.is_empty());
        }
        if call.task_id.is_none() && call.method.starts_with("tasks/") {
            call.task_id = Some(word(&result.meta.related_task)).filter(|id| !id.is_empty());
        }
    }

    /// What an answer tells about the session.
    fn learn(&mut self, call: &mut Call, message: &Message<'_>, outcome: Outcome) {
        let Some(result) = &message.result else { return };
        let by_client = call.direction == Direction::ClientToServer;
        if by_client {
            self.introduce(call, result);
        }
        match &*call.method {
            "tools/list" if by_client => list(&mut self.tools, result.raw, "tools"),
            "prompts/list" if by_client => list(&mut self.prompts, result.raw, "prompts"),
            _ => {}
        }
        let own = call.place.own;
        match (&call.subject, outcome) {
            // A look at a task is not where it began.
            _ if call.method == "tasks/get" => {}
            (_, Outcome::InputRequired) => match &call.task_id {
                Some(task) => self.tasks.insert(task.clone(), own),
                None => {
                    let leg = self.leg(&call.method, &call.subject, result.request_state);
                    // Every retry links to the first leg, the retry of a retry too.
                    self.legs.insert(leg, call.earlier.map_or(own, |(first, _)| first));
                }
            },
            (Subject::Tool(name), Outcome::Ok) => remember(&mut self.tools, name),
            (Subject::Prompt(name), Outcome::Ok) => remember(&mut self.prompts, name),
            _ => {}
        }
    }

    /// The server says who it is, and in the handshake which version is spoken.
    fn introduce(&mut self, call: &Call, result: &Answer<'_>) {
        let mut server = &result.meta.server;
        if call.method == "initialize" {
            server = &result.server;
            let protocol = word(&result.protocol_version);
            Arc::make_mut(&mut self.client).protocol = protocol;
        }
        if !self.server.matches(server)
            && let Some(named) = Named::read(server)
        {
            self.server = named;
        }
    }
}

/// How an answer ends its call.
fn outcome(call: &Call, message: &Message<'_>) -> Outcome {
    if let Some(error) = call.failure(message) {
        return Outcome::of_code(error.code);
    }
    let Some(result) = &message.result else { return Outcome::Ok };
    let interim = result.result_type.is_some_and(|kind| kind.is("input_required"));
    if interim || begins_task(call, result) {
        Outcome::InputRequired
    } else if let Some(status) = call.task_status(result) {
        Outcome::of_task(status, result.task_is_error)
    } else if result.is_error && matches!(&*call.method, "tools/call" | "tasks/result") {
        Outcome::ToolError
    } else {
        Outcome::Ok
    }
}

/// Whether the answer is a task handle: flat in 2026-07-28, asked for and nested in 2025-11-25.
fn begins_task(call: &Call, result: &Answer<'_>) -> bool {
    result.result_type.is_some_and(|kind| kind.is("task"))
        || (call.task && result.task_id.is_some() && result.result_type.is_none())
}

/// Clients cancel what they waited too long for, and say so in words.
fn cancelled(reason: Option<Text<'_>>) -> Outcome {
    /// Where the words are looked for: at the beginning, in bytes.
    const LOOK: usize = 256;
    let reason = reason.map(|r| r.lossy(LOOK).0.to_ascii_lowercase()).unwrap_or_default();
    let late = ["timeout", "timed out", "deadline"].iter().any(|word| reason.contains(word));
    if late { Outcome::Timeout } else { Outcome::Cancelled }
}

fn list(known: &mut HashSet<String>, result: Part<'_>, list: &str) {
    if let Part::Whole(result) = result {
        names_in(result, list, |text| {
            name(&Some(text)).iter().for_each(|name| remember(known, name));
        });
    }
}

fn remember(known: &mut HashSet<String>, name: &str) {
    if known.len() < MAX_LISTED && !known.contains(name) {
        known.insert(name.to_owned());
    }
}
