//! A tap that was told to change what it forwards: what is done to each message, and what is
//! remembered and counted for that. The only place where the bytes of the observed traffic change.
//!
//! It works on the forwarding threads of a tap, which hand it whole messages; how those are found and
//! held is the tap's own. What it cannot change for certain it leaves as it is, and counts. A panic in
//! here ends editing, not traffic.

mod counters;
mod room;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(in crate::receivers) use self::counters::EditCounters;
pub(in crate::receivers) use self::room::Room;
use super::words::{Observing, ambient};
use super::{Passback, Propagate};
use crate::mcp::edit::{
    Ask, Asked, Asking, Awaited, Edit, Method, Reply, Request, Scope, Target, Unedited,
};
use crate::mcp::{Edited, Hop, Id, Parent, TraceContext};
use crate::metrics::{Counter, Metric, names};

/// The longest message that is held to be changed, in bytes.
pub(in crate::receivers) const HOLD: usize = 1 << 20;

/// Names what became of a message that was to be edited, with its own counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Became {
    Edited,
    Unedited,
    Stripped,
    Unstripped,
}

impl Became {
    fn metric(self) -> &'static Metric<Counter> {
        match self {
            Became::Edited => &names::TAP_EDITED,
            Became::Unedited => &names::TAP_UNEDITED,
            Became::Stripped => &names::TAP_STRIPPED,
            Became::Unstripped => &names::TAP_UNSTRIPPED,
        }
    }
}

/// Why a message passes as it is, where the message itself is not the reason.
pub(in crate::receivers) mod why {
    /// It is longer than what is held.
    pub(in crate::receivers) const TOO_LONG: &str = "too_long";
    /// Its body is compressed.
    pub(in crate::receivers) const ENCODED: &str = "encoded";
    /// Too much is held already.
    pub(in crate::receivers) const NO_ROOM: &str = "no_room";
    /// A header vouches for its body.
    pub(in crate::receivers) const DIGEST: &str = "digest";
    /// Its data stand on several lines of an event.
    pub(in crate::receivers) const MULTI_LINE: &str = "multi_line";
    /// A legacy server that did not say that it hands spans back.
    pub(super) const NOT_OFFERED: &str = "not_offered";
    /// Too many other requests were asked spans for since.
    pub(super) const FORGOTTEN: &str = "forgotten";
    /// A bug of ours; nothing is edited from then on.
    pub(super) const PANIC: &str = "panic";
}

/// Decides what is changed in the messages of one tap, and remembers whose answers that concerns.
pub(in crate::receivers) struct Editing {
    inject: bool,
    /// Its spans are in the caller's trace, where there is one.
    joins: bool,
    ask: Option<Ask>,
    strip: bool,
    ambient: Option<TraceContext>,
    /// For ids that are too long to keep, and sessions.
    keys: RandomState,
    exchanges: AtomicU64,
    /// Bytes held of messages that are not whole yet.
    held: AtomicUsize,
    broken: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: Asked,
    counts: Counts,
}

/// Counts how often what happened, by counter and reason.
type Counts = BTreeMap<(Became, &'static str), u64>;

/// Says where a message stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::receivers) struct Around<'a> {
    /// Says where the ids of modern requests are unique.
    pub(in crate::receivers) exchange: Scope,
    /// Says where those of legacy requests are.
    pub(in crate::receivers) session: Scope,
    /// Whom the server told what it can do (legacy).
    pub(in crate::receivers) peer: Scope,
    /// The context of the HTTP request that it is alone in.
    pub(in crate::receivers) carrier: Option<&'a TraceContext>,
}

/// Says what is done to a request.
#[derive(Debug, Default)]
pub(in crate::receivers) struct Change {
    /// The changes, and what the observer is to be told of them.
    pub(in crate::receivers) edit: Option<(Edit, Edited)>,
    /// Its answer matters: where the id is unique, and the id.
    pub(in crate::receivers) awaited: Option<(Scope, Id)>,
}

impl Editing {
    /// Makes what these settings ask for; `None` if nothing is to be changed.
    pub(in crate::receivers) fn new(observing: &Observing<'_>) -> Option<Arc<Self>> {
        let Passback { request, detailed, strip, .. } = *observing.passback;
        let inject = observing.propagate == Propagate::Inject;
        (inject || request).then(|| {
            Arc::new(Editing {
                inject,
                joins: observing.parent == Parent::Meta,
                ask: request.then_some(Ask { detailed }),
                strip: strip.unwrap_or(true),
                ambient: ambient(),
                keys: RandomState::new(),
                exchanges: AtomicU64::new(1),
                held: AtomicUsize::new(0),
                broken: AtomicBool::new(false),
                state: Mutex::default(),
            })
        })
    }

    /// Says whether answers are to be shown to it as well.
    pub(in crate::receivers) fn wants_answers(&self) -> bool {
        self.ask.is_some()
    }

    /// A scope of its own.
    pub(in crate::receivers) fn exchange(&self) -> Scope {
        Scope::Exchange(self.exchanges.fetch_add(1, Ordering::Relaxed))
    }

    /// The scope of what `name` stands for.
    pub(in crate::receivers) fn session(&self, name: impl Hash) -> Scope {
        Scope::Session(self.keys.hash_one(name))
    }

    /// Decides what is done to a message that goes to the server.
    pub(in crate::receivers) fn request(&self, text: &[u8], around: &Around<'_>) -> Change {
        self.guarded(Became::Unedited, || self.try_request(text, around))
    }

    /// A message to the server passes unseen, but for its beginning: `head`.
    pub(in crate::receivers) fn pass_request(
        &self,
        head: &[u8],
        around: &Around<'_>,
        why: &'static str,
    ) {
        self.guarded(Became::Unedited, || self.unread(head, around, why));
    }

    /// Decides what is done to a message that comes from the server, if anything.
    pub(in crate::receivers) fn answer(&self, text: &[u8], around: &Around<'_>) -> Option<Edit> {
        self.guarded(Became::Unstripped, || self.try_answer(text, around))
    }

    /// A message from the server passes as it is, of which `head` is all, or the beginning.
    pub(in crate::receivers) fn pass_answer(
        &self,
        head: &[u8],
        around: &Around<'_>,
        why: &'static str,
    ) {
        self.guarded(Became::Unstripped, || {
            if let Some(id) = Reply::id_in_part(head, &self.keys) {
                self.leave(around, id, why);
            }
        });
    }

    /// An answer that was awaited comes in a form that is not looked into, or never.
    pub(in crate::receivers) fn give_up(&self, awaited: (Scope, Id), why: Option<&'static str>) {
        let mut state = self.state();
        let what = state.asked.take(awaited.0, awaited.1);
        if let (Some(Awaited::Spans), Some(why)) = (what, why) {
            state.count(Became::Unstripped, why, 1);
        }
    }

    fn try_request(&self, text: &[u8], around: &Around<'_>) -> Change {
        match Request::read(text) {
            Ok(Some(request)) => self.known_request(&request, around),
            Ok(None) => Change::default(),
            Err(why) => {
                self.unread(&[], around, why.name());
                Change::default()
            }
        }
    }

    fn known_request(&self, request: &Request<'_>, around: &Around<'_>) -> Change {
        let (mut scope, mut edit) = (around.session, None);
        if request.method.carries_context() {
            match request.target() {
                Ok(target) => {
                    if target.modern {
                        scope = around.exchange;
                    }
                    edit = self.change(request, &target, around);
                }
                Err(why) => self.count(Became::Unedited, why.name()),
            }
        }
        let asked = edit.as_ref().is_some_and(|(_, edited)| edited.asked);
        let awaited = match request.method {
            Method::Initialize => Some(Awaited::Handshake),
            _ => (asked && self.strip).then_some(Awaited::Spans),
        };
        if edit.is_some() {
            self.count(Became::Edited, "");
        }
        let id = request.id(&self.keys).filter(|_| self.wants_answers());
        let Some(id) = id else { return Change { edit, awaited: None } };
        let mut state = self.state();
        if scope != around.session {
            // Whoever used it in the session before: a client that asks for itself is never stripped.
            state.asked.request(around.session, id.clone(), None);
        }
        if state.asked.request(scope, id.clone(), awaited) {
            state.count(Became::Unstripped, why::FORGOTTEN, 1);
        }
        Change { edit, awaited: awaited.map(|_| (scope, id)) }
    }

    /// The changes to a request that may be changed.
    fn change(
        &self,
        request: &Request<'_>,
        target: &Target<'_>,
        around: &Around<'_>,
    ) -> Option<(Edit, Edited)> {
        let mut refused = None;
        let mut hop = None;
        if self.inject {
            match target.context() {
                Ok(own) => hop = Some(self.hop(own, around.carrier)),
                Err(why) => refused = Some(why.name()),
            }
        }
        let mut opening = None;
        if let Some(ask) = self.ask.filter(|_| request.method == Method::Call) {
            match target.asking() {
                Ok(Asking::Client) => {}
                Ok(Asking::Nobody(_)) if !target.modern && !self.is_capable(around.peer) => {
                    refused = refused.or(Some(why::NOT_OFFERED));
                }
                Ok(Asking::Nobody(here)) => opening = Some((here, ask)),
                Err(why) => refused = refused.or(Some(why.name())),
            }
        }
        if let Some(why) = refused {
            self.count(Became::Unedited, why);
        }
        let edited = Edited { hop: hop.as_ref().map(|(hop, _)| *hop), asked: opening.is_some() };
        let edit = target.edit(
            hop.as_ref().map(|(hop, incoming)| (hop, incoming.as_ref())),
            opening.as_ref().map(|(here, ask)| (here, *ask)),
        );
        (!edit.is_empty()).then_some((edit, edited))
    }

    /// New spans in the trace that the request stands in, or in a new one; with the context that they join.
    fn hop(
        &self,
        own: Option<TraceContext>,
        carrier: Option<&TraceContext>,
    ) -> (Hop, Option<TraceContext>) {
        let incoming = TraceContext::of_request(own, carrier, self.ambient.as_ref());
        let incoming = incoming.filter(|_| self.joins);
        let trace = incoming.as_ref().map_or_else(new_id, |from| from.parent.trace);
        (Hop { trace, server: new_id(), client: new_id() }, incoming)
    }

    fn is_capable(&self, peer: Scope) -> bool {
        self.state().asked.is_capable(peer)
    }

    /// A message to the server that cannot be read: its id means it from now on, and any id may be its.
    fn unread(&self, head: &[u8], around: &Around<'_>, why: &'static str) {
        let id = Request::id_in_part(head, &self.keys);
        let mut state = self.state();
        state.count(Became::Unedited, why, 1);
        let forgotten = match id {
            Some(id) => u64::from(state.asked.request(around.session, id, None)),
            None => state.asked.forget(around.session),
        };
        state.count(Became::Unstripped, why::FORGOTTEN, forgotten);
    }

    fn try_answer(&self, text: &[u8], around: &Around<'_>) -> Option<Edit> {
        if self.state().asked.is_empty() {
            return None;
        }
        let reply = match Reply::read(text) {
            Ok(reply) => reply?,
            Err(why) => {
                if let Some(id) = Reply::id_in_part(text, &self.keys) {
                    self.leave(around, id, why.name());
                } else if why == Unedited::Batch {
                    self.count(Became::Unstripped, why.name());
                }
                return None;
            }
        };
        let id = reply.id(&self.keys)?;
        match self.awaited(around, id)? {
            Awaited::Handshake => {
                self.state().asked.set_capable(around.peer, reply.offers_spans());
                None
            }
            Awaited::Spans => match reply.strip() {
                Ok(edit) if edit.is_empty() => None,
                Ok(edit) => {
                    self.count(Became::Stripped, "");
                    Some(edit)
                }
                Err(why) => {
                    self.count(Became::Unstripped, why.name());
                    None
                }
            },
        }
    }

    /// Takes back what the answer under `id` was awaited for.
    fn awaited(&self, around: &Around<'_>, id: Id) -> Option<Awaited> {
        let mut state = self.state();
        let here = state.asked.take(around.exchange, id.clone());
        here.or_else(|| state.asked.take(around.session, id))
    }

    fn leave(&self, around: &Around<'_>, id: Id, why: &'static str) {
        if self.awaited(around, id) == Some(Awaited::Spans) {
            self.count(Became::Unstripped, why);
        }
    }

    fn guarded<T: Default>(&self, what: Became, act: impl FnOnce() -> T) -> T {
        if self.broken.load(Ordering::Relaxed) {
            return T::default();
        }
        catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| {
            self.broken.store(true, Ordering::Relaxed);
            self.count(what, why::PANIC);
            tracing::error!("editing failed: the traffic goes on unchanged from here on");
            T::default()
        })
    }

    fn count(&self, what: Became, why: &'static str) {
        self.state().count(what, why, 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, what: Became, why: &'static str, n: u64) {
        if n > 0 {
            *self.counts.entry((what, why)).or_default() += n;
        }
    }
}

// What is remembered of the traffic never prints.
impl fmt::Debug for Editing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Editing")
    }
}

/// A random id; all zeros is none.
fn new_id<const N: usize>() -> [u8; N] {
    let mut id = [0; N];
    while id == [0; N] {
        rand::fill(&mut id[..]);
    }
    id
}

#[cfg(test)]
mod tests;
