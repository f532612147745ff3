use super::*;
use proptest::prelude::*;

fn peek(text: &str) -> Message<'_> {
    let (message, used) = Message::peek(text.as_bytes()).unwrap();
    assert_eq!(used, text.len());
    message
}

fn raw(text: Option<Text<'_>>) -> &str {
    text.map_or("", |t| std::str::from_utf8(t.raw()).unwrap())
}

#[test]
fn a_modern_tool_call_tells_all_of_its_parts() {
    let m = peek(
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{"traceparent":"tp",
        "tracestate":"ts","baggage":"b=1","otel":{"traces":{"request":true,"detailed":false}},
        "io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":"p",
        "io.modelcontextprotocol/clientInfo":{"name":"c","title":"C","version":"1"}},
        "inputResponses":{"who":{}},"requestState":"v1.x","name":"book","arguments":{"city":"x"}}}"#,
    );
    assert_eq!(m.shape(), Shape::Request);
    assert!(matches!(m.id, RawId::Number("7")));
    assert_eq!(raw(m.method), "tools/call");
    assert_eq!(raw(m.params.name), "book");
    assert_eq!(m.params.arguments, Part::Whole(br#"{"city":"x"}"#));
    assert!(m.params.input_responses);
    assert_eq!(raw(m.params.request_state), "v1.x");
    let meta = &m.params.meta;
    assert_eq!((raw(meta.traceparent), raw(meta.tracestate)), ("tp", "ts"));
    assert!(meta.baggage && meta.otel);
    assert!(matches!(meta.progress_token, RawId::Text(_)));
    assert_eq!(raw(meta.protocol_version), "2026-07-28");
    assert_eq!((raw(meta.client.name), raw(meta.client.version)), ("c", "1"));
}

#[test]
fn a_result_is_read_wherever_it_stands() {
    let result = r#"{"content":[{"isError":7}],"isError":true,"resultType":"complete"}"#;
    for text in [
        format!(r#"{{"result":{result},"jsonrpc":"2.0","id":"a"}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":"a","result": {result} }}"#),
    ] {
        let m = peek(&text);
        assert_eq!(m.shape(), Shape::Answer);
        assert!(matches!(m.id, RawId::Text(t) if t.is("a")));
        let answer = m.result.unwrap();
        assert_eq!(answer.raw, Part::Whole(result.as_bytes()));
        assert_eq!((answer.is_error, answer.hidden), (Some(true), false));
        assert_eq!(raw(answer.result_type), "complete");
    }
}

#[test]
fn tasks_are_read_flat_and_nested() {
    let nested = peek(r#"{"id":1,"result":{"task":{"taskId":"t","status":"working"}}}"#);
    let flat = peek(r#"{"id":1,"result":{"resultType":"task","taskId":"t","status":"working"}}"#);
    for m in [nested, flat] {
        let answer = m.result.unwrap();
        assert_eq!((raw(answer.task_id), raw(answer.task_status)), ("t", "working"));
    }
    let m = peek(
        r#"{"id":1,"result":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}}"#,
    );
    assert_eq!(raw(m.result.unwrap().meta.related_task), "t");
}

#[test]
fn an_error_gives_code_and_raw_message() {
    let m = peek(r#"{"id":1,"error":{"message":"a\nb","code":-32602,"data":{"code":1}}}"#);
    let error = m.error.unwrap();
    assert_eq!(error.code, Some(-32602));
    assert_eq!(error.message, Part::Whole(br#""a\nb""#));
    assert!(peek(r#"{"id":1,"error":null,"result":{}}"#).error.is_none());
    assert_eq!(peek(r#"{"id":1,"error":"plain"}"#).error.unwrap().code, None);
    assert_eq!(peek(r#"{"id":1,"error":{"code":1.5}}"#).error.unwrap().code, None);
}

#[test]
fn of_a_cut_error_what_was_read_stays() {
    let head = r#"{"jsonrpc":"2.0","error":{"code":-32603,"message":"trace: xx"#;
    let m = Message::peek_cut(head.as_bytes(), br#"xx"},"id":9}"#);
    assert_eq!(m.shape(), Shape::Answer);
    assert!(matches!(m.id, RawId::Number("9")));
    let error = m.error.unwrap();
    assert_eq!((error.code, error.message), (Some(-32603), Part::Cut));
    let m = Message::peek_cut(br#"{"id":9,"error":{"data":["#, br#"]}}"#);
    assert_eq!(m.error.unwrap().code, None);
    let m = Message::peek_cut(br#"{"id":9,"error":{},"error":null,"result":{"#, br#"}}"#);
    assert!(m.error.is_none());
}

#[test]
fn a_task_tells_how_it_ended() {
    let m = peek(
        r#"{"id":1,"result":{"status":"completed","result":{"content":[],"isError":true},"isError":7}}"#,
    );
    let answer = m.result.unwrap();
    assert!(answer.task_is_error && answer.is_error.is_none());
    let m = peek(r#"{"id":1,"result":{"status":"failed","error":{"code":-32602,"message":"m"}}}"#);
    assert!(m.error.is_none());
    assert_eq!(m.result.unwrap().task_error.unwrap().code, Some(-32602));
}

#[test]
fn the_shape_tells_what_a_message_is() {
    for (text, shape) in [
        (r#"{"method":"m","id":0}"#, Shape::Request),
        (r#"{"method":"m","id":"x","result":{}}"#, Shape::Request),
        (r#"{"method":"m"}"#, Shape::Notification),
        (r#"{"method":"m","id":null}"#, Shape::Other),
        (r#"{"method":7,"id":1}"#, Shape::Other),
        (r#"{"id":null,"error":{}}"#, Shape::Answer),
        (r#"{"result":null}"#, Shape::Answer),
        (r#"{"level":"info"}"#, Shape::Other),
        ("{}", Shape::Other),
    ] {
        assert_eq!(peek(text).shape(), shape, "{text}");
    }
}

#[test]
fn of_duplicate_members_the_last_wins() {
    let m = peek(
        r#"{"id":1,"id":2,"method":"a","params":{"name":"x","uri":"u"},"params":{"name":"y"},"method":"b"}"#,
    );
    assert!(matches!(m.id, RawId::Number("2")));
    assert_eq!((raw(m.method), raw(m.params.name), raw(m.params.uri)), ("b", "y", ""));
}

#[test]
fn escaped_keys_are_the_keys_they_spell() {
    let m = peek(r#"{"\u0069d":1,"metho\u0064":"m","bad\ud800":2}"#);
    assert_eq!(m.shape(), Shape::Request);
}

#[test]
fn values_of_another_kind_are_as_if_absent() {
    let m = peek(
        r#"{"jsonrpc":2,"id":1,"method":"m","params":{"name":7,"uri":[],"task":1,"_meta":[1],
        "clientInfo":"x","taskId":null,"progress":"9","total":1e999}}"#,
    );
    assert_eq!(m.shape(), Shape::Request);
    assert!(m.jsonrpc.is_none() && m.params.name.is_none() && m.params.uri.is_none());
    assert!(!m.params.task && m.params.progress.is_none() && m.params.total.is_none());
    assert!(peek(r#"{"method":"m","params":[1,2]}"#).params.name.is_none());
}

#[test]
fn what_is_no_object_is_refused_and_what_follows_is_left() {
    for text in ["", " ", "[1]", "7", "\"x\"", "Server ready", "{\"a\":}", "{", "\u{feff}{}"] {
        assert!(Message::peek(text.as_bytes()).is_err(), "{text}");
    }
    assert_eq!(Message::peek(br#"{"id":1} {"id":2}"#).unwrap().1, 8);
}

/// Every order that servers write, cut inside the big value.
#[test]
fn a_cut_answer_is_told_by_head_and_tail() {
    let filler = "x".repeat(50_000);
    for text in [
        format!(
            r#"{{"result":{{"content":[{{"t":"{filler}"}}],"isError":true}},"jsonrpc":"2.0","id":9}}"#
        ),
        format!(
            r#"{{"jsonrpc":"2.0","id":9,"result":{{"content":[{{"t":"{filler}"}}],"isError":true,"_meta":{{"s":[1]}}}}}}"#
        ),
        format!(r#"{{"id":9,"result":{{"isError":true,"content":[{{"t":"{filler}"}}]}}}}"#),
    ] {
        let (head, tail) = text.split_at(10_000);
        let tail = &tail[tail.len() - 4096..];
        let m = Message::peek_cut(head.as_bytes(), tail.as_bytes());
        assert_eq!(m.shape(), Shape::Answer);
        assert!(matches!(m.id, RawId::Number("9")));
        let answer = m.result.unwrap();
        assert_eq!(answer.is_error, Some(true), "{}", &text[..60]);
        assert_eq!(answer.raw, Part::Cut);
    }
}

/// Gives what the official servers write, and what they could: whether `isError` may stand where nobody looked.
#[test]
fn what_may_be_hidden_in_a_cut_answer_is_told() {
    let big = "x".repeat(50_000);
    let text = format!(r#"{{"type":"text","text":"{big}"}}"#);
    for (result, hidden, is_error) in [
        // Python writes it last, and always.
        (
            format!(r#""content":[{text}],"isError":false,"resultType":"complete""#),
            false,
            Some(false),
        ),
        (
            format!(r#""content":[{text}],"structuredContent":{{"a":"{big}"}},"isError":false"#),
            true,
            Some(false),
        ),
        // TypeScript writes it last, where there is an error.
        (format!(r#""content":[{text}],"isError":true"#), false, Some(true)),
        (format!(r#""content":[{text}]"#), false, None),
        (format!(r#""isError":true,"content":[{text}]"#), false, Some(true)),
        (format!(r#""_meta":{{}},"content":[{{}},{text},{{"a":[1]}}]"#), false, None),
        (format!(r#""content":[{text}],"_meta":{{"a":1}}"#), false, None),
        // In these it may.
        (
            format!(r#""content":[{text}],"isError":true,"structuredContent":{{"a":"{big}"}}"#),
            true,
            None,
        ),
        (format!(r#""content":[{text}],"structuredContent":{{"a":"{big}"}}"#), true, None),
        (
            format!(r#""structuredContent":{{"a":"{big}"}},"isError":true,"content":[{text}]"#),
            true,
            None,
        ),
        (format!(r#""structuredContent":{{"a":["{big}"]}},"content":[{text}]"#), true, None),
        (format!(r#""content":"{big}","isError":true,"x":["{big}"]"#), true, None),
    ] {
        for message in [
            format!(r#"{{"result":{{{result}}},"jsonrpc":"2.0","id":9}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":9,"result":{{{result}}}}}"#),
        ] {
            let (head, tail) = (&message[..10_000], &message[message.len() - 4096..]);
            let m = Message::peek_cut(head.as_bytes(), tail.as_bytes());
            let answer = m.result.unwrap();
            assert_eq!((answer.hidden, answer.is_error), (hidden, is_error), "{}", &message[..80]);
        }
    }
    // The head was cut elsewhere: the result was read whole, or the message is none that can be told.
    let m =
        Message::peek_cut(br#"{"id":9,"result":{"a":1},"x":["#, br#""y"],"z":[{"isError":true}]}"#);
    assert!(!m.result.unwrap().hidden);
    // What ends in no object tells nothing.
    assert!(Message::peek_cut(br#"{"id":9,"result":{"content":["#, b"x").result.unwrap().hidden);
}

/// Wherever an answer is cut, `isError` is seen, or its absence is in doubt.
#[test]
fn an_error_is_never_overlooked_without_a_doubt() {
    for text in [
        r#"{"result":{"content":[{"type":"text","text":"a ]} b"}],"isError":true},"jsonrpc":"2.0","id":9}"#,
        r#"{"id":9,"result":{"content":[{"a":"b"}],"isError":true,"structuredContent":{"c":[1,"]"]}}}"#,
        r#"{"id":9,"result":{"_meta":{"x":[]},"isError":true,"content":[{"a":["b"]}]},"y":[1]}"#,
    ] {
        for at in 0..text.len() {
            for end in 0..text.len() - at {
                let (head, tail) = (&text.as_bytes()[..at], &text.as_bytes()[text.len() - end..]);
                if let Some(answer) = Message::peek_cut(head, tail).result {
                    let told = answer.is_error == Some(true) || answer.hidden;
                    assert!(
                        told || answer.is_error.is_none() && end + at == 0,
                        "{at} {end} {text}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_cut_request_is_told_by_head_and_tail() {
    let filler = "x".repeat(50_000);
    for text in [
        format!(
            r#"{{"method":"tools/call","params":{{"name":"n","arguments":{{"a":"{filler}"}},"_meta":{{"traceparent":"tp"}}}},"jsonrpc":"2.0","id":"q"}}"#
        ),
        format!(
            r#"{{"jsonrpc":"2.0","id":"q","method":"tools/call","params":{{"_meta":{{"traceparent":"tp"}},"arguments":{{"a":"{filler}"}},"name":"n"}}}}"#
        ),
    ] {
        let (head, tail) = text.split_at(10_000);
        let tail = &tail[tail.len() - 4096..];
        let m = Message::peek_cut(head.as_bytes(), tail.as_bytes());
        assert_eq!(m.shape(), Shape::Request);
        assert_eq!(raw(m.params.meta.traceparent), "tp");
        // Behind the arguments it may be the name in another object.
        assert_eq!(raw(m.params.name), if text.ends_with(r#""name":"n"}}"#) { "" } else { "n" });
        assert_eq!(m.params.arguments, Part::Cut);
    }
}

#[test]
fn a_number_that_may_go_on_is_not_believed() {
    let m = Message::peek_cut(br#"{"jsonrpc":"2.0","id":12"#, br#"xx"}]}}"#);
    assert!(matches!(m.id, RawId::Absent));
}

#[test]
fn members_of_values_out_of_sight_are_not_taken_for_ours() {
    // The head ends inside an unknown member; its last members look like an answer's.
    let m = Message::peek_cut(br#"{"jsonrpc":"2.0","id":1,"x":{"y":["#, br#"0],"isError":true}}"#);
    assert_eq!(m.shape(), Shape::Other);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        head in prop::collection::vec(any::<u8>(), 0..200),
        tail in "[\\[\\]{}\":,\\\\a0 ]{0,60}",
    ) {
        drop(Message::peek(&head));
        drop(Message::peek(tail.as_bytes()));
        Message::peek_cut(&head, tail.as_bytes()).shape();
        Message::peek_cut(tail.as_bytes(), &head).shape();
    }
}

#[test]
fn what_is_called_is_not_told_by_an_object_whose_key_is_out_of_sight() {
    for text in [
        r#"{"id":1,"method":"m","params":{"name":"n","uri":"u","arguments":{"a":[1,2]}},"x":{"y":["z"],"uri":"lie","name":"lie"}}"#,
        r#"{"id":1,"method":"m","params":{"arguments":{"a":[1,2]},"name":"n","uri":"u"},"x":{"y":["z"],"uri":"lie","name":"lie"}}"#,
    ] {
        for at in 0..text.len() {
            for end in 0..text.len() - at {
                let (head, tail) = (&text.as_bytes()[..at], &text.as_bytes()[text.len() - end..]);
                let params = Message::peek_cut(head, tail).params;
                assert!(params.name.is_none_or(|n| n.is("n")), "{at} {end}");
                assert!(params.uri.is_none_or(|u| u.is("u")), "{at} {end}");
            }
        }
    }
}

/// Wherever a message is cut, what is told of it is what the whole would tell, or nothing.
#[test]
fn a_cut_message_never_tells_a_lie() {
    let text = r#"{"x":"}\",\"id\":3}","params":{"n":{"id":4},"name":"na\"me","arguments":{"id":[12,"name"]},"_meta":{"progressToken":77}},"id":123,"method":"m"}"#;
    for at in 0..text.len() {
        for end in 0..text.len() - at {
            let (head, tail) = (&text.as_bytes()[..at], &text.as_bytes()[text.len() - end..]);
            let m = Message::peek_cut(head, tail);
            assert!(matches!(m.id, RawId::Absent | RawId::Number("123")), "{at} {end}");
            assert!(m.params.name.is_none_or(|n| n.is("na\"me")), "{at} {end}");
            let token = m.params.meta.progress_token;
            assert!(matches!(token, RawId::Absent | RawId::Number("77")), "{at} {end}");
            assert!(m.method.is_none_or(|n| n.is("m")), "{at} {end}");
        }
    }
}
