//! Which spans were handed back lately, so that none is put out twice.
//!
//! The same span may come again: in a retry, in an event that is replayed, or because its server exports
//! it as well. One table for the process is shared by all taps and by whatever receives OTLP. It is
//! bounded and holds keyed hashes only.
//!
//! A server that hands spans back is not trusted, and must not be able to keep anybody's real span out
//! by claiming its id first: of exported spans only those are dropped that began at the very moment that
//! the handed back one did.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::otlp::wire::edit::{Edit, Take, Wants};
use crate::otlp::wire::view::{Item, View};
use crate::telemetry::{Nanos, Signal, SpanId, SpanKey, Telemetry};

/// Says how many spans of either kind are remembered at least; twice as many at most.
const REMEMBERED: usize = 16_384;

/// See the module. Shared by reference; all methods are cheap but for what they look at.
#[derive(Debug, Default)]
pub struct HandedBack {
    /// Any span was handed back at all.
    any: AtomicBool,
    tables: Mutex<Tables>,
    keys: RandomState,
}

#[derive(Debug, Default)]
struct Tables {
    /// Handed back, with a hash of when it began.
    handed: Latest<u64>,
    /// Exported by whoever made it.
    exported: Latest<()>,
    /// Ids of spans of ours that servers were told; nobody else has spans of that id.
    ours: Latest<()>,
}

/// A map that keeps the latest entries, in two generations: the older one goes as a whole.
#[derive(Debug)]
struct Latest<V> {
    young: Table<V>,
    old: Table<V>,
}

/// The keys are keyed hashes: nobody can make them meet, and they need no second one.
type Table<V> = HashMap<u64, V, BuildHasherDefault<AsItIs>>;

/// The hash of a hash.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64");
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl HandedBack {
    /// Says whether no span was handed back so far: then no exported span can be one, and none needs to be looked at.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// Drops spans of `telemetry` that were handed back before; says how many. The others are remembered,
    /// so that they are not taken when they are handed back later. Copies nothing unless something is dropped.
    pub fn drop_known(&self, telemetry: &mut Telemetry) -> u64 {
        if self.is_empty() || telemetry.signal() != Signal::Traces {
            return 0;
        }
        let before = telemetry.items();
        *telemetry = telemetry.edited(&mut Sieve(self));
        (before - telemetry.items()) as u64
    }

    /// Spans that were handed back did not get anywhere: they may come again.
    pub fn forget(&self, telemetry: &Telemetry) {
        let mut tables = self.tables();
        telemetry.each_item(|item| {
            if let Some((trace, id)) = key_of(item.own) {
                tables.handed.remove(self.key(&trace, &id));
            }
        });
    }

    /// Says whether each span comes for the first time, all of one answer. They are known from now on.
    pub(super) fn first_time(
        &self,
        spans: impl Iterator<Item = ([u8; 16], SpanId, Nanos)>,
    ) -> Vec<bool> {
        let mut tables = self.tables();
        let first = spans.map(|(trace, span, start)| {
            let key = self.key(&trace, &span);
            let new = !tables.handed.has(key) && !tables.exported.has(key) && !tables.ours.has(key);
            if new {
                tables.handed.insert(key, self.keys.hash_one((key, start)));
            }
            new
        });
        let first: Vec<_> = first.collect();
        if !first.is_empty() {
            self.any.store(true, Ordering::Relaxed);
        }
        first
    }

    /// A span of ours that a server is told.
    pub(in crate::mcp) fn claim(&self, trace: &[u8; 16], span: &SpanId) {
        let key = self.key(trace, span);
        self.tables().ours.insert(key, ());
    }

    fn key(&self, trace: &[u8; 16], span: &SpanId) -> u64 {
        // As words: they are hashed in one go.
        self.keys.hash_one((u128::from_ne_bytes(*trace), u64::from_ne_bytes(*span)))
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Nothing panics between two consistent states.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops exported spans that were handed back before; what was not is remembered.
struct Sieve<'t>(&'t HandedBack);

impl<'a> Edit<'a> for Sieve<'_> {
    fn wants(&self) -> Wants {
        Wants { items: true, ..Wants::default() }
    }

    fn item(&mut self, span: &Item<'a>) -> Take {
        let Some((trace, id)) = key_of(span.own) else { return Take::Keep };
        let Sieve(known) = self;
        let key = known.key(&trace, &id);
        let began = known.keys.hash_one((key, span.own.start()));
        let mut tables = known.tables();
        if tables.handed.get(key) == Some(&began) {
            return Take::Drop;
        }
        tables.exported.insert(key, ());
        Take::Keep
    }
}

/// Gives the trace id and span id that name a span; nothing where one of them is no id.
fn key_of(span: View<'_>) -> Option<SpanKey> {
    let (trace, id) = span.ids();
    Some((trace.try_into().ok()?, id.try_into().ok()?))
}

impl<V> Default for Latest<V> {
    fn default() -> Self {
        Latest { young: Table::default(), old: Table::default() }
    }
}

impl<V> Latest<V> {
    fn get(&self, key: u64) -> Option<&V> {
        self.young.get(&key).or_else(|| self.old.get(&key))
    }

    fn has(&self, key: u64) -> bool {
        self.get(key).is_some()
    }

    fn remove(&mut self, key: u64) {
        self.young.remove(&key);
        self.old.remove(&key);
    }

    fn insert(&mut self, key: u64, value: V) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::Messages;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    const TRACE: [u8; 16] = [7; 16];

    fn handed(table: &HandedBack, ids: &[u8], start: Nanos) -> Vec<bool> {
        table.first_time(ids.iter().map(|id| (TRACE, [*id; 8], start)))
    }

    fn exported(ids: &[u8], start: Nanos) -> Telemetry {
        let span = |id: &u8| Span {
            trace_id: TRACE.to_vec(),
            span_id: vec![*id; 8],
            start_time_unix_nano: start,
            ..Span::default()
        };
        let scope = ScopeSpans { spans: ids.iter().map(span).collect(), ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        Telemetry::from(Messages::Traces(vec![resource]))
    }

    #[test]
    fn a_span_is_handed_back_once() {
        let table = HandedBack::default();
        assert_eq!(handed(&table, &[1, 2, 1], 5), [true, true, false]);
        assert_eq!(handed(&table, &[1, 3], 6), [false, true]);
    }

    #[test]
    fn an_exported_span_is_dropped_if_it_was_handed_back_and_began_then() {
        let table = HandedBack::default();
        assert!(table.is_empty());
        assert_eq!(table.drop_known(&mut exported(&[1], 5)), 0);
        handed(&table, &[1, 2], 5);
        assert!(!table.is_empty());
        let mut twins = exported(&[1, 3, 2], 5);
        assert_eq!(table.drop_known(&mut twins), 2);
        assert_eq!(twins.items(), 1);
        let mut none = exported(&[1], 5);
        assert_eq!((table.drop_known(&mut none), none.items()), (1, 0));
        assert_eq!(none.messages(), Messages::Traces(Vec::new()));
    }

    #[test]
    fn a_claimed_id_does_not_keep_the_real_span_out() {
        let table = HandedBack::default();
        handed(&table, &[1], 5);
        assert_eq!(table.drop_known(&mut exported(&[1], 6)), 0);
    }

    #[test]
    fn what_got_nowhere_may_come_again() {
        let table = HandedBack::default();
        handed(&table, &[1, 2], 5);
        table.forget(&exported(&[1], 5));
        assert_eq!(handed(&table, &[1, 2], 5), [true, false]);
    }

    #[test]
    fn what_was_exported_first_is_not_handed_back_later() {
        let table = HandedBack::default();
        handed(&table, &[9], 5);
        table.drop_known(&mut exported(&[1], 5));
        assert_eq!(handed(&table, &[1, 2], 5), [false, true]);
    }

    #[test]
    fn spans_of_ours_are_nobody_elses() {
        let table = HandedBack::default();
        table.claim(&TRACE, &[1; 8]);
        assert!(table.is_empty());
        assert_eq!(handed(&table, &[1], 5), [false]);
    }

    #[test]
    fn the_table_is_bounded_and_keeps_the_latest() {
        let table = HandedBack::default();
        let id = |n: u64| (TRACE, (n + 1).to_be_bytes(), 5);
        let many = 5 * REMEMBERED as u64;
        assert!(table.first_time((0..many).map(id)).iter().all(|first| *first));
        let held = table.tables();
        assert!(held.handed.young.len() + held.handed.old.len() <= 2 * REMEMBERED);
        drop(held);
        assert_eq!(table.first_time([many - 1, 0].map(id).into_iter()), [false, true]);
    }
}
