//! What all connections of one tap share: settings, books, limits, memory, and the finished spans.
//!
//! Limits hold for all of them together, so that a peer cannot multiply what it takes by opening
//! sessions. What is remembered of ended calls, tasks and first legs is kept as keyed hashes: it is
//! bounded, and nothing of it can be read back.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{Key, Known};
use crate::json::Text;
use crate::mcp::call::{Call, Named, Subject, TaskId, name};
use crate::mcp::logs::LogQueue;
use crate::mcp::peek::names_in;
use crate::mcp::recent::Recent;
use crate::mcp::span::{Server, resource, scope};
use crate::mcp::{
    Counts, Direction, HandedBack, Hidden, Part, ServiceName, Settings, SpanRef, TraceContext, Ways,
};
use crate::otlp::wire::compose::{Span, Spans, Traces};
use crate::telemetry::{
    Content, Header, Nanos, Needs, Offset, PeerKeys, Raw, Seen, SpanId, SpanKey, Telemetry,
};

/// Says how many tool and prompt names a server may list before the rest is not remembered, each.
const MAX_LISTED: usize = 1024;

/// Holds what all connections share.
#[derive(Debug)]
pub(in crate::mcp) struct Common {
    pub(in crate::mcp) settings: Arc<Settings>,
    /// The context in our environment, parent of what brings none of its own.
    pub(in crate::mcp) ambient: Option<TraceContext>,
    /// Holds what is kept of content.
    pub(in crate::mcp) needs: Needs,
    /// Says where the wall clock is.
    pub(in crate::mcp) offset: Offset,
    /// The books, `in_flight` aside.
    pub(in crate::mcp) counts: Counts,
    /// Keys of the hashes that stand for what is too long or too secret to keep.
    pub(in crate::mcp) keys: RandomState,
    ids: SmallRng,
    number: u64,
    in_flight: Ways<usize>,
    /// Holds what each server is known to have.
    listed: Vec<Listed>,
    /// Requests that ended without an answer, and until when a late one is expected.
    ended: Ways<Recent<u64, Nanos>>,
    /// First legs that wait for their retry, by what the retry will echo.
    legs: Recent<u64, SpanRef>,
    tasks: Recent<u64, SpanRef>,
    /// Probes that are over and that no handshake followed yet, by what both have in common.
    probes: Recent<u64, u32>,
    /// Holds what may be told of ids that are as good as passwords.
    pub(in crate::mcp) hidden: Hidden,
    finished: Vec<Group>,
    /// Spans that servers handed back, and what they had of content.
    pub(super) handed: Traces,
    pub(super) handed_seen: Vec<(SpanKey, Seen)>,
    /// Holds what was handed back lately, to whichever tap.
    pub(in crate::mcp) handed_back: Arc<HandedBack>,
    /// Says how many spans are finished or handed back.
    pub(super) spans: usize,
    /// Holds what the spans of one resource took when they were taken last, in bytes.
    usual: usize,
    seen: Vec<(SpanKey, Seen)>,
    /// The log records that wait to be taken.
    pub(in crate::mcp) logs: LogQueue,
    /// Content held for calls in flight, and for spans not taken yet, in bytes.
    held: usize,
    untaken: usize,
}

/// The tools and prompts of a server.
#[derive(Debug, Default)]
struct Listed {
    tools: HashSet<String, PeerKeys>,
    prompts: HashSet<String, PeerKeys>,
}

/// Finished spans of one resource that wait to be taken.
#[derive(Debug)]
struct Group {
    server: Arc<Server>,
    /// Their callers sampled.
    sampled: bool,
    /// Holds what the service says of itself, where that is a peer.
    peer: Named,
    spans: Spans,
}

impl Common {
    /// `remembered`: how many ended requests, interim answers and tasks are remembered, each. `seed`
    /// makes the trace and span ids.
    pub(in crate::mcp) fn new(settings: Arc<Settings>, remembered: usize, seed: [u8; 32]) -> Self {
        Common {
            settings,
            ambient: None,
            needs: Needs::ALL,
            offset: Offset::default(),
            counts: Counts::default(),
            keys: RandomState::new(),
            ids: SmallRng::from_seed(seed),
            number: 0,
            in_flight: Ways::default(),
            listed: Vec::new(),
            ended: Ways([Recent::new(remembered), Recent::new(remembered)]),
            legs: Recent::new(remembered),
            tasks: Recent::new(remembered),
            probes: Recent::new(remembered),
            hidden: Hidden::default(),
            finished: Vec::new(),
            handed: Traces::default(),
            handed_seen: Vec::new(),
            handed_back: Arc::default(),
            spans: 0,
            usual: 0,
            seen: Vec::new(),
            logs: LogQueue::default(),
            held: 0,
            untaken: 0,
        }
    }

    /// The books so far.
    pub(in crate::mcp) fn counts(&self) -> Counts {
        let in_flight = self.in_flight.0.iter().map(|n| *n as u64).sum();
        Counts { in_flight, logs: self.logs.counts(), ..self.counts }
    }

    /// Says how many spans are ready to be taken, and what log records weigh beside them.
    pub(in crate::mcp) fn ready(&self) -> usize {
        self.spans + self.logs.weight()
    }

    /// The spans finished since the last call, by resource, with what was seen of them. Those whose callers did not
    /// sample come apart.
    pub(in crate::mcp) fn take(&mut self) -> Vec<(Telemetry, Content)> {
        if self.spans == 0 {
            return Vec::new();
        }
        self.usual = self.finished.iter().map(|group| group.spans.size()).max().unwrap_or(0);
        let (mut all, mut unsampled) = (Traces::default(), Traces::default());
        for group in self.finished.drain(..) {
            let to = if group.sampled { &mut all } else { &mut unsampled };
            to.join(group.spans.finish());
        }
        let handed = std::mem::take(&mut self.handed);
        all.join(handed);
        (self.spans, self.untaken) = (0, 0);
        // The last stays: what was seen of a call stands before what a server says of it.
        let content: Content = self.handed_seen.drain(..).chain(self.seen.drain(..)).collect();
        let some = [(all, true), (unsampled, false)].into_iter().filter(|(all, _)| all.spans() > 0);
        let marked = |(all, sampled)| Telemetry::from(all).with_sampled(sampled);
        some.map(|all| (marked(all), content.clone())).collect()
    }

    /// Keeps the finished span that `write` writes until it is taken; `sampled`: it is for exporters, too. `client` and
    /// `info` are what client and server say of themselves.
    pub(super) fn put_out(
        &mut self,
        server: &Arc<Server>,
        sampled: bool,
        (client, info): (&Named, &Named),
        write: impl FnOnce(&mut Span<'_>),
    ) {
        /// Says how many resources are compared; one beyond may come twice in a batch, which is no harm.
        const LOOK: usize = 64;
        let peer = peer(&self.settings, client, info);
        let same = |group: &&mut Group| {
            let (of, name) = (group.server.index, &group.server.name);
            (of, group.sampled) == (server.index, sampled)
                && *name == server.name
                && group.peer == *peer
        };
        match self.finished.iter_mut().rev().take(LOOK).find(same) {
            Some(group) => group.spans.add(write),
            None => {
                let resource = resource(&self.settings, server, peer);
                let mut spans = Spans::of(&resource, &scope(), self.usual);
                spans.add(write);
                self.finished.push(Group {
                    server: server.clone(),
                    sampled,
                    peer: peer.clone(),
                    spans,
                });
            }
        }
        self.spans += 1;
        self.counts.spans += 1;
    }

    /// Keeps what was seen of a finished span until it is taken.
    pub(super) fn keep_seen(&mut self, span: SpanRef, seen: Seen) {
        self.hold(&seen);
        self.seen.push(((span.trace, span.span), seen));
    }

    /// Content is held until it is taken.
    pub(super) fn hold(&mut self, seen: &Seen) {
        let len = |raw: &Raw| if let Raw::Whole(bytes) = raw { bytes.len() } else { 0 };
        self.untaken += len(&seen.arguments) + len(&seen.result) + len(&seen.error_text);
        self.untaken += seen.headers.size();
    }

    /// Says whether one more request of that direction may be tracked, of a sender that has so many in flight. It may
    /// have no more than it leaves free, so that one flood does not blind the tap for everybody else (a dynamic
    /// threshold, as switches share their buffers).
    pub(super) fn has_room(&self, direction: Direction, held: usize) -> bool {
        self.in_flight[direction] + held < self.settings.max_in_flight
    }

    /// A request is in flight.
    pub(super) fn entered(&mut self, call: &Call) {
        self.in_flight[call.direction] += 1;
        self.held += call.held();
    }

    /// It is no longer.
    pub(super) fn left(&mut self, call: &Call) {
        self.in_flight[call.direction] -= 1;
        self.held -= call.held();
    }

    /// A copy of a raw value that somebody reads, as long as not too much is held already.
    pub(super) fn keep(&mut self, read: bool, part: Part<'_>, known: Known) -> Raw {
        match part {
            Part::Absent => Raw::Absent,
            _ if !read => Raw::Unread,
            Part::Cut if known == Known::Deep => Raw::Deep,
            Part::Cut => Raw::Cut,
            Part::Whole(bytes) => {
                if self.held + self.untaken + bytes.len() > self.settings.max_content_bytes {
                    self.counts.content_dropped += 1;
                    return Raw::Cut;
                }
                Raw::Whole(Bytes::copy_from_slice(bytes))
            }
        }
    }

    /// Headers that are to be shown, as long as not too much is held already.
    pub(super) fn keep_headers(
        &mut self,
        headers: Option<&Arc<[Header]>>,
    ) -> Option<Arc<[Header]>> {
        let size: usize = headers?.iter().map(Header::size).sum();
        if self.held + self.untaken + size > self.settings.max_content_bytes {
            self.counts.content_dropped += 1;
            return None;
        }
        headers.cloned()
    }

    /// Says whether the server is known to have that tool or prompt.
    pub(super) fn lists(&self, server: &Server, subject: &Subject) -> bool {
        let Some(listed) = self.listed.get(server.index) else { return false };
        match subject {
            Subject::Tool(name) => listed.tools.contains(name),
            Subject::Prompt(name) => listed.prompts.contains(name),
            _ => false,
        }
    }

    /// The server has that tool or prompt.
    pub(super) fn remember(&mut self, server: &Server, subject: &Subject) {
        let listed = self.listed(server);
        match subject {
            Subject::Tool(name) => remember(&mut listed.tools, name),
            Subject::Prompt(name) => remember(&mut listed.prompts, name),
            _ => {}
        }
    }

    /// The server listed its tools or prompts, whichever `list` says.
    pub(super) fn list(&mut self, server: &Server, result: Part<'_>, list: &str) {
        let Part::Whole(result) = result else { return };
        let listed = self.listed(server);
        let known = if list == "tools" { &mut listed.tools } else { &mut listed.prompts };
        names_in(result, list, |text| {
            name(&Some(text)).iter().for_each(|name| remember(known, name));
        });
    }

    fn listed(&mut self, server: &Server) -> &mut Listed {
        if self.listed.len() <= server.index {
            self.listed.resize_with(server.index + 1, Listed::default);
        }
        &mut self.listed[server.index]
    }

    /// For a while, an answer to that request is late and not an orphan.
    pub(super) fn expect_late(&mut self, state: u64, way: Direction, key: &Key, now: Nanos) {
        let until = now.saturating_add(nanos(self.settings.late_answers));
        let hash = self.hash((state, key));
        self.ended[way].insert(hash, until);
    }

    /// Until when a late answer to that request was expected, if it was; it is no more.
    pub(super) fn forget_late(&mut self, state: u64, way: Direction, key: &Key) -> Option<Nanos> {
        if self.ended[way].is_empty() {
            return None;
        }
        let hash = self.hash((state, key));
        self.ended[way].remove(&hash)
    }

    /// The call that began a task.
    pub(super) fn task(&self, task: u64) -> Option<SpanRef> {
        self.tasks.get(&task).copied()
    }

    pub(super) fn begin_task(&mut self, task: u64, call: SpanRef) {
        self.tasks.insert(task, call);
    }

    /// A task as it is remembered and told of; `None` without an id.
    pub(super) fn task_id(&self, state: u64, id: Option<Text<'_>>) -> Option<TaskId> {
        let id = id.filter(|id| !id.raw().is_empty())?;
        let shown = self.hidden.name(&plain(&id));
        Some(TaskId { key: self.task_key(state, &id), shown })
    }

    /// Gives what finds the call that began a task.
    pub(super) fn task_key(&self, state: u64, id: &Text<'_>) -> u64 {
        self.hash((state, &*plain(id)))
    }

    /// A probe of the server is over.
    pub(super) fn probed(&mut self, probe: u64) {
        let before = self.probes.remove(&probe).unwrap_or_default();
        self.probes.insert(probe, before.saturating_add(1));
    }

    /// The handshake comes that follows one such probe; whether one was over.
    pub(super) fn followed(&mut self, probe: u64) -> bool {
        let Some(over) = self.probes.remove(&probe) else { return false };
        if over > 1 {
            self.probes.insert(probe, over - 1);
        }
        true
    }

    /// The first leg that wanted more input, by what a retry and it have in common.
    pub(super) fn first_leg(&self, leg: u64) -> Option<SpanRef> {
        self.legs.get(&leg).copied()
    }

    pub(super) fn remember_leg(&mut self, leg: u64, call: SpanRef) {
        self.legs.insert(leg, call);
    }

    /// Gives what a retry and its first leg have in common: the server's opaque state, which must not be kept, else
    /// what is called.
    pub(super) fn leg(
        &self,
        state: u64,
        method: &str,
        subject: &Subject,
        echoed: Option<Text<'_>>,
    ) -> u64 {
        match echoed {
            Some(echoed) => self.hash((state, &*plain(&echoed))),
            None => self.hash((state, method, subject)),
        }
    }

    /// A hash that nobody can foretell.
    pub(in crate::mcp) fn hash(&self, what: impl Hash) -> u64 {
        self.keys.hash_one(what)
    }

    /// Numbers for what came one after the other.
    pub(super) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    pub(super) fn span_id(&mut self) -> SpanId {
        loop {
            let id = self.ids.next_u64().to_be_bytes();
            if id != [0; 8] {
                return id;
            }
        }
    }

    pub(super) fn trace_id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        while id == [0; 16] {
            self.ids.fill_bytes(&mut id);
        }
        id
    }
}

/// Gives what the service says of itself, where that is a peer: client or server.
pub(super) fn peer<'a>(settings: &Settings, client: &'a Named, info: &'a Named) -> &'a Named {
    const NOBODY: &Named = &Named { name: String::new(), version: String::new() };
    match settings.service_name {
        ServiceName::Fixed(_) => NOBODY,
        ServiceName::Client => client,
        ServiceName::Server => info,
    }
}

/// The bytes that a text stands for, or as it stands if it is malformed.
fn plain<'a>(text: &Text<'a>) -> Cow<'a, [u8]> {
    match text.decode() {
        Ok(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
        Ok(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(text.raw()),
    }
}

fn remember(known: &mut HashSet<String, PeerKeys>, name: &str) {
    if known.len() < MAX_LISTED && !known.contains(name) {
        known.insert(name.to_owned());
    }
}

pub(super) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
