//! What leaves a span, and what stays on it.

use super::*;

#[test]
fn arguments_and_results_leave_as_content_and_the_rest_of_it_is_gone() {
    let list = [
        string("gen_ai.tool.call.arguments", r#"{\"city\": \"Oslo\"}"#),
        string("gen_ai.tool.call.result", "two words"),
        string("gen_ai.input.messages", "hush"),
        string("tool_error_developer_message", "hush"),
        string("tool_error_kind", "TOOL_RUNTIME_FATAL"),
    ];
    let more = format!(
        r#""attributes":[{}],"status":{{"code":2,"message":"hush"}},"events":[{{"name":"exception","attributes":[{},{}]}}]"#,
        list.join(","),
        string("exception.type", "RuntimeError"),
        string("exception.stacktrace", "hush"),
    );
    let outcome = case().take(&traces(&[span(1, 0, &more)]));
    let span = outcome.only();
    assert!(!format!("{span:?}").contains("hush") && !format!("{span:?}").contains("Oslo"));
    assert_eq!(attributes(span)["tool_error_kind"], "TOOL_RUNTIME_FATAL");
    assert_eq!((span.dropped_attributes_count, span.events[0].dropped_attributes_count), (4, 1));
    assert_eq!(text(&span.events[0].attributes[0]), "RuntimeError");
    assert_eq!(outcome.counts.withheld, 6);
    let [(key, texts)] = &outcome.content[..] else { panic!("content of one span") };
    assert_eq!(*key, (bytes(TRACE), [1; 8]));
    assert_eq!(texts.arguments.as_deref(), Some(&br#"{"city": "Oslo"}"#[..]));
    assert_eq!(texts.result.as_deref(), Some(&br#""two words""#[..]));
}

#[test]
fn structured_arguments_are_content_too_and_none_are_an_empty_object() {
    let arguments = |value: &str| {
        let list = format!(r#"{{"key":"gen_ai.tool.call.arguments","value":{value}}}"#);
        let outcome = case().take(&with_attributes(&list));
        String::from_utf8(outcome.content[0].1.arguments.clone().unwrap()).unwrap()
    };
    let list = r#"{"kvlistValue":{"values":[{"key":"a","value":{"intValue":1}}]}}"#;
    assert_eq!(arguments(list), r#"{"a":1}"#);
    assert_eq!(arguments(r#"{"stringValue":""}"#), "{}");
}

#[test]
fn dialects_are_brought_to_the_conventions() {
    let arcade = |method: &str| {
        [
            string("mcp.method", method),
            string("mcp.tool", "t"),
            string("gen_ai.system", "mcp"),
            string("gen_ai.operation.name", "execute_tool"),
            string("gen_ai.tool.name", "t"),
        ]
        .join(",")
    };
    let outcome = case().take(&with_attributes(&arcade("tools/call")));
    let told = attributes(outcome.only());
    assert_eq!(told[names::METHOD], "tools/call");
    assert_eq!((&*told[names::TOOL], &*told[names::OPERATION]), ("t", "execute_tool"));
    assert!(!told.contains_key("mcp.method") && !told.contains_key("gen_ai.system"));
    let outcome = case().take(&with_attributes(&arcade("resources/read")));
    let told = attributes(outcome.only());
    assert!(!told.contains_key(names::TOOL) && !told.contains_key(names::OPERATION));
    let mut case = case();
    case.rules.normalize = false;
    let outcome = case.take(&with_attributes(&arcade("tools/call")));
    assert_eq!(attributes(outcome.only())["mcp.method"], "tools/call");
}

#[test]
fn uris_and_names_lose_what_may_be_secret() {
    let uri = string("mcp.resource.uri", "https://u:p@h/x?token=hush#f");
    let token = ["gh", "p_", "0123456789abcdefghij"].concat();
    let json =
        with_attributes(&uri).replace(r#""name":"n""#, r#""name":"read https://h/x?hush \u0007""#);
    let outcome = case().take(&json);
    assert_eq!(outcome.only().name, "read https://h/x \u{fffd}");
    assert_eq!(attributes(outcome.only())[names::RESOURCE_URI], "https://h/x");
    let json = with_attributes(&string("note", &token))
        .replace(r#""name":"n""#, &format!(r#""name":"{token}""#));
    let outcome = case().take(&json);
    assert_eq!(outcome.only().name, "_OTHER");
    assert!(!format!("{:?}", outcome.only()).contains(&token));
}

/// Gives what nobody can tell from a label without a redaction stage; what can be told is held back.
#[test]
fn secrets_in_attributes_are_held_back_wherever_they_stand() {
    let secret = ["Zx9", "Qw7", "Lm5", "Tt3", "Rr1", "YyUuIiOo"].concat();
    let nested = format!(
        r#"{{"key":"deep","value":{{"kvlistValue":{{"values":[{{"key":"ok","value":{{"arrayValue":{{"values":[{{"stringValue":"{secret}"}}]}}}}}}]}}}}}}"#
    );
    let named = r#"{"key":"x","value":{"kvlistValue":{"values":[{"key":"password","value":{"intValue":4711}}]}}}"#;
    let list = [
        string("upstream.api_key", &secret),
        string("plain", &secret),
        string("header", &secret),
        r#"{"key":"pin.token","value":{"intValue":4711}}"#.to_owned(),
        r#"{"key":"blob","value":{"bytesValue":"aHVzaA=="}}"#.to_owned(),
        nested,
        named.to_owned(),
        string("fine", "label"),
    ];
    let more = format!(r#""attributes":[{}],"traceState":"k={secret}""#, list.join(","));
    let links = format!(
        r#","links":[{{"traceId":"{TRACE}","spanId":"0202020202020202","attributes":[{}]}}]"#,
        string("plain", &secret)
    );
    let json = traces(&[span(1, 0, &(more + &links))]).replace("srv", &secret);
    let outcome = case().take(&json);
    let all = format!("{:?}", outcome.resources);
    assert!(!all.contains(&secret) && !all.contains("4711") && !all.contains("104, 117, 115, 104"));
    assert!(attributes(outcome.only()).contains_key("fine"));
    assert_eq!((outcome.only().dropped_attributes_count, outcome.counts.withheld), (7, 9));
}

#[test]
fn limits_hold_and_the_drops_are_counted_where_otlp_counts_them() {
    let mut case = case();
    case.rules = Passback {
        max_attributes: 2,
        max_events: 1,
        max_links: 1,
        max_value_bytes: 7,
        ..case.rules
    };
    let list = ["a", "b", "c", "d"].map(|key| string(key, "ab cd ef")).join(",");
    let link = format!(r#"{{"traceId":"{TRACE}","spanId":"0202020202020202"}}"#);
    let more = format!(
        r#""attributes":[{list}],"droppedAttributesCount":4294967295,"events":[{{"name":"e"}},{{"name":"f"}}],"droppedEventsCount":3,"links":[{link},{link},{{}}]"#
    );
    let outcome = case.take(&traces(&[span(1, 0, &more)]));
    let span = outcome.only();
    // Nothing is cut within a word: it could be a secret.
    assert_eq!(attributes(span)["a"], "ab…");
    // Two of the server's, three of ours.
    assert_eq!(span.attributes.len(), 5);
    assert_eq!(span.dropped_attributes_count, u32::MAX);
    assert_eq!((span.events.len(), span.dropped_events_count), (1, 4));
    assert_eq!((span.links.len(), span.dropped_links_count), (1, 1));
    assert_eq!(outcome.counts.over_limit, 4);
}

#[test]
fn a_resource_without_a_name_stays_without_one() {
    let json = traces(&[span(1, 0, "")]);
    let from = json.find(r#""resource":"#).unwrap();
    let to = json.find(r#""scopeSpans""#).unwrap();
    let bare = format!("{}{}", &json[..from], &json[to..]);
    let outcome = case().take(&bare);
    assert_eq!(outcome.resources[0].resource, None);
    assert_eq!(attributes(outcome.only())[names::SERVER_NAME], "files");
}
