//! Checks which content and headers are on spans where they are captured, and which never are.

use serde_json::{Value, json};

use super::tap::{tap, with_redaction};
use crate::origin::{Conn, Origin};
use crate::spans::attribute;

fn call(id: u32, arguments: &Value) -> String {
    let params = json!({ "name": "weather", "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }).to_string()
}

/// Answers one request under its id.
fn answer(conn: &mut Conn, status: &str, headers: &str, body: &[u8], mut answer: Value) {
    let asked: Value = serde_json::from_slice(body).unwrap();
    answer["jsonrpc"] = "2.0".into();
    answer["id"] = asked["id"].clone();
    let answer = answer.to_string();
    conn.write(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{answer}",
        answer.len()
    ));
}

fn list(span: &Value, key: &str) -> Vec<String> {
    let attributes = span["attributes"].as_array().unwrap();
    let of = attributes.iter().find(|attribute| attribute["key"] == key);
    let values = of.and_then(|attribute| attribute["value"]["arrayValue"]["values"].as_array());
    values.into_iter().flatten().map(|v| v["stringValue"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn headers_on_the_list_are_on_spans_without_what_is_secret_in_them() {
    let token = ["gh", "p_", "A1b2C3d4E5f6", "G7h8I9j0K1l2", "M3n4O5p6Q7r8"].concat();
    let origin = Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            let error = json!({ "error": { "code": -32000, "message": "slow down" } });
            answer(&mut conn, "429 X", "Retry-After: 3\r\nX-Other: 1\r\n", &body, error);
        }
    });
    let tap = with_redaction(
        &origin.url(),
        "capture: { headers: [X-Request-Id, x-note, retry-after], errors: redacted }",
    );
    let head = format!("POST /mcp\nX-Request-ID: r-1\nX-Note: a\nX-Note: {token}\nX-Third: 3");
    assert_eq!(tap.ask(&head, &call(1, &json!({}))).status, 429);
    let end = tap.end();
    let span = &end.spans[0];
    assert_eq!(list(span, "http.request.header.x-request-id"), ["r-1"]);
    assert_eq!(list(span, "http.request.header.x-note"), ["a", "[REDACTED:github]"]);
    assert_eq!(list(span, "http.response.header.retry-after"), ["3"]);
    assert_eq!(span["status"]["message"], "slow down");
    let text = span.to_string();
    assert!(!text.contains("x-third") && !text.contains("x-other"), "{text}");
}

/// A server that quotes what it once was sent, long after: whatever a session carried is known in all of it.
#[test]
fn a_credential_of_a_session_is_masked_where_a_later_answer_quotes_it() {
    const SECRETS: [&str; 3] = ["kettle-window-77", "lamp-door-chair-5", "carpet-sugar-31"];
    let origin = Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            let headers =
                "mcp-session-id: lamp-door-chair-5\r\nset-cookie: s=carpet-sugar-31; Path=/\r\n";
            if body.windows(10).any(|window| window == b"initialize") {
                answer(&mut conn, "200 OK", headers, &body, json!({ "result": {} }));
            } else {
                let text = format!("{SECRETS:?} are refused");
                let content = json!([{ "type": "text", "text": text }]);
                let result = json!({ "result": { "content": content, "isError": true } });
                answer(&mut conn, "200 OK", "", &body, result);
            }
        }
    });
    let tap = with_redaction(&origin.url(), "capture: { errors: redacted }");
    let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#;
    tap.ask("POST /mcp\nX-Acme-Token: kettle-window-77", hello);
    for session in ["lamp-door-chair-5", "another-session"] {
        tap.ask(&format!("POST /mcp\nmcp-session-id: {session}"), &call(1, &json!({})));
    }
    let end = tap.end();
    let messages: Vec<&str> =
        end.spans.iter().filter_map(|span| span["status"]["message"].as_str()).collect();
    let mask = "[REDACTED:known_value]";
    assert_eq!(
        messages,
        [format!("[{mask:?}, {mask:?}, {mask:?}] are refused"), format!("{SECRETS:?} are refused")],
        "{}",
        end.log
    );
}

#[test]
fn without_a_redaction_nothing_is_captured() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "");
    let body = call(1, &json!({ "city": "kettle" }));
    assert_eq!(tap.ask("POST /mcp\nx-one: kettle", &body).status, 200);
    let end = tap.end();
    assert!(!end.spans[0].to_string().contains("kettle"));
    assert_eq!(attribute(&end.spans[0], "gen_ai.tool.call.arguments"), None);
}
