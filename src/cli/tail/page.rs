//! Shows calls to people, in the lines that a tap writes on a terminal, or to programs, a JSON object each.

use std::io::{self, Write};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, status::StatusCode,
};
use serde_json::json;

use crate::cli::records::selection::Format;
use crate::exporters::debug::{LiveLines, Timestamp};
use crate::extensions::stats::v1::FinishedCall;
use crate::settings::harmless_json;
use crate::telemetry::names;

/// Prints calls.
pub(super) struct Page<W> {
    out: W,
    format: Format,
    lines: LiveLines,
}

impl<W: Write> Page<W> {
    pub(super) fn new(out: W, format: Format, colours: bool, width: Option<usize>) -> Self {
        Page { out, format, lines: LiveLines::new(colours, width) }
    }

    /// Prints one call, at once.
    pub(super) fn print(&mut self, call: &FinishedCall) -> io::Result<()> {
        match self.format {
            Format::Text => self.out.write_all(self.lines.lines(&[span_of(call)]).as_bytes())?,
            Format::Json => writeln!(self.out, "{}", harmless_json(&json_of(call).to_string()))?,
        }
        self.out.flush()
    }
}

fn json_of(call: &FinishedCall) -> serde_json::Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut out = json!({
        "version": 1,
        "time": Timestamp(call.start_unix_nano).to_string(),
        "server": call.server,
        "method": call.method,
        "outcome": call.outcome,
        "duration_ms": call.duration_nanos as f64 / 1e6,
    });
    let (trace, span) = (hex(&call.trace_id), hex(&call.span_id));
    let texts = [
        ("tool", &call.tool),
        ("prompt", &call.prompt),
        ("client", &call.client),
        ("session", &call.session),
        ("error_type", &call.error_type),
        ("trace_id", &trace),
        ("span_id", &span),
    ];
    for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        out[key] = text.as_str().into();
    }
    let sizes = [("request_bytes", call.request_bytes), ("response_bytes", call.response_bytes)];
    for (key, bytes) in sizes.into_iter().filter_map(|(key, bytes)| Some((key, bytes?))) {
        out[key] = bytes.into();
    }
    for (key, is) in [("from_server", call.from_server), ("doubtful", call.doubtful)] {
        if is {
            out[key] = true.into();
        }
    }
    out
}

/// Makes a span of a call again, as far as a line shows it.
fn span_of(call: &FinishedCall) -> ResourceSpans {
    let texts = [
        (names::METHOD, &*call.method),
        (names::TOOL, &call.tool),
        (names::PROMPT, &call.prompt),
        (names::OUTCOME, &call.outcome),
        (names::ERROR_TYPE, &call.error_type),
        (names::CLIENT_NAME, &call.client),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let texts = texts.map(|(name, text)| attribute(name, Value::StringValue(text.to_owned())));
    let sizes =
        [(names::REQUEST_SIZE, call.request_bytes), (names::RESPONSE_SIZE, call.response_bytes)];
    let sizes = sizes.into_iter().filter_map(|(name, bytes)| {
        Some(attribute(name, Value::IntValue(i64::try_from(bytes?).unwrap_or(i64::MAX))))
    });
    let failed = !call.error_type.is_empty();
    let status =
        Status { code: if failed { StatusCode::Error as i32 } else { 0 }, ..Default::default() };
    let span = Span {
        start_time_unix_nano: call.start_unix_nano,
        end_time_unix_nano: call.start_unix_nano.saturating_add(call.duration_nanos),
        attributes: texts.chain(sizes).collect(),
        status: Some(status),
        ..Span::default()
    };
    let server = attribute(names::SERVER_NAME, Value::StringValue(call.server.clone()));
    ResourceSpans {
        resource: Some(Resource { attributes: vec![server], ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

fn attribute(name: &str, value: Value) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(call: &FinishedCall, format: Format) -> String {
        let mut out = Vec::new();
        Page::new(&mut out, format, false, None).print(call).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn call() -> FinishedCall {
        FinishedCall {
            start_unix_nano: 1_795_200_122_123_456_789,
            duration_nanos: 12_300_000,
            server: "files".into(),
            method: "tools/call".into(),
            tool: "read_file".into(),
            client: "editor".into(),
            outcome: "tool_error".into(),
            error_type: "tool_error".into(),
            request_bytes: Some(120),
            response_bytes: Some(4100),
            ..FinishedCall::default()
        }
    }

    #[test]
    fn a_line_tells_when_where_what_how_long_and_how_it_ended() {
        let line = shown(&call(), Format::Text);
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let expected = [
            "files",
            "tools/call",
            "read_file",
            "12.3ms",
            "tool_error",
            "editor",
            "120B",
            ">",
            "4.1kB",
        ];
        assert_eq!(words, expected, "{line}");
        assert!(line.contains(":02.123"), "{line}");
    }

    #[test]
    fn nothing_that_a_peer_says_steers_a_terminal() {
        let hostile =
            FinishedCall { tool: format!("a\u{1b}[2J\n\u{202e}{}", "x".repeat(10_000)), ..call() };
        for format in [Format::Text, Format::Json] {
            let shown = shown(&hostile, format);
            assert!(
                shown.lines().count() == 1 && !shown.contains(['\u{1b}', '\u{202e}']),
                "{shown}"
            );
        }
        assert!(shown(&hostile, Format::Text).len() < 400);
    }

    #[test]
    fn an_object_has_what_is_known() {
        let object: serde_json::Value =
            serde_json::from_str(&shown(&call(), Format::Json)).unwrap();
        assert_eq!(object["version"], 1);
        assert_eq!((&object["tool"], &object["duration_ms"]), (&json!("read_file"), &json!(12.3)));
        assert_eq!((&object["response_bytes"], object.get("session")), (&json!(4100), None));
    }
}
