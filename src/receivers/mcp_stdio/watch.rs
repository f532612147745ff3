//! Drives the state machine of the `mcp` room by the records of this tap, and follows its books.

use std::sync::Arc;
use std::time::Instant;

use super::queue::{Event, Kind, Note};
use super::stderr::{Chunk, LineQueue, Lines};
use super::{Config, ServerName};
use crate::mcp::{HandedBack, Identity, InFlight, Session, Transport};
use crate::pipeline::{Build, Secrets};
use crate::privacy::redact::{is_secret_name, parts_of_credential, password_of_url};
use crate::receivers::tap::{self, CountsExporter, ambient, content_key, edited, hidden};
use crate::telemetry::{Clock, Content, Nanos, Needs, Offset, Telemetry};

/// Watches one connection.
pub(super) struct StdioObserver {
    session: Session,
    /// Holds what the child wrote to its stderr, if that is captured.
    lines: Option<Lines>,
    /// Turns the stamps of those into times.
    clock: Clock,
    counters: CountsExporter,
}

impl StdioObserver {
    /// The session of a child called `server`.
    pub(super) fn new(
        config: &Config,
        server: &ServerName,
        lines: Option<Arc<LineQueue>>,
        cx: &Build<'_>,
    ) -> Self {
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
        cx.process(Secrets::default).set(&cx.id.to_string(), secrets(config));
        // Without a key nothing is told of them.
        content_key(cx).into_iter().for_each(|key| session.hide(hidden(key)));
        let (lines, clock) = (lines.map(Lines::of), cx.clock.clone());
        StdioObserver { session, lines, clock, counters: CountsExporter::new(cx) }
    }

    /// Reads what was written to stderr, up to a time if one is given: it belongs to what was in flight then.
    fn read_lines(&mut self, until: Option<Instant>) {
        let Some(lines) = &mut self.lines else { return };
        while let Some((at, chunk, bytes)) = lines.before(until) {
            match chunk {
                Chunk::Bytes => self.session.stderr(&bytes, self.clock.at(at)),
                Chunk::Gap { lines, .. } => self.session.stderr_gap(lines),
            }
        }
    }
}

/// Lists the secrets that the child's environment holds: values of variables whose names say so, and passwords in
/// URLs.
fn secrets(config: &Config) -> Vec<String> {
    let own = config.env.iter().map(|(name, value)| (name.clone(), value.clone()));
    let ours = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    ours.chain(own).flat_map(|(name, value)| secrets_of(&name, &value)).collect()
}

/// Names variables in which shells keep directories (POSIX, `cd`): in other places `pwd` is a password.
const DIRECTORIES: [&str; 2] = ["PWD", "OLDPWD"];

fn secrets_of(name: &str, value: &str) -> Vec<String> {
    if is_secret_name(name) && !DIRECTORIES.contains(&name) {
        return parts_of_credential(value);
    }
    password_of_url(value).map(str::to_owned).into_iter().collect()
}

impl tap::Watch<Note> for StdioObserver {
    fn look(&mut self, event: &Event<'_>, now: Nanos) {
        self.read_lines(Some(event.at));
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
        self.lines.iter_mut().for_each(Lines::look);
    }

    fn tick(&mut self, now: Nanos) {
        self.read_lines(None);
        self.session.tick(now);
        self.counters.tell(&self.session.counts());
    }

    fn end(&mut self, now: Nanos) {
        self.lines.iter_mut().for_each(Lines::look);
        self.read_lines(None);
        self.session.end(now);
        self.counters.tell(&self.session.counts());
    }

    fn keep(&mut self, needs: Needs) {
        self.session.keep(needs);
    }

    fn want_logs(&mut self, wanted: bool) {
        self.session.want_logs(wanted);
    }

    fn servers(&self) -> Vec<&str> {
        vec![self.session.server()]
    }

    fn in_flight<'a>(&'a self, show: &mut dyn FnMut(InFlight<'a>)) {
        self.session.in_flight().for_each(show);
    }

    fn ready(&self) -> usize {
        self.session.ready()
    }

    fn take(&mut self) -> Vec<(Telemetry, Content)> {
        self.counters.tell(&self.session.counts());
        let spans = self.session.take();
        spans.into_iter().chain(self.session.take_logs()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_secret_by_their_names_and_urls_by_their_passwords() {
        assert_eq!(secrets_of("DIFY_KEY", "abcdefgh"), ["abcdefgh"]);
        assert_eq!(secrets_of("DATABASE_URL", "postgres://u:abcdefgh@h/x"), ["abcdefgh"]);
        for (name, value) in
            [("PATH", "/usr/bin"), ("URL", "https://u@h/"), ("PUBLIC_KEY", "abcdefgh")]
        {
            assert!(secrets_of(name, value).is_empty(), "{name}");
        }
    }

    #[test]
    fn the_directory_that_a_shell_is_in_is_no_secret() {
        assert!(secrets_of("PWD", "/home/someone/project").is_empty());
        assert!(secrets_of("OLDPWD", "/home/someone").is_empty());
        assert_eq!(secrets_of("DB_PWD", "not-a-directory"), ["not-a-directory"]);
        assert_eq!(secrets_of("pwd", "not-a-directory"), ["not-a-directory"]);
    }
}
