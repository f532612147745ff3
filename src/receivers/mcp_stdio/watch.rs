//! Drives the state machine of the `mcp` room by the records of this tap, and follows its books.

use std::sync::Arc;

use super::queue::{Event, Kind, Note};
use super::{Config, ServerName};
use crate::mcp::{HandedBack, Identity, Session, Transport};
use crate::pipeline::Build;
use crate::receivers::tap::{self, CountsExporter, ambient, content_key, edited, hidden};
use crate::telemetry::{Content, Nanos, Offset, Reads, Telemetry};

/// Watches one connection.
pub(super) struct StdioObserver {
    session: Session,
    counters: CountsExporter,
}

impl StdioObserver {
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
        StdioObserver { session, counters: CountsExporter::new(cx) }
    }
}

impl tap::Watch<Note> for StdioObserver {
    fn look(&mut self, event: &Event<'_>, now: Nanos) {
        let (session, direction) = (&mut self.session, event.note.direction);
        match event.note.kind {
            Kind::Bytes { .. } => session.bytes(direction, event.bytes, now),
            Kind::Cut { skipped, newline: true } => {
                session.cut(direction, skipped, event.bytes, now);
            }
            Kind::Cut { skipped, .. } => session.skip(direction, skipped, event.bytes),
            Kind::Edited => {
                edited::decode(event.bytes).into_iter().for_each(|e| session.edited(direction, e));
            }
            Kind::Gap(gap) => session.gap(direction, gap.bytes, gap.lines, now),
            Kind::Left => session.left(direction),
            Kind::Stopped => session.stopped(),
            Kind::Eof => session.eof(direction, now),
        }
    }

    fn anchor(&mut self, offset: Offset) {
        self.session.anchor(offset);
    }

    fn tick(&mut self, now: Nanos) {
        self.session.tick(now);
    }

    fn end(&mut self, now: Nanos) {
        self.session.end(now);
        self.counters.tell(&self.session.counts());
    }

    fn keep(&mut self, reads: Reads) {
        self.session.keep(reads);
    }

    fn ready(&self) -> usize {
        self.session.ready()
    }

    fn take(&mut self) -> Vec<(Telemetry, Content)> {
        self.counters.tell(&self.session.counts());
        self.session.take().into_iter().collect()
    }
}
