//! Answers: the bytes before and after.

use super::*;

const SPANS: &str = r#""traces":{"resourceSpans":[{"n":"1"}],"truncated":false}"#;

#[test]
fn the_spans_go_with_whatever_is_empty_without_them() {
    for (before, after) in [
        (r#"{"_meta":{"otel":{SPANS}}}"#, "{}"),
        (r#"{"a":1,"_meta":{"otel":{SPANS}}}"#, r#"{"a":1}"#),
        (r#"{"_meta" : {"otel" : { SPANS } } , "a":1.0}"#, r#"{"a":1.0}"#),
        (r#"{"a":1, "_meta":{"x":0,"otel":{SPANS}} ,"b":2}"#, r#"{"a":1, "_meta":{"x":0} ,"b":2}"#),
        (r#"{"_meta":{"otel":{"logs":{},SPANS}}}"#, r#"{"_meta":{"otel":{"logs":{}}}}"#),
        (r#"{"_meta":{"otel":{SPANS,"x":1},"y":2}}"#, r#"{"_meta":{"otel":{"x":1},"y":2}}"#),
        (r#"{"_meta":{"otel":{"logs":{}}}}"#, r#"{"_meta":{"otel":{"logs":{}}}}"#),
        (r#"{"_meta":{"otel":{}}}"#, r#"{"_meta":{"otel":{}}}"#),
        (
            r#"{"content":[{"_meta":{"otel":{SPANS}}}]}"#,
            r#"{"content":[{"_meta":{"otel":{SPANS}}}]}"#,
        ),
    ] {
        let (before, after) = (before.replace("SPANS", SPANS), after.replace("SPANS", SPANS));
        let answer = |result: &str| format!("{{\"result\" :{result},\r\n\"id\":1 }}");
        assert_eq!(stripped(&answer(&before)).unwrap(), answer(&after));
    }
}

#[test]
fn errors_may_have_them_in_three_places() {
    let meta = format!(r#""_meta":{{"otel":{{{SPANS}}}}}"#);
    let before =
        format!(r#"{{"error":{{"code":1,"data":{{{meta},"why":"x"}},{meta}}},{meta},"id":"a"}}"#);
    assert_eq!(stripped(&before).unwrap(), r#"{"error":{"code":1,"data":{"why":"x"}},"id":"a"}"#);
    let text = r#"{"error":{"data":"text"},"id":1}"#;
    assert_eq!(stripped(text).unwrap(), text);
}

#[test]
fn what_is_not_certain_stays() {
    for (result, why) in [
        (r#"{"_meta":{},"_meta":{}}"#, Unedited::Duplicate),
        (r#"{"_meta":{"ot\u0065l":{}}}"#, Unedited::Escaped),
        (r#"{"_meta":{"otel":{"traces":1,"traces":2}}}"#, Unedited::Duplicate),
    ] {
        assert_eq!(stripped(&format!(r#"{{"id":1,"result":{result}}}"#)), Err(why));
    }
    for flaw in [r#"{"a":NaN}"#, "[1 2]", "[01]"] {
        let spans = format!(r#"{{"_meta":{{"otel":{{{SPANS}}}}},"a":{flaw}}}"#);
        let text = format!(r#"{{"id":1,"result":{spans}}}"#);
        assert_eq!(stripped(&text), Err(Unedited::Invalid), "{text}");
        let none = format!(r#"{{"id":1,"result":{{"a":{flaw}}}}}"#);
        assert_eq!(stripped(&none), Ok(none), "nothing in it goes");
    }
    assert!(matches!(Reply::read(b"[{}]"), Err(Unedited::Batch)));
    for invalid in ["{} x", r#"{"id":1,"result":{"a":"\u12"}}"#, "{\"id\":1,\"result\":[\"\t\"]}"] {
        assert!(matches!(Reply::read(invalid.as_bytes()), Err(Unedited::Invalid)), "{invalid:?}");
    }
    for none in ["", "{}", r#"{"id":null,"error":{}}"#, r#"{"id":1,"method":"ping"}"#] {
        assert!(Reply::read(none.as_bytes()).unwrap().is_none());
    }
}

#[test]
fn a_server_offers_spans_in_either_spelling() {
    let offers = |capabilities: &str| {
        let text = format!(r#"{{"id":0,"result":{{"capabilities":{capabilities}}}}}"#);
        Reply::read(text.as_bytes()).unwrap().unwrap().offers_spans()
    };
    let old =
        r#"{"serverExecutionTelemetry":{"version":"x","signals":{"traces":{"supported":true}}}}"#;
    assert!(offers(old));
    assert!(!offers(&old.replace("true", "false")));
    assert!(offers(r#"{"extensions":{"io.modelcontextprotocol/server-execution-telemetry":{}}}"#));
    assert!(!offers(r#"{"tools":{},"serverExecutionTelemetry":null,"extensions":{}}"#));
    assert!(!offers("[]"));
}
