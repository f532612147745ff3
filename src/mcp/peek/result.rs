//! What is looked for in `result` and in `error`.

use super::{Info, Meta, Part, flag, members, skip, text, truth};
use crate::json::{Kind, Reader, Result, Text};

/// `result` of an answer.
#[derive(Clone, Debug, Default)]
pub struct Answer<'a> {
    /// The whole of it, as on the wire.
    pub raw: Part<'a>,
    /// `isError`: whether the tool failed, if it says.
    pub is_error: Option<bool>,
    /// There may be members that are out of sight.
    pub hidden: bool,
    /// A list of contents has begun and not ended.
    pub(super) in_content: bool,
    /// `resultType` (2026-07-28); absent means `complete`.
    pub result_type: Option<Text<'a>>,
    /// The version the server picked (`initialize`).
    pub protocol_version: Option<Text<'a>>,
    /// Says who the server says it is (`initialize`).
    pub server: Info<'a>,
    /// Task that was begun or is told about: flat, or inside `task` (2025-11-25).
    pub task_id: Option<Text<'a>>,
    /// Its status.
    pub task_status: Option<Text<'a>>,
    /// The tool of a task that completed failed (2026-07-28).
    pub task_is_error: bool,
    /// Says why a task failed (2026-07-28).
    pub task_error: Option<Failure<'a>>,
    /// `requestState` (2026-07-28), opaque and secret.
    pub request_state: Option<Text<'a>>,
    /// `_meta`
    pub meta: Meta<'a>,
}

/// `error` of an answer.
#[derive(Clone, Debug, Default)]
pub struct Failure<'a> {
    /// `code`, if it is an integer.
    pub code: Option<i64>,
    /// `message`, a JSON string as on the wire. Content: it may hold anything.
    pub message: Part<'a>,
    /// Spans that it hands back: under its own `_meta`, or that of its `data`.
    pub traces: Part<'a>,
}

impl<'a> Answer<'a> {
    pub(super) fn member(
        &mut self,
        key: &[u8],
        buf: &'a [u8],
        reader: &mut Reader<'a>,
    ) -> Result<()> {
        match key {
            b"isError" => self.is_error = flag(reader)?,
            b"resultType" => self.result_type = text(reader)?,
            b"protocolVersion" => self.protocol_version = text(reader)?,
            b"serverInfo" => self.server = Info::read(reader)?,
            b"taskId" => self.task_id = text(reader)?,
            b"status" => self.task_status = text(reader)?,
            b"task" => members(reader, |key, reader| {
                match key {
                    b"taskId" => self.task_id = text(reader)?,
                    b"status" => self.task_status = text(reader)?,
                    _ => skip(reader)?,
                }
                Ok(())
            })?,
            b"result" => {
                self.task_is_error = false;
                members(reader, |key, reader| match key {
                    b"isError" => truth(reader).map(|failed| self.task_is_error = failed),
                    _ => skip(reader),
                })?;
            }
            b"error" => Failure::read(&mut self.task_error, buf, reader)?,
            b"requestState" => self.request_state = text(reader)?,
            b"_meta" => self.meta.read(buf, reader)?,
            b"content" => {
                self.in_content = reader.peek()?.0 == Kind::Array;
                skip(reader)?;
                self.in_content = false;
            }
            _ => skip(reader)?,
        }
        Ok(())
    }
}

impl<'a> Failure<'a> {
    /// Reads it into `place`, where what was read stays if the rest is out of sight. `None` for null:
    /// some servers send it beside a result.
    pub(super) fn read(
        place: &mut Option<Self>,
        buf: &'a [u8],
        reader: &mut Reader<'a>,
    ) -> Result<()> {
        *place = None;
        if reader.peek()?.0 == Kind::Null {
            return reader.null();
        }
        let failure = place.insert(Failure::default());
        members(reader, |key, reader| {
            match key {
                b"code" if reader.peek()?.0 == Kind::Number => {
                    failure.code = reader.number()?.parse().ok();
                }
                b"message" if reader.peek()?.0 == Kind::String => {
                    failure.message = Part::Cut;
                    failure.message = Part::Whole(&buf[reader.skip()?]);
                }
                b"_meta" => failure.hands_back(buf, reader)?,
                b"data" => members(reader, |key, reader| match key {
                    b"_meta" => failure.hands_back(buf, reader),
                    _ => skip(reader),
                })?,
                _ => skip(reader)?,
            }
            Ok(())
        })
    }

    /// Of several places the last that has spans counts; the text of SEP-2448 names none.
    fn hands_back(&mut self, buf: &'a [u8], reader: &mut Reader<'a>) -> Result<()> {
        let mut meta = Meta::default();
        let read = meta.read(buf, reader);
        if meta.traces != Part::Absent {
            self.traces = meta.traces;
        }
        read
    }
}

/// Finds the first text in `content` of a result: a JSON string, as on the wire. `within`: the member that holds
/// the result, where that is not `result` itself.
pub(in crate::mcp) fn first_text<'a>(result: &'a [u8], within: Option<&str>) -> Option<&'a [u8]> {
    let (mut reader, mut found) = (Reader::of_messages(result, crate::json::MAX_DEPTH), None);
    let read = members(&mut reader, |key, reader| match within {
        None => text_of_content(key, result, reader, &mut found),
        Some(name) if key == name.as_bytes() => {
            found = None;
            members(reader, |key, reader| text_of_content(key, result, reader, &mut found))
        }
        Some(_) => skip(reader),
    });
    read.ok()?;
    found
}

fn text_of_content<'a>(
    key: &[u8],
    buf: &'a [u8],
    reader: &mut Reader<'a>,
    found: &mut Option<&'a [u8]>,
) -> Result<()> {
    if key != b"content" || reader.peek()?.0 != Kind::Array {
        return skip(reader);
    }
    *found = None;
    reader.array()?;
    while reader.item()? {
        members(reader, |key, reader| {
            let is_text = key == b"text" && reader.peek()?.0 == Kind::String;
            let value = reader.skip()?;
            if is_text && found.is_none() {
                *found = Some(&buf[value]);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The names in `result[list][].name` of a list method.
pub(in crate::mcp) fn names_in(result: &[u8], list: &str, mut each: impl FnMut(Text<'_>)) {
    let mut reader = Reader::of_messages(result, crate::json::MAX_DEPTH);
    let read = members(&mut reader, |key, reader| {
        if key != list.as_bytes() || reader.peek()?.0 != Kind::Array {
            return skip(reader);
        }
        reader.array()?;
        while reader.item()? {
            members(reader, |key, reader| {
                match key {
                    b"name" => text(reader)?.into_iter().for_each(&mut each),
                    _ => skip(reader)?,
                }
                Ok(())
            })?;
        }
        Ok(())
    });
    // The result was read whole once already; a list that is malformed inside ends early.
    read.unwrap_or_default();
}
