//! What the head of a modern POST says of the message in its body (2026-07-28, "Standard Request Headers"), held
//! against the body. Which header is wrong is told, and never a value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::RequestHead;
use crate::json::Text;
use crate::mcp::Message;

/// The longest value that is compared, in bytes: one as long as this may have been cut.
pub const MAX_MIRRORED: usize = 1024;

/// Begins and ends a value that no header could carry as it is, and is in base64 therefore.
const ENCODED: [&[u8]; 2] = [b"=?base64?", b"?="];

/// Holds those headers until the body is read.
#[derive(Debug)]
pub(super) struct Mirrored {
    version: Option<Box<[u8]>>,
    method: Option<Box<[u8]>>,
    name: Option<Box<[u8]>>,
}

impl Mirrored {
    pub(super) fn of(head: &RequestHead<'_>) -> Self {
        let held = |value: Option<&[u8]>| value.map(|v| v[..v.len().min(MAX_MIRRORED)].into());
        let (version, method, name) = (head.protocol_version, head.method, head.name);
        Mirrored { version: held(version), method: held(method), name: held(name) }
    }

    /// Says which headers of a modern request are not as its body has it; `None` if all are, and for legacy ones,
    /// which need none.
    pub(super) fn fault(&self, message: &Message<'_>) -> Option<String> {
        let params = &message.params;
        let version = params.meta.protocol_version?;
        let method = message.method?;
        let is = |names: &[&str]| names.iter().any(|name| method.is(name));
        let name = match () {
            () if is(&["tools/call", "prompts/get"]) => params.name,
            () if is(&["resources/read"]) => params.uri,
            () if is(&["tasks/get", "tasks/update", "tasks/cancel"]) => params.task_id,
            () => None,
        };
        let faults = [
            ("mcp-protocol-version", &self.version, Some(version)),
            ("mcp-method", &self.method, Some(method)),
            ("mcp-name", &self.name, name),
        ];
        let faults = faults.into_iter().filter_map(|(header, value, text)| {
            Some(format!("{header} {}", wrong(value.as_deref(), &text?)?))
        });
        let faults = faults.collect::<Vec<_>>().join(", ");
        (!faults.is_empty()).then_some(faults)
    }
}

/// Says what is wrong with a header that should say `text`.
fn wrong(value: Option<&[u8]>, text: &Text<'_>) -> Option<&'static str> {
    let Some(value) = value else { return Some("missing") };
    if value.len() >= MAX_MIRRORED {
        return None;
    }
    let plain = text.decode().ok()?;
    let inner = value.strip_prefix(ENCODED[0]).and_then(|rest| rest.strip_suffix(ENCODED[1]));
    let same = match inner {
        Some(inner) => STANDARD.decode(inner).is_ok_and(|bytes| bytes == plain.as_bytes()),
        None => value == plain.as_bytes(),
    };
    (!same).then_some("differs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(headers: [Option<&str>; 3], body: &str) -> Option<String> {
        let [version, method, name] = headers.map(|value| value.map(|v| v.as_bytes().into()));
        let (message, _) = Message::peek(body.as_bytes()).unwrap();
        Mirrored { version, method, name }.fault(&message)
    }

    fn body(method: &str, params: &str) -> String {
        let version = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
        format!(r#"{{"id":1,"method":"{method}","params":{{{params}"_meta":{{{version}}}}}}}"#)
    }

    #[test]
    fn headers_are_held_against_the_body() {
        let v = Some("2026-07-28");
        let call = body("tools/call", r#""name":"t","#);
        let uri = body("resources/read", r#""uri":"desk:///item/é 7","#);
        let told = |text: &str| Some(text.to_owned());
        let uri_header = Some("=?base64?ZGVzazovLy9pdGVtL8OpIDc=?=");
        for (headers, body, expected) in [
            ([v, Some("tools/call"), Some("t")], &call, None),
            ([v, Some("tools/call"), Some("T")], &call, told("mcp-name differs")),
            ([v, Some("=?base64?dG9vbHMvY2FsbA==?="), Some("t")], &call, None),
            (
                [Some("2025-11-25"), Some("tools/list"), None],
                &call,
                told("mcp-protocol-version differs, mcp-method differs, mcp-name missing"),
            ),
            ([v, Some("resources/read"), uri_header], &uri, None),
            ([v, Some("resources/read"), Some("=?base64?!?=")], &uri, told("mcp-name differs")),
            ([v, Some("tools/list"), Some("x")], &body("tools/list", ""), None),
            ([None; 3], &r#"{"id":1,"method":"tools/call","params":{"name":"t"}}"#.into(), None),
        ] {
            assert_eq!(fault(headers, body), expected, "{headers:?}");
        }
        let long = "x".repeat(MAX_MIRRORED);
        let body = body("tools/call", &format!(r#""name":"{long}more","#));
        assert_eq!(
            fault([v, Some("tools/call"), Some(&long)], &body),
            None,
            "it may have been cut"
        );
    }
}
