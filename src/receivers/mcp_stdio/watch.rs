//! The state machine of the `mcp` room as this tap's observer drives it, and its books as counters.

use std::sync::Arc;

use super::{Config, Direction, Observe, ServerName};
use crate::mcp::{Edited, HandedBack, Identity, Session, Transport};
use crate::pipeline::Build;
use crate::receivers::tap::{Followed, ambient, content_key, hidden};
use crate::telemetry::{Content, Nanos, Offset, Reads, Telemetry};

/// One observed connection.
pub(super) struct Watch {
    session: Session,
    counters: Followed,
}

impl Watch {
    /// The session of a child called `server`.
    pub(super) fn new(config: &Config, server: &ServerName, cx: &Build<'_>) -> Self {
        let session_id: [u8; 16] = rand::random();
        let identity = Identity {
            server: server.text.clone(),
            general: server.general,
            session: session_id.iter().map(|b| format!("{b:02x}")).collect(),
            transport: Transport::Pipe,
            ambient: ambient(),
        };
        let mut session =
            Session::new(Arc::new(config.observing().settings()), identity, rand::random());
        session.share(cx.process(HandedBack::default));
        // Without a key nothing is told of them.
        content_key(cx).into_iter().for_each(|key| session.hide(hidden(key)));
        Watch { session, counters: Followed::new(cx) }
    }

    fn tell(&mut self) {
        self.counters.tell(&self.session.counts());
    }
}

impl Observe for Watch {
    fn bytes(&mut self, direction: Direction, chunk: &[u8], now: Nanos) {
        self.session.bytes(direction, chunk, now);
    }

    fn cut(&mut self, direction: Direction, skipped: u64, tail: &[u8], now: Nanos) {
        self.session.cut(direction, skipped, tail, now);
    }

    fn edited(&mut self, direction: Direction, edited: Edited) {
        self.session.edited(direction, edited);
    }

    fn gap(&mut self, direction: Direction, bytes: u64, lines: u64, now: Nanos) {
        self.session.gap(direction, bytes, lines, now);
    }

    fn skip(&mut self, direction: Direction, skipped: u64, tail: &[u8]) {
        self.session.skip(direction, skipped, tail);
    }

    fn left(&mut self, sender: Direction) {
        self.session.left(sender);
    }

    fn eof(&mut self, direction: Direction, now: Nanos) {
        self.session.eof(direction, now);
    }

    fn stopped(&mut self) {
        self.session.stopped();
    }

    fn anchor(&mut self, offset: Offset) {
        self.session.anchor(offset);
    }

    fn tick(&mut self, now: Nanos) {
        self.session.tick(now);
    }

    fn end(&mut self, now: Nanos) {
        self.session.end(now);
        self.tell();
    }

    fn keep(&mut self, reads: Reads) {
        self.session.keep(reads);
    }

    fn ready(&self) -> usize {
        self.session.ready()
    }

    fn take(&mut self) -> Option<(Telemetry, Content)> {
        self.tell();
        self.session.take()
    }
}
