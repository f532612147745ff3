//! Long answers, observed at both ends: what may stand where nobody looked.

use super::*;

/// A call that is answered by a result with that, cut behind 1,000 bytes: its outcome, and whether it is in
/// doubt.
fn answered(call: &str, answer: &str) -> (String, bool) {
    let mut tap = Tap::with(Settings { max_message_bytes: 1000, ..Settings::default() });
    let done = tap.c(call).s(answer).only();
    assert_eq!(done.get(names::OBSERVED), "cut");
    (done.outcome().to_owned(), !done.get(names::DOUBTFUL).is_empty())
}

#[test]
fn an_end_that_may_stand_where_nobody_looked_is_in_doubt() {
    let big = "x".repeat(20_000);
    let content = format!(r#""content":[{{"type":"text","text":"{big}"}}]"#);
    let structured = format!(r#""structuredContent":{{"a":"{big}"}}"#);
    let legacy =
        |method: &str| format!(r#"{{"id":1,"method":"{method}","params":{{"name":"t"}}}}"#);
    let modern = |method: &str| {
        format!(
            r#"{{"id":1,"method":"{method}","params":{{"name":"t","_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
        )
    };
    let (call, ask) = (legacy("tools/call"), modern("tools/call"));
    for (request, result, outcome, doubtful) in [
        (&call, format!("{content},\"isError\":true"), "tool_error", false),
        (&call, format!("{content},\"isError\":false"), "ok", false),
        (&call, content.clone(), "ok", false),
        (&call, format!("{content},\"isError\":true,{structured}"), "ok", true),
        (&call, format!("{content},{structured}"), "ok", true),
        (&call, format!("{content},{structured},\"isError\":false"), "ok", false),
        (&call, format!("\"isError\":false,{content},{structured}"), "ok", false),
        (&ask, format!("{content},{structured},\"isError\":false"), "ok", true),
        (
            &ask,
            format!("{content},{structured},\"isError\":false,\"resultType\":\"complete\""),
            "ok",
            false,
        ),
        (&ask, format!("\"resultType\":\"complete\",{content}"), "ok", false),
        (
            &ask,
            format!("\"inputRequests\":{{\"a\":\"{big}\"}},\"x\":{{\"y\":\"{big}\"}}"),
            "ok",
            true,
        ),
        (&modern("resources/read"), format!("\"contents\":[\"{big}\"]"), "ok", true),
        (
            &modern("resources/read"),
            format!("\"contents\":[\"{big}\"],\"resultType\":\"complete\""),
            "ok",
            false,
        ),
        (&modern("tools/list"), format!("\"tools\":[\"{big}\"]"), "ok", false),
        (&legacy("resources/read"), format!("\"contents\":[\"{big}\"]"), "ok", false),
        (&legacy("tasks/result"), structured.clone(), "ok", true),
        (
            &modern("tasks/get"),
            format!("\"status\":\"completed\",\"result\":{{{content},{structured}}}"),
            "ok",
            true,
        ),
    ] {
        for answer in [
            format!(r#"{{"result":{{{result}}},"jsonrpc":"2.0","id":1}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{result}}}}}"#),
        ] {
            let shown = (request.get(..60), result.get(..60), outcome);
            assert_eq!(answered(request, &answer), (outcome.to_owned(), doubtful), "{shown:?}");
        }
    }
    // An error whose code is out of sight may be anybody's fault.
    for (code, outcome, doubtful) in [
        (r#""code":-32602,"message":"#, "client_error", false),
        (r#""message":"#, "protocol_error", true),
    ] {
        let answer = format!(r#"{{"id":1,"error":{{{code}"{big}","x":["{big}"]}}}}"#);
        assert_eq!(answered(&call, &answer), (outcome.to_owned(), doubtful));
    }
}

/// Head and tail are all of it: nothing stands between them.
#[test]
fn an_answer_a_little_longer_than_what_is_observed_is_in_no_doubt() {
    let filler = "x".repeat(900);
    let long = |rest: usize| {
        let rest = "y".repeat(rest);
        format!(
            r#"{{"id":1,"result":{{"structuredContent":{{"a":"{filler}{rest}"}},"content":[]}}}}"#
        )
    };
    let call = r#"{"id":1,"method":"tools/call","params":{"name":"t"}}"#;
    assert_eq!(answered(call, &long(1000)), ("ok".to_owned(), false));
    assert_eq!(answered(call, &long(5000)), ("ok".to_owned(), true));
}
