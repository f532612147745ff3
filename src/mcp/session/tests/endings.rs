//! How calls end: outcomes, status, `error.type`, time limits and the end of the session.

use super::*;

fn answered(answer: &str) -> Done {
    answered_with(Settings::default(), answer)
}

fn answered_with(settings: Settings, answer: &str) -> Done {
    let mut tap = Tap::with(settings);
    tap.call(1).s(&format!(r#"{{"id":1,{answer}}}"#));
    tap.only()
}

#[test]
fn a_result_is_ok_and_its_status_unset() {
    let done = answered(r#""result":{"isError":false}"#);
    assert_eq!(done.outcome(), "ok");
    assert!(!done.is_error());
    assert_eq!(done.get(names::STATUS_CODE), "");
}

#[test]
fn a_failing_tool_is_a_tool_error() {
    let done = answered(r#""result":{"isError":true}"#);
    assert_eq!((done.outcome(), done.get(names::ERROR_TYPE)), ("tool_error", "tool_error"));
    assert!(done.is_error());
}

#[test]
fn only_tool_results_can_say_is_error() {
    let mut tap = Tap::new();
    tap.c(r#"{"id":1,"method":"resources/read","params":{"uri":"u"}}"#);
    tap.s(r#"{"id":1,"result":{"isError":true}}"#);
    tap.c(r#"{"id":2,"method":"tasks/result","params":{"taskId":"k"}}"#);
    tap.s(r#"{"id":2,"result":{"isError":true}}"#);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok"), ("2", "tool_error")]));
}

#[test]
fn json_rpc_errors_are_told_apart_by_code() {
    for (code, outcome) in [
        ("-32700", "client_error"),
        ("-32600", "client_error"),
        ("-32601", "client_error"),
        ("-32602", "client_error"),
        ("-32002", "client_error"),
        ("-32020", "client_error"),
        ("-32022", "client_error"),
        ("-32603", "protocol_error"),
        ("-32000", "protocol_error"),
        ("-32019", "protocol_error"),
        ("-32023", "protocol_error"),
        ("1", "protocol_error"),
        ("401", "auth"),
        ("403", "auth"),
        ("429", "rate_limited"),
        ("-32042", "input_required"),
    ] {
        let done = answered(&format!(r#""error":{{"code":{code},"message":"m"}}"#));
        assert_eq!((done.outcome(), done.get(names::ERROR_TYPE)), (outcome, code));
        assert_eq!(done.get(names::STATUS_CODE), code);
        assert!(done.is_error());
    }
}

#[test]
fn an_error_without_a_code_is_other() {
    for error in ["{}", "\"x\"", r#"{"code":"7"}"#, r#"{"code":1.5}"#, "[]"] {
        let done = answered(&format!(r#""error":{error}"#));
        assert_eq!((done.outcome(), done.get(names::ERROR_TYPE)), ("protocol_error", "_OTHER"));
        assert_eq!(done.get(names::STATUS_CODE), "");
    }
}

#[test]
fn on_a_server_span_the_callers_fault_is_no_error() {
    let server = || Settings { span_kind: Perspective::Server, ..Settings::default() };
    for code in ["-32700", "-32600", "-32601", "-32602", "-32002"] {
        let done = answered_with(server(), &format!(r#""error":{{"code":{code}}}"#));
        assert!(!done.is_error());
        assert_eq!((done.outcome(), done.get(names::STATUS_CODE)), ("client_error", code));
        assert_eq!(done.span.kind, SpanKind::Server as i32);
    }
    assert!(answered_with(server(), r#""error":{"code":-32603}"#).is_error());
    assert!(answered_with(server(), r#""result":{"isError":true}"#).is_error());
}

#[test]
fn error_texts_are_content_and_nothing_else() {
    let done = answered(r#""error":{"code":-32603,"message":"no \"such\" file"}"#);
    assert_eq!(done.seen.error_text, Raw::Whole(Bytes::from_static(br#""no \"such\" file""#)));
    assert!(!format!("{:?}", done.span).contains("such"));
}

#[test]
fn a_cancelled_call_is_no_error_unless_told_so() {
    let done = Tap::new().call(1).cancel(1).only();
    assert_eq!((done.outcome(), done.is_error()), ("cancelled", false));
    let settings = Settings { cancelled_is_error: true, ..Settings::default() };
    let done = Tap::with(settings).call(1).cancel(1).only();
    assert_eq!((done.outcome(), done.is_error()), ("cancelled", true));
    assert_eq!(done.get(names::ERROR_TYPE), "cancelled");
}

#[test]
fn a_client_that_cancels_for_waiting_too_long_timed_out() {
    for (reason, outcome) in [
        ("timed out after 0.4s", "timeout"),
        ("McpError: Request Timeout", "timeout"),
        ("deadline exceeded", "timeout"),
        ("user pressed stop", "cancelled"),
    ] {
        let mut tap = Tap::new();
        tap.call(1).c(&format!(
            r#"{{"method":"notifications/cancelled","params":{{"requestId":1,"reason":"{reason}"}}}}"#
        ));
        let done = tap.only();
        assert_eq!((done.outcome(), done.is_error()), (outcome, outcome == "timeout"));
    }
}

#[test]
fn a_request_that_nobody_answers_times_out() {
    let mut tap = Tap::new();
    tap.call(1).wait(1700).call(2).wait(100);
    let done = tap.only();
    assert_eq!((done.get(names::REQUEST_ID), done.outcome()), ("1", "timeout"));
    assert_eq!(done.get(names::ERROR_TYPE), "timeout");
    tap.ok(1).ok(2);
    assert_eq!(tap.counts().late, 1);
    assert_eq!(tap.outcomes(), pairs(&[("2", "ok")]));
}

#[test]
fn progress_keeps_a_request_alive() {
    let mut tap = Tap::new();
    tap.c(r#"{"id":1,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":1}}}"#);
    for _ in 0..5 {
        tap.wait(1000);
        tap.s(r#"{"method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#);
    }
    assert_eq!(tap.counts().in_flight, 1);
    tap.wait(1801);
    assert_eq!(tap.only().outcome(), "timeout");
}

#[test]
fn what_waits_for_people_may_take_long() {
    let mut tap = Tap::new();
    tap.c(r#"{"id":1,"method":"subscriptions/listen"}"#);
    tap.c(r#"{"id":2,"method":"tasks/result","params":{"taskId":"k"}}"#);
    tap.s(r#"{"id":1,"method":"elicitation/create"}"#);
    tap.s(r#"{"id":2,"method":"sampling/createMessage"}"#);
    tap.s(r#"{"id":3,"method":"roots/list"}"#);
    tap.wait(100_000);
    assert_eq!(tap.names(), ["roots/list"]);
    assert_eq!(tap.counts().in_flight, 4);
}

#[test]
fn a_call_that_waits_for_the_same_person_does_not_time_out() {
    let mut tap = Tap::new();
    tap.call(1).s(r#"{"id":7,"method":"elicitation/create"}"#);
    tap.wait(5000).wait(5000);
    tap.c(r#"{"id":7,"result":{"action":"accept"}}"#);
    tap.wait(1700);
    assert_eq!(tap.outcomes(), pairs(&[("7", "ok")]));
    tap.wait(200);
    assert_eq!(tap.outcomes(), pairs(&[("1", "timeout")]));
}

#[test]
fn a_subscription_that_the_server_closes_is_ok() {
    let listen = r#"{"id":"l","method":"subscriptions/listen"}"#;
    let mut tap = Tap::new();
    tap.c(listen).s(r#"{"id":"l","result":{}}"#).c(listen);
    tap.s(r#"{"method":"notifications/cancelled","params":{"requestId":"l"}}"#).c(listen);
    tap.c(r#"{"method":"notifications/cancelled","params":{"requestId":"l"}}"#).c(listen).end();
    let expected = [("l", "ok"), ("l", "ok"), ("l", "cancelled"), ("l", "cancelled")];
    assert_eq!(tap.outcomes(), pairs(&expected));
}

#[test]
fn when_the_server_is_gone_calls_in_flight_fail() {
    let mut tap = Tap::new();
    tap.call(2).call(1).s(r#"{"id":1,"method":"roots/list"}"#);
    tap.session.eof(S, tap.now);
    let spans = tap.end().spans();
    assert_eq!(spans[0].get(names::REQUEST_ID), "2");
    assert_eq!((spans[0].outcome(), spans[0].is_error()), ("server_gone", true));
    assert_eq!(spans[0].get(names::ERROR_TYPE), "server_gone");
    assert_eq!(spans[2].outcome(), "cancelled");
}

#[test]
fn an_answer_that_a_dying_server_left_without_its_newline_is_read_by_nobody() {
    let mut tap = Tap::new();
    tap.call(1);
    tap.session.bytes(S, br#"{"jsonrpc":"2.0","id":1,"result":{}}"#, tap.now);
    tap.end();
    assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
    assert_eq!(tap.counts().junk, 1);
}

#[test]
fn a_client_that_leaves_because_the_server_did_cancels_nothing() {
    let mut tap = Tap::new();
    tap.call(1);
    tap.session.eof(S, tap.now);
    tap.session.eof(C, tap.now);
    tap.end();
    assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
}

#[test]
fn when_the_client_left_first_its_calls_are_cancelled() {
    let mut tap = Tap::new();
    tap.call(1).call(2);
    tap.session.eof(C, tap.now);
    tap.ok(2).end();
    assert_eq!(tap.outcomes(), pairs(&[("2", "ok"), ("1", "cancelled")]));
}

#[test]
fn who_is_seen_to_leave_first_decides_even_before_a_direction_ends() {
    for (side, outcome) in [(S, "server_gone"), (C, "cancelled")] {
        let mut tap = Tap::new();
        tap.call(1);
        // A broken pipe towards the server, or a signal from the host.
        tap.session.left(side);
        tap.session.eof(side.reverse(), tap.now);
        tap.session.left(side.reverse());
        tap.end();
        assert_eq!(tap.outcomes(), pairs(&[("1", outcome)]));
    }
}

#[test]
fn a_long_answer_that_a_dying_server_left_unfinished_is_none() {
    for tail in ["xx", "x]", r#"x"}} "#] {
        let mut tap = Tap::new();
        tap.call(1);
        tap.session.bytes(S, br#"{"id":1,"result":{"x":""#, tap.now);
        tap.session.skip(S, 5_000_000, tail.as_bytes());
        tap.session.eof(S, tap.now);
        assert_eq!(tap.counts().junk, 1);
        tap.end();
        assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
    }
}

#[test]
fn a_long_request_that_its_client_left_unfinished_is_none() {
    let mut tap = Tap::with(Settings { max_message_bytes: 40, ..Settings::default() });
    let text = format!(r#"{{"id":1,"method":"tools/call","params":{{"name":"{}"#, "x".repeat(99));
    tap.session.bytes(C, text.as_bytes(), tap.now);
    tap.session.eof(C, tap.now);
    assert!(tap.end().spans().is_empty());
    assert_eq!((tap.counts().junk, tap.counts().requests), (1, 0));
}

#[test]
fn requests_under_one_id_all_end_with_the_session() {
    let mut tap = Tap::new();
    tap.call(1).call(1).call(1).end();
    assert_eq!(tap.outcomes().len(), 3);
    assert_eq!(tap.counts().in_flight, 0);
}

#[test]
fn an_interim_answer_is_not_final_and_its_retry_links_to_it() {
    let state = r#""requestState":"v1.\u002f""#;
    let mut tap = Tap::new();
    tap.call(1).s(&format!(
        r#"{{"id":1,"result":{{"resultType":"input_required",{state},"inputRequests":{{}}}}}}"#
    ));
    tap.c(r#"{"id":2,"method":"tools/call","params":{"name":"t","requestState":"v1./","inputResponses":{}}}"#);
    tap.ok(2);
    tap.c(r#"{"id":3,"method":"tools/call","params":{"name":"t","requestState":"other"}}"#).ok(3);
    let spans = tap.spans();
    assert_eq!(spans[0].outcome(), "input_required");
    assert_eq!(spans[0].get(names::RESULT_TYPE), "input_required");
    assert!(!spans[0].is_error());
    let link = &spans[1].span.links[0];
    assert_eq!(link.span_id, spans[0].span.span_id);
    assert_eq!(link.trace_id, spans[0].span.trace_id);
    assert!(spans[2].span.links.is_empty());
}

#[test]
fn every_retry_links_to_the_first_leg() {
    for state in [r#""requestState":"s""#, r#""x":1"#] {
        let mut tap = Tap::new();
        tap.call(1);
        for id in [1, 2, 3] {
            let next = id + 1;
            tap.s(&format!(
                r#"{{"id":{id},"result":{{"resultType":"input_required",{state},"inputRequests":{{}}}}}}"#
            ));
            tap.c(&format!(
                r#"{{"id":{next},"method":"tools/call","params":{{"name":"t",{state},"inputResponses":{{}}}}}}"#
            ));
        }
        let spans = tap.ok(4).spans();
        for retry in &spans[1..] {
            assert_eq!(retry.span.links[0].span_id, spans[0].span.span_id);
        }
    }
}

#[test]
fn a_call_without_arguments_that_is_cancelled_tells_that_it_had_none() {
    let mut tap = Tap::new();
    let span = tap.call(1).cancel(1).session.take().pop().map(|(telemetry, content)| {
        let Messages::Traces(all) = telemetry.messages() else { panic!("a session makes spans") };
        let span = &all[0].scope_spans[0].spans[0];
        content.of(&span.trace_id, &span.span_id).cloned()
    });
    assert!(span.unwrap().unwrap() == Seen::default());
}

#[test]
fn a_retry_without_state_links_to_the_last_leg_of_the_same_tool() {
    let mut tap = Tap::new();
    tap.call(1).s(r#"{"id":1,"result":{"resultType":"input_required","inputRequests":{"a":{}}}}"#);
    tap.c(r#"{"id":2,"method":"tools/call","params":{"name":"other","inputResponses":{}}}"#).ok(2);
    tap.c(r#"{"id":3,"method":"tools/call","params":{"name":"t","inputResponses":{}}}"#).ok(3);
    let spans = tap.spans();
    assert!(spans[1].span.links.is_empty());
    assert_eq!(spans[2].span.links[0].span_id, spans[0].span.span_id);
}

#[test]
fn a_task_handle_ends_the_call_and_the_tasks_methods_link_back() {
    let legacy = (
        r#"{"id":1,"method":"tools/call","params":{"name":"t","task":{"ttl":1}}}"#,
        r#"{"id":1,"result":{"task":{"taskId":"k","status":"working"}}}"#,
    );
    let modern = (
        r#"{"id":1,"method":"tools/call","params":{"name":"t"}}"#,
        r#"{"id":1,"result":{"resultType":"task","taskId":"k","status":"working"}}"#,
    );
    for (request, answer) in [legacy, modern] {
        let mut tap = Tap::new();
        tap.c(request).s(answer);
        tap.c(r#"{"id":2,"method":"tasks/get","params":{"taskId":"k"}}"#);
        tap.s(r#"{"id":2,"result":{"taskId":"k","status":"completed"}}"#);
        tap.c(r#"{"id":3,"method":"tasks/get","params":{"taskId":"unknown"}}"#).ok(3);
        let spans = tap.spans();
        assert_eq!(spans[0].outcome(), "input_required");
        assert_eq!(spans[0].get(names::TASK_STATUS), "working");
        assert_eq!((spans[1].outcome(), spans[1].get(names::TASK_STATUS)), ("ok", "completed"));
        assert_eq!(spans[0].get(names::TASK_ID), "name of k");
        assert_eq!(spans[1].get(names::TASK_ID), "name of k");
        assert_eq!(spans[1].span.links[0].span_id, spans[0].span.span_id);
        assert!(spans[2].span.links.is_empty());
    }
}

#[test]
fn a_modern_task_ends_as_the_look_at_it_tells() {
    let failed =
        |code: i32| format!(r#""status":"failed","error":{{"code":{code},"message":"m"}}"#);
    for (task, outcome, error) in [
        (failed(-32603), "protocol_error", "-32603"),
        (failed(-32602), "client_error", "-32602"),
        (r#""status":"failed""#.into(), "protocol_error", "_OTHER"),
        (r#""status":"completed","result":{"isError":true}"#.into(), "tool_error", "tool_error"),
        (r#""status":"completed","result":{"isError":false}"#.into(), "ok", ""),
        (r#""status":"completed","error":{"code":1}"#.into(), "ok", ""),
        (r#""status":"cancelled""#.into(), "cancelled", ""),
        (r#""status":"working","result":{"isError":true}"#.into(), "ok", ""),
        (r#""status":"input_required","inputRequests":{}"#.into(), "input_required", ""),
        (r#""status":"vendor/own""#.into(), "ok", ""),
    ] {
        let mut tap = Tap::new();
        tap.c(r#"{"id":1,"method":"tasks/get","params":{"taskId":"k"}}"#);
        tap.s(&format!(r#"{{"id":1,"result":{{"resultType":"complete","taskId":"k",{task}}}}}"#));
        let done = tap.only();
        assert_eq!((done.outcome(), done.get(names::ERROR_TYPE)), (outcome, error), "{task}");
        assert_eq!(done.is_error(), !error.is_empty());
        let told = matches!(done.seen.error_text, Raw::Whole(_));
        assert_eq!(told, error.starts_with('-'));
        assert_eq!(done.get(names::STATUS_CODE), if told { error } else { "" });
    }
}

#[test]
fn looks_at_a_legacy_task_are_answers_like_others() {
    let mut tap = Tap::new();
    tap.c(r#"{"id":1,"method":"tasks/get","params":{"taskId":"k"}}"#);
    tap.s(r#"{"id":1,"result":{"taskId":"k","status":"working"}}"#);
    assert_eq!(tap.only().outcome(), "ok");
}

#[test]
fn every_look_at_a_task_links_to_where_it_began() {
    let mut tap = Tap::new();
    tap.call(1).s(r#"{"id":1,"result":{"resultType":"task","taskId":"k","status":"working"}}"#);
    for id in [2, 3] {
        tap.c(&format!(r#"{{"id":{id},"method":"tasks/get","params":{{"taskId":"k"}}}}"#));
        tap.s(&format!(
            r#"{{"id":{id},"result":{{"resultType":"complete","taskId":"k","status":"working"}}}}"#
        ));
    }
    let spans = tap.spans();
    for look in &spans[1..] {
        assert_eq!(look.span.links[0].span_id, spans[0].span.span_id);
    }
}

#[test]
fn of_a_task_nothing_is_told_but_what_stands_for_its_id() {
    let mut tap = Tap::new();
    tap.c(r#"{"id":1,"method":"tasks/result","params":{"taskId":"se\u0063ret"}}"#);
    tap.s(r#"{"id":1,"result":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"x"}}}}"#);
    tap.c(r#"{"id":2,"method":"tasks/result"}"#);
    tap.s(r#"{"id":2,"result":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"x"}}}}"#);
    let spans = tap.spans();
    assert_eq!(spans[0].get(names::TASK_ID), "name of secret");
    assert_eq!(spans[1].get(names::TASK_ID), "name of x");
    tap.session.hide(Hidden::default());
    let done = tap.c(r#"{"id":3,"method":"tasks/get","params":{"taskId":"secret"}}"#);
    let done = done.s(r#"{"id":3,"result":{"taskId":"secret","status":"working"}}"#).only();
    assert!(!format!("{:?}", done.span).contains("secret"));
    assert_eq!(done.get(names::TASK_STATUS), "working");
}

#[test]
fn a_result_that_only_looks_like_a_task_is_a_result() {
    let done = answered(r#""result":{"task":{"taskId":"k"},"status":"fine"}"#);
    assert_eq!((done.outcome(), done.get(names::TASK_ID)), ("ok", ""));
    let done = answered(r#""result":{"resultType":"vendor/new"}"#);
    assert_eq!((done.outcome(), done.get(names::RESULT_TYPE)), ("ok", "vendor/new"));
}
