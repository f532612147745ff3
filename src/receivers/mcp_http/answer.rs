//! Writes the responses of the tap itself: refusals, and that the upstream is not there. Pure.
//!
//! A JSON-RPC request gets a JSON-RPC error, so that its client can tie it to the call; anything else
//! gets a line of text. Neither quotes what was sent or says more of the upstream than its name.

use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use super::body::{ProxyBody, RequestPrefix};
use super::guard::Denied;
use crate::mcp::{Message, RawId};

/// The code of what never reached the server: in the range that JSON-RPC leaves to implementations,
/// where MCP's SDKs put a closed connection.
const UNREACHABLE: i32 = -32000;

/// A line of text.
pub(super) fn text(status: StatusCode, words: &str) -> Response<ProxyBody> {
    plain(status, "text/plain; charset=utf-8", format!("mcpcol: {words}\n"))
}

/// A request that the guard does not let through.
pub(super) fn denied(why: Denied) -> Response<ProxyBody> {
    let mut response = text(why.status(), why.why());
    match why {
        Denied::Token => {
            let value = HeaderValue::from_static("Bearer realm=\"mcpcol\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        Denied::Method => {
            let value = HeaderValue::from_static("GET, POST, DELETE, OPTIONS, HEAD");
            response.headers_mut().insert(ALLOW, value);
        }
        _ => {}
    }
    response
}

/// 503: too much is going on.
pub(super) fn busy() -> Response<ProxyBody> {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "too many requests are in flight");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// 502: the upstream of that name is not there, or went away without an answer to what `prefix` shows.
pub(super) fn unreachable(server: &str, prefix: Option<&mut RequestPrefix>) -> Response<ProxyBody> {
    let status = StatusCode::BAD_GATEWAY;
    let words = format!("no answer from the upstream `{server}`");
    let Some(id) = prefix.and_then(request_id) else { return text(status, &words) };
    let message = serde_json::Value::from(format!("mcpcol: {words}"));
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{UNREACHABLE},"message":{message}}}}}"#
    );
    plain(status, "application/json", body)
}

/// Leaves the body out where `HEAD` asked: hyper does that over HTTP/1.1 only.
pub(super) fn without_body(response: &mut Response<ProxyBody>) {
    if let body @ ProxyBody::Own(_) = response.body_mut() {
        *body = ProxyBody::own("");
    }
}

fn plain(status: StatusCode, kind: &'static str, body: String) -> Response<ProxyBody> {
    let mut response = Response::new(ProxyBody::own(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The id as it stands in the request; `None` for anything but one request.
fn request_id(prefix: &mut RequestPrefix) -> Option<String> {
    let mut tail = None;
    prefix.beyond.end(|_, bytes| tail = Some(bytes.to_vec()));
    let message = match &tail {
        None => Message::peek(&prefix.head).ok()?.0,
        Some(tail) => Message::peek_cut(&prefix.head, tail),
    };
    message.method?;
    match message.id {
        RawId::Number(digits) => Some(digits.to_owned()),
        RawId::Text(text) => Some(format!("\"{}\"", std::str::from_utf8(text.raw()).ok()?)),
        RawId::Absent | RawId::Null | RawId::Odd => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Body;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    fn body(response: Response<ProxyBody>) -> String {
        let mut body = response.into_body();
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => {
                String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
            }
            other => panic!("no body: {other:?}"),
        }
    }

    fn answered(request: &str) -> String {
        let mut prefix = RequestPrefix::default();
        for chunk in request.as_bytes().chunks(1000) {
            prefix.add(chunk);
        }
        body(unreachable("github", Some(&mut prefix)))
    }

    #[test]
    fn a_request_gets_an_error_under_its_own_id() {
        let long = format!(
            r#"{{"method":"tools/call","params":{{"x":"{}"}},"id":"a\"b"}}"#,
            "y".repeat(9000)
        );
        for (request, id) in [
            (r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#, serde_json::json!(7)),
            (long.as_str(), serde_json::json!("a\"b")),
        ] {
            let answer: serde_json::Value = serde_json::from_str(&answered(request)).unwrap();
            assert_eq!(answer["id"], id);
            assert_eq!(answer["error"]["code"], UNREACHABLE);
        }
    }

    #[test]
    fn anything_else_gets_a_line_of_text() {
        for body in [
            "",
            "{",
            r#"{"method":"notifications/x"}"#,
            r#"[{"id":1,"method":"a"}]"#,
            r#"{"id":1,"result":{}}"#,
        ] {
            assert_eq!(answered(body), "mcpcol: no answer from the upstream `github`\n", "{body}");
        }
    }

    #[test]
    fn head_is_answered_without_a_body() {
        let mut response = busy();
        assert!(!response.body().is_end_stream());
        without_body(&mut response);
        assert!(response.body().is_end_stream());
        assert_eq!(response.status(), 503);
    }
}
