//! Checks which content is kept for the redaction behind a tap, where nobody else reads it.

use super::*;
use crate::mcp::{CaptureRule, CaptureRules};
use crate::telemetry::{Capture, CaptureLevel, Needs};

const CALL: &str = r#"{"id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":1}}}"#;

fn tap(usual: Capture, rules: Vec<CaptureRule>) -> Tap {
    let capture = CaptureRules { usual, rules };
    let mut tap = Tap::with(Settings { capture, ..Settings::default() });
    tap.session.keep(Needs::NONE);
    tap
}

fn whole(text: &str) -> Raw {
    Raw::Whole(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn only_what_is_captured_is_kept() {
    let off = Capture::default();
    let failed = r#"{"id":1,"result":{"content":[{"type":"image","data":"x"},{"type":"text","text":"no \"key\""}],"isError":true}}"#;
    let done = tap(off, Vec::new()).c(CALL).s(failed).only();
    assert_eq!((done.seen.arguments, done.seen.result), (Raw::Unread, Raw::Unread));
    assert_eq!(done.seen.error_text, Raw::Absent);
    let errors = Capture { errors: CaptureLevel::Redacted, ..off };
    let done = tap(errors, Vec::new()).c(CALL).s(failed).only();
    assert_eq!(done.seen.error_text, whole(r#""no \"key\"""#));
    assert_eq!((done.seen.arguments, done.seen.result), (Raw::Unread, Raw::Unread));
    assert_eq!(done.seen.capture, errors);
    let arguments =
        Capture { arguments: CaptureLevel::Keys, results: CaptureLevel::Redacted, ..off };
    let done = tap(arguments, Vec::new()).c(CALL).s(r#"{"id":1,"result":{"x":[]}}"#).only();
    assert_eq!(
        (done.seen.arguments, done.seen.result),
        (whole(r#"{"a":1}"#), whole(r#"{"x":[]}"#))
    );
}

#[test]
fn errors_of_all_methods_are_captured_and_contents_of_tools_alone() {
    let level = CaptureLevel::Redacted;
    let all = Capture { arguments: level, results: level, errors: level, ..Capture::default() };
    let request = r#"{"id":1,"method":"prompts/get","params":{"name":"p","arguments":{"a":"b"}}}"#;
    let done =
        tap(all, Vec::new()).c(request).s(r#"{"id":1,"error":{"code":1,"message":"no"}}"#).only();
    assert_eq!((done.seen.arguments, done.seen.error_text), (Raw::Unread, whole(r#""no""#)));
    let rule = CaptureRule { tool: Some("t".into()), ..CaptureRule::default() };
    let done = tap(all, vec![rule]).c(CALL).s(r#"{"id":1,"result":{}}"#).only();
    assert_eq!((done.seen.arguments, done.seen.capture), (Raw::Unread, Capture::default()));
}

#[test]
fn why_a_tool_failed_is_the_first_text_of_its_result() {
    let errors = Capture { errors: CaptureLevel::Redacted, ..Capture::default() };
    let said = |result: &str| {
        let answer = format!(r#"{{"id":1,"result":{result}}}"#);
        tap(errors, Vec::new()).c(CALL).s(&answer).only().seen.error_text
    };
    let text = |text: &str| format!(r#"{{"type":"text","text":"{text}"}}"#);
    let (one, two) = (text("one"), text("two"));
    assert_eq!(said(&format!(r#"{{"isError":true,"content":[{one},{two}]}}"#)), whole("\"one\""));
    // Of members that come twice the last counts, as everywhere.
    let twice = format!(r#"{{"isError":true,"content":[{one}],"content":[{two}]}}"#);
    assert_eq!(said(&twice), whole("\"two\""));
    for silent in [
        r#"{"isError":true}"#,
        r#"{"isError":true,"content":"x"}"#,
        r#"{"isError":true,"content":[{"type":"text","text":5},[],{"resource":{"text":"x"}}]}"#,
        r#"{"isError":false,"content":[{"type":"text","text":"fine"}]}"#,
    ] {
        assert_eq!(said(silent), Raw::Absent, "{silent}");
    }
}

#[test]
fn what_a_task_says_of_its_failure_stands_within_what_is_told_of_it() {
    let errors = Capture { errors: CaptureLevel::Redacted, ..Capture::default() };
    let look = r#"{"id":1,"method":"tasks/get","params":{"taskId":"k","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let answer = r#"{"id":1,"result":{"taskId":"k","status":"completed","content":[{"text":"no"}],"result":{"isError":true,"content":[{"type":"text","text":"why"}]}}}"#;
    let done = tap(errors, Vec::new()).c(look).s(answer).only();
    assert_eq!((done.outcome(), &done.seen.error_text), ("tool_error", &whole("\"why\"")));
}

#[test]
fn a_text_that_was_not_seen_is_cut() {
    let capture = CaptureRules {
        usual: Capture { errors: CaptureLevel::Redacted, ..Capture::default() },
        ..CaptureRules::default()
    };
    let mut tap = Tap::with(Settings { capture, max_message_bytes: 64, ..Settings::default() });
    tap.session.keep(Needs::NONE);
    let long = "x".repeat(200);
    let answer = format!(
        r#"{{"id":1,"result":{{"content":[{{"type":"text","text":"{long}"}}],"isError":true}}}}"#
    );
    let done = tap.c(r#"{"id":1,"method":"tools/call","params":{}}"#).s(&answer).only();
    assert_eq!((done.outcome(), &done.seen.error_text), ("tool_error", &Raw::Cut));
}
