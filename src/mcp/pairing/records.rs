//! What a connection adds to the log records of its tap: lines of stderr, log notifications, findings. Each with
//! the call that it belongs to, where that is known for certain.

use super::*;
use crate::json::Reader;
use crate::mcp::logs::{Data, Logged, MAX_BODY, MAX_LOGGER, Of, Severity, logger};
use crate::mcp::{Answer, Finding, RawId, Shape};

/// The span of a call, and its flags.
type Place = (SpanRef, u8);

impl Pairing<'_> {
    /// Adds a line that the server wrote to its stderr; `more`: it goes on beyond what is here.
    pub(in crate::mcp) fn log_line(&mut self, line: &[u8], more: bool, now: Nanos) {
        let call = self.only_call();
        self.log(call, None, now, |common, of| common.logs.line(of, line, more));
    }

    /// Adds what the server logs by a notification.
    pub(super) fn log_message(&mut self, message: &Message<'_>, seen: Observed<'_>) {
        let by_server = seen.direction == Direction::ServerToClient;
        if !by_server || !self.common.settings.log_messages {
            return;
        }
        let params = &message.params;
        let level = params.level.map(|level| level.lossy(MAX_LOGGER).0).unwrap_or_default();
        let logger = params.logger.map(|name| {
            let (name, more) = name.lossy(MAX_LOGGER);
            logger(&name, more)
        });
        let text = match params.data {
            Part::Whole(json) => text(json),
            Part::Cut | Part::Absent => None,
        };
        let data = match (&text, params.data) {
            (Some((text, more)), _) => Data::Text(text, *more),
            (None, Part::Whole(json)) => str::from_utf8(json).map_or(Data::Withheld, Data::Json),
            (None, Part::Cut) => Data::Withheld,
            (None, Part::Absent) if seen.known == Known::Whole => Data::Absent,
            (None, Part::Absent) => Data::Withheld,
        };
        let logged = Logged {
            severity: Severity::of_level(&level),
            logger: logger.unwrap_or_default(),
            data,
        };
        let whole = seen.via.whole;
        let of_exchange = seen.via.cause.map(Cause::place);
        let call = of_exchange.or_else(|| self.only_call().filter(|_| whole));
        let secrets = seen.via.secrets;
        self.log(call, secrets, seen.now, |common, of| common.logs.message(of, &logged));
    }

    /// Adds a finding about what came that way. `detail` must hold no content.
    pub(in crate::mcp) fn find(
        &mut self,
        finding: Finding,
        by: Direction,
        call: Option<Place>,
        now: Nanos,
        detail: impl FnOnce() -> String,
    ) {
        let by = match by {
            Direction::ClientToServer => "client",
            Direction::ServerToClient => "server",
        };
        let number = self.state.number;
        let add = |common: &mut Common, of: &Of<'_>| {
            common.logs.finding(of, (finding, by), number, detail);
        };
        self.log(call, None, now, add);
    }

    /// Counts an id or token that came as the text of a number, and adds the finding.
    pub(super) fn id_as_text(&mut self, what: &str, call: Place, seen: Observed<'_>) {
        self.common.counts.text_ids += 1;
        let detail = || format!("{what}: text for integer");
        self.find(Finding::IdAsText, seen.direction, Some(call), seen.now, detail);
    }

    /// Adds the finding that JSON is not JSON-RPC, or an answer that nobody takes.
    pub(in crate::mcp) fn find_no_rpc(
        &mut self,
        message: &Message<'_>,
        by: Direction,
        call: Option<Place>,
        now: Nanos,
    ) {
        let (finding, detail) = fault(message);
        self.find(finding, by, call, now, || detail.to_owned());
    }

    /// Adds a record; `secrets` came with what it tells of, besides those of the session.
    pub(super) fn log(
        &mut self,
        call: Option<Place>,
        secrets: Option<&CallSecrets>,
        now: Nanos,
        add: impl FnOnce(&mut Common, &Of<'_>),
    ) {
        if !self.common.logs.wanted {
            return;
        }
        let of_session = self.state.secrets.all(now);
        let secrets = secrets.map_or_else(|| of_session.clone(), |own| of_session.with(own));
        let settings = Arc::clone(&self.common.settings);
        let of = Of {
            settings: &settings,
            server: &self.state.server,
            peer: common::peer(&settings, &self.state.client.who, &self.state.info),
            session: self.state.name.as_deref(),
            call,
            secrets,
            now,
            wall: self.common.offset.wall(now),
        };
        add(self.common, &of);
    }

    /// The only call of the client's in flight, where nothing was missed.
    fn only_call(&self) -> Option<Place> {
        let flight = &self.state.flights[Direction::ClientToServer];
        let call = flight.only().filter(|_| !self.state.missed && !self.state.shared)?;
        Some(call.in_trace())
    }
}

/// The string that a JSON text is, as far as it is kept, and whether it goes on.
fn text(json: &[u8]) -> Option<(String, bool)> {
    let text = json.starts_with(b"\"").then(|| Reader::new(json, 0).text().ok())??;
    Some(text.lossy(MAX_BODY))
}

/// Says what is wrong with JSON that is not JSON-RPC, or with an answer.
fn fault(message: &Message<'_>) -> (Finding, &'static str) {
    let two = message.jsonrpc.is_some_and(|version| version.is("2.0"));
    let object = |answer: &Answer<'_>| match answer.raw {
        Part::Whole(json) => json.starts_with(b"{"),
        Part::Cut | Part::Absent => true,
    };
    match message.shape() {
        Shape::Answer if !two => (Finding::UnreadableAnswer, "jsonrpc is not 2.0"),
        Shape::Answer if !message.result.as_ref().is_none_or(object) => {
            (Finding::UnreadableAnswer, "result is no object")
        }
        Shape::Answer => (Finding::UnreadableAnswer, ""),
        _ if message.method.is_some() && !matches!(message.id, RawId::Absent) => {
            (Finding::NotRpc, "id is neither text nor number")
        }
        _ => (Finding::NotRpc, "neither method nor result nor error"),
    }
}
