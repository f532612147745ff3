//! Text for a terminal, built from values that nobody trusts.

use std::fmt::{self, Arguments, Write};

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};

use crate::settings::steers;
use crate::telemetry::Nanos;

/// The longest line, in bytes of text: what is longer is nobody's to read on a terminal.
const MAX_LINE: usize = 1024;

/// Says how deep values are followed: past this they are only named.
const MAX_DEPTH: usize = 16;

/// Names what a word is painted like.
#[derive(Clone, Copy)]
pub(super) enum Paint {
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

/// Lines of text. Everything goes through [`line`](Page::line), which escapes and cuts.
pub(super) struct Page {
    text: String,
    colours: bool,
}

impl Page {
    pub(super) fn new(colours: bool) -> Self {
        Page { text: String::new(), colours }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// One line, whatever is in it.
    pub(super) fn line(&mut self, content: Arguments<'_>) {
        self.cells(&[(None, &content)]);
    }

    /// One line of cells, each painted or not. Painting is added after escaping, so no value can.
    pub(super) fn cells(&mut self, cells: &[(Option<Paint>, &dyn fmt::Display)]) {
        let mut left = MAX_LINE;
        let start = self.text.len();
        for (paint, content) in cells {
            let paint = paint.filter(|_| self.colours);
            let before = self.text.len();
            if let Some(paint) = paint {
                self.raw(format_args!("\x1b[{}m", paint as u8));
            }
            let empty = self.text.len();
            let mut tame = Tame { out: &mut self.text, left };
            // Writing into a String cannot fail.
            write!(tame, "{content}").unwrap_or_default();
            left = tame.left;
            if self.text.len() == empty {
                self.text.truncate(before);
            } else if paint.is_some() {
                self.raw(format_args!("\x1b[0m"));
            }
        }
        let end = start + self.text[start..].trim_end_matches(' ').len();
        self.text.truncate(end);
        self.text.push('\n');
    }

    fn raw(&mut self, content: Arguments<'_>) {
        self.text.write_fmt(content).unwrap_or_default();
    }
}

/// Makes a text harmless and at most `most` characters long, with `...` behind what was cut.
pub(super) fn tame(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut left = most;
    for c in text.chars() {
        let before = out.len();
        if steers(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        match left.checked_sub(out[before..].chars().count()) {
            Some(rest) => left = rest,
            None => {
                out.truncate(before);
                out.push_str("...");
                break;
            }
        }
    }
    out
}

/// Lets through what a terminal only shows; everything else becomes an escape as in Rust source.
struct Tame<'a> {
    out: &'a mut String,
    left: usize,
}

impl Write for Tame<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for c in s.chars() {
            if self.left == 0 {
                return Ok(());
            }
            let before = self.out.len();
            if steers(c) {
                self.out.extend(c.escape_default());
            } else {
                self.out.push(c);
            }
            self.left = self.left.saturating_sub(self.out.len() - before);
            if self.left == 0 {
                self.out.push_str("...");
            }
        }
        Ok(())
    }
}

/// A value with its type, as the Collector's debug exporter writes it: `Str(x)`, `Int(3)`.
pub(super) struct Typed<'a>(pub(super) Option<&'a AnyValue>);

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        typed(f, self.0, MAX_DEPTH)
    }
}

fn typed(f: &mut fmt::Formatter<'_>, value: Option<&AnyValue>, depth: usize) -> fmt::Result {
    match value.and_then(|v| v.value.as_ref()) {
        None => f.write_str("Empty()"),
        Some(Value::StringValue(v)) => write!(f, "Str({v})"),
        Some(Value::BoolValue(v)) => write!(f, "Bool({v})"),
        Some(Value::IntValue(v)) => write!(f, "Int({v})"),
        Some(Value::DoubleValue(v)) => write!(f, "Double({v:?})"),
        Some(Value::BytesValue(v)) => write!(f, "Bytes({} bytes)", v.len()),
        Some(Value::StringValueStrindex(v)) => write!(f, "StrIndex({v})"),
        Some(Value::ArrayValue(_) | Value::KvlistValue(_)) if depth == 0 => f.write_str("..."),
        Some(Value::ArrayValue(v)) => {
            f.write_str("Slice(")?;
            for (i, value) in v.values.iter().enumerate() {
                f.write_str(if i > 0 { ", " } else { "" })?;
                typed(f, Some(value), depth - 1)?;
            }
            f.write_str(")")
        }
        Some(Value::KvlistValue(v)) => {
            f.write_str("Map(")?;
            for (i, pair) in v.values.iter().enumerate() {
                write!(f, "{}{}: ", if i > 0 { ", " } else { "" }, pair.key)?;
                typed(f, pair.value.as_ref(), depth - 1)?;
            }
            f.write_str(")")
        }
    }
}

/// Shows a time as RFC 3339 has it, in UTC, to the nanosecond.
pub(crate) struct Timestamp(pub(crate) Nanos);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0 / NANOS_A_DAY);
        let (h, m, s) = clock(self.0);
        let nanos = self.0 % 1_000_000_000;
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{nanos:09}Z")
    }
}

const NANOS_A_DAY: u64 = 86_400 * 1_000_000_000;

fn clock(t: Nanos) -> (u64, u64, u64) {
    let seconds = t % NANOS_A_DAY / 1_000_000_000;
    (seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The Gregorian date of a day counted from 1970-01-01. Years are taken to begin in March, so that the
/// leap day is their last and months have a regular length.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let since_march_0000 = days + 719_468;
    let era = since_march_0000 / DAYS_IN_400_YEARS;
    let day = since_march_0000 % DAYS_IN_400_YEARS;
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + carry, month, day_of_month)
}

/// Says how long something took, in three or four digits and at most six characters below 100 minutes.
pub(super) fn elapsed(nanos: Nanos) -> String {
    let n = nanos as f64;
    match nanos {
        0..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{:.0}us", n / 1e3),
        1_000_000..10_000_000 => format!("{:.2}ms", n / 1e6),
        10_000_000..100_000_000 => format!("{:.1}ms", n / 1e6),
        100_000_000..1_000_000_000 => format!("{:.0}ms", n / 1e6),
        1_000_000_000..60_000_000_000 => format!("{:.2}s", n / 1e9),
        _ => format!("{}m{:02}s", nanos / 60_000_000_000, nanos / 1_000_000_000 % 60),
    }
}

/// A size in bytes, in two to four digits.
pub(super) fn size(bytes: i64) -> String {
    match bytes {
        ..1_000 => format!("{bytes}B"),
        1_000..1_000_000 => format!("{:.1}kB", bytes as f64 / 1e3),
        _ => format!("{:.1}MB", bytes as f64 / 1e6),
    }
}
