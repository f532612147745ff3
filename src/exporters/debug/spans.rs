//! `verbosity: normal`, spans: a line a call.
//!
//! When, which server, which call, how long, how it ended; then what is secondary, client and sizes, as far as
//! it fits. Nothing that tells a call apart is left out for lack of room: such a line is wrapped by the terminal.

use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, status::StatusCode};

use super::page::{Page, Paint, elapsed, size, tame};
use super::zone::Zone;
use crate::telemetry::names;

/// Bounds the name of a server or client, in characters: what is longer is cut.
pub(super) const LONGEST_PARTY: usize = 24;
/// Bounds method, target and ending, likewise: none of them may drive the others off the line.
const LONGEST: usize = 96;
/// Says from which width on a terminal has room for a usual outcome with a code, and what is secondary aligned
/// behind it, in columns.
const WIDE: usize = 100;
/// Counts the columns of time, duration, the outcomes that are usual, and the gaps between them and the two names.
const REST: usize = 38;
/// Gives calls these columns from the first line on: enough for most tools.
const USUAL_CALL: usize = 24;

/// Remembers how wide the columns of names have become, in characters, so that lines of one stay align.
#[derive(Debug, Default)]
pub(super) struct Columns {
    server: AtomicUsize,
    call: AtomicUsize,
    client: AtomicUsize,
}

/// Writes the spans of a batch for a terminal of `width` columns; there is room for all where that is `None`.
/// The SERVER span of a hop is left out: its child is the call.
pub(super) fn batch(
    page: &mut Page,
    all: &[ResourceSpans],
    (zone, columns, width): (&Zone, &Columns, Option<usize>),
) {
    let rows = all.iter().flat_map(|of| {
        let resource = of.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let spans = of.scope_spans.iter().flat_map(|scope| &scope.spans);
        let calls = spans.filter(|span| !flag(&span.attributes, names::HOP));
        calls.map(move |span| Row::new(zone, resource, span))
    });
    let rows: Vec<_> = rows.collect();
    let layout = Layout::new(columns, &rows, width);
    rows.iter().for_each(|row| layout.write(page, row));
}

/// Holds the words of a line, harmless each.
struct Row {
    time: String,
    server: String,
    method: String,
    /// Names tool, prompt or resource, after a space.
    target: String,
    took: String,
    paint: Option<Paint>,
    /// Tells outcome, error type and code, each once.
    ending: String,
    /// Names the client of the session, whoever asked.
    client: String,
    sizes: String,
}

impl Row {
    fn new(zone: &Zone, resource: &[KeyValue], span: &Span) -> Self {
        let own = &span.attributes[..];
        let (method, target) = match text(own, names::METHOD) {
            Some(method) => (method, target(own)),
            None => (&*span.name, None),
        };
        let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
        let took = end.checked_sub(start).filter(|_| start > 0).map(elapsed);
        let client = text(own, names::CLIENT_NAME).unwrap_or_default();
        let (paint, ending) = ending(span);
        Row {
            time: zone.time(start),
            server: tame(server(resource, own), LONGEST_PARTY),
            method: tame(method, LONGEST),
            target: target.map(|target| tame(&format!(" {target}"), LONGEST)).unwrap_or_default(),
            took: took.unwrap_or_else(|| "-".to_owned()),
            paint,
            ending,
            sizes: sizes(own),
            client: tame(client, LONGEST_PARTY),
        }
    }

    fn call_width(&self) -> usize {
        width(&self.method) + width(&self.target)
    }
}

/// Finds whose a call or log record is: the tapped server as the user calls it, or as it calls itself; of what
/// others made, the service.
pub(super) fn server<'a>(resource: &'a [KeyValue], own: &'a [KeyValue]) -> &'a str {
    let named = |attributes, name| text(attributes, name).filter(|name| !name.is_empty());
    let by_server = text(own, names::INITIATOR) == Some("server");
    named(resource, names::SERVER_NAME)
        .or_else(|| named(own, names::SERVER_NAME))
        .or_else(|| named(own, names::SERVER_INFO_NAME))
        .or_else(|| named(own, names::PEER_SERVICE).filter(|_| !by_server))
        .or_else(|| named(resource, names::SERVICE_NAME))
        .unwrap_or_default()
}

fn target(own: &[KeyValue]) -> Option<&str> {
    [names::TOOL, names::PROMPT, names::RESOURCE_URI].iter().find_map(|name| text(own, name))
}

/// Tells how a span ended: outcome, error type and code. Often two of them are one word.
fn ending(span: &Span) -> (Option<Paint>, String) {
    let own = &span.attributes[..];
    let status = span.status.as_ref().map_or(0, |status| status.code);
    let failed = status == StatusCode::Error as i32;
    let outcome = text(own, names::OUTCOME);
    let http = int(own, names::HTTP_STATUS).filter(|status| *status >= 400);
    let code = text(own, names::STATUS_CODE).map(str::to_owned);
    let code = code.or_else(|| int(own, names::STATUS_CODE).map(|code| code.to_string()));
    let error = text(own, names::ERROR_TYPE).filter(|e| *e != http.unwrap_or(0).to_string());
    let mut words = vec![match outcome {
        Some(outcome) => outcome.to_owned(),
        None if failed => "error".to_owned(),
        None if status == StatusCode::Ok as i32 => "ok".to_owned(),
        None if flag(own, names::PASSBACK) => "handed back".to_owned(),
        None => "-".to_owned(),
    }];
    let http = http.map(|status| format!("http {status}"));
    for word in error.map(str::to_owned).into_iter().chain(code).chain(http) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    let paint = match &*words[0] {
        _ if failed => Some(Paint::Red),
        "ok" => Some(Paint::Green),
        _ => outcome.map(|_| Paint::Yellow),
    };
    (paint, tame(&words.join(" "), LONGEST))
}

/// Tells the sizes of request and response: `   120B > 4.1kB`.
fn sizes(own: &[KeyValue]) -> String {
    let bytes = |name| int(own, name).map(size);
    match (bytes(names::REQUEST_SIZE), bytes(names::RESPONSE_SIZE)) {
        (Some(request), Some(response)) => format!("{request:>7} > {response}"),
        (Some(request), None) => format!("{request:>7}"),
        _ => String::new(),
    }
}

/// Holds the widths of the columns, in characters.
struct Layout {
    time: usize,
    server: usize,
    call: usize,
    ending: usize,
    client: usize,
    /// Is the terminal's.
    all: usize,
}

impl Layout {
    /// Fits the columns to what was and to `rows`. A name that is wider than there is room for moves its own
    /// line alone.
    fn new(columns: &Columns, rows: &[Row], width_of_all: Option<usize>) -> Self {
        let widen = |column: &AtomicUsize, widest: Option<usize>| {
            let widest = widest.unwrap_or(0);
            column.fetch_max(widest, Ordering::Relaxed).max(widest)
        };
        let all = width_of_all.unwrap_or(usize::MAX);
        let time = rows.iter().map(|row| width(&row.time)).max().unwrap_or(0);
        let server = widen(&columns.server, rows.iter().map(|row| width(&row.server)).max());
        let client = widen(&columns.client, rows.iter().map(|row| width(&row.client)).max());
        let most_call = all.saturating_sub(REST + server).clamp(16, 34);
        let fitting = rows.iter().map(Row::call_width).filter(|call| *call <= most_call).max();
        let call = widen(&columns.call, fitting).max(USUAL_CALL).min(most_call);
        Layout { time, server, call, client, ending: if all < WIDE { 10 } else { 19 }, all }
    }

    fn write(&self, page: &mut Page, row: &Row) {
        let pad = |column: usize, used: usize| " ".repeat(column.saturating_sub(used));
        let server_gap = pad(self.server, width(&row.server));
        let server_gap = if self.server > 0 { server_gap + "  " } else { server_gap };
        let time = format!("{:1$}  ", row.time, self.time);
        let took = format!(" {:>6}  ", row.took);
        let parts =
            [&time, &*row.server, &server_gap, &row.method, &row.target, &took, &row.ending];
        let least = parts.iter().copied().map(width).sum::<usize>();
        // What is long moves to the left rather than over the edge.
        let call_gap =
            pad(self.call.min(row.call_width() + self.all.saturating_sub(least)), row.call_width());
        let [client, sizes] = self.rest(least + width(&call_gap), row);
        // Where there is a target, that is what tells calls apart.
        let method = (!row.target.is_empty()).then_some(Paint::Dim);
        let cells: [(Option<Paint>, &dyn Display); 8] = [
            (Some(Paint::Dim), &time),
            (Some(Paint::Cyan), &row.server),
            (None, &server_gap),
            (method, &row.method),
            (None, &format_args!("{}{call_gap}{took}", row.target)),
            (row.paint, &row.ending),
            (Some(Paint::Dim), &client),
            (Some(Paint::Dim), &sizes),
        ];
        page.cells(&cells);
    }

    /// Writes client, then sizes, as far as they fit behind `so_far` columns.
    fn rest(&self, so_far: usize, row: &Row) -> [String; 2] {
        let fits = |more: usize| so_far.saturating_add(more) <= self.all;
        let behind = |column: usize, used: usize, text: &str| match text {
            "" => String::new(),
            text => format!("{}{text}", " ".repeat((column + 2).saturating_sub(used).max(2))),
        };
        let ending = width(&row.ending);
        let client = behind(self.ending, ending, &row.client);
        if !fits(width(&client)) {
            return [String::new(), String::new()];
        }
        let column = if self.client > 0 { self.ending + 2 + self.client } else { self.ending };
        let sizes = behind(column, ending + width(&client), &row.sizes);
        let both = fits(width(&client) + width(&sizes));
        [client, if both { sizes } else { String::new() }]
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn value<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Value> {
    let pair = attributes.iter().find(|pair| pair.key == name)?;
    pair.value.as_ref()?.value.as_ref()
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    match value(attributes, name)? {
        Value::StringValue(v) => Some(v),
        _ => None,
    }
}

fn int(attributes: &[KeyValue], name: &str) -> Option<i64> {
    match value(attributes, name)? {
        Value::IntValue(v) => Some(*v),
        _ => None,
    }
}

fn flag(attributes: &[KeyValue], name: &str) -> bool {
    matches!(value(attributes, name), Some(Value::BoolValue(true)))
}
