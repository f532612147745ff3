//! What is looked for in `params`, and in every `_meta`.

use super::{Part, RawId, id, members, number, skip, text};
use crate::json::{Kind, Reader, Result, Text};
use crate::mcp::sep2448;

/// `params` of a request or notification.
#[derive(Clone, Debug, Default)]
pub struct Params<'a> {
    /// Tool or prompt.
    pub name: Option<Text<'a>>,
    /// Resource.
    pub uri: Option<Text<'a>>,
    /// `arguments`, as on the wire.
    pub arguments: Part<'a>,
    /// `task` (2025-11-25) asks for a task to be begun.
    pub task: bool,
    /// Task that a task method is about.
    pub task_id: Option<Text<'a>>,
    /// Says who the client says it is (`initialize`).
    pub client: Info<'a>,
    /// Request that `notifications/cancelled` is about.
    pub request_id: RawId<'a>,
    /// Says why it is cancelled.
    pub reason: Option<Text<'a>>,
    /// Level of `notifications/message`.
    pub level: Option<Text<'a>>,
    /// Says who logs, in it.
    pub logger: Option<Text<'a>>,
    /// Holds what is logged, as on the wire.
    pub data: Part<'a>,
    /// Token of `notifications/progress`.
    pub progress_token: RawId<'a>,
    /// Progress so far.
    pub progress: Option<f64>,
    /// Progress to come.
    pub total: Option<f64>,
    /// `inputResponses` (2026-07-28): this is the next leg of a call.
    pub input_responses: bool,
    /// `requestState` (2026-07-28), opaque and secret.
    pub request_state: Option<Text<'a>>,
    /// `_meta`
    pub meta: Meta<'a>,
}

/// `_meta` of `params` or `result`.
#[derive(Clone, Debug, Default)]
pub struct Meta<'a> {
    /// W3C context of the sender.
    pub traceparent: Option<Text<'a>>,
    /// Holds what belongs to it.
    pub tracestate: Option<Text<'a>>,
    /// Says whether `baggage` came along.
    pub baggage: bool,
    /// Token that progress will carry.
    pub progress_token: RawId<'a>,
    /// Protocol version of this request (2026-07-28): its presence tells the era.
    pub protocol_version: Option<Text<'a>>,
    /// Says who the client says it is.
    pub client: Info<'a>,
    /// Says who the server says it is.
    pub server: Info<'a>,
    /// Task that a result belongs to.
    pub related_task: Option<Text<'a>>,
    /// In a request: the server is asked for its spans (SEP-2448).
    pub otel: bool,
    /// In an answer: the spans that it hands back, the object as on the wire.
    pub traces: Part<'a>,
}

/// A self-reported implementation.
#[derive(Clone, Debug, Default)]
pub struct Info<'a> {
    /// `name`
    pub name: Option<Text<'a>>,
    /// `version`
    pub version: Option<Text<'a>>,
}

impl<'a> Params<'a> {
    pub(super) fn member(
        &mut self,
        key: &[u8],
        buf: &'a [u8],
        reader: &mut Reader<'a>,
    ) -> Result<()> {
        match key {
            b"name" => self.name = text(reader)?,
            b"uri" => self.uri = text(reader)?,
            b"arguments" => {
                self.arguments = Part::Cut;
                self.arguments = Part::Whole(&buf[reader.skip()?]);
            }
            b"task" => {
                self.task = reader.peek()?.0 == Kind::Object;
                reader.skip()?;
            }
            b"taskId" => self.task_id = text(reader)?,
            b"clientInfo" => self.client = Info::read(reader)?,
            b"requestId" => self.request_id = id(reader)?,
            b"reason" => self.reason = text(reader)?,
            b"level" => self.level = text(reader)?,
            b"logger" => self.logger = text(reader)?,
            b"data" => {
                self.data = Part::Cut;
                self.data = Part::Whole(&buf[reader.skip()?]);
            }
            b"progressToken" => self.progress_token = id(reader)?,
            b"progress" => self.progress = number(reader)?,
            b"total" => self.total = number(reader)?,
            b"inputResponses" => {
                self.input_responses = true;
                reader.skip()?;
            }
            b"requestState" => self.request_state = text(reader)?,
            b"_meta" => self.meta.read(buf, reader)?,
            _ => skip(reader)?,
        }
        Ok(())
    }
}

impl<'a> Meta<'a> {
    /// Reads the next value in place of this one; what was read stays if the rest is out of sight.
    pub(super) fn read(&mut self, buf: &'a [u8], reader: &mut Reader<'a>) -> Result<()> {
        *self = Meta::default();
        members(reader, |key, reader| self.member(key, buf, reader))
    }

    fn member(&mut self, key: &[u8], buf: &'a [u8], reader: &mut Reader<'a>) -> Result<()> {
        match key {
            b"traceparent" => self.traceparent = text(reader)?,
            b"tracestate" => self.tracestate = text(reader)?,
            b"baggage" => self.baggage = text(reader)?.is_some(),
            b"progressToken" => self.progress_token = id(reader)?,
            b"io.modelcontextprotocol/protocolVersion" => self.protocol_version = text(reader)?,
            b"io.modelcontextprotocol/clientInfo" => self.client = Info::read(reader)?,
            b"io.modelcontextprotocol/serverInfo" => self.server = Info::read(reader)?,
            b"io.modelcontextprotocol/related-task" => {
                self.related_task = None;
                members(reader, |key, reader| match key {
                    b"taskId" => text(reader).map(|id| self.related_task = id),
                    _ => skip(reader),
                })?;
            }
            sep2448::OTEL => {
                (self.otel, self.traces) = (false, Part::Absent);
                self.otel(buf, reader)?;
            }
            _ => skip(reader)?,
        }
        Ok(())
    }
}

impl<'a> Meta<'a> {
    /// Gives what stands under `otel`: a wish for spans in a request, spans in an answer.
    fn otel(&mut self, buf: &'a [u8], reader: &mut Reader<'a>) -> Result<()> {
        members(reader, |key, reader| match key {
            sep2448::TRACES if reader.peek()?.0 == Kind::Object => {
                let start = reader.peek()?.1;
                self.traces = Part::Cut;
                members(reader, |key, reader| match key {
                    sep2448::REQUEST => wished(reader).map(|yes| self.otel = yes),
                    _ => skip(reader),
                })?;
                self.traces = Part::Whole(&buf[start..reader.offset()]);
                Ok(())
            }
            _ => skip(reader),
        })
    }
}

impl<'a> Info<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let mut info = Info::default();
        members(reader, |key, reader| {
            match key {
                b"name" => info.name = text(reader)?,
                b"version" => info.version = text(reader)?,
                _ => skip(reader)?,
            }
            Ok(())
        })?;
        Ok(info)
    }
}

/// Says whether the next value is one that the servers there are take for a yes: they ask whether it is true by the
/// rules of their language, not whether it is `true`.
fn wished(reader: &mut Reader<'_>) -> Result<bool> {
    let value = match reader.peek()?.0 {
        Kind::Bool => return reader.bool(),
        Kind::Number => return Ok(reader.number()?.parse().is_ok_and(|n: f64| n != 0.0)),
        Kind::String => return Ok(!reader.text()?.raw().is_empty()),
        Kind::Null => return reader.null().map(|()| false),
        Kind::Object | Kind::Array => reader.skip()?,
    };
    // Nothing between the brackets but white space, or something.
    Ok(value.len() > 2)
}
