//! Checks which content is kept for redaction, by server and tool, wherever the answer comes.

use super::*;
use crate::mcp::{CaptureRule, CaptureRules};
use crate::telemetry::{Capture, CaptureLevel, Needs, Raw};

/// A tap that captures all of `one`'s calls but those of the tool `quiet`, and nothing of others.
fn tap() -> Tap {
    let all = |level| Capture { arguments: level, results: level, errors: level, max_bytes: 9 };
    let rule = |server: Option<&str>, tool: Option<&str>, level| CaptureRule {
        server: server.map(Into::into),
        tool: tool.map(Into::into),
        capture: all(level),
    };
    let rules = vec![
        rule(Some("on*"), None, CaptureLevel::Redacted),
        rule(Some("one"), Some("qu*t"), CaptureLevel::Off),
    ];
    let capture = CaptureRules { usual: Capture::default(), rules };
    let mut tap = Tap::with(Settings { capture, ..Settings::default() });
    tap.http.keep(Needs { secrets: true, ..Needs::NONE });
    tap
}

fn ask(id: u32, tool: &str) -> String {
    format!(
        r#"{{"id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"a":{id}}}}}}}"#
    )
}

fn whole(text: &str) -> Raw {
    Raw::Whole(bytes::Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn each_server_and_tool_has_its_own() {
    let mut tap = tap();
    for (server, tool, kept) in [(0, "t", true), (0, "quiet", false), (1, "t", false)] {
        let x = tap.send(&RequestHead { server, ..POST }, &ask(1, tool));
        let seen = tap.reply(x, 200, &ok(1)).only().seen;
        assert_eq!(seen.capture.arguments != CaptureLevel::Off, kept, "{server} {tool}");
        let (arguments, result) = match kept {
            true => (whole(r#"{"a":1}"#), whole("{}")),
            false => (Raw::Unread, Raw::Unread),
        };
        assert_eq!((seen.arguments, seen.result), (arguments, result), "{server} {tool}");
    }
}

#[test]
fn of_a_batch_only_the_calls_that_are_captured() {
    let mut tap = tap();
    let x = tap.post(&format!("[{},{}]", ask(1, "t"), ask(2, "quiet")));
    let failed = r#"{"id":2,"result":{"isError":true,"content":[{"type":"text","text":"why"}]}}"#;
    tap.reply(x, 200, &format!("[{failed},{}]", ok(1)));
    let spans = tap.spans();
    let kept: Vec<_> = spans.iter().map(|done| done.seen.arguments.clone()).collect();
    assert_eq!(kept, [Raw::Unread, whole(r#"{"a":1}"#)]);
    assert_eq!(spans[0].seen.error_text, Raw::Absent);
}

#[test]
fn an_answer_on_a_resumed_stream_is_kept_like_any_other() {
    let mut tap = tap();
    tap.session();
    let x = tap.say(&ask(1, "t"));
    tap.stream(x).event_with_id(x, "e1", "");
    tap.end(x);
    let resumed = RequestHead { session: Some(b"s"), resumes: true, ..GET };
    let y = tap.begin(&resumed);
    tap.http.ended(y, C, tap.now);
    let failed = r#"{"id":1,"result":{"isError":true,"content":[{"type":"text","text":"why"}]}}"#;
    tap.stream(y).event_with_id(y, "e2", failed);
    let done = tap.only();
    assert_eq!(done.outcome(), "tool_error");
    assert_eq!(done.seen.arguments, whole(r#"{"a":1}"#));
    assert_eq!(done.seen.error_text, whole(r#""why""#));
}

#[test]
fn what_has_no_room_is_cut_and_counted() {
    let usual = Capture { results: CaptureLevel::Redacted, ..Capture::default() };
    let capture = CaptureRules { usual, rules: Vec::new() };
    let mut tap = Tap::with(Settings { capture, max_content_bytes: 50, ..Settings::default() });
    tap.http.keep(Needs { secrets: true, ..Needs::NONE });
    let x = tap.post(&ask(1, "t"));
    let long = format!(r#"{{"id":1,"result":{{"x":"{}"}}}}"#, "y".repeat(60));
    assert_eq!(tap.reply(x, 200, &long).only().seen.result, Raw::Cut);
    assert_eq!(tap.counts().content_dropped, 1);
}
