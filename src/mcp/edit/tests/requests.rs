//! Requests: the bytes before and after.

use super::*;

/// A call whose `params` are `_meta` with these members.
fn call(meta: &str) -> String {
    let params = r#"{"name":"t","arguments":{"n":1.50e+3,"n":1},"_meta":META}"#;
    format!(r#"{{"id":7,"method":"tools/call","params":{}}}"#, params.replace("META", meta))
}

#[test]
fn what_is_missing_is_added_at_the_end_of_what_is_there() {
    let context = format!(r#""traceparent":"{NEW}""#);
    let meta = format!(r#""_meta":{{{context}}}"#);
    for (before, after) in [
        (
            r#"{"method":"tools/call","id":1}"#,
            format!(r#"{{"method":"tools/call","id":1,"params":{{{meta}}}}}"#),
        ),
        (
            r#"{"id":1,"params":{},"method":"resources/read"}"#,
            format!(r#"{{"id":1,"params":{{{meta}}},"method":"resources/read"}}"#),
        ),
        (
            r#"{"id":1,"params":{ "name" : "x" } ,"method":"prompts/get"}"#,
            format!(r#"{{"id":1,"params":{{ "name" : "x",{meta} }} ,"method":"prompts/get"}}"#),
        ),
        (&call("{ }"), call(&format!("{{{context} }}"))),
        (&call(r#"{"progressToken":0}"#), call(&format!(r#"{{"progressToken":0,{context}}}"#))),
    ] {
        assert_eq!(edited(before, &INJECT).unwrap(), after);
    }
}

#[test]
fn a_valid_context_is_gone_on_from_and_its_state_and_baggage_stay() {
    let before =
        call(&format!(r#"{{"tracestate":"k=\u0076","traceparent" : "{VALID}","baggage":"a=b"}}"#));
    assert_eq!(edited(&before, &INJECT).unwrap(), before.replace(VALID, NEXT));
    let unsampled = before.replace("b7-01", "b7-00");
    let after = before.replace(VALID, &NEXT.replace("cd-01", "cd-00"));
    assert_eq!(edited(&unsampled, &INJECT).unwrap(), after);
    let later = before.replace(VALID, &format!("cc{}-later", &VALID[2..53].to_owned()));
    assert_eq!(
        edited(&later.replace("-later", "03-later"), &INJECT).unwrap(),
        before.replace(VALID, &NEXT.replace("cd-01", "cd-03")),
        "of the flags those that are known are passed on"
    );
}

#[test]
fn a_state_without_a_valid_context_is_stale_and_goes_and_baggage_stays() {
    for (before, after) in [
        (r#"{"tracestate":"k=v"}"#, r#"{"traceparent":"NEW"}"#),
        (r#"{"a":1, "tracestate":"k=v" ,"b":2}"#, r#"{"a":1, "traceparent":"NEW" ,"b":2}"#),
        (r#"{"traceparent":"bad","tracestate":"k=v","x":1}"#, r#"{"traceparent":"NEW","x":1}"#),
        (r#"{"tracestate":1,"traceparent":null}"#, r#"{"traceparent":"NEW"}"#),
        (r#"{"baggage":"k=v", "traceparent":[ 1 ]}"#, r#"{"baggage":"k=v", "traceparent":"NEW"}"#),
    ] {
        assert_eq!(edited(&call(before), &INJECT).unwrap(), call(&after.replace("NEW", NEW)));
    }
}

#[test]
fn a_context_from_around_the_message_brings_its_state() {
    let carrier = TraceContext::parse(VALID.as_bytes(), Some("v=\"1\""));
    let wish = PassbackRequester { carrier, ..INJECT };
    let state = r#""tracestate":"v=\"1\"""#;
    for (before, after) in [
        ("{}", format!(r#"{{"traceparent":"{NEXT}",{state}}}"#)),
        (r#"{"tracestate":"k=v"}"#, format!(r#"{{{state},"traceparent":"{NEXT}"}}"#)),
        (r#"{"traceparent":""}"#, format!(r#"{{"traceparent":"{NEXT}",{state}}}"#)),
    ] {
        assert_eq!(edited(&call(before), &wish).unwrap(), call(&after));
    }
    let own = call(&format!(r#"{{"traceparent":"{}"}}"#, VALID.replace("0af7", "0bf7")));
    let after = own.replace(
        "0bf7651916cd43dd8448eb211c80319c-00f067aa0ba902b7",
        "0bf7651916cd43dd8448eb211c80319c-cdcdcdcdcdcdcdcd",
    );
    assert_eq!(edited(&own, &wish).unwrap(), after, "its own goes first");
}

#[test]
fn servers_are_asked_where_the_client_did_not_ask_or_refuse() {
    for (before, after) in [
        ("{}", Ok(format!("{{{ASK}}}"))),
        (r#"{"a":1}"#, Ok(format!(r#"{{"a":1,{ASK}}}"#))),
        (r#"{"otel":{}}"#, Ok(format!("{{{ASK}}}"))),
        (
            r#"{"otel":{"logs":{}}}"#,
            Ok(format!("{{{}}}", ASK.replace("\"traces\"", "\"logs\":{},\"traces\""))),
        ),
        (
            r#"{"otel":{"traces":{"request":true}}}"#,
            Ok(r#"{"otel":{"traces":{"request":true}}}"#.to_owned()),
        ),
        (r#"{"otel":{"traces":{"request":false}}}"#, Err(Unedited::Declined)),
        (r#"{"otel":{"traces":{"request":1}}}"#, Err(Unedited::OddRequest)),
        (r#"{"otel":{"traces":{}}}"#, Err(Unedited::OddRequest)),
        (r#"{"otel":{"traces":true}}"#, Err(Unedited::OddRequest)),
        (r#"{"otel":null}"#, Err(Unedited::NotAnObject)),
        (r#"{"otel":{},"otel":{}}"#, Err(Unedited::Duplicate)),
        (r#"{"otel":{"tr\u0061ces":{"request":true}}}"#, Err(Unedited::Escaped)),
    ] {
        assert_eq!(edited(&call(before), &ONLY_ASK), after.map(|meta| call(&meta)), "{before}");
    }
    let both = edited(&call("{}"), &BOTH).unwrap();
    assert_eq!(both, call(&format!(r#"{{"traceparent":"{NEW}",{ASK}}}"#)));
}

#[test]
fn what_is_not_certain_stays() {
    for (text, why) in [
        (r#"[{"id":1,"method":"tools/call"}]"#, Unedited::Batch),
        (r#"{"id":1,"method":"tools/call"} {}"#, Unedited::Invalid),
        (r#"{"id":1,"method":"tools/call""#, Unedited::Invalid),
        ("listening on stdio", Unedited::Invalid),
        ("{\"id\":1,\"method\":\"tools/call\",\"params\":{\"a\":\"\t\"}}", Unedited::Invalid),
        (r#"{"id":1,"method":"tools/call","params":{"a":["\x41"]}}"#, Unedited::Invalid),
        (r#"{"id":1,"method":"tools/call","params":[]}"#, Unedited::NotAnObject),
        (r#"{"id":1,"method":"tools/call","params":null}"#, Unedited::NotAnObject),
        (&call("3"), Unedited::NotAnObject),
        (r#"{"id":1,"method":"tools/call","params":{},"params":{}}"#, Unedited::Duplicate),
        (r#"{"id":1,"method":"tools/call","method":"ping"}"#, Unedited::Duplicate),
        (r#"{"id":1,"method":"tools/call","params":{"_meta":{},"_meta":{}}}"#, Unedited::Duplicate),
        (r#"{"id":1,"method":"tools/call","params":{"\u005fmeta":{}}}"#, Unedited::Escaped),
        (r#"{"id":1,"method":"tools/call","p\u0061rams":{}}"#, Unedited::Escaped),
        (&call(&format!(r#"{{"traceparent":"{VALID}","traceparent":""}}"#)), Unedited::Duplicate),
        (&call(r#"{"trac\u0065parent":""}"#), Unedited::Escaped),
        (&call(r#"{"tracestate":"","tracestate":""}"#), Unedited::Duplicate),
    ] {
        assert_eq!(edited(text, &INJECT), Err(why), "{text}");
    }
    let deep = format!(
        r#"{{"id":1,"method":"tools/call","params":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    assert_eq!(edited(&deep, &INJECT), Err(Unedited::Invalid));
}

/// Peers read such texts each in its own way, so nobody knows what a change would make of them.
#[test]
fn what_is_not_json_to_the_letter_stays() {
    let flaws: [&[u8]; 9] = [
        br#"{"a":NaN}"#,
        br#"{"a":[-Infinity]}"#,
        b"{\"a\":\"\xff\"}",
        b"{\"a\":{\"\xc3\":1}}",
        br#"{"a":[1 2]}"#,
        br#"{"a":{"b" 1}}"#,
        br#"{"a":[01]}"#,
        br#"{"a":[tru]}"#,
        br#"{"a":[1,]}"#,
    ];
    for flaw in flaws {
        let call = |more: &[u8]| {
            [br#"{"id":1,"method":"tools/call","params":{"arguments":"#, flaw, more, b"}}"].concat()
        };
        for text in [call(b""), call(br#","_meta":{"otel":{}}"#)] {
            for wish in [&INJECT, &ONLY_ASK] {
                let why = edit(&text, wish).unwrap_err();
                assert_eq!(why, Unedited::Invalid, "{}", String::from_utf8_lossy(&text));
            }
            assert!(Request::read(&text).unwrap().is_some(), "its id is known all the same");
        }
    }
    assert!(Request::read(br#"{"id":NaN,"method":"tools/call"}"#).unwrap().is_none());
}

#[test]
fn what_is_no_such_request_is_nothing_to_edit() {
    for text in [
        "",
        " \r",
        r#"{"id":1,"method":"tools/list","params":{"_meta":{}}}"#,
        r#"{"method":"tools/call","params":{}}"#,
        r#"{"id":null,"method":"tools/call","params":{}}"#,
        r#"{"id":1,"result":{"_meta":{}}}"#,
        r#"{"id":1,"method":7}"#,
    ] {
        assert_eq!(edited(text, &BOTH).unwrap(), text);
    }
}

#[test]
fn methods_and_ids_are_read_however_they_are_written() {
    let text = r#"{"id":"a\"","method":"tools\/call"}"#;
    let request = Request::read(text.as_bytes()).unwrap().unwrap();
    assert_eq!(request.method, Method::Call);
    assert_eq!(id(text), Some(Id::Text("a\"".into())));
    assert_eq!(id(r#"{"id":1e0,"method":"x"}"#), Some(Id::Int(1)));
    let modern = call(r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#);
    assert!(Request::read(modern.as_bytes()).unwrap().unwrap().target().unwrap().modern);
    assert!(!Request::read(call("{}").as_bytes()).unwrap().unwrap().target().unwrap().modern);
}
