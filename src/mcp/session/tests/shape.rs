//! What a span looks like: names, kinds, trace context, identity, bounds.

use super::*;

fn traced(traceparent: &str) -> String {
    format!(
        r#"{{"id":1,"method":"ping","params":{{"_meta":{{"traceparent":"{traceparent}","tracestate":"a=b"}}}}}}"#
    )
}

#[test]
fn times_are_those_of_the_last_byte_of_each_message() {
    let mut tap = Tap::new();
    tap.session.bytes(C, br#"{"id":1,"#, 10);
    tap.session.bytes(C, b"\"method\":\"ping\"}\n", 20);
    tap.session.bytes(S, br#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 30);
    tap.session.bytes(S, b"\n", 45);
    let span = tap.only().span;
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (20, 45));
}

#[test]
fn a_span_never_ends_before_it_starts() {
    let mut tap = Tap::new();
    tap.session.message(C, br#"{"id":1,"method":"ping"}"#, 50);
    tap.session.message(S, br#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 40);
    let span = tap.only().span;
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (50, 50));
}

#[test]
fn the_context_of_the_request_is_the_parent() {
    let span = Tap::new().c(&traced(PARENT)).ok(1).only().span;
    assert_eq!(span.trace_id[..2], [0x0a, 0xf7]);
    assert_eq!(span.parent_span_id[..3], [0x00, 0xf0, 0x67]);
    assert_eq!(span.trace_state, "a=b");
    assert_eq!(span.flags, 0x301);
}

#[test]
fn a_context_that_is_none_is_counted_and_a_new_trace_begun() {
    let mut tap = Tap::new();
    tap.c(&traced("00-zz")).ok(1).c(&traced("")).ok(1).c(r#"{"id":1,"method":"ping"}"#).ok(1);
    let spans = tap.spans();
    for done in &spans {
        assert!(done.span.parent_span_id.is_empty() && done.span.trace_state.is_empty());
        assert_eq!(done.span.flags, 0x101);
    }
    assert_ne!(spans[0].span.trace_id, spans[1].span.trace_id);
    assert_ne!(spans[0].span.span_id, spans[1].span.span_id);
    assert_eq!(tap.counts().bad_traceparents, 2);
}

#[test]
fn without_a_context_of_its_own_a_request_is_under_the_ambient_one() {
    let mut tap = Tap::new();
    tap.session.common.ambient = TraceContext::parse(PARENT.as_bytes(), Some("x=y"));
    let other = PARENT.replace("0af7", "1111");
    tap.c(r#"{"id":1,"method":"ping"}"#).ok(1).c(&traced(&other)).ok(1);
    let spans = tap.spans();
    assert_eq!(spans[0].span.trace_id[..2], [0x0a, 0xf7]);
    assert_eq!((spans[0].span.flags, spans[0].span.trace_state.as_str()), (0x301, "x=y"));
    assert_eq!(spans[1].span.trace_id[..2], [0x11, 0x11]);
}

#[test]
fn spans_under_an_unsampled_parent_come_apart_and_are_for_processors_alone() {
    let unsampled = PARENT.replace("-01", "-00");
    let mut tap = Tap::new();
    tap.c(&traced(&unsampled)).ok(1).call(2).ok(2).c(&traced(&unsampled)).ok(1);
    let taken = tap.session.take();
    let marks: Vec<_> = taken.iter().map(|(all, _)| (all.sampled(), all.items())).collect();
    assert_eq!(marks, [(true, 1), (false, 2)]);
    let flags = Done::all(taken).into_iter().map(|done| done.span.flags);
    assert_eq!(flags.collect::<Vec<_>>(), [0x101, 0x300, 0x300]);
    assert_eq!((tap.counts().spans, tap.session.take().len()), (3, 0));
    let mut tap = Tap::with(Settings { unsampled: Unsampled::Keep, ..Settings::default() });
    let done = tap.c(&traced(&unsampled)).ok(1).only();
    assert_eq!((done.span.flags, done.sampled), (0x300, true));
}

#[test]
fn a_session_may_be_one_trace_until_it_is_idle() {
    let mut tap = Tap::with(Settings { trace: Traces::Session, ..Settings::default() });
    tap.call(1).ok(1).call(2).ok(2).wait(1790).call(3).ok(3).wait(1801).call(4).ok(4);
    let traces: Vec<_> = tap.spans().into_iter().map(|done| done.span.trace_id).collect();
    assert!(traces[0] == traces[1] && traces[1] == traces[2]);
    assert_ne!(traces[2], traces[3]);
}

#[test]
fn the_name_of_a_failing_tool_that_was_never_listed_stays_out_of_the_span_name() {
    let fail = r#"{"id":1,"result":{"isError":true}}"#;
    let mut tap = Tap::new();
    let call =
        |name: &str| format!(r#"{{"id":1,"method":"tools/call","params":{{"name":"{name}"}}}}"#);
    tap.c(&call("made-up")).s(fail);
    tap.c(&call("made-up")).s(r#"{"id":1,"error":{"code":-32602}}"#);
    let spans = tap.spans();
    assert_eq!(spans[0].span.name, "tools/call");
    assert_eq!(spans[1].span.name, "tools/call");
    assert_eq!(spans[0].get(names::TOOL), "made-up");
    tap.c(r#"{"id":2,"method":"tools/list"}"#);
    tap.s(r#"{"id":2,"result":{"tools":[7,{"description":"x","name":"li\u0073ted"},{"name":8}]}}"#);
    tap.c(&call("listed")).s(fail).c(&call("proved")).ok(1).c(&call("proved")).s(fail);
    let expected = ["tools/list", "tools/call listed", "tools/call proved", "tools/call proved"];
    assert_eq!(tap.names(), expected);
}

#[test]
fn prompts_are_named_by_the_same_rule() {
    let get = r#"{"id":1,"method":"prompts/get","params":{"name":"p"}}"#;
    let fail = r#"{"id":1,"error":{"code":-32602}}"#;
    let mut tap = Tap::new();
    tap.c(get).s(fail).c(r#"{"id":2,"method":"prompts/list"}"#);
    tap.s(r#"{"id":2,"result":{"prompts":[{"name":"p"}]}}"#).c(get).s(fail);
    let spans = tap.spans();
    assert_eq!(spans[0].span.name, "prompts/get");
    assert_eq!(spans[2].span.name, "prompts/get p");
    assert_eq!(spans[2].get(names::PROMPT), "p");
    assert_eq!(spans[2].get(names::OPERATION), "");
}

#[test]
fn a_method_that_is_none_stays_out_of_the_span_name() {
    let mut tap = Tap::new();
    tap.c(r#"{"id":1,"method":"made/up"}"#).s(r#"{"id":1,"error":{"code":-32601}}"#);
    tap.c(r#"{"id":2,"method":"vendor/own"}"#).ok(2);
    let spans = tap.spans();
    assert_eq!((spans[0].span.name.as_str(), spans[0].get(names::METHOD)), ("_OTHER", "made/up"));
    assert_eq!(spans[1].span.name, "vendor/own");
    let ask = r#"{"id":3,"method":"made/up"}"#;
    tap.c(ask).s(r#"{"id":3,"error":{"code":-32603}}"#).c(ask).cancel(3).c(ask).wait(1801);
    tap.c(ask).end();
    assert_eq!(tap.names(), ["_OTHER"; 4]);
}

#[test]
fn names_are_bounded_and_printable() {
    let mut tap = Tap::new();
    let long = "n".repeat(5000);
    tap.c(&format!(r#"{{"id":1,"method":"tools/call","params":{{"name":"{long}"}}}}"#)).ok(1);
    tap.c(r#"{"id":1,"method":"tools/call","params":{"name":"a\u001b[2Jb\n"}}"#).ok(1);
    tap.c(&format!(r#"{{"id":"{long}","method":"resources/read","params":{{"uri":"{long}"}}}}"#));
    tap.s(&format!(r#"{{"id":"{long}","result":{{"resultType":"{long}"}}}}"#));
    tap.c(&format!(r#"{{"id":1,"jsonrpc":"{long}","method":"{long}"}}"#)).ok(1);
    let spans = tap.spans();
    // Of one word that is too long a secret's beginning is all that may be left.
    assert_eq!(spans[0].get(names::TOOL), "nnnn…");
    assert_eq!(spans[0].span.name, "tools/call nnnn…");
    assert_eq!(spans[1].span.name, "tools/call a\u{fffd}[2Jb\u{fffd}");
    for name in [names::RESOURCE_URI, names::REQUEST_ID, names::RESULT_TYPE] {
        assert_eq!(spans[2].get(name), "nnnn…");
    }
    assert_eq!(spans[3].span.name, "nnnn…");
    assert_eq!(spans[3].get(names::JSONRPC_VERSION), "nnnn…");
}

#[test]
fn no_text_that_is_cut_ends_in_the_middle_of_a_secret() {
    let secret = ["kettle-", "window-17"].concat();
    for before in [100, 115, 240, 250, 1000, 1015] {
        let text = format!("{} {secret} {}", "p".repeat(before), "more ".repeat(300));
        let info = format!(r#"{{"name":"{text}","version":"{text}"}}"#);
        let mut tap = Tap::new();
        tap.c(&format!(r#"{{"id":0,"method":"initialize","params":{{"protocolVersion":"{text}","clientInfo":{info}}}}}"#));
        tap.s(&format!(
            r#"{{"id":0,"result":{{"protocolVersion":"{text}","serverInfo":{info}}}}}"#
        ));
        tap.c(&format!(r#"{{"id":1,"method":"tools/call","params":{{"name":"{text}"}}}}"#)).ok(1);
        tap.c(&format!(r#"{{"id":2,"method":"prompts/get","params":{{"name":"{text}"}}}}"#)).ok(2);
        tap.c(&format!(r#"{{"id":3,"method":"{text}"}}"#)).ok(3);
        tap.c(&format!(
            r#"{{"id":"{text}","method":"resources/read","params":{{"uri":"{text}"}}}}"#
        ));
        tap.s(&format!(r#"{{"id":"{text}","result":{{"resultType":"{text}"}}}}"#));
        let all: String = tap.spans().iter().map(|done| format!("{:?}", done.span)).collect();
        assert!(all.contains("ppp"));
        assert!(!all.replace(&secret, "").contains(&secret[..6]), "{before}: {all}");
    }
}

#[test]
fn the_handshake_tells_version_and_parties() {
    let mut tap = Tap::new();
    tap.c(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","clientInfo":{"name":"agent","version":"3"}}}"#);
    tap.s(r#"{"id":0,"result":{"protocolVersion":"2025-06-18","serverInfo":{"name":"fs","version":"9"}}}"#);
    tap.call(1).ok(1).s(r#"{"id":5,"method":"roots/list"}"#).c(r#"{"id":5,"result":{}}"#);
    let spans = tap.spans();
    for done in &spans {
        assert_eq!(done.get(names::PROTOCOL_VERSION), "2025-06-18");
        assert_eq!((done.get(names::CLIENT_NAME), done.get(names::CLIENT_VERSION)), ("agent", "3"));
        assert_eq!(done.get(names::SERVER_INFO_NAME), "fs");
        assert_eq!(done.get(names::SERVER_INFO_VERSION), "9");
        assert_eq!(done.get(names::SESSION_ID), "s-1");
    }
    assert_eq!(spans[1].get(names::PEER_SERVICE), "files");
    assert_eq!(spans[2].get(names::PEER_SERVICE), "agent");
}

#[test]
fn the_server_does_not_name_the_client() {
    let named = r#""clientInfo":{"name":"liar"}"#;
    let mut tap = Tap::new();
    tap.c(&format!(
        r#"{{"id":0,"method":"initialize","params":{{{}}}}}"#,
        named.replace("liar", "agent")
    ));
    tap.ok(0).s(&format!(r#"{{"id":1,"method":"initialize","params":{{{named}}}}}"#));
    let meta = named.replace("client", "io.modelcontextprotocol/client");
    tap.s(&format!(
        r#"{{"id":2,"method":"ping","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"9",{meta}}}}}}}"#
    ));
    tap.c(r#"{"id":1,"result":{}}"#).c(r#"{"id":2,"result":{}}"#).call(3).ok(3);
    for done in tap.spans() {
        assert_eq!(
            (done.get(names::CLIENT_NAME), done.get(names::PROTOCOL_VERSION)),
            ("agent", "")
        );
    }
}

#[test]
fn era_and_client_are_told_by_each_modern_request() {
    let modern = |id: u32, who: &str| {
        format!(
            r#"{{"id":{id},"method":"ping","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"{who}","version":"1"}}}}}}}}"#
        )
    };
    let mut tap = Tap::new();
    tap.c(&modern(1, "a")).c(&modern(2, "b")).call(3);
    tap.s(r#"{"id":1,"result":{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"desk","version":"2"}}}}"#);
    tap.ok(2).ok(3);
    let spans = tap.spans();
    assert_eq!(spans[0].get(names::CLIENT_NAME), "a");
    assert_eq!(spans[1].get(names::CLIENT_NAME), "b");
    assert_eq!(spans[1].get(names::SERVER_INFO_NAME), "desk");
    assert_eq!(spans[1].get(names::PROTOCOL_VERSION), "2026-07-28");
    assert_eq!((spans[2].get(names::CLIENT_NAME), spans[2].get(names::PROTOCOL_VERSION)), ("", ""));
}

#[test]
fn attributes_come_in_one_order() {
    let mut tap = Tap::new();
    tap.call(1).s(r#"{"id":1,"result":{"isError":true}}"#);
    let keys: Vec<_> = tap.only().span.attributes.into_iter().map(|a| a.key).collect();
    let expected = [
        names::METHOD,
        names::OPERATION,
        names::TOOL,
        names::REQUEST_ID,
        names::TRANSPORT,
        names::PEER_SERVICE,
        names::SESSION_ID,
        names::REQUEST_SIZE,
        names::RESPONSE_SIZE,
        names::OUTCOME,
        names::ERROR_TYPE,
    ];
    assert_eq!(keys, expected);
}

#[test]
fn resources_are_concerned_by_uri_and_jsonrpc_1_is_told() {
    let mut tap = Tap::new();
    for method in ["resources/read", "resources/subscribe", "resources/unsubscribe"] {
        tap.c(&format!(
            r#"{{"jsonrpc":"1.0","id":1,"method":"{method}","params":{{"uri":"f:/x"}}}}"#
        ));
        let done = tap.ok(1).only();
        assert_eq!((done.span.name.as_str(), done.get(names::RESOURCE_URI)), (method, "f:/x"));
        assert_eq!(done.get(names::JSONRPC_VERSION), "1.0");
    }
}

#[test]
fn notifications_make_spans_only_where_asked() {
    let updated = r#"{"method":"notifications/resources/updated","params":{"uri":"u"}}"#;
    let progress =
        r#"{"method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
    let call =
        r#"{"id":1,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":1}}}"#;
    let mut tap = Tap::new();
    tap.s(updated);
    assert!(tap.spans().is_empty());
    assert_eq!((tap.counts().notifications, tap.counts().received), (1, 0));
    let mut tap = Tap::with(Settings { notifications: Notifications::Span, ..Settings::default() });
    tap.s(updated).s(progress).c(call).s(progress).ok(1);
    let spans = tap.spans();
    assert_eq!(spans.len(), 3);
    assert_eq!(spans[0].span.name, "notifications/resources/updated");
    assert_eq!(spans[0].get(names::RESOURCE_URI), "u");
    assert_eq!((spans[0].get(names::REQUEST_ID), spans[0].outcome()), ("", "ok"));
    assert_eq!(spans[0].span.start_time_unix_nano, spans[0].span.end_time_unix_nano);
    assert_eq!(spans[1].span.name, "notifications/progress");
    assert_eq!(spans[2].span.events.len(), 1);
}

#[test]
fn kind_transport_and_service_name_are_settings() {
    let settings = Settings {
        span_kind: Perspective::Internal,
        service_name: ServiceName::Client,
        ..Settings::default()
    };
    let identity = Identity { transport: Transport::Http, ..identity() };
    let mut tap = Tap::of(settings, identity);
    tap.c(r#"{"id":0,"method":"initialize","params":{"clientInfo":{"name":"agent"}}}"#).ok(0);
    let (telemetry, _) = tap.session.take().remove(0);
    let Messages::Traces(all) = telemetry.messages() else { panic!("a session makes spans") };
    assert_eq!(all[0].scope_spans[0].scope.as_ref().unwrap().name, names::SCOPE);
    let span = &all[0].scope_spans[0].spans[0];
    assert_eq!(span.kind, SpanKind::Internal as i32);
    let has =
        |key: &str, value: &str| span.attributes.iter().any(|a| a.key == key && text(a) == value);
    assert!(has(names::TRANSPORT, "tcp") && has(names::NETWORK_PROTOCOL, "http"));
}

#[test]
fn a_service_has_its_own_version_or_none() {
    let ours = env!("CARGO_PKG_VERSION");
    let long = "v".repeat(1000);
    for (service, version, name, shown) in [
        (ServiceName::Fixed("tap".into()), "9", "tap", Some(ours)),
        (ServiceName::Server, "9", "files", Some("9")),
        (ServiceName::Server, &long, "files", Some("vvvv…")),
        (ServiceName::Server, "", "files", None),
        (ServiceName::Client, "9", "agent", Some("9")),
        (ServiceName::Client, "", "agent", None),
    ] {
        let mut tap = Tap::with(Settings { service_name: service, ..Settings::default() });
        let info = |name: &str| format!(r#"{{"name":"{name}","version":"{version}"}}"#);
        let client = info("agent");
        tap.c(&format!(r#"{{"id":0,"method":"initialize","params":{{"clientInfo":{client}}}}}"#));
        tap.s(&format!(r#"{{"id":0,"result":{{"serverInfo":{}}}}}"#, info("fs"))).call(1).ok(1);
        assert_eq!(resources(&mut tap), [resource(name, shown)]);
    }
}

#[test]
fn as_long_as_the_client_has_no_name_the_service_is_the_tap() {
    let settings = Settings { service_name: ServiceName::Client, ..Settings::default() };
    let mut tap = Tap::with(settings);
    tap.call(1).ok(1);
    let ours = resource("mcpcol", Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(resources(&mut tap), [ours]);
}

#[test]
fn what_is_said_of_the_surroundings_stands_beside_what_the_tap_knows() {
    let said = [
        ("host.name", "box"),
        (names::SERVICE_VERSION, "7"),
        (names::SERVER_NAME, "theirs"),
        (names::SERVICE_NAME, "theirs"),
    ];
    let settings = Settings { resource: pairs(&said), ..Settings::default() };
    let mut tap = Tap::with(settings);
    tap.call(1).ok(1);
    let mut expected = resource("mcpcol", Some("7"));
    expected.push(("host.name".into(), "box".into()));
    assert_eq!(resources(&mut tap), [expected]);

    let settings = Settings {
        resource: pairs(&said[..2]),
        service_name: ServiceName::Server,
        ..Settings::default()
    };
    let mut tap = Tap::with(settings);
    tap.call(1).ok(1);
    assert!(!resources(&mut tap)[0].contains(&(names::SERVICE_VERSION.into(), "7".into())));
}

/// The resource of a service with that name and version.
fn resource(name: &str, version: Option<&str>) -> Vec<(String, String)> {
    let named = [(names::SERVICE_NAME, name)].into_iter();
    let version = version.map(|version| (names::SERVICE_VERSION, version));
    pairs(&named.chain(version).chain([(names::SERVER_NAME, "files")]).collect::<Vec<_>>())
}

fn resources(tap: &mut Tap) -> Vec<Vec<(String, String)>> {
    let (telemetry, _) = tap.session.take().remove(0);
    let Messages::Traces(all) = telemetry.messages() else { panic!("a session makes spans") };
    let found = all.iter().map(|spans| &spans.resource.as_ref().unwrap().attributes);
    found.map(|all| all.iter().map(|a| (a.key.clone(), text(a))).collect()).collect()
}

#[test]
fn the_same_seed_gives_the_same_ids() {
    let ids = || Tap::new().call(1).ok(1).only().span.span_id;
    assert_eq!(ids(), ids());
}
