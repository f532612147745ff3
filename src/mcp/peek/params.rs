//! What is looked for in `params`, and in every `_meta`.

use super::{Part, RawId, id, members, number, skip, text, truth};
use crate::json::{Kind, Reader, Result, Text};

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
    /// Who the client says it is (`initialize`).
    pub client: Info<'a>,
    /// Request that `notifications/cancelled` is about.
    pub request_id: RawId<'a>,
    /// Why it is cancelled.
    pub reason: Option<Text<'a>>,
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
    /// What belongs to it.
    pub tracestate: Option<Text<'a>>,
    /// Whether `baggage` came along.
    pub baggage: bool,
    /// Token that progress will carry.
    pub progress_token: RawId<'a>,
    /// Protocol version of this request (2026-07-28): its presence tells the era.
    pub protocol_version: Option<Text<'a>>,
    /// Who the client says it is.
    pub client: Info<'a>,
    /// Who the server says it is.
    pub server: Info<'a>,
    /// Task that a result belongs to.
    pub related_task: Option<Text<'a>>,
    /// `otel.traces.request`: the server is asked for its spans (SEP-2448).
    pub otel: bool,
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
            b"progressToken" => self.progress_token = id(reader)?,
            b"progress" => self.progress = number(reader)?,
            b"total" => self.total = number(reader)?,
            b"inputResponses" => {
                self.input_responses = true;
                reader.skip()?;
            }
            b"requestState" => self.request_state = text(reader)?,
            b"_meta" => self.meta = Meta::read(reader)?,
            _ => skip(reader)?,
        }
        Ok(())
    }
}

impl<'a> Meta<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let mut meta = Meta::default();
        members(reader, |key, reader| meta.member(key, reader))?;
        Ok(meta)
    }

    fn member(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<()> {
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
            b"otel" => self.otel = asks_for_spans(reader)?,
            _ => skip(reader)?,
        }
        Ok(())
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

fn asks_for_spans(reader: &mut Reader<'_>) -> Result<bool> {
    let mut asks = false;
    members(reader, |key, reader| match key {
        b"traces" => members(reader, |key, reader| match key {
            b"request" => truth(reader).map(|yes| asks = yes),
            _ => skip(reader),
        }),
        _ => skip(reader),
    })?;
    Ok(asks)
}
