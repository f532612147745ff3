//! How this tap's records reach the state machine of the `mcp` room, and what is counted of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::config::{Config, SessionIds};
use super::decode::{Coding, Decoder};
use super::heads;
use super::note::{Event, Kind, Note};
use crate::mcp::{
    Direction, HandedBack, HeadContent, Http, HttpServer, InFlight, Party, RequestHead,
    ResponseHead, SessionName, SessionNames,
};
use crate::metrics::{Counter, names};
use crate::pipeline::Build;
use crate::privacy::digest::Key;
use crate::receivers::tap::{
    self, CountsExporter, RecordCounters, Unseen, Watch, ambient, content_key, edited, hashed,
    hidden,
};
use crate::telemetry::{Content, Nanos, Needs, Offset, Telemetry};

/// Bytes that decoders may take at once: some codings want 8 MiB each.
const MAX_DECODING: usize = 128 << 20;

/// Drives the state machine of the `mcp` room by the records of one tap.
pub(super) struct HttpObserver {
    http: Http,
    counts: CountsExporter,
    counters: Counters,
    /// Bodies in progress that are packed; nothing where one cannot be read.
    packed: HashMap<(u64, Direction), Packed>,
    /// Holds what they may take together, in bytes.
    decoding: usize,
    /// The attributes that headers of requests and of responses become, by their places in the user's list.
    shown: (Vec<Arc<str>>, Vec<Arc<str>>),
}

/// A body that is packed, what reads it if anything does, and what that may take.
struct Packed {
    decoder: Option<Decoder>,
    cost: usize,
    /// Bytes of it came that nobody could read.
    unread: bool,
}

/// Holds the counters of one tap. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Counters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    exchanges: Counter,
    skipped_exchanges: Counter,
    skipped_bytes: Counter,
    gaps: Counter,
    cuts: Counter,
    unreadable: Counter,
    panics: Counter,
    /// Requests that no state machine saw: they are received and dropped.
    unseen: [Counter; 2],
}

impl Counters {
    /// The counters of one tap.
    pub(super) fn new(cx: &Build<'_>) -> Self {
        let id = cx.id.to_string();
        let count = |name| cx.metrics().counter(name, &[("receiver", &id)]);
        Counters(Arc::new(Inner {
            exchanges: count(&names::TAP_EXCHANGES),
            skipped_exchanges: count(&names::TAP_SKIPPED_EXCHANGES),
            skipped_bytes: count(&names::TAP_SKIPPED_BYTES),
            gaps: count(&names::TAP_GAPS),
            cuts: count(&names::TAP_CUTS),
            unreadable: count(&names::TAP_UNREADABLE_BODIES),
            panics: count(&names::TAP_PANICS),
            unseen: tap::drops(cx),
        }))
    }
}

impl RecordCounters<Note> for Counters {
    fn count(&self, event: &Event<'_>) {
        match event.note.kind {
            Kind::Request { .. } => self.0.exchanges.add(1),
            Kind::Skip(..) => self.0.cuts.add(1),
            Kind::Lost(_) => self.0.gaps.add(1),
            Kind::Gap(gap) => {
                self.0.gaps.add(1);
                self.0.exchanges.add(gap.posts);
                self.0.skipped_exchanges.add(gap.posts);
                self.0.skipped_bytes.add(gap.bytes);
            }
            _ => {}
        }
    }

    fn count_passed_over(&self, event: &Event<'_>) {
        match event.note.kind {
            Kind::Request { .. } => self.0.skipped_exchanges.add(1),
            Kind::Bytes(_) | Kind::Last(_) => self.0.skipped_bytes.add(event.bytes.len() as u64),
            _ => {}
        }
    }

    fn count_unseen(&self, event: &Event<'_>, why: Unseen) {
        self.count(event);
        match event.note.kind {
            Kind::Request { post } => {
                self.0.unseen[why as usize].add(u64::from(post));
                self.0.skipped_exchanges.add(1);
            }
            Kind::Bytes(_) | Kind::Last(_) => {
                self.0.skipped_bytes.add(event.bytes.len() as u64);
            }
            Kind::Gap(gap) => self.0.unseen[why as usize].add(gap.posts),
            _ => {}
        }
    }

    fn count_panic(&self) {
        self.0.panics.add(1);
    }
}

impl HttpObserver {
    /// The observer of the receiver that is built.
    pub(super) fn new(config: &Config, cx: &Build<'_>) -> anyhow::Result<Self> {
        let servers = config.routes.iter().map(|route| {
            let uri = route.uri().map_err(anyhow::Error::msg)?;
            let port = uri.port_u16().or(match uri.scheme_str() {
                Some("https") => Some(443),
                _ => Some(80),
            });
            let address = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            Ok(HttpServer { name: route.server_name(), address, port })
        });
        let servers = servers.collect::<anyhow::Result<_>>()?;
        let key = config.session_key(cx.base)?.map_or_else(|| content_key(cx), Ok)?;
        let mut http = Http::new(
            Arc::new(config.observing().settings()),
            servers,
            ambient(),
            rand::random(),
            names(config.session_id, key.clone()),
        );
        http.hide(hidden(key));
        http.share(cx.process(HandedBack::default));
        let shown = config.shown_headers();
        // As the conventions name them.
        let keys = |half| {
            let key = |name| Arc::from(format!("http.{half}.header.{name}"));
            shown.iter().map(key).collect()
        };
        Ok(HttpObserver {
            http,
            counts: CountsExporter::new(cx),
            counters: Counters::new(cx),
            packed: HashMap::new(),
            decoding: 0,
            shown: (keys("request"), keys("response")),
        })
    }

    fn request(&mut self, exchange: u64, bytes: &[u8], now: Nanos) {
        let Some((head, coding, beside)) = heads::request(bytes) else { return };
        self.unpack(exchange, Direction::ClientToServer, coding);
        let headers = beside.headers(&self.shown.0);
        let content = HeadContent { credentials: &beside.credentials, headers: &headers };
        self.http.request(exchange, &RequestHead { content, ..head }, now);
    }

    fn response(&mut self, exchange: u64, bytes: &[u8], now: Nanos) {
        let Some((head, coding, beside)) = heads::response(bytes) else { return };
        self.unpack(exchange, Direction::ServerToClient, coding);
        let headers = beside.headers(&self.shown.1);
        let content = HeadContent { credentials: &beside.credentials, headers: &headers };
        self.http.response(exchange, &ResponseHead { content, ..head }, now);
    }

    /// From here on that body is to be unpacked, if it is packed.
    fn unpack(&mut self, exchange: u64, direction: Direction, coding: Coding) {
        if coding == Coding::Identity {
            return;
        }
        self.packed_ended(exchange, direction);
        let cost = Decoder::cost(coding);
        let room = self.decoding + cost <= MAX_DECODING;
        let decoder = if room { Decoder::of(coding) } else { None };
        let cost = if decoder.is_some() { cost } else { 0 };
        self.decoding += cost;
        self.packed.insert((exchange, direction), Packed { decoder, cost, unread: false });
    }

    /// Says whether a packed body came to its end with something in it that was not read.
    fn packed_ended(&mut self, exchange: u64, direction: Direction) -> bool {
        // Almost always empty where this is asked for every body.
        if self.packed.is_empty() {
            return false;
        }
        let Some(packed) = self.packed.remove(&(exchange, direction)) else { return false };
        self.decoding -= packed.cost;
        packed.unread
    }

    fn bytes(&mut self, exchange: u64, direction: Direction, bytes: &[u8], now: Nanos) {
        if self.packed.is_empty() {
            return self.http.bytes(exchange, direction, bytes, now);
        }
        let http = &mut self.http;
        let Some(packed) = self.packed.get_mut(&(exchange, direction)) else {
            return http.bytes(exchange, direction, bytes, now);
        };
        if packed.unread || bytes.is_empty() {
            return;
        }
        let read = packed.decoder.as_mut().is_some_and(|decoder| {
            decoder.push(bytes, |piece| http.bytes(exchange, direction, piece, now)).is_ok()
        });
        if !read {
            packed.unread = true;
            self.counters.0.unreadable.add(1);
            self.decoding -= std::mem::take(&mut packed.cost);
            packed.decoder = None;
            http.lost(exchange, direction, now);
        }
    }

    fn last(&mut self, exchange: u64, direction: Direction, bytes: &[u8], now: Nanos) {
        if self.packed.is_empty() {
            return self.http.last(exchange, direction, bytes, now);
        }
        self.bytes(exchange, direction, bytes, now);
        self.ended(exchange, direction, now);
    }

    /// A body that could not be read says nothing about how its calls ended.
    fn let_go(&mut self, exchange: u64, direction: Direction, now: Nanos) {
        if self.packed_ended(exchange, direction) {
            self.http.lost(exchange, direction, now);
        }
    }

    fn ended(&mut self, exchange: u64, direction: Direction, now: Nanos) {
        self.let_go(exchange, direction, now);
        if direction == Direction::ServerToClient {
            self.packed_ended(exchange, Direction::ClientToServer);
        }
        self.http.ended(exchange, direction, now);
    }

    fn broken(&mut self, exchange: u64, by: Party, now: Nanos) {
        Direction::BOTH.into_iter().for_each(|way| self.let_go(exchange, way, now));
        self.http.broken(exchange, by, now);
    }
}

/// Says what may leave of a session id.
fn names(ids: SessionIds, key: Key) -> SessionNames {
    Box::new(move |id| name(ids, &key, id))
}

fn name(ids: SessionIds, key: &Key, id: &[u8]) -> SessionName {
    match ids {
        SessionIds::Off => SessionName { shown: String::new(), clear: None },
        SessionIds::Hash => SessionName { shown: hashed(key, id), clear: None },
        SessionIds::Clear => {
            let clear = Some(String::from_utf8_lossy(id).into_owned());
            SessionName { shown: hashed(key, id), clear }
        }
    }
}

impl Watch<Note> for HttpObserver {
    fn look(&mut self, event: &Event<'_>, now: Nanos) {
        let Note { exchange, kind } = event.note;
        match kind {
            Kind::Request { .. } => self.request(exchange, event.bytes, now),
            Kind::Response => self.response(exchange, event.bytes, now),
            Kind::Edited => {
                edited::decode(event.bytes).into_iter().for_each(|e| self.http.edited(exchange, e));
            }
            Kind::Bytes(direction) => self.bytes(exchange, direction, event.bytes, now),
            Kind::Last(direction) => self.last(exchange, direction, event.bytes, now),
            Kind::Skip(direction, skipped) => self.http.skip(exchange, direction, skipped),
            Kind::Ended(direction) => self.ended(exchange, direction, now),
            Kind::Lost(direction) => self.http.lost(exchange, direction, now),
            Kind::Broken(by) => self.broken(exchange, by, now),
            Kind::Gap(gap) => self.http.gap(gap.posts, gap.bytes, now),
        }
    }

    fn anchor(&mut self, offset: Offset) {
        self.http.anchor(offset);
    }

    fn tick(&mut self, now: Nanos) {
        self.http.tick(now);
        self.counts.tell(&self.http.counts());
    }

    fn end(&mut self, now: Nanos) {
        self.http.finish(now);
        self.counts.tell(&self.http.counts());
    }

    fn keep(&mut self, needs: Needs) {
        self.http.keep(needs);
    }

    fn want_logs(&mut self, wanted: bool) {
        self.http.want_logs(wanted);
    }

    fn servers(&self) -> Vec<&str> {
        self.http.servers().collect()
    }

    fn in_flight<'a>(&'a self, show: &mut dyn FnMut(InFlight<'a>)) {
        self.http.in_flight().for_each(show);
    }

    fn ready(&self) -> usize {
        self.http.ready()
    }

    fn take(&mut self) -> Vec<(Telemetry, Content)> {
        self.counts.tell(&self.http.counts());
        let spans = self.http.take();
        spans.into_iter().chain(self.http.take_logs()).collect()
    }
}
