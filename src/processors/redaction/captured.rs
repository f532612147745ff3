//! Writes what the taps captured of a call onto its span: redacted first, cut then.
//!
//! It decides nothing: the tap's settings say what may be written, and of which calls.

use std::borrow::Cow;

use super::counts::Counts;
use crate::otlp::Holder;
use crate::otlp::wire::compose::{Attributes, Value};
use crate::otlp::wire::view::Item;
use crate::privacy::redact::{Found, Scan, UNSCANNED, Under, Why};
use crate::privacy::shape::write_shape;
use crate::telemetry::names::{
    ARGUMENTS_SHAPE, ARGUMENTS_TRUNCATED, RESULT_SHAPE, RESULT_TRUNCATED, SCOPE, TOOL_ARGUMENTS,
    TOOL_RESULT,
};
use crate::telemetry::{CaptureLevel, Header, Raw, Seen};

use super::places::Spot;

/// The longest status message, in bytes.
const MAX_MESSAGE: usize = 256;

/// The attributes of one value: of the value itself, of its shape, and of whether it was cut.
struct Names {
    value: &'static str,
    shape: &'static str,
    truncated: &'static str,
}

const ARGUMENTS: Names =
    Names { value: TOOL_ARGUMENTS, shape: ARGUMENTS_SHAPE, truncated: ARGUMENTS_TRUNCATED };
const RESULT: Names =
    Names { value: TOOL_RESULT, shape: RESULT_SHAPE, truncated: RESULT_TRUNCATED };

/// Holds what was captured of the call behind the span at hand, if anything was.
#[derive(Clone, Copy, Default)]
pub(super) struct Captured<'s>(Option<&'s Seen>);

impl<'s> Captured<'s> {
    /// Takes what was seen of the call behind an item. Only spans that a tap made show it.
    pub(super) fn of(seen: Option<&'s Seen>, item: &Item<'_>) -> Self {
        Captured(seen.filter(|_| item.scope.name() == SCOPE))
    }

    /// Says whether it writes an attribute of that name: one that is there already goes.
    pub(super) fn writes(self, holder: Holder, name: &str) -> bool {
        let Some(Seen { capture, headers, .. }) = self.0.filter(|_| holder == Holder::Span) else {
            return false;
        };
        let of = |level, names: &Names| {
            level != CaptureLevel::Off
                && [names.value, names.shape, names.truncated].contains(&name)
        };
        of(capture.arguments, &ARGUMENTS)
            || of(capture.results, &RESULT)
            || headers.iter().any(|header| *header.key == *name)
    }

    /// Makes the message of the span's status: why the call failed. False for none.
    pub(super) fn message(
        self,
        scan: &mut Scan<'_>,
        counts: &mut Counts,
        out: &mut String,
    ) -> bool {
        out.clear();
        let Some(Seen { capture, error_text, .. }) = self.0 else { return false };
        let text: Option<String> = match error_text {
            Raw::Whole(json) if capture.errors != CaptureLevel::Off => {
                serde_json::from_slice(json).ok()
            }
            _ => None,
        };
        let Some(text) = text.filter(|text| !text.is_empty()) else { return false };
        redact(&text, Under::Open, scan, counts, Spot::STATUS, out);
        out.truncate(cut(out, MAX_MESSAGE));
        true
    }

    /// Writes the attributes of the span whose names may stay, each looked at as its name says; `masked` hears the names
    /// of those that were changed.
    pub(super) fn write(
        self,
        mut under: impl FnMut(&str) -> Option<Under>,
        mut masked: impl FnMut(&str),
        scan: &mut Scan<'_>,
        counts: &mut Counts,
        span: &mut Attributes<'_>,
    ) {
        let Some(Seen { capture, arguments, result, headers, .. }) = self.0 else { return };
        for (level, raw, names) in
            [(capture.arguments, arguments, &ARGUMENTS), (capture.results, result, &RESULT)]
        {
            let name = match level {
                CaptureLevel::Off => continue,
                CaptureLevel::Keys => names.shape,
                CaptureLevel::Redacted => names.value,
            };
            let Some(under) = under(name) else { continue };
            let Some(shown) = shown(raw, level, capture.max_bytes) else { continue };
            let (text, whole) = match &shown {
                Ok((text, whole)) => (Ok(&**text), *whole),
                Err(why) => (Err(*why), true),
            };
            let new = redacted(text, under, scan, counts);
            if text.ok() != Some(&*new) {
                masked(name);
            }
            let end = cut(&new, capture.max_bytes);
            span.add(name, Value::Text(&new[..end]));
            if end < new.len() || !whole {
                span.add(names.truncated, Value::Bool(true));
            }
        }
        for Header { key, values } in headers.iter() {
            let Some(under) = under(key) else { continue };
            let mut changed = false;
            let mut value = |value: &Option<Box<str>>| {
                let mut new = redacted(value.as_deref().ok_or(Why::Size), under, scan, counts);
                changed |= value.as_deref() != Some(&*new);
                new.truncate(cut(&new, capture.max_bytes));
                new
            };
            let values: Vec<String> = values.iter().map(&mut value).collect();
            if changed {
                masked(key);
            }
            span.add(key, Value::Texts(&values));
        }
    }
}

/// Gives what of a value is shown at a level, and whether that is all of it; or why it cannot be; `None` where there is
/// nothing.
fn shown(raw: &Raw, level: CaptureLevel, max: usize) -> Option<Result<(Cow<'_, str>, bool), Why>> {
    let text = match raw {
        Raw::Whole(bytes) => std::str::from_utf8(bytes).map_err(|_| Why::Unreadable),
        Raw::Deep => Err(Why::Depth),
        Raw::Cut => Err(Why::Size),
        Raw::Absent | Raw::Unread => return None,
    };
    Some(text.and_then(|text| match level {
        CaptureLevel::Keys => shape(text, max).ok_or(Why::Unreadable),
        CaptureLevel::Off | CaptureLevel::Redacted => Ok((text.into(), true)),
    }))
}

fn shape(text: &str, max: usize) -> Option<(Cow<'_, str>, bool)> {
    let mut out = Vec::new();
    let whole = write_shape(text.as_bytes(), max, &mut out)?;
    Some((String::from_utf8(out).ok()?.into(), whole))
}

/// Gives a text without secrets, or what stands in the place of one that cannot be looked at.
fn redacted(
    text: Result<&str, Why>,
    under: Under,
    scan: &mut Scan<'_>,
    counts: &mut Counts,
) -> String {
    let mut new = String::new();
    match text {
        Ok(text) => redact(text, under, scan, counts, Spot::ATTRIBUTE, &mut new),
        Err(why) => {
            counts.failed(why);
            new.push_str(UNSCANNED);
        }
    }
    new
}

fn redact(
    text: &str,
    under: Under,
    scan: &mut Scan<'_>,
    counts: &mut Counts,
    spot: Spot,
    out: &mut String,
) {
    match scan.text(text, under) {
        Found::Nothing => out.push_str(text),
        Found::Masked => {
            counts.masked(spot, scan.hits());
            out.push_str(scan.output());
        }
        Found::Unscanned(why) => {
            counts.failed(why);
            out.push_str(scan.output());
        }
    }
}

/// Finds where a text of at most so many bytes ends, between two characters.
fn cut(text: &str, max: usize) -> usize {
    (0..=max.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
